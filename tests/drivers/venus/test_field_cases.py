"""What devices in the field do, and what the whole chain makes of it. The inputs are our own.

Each section is a kind of docs/field-notes.md.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import AsyncIterator
from typing import Any

import pytest

from exporter.assess.assessment import SiteAssessment
from exporter.drivers.transport.http import json_client
from exporter.drivers.venus import devices, http_driver
from exporter.store.line_protocol import snapshot_lines
from tests.drivers.bridge import (
    BATTERY,
    GRID,
    PREFIX,
    PVINVERTER,
    SYSTEM,
    VEBUS,
    Bridge,
    hangs_after,
    site_trees,
)
from tests.drivers.venus.judged import Judged, answered, codes, sentence

Trees = dict[str, dict[str, Any]]
MAPPING = "ServiceMapping/com_victronenergy_"
SECOND = PREFIX + "battery.socketcan_can1"
MULTI = PREFIX + "multi.socketcan_can0_vi0"


def plain_site() -> Trees:
    """A healthy site: one battery, one Multi on the grid."""
    trees = {name: site_trees()[name] for name in (SYSTEM, BATTERY, VEBUS)}
    for path in [p for p in trees[SYSTEM] if p.startswith(MAPPING)]:
        if trees[SYSTEM][path] not in trees:
            del trees[SYSTEM][path]
    trees[BATTERY]["Alarms/HighTemperature"] = 0
    trees[VEBUS] |= {"Alarms/L1/Overload": 0, "Mode": 3, "State": 3, "Connected": 1}
    trees[SYSTEM]["Ac/ActiveIn/Source"] = 1
    return trees


def with_second_battery(trees: Trees, instance: int, **values: Any) -> Trees:
    trees[SECOND] = trees[BATTERY] | {"DeviceInstance": instance} | values
    trees[SYSTEM][f"{MAPPING}battery_{instance}"] = SECOND
    trees[SYSTEM]["Batteries"] = [
        {"id": BATTERY, "instance": 256, "soc": 75.0},
        {"id": SECOND, "instance": instance, "soc": trees[SECOND]["Soc"], "voltage": 52.5},
    ]
    return trees


@contextlib.asynccontextmanager
async def judged(trees: Trees, **options: Any) -> AsyncIterator[Judged]:
    bridge = Bridge(trees)
    async with bridge.running(), Judged(bridge, **options) as site:
        yield site


async def test_a_healthy_site_has_no_issue() -> None:
    async with judged(plain_site()) as site:
        assert codes(await site.scrape()) == {}


# A: "not available" written as a number

NOT_AVAILABLE = [
    ("Soh", 0, "soh_percent"),
    ("Soh", -1, "soh_percent"),
    ("Soc", 255, "soc_percent"),
    ("Soc", 6553.5, "soc_percent"),
    ("Dc/0/Temperature", -40, "temperature_c"),
    ("Dc/0/Temperature", -273.1499939, "temperature_c"),
    ("Dc/0/Temperature", 3276.7, "temperature_c"),
    ("System/MaxCellTemperature", 32767, "cell_max_temperature_c"),
    ("System/MinCellVoltage", 65.535, "cell_min_v"),
    ("TimeToGo", 864000.0625, "time_to_go_s"),
    ("TimeToGo", 863999.9375, "time_to_go_s"),
    ("Dc/0/Voltage", 655.35, "voltage_v"),
    ("Dc/0/Current", -3276.8, "current_a"),
    ("History/ChargeCycles", 65535, "cycles"),
    ("History/ChargedEnergy", 6553.5, "charged_kwh"),
    ("Info/MaxChargeCurrent", 65535, "charge_limit_a"),
    ("Capacity", 0, "capacity_ah"),
]


@pytest.mark.parametrize(("path", "value", "name"), NOT_AVAILABLE)
async def test_a_number_that_means_no_value_is_no_reading(
    path: str, value: float, name: str
) -> None:
    trees = plain_site()
    trees[BATTERY][path] = value
    # The system tree repeats what the battery says.
    for own in ("Soc", "Voltage", "Current", "Temperature", "TimeToGo", "Capacity"):
        if path.endswith(own):
            trees[SYSTEM][f"Dc/Battery/{own}"] = value
    async with judged(trees) as site:
        found = await site.scrape()
        battery = site.snapshots[-1].batteries[0]
    assert math.isnan(battery.readings[name])
    assert site.snapshots[-1].implausible == ()
    assert set(codes(found)) <= {"battery_silent"}


@pytest.mark.parametrize(
    ("path", "value"), [("Soc", 0), ("Dc/0/Current", -1), ("Dc/0/Temperature", -1), ("Soh", 1)]
)
async def test_a_number_that_may_be_a_reading_is_one(path: str, value: float) -> None:
    trees = plain_site()
    trees[BATTERY][path] = value
    async with judged(trees) as site:
        await site.scrape(1)
        assert value in site.snapshots[-1].batteries[0].readings.values()


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("Dc/0/Temperature", 296.4, "temperature_c 296.4 of battery/256 (looks like kelvin)"),
        ("System/MaxCellVoltage", 3312, "cell_max_v 3312 of battery/256 (looks like millivolts)"),
    ],
)
async def test_another_unit_is_named_and_not_converted(path: str, value: float, said: str) -> None:
    trees = plain_site()
    trees[BATTERY][path] = value
    async with judged(trees) as site:
        found = await site.scrape()
    assert said in sentence(found, "implausible_reading")
    assert found.status.name == "HEALTHY"


# B: two devices under one id


async def test_two_batteries_with_one_instance_are_two_devices() -> None:
    trees = with_second_battery(plain_site(), 256, Soc=41.0, Soh=63.0)
    # Both have one key in the mapping, where one of them stands.
    trees[SYSTEM][f"{MAPPING}battery_256"] = BATTERY
    seen: list[dict[str, str]] = []
    async with judged(trees) as site:
        found = await site.scrape(8, lambda now: seen.append(codes(now)))
        packs = {p.device: p.readings["soc_percent"] for p in site.fleet_now.records[0].packs}
    assert packs == {"battery/256": 75.0, "battery/256:socketcan_can1": 41.0}
    assert all("battery_soh" in active for active in seen[3:]), "steady, not once a minute"
    assert "battery.socketcan_can1 and battery.ttyO0" in sentence(found, "device_id_clash")
    lines = [line for s in site.snapshots for line in snapshot_lines(s)]
    stored = {
        line.split(",device=")[1].split(" ")[0].split(",")[0]
        for line in lines
        if line.startswith("battery,")
    }
    assert stored == {"battery/256", "battery/256:socketcan_can1"}


async def test_a_device_that_moved_to_another_port_is_no_clash() -> None:
    async with judged(plain_site()) as site:
        await site.scrape(2)
        moved = PREFIX + "battery.ttyUSB7"
        site.bridge.rename(BATTERY, moved)
        site.bridge.trees[SYSTEM][f"{MAPPING}battery_256"] = moved
        site.bridge.trees[SYSTEM]["Dc/Battery/BatteryService"] = moved
        found = await site.scrape(3)
    assert codes(found) == {}
    assert [b.device for b in site.snapshots[-1].batteries] == ["battery/256"]


# D: AC inputs


def input_of(trees: Trees, *, volts: float, hertz: float, source: int, active: int = 0) -> None:
    connected = int(volts > 0)
    trees[VEBUS] |= {
        "Ac/ActiveIn/L1/V": volts,
        "Ac/ActiveIn/L1/F": hertz,
        "Ac/ActiveIn/Connected": connected,
        "Ac/ActiveIn/ActiveInput": active if connected else 240,
    }
    trees[SYSTEM]["Ac/ActiveIn/Source"] = source if connected else 240


@pytest.mark.parametrize("kind", [2, 3], ids=["generator", "shore"])
@pytest.mark.parametrize("says", ["system", "device"])
async def test_a_site_without_a_grid_has_none_to_lose(kind: int, says: str) -> None:
    trees = plain_site()
    if says == "system":
        trees[SYSTEM]["Ac/In/0/Source"] = kind
    else:
        trees[VEBUS]["Ac/In/1/Type"] = kind
    input_of(trees, volts=0.0, hertz=0.0, source=240)
    async with judged(trees) as site:
        off = await site.scrape(3)
        input_of(trees, volts=228.0, hertz=51.8, source=kind)
        on = await site.scrape(3)
        input_of(trees, volts=0.0, hertz=0.0, source=240)
        off_again = await site.scrape(3)
    assert codes(off) == codes(on) == codes(off_again) == {}
    assert on.components["grid"] is None
    assert "grid_frequency_hz" not in on.missing
    assert on.readings["ac_input_frequency_hz"] == 51.8


async def test_a_generator_far_off_is_reported_in_its_own_band() -> None:
    trees = plain_site()
    trees[SYSTEM]["Ac/In/0/Source"] = 2
    input_of(trees, volts=231.0, hertz=44.0, source=2)
    async with judged(trees) as site:
        assert codes(await site.scrape(3)) == {"ac_input_frequency": "warning"}


@pytest.mark.parametrize("grid_input", [0, 1])
async def test_a_grid_stays_lost_while_a_generator_runs(grid_input: int) -> None:
    trees = plain_site()
    trees[SYSTEM][f"Ac/In/{grid_input}/Source"] = 1
    trees[SYSTEM][f"Ac/In/{1 - grid_input}/Source"] = 2
    input_of(trees, volts=230.0, hertz=50.02, source=1, active=grid_input)
    async with judged(trees) as site:
        assert codes(await site.scrape(3)) == {}
        input_of(trees, volts=0.0, hertz=0.0, source=240)
        assert codes(await site.scrape(2)) == {"grid_lost": "critical"}
        input_of(trees, volts=232.0, hertz=51.4, source=2, active=1 - grid_input)
        running = await site.scrape(2)
        input_of(trees, volts=230.0, hertz=50.0, source=1, active=grid_input)
        back = await site.scrape(2)
    assert codes(running) == {"grid_lost": "critical", "on_generator": "info"}
    assert "runs on a generator" in sentence(running, "grid_lost")
    assert codes(back) == {}


async def test_without_any_word_on_the_input_a_grid_that_was_seen_can_be_lost() -> None:
    trees = plain_site()
    del trees[SYSTEM]["Ac/ActiveIn/Source"]
    dead = {"Ac/ActiveIn/L1/V": 0.0, "Ac/ActiveIn/L1/F": 0.0, "Ac/ActiveIn/ActiveInput": 240}
    live = {p: trees[VEBUS][p] for p in dead}
    trees[VEBUS] |= dead
    async with judged(trees) as site:
        never = await site.scrape(2)
        trees[VEBUS] |= live
        await site.scrape(2)
        trees[VEBUS] |= dead
        lost = await site.scrape(2)
    assert codes(never) == {}
    assert "grid_connected" in never.missing
    assert codes(lost) == {"grid_lost": "critical"}


@pytest.mark.parametrize(("setting", "expected"), [(1, {"grid_lost": "critical"}), (2, {})])
async def test_old_firmware_has_the_kind_of_input_in_its_settings(
    setting: int, expected: dict[str, str], bridge: Bridge
) -> None:
    trees = plain_site()
    del trees[SYSTEM]["Ac/ActiveIn/Source"]
    input_of(trees, volts=0.0, hertz=0.0, source=240)
    async with judged(trees) as site:
        site.bridge.leaves = {"/Settings/SystemSetup/AcInput1": setting}
        found = await site.scrape(3)
        asked = [r.target for r in site.bridge.requests if "AcInput1" in r.target]
    assert codes(found) == expected
    assert len(asked) == 1


@pytest.mark.parametrize("off", [{"Mode": 4}, {"State": 0}], ids=["mode", "state"])
async def test_an_inverter_that_is_off_is_no_grid_loss(off: dict[str, int]) -> None:
    trees = plain_site()
    trees[SYSTEM]["Ac/In/0/Source"] = 1
    async with judged(trees) as site:
        await site.scrape(2)
        input_of(trees, volts=0.0, hertz=0.0, source=240)
        trees[VEBUS] |= off
        found = await site.scrape(2)
    assert codes(found) == {"device_state": "info"}
    assert "vebus/257 is" in sentence(found, "device_state")
    assert "grid_connected" in found.missing


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({}, {"grid_rejected": "warning"}),
        ({"Mode": 2}, {}),
        ({"Ac/State/IgnoreAcIn1": 1}, {}),
    ],
    ids=["on its own", "inverter only", "told to"],
)
async def test_a_live_grid_that_the_inverter_rejects_is_reported(
    told: dict[str, int], expected: dict[str, str]
) -> None:
    trees = plain_site()
    trees[SYSTEM] |= {"Ac/In/0/Source": 1, "Ac/ActiveIn/Source": 240}
    trees[VEBUS] |= {"Ac/ActiveIn/Connected": 0, "Ac/ActiveIn/ActiveInput": 240, **told}
    async with judged(trees) as site:
        assert codes(await site.scrape(3)) == expected


@pytest.mark.parametrize("dead", ["L1", "L2", "L3"])
@pytest.mark.parametrize("device", ["vebus", "multi", "meter"])
async def test_a_lost_phase_is_named(device: str, dead: str) -> None:
    trees = plain_site()
    volts = {"L1": 231.0, "L2": 229.5, "L3": 232.0}
    if device == "meter":
        trees[GRID] = {"DeviceInstance": 30, "Ac/Energy/Forward": 1.0, "Ac/Energy/Reverse": 2.0}
        trees[SYSTEM][f"{MAPPING}grid_30"] = GRID
    elif device == "multi":
        trees[MULTI] = {"DeviceInstance": 0, "Ac/ActiveIn/ActiveInput": 0, "Mode": 3, "State": 3}
        del trees[VEBUS]
        trees[SYSTEM]["VebusService"] = []
        del trees[SYSTEM][f"{MAPPING}vebus_257"]
        trees[SYSTEM][f"{MAPPING}multi_0"] = MULTI
    else:
        trees[VEBUS]["Ac/NumberOfPhases"] = 3

    def write(phase: str, value: float) -> None:
        if device == "meter":
            trees[GRID][f"Ac/{phase}/Voltage"] = value
        elif device == "multi":
            trees[MULTI] |= {f"Ac/In/1/{phase}/V": value, f"Ac/In/1/{phase}/F": 50.0}
        else:
            trees[VEBUS] |= {
                f"Ac/ActiveIn/{phase}/V": value,
                f"Ac/ActiveIn/{phase}/F": 50.0 if value else 0.0,
            }

    for phase, value in volts.items():
        write(phase, value)
    async with judged(trees) as site:
        assert codes(await site.scrape(6)) == {}
        write(dead, 0.0)
        steady: list[dict[str, str]] = []
        lost = await site.scrape(8, lambda now: steady.append(codes(now)))
        write(dead, 230.0)
        back = await site.scrape(6)
    assert codes(lost) == {"grid_phase_lost": "warning"}
    assert sentence(lost, "grid_phase_lost") == f"The grid has lost phase {dead}"
    assert steady[3:] == [codes(lost)] * 5
    assert codes(back) == {}


async def test_unused_phases_of_a_meter_are_not_lost() -> None:
    trees = plain_site()
    trees[GRID] = {"DeviceInstance": 30, "Ac/L1/Voltage": 230.0, "Ac/L2/Voltage": 0.0}
    trees[GRID]["Ac/L3/Voltage"] = 0.0
    trees[SYSTEM][f"{MAPPING}grid_30"] = GRID
    async with judged(trees) as site:
        assert codes(await site.scrape(8)) == {}


async def test_an_american_site_without_settings_is_judged_by_what_is_seen() -> None:
    trees = plain_site()
    trees[VEBUS] |= {"Ac/ActiveIn/L1/V": 119.0, "Ac/ActiveIn/L1/F": 60.309}
    async with judged(trees) as site:
        found = await site.scrape(3)
    async with judged(trees, grid_nominal_hz=60) as told:
        assert codes(await told.scrape(3)) == {}
    assert codes(found) == {"nominal_not_set": "info"}
    assert "120 V, 60 Hz" in sentence(found, "nominal_not_set")
    assert "grid_nominal_hz" in found.issues[0].action


@pytest.mark.parametrize("low", [49.847, 50.103])
async def test_steps_of_the_vebus_frequency_are_no_deviation(low: float) -> None:
    trees = plain_site()
    async with judged(trees) as site:
        for turn in range(40):
            trees[VEBUS]["Ac/ActiveIn/L1/F"] = low + 0.256 * (turn % 2 and low < 50)
            found = await site.scrape(1)
        assert codes(found) == {}
        assert found.components["grid"] == 100


# E: codes


@pytest.mark.parametrize(
    ("tree", "expected", "said"),
    [
        ({"ErrorCode": 306, "StatusCode": 8}, {}, ""),
        ({"ErrorCode": 509}, {}, ""),
        ({"ErrorCode": 102}, {"device_warning": "info"}, "ErrorCode 102, grid voltage too high"),
        ({"ErrorCode": 408}, {"device_alarm": "warning"}, "ErrorCode 408, DC injected"),
        ({"ErrorCode": 9999}, {"device_warning": "info"}, "ErrorCode 9999, unknown code"),
        ({"StatusCode": 10}, {"device_alarm": "warning"}, "StatusCode 10, error"),
    ],
)
async def test_codes_of_a_pv_inverter(
    tree: dict[str, int], expected: dict[str, str], said: str
) -> None:
    trees = plain_site()
    trees[PVINVERTER] = {"DeviceInstance": 32, "Ac/Power": 0.0, **tree}
    trees[SYSTEM][f"{MAPPING}pvinverter_32"] = PVINVERTER
    async with judged(trees) as site:
        found = await site.scrape()
    assert codes(found) == expected
    assert all(f"{said}" in issue.sentence for issue in found.issues)


@pytest.mark.parametrize(
    ("service", "path", "value", "expected"),
    [
        (VEBUS, "State", 2, {"device_alarm": "warning"}),
        (VEBUS, "Mode", 4, {"device_state": "info"}),
        (VEBUS, "VebusError", 17, {"device_alarm": "warning"}),
        (VEBUS, "State", 244, {}),
        (BATTERY, "State", 10, {"device_alarm": "warning"}),
        (BATTERY, "State", 14, {"device_state": "info"}),
        (SYSTEM, "Dvcc/Alarms/MultipleBatteries", 1, {}),
        (SYSTEM, "Dvcc/Alarms/FirmwareInsufficient", 1, {"device_warning": "info"}),
    ],
)
async def test_states_and_errors_by_class(
    service: str, path: str, value: int, expected: dict[str, str]
) -> None:
    trees = plain_site()
    trees[service][path] = value
    async with judged(trees) as site:
        assert codes(await site.scrape(3)) == expected


# F: wrong types


async def test_a_value_of_a_wrong_type_is_counted_and_named() -> None:
    trees = plain_site()
    trees[BATTERY] |= {"Soh": "good", "Dc/0/Temperature": "21.5"}
    async with judged(trees) as site:
        found = await site.scrape(3)
    assert codes(found) == {"wrong_type": "info"}
    assert 'soh_percent text "good" of battery/256' in sentence(found, "wrong_type")
    assert found.readings["battery_hottest_c"] == 21.5
    assert site.state.records[0].implausible_total == 3


# G: devices that are gone, silent, or hang


@pytest.mark.parametrize("service", [BATTERY, VEBUS])
async def test_a_device_that_says_it_is_not_connected_is_silent(service: str) -> None:
    trees = plain_site()
    async with judged(trees) as site:
        await site.scrape(3)
        trees[service]["Connected"] = 0
        found = await site.scrape(6)
        trees[service]["Connected"] = 1
        back = await site.scrape(2)
    assert "device_silent" in codes(found)
    assert ("soc_percent" in found.readings) is (service != BATTERY)
    assert ("grid_frequency_hz" in found.readings) is (service != VEBUS)
    assert codes(back) == {}


async def test_a_vanished_inverter_is_missed_until_it_is_back() -> None:
    trees = plain_site()
    async with judged(trees) as site:
        await site.scrape(3)
        vebus = trees.pop(VEBUS)
        del trees[SYSTEM][f"{MAPPING}vebus_257"]
        trees[SYSTEM]["VebusService"] = []
        gone = await site.scrape(12)
        trees[VEBUS] = vebus
        trees[SYSTEM][f"{MAPPING}vebus_257"] = VEBUS
        back = await site.scrape(2)
    assert codes(gone) == {"device_gone": "warning"}
    assert "vebus/257 is gone" in sentence(gone, "device_gone")
    assert codes(back) == {}


async def test_a_sleeping_pv_inverter_is_not_missed() -> None:
    trees = plain_site()
    trees[PVINVERTER] = {"DeviceInstance": 32, "Ac/Power": 300.0, "Connected": 1}
    trees[SYSTEM][f"{MAPPING}pvinverter_32"] = PVINVERTER
    async with judged(trees) as site:
        await site.scrape(6)
        del trees[PVINVERTER]
        del trees[SYSTEM][f"{MAPPING}pvinverter_32"]
        assert codes(await site.scrape(12)) == {}


async def test_a_battery_with_a_new_name_and_instance_is_the_one_at_once() -> None:
    trees = plain_site()
    async with judged(trees) as site:
        await site.scrape(3)
        new = PREFIX + "battery.ttyUSB9"
        trees[new] = trees.pop(BATTERY) | {"DeviceInstance": 300, "Soc": 33.0}
        del trees[SYSTEM][f"{MAPPING}battery_256"]
        trees[SYSTEM] |= {f"{MAPPING}battery_300": new, "Dc/Battery/BatteryService": new}
        seen: list[SiteAssessment] = []
        await site.scrape(8, seen.append)
        packs = [(p.device, p.active) for p in site.fleet_now.records[0].packs]
    assert all(now.readings["soc_percent"] == 33.0 for now in seen)
    assert all(codes(now) == {} for now in seen)
    assert packs == [("battery/300", True)]


async def test_a_battery_monitor_that_gives_way_to_the_multi_is_missed() -> None:
    trees = plain_site()
    async with judged(trees) as site:
        await site.scrape(3)
        del trees[BATTERY], trees[SYSTEM][f"{MAPPING}battery_256"]
        trees[SYSTEM] |= {"Dc/Battery/BatteryService": VEBUS, "Dc/Battery/Soc": 70.0}
        seen: list[SiteAssessment] = []
        found = await site.scrape(6, seen.append)
        active = site.fleet_now.records[0].active_battery
    assert all(now.readings["soc_percent"] == 70.0 for now in seen)
    assert active == "vebus/257"
    assert "device_gone" in codes(found)
    assert "battery_silent" not in codes(found)


async def test_dc_volts_alone_are_no_battery_reading() -> None:
    trees = plain_site()
    del trees[BATTERY], trees[SYSTEM][f"{MAPPING}battery_256"]
    for path in [p for p in trees[SYSTEM] if p.startswith(("Dc/Battery/", "ActiveB"))]:
        del trees[SYSTEM][path]
    trees[SYSTEM]["Dc/Battery/Voltage"] = 52.4
    async with judged(trees) as site:
        assert codes(await site.scrape(3)) == {"battery_silent": "warning"}


async def test_a_pending_battery_is_reported_with_what_is_left() -> None:
    trees = with_second_battery(plain_site(), 300, Soc=20.0, State=18)
    trees[BATTERY] |= {"State": 9, "InstalledCapacity": 400.0}
    trees[SECOND]["InstalledCapacity"] = 200.0
    async with judged(trees) as site:
        found = await site.scrape()
    assert codes(found) == {"bms_pending": "warning"}
    said = sentence(found, "bms_pending")
    assert "battery/300 is pending at 20 %" in said
    assert "400 of 600 Ah can be used" in said


async def test_the_system_service_is_down_and_the_bridge_is_not() -> None:
    trees = plain_site()
    async with judged(trees) as site:
        await site.scrape(3)
        system = trees.pop(SYSTEM)
        down = await site.scrape(8)
        trees[SYSTEM] = system
        back = await site.scrape(2)
    assert answered(site)
    assert "system_service_down" in codes(down)
    assert "The bridge answers" in sentence(down, "system_service_down")
    assert "site_offline" not in codes(down)
    assert down.readings["soc_percent"] == 75.0
    assert down.readings["grid_frequency_hz"] == 50.02
    assert "system_service_down" not in codes(back)


async def test_a_device_that_hangs_is_named_and_all_else_stays_fresh(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(json_client, "REQUEST_SECONDS", 1.0)
    monkeypatch.setattr(devices, "_SLOW_SECONDS", 5.0)
    trees = plain_site()
    async with judged(trees) as site:
        await site.scrape(3)
        site.bridge.asked()
        site.bridge.manners[BATTERY] = hangs_after(b"")
        first = await site.scrape(1)
        await site.bridge.idle()
        seen: list[SiteAssessment] = []
        found = await site.scrape(30, seen.append)
        asked = site.bridge.asked()
        site.bridge.manners.clear()
        site.clock.advance(600)
        await site.scrape(1)
        back = await site.scrape(2)
    assert asked.count("battery.ttyO0") == 1
    assert "device_silent" in codes(first)
    assert "battery/256 hangs" in sentence(found, "device_silent")
    assert all(now.readings["grid_frequency_hz"] == 50.02 for now in seen)
    assert all("site_offline" not in codes(now) for now in seen)
    assert "soc_percent" not in found.readings, "the last charge of a silent battery is old"
    assert codes(back) == {}


async def test_a_slow_reply_is_no_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_client, "REQUEST_SECONDS", 1.0)
    trees = plain_site()
    async with judged(trees) as site:
        await site.scrape(2)
        site.bridge.manners[BATTERY] = hangs_after(b"")
        await site.scrape(1)
        site.bridge.manners.clear()
        await site.bridge.idle()
        assert codes(await site.scrape(2)) == {}


# Whole, fresh, steady


async def test_a_pack_without_cells_is_shown_whole() -> None:
    trees = plain_site()
    for path in [p for p in trees[BATTERY] if "Cell" in p]:
        del trees[BATTERY][path]
    async with judged(trees) as site:
        await site.scrape(2)
        (pack,) = site.fleet_now.records[0].packs
    assert pack.readings["soc_percent"] == 75.0
    assert pack.readings["soh_percent"] == 95.0


async def test_counters_of_the_meter_are_always_fresh() -> None:
    trees = with_second_battery(plain_site(), 300)
    trees[GRID] = site_trees()[GRID]
    trees[SYSTEM][f"{MAPPING}grid_30"] = GRID
    for number in range(4):
        service = f"{PREFIX}solarcharger.ttyUSB{number}"
        trees[service] = {"DeviceInstance": 400 + number, "Yield/Power": 1.0}
        trees[SYSTEM][f"{MAPPING}solarcharger_{400 + number}"] = service
    fresh: list[bool] = []
    async with judged(trees) as site:
        await site.scrape(4)
        await site.scrape(40, lambda now: fresh.append("grid_import_kwh" in now.readings))
    assert all(fresh)


async def test_an_implausible_value_of_an_idle_battery_is_steady() -> None:
    trees = with_second_battery(plain_site(), 300, **{"Dc/0/Temperature": 280.0})
    seen: list[bool] = []
    async with judged(trees) as site:
        await site.scrape(8)
        await site.scrape(12, lambda now: seen.append("implausible_reading" in codes(now)))
        trees[SECOND]["Dc/0/Temperature"] = 21.0
        assert codes(await site.scrape(8)) == {}
    assert all(seen)


async def test_an_ignored_device_is_not_missed() -> None:
    gone = devices.GoneDevices(frozenset({"battery/1"}))
    services = {PREFIX + "battery.a": "battery/1", PREFIX + "battery.b": "battery/2"}
    gone.update(services)
    gone.update({})
    assert [notice.device for notice in gone.notices()] == ["battery/2"]
    assert http_driver.VenusHttpDriver.options(ignored_devices=("battery/1",))
