"""Driver ``modbus-tcp``."""

from __future__ import annotations

from typing import Self
from urllib.parse import urlsplit

from exporter.drivers.base import Driver, DriverContext, Endpoint
from exporter.drivers.modbus_tcp.gx_bridge import GxBridge
from exporter.drivers.modbus_tcp.gx_map import gx_map
from exporter.drivers.modbus_tcp.gx_options import ModbusTcpOptions
from exporter.drivers.venus.scrape import Budget, VenusOptions
from exporter.drivers.venus.site_reader import SiteReader
from exporter.model.snapshot import Snapshot

# As over HTTP, with the list of services: system, battery, inverter, and another in turn.
_BUDGET = Budget(requests=4, others=1, meter_seconds=20.0, other_seconds=60.0)


class ModbusTcpDriver(Driver):
    """Reads one site over Modbus TCP. Pollable."""

    options = ModbusTcpOptions
    schemes = ("modbus",)
    summary = "Victron GX devices over Modbus TCP, by Victron's register map."

    def __init__(self, endpoint: Endpoint, context: DriverContext) -> None:
        options = endpoint.options
        assert isinstance(options, ModbusTcpOptions)
        parts = urlsplit(endpoint.url)
        self._transport = context.transports.modbus
        self._gateway = self._transport.gateway(parts.hostname or "", parts.port)
        block = options.modbus
        bridge = GxBridge(
            self._gateway,
            gx_map(),
            block.unit,
            block.units,
            context.monotonic,
        )
        chosen = VenusOptions.model_validate(
            {"serial": options.serial, "ignored_devices": options.ignored_devices}
        )
        self._reader = SiteReader(endpoint.site, bridge, chosen, context, _BUDGET)

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
