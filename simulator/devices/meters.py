"""Energy meters, PV inverters and solar chargers."""

from __future__ import annotations

import zlib
from functools import lru_cache

from simulator.devices.names import GRID_INSTANCE, PV_INSTANCE, SOLAR_INSTANCE, Tree, digits
from simulator.scenario import Site
from simulator.state import SiteState

METER_PRODUCT = 45058
HISTORY_DAYS = 31


def grid_tree(site: Site, state: SiteState) -> Tree:
    """Tree of the meter at the grid connection."""
    tree = _meter(site, "Grid meter", "grid", GRID_INSTANCE)
    tree.update(_phases(state.grid_phases, state.grid_voltages))
    tree["Ac/Energy/Forward"] = round(state.imported_kwh, 1)
    tree["Ac/Energy/Reverse"] = round(state.exported_kwh, 1)
    for phase in range(1, site.phases + 1):
        tree[f"Ac/L{phase}/Energy/Forward"] = round(state.imported_kwh / site.phases, 1)
        tree[f"Ac/L{phase}/Energy/Reverse"] = round(state.exported_kwh / site.phases, 1)
    return tree


def pvinverter_tree(site: Site, state: SiteState) -> Tree:
    """Tree of the meter in front of the PV inverter."""
    behind = site.solar.coupling == "on_output"
    name = "PV inverter on output" if behind else "PV inverter on input 1"
    tree = _meter(site, name, "pv", PV_INSTANCE)
    tree["Position"] = 1 if behind else 0
    tree.update(_phases(state.pv_phases, state.output_voltages if behind else state.grid_voltages))
    tree["Ac/Energy/Forward"] = round(state.pv_kwh, 1)
    for phase in range(1, site.phases + 1):
        tree[f"Ac/L{phase}/Energy/Forward"] = round(state.pv_kwh / site.phases, 1)
    return tree


def _meter(site: Site, name: str, salt: str, instance: int) -> Tree:
    return {
        "Mgmt/ProcessName": "/opt/color-control/dbus-cgwacs/dbus-cgwacs",
        "Mgmt/ProcessVersion": "1.8.0",
        "Mgmt/Connection": "/dev/ttyUSB0",
        "DeviceInstance": instance,
        "DeviceType": 71,
        "ErrorCode": 0,
        "FirmwareVersion": 2,
        "Connected": 1,
        "ProductId": METER_PRODUCT,
        "ProductName": name,
        "CustomName": name,
        "Serial": "BP" + digits(site, salt, 11).upper(),
    }


def _phases(powers: list[float], voltages: list[float]) -> Tree:
    tree: Tree = {}
    total = 0.0
    for phase, (power, voltage) in enumerate(zip(powers, voltages, strict=True), 1):
        current = round(power / voltage, 3) if voltage else 0.0
        tree[f"Ac/L{phase}/Power"] = round(power, 3)
        tree[f"Ac/L{phase}/Voltage"] = round(voltage, 1)
        tree[f"Ac/L{phase}/Current"] = current
        total += current
    tree["Ac/Power"] = round(sum(powers), 3)
    tree["Ac/Voltage"] = round(sum(voltages) / len(voltages), 1)
    tree["Ac/Current"] = round(total, 3)
    return tree


def solarcharger_tree(site: Site, state: SiteState) -> Tree:
    """Tree of the MPPT charger."""
    current = state.pv_dc / state.battery_voltage
    made = state.pv_dc > 1.0
    tree = _charger_history(site.id, site.solar.capacity_kw, int(state.time // 86400)).copy()
    tree |= {
        "Mgmt/ProcessName": "vedirect-dbus",
        "Mgmt/ProcessVersion": "3.17",
        "Mgmt/Connection": "VE.Direct",
        "DeviceInstance": SOLAR_INSTANCE,
        "ProductId": 41025,
        "ProductName": "SmartSolar Charger MPPT 250/100 rev2",
        "FirmwareVersion": 355,
        "HardwareVersion": [],
        "Serial": "HQ" + digits(site, "solar", 9).upper(),
        "Connected": 1,
        "ErrorCode": 0,
        "State": 252 if made else 0,
        "MppOperationMode": 2 if made else 0,
        "Dc/0/Voltage": round(state.battery_voltage, 2),
        "Dc/0/Current": round(current, 1),
        "Load/State": [],
        "Load/I": [],
        "Pv/V": 148.0 if made else 0.0,
        "Pv/I": round(state.pv_dc / 148.0, 2) if made else 0.0,
        "Yield/Power": round(state.pv_dc, 1),
        "Yield/User": round(state.pv_kwh, 2),
        "Yield/System": round(state.pv_kwh, 2),
        "Settings/BmsPresent": 1,
        "Settings/ChargeCurrentLimit": 100.0,
        "Capabilities/Capabilities1": 124230,
        "Link/NetworkMode": 13,
        "Link/NetworkStatus": 4,
        "Link/ChargeCurrent": [],
        "Link/ChargeVoltage": round(state.charge_voltage, 1),
        "Link/TemperatureSense": [],
        "Link/TemperatureSenseActive": 0,
        "Link/VoltageSense": round(state.battery_voltage, 2),
        "Link/VoltageSenseActive": 1,
        "History/Daily/0/Yield": round(state.pv_today_kwh, 2),
        "Alarms/LowVoltage": 0,
        "Alarms/HighVoltage": 0,
    }
    return tree


@lru_cache(maxsize=20000)
def _charger_history(site_id: str, capacity_kw: float, today: int) -> Tree:
    """What the charger remembers of the last 31 days; a day keeps its figures as it ages."""
    tree: Tree = {}
    for age in range(HISTORY_DAYS):
        day = today - age
        sunny = zlib.crc32(f"{site_id}/{day}".encode()) / 2**32
        made = 0.0 if age == 0 else round(capacity_kw * (1.0 + 4.0 * sunny), 2)
        prefix = f"History/Daily/{age}"
        tree |= {
            f"{prefix}/Nr": day % 1000,
            f"{prefix}/Yield": made,
            f"{prefix}/Consumption": 0.0,
            f"{prefix}/MaxPower": round(capacity_kw * (400.0 + 450.0 * sunny)),
            f"{prefix}/MaxPvVoltage": 151.3,
            f"{prefix}/MaxBatteryVoltage": 54.6,
            f"{prefix}/MinBatteryVoltage": 50.9,
            f"{prefix}/MaxBatteryCurrent": round(capacity_kw * 14.0 * (0.5 + 0.5 * sunny), 1),
            f"{prefix}/TimeInBulk": 300,
            f"{prefix}/TimeInAbsorption": 60,
            f"{prefix}/TimeInFloat": 120,
            f"{prefix}/Raw": [],
        }
        tree |= {f"{prefix}/LastError{n}": 0 for n in (1, 2, 3, 4)}
    tree |= {f"History/Overall/LastError{n}": 0 for n in (1, 2, 3, 4)}
    tree |= {
        "History/Overall/DaysAvailable": HISTORY_DAYS,
        "History/Overall/MaxBatteryVoltage": 55.9,
        "History/Overall/MaxPvVoltage": 163.2,
        "History/Overall/MinBatteryVoltage": 48.7,
        "History/Overall/Raw": [],
    }
    return tree
