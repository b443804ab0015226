"""Which set-point of a device brings an order about, and with which value. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping

from exporter.control.site_inputs import SiteInputs
from exporter.drivers.base import Capability
from exporter.model.orders import OrderAction
from scoring.orders.following import grid_setpoint_w

BATTERY, GRID, DEFERRED = "battery_power_w", "grid_setpoint_w", "deferred_load_w"
# In the order of preference: what sets the battery itself needs no balance of the site.
_BY_ACTION: Mapping[OrderAction, tuple[str, ...]] = {
    OrderAction.CHARGE: (BATTERY, GRID),
    OrderAction.DISCHARGE: (BATTERY, GRID),
    OrderAction.HOLD: (BATTERY, GRID),
    OrderAction.DEFER_LOAD: (DEFERRED,),
    OrderAction.RELEASE: (BATTERY, GRID, DEFERRED),
}
_READ_BACK_W = 1.0
_READ_BACK_SHARE = 0.005


def setpoint_for(action: OrderAction, capabilities: Mapping[str, Capability]) -> str | None:
    """Name of the set-point for an action; None where the device has none."""
    return next((name for name in _BY_ACTION[action] if name in capabilities), None)


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
        return float(round(power_w))
    wanted = grid_setpoint_w(power_w, inputs.readings.load_w, inputs.readings.pv_w, trim_w)
    return wanted if math.isnan(wanted) else float(round(wanted))


def matches(written: float, read_back: float) -> bool:
    """Whether a device holds what was written, as far as its register resolves."""
    return abs(written - read_back) <= max(_READ_BACK_W, _READ_BACK_SHARE * abs(written))


def is_clear(read_back: float, before: float) -> bool:
    """Whether a device is back under its own control."""
    return math.isnan(read_back) or (not math.isnan(before) and matches(before, read_back))
