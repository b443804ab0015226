"""Driver ``sunspec``."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field

from exporter.config.driver_options import DriverOptions
from exporter.config.field_types import Text
from exporter.drivers.base import Capability, Driver, DriverContext, Endpoint, RawValue
from exporter.drivers.identity import Identity
from exporter.drivers.sunspec.der_setpoint import DerSetpoint
from exporter.drivers.sunspec.discovery import SunSpecUnit
from exporter.drivers.sunspec.raw_points import RawPoints
from exporter.drivers.sunspec.site_models import SunSpecReadings
from exporter.drivers.sunspec.storage_setpoint import StorageSetpoint
from exporter.model.snapshot import Notice, Outcome, ScrapeError, Snapshot

SITE_SECONDS = 10.0
BATTERY_POWER = "battery_power_w"


class SunSpecBlock(BaseModel):
    """The block ``sunspec`` of a site."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    units: Annotated[
        tuple[Annotated[int, Field(ge=0, le=255, strict=True)], ...],
        Field(min_length=1, max_length=32),
    ] = Field(
        default=(1,),
        description="Units of inverters, meters and batteries; the first meter is the grid's",
    )
    meter_positive: Literal["import", "export"] = Field(
        default="import",
        description="What a positive power of the meter means; SolarEdge's meters give `export`",
    )


class SunSpecOptions(DriverOptions):
    """Options of the driver ``sunspec``."""

    sunspec: SunSpecBlock = Field(SunSpecBlock(), description="Where its models are")
    serial: Text | None = Field(
        None,
        description="Serial number of its first unit; readings of another one are not taken",
    )

    def identity(self) -> tuple[object, ...]:
        """What makes it another device."""
        return (self.sunspec.units, self.serial)


class SunSpecDriver(Driver):
    """Reads one site over SunSpec. Pollable, and Writable where a unit has model 704 or 124."""

    options = SunSpecOptions
    schemes = ("modbus",)
    summary = "Inverters, meters and batteries that speak SunSpec over Modbus TCP."
    gives = (
        "PV, grid and consumption, from models 101-103, 111-113, 701, 160, 201-204 and 211-214; "
        "batteries with health, cells and alarms, from models 124, 713, 714 and 802-805; ratings, "
        "limits and functions in force from 702-712"
    )
    switch_on = (
        "In the inverter's own settings: Modbus TCP or SunSpec, on; with a meter, its unit goes "
        "into `sunspec.units` (often 200 or 240)"
    )

    def __init__(self, endpoint: Endpoint, context: DriverContext) -> None:
        options = endpoint.options
        assert isinstance(options, SunSpecOptions)
        parts = urlsplit(endpoint.url)
        self._site = endpoint.site
        self._transport = context.transports.modbus
        self._gateway = self._transport.gateway(parts.hostname or "", parts.port)
        self._wall_clock, self._monotonic = context.wall_clock, context.monotonic
        self._identity = Identity(options.serial)
        self._meter_sign = 1.0 if options.sunspec.meter_positive == "import" else -1.0
        self._units = [
            SunSpecUnit(self._gateway, unit, context.monotonic) for unit in options.sunspec.units
        ]
        self._der = DerSetpoint(self._units)
        self._storage = StorageSetpoint(self._units)
        self._raw = RawPoints()

    @classmethod
    def open(cls, endpoint: Endpoint, context: DriverContext) -> Self:
        """See :class:`exporter.drivers.base.Driver`."""
        return cls(endpoint, context)

    def capabilities(self) -> Mapping[str, Capability]:
        """See :class:`exporter.drivers.base.Writable`; nothing before models are known."""
        found = self._setpoint
        return {BATTERY_POWER: found.capability} if found.is_there else {}

    async def write(self, name: str, value: float) -> None:
        """Set the battery power."""
        del name
        await self._setpoint.write(value)

    async def release(self, name: str, before: float = math.nan) -> None:
        """Disable the set-point."""
        del name, before
        await self._setpoint.release()

    async def read_setpoint(self, name: str) -> float:
        """What is in force."""
        del name
        return await self._setpoint.read()

    @property
    def _setpoint(self) -> DerSetpoint | StorageSetpoint:
        """That of model 704, which is in watts; that of model 124 where a device has no other."""
        return self._der if self._der.is_there else self._storage

    def keep_raw(self) -> None:
        """See :class:`exporter.drivers.base.Recording`."""
        self._raw.begin(self._monotonic())

    def raw_values(self) -> list[RawValue]:
        """See :class:`exporter.drivers.base.Explaining`."""
        return self._raw.raw_values()

    async def close(self) -> None:
        """Give the connection back."""
        self._transport.release(self._gateway)

    async def scrape(self) -> Snapshot:
        """Read the site once; see :class:`exporter.drivers.base.Pollable`."""
        started = self._monotonic()
        found = SunSpecReadings(self._meter_sign)
        failed: list[ScrapeError] = []
        lost: list[int] = []
        notices: list[Notice] = []
        for unit in self._units:
            try:
                async with asyncio.timeout(max(0.0, SITE_SECONDS - (self._monotonic() - started))):
                    models = await unit.read()
                found.add_unit(unit.unit, models)
                self._der.see(models)
                self._storage.see(models)
                self._raw.keep(unit.unit, models, self._monotonic())
            except TimeoutError:
                detail = f"unit {unit.unit}: the site took longer than {SITE_SECONDS:.0f} s in all"
                failed.append(ScrapeError(Outcome.TIMEOUT, detail))
                lost += unit.known_models
            except ScrapeError as error:
                failed.append(error)
                lost += unit.known_models
                if unit.base is not None:
                    name = f"unit/{unit.unit}"
                    notices.append(Notice("device_silent", name, f"{name} does not answer"))
        if len(failed) == len(self._units):
            raise failed[0]
        properties = found.properties_of.get(self._units[0].unit)
        if properties is not None:
            self._identity.check(properties.get("serial"))
        found.finish(lost)
        return Snapshot(
            site=self._site,
            time=self._wall_clock(),
            duration=self._monotonic() - started,
            outcome=Outcome.PARTIAL if failed else Outcome.OK,
            detail="; ".join(error.detail for error in failed),
            readings=found.site.readings,
            batteries=tuple(found.batteries),
            alarms=found.alarms,
            meters=tuple(found.meters),
            notices=(*notices, *(Notice("device_state", *remark) for remark in found.remarks)),
            devices=None if failed else frozenset({*found.alarms, *self._battery_ids(found)}),
            implausible=(*found.site.implausible, *found.implausible),
            properties=properties or {},
        )

    @staticmethod
    def _battery_ids(found: SunSpecReadings) -> set[str]:
        return {battery.device for battery in found.batteries}
