"""Answers about long periods: out of roll-ups they are what full detail says."""

from __future__ import annotations

import asyncio
import math
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from exporter.answers import history as histories
from exporter.answers.catalogue import METRICS
from exporter.answers.history import History
from exporter.answers.query import Period
from exporter.influxql import InfluxQL
from exporter.levels import DAY
from tests.exporter.api.influx import Influx, influx
from tests.exporter.service_process import command, environment

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


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Influx]:
    with influx(tmp_path_factory.mktemp("influx")) as made:
        made.write(list(lines()))
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


def test_a_week_out_of_roll_ups_is_what_full_detail_says(server: Influx) -> None:
    detail = ask(server)
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
    assert {level for level, _ in rolled.values()} == {"rollup_5m"}
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
