"""GX sites over Modbus TCP: the same Snapshot and score as over the HTTP bridge."""

from __future__ import annotations

import asyncio
import contextlib
import math
import struct
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from exporter.assess.assessment import SiteAssessment, assess
from exporter.collect.state import FleetState
from exporter.config.fleet import Fleet
from exporter.config.fleet_file import FleetFileError, parse_fleet
from exporter.drivers import DRIVERS
from exporter.drivers.base import Driver, DriverContext, Endpoint, Pollable
from exporter.drivers.modbus_tcp.gx_map import gx_map
from exporter.drivers.transport import Transports
from exporter.drivers.transport.http.json_client import HttpClient
from exporter.drivers.transport.http.site_client import HttpTransport
from exporter.drivers.transport.modbus import gateway as module
from exporter.model.snapshot import BatterySnapshot, Outcome, ScrapeError, Snapshot
from simulator import BridgeServer, Scenario, Simulator
from simulator.devices import SiteBus
from simulator.modbus.gx import GxUnits
from simulator.modbus.server import ModbusServer
from tests.drivers.bridge import Clock
from tests.drivers.modbus_peers import RawModbus, pymodbus_server, reply_to, says

NOON = datetime.fromisoformat("2026-06-21T11:00:00+00:00")
DEMO = Scenario.load("demo")
SITES = [site.id for site in DEMO.sites if not any(f.fault == "offline" for f in site.faults)]
# What a register resolves, by the end of a quantity's name; sums have it for each phase.
RESOLUTION = {
    "_percent": 0.05,
    "cell_min_v": 0.005,
    "cell_max_v": 0.005,
    "cell_spread_v": 0.01,
    "_v": 0.05,
    "current_a": 0.05,
    "_a": 0.05,
    "_ah": 0.05,
    "_c": 0.05,
    "_w": 1.5,
    "step_hz": 0.001,
    "_hz": 0.005,
    "_kwh": 0.05,
    "_s": 50.0,
}
# No register has these.
WITHOUT_REGISTER = {"system_state", "capacity_ah"}
# Of these a GX writes 0 for no value.
ZERO_IS_NOTHING = {"modules_offline", "modules_blocking_charge", "modules_blocking_discharge"}
# Counters of 16 bits end there.
HISTORY, MOST_KWH = {"charged_kwh", "discharged_kwh"}, 6553.4


def simulation() -> Simulator:
    return Simulator(DEMO, clock=lambda: 1000.0, start=NOON)


@contextlib.asynccontextmanager
async def drivers(
    simulator: Simulator, site: str, clock: Clock
) -> AsyncIterator[tuple[Driver, Driver]]:
    """The HTTP and the Modbus driver of one simulated site."""
    http_server = BridgeServer(simulator)
    modbus_server = ModbusServer(simulator, site, GxUnits(SiteBus(simulator, site)))
    http_url = f"http://127.0.0.1:{await http_server.start()}/{site}"
    modbus_url = f"modbus://127.0.0.1:{await modbus_server.start()}"
    try:
        async with HttpClient() as session:
            transports = Transports(HttpTransport(session))
            context = DriverContext(transports, clock.wall, clock.monotonic)
            opened = [
                DRIVERS[name].open(Endpoint(site, url, DRIVERS[name].options()), context)
                for name, url in (("venus-http", http_url), ("modbus-tcp", modbus_url))
            ]
            yield opened[0], opened[1]
            for driver in opened:
                await driver.close()
    finally:
        await modbus_server.stop()
        await http_server.stop()


async def snapshots(driver: Driver, clock: Clock, times: int = 6) -> list[Snapshot]:
    assert isinstance(driver, Pollable)
    found = []
    for _ in range(times):
        found.append(await driver.scrape())
        clock.advance(10)
    return found


def merged(found: list[Snapshot]) -> dict[str, float]:
    readings: dict[str, float] = {}
    for snapshot in found:
        readings |= snapshot.readings
    return readings


def active(found: list[Snapshot]) -> BatterySnapshot:
    return next(b for b in found[-1].batteries if b.active)


def compare(http: Mapping[str, float], modbus: Mapping[str, float]) -> list[str]:
    """Differences beyond what registers resolve."""
    wrong = []
    for name, expected in http.items():
        value = modbus.get(name, math.nan)
        both_missing = math.isnan(expected) and (math.isnan(value) or name in ZERO_IS_NOTHING)
        if both_missing or name in WITHOUT_REGISTER:
            continue
        if math.isnan(value) and name in HISTORY and expected > MOST_KWH:
            continue
        step = next((s for end, s in RESOLUTION.items() if name.endswith(end)), 0.0)
        if not abs(value - expected) <= step + 1e-9:
            wrong.append(f"{name}: {expected} over HTTP, {value} over Modbus")
    return wrong


@pytest.mark.parametrize("site", SITES)
async def test_readings_are_those_of_the_http_bridge(site: str) -> None:
    clock = Clock()
    async with drivers(simulation(), site, clock) as (http, modbus):
        by_http = await snapshots(http, clock)
        by_modbus = await snapshots(modbus, clock)
    assert {s.outcome for s in by_modbus} == {Outcome.OK}, by_modbus[-1].detail
    assert compare(merged(by_http), merged(by_modbus)) == []
    there, here = active(by_http), active(by_modbus)
    assert compare(there.readings, here.readings) == []
    assert (there.device, there.cell_min_id) == (here.device, here.cell_min_id)
    assert by_http[-1].properties["serial"] == by_modbus[-1].properties["serial"]
    assert by_modbus[-1].devices == (by_http[-1].devices or frozenset()) - {"settings/0"}
    levels = {d: a for s in by_http for d, a in s.alarms.items()}
    for device, alarms in ((d, a) for s in by_modbus for d, a in s.alarms.items()):
        for name in alarms.keys() & levels[device].keys():
            assert (name, alarms[name]) == (name, levels[device][name])


def judged(site: str, found: list[Snapshot]) -> SiteAssessment:
    row = next(s for s in DEMO.sites if s.id == site)
    entry: dict[str, Any] = {"id": site, "api_endpoint": "http://192.0.2.1"}
    entry |= {"off_grid": row.off_grid}
    entry |= {"grid_nominal_hz": DEMO.regions[row.region].nominal_hz}
    entry |= {"grid_nominal_v": DEMO.regions[row.region].nominal_v}
    state = FleetState(Fleet.model_validate({"sites": [entry]}), 10.0)
    for turn, snapshot in enumerate(found):
        state.apply(snapshot, 1000.0 + 10 * turn)
    return assess(state, 1000.0 + 10 * len(found), 1.7e9).site(0)


@pytest.mark.parametrize("site", SITES)
async def test_the_score_is_that_of_the_http_bridge(site: str) -> None:
    clock = Clock()
    async with drivers(simulation(), site, clock) as (http, modbus):
        by_http = judged(site, await snapshots(http, clock))
        by_modbus = judged(site, await snapshots(modbus, clock))
    assert {i.code for i in by_modbus.issues} == {i.code for i in by_http.issues}
    assert by_modbus.score == by_http.score
    assert by_modbus.status == by_http.status


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        ("offline", Outcome.REFUSED),
        ("hang", Outcome.TIMEOUT),
        ("rubbish", Outcome.MALFORMED),
        ("truncated", Outcome.TRUNCATED),
        ("http_500", Outcome.MALFORMED),
    ],
)
async def test_faults_of_the_network_have_their_outcome(
    fault: str, outcome: Outcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "REQUEST_SECONDS", 1.0)
    clock, simulator = Clock(), simulation()
    site = SITES[0]
    async with drivers(simulator, site, clock) as (_, modbus):
        await snapshots(modbus, clock, 1)
        simulator.inject(site, fault)
        assert isinstance(modbus, Pollable)
        with pytest.raises(ScrapeError) as caught:
            await modbus.scrape()
        assert caught.value.outcome is outcome
        simulator.clear(site, fault)
        clock.advance(10)
        assert (await modbus.scrape()).outcome is Outcome.OK


async def test_a_device_that_is_gone_loses_only_itself() -> None:
    clock, simulator = Clock(), simulation()
    site = SITES[0]
    async with drivers(simulator, site, clock) as (_, modbus):
        await snapshots(modbus, clock, 1)
        simulator.inject(site, "battery_silent")
        found = await snapshots(modbus, clock, 3)
    assert all(s.outcome.answered for s in found)
    assert found[-1].readings["grid_frequency_hz"] > 49
    assert "device_gone" in {notice.code for notice in found[-1].notices}
    assert found[-1].batteries == ()


async def test_against_another_make_of_server(clock: Clock) -> None:
    """The few registers that an old firmware has, from pymodbus's server."""
    serial = {800 + n: int.from_bytes(b"c0619ab00001"[2 * n : 2 * n + 2]) for n in range(6)}
    system = dict.fromkeys(range(808, 827), 0) | {817: 400, 820: 65036, 826: 1}
    system |= {840: 524, 841: 65436, 842: 65012, 843: 74, 844: 2, 845: 0, 846: 0, 850: 900}
    battery = {259: 5250, 261: 65431, 262: 0, 266: 750, 304: 0}
    vebus = dict.fromkeys(range(3, 37), 0) | {3: 2310, 9: 5002, 28: 1, 29: 0, 31: 3, 33: 3}
    units = {100: serial | system, 225: battery, 227: vebus}
    async with pymodbus_server(units) as port:
        context = DriverContext(Transports(None), clock.wall, clock.monotonic)  # type: ignore[arg-type]
        kind = DRIVERS["modbus-tcp"]
        driver = kind.open(Endpoint("a", f"modbus://127.0.0.1:{port}", kind.options()), context)
        assert isinstance(driver, Pollable)
        snapshot = await driver.scrape()
        await driver.close()
    (pack,) = snapshot.batteries
    assert snapshot.outcome is Outcome.OK
    assert (pack.device, pack.active) == ("battery/512", True)
    assert pack.readings["voltage_v"] == 52.5
    assert pack.readings["current_a"] == -10.5
    assert pack.readings["soc_percent"] == 75
    assert math.isnan(pack.readings["soh_percent"])
    assert math.isnan(pack.readings["temperature_c"])
    assert snapshot.readings["grid_power_w"] == -500
    assert snapshot.readings["load_power_w"] == 400
    assert snapshot.readings["grid_frequency_hz"] == 50.02
    assert snapshot.readings["pv_power_w"] == 900
    assert math.isnan(snapshot.readings["genset_power_w"])
    assert snapshot.properties["serial"] == "c0619ab00001"


def test_the_map_reads_no_register_twice_under_two_names() -> None:
    for service in gx_map().services.values():
        spans = [row.span for row in service.registers]
        assert len(spans) == len(set(spans))
        paths = {row.path for row in service.registers}
        assert paths.issuperset(service.alive)
        assert all(row.needs in paths for row in service.registers if row.needs)


def test_mistakes_in_the_block_have_their_place() -> None:
    text = (
        "sites:\n  - id: a\n    driver: modbus-tcp\n    api_endpoint: modbus://192.0.2.1\n"
        "    modbus: {unit: 300, unti: 100, units: {battry: [1]}}\n"
    )
    with pytest.raises(FleetFileError) as caught:
        parse_fleet(text, Path("fleet.yaml"), DRIVERS)
    assert [str(mistake) for mistake in caught.value.mistakes] == [
        "line 5, column 14: sites[0].modbus.unit: 300: expected 255 or less",
        "line 5, column 25: sites[0].modbus.unti: unknown key; did you mean unit?",
        "line 5, column 44: sites[0].modbus.units.battry: unknown key; did you mean battery?",
    ]


async def test_what_cannot_be_is_counted_and_kept_out() -> None:
    clock, simulator = Clock(), simulation()
    site = SITES[0]
    async with drivers(simulator, site, clock) as (_, modbus):
        simulator.inject(site, "implausible")
        found = await snapshots(modbus, clock, 2)
    wrong = {item.quantity: item.value for item in found[-1].implausible}
    assert wrong["soc_percent"] == 140
    assert wrong["cell_max_v"] == 9
    assert math.isnan(active(found).readings["soc_percent"])


async def test_a_reply_of_another_unit_is_not_taken(clock: Clock) -> None:
    peer = RawModbus(says(lambda request: reply_to(request, unit=7)))
    context = DriverContext(Transports(None), clock.wall, clock.monotonic)  # type: ignore[arg-type]
    kind = DRIVERS["modbus-tcp"]
    async with peer.running():
        url = f"modbus://127.0.0.1:{peer.port}"
        driver = kind.open(Endpoint("a", url, kind.options()), context)
        assert isinstance(driver, Pollable)
        with pytest.raises(ScrapeError) as caught:
            await driver.scrape()
        await driver.close()
    assert caught.value.outcome is Outcome.MALFORMED
    assert "the reply is from unit 7" in caught.value.detail


async def test_a_gateway_that_is_silent_for_unknown_units(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The search ends at the first silence; units of the fleet file are found without it."""
    monkeypatch.setattr(module, "REQUEST_SECONDS", 0.5)
    simulator = simulation()
    site = SITES[0]
    units = GxUnits(SiteBus(simulator, site))

    async def only_known(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes
    ) -> None:
        _, _, _, unit, function, first, count = struct.unpack(">HHHBBHH", request)
        held = units.registers(unit, first, count)
        if held is None:
            return
        words = [held.get(number) for number in range(first, first + count)]
        body = bytes([function | 0x80, 2])
        if None not in words:
            body = struct.pack(f">BB{count}H", function, 2 * count, *words)
        writer.write(request[:2] + struct.pack(">HHB", 0, len(body) + 1, unit) + body)

    context = DriverContext(Transports(None), clock.wall, clock.monotonic)  # type: ignore[arg-type]
    kind = DRIVERS["modbus-tcp"]
    given = {"battery": [225], "vebus": [227], "grid": [30], "multi": [], "pvinverter": []}
    block = {"units": given | {"solarcharger": []}}
    options = kind.options.model_validate({"modbus": block})
    async with RawModbus(only_known).running() as peer:
        driver = kind.open(Endpoint("a", f"modbus://127.0.0.1:{peer.port}", options), context)
        assert isinstance(driver, Pollable)
        snapshot = await driver.scrape()
        await driver.close()
    assert snapshot.outcome is Outcome.OK, snapshot.detail
    assert snapshot.devices == {"system/0", "battery/512", "vebus/276", "grid/30"}
