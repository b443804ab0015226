"""Which set-point of a device brings an order about, and with which value. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from exporter.control.site_inputs import SiteInputs
from exporter.drivers.base import Capability
from exporter.model.orders import OrderAction
from scoring.orders.envelope import Bounds
from scoring.orders.following import grid_setpoint_w, tolerance_w

BATTERY, GRID, DEFERRED = "battery_power_w", "grid_setpoint_w", "deferred_load_w"
# In the order of preference: what sets the battery itself needs no balance of the site.
_BY_ACTION: Mapping[OrderAction, tuple[str, ...]] = {
    OrderAction.CHARGE: (BATTERY, GRID),
    OrderAction.DISCHARGE: (BATTERY, GRID),
    OrderAction.HOLD: (BATTERY, GRID),
    OrderAction.DEFER_LOAD: (DEFERRED,),
    OrderAction.RELEASE: (BATTERY, GRID, DEFERRED),
}
PERSISTENT_SECONDS = 30.0
"""Between two writes of a set-point that wears flash memory."""
LONGEST_PERSISTENT_SECONDS = 4 * 3600.0
"""An order over such a set-point ends after this long: no reversion of the device ends it."""
_DEADBAND_W = 50.0
"""A smaller change of a set-point is not worth a write."""
_READ_BACK_W = 1.0
_READ_BACK_SHARE = 0.005


def setpoint_for(action: OrderAction, capabilities: Mapping[str, Capability]) -> str | None:
    """Name of the set-point for an action; None where the device has none."""
    return next((name for name in _BY_ACTION[action] if name in capabilities), None)


def bounds_at(bounds: Bounds, name: str, capability: Capability) -> Bounds:
    """The bounds of a site, and what its device takes where the set-point is of its battery."""
    if name != BATTERY:
        return bounds
    return replace(
        bounds,
        max_charge_w=min(bounds.max_charge_w, max(0.0, capability.maximum)),
        max_discharge_w=min(bounds.max_discharge_w, max(0.0, -capability.minimum)),
    )


def resolved_w(name: str, power_w: float, capability: Capability) -> float:
    """A battery power as far as its set-point resolves it, towards 0."""
    if name != BATTERY or not capability.step:
        return power_w
    return math.trunc(power_w / capability.step + math.copysign(1e-9, power_w)) * capability.step


def unattended(capability: Capability) -> str:
    """What becomes of a set-point while nobody can write, where no lease of the device ends it;
    empty where one does."""
    if capability.reversion_seconds is not None:
        return ""
    return (
        "the device keeps its set-point without a lease: if the exporter dies or cannot reach it, "
        "the battery stays forced until the exporter writes again, even after the order's end"
    )


def deadband_w(capability: Capability, power_w: float) -> float:
    """Change of a set-point that is not worth a write.

    Half of the tolerance: a correction is half of what is missing, so that what is not written is
    within the tolerance.
    """
    return _DEADBAND_W if capability.volatile else tolerance_w(power_w) / 2


def value_for(name: str, power_w: float, inputs: SiteInputs, trim_w: float) -> float:
    """Value of a set-point for a power, W; NaN where the site's load is not known.

    Parameters
    ----------
    name : str
    power_w : float
        Battery power, positive when charging, or load that is put off.
    inputs : SiteInputs
    trim_w : float
        Correction for losses.
    """
    if name != GRID:
        # A device that resolves steps gets one of them, which need not be whole watts.
        return round(power_w, 3)
    wanted = grid_setpoint_w(power_w, inputs.readings.load_w, inputs.readings.pv_w, trim_w)
    return wanted if math.isnan(wanted) else float(round(wanted))


def matches(written: float, read_back: float) -> bool:
    """Whether a device holds what was written, as far as its register resolves."""
    return abs(written - read_back) <= max(_READ_BACK_W, _READ_BACK_SHARE * abs(written))


def is_clear(read_back: float, before: float) -> bool:
    """Whether a device is back under its own control."""
    return math.isnan(read_back) or (not math.isnan(before) and matches(before, read_back))
