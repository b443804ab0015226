"""Cells of a pack in a quarter of their memory, with the same values.

Devices write voltages to a tenth of a millivolt and temperatures to a hundredth of a degree at
most, so that a cell takes two numbers of 16 bits. A pack of which any value does not come out of
them bit by bit keeps all of its values as they are.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from exporter.model.snapshot import Cells

FloatArray = NDArray[np.float64]

# Steps in a volt and in a degree, and the step that is written as 0.
_SCALE = np.array([[10_000.0], [100.0]])
_LOWEST = np.array([[0.0], [-30_000.0]])
_MISSING = 65_535
_LARGEST = 400.0
"""Well above what steps can say, of either."""
_STEPS_BYTES = 4
"""Of a cell whose values are written as steps; else it has two floats of 8 bytes."""


@dataclass(frozen=True, slots=True)
class PackedCells:
    """As :class:`exporter.model.snapshot.Cells`; ``data`` is made by :func:`pack_cells`."""

    labels: tuple[str, ...]
    data: bytes

    @property
    def voltages_v(self) -> array[float]:
        """V, NaN where missing."""
        return array("d", self._values()[0].tobytes())

    @property
    def temperatures_c(self) -> array[float]:
        """°C, NaN where missing."""
        return array("d", self._values()[1].tobytes())

    def _values(self) -> FloatArray:
        count = len(self.labels)
        if len(self.data) > _STEPS_BYTES * count:
            return np.frombuffer(self.data, np.float64).reshape(2, count)
        return _floats(np.frombuffer(self.data, np.uint16).reshape(2, count))


def pack_cells(cells: Cells | PackedCells) -> PackedCells:
    """The same cells, packed."""
    if isinstance(cells, PackedCells):
        return cells
    values = np.empty((2, len(cells.labels)))
    values[0], values[1] = cells.voltages_v, cells.temperatures_c
    return PackedCells(cells.labels, _steps(values) or values.tobytes())


def _steps(values: FloatArray) -> bytes | None:
    """Values as steps; None where one of them is lost by it."""
    missing = np.isnan(values)
    if not values.size or np.abs(values).max(initial=0.0, where=~missing) > _LARGEST:
        return None
    steps = np.rint(values * _SCALE) - _LOWEST
    some_missing = missing.any()
    if some_missing:
        steps[missing] = _MISSING
    if not (steps.min() >= 0 and steps.max() <= _MISSING):
        return None
    written = steps.astype(np.uint16)
    same = _floats(written).view(np.int64) == values.view(np.int64)
    if some_missing:
        same |= missing
    return written.tobytes() if same.all() else None


def _floats(steps: NDArray[np.uint16]) -> FloatArray:
    found: FloatArray = (steps + _LOWEST) / _SCALE
    missing = steps == _MISSING
    if missing.any():
        found[missing] = np.nan
    return found
