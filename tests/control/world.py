"""Real sites behind real servers, a fleet state that hears them, and a dispatcher over it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from exporter.assess.assessment import assess
from exporter.collect.state import FleetState
from exporter.config.fleet import Fleet
from exporter.config.fleet_file import parse_fleet
from exporter.control.dispatcher import Dispatcher
from exporter.control.gate import DispatchMode
from exporter.control.requests import DispatchRequest, ReleaseRequest
from exporter.control.site_inputs import InputReader
from exporter.drivers import DRIVERS
from exporter.drivers.base import Driver, DriverContext, Subscribed, read_snapshot
from exporter.drivers.transport import Transports
from exporter.drivers.transport.http.json_client import HttpClient
from exporter.drivers.transport.http.site_client import HttpTransport
from exporter.drivers.transport.modbus.gateway import ModbusTransport
from exporter.drivers.transport.mqtt.broker import MqttTransport
from exporter.drivers.ways_in import open_driver
from exporter.model.orders import OrderAction, OrderEvent, OrderState, OrderStatus
from exporter.model.snapshot import Outcome, ScrapeError, Snapshot
from simulator.controlled import ControlledSite, modbus_server, mqtt_device
from simulator.venus_mqtt import publish_devices

POLL_SECONDS = 0.1
# Longer than the loop needs, so that a busy machine makes no readings stale.
INTERVAL_SECONDS = 60.0
ENOUGH_SECONDS = 180.0
DISPATCH: Mapping[str, Any] = {"enabled": True, "max_charge_kw": 5, "max_discharge_kw": 5}


async def until(condition: Callable[[], Any], enough: float = ENOUGH_SECONDS) -> Any:
    """Wait for a condition; what it gives once that is true."""
    end = time.monotonic() + enough
    while not (found := condition()):
        assert time.monotonic() < end, "waited in vain"
        await asyncio.sleep(0.02)
    return found


@dataclass
class Skew:
    """A clock that the test may step."""

    clock: Callable[[], float] = time.time
    seconds: float = 0.0

    def __call__(self) -> float:
        return self.clock() + self.seconds


class Pace:
    """The clock of a device: slow while its lease has to hold, so that no busy machine lets it
    lapse."""

    def __init__(self, rate: float = 0.02) -> None:
        self._rate = rate
        self._at = self._since = time.monotonic()

    def __call__(self) -> float:
        return self._at + self._rate * (time.monotonic() - self._since)

    def go(self) -> None:
        """From now on it goes as fast as all others."""
        self._at, self._since, self._rate = self(), time.monotonic(), 1.0


@dataclass
class World:
    """A fleet whose sites are played, polled and controlled."""

    fleet: Fleet
    state: FleetState
    drivers: dict[str, Driver]
    wall: Skew
    monotonic: Skew
    rows: list[tuple[OrderStatus, OrderEvent]] = field(default_factory=list)
    dispatcher: Dispatcher | None = None
    begun: list[Dispatcher] = field(default_factory=list)
    latest: dict[str, Snapshot] = field(default_factory=dict)

    def states(self, order: str) -> list[str]:
        """The states that an order has gone through."""
        return [event.state.value for _, event in self.rows if event.order == order]

    def evidence(self, order: str, state: OrderState) -> Mapping[str, Any]:
        """Evidence of the row with which an order came to a state."""
        return next(e.evidence for _, e in self.rows if e.order == order and e.state is state)

    def has(self, order: str, state: OrderState) -> bool:
        return state.value in self.states(order)

    async def comes_to(self, order: str, state: OrderState) -> None:
        await until(lambda: self.has(order, state))

    def begin(
        self, journal: Path, mode: DispatchMode = DispatchMode.ON, **changed: Any
    ) -> Dispatcher:
        """A dispatcher over the fleet; the caller starts and stops it."""
        reader = InputReader(
            self.state,
            lambda: assess(self.state, time.monotonic(), time.time()),
            self.wall,
            time.monotonic,
        )
        self.dispatcher = Dispatcher(
            journal,
            mode,
            reader,
            self.drivers.get,
            lambda status, event: self.rows.append((status, event)),
            wall=self.wall,
            monotonic=self.monotonic,
            **changed,
        )
        self.begun.append(self.dispatcher)
        return self.dispatcher

    async def order(self, action: str, kilowatts: float = 0.0, **changed: Any) -> str:
        """Dispatch to the first site, or those of ``sites``; the id of the first order."""
        answer = await self.dispatch(action, kilowatts, **changed)
        return str(answer["orders"][0]["id"])

    async def dispatch(
        self,
        action: str,
        kilowatts: float = 0.0,
        *,
        seconds: float = 3600.0,
        sites: Sequence[str] = (),
        in_total: bool = False,
        dry_run: bool = False,
        **more: Any,
    ) -> dict[str, Any]:
        assert self.dispatcher is not None
        request = DispatchRequest(
            issuer="ops",
            role="operator",
            address="192.0.2.1",
            reason="a test",
            sites=tuple(sites) or (self.fleet.sites[0].id,),
            action=OrderAction(action),
            power_w=1000.0 * kilowatts,
            in_total=in_total,
            start=None,
            expires=self.wall() + seconds,
            dry_run=dry_run,
            **more,
        )
        return await self.dispatcher.dispatch(request)

    async def release(self, *sites: str) -> dict[str, Any]:
        assert self.dispatcher is not None
        wanted = sites or tuple(site.id for site in self.fleet.sites)
        request = ReleaseRequest(
            issuer="ops", role="operator", address="192.0.2.1", reason="a test", sites=wanted
        )
        return await self.dispatcher.release(request)


async def killed(world: World) -> None:
    """End the dispatcher as kill -9 does: nothing is written to device or journal any more."""
    dispatcher = world.dispatcher
    assert dispatcher is not None
    world.dispatcher = None
    await _dropped(dispatcher)


async def _dropped(dispatcher: Dispatcher) -> None:
    """End its tasks and give its journal back; once it has stopped nothing is left to do."""
    tasks = [*dispatcher._tasks.values()]
    tasks += [task for task in (dispatcher._watching, dispatcher._records._work) if task]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    dispatcher._journal.close()


async def _polling(world: World, name: str) -> None:
    while True:
        try:
            snapshot = await read_snapshot(world.drivers[name])
        except ScrapeError as error:
            snapshot = Snapshot(name, time.time(), 0.0, error.outcome, error.detail)
        if snapshot is not None:
            world.latest[name] = snapshot
            world.state.apply(snapshot, time.monotonic())
            if world.dispatcher is not None:
                world.dispatcher.observe(name)
        await asyncio.sleep(POLL_SECONDS)


@contextlib.asynccontextmanager
async def world_of(sites: Sequence[Mapping[str, Any]]) -> AsyncIterator[World]:
    """Sites of a fleet file, polled, each with readings already."""
    text = _yaml(sites)
    fleet = parse_fleet(text, Path("fleet.yaml"), DRIVERS)
    async with HttpClient() as http:
        transports = Transports(HttpTransport(http), ModbusTransport(), MqttTransport())
        context = DriverContext(transports, time.time, time.monotonic)
        drivers = {site.id: open_driver(site, DRIVERS, context) for site in fleet.sites}
        world = World(
            fleet, FleetState(fleet, INTERVAL_SECONDS), drivers, Skew(), Skew(time.monotonic)
        )
        tasks = [
            asyncio.create_task(driver.subscribe())
            for driver in drivers.values()
            if isinstance(driver, Subscribed)
        ]
        tasks += [asyncio.create_task(_polling(world, name)) for name in drivers]
        try:
            yield world
        finally:
            # A test that failed stopped none of them.
            for dispatcher in world.begun:
                await _dropped(dispatcher)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for driver in drivers.values():
                await driver.close()
            await asyncio.sleep(0.01)


async def heard(world: World, *names: str) -> None:
    """Wait until sites have given readings."""
    wanted = names or tuple(world.drivers)
    outcomes = (Outcome.OK, Outcome.PARTIAL)
    await until(
        lambda: all(n in world.latest and world.latest[n].outcome in outcomes for n in wanted)
    )


def mqtt_site(port: int, name: str = "alpha", **changed: Any) -> dict[str, Any]:
    portal = changed.pop("portal", "c0619ab00001")
    return {
        "id": name,
        "driver": "venus-mqtt",
        "api_endpoint": f"mqtt://127.0.0.1:{port}",
        "portal": portal,
        "capacity_kwh": 10,
        "dispatch": {**DISPATCH, **changed},
    }


def modbus_site(port: int, name: str = "alpha", **changed: Any) -> dict[str, Any]:
    return {
        "id": name,
        "driver": "modbus-tcp",
        "api_endpoint": f"modbus://127.0.0.1:{port}",
        "capacity_kwh": 10,
        "dispatch": {**DISPATCH, **changed},
    }


@contextlib.asynccontextmanager
async def published(port: int, *sites: ControlledSite) -> AsyncIterator[None]:
    """Sites at a broker until the block ends."""
    devices = {site.portal: mqtt_device(site) for site in sites}
    task = asyncio.create_task(publish_devices("127.0.0.1", port, devices, tick_seconds=0.05))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@contextlib.asynccontextmanager
async def listening(site: ControlledSite, port: int = 0) -> AsyncIterator[int]:
    """A site as a Modbus TCP server; gives its port."""
    server = modbus_server(site)
    found = await server.start("127.0.0.1", port)
    try:
        yield found
    finally:
        await server.stop()


def _yaml(sites: Sequence[Mapping[str, Any]]) -> str:
    import json

    return json.dumps({"sites": list(sites)})
