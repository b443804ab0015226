"""Devices in the field that share an id, move, vanish, hang or wait, judged by the whole chain."""

from __future__ import annotations

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
    hangs_after,
    site_trees,
)
from tests.drivers.venus.judged import (
    MAPPING,
    SECOND,
    answered,
    codes,
    judged,
    plain_site,
    sentence,
    with_second_battery,
)


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
