"""Roll-ups in real InfluxDB 1.x and 2.x against a recount in DuckDB, late data and expiry too."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import numpy as np
import pytest

from exporter.history.rollups.fields import FIELDS
from exporter.history.rollups.recount import Report, find_stale, recount, stored_span
from exporter.history.rollups.source import DAY_MS, Source
from exporter.model.levels import LEVELS, Level
from exporter.model.snapshot import BatterySnapshot, Cells, Outcome, Snapshot
from exporter.store.cell_cadence import CellStore
from exporter.store.connection import Connection
from exporter.store.influx import any_of, between_ms
from exporter.store.queue import compress
from exporter.store.target import Target
from tests.history.rollups.duck import Duck, Key, Row, same
from tests.store.test_influx_targets import Server

pytestmark = pytest.mark.stack

MINUTE = 60_000
HOUR = 60 * MINUTE
STEP = 150_000
DAYS = 2
# Half an hour into the third day, so that every level has a window that is not over.
FIRST = (int(time.time() * 1000) // DAY_MS - 10) * DAY_MS
NOW = FIRST + DAYS * DAY_MS + 30 * MINUTE
KINDS = {(m, f): kind.value for m, fields in FIELDS.items() for f, kind in fields.items()}
SERIES = {
    "site": [""],
    "battery": ["device=battery/1"],
    "cell": [f"cell={cell},pack=p{pack}" for pack in (1, 2) for cell in ("c1", "c2")],
    "alarm": ["alarm=LowVoltage,device=battery/1"],
    "meter": ["meter=m1", "meter=quarter-hours"],
}


def rows_of(site: str, seed: int) -> Iterator[Row]:
    """Every kind of signal, at odd times, with gaps of minutes and of a day."""
    rng = np.random.default_rng(seed)
    for measurement, every in SERIES.items():
        for tags in every:
            times = FIRST + np.arange(0, NOW - FIRST, STEP) + int(rng.integers(0, 20_000))
            if tags == "meter=quarter-hours":
                times = FIRST + np.arange(0, NOW - FIRST, 15 * MINUTE)
            keep = rng.random(len(times)) > 0.1
            gap = FIRST + int(rng.integers(0, DAY_MS))
            length = DAY_MS if measurement == "meter" else 40 * MINUTE
            keep &= (times < gap) | (times > gap + length)
            for field, kind in FIELDS[measurement].items():
                values = course(kind.value, len(times), rng)
                mine = keep & (rng.random(len(times)) > 0.02) & (times < NOW)
                for t, v in zip(times[mine].tolist(), values[mine].tolist(), strict=True):
                    yield measurement, site, tags, field, t, v


def course(kind: str, count: int, rng: np.random.Generator) -> np.ndarray:
    if kind == "counter":
        values = np.cumsum(rng.random(count).round(3)) + 50
        reset = int(rng.integers(count // 4, count))
        values[reset:] -= values[reset] - 0.25
        return values
    if kind in ("state", "flag"):
        return np.repeat(rng.integers(0, 4, count // 7 + 1), 7)[:count].astype(float)
    values = (3.3 + 0.01 * rng.standard_normal(count)).round(3)
    values[int(rng.integers(count))] = 4.4  # a spike of one sample
    return values


def lines_of(rows: list[Row]) -> list[str]:
    points: dict[tuple[str, int], list[str]] = {}
    for measurement, site, tags, field, stamp, value in rows:
        # Tags in the order of their names, as InfluxDB stores them.
        parts = sorted([f"site={site}", *(tags.split(",") if tags else [])])
        points.setdefault((f"{measurement},{','.join(parts)}", stamp), []).append(
            f"{field}={value!r}"
        )
    return [f"{series} {','.join(fields)} {t}" for (series, t), fields in points.items()]


@dataclass
class Store:
    source: Source
    target: Target
    duck: Duck
    site: str

    async def write(self, rows: list[Row]) -> None:
        lines = lines_of(rows)
        for start in range(0, len(lines), 5000):
            await self.target.write(compress(lines[start : start + 5000], 0.0).body)

    async def recount(self, start: int = FIRST, stop: int = NOW, **more: bool) -> Report:
        return await recount(self.source, self.target, start, stop, NOW, sites=[self.site], **more)

    def stored(self, level: Level) -> dict[Key, dict[str, float]]:
        found: dict[Key, dict[str, float]] = {}
        for measurement in FIELDS:
            where = f"{any_of('site', [self.site])} AND {between_ms(FIRST - DAY_MS, NOW + DAY_MS)}"
            for part in self.source.ask(
                f'SELECT * FROM "{level.name}"."{measurement}" WHERE {where} GROUP BY *'
            ):
                tags = dict(part.tags)
                site = tags.pop("site")
                key = ",".join(f"{k}={v}" for k, v in sorted(tags.items()))
                for stamp, *values in part.rows:
                    pairs = zip(part.columns[1:], values, strict=True)
                    row = {k: v for k, v in pairs if isinstance(v, int | float)}
                    found[measurement, site, key, int(stamp)] = row
        return found

    def check(self, *levels: Level) -> int:
        rows = 0
        for level in levels or LEVELS:
            wanted = self.duck.windows(KINDS, level.seconds * 1000, NOW)
            found = self.stored(level)
            assert set(found) == set(wanted), level
            wrong = {key: words for key in found if (words := same(found[key], wanted[key]))}
            assert wrong == {}, level
            rows += len(found)
        return rows


@pytest.fixture
async def store(server: Server, request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    """A site of this test alone, with two days and half an hour of everything."""
    site = re.sub("[^a-z]", "", request.node.originalname)
    rows = list(rows_of(site, 7))
    source = Source(Connection(server.url, "fleet", server.headers))
    target = server.target()
    made = Store(source, target, Duck(rows), site)
    try:
        await target.prepare()
        await made.write(rows)
        yield made
    finally:
        source.close()
        await target.close()


async def test_every_level_is_as_a_recount_by_other_means(store: Store) -> None:
    report = await store.recount()
    assert store.check() > 3_000
    assert report.values > 20_000
    first = {level: store.stored(level) for level in LEVELS}
    await store.recount()
    assert {level: store.stored(level) for level in LEVELS} == first


async def test_late_data_is_found_and_taken_in(store: Store) -> None:
    await store.recount()
    assert find_stale(store.source, FIRST, NOW, NOW, [store.site]).stale == set()
    site, midnight = store.site, FIRST + DAY_MS
    counted = store.duck.last("site", "grid_import_kwh", midnight - 777)
    charged = store.duck.last("battery", "charged_kwh", midnight)
    late: list[Row] = [
        ("cell", site, "cell=c1,pack=p1", "voltage_v", FIRST + 7 * HOUR + 333, 4.9),
        ("site", site, "", "grid_import_kwh", midnight - 777, counted + 0.25),
        ("alarm", site, "alarm=LowVoltage,device=battery/1", "level", FIRST + 9 * HOUR + 5, 2.0),
        # At midnight a counter's reading closes the day before.
        ("battery", site, "device=battery/1", "charged_kwh", midnight, charged + 0.5),
    ]
    await store.write(late)
    store.duck.add(late)
    stale = find_stale(store.source, FIRST, NOW, NOW, [store.site]).stale
    assert {(day.measurement, day.start_ms) for day in stale} == {
        ("cell", FIRST),
        ("site", FIRST),
        ("alarm", FIRST),
        ("battery", FIRST),
    }
    # The counter's next step is on the day after, which is made again as well.
    await store.recount(FIRST, FIRST + DAY_MS)
    store.check()
    day = store.stored(LEVELS[-1])["cell", site, "cell=c1,pack=p1", FIRST]
    assert day["voltage_v_max"] == 4.9
    assert find_stale(store.source, FIRST, NOW, NOW, [store.site]).stale == set()


async def test_what_expired_in_full_detail_is_kept_in_the_roll_ups(
    store: Store, server: Server
) -> None:
    if not server.headers:
        pytest.skip("InfluxDB 1.x deletes from every retention policy at once")
    await store.recount()
    before = {level: store.stored(level) for level in LEVELS}
    site = store.site
    for measurement in FIELDS:
        # What expiry does, on one day.
        await _query(store, f"DELETE FROM {measurement} WHERE site = '{site}' AND "
                            f"time < {FIRST + 20 * HOUR}ms")  # fmt: skip
    assert store.stored(LEVELS[0]) == before[LEVELS[0]]
    report = await store.recount()
    assert {day.start_ms for day in report.expired} == {FIRST}
    assert {level: store.stored(level) for level in LEVELS} == before
    await store.recount(force=True)
    assert store.stored(LEVELS[-1]) != before[LEVELS[-1]]


def test_the_span_of_what_is_stored(store: Store) -> None:
    span = stored_span(store.source, store.site)
    assert span is not None
    assert FIRST <= span[0] < FIRST + HOUR
    assert NOW - HOUR < span[1] < NOW


async def test_a_dead_band_changes_no_window_by_more_than_its_width(server: Server) -> None:
    rng = np.random.default_rng(3)
    source = Source(Connection(server.url, "fleet", server.headers))
    target = server.target()
    volts = (3.3 + 0.0004 * np.cumsum(rng.integers(-1, 2, (1440, 4)), axis=0)).round(4)
    volts[700, 2] = 3.9
    try:
        await target.prepare()
        for site, band in (("every", None), ("banded", 0.001)):
            cells = CellStore(60.0, band, 0.2)
            lines: list[str] = []
            for minute, row in enumerate(volts.tolist()):
                read = Cells(("1", "2", "3", "4"), tuple(row), (20.0,) * 4)
                pack = BatterySnapshot("b", True, {}, cells=read)
                at = FIRST / 1000 + 60 * minute
                answered = not 300 <= minute < 340
                outcome = Outcome.OK if answered else Outcome.TIMEOUT
                found = Snapshot(site, at, 0.1, outcome, batteries=(pack,) if answered else ())
                lines += cells.lines(found, every=False)
            await target.write(compress(lines, 0.0).body)
            await recount(source, target, FIRST, FIRST + DAY_MS, NOW, sites=[site])
        for level in LEVELS:
            rows = {}
            for site in ("every", "banded"):
                where = f"{any_of('site', [site])} AND {between_ms(FIRST, FIRST + DAY_MS)}"
                rows[site] = [
                    (dict(part.tags)["cell"], part.rows)
                    for part in source.ask(
                        "SELECT voltage_v_min, voltage_v_max, voltage_v_mean, voltage_v_p1, "
                        f'voltage_v_p99 FROM "{level.name}"."cell" WHERE {where} GROUP BY *'
                    )
                ]
            assert [c for c, _ in rows["every"]] == [c for c, _ in rows["banded"]]
            for (_, full), (_, thin) in zip(rows["every"], rows["banded"], strict=True):
                assert [row[0] for row in full] == [row[0] for row in thin]
                difference = np.array(full)[:, 1:] - np.array(thin)[:, 1:]
                assert np.abs(difference).max() <= 0.001 + 1e-9, level
        (spike,) = (
            part.rows[0][1]
            for part in source.ask(
                'SELECT max("voltage_v_max") FROM "rollup_1d"."cell" WHERE site = \'banded\''
            )
        )
        assert spike == 3.9
        (whole,) = (
            p.rows[0][1]
            for p in source.ask(
                'SELECT count("voltage_v") FROM "raw"."cell" WHERE site = \'every\''
            )
        )
        (less,) = (
            p.rows[0][1]
            for p in source.ask(
                'SELECT count("voltage_v") FROM "raw"."cell" WHERE site = \'banded\''
            )
        )
        assert less < whole / 2
    finally:
        source.close()
        await target.close()


async def test_a_pack_names_its_extreme_cells(server: Server) -> None:
    source = Source(Connection(server.url, "fleet", server.headers))
    target = server.target()
    lines = []
    for minute in range(10):
        for cell, (volts, celsius) in {
            "c1": (3.30, 20),
            "c2": (3.31, 21),
            "c3": (3.32, 22),
        }.items():
            high = volts + (0.5 if (cell, minute) == ("c2", 3) else 0.0)
            hot = celsius + (30 if (cell, minute) == ("c1", 7) else 0.0)
            stamp = FIRST + minute * MINUTE
            lines.append(f"cell,cell={cell},pack=p,site=packs voltage_v={high},temperature_c={hot} "
                         f"{stamp}")  # fmt: skip
    try:
        await target.prepare()
        await target.write(compress(lines, 0.0).body)
        await recount(source, target, FIRST, FIRST + DAY_MS, NOW, sites=["packs"])
        (part,) = source.ask(
            "SELECT voltage_v_min, lowest_cell, voltage_v_max, highest_cell, voltage_v_median, "
            "temperature_c_min, coldest_cell, temperature_c_max, hottest_cell, spread_v_max, "
            'samples FROM "rollup_1d"."pack" '
            "WHERE site = 'packs' GROUP BY *"
        )
        assert dict(part.tags) == {"site": "packs", "pack": "p"}
        (row,) = part.rows
        highest, median, spread = (pytest.approx(volts) for volts in (3.81, 3.32, 0.51))
        assert row[1:] == [
            3.3,
            "c1",
            highest,
            "c2",
            median,
            20,
            "c1",
            50,
            "c1",
            spread,
            60,
        ]
    finally:
        source.close()
        await target.close()


async def _query(store: Store, statement: str) -> None:
    for _ in store.source.ask(statement):
        pass
