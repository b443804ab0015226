"""Driver ``vrm``."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field

from exporter.drivers.base import Driver, DriverContext, Endpoint
from exporter.drivers.transport.request_budget import RequestBudget
from exporter.drivers.venus.kept_trees import ReaderExplains
from exporter.drivers.venus.scrape import Budget, VenusOptions
from exporter.drivers.venus.site_reader import SiteReader
from exporter.drivers.vrm.vrm_bridge import ASK_SECONDS, OLDEST_SECONDS, VrmBridge
from exporter.model.snapshot import Notice, Outcome, Snapshot

# Everything comes in one reply: every device is read every time.
_BUDGET = Budget(requests=1024, others=256, meter_seconds=0.0, other_seconds=0.0)


class VrmBlock(BaseModel):
    """The block ``vrm`` of a site."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    installation: Annotated[int, Field(ge=1, strict=True)] = Field(
        description="Number of the site in VRM, as in the address of its page"
    )


class VrmOptions(VenusOptions):
    """Options of the driver ``vrm``."""

    vrm: VrmBlock = Field(description="Which site of VRM it is")

    def identity(self) -> tuple[object, ...]:
        """See :class:`exporter.config.driver_options.DriverOptions`."""
        return (*super().identity(), self.vrm.installation)


class VrmDriver(ReaderExplains, Driver):
    """Reads one site through VRM. Pollable."""

    options = VrmOptions
    schemes = ("https", "http")
    summary = "Victron sites that only the VRM portal can be asked about."
    gives = (
        "What the site sends to VRM, every 15 minutes, under the time at which it was measured; "
        "grids that come and go in between are not seen"
    )
    switch_on = (
        "In VRM, Preferences, Integrations, Access tokens: make one and put it into the site "
        "secrets as `token`; `api_endpoint` is `https://vrmapi.victronenergy.com/v2`"
    )

    def __init__(self, endpoint: Endpoint, context: DriverContext) -> None:
        options = endpoint.options
        assert isinstance(options, VrmOptions)
        http = context.transports.http.site(endpoint.site, endpoint.url, options.trust)
        self._site = endpoint.site
        transports = context.transports

        def budget() -> RequestBudget:
            authorization = transports.http.authorization(endpoint.site, endpoint.url)
            return transports.vrm.of(authorization)

        self._bridge = VrmBridge(
            http, options.vrm.installation, context.wall_clock, context.monotonic, budget
        )
        self._reader = SiteReader(endpoint.site, self._bridge, options, context, _BUDGET)
        self._notices: tuple[Notice, ...] = ()

    @classmethod
    def open(cls, endpoint: Endpoint, context: DriverContext) -> Self:
        """See :class:`exporter.drivers.base.Driver`."""
        return cls(endpoint, context)

    async def scrape(self) -> Snapshot:
        """Read the site once; see :class:`exporter.drivers.base.Pollable`.

        Between two reports of the site the Snapshot has no readings: what is known stays in force.
        """
        silence = OLDEST_SECONDS + ASK_SECONDS
        if not await self._bridge.refresh():
            return Snapshot(
                self._site,
                self._bridge.measured,
                0.0,
                Outcome.OK,
                notices=self._notices,
                silence_seconds=silence,
                repeated=True,
            )
        found = await self._reader.scrape()
        self._notices = found.notices
        return replace(found, time=self._bridge.measured, silence_seconds=silence)
