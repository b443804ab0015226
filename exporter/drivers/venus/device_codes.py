"""Error and state codes by class of device: what each means, and how bad it is. Data.

Sources: Victron's D-Bus path documentation and error lists (VE.Bus, MPPT, Lynx BMS), and the state
codes that Fronius publishes for its inverters. A code that no table has is reported as unknown and
never scored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum


class Level(IntEnum):
    """How bad a code is. Warning and alarm are the levels that devices use for their alarms."""

    STATE = -1
    """Part of normal work."""
    INFORMATION = 0
    """Worth knowing, no fault."""
    WARNING = 1
    ALARM = 2


@dataclass(frozen=True, slots=True)
class Code:
    """What a code means."""

    level: Level
    text: str


Codes = Mapping[int, Code]


def _codes(level: Level, texts: Mapping[int, str]) -> dict[int, Code]:
    return {number: Code(level, text) for number, text in texts.items()}


_VEBUS_ERRORS = _codes(
    Level.ALARM,
    {
        1: "off because another phase is off",
        2: "old and new devices are mixed",
        3: "not all expected devices were found",
        4: "no other device was found",
        5: "overvoltage at AC out",
        6: "error in a DDC program",
        7: "a BMS is connected, but no assistant for it",
        8: "the grounding relay test failed",
        10: "system time synchronisation failed",
        11: "the relay test failed",
        14: "a device cannot transmit data",
        16: "the dongle is missing",
        17: "the phase master is missing",
        18: "overvoltage on a slave",
        22: "this device cannot be a slave",
        24: "switch-over protection",
        25: "firmware of the devices differs",
        26: "internal error",
    },
)
_CHARGER_ERRORS = {
    **_codes(
        Level.ALARM,
        {
            1: "battery temperature too high",
            2: "battery voltage too high",
            17: "charger too hot",
            18: "charger over-current",
            19: "current polarity reversed",
            26: "terminals overheated",
            28: "power stage fault",
            33: "PV overvoltage",
            34: "PV over-current",
            38: "PV input shut down: battery overvoltage",
            39: "PV input shut down",
            67: "connection to the BMS lost",
            116: "factory calibration lost",
            119: "settings lost",
        },
    ),
    **_codes(
        Level.WARNING,
        {
            3: "battery temperature sensor fault",
            4: "battery temperature sensor fault",
            5: "battery temperature sensor not connected",
            6: "battery voltage sense fault",
            7: "battery voltage sense fault",
            8: "battery voltage sense not connected",
            9: "high loss in the battery wires",
            20: "bulk charging took too long",
            21: "current sensor fault",
            22: "charger temperature sensor fault",
            23: "charger temperature sensor fault",
            65: "another charger does not answer",
            66: "another charger is not compatible",
            68: "network is not configured right",
            114: "processor too hot",
            117: "firmware not compatible",
            118: "settings not compatible",
        },
    ),
}
_BATTERY_ERRORS = _codes(
    Level.ALARM,
    {
        1: "battery initialisation error",
        2: "no battery connected",
        3: "unknown battery connected",
        4: "battery type differs",
        5: "no battery configured",
        6: "BMS not found",
        11: "hardware fault",
        31: "contactor failed",
    },
)
_FRONIUS_ERRORS = {
    **_codes(
        Level.STATE,
        {
            306: "too little sun to feed in",
            307: "DC voltage too low to feed in, as at dusk",
            509: "nothing fed in for 24 hours",
            523: "intermediate circuit voltage too low",
        },
    ),
    **_codes(
        Level.WARNING,
        {
            101: "grid voltage out of range",
            102: "grid voltage too high",
            103: "grid voltage too low",
            104: "grid frequency out of range",
            105: "grid frequency too high",
            106: "grid frequency too low",
            107: "no AC grid",
            108: "islanding detected",
            112: "residual current",
            301: "over-current at AC",
            302: "over-current at DC",
            303: "DC stage too hot",
            304: "AC stage too hot",
            308: "intermediate circuit voltage too high",
            309: "DC voltage too high at tracker 1",
            313: "DC voltage too high at tracker 2",
            567: "power reduced for grid voltage",
            560: "power reduced for grid frequency",
        },
    ),
    **_codes(
        Level.ALARM,
        {
            401: "no communication with the power stage",
            406: "AC temperature sensor fault",
            407: "DC temperature sensor fault",
            408: "DC injected into the grid",
            443: "intermediate circuit fault",
            447: "insulation fault",
            502: "insulation too low",
        },
    ),
}
_INVERTER_STATES = {
    **_codes(
        Level.STATE,
        {
            1: "low power",
            3: "bulk",
            4: "absorption",
            5: "float",
            6: "storage",
            7: "equalise",
            8: "passthru",
            9: "inverting",
            10: "assisting",
            11: "power supply",
            244: "sustain",
            245: "starting",
            246: "absorbing again",
            247: "equalising",
            248: "battery safe",
            252: "external control",
            255: "not available",
        },
    ),
    0: Code(Level.INFORMATION, "is off"),
    2: Code(Level.ALARM, "fault"),
}
_CHARGER_STATES = {
    **_INVERTER_STATES,
    # At night every charger is off.
    0: Code(Level.STATE, "off"),
    11: Code(Level.STATE, "other"),
}
_BATTERY_STATES = {
    **_codes(Level.STATE, dict.fromkeys(range(9), "initialising")),
    **_codes(
        Level.STATE,
        {9: "running", 11: "unknown", 13: "updating", 15: "going to run", 16: "pre-charging"},
    ),
    10: Code(Level.ALARM, "error"),
    12: Code(Level.WARNING, "shut down"),
    14: Code(Level.INFORMATION, "in standby"),
    17: Code(Level.STATE, "checking its contactor"),
    18: Code(Level.INFORMATION, "pending"),
}
_PVINVERTER_STATES = {
    **_codes(Level.STATE, dict.fromkeys(range(7), "starting")),
    **_codes(
        Level.STATE,
        {7: "running", 8: "standby", 9: "boot loading", 11: "running (MPPT)", 12: "throttled"},
    ),
    10: Code(Level.ALARM, "error"),
}
_GENSET_STATES = {
    **_codes(Level.STATE, {0: "standby", **dict.fromkeys(range(1, 8), "starting"), 8: "running"}),
    9: Code(Level.STATE, "stopping"),
    10: Code(Level.ALARM, "error"),
}
_INVERTER_MODES = {
    **_codes(Level.STATE, {1: "charger only", 2: "inverter only", 3: "on", 5: "eco"}),
    4: Code(Level.INFORMATION, "is switched off"),
}

CODES: Mapping[str, Mapping[str, Codes]] = {
    "vebus": {"VebusError": _VEBUS_ERRORS, "State": _INVERTER_STATES, "Mode": _INVERTER_MODES},
    "multi": {"ErrorCode": _CHARGER_ERRORS, "State": _INVERTER_STATES, "Mode": _INVERTER_MODES},
    "acsystem": {"State": _INVERTER_STATES, "Mode": _INVERTER_MODES},
    "inverter": {"ErrorCode": _CHARGER_ERRORS, "State": _INVERTER_STATES, "Mode": _INVERTER_MODES},
    "solarcharger": {"ErrorCode": _CHARGER_ERRORS, "State": _CHARGER_STATES},
    "charger": {"ErrorCode": _CHARGER_ERRORS, "State": _CHARGER_STATES},
    "alternator": {"ErrorCode": _CHARGER_ERRORS, "State": _CHARGER_STATES},
    "dcdc": {"ErrorCode": _CHARGER_ERRORS, "State": _CHARGER_STATES},
    "battery": {"ErrorCode": _BATTERY_ERRORS, "State": _BATTERY_STATES},
    "pvinverter": {"ErrorCode": _FRONIUS_ERRORS, "StatusCode": _PVINVERTER_STATES},
    "genset": {"ErrorCode": {}, "StatusCode": _GENSET_STATES},
    "dcgenset": {"ErrorCode": {}, "StatusCode": _GENSET_STATES},
}
"""Codes by service class and path."""

ANY_CLASS: Mapping[str, Codes] = {"ErrorCode": {}, "VebusError": {}}
"""Paths that are error codes in every class, so that one without a table is not lost."""

NORMAL_ALARMS: Mapping[str, frozenset[str]] = {
    # 1 on every site with several BMS: a matter of configuration, settled by choosing one.
    "system": frozenset({"Dvcc/MultipleBatteries"}),
}
"""Alarms that say how a site is made, by class: recorded as 0."""


def meaning(device_class: str, path: str, code: int) -> Code | None:
    """What a code means; None where the path holds no code in that class.

    Error 0 is a state. A code without a row is a warning whose text says that it is unknown where
    it is an error, and a state where it is a state, since new firmware adds states.
    """
    tables = CODES.get(device_class, {})
    if path not in tables and path not in ANY_CLASS:
        return None
    row = tables.get(path, {}).get(code)
    is_error = path in ANY_CLASS
    if row is not None:
        return row
    if is_error and code != 0:
        return Code(Level.WARNING, "unknown code")
    return Code(Level.STATE, "ok" if is_error else "unknown state")
