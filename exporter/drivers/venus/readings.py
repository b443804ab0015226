"""Gathers the readings of one device: numbers, what is missing, and what cannot be used."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from exporter.drivers.venus.not_available import is_not_available, other_unit
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

    def take(self, name: str, raw: Any) -> float:
        """Record a JSON value; returns it as a number, NaN if it cannot be used."""
        kind = raw.__class__
        if kind is float:
            return self.put(name, raw)
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

    def put(self, name: str, value: float) -> float:
        """Record a number; returns it, or NaN if it cannot be used."""
        if math.isnan(value) or is_not_available(name, value, self.device_class):
            value = MISSING
        elif not QUANTITIES[name].plausible(value):
            hint = other_unit(name, value)
            self.implausible.append(Implausible(self.device, name, value, hint=hint))
            value = MISSING
        self.readings[name] = value
        return value

    def fall_back(self, name: str, raw: Any) -> None:
        """Record a JSON value from a second source where the first has none."""
        if not self.rejected(name) and math.isnan(self.readings.get(name, MISSING)):
            self.take(name, raw)

    def take_total(self, name: str, raws: Iterable[Any]) -> float:
        """Record the sum of the JSON values that exist; without one of a wrong type, which would
        leave a part out."""
        values = []
        for raw in raws:
            if is_wrong_type(raw):
                return self.take(name, raw)
            values.append(number(raw))
        return self.put(name, total(values))

    def rejected(self, name: str) -> bool:
        """Whether a value for that quantity was there and could not be used."""
        return any(item.quantity == name for item in self.implausible)


def total(values: Iterable[float]) -> float:
    """Sum of the values that exist; NaN where none does, infinite where one is or it overflows."""
    known = [v for v in values if not math.isnan(v)]
    if not known:
        return MISSING
    return math.fsum(known) if all(abs(v) < _HUGE for v in known) else math.inf
