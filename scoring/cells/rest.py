"""When a pack is at rest, and where on the charge curve of LFP it stands."""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
Floats = NDArray[np.floating[Any]]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.intp]
Codes = NDArray[np.int8]

OCV_SOC_PERCENT: FloatArray = np.array([0.0, 0.33, 1.17, 2.67, 5.34, 8.85, 29.7, 98.3, 99.5, 100.0])
OCV_VOLTS: FloatArray = np.array(
    [2.010, 2.418, 2.741, 2.930, 3.087, 3.194, 3.277, 3.351, 3.418, 3.598]
)
"""Open-circuit voltage of an LFP cell over state of charge: APR18650M1B at C/32, from the
published SOC-OCV data set. Other makers differ by several millivolts on the plateau."""

PLATEAU_VOLTS_PER_PERCENT = 0.0011
"""Slope of that curve between 30 and 98 %: 10 mV are about 9 % of charge."""


class Zone(IntEnum):
    """Where on the charge curve a pack stands."""

    UNKNOWN = -1
    EMPTY = 0
    PLATEAU = 1
    FULL = 2


def check_times(t: Floats) -> None:
    """Refuse times that are not a strictly ascending vector of finite float64 seconds.

    Raises
    ------
    ValueError
        For another shape or order, NaN, or float32 (which steps by 128 s around today's epoch).
    """
    if t.ndim != 1:
        raise ValueError(f"times must have one dimension, not {t.ndim}")
    if t.dtype != np.float64:
        raise ValueError(f"times must be float64, not {t.dtype}")
    if not np.isfinite(t).all() or (np.diff(t) <= 0).any():
        raise ValueError("times must be finite and strictly ascending")


def gap_limit(t: FloatArray, max_gap_seconds: float | None = None) -> float:
    """Longest step between samples that is not a gap, s.

    Parameters
    ----------
    t : float array, shape (T,)
        Seconds, ascending.
    max_gap_seconds : float, optional
        Taken as it is where given; otherwise 2.5 times the usual (median) step, so that one lost
        sample is no gap and two are.
    """
    if max_gap_seconds is not None:
        return max_gap_seconds
    return 2.5 * float(np.median(np.diff(t))) if t.size > 1 else 0.0


def _settled(t: FloatArray, quiet: BoolArray, settle_seconds: float, gap: float) -> BoolArray:
    begins = quiet.copy()
    begins[1:] &= ~quiet[:-1] | (np.diff(t) > gap)
    start = np.maximum.accumulate(np.where(begins, np.arange(t.size), 0))
    settled: BoolArray = quiet & (t - t[start] >= settle_seconds)
    return settled


def at_rest(
    t: FloatArray,
    current: Floats,
    capacity: float,
    *,
    limit_per_hour: float = 0.02,
    settle_seconds: float = 1800.0,
    max_gap_seconds: float | None = None,
) -> BoolArray:
    """Samples at which the pack has carried next to no current for long enough.

    Parameters
    ----------
    t : float array, shape (T,)
        Seconds, strictly ascending.
    current : float array, shape (T,)
        A with ``capacity`` in Ah; just as well W with a capacity in Wh. NaN where missing: an
        unknown current is not rest.
    capacity : float, above 0
        Nominal capacity in the unit of ``current`` times hours.
    limit_per_hour : float
        Largest current that is still rest, as a share of the capacity per hour (C-rate). At 0.02
        a cell with twice the usual 0.14 mohm·kAh of resistance stands 3 mV off.
    settle_seconds : float
        Time from the last load until polarisation has died away. Half an hour settles the
        difference between cells, which is what is judged; the absolute voltage of LFP takes hours
        (A. Barai et al., "A study of the open circuit voltage characterization technique and
        hysteresis assessment of lithium-ion cells", J. Power Sources 295, 2015, pp. 99-107).
    max_gap_seconds : float, optional
        Longest step without a sample; a gap starts the wait anew. As in :func:`gap_limit`.

    Raises
    ------
    ValueError
        If the times do not ascend, the shapes differ or the capacity is not positive.
    """
    check_times(t)
    if current.shape != t.shape:
        raise ValueError("current must have the shape of the times")
    if not capacity > 0:
        raise ValueError(f"capacity must be positive, not {capacity}")
    quiet: BoolArray = np.abs(current) <= limit_per_hour * capacity
    return _settled(t, quiet, settle_seconds, gap_limit(t, max_gap_seconds))


def at_rest_by_voltage(
    t: FloatArray,
    median_v: Floats,
    *,
    band_v: float = 0.0015,
    settle_seconds: float = 1800.0,
    max_gap_seconds: float | None = None,
) -> BoolArray:
    """Rest where no current is known: the pack's median cell voltage has stopped moving.

    Weaker than :func:`at_rest`: on the plateau a steady C/50 moves the voltage as little.

    Parameters
    ----------
    t : float array, shape (T,)
        Seconds, strictly ascending.
    median_v : float array, shape (T,)
        Median cell voltage, V; NaN where missing, which is not rest.
    band_v : float
        Largest peak-to-peak over the last ``settle_seconds``, V: one step of a BMS that reports
        millivolts, and a half.
    settle_seconds, max_gap_seconds
        As in :func:`at_rest`.

    Raises
    ------
    ValueError
        If the times do not ascend or the shapes differ.
    """
    check_times(t)
    if median_v.shape != t.shape:
        raise ValueError("median_v must have the shape of the times")
    if t.size == 0:
        return np.zeros(0, dtype=np.bool_)
    low = np.searchsorted(t, t - settle_seconds, side="right") - 1
    covered = low >= 0
    low = np.maximum(low, 0)
    known = np.isfinite(median_v)
    broken = np.zeros(t.size, dtype=np.intp)
    broken[1:] = (np.diff(t) > gap_limit(t, max_gap_seconds)) | ~known[1:] | ~known[:-1]
    breaks = np.cumsum(broken)
    covered &= known & (breaks == breaks[low])
    highest = np.where(known, median_v, -np.inf)
    lowest = np.where(known, median_v, np.inf)
    # Range maximum by doubling: tables of spans of 1, 2, 4… rows, of which two cover any range.
    rows = np.arange(t.size)
    length = rows - low + 1
    level = np.floor(np.log2(length)).astype(np.intp)
    peak = np.full(t.size, np.inf)
    for power in range(int(level.max()) + 1):
        here = level == power
        back = np.maximum(low[here] + (1 << power) - 1, 0)
        peak[here] = np.maximum(highest[rows[here]], highest[back]) - np.minimum(
            lowest[rows[here]], lowest[back]
        )
        step = 1 << power
        highest[step:] = np.maximum(highest[step:], highest[:-step].copy())
        lowest[step:] = np.minimum(lowest[step:], lowest[:-step].copy())
    resting: BoolArray = covered & (peak <= band_v)
    return resting


def zones(
    soc_percent: Floats,
    median_v: Floats | None = None,
    resting: BoolArray | None = None,
    *,
    empty_below: float = 20.0,
    full_from: float = 95.0,
    empty_below_v: float = 3.235,
    full_from_v: float = 3.355,
) -> Codes:
    """Where on the charge curve each sample stands; any shape.

    Near full and near empty the curve is steep, so that cells in good order lie far apart; on the
    plateau between them the same distance is a large difference in charge.

    Parameters
    ----------
    soc_percent : float array
        State of charge, 0 to 100; NaN where missing.
    median_v : float array, optional
        Median cell voltage, V. Where the state of charge is missing and the pack is at rest, it
        tells the zone; under load it cannot.
    resting : bool array, optional
        From :func:`at_rest`; without it ``median_v`` is not used.
    empty_below, full_from : float
        %; the plateau runs from the one to just below the other. Below 20 % the curve falls by
        4 mV per % and more.
    empty_below_v, full_from_v : float
        The same as voltage at rest, V, for LFP.

    Returns
    -------
    int8 array
        Values of :class:`Zone`.
    """
    zone = np.full(soc_percent.shape, Zone.PLATEAU, dtype=np.int8)
    zone[soc_percent < empty_below] = Zone.EMPTY
    zone[soc_percent >= full_from] = Zone.FULL
    unknown = ~np.isfinite(soc_percent)
    zone[unknown] = Zone.UNKNOWN
    if median_v is not None and resting is not None:
        by_voltage = unknown & resting & np.isfinite(median_v)
        zone[by_voltage] = Zone.PLATEAU
        zone[by_voltage & (median_v < empty_below_v)] = Zone.EMPTY
        zone[by_voltage & (median_v >= full_from_v)] = Zone.FULL
    return zone
