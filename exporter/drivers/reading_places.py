"""Where a driver finds each quantity, for people. Data."""

from __future__ import annotations

from exporter.drivers.sunspec.site_models import BATTERY_POINTS, SITE_POINTS
from exporter.drivers.venus.battery import BATTERY_PATHS

VENUS_SITE = {
    "grid_power_w": "system Ac/Grid/L1-3/Power",
    "genset_power_w": "system Ac/Genset/L1-3/Power",
    "load_power_w": "system Ac/Consumption/L1-3/Power",
    "pv_dc_power_w": "system Dc/Pv/Power",
    "pv_ac_power_w": "system Ac/PvOnGrid, PvOnOutput and PvOnGenset/L1-3/Power",
    "pv_power_w": "system Dc/Pv/Power and Ac/PvOn*/L1-3/Power",
    "pv_disabled": "system Pv/Disable",
    "system_state": "system SystemState/State",
    "uptime_h": "GET /health uptime_seconds",
    "ac_source": "system Ac/ActiveIn/Source",
    "grid_frequency_hz": "vebus Ac/ActiveIn/L1/F, or grid Ac/Frequency",
    "grid_voltage_v": "vebus Ac/ActiveIn/L1-3/V, or grid Ac/L1-3/Voltage",
    "grid_voltage_min_v": "vebus Ac/ActiveIn/L1-3/V, or grid Ac/L1-3/Voltage",
    "grid_voltage_max_v": "vebus Ac/ActiveIn/L1-3/V, or grid Ac/L1-3/Voltage",
    "grid_connected": "vebus Ac/ActiveIn/Connected, voltage and frequency",
    "grid_import_kwh": "grid Ac/Energy/Forward",
    "grid_export_kwh": "grid Ac/Energy/Reverse",
}
VENUS_BATTERY = {name: f"battery {path}" for name, path in BATTERY_PATHS.items()}
VENUS_BATTERY["cell_spread_v"] = "battery System/MaxCellVoltage - MinCellVoltage"
VENUS_BATTERY["minimum_soc_percent"] = "system Control/ActiveSocLimit"
_VENUS = VENUS_SITE | VENUS_BATTERY
_PLACES = {
    "venus-http": _VENUS,
    "venus-mqtt": _VENUS,
    "modbus-tcp": {name: f"registers of {place}" for name, place in _VENUS.items()},
    "sunspec": SITE_POINTS | BATTERY_POINTS,
}


def place_of(driver: str, quantity: str) -> str:
    """Where a driver finds a quantity; empty where it is worked out."""
    return _PLACES.get(driver, {}).get(quantity, "")
