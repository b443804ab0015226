"""When a battery reaches a limit, if it goes on as in the last weeks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scoring.issues import FloatArray
from scoring.window import MONTH_DAYS

LONGEST_DAYS = 3650.0
"""Ten years: nothing that far is worth a statement after five weeks."""
SEASON_DAYS = 60.0
"""How far ahead a trend of temperature says anything: then another season has begun."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """Days until a limit, arrays of shape (N,): the middle, the earliest and the latest of the 90 %
    interval of the trend. NaN where nothing is known; ``latest`` is infinite where the trend may as
    well end before the limit."""

    days: FloatArray
    earliest: FloatArray
    latest: FloatArray


def days_until(
    value: FloatArray,
    limit: FloatArray,
    slope: FloatArray,
    fastest: FloatArray,
    slowest: FloatArray,
    longest: float = LONGEST_DAYS,
) -> Outlook:
    """Days until a value that moves reaches a limit.

    Parameters
    ----------
    value, limit : float arrays, shape (N,)
        In one unit; on either side of each other.
    slope, fastest, slowest : float arrays, shape (N,)
        Change in that unit a month: the middle, and the ends of its interval, ``fastest`` towards
        the limit.
    longest : float
        Days beyond which nothing is said.

    Returns
    -------
    Outlook
        NaN where even ``slowest`` does not move towards the limit (the data carry no trend), where
        the limit is behind, or further than ``longest``.
    """
    way = limit - value
    with np.errstate(invalid="ignore", divide="ignore"):
        days = MONTH_DAYS * way / slope
        earliest, latest = MONTH_DAYS * way / fastest, MONTH_DAYS * way / slowest
        carried = (way * slowest > 0) & (days <= longest)
    latest = np.where(latest > longest, np.inf, latest)
    return Outlook(
        np.where(carried, days, np.nan),
        np.where(carried, earliest, np.nan),
        np.where(carried, latest, np.nan),
    )
