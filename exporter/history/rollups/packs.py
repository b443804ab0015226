"""Windows of packs from those of their cells: the extreme cells and the spread."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from exporter.history.rollups.aggregate import FloatArray, IntArray, Samples, Windows, percentiles

WHOLE = 0.9
"""A spread is taken at moments at which this share of a pack's cells has a sample."""

_EXTREMES = (
    ("voltage_v_min", "lowest_cell", np.minimum),
    ("voltage_v_max", "highest_cell", np.maximum),
    ("temperature_c_min", "coldest_cell", np.minimum),
    ("temperature_c_max", "hottest_cell", np.maximum),
)


def spreads(samples: Samples, pack_of: IntArray) -> tuple[IntArray, IntArray, FloatArray]:
    """Highest less lowest cell voltage at each moment at which a whole pack was sampled.

    Parameters
    ----------
    samples : Samples
        With the field ``voltage_v``; series are cells.
    pack_of : int array
        Number of the pack, by number of the series.

    Returns
    -------
    tuple of (pack, time, spread in V)
        Sorted by pack, then time. Packs of one cell have none.
    """
    there = np.flatnonzero(~np.isnan(samples.values["voltage_v"]))
    empty = np.empty(0, dtype=np.int64)
    if not there.size:
        return empty, empty, np.empty(0)
    pack, time = pack_of[samples.series[there]], samples.times[there]
    order = np.lexsort((time, pack))
    pack, time, volts = pack[order], time[order], samples.values["voltage_v"][there][order]
    begins = np.append(True, (pack[1:] != pack[:-1]) | (time[1:] != time[:-1]))
    starts = np.flatnonzero(begins)
    sizes = np.diff(np.append(starts, len(pack)))
    cells = np.bincount(pack_of[np.unique(samples.series[there])])
    whole = (sizes >= 2) & (sizes >= WHOLE * cells[pack[starts]])
    spread = np.maximum.reduceat(volts, starts) - np.minimum.reduceat(volts, starts)
    return pack[starts][whole], time[starts][whole], spread[whole]


def pack_windows(
    cells: Windows,
    pack_of: IntArray,
    labels: NDArray[np.object_],
    spread: tuple[IntArray, IntArray, FloatArray],
    window_ms: int,
) -> Windows:
    """Windows of packs; ``labels`` are the names of the cells by number of their series.

    Of cells that share an extreme, the first in the order of series is named.
    """
    pack = pack_of[cells.series]
    keys, rows = np.unique((pack << 32) | (cells.starts // window_ms), return_inverse=True)
    order = np.argsort(rows, kind="stable")
    starts = np.searchsorted(rows[order], np.arange(len(keys)))
    columns: dict[str, FloatArray] = {}
    texts = {}
    for name, text, better in _EXTREMES:
        values = cells.columns.get(name)
        if values is None or not len(keys):
            continue
        ignored = np.inf if better is np.minimum else -np.inf
        filled = np.where(np.isnan(values), ignored, values)[order]
        best = better.reduceat(filled, starts)
        at = np.flatnonzero(filled == best[rows[order]])
        _, first = np.unique(rows[order][at], return_index=True)
        found = np.isfinite(best)
        columns[name] = np.where(found, best, np.nan)
        named = labels[cells.series[order][at[first]]]
        named[~found] = None
        texts[text] = named
    if len(keys):
        columns["samples"] = np.add.reduceat(cells.columns["samples"][order], starts)
        columns["voltage_v_median"] = _medians(cells.columns.get("voltage_v_mean"), rows, len(keys))
        columns["spread_v_max"] = np.full(len(keys), np.nan)
        at = np.searchsorted(keys, (spread[0] << 32) | (spread[1] // window_ms))
        np.fmax.at(columns["spread_v_max"], at, spread[2])
    return Windows(keys >> 32, (keys & 0xFFFFFFFF) * window_ms, columns, texts)


def _medians(values: FloatArray | None, rows: IntArray, count: int) -> FloatArray:
    """Median of the values of each row of packs; NaN where there are none."""
    found = np.full(count, np.nan)
    if values is None:
        return found
    there = np.flatnonzero(~np.isnan(values))
    there = there[np.argsort(rows[there], kind="stable")]
    named, starts, sizes = np.unique(rows[there], return_index=True, return_counts=True)
    if named.size:
        (found[named],) = percentiles(values[there], starts, sizes, (0.5,))
    return found
