"""Labelled packs out of files, through InfluxDB, to what is said of each cell everywhere."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import subprocess
import time
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from exporter.history.cells.analysis import analyse_site
from exporter.history.cells.pack_cache import _due
from exporter.history.cells.pack_grid import Grid, Known, PackPast
from exporter.history.cells.pack_reader import read_newer, stretches
from exporter.history.influxql import InfluxQL, Series
from exporter.model.cell_findings import SiteCells, as_dict
from exporter.serve.api import schemas
from tests.history.importing.folders import write_csv
from tests.scoring.cells.packs import CAPACITY_AH, DAY, History, Pack
from tests.serve.api.replies import check
from tests.service_process import command, environment, serving, until, write_fleet
from tests.store.test_influx_targets import Server, influx1  # noqa: F401

pytestmark = pytest.mark.stack
DAYS = 40
CELLS = 8
STEP = 600.0
PER_DAY = 144
RESISTIVE = 3
"""The pack whose current and capacity are known as well."""
ANALYSIS_SECONDS = 240.0


def write_pack(folder: Path, number: int, pack: History, end: float) -> None:
    """A history as a logger's folder holds it, moved so that it ends at ``end``."""
    stamps = np.round(pack.t - pack.t[0] + end - pack.t.size * STEP).astype(int).tolist()
    for cell in range(CELLS):
        for letter, values in (("v", pack.voltages), ("t", pack.temperature)):
            rows = zip(stamps, values[:, cell].tolist(), strict=True)
            write_csv(folder / f"bms1_p{number}_{letter}{cell + 1}.csv", rows)
    soc = np.round(pack.soc, 1).tolist()
    write_csv(folder / f"bms1_p{number}_soc.csv", zip(stamps, soc, strict=True))
    if number == RESISTIVE:
        write_csv(folder / f"bms1_p{number}_i.csv", zip(stamps, pack.current.tolist(), strict=True))
        rows = [(stamp, CAPACITY_AH) for stamp in stamps[::144]]
        write_csv(folder / f"bms1_p{number}_capacity.csv", rows)
        # Told at every moment, unlike the capacity.
        counted = np.round(1000 + np.cumsum(np.maximum(pack.current, 0)) / 300, 2).tolist()
        write_csv(folder / f"bms1_p{number}_in.csv", zip(stamps, counted, strict=True))


@pytest.fixture(scope="module")
def end() -> float:
    """A midnight, so that the packs rest at the same hours as in their own tests."""
    return float(int(time.time()) // int(DAY) * int(DAY))


def hot(pack: History) -> History:
    """A spot between cells 3, 4 and 5, for the last week."""
    pack.temperature[-7 * PER_DAY :, 2:5] += [4.0, 7.0, 4.0]
    return pack


def loose(pack: History) -> History:
    """The sense wire between cells 3 and 4, for the last three days."""
    rng = np.random.default_rng(0)
    size = 3 * PER_DAY
    jumps = 0.02 * rng.standard_normal(size) * (rng.random(size) < 0.5)
    pack.voltages[-size:, 2] += jumps
    pack.voltages[-size:, 3] -= jumps
    return pack


def labelled() -> dict[int, History]:
    """Packs by their numbers: one that is sound, and one for each thing that can be wrong."""
    make = dataclasses.replace
    sound = Pack(cells=CELLS, days=DAYS, step=STEP, seed=3, swing=(65.0, 95.0))
    short = make(sound, days=12)
    full = make(short, seed=8, swing=(98.6, 99.0), misaligned_percent={3: 0.9, 4: -0.9})
    uneven = make(short, days=20, seed=9, misaligned_percent={2: 25.0})
    return {
        1: sound.run(),
        2: make(sound, seed=4, leak_percent_per_day={4: 0.9}).run(),
        RESISTIVE: make(sound, days=30, seed=5, resistance_factor={5: 2.2}).run(),
        4: hot(make(short, seed=6).run()),
        5: loose(make(short, seed=7).run()),
        6: full.run(),
        7: make(uneven, balancing_percent_per_day=0.9).run(),
    }


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory, end: float) -> Path:
    """The labelled packs as files."""
    folder = tmp_path_factory.mktemp("recorded")
    for number, pack in labelled().items():
        write_pack(folder / "in", number, pack, end)
    return folder


def imported(influx1: Server, folder: Path, database: str) -> dict[str, str]:  # noqa: F811
    settings = {
        "influxdb_url": influx1.url,
        "influxdb_api": "v1",
        "influxdb_database": database,
    }
    state = str(folder / f"state_{database}")
    names = {"current_a": "i", "capacity_ah": "capacity", "charged_kwh": "in"}
    options = ["--no-rollups", "--unit", "battery.charged_kwh=kWh"]
    for field, name in names.items():
        options += ["--pattern", f"battery.{field}=bms{{system}}_p{{pack}}_{name}"]
    run(settings, "import", str(folder / "in"), "--site", "alpha", "--state", state, *options)
    return settings


def run(settings: dict[str, str], *arguments: str) -> None:
    done = subprocess.run(
        command(*arguments),
        env=environment(**settings),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def stored(influx1: Server, recorded: Path) -> dict[str, str]:  # noqa: F811
    """Full detail and no roll-ups."""
    return imported(influx1, recorded, "recorded")


@pytest.fixture(scope="module")
def rolled(influx1: Server, recorded: Path) -> dict[str, str]:  # noqa: F811
    """The same with roll-ups."""
    settings = imported(influx1, recorded, "rolled")
    run(settings, "rollup")
    return settings


@pytest.fixture(params=["stored", "rolled"])
def either(request: pytest.FixtureRequest) -> dict[str, str]:
    """Both."""
    found: dict[str, str] = request.getfixturevalue(request.param)
    return found


def analysed(settings: dict[str, str], moment: float, site: str = "alpha") -> SiteCells:
    async def ask() -> SiteCells:
        source = InfluxQL(settings["influxdb_url"], settings["influxdb_database"], {})
        try:
            return await analyse_site(source, site, moment)
        finally:
            await source.close()

    return asyncio.run(ask())


@pytest.mark.parametrize("rolled_up", [False, True])
def test_packs_take_the_charge_of_their_system(
    influx1: Server,  # noqa: F811
    tmp_path: Path,
    end: float,
    rolled_up: bool,
) -> None:
    """``bms1_soc`` is the charge of the packs that have none of their own, and so is its health."""
    folder = tmp_path / "in"
    pack = Pack(cells=CELLS, days=12, step=STEP, seed=12, swing=(50.0, 90.0)).run()
    write_pack(folder, 1, pack, end)
    write_pack(folder, 2, pack, end)
    (folder / "bms1_p1_soc.csv").rename(folder / "bms1_soc.csv")
    write_csv(folder / "bms1_p2_soc.csv", [(int(end) - 3600 * n, 70) for n in range(24, 0, -1)])
    write_csv(folder / "bms1_soh.csv", [(int(end) - 3600, 93)])
    database = f"system_{int(rolled_up)}"
    settings = {"influxdb_url": influx1.url, "influxdb_api": "v1", "influxdb_database": database}
    state = str(tmp_path / "state")
    run(settings, "import", str(folder), "--site", "alpha", "--state", state, "--no-rollups")
    if rolled_up:
        run(settings, "rollup")
    without, own = analysed(settings, end).packs
    assert without.cycling is not None
    assert own.cycling is not None
    assert without.cycling.equivalent_full == pytest.approx(0.4 * 12, rel=0.15)
    assert own.cycling.equivalent_full == 0
    assert without.health is not None
    assert without.health.reported_percent == 93
    assert without.findings == ()


def test_the_right_cell_is_named_and_healthy_packs_are_not(
    either: dict[str, str], end: float
) -> None:
    found = analysed(either, end + 5 * DAY)
    sound, leaky = found.packs[:2]
    assert [pack.pack for pack in found.packs] == [f"bms1/{number}" for number in range(1, 8)]
    assert [f for f in sound.findings if f.severity != "info"] == []
    assert len(sound.cells) == CELLS
    trends = [f for f in leaky.findings if f.reason == "trend"]
    assert [f.cell for f in trends] == ["5"]
    assert trends[0].sentence.startswith("Cell 2/5 falls ")
    assert trends[0].value == pytest.approx(-0.001, rel=0.25)
    state = leaky.cells[4]
    by_limit = {f.millivolts: f.days for f in state.forecasts}
    assert by_limit[100] is not None
    assert by_limit[60] is not None
    assert by_limit[100] > by_limit[60] > 0 or by_limit[60] == 0
    assert leaky.cycling is not None
    assert leaky.cycling.equivalent_full == pytest.approx(0.3 * DAYS, rel=0.1)


def test_each_label_is_found_and_nothing_else(either: dict[str, str], end: float) -> None:
    """Reason by reason, with severity, in every pack; what is silent is silent."""
    found = analysed(either, end)
    said = {
        pack.pack[-1]: {(f.cell, f.reason) for f in pack.findings if f.severity != "info"}
        for pack in found.packs
    }
    assert said.pop("2") >= {("5", "trend")}
    assert said == {
        "1": set(),
        "3": {("6", "resistance")},
        "4": {("3", "temperature"), ("4", "temperature"), ("5", "temperature")},
        "5": {("3", "sensor_noisy"), ("4", "sensor_noisy")},
        "6": set(),
        "7": set(),
    }
    by_pack = {pack.pack[-1]: pack for pack in found.packs}
    resistive = next(f for f in by_pack["3"].findings if f.reason == "resistance")
    assert resistive.value == pytest.approx(2.2, rel=0.15)
    spot = next(f for f in by_pack["4"].findings if f.cell == "3")
    assert "falls off over the neighbours of cell 4, as heat does" in spot.sentence
    assert "a loose sense wire" in by_pack["5"].findings[0].sentence
    # A pack near full has a spread that would be an alarm at half charge.
    flat = next(pack for number, pack in labelled().items() if number == 6)
    assert np.ptp(flat.voltages, axis=1).max() > 0.1
    # What goes back to the median has no day on which it would reach a limit.
    balancing = by_pack["7"].cells[2]
    assert all(f.days is None for f in balancing.forecasts)


def test_as_it_would_have_been_said_earlier(either: dict[str, str], end: float) -> None:
    """Weeks ahead of the limit, and nothing before there is anything to see."""
    early = analysed(either, end - 33 * DAY)
    worse = [f for p in early.packs for f in p.findings if f.reason == "trend"]
    assert [f for f in worse if f.severity != "info"] == []
    later = analysed(either, end - 20 * DAY)
    trends = [
        (p.pack, f.cell)
        for p in later.packs
        for f in p.findings
        if f.reason == "trend" and f.severity != "info"
    ]
    assert trends == [("bms1/2", "5")]
    limits = {f.millivolts: f.days or 0.0 for f in later.packs[1].cells[4].forecasts}
    assert limits[60] > 14


def test_roll_ups_are_read_but_for_the_last_days(
    stored: dict[str, str], rolled: dict[str, str], end: float
) -> None:
    async def levels(settings: dict[str, str]) -> list[tuple[str, float]]:
        source = InfluxQL(settings["influxdb_url"], settings["influxdb_database"], {})
        try:
            parts = await stretches(source, "alpha", end)
        finally:
            await source.close()
        return [(p.level.name if p.level else "raw", p.begin) for p in parts]

    for settings, old in ((stored, "raw"), (rolled, "rollup_15m")):
        assert asyncio.run(levels(settings)) == [(old, end - 91 * DAY), ("raw", end - 2 * DAY)]


class Counting(InfluxQL):
    """Counts what is asked and how many rows come back."""

    asked = rows = 0

    async def select(self, statement: str, retention: str = "raw") -> list[Series]:
        found = await super().select(statement, retention)
        self.asked += 1
        self.rows += sum(len(series.rows) for series in found)
        return found


def test_only_what_is_new_is_read_again_and_the_same_is_said(
    either: dict[str, str], end: float, tmp_path: Path
) -> None:
    async def ask(moment: float, folder: Path | None) -> tuple[SiteCells, int, int]:
        source = Counting(either["influxdb_url"], either["influxdb_database"], {})
        try:
            found = await analyse_site(source, "alpha", moment, date(2023, 1, 1), folder)
        finally:
            await source.close()
        return found, source.asked, source.rows

    # The site's day of reading everything begins somewhere: two hours of one such day.
    first = next(
        moment
        for moment in (end - DAY - 3600 * n for n in range(2, 6))
        if not _due("alpha", moment, moment + 7200)
    )
    _, _, all_rows = asyncio.run(ask(first, tmp_path))
    for moment in (first + 3600, first + 7200):
        kept, asked, rows = asyncio.run(ask(moment, tmp_path))
        anew, _, _ = asyncio.run(ask(moment, None))
        assert as_dict(kept) == as_dict(anew)
        assert (asked, rows < all_rows / 100) == (3, True)
    _, asked, rows = asyncio.run(ask(first + DAY, tmp_path))
    assert (asked > 3, rows > all_rows / 2) == (True, True)


def test_a_newer_charge_of_the_system_is_for_packs_without_one(
    influx1: Server,  # noqa: F811
    tmp_path: Path,
    end: float,
) -> None:
    begin = end - 7200
    stamps = [int(begin) + 600 * n for n in range(12)]
    for name in ("bms1_p1_v1", "bms1_p2_v1"):
        write_csv(tmp_path / "in" / f"{name}.csv", [(stamp, 3.3) for stamp in stamps])
    write_csv(tmp_path / "in" / "bms1_soc.csv", [(stamp, 50) for stamp in stamps])
    write_csv(tmp_path / "in" / "bms1_p2_soc.csv", [(stamp, 80) for stamp in stamps[::4]])
    settings = {"influxdb_url": influx1.url, "influxdb_api": "v1", "influxdb_database": "newer"}
    state = str(tmp_path / "state")
    folder = str(tmp_path / "in")
    run(settings, "import", folder, "--site", "alpha", "--state", state, "--no-rollups")

    async def newer() -> dict[str, PackPast]:
        source = InfluxQL(influx1.url, "newer", {})
        empty = {
            pack: PackPast(Grid.empty(begin, 600, 0), Grid.empty(begin, 600, 12), Known())
            for pack in ("bms1/1", "bms1/2")
        }
        try:
            found = await read_newer(source, "alpha", empty, begin, end)
        finally:
            await source.close()
        assert found is not None
        return found[0]

    charges = {pack: past.new.battery[1] for pack, past in asyncio.run(newer()).items()}
    assert set(charges["bms1/1"][:12].tolist()) == {50.0}
    own = charges["bms1/2"]
    assert own[np.isfinite(own)].tolist() == [80.0, 80.0, 80.0]


def test_sites_without_cells_and_servers_without_answer(stored: dict[str, str]) -> None:
    nothing = analysed(stored, time.time(), site="o'brien")
    assert (nothing.packs, nothing.fault) == ((), "no single cells of this site are stored")
    silent = analysed(stored | {"influxdb_url": "http://127.0.0.1:1"}, time.time())
    assert silent.fault is not None
    assert silent.fault.startswith("http://127.0.0.1:1/query: ")


def test_the_command_reads_influxdb_itself(stored: dict[str, str], end: float) -> None:
    def ask(*more: str) -> tuple[int, str, str]:
        done = subprocess.run(
            command("cells", "alpha", "--stored", *more),
            env=environment(**stored),
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr

    code, told, complaint = ask()
    assert code == 1, complaint
    assert "Cell 2/5 falls" in told
    assert "Nothing to report." in told or "info" in told
    moment = datetime.fromtimestamp(end - 33 * DAY, UTC).isoformat()
    code, told, complaint = ask("--at", moment, "--json")
    assert code == 0, complaint
    assert len(json.loads(told)["packs"]) == 2


def test_the_service_analyses_on_start(stored: dict[str, str], tmp_path: Path) -> None:
    fleet = tmp_path / "fleet.yaml"
    write_fleet(fleet, {"alpha": "http://127.0.0.1:1", "beta": "http://127.0.0.1:1"})
    with serving(fleet, **stored) as service:

        def said() -> Any:
            status, body = service.get("/api/v1/sites/alpha/cells")
            assert status == 200
            return [p for p in json.loads(body)["packs"] if p["pack"] == "bms1/2"]

        (leaky,) = until(said, ANALYSIS_SECONDS)
        assert {f["cell"] for f in leaky["findings"] if f["reason"] == "trend"} == {"5"}
        until(lambda: service.metric("cell_analysis_timestamp_seconds"))
        labels = 'cell="5",pack="bms1/2",'
        assert service.metric(
            f'cell_finding{{{labels}reason="trend",severity="warning",site="alpha"}}'
        )
        forecast = service.metric(
            'cell_forecast_seconds{cell="5",millivolts="100",pack="bms1/2",site="alpha"}'
        )
        assert forecast is not None
        assert 0 <= forecast < 100 * DAY
        check(schemas.CellsReply, json.loads(service.get("/api/v1/sites/alpha/cells")[1]))
        _, beta = service.get("/api/v1/sites/beta/cells")
        assert json.loads(beta)["packs"] == []
        assert service.get("/api/v1/sites/gamma/cells")[0] == 404
        done = subprocess.run(
            command("cells", "alpha", "--url", service.url),
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, "Cell 2/5" in done.stdout) == (1, True), done.stderr
        assert service.stop() == 0
