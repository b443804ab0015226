"""Computes windows from samples: pure numpy, all series of a measurement at once.

Percentiles are those of linear interpolation between order statistics (definition 7 of Hyndman and
Fan, 1996; ``quantile_cont`` in SQL).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exporter.model.quantities import RollupKind
from scoring.counters import CounterSteps, Step, counter_steps
from scoring.energy import held_ms, spans

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

HOLD_MS = 600_000
"""A state is taken to last until the next sample, for ten minutes at most: a site that fails is
tried again within five."""
_SERIES_SHIFT = 32
# Sorting windows as the rows of a matrix is several times faster than sorting by two keys, as long
# as the matrix is not mostly padding.
_LARGEST_PADDING = 4


@dataclass(frozen=True, slots=True)
class Samples:
    """Samples of all series of a measurement, sorted by series, then time.

    Attributes
    ----------
    series, times : int arrays of shape (N,)
        Number of the series; Unix milliseconds.
    values : mapping of field to float array of shape (N,)
        NaN where the field has no sample.
    texts : mapping of field to object array of shape (N,)
    stored : bool array of shape (N,) or None
        False for rows that a dead-band left out and that were put back; None if all are stored.
    """

    series: IntArray
    times: IntArray
    values: Mapping[str, FloatArray]
    texts: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    stored: NDArray[np.bool_] | None = None


@dataclass(frozen=True, slots=True)
class Before:
    """The last samples of a field before the range, of the series that have some; shape (M,)."""

    series: IntArray
    times: IntArray
    values: FloatArray


@dataclass(frozen=True, slots=True)
class Windows:
    """Rows of a roll-up, sorted by series, then time.

    Attributes
    ----------
    series, starts : int arrays of shape (R,)
        Number of the series; beginning of the window, Unix milliseconds.
    columns : mapping of field to float array of shape (R,)
        NaN where a row has no such value.
    texts : mapping of field to object array of shape (R,)
        None where a row has none.
    """

    series: IntArray
    starts: IntArray
    columns: Mapping[str, FloatArray]
    texts: Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class _Range:
    """A range in Unix milliseconds, and the length of its windows."""

    window_ms: int
    start_ms: int
    stop_ms: int


@dataclass(slots=True)
class _Column:
    keys: IntArray
    values: NDArray[Any]


def roll_up(
    samples: Samples,
    kinds: Mapping[str, RollupKind],
    window_ms: int,
    start_ms: int,
    stop_ms: int,
    *,
    before: Mapping[str, Before] | None = None,
    powers: Collection[str] = (),
    extreme_ids: Mapping[str, tuple[str, str]] | None = None,
) -> Windows:
    """The windows of a range.

    Parameters
    ----------
    samples : Samples
        All samples with ``start_ms <= time < stop_ms``, and of counters those at ``stop_ms``: what
        a counter grew by until a reading belongs to the time before it, so that its windows hold
        their end and not their beginning.
    kinds : mapping of field to RollupKind
    window_ms : int
        Length of a window; ``start_ms`` is a multiple of it.
    start_ms, stop_ms : int
        The range. A window that is not over by ``stop_ms`` is worked out of what there is.
    before : mapping of field to Before, optional
        For counters, states and powers. A counter's first sample without one increases nothing.
    powers : collection of str, optional
        Fields in watts, whose energy is kept as well.
    extreme_ids : mapping of text field to (field, side), optional
        Texts to keep from the first moment of an extreme.

    Returns
    -------
    Windows
        With ``samples``, the number of stored values that a row was made of.
    """
    before = before or {}
    columns: dict[str, list[_Column]] = {}
    texts: dict[str, _Column] = {}
    counts: list[_Column] = []
    over = _Range(window_ms, start_ms, stop_ms)
    wanted = {name: text for text, (name, _) in (extreme_ids or {}).items()}
    early = samples.times < stop_ms
    for name, kind in kinds.items():
        is_counter = kind is RollupKind.COUNTER
        known = ~np.isnan(samples.values[name])
        there = np.flatnonzero(known if is_counter else known & early)
        values = samples.values[name][there]
        series, times = samples.series[there], samples.times[there]
        if name in before:
            series, times, values = _prepend(series, times, values, before[name])
        if not values.size:
            continue
        if kind is RollupKind.STATE:
            columns.update(_time_in_each(name, series, times, values, over))
        if name in powers:
            columns.update(_energy(name, series, times, values, over))
        good = None
        inside = times >= start_ms
        if is_counter:
            steps = counter_steps(series, times, values)
            times = times - 1
            inside = times >= start_ms
            there = there[samples.times[there] > start_ms]
            good = (steps.kinds != Step.GLITCH)[inside]
            columns.update(_growth(name, series, times, steps, over))
        series, times, values = series[inside], times[inside], values[inside]
        if not values.size:
            continue
        keys, starts, sizes = _groups(series, times, window_ms)
        counts.append(_Column(keys, _stored(samples, there, starts, sizes)))
        if good is not None and not good.all():
            if not good.any():
                continue
            values = values[good]
            keys, starts, sizes = _groups(series[good], times[good], window_ms)
        for suffix, column in _kept(kind, values, starts, sizes).items():
            columns[f"{name}_{suffix}"] = [_Column(keys, column)]
        if name in wanted:
            text = wanted[name]
            side = (extreme_ids or {})[text][1]
            first = _first_at(values, starts, sizes, columns[f"{name}_{side}"][0].values)
            texts[text] = _Column(keys, samples.texts[text][there][first])
    return _aligned(columns, texts, counts, window_ms)


def expand_left_out(samples: Samples, left_out: FloatArray) -> Samples:
    """Put back the rows that a dead-band left out, with the values of the row before them.

    Parameters
    ----------
    samples : Samples
        Without texts.
    left_out : float array of shape (N,)
        Rows left out before each one; NaN is none. Those before the first row of a series belong
        to what came before the range, and stay out.
    """
    count = np.nan_to_num(left_out).astype(np.int64)
    if not count.any():
        return samples
    first = np.ones(len(count), dtype=bool)
    first[1:] = samples.series[1:] != samples.series[:-1]
    count[first] = 0
    # Row i counts once for itself, and once for each row that was left out before row i + 1.
    after = np.append(count[1:], 0)
    source = np.repeat(np.arange(len(count)), 1 + after)
    place = np.arange(len(source)) - np.repeat(np.cumsum(1 + after) - (1 + after), 1 + after)
    step = np.append(np.diff(samples.times), 0) // (1 + after)
    times = samples.times[source] + place * step[source]
    values = {name: column[source] for name, column in samples.values.items()}
    return Samples(samples.series[source], times, values, stored=place == 0)


def cut(samples: Samples, stop_ms: int) -> Samples:
    """The samples before ``stop_ms``."""
    inside = samples.times < stop_ms
    if inside.all():
        return samples
    return Samples(
        samples.series[inside],
        samples.times[inside],
        {name: column[inside] for name, column in samples.values.items()},
        {name: column[inside] for name, column in samples.texts.items()},
        None if samples.stored is None else samples.stored[inside],
    )


def _prepend(
    series: IntArray, times: IntArray, values: FloatArray, before: Before
) -> tuple[IntArray, IntArray, FloatArray]:
    order = np.argsort(before.series, kind="stable")
    at = np.searchsorted(series, before.series[order], side="left")
    return (
        np.insert(series, at, before.series[order]),
        np.insert(times, at, before.times[order]),
        np.insert(values, at, before.values[order]),
    )


def _groups(
    series: IntArray, times: IntArray, window_ms: int
) -> tuple[IntArray, NDArray[np.intp], IntArray]:
    """Key, first index and size of every (series, window); the samples are sorted by both."""
    keys = (series << _SERIES_SHIFT) | (times // window_ms)
    starts = np.flatnonzero(np.append(True, keys[1:] != keys[:-1]))
    return keys[starts], starts, np.diff(np.append(starts, len(keys)))


def _stored(
    samples: Samples, there: NDArray[np.intp], starts: NDArray[np.intp], sizes: IntArray
) -> FloatArray:
    """Number of stored values of each group; only cells have rows that are not stored."""
    if samples.stored is None:
        return sizes.astype(np.float64)
    return np.add.reduceat(samples.stored[there].astype(np.float64), starts)


def _kept(
    kind: RollupKind, values: FloatArray, starts: NDArray[np.intp], sizes: IntArray
) -> dict[str, FloatArray]:
    if kind is RollupKind.COUNTER:
        return {"last": values[starts + sizes - 1]}
    if kind is RollupKind.AMOUNT:
        return {"sum": np.add.reduceat(values, starts)}
    found = {"max": np.maximum.reduceat(values, starts)}
    if kind is not RollupKind.FLAG:
        found["min"] = np.minimum.reduceat(values, starts)
    if kind in (RollupKind.MEASURED, RollupKind.VOLTAGE):
        found["mean"] = np.add.reduceat(values, starts) / sizes
    if kind is RollupKind.VOLTAGE:
        found["p1"], found["p99"] = percentiles(values, starts, sizes, (0.01, 0.99))
    return found


def percentiles(
    values: FloatArray, starts: NDArray[np.intp], sizes: IntArray, shares: tuple[float, ...]
) -> list[FloatArray]:
    """Percentiles of consecutive groups of values.

    Parameters
    ----------
    values : float array, shape (N,)
        Without NaN.
    starts, sizes : int arrays, shape (G,)
        First index and size of every group; sizes are 1 or more.
    shares : tuple of float
        0 to 1 each; between two values is interpolated linearly.

    Returns
    -------
    list of float arrays, shape (G,)
        One for every share.
    """
    longest = int(sizes.max())
    group = np.repeat(np.arange(len(sizes)), sizes)
    if longest * len(sizes) <= _LARGEST_PADDING * len(values):
        matrix = np.full((len(sizes), longest), np.inf)
        matrix[group, np.arange(len(values)) - starts[group]] = values
        matrix.sort(axis=1)
        ordered, first = matrix.ravel(), np.arange(len(sizes)) * longest
    else:
        ordered, first = values[np.lexsort((values, group))], starts
    found = []
    for share in shares:
        place = share * (sizes - 1)
        below = np.floor(place).astype(np.int64)
        above = np.minimum(below + 1, sizes - 1)
        low, high = ordered[first + below], ordered[first + above]
        found.append(low + (high - low) * (place - below))
    return found


def _first_at(
    values: FloatArray, starts: NDArray[np.intp], sizes: IntArray, extremes: FloatArray
) -> IntArray:
    """Index of the first sample of every group that is its extreme."""
    group = np.repeat(np.arange(len(sizes)), sizes)
    at = np.flatnonzero(values == extremes[group])
    _, first = np.unique(group[at], return_index=True)
    return at[first]


def _growth(
    name: str, series: IntArray, times: IntArray, steps: CounterSteps, over: _Range
) -> dict[str, list[_Column]]:
    """By how much a counter grew in every window, and its bad samples where there are any; times
    are those of the last millisecond before each reading."""
    found = {}
    inside = (times >= over.start_ms) & ~np.isnan(steps.growth)
    if inside.any():
        keys, starts, _ = _groups(series[inside], times[inside], over.window_ms)
        found[f"{name}_increase"] = [_Column(keys, np.add.reduceat(steps.growth[inside], starts))]
    bad = (times >= over.start_ms) & (steps.kinds == Step.GLITCH)
    if bad.any():
        keys, _, sizes = _groups(series[bad], times[bad], over.window_ms)
        found[f"{name}_glitches"] = [_Column(keys, sizes.astype(np.float64))]
    return found


def _time_in_each(
    name: str, series: IntArray, times: IntArray, values: FloatArray, over: _Range
) -> dict[str, list[_Column]]:
    """Seconds that every state lasted within every window, by the name of their field."""
    held = np.full(len(times), HOLD_MS, dtype=np.int64)
    same = series[1:] == series[:-1]
    held[:-1][same] = np.minimum(HOLD_MS, np.diff(times)[same])
    cut = spans(times, held, over.window_ms, over.start_ms, over.stop_ms)
    values = values[cut.source]
    keys = (series[cut.source] << _SERIES_SHIFT) | cut.window
    found = {}
    for state in np.unique(values):
        mine = values == state
        unique, where = np.unique(keys[mine], return_inverse=True)
        seconds = np.bincount(where, weights=cut.seconds[mine])
        found[f"{name}_{state:g}_s"] = [_Column(unique, seconds)]
    return found


def _energy(
    name: str, series: IntArray, times: IntArray, values: FloatArray, over: _Range
) -> dict[str, list[_Column]]:
    """Energy of a power in every window, Wh, and the seconds of which it is known."""
    cut = spans(times, held_ms(series, times), over.window_ms, over.start_ms, over.stop_ms)
    keys = (series[cut.source] << _SERIES_SHIFT) | cut.window
    unique, where = np.unique(keys, return_inverse=True)
    seconds = np.bincount(where, weights=cut.seconds)
    energy = np.bincount(where, weights=cut.seconds * values[cut.source]) / 3600.0
    return {f"{name}_wh": [_Column(unique, energy)], f"{name}_seconds": [_Column(unique, seconds)]}


def _aligned(
    columns: Mapping[str, list[_Column]],
    texts: Mapping[str, _Column],
    counts: list[_Column],
    window_ms: int,
) -> Windows:
    """All columns over the union of their windows."""
    every = [part.keys for parts in columns.values() for part in parts]
    keys = np.unique(np.concatenate(every)) if every else np.empty(0, dtype=np.int64)
    placed: dict[str, FloatArray] = {}
    for name, parts in columns.items():
        placed[name] = np.full(len(keys), np.nan)
        for part in parts:
            placed[name][np.searchsorted(keys, part.keys)] = part.values
    total = np.zeros(len(keys))
    for part in counts:
        total[np.searchsorted(keys, part.keys)] += part.values
    placed["samples"] = total
    texts_placed = {}
    for name, part in texts.items():
        texts_placed[name] = np.full(len(keys), None, dtype=object)
        texts_placed[name][np.searchsorted(keys, part.keys)] = part.values
    return Windows(
        keys >> _SERIES_SHIFT, (keys & ((1 << _SERIES_SHIFT) - 1)) * window_ms, placed, texts_placed
    )
