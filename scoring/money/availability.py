"""How much of a period a plant could do its work, and whose time the rest is.

The categories follow the order of IEC TS 63019 (information categories of photovoltaic plants) as
far as they concern a battery; what an owner excludes is IEEE 762's time outside management control.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

import numpy as np

from scoring.issues import FloatArray


class DownCategory(StrEnum):
    """Why a plant is down, the first in this order where several hold at once."""

    FORCE_MAJEURE = "force_majeure"
    GRID = "grid"
    CURTAILED = "curtailed"
    CUSTOMER = "customer"
    PLANNED = "planned"
    COMMUNICATION = "communication"
    FORCED = "forced"
    UNKNOWN = "unknown"


ORDER: tuple[DownCategory, ...] = tuple(DownCategory)


@dataclass(frozen=True, slots=True)
class DownTime:
    """A plant is down from ``start`` until ``end`` (Unix seconds) for a reason."""

    start: float
    end: float
    category: DownCategory


@dataclass(frozen=True, slots=True)
class Availability:
    """Time availability of one plant over a period.

    ``fraction`` is 0 to 1, NaN where no time counts; ``coverage`` is the observed share of the
    period; ``seconds`` has the down time of each category, each moment in one of them; ``excluded``
    is the down time that does not count.
    """

    fraction: float
    coverage: float
    seconds: Mapping[DownCategory, float]
    excluded: float
    counted: float


def category_seconds(
    start: float, end: float, down: Iterable[DownTime]
) -> dict[DownCategory, float]:
    """Down time by category within a period; what overlaps is of the first category in the order.

    Parameters
    ----------
    start, end : float
        Unix seconds, ``end`` after ``start``.
    down : iterable of DownTime
        In any order; parts outside the period are ignored.
    """
    clipped = [
        (max(one.start, start), min(one.end, end), ORDER.index(one.category)) for one in down
    ]
    clipped = [one for one in clipped if one[1] > one[0]]
    edges = sorted({edge for one in clipped for edge in one[:2]})
    found = dict.fromkeys(ORDER, 0.0)
    if not edges:
        return found
    at = {edge: n for n, edge in enumerate(edges)}
    # The least number of a category over each stretch between two edges.
    least = np.full(len(edges) - 1, len(ORDER))
    for begin, finish, number in clipped:
        stretch = slice(at[begin], at[finish])
        least[stretch] = np.minimum(least[stretch], number)
    for number, seconds in zip(least, np.diff(edges), strict=True):
        if number < len(ORDER):
            found[ORDER[int(number)]] += float(seconds)
    return found


def time_availability(
    start: float,
    end: float,
    down: Sequence[DownTime],
    excluded: frozenset[DownCategory],
    unobserved: Sequence[tuple[float, float]] = (),
) -> Availability:
    """1 - counted down time / (observed period - excluded down time).

    Time that nobody observed is neither up nor down: it lowers the coverage alone. Where down time
    is known for such a moment (a ticket, an outage of the grid), it counts as observed.

    Parameters
    ----------
    start, end : float
        Unix seconds.
    down : sequence of DownTime
    excluded : frozenset of DownCategory
        What the contract takes out of the period.
    unobserved : sequence of (float, float)
        Stretches without readings.

    Raises
    ------
    ValueError
        If the period is empty.
    """
    if not end > start:
        raise ValueError("the period is empty")
    seconds = category_seconds(start, end, down)
    out = sum(seconds[category] for category in excluded)
    counted = sum(seconds.values()) - out
    dark = _seconds_outside(start, end, unobserved, down)
    base = end - start - dark - out
    return Availability(
        fraction=1.0 - counted / base if base > 1e-9 else float("nan"),
        coverage=1.0 - dark / (end - start),
        seconds=seconds,
        excluded=out,
        counted=counted,
    )


def _seconds_outside(
    start: float,
    end: float,
    stretches: Sequence[tuple[float, float]],
    down: Sequence[DownTime],
) -> float:
    """Seconds of stretches within a period that no down time covers."""
    marks = [(a, b, True) for a, b in stretches] + [(d.start, d.end, False) for d in down]
    marks = [(max(a, start), min(b, end), dark) for a, b, dark in marks]
    marks = [mark for mark in marks if mark[1] > mark[0]]
    edges = sorted({edge for mark in marks for edge in mark[:2]})
    if not edges:
        return 0.0
    at = {edge: n for n, edge in enumerate(edges)}
    dark, known = (np.zeros(len(edges) - 1, dtype=np.bool_) for _ in range(2))
    for a, b, is_dark in marks:
        (dark if is_dark else known)[at[a] : at[b]] = True
    return float(np.diff(edges)[dark & ~known].sum())


def weighted_availability(
    power_w: FloatArray,
    rated_w: float,
    energy_kwh: FloatArray,
    rated_kwh: float,
    seconds: FloatArray,
) -> tuple[float, float]:
    """Σ min(P/P_rated, E/E_rated)·Δt / ΣΔt over what was observed, and the observed share of time.

    Parameters
    ----------
    power_w, energy_kwh : array of shape (N,)
        Available power and energy of each interval, 0 or more; NaN where it was not observed. More
        than rated counts as rated.
    rated_w, rated_kwh : float
        Above 0.
    seconds : array of shape (N,)
        Lengths of the intervals, without those that the contract excludes.

    Returns
    -------
    fraction : float
        0 to 1, NaN where nothing was observed.
    coverage : float

    Raises
    ------
    ValueError
    """
    if not (rated_w > 0 and rated_kwh > 0):
        raise ValueError("rated power and energy must be above 0")
    share = np.minimum(power_w / rated_w, energy_kwh / rated_kwh).clip(0.0, 1.0)
    seen = ~np.isnan(share)
    total, observed = float(seconds.sum()), float(seconds[seen].sum())
    if observed <= 0:
        return float("nan"), 0.0
    return float((share * seconds)[seen].sum()) / observed, observed / total


def available_share(
    starts: FloatArray,
    seconds: float,
    limits: Sequence[tuple[float, float, float]],
    unobserved: Sequence[tuple[float, float]] = (),
) -> FloatArray:
    """min over limits of 1 - overlap/Δt·(1 - left): the share of power that each interval has.

    NaN where more than half of an interval is unobserved and nothing limits it. A quarter hour of
    which 5 minutes stand still has two thirds; the lowest of several limits counts. Ours.

    Parameters
    ----------
    starts : array of shape (N,)
        Beginnings of intervals, Unix seconds.
    seconds : float
        Their length.
    limits : sequence of (float, float, float)
        Beginning and end, Unix seconds, and the share of power that is left, 0 to 1.
    unobserved : sequence of (float, float)
        Stretches without readings.
    """

    def overlap(begin: float, finish: float) -> FloatArray:
        covered = np.minimum(starts + seconds, finish) - np.maximum(starts, begin)
        found: FloatArray = np.clip(covered, 0, None) / seconds
        return found

    share: FloatArray = np.ones(len(starts))
    for begin, finish, left in limits:
        share = np.minimum(share, 1 - overlap(begin, finish) * (1 - left))
    for begin, finish in unobserved:
        share = np.where((overlap(begin, finish) > 0.5) & (share == 1), np.nan, share)
    return share


def lost_hours(
    limits: Sequence[tuple[float, float, Decimal]], begin: float, finish: float
) -> Decimal:
    """Hours of full power that limits take from a stretch of time: the lowest limit counts.

    Parameters
    ----------
    limits : sequence of (float, float, Decimal)
        Beginning and end, Unix seconds, and the share of power that is left, 0 to 1.
    begin, finish : float
        Unix seconds.
    """
    clipped = [(max(a, begin), min(b, finish), left) for a, b, left in limits]
    clipped = [one for one in clipped if one[1] > one[0]]
    edges = sorted({edge for one in clipped for edge in one[:2]})
    lost = Decimal(0)
    for a, b in itertools.pairwise(edges):
        left = min((one[2] for one in clipped if one[0] <= a and one[1] >= b), default=None)
        if left is not None:
            lost += (1 - min(left, Decimal(1))) * Decimal(round(b - a)) / 3600
    return lost
