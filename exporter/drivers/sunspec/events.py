"""Events and states of SunSpec devices: their names, and how bad each is. Data.

Source: SunSpec Information Model Reference, symbols of ``Evt1``, ``Alrm``, ``St`` and ``State``.
"""

from __future__ import annotations

from collections.abc import Mapping

_WARNING, _ALARM = 1, 2

INVERTER_EVENTS: Mapping[int, tuple[str, int]] = {
    0: ("GroundFault", _ALARM),
    1: ("DcOverVoltage", _WARNING),
    2: ("AcDisconnected", _WARNING),
    3: ("DcDisconnected", _WARNING),
    4: ("GridDisconnected", _WARNING),
    5: ("CabinetOpen", _WARNING),
    6: ("ManualShutdown", _WARNING),
    7: ("OverTemperature", _ALARM),
    8: ("OverFrequency", _WARNING),
    9: ("UnderFrequency", _WARNING),
    10: ("AcOverVoltage", _WARNING),
    11: ("AcUnderVoltage", _WARNING),
    12: ("BlownStringFuse", _ALARM),
    13: ("UnderTemperature", _WARNING),
    14: ("MemoryLoss", _ALARM),
    15: ("HardwareTestFailure", _ALARM),
    16: ("ManufacturerAlarm", _ALARM),
}
"""Bits of ``Evt1`` of inverters and of ``Alrm`` of model 701: name and level."""

BATTERY_EVENTS: Mapping[int, tuple[str, int]] = {
    0: ("CommunicationError", _ALARM),
    1: ("OverTemperature", _ALARM),
    2: ("OverTemperature", _WARNING),
    3: ("UnderTemperature", _ALARM),
    4: ("UnderTemperature", _WARNING),
    5: ("OverChargeCurrent", _ALARM),
    6: ("OverChargeCurrent", _WARNING),
    7: ("OverDischargeCurrent", _ALARM),
    8: ("OverDischargeCurrent", _WARNING),
    9: ("OverVoltage", _ALARM),
    10: ("OverVoltage", _WARNING),
    11: ("UnderVoltage", _ALARM),
    12: ("UnderVoltage", _WARNING),
    13: ("LowSoc", _ALARM),
    14: ("LowSoc", _WARNING),
    15: ("HighSoc", _ALARM),
    16: ("HighSoc", _WARNING),
    17: ("VoltageImbalance", _WARNING),
    18: ("TemperatureImbalance", _ALARM),
    19: ("TemperatureImbalance", _WARNING),
    20: ("ContactorError", _ALARM),
    21: ("FanError", _ALARM),
    22: ("GroundFault", _ALARM),
    23: ("DoorOpen", _WARNING),
    24: ("CurrentImbalance", _WARNING),
    25: ("OtherAlarm", _ALARM),
    26: ("OtherWarning", _WARNING),
    28: ("Configuration", _ALARM),
    29: ("Configuration", _WARNING),
}
"""Bits of ``Evt1`` of model 802."""

FAULT_STATES: Mapping[str, int] = {"St": 7, "InvSt": 6, "State": 99}
"""Points of a state, and the value that means a fault."""

ASLEEP: Mapping[str, frozenset[float]] = {
    "St": frozenset({1.0, 2.0}),
    "InvSt": frozenset({0.0, 1.0}),
}
"""States in which an inverter measures nothing: off and sleeping."""

CHARGING, DISCHARGING = 4, 3
"""``ChaSt`` of storage."""


def levels(bits: int, table: Mapping[int, tuple[str, int]]) -> dict[str, int]:
    """Alarm name to level, of a bit field; 0 where no bit of the name is set."""
    found = dict.fromkeys((name for name, _ in table.values()), 0)
    for bit, (name, level) in table.items():
        if bits >> bit & 1:
            found[name] = max(found[name], level)
    return found
