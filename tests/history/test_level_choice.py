"""Which level a stretch of the past is read at, by what a real InfluxDB holds."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from exporter.history.influxql import InfluxQL
from exporter.history.level_choice import beginning, level_of, meant_for
from exporter.model.levels import DAY, LEVELS
from tests.serve.api.influx import Influx, influx

START = 20_000 * DAY
END = START + 10 * DAY
FINE, QUARTER, HOUR, _ = LEVELS


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Influx]:
    """Sites by what is stored of them: their full detail, and their roll-ups of some levels."""
    with influx(tmp_path_factory.mktemp("influx")) as made:
        for level in LEVELS:
            made.query(
                f'CREATE RETENTION POLICY "{level.name}" ON "fleet" DURATION INF REPLICATION 1'
            )

        def put(site: str, start: int, end: int, policy: str = "raw") -> None:
            rolled = {x.name: x for x in LEVELS}.get(policy)
            step = rolled.seconds if rolled else 100
            field = "pv_power_w_min" if rolled else "pv_power_w"
            stamps = range(start // step * step, end, step)
            made.write([f"site,site={site} {field}=1 {t}000" for t in stamps], policy)

        for site in ("whole", "begun_late", "stopped", "expired"):
            put(site, START if site != "expired" else END - 3 * DAY, END)
        put("whole", START, END, FINE.name)
        put("whole", START, END, QUARTER.name)
        put("begun_late", START + DAY, END, FINE.name)
        put("stopped", START, END - DAY, FINE.name)
        put("expired", START + 5 * DAY, END, FINE.name)
        put("expired", START, END, QUARTER.name)
        yield made


def level(server: Influx, site: str, since: float, until: float) -> str:
    async def ask() -> str:
        stored = InfluxQL(server.url, "fleet", {})
        try:
            found = await level_of(
                stored, "site", "pv_power_w", since, until, f"\"site\" = '{site}'"
            )
            return "raw" if found is None else found.name
        finally:
            await stored.close()

    return asyncio.run(ask())


@pytest.mark.stack
@pytest.mark.parametrize(
    ("site", "wanted"),
    [
        ("whole", "rollup_5m"),
        ("begun_late", "raw"),
        ("stopped", "raw"),
        ("expired", "rollup_15m"),
        ("unknown", "raw"),
    ],
)
def test_a_roll_up_is_read_where_it_holds_all_there_is(
    server: Influx, site: str, wanted: str
) -> None:
    # Nobody asks at the beginning of a window.
    assert level(server, site, START + 130, END - 70) == wanted
    assert level(server, site, START, END) == wanted


@pytest.mark.stack
def test_a_gap_at_the_beginning_of_a_range_is_no_reason_for_full_detail(server: Influx) -> None:
    assert level(server, "whole", START - 2 * DAY, END) == "rollup_5m"


@pytest.mark.stack
def test_short_ranges_and_what_is_not_rolled_up_are_read_in_full(server: Influx) -> None:
    assert level(server, "whole", END - 2 * DAY, END) == "raw"

    async def ask() -> object:
        stored = InfluxQL(server.url, "fleet", {})
        try:
            return await level_of(stored, "health", "rank", START, END)
        finally:
            await stored.close()

    assert asyncio.run(ask()) is None


def test_the_level_meant_for_a_range() -> None:
    names = [[x.name for x in meant_for(days * DAY)][:1] for days in (2, 3, 14, 15, 60, 61, 500)]
    wanted = ["", "5m", "5m", "15m", "15m", "1h", "1d"]
    assert names == [[f"rollup_{name}"] if name else [] for name in wanted]
    assert beginning(QUARTER, START + 899.5) == START
    assert beginning(None, START + 899.5) == START + 899.5
