"""Windows of one state: stretches of an hour at most, of which each cell's median is taken.

A single sample says little of a cell: one millivolt of resolution, a reading that was not taken at
the same moment as its neighbour's, a spike. The median over a window in which neither rest nor zone
changed is robust against all of these and carries the duration with it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scoring.cells.rest import (
    BoolArray,
    Codes,
    FloatArray,
    Floats,
    IntArray,
    Zone,
    check_times,
    gap_limit,
)

MIN_CELLS = 3
ROUNDING_V = 1e-5
"""What float32 and decimal steps of 1 mV may put a difference off by, V."""


@dataclass(frozen=True, eq=False)
class Windows:
    """Windows of one pack, W of them in ascending order, over C cells.

    Attributes
    ----------
    start, end : float array, shape (W,)
        Times of the first and the last sample, s.
    first, stop : int array, shape (W,)
        Rows of the window are ``first`` to ``stop - 1``.
    resting : bool array, shape (W,)
        Whether the pack was at rest.
    loaded : bool array, shape (W,)
        Whether the load was such that it shows what it does to the cells; light load and the half
        hour in which the pack settles after one are neither rest nor load.
    zone : int8 array, shape (W,)
        Values of :class:`scoring.cells.rest.Zone`.
    median_v : float array, shape (W,)
        Median over time of the pack's median cell voltage, V.
    deviation_v : float array, shape (W, C)
        Median over time of each cell's distance from the pack's median, V; NaN where the cell has
        less than half of the window's samples.
    """

    start: FloatArray
    end: FloatArray
    first: IntArray
    stop: IntArray
    resting: BoolArray
    loaded: BoolArray
    zone: Codes
    median_v: FloatArray
    deviation_v: FloatArray

    @property
    def seconds(self) -> FloatArray:
        """Length of each window, s, shape (W,)."""
        return self.end - self.start

    @property
    def usual(self) -> BoolArray:
        """Windows (W,) on the plateau, where a deviation is a difference in charge."""
        plateau: BoolArray = self.zone == Zone.PLATEAU
        return plateau

    def only(self, keep: BoolArray) -> Windows:
        """The windows for which ``keep`` (W,) is True."""
        return Windows(
            self.start[keep],
            self.end[keep],
            self.first[keep],
            self.stop[keep],
            self.resting[keep],
            self.loaded[keep],
            self.zone[keep],
            self.median_v[keep],
            self.deviation_v[keep],
        )


def medians(values: Floats, *, min_count: int = 1) -> Floats:
    """Median over the last axis without the missing, NaN where fewer than ``min_count`` remain.

    Parameters
    ----------
    values : float array, shape (..., C)
        NaN where missing. float32 stays float32.
    min_count : int, at least 1
        Values that make a median.
    """
    size = values.shape[-1]
    if size < max(min_count, 1):
        return np.full(values.shape[:-1], np.nan, dtype=values.dtype)
    ordered = np.sort(values, axis=-1)
    # NaN sorts last: a row whose last value is a number is complete.
    if not np.isnan(ordered[..., -1]).any():
        return np.asarray(0.5 * (ordered[..., (size - 1) // 2] + ordered[..., size // 2]))
    count = size - np.isnan(ordered).sum(axis=-1)
    low = np.maximum((count - 1) // 2, 0)[..., None]
    high = np.minimum(count // 2, size - 1)[..., None]
    middle = 0.5 * (
        np.take_along_axis(ordered, low, axis=-1) + np.take_along_axis(ordered, high, axis=-1)
    )
    result: Floats = np.where(count >= min_count, middle[..., 0], np.nan).astype(values.dtype)
    return result


def grouped_medians(values: Floats, step: float, *, min_count: int = 1) -> Floats:
    """Median over the last axis of values that come in steps, between two steps if need be.

    The plain median of readings in steps of 10 mV jumps by 10 mV at once, and with it the distance
    of every cell. That of grouped data counts how many values lie below and within the step that
    holds the middle one (as ``statistics.median_grouped``).

    Parameters
    ----------
    values : float array, shape (..., C)
        NaN where missing.
    step : float, above 0
        Step of the readings.
    min_count : int, at least 1
        Values that make a median; NaN otherwise.
    """
    ordered = np.sort(values, axis=-1)
    count = np.isfinite(ordered).sum(axis=-1)
    if ordered.shape[-1] == 0:
        return np.full(values.shape[:-1], np.nan, dtype=values.dtype)
    place = np.minimum(count // 2, ordered.shape[-1] - 1)[..., None]
    middle = np.take_along_axis(ordered, place, axis=-1)
    # Half a step beyond the middle lies nothing, so rounding decides nothing.
    lower = middle - 0.5 * step
    below = (ordered < lower).sum(axis=-1)
    within = (ordered < middle + 0.5 * step).sum(axis=-1) - below
    between = (0.5 * count - below) / np.maximum(within, 1)
    result: Floats = np.where(count >= min_count, lower[..., 0] + step * between, np.nan).astype(
        values.dtype
    )
    return result


def deviations(
    values: Floats, *, min_cells: int = MIN_CELLS, step: float = 0.0
) -> tuple[Floats, Floats]:
    """Median over the cells and each cell's distance from it, for any number of rows.

    Serves a pack over time, (T, C), and the latest values of many packs, (P, C), alike.

    Parameters
    ----------
    values : float array, shape (..., C)
        Voltages (V) or temperatures (°C) of the cells; NaN where missing.
    min_cells : int
        Cells that make a comparison: of two cells nobody can tell which one is off.
    step : float
        Step of the readings where it is coarse: the median is that of :func:`grouped_medians`.

    Returns
    -------
    median : float array, shape (...)
        NaN where fewer than ``min_cells`` cells have a value.
    deviation : float array, shape (..., C)
        Value minus median, same unit and dtype; NaN where either is missing.
    """
    median = (
        grouped_medians(values, step, min_count=min_cells)
        if step > 0
        else medians(values, min_count=min_cells)
    )
    return median, values - median[..., None]


def window_medians(values: Floats, first: IntArray, stop: IntArray) -> FloatArray:
    """Median of each column over each window's rows, shape (W, C).

    Parameters
    ----------
    values : float array, shape (T, C)
        NaN where missing.
    first, stop : int array, shape (W,)
        Rows of window w are ``first[w]`` to ``stop[w] - 1``.

    Returns
    -------
    float array, shape (W, C)
        NaN where a column has less than half of a window's rows.
    """
    result = np.full((first.size, values.shape[1]), np.nan)
    length = stop - first
    for size in np.unique(length).tolist():
        same = np.flatnonzero(length == size)
        # Windows of one length are sorted together, a few megabytes at a time.
        batch = max(1, 1_000_000 // max(1, size * values.shape[1]))
        for begin in range(0, same.size, batch):
            chosen = same[begin : begin + batch]
            rows = first[chosen][:, None] + np.arange(size)
            block = np.ascontiguousarray(values[rows].transpose(0, 2, 1))
            result[chosen] = medians(block, min_count=max(1, (size + 1) // 2))
    return result


def build_windows(
    t: FloatArray,
    median_v: Floats,
    deviation_v: Floats,
    resting: BoolArray,
    zone: Codes,
    loaded: BoolArray | None = None,
    *,
    min_seconds: float = 600.0,
    max_seconds: float = 3600.0,
    min_samples: int = 3,
    max_gap_seconds: float | None = None,
) -> Windows:
    """Cut the history of a pack into windows in which neither rest nor zone changes.

    Parameters
    ----------
    t : float array, shape (T,)
        Seconds, strictly ascending.
    median_v, deviation_v : float array, shape (T,) and (T, C)
        V, from :func:`deviations` of the voltages of the cells in physical order; NaN where
        missing. Values that a dead-band kept from being stored have to be filled in before: here
        they are missing.
    resting : bool array, shape (T,)
        From :func:`scoring.cells.rest.at_rest`.
    zone : int8 array, shape (T,)
        From :func:`scoring.cells.rest.zones`.
    loaded : bool array, shape (T,), optional
        Samples with a load worth the name; a window is loaded if three quarters of them are.
        Without it, whatever is not rest is taken for load.
    min_seconds, max_seconds : float
        Shorter stretches are left out, longer ones are cut, s. This is the duration that a state
        must have before it is judged at all. Of coarser data, four samples make the longest.
    min_samples : int
        Samples that make a window.
    max_gap_seconds : float, optional
        As in :func:`scoring.cells.rest.gap_limit`; a gap ends a window.

    Raises
    ------
    ValueError
        If the times do not ascend or the shapes do not fit.
    """
    check_times(t)
    if deviation_v.ndim != 2 or deviation_v.shape[0] != t.size:
        raise ValueError(f"deviation must have shape ({t.size}, C), not {deviation_v.shape}")
    if not resting.shape == zone.shape == median_v.shape == t.shape:
        raise ValueError("median, resting and zone must have the shape of the times")
    if t.size == 0:
        first = stop = np.zeros(0, dtype=np.intp)
    else:
        begins = np.ones(t.size, dtype=np.bool_)
        begins[1:] = (
            (zone[1:] != zone[:-1])
            | (resting[1:] != resting[:-1])
            | (np.diff(t) > gap_limit(t, max_gap_seconds))
        )
        origin = t[np.maximum.accumulate(np.where(begins, np.arange(t.size), 0))]
        usual = float(np.median(np.diff(t))) if t.size > 1 else 0.0
        piece = np.floor((t - origin) / max(max_seconds, 4.0 * usual))
        begins[1:] |= piece[1:] != piece[:-1]
        first = np.flatnonzero(begins)
        stop = np.append(first[1:], t.size)
        # The step to the next sample belongs to the window too, or none would last its hour.
        long_enough = t[stop - 1] - t[first] + usual >= min_seconds
        keep = long_enough & (stop - first >= min_samples)
        first, stop = first[keep], stop[keep]
    load = ~resting if loaded is None else loaded
    share = np.concatenate(([0], np.cumsum(load)))
    return Windows(
        start=t[first],
        end=t[stop - 1],
        first=first,
        stop=stop,
        resting=resting[first],
        loaded=share[stop] - share[first] >= 0.75 * (stop - first),
        zone=zone[first],
        median_v=window_medians(median_v[:, None], first, stop)[:, 0],
        deviation_v=window_medians(deviation_v, first, stop),
    )


def quiet_for(shown: BoolArray, start: FloatArray, seconds: float) -> BoolArray:
    """Windows (W, C) that begin ``seconds`` or more after the last that began and showed a cell."""
    seen_at = np.where(shown, start[:, None], -np.inf)
    last = np.maximum.accumulate(seen_at, axis=0)
    quiet: BoolArray = start[:, None] - last >= seconds
    return quiet


def streaks(
    evidence: Codes, start: FloatArray, seconds: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Since when, and for how long in sum, something has been seen without being contradicted.

    Parameters
    ----------
    evidence : int8 array, shape (W, C)
        1 where a window shows it, -1 where it shows the contrary, 0 where it says nothing.
    start, seconds : float array, shape (W,)
        Start and length of each window, s.

    Returns
    -------
    since : float array, shape (C,)
        Start of the first window that shows it after the last that shows the contrary, s; NaN
        where there is none.
    seen_seconds : float array, shape (C,)
        Length of all the windows that show it since then, s.
    """
    cells = evidence.shape[1]
    if start.size == 0:
        return np.full(cells, np.nan), np.zeros(cells)
    rows = np.arange(start.size)[:, None]
    refuted = np.where(evidence < 0, rows, -1).max(axis=0, initial=-1)
    shown = (evidence > 0) & (rows > refuted)
    since = np.full(cells, np.nan)
    any_shown = shown.any(axis=0)
    since[any_shown] = start[shown[:, any_shown].argmax(axis=0)]
    seen: FloatArray = np.where(shown, seconds[:, None], 0.0).sum(axis=0)
    return since, seen
