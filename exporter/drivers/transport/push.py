"""Telemetry that reaches the service by itself, handed to the drivers of the sites it is of."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from exporter.intake.telemetry import Point

Receiver = Callable[[Point, float], None]
"""Takes a point, and the device's time when it was sent, NaN unknown."""


@dataclass(slots=True)
class PushTransport:
    """Who receives telemetry, by site id."""

    _receivers: dict[str, Receiver] = field(default_factory=dict)

    @contextmanager
    def receiving(self, site: str, receiver: Receiver) -> Iterator[None]:
        """Receive what a site sends until the block ends."""
        self._receivers[site] = receiver
        try:
            yield
        finally:
            if self._receivers.get(site) is receiver:
                del self._receivers[site]

    def deliver(self, points: tuple[Point, ...], sent: float) -> None:
        """Hand points to their sites; those of a site that is gone meanwhile are dropped."""
        for point in points:
            receiver = self._receivers.get(point.site)
            if receiver is not None:
                receiver(point, sent)
