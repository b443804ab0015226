"""Driver for Venus devices over MQTT: a device's own broker, or one that many devices share.

The protocol is Victron's (dbus-flashmq): a device publishes under ``N/<portal>/`` for 60 s after
each keepalive, values when they change, and everything once on request.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import re
from collections.abc import Mapping
from typing import Annotated, Self

import orjson
from pydantic import AfterValidator, Field

from exporter.config.field_types import field_error
from exporter.drivers.base import Capability, Driver, DriverContext, Endpoint
from exporter.drivers.transport.mqtt.broker import (
    Broker,
    Subscription,
    resubscribe,
    topic_prefix,
)
from exporter.drivers.venus.kept_trees import ReaderExplains
from exporter.drivers.venus.mqtt_setpoint import MqttSetpoint
from exporter.drivers.venus.replica import Replica
from exporter.drivers.venus.scrape import Budget, VenusOptions
from exporter.drivers.venus.setpoint import CAPABILITIES
from exporter.drivers.venus.site_reader import SiteReader
from exporter.model.snapshot import Outcome, ScrapeError, Snapshot

KEEPALIVE_SECONDS = 30.0
# A device that lives begins at once; over a slow link all that it has takes a minute.
ANSWER_SECONDS = 4.0
FULL_PUBLISH_SECONDS = 15.0
DISCOVERY_SECONDS = 2.0
LOST_PORTAL_SECONDS = 300.0
FLOOD_PAUSE_SECONDS = 60.0
_PORTAL = re.compile(r"[A-Za-z0-9]{1,64}\Z")
_SUPPRESS = orjson.dumps({"keepalive-options": ["suppress-republish"]})
# Everything is in memory: every device is read every time.
_BUDGET = Budget(requests=1024, others=256, meter_seconds=0.0, other_seconds=0.0)


def _check_portal(value: str) -> str:
    if not _PORTAL.match(value):
        raise field_error("expected a VRM portal id: letters and digits, such as c0619ab00001")
    return value


class VenusMqttOptions(VenusOptions):
    """Options of a Venus site over MQTT."""

    portal: Annotated[str, AfterValidator(_check_portal)] | None = Field(
        None,
        description="VRM portal id of the device, which names its topics; where it is left out, "
        "the broker must have one device only",
    )

    def identity(self) -> tuple[object, ...]:
        """See :class:`exporter.config.driver_options.DriverOptions`."""
        return (*super().identity(), self.portal)


class VenusMqttDriver(ReaderExplains, Driver):
    """Keeps the latest of what one site publishes. Subscribed and Writable."""

    options = VenusMqttOptions
    schemes = ("mqtt", "mqtts")
    summary = "Victron Venus devices over MQTT, at the device's own broker or at a shared one."
    gives = "What the HTTP bridge gives"
    switch_on = "On the GX, Settings, Integrations, MQTT access, on (port 1883, with TLS 8883)"

    def __init__(self, endpoint: Endpoint, context: DriverContext) -> None:
        options = endpoint.options
        assert isinstance(options, VenusMqttOptions)
        self._endpoint = endpoint
        self._options = options
        self._context = context
        self._replica = Replica(context.monotonic)
        self._reader = SiteReader(endpoint.site, self._replica, options, context, _BUDGET)
        self._prefix = topic_prefix(endpoint.url)
        self._broker: Broker | None = None
        self._subscription: Subscription | None = None
        self._error: ScrapeError | None = None
        self._sign = asyncio.Event()
        self._portal: str | None = None
        self._setpoint = MqttSetpoint(self._replica, self._topics)

    @classmethod
    def open(cls, endpoint: Endpoint, context: DriverContext) -> Self:
        """See :class:`exporter.drivers.base.Driver`."""
        return cls(endpoint, context)

    async def latest(self) -> Snapshot:
        """See :class:`exporter.drivers.base.Subscribed`."""
        if not self._replica.is_fresh(self._context.monotonic()):
            raise self._reason()
        return await self._reader.scrape()

    async def subscribe(self) -> None:
        """See :class:`exporter.drivers.base.Subscribed`."""
        await resubscribe(self._endpoint.site, self._listen, self._failed)

    def _failed(self, error: ScrapeError) -> None:
        self._error = error

    # -- set-points, see exporter.drivers.base.Writable -----------------------------------------

    def capabilities(self) -> Mapping[str, Capability]:
        """The power at the AC input."""
        return CAPABILITIES

    async def write(self, name: str, value: float) -> None:
        """Set it."""
        del name
        await self._setpoint.write(value)

    async def release(self, name: str, before: float = math.nan) -> None:
        """Give it back to the device."""
        del name, before
        await self._setpoint.release()

    async def read_setpoint(self, name: str) -> float:
        """What is in force."""
        del name
        return await self._setpoint.read()

    def _topics(self) -> tuple[Broker, str, str] | None:
        if self._broker is None or self._portal is None or self._subscription is None:
            return None
        return self._broker, self._prefix, self._portal

    # -- the subscription ---------------------------------------------------------------------

    async def _listen(self) -> None:
        """Listen to the site until something ends it; returns where its portal is to be sought."""
        url = self._endpoint.url
        transport = self._context.transports.mqtt
        broker = transport.broker(self._endpoint.site, url, self._options.trust)
        self._broker = broker
        portal = self._options.portal or await self._discover(broker)
        self._portal = portal
        topics = f"{self._prefix}N/{portal}/"
        replica = self._replica
        subscription = Subscription(topics.encode(), (f"{topics}#",), replica)
        with broker.listening(subscription):
            self._subscription, self._error = subscription, None
            replica.on_sign = self._sign.set
            try:
                await self._keep_alive(broker, f"{self._prefix}R/{portal}/keepalive")
            finally:
                replica.on_sign = self._subscription = None
        if replica.flooded:
            self._error = ScrapeError(
                Outcome.MALFORMED,
                f"MQTT: the device floods the broker; it is heard again in "
                f"{FLOOD_PAUSE_SECONDS:.0f} s",
            )
            await asyncio.sleep(FLOOD_PAUSE_SECONDS)
            replica.flooded = False

    async def _keep_alive(self, broker: Broker, topic: str) -> None:
        """Keep the device publishing; let it send everything at the start and after a gap."""
        seen = 0
        while not self._replica.flooded and not self._is_lost():
            await broker.connected()
            self._sign.clear()
            silent = self._replica.is_silent(self._context.monotonic())
            if broker.connections != seen or not (silent or self._replica.complete):
                seen = broker.connections
                # Each such device sends all that it has; the broker's devices do so in turn.
                async with broker.full_publishes:
                    await self._publish_all(broker, topic)
            elif silent:
                await self._publish_all(broker, topic)
            else:
                broker.publish(topic, _SUPPRESS)
            # A sign that the device is back after a silence ends the wait.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(KEEPALIVE_SECONDS):
                    await self._wait_for_gap(broker, seen)

    async def _publish_all(self, broker: Broker, topic: str) -> None:
        """Have everything sent, and wait for it while it comes."""
        replica = self._replica
        replica.expect_all()
        broker.publish(topic, b"")
        size = -1
        wait = ANSWER_SECONDS
        while replica.size > size and not (replica.complete or replica.flooded):
            size = replica.size
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._complete()
            if replica.size > size and not replica.complete:
                broker.publish(topic, _SUPPRESS)
            wait = FULL_PUBLISH_SECONDS
        # Firmware of old does not say when all is sent.
        replica.take_what_came()

    async def _complete(self) -> None:
        while not (self._replica.complete or self._replica.flooded):
            self._sign.clear()
            await self._sign.wait()

    async def _wait_for_gap(self, broker: Broker, seen: int) -> None:
        while self._replica.complete and not self._replica.flooded and broker.connections == seen:
            self._sign.clear()
            await self._sign.wait()

    def _is_lost(self) -> bool:
        """Whether a portal that was found is silent for so long that it is sought again."""
        if self._options.portal is not None or self._replica.heard == -math.inf:
            return False
        return self._context.monotonic() - self._replica.heard > LOST_PORTAL_SECONDS

    async def _discover(self, broker: Broker) -> str:
        """The one device of a broker, by the serial number that every device has retained.

        Raises
        ------
        ScrapeError
            If there are several.
        """
        found = _Portals()
        topics = f"{self._prefix}N/"
        name = f"{topics}+/system/0/Serial"
        with broker.listening(Subscription(topics.encode(), (name,), found)):
            self._error = None
            while not found.portals:
                await found.heard.wait()
                await asyncio.sleep(DISCOVERY_SECONDS)
        if len(found.portals) > 1:
            some = ", ".join(sorted(found.portals)[:3])
            detail = f"MQTT: the broker has several devices ({some}…); name the site's portal"
            raise ScrapeError(Outcome.MALFORMED, detail)
        return found.portals.pop()

    def _reason(self) -> ScrapeError:
        """Why nothing is known of the site."""
        if self._error is not None:
            return ScrapeError(self._error.outcome, self._error.detail)
        broker, subscription = self._broker, self._subscription
        if broker is not None and broker.error is not None:
            return ScrapeError(broker.error.outcome, broker.error.detail)
        if broker is None or not broker.connections:
            return ScrapeError(Outcome.TIMEOUT, "MQTT: there is no connection to the broker yet")
        if subscription is not None and broker.refuses(subscription):
            detail = f"MQTT: the broker does not let this user read {subscription.filters[0]}"
            return ScrapeError(Outcome.REFUSED, detail)
        if subscription is None:
            detail = "MQTT: no device has announced itself at the broker"
        elif self._replica.heard == -math.inf:
            detail = "MQTT: the broker answers, the device has sent nothing"
        else:
            silent = self._context.monotonic() - self._replica.heard
            detail = f"MQTT: the device has sent nothing for {silent:.0f} s"
            if silent <= self._replica.patience_seconds:
                detail = "MQTT: the device has not sent all its values yet"
        return ScrapeError(Outcome.TIMEOUT, detail)


class _Portals:
    """Portal ids that have a serial number at a broker."""

    def __init__(self) -> None:
        self.portals: set[str] = set()
        self.heard = asyncio.Event()

    def connected(self) -> None:
        """See :class:`exporter.drivers.transport.mqtt.broker.Listener`."""

    def receive(self, topic: bytes, payload: bytes, retained: bool) -> None:
        """See :class:`exporter.drivers.transport.mqtt.broker.Listener`."""
        del retained
        portal = topic.partition(b"/")[0].decode("utf-8", "replace")
        if payload and topic.endswith(b"/system/0/Serial") and _PORTAL.match(portal):
            if len(self.portals) < 100:
                self.portals.add(portal)
            self.heard.set()
