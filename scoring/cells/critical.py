"""Critical cells, and whether what sets one apart is its own or shared with its neighbours."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from scoring.cells.rest import BoolArray, Codes, FloatArray, Floats, IntArray
from scoring.cells.windows import ROUNDING_V, medians

DEVIATION_V = 0.010
TEMPERATURE_K = 3.0
TREND_PERCENT_PER_MONTH = 0.5
DAYS_PER_MONTH = 30.4375
"""Mean length of a month of the Gregorian calendar: 146,097 days / 4,800 months."""


class Pattern(IntEnum):
    """How the excess of a cell compares with that of its neighbours.

    ``ALONE``: the neighbours are ordinary, so look at the cell and its sense wire.
    ``FALLS_OFF``: they share it less and less with distance, as heat spreads.
    ``WIDE``: they share it without falling off: a gradient over the pack, a fan, a sun-lit side.
    """

    NONE = -1
    ALONE = 0
    FALLS_OFF = 1
    WIDE = 2


@dataclass(frozen=True, eq=False)
class Neighbours:
    """How the cells of one or many packs compare with their neighbours, every array (..., C).

    Attributes
    ----------
    pattern : int8 array
        Values of :class:`Pattern`; NONE for cells that are not flagged or whose neighbours are
        missing.
    centre : int array
        Cell from which the excess falls off, the cell itself where it stands alone; -1 where
        ``pattern`` is NONE.
    share : float array
        Mean excess of the cells next to the centre divided by the centre's own, 1 and more if
        they have as much; NaN where ``pattern`` is NONE.
    """

    pattern: Codes
    centre: IntArray
    share: FloatArray


@dataclass(frozen=True, eq=False)
class CriticalCells:
    """Reasons for which cells are critical, every array of shape (..., C).

    Attributes
    ----------
    deviation, temperature, trend : bool array
        Each reason by itself; never True where its input is missing.
    critical : bool array
        Any of the three.
    known : bool array
        Whether any of the three inputs is known; a cell without is not in good order, but silent.
    voltage_pattern, temperature_pattern : Neighbours
        For the cells flagged by deviation and by temperature.
    """

    deviation: BoolArray
    temperature: BoolArray
    trend: BoolArray
    critical: BoolArray
    known: BoolArray
    voltage_pattern: Neighbours
    temperature_pattern: Neighbours


def _profile(excess: FloatArray, centre: int, reach: int) -> FloatArray:
    """Mean of both sides at distances 0 to ``reach`` from the centre; NaN where both miss."""
    profile = np.full(reach + 1, np.nan)
    profile[0] = excess[centre]
    for distance in range(1, reach + 1):
        sides = [
            excess[cell]
            for cell in (centre - distance, centre + distance)
            if 0 <= cell < excess.size and np.isfinite(excess[cell])
        ]
        if sides:
            profile[distance] = sum(sides) / len(sides)
    return profile


def neighbour_influence(
    deviation: Floats,
    flagged: BoolArray,
    *,
    reach: int = 5,
    shared_from: float = 0.25,
    wide_from: float = 0.75,
) -> Neighbours:
    """Does a deviation fall off with distance, or does the cell stand alone?

    The deviation of the cells is followed outwards from the
    local maximum that the flagged cell leads up to. Heat conducted along a row falls off by a
    constant factor per cell (the fin equation, F. P. Incropera and D. P. DeWitt, "Fundamentals of
    Heat and Mass Transfer", section 3.6), so that the cells next to the source have a visible part
    of its excess; a fault of one cell, or of its sense wire, has no reason to show next door.

    Parameters
    ----------
    deviation : float array, shape (C,) or (P, C)
        Distance from the pack's median in physical order (one row), in any unit; NaN if missing.
    flagged : bool array, same shape
        Cells to explain.
    reach : int, at least 2
        Cells to each side that are looked at.
    shared_from : float, 0 to 1
        Least part of the centre's excess that the cells next to it have on average if it is
        shared; between two sound neighbours of a lone cell it is about 0.
    wide_from : float, 0 to 1
        Part that the cells at ``reach`` still have if the excess does not fall off.

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    if deviation.shape != flagged.shape:
        raise ValueError("deviation and flagged must share one shape")
    pattern: Codes = np.full(deviation.shape, Pattern.NONE, dtype=np.int8)
    centres: IntArray = np.full(deviation.shape, -1, dtype=np.intp)
    share: FloatArray = np.full(deviation.shape, np.nan)
    if deviation.ndim > 1:
        for row in np.flatnonzero(flagged.any(axis=1)).tolist():
            one = neighbour_influence(
                deviation[row],
                flagged[row],
                reach=reach,
                shared_from=shared_from,
                wide_from=wide_from,
            )
            pattern[row], centres[row], share[row] = one.pattern, one.centre, one.share
        return Neighbours(pattern, centres, share)
    size = deviation.size
    for cell in np.flatnonzero(flagged & np.isfinite(deviation)).tolist():
        excess = deviation.astype(np.float64) * np.sign(deviation[cell])
        centre = cell
        while True:
            near = range(max(0, centre - 1), min(size, centre + 2))
            best = max(near, key=lambda i: -np.inf if np.isnan(excess[i]) else excess[i])
            if excess[best] <= excess[centre]:
                break
            centre = best
        profile = _profile(excess, centre, reach)
        if np.isnan(profile[1]):
            continue
        ratio = profile / profile[0]
        far = ratio[2:][np.isfinite(ratio[2:])]
        if cell != centre or ratio[1] >= shared_from:
            wide = far.size > 0 and far[-1] >= wide_from
            pattern[cell] = Pattern.WIDE if wide else Pattern.FALLS_OFF
        else:
            pattern[cell] = Pattern.ALONE
        centres[cell] = centre
        share[cell] = ratio[1]
    return Neighbours(pattern, centres, share)


def monthly_percent(slope_v_per_day: Floats, median_v: float) -> FloatArray:
    """Slope of a cell's deviation as % of the pack's median cell voltage per month, any shape.

    0.5 % a month of 3.3 V are 0.54 mV a day.
    """
    result: FloatArray = np.asarray(
        slope_v_per_day * (DAYS_PER_MONTH * 100.0 / median_v), dtype=np.float64
    )
    return result


def critical_cells(
    deviation_v: Floats,
    temperature_k: Floats,
    trend_percent_per_month: Floats,
    *,
    deviation_limit_v: float = DEVIATION_V,
    temperature_limit_k: float = TEMPERATURE_K,
    trend_limit: float = TREND_PERCENT_PER_MONTH,
) -> CriticalCells:
    """Cells that need a look, with the reason and with what their neighbours say.

    Parameters
    ----------
    deviation_v : float array, shape (C,) or (P, C)
        Distance from the pack's median at rest on the plateau, V; NaN where missing. Values from
        elsewhere on the curve do not belong here.
    temperature_k : float array, same shape
        Distance of the cell's temperature from the pack's median, K. Only warmer is critical.
    trend_percent_per_month : float array, same shape
        From :func:`monthly_percent`; NaN where the data carry no trend.
    deviation_limit_v, temperature_limit_k, trend_limit : float
        Sizes from which a cell is critical: 10 mV, 3 K and 0.5 % a month.
    """
    off = np.abs(deviation_v) + ROUNDING_V >= deviation_limit_v
    hot = temperature_k >= temperature_limit_k
    moving = np.abs(trend_percent_per_month) >= trend_limit
    known = (
        np.isfinite(deviation_v) | np.isfinite(temperature_k) | np.isfinite(trend_percent_per_month)
    )
    return CriticalCells(
        deviation=off,
        temperature=hot,
        trend=moving,
        critical=off | hot | moving,
        known=known,
        voltage_pattern=neighbour_influence(deviation_v, off),
        temperature_pattern=neighbour_influence(temperature_k, hot),
    )


def latest(values: Floats, start: FloatArray, *, seconds: float = 86400.0) -> FloatArray:
    """Median of each cell over its windows of the last day that there is, shape (C,).

    Parameters
    ----------
    values : float array, shape (W, C)
        Medians of windows, NaN where missing.
    start : float array, shape (W,)
        Start of each window, s, ascending.
    seconds : float
        How far back from the last window, s.
    """
    if start.size == 0:
        return np.full(values.shape[1], np.nan)
    recent = start > start[-1] - seconds
    result: FloatArray = medians(np.ascontiguousarray(values[recent].T)).astype(np.float64)
    return result
