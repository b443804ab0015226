"""A range of the past in pieces that are read alike: whole windows of a roll-up, and its edges.

Sums over a range are exact if every whole window comes from a roll-up and what sticks out at both
ends comes from full detail.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from exporter.history.influxql import InfluxQL, NoAnswerError, Series, between, name, quoted
from exporter.history.level_choice import enough_for, level_of, table
from exporter.model.levels import DAY, LEVELS, RAW_RANGE_DAYS, Level

MOST_ROWS = 400_000
"""Above it, full detail is thinned to one reading a minute by InfluxDB."""
POLL_SECONDS = 10.0
MINUTE = 60
SILENT_SECONDS = 600.0
"""A site without a value for so long at the end of a window gave none after it was made."""
MOST_NAMED_SITES = 50

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Split:
    """Where a range is read: ``[rolled_start, rolled_end)`` from the level, the rest in detail.

    Unix seconds. Without a level both are the start of the range. ``older`` are whole windows that
    were made before the level had the column; they are not part of the rest.
    """

    start: float
    end: float
    level: Level | None
    rolled_start: float
    rolled_end: float
    older: tuple[float, float] | None = None

    @property
    def edges(self) -> tuple[tuple[float, float], ...]:
        """What is read from full detail, in order."""
        first = self.rolled_start if self.older is None else self.older[0]
        parts = ((self.start, first), (self.rolled_end, self.end))
        return tuple((begin, end) for begin, end in parts if begin < end)


def of_sites(sites: Sequence[str] | None) -> str:
    """A condition that selects sites; empty for all, and where there are too many to name."""
    if sites is None or len(sites) > MOST_NAMED_SITES:
        return ""
    if not sites:
        return "\"site\" = ''"
    return "(" + " OR ".join(f'"site" = {quoted(site)}' for site in sites) + ")"


async def split(
    stored: InfluxQL,
    measurement: str,
    field: str,
    rolled: str,
    start: float,
    end: float,
    where: str,
    levels: Sequence[Level] | None = None,
    sites: Sequence[str] | None = None,
) -> Split:
    """How to read a range of a field.

    Parameters
    ----------
    stored : InfluxQL
    measurement, field : str
    rolled : str
        The column of the roll-up that is added up.
    start, end : float
        Unix seconds.
    where : str
        Condition on tags; may be empty.
    levels : sequence of Level, optional
        Roll-ups to choose from, the finest first; else those that are enough for the length.
    sites : sequence of str, optional
        Ids of the sites that are asked about: one without any roll-up is read in full detail, and
        with it all others.

    Raises
    ------
    NoAnswerError
    """
    levels = levels or enough_for(end - start) or LEVELS[:1]
    level = await level_of(stored, measurement, field, start, end, where, levels)
    if level is None:
        return Split(start, end, None, start, start)
    first = math.ceil(start / level.seconds) * level.seconds
    last = math.floor(end / level.seconds) * level.seconds
    if first >= last:
        return Split(start, end, None, start, start)
    try:
        firsts, lasts = [
            await _moments(stored, what, rolled, table(level, measurement), (first, last), where)
            for what in ("first", "last")
        ]
    except NoAnswerError:
        return Split(start, end, None, start, start)
    begin, stop = min(firsts.values(), default=last), max(lasts.values(), default=last)
    older = (float(first), begin) if begin - first > RAW_RANGE_DAYS * DAY else None
    if older is None:
        if not firsts:
            return Split(start, end, None, start, start)
        # Roll-ups are made site by site: a level is read where every site has it.
        source = (stored, measurement, field, where)
        begin = await _begun(*source, firsts, sites or (), begin, stop)
        stop = await _reached(*source, lasts, stop, min(end, stop + level.seconds), level)
        if begin >= stop:
            return Split(start, end, None, start, start)
    # The newest window may lack what came since it was made.
    return Split(start, end, level, begin, stop, older)


async def _moments(
    stored: InfluxQL, what: str, column: str, source: str, span: tuple[float, float], where: str
) -> dict[str, float]:
    """Unix seconds of the first or last value of each site; who has none is not there."""
    also = f" AND {where}" if where else ""
    statement = (
        f"SELECT {what}({name(column)}) FROM {source} "  # noqa: S608
        f'WHERE {between(*span)}{also} GROUP BY "site"'
    )
    return {one.tags["site"]: one.rows[0][0] / 1000.0 for one in await stored.select(statement)}


async def _begun(
    stored: InfluxQL,
    measurement: str,
    field: str,
    where: str,
    firsts: dict[str, float],
    sites: Sequence[str],
    begin: float,
    stop: float,
) -> float:
    """From when on every site has roll-ups that has full detail; ``stop`` if one has none."""
    begun = dict.fromkeys(sites, stop) | firsts
    late = {site: time for site, time in begun.items() if time > begin}
    if not late:
        return begin
    only = " AND ".join(filter(None, (where, of_sites(list(late)))))
    span = begin, max(late.values())
    there = await _moments(stored, "first", field, name(measurement), span, only)
    return max((late[s] for s, time in there.items() if time < late.get(s, 0.0)), default=begin)


async def _reached(
    stored: InfluxQL,
    measurement: str,
    field: str,
    where: str,
    lasts: dict[str, float],
    stop: float,
    end: float,
    level: Level,
) -> float:
    """Beginning of the newest window up to which the roll-ups of no site are behind."""
    early = {site: time for site, time in lasts.items() if time < stop}
    if not early:
        return stop
    only = " AND ".join(filter(None, (where, of_sites(list(early)))))
    there = await _moments(
        stored, "last", field, name(measurement), (min(early.values()), end), only
    )
    behind = []
    for site, time in there.items():
        newest = early.get(site, end)
        # A window that was the newest one shortly before may lack what came since it was made.
        silent = SILENT_SECONDS if newest + level.seconds >= stop else 0.0
        if time >= newest + level.seconds - silent:
            behind.append(newest)
    return min(behind, default=stop)


async def detail(
    stored: InfluxQL,
    measurement: str,
    field: str,
    span: tuple[float, float],
    lookback_seconds: float,
    where: str,
    sites: int,
    by: tuple[str, ...] = ("site",),
    statements: list[str] | None = None,
    *,
    counter: bool = False,
) -> list[Series]:
    """Full detail of a part of the time, with what came shortly before it.

    If that is much, InfluxDB gives one value a minute: the mean, or of a counter the last. Of a
    counter the part holds its end, and so does each minute, stamped a millisecond behind its
    beginning.

    Raises
    ------
    NoAnswerError
    """
    later_ms = int(counter)
    begin, end = span[0] - lookback_seconds, span[1] + later_ms / 1000
    also = f" AND {where}" if where else ""
    groups = ", ".join(name(tag) for tag in by)
    source = f"FROM {name(measurement)} WHERE {between(begin, end)}{also}"
    statement = f"SELECT {name(field)} {source} GROUP BY {groups}"
    if sites * (end - begin) / POLL_SECONDS > MOST_ROWS:
        each = f"time({MINUTE}s, {later_ms}ms), {groups} fill(none)"
        how = "last" if counter else "mean"
        statement = f"SELECT {how}({name(field)}) {source} GROUP BY {each}"
    if statements is not None:
        statements.append(statement)
    return await stored.select(statement)


def samples(series: Series) -> tuple[IntArray, FloatArray]:
    """Times (Unix milliseconds) and values of a series, without what is missing."""
    rows = [(row[0], row[1]) for row in series.rows if row[1] is not None]
    found = np.array(rows, dtype=np.float64).reshape(-1, 2)
    return found[:, 0].astype(np.int64), found[:, 1]
