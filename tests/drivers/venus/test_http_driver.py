"""The Venus driver against a real listener with the bridge's manners."""

from __future__ import annotations

import math
from typing import Any

import pytest

from exporter.drivers.venus.http_driver import VenusHttpDriver
from exporter.model.quantities import QUANTITIES
from exporter.model.snapshot import Outcome
from tests.drivers.bridge import (
    BATTERY,
    CHARGER,
    GRID,
    HEAD,
    PREFIX,
    PVINVERTER,
    SYSTEM,
    VEBUS,
    Bridge,
    Clock,
    Manner,
    answers,
    one_byte_at_a_time,
    replies,
    sends,
)
from tests.drivers.venus.scrapes import active

pytestmark = pytest.mark.usefixtures("short_patience")


async def test_a_whole_site(bridge: Bridge, driver: VenusHttpDriver, clock: Clock) -> None:
    snapshot = await driver.scrape()
    assert snapshot.outcome is Outcome.OK
    assert snapshot.detail == ""
    assert snapshot.site == "alpha"
    assert snapshot.time == clock.wall()
    assert snapshot.properties == {"serial": "c0619ab00001", "system_type": "ESS"}
    assert bridge.asked() == ["services", "system", "battery.ttyO0", "vebus.ttyO1"]
    readings = {k: v for k, v in snapshot.readings.items() if not math.isnan(v)}
    assert readings.pop("grid_frequency_step_hz") == pytest.approx(0.256, abs=0.001)
    assert readings == {
        "grid_power_w": 77.5,
        "load_power_w": 600.0,
        "pv_dc_power_w": 900.0,
        "pv_ac_power_w": 4330.0,
        "pv_power_w": 5230.0,
        "pv_disabled": 0.0,
        "system_state": 256.0,
        "grid_connected": 1.0,
        "grid_frequency_hz": 50.02,
        "grid_voltage_v": 231.0,
        "grid_voltage_min_v": 231.0,
        "grid_voltage_max_v": 231.0,
        "grid_expected": 1.0,
    }
    assert math.isnan(snapshot.readings["genset_power_w"])
    battery = active(snapshot)
    assert battery.device == "battery/256"
    assert battery.readings["soc_percent"] == 75.0
    assert battery.readings["soh_percent"] == 95.0
    assert battery.readings["power_w"] == -551.0
    assert battery.readings["capacity_ah"] == 200.0
    assert battery.readings["cell_spread_v"] == 0.03
    assert (battery.cell_min_id, battery.cell_max_id) == ("0101", "0203")
    assert math.isnan(battery.readings["time_to_go_s"])
    assert snapshot.alarms["battery/256"] == {"LowVoltage": 0, "HighTemperature": 1}
    assert snapshot.alarms["vebus/257"] == {"GridLost": 0, "L1/Overload": 2, "VebusError": 0}
    mapped = ("battery/256", "vebus/257", "grid/30", "pvinverter/32", "solarcharger/258")
    assert snapshot.devices == frozenset({"system/0", *mapped})
    assert snapshot.implausible == ()


async def test_requests_of_a_site_go_one_by_one(bridge: Bridge, driver: VenusHttpDriver) -> None:
    bridge.manners[SYSTEM] = one_byte_at_a_time
    for _ in range(4):
        await driver.scrape()
        assert len(bridge.asked()) <= 4
    assert bridge.overlaps == 0


async def test_whole_trees_are_asked_for(bridge: Bridge, driver: VenusHttpDriver) -> None:
    await driver.scrape()
    assert [r.target for r in bridge.requests] == [
        "/site/services",
        f"/site/value?service={SYSTEM}&path=/",
        f"/site/value?service={BATTERY}&path=/",
        f"/site/value?service={VEBUS}&path=/",
    ]


async def test_services_at_the_start_then_hourly(
    bridge: Bridge, driver: VenusHttpDriver, clock: Clock
) -> None:
    times = []
    for second in range(0, 7300, 100):
        await driver.scrape()
        if "services" in bridge.asked():
            times.append(second)
        clock.advance(100)
    assert times == [0, 3600, 7200]


async def test_other_devices_in_turn_once_a_minute_and_the_meter_every_20_seconds(
    bridge: Bridge, driver: VenusHttpDriver, clock: Clock
) -> None:
    usual = {"services", "system", "battery.ttyO0", "vebus.ttyO1"}
    seen: list[list[str]] = []
    alarms: dict[str, dict[str, int]] = {}
    for _ in range(13):
        snapshot = await driver.scrape()
        alarms |= {k: dict(v) for k, v in snapshot.alarms.items()}
        asked = bridge.asked()
        assert len(asked) <= 4
        seen.append([a for a in asked if a not in usual])
        clock.advance(10)
    grid, pv, charger = "grid.meter_30", "pvinverter.meter_32", "solarcharger.ttyO2"
    assert seen[:7] == [[], [grid], [pv], [grid], [charger], [grid], []]
    assert [seen.count([device]) for device in (grid, pv, charger)] == [6, 2, 2]
    assert all(len(asked) <= 1 for asked in seen)
    assert alarms["solarcharger/258"] == {"HighVoltage": 1, "ErrorCode": 2}
    assert alarms["grid/30"] == {"ErrorCode": 0}


async def test_the_meters_energy_is_read_when_its_turn_comes(
    bridge: Bridge, driver: VenusHttpDriver
) -> None:
    assert "grid_import_kwh" not in (await driver.scrape()).readings
    second = await driver.scrape()
    assert second.readings["grid_import_kwh"] == 1234.5
    assert second.readings["grid_export_kwh"] == 99.25
    assert second.readings["grid_frequency_hz"] == 50.02


@pytest.mark.parametrize("name", ["socketcan_can0_vi6_uc317637", "lynxparallel0", "virtual_x-1"])
async def test_the_battery_by_the_system_trees_own_word(
    bridge: Bridge, driver: VenusHttpDriver, name: str
) -> None:
    named = f"{PREFIX}battery.{name}"
    bridge.rename(BATTERY, named)
    bridge.trees[f"{PREFIX}battery.aaa"] = {"Soc": 1.0, "DeviceInstance": 1}
    system = bridge.trees[SYSTEM]
    system["Dc/Battery/BatteryService"] = named
    system["ServiceMapping/com_victronenergy_battery_256"] = named
    battery = active(await driver.scrape())
    assert battery.device == "battery/256"
    assert battery.readings["soc_percent"] == 75.0


async def test_the_battery_by_class_and_instance(bridge: Bridge, driver: VenusHttpDriver) -> None:
    named = PREFIX + "battery.ttyO7"
    bridge.rename(BATTERY, named)
    bridge.trees[f"{PREFIX}battery.aaa"] = {"Soc": 1.0, "DeviceInstance": 1}
    system = bridge.trees[SYSTEM]
    system["Dc/Battery/BatteryService"] = []
    system["ServiceMapping/com_victronenergy_battery_256"] = named
    assert active(await driver.scrape()).readings["soc_percent"] == 75.0


async def test_the_battery_by_the_bms(bridge: Bridge, driver: VenusHttpDriver) -> None:
    system = bridge.trees[SYSTEM]
    system |= {"Dc/Battery/BatteryService": [], "ActiveBatteryService": "default"}
    system["ActiveBmsService"] = BATTERY
    assert active(await driver.scrape()).readings["soc_percent"] == 75.0


async def test_the_battery_by_services(bridge: Bridge, driver: VenusHttpDriver) -> None:
    system = bridge.trees[SYSTEM]
    for path in [p for p in system if p.startswith(("ServiceMapping", "Active", "Dc/Battery/B"))]:
        del system[path]
    snapshot = await driver.scrape()
    assert active(snapshot).device == "battery/256"
    assert active(snapshot).readings["soc_percent"] == 75.0
    assert snapshot.devices is None


async def test_no_battery_at_all(bridge: Bridge, driver: VenusHttpDriver) -> None:
    del bridge.trees[BATTERY]
    system = bridge.trees[SYSTEM]
    for path in [p for p in system if "Battery" in p or "battery" in p]:
        del system[path]
    snapshot = await driver.scrape()
    assert snapshot.outcome is Outcome.OK
    assert snapshot.batteries == ()


async def test_a_multi_stands_in_for_the_battery(bridge: Bridge, driver: VenusHttpDriver) -> None:
    del bridge.trees[BATTERY]
    bridge.trees[SYSTEM]["Dc/Battery/BatteryService"] = VEBUS
    snapshot = await driver.scrape()
    assert snapshot.outcome is Outcome.OK
    assert active(snapshot).device == "vebus/257"
    assert active(snapshot).readings["soc_percent"] == 74.0
    assert "soh_percent" not in active(snapshot).readings


@pytest.mark.parametrize("again", [False, True], ids=["at the start", "between scrapes"])
async def test_a_renamed_battery_is_found_in_the_same_scrape(
    bridge: Bridge, driver: VenusHttpDriver, again: bool
) -> None:
    bridge.trees[f"{PREFIX}battery.aaa"] = {"Soc": 1.0, "DeviceInstance": 1}
    if again:
        await driver.scrape()
        bridge.asked()
    else:
        del bridge.trees[f"{PREFIX}battery.aaa"]
    # The system tree still has the old name for a moment.
    bridge.rename(BATTERY, PREFIX + "battery.ttyUSB3")
    snapshot = await driver.scrape()
    asked = bridge.asked()
    assert len(asked) == 4
    assert asked.count("services") == 1
    assert snapshot.outcome is Outcome.OK
    assert active(snapshot).device == "battery/256"
    assert active(snapshot).readings["soh_percent"] == 95.0


async def test_a_scrape_without_budget_says_nothing_of_the_grid(
    bridge: Bridge, driver: VenusHttpDriver
) -> None:
    await driver.scrape()
    bridge.rename(BATTERY, PREFIX + "battery.ttyUSB3")
    assert "grid_connected" not in (await driver.scrape()).readings


async def test_a_battery_that_is_gone(bridge: Bridge, driver: VenusHttpDriver) -> None:
    await driver.scrape()
    del bridge.trees[BATTERY]
    bridge.asked()
    snapshot = await driver.scrape()
    assert bridge.asked() == ["system", "battery.ttyO0", "services", "vebus.ttyO1"]
    assert snapshot.outcome is Outcome.PARTIAL
    assert "status 404" in snapshot.detail
    # The system tree still speaks for it.
    assert active(snapshot).readings["soc_percent"] == 74.0
    assert snapshot.readings["grid_frequency_hz"] == 50.02


async def test_an_empty_list_of_services_keeps_what_is_known(
    bridge: Bridge, driver: VenusHttpDriver, clock: Clock
) -> None:
    system = bridge.trees[SYSTEM]
    for path in [p for p in system if p.startswith(("ServiceMapping", "Active", "Dc/Battery/B"))]:
        del system[path]
    await driver.scrape()
    bridge.services = []
    clock.advance(3700)
    snapshot = await driver.scrape()
    assert active(snapshot).readings["soc_percent"] == 75.0
    assert snapshot.outcome is Outcome.OK


@pytest.mark.parametrize(
    "manner",
    [answers("500 Oops"), answers("404 Not Found"), replies([]), sends(HEAD + b"<html>")],
)
async def test_without_services_the_system_tree_is_enough(
    bridge: Bridge, driver: VenusHttpDriver, manner: Manner
) -> None:
    bridge.manners["services"] = manner
    snapshot = await driver.scrape()
    assert active(snapshot).readings["soc_percent"] == 75.0
    assert snapshot.readings["grid_frequency_hz"] == 50.02


async def test_the_grid_from_a_multi_rs(bridge: Bridge, driver: VenusHttpDriver) -> None:
    del bridge.trees[VEBUS]
    bridge.trees[SYSTEM]["VebusService"] = []
    del bridge.trees[SYSTEM]["ServiceMapping/com_victronenergy_vebus_257"]
    bridge.trees[PREFIX + "multi.can0"] = {
        "DeviceInstance": 0,
        "Ac/ActiveIn/ActiveInput": 0,
        "Ac/In/1/L1/F": 60.01,
        "Ac/In/1/L1/V": 121.0,
        "Ac/In/1/L2/V": 0.0,
    }
    snapshot = await driver.scrape()
    assert snapshot.readings["grid_frequency_hz"] == 60.01
    assert snapshot.readings["grid_voltage_v"] == 121.0
    assert bridge.asked()[-1] == "multi.can0"


async def test_the_grid_from_the_meter(bridge: Bridge, driver: VenusHttpDriver) -> None:
    del bridge.trees[VEBUS]
    bridge.trees[SYSTEM]["VebusService"] = []
    del bridge.trees[SYSTEM]["ServiceMapping/com_victronenergy_vebus_257"]
    readings = (await driver.scrape()).readings
    assert readings["grid_frequency_hz"] == 49.9
    assert readings["grid_voltage_v"] == 233.0
    assert readings["grid_voltage_min_v"] == 230.0
    assert readings["grid_voltage_max_v"] == 237.0


@pytest.mark.parametrize(
    "change",
    [
        {"Ac/ActiveIn/ActiveInput": 240, "Ac/ActiveIn/Connected": 0},
        {"Ac/ActiveIn/Connected": []},
    ],
)
async def test_a_disconnected_input_is_no_grid_and_not_0_hz(
    bridge: Bridge, driver: VenusHttpDriver, change: dict[str, Any]
) -> None:
    bridge.trees[VEBUS] |= {"Ac/ActiveIn/L1/F": 0.0, "Ac/ActiveIn/L1/V": 0.0} | change
    snapshot = await driver.scrape()
    assert snapshot.readings["grid_connected"] == 0.0
    assert math.isnan(snapshot.readings["grid_frequency_hz"])
    assert math.isnan(snapshot.readings["grid_voltage_v"])
    assert snapshot.implausible == ()


async def test_without_ac_devices_the_grid_is_missing_never_the_system_trees(
    bridge: Bridge, driver: VenusHttpDriver
) -> None:
    for service in (VEBUS, GRID):
        del bridge.trees[service]
    system = bridge.trees[SYSTEM]
    for path in [p for p in system if "vebus" in p.lower() or "_grid_" in p]:
        del system[path]
    system["Ac/ActiveIn/L1/F"] = 50.0
    snapshot = await driver.scrape()
    for name in ("grid_connected", "grid_frequency_hz", "grid_voltage_v"):
        assert math.isnan(snapshot.readings[name])


async def test_values_outside_physics_are_kept_apart(
    bridge: Bridge, driver: VenusHttpDriver
) -> None:
    bridge.trees[BATTERY] |= {
        "Soc": 140.0,
        "Dc/0/Temperature": 900.0,
        "System/MaxCellVoltage": 9.0,
        "Cell/1/Volts": 9.5,
        "Cell/2/Volts": 3.3,
    }
    bridge.trees[VEBUS]["Ac/ActiveIn/L1/F"] = 500.0
    snapshot = await driver.scrape()
    battery = active(snapshot)
    found = {(i.device, i.quantity): i.value for i in snapshot.implausible}
    assert found == {
        ("battery/256", "soc_percent"): 140.0,
        ("battery/256", "temperature_c"): 900.0,
        ("battery/256", "cell_max_v"): 9.0,
        ("battery/256", "cell 1 voltage_v"): 9.5,
        ("site", "grid_frequency_hz"): 500.0,
    }
    # Nor does the system tree's word take the place of a rejected value.
    for name in ("soc_percent", "temperature_c", "cell_max_v", "cell_spread_v"):
        assert math.isnan(battery.readings[name])
    assert battery.cells is not None
    assert battery.cells.voltages_v[1] == 3.3


async def test_bare_infinity_does_not_break_a_reply(
    bridge: Bridge, driver: VenusHttpDriver
) -> None:
    bridge.trees[BATTERY]["Soh"] = math.inf
    snapshot = await driver.scrape()
    assert snapshot.outcome is Outcome.OK
    assert active(snapshot).readings["soc_percent"] == 75.0
    assert [i.quantity for i in snapshot.implausible] == ["soh_percent"]


async def test_sentinels_and_values_that_are_none_are_missing(
    bridge: Bridge, driver: VenusHttpDriver
) -> None:
    bridge.trees[SYSTEM] |= {"Dc/Battery/Temperature": [], "Ac/Grid/L2/Power": None}
    bridge.trees[BATTERY] |= {"Dc/0/Temperature": -273.15, "Soh": [], "Soc": None}
    snapshot = await driver.scrape()
    readings = active(snapshot).readings
    assert math.isnan(readings["temperature_c"])
    assert math.isnan(readings["soh_percent"])
    assert readings["soc_percent"] == 74.0
    assert snapshot.readings["grid_power_w"] == 107.5
    assert snapshot.implausible == ()


async def test_other_batteries_come_from_the_system_tree_and_from_their_own(
    bridge: Bridge, driver: VenusHttpDriver
) -> None:
    other = PREFIX + "battery.ttyUSB1"
    bridge.trees[other] = {"DeviceInstance": 289, "Soc": 51.0, "Soh": 88.0}
    system = bridge.trees[SYSTEM]
    system["ServiceMapping/com_victronenergy_battery_289"] = other
    system["Batteries"] = [
        {"id": BATTERY, "instance": 256, "soc": 75.0},
        {"id": other, "instance": 289, "soc": 50.0, "voltage": 13.1, "temperature": []},
    ]
    first = {b.device: b for b in (await driver.scrape()).batteries}
    assert first.keys() == {"battery/256", "battery/289"}
    assert not first["battery/289"].active
    assert first["battery/289"].readings["soc_percent"] == 50.0
    await driver.scrape()  # the meter's turn
    third = {b.device: b for b in (await driver.scrape()).batteries}
    assert third["battery/289"].readings["soh_percent"] == 88.0


async def test_an_unmapped_device_stays_known(bridge: Bridge, driver: VenusHttpDriver) -> None:
    bridge.trees = {SYSTEM: bridge.trees[SYSTEM], BATTERY: bridge.trees[BATTERY]}
    bridge.trees[PREFIX + "dcsource.ttyUSB0"] = {"DeviceInstance": 7, "Alarms/LowVoltage": 2}
    system = bridge.trees[SYSTEM]
    system["VebusService"] = []
    for path in [p for p in system if p.startswith("ServiceMapping") and "battery" not in p]:
        del system[path]
    first = await driver.scrape()
    assert first.alarms["dcsource/7"] == {"LowVoltage": 2}
    second = await driver.scrape()
    assert "dcsource/7" not in second.alarms
    assert second.devices == frozenset({"system/0", "battery/256", "dcsource/7"})


async def test_a_device_that_vanishes_is_missed_and_services_are_asked_again(
    bridge: Bridge, driver: VenusHttpDriver
) -> None:
    await driver.scrape()
    del bridge.trees[GRID]
    del bridge.trees[SYSTEM]["ServiceMapping/com_victronenergy_grid_30"]
    bridge.asked()
    snapshot = await driver.scrape()
    # The system's mapping has changed, so the services are asked for in the same scrape.
    assert bridge.asked() == ["system", "services", "battery.ttyO0", "vebus.ttyO1"]
    assert snapshot.outcome is Outcome.OK
    assert snapshot.devices is not None
    assert "grid/30" not in snapshot.devices
    assert [n.code for n in snapshot.notices if n.device == "grid/30"] == ["device_gone"]
    await driver.scrape()
    assert "services" not in bridge.asked()


@pytest.mark.parametrize(
    "value",
    [True, "12", {"a": 1}, [[]], "", -1e308, 10**400],
    ids=["true", "text", "object", "list", "empty", "huge", "beyond floats"],
)
async def test_wrong_types_anywhere_never_raise(
    bridge: Bridge, driver: VenusHttpDriver, value: object
) -> None:
    for tree in bridge.trees.values():
        for path in tree:
            tree[path] = value
    bridge.services = [SYSTEM, BATTERY, VEBUS, GRID, PVINVERTER, CHARGER]
    for _ in range(5):
        snapshot = await driver.scrape()
        assert snapshot.outcome is Outcome.OK
        for name, reading in snapshot.readings.items():
            assert math.isnan(reading) or QUANTITIES[name].plausible(reading)
