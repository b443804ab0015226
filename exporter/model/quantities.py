"""The one table of everything that is measured: name, unit, physical limits and meaning.

A name is the InfluxDB field and carries its unit as a suffix. Drivers, the sink, the metrics and
the generated documents all read this table, so that a quantity has one spelling.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class Measurement(StrEnum):
    """The InfluxDB measurement that a quantity is stored in."""

    SITE = "site"
    BATTERY = "battery"
    METER = "meter"


class Kind(StrEnum):
    """What a signal is, and with that what a roll-up keeps of it.

    Every field of a roll-up is the raw field's name with one of the suffixes below.
    """

    MEASURED = "measured"
    VOLTAGE = "voltage"
    TEMPERATURE = "temperature"
    FLAG = "flag"
    STATE = "state"
    COUNTER = "counter"


KEPT: Mapping[Kind, tuple[str, ...]] = MappingProxyType(
    {
        Kind.MEASURED: ("min", "max", "mean"),
        Kind.VOLTAGE: ("min", "max", "mean", "p1", "p99"),
        Kind.TEMPERATURE: ("min", "max"),
        Kind.FLAG: ("max",),
        Kind.STATE: ("min", "max"),
        Kind.COUNTER: ("increase", "last"),
    }
)


@dataclass(frozen=True, slots=True)
class Quantity:
    """One measured quantity.

    Attributes
    ----------
    name : str
        InfluxDB field name, with the unit as its suffix.
    measurement : Measurement
        Where it is stored, and with that whether it belongs to a site or to a battery of it.
    unit : str
        Unit as a person reads it; empty for states and counts.
    minimum, maximum : float
        Physical limits, both inclusive. A value outside is implausible: counted, never scored.
    meaning : str
        One sentence, with the sign convention where there is one.
    kind : Kind
        What a roll-up keeps of it.
    """

    name: str
    measurement: Measurement
    unit: str
    minimum: float
    maximum: float
    meaning: str
    kind: Kind = Kind.MEASURED

    def plausible(self, value: float) -> bool:
        """Whether a finite value lies within the physical limits."""
        return math.isfinite(value) and self.minimum <= value <= self.maximum


_S, _B = Measurement.SITE, Measurement.BATTERY
_POWER = 2e8
CELL_VOLTS = (0.5, 5.0)
CELL_CELSIUS = (-60.0, 130.0)

_TABLE = (
    Quantity(
        "grid_power_w",
        _S,
        "W",
        -_POWER,
        _POWER,
        "Power at the grid connection, summed over the phases; positive when importing",
    ),
    Quantity("grid_frequency_hz", _S, "Hz", 40, 70, "Frequency of the grid at the AC input"),
    Quantity(
        "grid_voltage_v",
        _S,
        "V",
        0,
        1000,
        "Mean phase voltage of the grid at the AC input",
        Kind.VOLTAGE,
    ),
    Quantity(
        "grid_voltage_min_v", _S, "V", 0, 1000, "Lowest phase voltage of the grid", Kind.VOLTAGE
    ),
    Quantity(
        "grid_voltage_max_v", _S, "V", 0, 1000, "Highest phase voltage of the grid", Kind.VOLTAGE
    ),
    Quantity(
        "grid_connected", _S, "", 0, 1, "1 with grid at the AC input, 0 when it is lost", Kind.STATE
    ),
    Quantity(
        "grid_import_kwh", _S, "kWh", 0, 1e9, "Energy counter of the meter: imported", Kind.COUNTER
    ),
    Quantity(
        "grid_export_kwh", _S, "kWh", 0, 1e9, "Energy counter of the meter: exported", Kind.COUNTER
    ),
    Quantity("genset_power_w", _S, "W", -_POWER, _POWER, "Power delivered by the generator"),
    Quantity("load_power_w", _S, "W", -_POWER, _POWER, "AC consumption, summed over the phases"),
    Quantity("pv_power_w", _S, "W", -_POWER, _POWER, "PV power, DC-coupled plus AC-coupled"),
    Quantity("pv_dc_power_w", _S, "W", -_POWER, _POWER, "PV power of the DC-coupled chargers"),
    Quantity("pv_ac_power_w", _S, "W", -_POWER, _POWER, "PV power of the AC-coupled inverters"),
    Quantity(
        "pv_disabled", _S, "", 0, 1, "1 while the site's controller holds the PV back", Kind.STATE
    ),
    Quantity("system_state", _S, "", 0, 1023, "State number of the site's controller", Kind.STATE),
    Quantity("soc_percent", _B, "%", 0, 100, "State of charge"),
    Quantity("soh_percent", _B, "%", 0, 100, "State of health, as the battery reports it"),
    Quantity("voltage_v", _B, "V", 0, 2000, "Battery voltage", Kind.VOLTAGE),
    Quantity("current_a", _B, "A", -20000, 20000, "Battery current; positive when charging"),
    Quantity("power_w", _B, "W", -_POWER, _POWER, "Battery power; positive when charging"),
    Quantity("temperature_c", _B, "°C", -60, 130, "Battery temperature", Kind.TEMPERATURE),
    Quantity("cell_min_v", _B, "V", *CELL_VOLTS, "Voltage of the lowest cell", Kind.VOLTAGE),
    Quantity("cell_max_v", _B, "V", *CELL_VOLTS, "Voltage of the highest cell", Kind.VOLTAGE),
    Quantity("cell_spread_v", _B, "V", 0, 5, "Highest minus lowest cell voltage", Kind.VOLTAGE),
    Quantity(
        "cell_min_temperature_c",
        _B,
        "°C",
        *CELL_CELSIUS,
        "Temperature of the coldest cell",
        Kind.TEMPERATURE,
    ),
    Quantity(
        "cell_max_temperature_c",
        _B,
        "°C",
        *CELL_CELSIUS,
        "Temperature of the hottest cell",
        Kind.TEMPERATURE,
    ),
    Quantity("cell_count", _B, "", 1, 100000, "Cells in series that the battery reports"),
    Quantity("modules_online", _B, "", 0, 10000, "Modules online"),
    Quantity("modules_offline", _B, "", 0, 10000, "Modules offline", Kind.FLAG),
    Quantity("modules_blocking_charge", _B, "", 0, 10000, "Modules that block charging", Kind.FLAG),
    Quantity(
        "modules_blocking_discharge", _B, "", 0, 10000, "Modules that block discharging", Kind.FLAG
    ),
    Quantity("capacity_ah", _B, "Ah", 0, 1e6, "Capacity that the battery reports"),
    Quantity("consumed_ah", _B, "Ah", -1e6, 1e6, "Charge taken since full, as reported"),
    Quantity("time_to_go_s", _B, "s", 0, 863999, "Time until empty at the present load"),
    Quantity("charge_limit_a", _B, "A", 0, 20000, "Highest charge current that the BMS allows"),
    Quantity(
        "discharge_limit_a", _B, "A", 0, 20000, "Highest discharge current that the BMS allows"
    ),
    Quantity("cycles", _B, "", 0, 1e6, "Charge cycles that the battery has counted", Kind.COUNTER),
    Quantity(
        "charged_kwh", _B, "kWh", 0, 1e9, "Energy counter of the battery: charged", Kind.COUNTER
    ),
    Quantity(
        "discharged_kwh",
        _B,
        "kWh",
        0,
        1e9,
        "Energy counter of the battery: discharged",
        Kind.COUNTER,
    ),
)

QUANTITIES: dict[str, Quantity] = {quantity.name: quantity for quantity in _TABLE}
SITE_QUANTITIES = tuple(q.name for q in _TABLE if q.measurement is Measurement.SITE)
BATTERY_QUANTITIES = tuple(q.name for q in _TABLE if q.measurement is Measurement.BATTERY)

METER_QUANTITIES: dict[str, Quantity] = {
    quantity.name: quantity
    for quantity in (
        Quantity(
            "active_power_w",
            Measurement.METER,
            "W",
            -_POWER,
            _POWER,
            "Active power of a meter, in the meter's own sense of sign",
        ),
        Quantity("power_factor", Measurement.METER, "", -1, 1, "Power factor of a meter"),
        Quantity(
            "energy_import_kwh",
            Measurement.METER,
            "kWh",
            0,
            1e9,
            "Energy counter of a meter, in",
            Kind.COUNTER,
        ),
        Quantity(
            "energy_export_kwh",
            Measurement.METER,
            "kWh",
            0,
            1e9,
            "Energy counter of a meter, out",
            Kind.COUNTER,
        ),
    )
}
"""What imported meter files hold; no live site gives these, so no score and no gauge reads them."""
