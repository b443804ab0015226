"""How coarse the readings of a pack are: what lies between two steps is unknown."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from scoring.cells.imbalance import SpreadLimits
from scoring.cells.rest import FloatArray, Floats

FINE_V = 0.001
"""What a BMS usually reports, and what every limit is made for, V."""
COARSE_STEPS_V = (0.020, 0.010, 0.005, 0.002)
_TICK_V = 1e-4
_DAY_SECONDS = 86400.0


def reading_step(
    t: FloatArray, voltages: Floats, *, min_changes: int = 20, share: float = 0.99
) -> float:
    """Step in which the voltages of a pack are reported, V: 1 mV unless they are coarser.

    The last day on which readings changed often enough decides: means of roll-ups, of which the
    older part of a history is made, have finer steps than the readings that they were made of. It
    is the coarsest of 20, 10, 5 and 2 mV of which nearly all readings of that day are multiples.

    Parameters
    ----------
    t : float array, shape (T,)
        Seconds, ascending.
    voltages : float array, shape (T, C)
        V; NaN where missing.
    min_changes : int
        Changes from one reading to the next that a day must have: of a pack that stands still on
        round values nothing is known.
    share : float, 0 to 1
        Part of the readings of the day that have to be multiples.
    """
    day = np.floor(t / _DAY_SECONDS)
    first = np.flatnonzero(np.diff(day, prepend=-np.inf))
    stop = first + np.diff(first, append=t.size)
    for begin, end in zip(first[::-1].tolist(), stop[::-1].tolist(), strict=True):
        block = voltages[begin:end].astype(np.float64)
        known = np.isfinite(block)
        ticks = np.rint(np.where(known, block, 0.0) / _TICK_V).astype(np.int64)
        changes = (ticks[1:] != ticks[:-1]) & known[1:] & known[:-1]
        if np.count_nonzero(changes) < min_changes:
            continue
        counted = ticks[known]
        for step in COARSE_STEPS_V:
            if np.count_nonzero(counted % round(step / _TICK_V) == 0) >= share * counted.size:
                return step
        break
    return FINE_V


def excess(step_v: float) -> float:
    """By how much a step is coarser than 1 mV, V."""
    return max(step_v - FINE_V, 0.0)


def coarse_limits(limits: SpreadLimits, step_v: float) -> SpreadLimits:
    """Limits of the spread for readings in such steps: two of them may be off by one in sum."""
    more = excess(step_v)
    if more == 0.0:
        return limits

    def wider(pair: tuple[float, float]) -> tuple[float, float]:
        return pair[0] + more, pair[1] + more

    return replace(
        limits,
        plateau_rest=wider(limits.plateau_rest),
        plateau_load=wider(limits.plateau_load),
        ends=wider(limits.ends),
    )
