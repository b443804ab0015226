"""A surface of cells over time, thinned to what a screen can show.

One read of the level whose windows are nearest to a step of the surface; what is finer than a step
InfluxDB itself aggregates. A step without a reading of a cell stays empty.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from exporter.history.cells.pack_grid import in_order
from exporter.history.influxql import InfluxQL, Series, any_of, between, quoted
from exporter.history.level_choice import level_of, meant_for, table
from exporter.history.series import stretch_seconds
from exporter.model.levels import Level

Quantity = Literal["voltage", "temperature", "deviation"]
Kept = Literal["mean", "min", "max"]
FloatArray = NDArray[np.float64]

MOST_STEPS = 720
FEWEST_STEPS = 240
"""A coarser level would have fewer; a screen shows more."""
MOST_CELLS = 2000
LEAST_STEP_SECONDS = 120
"""Single cells are stored once a minute by default, not to the second."""
FEWEST_INTERVALS = 8
"""Fewer say nothing of a cadence."""
_FIELDS: dict[Quantity, tuple[str, str, float]] = {
    "voltage": ("voltage_v", "V", 1e-4),
    "deviation": ("voltage_v", "V", 1e-4),
    "temperature": ("temperature_c", "°C", 1e-2),
}
MISSING = 65_535


class TooManyCellsError(Exception):
    """The site has more cells than one surface holds; its packs can be shown one by one."""


@dataclass(frozen=True, slots=True)
class Surface:
    """Values of C cells in S steps.

    Attributes
    ----------
    quantity, kept, unit : str
    begin : float
        Unix seconds of the first step.
    step : int
        Seconds.
    packs, cells : tuple of str, length C
        Pack and label of each cell, in physical order.
    values : float array, shape (C, S)
        NaN where nothing was read.
    level : str or None
        The roll-up that was read; None for full detail.
    query : str
        The InfluxQL.
    """

    quantity: Quantity
    kept: Kept
    unit: str
    begin: float
    step: int
    packs: tuple[str, ...]
    cells: tuple[str, ...]
    values: FloatArray
    level: str | None
    query: str

    def packed(self) -> tuple[NDArray[np.uint16], float, float]:
        """The values as 16-bit integers, with their scale and offset.

        Returns
        -------
        tuple of (uint16 array of shape (C, S), scale, offset)
            A value is ``offset + scale * integer``; :data:`MISSING` stands for a missing one.
        """
        scale = _FIELDS[self.quantity][2]
        known = np.isfinite(self.values)
        offset = round(float(self.values[known].min()), 3) - scale if known.any() else 0.0
        whole = np.rint((np.where(known, self.values, offset) - offset) / scale)
        fits = known & (whole < MISSING)
        return np.where(fits, whole, MISSING).astype("<u2"), scale, offset


async def read_surface(
    stored: InfluxQL,
    site: str,
    packs: Sequence[str],
    quantity: Quantity,
    kept: Kept,
    since: float,
    until: float,
) -> Surface:
    """The surface of a site's cells.

    Parameters
    ----------
    stored : InfluxQL
    site : str
    packs : sequence of str
        Only these; all of them where it is empty.
    quantity : "voltage", "temperature" or "deviation"
        Deviation is from the median of the cell's pack in the same step.
    kept : "mean", "min" or "max"
        What is kept of each step. A temperature has no mean: its highest is kept instead.
    since, until : float
        Unix seconds, the latter not included.

    Raises
    ------
    exporter.history.influxql.NoAnswerError
    TooManyCellsError
    """
    field, unit, _ = _FIELDS[quantity]
    if quantity == "temperature" and kept == "mean":
        kept = "max"
    where = f'"site" = {quoted(site)}'
    if packs:
        where += f" AND {any_of('pack', packs)}"
    levels = _levels(until - since)
    level = await level_of(stored, "cell", field, since, until, where, levels) if levels else None
    step = _step(level, until - since)
    statement = _statement(level, field, kept, where, step, since, until)
    found = await stored.select(statement)
    if len(found) > MOST_CELLS:
        raise TooManyCellsError(f"{len(found)} cells; one surface holds {MOST_CELLS}")
    names = _names(found)
    grid = _grid(found, names, since // step * step, step, math.ceil(until / step))
    step, grid = _at_cadence(grid, kept, int(since // step), step)
    owners = tuple(pack for pack, _ in names)
    if quantity == "deviation":
        grid = _deviation(grid, owners)
    return Surface(
        quantity,
        kept,
        unit,
        since // step * step,
        step,
        owners,
        tuple(cell for _, cell in names),
        grid,
        level.name if level else None,
        statement,
    )


def _levels(seconds: float) -> tuple[Level, ...]:
    """The roll-ups to choose from: those that give enough steps, the finest of them last tried."""
    meant = meant_for(seconds)
    enough = [level for level in meant if seconds / level.seconds >= FEWEST_STEPS]
    return tuple(meant[max(0, len(enough) - 1) :])


def _step(level: Level | None, seconds: float) -> int:
    """Length of a step, s: a multiple of the level's windows."""
    if level is None:
        return max(LEAST_STEP_SECONDS, stretch_seconds(seconds / MOST_STEPS))
    return level.seconds * math.ceil(seconds / level.seconds / MOST_STEPS)


def _statement(
    level: Level | None,
    field: str,
    kept: Kept,
    where: str,
    step: int,
    since: float,
    until: float,
) -> str:
    column = field if level is None else f"{field}_{kept}"
    span = between(since // step * step, until)
    source = f"FROM {table(level, 'cell')} WHERE {where} AND {span}"
    if level is not None and level.seconds == step:
        return f'SELECT "{column}" {source} GROUP BY "pack", "cell"'
    each = f'time({step}s), "pack", "cell" fill(none)'
    return f'SELECT {kept}("{column}") {source} GROUP BY {each}'


def _names(found: list[Series]) -> list[tuple[str, str]]:
    """Pack and cell of each row, in physical order."""
    by_pack: dict[str, list[str]] = {}
    for series in found:
        by_pack.setdefault(series.tags["pack"], []).append(series.tags["cell"])
    packs = in_order(list(by_pack))
    return [(pack, cell) for pack in packs for cell in in_order(by_pack[pack])]


def _grid(
    found: list[Series], names: list[tuple[str, str]], begin: float, step: int, end: int
) -> FloatArray:
    """Values by cell and step, NaN where there is none; shape (C, S)."""
    row = {name: n for n, name in enumerate(names)}
    grid = np.full((len(names), max(1, end - round(begin / step))), np.nan)
    for series in found:
        values = np.array(series.rows, dtype=np.float64)
        place = ((values[:, 0] / 1000.0 - begin) // step).astype(np.int64)
        inside = (place >= 0) & (place < grid.shape[1])
        cell = row[series.tags["pack"], series.tags["cell"]]
        grid[cell, place[inside]] = values[inside, 1]
    return grid


def _at_cadence(grid: FloatArray, kept: Kept, first: int, step: int) -> tuple[int, FloatArray]:
    """Steps as long as the cells' own cadence: what is stored less often has no gaps in between.

    Parameters
    ----------
    grid : float array, shape (C, S)
    kept : str
    first : int
        Number of the first step since 1970.
    step : int
        Seconds.
    """
    apart = [np.diff(np.flatnonzero(np.isfinite(row))) for row in grid]
    usual = [float(np.quantile(one, 0.75)) for one in apart if one.size >= FEWEST_INTERVALS]
    times = math.ceil(np.median(usual)) if usual else 1
    if times <= 1:
        return step, grid
    before = first % times
    after = -(before + grid.shape[1]) % times
    padded = np.pad(grid, ((0, 0), (before, after)), constant_values=np.nan)
    parts = padded.reshape(len(grid), -1, times)
    reduce: Any = {"mean": np.nanmean, "min": np.nanmin, "max": np.nanmax}[kept]
    with warnings.catch_warnings():
        # Steps without any reading stay empty.
        warnings.simplefilter("ignore", RuntimeWarning)
        return step * times, reduce(parts, axis=2)


def _deviation(grid: FloatArray, packs: tuple[str, ...]) -> FloatArray:
    """Each cell less the median of its pack in the same step."""
    made = np.full_like(grid, np.nan)
    owners = np.array(packs)
    for pack in dict.fromkeys(packs):
        rows = owners == pack
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            made[rows] = grid[rows] - np.nanmedian(grid[rows], axis=0)
    return made
