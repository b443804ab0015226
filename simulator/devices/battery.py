"""The battery service: a BMS with cells, or a monitor that only measures the shunt."""

from __future__ import annotations

from functools import lru_cache

from simulator.devices.names import BATTERY_INSTANCE, Tree, digits
from simulator.scenario import Site
from simulator.state import SiteState

BMS_ALARMS_TEXT = (
    "LowVoltage HighVoltage LowCellVoltage HighCellVoltage LowSoc HighChargeCurrent "
    "HighDischargeCurrent HighCurrent CellImbalance InternalFailure HighChargeTemperature "
    "LowChargeTemperature HighTemperature LowTemperature BmsCable"
)
BMS_ALARMS = BMS_ALARMS_TEXT.split()
MONITOR_ALARMS_TEXT = (
    "LowVoltage HighVoltage LowSoc HighTemperature LowTemperature LowStarterVoltage "
    "HighStarterVoltage MidVoltage"
)
MONITOR_ALARMS = MONITOR_ALARMS_TEXT.split()


def battery_tree(site: Site, state: SiteState) -> Tree:
    """Tree of the site's battery service."""
    if site.kind == "multiplus-bmv":
        return _monitor(site, state)
    return _bms(site, state)


@lru_cache(maxsize=20000)
def _bms_fixed(site_id: str, product: str, serial: str, cells: int) -> Tree:
    tree: Tree = {
        "Mgmt/ProcessName": "can-bms",
        "Mgmt/ProcessVersion": "1.0",
        "Mgmt/Connection": "CAN-bus",
        "DeviceInstance": BATTERY_INSTANCE,
        "ProductId": 45069,
        "ProductName": product,
        "CustomName": [],
        "FirmwareVersion": 23,
        "HardwareVersion": [],
        "Serial": serial,
        "Connected": 1,
        "ErrorCode": [],
        "State": 9,
        "TimeToGo": [],
        "Info/BatteryLowVoltage": round(2.9 * cells, 1),
        "System/NrOfCellsPerBattery": cells,
        "System/NrOfBatteries": 1,
        "System/BatteriesParallel": 1,
        "System/BatteriesSeries": 1,
    }
    tree.update({f"Alarms/{name}": 0 for name in BMS_ALARMS})
    return tree


def _bms(site: Site, state: SiteState) -> Tree:
    pack = site.battery
    volts, heat = state.cell_voltages, state.cell_temperatures
    low, high = volts.index(min(volts)), volts.index(max(volts))
    cold, hot = heat.index(min(heat)), heat.index(max(heat))
    product = pack.product or pack.type
    tree = _bms_fixed(site.id, product, digits(site, "battery").upper(), pack.cells).copy()
    tree.update(
        {
            "Soc": round(state.soc, 1),
            "Soh": round(state.soh, 1),
            "Dc/0/Voltage": round(state.battery_voltage, 2),
            "Dc/0/Current": round(state.battery_current, 2),
            "Dc/0/Power": round(state.battery_power, 1),
            "Dc/0/Temperature": round(state.battery_temperature, 1),
            "Capacity": round(state.capacity_ah * state.soc / 100.0, 1),
            "InstalledCapacity": round(state.capacity_ah, 1),
            "ConsumedAmphours": round(state.capacity_ah * (state.soc / 100.0 - 1.0), 1),
            "Info/MaxChargeCurrent": round(state.max_charge_current, 1),
            "Info/MaxDischargeCurrent": round(state.max_discharge_current, 1),
            "Info/MaxChargeVoltage": round(state.charge_voltage, 1),
            "Io/AllowToCharge": int(state.max_charge_current > 0.0),
            "Io/AllowToDischarge": int(state.max_discharge_current > 0.0),
            "Io/AllowToBalance": 1,
            "System/NrOfModulesOnline": pack.modules - state.modules_offline,
            "System/NrOfModulesOffline": state.modules_offline,
            "System/NrOfModulesBlockingCharge": state.modules_blocking_charge,
            "System/NrOfModulesBlockingDischarge": state.modules_blocking_discharge,
            "System/MinCellVoltage": round(volts[low], 3),
            "System/MaxCellVoltage": round(volts[high], 3),
            "System/MinVoltageCellId": _cell_id(site, low),
            "System/MaxVoltageCellId": _cell_id(site, high),
            "System/MinCellTemperature": round(heat[cold], 1),
            "System/MaxCellTemperature": round(heat[hot], 1),
            "System/MinTemperatureCellId": _cell_id(site, cold),
            "System/MaxTemperatureCellId": _cell_id(site, hot),
            "History/ChargeCycles": int(state.cycles),
            "History/ChargedEnergy": round(state.charged_kwh, 2),
            "History/DischargedEnergy": round(state.discharged_kwh, 2),
            "History/TotalAhDrawn": round(state.discharged_kwh / state.battery_voltage * 1000, 1),
            "Alarms/LowSoc": int(state.soc < 10.0),
            "Alarms/HighTemperature": _temperature_alarm(state.battery_temperature),
        }
    )
    _cells(tree, site, volts, heat)
    return tree


def _temperature_alarm(celsius: float) -> int:
    return 2 if celsius >= 60.0 else int(celsius >= 55.0)


def _cell_id(site: Site, index: int) -> str:
    """Identifier of a cell as its maker writes it: ``C3``, or module and cell as ``0103``."""
    if site.battery.cell_format:
        return f"C{index + 1}"
    if site.battery.vendor == "Pylontech":
        return f"01{index + 1:02d}"
    return f"{index + 1}"


def _cells(tree: Tree, site: Site, volts: list[float], heat: list[float]) -> None:
    style = site.battery.cell_format
    rounded = [round(v, 3) for v in volts]
    if style & 1:
        tree.update({f"Voltages/Cell{n}": v for n, v in enumerate(rounded, 1)})
        tree["Voltages/Sum"] = round(sum(volts), 3)
        tree["Voltages/Diff"] = round(max(volts) - min(volts), 3)
    if style & 2:
        tree.update({f"Cell/{n}/Volts": v for n, v in enumerate(rounded, 1)})
    if site.battery.cell_temperatures:
        tree.update({f"Cell/{n}/Temperature": round(t, 1) for n, t in enumerate(heat, 1)})


@lru_cache(maxsize=20000)
def _monitor_fixed(site_id: str, serial: str) -> Tree:
    absent = (
        "HardwareVersion Alarms/Alarm TimeToGo History/LowStarterVoltageAlarms "
        "Dc/0/Temperature Dc/0/MidVoltage Dc/0/MidVoltageDeviation Dc/1/Voltage "
        "History/HighStarterVoltageAlarms"
    )
    tree: Tree = {path: [] for path in absent.split()}
    tree.update({f"Alarms/{name}": 0 for name in MONITOR_ALARMS})
    tree.update(
        {
            "Mgmt/ProcessName": "vedirect-dbus",
            "Mgmt/ProcessVersion": "3.17",
            "Mgmt/Connection": "VE.Direct",
            "DeviceInstance": BATTERY_INSTANCE,
            "ProductId": 516,
            "ProductName": "BMV-702",
            "FirmwareVersion": 776,
            "Connected": 1,
            "Serial": serial,
            "Relay/0/State": 0,
            "Settings/HasTemperature": 0,
            "Settings/HasMidVoltage": 0,
            "Settings/HasStarterVoltage": 0,
            "History/AutomaticSyncs": 96,
            "History/FullDischarges": 0,
            "History/AverageDischarge": -41.5,
            "History/DeepestDischarge": -318.0,
            "History/LastDischarge": -36.2,
            "History/HighVoltageAlarms": 0,
            "History/LowVoltageAlarms": 0,
            "History/MaximumVoltage": 55.9,
            "History/MinimumVoltage": 48.7,
            "History/MaximumStarterVoltage": 0.0,
            "History/MinimumStarterVoltage": 0.0,
            "History/TimeSinceLastFullCharge": 0,
        }
    )
    return tree


def _monitor(site: Site, state: SiteState) -> Tree:
    tree = _monitor_fixed(site.id, "HQ" + digits(site, "battery").upper()).copy()
    tree.update(
        {
            "Soc": round(state.soc, 1),
            "Dc/0/Voltage": round(state.battery_voltage, 2),
            "Dc/0/Current": round(state.battery_current, 2),
            "Dc/0/Power": round(state.battery_power, 1),
            "ConsumedAmphours": round(state.capacity_ah * (state.soc / 100.0 - 1.0), 1),
            "Alarms/LowSoc": int(state.soc < 10.0),
            "History/ChargeCycles": int(state.cycles),
            "History/ChargedEnergy": round(state.charged_kwh, 2),
            "History/DischargedEnergy": round(state.discharged_kwh, 2),
            "History/TotalAhDrawn": round(-state.discharged_kwh / state.battery_voltage * 1000, 1),
        }
    )
    return tree
