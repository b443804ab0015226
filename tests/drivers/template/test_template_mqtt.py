"""Templates over a real mosquitto."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from exporter.config.fleet_file import FleetFileError, parse_fleet
from exporter.drivers import DRIVERS
from exporter.drivers.base import DriverContext, Endpoint
from exporter.drivers.template.template_mqtt_driver import TemplateMqttDriver, TemplateMqttOptions
from exporter.drivers.transport import Transports
from exporter.drivers.transport.mqtt.broker import Broker, MqttTransport
from exporter.drivers.transport.mqtt.connection import Address, Login
from exporter.model.snapshot import Outcome, ScrapeError, Snapshot
from tests.drivers.mosquitto import Mosquitto, mosquitto, needs_mosquitto, subscribed

TEMPLATE = """template: my-meter
title: A meter and a battery
gives: grid, battery
transport: mqtt
source: its manual
switch_on: nothing
expires_seconds: 5
parameters: {name: {meaning: Name of the meter}}
topics: {meter: "home/${name}/state", soc: home/battery/soc}
readings:
  - {quantity: grid_power_w, request: meter, path: power, scale: 1000}
  - {quantity: grid_connected, request: meter, path: state, values: {ON: 1, OFF: 0}}
  - {quantity: soc_percent, request: soc}
"""
pytestmark = needs_mosquitto


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Mosquitto]:
    with mosquitto(tmp_path) as broker:
        yield broker


@pytest.fixture
def template(tmp_path: Path) -> Path:
    path = tmp_path / "meter.yaml"
    path.write_text(TEMPLATE, "utf-8")
    return path


@pytest.fixture
async def driver(server: Mosquitto, template: Path) -> AsyncIterator[TemplateMqttDriver]:
    given = {"template": str(template), "parameters": {"name": "m1"}}
    options = TemplateMqttOptions.model_validate(given)
    context = DriverContext(Transports(None), time.time, time.monotonic)  # type: ignore[arg-type]
    driver = TemplateMqttDriver.open(Endpoint("a", server.url, options), context)
    task = asyncio.create_task(driver.subscribe())
    yield driver
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


class _Sender:
    def __init__(self) -> None:
        self.is_back = asyncio.Event()

    def connected(self) -> None: ...

    def receive(self, topic: bytes, payload: bytes, retained: bool) -> None:
        self.is_back.set()


async def publish(server: Mosquitto, driver: TemplateMqttDriver, **messages: bytes) -> None:
    """Publish once both ends are connected and subscribed."""
    from exporter.drivers.transport.mqtt.broker import Subscription

    sender = Broker(Address("127.0.0.1", server.port, False), Login)
    own = _Sender()
    with sender.listening(Subscription(b"sender/", ("sender/#",), own)):
        async with asyncio.timeout(120):
            while driver._broker is None:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        await subscribed(sender)
        await subscribed(driver._broker)
        for topic, payload in messages.items():
            sender.publish(f"home/{topic.replace('__', '/')}", payload)
        # The broker has passed on all that came before it.
        sender.publish("sender/last", b"1")
        async with asyncio.timeout(60):
            await own.is_back.wait()


async def settled(driver: TemplateMqttDriver, outcome: Outcome, detail: str = "") -> Snapshot:
    async with asyncio.timeout(60):
        while True:
            try:
                found = await driver.latest()
                if found.outcome is outcome and found.detail == detail:
                    return found
            except ScrapeError:
                pass
            await asyncio.sleep(0.05)


async def test_messages_become_readings(server: Mosquitto, driver: TemplateMqttDriver) -> None:
    with pytest.raises(ScrapeError) as caught:
        await driver.latest()
    assert caught.value.outcome is Outcome.TIMEOUT
    await publish(
        server,
        driver,
        m1__state=b'{"power": -1.5, "state": "ON"}',
        battery__soc=b"71.5",
        other__state=b'{"power": 9}',
    )
    snapshot = await settled(driver, Outcome.OK)
    assert snapshot.readings == {"grid_power_w": -1500, "grid_connected": 1}
    assert snapshot.batteries[0].readings == {"soc_percent": 71.5}
    raw = {(r.quantity, r.place, r.raw) for r in driver.raw_values()}
    assert ("soc_percent", "home/battery/soc", "71.5") in raw
    assert ("grid_power_w", "home/m1/state power", "-1.5") in raw


async def test_a_topic_that_is_silent_or_broken_loses_only_itself(
    server: Mosquitto, driver: TemplateMqttDriver
) -> None:
    await publish(server, driver, battery__soc=b"50", m1__state=b'{"power": 1')
    detail = "MQTT: home/m1/state is neither JSON nor a number"
    snapshot = await settled(driver, Outcome.PARTIAL, detail)
    assert snapshot.readings == {}
    assert snapshot.batteries[0].readings == {"soc_percent": 50}


def test_the_driver_of_a_template_is_named(template: Path) -> None:
    text = (
        "sites:\n  - {id: a, driver: template, template: meter.yaml, api_endpoint: 'http://h'}\n"
        "  - {id: b, driver: template-mqtt, template: evcc, api_endpoint: 'mqtt://h'}\n"
    )
    with pytest.raises(FleetFileError) as caught:
        parse_fleet(text, template.parent / "fleet.yaml", DRIVERS)
    assert [mistake.message for mistake in caught.value.mistakes] == [
        "meter.yaml: is read by the driver template-mqtt",
        "evcc: is read by the driver template",
    ]


def test_the_transport_is_shared() -> None:
    assert isinstance(Transports(None).mqtt, MqttTransport)  # type: ignore[arg-type]
