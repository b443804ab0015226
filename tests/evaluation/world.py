"""Simulated sites on simulated time, read by the real driver.

What a bridge would have sent is handed to the driver as it is: no socket, so that a day takes
seconds. What the network does to a site (no answer, half an answer) is raised as the transport
raises it.
"""

from __future__ import annotations

from typing import Any, cast

import orjson

from exporter.config.fleet import Fleet
from exporter.drivers import DRIVERS, DriverContext
from exporter.drivers.base import Driver, read_snapshot
from exporter.drivers.transport import Transports
from exporter.drivers.transport.http.json_client import NotFoundError
from exporter.drivers.ways_in import open_driver
from exporter.model.snapshot import Outcome, ScrapeError, Snapshot
from simulator.devices import SiteBus
from simulator.engine import Simulator
from simulator.faults import SlowParams

SILENCES = {
    "offline": Outcome.REFUSED,
    "hang": Outcome.TIMEOUT,
    "trickle": Outcome.TIMEOUT,
    "rubbish": Outcome.MALFORMED,
    "truncated": Outcome.TRUNCATED,
    "http_500": Outcome.HTTP_STATUS,
}
REQUEST_SECONDS = 5.0


class Bus:
    """The bridge of one site, without its socket."""

    def __init__(self, simulator: Simulator, site: str) -> None:
        self._simulator = simulator
        self._site = site
        self._bus = SiteBus(simulator, site)

    async def get_json(
        self, path: str, params: dict[str, str], *, patience_seconds: float | None = None
    ) -> Any:
        """What the bridge answers; raises as the HTTP client does."""
        del patience_seconds
        for active in self._simulator.faults_of(self._site):
            outcome = SILENCES.get(active.fault)
            if outcome is not None:
                raise ScrapeError(outcome, f"GET {path}: {active.fault}")
            slow = active.params
            if isinstance(slow, SlowParams) and slow.seconds > REQUEST_SECONDS:
                raise ScrapeError(Outcome.TIMEOUT, f"GET {path}: no answer")
        if path == "/services":
            services = self._bus.services()
            return {"services": services, "count": len(services), "success": True}
        tree = self._bus.tree(params["service"]) if path == "/value" else None
        if tree is None:
            raise NotFoundError(f"GET {path}: status 404")
        # As the wire carries it: floats and strings, nothing shared with the simulator.
        return orjson.loads(orjson.dumps({"value": tree, "success": True}))


class _Buses:
    """Stands where the HTTP transport stands."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator

    def site(self, site: str, url: str, trust: object = None) -> Bus:
        """The client of one site."""
        del url, trust
        return Bus(self._simulator, site)


class World:
    """All sites of a scenario, one Snapshot each a moment.

    Parameters
    ----------
    simulator : Simulator
    fleet : Fleet
        The fleet file of its scenario.
    """

    def __init__(self, simulator: Simulator, fleet: Fleet) -> None:
        self._simulator = simulator
        self._begin = simulator.start
        transports = Transports(http=cast(Any, _Buses(simulator)))
        context = DriverContext(transports, self._wall, self._monotonic)
        self._drivers: list[tuple[str, Driver]] = [
            (site.id, open_driver(site, DRIVERS, context)) for site in fleet.sites
        ]
        self._now = simulator.start

    def _wall(self) -> float:
        return self._now

    def _monotonic(self) -> float:
        return self._now - self._begin

    async def snapshots(self, time: float) -> list[Snapshot]:
        """Every site at a moment, Unix seconds, not before the last one."""
        self._now = time
        self._simulator.advance(time)
        return [await self._snapshot(site, driver) for site, driver in self._drivers]

    async def _snapshot(self, site: str, driver: Driver) -> Snapshot:
        try:
            return await read_snapshot(driver)
        except ScrapeError as error:
            return Snapshot(site, self._now, 0.0, error.outcome, error.detail)
