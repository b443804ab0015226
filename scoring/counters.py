"""Counters that only rise: growth from sample to sample, across resets, wraps and bad samples.

A counter of energy or cycles rises, or stands still. Four things break that:

- A correction: it falls by at most 1 %. The smaller reading counts.
- A reset: it falls and goes on from near zero.
- A wrap: it passes the largest number that its register or display holds and goes on from zero.
- A glitch: some samples lie elsewhere, and those behind them go on where those before them ended.

The samples of a series are cut into runs without a break. A choice of runs is best that keeps most
samples with fewest breaks between them; what it leaves out between two kept runs is a glitch.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
ByteArray = NDArray[np.uint8]

SMALL_FALL = 0.01
"""A counter that falls by at most this share was corrected."""
_JUMP_SHARE = 0.4
_USUAL_TIMES = 10.0
"""A rise is a jump if it exceeds this share of the level and this multiple of the median rate."""
_LEADING_TIMES = 20.0
_LONGEST_GLITCH = 12
_BREAK_COST = 6
"""In samples: a run of fewer than two breaks' worth is dropped if those around it fit together."""
_RUNS_BACK = 16
_LARGEST_SHARE_OF_BREAKS = 0.2
_FEWEST_RUNS_OF_NO_COUNTER = 12
_FEWEST_CHANGES = 5
_FULL = (
    *(10.0**digits for digits in range(4, 10)),
    *(scale * 2.0**16 for scale in (1, 0.1, 0.01, 0.001)),
    *(scale * 2.0**bits for bits in (31, 32) for scale in (1, 0.1, 0.01, 0.001)),
)
"""Where displays of 4 to 9 digits and registers of 16, 31 and 32 bits start again."""


class Step(IntEnum):
    """How a sample follows the one before it."""

    FIRST = 0
    RISE = 1
    CORRECTION = 2
    RESET = 3
    WRAP = 4
    GLITCH = 5
    """The sample is bad and says nothing about the counter."""
    PENDING = 6
    """The last samples of the series lie elsewhere; only later ones can say what that means."""


@dataclass(frozen=True, slots=True)
class CounterSteps:
    """What each sample adds.

    Attributes
    ----------
    growth : float array, shape (N,)
        In the counter's unit, from the good sample before. NaN for the first good sample of a
        series and for glitches; 0 for pending samples.
    kinds : uint8 array, shape (N,)
        Values of :class:`Step`.
    """

    growth: FloatArray
    kinds: ByteArray


@dataclass(slots=True)
class _Run:
    """Samples without a break: indices ``start`` to ``stop``, exclusive."""

    start: int
    stop: int
    first: float
    last: float
    begins: int
    ends: int


def counter_steps(series: IntArray, times_ms: IntArray, values: FloatArray) -> CounterSteps:
    """Growth of counters.

    Parameters
    ----------
    series : int array, shape (N,)
        Number of the series of each sample; samples are sorted by series, then time.
    times_ms : int array, shape (N,)
        Unix milliseconds.
    values : float array, shape (N,)
        Readings, 0 or above, without NaN.

    Returns
    -------
    CounterSteps
        To judge the first and the last samples of a range, pass some samples on either side of it:
        a glitch is known only by what follows.
    """
    count = values.size
    growth = np.full(count, np.nan)
    kinds = np.full(count, Step.FIRST, np.uint8)
    if count == 0:
        return CounterSteps(growth, kinds)
    step = np.diff(values)
    same = series[1:] == series[:-1]
    growth[1:][same] = step[same]
    kinds[1:][same] = np.where(step[same] < 0, Step.CORRECTION, Step.RISE)
    falls = step < -SMALL_FALL * values[:-1]
    # Large against the level; whether it is large against the usual rate is looked at by series.
    rises = step > _JUMP_SHARE * values[:-1]
    suspects = np.unique(series[1:][(falls | rises) & same])
    starts = np.searchsorted(series, suspects)
    stops = np.searchsorted(series, suspects, side="right")
    for start, stop in zip(starts.tolist(), stops.tolist(), strict=True):
        part = slice(start, stop)
        _judge(times_ms[part], values[part], growth[part], kinds[part])
    return CounterSteps(growth, kinds)


def is_counter(values: FloatArray) -> bool:
    """Whether readings in order of time, shape (N,), can be those of a counter.

    Energy per interval falls about as often as it rises, and a power does; a counter does not, even
    if it is reset daily. Readings with fewer than five changes are taken for one.
    """
    step = np.diff(values[np.isfinite(values)])
    moves = step[step != 0]
    if moves.size < _FEWEST_CHANGES:
        return True
    return bool(np.count_nonzero(moves < 0) <= _LARGEST_SHARE_OF_BREAKS * moves.size)


def _judge(times: IntArray, values: FloatArray, growth: FloatArray, kinds: ByteArray) -> None:
    """Put resets, wraps and glitches into the growth and the kinds of one series."""
    rate = _usual_rate(times, values)
    step, elapsed = np.diff(values), np.maximum(np.diff(times), 1)
    falls = step < -SMALL_FALL * values[:-1]
    rises = (step > _JUMP_SHARE * values[:-1]) & (step > _USUAL_TIMES * rate * elapsed)
    cuts = np.flatnonzero(falls | rises) + 1
    if cuts.size > max(_LARGEST_SHARE_OF_BREAKS * values.size, _FEWEST_RUNS_OF_NO_COUNTER):
        # No counter at all. Every fall counts as a reset, which is what it was taken for.
        growth[1:][falls] = values[1:][falls]
        kinds[1:][falls] = Step.RESET
        return
    edges = [0, *cuts.tolist(), values.size]
    runs = [
        _Run(a, b, float(values[a]), float(values[b - 1]), int(times[a]), int(times[b - 1]))
        for a, b in pairwise(edges)
    ]
    if len(runs) < 2:
        return
    kept = _kept(runs, rate)
    kept = _with_ends(runs, kept, _largest_rate(times, values, cuts))
    good = {place for place in kept if place >= 0}
    for place, run in enumerate(runs):
        if place not in good:
            growth[run.start : run.stop] = np.nan
            kinds[run.start : run.stop] = Step.GLITCH
    order = sorted(good)
    growth[runs[order[0]].start], kinds[runs[order[0]].start] = np.nan, Step.FIRST
    for place in range(1, len(order)):
        run = runs[order[place]]
        ends = order[place] == len(runs) - 1 and run.stop - run.start < _BREAK_COST
        found = _step([runs[n] for n in order[: place + 2]], place, rate, at_end=ends)
        growth[run.start], kinds[run.start] = found
        if kinds[run.start] == Step.PENDING:
            growth[run.start : run.stop] = 0.0
            kinds[run.start : run.stop] = Step.PENDING


def _usual_rate(times: IntArray, values: FloatArray) -> float:
    """Median growth per millisecond of the steps that rise; 0 if there are none."""
    step, elapsed = np.diff(values), np.maximum(np.diff(times), 1)
    rises = step > 0
    return float(np.median(step[rises] / elapsed[rises])) if rises.any() else 0.0


def _largest_rate(times: IntArray, values: FloatArray, cuts: IntArray) -> float:
    """Largest growth per millisecond within runs; 0 if there is none."""
    rates = np.diff(values) / np.maximum(np.diff(times), 1)
    rates[cuts - 1] = 0.0
    return float(max(rates.max(initial=0.0), 0.0))


def _fits(before: _Run, after: _Run, rate: float) -> bool:
    """Whether one run goes on where another one ended."""
    rise = after.first - before.last
    if rise < -SMALL_FALL * before.last:
        return False
    elapsed = max(after.begins - before.ends, 1)
    return rise <= max(_JUMP_SHARE * before.last, _USUAL_TIMES * rate * elapsed)


def _wrapped(before: _Run, after: _Run, rate: float) -> float | None:
    """Growth over a wrap; None where there is none."""
    if after.first >= before.last:
        return None
    elapsed = max(after.begins - before.ends, 1)
    for full in _FULL:
        grown = full - before.last + after.first
        near = 0.9 * full <= before.last < full and after.first <= 0.1 * full
        if near and grown <= max(_USUAL_TIMES * rate * elapsed, 1e-4 * full):
            return grown
    return None


def _kept(runs: list[_Run], rate: float) -> list[int]:
    """The runs of the best choice, by number."""
    scores: list[float] = []
    froms: list[int] = []
    for place, run in enumerate(runs):
        worth = min(run.stop - run.start, 2 * _LONGEST_GLITCH)
        best, source = float(worth), -1
        # Dropping the runs at the start, without any before them, is no better than a break.
        if place:
            best -= _BREAK_COST
        for earlier in range(max(0, place - _RUNS_BACK), place):
            if _fits(runs[earlier], run, rate):
                cost = 0.0
            elif _wrapped(runs[earlier], run, rate) is not None:
                cost = 1.0
            else:
                cost = float(_BREAK_COST)
            # Of two equal choices the one with more runs: what is kept is not lost.
            if scores[earlier] + worth - cost >= best:
                best, source = scores[earlier] + worth - cost, earlier
        scores.append(best)
        froms.append(source)
    place = int(np.argmax(scores))
    chosen = [place]
    while froms[place] >= 0:
        place = froms[place]
        chosen.append(place)
    return chosen[::-1]


def _with_ends(runs: list[_Run], kept: list[int], largest: float) -> list[int]:
    """The choice with the runs before and behind it, of which nothing shows that they are bad.

    Except zeros at the start: a meter that does not answer yet shows 0, and then its level.
    """
    first, last = kept[0], kept[-1]
    whole = [*range(first), *kept, *range(last + 1, len(runs))]
    begin, then = runs[whole[0]], runs[whole[1]] if len(whole) > 1 else None
    if then is not None and begin.first == begin.last == 0 and largest > 0:
        elapsed = max(then.begins - begin.ends, 1)
        if then.first > _LEADING_TIMES * largest * elapsed:
            return whole[1:]
    return whole


def _step(runs: list[_Run], place: int, rate: float, *, at_end: bool) -> tuple[float, Step]:
    """Growth from one kept run to the next, and what it is; ``runs`` end one behind ``place``."""
    before, after = runs[place - 1], runs[place]
    rise = after.first - before.last
    if _fits(before, after, rate):
        return rise, Step.RISE if rise >= 0 else Step.CORRECTION
    wrapped = _wrapped(before, after, rate)
    if wrapped is not None:
        return wrapped, Step.WRAP
    earlier = runs[place - 2] if place > 1 else None
    # Back from a glitch so long that its samples are kept.
    if earlier is not None and not _fits(earlier, before, rate) and _fits(earlier, after, rate):
        return max(after.first - earlier.last, 0.0), Step.RISE
    if rise < 0:
        # From zero, unless that is far more than it can have grown: then it is another counter.
        elapsed = max(after.begins - before.ends, 1)
        limit = max(_USUAL_TIMES * rate * elapsed, 0.1 * before.last)
        return (after.first if after.first <= limit else 0.0), Step.RESET
    if at_end:
        return 0.0, Step.PENDING
    falls_back = place + 1 < len(runs) and _fits(before, runs[place + 1], rate)
    return (0.0 if falls_back else rise), Step.RISE
