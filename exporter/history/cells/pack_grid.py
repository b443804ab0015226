"""A pack on an even grid of moments, in small integers that can be stored and extended."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import astuple, dataclass, field

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

VOLTS_STEP = 1e-4
"""A tenth of the resolution of batteries; 16 bits of it reach to 6.5 V."""
CELSIUS_STEP = 1e-2
NO_VOLTS = 65_535
NO_CELSIUS = -32_768


@dataclass(slots=True)
class Grid:
    """A stretch of one pack: S moments from ``begin`` on, C cells in the order of ``labels``.

    Attributes
    ----------
    begin : float
        Unix seconds.
    step : int
        Seconds.
    labels : list of str
    volts : uint16 array, shape (C, S)
        In :data:`VOLTS_STEP`; :data:`NO_VOLTS` where missing.
    warmth : int16 array, shape (C, S)
        In :data:`CELSIUS_STEP`; :data:`NO_CELSIUS` where missing.
    battery : float32 array, shape (3, S)
        Current (A), state of charge (%) and power (W); NaN where missing.
    """

    begin: float
    step: int
    labels: list[str]
    volts: NDArray[np.uint16]
    warmth: NDArray[np.int16]
    battery: NDArray[np.float32]

    @classmethod
    def empty(cls, begin: float, step: int, steps: int) -> Grid:
        """A grid without cells."""
        return cls(
            begin,
            step,
            [],
            np.empty((0, steps), np.uint16),
            np.empty((0, steps), np.int16),
            np.full((3, steps), np.nan, np.float32),
        )

    @property
    def steps(self) -> int:
        """Places of the grid."""
        return int(self.volts.shape[1])

    def times(self) -> FloatArray:
        """Unix seconds of the places, shape (S,)."""
        return self.begin + self.step * np.arange(self.steps, dtype=np.float64)

    def put_cell(self, label: str, rows: Sequence[Sequence[float | None]]) -> None:
        """Put rows of time (ms), voltage and temperature where they belong."""
        if label not in self.labels:
            self.labels.append(label)
            shape = (1, self.steps)
            self.volts = np.concatenate([self.volts, np.full(shape, NO_VOLTS, np.uint16)])
            self.warmth = np.concatenate([self.warmth, np.full(shape, NO_CELSIUS, np.int16)])
        place, values = self._placed(rows)
        row = self.labels.index(label)
        volts, celsius = values[:, 0] / VOLTS_STEP, values[:, 1] / CELSIUS_STEP
        known = (volts >= 0) & (volts < NO_VOLTS - 0.5)
        self.volts[row, place[known]] = np.rint(volts[known]).astype(np.uint16)
        known = np.abs(celsius) < 32_767
        self.warmth[row, place[known]] = np.rint(celsius[known]).astype(np.int16)

    def put_battery(self, rows: Sequence[Sequence[float | None]]) -> None:
        """Put rows of time (ms), current, state of charge and power where they belong."""
        place, values = self._placed(rows)
        self.battery[:, place] = values.T

    def put_charge(self, rows: Sequence[Sequence[float | None]]) -> None:
        """Put rows of time (ms) and state of charge where the battery's own is missing."""
        place, values = self._placed(rows)
        own = self.battery[1, place]
        self.battery[1, place] = np.where(np.isnan(own), values[:, 0], own)

    def until(self, end: float) -> Grid:
        """The same grid up to ``end``: extended by empty places, or shortened."""
        steps = max(0, int((end - self.begin) // self.step))
        more = ((0, 0), (0, max(0, steps - self.steps)))
        return Grid(
            self.begin,
            self.step,
            list(self.labels),
            np.pad(self.volts, more, constant_values=NO_VOLTS)[:, :steps],
            np.pad(self.warmth, more, constant_values=NO_CELSIUS)[:, :steps],
            np.pad(self.battery, more, constant_values=np.nan)[:, :steps],
        )

    def since(self, begin: float) -> Grid:
        """The same grid from ``begin`` on, a moment of the grid."""
        first = max(0, int((begin - self.begin) // self.step))
        return Grid(
            self.begin + first * self.step,
            self.step,
            list(self.labels),
            self.volts[:, first:],
            self.warmth[:, first:],
            self.battery[:, first:],
        )

    def _placed(
        self, rows: Sequence[Sequence[float | None]]
    ) -> tuple[NDArray[np.int64], FloatArray]:
        found = np.array(rows, dtype=np.float64)
        place = ((found[:, 0] / 1000.0 - self.begin) // self.step).astype(np.int64)
        inside = (place >= 0) & (place < self.steps)
        return place[inside], found[inside, 1:]


@dataclass(slots=True)
class Known:
    """Last known values of a battery; NaN where missing. Energies are of its whole life."""

    soh_percent: float = math.nan
    capacity_ah: float = math.nan
    charged_kwh: float = math.nan
    discharged_kwh: float = math.nan

    @property
    def whole(self) -> bool:
        """Whether nothing is missing."""
        return all(math.isfinite(value) for value in astuple(self))

    def over(self, older: Known) -> Known:
        """These values, completed from older ones."""
        pairs = zip(astuple(self), astuple(older), strict=True)
        return Known(*(mine if math.isfinite(mine) else before for mine, before in pairs))


@dataclass(slots=True)
class PackPast:
    """A pack's past: an old part that no longer changes, and the last days in full detail."""

    old: Grid
    new: Grid
    known: Known = field(default_factory=Known)


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
    known : Known
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
    known: Known


def in_order(labels: Sequence[str]) -> tuple[str, ...]:
    """Labels in the order of the cells: numbers by value, 2 before 10."""

    def key(label: str) -> list[tuple[int, int, str]]:
        parts = re.findall(r"\d+|\D+", label)
        return [(1, int(p), "") if p.isdecimal() else (0, 0, p) for p in parts]

    return tuple(sorted(labels, key=key))


def history_of(pack: str, past: PackPast) -> PackHistory:
    """The history of a pack: its moments at which any cell was seen."""
    grids = (past.old, past.new)
    labels = in_order(list(dict.fromkeys(label for grid in grids for label in grid.labels)))
    row = {label: n for n, label in enumerate(labels)}
    size = sum(grid.steps for grid in grids)
    volts = np.full((size, len(labels)), np.nan, np.float32)
    warmth = np.full((size, len(labels)), np.nan, np.float32)
    first = 0
    for grid in grids:
        columns = np.array([row[label] for label in grid.labels], dtype=np.intp)
        place = np.ix_(np.arange(first, first + grid.steps), columns)
        volts[place] = np.where(grid.volts == NO_VOLTS, np.nan, grid.volts * VOLTS_STEP).T
        warmth[place] = np.where(grid.warmth == NO_CELSIUS, np.nan, grid.warmth * CELSIUS_STEP).T
        first += grid.steps
    battery = np.concatenate([grid.battery for grid in grids], axis=1).astype(np.float64)
    seen = np.isfinite(volts).any(axis=1)
    return PackHistory(
        pack=pack,
        labels=labels,
        step=float(max(grid.step for grid in grids if grid.steps)),
        t=np.concatenate([grid.times() for grid in grids])[seen],
        voltages=volts[seen],
        temperatures=warmth[seen],
        current_a=battery[0, seen],
        soc_percent=battery[1, seen],
        power_w=battery[2, seen],
        known=past.known,
    )
