"""Sudden change: a cell that jumps against its pack from one rest to the next."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from scoring.cells.rest import FloatArray, Floats
from scoring.cells.trend import DAY_SECONDS
from scoring.cells.windows import Windows, medians

Jump = tuple[int, float, float]
"""Cell, moment (s) and size (V)."""


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
    found: list[Jump] = []
    kind = np.floor(windows.median_v / like_v)
    for one in np.unique(kind[np.isfinite(kind)]).tolist():
        rows = np.flatnonzero(kind == one)
        found += _jumps(
            windows.start[rows],
            windows.deviation_v[rows],
            step_v=step_v,
            before=before,
            scatter_factor=scatter_factor,
            within_seconds=within_seconds,
        )
    return _latest(found, windows.deviation_v.shape[1], within_seconds)


def daily_changes(
    day: FloatArray,
    deviation_v: Floats,
    *,
    step_v: float = 0.010,
    before: int = 6,
    scatter_factor: float = 6.0,
    within_days: float = 14.0,
) -> SuddenChange:
    """The same from one point a day, for packs that hardly ever rest at half charge.

    Under load a cell wanders by millivolts from window to window, which the median of a day evens
    out. A day is compared with the ``before`` days ahead of it, and the next one has to confirm.

    Parameters
    ----------
    day, deviation_v
        From :func:`scoring.cells.trend.daily_deviation`.
    step_v, before, scatter_factor
        As in :func:`sudden_changes`.
    within_days : float
        Longest time from the first of the days to the confirmation.
    """
    within_seconds = within_days * DAY_SECONDS
    found = _jumps(
        day * DAY_SECONDS,
        deviation_v,
        step_v=step_v,
        before=before,
        scatter_factor=scatter_factor,
        within_seconds=within_seconds,
    )
    return _latest(found, deviation_v.shape[1], 0.0)


def _latest(found: list[Jump], cells: int, within_seconds: float) -> SuddenChange:
    """The last jump of each cell; one that several voltages tell was when the first of them did."""
    result = SuddenChange(np.full(cells, np.nan), np.full(cells, np.nan))
    for cell in {cell for cell, _, _ in found}:
        own = sorted((moment, step) for which, moment, step in found if which == cell)
        moment, last = own[-1]
        same = [one for one in own if moment - one[0] <= within_seconds and one[1] * last > 0]
        result.at[cell], result.step_v[cell] = same[0]
    return result


def _jumps(
    start: FloatArray,
    deviation: Floats,
    *,
    step_v: float,
    before: int,
    scatter_factor: float,
    within_seconds: float,
) -> list[Jump]:
    """The last jump of each cell among comparable points."""
    if start.size < before + 2:
        return []
    past = sliding_window_view(deviation, before, axis=0)[: start.size - before - 1]
    least = (before + 1) // 2
    base = medians(past, min_count=least)
    scatter = 1.4826 * medians(np.abs(past - base[..., None]), min_count=least)
    # Half a dozen points may agree by chance: what is usual for the cell counts as well.
    usual = medians(np.ascontiguousarray(scatter.T))
    limit = np.maximum(step_v, scatter_factor * np.maximum(scatter, np.nan_to_num(usual)))
    first, second = deviation[before:-1] - base, deviation[before + 1 :] - base
    jumped = (np.abs(first) >= limit) & (np.abs(second) >= limit) & (first * second > 0)
    jumped &= (start[before + 1 :] - start[: -before - 1] <= within_seconds)[:, None]
    # A jump stays in view until half of the points before it are new: its first row counts.
    begins = jumped.copy()
    begins[1:] &= ~jumped[:-1]
    found = []
    for cell in np.flatnonzero(begins.any(axis=0)).tolist():
        row = int(np.flatnonzero(begins[:, cell])[-1])
        step = 0.5 * (first[row, cell] + second[row, cell])
        found.append((cell, float(start[before + row]), float(step)))
    return found
