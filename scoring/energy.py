"""Energy of a sampled power, exact on gaps: a sample stands until the next one, if that is in time.

How long is in time follows from the series itself: 2.5 times the interval before the sample. Where
the next one is later, the sample stands for one such interval, and what follows is a gap: it has no
energy, and its time is not observed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_IN_TIME = 2.5
_SHORTEST_MS = 30_000
_LONGEST_MS = 3_600_000
_FIRST_MS = 900_000
"""A first sample, or the first after an hour, stands until the next for this long at most."""
_ALONE_MS = 10_000


@dataclass(frozen=True, slots=True)
class Spans:
    """Samples cut at the edges of windows; shape (K,) each.

    Attributes
    ----------
    source : int array
        Index of the sample.
    window : int array
        Number of the window since 1970.
    seconds : float array
        Time within the window for which the sample stands.
    """

    source: IntArray
    window: IntArray
    seconds: FloatArray


def held_ms(series: IntArray, times_ms: IntArray) -> IntArray:
    """For how long each sample stands, milliseconds, shape (N,).

    Parameters
    ----------
    series : int array, shape (N,)
        Number of the series; samples are sorted by series, then time.
    times_ms : int array, shape (N,)
        Unix milliseconds.
    """
    count = len(times_ms)
    unknown = -1
    before = np.full(count, unknown, dtype=np.int64)
    after = np.full(count, unknown, dtype=np.int64)
    step = np.diff(times_ms)
    same = series[1:] == series[:-1]
    before[1:][same] = step[same]
    after[:-1][same] = step[same]
    first = (before == unknown) | (before > _LONGEST_MS)
    usual = np.where(first, _ALONE_MS, before)
    limit = np.clip(_IN_TIME * usual, _SHORTEST_MS, _LONGEST_MS).astype(np.int64)
    limit[first] = _FIRST_MS
    late = np.minimum(usual, limit)
    return np.where((after != unknown) & (after <= limit), after, late)


def spans(times_ms: IntArray, held: IntArray, window_ms: int, start_ms: int, stop_ms: int) -> Spans:
    """The time for which samples stand, cut at the edges of windows and of a range.

    Parameters
    ----------
    times_ms, held : int arrays, shape (N,)
        Unix milliseconds, and milliseconds from then on.
    window_ms : int
        Length of a window; windows begin at multiples of it since 1970.
    start_ms, stop_ms : int
        The range, its end left out.
    """
    begin = np.maximum(times_ms, start_ms)
    until = np.minimum(times_ms + held, stop_ms)
    lasting = np.flatnonzero(until > begin)
    begin, until = begin[lasting], until[lasting]
    first = begin // window_ms
    pieces = (until - 1) // window_ms - first + 1
    place = np.repeat(np.arange(len(begin)), pieces)
    ordinal = np.arange(len(place)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    window = first[place] + ordinal
    low = np.maximum(begin[place], window * window_ms)
    high = np.minimum(until[place], (window + 1) * window_ms)
    return Spans(lasting[place], window, (high - low) / 1000.0)
