"""Driver for the Venus HTTP bridge.

The bridge is an HTTP/1.0 server with one thread and no socket timeout in front of D-Bus: a second
connection waits behind the first, and a stuck one blocks everybody. So a site gets one request at
a time, whole trees instead of single values, and at most four requests a scrape.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from typing import Self

from exporter.drivers.base import Capability, Driver, DriverContext, Endpoint
from exporter.drivers.transport.http.json_client import REQUEST_SECONDS
from exporter.drivers.venus.http_setpoint import PERSISTENT, HttpSetpoint
from exporter.drivers.venus.kept_trees import ReaderExplains
from exporter.drivers.venus.scrape import Budget, VenusOptions
from exporter.drivers.venus.site_reader import SiteReader
from exporter.drivers.venus.uptime import Uptime
from exporter.model.snapshot import Snapshot

# The counters of a meter are readings of the site, which are stale after three scrapes.
BUDGET = Budget(
    requests=4,
    others=1,
    meter_seconds=20.0,
    other_seconds=60.0,
    request_seconds=REQUEST_SECONDS,
)


class VenusHttpOptions(VenusOptions):
    """Options of a site behind the Venus HTTP bridge."""


class VenusHttpDriver(ReaderExplains, Driver):
    """Reads one site over its HTTP bridge. Pollable and Writable."""

    options = VenusHttpOptions
    schemes = ("http", "https")
    summary = "Victron Venus devices behind the Venus HTTP bridge."
    gives = "Everything that is scored, single cells, alarms and codes of every device"
    switch_on = "Install the bridge on the GX; it listens on port 8088 without a password"

    def __init__(self, endpoint: Endpoint, context: DriverContext) -> None:
        options = endpoint.options
        assert isinstance(options, VenusHttpOptions)
        http = context.transports.http.site(endpoint.site, endpoint.url, options.trust)
        uptime = Uptime(http, context.wall_clock, context.monotonic)
        self._reader = SiteReader(endpoint.site, http, options, context, BUDGET, uptime)
        self._setpoint = HttpSetpoint(http)
        # A second connection would wait behind the first one until both are late.
        self._turn = asyncio.Lock()

    @classmethod
    def open(cls, endpoint: Endpoint, context: DriverContext) -> Self:
        """See :class:`exporter.drivers.base.Driver`."""
        return cls(endpoint, context)

    async def scrape(self) -> Snapshot:
        """Read the site once; see :class:`exporter.drivers.base.Pollable`."""
        async with self._turn:
            return await self._reader.scrape()

    def capabilities(self) -> Mapping[str, Capability]:
        """The persistent power at the AC input; see :class:`exporter.drivers.base.Writable`."""
        return PERSISTENT

    async def write(self, name: str, value: float) -> None:
        """Set it."""
        del name
        async with self._turn:
            await self._setpoint.write(value)

    async def release(self, name: str, before: float = math.nan) -> None:
        """Write back what was there before."""
        del name
        async with self._turn:
            await self._setpoint.release(before)

    async def read_setpoint(self, name: str) -> float:
        """What is in force."""
        del name
        async with self._turn:
            return await self._setpoint.read()
