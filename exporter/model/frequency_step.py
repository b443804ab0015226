"""The resolution of a frequency, from the values that a source showed."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise

SAMPLES = 60
"""Frequencies that are looked at, the latest ones."""
VEBUS_PERIOD_STEP_S = 0.1024e-3
"""VE.Bus counts the period of its input in steps of this length: its frequencies are 49.847, 50.103
and 50.361 Hz, or 59.939 and 60.309 Hz, and none between them."""
_WHOLE_WITHIN = 0.08
"""Of a step, by which frequencies rounded to 0.01 Hz and a counter's clock that is some percent off
miss a whole number of them."""
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


def vebus_step(frequencies_hz: Iterable[float]) -> float:
    """Step of frequencies that VE.Bus measured, Hz at the latest of them; NaN where they are not.

    Known by two values, each there twice, whose periods lie whole steps of VE.Bus apart, with none
    between them: a steady grid shows no more than two.

    Examples
    --------
    50.103, 49.847, 50.103 and 49.847 give 0.254; 50.00 and 50.01, however often, NaN.
    """
    counts = Counter(frequencies_hz)
    if len(counts) < 2 or min(counts.values()) < 2 or min(counts) <= 0:
        return math.nan
    periods = sorted(1.0 / hertz / VEBUS_PERIOD_STEP_S for hertz in counts)
    for shorter, longer in pairwise(periods):
        steps = longer - shorter
        if round(steps) < 1 or abs(steps - round(steps)) > _WHOLE_WITHIN:
            return math.nan
    return VEBUS_PERIOD_STEP_S * next(reversed(counts)) ** 2
