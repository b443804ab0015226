"""Driver ``modbus-tcp``."""

from __future__ import annotations

from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from exporter.drivers.base import Driver, DriverContext, Endpoint
from exporter.drivers.modbus_tcp.gx_bridge import GxBridge
from exporter.drivers.modbus_tcp.gx_map import gx_map
from exporter.drivers.modbus_tcp.gx_options import GX_MAP, ModbusTcpOptions
from exporter.drivers.template.template_driver import gateway_of
from exporter.drivers.template.template_file import load_template
from exporter.drivers.template.template_reader import TemplateReader
from exporter.drivers.template.template_sources import ModbusSource
from exporter.drivers.venus.scrape import Budget, VenusOptions
from exporter.drivers.venus.site_reader import SiteReader
from exporter.model.snapshot import Snapshot

_GX_UNIT = 100
# As over HTTP, with the list of services: system, battery, inverter, and another in turn.
_BUDGET = Budget(requests=4, others=1, meter_seconds=20.0, other_seconds=60.0)


class ModbusTcpDriver(Driver):
    """Reads one site over Modbus TCP. Pollable."""

    options = ModbusTcpOptions
    schemes = ("modbus",)
    summary = "Victron GX devices over Modbus TCP, and devices that a map of registers describes."
    gives = (
        "What the HTTP bridge gives, within what registers resolve: cells to 10 mV, energies of "
        "batteries to 6553.5 kWh, no state of the system, no single cells. A GX writes 0 where it "
        "has no value; where 0 can be nothing else, it is missing"
    )
    switch_on = "On the GX, Settings, Integrations, Modbus TCP server, on (port 502)"

    def __init__(self, endpoint: Endpoint, context: DriverContext) -> None:
        options = endpoint.options
        assert isinstance(options, ModbusTcpOptions)
        self._transport = context.transports.modbus
        if options.modbus.map == GX_MAP:
            parts = urlsplit(endpoint.url)
            self._gateway = self._transport.gateway(parts.hostname or "", parts.port)
            self._reader: SiteReader | TemplateReader = self._gx(endpoint, context, options)
        else:
            template = load_template(options.modbus.map, Path())
            self._gateway = gateway_of(endpoint, template, context)
            source = ModbusSource(template, self._gateway, options.modbus.unit, context.monotonic)
            self._reader = TemplateReader(endpoint.site, template, source, options.serial, context)

    def _gx(
        self, endpoint: Endpoint, context: DriverContext, options: ModbusTcpOptions
    ) -> SiteReader:
        block = options.modbus
        unit = _GX_UNIT if block.unit is None else block.unit
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

    async def close(self) -> None:
        """Give the connection back."""
        self._transport.release(self._gateway)
