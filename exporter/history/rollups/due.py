"""Decides what to roll up: levels that are due now, and days with late data.

A row of a roll-up says of how many values it was made (``samples``). Where full detail holds more
than that, data came late: from the queue, an import or another writer. Where it holds
less, full detail has expired and the row is the better record.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import overload

from exporter.history.rollups.fields import FIELDS
from exporter.history.rollups.source import DAY_MS, Source
from exporter.model.levels import LEVELS, Level
from exporter.model.quantities import RollupKind

HOUR_MS = 3_600_000
GRACE_MS = 900_000
"""Windows are made once more when they ended so long ago, without a search for late data."""
SITES_AT_ONCE = 50
_MEASUREMENTS = tuple(FIELDS)
PACE_SECONDS: Mapping[str, int] = {
    "rollup_5m": 300,
    "rollup_15m": 300,
    "rollup_1h": 900,
    "rollup_1d": 3600,
}
"""How often the current window is made again, each time from its start."""


@dataclass(frozen=True, slots=True)
class Task:
    """A measurement, some sites and a range in Unix milliseconds to roll up.

    ``since_ms`` holds the levels, and from when on each is written.
    """

    measurement: str
    sites: tuple[str, ...]
    start_ms: int
    stop_ms: int
    since_ms: Mapping[str, int]

    @property
    def levels(self) -> tuple[Level, ...]:
        """Its levels, shortest first."""
        return tuple(level for level in LEVELS if level.name in self.since_ms)


@dataclass(frozen=True, slots=True, order=True)
class Day:
    """A whole day (UTC) of a measurement of a site."""

    start_ms: int
    site: str
    measurement: str


@dataclass(slots=True)
class Found:
    """All days with full detail, days that lack some of it, and days of which some expired."""

    every: set[Day] = field(default_factory=set)
    stale: set[Day] = field(default_factory=set)
    expired: set[Day] = field(default_factory=set)


def day_of(time_ms: int) -> int:
    """Beginning of the day in UTC."""
    return time_ms // DAY_MS * DAY_MS


def due(
    done_ms: Mapping[str, int], now_ms: int, sites: Sequence[str], kept_from_ms: Mapping[str, int]
) -> Sequence[Task]:
    """Tasks of the levels that are due.

    Parameters
    ----------
    done_ms : mapping of level name to int
        Until when each level is known to be right.
    now_ms : int
    sites : sequence of str
    kept_from_ms : mapping of level name to int
        From when on the server keeps each level.
    """
    since = {}
    for level in LEVELS:
        pace = PACE_SECONDS[level.name] * 1000
        if now_ms // pace > done_ms[level.name] // pace:
            window = level.seconds * 1000
            start = (done_ms[level.name] - GRACE_MS) // window * window
            since[level.name] = max(start, kept_from_ms.get(level.name, start))
    if not since:
        return []
    longest = max(level.seconds for level in LEVELS if level.name in since) * 1000
    start = min(since.values()) // longest * longest
    # The longer the range, the fewer sites at once, so that memory stays the same.
    at_once = max(1, min(SITES_AT_ONCE, SITES_AT_ONCE * HOUR_MS // (now_ms - start)))
    return _Tasks(sites, at_once, start, now_ms, since)


@dataclass(frozen=True, slots=True)
class _Tasks(Sequence[Task]):
    """Tasks for all measurements and sites, each made when its turn comes: of 10,000 sites there
    are 40,000."""

    sites: Sequence[str]
    at_once: int
    start_ms: int
    stop_ms: int
    since_ms: Mapping[str, int]

    def __len__(self) -> int:
        return len(_MEASUREMENTS) * self._parts

    @property
    def _parts(self) -> int:
        return -(-len(self.sites) // self.at_once)

    @overload
    def __getitem__(self, index: int) -> Task: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Task]: ...

    def __getitem__(self, index: int | slice) -> Task | Sequence[Task]:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        measurement, part = divmod(range(len(self))[index], self._parts)
        first = part * self.at_once
        sites = tuple(self.sites[first : first + self.at_once])
        return Task(_MEASUREMENTS[measurement], sites, self.start_ms, self.stop_ms, self.since_ms)


def compare(
    source: Source,
    start_ms: int,
    stop_ms: int,
    kept_from_ms: Mapping[str, int],
    measurements: Iterable[str] = tuple(FIELDS),
) -> Found:
    """Compare every level with full detail, hour by hour and day by day.

    Parameters
    ----------
    source : Source
    start_ms, stop_ms : int
        Whole hours between them are compared, and whole days.
    kept_from_ms : mapping of level name to int
    measurements : iterable of str
    """
    found = Found()
    start, stop = day_of(start_ms), stop_ms // HOUR_MS * HOUR_MS
    for measurement in measurements:
        hours = _counts_by_hour(source, measurement, start, stop_ms)
        days: dict[tuple[str, int], int] = {}
        for (site, hour), count in hours.items():
            key = site, day_of(hour)
            days[key] = days.get(key, 0) + count
        found.every |= {Day(day, site, measurement) for site, day in days}
        for level in LEVELS:
            raw, bucket, length = (
                (days, "1d", DAY_MS) if level.seconds * 1000 == DAY_MS else (hours, "1h", HOUR_MS)
            )
            rolled = source.rolled(level.name, measurement, start, stop, bucket)
            for (site, begin), count in raw.items():
                if begin < kept_from_ms.get(level.name, 0) or begin + length > stop:
                    continue
                there = rolled.get((site, begin), 0)
                day = Day(day_of(begin), site, measurement)
                if there < count:
                    found.stale.add(day)
                elif there > count:
                    found.expired.add(day)
    found.stale -= found.expired
    return found


def _counts_by_hour(
    source: Source, measurement: str, start_ms: int, stop_ms: int
) -> dict[tuple[str, int], int]:
    """Values of full detail by site and beginning of the hour."""
    fields = FIELDS[measurement]
    counters = [name for name, kind in fields.items() if kind is RollupKind.COUNTER]
    found = source.counts(
        measurement, [f for f in fields if f not in counters], start_ms, stop_ms, "1h"
    )
    if counters:
        closing = source.counts(measurement, counters, start_ms, stop_ms, "1h", counters=True)
        for key, count in closing.items():
            found[key] = found.get(key, 0) + count
    return found


def with_next(source: Source, days: Iterable[Day], now_ms: int) -> list[Day]:
    """The days, and after each the next one with data: a counter's first step and a state that
    lasts over midnight depend on what came before."""
    every = set(days)
    for day in sorted(every):
        begin = day.start_ms + DAY_MS
        if begin >= now_ms or Day(begin, day.site, day.measurement) in every:
            continue
        for after in (begin, begin + 1):
            time = source.next_time(day.measurement, day.site, after, now_ms)
            if time is None:
                break
            # At midnight a counter's reading closes the day before; other values begin the day.
            for moment in (time - 1, time):
                every.add(Day(day_of(moment), day.site, day.measurement))
            if time != begin:
                break
    return sorted(every)


def task_of(day: Day, now_ms: int, kept_from_ms: Mapping[str, int]) -> Task:
    """The task that rolls up a day at every level."""
    since = {
        level.name: max(day.start_ms, kept_from_ms.get(level.name, day.start_ms))
        for level in LEVELS
    }
    stop = min(day.start_ms + DAY_MS, now_ms)
    return Task(day.measurement, (day.site,), day.start_ms, stop, since)


def kept_from(source: Source, now_ms: int) -> dict[str, int]:
    """From when on the server keeps each level, Unix milliseconds; what it keeps for ever is not
    named."""
    return {
        name: now_ms - seconds * 1000
        for name, seconds in source.retention().items()
        if seconds is not None
    }
