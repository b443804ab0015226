"""Sense wires: readings that are stuck, noisy or mirrored next door say nothing of the cell."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from scoring.cells.rest import BoolArray, FloatArray, Floats
from scoring.cells.trend import DAY_SECONDS
from scoring.cells.windows import ROUNDING_V, Windows, medians


@dataclass(frozen=True)
class SensorFault:
    """One stretch of time in which one cell's reading says nothing of the cell.

    Attributes
    ----------
    cell : int
        Index of the cell, from 0.
    kind : "stuck" or "noisy"
        The reading stood still while the pack moved, or it jumped about while the others did not.
    start, end : float
        First and last sample of the stretch, s.
    lasting : bool
        Whether it goes on to the end of the data.
    noise_v : float
        Largest noise of a day within it, V; NaN where none is known.
    mirrored_with : int
        For a noisy cell, the neighbour whose reading moves against it: they share the loose wire,
        since a sense wire is the top of one cell and the bottom of the next. -1 for none.
    """

    cell: int
    kind: Literal["stuck", "noisy"]
    start: float
    end: float
    lasting: bool
    noise_v: float
    mirrored_with: int


@dataclass(frozen=True, eq=False)
class Sensors:
    """What the readings of each day say of the sense wires; D days, C cells.

    Attributes
    ----------
    start : float array, shape (D,)
        Time of the first sample of each day, s.
    stuck, noisy : bool array, shape (D, C)
        The reading stood still while the pack moved; it jumped about while the others did not.
    missing_ratio : float array, shape (D, C)
        Share of the day's samples that are missing, 0 to 1.
    noise_v : float array, shape (D, C)
        Mean distance of the cell's deviation from the mean of the samples before and after, among
        steady samples, V; NaN with too few of them.
    faults : tuple of SensorFault
        Stretches of stuck and noisy days. One that is stuck is followed to the samples at which
        the reading last moved before and first moves after.
    """

    start: FloatArray
    stuck: BoolArray
    noisy: BoolArray
    missing_ratio: FloatArray
    noise_v: FloatArray
    faults: tuple[SensorFault, ...]


def _mirror(change: Floats, cell: int) -> int:
    own = change[:, cell]
    best, partner = -0.7, -1
    for other in (cell - 1, cell + 1):
        if not 0 <= other < change.shape[1]:
            continue
        both = np.isfinite(own) & np.isfinite(change[:, other])
        if both.sum() < 10:
            continue
        x, y = own[both].astype(np.float64), change[both, other].astype(np.float64)
        power = float(np.sqrt((x**2).sum() * (y**2).sum()))
        r = float((x * y).sum()) / power if power > 0 else 0.0
        if r <= best:
            best, partner = r, other
    return partner


def assess_sensors(
    t: FloatArray,
    voltages: Floats,
    deviation: Floats,
    steady: BoolArray,
    *,
    day_seconds: float = DAY_SECONDS,
    min_samples: int = 20,
    still_v: float = 0.001,
    moved_v: float = 0.020,
    jump_v: float = 0.005,
    jump_factor: float = 5.0,
    noisy_share: float = 0.05,
) -> Sensors:
    """Judge the sense wires of a pack day by day.

    Stuck: over a day the cell's reading stayed within ``still_v`` while the median cell moved by
    at least ``moved_v``. A pack that did not move tells nothing.
    Noisy: the cell's distance from the median was off the mean of the samples before and after by
    more than ``jump_v``, and more than ``jump_factor`` times what is usual in the pack, in at least
    ``noisy_share`` of the steady samples. A steady drift, as of a cell that runs empty, is not off
    that mean. Load steps are left out, since a cell of high resistance jumps with every one of
    them; a single spike stays far below the share.

    Parameters
    ----------
    t : float array, shape (T,)
        Seconds, ascending.
    voltages, deviation : float array, shape (T, C)
        V, and distance from the pack's median, V, from :func:`scoring.cells.windows.deviations`.
    steady : bool array, shape (T,)
        Samples at which the current is what it was at the sample before.
    day_seconds : float
        Length of a day, s; days begin at multiples of it (UTC).
    min_samples : int
        Readings, and steady samples, that a verdict on a cell needs within the day.
    still_v, moved_v, jump_v : float
        V.
    jump_factor, noisy_share : float
        As above.
    """
    cells = voltages.shape[1]
    day = np.floor(t / day_seconds)
    first = np.flatnonzero(np.diff(day, prepend=-np.inf))
    days = first.size
    if days == 0:
        nothing = np.zeros((0, cells), dtype=np.bool_)
        empty = np.zeros((0, cells))
        return Sensors(np.zeros(0), nothing, nothing, empty, empty, ())
    stop = first + np.diff(first, append=t.size)
    length = (stop - first)[:, None]
    change = np.full_like(deviation, np.nan)
    change[1:-1] = deviation[1:-1] - 0.5 * (deviation[:-2] + deviation[2:])
    change[:-1][~(steady[:-1] & steady[1:])] = np.nan
    count, steps, over = np.zeros((3, days, cells), dtype=np.intp)
    moved, noise = np.full((2, days, cells), np.nan)
    for row, (begin, end) in enumerate(zip(first.tolist(), stop.tolist(), strict=True)):
        block, size = voltages[begin:end], np.abs(change[begin:end])
        known = np.isfinite(size)
        count[row], steps[row] = np.isfinite(block).sum(axis=0), known.sum(axis=0)
        moved[row] = np.fmax.reduce(block, axis=0) - np.fmin.reduce(block, axis=0)
        total = np.sum(size, axis=0, dtype=np.float64, where=known)
        np.divide(total, steps[row], out=noise[row], where=steps[row] >= min_samples)
        usual = np.nan_to_num(medians(noise[row], min_count=3))
        over[row] = (size > max(jump_v, jump_factor * float(usual))).sum(axis=0)
    moved[count < min_samples] = np.nan
    typical = medians(moved, min_count=3)[:, None]
    stuck: BoolArray = (moved <= still_v + ROUNDING_V) & (typical >= moved_v)
    noisy: BoolArray = (steps >= min_samples) & (over >= noisy_share * steps)
    faults: list[SensorFault] = []
    for cell in np.flatnonzero(stuck.any(axis=0)).tolist():
        for begin, end in _runs(stuck[:, cell], np.ones(days, dtype=np.bool_)):
            rows = slice(int(first[begin]), int(stop[end]))
            # Days on which the pack stood still as well part the runs, not the stretch.
            if faults and faults[-1].cell == cell and t[rows.start] <= faults[-1].end:
                continue
            value = np.nanmedian(voltages[rows, cell])
            moves = np.flatnonzero(np.abs(voltages[:, cell] - value) > still_v + ROUNDING_V)
            place = int(np.searchsorted(moves, rows.start))
            start = int(moves[place - 1]) + 1 if place > 0 else 0
            last = int(moves[place]) - 1 if place < moves.size else t.size - 1
            level = _highest(noise[begin : end + 1, cell])
            lasting = last == t.size - 1
            faults.append(
                SensorFault(cell, "stuck", float(t[start]), float(t[last]), lasting, level, -1)
            )
    for cell in np.flatnonzero(noisy.any(axis=0)).tolist():
        for begin, end in _runs(noisy[:, cell], steps[:, cell] >= min_samples):
            rows = slice(int(first[begin]), int(stop[end]))
            level = _highest(noise[begin : end + 1, cell])
            partner = _mirror(change[rows], cell)
            lasting = rows.stop == t.size
            faults.append(
                SensorFault(
                    cell,
                    "noisy",
                    float(t[rows.start]),
                    float(t[rows.stop - 1]),
                    lasting,
                    level,
                    partner,
                )
            )
    return Sensors(t[first], stuck, noisy, 1.0 - count / length, noise, tuple(faults))


def silent_since(
    t: FloatArray,
    voltages: Floats,
    *,
    seconds: float = DAY_SECONDS,
    min_samples: int = 20,
    share: float = 0.5,
) -> FloatArray:
    """When each cell was read last, for those that the last day lacks though the pack was read.

    Parameters
    ----------
    t, voltages
        As in :func:`assess_sensors`.
    seconds : float
        Length of the last day, s.
    min_samples : int
        Samples that the last day must have: after a gap not all cells come back at once.
    share : float, 0 to 1
        Part of the cells that must have been read in it.

    Returns
    -------
    float array, shape (C,)
        s; NaN for cells that were read, and for those that never were.
    """
    cells = voltages.shape[1]
    result = np.full(cells, np.nan)
    if t.size == 0:
        return result
    known = np.isfinite(voltages)
    recent = t > t[-1] - seconds
    read = known[recent].any(axis=0)
    if np.count_nonzero(recent) < min_samples or np.count_nonzero(read) < share * cells:
        return result
    for cell in np.flatnonzero(~read & known.any(axis=0)).tolist():
        result[cell] = t[np.flatnonzero(known[:, cell])[-1]]
    return result


def _highest(noise: FloatArray) -> float:
    return float(np.fmax.reduce(noise))


def _runs(faulty: BoolArray, judged: BoolArray) -> list[tuple[int, int]]:
    """First and last day of each run of faulty days, over days that could not be judged."""
    runs: list[tuple[int, int]] = []
    day, days = 0, faulty.size
    while day < days:
        if faulty[day]:
            begin = day
            while day + 1 < days and (faulty[day + 1] or not judged[day + 1]):
                day += 1
            runs.append((begin, day))
        day += 1
    return runs


def without_faulty(windows: Windows, sensors: Sensors) -> Windows:
    """The windows with the deviation of cells missing (NaN) while their sensor was faulty."""
    deviation = windows.deviation_v.copy()
    for fault in sensors.faults:
        touched = (windows.end >= fault.start) & (windows.start <= fault.end)
        deviation[touched, fault.cell] = np.nan
    return replace(windows, deviation_v=deviation)
