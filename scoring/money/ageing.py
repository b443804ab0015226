"""When a battery will have aged to a limit: a line through its state of health, and an interval."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scoring.issues import FloatArray
from scoring.slopes import slope_interval

LEAST_DAYS = 14
"""Fewer days carry no trend."""
NEWEST_DAYS = 7
"""Of so many the median is the state of health now."""
MOST_DAYS_AHEAD = 50 * 365.25


@dataclass(frozen=True, slots=True)
class Ageing:
    """A state of health and how it changes; slopes are NaN where too few days are known.

    ``now_percent`` is at day 0. Slopes are percentage points a day, negative where it falls:
    ``slope``, and the steepest and the flattest of its interval, each of which nineteen of twenty
    should keep on its side.
    """

    now_percent: float
    slope: float
    steepest: float
    flattest: float

    def at(self, days: float) -> tuple[float, float, float]:
        """SOH(t) = SOH(0) + slope·t, in percent and not below 0: expected, lowest, highest."""
        expected, lowest, highest = (
            max(self.now_percent + slope * days, 0.0)
            for slope in (self.slope, self.steepest, self.flattest)
        )
        return expected, lowest, highest

    def days_until(
        self, limit_percent: float | None
    ) -> tuple[float | None, float | None, float | None]:
        """t = (limit - SOH(0)) / slope: expected, earliest, latest.

        0 where the limit is reached already. None without a limit or a fall, and where it takes
        more than fifty years.
        """
        expected, earliest, latest = (
            _days(self.now_percent, limit_percent, slope)
            for slope in (self.slope, self.steepest, self.flattest)
        )
        return expected, earliest, latest


def _days(now: float, limit: float | None, slope: float) -> float | None:
    if limit is None or np.isnan(slope) or slope >= 0:
        return None
    days = max((limit - now) / slope, 0.0)
    return days if days < MOST_DAYS_AHEAD else None


def ageing(days: FloatArray, soh_percent: FloatArray) -> Ageing:
    """Theil-Sen line through daily medians of the state of health, with the interval of Sen.

    The interval is that of the slope: where the line begins is taken as known, and days are taken
    as independent, so that a battery whose readings drift slowly has a wider one. A line is an
    assumption: cells can fade faster near their end ("knee").

    Parameters
    ----------
    days : array of shape (N,), N at least 1
        Days before (negative) or after 0, rising.
    soh_percent : array of shape (N,)
        0 to 100, no NaN.

    References
    ----------
    H. Theil 1950; P. K. Sen 1968, see :func:`scoring.slopes.slope_interval`.
    """
    now = float(np.median(soh_percent[-NEWEST_DAYS:]))
    if len(days) < LEAST_DAYS:
        return Ageing(now, np.nan, np.nan, np.nan)
    return Ageing(now, *slope_interval(days, soh_percent))
