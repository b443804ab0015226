"""Driver ``modbus-tcp``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from exporter.drivers.base import Capability, Driver, DriverContext, Endpoint, RawValue
from exporter.drivers.modbus_tcp.gx_bridge import GxBridge
from exporter.drivers.modbus_tcp.gx_map import gx_map
from exporter.drivers.modbus_tcp.gx_options import GX_MAP, ModbusTcpOptions
from exporter.drivers.modbus_tcp.gx_setpoint import GxSetpoint
from exporter.drivers.template.template_driver import gateway_of
from exporter.drivers.template.template_file import load_template
from exporter.drivers.template.template_reader import TemplateReader
from exporter.drivers.template.template_setpoint import ModbusAccess, TemplateSetpoints
from exporter.drivers.template.template_sources import ModbusSource
from exporter.drivers.venus.scrape import Budget, VenusOptions
from exporter.drivers.venus.setpoint import CAPABILITIES
from exporter.drivers.venus.site_reader import SiteReader
from exporter.model.snapshot import Snapshot

_GX_UNIT = 100
# As over HTTP, with the list of services: system, battery, inverter, and another in turn.
_BUDGET = Budget(requests=4, others=1, meter_seconds=20.0, other_seconds=60.0)


class ModbusTcpDriver(Driver):
    """Reads one site over Modbus TCP. Pollable, and Writable where it is a GX device or its map
    has set-points."""

    options = ModbusTcpOptions
    schemes = ("modbus",)
    summary = "Victron GX devices over Modbus TCP, and devices that a map of registers describes."
    gives = (
        "What the HTTP bridge gives, within what registers resolve: cells to 10 mV, energies of "
        "batteries to 6553.5 kWh, no state of the system, no installed capacity, no single cells. "
        "A GX writes 0 where it has no value; where 0 can be nothing else, it is missing"
    )
    switch_on = "On the GX, Settings, Integrations, Modbus TCP server, on (port 502)"

    def __init__(self, endpoint: Endpoint, context: DriverContext) -> None:
        options = endpoint.options
        assert isinstance(options, ModbusTcpOptions)
        self._transport = context.transports.modbus
        self._setpoint: GxSetpoint | None = None
        self._mapped: TemplateSetpoints | None = None
        if options.modbus.map == GX_MAP:
            parts = urlsplit(endpoint.url)
            self._gateway = self._transport.gateway(parts.hostname or "", parts.port)
            self._reader: SiteReader | TemplateReader = self._gx(endpoint, context, options)
        else:
            template = load_template(options.modbus.map, Path())
            self._gateway = gateway_of(endpoint, template, context)
            unit = options.modbus.unit
            source = ModbusSource(template, self._gateway, unit, context.monotonic)
            access = ModbusAccess(template, self._gateway, template.unit if unit is None else unit)
            self._mapped = TemplateSetpoints(template, access)
            self._reader = TemplateReader(endpoint.site, template, source, options.serial, context)

    def _gx(
        self, endpoint: Endpoint, context: DriverContext, options: ModbusTcpOptions
    ) -> SiteReader:
        block = options.modbus
        unit = _GX_UNIT if block.unit is None else block.unit
        self._setpoint = GxSetpoint(self._gateway, unit)
        bridge = GxBridge(self._gateway, gx_map(), unit, block.units, context.monotonic)
        chosen = VenusOptions.model_validate(
            {"serial": options.serial, "ignored_devices": options.ignored_devices}
        )
        return SiteReader(endpoint.site, bridge, chosen, context, _BUDGET)

    @classmethod
    def open(cls, endpoint: Endpoint, context: DriverContext) -> Self:
        """See :class:`exporter.drivers.base.Driver`."""
        return cls(endpoint, context)

    async def scrape(self) -> Snapshot:
        """Read the site once; see :class:`exporter.drivers.base.Pollable`."""
        return await self._reader.scrape()

    def keep_raw(self) -> None:
        """See :class:`exporter.drivers.base.Recording`."""
        if isinstance(self._reader, SiteReader):
            self._reader.keep_raw()

    def raw_values(self) -> list[RawValue]:
        """See :class:`exporter.drivers.base.Explaining`; decoded, by the paths of the GX."""
        return self._reader.raw_values()

    def capabilities(self) -> Mapping[str, Capability]:
        """The power at the AC input of a GX, or what the map says can be set; see
        :class:`exporter.drivers.base.Writable`."""
        if self._mapped is not None:
            return self._mapped.capabilities()
        return CAPABILITIES

    async def write(self, name: str, value: float) -> None:
        """Set it."""
        if self._mapped is not None:
            await self._mapped.write(name, value)
        else:
            await self._gx_setpoint.write(value)

    async def release(self, name: str, before: float = math.nan) -> None:
        """Give it back to the device."""
        del before
        if self._mapped is not None:
            await self._mapped.release(name)
        else:
            await self._gx_setpoint.release()

    async def read_setpoint(self, name: str) -> float:
        """What is in force."""
        if self._mapped is not None:
            return await self._mapped.read(name)
        return await self._gx_setpoint.read()

    @property
    def _gx_setpoint(self) -> GxSetpoint:
        assert self._setpoint is not None  # every map that is not of a GX has set-points of its own
        return self._setpoint

    async def close(self) -> None:
        """Give the connection back."""
        self._transport.release(self._gateway)
