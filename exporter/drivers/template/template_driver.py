"""Driver ``template``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, ValidationInfo, model_validator

from exporter.config.driver_options import OptionContext
from exporter.config.field_types import Text, field_error
from exporter.config.positions import FleetFileError
from exporter.drivers.base import Capability, Driver, DriverContext, Endpoint, RawValue
from exporter.drivers.template.template_file import load_template
from exporter.drivers.template.template_model import Template
from exporter.drivers.template.template_reader import TemplateReader
from exporter.drivers.template.template_setpoint import (
    HttpAccess,
    ModbusAccess,
    SetpointAccess,
    TemplateSetpoints,
)
from exporter.drivers.template.template_sources import HttpSource, ModbusSource, RawSource
from exporter.drivers.transport.http.options import HttpOptions
from exporter.drivers.transport.modbus.gateway import Gateway
from exporter.model.snapshot import Snapshot

SCHEMES = {"http": ("http", "https"), "modbus": ("modbus",), "mqtt": ("mqtt", "mqtts")}
_DRIVERS = {"http": "template", "modbus": "template", "mqtt": "template-mqtt"}


def checked_template(value: str, info: ValidationInfo, driver: str = "template") -> str:
    """Validate the name or file of a template; a file comes out with its whole path."""
    context = info.context
    folder = context.folder if isinstance(context, OptionContext) else Path()
    try:
        template = load_template(value, folder)
    except FleetFileError as error:
        first, more = error.mistakes[0], len(error.mistakes) - 1
        rest = f" (and {more} more)" if more else ""
        raise field_error(f"{first}{rest}") from None
    if _DRIVERS[template.transport] != driver:
        raise field_error(f"is read by the driver {_DRIVERS[template.transport]}")
    if isinstance(context, OptionContext):
        scheme = context.endpoint.partition("://")[0]
        wanted = SCHEMES[template.transport]
        if scheme not in wanted and scheme in ("http", "https", "modbus"):
            raise field_error(f"needs an api_endpoint with {' or '.join(wanted)}")
    return value if template.template == value else str((folder / value).absolute())


class TemplateOptions(HttpOptions):
    """Options of a site that a template describes."""

    template: Annotated[Text, AfterValidator(checked_template)] = Field(
        description="Name of a template ([devices.md](devices.md)), or a file of your own, "
        "relative to this file"
    )
    parameters: dict[str, Text] = Field(
        default={}, description="What the template asks for, such as names of entities"
    )
    unit: Annotated[int, Field(ge=0, le=255, strict=True)] | None = Field(
        default=None, description="Modbus unit, where it is not the template's"
    )
    serial: Text | None = Field(
        default=None,
        description="Serial number, where the template reads one; another device is not taken",
    )

    @model_validator(mode="after")
    def _check_parameters(self) -> Self:
        try:
            load_template(self.template, Path()).values_of(dict(self.parameters))
        except ValueError as error:
            raise field_error(f"parameters: {error}") from None
        return self

    def identity(self) -> tuple[object, ...]:
        """What makes it another device."""
        given = tuple(sorted(self.parameters.items()))
        return (self.template, given, self.unit, self.serial)


class TemplateDriver(Driver):
    """Reads one site as a template says. Pollable, and Writable where it has set-points."""

    options = TemplateOptions
    schemes = ("http", "https", "modbus")
    summary = "Devices that a template describes: JSON over HTTP, or registers over Modbus TCP."
    gives = "What its template names; see below"
    switch_on = "See the template"

    def __init__(self, endpoint: Endpoint, context: DriverContext) -> None:
        options = endpoint.options
        assert isinstance(options, TemplateOptions)
        template = load_template(options.template, Path())
        self._modbus = context.transports.modbus
        self._gateway: Gateway | None = None
        source: RawSource
        access: SetpointAccess
        if template.transport == "http":
            http = context.transports.http.site(endpoint.site, endpoint.url, options.trust)
            values = template.values_of(dict(options.parameters))
            source = HttpSource(template, http, values)
            access = HttpAccess(template, http, values)
        else:
            self._gateway = gateway_of(endpoint, template, context)
            source = ModbusSource(template, self._gateway, options.unit, context.monotonic)
            unit = template.unit if options.unit is None else options.unit
            access = ModbusAccess(template, self._gateway, unit)
        self._setpoints = TemplateSetpoints(template, access)
        self.reader = TemplateReader(endpoint.site, template, source, options.serial, context)

    @classmethod
    def open(cls, endpoint: Endpoint, context: DriverContext) -> Self:
        """See :class:`exporter.drivers.base.Driver`."""
        return cls(endpoint, context)

    async def scrape(self) -> Snapshot:
        """Read the site once; see :class:`exporter.drivers.base.Pollable`."""
        return await self.reader.scrape()

    def raw_values(self) -> list[RawValue]:
        """See :class:`exporter.drivers.base.Explaining`."""
        return self.reader.raw_values()

    def capabilities(self) -> Mapping[str, Capability]:
        """What the template says can be set; see :class:`exporter.drivers.base.Writable`."""
        return self._setpoints.capabilities()

    async def write(self, name: str, value: float) -> None:
        """Set it."""
        await self._setpoints.write(name, value)

    async def release(self, name: str, before: float = math.nan) -> None:
        """Give it back to the device."""
        del before
        await self._setpoints.release(name)

    async def read_setpoint(self, name: str) -> float:
        """What is in force."""
        return await self._setpoints.read(name)

    async def close(self) -> None:
        """Give a Modbus connection back."""
        if self._gateway is not None:
            self._modbus.release(self._gateway)


def gateway_of(endpoint: Endpoint, template: Template, context: DriverContext) -> Gateway:
    """The connection to a Modbus device, at the endpoint's port or the template's."""
    parts = urlsplit(endpoint.url)
    return context.transports.modbus.gateway(parts.hostname or "", parts.port or template.port)
