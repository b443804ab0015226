"""Which windows of a pack carry a trend."""

from __future__ import annotations

from typing import Literal

import numpy as np

from scoring.cells.rest import BoolArray, FloatArray, Zone
from scoring.cells.trend import DAY_SECONDS, daily_deviation, like_windows
from scoring.cells.windows import Windows

Basis = Literal["rest", "load", "any", "full"]
RECENT_DAYS = 30.0
HIGH_V = 3.40
"""Median voltage from which a pack of unknown state is near full or soon will be, V."""


def trend_points(windows: Windows, min_days: int) -> tuple[Basis, Windows, FloatArray, FloatArray]:
    """The best kind of windows that gives enough days of late, and its daily deviations.

    Rest on the plateau comes first, then load on the plateau, then windows of unknown state, then
    rest near full, where a pack on standby is nearly always. The best kind with ``min_days`` days
    among the last thirty is taken: a pack that rests on the plateau on one day in five says too
    late there what it says under load every day. Where no kind has as many, the best one with as
    many in all is taken.

    Parameters
    ----------
    windows : Windows
        All of a pack.
    min_days : int
        Days that a kind has to give.

    Returns
    -------
    basis : "rest", "load", "any" or "full"
    windows : Windows
        Those of the kind that are comparable with each other.
    day, deviation_v
        As :func:`scoring.cells.trend.daily_deviation` gives them.
    """
    plateau = windows.usual
    unknown = windows.zone == Zone.UNKNOWN
    high = unknown & (windows.median_v >= HIGH_V)
    kinds: tuple[tuple[Basis, BoolArray], ...] = (
        ("rest", plateau & windows.resting),
        ("load", plateau & ~windows.resting),
        ("any", plateau | (unknown & ~high)),
        ("full", ((windows.zone == Zone.FULL) & windows.resting) | high),
    )
    last = windows.start[-1] / DAY_SECONDS if windows.start.size else 0.0
    made = []
    for basis, keep in kinds:
        chosen = like_windows(windows.only(keep))
        day, values = daily_deviation(chosen)
        if np.count_nonzero(day > last - RECENT_DAYS) >= min_days:
            return basis, chosen, day, values
        made.append((basis, chosen, day, values))
    enough = [kind for kind in made if kind[2].size >= min_days]
    return (enough or made)[0]
