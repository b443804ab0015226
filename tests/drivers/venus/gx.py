"""Venus devices at a real broker, and drivers that read them."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

from exporter.drivers.base import DriverContext, Endpoint
from exporter.drivers.transport import Transports
from exporter.drivers.transport.http.json_client import HttpClient
from exporter.drivers.transport.http.site_client import HttpTransport
from exporter.drivers.transport.mqtt.broker import MqttTransport
from exporter.drivers.venus.mqtt_driver import VenusMqttDriver, VenusMqttOptions
from exporter.model.snapshot import ScrapeError, Snapshot
from simulator.venus_mqtt import VenusDevice, publish_devices

PORTAL = "c0619ab00001"
Trees = dict[str, dict[str, Any]]


class Skewed:
    """The monotonic clock, moved forward by the test."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.ahead


@contextlib.asynccontextmanager
async def device_at(
    port: int, trees: Trees, portal: str = PORTAL, **login: str | None
) -> AsyncIterator[VenusDevice]:
    """A device whose trees the test may change while it publishes."""
    device = VenusDevice(portal, lambda: copy.deepcopy(trees))
    async with publishing(port, device, **login):
        yield device


@contextlib.asynccontextmanager
async def publishing(port: int, *devices: VenusDevice, **login: str | None) -> AsyncIterator[None]:
    """Devices that publish until the block ends."""
    by_portal = {device.portal: device for device in devices}
    task = asyncio.create_task(
        publish_devices("127.0.0.1", port, by_portal, tick_seconds=0.05, **login)
    )
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@contextlib.asynccontextmanager
async def mqtt_driver(
    url: str,
    *,
    site: str = "alpha",
    transport: MqttTransport | None = None,
    clock: Callable[[], float] = time.monotonic,
    **options: Any,
) -> AsyncIterator[VenusMqttDriver]:
    """The driver of one site, subscribed."""
    transport = transport or MqttTransport()
    async with HttpClient() as http:
        context = DriverContext(Transports(HttpTransport(http), mqtt=transport), time.time, clock)
        endpoint = Endpoint(site, url, VenusMqttOptions(**options))
        driver = VenusMqttDriver.open(endpoint, context)
        task = asyncio.create_task(driver.subscribe())
        try:
            yield driver
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await asyncio.sleep(0.01)


async def until(
    driver: VenusMqttDriver, holds: Callable[[Snapshot], bool] = lambda _: True
) -> Snapshot:
    """The first Snapshot for which something holds."""
    seen: object = None
    try:
        async with asyncio.timeout(120):
            while True:
                try:
                    snapshot = await driver.latest()
                    seen = snapshot
                    if holds(snapshot):
                        return snapshot
                except ScrapeError as error:
                    seen = error
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"never held; last: {seen!r}") from None


async def until_error(
    driver: VenusMqttDriver, holds: Callable[[ScrapeError], bool] = lambda _: True
) -> ScrapeError:
    """The first failure for which something holds."""
    seen: object = None
    try:
        async with asyncio.timeout(120):
            while True:
                try:
                    seen = await driver.latest()
                except ScrapeError as error:
                    seen = error
                    if holds(error):
                        return error
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"never failed so; last: {seen!r}") from None


async def eventually(holds: Callable[[], bool]) -> None:
    """Wait until something holds."""
    async with asyncio.timeout(120):
        while not holds():  # noqa: ASYNC110 - it has no event
            await asyncio.sleep(0.02)
