"""One site over HTTP, MQTT and VRM each, at a line that fails on command.

Each site has a battery at :data:`SOC` percent, and its peer is real: the bridge's listener or
mosquitto.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from exporter.drivers import DRIVERS
from exporter.drivers.base import Driver, DriverContext, Endpoint, Subscribed, read_snapshot
from exporter.drivers.transport import Transports
from exporter.drivers.transport.http.json_client import HttpClient
from exporter.drivers.transport.http.site_client import HttpTransport
from exporter.drivers.transport.mqtt.broker import MqttTransport
from exporter.drivers.transport.push import PushTransport
from exporter.model.snapshot import Snapshot
from simulator.mqtt_client import connected
from tests.drivers.bridge import BATTERY, SYSTEM, Bridge, site_trees
from tests.drivers.json_peer import JsonPeer
from tests.drivers.mosquitto import Mosquitto, mosquitto
from tests.drivers.venus.gx import PORTAL, Skewed, device_at
from tests.drivers.vrm.test_vrm import records
from tests.faults.line import Line

SOC = 75.0
HEAD = """template: box
title: A box
gives: battery
transport: {transport}
source: its manual
switch_on: nothing
"""
PUBLISH_SECONDS = 0.1


@dataclass(slots=True)
class SiteClock:
    """The clocks of the driver; ``site_off`` is how far the site's own clock is ahead."""

    monotonic: Skewed = field(default_factory=Skewed)
    site_off: float = 0.0

    def wall(self) -> float:
        return 1_780_000_000.0 + self.monotonic()

    def site(self) -> float:
        """Unix seconds by the site."""
        return self.wall() + self.site_off


@dataclass(slots=True)
class SiteUnderTest:
    """A site, the line to it, and how to read it.

    ``set`` puts something else where the state of charge stands, in a register a raw number;
    ``server`` is its broker; ``answers`` are the statuses that a node over HTTP got.
    """

    driver: Driver
    line: Line
    clock: SiteClock
    set: Callable[[Any], None]
    transport: MqttTransport | None = None
    server: Mosquitto | None = None
    answers: list[int] = field(default_factory=list)

    async def read(self) -> Snapshot | None:
        """The next Snapshot, None where nothing is new.

        Raises
        ------
        ScrapeError
        """
        return await read_snapshot(self.driver)


@contextlib.asynccontextmanager
async def opened(
    name: str,
    port: int,
    clock: SiteClock,
    url: str,
    set_: Callable[[Any], None],
    push: PushTransport | None = None,
    **options: Any,
) -> AsyncIterator[SiteUnderTest]:
    """The driver of a site whose peer listens on a port; ``url`` has ``{port}`` for the line's."""
    mqtt = MqttTransport()
    line_to = Line(port, damages_requests=push is not None)
    async with line_to.running() as line, HttpClient() as http:
        asked = HttpTransport(http, lambda *_: "Bearer secret")
        transports = Transports(asked, mqtt=mqtt, push=push or PushTransport())
        context = DriverContext(transports, clock.wall, clock.monotonic)
        kind = DRIVERS[name]
        chosen = kind.options.model_validate(options)
        driver = kind.open(Endpoint("alpha", url.format(port=line.port), chosen), context)
        task = None
        if isinstance(driver, Subscribed):
            task = asyncio.create_task(driver.subscribe())
        try:
            yield SiteUnderTest(driver, line, clock, set_, mqtt)
        finally:
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
            await driver.close()
            await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def venus_http(folder: Path) -> AsyncIterator[SiteUnderTest]:
    trees = _trees()
    async with Bridge(trees).running() as bridge:
        port = int(bridge.url.split(":")[2].split("/")[0])
        put = _putting(trees[BATTERY], "Soc")
        url = "http://127.0.0.1:{port}/site"
        async with opened("venus-http", port, SiteClock(), url, put) as site:
            yield site


@contextlib.asynccontextmanager
async def venus_mqtt(folder: Path) -> AsyncIterator[SiteUnderTest]:
    trees, clock = _trees(), SiteClock()
    with mosquitto(folder) as server:
        put = _putting(trees[BATTERY], "Soc")
        url = "mqtt://127.0.0.1:{port}"
        async with (
            device_at(server.port, trees),
            opened("venus-mqtt", server.port, clock, url, put, portal=PORTAL) as site,
        ):
            site.server = server
            yield site


@contextlib.asynccontextmanager
async def template_http(folder: Path) -> AsyncIterator[SiteUnderTest]:
    document: dict[str, Any] = {"soc": SOC}
    text = "requests: {s: /s}\nreadings:\n  - {quantity: soc_percent, path: soc}\n"
    template = template_file(folder, "http", text)
    async with JsonPeer({"/s": document}).running() as peer:
        port = int(peer.url.rpartition(":")[2])
        put = _putting(document, "soc")
        url = "http://127.0.0.1:{port}"
        async with opened("template", port, SiteClock(), url, put, template=template) as site:
            yield site


@contextlib.asynccontextmanager
async def template_mqtt(folder: Path) -> AsyncIterator[SiteUnderTest]:
    document: dict[str, Any] = {"soc": SOC}
    text = (
        "expires_seconds: 5\ntopics: {s: box/state}\nreadings:\n"
        "  - {quantity: soc_percent, request: s, path: soc}\n"
    )
    template = template_file(folder, "mqtt", text)
    with mosquitto(folder) as server:
        put, url = _putting(document, "soc"), "mqtt://127.0.0.1:{port}"
        clock = SiteClock()
        async with (
            _publishing(server, "box/state", lambda: json.dumps(document)),
            opened("template-mqtt", server.port, clock, url, put, template=template) as site,
        ):
            site.server = server
            yield site


@contextlib.asynccontextmanager
async def push_mqtt(folder: Path) -> AsyncIterator[SiteUnderTest]:
    readings: dict[str, Any] = {"soc_percent": SOC}
    clock = SiteClock()

    def message() -> str:
        battery = {"device": "battery/1", "readings": readings}
        point = {"measured": clock.site(), "batteries": [battery]}
        return json.dumps({"sent": clock.site(), "points": [point]})

    with mosquitto(folder) as server:
        put, url = _putting(readings, "soc_percent"), "mqtt://127.0.0.1:{port}"
        async with (
            _publishing(server, "fleet/alpha/telemetry", message),
            opened("push", server.port, clock, url, put) as site,
        ):
            site.server = server
            yield site


@contextlib.asynccontextmanager
async def vrm(folder: Path) -> AsyncIterator[SiteUnderTest]:
    clock = SiteClock()
    documents = _Diagnostics(clock)
    peer = JsonPeer(documents)

    def put(value: Any) -> None:
        documents.soc = value

    async with peer.running():
        port = int(peer.url.rpartition(":")[2])
        url, block = "http://127.0.0.1:{port}/v2", {"installation": 4711}
        async with opened("vrm", port, clock, url, put, vrm=block) as site:
            yield site


def _trees() -> dict[str, dict[str, Any]]:
    """A site whose system says nothing of its battery, so that the battery alone does."""
    trees = site_trees()
    trees[SYSTEM]["Dc/Battery/Soc"] = []
    return trees


class _Diagnostics(dict[str, Any]):
    """VRM's reply, made when it is asked for: its values are as old as VRM is asked."""

    def __init__(self, clock: SiteClock) -> None:
        super().__init__({"/v2/installations/4711/diagnostics?count=1000": None})
        self.soc: Any = SOC
        self._clock = clock

    def __getitem__(self, _: str) -> Any:
        found = records(self._clock.site())
        kept = ("/Soc", "/DeviceInstance", "/ActiveBatteryService")
        found["records"] = [
            record | ({"rawValue": self.soc} if record["dbusPath"] == "/Soc" else {})
            for record in found["records"]
            if record["dbusPath"] in kept
        ]
        return found


def _putting(document: dict[str, Any], key: str) -> Callable[[Any], None]:
    def put(value: Any) -> None:
        document[key] = value

    return put


def template_file(folder: Path, transport: str, rest: str) -> str:
    path = folder / "box.yaml"
    path.write_text(HEAD.format(transport=transport) + rest, "utf-8")
    return str(path)


@contextlib.asynccontextmanager
async def _publishing(server: Mosquitto, topic: str, message: Callable[[], str]) -> Any:
    """A device that publishes again and again, and comes back with its broker."""

    async def publish() -> None:
        while True:
            with contextlib.suppress(OSError, ConnectionError):
                async with connected("127.0.0.1", server.port, "box", lambda *_: None) as (
                    client,
                    receiving,
                ):
                    while not receiving.done():
                        client.publish(topic, message().encode())
                        await client.drain()
                        await asyncio.sleep(PUBLISH_SECONDS)
            await asyncio.sleep(PUBLISH_SECONDS)

    task = asyncio.create_task(publish())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
