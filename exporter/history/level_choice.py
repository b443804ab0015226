"""Chooses the level at which a period is read: full detail, or the roll-up for its length.

The one place where that is chosen, for plots, answers, reports and the analysis of cells.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence

from exporter.history.influxql import InfluxQL, NoAnswerError, between, name
from exporter.history.rollups.fields import FIELDS
from exporter.model.levels import DAY, LEVELS, RAW_RANGE_DAYS, Level
from exporter.model.quantities import KEPT, RollupKind

FINEST_PART = 500
LAG_SECONDS = 2 * 3600.0
"""How far a roll-up may be behind full detail: that of a day is renewed hourly, and all of them
wait while the queue is filling."""


def meant_for(seconds: float) -> tuple[Level, ...]:
    """The roll-ups for a range, the finest first; none where full detail is meant."""
    if seconds <= RAW_RANGE_DAYS * DAY:
        return ()
    first = next(
        n for n, x in enumerate(LEVELS) if x.range_days is None or seconds <= x.range_days * DAY
    )
    return LEVELS[first:]


def enough_for(seconds: float) -> tuple[Level, ...]:
    """Those of :func:`meant_for` that are no finer than the figures of a whole range need.

    A window that reaches out of the range at its beginning is at most a five hundredth of it. What
    a plot shows between its points is not needed for a sum, a mean or an extreme.
    """
    levels = meant_for(seconds)
    finer = sum(level.seconds <= seconds / FINEST_PART for level in levels)
    return levels[max(0, finer - 1) :]


def beginning(level: Level | None, since: float) -> float:
    """Unix seconds of the first window of a range: rows are stamped with their beginning."""
    return since if level is None else since // level.seconds * level.seconds


def table(level: Level | None, measurement: str) -> str:
    """A measurement of a level, as InfluxQL writes it after FROM."""
    # Full detail is what every statement is asked of unless it says otherwise.
    return name(measurement) if level is None else f"{name(level.name)}.{name(measurement)}"


async def level_of(
    stored: InfluxQL,
    measurement: str,
    field: str,
    since: float,
    until: float,
    condition: str = "",
    levels: Sequence[Level] | None = None,
) -> Level | None:
    """The roll-up that holds a range, None for full detail.

    It is the finest of those meant for a range of that length that reaches back as far as any.
    Where full detail reaches further back or goes on after it has ended, as where the roll-ups
    were begun late or switched off, full detail is read: a roll-up would hide what it lacks. What
    it lacks in between is not looked for; ``fleetscope rollup --check`` finds that.

    Parameters
    ----------
    stored : InfluxQL
    measurement, field : str
        Of full detail; one that is not rolled up is read there.
    since, until : float
        Unix seconds.
    condition : str
        InfluxQL on tags, such as which site.
    levels : sequence of Level, optional
        The finest first, in place of those meant for the length.
    """
    kind = FIELDS.get(measurement, {}).get(field)
    candidates = meant_for(until - since) if levels is None else levels
    if kind is None or not candidates:
        return None
    # Of a counter, the first reading of all increases nothing.
    rolled = name(f"{field}_{'last' if kind is RollupKind.COUNTER else KEPT[kind][0]}")

    async def moment(
        what: str, level: Level | None, column: str, start: float, end: float
    ) -> float | None:
        also = f" AND {condition}" if condition else ""
        found = await stored.select(
            f"SELECT {what}({column}) FROM {table(level, measurement)} "  # noqa: S608
            f"WHERE {between(start, end)}{also}"
        )
        return min((series.rows[0][0] / 1000.0 for series in found), default=None)

    async def first_of(level: Level) -> float | None:
        try:
            return await moment("first", level, rolled, beginning(level, since), until)
        except NoAnswerError:
            # A database of before roll-ups has no such policy; one that is away says so below.
            return None

    firsts = await asyncio.gather(*(first_of(level) for level in candidates))
    there = [(x, at) for x, at in zip(candidates, firsts, strict=True) if at is not None]
    # One level reaches as far back as a coarser one if it begins within the first window of that.
    chosen, first = next(
        (
            (level, at)
            for n, (level, at) in enumerate(there)
            if all(at < other_at + other.seconds for other, other_at in there[n + 1 :])
        ),
        (None, math.nan),
    )
    if chosen is None:
        return None
    last = await moment("last", chosen, rolled, first, until)
    after = (first if last is None else last) + chosen.seconds + LAG_SECONDS
    for start, end in ((since, first), (after, until)):
        if start < end and await moment("first", None, name(field), start, end) is not None:
            return None
    return chosen
