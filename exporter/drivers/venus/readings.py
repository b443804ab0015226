"""Gathers the readings of one device: numbers, what is missing, and what cannot be used."""

from __future__ import annotations

import functools
import math
import sys
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from exporter.drivers.venus.not_available import (
    is_not_available,
    not_available_edges,
    other_unit,
)
from exporter.drivers.venus.values import flag, is_wrong_type, number, shown
from exporter.model.quantities import QUANTITIES, RollupKind
from exporter.model.snapshot import MISSING, Implausible

_HUGE = 1e300


@dataclass(slots=True)
class Collector:
    """Readings of one device, by quantity name.

    Attributes
    ----------
    device : str
        Its id.
    device_class : str
        Its service class, which decides what means "not available".
    """

    device: str
    device_class: str
    readings: dict[str, float] = field(default_factory=dict)
    implausible: list[Implausible] = field(default_factory=list)
    _limits: Mapping[str, _Limits] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._limits = _limits_of(self.device_class)

    def take(self, name: str, raw: Any) -> float:
        """Record a JSON value; returns it as a number, NaN if it cannot be used."""
        kind = raw.__class__
        if kind is float or kind is int:
            low, high, edges = self._limits[name]
            # NaN fails both comparisons.
            if low <= raw <= high and not (edges and bisect_left(edges, raw) & 1):
                value = self.readings[name] = float(raw)
                return value
            return self.put(name, number(raw))
        if raw is None or (kind is list and not raw):
            self.readings[name] = MISSING
            return MISSING
        row = QUANTITIES[name]
        read = flag if row.kind is RollupKind.STATE and row.maximum == 1 else number
        if is_wrong_type(raw) and math.isnan(read(raw)):
            self.implausible.append(Implausible(self.device, name, MISSING, shown(raw)))
            self.readings[name] = MISSING
            return MISSING
        return self.put(name, read(raw))

    def take_all(self, paths: Mapping[str, str], tree: Mapping[str, Any]) -> None:
        """Record the values of a tree at paths, by quantity; one without its path is missing."""
        limits, readings = self._limits, self.readings
        for name, path in paths.items():
            raw: Any = tree.get(path)
            kind = raw.__class__
            if kind is float or kind is int:
                low, high, edges = limits[name]
                if low <= raw <= high and not (edges and bisect_left(edges, raw) & 1):
                    readings[name] = float(raw)
                    continue
            self.take(name, raw)

    def put(self, name: str, value: float) -> float:
        """Record a number; returns it, or NaN if it cannot be used."""
        if value != value:  # noqa: PLR0124 - NaN, and cheaper than asking
            self.readings[name] = MISSING
            return MISSING
        low, high, edges = self._limits[name]
        if low <= value <= high and not (edges and bisect_left(edges, value) & 1):
            self.readings[name] = value
            return value
        if is_not_available(name, value, self.device_class):
            value = MISSING
        elif not QUANTITIES[name].plausible(value):
            hint = other_unit(name, value)
            self.implausible.append(Implausible(self.device, name, value, hint=hint))
            value = MISSING
        self.readings[name] = value
        return value

    def fall_back(self, name: str, raw: Any) -> None:
        """Record a JSON value from a second source where the first has none."""
        value = self.readings.get(name, MISSING)
        if value != value and not self.rejected(name):  # noqa: PLR0124 - NaN
            self.take(name, raw)

    def take_total(self, name: str, raws: Iterable[Any]) -> float:
        """Record the sum of the JSON values that exist; without one of a wrong type, which would
        leave a part out."""
        values = []
        for raw in raws:
            kind = raw.__class__
            if kind is float:
                values.append(raw)
                continue
            if raw is None or (kind is list and not raw):
                continue
            if is_wrong_type(raw):
                return self.take(name, raw)
            values.append(number(raw))
        return self.put(name, total(values))

    def rejected(self, name: str) -> bool:
        """Whether a value for that quantity was there and could not be used."""
        return any(item.quantity == name for item in self.implausible)


_Limits = tuple[float, float, list[float]]


@functools.cache
def _limits_of(device_class: str) -> Mapping[str, _Limits]:
    """Lowest and highest plausible value of each quantity, and between them the edges of what a
    device of that class writes where it has no value."""
    found = {}
    for name, row in QUANTITIES.items():
        low, high = max(row.minimum, -sys.float_info.max), min(row.maximum, sys.float_info.max)
        found[name] = (low, high, not_available_edges(name, device_class, low, high))
    return found


def total(values: Iterable[float]) -> float:
    """Sum of the values that exist; NaN where none does, infinite where one is or it overflows."""
    known = [v for v in values if v == v]  # noqa: PLR0124 - not NaN
    if not known:
        return MISSING
    return math.fsum(known) if min(known) > -_HUGE and max(known) < _HUGE else math.inf
