"""The inverter services: vebus (MultiPlus, Quattro) and multi (RS)."""

from __future__ import annotations

from functools import lru_cache

from simulator.devices.names import MULTI_INSTANCE, VEBUS_INSTANCE, Tree, digits
from simulator.physics.frequency_steps import stepped_hz
from simulator.scenario import Site
from simulator.state import SiteState

DISCONNECTED = 240
PHASES = (1, 2, 3)

VEBUS_ABSENT = " ".join(
    [
        *(
            f"AcSensor/{n}/{what}"
            for n in range(9)
            for what in ("Current", "Energy", "Location", "Phase", "Power", "Voltage")
        ),
        *(f"Ac/ActiveIn/L{p}/{what}" for p in PHASES for what in "VIPSF"),
        *(f"Ac/Out/L{p}/{what}" for p in PHASES for what in "VIPSF"),
        "AcSensor/Count Devices/Dmc/Version Interfaces/Mk2/Tunnel SystemReset",
    ]
).split()


def input_power(site: Site, state: SiteState) -> list[float]:
    """Power into the inverter's AC input, W, one entry a phase: loads and PV behind it included."""
    share = output_share(site)
    on_output = site.solar.coupling == "on_output"
    return [
        inverter + share * load - (pv if on_output else 0.0)
        for inverter, load, pv in zip(
            state.inverter_phases, state.load_phases, state.pv_phases, strict=True
        )
    ]


def output_share(site: Site) -> float:
    """Share of the load behind the inverter: all of it where nothing measures the input side."""
    return site.load.on_output if site.grid_meter else 1.0


def output_power(site: Site, state: SiteState) -> list[float]:
    """Power out of the inverter's AC output, W, one entry a phase."""
    share = output_share(site)
    on_output = site.solar.coupling == "on_output"
    return [
        share * load - (pv if on_output else 0.0)
        for load, pv in zip(state.load_phases, state.pv_phases, strict=True)
    ]


def vebus_state(state: SiteState) -> int:
    """State of the Multi: inverting, absorption, bulk or external control."""
    if not state.grid_connected:
        return 9
    if state.battery_power > 0.0:
        return 4 if state.soc > 95.0 else 3
    return 252


@lru_cache(maxsize=20000)
def _vebus_fixed(site_id: str, product: str, phases: int, serial: str) -> Tree:
    tree: Tree = {path: [] for path in VEBUS_ABSENT}
    for phase in ("L1", "L2", "L3"):
        for name in ("HighTemperature", "LowBattery", "Overload", "Ripple"):
            tree[f"Alarms/{phase}/{name}"] = 0
    for name in ("HighTemperature", "LowBattery", "Overload", "Ripple", "GridLost"):
        tree[f"Alarms/{name}"] = 0
    tree.update(
        {
            "Mgmt/ProcessName": "mk2-dbus",
            "Mgmt/ProcessVersion": "3.52",
            "Mgmt/Connection": "VE.Bus",
            "DeviceInstance": VEBUS_INSTANCE,
            "ProductId": 9760 if phases == 1 else 9827,
            "ProductName": product,
            "FirmwareVersion": 1301,
            "Connected": 1,
            "Devices/0/Assistants": [97, 1, 44, 1, 44, 1, 38, 1] + [0] * 48,
            "Devices/0/SerialNumber": serial,
            "Devices/0/Version": 2702481,
            "Devices/Bms/Version": 1146132,
            "Interfaces/Mk2/ProductId": 4464,
            "Interfaces/Mk2/ProductName": "MK3",
            "Interfaces/Mk2/Version": 1170212,
            "ShortIds": 1,
            "Bms/AllowToChargeRate": 0,
            "Energy/AcIn2ToAcOut": 0.0,
            "Energy/AcIn2ToInverter": 0.0,
            "Energy/AcOutToAcIn1": 0.0,
            "Energy/AcOutToAcIn2": 0.0,
            "Energy/InverterToAcIn2": 0.0,
            "ExtraBatteryCurrent": 0.0,
            "Hub4/AcPowerSetpoint": 0,
            "Hub4/L1/CurrentLimitedDueToHighTemp": 0,
            "Hub4/L1/DisableCharge": 0,
            "Hub4/L1/DisableFeedIn": 0,
            "Hub4/L1/DoNotFeedInOvervoltage": 0,
            "Devices/NumberOfMultis": phases,
            "Alarms/TemperatureSensor": 0,
            "Alarms/VoltageSensor": 0,
            "Alarms/PhaseRotation": 0,
            "Ac/NumberOfAcInputs": 1,
            "Ac/NumberOfPhases": phases,
            "Ac/PowerMeasurementType": 4,
            "Ac/ActiveIn/CurrentLimit": 50.0,
            "Ac/ActiveIn/CurrentLimitIsAdjustable": 1,
            "Ac/In/1/CurrentLimit": 50.0,
            "Ac/In/1/CurrentLimitIsAdjustable": 1,
            "Bms/AllowToCharge": 1,
            "Bms/AllowToDischarge": 1,
            "Bms/BmsExpected": 0,
            "Bms/Error": 0,
            "Dc/0/Temperature": [],
            "Hub4/AssistantId": 5,
            "Hub4/DisableCharge": 0,
            "Hub4/DisableFeedIn": 0,
            "Hub4/Sustain": 0,
            "Hub4/L1/AcPowerSetpoint": 0,
            "Leds/Absorption": 0,
            "Leds/Bulk": 0,
            "Leds/Float": 0,
            "Leds/LowBattery": 0,
            "Leds/Overload": 0,
            "Leds/Temperature": 0,
            "Mode": 3,
            "ModeIsAdjustable": 1,
            "PvInverter/Disable": 0,
            "Quirks": 0,
            "RedetectSystem": 0,
            "VebusError": 0,
            "VebusSetChargeState": 0,
            "VebusSubstate": 0,
        }
    )
    return tree


def vebus_tree(site: Site, state: SiteState) -> Tree:
    """Tree of the site's vebus service."""
    product = "Quattro 48/10000/140-2x100" if site.phases == 3 else "MultiPlus-II 48/5000/70-50"
    tree = _vebus_fixed(site.id, product, site.phases, digits(site, "vebus").upper()).copy()
    power_in = input_power(site, state) if state.grid_connected else [0.0] * site.phases
    power_out = output_power(site, state)
    for phase, (p_in, v_in, p_out, v_out) in enumerate(
        zip(power_in, state.grid_voltages, power_out, state.output_voltages, strict=True), 1
    ):
        tree.update(_ac(f"Ac/ActiveIn/L{phase}", p_in, v_in, stepped_hz(state.frequency)))
        tree.update(_ac(f"Ac/Out/L{phase}", p_out, v_out, state.output_frequency))
    lost = not state.grid_connected
    tree.update(
        {
            "Ac/ActiveIn/ActiveInput": DISCONNECTED if lost else 0,
            "Ac/ActiveIn/Connected": int(not lost),
            "Ac/ActiveIn/P": round(sum(power_in)),
            "Ac/ActiveIn/S": round(sum(abs(p) for p in power_in)),
            "Ac/Out/P": round(sum(power_out)),
            "Ac/Out/S": round(sum(abs(p) for p in power_out)),
            "Alarms/GridLost": 2 if lost and not site.off_grid else 0,
            "Dc/0/Voltage": round(state.battery_voltage, 2),
            "Dc/0/Current": round(state.inverter_dc / state.battery_voltage, 1),
            "Dc/0/Power": round(state.inverter_dc),
            "Hub/ChargeVoltage": round(state.charge_voltage, 1),
            "Dc/0/MaxChargeCurrent": round(state.max_charge_current, 1),
            "Energy/AcIn1ToAcOut": round(state.imported_kwh * 0.6, 2),
            "Energy/AcIn1ToInverter": round(state.imported_kwh * 0.4, 2),
            "Energy/InverterToAcIn1": round(state.exported_kwh, 2),
            "Energy/InverterToAcOut": round(state.discharged_kwh, 2),
            "Energy/OutToInverter": 0.0,
            "Leds/Inverter": int(lost),
            "Leds/Mains": int(not lost),
            "Soc": round(state.soc, 1),
            "State": vebus_state(state),
            "VebusMainState": 9,
        }
    )
    return tree


def _ac(prefix: str, power: float, voltage: float, frequency: float) -> Tree:
    return {
        f"{prefix}/V": round(voltage, 2),
        f"{prefix}/I": round(power / voltage, 2) if voltage else 0.0,
        f"{prefix}/P": round(power),
        f"{prefix}/S": round(abs(power)),
        f"{prefix}/F": round(frequency, 3),
    }


def multi_tree(site: Site, state: SiteState) -> Tree:
    """Tree of the site's RS device, which inverts and tracks PV in one."""
    tree: Tree = {
        "Mgmt/ProcessName": "vecan-dbus",
        "Mgmt/ProcessVersion": "3.52",
        "Mgmt/Connection": "VE.Can",
        "DeviceInstance": MULTI_INSTANCE,
        "ProductId": 42050,
        "ProductName": "Multi RS Solar 48V/6000VA/100A",
        "FirmwareVersion": 70914,
        "Serial": "HQ" + digits(site, "multi").upper(),
        "Connected": 1,
        "ErrorCode": 0,
        "Mode": 3,
        "State": vebus_state(state),
        "Ac/NumberOfAcInputs": 1,
        "Ac/NumberOfPhases": site.phases,
        "Ac/ActiveIn/ActiveInput": 0 if state.grid_connected else DISCONNECTED,
        "Ac/In/1/Type": 1,
        "Ac/In/1/CurrentLimit": 50.0,
        "Dc/0/Voltage": round(state.battery_voltage, 2),
        "Dc/0/Current": round((state.inverter_dc + state.pv_dc) / state.battery_voltage, 1),
        "Dc/0/Power": round(state.inverter_dc + state.pv_dc),
        "Dc/0/Temperature": [],
        "Soc": round(state.soc, 1),
        "Pv/V": round(320.0, 1) if state.pv_dc > 1.0 else 0.0,
        "Yield/Power": round(state.pv_dc, 1),
        "Yield/User": round(state.pv_kwh, 2),
        "Yield/System": round(state.pv_kwh, 2),
        "History/Daily/0/Yield": round(state.pv_today_kwh, 2),
        "NrOfTrackers": 2,
        "Pv/0/P": round(state.pv_dc / 2.0, 1),
        "Pv/1/P": round(state.pv_dc / 2.0, 1),
        "Energy/AcIn1ToInverter": round(state.imported_kwh, 2),
        "Energy/InverterToAcIn1": round(state.exported_kwh, 2),
        "Energy/SolarToBattery": round(state.charged_kwh, 2),
        "Settings/Ess/Mode": 1,
        "Settings/Ess/MinimumSocLimit": site.battery.min_soc,
    }
    for name in ("LowSoc", "LowVoltage", "HighVoltage", "LowVoltageAcOut", "HighVoltageAcOut"):
        tree[f"Alarms/{name}"] = 0
    for name in ("HighTemperature", "Overload", "Ripple", "ShortCircuit", "GridLost"):
        tree[f"Alarms/{name}"] = 0
    tree["Alarms/GridLost"] = 0 if state.grid_connected or site.off_grid else 2
    power_in = input_power(site, state) if state.grid_connected else [0.0] * site.phases
    for phase in PHASES:
        for what in "VIPF":
            tree[f"Ac/In/1/L{phase}/{what}"] = []
            tree[f"Ac/Out/L{phase}/{what}"] = []
    for phase, (p_in, v_in, p_out, v_out) in enumerate(
        zip(
            power_in,
            state.grid_voltages,
            output_power(site, state),
            state.output_voltages,
            strict=True,
        ),
        1,
    ):
        tree.update(_ac(f"Ac/In/1/L{phase}", p_in, v_in, state.frequency))
        tree.update(_ac(f"Ac/Out/L{phase}", p_out, v_out, state.output_frequency))
    return tree
