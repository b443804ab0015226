"""Predicts when values that get worse reach their limits. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scoring.cells.trend import days_until, theil_sen

FURTHEST_DAYS = 2 * 365.0
DAY = 86400.0
MONTH_DAYS = 30.4375


@dataclass(frozen=True, slots=True)
class Course:
    """How a quantity wears: which way is worse, and how much change is more than noise.

    ``sign`` is 1 where higher is worse and -1 where lower is. The others are in its unit.
    """

    quantity: str
    unit: str
    sign: int
    origin: float
    least_change: float
    certain_change: float
    resolution: float
    limits: tuple[str, ...]


COURSES = (
    Course(
        "soh_percent",
        "%",
        -1,
        100.0,
        1.0,
        3.0,
        0.5,
        ("battery_soh_warning", "battery_soh_critical"),
    ),
    Course(
        "cell_spread_v",
        "V",
        1,
        0.0,
        0.005,
        0.02,
        0.001,
        ("cell_spread_warning", "cell_spread_critical"),
    ),
)


@dataclass(frozen=True, slots=True)
class Outlook:
    """When a value reaches a limit, in days from its last point; ``latest`` may be infinite."""

    level: float
    per_month: float
    limit: float
    days: float
    earliest: float
    latest: float


def outlook(
    course: Course,
    days: NDArray[np.float64],
    values: NDArray[np.float64],
    limits: tuple[float, ...],
) -> Outlook | None:
    """The next limit on the trend of a value; None where the data carry no such trend.

    Parameters
    ----------
    course : Course
    days, values : float array, shape (D,)
        Daily values, days ascending.
    limits : tuple of float
        In the order in which they are reached.
    """
    if len(days) < 3:
        return None
    worse = course.sign * (values - course.origin)
    trend = theil_sen(
        days,
        worse[:, None],
        z=2.58,
        min_change_v=course.least_change,
        certain_change_v=course.certain_change,
        resolution_v=course.resolution,
    )
    if not trend.carried[0] or not trend.slope_v_per_day[0] > 0:
        return None
    level = float(trend.level_v[0])
    for limit in limits:
        bound = course.sign * (limit - course.origin)
        if level >= bound:
            continue
        found = days_until(trend, bound, away_v=0.0)
        ahead = float(found.days[0])
        if not math.isfinite(ahead) or ahead > FURTHEST_DAYS:
            return None
        return Outlook(
            level=course.sign * level + course.origin,
            per_month=course.sign * float(trend.slope_v_per_day[0]) * MONTH_DAYS,
            limit=limit,
            days=ahead,
            earliest=float(found.earliest[0]),
            latest=float(found.latest[0]),
        )
    return None
