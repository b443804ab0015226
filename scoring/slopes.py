"""Slopes of all pairs of points; wild points barely move their median (Theil 1950, Sen 1968)."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


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
