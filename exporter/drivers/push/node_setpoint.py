"""Set-points of a node at an MQTT broker: a request under ``fleet/<id>/order`` and its receipt.

A request is a JSON object with ``sequence`` and, to set something, a set-point by its name with
``lease_seconds``, or null to give it back; without one it only asks. The receipt has the same
``sequence``, every set-point in force by its name (null or absent where none is), and ``refused``
with the node's own words where it did not do what was asked. A node ignores a sequence below one
that it has seen, and drops a set-point whose lease is over.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from exporter.drivers.base import Capability
from exporter.drivers.transport.http.trust import Trust
from exporter.drivers.transport.mqtt.broker import MqttTransport, topic_prefix
from exporter.model.snapshot import Outcome, ScrapeError
from exporter.model.text import plain_line

LEASE_SECONDS = 60.0
PATIENCE_SECONDS = 5.0
_MOST_W = 1e9


def capabilities_of(names: tuple[str, ...]) -> Mapping[str, Capability]:
    """What a node takes, by the names that the fleet file gives."""
    one = Capability("W", -_MOST_W, _MOST_W, True, LEASE_SECONDS)
    return dict.fromkeys(names, one)


@dataclass(slots=True, eq=False)
class NodeSetpoints:
    """Writes and reads the set-points of one node.

    Attributes
    ----------
    site, url : str
    trust : Trust
    mqtt : MqttTransport
    wall_clock : callable
    """

    site: str
    url: str
    trust: Trust
    mqtt: MqttTransport
    wall_clock: Callable[[], float]
    _sequence: int = 0

    async def write(self, name: str, value: float) -> None:
        """Set a power, W.

        Raises
        ------
        ScrapeError
            Its detail quotes the node.
        """
        await self._ask({name: value, "lease_seconds": LEASE_SECONDS})

    async def release(self, name: str) -> None:
        """Give it back to the node. Raises as :meth:`write` does."""
        await self._ask({name: None})

    async def read(self, name: str) -> float:
        """What is in force, W; NaN without one. Raises as :meth:`write` does."""
        value = (await self._ask({})).get(name)
        if value is None:
            return math.nan
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ScrapeError(Outcome.MALFORMED, f"MQTT: {name} of the receipt is not a number")
        return float(value)

    async def _ask(self, wanted: Mapping[str, Any]) -> dict[str, Any]:
        # By the clock, so that a node need not forget what it has seen when this restarts.
        self._sequence = max(self._sequence + 1, int(self.wall_clock() * 1000))
        prefix = f"{topic_prefix(self.url)}fleet/{self.site}"
        answer = await self.mqtt.request(
            self.site,
            self.url,
            self.trust,
            f"{prefix}/order",
            orjson.dumps({"sequence": self._sequence, **wanted}),
            answer_topic=f"{prefix}/receipt",
            expiry_seconds=int(PATIENCE_SECONDS),
            patience_seconds=PATIENCE_SECONDS,
        )
        try:
            found = orjson.loads(answer)
        except orjson.JSONDecodeError as error:
            raise ScrapeError(Outcome.MALFORMED, "MQTT: the receipt is not JSON") from error
        if not isinstance(found, dict) or found.get("sequence") != self._sequence:
            raise ScrapeError(Outcome.MALFORMED, "MQTT: the receipt is of another order")
        if refused := found.get("refused"):
            detail = f"the node refuses: {plain_line(str(refused))[:200]}"
            raise ScrapeError(Outcome.HTTP_STATUS, detail)
        return found
