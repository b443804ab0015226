"""Answers about long periods: out of roll-ups they are what full detail says."""

from __future__ import annotations

import asyncio
import math
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from exporter.ask import issue_events as event_log
from exporter.ask import metric_history as histories
from exporter.ask import timeline, timeline_rollups
from exporter.ask.catalogue import METRICS
from exporter.ask.lookup import Directory
from exporter.ask.metric_history import History
from exporter.ask.query import Period
from exporter.ask.timeline_entries import Timeline
from exporter.ask.view import View
from exporter.config.fleet import Fleet
from exporter.history.influxql import InfluxQL
from exporter.model.levels import DAY, LEVELS, Level
from tests.ask.conftest import judged
from tests.serve.api.influx import Influx, influx
from tests.service_process import command, environment

pytestmark = pytest.mark.stack

START = 20_400 * DAY
DAYS = 6
PERIOD = Period(
    datetime.fromtimestamp(START + 400, UTC), datetime.fromtimestamp(START + DAYS * DAY, UTC)
)
AWAY = (2 * DAY, 3 * DAY)
NAMES = (
    "score", "soc", "soh", "temperature", "cell_spread", "availability", "pv_energy",
    "charged_energy",
)  # fmt: skip


def lines() -> Iterator[str]:
    """Two sites, of which beta is away for a day; alpha has a second, worse battery."""
    for second in range(0, DAYS * DAY, 100):
        stamp, wave = (START + second) * 1000, math.sin(second / DAY * 2 * math.pi)
        for site in ("alpha", "beta"):
            if site == "beta" and AWAY[0] <= second < AWAY[1]:
                yield f"site,site={site} online=0 {stamp}"
                continue
            yield f"site,site={site} online=1,pv_power_w={2000 + 1000 * wave} {stamp}"
            yield f"health,site={site},component=overall score={80 + 10 * wave},status=0 {stamp}"
            for number in (1, 2) if site == "alpha" else (1,):
                yield (
                    f"battery,site={site},device=battery/{number} soc_percent={50 + 30 * wave},"
                    f"soh_percent={99 - number},temperature_c={24 + number + 3 * wave},"
                    f"cell_max_temperature_c={25 + number + 3 * wave},"
                    f"cell_spread_v={0.01 * number},charged_kwh={100 + second / 3600} {stamp}"
                )


EVENTS = (
    # site, code, severity, begins and ends, the last open where it goes on
    ("alpha", "battery_temperature", 2, ((3600, 7200), (90_000, 93_600))),
    ("beta", "site_offline", 3, ((2 * DAY, 2 * DAY + 5000),)),
    ("beta", "cell_spread", 1, ((5 * DAY + 3600, 6 * DAY),)),
)


def issue_lines() -> Iterator[str]:
    """Issues as the exporter stores them: every ten seconds, and once when they have ended."""
    for site, code, severity, times in EVENTS:
        for begin, end in times:
            fields = (
                f'severity={severity},since={START + begin},sentence="{code} of {site}",'
                f"value={begin / 1000},threshold=1"
            )
            for second in range(begin, end, 10):
                stamp = (START + second) * 1000
                yield f"issue,site={site},code={code} active=1,{fields} {stamp}"
            if end < DAYS * DAY:
                yield f"issue,site={site},code={code} active=0,{fields} {(START + end) * 1000}"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Influx]:
    with influx(tmp_path_factory.mktemp("influx")) as made:
        made.write([*lines(), *issue_lines()])
        yield made


def ask(server: Influx) -> dict[str, tuple[str, dict[str, History]]]:
    async def every() -> dict[str, tuple[str, dict[str, History]]]:
        stored = InfluxQL(server.url, "fleet", {})
        found = {}
        try:
            for name in NAMES:
                active = {"alpha": "battery/1", "beta": "battery/1"}
                each, _, level = await histories.fetch(
                    stored, METRICS[name], PERIOD, None, 2, active
                )
                found[name] = ("raw" if level is None else level.name, each)
        finally:
            await stored.close()
        return found

    return asyncio.run(every())


def events(server: Influx) -> tuple[str, dict[tuple[str, str], event_log.Event]]:
    async def every() -> tuple[list[event_log.Event], list[str], Level | None]:
        stored = InfluxQL(server.url, "fleet", {})
        assessment = judged()
        view = View(assessment, Directory(assessment.fleet))
        try:
            return await event_log.fetch(stored, view, PERIOD, ["alpha", "beta"])
        finally:
            await stored.close()

    found, _, level = asyncio.run(every())
    return "raw" if level is None else level.name, {(e.site, e.code): e for e in found}


def test_a_week_out_of_roll_ups_is_what_full_detail_says(server: Influx) -> None:
    detail = ask(server)
    where, had = events(server)
    assert where == "raw"
    assert {level for level, _ in detail.values()} == {"raw"}
    settings = {f"influxdb_retention{which}": "inf" for which in ("", "_5m", "_15m")}
    done = subprocess.run(
        command("rollup"),
        env=environment(influxdb_url=server.url, influxdb_api="v1", **settings),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    rolled = ask(server)
    where, has = events(server)
    assert where == "rollup_15m"
    assert set(has) == set(had) == {(site, code) for site, code, *_ in EVENTS}
    for key, before in had.items():
        after = has[key]
        assert (after.severity, after.sentence, after.value, after.threshold, after.times) == (
            (before.severity, before.sentence, before.value, before.threshold, before.times)
        )
        # A window; and the note that it had ended comes ten seconds after the last.
        assert after.first == pytest.approx(before.first, abs=900)
        assert after.last == pytest.approx(before.last, abs=10)
        assert after.seconds == pytest.approx(before.seconds, rel=0.01)
        assert after.ongoing == before.ongoing == (key == ("beta", "cell_spread"))
    assert has["alpha", "battery_temperature"].times == 2
    assert {level for level, _ in rolled.values()} == {"rollup_15m"}
    for name in NAMES:
        for site in ("alpha", "beta"):
            before, after = detail[name][1][site], rolled[name][1][site]
            # What a window before the period holds of it, and ten minutes of a state held on.
            for what in ("mean", "lowest", "highest", "total", "covered"):
                values = getattr(after, what), getattr(before, what)
                if name == "availability" and what in ("lowest", "highest"):
                    continue
                assert values[0] == pytest.approx(values[1], rel=0.01, nan_ok=True), (name, what)
            assert after.times.tolist() == before.times.tolist(), name
            assert after.values == pytest.approx(before.values, rel=0.03, abs=0.6), name
    assert rolled["availability"][1]["beta"].mean == pytest.approx(100 * 5 / 6, abs=0.5)
    assert rolled["pv_energy"][1]["beta"].total == pytest.approx(2 * 24 * 5, rel=0.01)
    assert rolled["soh"][1]["alpha"].lowest == 97
    timeline_is_the_same(server)


def timeline_is_the_same(server: Influx) -> None:
    """What began and ended, out of hours: the same in the same order, times to an hour."""
    assessment = judged()
    plain = {
        "sites": [{"id": i, "api_endpoint": f"http://{i}.example.com"} for i in ("alpha", "beta")]
    }
    fleet = Fleet.model_validate(plain)
    hour = LEVELS[2]

    async def both() -> tuple[Timeline, Timeline]:
        stored = InfluxQL(server.url, "fleet", {})
        view = View(assessment, Directory(fleet))
        view.sites, view.count = fleet.sites, 2
        try:
            return (
                await timeline.fetch(stored, view, PERIOD, [0, 1], None),
                await timeline_rollups.fetch(stored, view, PERIOD, [0, 1], None, hour),
            )
        finally:
            await stored.close()

    detail, rolled = asyncio.run(both())
    assert rolled.exact_seconds == 3600

    def issues(found: Timeline) -> list[tuple[str, str, str]]:
        each = [e for e in found.entries if e.kind in ("began", "ended")]
        return [(e.site, e.code, e.kind) for e in each]

    assert issues(rolled) == issues(detail) != []
    assert len(rolled.stretches) == len(detail.stretches) == 4
    for before, after in zip(detail.stretches, rolled.stretches, strict=True):
        assert (after.site, after.code, after.severity) == (
            before.site,
            before.code,
            before.severity,
        )
        assert after.start == pytest.approx(before.start, abs=3600)
        assert after.end == pytest.approx(before.end, abs=3700)
