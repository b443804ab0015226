"""Imbalance that knows the state: the same spread is nothing near full and serious at half charge.

On the plateau of LFP 1.1 mV are 1 % of charge, so that cells 60 mV apart at rest differ by about
half of their charge. Above 98 % the curve turns up by tens of millivolts per percent, below 20 % it
falls off: cells in good order lie 100 mV apart there. Under load the differences between the
resistances of the cells come on top.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scoring.cells.rest import BoolArray, Codes, FloatArray, Floats, Zone
from scoring.cells.windows import ROUNDING_V, Windows, deviations, quiet_for, streaks

UNKNOWN, BALANCED, WARNING, CRITICAL = -1, 0, 1, 2


@dataclass(frozen=True)
class SpreadLimits:
    """Spreads (V) from which a pack is imbalanced, as (warning, critical) for each state.

    Attributes
    ----------
    plateau_rest : pair of float
        30 and 60 mV at rest between 20 and 95 % of charge: 27 and 55 % of the charge.
    plateau_load : pair of float
        50 and 100 mV under load.
    ends : pair of float
        Near full and near empty, at rest or not: 250 mV is a cell at its limit of 3.65 V while the
        others float at 3.40 V.
    """

    plateau_rest: tuple[float, float] = (0.030, 0.060)
    plateau_load: tuple[float, float] = (0.050, 0.100)
    ends: tuple[float, float] = (0.250, 0.400)


DEFAULT_LIMITS = SpreadLimits()


@dataclass(frozen=True, eq=False)
class Snapshot:
    """Spread of many packs at one moment; P packs, C cells.

    Attributes
    ----------
    level : int8 array, shape (P,)
        -1 unknown, 0 balanced, 1 warning, 2 critical; without duration, so not yet a verdict.
    spread_v : float array, shape (P,)
        Highest minus lowest cell, V; NaN with fewer than three cells.
    deviation_v : float array, shape (P, C)
        Distance from the pack's median, V.
    worst : int array, shape (P,)
        Cell furthest from the median, -1 where there is none.
    """

    level: Codes
    spread_v: FloatArray
    deviation_v: Floats
    worst: np.ndarray[tuple[int], np.dtype[np.intp]]


@dataclass(frozen=True, eq=False)
class Imbalance:
    """Verdict on one pack, at rest or under load; W windows, C cells.

    Attributes
    ----------
    start : float array, shape (W,)
        Start of each window, s.
    spread_v : float array, shape (W,)
        Highest minus lowest of the cells' medians, V.
    pack_level : int8 array, shape (W,)
        -1 unknown, 0 balanced, 1 warning, 2 critical.
    level : int8 array, shape (C,)
        What each cell is flagged with now: 0, 1 or 2, the highest level it has at the end; -1
        where nothing is known.
    deviation_v : float array, shape (C,)
        Distance from the pack's median in the last window that flagged the cell or, for cells that
        are not flagged, in the last that could judge it, V.
    since : float array, shape (C,)
        Start of the first window that flagged the cell and since which none cleared it, s; NaN for
        cells that are not flagged.
    """

    start: FloatArray
    spread_v: FloatArray
    pack_level: Codes
    level: Codes
    deviation_v: FloatArray
    since: FloatArray


def spread_limits(
    zone: Codes, resting: BoolArray, limits: SpreadLimits = DEFAULT_LIMITS
) -> tuple[FloatArray, FloatArray]:
    """Warning and critical spread (V) for each state, any shape; NaN where the zone is unknown."""
    pair = []
    for level in range(2):
        limit = np.where(resting, limits.plateau_rest[level], limits.plateau_load[level])
        limit[(zone == Zone.EMPTY) | (zone == Zone.FULL)] = limits.ends[level]
        limit[zone == Zone.UNKNOWN] = np.nan
        pair.append(limit)
    return pair[0], pair[1]


def spread_level(
    spread_v: Floats,
    zone: Codes,
    resting: BoolArray,
    limits: SpreadLimits = DEFAULT_LIMITS,
) -> Codes:
    """Level of each spread in its state, any shape.

    Parameters
    ----------
    spread_v : float array
        Highest minus lowest cell, V; NaN where missing.
    zone, resting
        From :mod:`scoring.cells.rest`, same shape.
    limits : SpreadLimits
        A spread at its limit is flagged.

    Returns
    -------
    int8 array
        -1 unknown, 0 balanced, 1 warning, 2 critical.
    """
    warning, critical = spread_limits(zone, resting, limits)
    reached = spread_v + ROUNDING_V
    level = (reached >= warning).astype(np.int8) + (reached >= critical).astype(np.int8)
    level[~np.isfinite(spread_v) | np.isnan(warning)] = UNKNOWN
    return level


def spreads(values: Floats) -> FloatArray:
    """Highest minus lowest over the last axis without the missing; NaN below three values."""
    high = np.fmax.reduce(values, axis=-1, initial=-np.inf)
    low = np.fmin.reduce(values, axis=-1, initial=np.inf)
    enough = np.isfinite(values).sum(axis=-1) >= 3
    spread = np.full(enough.shape, np.nan)
    np.subtract(high, low, out=spread, where=enough)
    return spread


def snapshot(
    voltages: Floats,
    zone: Codes,
    resting: BoolArray,
    limits: SpreadLimits = DEFAULT_LIMITS,
) -> Snapshot:
    """Spread of the latest values of many packs.

    Parameters
    ----------
    voltages : float array, shape (P, C)
        V; NaN where missing, and in the columns that a smaller pack does not have.
    zone, resting : shape (P,)
        State of each pack.
    limits : SpreadLimits
        As in :func:`spread_level`.
    """
    _, deviation = deviations(voltages)
    spread = spreads(voltages)
    distance = np.where(np.isfinite(deviation), np.abs(deviation), -1.0)
    worst = distance.argmax(axis=1) if voltages.shape[1] else np.zeros(len(voltages), dtype=np.intp)
    worst = np.where(distance.max(axis=1, initial=-1.0) < 0, -1, worst)
    return Snapshot(spread_level(spread, zone, resting, limits), spread, deviation, worst)


def assess_imbalance(
    windows: Windows,
    *,
    limits: SpreadLimits = DEFAULT_LIMITS,
    share: float = 0.5,
    alike: float = 0.75,
    clear: float = 0.8,
    hold_seconds: float = 1800.0,
    clear_after_seconds: float = 0.0,
) -> Imbalance:
    """Which cells of a pack are out of balance, by how much, and since when.

    A window flags a cell if the pack's spread is at or above the limit of its state and the cell
    accounts for at least ``share`` of that limit by its own distance from the median, and is not
    far behind another one in that. A window on
    the plateau in which the cell is within ``clear`` times that distance clears it. Windows near
    full or near empty can flag but not clear, since a cell that is 50 mV off at half charge does
    not show there. A flag counts once the windows that show it last ``hold_seconds`` in sum.

    Judge rest and load apart (``windows.only(windows.resting)`` and its complement): a cell of high
    resistance is silent at rest, and a rest must not clear what the load shows.

    Parameters
    ----------
    windows : Windows
        Of one pack.
    limits : SpreadLimits
        Spreads in V.
    share : float, above 0
        Least part of the limit that a named cell has to be off by. With 0.5, both cells of a pair
        that lie on opposite sides of the median are named.
    alike : float, 0 to 1
        Least part of the distance of the furthest cell that another one has to have, up to the
        limit itself: beyond that a cell is named whatever the others do.
    clear : float, 0 to 1
        Hysteresis.
    hold_seconds : float
        Least time that windows must have shown it, s.
    clear_after_seconds : float
        A window clears only if none on the plateau that began within this time before it showed
        it, s. A cell of less capacity shows at one end of a day's cycle and not at the other, and
        one of high resistance not while the pack settles after a load, which looks like load where
        no current is known.
    """
    spread = spreads(windows.deviation_v)
    furthest = np.fmax.reduce(np.abs(windows.deviation_v), axis=1, initial=0.0)
    pack_level = spread_level(spread, windows.zone, windows.resting, limits)
    distance = np.abs(windows.deviation_v)
    cells = distance.shape[1]
    level = np.full(cells, UNKNOWN, dtype=np.int8)
    since = np.full(cells, np.nan)
    thresholds = spread_limits(windows.zone, windows.resting, limits)
    judged = np.isfinite(distance) & (pack_level >= 0)[:, None]
    level[judged.any(axis=0)] = BALANCED
    clears = windows.usual & (windows.resting | windows.loaded)
    last = np.where(judged, np.arange(len(spread))[:, None], -1).max(axis=0, initial=-1)
    for severity, limit in ((WARNING, thresholds[0]), (CRITICAL, thresholds[1])):
        # Beside a cell that is far off, the ordinary offset of another is not what is wrong.
        own = np.clip(alike * furthest, share * limit, limit)[:, None]
        shown = (pack_level >= severity)[:, None] & (distance + ROUNDING_V >= own)
        cleared = judged & clears[:, None] & (distance < clear * own)
        if clear_after_seconds > 0:
            there = shown & windows.usual[:, None]
            cleared &= quiet_for(there, windows.start, clear_after_seconds)
        evidence = shown.astype(np.int8) - cleared.astype(np.int8)
        begin, seen = streaks(evidence, windows.start, windows.seconds)
        flagged = seen >= hold_seconds
        level[flagged] = severity
        since[flagged & np.isnan(since)] = begin[flagged & np.isnan(since)]
        if severity == WARNING:
            latest = np.where(shown, np.arange(len(spread))[:, None], -1).max(axis=0, initial=-1)
            last = np.where(flagged, latest, last)
    value = np.full(cells, np.nan)
    known = np.flatnonzero(last >= 0)
    value[known] = windows.deviation_v[last[known], known]
    return Imbalance(windows.start, spread, pack_level, level, value, since)
