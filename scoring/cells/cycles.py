"""Cycles: rainflow counting, equivalent full cycles, energy, round-trip efficiency, histograms."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from rainflow import extract_cycles

from scoring.cells.rest import FloatArray, Floats, IntArray, check_times, gap_limit

DEPTH_EDGES: FloatArray = np.arange(0.0, 101.0, 10.0)
TEMPERATURE_EDGES: FloatArray = np.concatenate(([-np.inf], np.arange(-10.0, 61.0, 5.0), [np.inf]))


@dataclass(frozen=True, eq=False)
class Cycles:
    """Cycles of one pack by rainflow, every array of shape (K,), in the order they close.

    Attributes
    ----------
    depth_percent, mean_percent : float array
        Range and mean of the state of charge, %.
    count : float array
        1 for a closed cycle, 0.5 for a half cycle.
    start, end : float array
        Times of its two turning points, s.
    """

    depth_percent: FloatArray
    mean_percent: FloatArray
    count: FloatArray
    start: FloatArray
    end: FloatArray

    @property
    def equivalent_full(self) -> float:
        """Sum of depth times count, in cycles of 100 %."""
        return float((self.depth_percent * self.count).sum() / 100.0)


@dataclass(frozen=True)
class Energy:
    """Energy through a pack.

    Attributes
    ----------
    charged_wh, discharged_wh : float
        Both at least 0; over the time that was seen.
    seen_seconds, missing_seconds : float
        Time that was integrated, and time in gaps and beside missing values, which was not.
    """

    charged_wh: float
    discharged_wh: float
    seen_seconds: float
    missing_seconds: float


@dataclass(frozen=True)
class RoundTrip:
    """Round-trip efficiency between two moments of equal state of charge.

    Attributes
    ----------
    efficiency : float
        Discharged over charged energy, as a ratio; NaN where no span qualifies.
    uncertainty : float
        What the resolution of the state of charge leaves open, as a ratio, to either side.
    start, end : float
        The two moments, s; NaN likewise.
    soc_percent : float
        State of charge at both, %.
    charged_wh, discharged_wh : float
        Energies in between, Wh.
    """

    efficiency: float
    uncertainty: float
    start: float
    end: float
    soc_percent: float
    charged_wh: float
    discharged_wh: float


def turning_points(values: Floats, *, hysteresis: float = 1.0) -> IntArray:
    """Rows of the turning points, the first and the last row with a value included.

    Parameters
    ----------
    values : float array, shape (T,)
        NaN where missing; the gaps are passed over.
    hysteresis : float, at least 0
        A turn back by less is not one, in the unit of the values: a reading that trembles between
        two steps is not a cycle.
    """
    rows = np.flatnonzero(np.isfinite(values))
    if rows.size < 2:
        return rows
    x = values[rows].astype(np.float64)
    changed = np.flatnonzero(np.diff(x)) + 1
    ends = np.unique(np.concatenate(([0], changed, [x.size - 1])))
    slope = np.sign(np.diff(x[ends]))
    turn = np.flatnonzero(slope[1:] * slope[:-1] < 0) + 1
    candidates = np.unique(np.concatenate(([0], ends[turn], [x.size - 1]))).tolist()
    kept = [candidates[0]]
    extreme = candidates[0]
    direction = 0
    for row in candidates[1:]:
        if direction == 0:
            # Until the first real move the start is where the extreme of both sides is.
            if abs(x[row] - x[kept[0]]) >= hysteresis:
                direction = 1 if x[row] > x[kept[0]] else -1
                extreme = row
        elif (x[row] - x[extreme]) * direction >= 0:
            extreme = row
        elif abs(x[row] - x[extreme]) >= hysteresis:
            kept.append(extreme)
            direction, extreme = -direction, row
    if direction:
        kept.append(extreme)
    return rows[np.array(kept, dtype=np.intp)]


def rainflow_cycles(t: FloatArray, soc_percent: Floats, *, hysteresis: float = 1.0) -> Cycles:
    """Cycles of the state of charge by rainflow counting.

    The counting is that of ASTM E1049-85, section 5.4.4, by the library ``rainflow``: a small cycle
    within a large one is counted by itself and does not interrupt the large one, and what stays
    open at the end counts as half cycles. Time without readings is passed over, so that what went
    on in it is missing from the count.

    Parameters
    ----------
    t : float array, shape (T,)
        Seconds, strictly ascending.
    soc_percent : float array, shape (T,)
        State of charge, 0 to 100; NaN where missing.
    hysteresis : float
        Smallest cycle, %.

    Raises
    ------
    ValueError
        If the times do not ascend or the shapes differ.
    """
    check_times(t)
    if soc_percent.shape != t.shape:
        raise ValueError("soc_percent must have the shape of the times")
    rows = turning_points(soc_percent, hysteresis=hysteresis)
    if rows.size < 2:
        nothing = np.zeros(0)
        return Cycles(nothing, nothing, nothing, nothing, nothing)
    points = soc_percent[rows].astype(np.float64).tolist()
    # The library leaves out a series of two points; a repeated last one changes nothing else.
    found = np.array(list(extract_cycles([*points, points[-1]])))
    stamps = t[rows]
    last = rows.size - 1
    return Cycles(
        depth_percent=found[:, 0],
        mean_percent=found[:, 1],
        count=found[:, 2],
        start=stamps[np.minimum(found[:, 3].astype(np.intp), last)],
        end=stamps[np.minimum(found[:, 4].astype(np.intp), last)],
    )


def depth_histogram(cycles: Cycles, edges: FloatArray = DEPTH_EDGES) -> FloatArray:
    """Cycles by depth, shape (len(edges) - 1,); half cycles count 0.5, 100 % is in the last bin."""
    counts, _ = np.histogram(cycles.depth_percent, bins=edges, weights=cycles.count)
    return counts


def known_steps(
    t: FloatArray, values: Floats, max_gap_seconds: float | None
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Time to the next sample where it is no gap and both values are known, and both values."""
    dt = np.diff(t)
    left, right = values[:-1].astype(np.float64), values[1:].astype(np.float64)
    seen = (dt <= gap_limit(t, max_gap_seconds)) & np.isfinite(left) & np.isfinite(right)
    return np.where(seen, dt, 0.0), np.where(seen, left, 0.0), np.where(seen, right, 0.0)


def _halves(
    t: FloatArray, values: Floats, max_gap_seconds: float | None
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Integral of the positive and of the negative part of each step, in unit times hours."""
    dt, left, right = known_steps(t, values, max_gap_seconds)
    high, low = np.maximum(left, right), np.minimum(left, right)
    # A straight line through zero: a triangle on each side.
    width = high - low
    share = np.divide(high, width, out=(high > 0).astype(np.float64), where=width > 0)
    positive = np.where(
        low >= 0, 0.5 * (left + right), 0.5 * np.maximum(high, 0.0) * np.clip(share, 0.0, 1.0)
    )
    negative = positive - 0.5 * (left + right)
    return positive * dt / 3600.0, negative * dt / 3600.0, dt


def energy(t: FloatArray, power_w: Floats, *, max_gap_seconds: float | None = None) -> Energy:
    """Energy charged and discharged, by the trapezoidal rule split at each change of sign.

    Parameters
    ----------
    t : float array, shape (T,)
        Seconds, strictly ascending.
    power_w : float array, shape (T,)
        W, positive when charging; NaN where missing.
    max_gap_seconds : float, optional
        As in :func:`scoring.cells.rest.gap_limit`; what flowed in a gap is unknown and is left out.

    Raises
    ------
    ValueError
        If the times do not ascend or the shapes differ.
    """
    check_times(t)
    if power_w.shape != t.shape:
        raise ValueError("power must have the shape of the times")
    if t.size < 2:
        return Energy(0.0, 0.0, 0.0, 0.0)
    charged, discharged, dt = _halves(t, power_w, max_gap_seconds)
    seen = float(dt.sum())
    return Energy(
        float(charged.sum()), float(discharged.sum()), seen, max(0.0, float(t[-1] - t[0]) - seen)
    )


def equivalent_full_cycles(charged_wh: float, discharged_wh: float, nominal_wh: float) -> float:
    """(charged + discharged) / (2 * nominal energy); NaN where an input is missing or not positive.

    The cycle counter of a BMS is no substitute: what it counts as a cycle differs between makers.
    """
    return (charged_wh + discharged_wh) / (2.0 * nominal_wh) if nominal_wh > 0 else float("nan")


def round_trip(
    t: FloatArray,
    power_w: Floats,
    soc_percent: Floats,
    nominal_wh: float,
    *,
    tolerance_percent: float = 0.5,
    min_full_cycles: float = 1.0,
    min_coverage: float = 0.98,
    max_gap_seconds: float | None = None,
) -> RoundTrip:
    """Round-trip efficiency: discharged over charged energy between equal states of charge.

    Of all pairs of moments whose state of charge lies in one bin of ``2 * tolerance_percent``,
    that with the largest throughput is taken, since what is left in the battery then weighs least.
    If more came out than went in, by more than the uncertainty and 1 %, there is no answer.

    Parameters
    ----------
    t, power_w, max_gap_seconds
        As in :func:`energy`.
    soc_percent : float array, shape (T,)
        State of charge, 0 to 100; NaN where missing.
    nominal_wh : float, above 0
        Nominal energy, Wh.
    tolerance_percent : float, above 0
        Half of the width of a bin, %.
    min_full_cycles : float
        Least throughput in equivalent full cycles.
    min_coverage : float, 0 to 1
        Least share of the time in between that was seen: a gap hides energy on one side.

    Raises
    ------
    ValueError
        If the times do not ascend or the shapes differ.
    """
    check_times(t)
    if power_w.shape != t.shape or soc_percent.shape != t.shape:
        raise ValueError("power and state of charge must have the shape of the times")
    nan = float("nan")
    none = RoundTrip(nan, nan, nan, nan, nan, nan, nan)
    rows = np.flatnonzero(np.isfinite(soc_percent))
    if rows.size < 2 or not nominal_wh > 0:
        return none
    positive, negative, dt = _halves(t, power_w, max_gap_seconds)
    charged = np.concatenate(([0.0], np.cumsum(positive)))
    discharged = np.concatenate(([0.0], np.cumsum(negative)))
    seen = np.concatenate(([0.0], np.cumsum(dt)))
    width = 2.0 * tolerance_percent
    bins = np.floor(soc_percent[rows].astype(np.float64) / width).astype(np.intp)
    _, first = np.unique(bins, return_index=True)
    _, from_end = np.unique(bins[::-1], return_index=True)
    begin, end = rows[first], rows[rows.size - 1 - from_end]
    through = charged[end] - charged[begin] + discharged[end] - discharged[begin]
    covered = seen[end] - seen[begin] >= min_coverage * (t[end] - t[begin])
    through = np.where(covered & (end > begin), through, -1.0)
    best = int(through.argmax())
    into = float(charged[end[best]] - charged[begin[best]])
    if through[best] < 2.0 * min_full_cycles * nominal_wh or into <= 0:
        return none
    out = float(discharged[end[best]] - discharged[begin[best]])
    uncertainty = width / 100.0 * nominal_wh / into
    # More out than in: power and state of charge contradict each other.
    if out / into > 1.0 + max(uncertainty, 0.01):
        return none
    return RoundTrip(
        efficiency=out / into,
        uncertainty=uncertainty,
        start=float(t[begin[best]]),
        end=float(t[end[best]]),
        soc_percent=(float(bins[first[best]]) + 0.5) * width,
        charged_wh=into,
        discharged_wh=out,
    )


def temperature_hours(
    t: FloatArray,
    temperature_c: Floats,
    edges: FloatArray = TEMPERATURE_EDGES,
    *,
    max_gap_seconds: float | None = None,
) -> FloatArray:
    """Hours that each cell spent in each range of temperature.

    Parameters
    ----------
    t : float array, shape (T,)
        Seconds, strictly ascending.
    temperature_c : float array, shape (T, C)
        °C; NaN where missing, which counts in no range.
    edges : float array, shape (B + 1,)
        °C; a range holds its lower edge and not its upper one.
    max_gap_seconds : float, optional
        As in :func:`energy`; a sample stands for the time to the next one unless that is a gap.

    Returns
    -------
    float array, shape (B, C)
        Hours.

    Raises
    ------
    ValueError
        If the times do not ascend or the shapes do not fit.
    """
    check_times(t)
    if temperature_c.ndim != 2 or temperature_c.shape[0] != t.size:
        raise ValueError(f"temperature must have shape ({t.size}, C), not {temperature_c.shape}")
    ranges, cells = edges.size - 1, temperature_c.shape[1]
    hours = np.zeros((ranges, cells))
    if t.size < 2:
        return hours
    step = np.diff(t)
    weight = np.where(step <= gap_limit(t, max_gap_seconds), step, 0.0) / 3600.0
    for cell in range(cells):
        column = temperature_c[:-1, cell]
        known = np.isfinite(column)
        place = np.searchsorted(edges, column[known], side="right") - 1
        within = (place >= 0) & (place < ranges)
        hours[:, cell] = np.bincount(place[within], weights=weight[known][within], minlength=ranges)
    return hours
