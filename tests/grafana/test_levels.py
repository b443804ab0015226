"""The level that a dashboard's variable picks, asked of real servers as Grafana asks it."""

from __future__ import annotations

import re
import time

import pytest

from exporter.history.rollups.due import kept_from
from exporter.history.rollups.plot_level import level_batch
from exporter.history.rollups.source import DAY_MS, Source
from exporter.model.levels import LEVELS, RAW, duration_seconds
from exporter.model.quantities import KEPT, RollupKind
from exporter.store.connection import Connection
from exporter.store.queue import compress
from grafana.kit.levels import (
    CADENCE,
    CELLS,
    METERS,
    QUARTERS,
    READINGS,
    Detail,
    cadence_query,
    field,
)
from tests.store.test_influx_targets import Server, influx1, influx2, server  # noqa: F401

NOW = int(time.time() * 1000)


def within(query: str, start: int, stop: int) -> str:
    """A query with the time range filled in as Grafana does."""
    for name, value in (("from", start), ("to", stop)):
        query = query.replace(f"${{__{name}}}", str(value)).replace(f"$__{name}", str(value))
    return query


def cadence(source: Source, site: str, start: int, stop: int) -> str:
    """Value of the variable that measures the cadence of a site's cells; empty without one."""
    parts = list(source.ask(within(cadence_query(), start, stop).replace("$site", site)))
    return str(int(parts[0].rows[0][1])) if parts and parts[0].rows else ""


def picked(
    source: Source, start: int, stop: int, detail: Detail = READINGS, apart: str = ""
) -> tuple[str, str]:
    """Value and text of the variable."""
    query = within(detail.query, start, stop).replace(f"${{{CADENCE}}}", apart)
    (part,) = source.ask(query)
    ((_, choice),) = part.rows
    found = re.search(detail.regex.strip("/").replace("(?<", "(?P<"), choice)
    assert found is not None
    return found["value"], found["text"]


@pytest.mark.stack
async def test_the_level_follows_the_range_and_what_is_kept(server: Server) -> None:  # noqa: F811
    kept = {level.name: duration_seconds(level.retention) for level in LEVELS}
    kept |= {RAW: duration_seconds("90d")}
    # InfluxDB 1.x knows it; see connection_of.
    connection = Connection(server.url, "fleet", server.headers, kept if server.headers else {})
    source = Source(connection)
    target = server.target()
    try:
        await target.prepare()
        # Yesterday's rows are there too, and the newest count.
        for moment in (NOW - DAY_MS, NOW):
            batch = level_batch(kept_from(source, moment), moment)
            await target.write(batch.body, batch.policy)
        for days, level in ((0.1, "raw"), (2, "raw"), (7, "rollup_5m"), (30, "rollup_15m")):
            assert picked(source, NOW - int(days * DAY_MS), NOW)[0] == level
        assert picked(source, NOW - 200 * DAY_MS, NOW) == ("rollup_1h", "1h")
        assert picked(source, NOW - 800 * DAY_MS, NOW) == ("rollup_1d", "1d")
        for detail, least in ((CELLS, ("2m", "5m")), (METERS, ("15m", "15m"))):
            for days, name, interval in ((1, "raw", least[0]), (7, "rollup_5m", least[1])):
                assert picked(source, NOW - days * DAY_MS, NOW, detail) == (name, interval)
            assert picked(source, NOW - 200 * DAY_MS, NOW, detail) == ("rollup_1h", "1h")
        for days, level in ((0.1, "rollup_15m"), (7, "rollup_15m"), (200, "rollup_1h")):
            assert picked(source, NOW - int(days * DAY_MS), NOW, QUARTERS)[0] == level
        # An hour of long ago is read from the finest level that is still kept.
        for ago, level in ((89, "raw"), (91, "rollup_5m"), (181, "rollup_15m"), (731, "rollup_1h")):
            start = NOW - ago * DAY_MS
            assert picked(source, start, start + 3_600_000)[0] == level
    finally:
        source.close()
        await target.close()


@pytest.mark.stack
async def test_cells_that_were_recorded_seldom_are_read_from_a_coarser_level(
    server: Server,  # noqa: F811
) -> None:
    source = Source(Connection(server.url, "fleet", server.headers, {}))
    target = server.target()
    begin = NOW - DAY_MS // 4
    lines = [
        f"cell,site={site},pack=1,cell={cell} voltage_v=3.3 {stamp + n % 7 * 1000}"
        for site, minutes in (("live", 1), ("file", 15), ("ten", 10), ("slow", 60))
        for cell in (1, 2)
        for n, stamp in enumerate(range(begin, NOW, minutes * 60_000))
    ]
    try:
        await target.prepare()
        for batch in (level_batch(kept_from(source, NOW), NOW), compress(lines, NOW / 1000, RAW)):
            await target.write(batch.body, batch.policy)
        wanted = {"live": "raw", "file": "rollup_15m", "ten": "rollup_15m", "slow": "rollup_1h"}
        for site, level in {**wanted, "none": "raw"}.items():
            apart = cadence(source, site, begin, NOW)
            assert picked(source, begin, NOW, CELLS, apart)[0] == level, (site, apart)
    finally:
        source.close()
        await target.close()


@pytest.mark.parametrize("kept", sorted({suffix for kind in RollupKind for suffix in KEPT[kind]}))
def test_a_field_is_found_at_every_level_and_no_other_is(kept: str) -> None:
    pattern = re.compile(field("voltage_v", kept).strip("/"))
    assert pattern.search("voltage_v")
    assert pattern.search(f"voltage_v_{kept}")
    assert not pattern.search("voltage_v_median")
    assert not pattern.search(f"grid_voltage_v_{kept}")


def test_no_window_is_longer_than_what_a_plot_can_show_of_its_range() -> None:
    for level in LEVELS:
        if level.range_days is not None:
            assert 500 <= level.range_days * 86_400 / level.seconds <= 10_000
