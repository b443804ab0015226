"""Two drivers for a protocol that only tests speak: one class and one line each."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from typing import Annotated, Self

from pydantic import Field

from exporter.config.driver_options import DriverOptions
from exporter.config.field_types import Number, Text
from exporter.drivers.base import Capability, Driver, DriverContext, Endpoint
from exporter.model.snapshot import Outcome, ScrapeError, Snapshot


class ToyOptions(DriverOptions):
    """Options of both."""

    unit: Annotated[Number, Field(ge=1, le=247, description="Number of the device on its bus")]
    dialect: Text = Field("plain", description="Words that the device uses")


class ToyPolled(Driver):
    """Answers with its unit as the grid's power. Pollable and Writable."""

    options = ToyOptions
    schemes = ("toy",)
    summary = "A toy that is asked."

    def __init__(self, endpoint: Endpoint, context: DriverContext) -> None:
        assert isinstance(endpoint.options, ToyOptions)
        self.site, self.unit, self.context = endpoint.site, endpoint.options.unit, context
        self.setpoints: dict[str, float] = {}

    @classmethod
    def open(cls, endpoint: Endpoint, context: DriverContext) -> Self:
        return cls(endpoint, context)

    async def scrape(self) -> Snapshot:
        return _snapshot(self.site, self.context, self.unit)

    def capabilities(self) -> Mapping[str, Capability]:
        return {"grid_setpoint_w": Capability("W", -5000, 5000, True, 60)}

    async def write(self, name: str, value: float) -> None:
        self.setpoints[name] = value

    async def release(self, name: str, before: float = math.nan) -> None:
        self.setpoints.pop(name, None)

    async def read_setpoint(self, name: str) -> float:
        return self.setpoints.get(name, float("nan"))


class ToySubscribed(Driver):
    """Counts what it was sent; silent until the first value. Subscribed."""

    options = ToyOptions
    schemes = ("toy",)
    summary = "A toy that sends."

    def __init__(self, endpoint: Endpoint, context: DriverContext) -> None:
        self.site, self.context = endpoint.site, context
        self.received = 0
        self.subscriptions = 0

    @classmethod
    def open(cls, endpoint: Endpoint, context: DriverContext) -> Self:
        return cls(endpoint, context)

    async def subscribe(self) -> None:
        self.subscriptions += 1
        try:
            while True:
                await asyncio.sleep(0.02)
                self.received += 1
        finally:
            self.subscriptions -= 1

    async def latest(self) -> Snapshot:
        if not self.received:
            raise ScrapeError(Outcome.TIMEOUT, "nothing was sent yet")
        return _snapshot(self.site, self.context, self.received)


def _snapshot(site: str, context: DriverContext, power: float) -> Snapshot:
    readings = {"grid_power_w": power}
    return Snapshot(site, context.wall_clock(), 0.0, Outcome.OK, readings=readings)
