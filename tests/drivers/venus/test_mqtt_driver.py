"""Venus devices over a real mosquitto, beside the same devices over HTTP."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from exporter.drivers.transport.mqtt.broker import MqttTransport
from exporter.drivers.venus import mqtt_driver as driver_module
from exporter.model.snapshot import BatterySnapshot, Outcome, Snapshot
from simulator.venus_mqtt import VenusDevice
from tests.drivers.bridge import (
    BATTERY,
    CHARGER,
    GRID,
    SYSTEM,
    VEBUS,
    Bridge,
    Clock,
    driver_for,
    site_trees,
)
from tests.drivers.mosquitto import Mosquitto, mosquitto, needs_mosquitto
from tests.drivers.venus import test_captures
from tests.drivers.venus.gx import (
    PORTAL,
    Skewed,
    Trees,
    device_at,
    eventually,
    mqtt_driver,
    publishing,
    until,
    until_error,
)
from tests.drivers.venus.judged import plain_site, with_second_battery

pytestmark = needs_mosquitto


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    with mosquitto(tmp_path_factory.mktemp("mosquitto")) as running:
        yield running


@pytest.fixture
def trees() -> Trees:
    return site_trees()


@pytest.fixture
async def device(broker: Mosquitto, trees: Trees) -> AsyncIterator[VenusDevice]:
    async with device_at(broker.port, trees) as publishing_device:
        yield publishing_device


def plain(value: Any) -> Any:
    """A part of a Snapshot with NaN equal to itself."""
    if isinstance(value, float) and math.isnan(value):
        return "missing"
    if isinstance(value, BatterySnapshot):
        cells = value.cells
        return {
            "readings": plain(dict(value.readings)),
            "extremes": (value.cell_min_id, value.cell_max_id),
            "active": value.active,
            "cells": cells
            and (cells.labels, plain(list(cells.voltages_v)), plain(list(cells.temperatures_c))),
        }
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def merged(snapshots: list[Snapshot]) -> dict[str, Any]:
    """What several scrapes found together: the bridge is asked for one other device at a time."""
    last = snapshots[-1]
    readings: dict[str, float] = {}
    batteries: dict[str, BatterySnapshot] = {}
    alarms: dict[str, Any] = {}
    texts: dict[str, Any] = {}
    for snapshot in snapshots:
        readings |= snapshot.readings
        for battery in snapshot.batteries:
            # A battery that is only listed has a part of its readings.
            known = batteries.get(battery.device)
            if known is None or len(battery.readings) >= len(known.readings):
                batteries[battery.device] = battery
        alarms |= snapshot.alarms
        texts |= snapshot.alarm_texts
    return {
        "outcome": last.outcome,
        "readings": plain(readings),
        "batteries": {device: plain(b) for device, b in batteries.items()},
        "alarms": alarms,
        "alarm_texts": texts,
        "notices": sorted((n.code, n.device, n.detail) for n in last.notices),
        "devices": last.devices,
        "implausible": sorted(
            {
                (i.device, i.quantity, str(i.value), i.given)
                for s in snapshots
                for i in s.implausible
            }
        ),
        "properties": dict(last.properties),
    }


async def over_http(trees: Trees) -> dict[str, Any]:
    bridge, clock, snapshots = Bridge(trees), Clock(), []
    async with bridge.running(), driver_for(bridge.url, clock) as driver:
        for _ in range(10):
            snapshots.append(await driver.scrape())
            clock.advance(10)
    return merged(snapshots)


async def over_mqtt(broker: Mosquitto, trees: Trees) -> dict[str, Any]:
    async with device_at(broker.port, trees), mqtt_driver(broker.url, portal=PORTAL) as driver:
        return merged([await until(driver)])


def _odd(trees: Trees) -> None:
    trees[SYSTEM]["Dc/Battery/Soc"] = []
    trees[BATTERY] |= {"Soh": "61", "Soc": True, "Dc/0/Temperature": 290.0, "Voltages/Cell1": 3.3}
    trees[BATTERY] |= {"Voltages/Cell2": 9.0, "Voltages/Cell3": [], "System/MinCellVoltage": "n/a"}
    trees[GRID]["Ac/L2/Voltage"] = 0.0


def _bank(trees: Trees) -> None:
    with_second_battery(trees, 257, Soc=30.0)


def _disconnected(trees: Trees) -> None:
    trees[BATTERY]["Connected"] = 0
    trees[CHARGER]["Connected"] = 1


def _unmapped(trees: Trees) -> None:
    for path in [p for p in trees[SYSTEM] if p.startswith("ServiceMapping/")]:
        del trees[SYSTEM][path]


CASES = {"plain": lambda _: None, "odd": _odd, "bank": _bank, "disconnected": _disconnected}


@pytest.mark.parametrize("case", CASES)
async def test_the_same_device_gives_the_same_snapshot(
    broker: Mosquitto, trees: Trees, case: str
) -> None:
    CASES[case](trees)
    assert await over_mqtt(broker, trees) == await over_http(trees)


@pytest.mark.skipif(
    not (test_captures.FOLDER / f"{SYSTEM}.json").is_file(), reason="no recorded replies"
)
async def test_a_recording_gives_the_same_snapshot(broker: Mosquitto) -> None:
    recorded = test_captures.recorded_trees()
    http = await over_http(recorded)
    mqtt = await over_mqtt(broker, recorded)
    assert mqtt == http
    assert mqtt["readings"]["grid_power_w"] != "missing"


def _fed(trees: Trees, *, source: int, volts: float, hertz: float, available: int = 1) -> None:
    """What feeds the input of the inverter; 240 is nothing."""
    active = 240 if source == 240 else source - 1
    trees[VEBUS] |= {
        "Ac/ActiveIn/L1/V": volts,
        "Ac/ActiveIn/L1/F": hertz,
        "Ac/ActiveIn/Connected": int(volts > 0),
        "Ac/ActiveIn/ActiveInput": active,
        "Ac/State/AcIn1Available": available,
    }
    trees[SYSTEM]["Ac/ActiveIn/Source"] = source


def _seen(found: dict[str, Any]) -> dict[str, Any]:
    return {part: found[part] for part in ("readings", "notices", "implausible")}


@pytest.mark.parametrize("with_meter", [True, False])
async def test_a_generator_is_seen_alike(broker: Mosquitto, with_meter: bool) -> None:
    """From the grid to nothing, a generator and back, side by side with the HTTP bridge."""
    trees = plain_site()
    trees[SYSTEM] |= {"Ac/In/0/Source": 1, "Ac/In/1/Source": 2}
    if with_meter:
        trees[GRID] = site_trees()[GRID]
        trees[SYSTEM]["ServiceMapping/com_victronenergy_grid_30"] = GRID
    steps = [
        {"source": 1, "volts": 230.0, "hertz": 50.1},
        {"source": 240, "volts": 0.0, "hertz": 0.0, "available": 0},
        {"source": 2, "volts": 236.0, "hertz": 51.6, "available": 0},
        {"source": 1, "volts": 229.0, "hertz": 49.9},
    ]
    bridge, clock, said = Bridge(trees), Clock(), []
    async with (
        bridge.running(),
        driver_for(bridge.url, clock) as http,
        device_at(broker.port, trees),
        mqtt_driver(broker.url, portal=PORTAL) as mqtt,
    ):
        for step in steps:
            _fed(trees, **step)
            if with_meter:
                # The meter hangs on the grid.
                there = step["source"] == 1
                trees[GRID] |= {f"Ac/L{n}/Voltage": 230.0 if there else 0.0 for n in (1, 2, 3)}
                trees[GRID]["Ac/Frequency"] = 50.0 if there else 0.0
            found = []
            for _ in range(6):
                found.append(await http.scrape())
                clock.advance(10)
            expected = _seen(merged(found[-3:]))
            # The last of a step's changes may be on its way.
            await until(mqtt, lambda s, wanted=expected: _seen(merged([s])) == wanted)
            said.append([code for code, _, _ in expected["notices"]])
    assert said == [[], [], ["on_generator"], []]


async def test_names_of_services_are_found_without_a_mapping(
    broker: Mosquitto, trees: Trees
) -> None:
    _unmapped(trees)
    async with device_at(broker.port, trees), mqtt_driver(broker.url, portal=PORTAL) as driver:
        snapshot = await until(driver)
    (battery,) = snapshot.batteries
    assert (battery.device, battery.active) == ("battery/256", True)
    assert battery.readings["soc_percent"] == 75.0
    assert snapshot.readings["grid_frequency_hz"] == 50.02


async def test_the_portal_is_found_by_the_retained_serial_number(
    broker: Mosquitto, device: VenusDevice
) -> None:
    async with mqtt_driver(broker.url) as driver:
        snapshot = await until(driver)
    assert snapshot.properties["serial"] == PORTAL
    assert device.keepalives[0] == b""


async def test_several_devices_ask_for_a_portal(tmp_path: Path, trees: Trees) -> None:
    with mosquitto(tmp_path) as broker:
        other = VenusDevice("c0619ab00002", lambda: trees)
        devices = (device_at(broker.port, trees), publishing(broker.port, other))
        async with devices[0], devices[1], mqtt_driver(broker.url) as driver:
            error = await until_error(driver, lambda e: e.outcome is Outcome.MALFORMED)
    assert "several devices" in error.detail
    assert "c0619ab00002" in error.detail


async def test_changes_null_and_vanished_devices(
    broker: Mosquitto, trees: Trees, device: VenusDevice
) -> None:
    async with mqtt_driver(broker.url, portal=PORTAL) as driver:
        first = await until(driver)
        assert first.devices is not None
        assert "solarcharger/258" in first.devices
        trees[BATTERY]["Soc"] = 12.5
        await until(driver, lambda s: s.batteries[0].readings["soc_percent"] == 12.5)
        trees[BATTERY]["Soc"] = trees[SYSTEM]["Dc/Battery/Soc"] = []
        await until(driver, lambda s: math.isnan(s.batteries[0].readings["soc_percent"]))
        del trees[CHARGER], trees[SYSTEM]["ServiceMapping/com_victronenergy_solarcharger_258"]
        gone = await until(driver, lambda s: "solarcharger/258" not in (s.devices or ()))
    assert [n.device for n in gone.notices if n.code == "device_gone"] == ["solarcharger/258"]
    assert device.full_publishes == 1


async def test_keepalives_suppress_republishing(
    broker: Mosquitto, device: VenusDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driver_module, "KEEPALIVE_SECONDS", 0.2)
    async with mqtt_driver(broker.url, portal=PORTAL) as driver:
        await until(driver)
        await eventually(lambda: len(device.keepalives) >= 4)
    assert device.keepalives[0] == b""
    assert all(b"suppress-republish" in payload for payload in device.keepalives[1:])
    assert device.full_publishes == 1


async def test_values_of_a_silent_device_are_stale_and_all_are_sent_again_after_it(
    broker: Mosquitto, trees: Trees, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driver_module, "KEEPALIVE_SECONDS", 0.3)
    silent = False
    device = VenusDevice(PORTAL, lambda: None if silent else {k: dict(v) for k, v in trees.items()})
    clock = Skewed()
    site = mqtt_driver(broker.url, portal=PORTAL, clock=clock)
    async with publishing(broker.port, device), site as driver:
        await until(driver)
        silent = True
        await asyncio.sleep(0.2)
        clock.ahead += 15.0
        assert (await driver.latest()).outcome is Outcome.OK
        clock.ahead += 6.0
        error = await until_error(driver)
        assert error.outcome is Outcome.TIMEOUT
        assert "has sent nothing for" in error.detail
        trees[BATTERY]["Soh"] = 71.0
        silent = False
        again = await until(driver)
    assert again.batteries[0].readings["soh_percent"] == 71.0
    assert device.full_publishes >= 2


async def test_another_device_under_the_portal_is_refused(
    broker: Mosquitto, trees: Trees, device: VenusDevice
) -> None:
    async with mqtt_driver(broker.url, portal=PORTAL, serial="c0619ab99999") as driver:
        error = await until_error(driver, lambda e: e.outcome is Outcome.MALFORMED)
    assert "another device answers" in error.detail


async def test_sites_of_a_broker_share_one_connection(broker: Mosquitto) -> None:
    portals = [f"c0619ac{n:05d}" for n in range(20)]
    devices = []
    for number, portal in enumerate(portals):
        trees = plain_site()
        trees[SYSTEM]["Serial"] = portal
        trees[BATTERY]["Soh"] = 80.0 + number
        devices.append(VenusDevice(portal, lambda trees=trees: trees))
    transport = MqttTransport()
    async with publishing(broker.port, *devices), asyncio.TaskGroup() as group:

        async def soh(number: int) -> float:
            async with mqtt_driver(
                broker.url, site=f"s{number}", transport=transport, portal=portals[number]
            ) as driver:
                snapshot = await until(driver)
                shared = await held.wait()
                assert shared
                return snapshot.batteries[0].readings["soh_percent"]

        held = asyncio.Event()
        found = [group.create_task(soh(n)) for n in range(20)]
        await eventually(lambda: sum(d.full_publishes for d in devices) >= 20)
        (only,) = transport._brokers.values()
        assert only.connections == 1
        held.set()
    assert [task.result() for task in found] == [80.0 + n for n in range(20)]
    # One that does not begin within seconds, on a busy machine, is asked again.
    assert all(d.full_publishes >= 1 for d in devices)


async def test_two_sites_with_one_portal_are_refused(
    broker: Mosquitto, device: VenusDevice
) -> None:
    transport = MqttTransport()
    async with mqtt_driver(broker.url, transport=transport, portal=PORTAL) as first:
        await until(first)
        async with mqtt_driver(
            broker.url, site="beta", transport=transport, portal=PORTAL
        ) as second:
            error = await until_error(second, lambda e: e.outcome is Outcome.MALFORMED)
        assert "another site reads" in error.detail
        assert (await first.latest()).outcome is Outcome.OK


async def test_a_prefix_of_a_shared_broker_stands_before_all_topics(broker: Mosquitto) -> None:
    async with mqtt_driver(f"{broker.url}/plants/north", portal=PORTAL) as driver:
        await until_error(driver, lambda e: "sent nothing" in e.detail)
        assert driver._subscription is not None
        assert driver._subscription.filters == (f"plants/north/N/{PORTAL}/#",)


def test_only_paths_that_are_read_are_kept() -> None:
    from exporter.drivers.venus.replica import kept_path

    assert kept_path(b"History/Daily/3/Yield") is None
    assert kept_path(b"Mgmt/Connection") is None
    assert kept_path(b"Soc") == "Soc"


async def test_every_path_that_a_reading_is_made_of_is_kept() -> None:
    """The reader asks trees that note what they are asked for."""
    from exporter.drivers.venus.replica import kept_path

    asked: set[str] = set()

    class Noted(dict[str, Any]):
        def get(self, key: str, default: Any = None) -> Any:
            asked.add(key)
            return super().get(key, default)

    from exporter.drivers.base import DriverContext
    from exporter.drivers.transport import Transports
    from exporter.drivers.venus import tree as venus
    from exporter.drivers.venus.scrape import Budget, VenusOptions
    from exporter.drivers.venus.site_reader import SiteReader

    trees = site_trees()
    trees["com.victronenergy.multi.can0"] = {"DeviceInstance": 7}

    class Memory:
        async def get_json(self, path: str, params: dict[str, str], **_: Any) -> Any:
            if path == "/services":
                return {"services": sorted(trees)}
            return {"value": Noted(trees[params["service"]])}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(venus, "pruned", Noted)
        context = DriverContext(Transports(None), Clock().wall, Clock().monotonic)  # type: ignore[arg-type]
        reader = SiteReader("a", Memory(), VenusOptions(), context, Budget(99, 99, 0.0, 0.0))
        await reader.scrape()
    asked.discard("CustomName")
    assert len(asked) > 80
    assert sorted(path for path in asked if kept_path(path.encode()) is None) == []
