"""Driver for nodes that send telemetry: over HTTP to this service, or to an MQTT broker."""

from __future__ import annotations

import asyncio
import logging
import math
import re
from collections import deque
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field

from exporter.config.field_types import Text, field_error
from exporter.drivers.base import Capability, Driver, DriverContext, Endpoint, RawValue
from exporter.drivers.clock_notice import clock_notices
from exporter.drivers.push.device_clock import DeviceClock
from exporter.drivers.push.node_setpoint import NodeSetpoints, capabilities_of
from exporter.drivers.transport.http.options import HttpOptions
from exporter.drivers.transport.mqtt.broker import (
    Broker,
    Subscription,
    resubscribe,
    topic_prefix,
)
from exporter.intake.telemetry import Point, TelemetryError, parse
from exporter.model.snapshot import Outcome, ScrapeError, Snapshot

log = logging.getLogger(__name__)

SILENT_INTERVALS = 3
MOST_WAITING = 10_000
MOST_KNOWN = 4096
_DIGEST = re.compile(r"[0-9a-f]{64}\Z")


def _check_digest(value: str) -> str:
    if not _DIGEST.match(value.lower()):
        raise field_error("expected the SHA-256 of the node's token, 64 hexadecimal digits")
    return value.lower()


class PushOptions(HttpOptions):
    """Options of a node that sends telemetry."""

    token_sha256: Annotated[str, AfterValidator(_check_digest)] | None = Field(
        None,
        description="SHA-256 of the token that the node sends over HTTP (`printf %s TOKEN | "
        "sha256sum`); without it nothing is taken over HTTP",
    )

    dc_id: Text | None = Field(
        None, description="What a data-centre node calls itself, where that is not the site's `id`"
    )

    setpoints: tuple[Literal["battery_power_w", "deferred_load_w"], ...] = Field(
        default=(),
        description="Set-points that the node takes over MQTT ([push.md](push.md#orders)); needs "
        "an `api_endpoint`",
    )

    def identity(self) -> tuple[object, ...]:
        """Nothing: a new token does not make another device."""
        return ()


class PushDriver(Driver):
    """Keeps what one node sends. Subscribed and Buffered, and Writable where it has set-points."""

    options = PushOptions
    schemes = ("mqtt", "mqtts")
    needs_endpoint = False
    summary = (
        "Nodes that send telemetry themselves: to `POST /api/v1/telemetry`, and to "
        "`fleet/<id>/telemetry` at a broker where the site has an endpoint."
    )

    gives = "Whatever the node sends, by the names of the glossary"
    switch_on = "Give the node its token, and the address of Fleetscope or of the broker"

    def __init__(self, endpoint: Endpoint, context: DriverContext) -> None:
        options = endpoint.options
        assert isinstance(options, PushOptions)
        self._endpoint = endpoint
        self._options = options
        self._context = context
        self._clock = DeviceClock()
        self._waiting: deque[Snapshot] = deque(maxlen=MOST_WAITING)
        self._known: dict[float, None] = {}
        self._newest: Snapshot | None = None
        self._shown: Point | None = None
        self._silent_intervals = 0
        self._broker: Broker | None = None
        self._refused = ""
        self._setpoints = NodeSetpoints(
            endpoint.site,
            endpoint.url,
            options.trust,
            context.transports.mqtt,
            context.wall_clock,
        )

    @classmethod
    def open(cls, endpoint: Endpoint, context: DriverContext) -> Self:
        """See :class:`exporter.drivers.base.Driver`."""
        return cls(endpoint, context)

    async def latest(self) -> Snapshot | None:
        """See :class:`exporter.drivers.base.Subscribed`."""
        newest, self._newest = self._newest, None
        if newest is not None:
            self._silent_intervals = 0
            return newest
        self._silent_intervals += 1
        if self._silent_intervals < SILENT_INTERVALS:
            return None
        if self._refused:
            raise ScrapeError(
                Outcome.MALFORMED, f"the node's telemetry is refused: {self._refused}"
            )
        error = self._broker.error if self._broker is not None else None
        if error is not None:
            raise ScrapeError(error.outcome, error.detail)
        detail = f"the node has sent nothing for {self._silent_intervals} intervals"
        raise ScrapeError(Outcome.TIMEOUT, detail)

    def drain(self) -> list[Snapshot]:
        """See :class:`exporter.drivers.base.Buffered`."""
        waiting = list(self._waiting)
        self._waiting.clear()
        return waiting

    async def subscribe(self) -> None:
        """See :class:`exporter.drivers.base.Subscribed`."""
        site, url = self._endpoint.site, self._endpoint.url
        with self._context.transports.push.receiving(site, self._take):
            if url:
                await resubscribe(site, self._listen, self._failed)
            await asyncio.Event().wait()

    def _failed(self, error: ScrapeError) -> None:
        log.warning("site %s: %s", self._endpoint.site, error.detail)

    async def _listen(self) -> None:
        site, url = self._endpoint.site, self._endpoint.url
        broker = self._context.transports.mqtt.broker(site, url, self._options.trust)
        self._broker = broker
        prefix = f"{topic_prefix(url)}fleet/{site}/"
        subscription = Subscription(prefix.encode(), (f"{prefix}telemetry",), self, qos=1)
        with broker.listening(subscription):
            await asyncio.Event().wait()

    # -- set-points, see exporter.drivers.base.Writable -----------------------------------------

    def capabilities(self) -> Mapping[str, Capability]:
        """Those of the fleet file; none without a broker."""
        return capabilities_of(self._options.setpoints if self._endpoint.url else ())

    async def write(self, name: str, value: float) -> None:
        """Set one."""
        await self._setpoints.write(name, value)

    async def release(self, name: str, before: float = math.nan) -> None:
        """Give one back to the node."""
        del before
        await self._setpoints.release(name)

    async def read_setpoint(self, name: str) -> float:
        """What is in force."""
        return await self._setpoints.read(name)

    # -- exporter.drivers.transport.mqtt.broker.Listener ------------------------------------------

    def connected(self) -> None:
        """See :class:`exporter.drivers.transport.mqtt.broker.Listener`."""

    def receive(self, topic: bytes, payload: bytes, retained: bool) -> None:
        """See :class:`exporter.drivers.transport.mqtt.broker.Listener`."""
        if topic != b"telemetry" or retained or not payload:
            return
        try:
            batch = parse(payload, self._endpoint.site)
        except TelemetryError as error:
            self._refused = str(error)[:200]
            return
        for point in batch.points:
            self._take(point, batch.sent)

    # -- points -------------------------------------------------------------------------------

    def _take(self, point: Point, sent: float) -> None:
        """Take a point once; the newest becomes the site's state, the others are stored alone."""
        self._refused = ""
        if point.measured in self._known:
            return
        self._known[point.measured] = None
        if len(self._known) > MOST_KNOWN:
            del self._known[next(iter(self._known))]
        seen = self._clock.see(point.measured, sent, self._context.wall_clock())
        snapshot = Snapshot(
            site=self._endpoint.site,
            time=seen.time,
            duration=0.0,
            outcome=Outcome.OK,
            readings=point.readings,
            batteries=point.batteries,
            alarms=point.alarms,
            implausible=point.implausible,
            measured=point.measured,
            notices=clock_notices(self._clock.offset_seconds),
        )
        if seen.is_late:
            self._waiting.append(replace(snapshot, current=False))
            return
        if self._newest is not None:
            # Two points within one interval: both are stored.
            self._waiting.append(replace(self._newest, current=False))
        self._newest, self._shown = snapshot, point

    def raw_values(self) -> list[RawValue]:
        """See :class:`exporter.drivers.base.Explaining`; of the newest point."""
        return [] if self._shown is None else [RawValue(*one) for one in self._shown.given()]
