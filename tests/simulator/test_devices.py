"""What the devices show, against the real bridge's keys and against each other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from simulator import Scenario, Simulator
from simulator.devices import SiteBus, Tree

CAPTURES = Path(__file__).parents[3] / "shared" / "captures" / "venus-ess-demo"
SYSTEM = "com.victronenergy.system"

SITES = [site.id for site in Scenario.load("demo").sites]


def tree(simulator: Simulator, site_id: str, kind: str) -> Tree:
    bus = SiteBus(simulator, site_id)
    name = next(n for n in bus.services() if n.split(".")[2] == kind)
    found = bus.tree(name)
    assert found is not None
    return found


@pytest.mark.skipif(not CAPTURES.is_dir(), reason="no captures of a real bridge here")
@pytest.mark.parametrize(
    ("file", "site_id", "kind"),
    [
        ("com.victronenergy.system", "site_theta", "system"),
        ("com.victronenergy.vebus.ttyO1", "site_alpha", "vebus"),
        ("com.victronenergy.battery.ttyO0", "site_zeta", "battery"),
        ("com.victronenergy.grid.cgwacs_ttyUSB0_di30_mb1", "site_theta", "grid"),
        ("com.victronenergy.pvinverter.cgwacs_ttyUSB0_di32_mb2", "site_theta", "pvinverter"),
        ("com.victronenergy.solarcharger.ttyO2", "site_alpha", "solarcharger"),
    ],
)
def test_every_key_of_the_real_device_is_there(
    simulator: Simulator, file: str, site_id: str, kind: str
) -> None:
    real = json.loads((CAPTURES / f"{file}.json").read_text())["value"]
    shown = tree(simulator, site_id, kind)
    missing = {key for key in real if not key.startswith("ServiceMapping/")} - set(shown)
    assert missing == set()
    for key in set(real) & set(shown):
        numbers = isinstance(real[key], int | float), isinstance(shown[key], int | float)
        if real[key] != [] and shown[key] != []:
            assert numbers[0] == numbers[1], key


@pytest.mark.parametrize("site_id", SITES)
def test_system_names_the_other_services(simulator: Simulator, site_id: str) -> None:
    bus = SiteBus(simulator, site_id)
    system = tree(simulator, site_id, "system")
    assert system["Dc/Battery/BatteryService"] in bus.services()
    mapped = {v for k, v in system.items() if k.startswith("ServiceMapping/")}
    assert mapped == set(bus.services()) - {SYSTEM}
    assert (system["VebusService"] in bus.services()) == (bus.site.kind != "multi-rs")
    assert not any("Frequency" in key or key.endswith("/F") for key in system)
    assert bus.services() == sorted(bus.services())


def test_serial_numbers_differ(simulator: Simulator) -> None:
    serials = [tree(simulator, site_id, "system")["Serial"] for site_id in SITES]
    assert len(set(serials)) == len(SITES)


def phases(shown: Tree, group: str) -> float:
    values = [shown.get(f"Ac/{group}/L{n}/Power", []) for n in (1, 2, 3)]
    return float(sum(v for v in values if v != []))


@pytest.mark.parametrize("site_id", SITES)
def test_watts_balance_in_what_is_shown(simulator: Simulator, site_id: str) -> None:
    shown = tree(simulator, site_id, "system")
    pv = sum(phases(shown, f"PvOn{where}") for where in ("Grid", "Output", "Genset"))
    dc_pv = shown["Dc/Pv/Power"] or 0.0
    assert dc_pv + shown["Dc/InverterCharger/Power"] == pytest.approx(
        shown["Dc/Battery/Power"], abs=1.0
    )
    loss = simulator.state(site_id).conversion_loss
    made = phases(shown, "Grid") + pv + dc_pv
    used = phases(shown, "Consumption") + shown["Dc/Battery/Power"] + loss
    assert made == pytest.approx(used, abs=1.0)
    assert phases(shown, "Consumption") == pytest.approx(
        phases(shown, "ConsumptionOnInput") + phases(shown, "ConsumptionOnOutput"), abs=0.1
    )


@pytest.mark.parametrize("site_id", ["site_theta", "site_lambda", "site_zeta", "site_kappa"])
def test_meter_and_inverter_agree_with_the_system(simulator: Simulator, site_id: str) -> None:
    shown = tree(simulator, site_id, "system")
    assert tree(simulator, site_id, "grid")["Ac/Power"] == pytest.approx(
        phases(shown, "Grid"), abs=0.1
    )
    vebus = tree(simulator, site_id, "vebus")
    assert vebus["Ac/ActiveIn/P"] == pytest.approx(phases(shown, "ActiveIn"), abs=1.0)
    behind = phases(shown, "Grid") - phases(shown, "ConsumptionOnInput")
    behind += phases(shown, "PvOnGrid") + phases(shown, "PvOnGenset")
    assert vebus["Ac/ActiveIn/P"] == pytest.approx(behind, abs=1.0)


def test_battery_monitor_knows_neither_health_nor_cells_nor_temperature(
    simulator: Simulator,
) -> None:
    shown = tree(simulator, "site_zeta", "battery")
    assert not {"Soh", "System/MinCellVoltage", "Info/MaxChargeCurrent"} & set(shown)
    assert shown["Dc/0/Temperature"] == []
    assert tree(simulator, "site_zeta", "system")["Dc/Battery/Temperature"] == []
    assert shown["History/TotalAhDrawn"] < 0.0


@pytest.mark.parametrize(
    ("site_id", "one", "two", "heat"),
    [
        ("site_alpha", False, False, False),
        ("site_delta", True, False, False),
        ("site_gamma", False, True, True),
        ("site_theta", True, True, False),
    ],
)
def test_cell_formats(simulator: Simulator, site_id: str, one: bool, two: bool, heat: bool) -> None:
    shown = tree(simulator, site_id, "battery")
    cells = shown["System/NrOfCellsPerBattery"]
    state = simulator.state(site_id)
    assert ("Voltages/Cell1" in shown) == one
    assert (f"Voltages/Cell{cells}" in shown) == one
    assert (f"Cell/{cells}/Volts" in shown) == two
    assert f"Cell/{cells + 1}/Volts" not in shown
    assert (f"Cell/{cells}/Temperature" in shown) == heat
    assert shown["System/MaxCellVoltage"] == round(max(state.cell_voltages), 3)
    assert shown["System/MinCellVoltage"] == round(min(state.cell_voltages), 3)


def test_big_pack_has_52_cells_in_series(simulator: Simulator) -> None:
    shown = tree(simulator, "site_theta", "battery")
    assert shown["System/NrOfCellsPerBattery"] == 52
    assert 155.0 < shown["Dc/0/Voltage"] < 180.0


def test_off_grid_site_reads_zero_and_has_no_alarm(simulator: Simulator) -> None:
    vebus = tree(simulator, "site_eta", "vebus")
    assert vebus["Ac/ActiveIn/ActiveInput"] == 240
    assert vebus["Ac/ActiveIn/Connected"] == 0
    assert vebus["Ac/ActiveIn/L1/F"] == vebus["Ac/ActiveIn/L1/V"] == 0.0
    assert vebus["Alarms/GridLost"] == 0
    assert vebus["Ac/Out/L1/F"] == 50.0
    assert tree(simulator, "site_eta", "system")["Ac/Grid/L1/Power"] == []


def test_rs_site_has_its_frequency_on_the_multi(simulator: Simulator) -> None:
    shown = tree(simulator, "site_iota", "multi")
    assert shown["Ac/In/1/L1/F"] == pytest.approx(50.0, abs=0.08)
    assert tree(simulator, "site_iota", "system")["VebusService"] == []


def test_three_phases_or_one(simulator: Simulator) -> None:
    assert tree(simulator, "site_beta", "vebus")["Ac/ActiveIn/L3/F"] == 49.321
    assert tree(simulator, "site_alpha", "vebus")["Ac/ActiveIn/L2/F"] == []


def test_lost_grid(simulator: Simulator) -> None:
    simulator.inject("site_mu", "grid_lost")
    vebus = tree(simulator, "site_mu", "vebus")
    assert vebus["Alarms/GridLost"] == 2
    assert [vebus[f"Ac/ActiveIn/L{n}/F"] for n in (1, 2, 3)] == [0.0] * 3
    assert tree(simulator, "site_mu", "grid")["Ac/L1/Voltage"] == 0.0
    assert tree(simulator, "site_mu", "system")["Ac/ActiveIn/Source"] == 240
    simulator.inject("site_iota", "grid_lost")
    assert tree(simulator, "site_iota", "multi")["Alarms/GridLost"] == 2


def test_silent_battery_leaves_the_bus_and_the_system(simulator: Simulator) -> None:
    simulator.inject("site_mu", "battery_silent")
    assert not any(".battery." in name for name in SiteBus(simulator, "site_mu").services())
    shown = tree(simulator, "site_mu", "system")
    assert shown["Dc/Battery/Soc"] == shown["Dc/Battery/BatteryService"] == []
    assert "ServiceMapping/com_victronenergy_battery_512" not in shown


def test_battery_renamed_at_run_time(simulator: Simulator) -> None:
    before = SiteBus(simulator, "site_mu").names().battery
    simulator.inject("site_mu", "rename_battery", name="socketcan_can9")
    bus = SiteBus(simulator, "site_mu")
    assert bus.tree(before) is None
    assert bus.tree("com.victronenergy.battery.socketcan_can9") is not None
    named = tree(simulator, "site_mu", "system")["Dc/Battery/BatteryService"]
    assert named == "com.victronenergy.battery.socketcan_can9"


def test_alarms_of_several_devices(simulator: Simulator) -> None:
    simulator.inject("site_mu", "alarm", device="battery", name="InternalFailure", level=2)
    simulator.inject("site_mu", "alarm", device="inverter", name="L1/Overload", level=1)
    assert tree(simulator, "site_mu", "battery")["Alarms/InternalFailure"] == 2
    assert tree(simulator, "site_mu", "vebus")["Alarms/L1/Overload"] == 1
    simulator.clear("site_mu")
    assert tree(simulator, "site_mu", "battery")["Alarms/InternalFailure"] == 0


@pytest.mark.parametrize("kind", ["battery", "vebus", "system", "grid"])
def test_healthy_devices_have_no_alarm(simulator: Simulator, kind: str) -> None:
    shown = tree(simulator, "site_mu", kind)
    assert not any(value for key, value in shown.items() if key.startswith("Alarms/"))


def test_wrong_types_where_numbers_belong(simulator: Simulator) -> None:
    simulator.inject("site_mu", "wrong_types")
    for kind in ("battery", "vebus", "system", "grid"):
        shown = tree(simulator, "site_mu", kind)
        measured = [k for k in shown if k in {"Soc", "Soh", "Dc/0/Voltage", "Ac/Power"}]
        measured += [k for k in shown if k.startswith(("Dc/Battery/Soc", "Ac/ActiveIn/L1/F"))]
        assert measured
        for key in measured:
            assert isinstance(shown[key], str | bool | dict), key
    assert tree(simulator, "site_mu", "battery")["DeviceInstance"] == 512


def test_implausible_readings(simulator: Simulator) -> None:
    simulator.inject("site_theta", "implausible")
    shown = tree(simulator, "site_theta", "battery")
    seen: dict[str, Any] = {k: shown[k] for k in ("Soc", "System/MaxCellVoltage", "Cell/1/Volts")}
    assert seen == {"Soc": 140.0, "System/MaxCellVoltage": 9.0, "Cell/1/Volts": 9.0}
    assert shown["Dc/0/Temperature"] == 900.0
    assert tree(simulator, "site_theta", "system")["Dc/Battery/Soc"] == 140.0
