"""Venus devices on MQTT, with the manners of dbus-flashmq.

A device publishes for a minute after each keepalive: everything at first, then what changes, and a
heartbeat every three seconds. Only its serial number is retained. What has no value is null, and
what is gone is a message without a payload.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from simulator.devices import SiteBus
from simulator.devices.names import PREFIX, Tree, portal_of
from simulator.engine import Simulator
from simulator.mqtt_client import Client, MqttError, connected
from simulator.scenario import Site

log = logging.getLogger(__name__)

KEEPALIVE_SECONDS = 60.0
HEARTBEAT_SECONDS = 3.0
TICK_SECONDS = 1.0
# Faults of a site that its messages show as its HTTP replies do.
SILENT_FAULTS = frozenset({"offline", "hang", "http_500"})

Trees = Callable[[], Mapping[str, Tree] | None]
"""The trees of a device's services by full name; None while it says nothing at all."""


def topics_of(trees: Mapping[str, Tree]) -> dict[str, Any]:
    """Topics below ``N/<portal>/`` and their values."""
    found = {}
    for service, tree in trees.items():
        kind = service.removeprefix(PREFIX).partition(".")[0]
        instance = tree.get("DeviceInstance", 0)
        for path, value in tree.items():
            found[f"{kind}/{instance}/{path}"] = None if value == [] else value
    return found


class VenusDevice:
    """One device at a broker.

    Parameters
    ----------
    portal : str
    trees : callable
    garble : callable
        From a payload to what is sent in its stead.
    settle : callable or None
        Takes the path and value of each message to ``W/``; None: nothing can be set.
    """

    def __init__(
        self,
        portal: str,
        trees: Trees,
        garble: Callable[[bytes], bytes] = lambda payload: payload,
        settle: Callable[[str, Any], None] | None = None,
    ) -> None:
        self.portal = portal
        self._trees = trees
        self._garble = garble
        self._settle = settle
        self._asked: set[str] = set()
        self._sent: dict[str, Any] = {}
        self._alive_until = -1.0
        self._heartbeat_due = 0.0
        self._full = False
        self.full_publishes = 0
        self.keepalives: list[bytes] = []

    def keep_alive(self, payload: bytes, now: float) -> None:
        """Take a message to ``R/<portal>/keepalive``."""
        self.keepalives.append(payload)
        self._alive_until = now + KEEPALIVE_SECONDS
        with contextlib.suppress(orjson.JSONDecodeError):
            options = orjson.loads(payload).get("keepalive-options", [])
            if "suppress-republish" in options:
                return
        self._full = True

    def ask(self, path: str) -> None:
        """Take a message to ``R/``: the value is published once more."""
        self._asked.add(path)

    def write(self, path: str, payload: bytes) -> None:
        """Take a message to ``W/``."""
        with contextlib.suppress(orjson.JSONDecodeError, TypeError, KeyError, ValueError):
            value = orjson.loads(payload)["value"]
            if self._settle is not None:
                self._settle(path, value)

    def publish(self, client: Client, now: float) -> None:
        """Publish what is due."""
        trees = self._trees()
        if trees is None or now >= self._alive_until:
            return
        topics = topics_of(trees)
        if self._full:
            self._send(client, topics)
            self._put(client, "full_publish_completed", int(time.time()))
            self._full = False
            self.full_publishes += 1
        else:
            missing = object()
            self._send(client, {t: v for t, v in topics.items() if self._sent.get(t, missing) != v})
        for path in self._asked & topics.keys():
            self._put(client, path, topics[path])
        self._asked.clear()
        for gone in self._sent.keys() - topics.keys():
            client.publish(f"N/{self.portal}/{gone}", b"")
        self._sent = topics
        if now >= self._heartbeat_due:
            self._heartbeat_due = now + HEARTBEAT_SECONDS
            self._put(client, "heartbeat", int(time.time()))

    def announce(self, client: Client) -> None:
        """Publish the serial number, retained."""
        topic = f"N/{self.portal}/system/0/Serial"
        client.publish(topic, orjson.dumps({"value": self.portal}), retain=True)

    def _send(self, client: Client, topics: Mapping[str, Any]) -> None:
        for topic, value in topics.items():
            self._put(client, topic, value)

    def _put(self, client: Client, topic: str, value: Any) -> None:
        payload = self._garble(orjson.dumps({"value": value}))
        client.publish(f"N/{self.portal}/{topic}", payload)


async def publish_devices(
    host: str,
    port: int,
    devices: Mapping[str, VenusDevice],
    *,
    tick_seconds: float = TICK_SECONDS,
    before_tick: Callable[[], None] = lambda: None,
    **login: str | None,
) -> None:
    """Publish devices, by portal id, at a broker until cancelled; connects again by itself."""
    loop = asyncio.get_running_loop()

    def receive(topic: str, payload: bytes) -> None:
        parts = topic.split("/")
        if len(parts) == 3 and parts[2] == "keepalive" and parts[1] in devices:
            devices[parts[1]].keep_alive(payload, loop.time())
        elif len(parts) > 3 and parts[1] in devices:
            path = "/".join(parts[2:])
            if parts[0] == "R":
                devices[parts[1]].ask(path)
            else:
                devices[parts[1]].write(path, payload)

    while True:
        try:
            name = f"venus-{next(iter(devices))}"
            async with connected(host, port, name, receive, **login) as (client, receiving):
                for portal in devices:
                    client.subscribe(f"R/{portal}/#")
                    client.subscribe(f"W/{portal}/#")
                for device in devices.values():
                    device.announce(client)
                ping_due = loop.time()
                while not receiving.done():
                    before_tick()
                    for device in devices.values():
                        device.publish(client, loop.time())
                        await client.drain()
                    if loop.time() >= ping_due:
                        ping_due = loop.time() + 20.0
                        client.ping()
                    await asyncio.sleep(tick_seconds)
        except (OSError, MqttError) as error:
            log.warning("MQTT: %s", error)
        await asyncio.sleep(1.0)


def devices_of(simulator: Simulator, sites: list[str] | None = None) -> dict[str, VenusDevice]:
    """The devices of a simulation's sites by portal id; all of them where none are named."""
    chosen = [s for s in simulator.scenario.sites if sites is None or s.id in sites]
    return {portal_of(site): _device(simulator, site) for site in chosen}


def _device(simulator: Simulator, site: Site) -> VenusDevice:
    bus = SiteBus(simulator, site.id)

    def faults() -> set[str]:
        return {active.fault for active in simulator.faults_of(site.id)}

    def trees() -> dict[str, Tree] | None:
        if SILENT_FAULTS & faults():
            return None
        found = {service: bus.tree(service) for service in bus.services()}
        return {service: tree for service, tree in found.items() if tree is not None}

    def garble(payload: bytes) -> bytes:
        active = faults()
        if "rubbish" in active:
            return b"\xff\xfe\x00 not JSON"
        return payload[: len(payload) * 2 // 3] if "truncated" in active else payload

    return VenusDevice(portal_of(site), trees, garble)
