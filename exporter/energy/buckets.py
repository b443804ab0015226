"""Steps of the calendar: quarter hours, hours, days, months and years of a time zone."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
Step = Literal["15m", "hour", "day", "month", "year"]
STEPS: tuple[Step, ...] = get_args(Step)
_SECONDS: dict[Step, float] = {
    "15m": 900,
    "hour": 3600,
    "day": 86_400,
    "month": 30 * 86_400,
    "year": 365 * 86_400,
}
MOST_STEPS = 5000
"""A quarter of an hour over 52 days."""
USUAL_STEPS = 200


def usual_step(seconds: float) -> Step:
    """The finest step of which a period has no more than some 200."""
    return next((step for step in STEPS if seconds / _SECONDS[step] <= USUAL_STEPS), "year")


def too_many(step: Step, seconds: float) -> bool:
    """Whether a period has more of these steps than one answer gives."""
    return seconds / _SECONDS[step] > MOST_STEPS


def edges(step: Step, start: float, end: float, zone: tzinfo) -> FloatArray:
    """Beginnings of the steps that a period touches, and the end of the last; Unix seconds.

    A day has 23 or 25 hours where clocks change, and a step never spans two of the next larger.

    Parameters
    ----------
    step : Step
    start, end : float
        Unix seconds, the latter not included.
    zone : tzinfo

    Returns
    -------
    float array, shape (K + 1,)
    """
    begin = datetime.fromtimestamp(start, UTC).astimezone(zone)
    at = begin.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    if step == "month":
        at = at.replace(day=1)
    elif step == "year":
        at = at.replace(month=1, day=1)
    days = [at.timestamp()]
    while days[-1] < end:
        at = _next(at, step)
        days.append(at.timestamp())
    if step not in ("15m", "hour"):
        return np.array(days)
    length = _SECONDS[step]
    parts = [np.arange(first, last, length) for first, last in itertools.pairwise(days)]
    found = np.append(np.concatenate(parts), days[-1])
    # From the step that holds the start to the one that ends at or after the end.
    low = int(np.searchsorted(found, start, side="right")) - 1
    high = int(np.searchsorted(found, end, side="left"))
    return found[low : high + 1]


def _next(at: datetime, step: Step) -> datetime:
    """The local midnight that ends a step."""
    if step == "year":
        return at.replace(year=at.year + 1)
    if step == "month":
        return at.replace(year=at.year + at.month // 12, month=at.month % 12 + 1)
    return at + timedelta(days=1)


def gathered(starts: FloatArray, values: FloatArray, bounds: FloatArray) -> FloatArray:
    """Sums of finer steps by bucket; NaN where none of them is known.

    Parameters
    ----------
    starts, values : float arrays, shape (N,)
        Unix seconds and amounts of the finer steps; NaN is unknown.
    bounds : float array, shape (K + 1,)
        Of :func:`edges`. A step that begins before the first belongs to the first bucket.

    Returns
    -------
    float array, shape (K,)
    """
    count = len(bounds) - 1
    known = ~np.isnan(values)
    place = np.clip(np.searchsorted(bounds, starts[known], side="right") - 1, 0, count - 1)
    sums = np.bincount(place, values[known], count)
    seen = np.bincount(place, minlength=count) > 0
    return np.where(seen, sums, np.nan)
