"""The system service: the sum of what the other devices say."""

from __future__ import annotations

import json
from functools import lru_cache

from simulator.devices.inverter import (
    DISCONNECTED,
    input_power,
    output_share,
    vebus_state,
)
from simulator.devices.names import BATTERY_INSTANCE, Services, Tree, portal_of
from simulator.scenario import Site
from simulator.state import SiteState

AC_GROUPS_TEXT = (
    "Grid Genset ConsumptionOnOutput ConsumptionOnInput Consumption ActiveIn "
    "PvOnOutput PvOnGrid PvOnGenset"
)
AC_GROUPS = AC_GROUPS_TEXT.split()

ABSENT_TEXT = (
    "ProductId ProductName HardwareVersion Dc/Charger/Power Dc/FuelCell/Power "
    "Dc/Alternator/Power GpsSpeed GpsService Ac/Genset/Runtime "
    "Ac/Genset/RunningByConditionCode Ac/Genset/LastStartTime Ac/In/1/ServiceName "
    "Ac/In/1/ServiceType Ac/In/1/DeviceInstance Ac/In/1/VrmDeviceInstance Ac/In/1/Source "
    "Ac/In/1/Connected MotorDrive/0/Service MotorDrive/0/DeviceInstance MotorDrive/0/RPM "
    "MotorDrive/1/Service MotorDrive/1/DeviceInstance MotorDrive/1/RPM MotorDrive/Power "
    "MotorDrive/Voltage MotorDrive/Current MotorDrive/ConsumptionWhkm "
    "MotorDrive/ConsumptionAhkm MotorDrive/Range Dc/Battery/Alarms/CircuitBreakerTripped "
    "Dc/Battery/Capacity Dc/Battery/TimeToGo Control/EffectiveChargeVoltage "
    "Control/ScheduledSoc DynamicEss/MinimumSoc DynamicEss/LastScheduledStart "
    "DynamicEss/LastScheduledEnd DynamicEss/Strategy DynamicEss/Restrictions "
    "DynamicEss/AllowGridFeedIn DynamicEss/Flags DynamicEss/AvailableOverhead "
    "LoadShedding/NextDisconnect"
)
ABSENT = ABSENT_TEXT.split()

ZEROS_TEXT = (
    "FirmwareVersion SystemState/LowSoc SystemState/BatteryLife "
    "SystemState/DischargeDisabled SystemState/ChargeDisabled SystemState/SlowCharge "
    "SystemState/UserChargeLimited SystemState/UserDischargeLimited SystemState/PeakShaving "
    "Control/ExtraBatteryCurrent Control/SolarChargeVoltage Control/SolarChargeCurrent "
    "Control/VebusSoc Control/SolarChargerVoltageSense Control/BatteryVoltageSense "
    "Control/BatteryCurrentSense Control/SolarChargerTemperatureSense Control/ScheduledCharge "
    "Control/ScheduledChargeStatus Debug/DisableBatterySense "
    "Debug/BatteryOperationalLimits/SolarVoltageOffset "
    "Debug/BatteryOperationalLimits/VebusVoltageOffset "
    "Debug/BatteryOperationalLimits/CurrentOffset Dvcc/Alarms/FirmwareInsufficient "
    "Dvcc/Alarms/MultipleBatteries LoadShedding/Available LoadShedding/Capabilities "
    "LoadShedding/Active LoadShedding/ErrorCode DynamicEss/Active DynamicEss/TargetSoc "
    "DynamicEss/WindowSoc DynamicEss/ErrorCode DynamicEss/ChargeRate DynamicEss/WindowSlot "
    "DynamicEss/WorkingSocPrecision DynamicEss/ReactiveStrategy DynamicEss/ChargeHysteresis "
    "DynamicEss/DischargeHysteresis Timers/TimeOnGenerator Timers/TimeOff Pv/Disable "
    "Dc/System/Power Dc/System/Current Dc/System/MeasurementType"
)
ZEROS = ZEROS_TEXT.split()

BATTERY_PATHS_TEXT = (
    "Soc Voltage Current Power State Temperature ConsumedAmphours ProductId BatteryService "
    "VoltageService TemperatureService ChargeVoltage"
)
BATTERY_PATHS = BATTERY_PATHS_TEXT.split()


@lru_cache(maxsize=20000)
def _fixed(serial: str) -> Tree:
    tree: Tree = {
        "Mgmt/ProcessName": "/opt/victronenergy/dbus-systemcalc-py/dbus_systemcalc.py",
        "Mgmt/ProcessVersion": "2.256",
        "Mgmt/Connection": "data from other dbus processes",
        "DeviceInstance": 0,
        "Connected": 1,
        "FirmwareBuild": "0",
        "Serial": serial,
    }
    for group in AC_GROUPS:
        for phase in (1, 2, 3):
            tree[f"Ac/{group}/L{phase}/Power"] = []
            tree[f"Ac/{group}/L{phase}/Current"] = []
        tree[f"Ac/{group}/NumberOfPhases"] = []
    for group in ("Grid", "Genset"):
        tree[f"Ac/{group}/ProductId"] = []
        tree[f"Ac/{group}/DeviceType"] = []
    tree.update({path: [] for path in ABSENT})
    tree.update(dict.fromkeys(ZEROS, 0))
    tree.update(
        {
            "Ac/HasAcLoads": 1,
            "Ac/In/0/VrmDeviceInstance": 0,
            "Ac/In/NumberOfAcInputs": 1,
            "Control/BmsParameters": 1,
            "Control/MaxChargeCurrent": 1,
            "Control/Dvcc": 1,
            "Control/EssState": 4,
            "Devices/NumberOfVebusDevices": 1,
            "DynamicEss/Available": 1,
            "DynamicEss/Capabilities": 191,
            "DynamicEss/NumberOfSchedules": 48,
            "Hub": 4,
            "SystemType": "ESS",
        }
    )
    return tree


def system_tree(
    site: Site, state: SiteState, services: Services, nominal_v: float, *, battery: bool = True
) -> Tree:
    """Tree of the system service; without ``battery`` it has lost its battery service."""
    tree = _fixed(portal_of(site)).copy()
    _ac(tree, site, state, nominal_v)
    _inverter(tree, site, state, services)
    if state.pv_dc or site.solar.coupling == "dc":
        tree["Dc/Pv/Power"] = round(state.pv_dc, 2)
        tree["Dc/Pv/Current"] = round(state.pv_dc / state.battery_voltage, 2)
    else:
        tree["Dc/Pv/Power"] = []
        tree["Dc/Pv/Current"] = []
    for name, (kind, number) in services.instances().items():
        if battery or kind != "battery":
            tree[f"ServiceMapping/com_victronenergy_{kind}_{number}"] = name
    if battery:
        _battery(tree, site, state, services)
    else:
        tree.update({f"Dc/Battery/{path}": [] for path in BATTERY_PATHS})
        tree["ActiveBatteryService"] = []
        tree["Batteries"] = []
        tree["AvailableBatteries"] = "{}"
    return tree


def _group(tree: Tree, group: str, powers: list[float], volts: list[float]) -> None:
    for phase, (power, volt) in enumerate(zip(powers, volts, strict=True), 1):
        tree[f"Ac/{group}/L{phase}/Power"] = round(power, 2)
        tree[f"Ac/{group}/L{phase}/Current"] = round(power / volt, 3) if volt else 0.0
    tree[f"Ac/{group}/NumberOfPhases"] = len(powers)


def _ac(tree: Tree, site: Site, state: SiteState, nominal_v: float) -> None:
    volts = [v or nominal_v for v in state.output_voltages]
    share = output_share(site)
    flow_in = input_power(site, state) if state.grid_connected else [0.0] * site.phases
    _group(tree, "ActiveIn", flow_in, volts)
    if not site.off_grid:
        _group(tree, "Grid", state.grid_phases, volts)
        tree["Ac/Grid/DeviceType"] = 71 if site.grid_meter else []
        tree["Ac/Grid/ProductId"] = 45058 if site.grid_meter else []
    on_output = [share * load for load in state.load_phases]
    _group(tree, "ConsumptionOnOutput", on_output, volts)
    if site.grid_meter:
        on_input = [load - out for load, out in zip(state.load_phases, on_output, strict=True)]
        _group(tree, "ConsumptionOnInput", on_input, volts)
    _group(tree, "Consumption", state.load_phases, volts)
    match site.solar.coupling:
        case "on_grid":
            _group(tree, "PvOnGrid", state.pv_phases, volts)
        case "on_output":
            _group(tree, "PvOnOutput", state.pv_phases, volts)
        case "on_genset":
            # The input is declared a generator although it hangs on the grid, as in Victron's
            # own ESS demonstration.
            _group(tree, "PvOnGenset", state.pv_phases, volts)
            behind = [p - pv for p, pv in zip(flow_in, state.pv_phases, strict=True)]
            _group(tree, "Genset", behind, volts)
    source = 2 if site.solar.coupling == "on_genset" else 1
    tree["Ac/ActiveIn/Source"] = source if state.grid_connected else DISCONNECTED
    tree["Ac/In/0/Source"] = source
    tree["Ac/In/0/Connected"] = int(state.grid_connected)
    tree["Ac/ActiveIn/GridParallel"] = int(state.grid_connected and source == 1)
    tree["Ac/ActiveIn/FeedbackEnabled"] = int(state.grid_connected and source == 1)
    tree["PvInvertersProductIds"] = [45058] if site.solar.coupling != "dc" else []


def _inverter(tree: Tree, site: Site, state: SiteState, services: Services) -> None:
    kind = "vebus" if services.vebus else "multi"
    current = round(state.inverter_dc / state.battery_voltage, 2)
    tree["Ac/In/0/ServiceName"] = services.inverter
    tree["Ac/In/0/ServiceType"] = kind
    tree["Ac/In/0/DeviceInstance"] = services.inverter_instance
    tree["Ac/ActiveIn/ServiceType"] = kind
    tree["VebusService"] = services.vebus or []
    tree["VebusInstance"] = services.inverter_instance if services.vebus else []
    tree["Devices/NumberOfVebusDevices"] = int(bool(services.vebus))
    tree["Dc/Vebus/Power"] = round(state.inverter_dc, 2) if services.vebus else []
    tree["Dc/Vebus/Current"] = current if services.vebus else []
    tree["Dc/InverterCharger/Power"] = round(state.inverter_dc, 2)
    tree["Dc/InverterCharger/Current"] = current
    tree["SystemState/State"] = _system_state(state)
    tree["Control/ActiveSocLimit"] = site.battery.min_soc
    tree["Timers/TimeOnGrid"] = 0 if site.off_grid else int(state.time % 86400)
    tree["Timers/TimeOnInverter"] = int(state.time % 86400) if site.off_grid else 0
    if site.off_grid:
        tree["Hub"] = []
        tree["SystemType"] = "Off-grid"


def _system_state(state: SiteState) -> int:
    code = vebus_state(state)
    if code == 252:
        return 256 if state.battery_power < -30.0 else 252
    return code


def _battery(tree: Tree, site: Site, state: SiteState, services: Services) -> None:
    monitor = site.kind == "multiplus-bmv"
    product = "BMV-702" if monitor else site.battery.product or site.battery.type
    key = f"com.victronenergy.battery/{BATTERY_INSTANCE}"
    mapped = f"com_victronenergy_battery_{BATTERY_INSTANCE}/Dc/0"
    power = state.battery_power
    charging = 0 if abs(power) < 30.0 else 1 if power > 0.0 else 2
    known = {
        "voltage": round(state.battery_voltage, 2),
        "active_battery_service": True,
        "soc": round(state.soc, 1),
        "state": charging,
        "instance": BATTERY_INSTANCE,
        "name": product,
        "power": round(power, 1),
        "current": round(state.battery_current, 2),
        "id": services.battery,
    }
    if not monitor:
        known["temperature"] = round(state.battery_temperature, 1)
    tree.update(
        {
            "AvailableBatteryServices": json.dumps(
                {"default": "Automatic", "nobattery": "No battery monitor", key: product}
            ),
            "AvailableBatteryMeasurements": {
                "default": "Automatic",
                "nobattery": "No battery monitor",
                mapped: product,
            },
            "AutoSelectedBatteryService": product,
            "AutoSelectedBatteryMeasurement": mapped,
            "ActiveBatteryService": key,
            "ActiveBmsService": [] if monitor else services.battery,
            "ActiveBmsInstance": [] if monitor else BATTERY_INSTANCE,
            "AvailableBmsServices": [] if monitor else [services.battery],
            "AvailableBatteries": json.dumps(
                {key: {"name": product, "channel": None, "type": "battery"}}
            ),
            "AvailableTemperatureServices": {"nosensor": "No sensor", "default": "Automatic"},
            "AutoSelectedTemperatureService": [] if monitor else product,
            "Dc/Battery/BatteryService": services.battery,
            "Dc/Battery/VoltageService": services.battery,
            "Dc/Battery/TemperatureService": [] if monitor else services.battery,
            "Dc/Battery/Soc": round(state.soc, 1),
            "Dc/Battery/Voltage": round(state.battery_voltage, 2),
            "Dc/Battery/Current": round(state.battery_current, 2),
            "Dc/Battery/Power": round(power, 1),
            "Dc/Battery/State": charging,
            "Dc/Battery/Temperature": [] if monitor else round(state.battery_temperature, 1),
            "Dc/Battery/ConsumedAmphours": round(state.capacity_ah * (state.soc / 100.0 - 1.0), 1),
            "Dc/Battery/ChargeVoltage": [] if monitor else round(state.charge_voltage, 1),
            "Dc/Battery/ProductId": 516 if monitor else 45069,
            "Batteries": [known],
        }
    )
