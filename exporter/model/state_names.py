"""Names of the states that some quantities number.

Source: the list of D-Bus paths of Venus OS (victronenergy/venus wiki, ``SystemState/State``).
"""

from __future__ import annotations

_NO_YES = {0: "no", 1: "yes"}
STATE_NAMES: dict[str, dict[int, str]] = {
    "grid_connected": _NO_YES,
    "grid_expected": _NO_YES,
    "pv_disabled": _NO_YES,
    "ac_source": {0: "unknown", 1: "grid", 2: "generator", 3: "shore power", 240: "nothing"},
    "system_state": {
        0: "off",
        1: "low power",
        2: "fault",
        3: "bulk",
        4: "absorption",
        5: "float",
        6: "storage",
        7: "equalize",
        8: "passthrough",
        9: "inverting",
        10: "power assist",
        11: "power supply",
        244: "sustain",
        252: "external control",
        256: "discharging",
        257: "sustain",
        258: "recharge",
        259: "scheduled charge",
        261: "battery protection",
    },
}


def state_name(quantity: str, value: float | None) -> str:
    """The name of a state; empty for a quantity without states, or a number without a name."""
    if value is None or not value.is_integer():
        return ""
    return STATE_NAMES.get(quantity, {}).get(int(value), "")
