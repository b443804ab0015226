"""Numbers that devices write where they have no value. Data, by quantity and class of device.

Sources: Victron's D-Bus and Modbus path lists (sentinels of 8, 16 and 32 bits, with their scales),
dbus-serialbattery, and public reports of BMS that do not measure what they publish.
"""

from __future__ import annotations

import bisect
import functools
import math
from dataclasses import dataclass

# Registers whose bits are all ones, or whose sign bit alone is one, with the usual scales.
_U16 = (65535.0, 6553.5, 655.35, 65.535)
_I16 = (32767.0, 3276.7, 327.67, 32.767, -32768.0, -3276.8, -327.68, -32.768)
_U32 = (4294967295.0, 429496729.5, 2147483647.0, -2147483648.0)
_BYTE = (255.0,)
_NEGATIVE = (-1.0,)


@dataclass(frozen=True, slots=True)
class NotAvailable:
    """Numbers that mean "not available".

    Attributes
    ----------
    values : tuple of float
        Compared within two steps of a 32-bit float, since some devices round.
    quantities : tuple of str
        Where they mean it.
    classes : tuple of str
        Service classes that write them; empty is any.
    """

    values: tuple[float, ...]
    quantities: tuple[str, ...]
    classes: tuple[str, ...] = ()


_TEMPERATURES = ("temperature_c", "cell_min_temperature_c", "cell_max_temperature_c")
_CELL_VOLTS = ("cell_min_v", "cell_max_v")
_COUNTS = (
    "cell_count",
    "modules_online",
    "modules_offline",
    "modules_blocking_charge",
    "modules_blocking_discharge",
    "cycles",
)
_LIMITS = ("charge_limit_a", "discharge_limit_a")
_ENERGIES = ("charged_kwh", "discharged_kwh", "grid_import_kwh", "grid_export_kwh")

NOT_AVAILABLE: tuple[NotAvailable, ...] = (
    # A battery without any health left does not run; BMS that do not compute it write 0.
    NotAvailable((0.0, *_NEGATIVE, *_BYTE, *_U16, *_I16), ("soh_percent",)),
    NotAvailable((*_NEGATIVE, *_BYTE, *_U16, *_I16), ("soc_percent", "minimum_soc_percent")),
    # 0 K, also as 32-bit float and rounded, and -40 of a BMS whose probe is not connected.
    NotAvailable((-273.15, -273.0, *_BYTE, *_U16, *_I16), _TEMPERATURES),
    NotAvailable((-40.0,), _TEMPERATURES, classes=("battery", "system")),
    # Ten days: more than ten, or not discharging.
    NotAvailable((864000.0, 863999.9375, *_NEGATIVE, *_U16, *_U32), ("time_to_go_s",)),
    NotAvailable((*_NEGATIVE, 65535.0, 6553.5, 655.35, 32767.0, 3276.7), ("voltage_v",)),
    NotAvailable((*_NEGATIVE, *_U16, 32.767, 32767.0, *_BYTE), _CELL_VOLTS),
    NotAvailable((65535.0, 6553.5, 32767.0, 3276.7, -32768.0, -3276.8), ("current_a",)),
    NotAvailable((65535.0, 32767.0, -32768.0, *_U32), ("power_w",), classes=("battery",)),
    NotAvailable((*_NEGATIVE, 65535.0, *_BYTE, *_U32), _COUNTS, classes=("battery",)),
    NotAvailable((0.0, *_NEGATIVE, 65535.0, 6553.5, *_U32), ("capacity_ah",)),
    NotAvailable((65535.0, 6553.5, 32767.0, *_U32), ("consumed_ah",)),
    NotAvailable((*_NEGATIVE, 65535.0, 6553.5, 32767.0, 3276.7), _LIMITS),
    # Registers of 16 bits stop there; a counter of energy that stands still measures nothing.
    NotAvailable((*_NEGATIVE, 6553.5, 65535.0, *_U32), _ENERGIES),
    NotAvailable(
        (*_NEGATIVE, 65535.0, 6553.5, 655.35),
        ("grid_frequency_hz", "ac_input_frequency_hz", "grid_voltage_v", "ac_input_voltage_v"),
    ),
)


@functools.cache
def not_available_edges(
    quantity: str, device_class: str, low: float = -math.inf, high: float = math.inf
) -> list[float]:
    """Ascending edges of the numbers that mean "not available", two for each stretch of them.

    A value from ``low`` to ``high`` lies in one where :func:`bisect.bisect_left` finds it after an
    odd number of edges. Stretches beyond are left out.
    """
    values = {
        value
        for row in NOT_AVAILABLE
        if quantity in row.quantities and (not row.classes or device_class in row.classes)
        for value in row.values
    }
    edges: list[float] = []
    # Two steps of a 32-bit float to either side. Those of neighbours overlap, as at 864000.
    for begin, end in sorted((v - abs(v) * 2.0**-22, v + abs(v) * 2.0**-22) for v in values):
        if edges and begin <= edges[-1]:
            edges[-1] = max(edges[-1], end)
        else:
            edges += [math.nextafter(begin, -math.inf), end]
    pairs = zip(edges[::2], edges[1::2], strict=True)
    return [edge for pair in pairs if pair[1] >= low and pair[0] <= high for edge in pair]


def is_not_available(quantity: str, value: float, device_class: str) -> bool:
    """Whether a number is what a device of that class writes where it has none."""
    return bool(bisect.bisect_left(not_available_edges(quantity, device_class), value) & 1)


@dataclass(frozen=True, slots=True)
class OtherUnit:
    """A range of implausible values that another unit explains; named, never converted."""

    quantities: tuple[str, ...]
    minimum: float
    maximum: float
    hint: str


OTHER_UNITS: tuple[OtherUnit, ...] = (
    OtherUnit(_TEMPERATURES, 213.0, 404.0, "looks like kelvin"),
    OtherUnit(_CELL_VOLTS, 500.0, 5000.0, "looks like millivolts"),
    OtherUnit(("voltage_v",), 5000.0, 1_000_000.0, "looks like millivolts"),
    OtherUnit(("grid_frequency_hz", "ac_input_frequency_hz"), 400.0, 700.0, "looks like 0.1 Hz"),
    OtherUnit(("grid_frequency_hz", "ac_input_frequency_hz"), 4000.0, 7000.0, "looks like 0.01 Hz"),
    OtherUnit(("soc_percent", "soh_percent"), 200.0, 1000.0, "looks like 0.1 %"),
)


def other_unit(quantity: str, value: float) -> str:
    """The hint for an implausible value, empty where no other unit explains it."""
    for row in OTHER_UNITS:
        if quantity in row.quantities and row.minimum <= value <= row.maximum:
            return row.hint
    return ""
