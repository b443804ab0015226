"""The resolution of a frequency, from the values that a source showed."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import pairwise

SAMPLES = 60
"""Frequencies that are looked at, the latest ones."""
_DISTINCT = 5
_LARGEST_HZ = 1.0


def smallest_step(frequencies_hz: Iterable[float]) -> float:
    """Smallest difference between two of some frequencies, Hz.

    NaN with fewer than five different values, since a steady grid shows few of any resolution, and
    above 1 Hz, which no source has.

    Examples
    --------
    50.103, 49.847, 50.361, 49.593 and 50.620 give 0.254.
    """
    distinct = sorted(set(frequencies_hz))
    if len(distinct) < _DISTINCT:
        return math.nan
    step = min(b - a for a, b in pairwise(distinct))
    return step if step <= _LARGEST_HZ else math.nan
