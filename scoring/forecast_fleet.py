"""A forecast of many sites together, of the forecasts of each."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def fleet_band(bands: FloatArray, groups: IntArray) -> FloatArray:
    """The band of a sum: sites of one region miss together, regions by themselves.

    Widths within a group add up, since one cloud hits all of it; those of groups add up as squares.
    A site that is unknown in a slot is in no sum of it.

    Parameters
    ----------
    bands : float array, shape (S, N, 3)
        p10, p50 and p90 of each site; NaN where unknown.
    groups : int array, shape (S,)
        Region of each site; a negative one is a group of its own.

    Returns
    -------
    float array, shape (N, 3)
        NaN where no site is known.
    """
    known = np.isfinite(bands).all(axis=2)
    middle = np.where(known, bands[:, :, 1], 0.0)
    below = np.where(known, bands[:, :, 1] - bands[:, :, 0], 0.0)
    above = np.where(known, bands[:, :, 2] - bands[:, :, 1], 0.0)
    count = len(bands)
    own = np.where(groups < 0, groups.max(initial=-1) + 1 + np.arange(count), groups)
    squares = np.zeros((2, bands.shape[1]))
    for group in np.unique(own):
        here = own == group
        squares += np.stack((below[here].sum(axis=0), above[here].sum(axis=0))) ** 2
    total = middle.sum(axis=0)
    low, high = np.sqrt(squares)
    found = np.stack((total - low, total, total + high), axis=1)
    found[~known.any(axis=0)] = np.nan
    return found
