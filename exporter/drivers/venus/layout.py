"""Layouts of device trees: which paths mean what, worked out once for all trees with those paths.

The paths of a device's tree do not change from scrape to scrape, and devices of one kind have the
same ones. So the search for cells, alarms and mappings among hundreds of paths is done for the
first tree, and the next ones are read at the places that it found.
"""

from __future__ import annotations

import functools
import re
from array import array
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import numpy as np

from exporter.drivers.venus.not_available import not_available_edges
from exporter.model.quantities import CELL_CELSIUS, CELL_VOLTS
from exporter.model.snapshot import Cells

# Far above what any site has; without limits a site that is out of its mind fills the storage of
# all with series. Lynx packs have at most 16 cells each, serial batteries 32 or so.
MOST_CELLS = 2048
# Layouts that are kept; a site that makes up paths pushes out those of others, which costs time.
_MOST_LAYOUTS = 512

# dbus-serialbattery writes Voltages/Cell3 (format 1) or Cell/3/Volts (format 2); Lynx BMS NG
# writes Battery/1/Cell/3/Voltage.
CELL_VOLTAGE = re.compile(
    r"(?:Voltages/Cell(\d{1,5})|Cell/(\d{1,5})/Volts|Battery/(\d{1,5})/Cell/(\d{1,5})/Voltage)\Z"
)
CELL_TEMPERATURE = re.compile(
    r"(?:Temperatures/Cell(\d{1,5})|Cell/(\d{1,5})/Temperature"
    r"|Battery/(\d{1,5})/Cell/(\d{1,5})/Temperature)\Z"
)
# Single cells have the same marks for "not available" as the extremes of their pack.
LIKE = {"voltage_v": "cell_max_v", "temperature_c": "cell_max_temperature_c"}
_NUMBERS = frozenset({float, int})

Cell = tuple[int, ...]
Pick = Callable[[list[Any]], tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Extremes:
    """Lowest and highest values of the cells of a pack, NaN without any."""

    low_v: float
    high_v: float
    low_c: float
    high_c: float


@dataclass(frozen=True, slots=True)
class _CellPlaces:
    """Where the cells of a tree are, in the order of the cells; ``None`` where it has no such."""

    labels: tuple[str, ...]
    volts: Pick | None
    celsius: Pick | None


@dataclass(frozen=True, slots=True)
class Layout:
    """What the paths of a tree mean.

    Attributes
    ----------
    alarms : tuple of str
        Paths that may hold an alarm.
    mappings : tuple of str
        Paths of the system's ``ServiceMapping``.
    has_cells : bool
    """

    alarms: tuple[str, ...]
    mappings: tuple[str, ...]
    has_cells: bool
    _places: _CellPlaces | None

    def cells(self, tree: Mapping[str, Any]) -> tuple[Cells, Extremes] | None:
        """All cells of a tree, where every value is a plausible number; None where one is not.

        Parameters
        ----------
        tree : mapping
            With the paths of this layout, in their order.
        """
        places = self._places
        if places is None:
            return None
        values = list(tree.values())
        count = len(places.labels)
        volts = _usable(places.volts, values, count, CELL_VOLTS, "voltage_v")
        celsius = _usable(places.celsius, values, count, CELL_CELSIUS, "temperature_c")
        if volts is None or celsius is None:
            return None
        found = Cells(places.labels, volts[0], celsius[0])
        return found, Extremes(volts[1], volts[2], celsius[1], celsius[2])


def layout_of(tree: Mapping[str, Any]) -> Layout:
    """The layout of a tree."""
    return _layout(tuple(tree))


@functools.lru_cache(maxsize=_MOST_LAYOUTS)
def _layout(paths: tuple[str, ...]) -> Layout:
    return Layout(
        alarms=tuple(path for path in paths if "Alarms/" in path),
        mappings=tuple(path for path in paths if path.startswith("ServiceMapping/")),
        has_cells=any(cell_of(path) for path in paths),
        _places=_cell_places(paths),
    )


def cell_of(path: str) -> tuple[str, Cell] | None:
    """The quantity and the cell that a path is about; None for any other path."""
    if "Cell" not in path:
        return None
    for name, pattern in (("voltage_v", CELL_VOLTAGE), ("temperature_c", CELL_TEMPERATURE)):
        if match := pattern.match(path):
            return name, tuple(int(part) for part in match.groups() if part)
    return None


def cell_label(cell: Cell) -> str:
    """The label of a cell: ``3``, or ``1/3`` of the third cell of the first battery."""
    return "/".join(map(str, cell))


def _cell_places(paths: tuple[str, ...]) -> _CellPlaces | None:
    """Places of cells, where each has one path and all of them the same quantities."""
    places: dict[str, dict[Cell, int]] = {"voltage_v": {}, "temperature_c": {}}
    for place, path in enumerate(paths):
        found = cell_of(path)
        if found is None:
            continue
        name, cell = found
        if cell in places[name]:
            return None
        places[name][cell] = place
    volts, celsius = places["voltage_v"], places["temperature_c"]
    if not volts and not celsius:
        return None
    if volts and celsius and volts.keys() != celsius.keys():
        return None
    order = sorted(volts or celsius)
    # itemgetter returns no tuple for a single place, and what was cut has to be judged as well.
    if not 2 <= len(order) <= MOST_CELLS:
        return None
    labels = tuple(cell_label(cell) for cell in order)
    return _CellPlaces(
        labels,
        itemgetter(*(volts[cell] for cell in order)) if volts else None,
        itemgetter(*(celsius[cell] for cell in order)) if celsius else None,
    )


def _usable(
    pick: Pick | None, values: list[Any], count: int, limits: tuple[float, float], name: str
) -> tuple[array[float], float, float] | None:
    """The values of one quantity with their extremes; None where one of them is not usable."""
    if pick is None:
        return array("d", [np.nan]) * count, np.nan, np.nan
    raw = pick(values)
    if not _NUMBERS.issuperset(map(type, raw)):
        return None
    try:
        read = array("d", raw)
    except OverflowError:
        return None
    numbers = np.frombuffer(read)
    low, high = float(numbers.min()), float(numbers.max())
    # NaN fails every comparison.
    if not (limits[0] <= low and high <= limits[1]):
        return None
    edges = _edges(name)
    if len(edges) and (edges.searchsorted(numbers) & 1).any():
        return None
    return read, low, high


@functools.cache
def _edges(name: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Ascending edges: a plausible value after an odd number of them means "not available"."""
    low, high = CELL_VOLTS if name == "voltage_v" else CELL_CELSIUS
    edges = not_available_edges(LIKE[name], "battery")
    pairs = zip(edges[::2], edges[1::2], strict=True)
    return np.array([e for pair in pairs if pair[1] >= low and pair[0] <= high for e in pair])
