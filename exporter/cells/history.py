"""The stored past of a site's packs, on an even grid of samples, in bounded memory."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from exporter.influxql import InfluxQL, quoted

FloatArray = NDArray[np.float64]

HISTORY_DAYS = 91
GRID_SECONDS = 600
CHUNK_DAYS = 7
_DAY = 86_400


@dataclass(slots=True)
class PackHistory:
    """One pack as it was sampled: T moments, C cells in their order.

    Attributes
    ----------
    pack : str
    labels : tuple of str
    t : float array, shape (T,)
        Seconds, ascending.
    voltages, temperatures : float32 array, shape (T, C)
        V and °C at the first reading of each stretch; NaN where there is none.
    current_a, soc_percent, power_w : float array, shape (T,)
        The battery at the same moments, its power as the mean of the stretch.
    soh_percent, capacity_ah : float
        Last known; NaN where missing.
    """

    pack: str
    labels: tuple[str, ...]
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


async def sites_with_cells(stored: InfluxQL) -> list[str]:
    """Ids of all sites of which single cells are stored."""
    series = await stored.select('SHOW TAG VALUES FROM "cell" WITH KEY = "site"')
    return sorted({str(row[1]) for one in series for row in one.rows})


async def read_packs(stored: InfluxQL, site: str, until: float) -> list[str]:
    """The packs of a site with cells that were stored in the time before ``until``."""
    source = _from("cell", site, _between(until - HISTORY_DAYS * _DAY, until))
    found = await stored.select(f'SELECT count("voltage_v") {source} GROUP BY "pack"')
    return list(in_order([series.tags["pack"] for series in found]))


async def last_stored(stored: InfluxQL, site: str, until: float) -> float | None:
    """When a cell of the site was stored last, Unix seconds; None if never before ``until``."""
    source = _from("cell", site, f"time < {round(until * 1000)}ms")
    for series in await stored.select(f'SELECT last("voltage_v") {source}'):
        return float(series.rows[0][0]) / 1000.0
    return None


async def read_pack(stored: InfluxQL, site: str, pack: str, until: float) -> PackHistory:
    """The history of one pack before ``until``.

    Raises
    ------
    exporter.influxql.NoAnswerError
    """
    end = (int(until) // GRID_SECONDS + 1) * GRID_SECONDS
    steps = HISTORY_DAYS * _DAY // GRID_SECONDS
    begin = end - steps * GRID_SECONDS
    cells: dict[str, NDArray[np.float32]] = {}
    battery = np.full((3, steps), np.nan)
    for start in range(begin, end, CHUNK_DAYS * _DAY):
        span = _between(start, min(start + CHUNK_DAYS * _DAY, until))
        source = _from("cell", site, f'"pack" = {quoted(pack)}', span)
        found = await stored.select(
            f'SELECT first("voltage_v"), first("temperature_c") {source} '
            f'GROUP BY time({GRID_SECONDS}s), "cell" fill(none)'
        )
        for series in found:
            values = cells.setdefault(
                series.tags["cell"], np.full((2, steps), np.nan, dtype=np.float32)
            )
            _place(series.rows, begin, values)
        source = _from("battery", site, f'"device" = {quoted(pack)}', span)
        question = (
            f'SELECT first("current_a"), first("soc_percent"), mean("power_w") {source} '
            f"GROUP BY time({GRID_SECONDS}s) fill(none)"
        )
        for series in await stored.select(question):
            _place(series.rows, begin, battery)
    labels = in_order(list(cells))
    volts = np.array([cells[label][0] for label in labels], dtype=np.float32).T
    warmth = np.array([cells[label][1] for label in labels], dtype=np.float32).T
    seen = np.isfinite(volts).any(axis=1)
    soh, capacity = await _last_known(stored, site, pack, begin, until)
    return PackHistory(
        pack=pack,
        labels=labels,
        t=(begin + GRID_SECONDS * np.arange(steps, dtype=np.float64))[seen],
        voltages=np.ascontiguousarray(volts[seen]),
        temperatures=np.ascontiguousarray(warmth[seen]),
        current_a=battery[0, seen],
        soc_percent=battery[1, seen],
        power_w=battery[2, seen],
        soh_percent=soh,
        capacity_ah=capacity,
    )


async def _last_known(
    stored: InfluxQL, site: str, pack: str, begin: float, until: float
) -> tuple[float, float]:
    source = _from("battery", site, f'"device" = {quoted(pack)}', _between(begin, until))
    question = f'SELECT last("soh_percent"), last("capacity_ah") {source}'
    for series in await stored.select(question):
        soh, capacity = (float("nan") if v is None else float(v) for v in series.rows[0][1:])
        return soh, capacity
    return float("nan"), float("nan")


def _from(measurement: str, site: str, *conditions: str) -> str:
    return " AND ".join((f'FROM "{measurement}" WHERE "site" = {quoted(site)}', *conditions))


def _between(start: float, end: float) -> str:
    return f"time >= {round(start * 1000)}ms AND time < {round(end * 1000)}ms"


def _place(rows: list[list[float | None]], begin: int, into: NDArray[np.floating]) -> None:
    """Put rows of time and values where they belong on the grid."""
    table = np.array(rows, dtype=np.float64)
    place = ((table[:, 0] / 1000.0 - begin) // GRID_SECONDS).astype(np.int64)
    inside = (place >= 0) & (place < into.shape[1])
    into[:, place[inside]] = table[inside, 1:].T
