"""Simulated sites on simulated time, read by the real driver.

What a bridge or a Modbus gateway would have sent is handed to the driver as it is: no socket, so
that a day takes seconds. What the network does to a site (no answer, half an answer) is raised as
the transport raises it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import orjson

from exporter.config.fleet import Fleet
from exporter.drivers import DRIVERS, DriverContext
from exporter.drivers.base import Driver, read_snapshot
from exporter.drivers.transport import Transports
from exporter.drivers.transport.http.json_client import NotFoundError
from exporter.drivers.transport.modbus.frames import ExceptionReplyError, Request
from exporter.drivers.ways_in import open_driver
from exporter.model.snapshot import Outcome, ScrapeError, Snapshot
from simulator.devices import SiteBus
from simulator.engine import Simulator
from simulator.faults import SlowParams
from simulator.modbus.gx import GxUnits
from simulator.scenario import Scenario

SILENCES = {
    "offline": Outcome.REFUSED,
    "hang": Outcome.TIMEOUT,
    "trickle": Outcome.TIMEOUT,
    "rubbish": Outcome.MALFORMED,
    "truncated": Outcome.TRUNCATED,
    "http_500": Outcome.HTTP_STATUS,
}
REQUEST_SECONDS = 5.0
FIRST_PORT = 10_000
"""Of the Modbus gateways, one for each site."""
NO_SUCH_ADDRESS, NO_SUCH_UNIT = 2, 11
"""Exception codes of Modbus."""


def modbus_endpoints(scenario: Scenario) -> dict[str, str]:
    """Where each site has its Modbus gateway."""
    return {
        site.id: f"modbus://127.0.0.1:{FIRST_PORT + number}"
        for number, site in enumerate(scenario.sites)
    }


def fail_as_network(simulator: Simulator, site: str, what: str) -> None:
    """Raise what the transport raises while a fault of a site's network is on."""
    for active in simulator.faults_of(site):
        outcome = SILENCES.get(active.fault)
        if outcome is not None:
            raise ScrapeError(outcome, f"{what}: {active.fault}")
        slow = active.params
        if isinstance(slow, SlowParams) and slow.seconds > REQUEST_SECONDS:
            raise ScrapeError(Outcome.TIMEOUT, f"{what}: no answer")


class Bus:
    """The bridge of one site, without its socket."""

    def __init__(self, simulator: Simulator, site: str) -> None:
        self._simulator = simulator
        self._site = site
        self._bus = SiteBus(simulator, site)

    async def get_json(
        self,
        path: str,
        params: dict[str, str],
        *,
        patience_seconds: float | None = None,
        on_date: Callable[[float], None] | None = None,
    ) -> Any:
        """What the bridge answers; raises as the HTTP client does."""
        del patience_seconds
        fail_as_network(self._simulator, self._site, f"GET {path}")
        if path == "/services":
            services = self._bus.services()
            return {"services": services, "count": len(services), "success": True}
        if on_date is not None:
            ahead = self._simulator.clock_ahead_seconds(self._site)
            on_date(self._simulator.time + ahead)
        if path == "/health":
            return {"uptime_seconds": int(self._simulator.state(self._site).uptime_seconds)}
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


class GxGateway:
    """The Modbus gateway of one site, without its socket."""

    def __init__(self, simulator: Simulator, site: str) -> None:
        self._simulator = simulator
        self._site = site
        self._units = GxUnits(SiteBus(simulator, site))

    async def read(self, request: Request) -> tuple[int, ...]:
        """Registers of a unit; raises as the Modbus client does."""
        fail_as_network(self._simulator, self._site, str(request))
        found = self._units.registers(request.unit, request.address, request.count)
        if found is None:
            raise ExceptionReplyError(NO_SUCH_UNIT, str(request))
        wanted = range(request.address, request.address + request.count)
        if any(number not in found for number in wanted):
            raise ExceptionReplyError(NO_SUCH_ADDRESS, str(request))
        return tuple(found[number] for number in wanted)


class _Gateways:
    """Stands where the Modbus transport stands."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator

    def gateway(self, host: str, port: int | None) -> GxGateway:
        """The gateway of one site."""
        del host
        assert port is not None
        site = self._simulator.scenario.sites[port - FIRST_PORT]
        return GxGateway(self._simulator, site.id)

    def release(self, gateway: GxGateway) -> None:
        """Nothing is held."""


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
        transports = Transports(
            http=cast(Any, _Buses(simulator)), modbus=cast(Any, _Gateways(simulator))
        )
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
