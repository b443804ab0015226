"""The volatile set-point of a Venus device over MQTT."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass, field

import orjson

from exporter.drivers.transport.mqtt.broker import Broker
from exporter.drivers.venus.replica import Replica, decoded
from exporter.model.snapshot import Outcome, ScrapeError

TOPIC = "hub4/0/Overrides/Setpoint"
READ_SECONDS = 8.0
"""Below the time that a look at a device may take in all."""


@dataclass(slots=True, eq=False)
class MqttSetpoint:
    """Writes and reads the set-point of one site.

    Attributes
    ----------
    replica : Replica
        Hears what the device publishes.
    topics : callable
        The broker, and what stands before ``N/<portal>/`` in its topics with the portal id; None
        while there is no connection or no device.
    """

    replica: Replica
    topics: Callable[[], tuple[Broker, str, str] | None]
    _heard: list[asyncio.Future[float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.replica.watched[TOPIC.encode()] = self._receive

    async def write(self, value: float) -> None:
        """Set the power at the AC input, W, positive when importing.

        Raises
        ------
        ScrapeError
        """
        self._publish("W", orjson.dumps({"value": round(value)}))

    async def release(self) -> None:
        """Have the device follow its own set-point again. Raises as :meth:`write` does."""
        self._publish("W", orjson.dumps({"value": None}))

    async def read(self) -> float:
        """The set-point in force, W; NaN without one. Raises as :meth:`write` does."""
        self._publish("R", b"")
        heard: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._heard.append(heard)
        try:
            async with asyncio.timeout(READ_SECONDS):
                return await heard
        except TimeoutError:
            detail = f"MQTT: the device does not publish {TOPIC}; it may have no ESS"
            raise ScrapeError(Outcome.TIMEOUT, detail) from None
        finally:
            self._heard.remove(heard)

    def _publish(self, kind: str, payload: bytes) -> None:
        found = self.topics()
        if found is None or not found[0].is_connected:
            raise ScrapeError(Outcome.REFUSED, "MQTT: there is no connection to the broker")
        broker, prefix, portal = found
        broker.publish(f"{prefix}{kind}/{portal}/{TOPIC}", payload)

    def _receive(self, payload: bytes) -> None:
        given = decoded(payload) if payload else None
        known = isinstance(given, int | float) and not isinstance(given, bool)
        value = float(given) if known and given is not None else math.nan
        for heard in self._heard:
            if not heard.done():
                heard.set_result(value)
