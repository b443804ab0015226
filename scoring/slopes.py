"""Slopes of all pairs of points; wild points barely move their median (Theil 1950, Sen 1968)."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

CERTAIN_Z = 2.576
"""Of the 99 % interval of a trend."""


def pair_slopes(x: FloatArray, y: FloatArray) -> FloatArray:
    """Slopes between all pairs of points.

    Parameters
    ----------
    x : float array, shape (N,)
        Ascending.
    y : float array, shape (N,) or (N, C)
        NaN where missing.

    Returns
    -------
    float array, shape (N (N-1) / 2,) or (N (N-1) / 2, C)
        In units of y per unit of x; NaN where either end is missing.
    """
    a, b = np.triu_indices(x.size, 1)
    run = x[b] - x[a]
    slopes: FloatArray = (y[b] - y[a]) / (run if y.ndim == 1 else run[:, None])
    return slopes


def median_slope(x: FloatArray, y: FloatArray, *, most_points: int) -> float:
    """Median slope of all pairs; NaN below three points.

    Parameters
    ----------
    x, y : float arrays, shape (N,)
        x ascending; y without NaN.
    most_points : int
        Of more, so many are taken, evenly spread.
    """
    if x.size < 3:
        return math.nan
    if x.size > most_points:
        keep = np.linspace(0, x.size - 1, most_points).round().astype(int)
        x, y = x[keep], y[keep]
    return float(np.median(pair_slopes(x, y)))


def slope_interval(x: FloatArray, y: FloatArray, z: float = 1.645) -> tuple[float, float, float]:
    """Median slope and its interval after Sen (1968); 90 % by default.

    Of N slopes in rising order the interval begins with the M-th and ends with the M-th last, M =
    (N - z·√Var(S)) / 2 rounded down, of Kendall's S.

    Parameters
    ----------
    x, y : float arrays, shape (N,), N at least 3
        x ascending; y without NaN.
    z : float
        Quantile of the normal distribution for the interval.

    References
    ----------
    P. K. Sen, "Estimates of the regression coefficient based on Kendall's tau", JASA 63(324), 1968,
    pp. 1379-1389; the variance for ties after M. G. Kendall, "Rank Correlation Methods", 1970.
    """
    slopes = np.sort(pair_slopes(x, y))
    count = x.size
    _, ties = np.unique(y, return_counts=True)
    variance = count * (count - 1) * (2 * count + 5) - (ties * (ties - 1) * (2 * ties + 5)).sum()
    reach = z * math.sqrt(max(float(variance), 0.0) / 18.0)
    low = max(int((slopes.size - reach) / 2) - 1, 0)
    return float(np.median(slopes)), float(slopes[low]), float(slopes[-1 - low])


def slope_intervals(
    x: FloatArray, y: FloatArray, z: float = 1.645
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """:func:`slope_interval` of many short series at once; ties widen nothing and narrow nothing.

    Parameters
    ----------
    x : float array, shape (N,), N at least 3
        Ascending.
    y : float array, shape (N, C)
        Without NaN.
    z : float

    Returns
    -------
    middle, low, high : float arrays, shape (C,)
    """
    slopes = np.sort(pair_slopes(x, y), axis=0)
    count = x.size
    reach = z * math.sqrt(count * (count - 1) * (2 * count + 5) / 18.0)
    low = max(int((len(slopes) - reach) / 2) - 1, 0)
    return np.median(slopes, axis=0), slopes[low], slopes[-1 - low]
