"""Imports into real servers: what is stored, once and again, and after a kill in the middle."""

from __future__ import annotations

import asyncio
import csv
import json
import sqlite3
import subprocess
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from exporter.history.importing import column_lines
from exporter.history.importing.layout import BUILT_IN, Format, plan_file
from exporter.history.importing.rows import Rows
from exporter.history.importing.time_text import UNKNOWN
from exporter.store.line_protocol import tag
from tests.history.importing.folders import local_minutes, run, write_csv
from tests.service_process import command, environment, until
from tests.store.test_influx_targets import (  # noqa: F401
    TOKEN,
    Server,
    influx1,
    influx2,
    server,
)

pytestmark = pytest.mark.stack
OPTIONS = ("--site", "alpha", "--timezone", "Europe/Berlin")


def settings(server: Server, database: str) -> dict[str, str]:  # noqa: F811
    found = {"influxdb_url": server.url, "influxdb_database": database}
    v2 = {"influxdb_api": "v2", "influxdb_token": TOKEN}
    return found | (v2 if server.headers else {"influxdb_api": "v1"})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two cells over the end of daylight saving time, in minutes, with a bad row each."""
    times = local_minutes("2024-10-26T20:00", 600)
    rng = np.random.default_rng(7)
    for cell in (1, 2):
        values = np.round(3.3 + 0.001 * rng.standard_normal(600), 4).tolist()
        rows = [*zip(times, values, strict=True), ("2024-10-27 12:00:00", 0)]
        write_csv(tmp_path / f"in/bms1_p1_v{cell}.csv", rows)
    return tmp_path / "in"


def stored(server: Server, database: str) -> dict[str, list[list[Any]]]:  # noqa: F811
    """Times and voltages of each cell, by pack and cell."""
    question = f'SELECT voltage_v FROM "{database}"."raw"."cell" GROUP BY *'
    found = asyncio.run(server.query(question))
    return {f"{s['tags']['pack']}:{s['tags']['cell']}": s["values"] for s in found}


class Import:
    """The command as a process of its own, into one database."""

    def __init__(self, server: Server, database: str, folder: Path) -> None:  # noqa: F811
        self.environment = environment(**settings(server, database))
        self.state = folder.parent / "state"
        self.command = command("import", str(folder), *OPTIONS, "--state", str(self.state))

    def run(self, *more: str) -> tuple[int, dict[str, Any], str]:
        """Exit code, report, and what it complained of."""
        done = subprocess.run(
            [*self.command, "--json", *more],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, json.loads(done.stdout or "{}"), done.stderr

    @property
    def bad_rows(self) -> list[list[str]]:
        """The bad rows that were kept, without their heading."""
        with (self.state / "bad-rows.csv").open(encoding="utf-8") as file:
            return list(csv.reader(file))[1:]


def test_what_is_in_the_files_is_stored_once(server: Server, folder: Path) -> None:  # noqa: F811
    job = Import(server, "once", folder)
    code, _, complaint = job.run()
    assert (code, "keeps 90 days" in complaint) == (1, True), complaint
    assert stored(server, "once") == {}
    code, report, complaint = job.run("--extend-retention")
    assert code == 0, complaint
    assert (report["total"]["points"], report["total"]["rejected"]) == (1200, 0)
    assert report["rollup"].endswith(
        "--site alpha --from 2024-10-26T20:00:00Z --to 2024-10-27T05:59:01Z"
    )
    first = stored(server, "once")
    assert set(first) == {"bms1/1:1", "bms1/1:2"}
    for cell, values in first.items():
        stamps = [datetime.fromisoformat(row[0]).timestamp() for row in values]
        assert stamps[0] == datetime.fromisoformat("2024-10-26T20:00:00Z").timestamp()
        assert set(np.diff(stamps).tolist()) == {60.0}
        written = _written(folder / f"bms1_p1_v{cell[-1]}.csv")
        assert [row[1] for row in values] == written[:600]
    bad_rows = job.bad_rows
    assert [row[:2] for row in bad_rows] == [
        ["bms1_p1_v1.csv", "602"],
        ["bms1_p1_v2.csv", "602"],
    ]
    for more in ((), ("--again",)):
        code, again, complaint = job.run(*more)
        assert code == 0, complaint
        assert again["files"][0]["imported_before"] == (more == ())
        assert again["total"] == report["total"]
        assert stored(server, "once") == first
        assert job.bad_rows == bad_rows


def rolled_up(server: Server, database: str) -> int:  # noqa: F811
    """Values of full detail that the roll-up of a day was made of."""
    question = f'SELECT sum(samples) FROM "{database}"."rollup_1d"."cell"'
    found = asyncio.run(server.query(question))
    return int(found[0]["values"][0][1]) if found else 0


def test_roll_ups_follow_an_import(server: Server, folder: Path) -> None:  # noqa: F811
    job = Import(server, "rolled", folder)
    code, report, complaint = job.run("--extend-retention", "--no-rollups")
    assert (code, report["rollups_due"]) == (0, True), complaint
    assert rolled_up(server, "rolled") == 0
    # What an import left undone, the next one does, also where it has nothing to write.
    for _ in range(2):
        code, report, complaint = job.run()
        assert (code, report["rollups_due"]) == (0, False), complaint
        assert report["files"][0]["imported_before"]
        assert rolled_up(server, "rolled") == 1200


def _written(path: Path) -> list[float]:
    with path.open(encoding="utf-8") as file:
        return [float(row["value"]) for row in csv.DictReader(file)]


def test_a_kill_in_the_middle(influx1: Server, tmp_path: Path) -> None:  # noqa: F811
    start = int(time.time() - 30 * 86_400)
    for cell in range(1, 7):
        rows: list[Any] = [(start + 10 * n, round(3.3 + n % 97 / 1000, 3)) for n in range(60_000)]
        rows[30_000] = (start, "broken")
        write_csv(tmp_path / f"in/bms1_p1_v{cell}.csv", rows)
    job = Import(influx1, "killed", tmp_path / "in")
    kills = 0
    for wanted in (2, 7):
        with subprocess.Popen(
            job.command, env=job.environment, stdout=subprocess.DEVNULL
        ) as process:
            until(lambda p=process, w=wanted: p.poll() is not None or _batches(job.state) >= w)
            kills += process.poll() is None
            process.kill()
    assert kills, "the import was done before it could be killed"
    assert _batches(job.state) >= 2
    code, report, complaint = job.run()
    assert code == 0, complaint
    assert report["total"]["points"] == report["total"]["readings"] == 6 * 59_999
    assert any(f["imported_before"] for f in report["files"])
    found = stored(influx1, "killed")
    assert {name: len(values) for name, values in found.items()} == {
        f"bms1/1:{cell}": 59_999 for cell in range(1, 7)
    }
    assert [row[1] for row in job.bad_rows] == ["30002"] * 6


def _batches(folder: Path) -> int:
    state = folder / "state.sqlite"
    if not state.exists():
        return 0
    try:
        with sqlite3.connect(f"file:{state}?mode=ro", uri=True) as database:
            return int(database.execute("SELECT total(batches) FROM file").fetchone()[0])
    except sqlite3.OperationalError:
        return 0  # it is being made


def test_a_line_is_that_of_a_live_cell() -> None:
    plans = plan_file(Path("x"), "bms1_p3_v17.csv", BUILT_IN, {"": "a"}, Format())
    assert not isinstance(plans, str)
    (plan,) = plans
    (signal,) = plan.signals([], set())
    unknown = np.full(2, UNKNOWN)
    rows = Rows(np.array([2, 3]), np.array([1000, 2000]), np.array([[3.312], [np.nan]]), unknown)
    assert list(column_lines.encode(rows, (signal,))) == [
        (f"cell,site=a,pack={tag('bms1/3')},cell=17 voltage_v=3.312 1000\n".encode(), 1)
    ]


def test_an_import_at_a_time(tmp_path: Path) -> None:
    from exporter.history.importing.progress import BusyError, State

    state = State(tmp_path)
    with pytest.raises(BusyError, match="another import is at work"):
        State(tmp_path)
    state.close()
    State(tmp_path).close()


def test_no_database_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FLEETSCOPE_INFLUXDB_URL", raising=False)
    write_csv(tmp_path / "in/bms1_p3_v17.csv", [(1714521600, 3.3)])
    result = run(tmp_path / "in", "--site", "a")
    assert result.exit_code == 1
    assert "set FLEETSCOPE_INFLUXDB_URL" in result.stderr
