"""Quantities that files can hold, their units, and the limits of physics."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from exporter.model.quantities import (
    CELL_CELSIUS,
    CELL_VOLTS,
    METER_QUANTITIES,
    QUANTITIES,
    RollupKind,
)

Floats = NDArray[np.float64]

TAGS = {"cell": ("pack", "cell"), "battery": ("device",), "meter": ("meter",), "site": ()}
"""Tags of each measurement besides ``site``, as in docs/influxdb.md."""


@dataclass(frozen=True, slots=True)
class StoredQuantity:
    """A quantity in a measurement, with its unit and its physical limits, both inclusive."""

    measurement: str
    field: str
    unit: str
    minimum: float
    maximum: float
    counter: bool = False

    @property
    def name(self) -> str:
        """``measurement.field``."""
        return f"{self.measurement}.{self.field}"


@dataclass(frozen=True, slots=True)
class Conversion:
    """From the unit of a file to that of the schema: (value * times / over) + plus."""

    unit: str
    times: float = 1.0
    over: float = 1.0
    plus: float = 0.0

    def apply(self, values: Floats) -> Floats:
        """The values in the schema's unit; NaN stays NaN."""
        if self == Conversion(self.unit):
            return values
        # Dividing by 1000 gives the float that is nearest to 3.312; a factor of 0.001 does not.
        converted = values * self.times / self.over
        return np.round(converted + self.plus, 9) if self.plus else converted


_KINDS = {
    f"cell.{name}": StoredQuantity("cell", name, unit, *limits)
    for name, unit, limits in (
        ("voltage_v", "V", CELL_VOLTS),
        ("temperature_c", "°C", CELL_CELSIUS),
    )
} | {
    f"{q.measurement.value}.{q.name}": StoredQuantity(
        q.measurement.value, q.name, q.unit, q.minimum, q.maximum, q.kind is RollupKind.COUNTER
    )
    for q in (*QUANTITIES.values(), *METER_QUANTITIES.values())
}

_UNITS: dict[str, dict[str, tuple[float, float, float]]] = {
    "V": {"V": (1, 1, 0), "mV": (1, 1000, 0), "kV": (1000, 1, 0)},
    "A": {"A": (1, 1, 0), "mA": (1, 1000, 0), "kA": (1000, 1, 0)},
    "W": {"W": (1, 1, 0), "kW": (1000, 1, 0), "MW": (1e6, 1, 0)},
    "kWh": {"Wh": (1, 1000, 0), "kWh": (1, 1, 0), "MWh": (1000, 1, 0)},
    "Ah": {"Ah": (1, 1, 0), "mAh": (1, 1000, 0)},
    "Hz": {"Hz": (1, 1, 0), "mHz": (1, 1000, 0)},
    "%": {"%": (1, 1, 0), "ratio": (100, 1, 0)},
    "°C": {"°C": (1, 1, 0), "C": (1, 1, 0), "K": (1, 1, -273.15), "F": (5, 9, -160 / 9)},
    "s": {"s": (1, 1, 0), "min": (60, 1, 0), "h": (3600, 1, 0)},
    "": {"1": (1, 1, 0), "": (1, 1, 0)},
}
_MUST_BE_SAID = ("W", "kWh")
_IN_HEADER = re.compile(
    r"(?:[\[(]\s*(?:(?:in|en) )?([^\])]{1,6}?)\s*[\])](?:\W.*)?"
    r"|[_ /]([A-Za-z°%]{1,4})|\s(?:in|/)\s+(\S{1,6}))\s*$"
)


def kind(name: str) -> StoredQuantity:
    """The quantity of that name.

    Raises
    ------
    ValueError
        Naming those that exist in its measurement.
    """
    if name in _KINDS:
        return _KINDS[name]
    measurement = name.partition(".")[0]
    near = [k for k in _KINDS if k.startswith(measurement + ".")] or ["cell.voltage_v"]
    raise ValueError(f"there is no quantity {name!r}; expected one such as {', '.join(near)}")


def conversion(quantity: StoredQuantity, unit: str | None, *, negate: bool = False) -> Conversion:
    """How values in a unit become the schema's.

    None stands for the schema's unit, except for powers and energies: a kilowatt that is taken
    for a watt lies within physics, so their conversion is empty until the unit is known.

    Raises
    ------
    ValueError
        For a unit that the quantity cannot have.
    """
    table = _UNITS[quantity.unit]
    if unit is None:
        if quantity.unit in _MUST_BE_SAID:
            return Conversion("", -1.0 if negate else 1.0)
        unit = quantity.unit
    if unit not in table:
        raise ValueError(f"{quantity.name} cannot be in {unit!r}; one of: {', '.join(table)}")
    times, over, plus = table[unit]
    sign = -1.0 if negate else 1.0
    return Conversion(unit or "1", sign * times, float(over), sign * plus)


_SPELLINGS = {"kwh": "kWh", "wh": "Wh", "volt": "V", "volts": "V", "ampere": "A"}
_SPELLINGS |= {"amps": "A", "watt": "W", "watts": "W", "kw": "kW", "ºc": "°C", "degc": "°C"}
_SPELLINGS |= {"kwatt": "kW", "celsius": "°C", "kwh/h": "kW", "deg c": "°C", "\u2103": "°C"}
_OTHERS: tuple[str, ...] = (
    "min",
    "s",
    "h",
    "ms",
    "m",
    "VA",
    "kVA",
    "var",
    "kvar",
    "Var",
    "kVAr",
    "kVArh",
    "m³",
)
_OTHERS += ("EUR", "€", "$", "ct", "EUR/kWh", "dd.mm.yyyy", "hh:mm", "kg", "bar", "rpm", "min-1")


def unit_named(quantity: StoredQuantity, text: str) -> str | None:
    """The unit of a quantity that a text names, in its usual spellings; None for another text.

    Only a capital distinguishes mW from MW, so those two must be written as they are.
    """
    table = _UNITS[quantity.unit]
    text = text.strip()
    if text in table:
        return text
    if text.casefold() in _SPELLINGS and _SPELLINGS[text.casefold()] in table:
        return _SPELLINGS[text.casefold()]
    same = [u for u in table if u.lower() == text.lower() and u not in ("mW", "MW", "MWh")]
    return same[0] if len(same) == 1 else None


def is_unit(text: str) -> bool:
    """Whether a text is a unit of something that loggers write."""
    known = {unit for table in _UNITS.values() for unit in table if unit} - {"1", "ratio"}
    return text in known or text in _OTHERS or text.casefold() in _SPELLINGS


def unit_in_header(quantity: StoredQuantity, heading: str) -> str | None:
    """The unit that a heading ends in, such as ``P [kW]``, ``value_kW``; None if it names none."""
    whole = unit_named(quantity, heading)
    if whole is not None:
        return whole
    unit = _text_in_header(heading)
    return None if unit is None else unit_named(quantity, unit)


def any_unit_in_header(heading: str) -> str | None:
    """The unit that a heading ends in, of whatever quantity; None if it names none."""
    unit = _text_in_header(heading)
    return unit if unit is not None and is_unit(unit) else None


def _text_in_header(heading: str) -> str | None:
    found = _IN_HEADER.search(heading)
    return (found[1] or found[2] or found[3]) if found else None


def fitting_units(quantity: StoredQuantity, values: Floats) -> list[str]:
    """Units in which nine tenths of some values would lie within the limits of physics."""
    fitting = []
    for unit in _UNITS[quantity.unit]:
        converted = conversion(quantity, unit).apply(values)
        inside = (converted >= quantity.minimum) & (converted <= quantity.maximum)
        if inside.mean() >= 0.9:
            fitting.append(unit)
    return fitting
