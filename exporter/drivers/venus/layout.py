"""Layouts of device trees: which paths mean what, worked out once for all trees with those paths.

The paths of a device's tree do not change from scrape to scrape, and devices of one kind have the
same ones. So the search for cells, alarms and mappings among hundreds of paths is done for the
first tree, and the next ones are read at the places that it found.
"""

from __future__ import annotations

import functools
import re
import struct
from array import array
from bisect import bisect_left
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exporter.drivers.venus.not_available import not_available_edges
from exporter.model.quantities import CELL_CELSIUS, CELL_VOLTS
from exporter.model.snapshot import Cells

# Far above what any site has; without limits a site that is out of its mind fills the storage of
# all with series. Lynx packs have at most 16 cells each, serial batteries 32 or so.
MOST_CELLS = 2048
# Layouts that are kept; a site that makes up paths pushes out those of others, which costs time.
_MOST_LAYOUTS = 512
# Of services that the site does not list, such as the system itself.
_OTHER_LAYOUTS = 4

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
_FLOAT_BYTES = 8
_NUMBERS = frozenset({float, int})
_CONTAINERS = frozenset({list, dict})

FloatArray = NDArray[np.float64]
Cell = tuple[int, ...]
Pick = Callable[[list[Any]], Sequence[Any]]


@dataclass(frozen=True, slots=True)
class Extremes:
    """Lowest and highest values of the cells of a pack, NaN without any."""

    low_v: float
    high_v: float
    low_c: float
    high_c: float


@dataclass(frozen=True, slots=True)
class _CellPlaces:
    """Where the cells of a tree are, in the order of the cells.

    ``pick`` gives the values of all quantities that ``limits`` names, one after another, and
    ``packed`` makes floats of them as they lie in memory: in a third of the time of an array.
    """

    labels: tuple[str, ...]
    limits: tuple[tuple[float, float, list[float]] | None, ...]
    pick: Pick
    packed: Callable[..., bytes]


# Compared by identity: trees with the same paths have one layout.
@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """What the paths of a tree mean.

    Attributes
    ----------
    paths : tuple of str
        All of them, in their order.
    alarms : tuple of str
        Paths that may hold an alarm.
    mappings : tuple of str
        Paths of the system's ``ServiceMapping``.
    has_cells : bool
    """

    paths: tuple[str, ...]
    alarms: tuple[str, ...]
    mappings: tuple[str, ...]
    has_cells: bool
    _places: _CellPlaces | None
    _others: Pick

    def has_nested(self, values: list[Any]) -> bool:
        """Whether one of a tree's values is a filled list or object, leaving out those of cells
        that :meth:`cells` judges."""
        others = self._others(values)
        if _CONTAINERS.isdisjoint(map(type, others)):
            return False
        # Empty ones, as which the bridge writes no value, may stay.
        return any([v for v in others if v and v.__class__ in _CONTAINERS])  # noqa: C419 - quicker

    def cells(self, values: list[Any]) -> tuple[Cells, Extremes] | None:
        """All cells of a tree, where every value is a plausible number; None where one is not.

        Parameters
        ----------
        values : list
            Those of a tree with the paths of this layout, in their order.
        """
        places = self._places
        if places is None:
            return None
        raw = places.pick(values)
        try:
            read = places.packed(*raw)
        except (OverflowError, struct.error):
            return None
        count = len(places.labels)
        size = count * _FLOAT_BYTES
        numbers = np.frombuffer(read).reshape(-1, count)
        lows = np.minimum.reduce(numbers, axis=1).tolist()
        highs = np.maximum.reduce(numbers, axis=1).tolist()
        # Truth values came out as 0 and 1; a pack in frost has such numbers too.
        if not all([low > 1.0 for low in lows]) and not _NUMBERS.issuperset(map(type, raw)):  # noqa: C419 - quicker
            return None
        found: list[array[float]] = []
        extremes: list[float] = []
        row = 0
        for limits in places.limits:
            if limits is None:
                found.append(array("d", [np.nan]) * count)
                extremes += (np.nan, np.nan)
                continue
            if not _usable(numbers[row], lows[row], highs[row], limits):
                return None
            found.append(array("d", read[row * size : (row + 1) * size]))
            extremes += (lows[row], highs[row])
            row += 1
        return Cells(places.labels, *found), Extremes(*extremes)


def layout_of(tree: Mapping[str, Any]) -> Layout:
    """The layout of a tree."""
    return _layout(tuple(tree))


class LayoutMemory:
    """The layouts that the trees of one site had last, which they nearly always still have."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: dict[str, Layout] = {}

    def layout(self, service: str, tree: Mapping[str, Any]) -> Layout:
        """The layout of the tree of a service."""
        paths = tuple(tree)
        known = self._known.get(service)
        if known is None or known.paths != paths:
            known = self._known[service] = _layout(paths)
        return known

    def keep(self, services: Collection[str]) -> None:
        """Forget all services but these, once there are many others."""
        if len(self._known) <= len(services) + _OTHER_LAYOUTS:
            return
        self._known = {s: layout for s, layout in self._known.items() if s in services}


@functools.lru_cache(maxsize=_MOST_LAYOUTS)
def _layout(paths: tuple[str, ...]) -> Layout:
    places = _cell_places(paths)
    cells = frozenset(n for n, path in enumerate(paths) if places and cell_of(path))
    return Layout(
        paths=paths,
        alarms=tuple(path for path in paths if "Alarms/" in path),
        mappings=tuple(path for path in paths if path.startswith("ServiceMapping/")),
        has_cells=any(cell_of(path) for path in paths),
        _places=places,
        _others=_pick([n for n in range(len(paths)) if n not in cells]),
    )


def _pick(places: Sequence[int]) -> Pick:
    """The values at places of a list."""
    if places and list(places) == list(range(places[0], places[0] + len(places))):
        stretch = slice(places[0], places[0] + len(places))
        return lambda values: values[stretch]
    if len(places) > 1:
        return itemgetter(*places)
    return lambda values: tuple(values[place] for place in places)


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
    # A single cell is no pack, and what was cut has to be judged as well.
    if not 2 <= len(order) <= MOST_CELLS:
        return None
    labels = tuple(cell_label(cell) for cell in order)
    floats = len(order) * (bool(volts) + bool(celsius))
    return _CellPlaces(
        labels,
        (_limits("voltage_v") if volts else None, _limits("temperature_c") if celsius else None),
        _pick([of[cell] for of in (volts, celsius) if of for cell in order]),
        struct.Struct(f"{floats}d").pack,
    )


def _usable(
    numbers: FloatArray, low: float, high: float, limits: tuple[float, float, list[float]]
) -> bool:
    """Whether all values of one quantity, with these extremes, are readings."""
    minimum, maximum, edges = limits
    # NaN fails every comparison.
    if not (minimum <= low and high <= maximum):
        return False
    first, last = bisect_left(edges, low), bisect_left(edges, high)
    if first == last:
        return not first & 1
    return not (np.searchsorted(edges, numbers) & 1).any()


@functools.cache
def _limits(name: str) -> tuple[float, float, list[float]]:
    """Lowest and highest plausible value of a cell, and ascending edges: a plausible value after an
    odd number of them means "not available"."""
    low, high = CELL_VOLTS if name == "voltage_v" else CELL_CELSIUS
    return low, high, not_available_edges(LIKE[name], "battery", low, high)
