"""One simulated site over every protocol at once: each quantity that a protocol carries is that of
the Venus HTTP bridge, and so are the issues and the score."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import time
from collections.abc import Coroutine, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from exporter.drivers import DRIVERS
from exporter.drivers.base import Driver, DriverContext, Endpoint, Pollable, Subscribed
from exporter.drivers.template.template_file import load_template
from exporter.drivers.transport import Transports
from exporter.drivers.transport.http.json_client import HttpClient
from exporter.drivers.transport.http.site_client import HttpTransport
from exporter.drivers.transport.mqtt.broker import MqttTransport
from exporter.model.quantities import QUANTITIES
from exporter.model.snapshot import Outcome, ScrapeError, Snapshot
from simulator import BridgeServer, openems
from simulator.devices import SiteBus
from simulator.devices.names import portal_of
from simulator.modbus.gx import GxUnits
from simulator.modbus.server import ModbusServer
from simulator.modbus.sunspec import SunSpecUnits
from simulator.mqtt_client import connected
from simulator.scenario import Site
from simulator.state import SiteState
from simulator.venus_mqtt import devices_of, publish_devices
from tests.drivers.bridge import Clock
from tests.drivers.json_peer import JsonPeer
from tests.drivers.modbus_tcp.test_gx_site import (
    DEMO,
    HISTORY,
    MOST_KWH,
    RESOLUTION,
    SITES,
    WITHOUT_REGISTER,
    active,
    judged,
    merged,
    simulation,
)
from tests.drivers.mosquitto import Mosquitto, mosquitto, needs_mosquitto

pytestmark = needs_mosquitto
TURNS = 6

# Where a battery monitor is all that a battery has, or a grid is called a generator, only Venus
# devices say so.
COMPLETE = [
    site.id
    for site in DEMO.sites
    if site.id in SITES
    and site.grid_meter
    and site.kind != "multiplus-bmv"
    and site.solar.coupling != "on_genset"
]
OF_VENUS = {"ac_source", "grid_frequency_step_hz", "system_state", "pv_disabled"}
OF_SUNSPEC = (
    {"cell_count", "consumed_ah", "charged_kwh", "discharged_kwh"}
    | {
        # The simulated unit has model 802, and none of 124.
        "minimum_soc_percent",
    }
    | {f"modules_{what}" for what in ("online", "offline", "blocking_charge", "blocking_discharge")}
)
OPENEMS = load_template("openems", Path())
CANNOT: Mapping[str, set[str]] = {
    "venus-mqtt": set(),
    "modbus-tcp": WITHOUT_REGISTER,
    "sunspec": OF_VENUS | OF_SUNSPEC,
    "template": OF_VENUS,
    "push": OF_VENUS,
    "openems": set(QUANTITIES) - {reading.quantity for reading in OPENEMS.readings},
}
"""What each has no place for, of what the HTTP bridge gives. Push and templates take whatever the
glossary has; these are known to a Venus device alone."""
ROUNDED = {"_w": 0.06, "_v": 0.006, "_a": 0.06, "_c": 0.06, "_percent": 0.06, "_kwh": 0.051}
ROUNDED |= {"_hz": 0.006, "_ah": 0.06}


def _steps(**coarser: float) -> Mapping[str, float]:
    return coarser | {end: step for end, step in ROUNDED.items() if end not in coarser}


STEPS: Mapping[str, Mapping[str, float]] = {
    "venus-mqtt": {},
    "modbus-tcp": RESOLUTION,
    # Power in steps of 10 W, of which the load has three parts; mains in 0.1 V.
    "sunspec": _steps(
        load_power_w=15.1,
        pv_dc_power_w=0.51,
        _w=5.1,
        _ah=0.51,
        grid_voltage_v=0.06,
        grid_voltage_min_v=0.06,
        grid_voltage_max_v=0.06,
    ),
    "template": ROUNDED,
    "push": ROUNDED,
    "openems": _steps(_w=0.51, _percent=0.51),
}
"""How far a value may be from that of the bridge, by the end of its name: what a protocol resolves,
and what the bridge's own values are rounded to."""

BOX = {
    "template": "box",
    "title": "A box",
    "gives": "all that a template can",
    "transport": "http",
    "source": "this test",
    "switch_on": "nothing",
    "requests": {"state": "/state"},
}


def site_readings(site: Site, state: SiteState) -> dict[str, float]:
    """What a node of a whole site measures, by the names of the glossary."""
    volts = state.grid_voltages
    pv = {"pv_dc_power_w": state.pv_dc} if site.solar.coupling == "dc" else {}
    return (pv or {"pv_ac_power_w": state.pv_ac}) | {
        "pv_power_w": state.pv_ac + state.pv_dc,
        "grid_power_w": state.grid,
        "grid_frequency_hz": state.frequency,
        "grid_voltage_v": sum(volts) / len(volts),
        "grid_voltage_min_v": min(volts),
        "grid_voltage_max_v": max(volts),
        "grid_connected": float(state.grid_connected),
        "grid_expected": 1.0,
        "grid_import_kwh": state.imported_kwh,
        "grid_export_kwh": state.exported_kwh,
        "load_power_w": state.load,
    }


def battery_readings(site: Site, state: SiteState) -> dict[str, float]:
    """What a node of a whole site measures at its battery."""
    volts, heat = state.cell_voltages, state.cell_temperatures
    return {
        "soc_percent": state.soc,
        "minimum_soc_percent": site.battery.min_soc,
        "soh_percent": state.soh,
        "voltage_v": state.battery_voltage,
        "current_a": state.battery_current,
        "power_w": state.battery_power,
        "temperature_c": state.battery_temperature,
        "cell_min_v": min(volts),
        "cell_max_v": max(volts),
        "cell_spread_v": max(volts) - min(volts),
        "cell_min_temperature_c": min(heat),
        "cell_max_temperature_c": max(heat),
        "cell_count": len(volts),
        "capacity_ah": state.capacity_ah,
        "consumed_ah": state.capacity_ah * (state.soc / 100 - 1),
        "charge_limit_a": state.max_charge_current,
        "discharge_limit_a": state.max_discharge_current,
        "cycles": int(state.cycles),
        "charged_kwh": state.charged_kwh,
        "discharged_kwh": state.discharged_kwh,
        "modules_online": site.battery.modules - state.modules_offline,
        "modules_offline": state.modules_offline,
        "modules_blocking_charge": 0,
        "modules_blocking_discharge": 0,
    }


def box(site: Site, state: SiteState) -> tuple[str, dict[str, Any]]:
    """A template that takes powers in kW, and a battery that counts discharging as positive; and
    what its device answers."""
    documents: dict[str, dict[str, float]] = {"site": {}, "battery": {}}
    rows = []
    for part, readings in (
        ("site", site_readings(site, state)),
        ("battery", battery_readings(site, state)),
    ):
        for name, value in readings.items():
            scale = -1000.0 if name == "power_w" else 1000.0 if name.endswith("_w") else 1.0
            documents[part][name] = value / scale
            rows.append({"quantity": name, "path": f"{part}.{name}", "scale": scale})
    return yaml.safe_dump(BOX | {"readings": rows}), documents


class Ways:
    """The drivers of one simulated site, by protocol."""

    def __init__(self, site: str, folder: Path, broker: Mosquitto) -> None:
        self.site, self._folder, self._broker = site, folder, broker
        self.simulator = simulation()
        self.simulator.advance()
        self.clock = Clock()
        self.found: dict[str, list[Snapshot]] = {}
        self._opened = contextlib.AsyncExitStack()
        self._drivers: dict[str, Driver] = {}

    async def __aenter__(self) -> Ways:
        enter = self._opened.enter_async_context
        self._http = HttpTransport(await enter(HttpClient()))
        simulator, site, state = self.simulator, self.site, self.simulator.state(self.site)
        bridge = BridgeServer(simulator)
        self._opened.push_async_callback(bridge.stop)
        self._open("venus-http", f"http://127.0.0.1:{await bridge.start()}/{site}")
        coupling = simulator.site(site).solar.coupling
        units = {"sunspec": {"units": (1,) if coupling == "dc" else (1, 2)}}
        for name, served, options in (
            ("modbus-tcp", GxUnits(SiteBus(simulator, site)), {}),
            ("sunspec", SunSpecUnits(simulator, site), units),
        ):
            server = ModbusServer(simulator, site, served)
            self._opened.push_async_callback(server.stop)
            self._open(name, f"modbus://127.0.0.1:{await server.start()}", **options)
        text, documents = box(simulator.site(site), state)
        (self._folder / "box.yaml").write_text(text, "utf-8")
        peer = JsonPeer({"/state": documents, openems.ROUTE: openems.channels(state)})
        await enter(peer.running())
        self._open("template", peer.url, template=str(self._folder / "box.yaml"))
        self._open("openems", peer.url, driver="template", template="openems")
        self._open("venus-mqtt", self._broker.url, portal=portal_of(simulator.site(site)))
        self._open("push", self._broker.url)
        heard = asyncio.Event()
        port = self._broker.port
        self._node, _ = await enter(connected("127.0.0.1", port, "node", lambda *_: heard.set()))
        self._node.subscribe(f"N/{portal_of(simulator.site(site))}/system/0/Serial")
        devices = devices_of(simulator, [site])
        self._start(publish_devices("127.0.0.1", port, devices, tick_seconds=0.05))
        # It has subscribed by then, and is asked once.
        await heard.wait()
        for driver in self._drivers.values():
            if isinstance(driver, Subscribed):
                self._start(driver.subscribe())
        return self

    async def __aexit__(self, *error: Any) -> None:
        for driver in self._drivers.values():
            await driver.close()
        await self._opened.aclose()

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        self._opened.push_async_callback(_end, asyncio.ensure_future(work))

    def _open(self, name: str, url: str, driver: str | None = None, **options: Any) -> None:
        kind = DRIVERS[driver or name]
        own = time.monotonic if issubclass(kind, Subscribed) else self.clock.monotonic
        context = DriverContext(Transports(self._http, mqtt=MqttTransport()), self.clock.wall, own)
        endpoint = Endpoint(self.site, url, kind.options.model_validate(options))
        self._drivers[name] = kind.open(endpoint, context)

    async def read(self) -> None:
        """Read each of them once, at the same moment."""
        for name, driver in self._drivers.items():
            async with asyncio.timeout(30):
                self.found.setdefault(name, []).append(await self._next(driver, name == "push"))
        self.clock.advance(10)

    async def _next(self, driver: Driver, sends: bool) -> Snapshot:
        if isinstance(driver, Pollable):
            return await driver.scrape()
        assert isinstance(driver, Subscribed)
        while True:
            # A node that is not subscribed yet hears the next message.
            if sends:
                self._send()
            with contextlib.suppress(ScrapeError):
                if (found := await driver.latest()) is not None:
                    return found
            await asyncio.sleep(0.02)

    def _send(self) -> None:
        site, state = self.simulator.site(self.site), self.simulator.state(self.site)
        cells = {"voltages_v": state.cell_voltages, "temperatures_c": state.cell_temperatures}
        battery = {"device": "battery/0", "readings": battery_readings(site, state), "cells": cells}
        point = {"measured": self.clock.wall(), "readings": site_readings(site, state)}
        payload = json.dumps(point | {"batteries": [battery]}).encode()
        self._node.publish(f"fleet/{self.site}/telemetry", payload)


async def _end(task: asyncio.Future[Any]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    with mosquitto(tmp_path_factory.mktemp("mosquitto")) as running:
        yield running


def known(found: list[Snapshot]) -> dict[str, float]:
    """What was read of a site and its active battery."""
    readings = merged(found) | dict(active(found).readings)
    return {name: value for name, value in readings.items() if not math.isnan(value)}


def differences(there: Mapping[str, float], here: Mapping[str, float], way: str) -> list[str]:
    """Where a way does not give what the bridge gives, though it has a place for it."""
    absent = there.keys() - here.keys() - CANNOT[way]
    if way == "modbus-tcp":
        absent -= {name for name in HISTORY if there[name] > MOST_KWH}
    wrong = [f"{name}: {there[name]}, missing" for name in absent]
    wrong += [f"{name}: has a place after all" for name in here.keys() & CANNOT[way]]
    wrong += [
        f"{name}: {here[name]}, which the bridge lacks" for name in here.keys() - there.keys()
    ]
    for name in there.keys() & here.keys():
        step = next((s for end, s in STEPS[way].items() if name.endswith(end)), 0.0)
        if name == "grid_frequency_hz" and not way.startswith("venus"):
            # An inverter of Victron gives it in steps of a quarter of a hertz.
            step += there["grid_frequency_step_hz"]
        if not abs(here[name] - there[name]) <= step + 1e-9:
            wrong.append(f"{name}: {there[name]} over HTTP, {here[name]}")
    return sorted(wrong)


@pytest.mark.parametrize("site", COMPLETE)
async def test_one_site_is_the_same_over_every_protocol(
    site: str, broker: Mosquitto, tmp_path: Path
) -> None:
    async with Ways(site, tmp_path, broker) as ways:
        for _ in range(TURNS):
            await ways.read()
    over_http = ways.found.pop("venus-http")
    there, first = known(over_http), judged(site, over_http)
    assert set(ways.found) == set(CANNOT)
    for way, found in ways.found.items():
        assert {s.outcome for s in found} == {Outcome.OK}, (way, found[-1].detail)
        assert differences(there, known(found), way) == [], way
        second = judged(site, found)
        if way != "openems":
            # It has no frequency, health or cells: a site is judged by what it has.
            assert {i.code for i in second.issues} == {i.code for i in first.issues}, way
            assert second.score == first.score, way
    assert ways.found["venus-mqtt"][-1].notices == over_http[-1].notices
