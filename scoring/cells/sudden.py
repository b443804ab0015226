"""Sudden change: a cell that jumps against its pack from one rest to the next."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from scoring.cells.rest import FloatArray
from scoring.cells.windows import Windows, medians


@dataclass(frozen=True, eq=False)
class SuddenChange:
    """Latest jump of each of C cells, every array of shape (C,).

    Attributes
    ----------
    step_v : float array
        Deviation after the jump minus before, V; NaN where there was none.
    at : float array
        Start of the first window after the jump, s; NaN where there was none.
    """

    step_v: FloatArray
    at: FloatArray


def sudden_changes(
    windows: Windows,
    *,
    step_v: float = 0.010,
    before: int = 6,
    scatter_factor: float = 6.0,
    like_v: float = 0.003,
    within_seconds: float = 3.0 * 86400.0,
) -> SuddenChange:
    """Jumps of a cell's deviation that the next window confirms.

    A window is compared with the median of the ``before`` windows ahead of it in which the pack
    stood at about the same voltage, since a cell with less charge than the others lies further off
    at one state of charge than at another. Both it and the next one of the kind have to be off by
    at least ``step_v`` and by ``scatter_factor`` times the robust scatter, that of those before
    and the usual one of the cell, to the same side. A drift of millivolts a day is none; that is
    :mod:`scoring.cells.trend`.

    Parameters
    ----------
    windows : Windows
        Comparable ones, as a rule ``windows.only(windows.resting & windows.usual)``.
    step_v : float, above 0
        Least jump, V.
    before : int, at least 3
        Windows to compare with; at least half of them must have a value.
    scatter_factor : float
        Least jump as a multiple of 1.4826 MAD.
    like_v : float, above 0
        Width of the classes of the pack's median voltage within which windows are compared, V.
    within_seconds : float
        Longest time from the first of the windows to the confirmation, s: over a longer one a
        drift is a jump.
    """
    cells = windows.deviation_v.shape[1]
    step, at = np.full(cells, np.nan), np.full(cells, np.nan)
    kind = np.floor(windows.median_v / like_v)
    for one in np.unique(kind[np.isfinite(kind)]).tolist():
        rows = np.flatnonzero(kind == one)
        if rows.size < before + 2:
            continue
        start, deviation = windows.start[rows], windows.deviation_v[rows]
        past = sliding_window_view(deviation, before, axis=0)[: rows.size - before - 1]
        least = (before + 1) // 2
        base = medians(past, min_count=least)
        scatter = 1.4826 * medians(np.abs(past - base[..., None]), min_count=least)
        # Half a dozen windows may agree by chance: what is usual for the cell counts as well.
        usual = medians(np.ascontiguousarray(scatter.T))
        limit = np.maximum(step_v, scatter_factor * np.maximum(scatter, np.nan_to_num(usual)))
        first, second = deviation[before:-1] - base, deviation[before + 1 :] - base
        jumped = (np.abs(first) >= limit) & (np.abs(second) >= limit) & (first * second > 0)
        jumped &= (start[before + 1 :] - start[: -before - 1] <= within_seconds)[:, None]
        # A jump stays in view until half of the windows before it are new: its first row counts.
        begins = jumped.copy()
        begins[1:] &= ~jumped[:-1]
        for cell in np.flatnonzero(begins.any(axis=0)).tolist():
            row = int(np.flatnonzero(begins[:, cell])[-1])
            moment = start[before + row]
            if not moment <= at[cell]:
                at[cell] = moment
                step[cell] = 0.5 * (first[row, cell] + second[row, cell])
    return SuddenChange(step, at)
