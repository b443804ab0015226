"""The stored past of a site's packs, on an even grid of samples, in bounded memory."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from exporter.influxql import InfluxQL, quoted
from exporter.levels import DAY, LEVELS, RAW_RANGE_DAYS, Level
from exporter.past_level import between, level_of, table

FloatArray = NDArray[np.float64]

HISTORY_DAYS = 91
GRID_SECONDS = 600
DETAIL_CHUNK_DAYS = 7
ROLLED_CHUNK_DAYS = 14
ROLLED = next(level for level in LEVELS if level.seconds == 900)
"""An hour of rest still makes a window of four samples; the next one is too coarse for that."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of the time that is read at one level, on an even grid; Unix seconds."""

    begin: float
    end: float
    step: int
    level: Level | None
    chunk_days: int

    @property
    def steps(self) -> int:
        """Places of the grid."""
        return int((self.end - self.begin) // self.step)

    def chunks(self, until: float) -> list[str]:
        """Conditions on the time, of as much as is read at once; nothing from ``until`` on."""
        edges = np.arange(self.begin, min(self.end, until), self.chunk_days * DAY).tolist()
        ends = [*edges[1:], min(self.end, until)]
        return [between(start, end) for start, end in zip(edges, ends, strict=True)]


@dataclass(slots=True)
class PackHistory:
    """One pack as it was sampled: T moments, C cells in their order.

    Attributes
    ----------
    pack : str
    labels : tuple of str
    step : float
        The longest time from one moment to the next, s, where nothing is missing.
    t : float array, shape (T,)
        Seconds, ascending.
    voltages, temperatures : float32 array, shape (T, C)
        V and °C: the first reading of each step, or of roll-ups the mean voltage and the highest
        temperature; NaN where there is none.
    current_a, soc_percent, power_w : float array, shape (T,)
        The battery in the same way, its power always as the mean of the step.
    soh_percent, capacity_ah : float
        Last known; NaN where missing.
    """

    pack: str
    labels: tuple[str, ...]
    step: float
    t: FloatArray
    voltages: NDArray[np.float32]
    temperatures: NDArray[np.float32]
    current_a: FloatArray
    soc_percent: FloatArray
    power_w: FloatArray
    soh_percent: float
    capacity_ah: float


def in_order(labels: list[str]) -> tuple[str, ...]:
    """Labels as the cells lie: numbers by their value, 2 before 10."""

    def key(label: str) -> list[tuple[int, int, str]]:
        parts = re.findall(r"\d+|\D+", label)
        return [(1, int(p), "") if p.isdecimal() else (0, 0, p) for p in parts]

    return tuple(sorted(labels, key=key))


async def read_packs(stored: InfluxQL, site: str, until: float) -> list[str]:
    """The packs of a site with cells that were stored in the time before ``until``."""
    source = _from("cell", site, between(until - HISTORY_DAYS * DAY, until))
    found = await stored.select(f'SELECT last("voltage_v") {source} GROUP BY "pack"')
    return list(in_order([series.tags["pack"] for series in found]))


async def last_stored(stored: InfluxQL, site: str, until: float) -> float | None:
    """When a cell of the site was stored last, Unix seconds; None if never before ``until``."""
    source = _from("cell", site, f"time < {round(until * 1000)}ms")
    for series in await stored.select(f'SELECT last("voltage_v") {source}'):
        return float(series.rows[0][0]) / 1000.0
    return None


async def stretches(stored: InfluxQL, site: str, until: float) -> list[Stretch]:
    """The stretches in which the time before ``until`` is read.

    The last days are read in full detail, at one moment in ten minutes: a loose sense wire jumps
    from sample to sample, which a mean evens out. What is older is read from the roll-up, where
    there is one. Its means do for current and voltages: what a current puts a cell off by is in
    proportion to it, so a mean current next to zero puts the mean of a cell off by next to nothing.
    """
    tail = float((int(until) // DAY - RAW_RANGE_DAYS) * DAY)
    begin = tail - (HISTORY_DAYS - RAW_RANGE_DAYS) * DAY
    end = float((int(until) // GRID_SECONDS + 1) * GRID_SECONDS)
    of_site = f'"site" = {quoted(site)}'
    level = await level_of(stored, "cell", "voltage_v", begin, tail, of_site, (ROLLED,))
    if level is None:
        return [Stretch(begin, end, GRID_SECONDS, None, DETAIL_CHUNK_DAYS)]
    return [
        Stretch(begin, tail, level.seconds, level, ROLLED_CHUNK_DAYS),
        Stretch(tail, end, GRID_SECONDS, None, DETAIL_CHUNK_DAYS),
    ]


async def read_pack(
    stored: InfluxQL, site: str, pack: str, until: float, parts: list[Stretch]
) -> PackHistory:
    """The history of one pack before ``until``, in the stretches that :func:`stretches` gave.

    Raises
    ------
    exporter.influxql.NoAnswerError
    """
    t = np.concatenate([part.begin + part.step * np.arange(part.steps) for part in parts])
    cells: dict[str, NDArray[np.float32]] = {}
    battery = np.full((3, t.size), np.nan)
    first = 0
    for part in parts:
        place = slice(first, first + part.steps)
        for span in part.chunks(until):
            of_cells = _from("cell", site, f'"pack" = {quoted(pack)}', span, level=part.level)
            for series in await stored.select(_cells_of(part, of_cells)):
                label = series.tags["cell"]
                if label not in cells:
                    cells[label] = np.full((2, t.size), np.nan, dtype=np.float32)
                _place(series.rows, part, cells[label][:, place])
            of_pack = _from("battery", site, f'"device" = {quoted(pack)}', span, level=part.level)
            for series in await stored.select(_battery_of(part, of_pack)):
                _place(series.rows, part, battery[:, place])
        first += part.steps
    labels = in_order(list(cells))
    volts = np.array([cells[label][0] for label in labels], dtype=np.float32).T
    warmth = np.array([cells[label][1] for label in labels], dtype=np.float32).T
    seen = np.isfinite(volts).any(axis=1)
    soh, capacity = await _last_known(stored, site, pack, parts[0].begin, until)
    return PackHistory(
        pack=pack,
        labels=labels,
        step=float(parts[0].step),
        t=t[seen],
        voltages=np.ascontiguousarray(volts[seen]),
        temperatures=np.ascontiguousarray(warmth[seen]),
        current_a=battery[0, seen],
        soc_percent=battery[1, seen],
        power_w=battery[2, seen],
        soh_percent=soh,
        capacity_ah=capacity,
    )


def _cells_of(part: Stretch, source: str) -> str:
    if part.level is not None:
        return f'SELECT "voltage_v_mean", "temperature_c_max" {source} GROUP BY "cell"'
    columns = 'first("voltage_v"), first("temperature_c")'
    return f'SELECT {columns} {source} GROUP BY time({part.step}s), "cell" fill(none)'


def _battery_of(part: Stretch, source: str) -> str:
    if part.level is not None:
        return f'SELECT "current_a_mean", "soc_percent_mean", "power_w_mean" {source}'
    columns = 'first("current_a"), first("soc_percent"), mean("power_w")'
    return f"SELECT {columns} {source} GROUP BY time({part.step}s) fill(none)"


async def _last_known(
    stored: InfluxQL, site: str, pack: str, begin: float, until: float
) -> tuple[float, float]:
    source = _from("battery", site, f'"device" = {quoted(pack)}', between(begin, until))
    question = f'SELECT last("soh_percent"), last("capacity_ah") {source}'
    for series in await stored.select(question):
        soh, capacity = (float("nan") if v is None else float(v) for v in series.rows[0][1:])
        return soh, capacity
    return float("nan"), float("nan")


def _from(measurement: str, site: str, *conditions: str, level: Level | None = None) -> str:
    source = f'FROM {table(level, measurement)} WHERE "site" = {quoted(site)}'
    return " AND ".join((source, *conditions))


def _place(rows: list[list[float | None]], part: Stretch, into: NDArray[np.floating]) -> None:
    """Put rows of time and values where they belong on the grid of a stretch."""
    found = np.array(rows, dtype=np.float64)
    place = ((found[:, 0] / 1000.0 - part.begin) // part.step).astype(np.int64)
    inside = (place >= 0) & (place < into.shape[1])
    into[:, place[inside]] = found[inside, 1:].T
