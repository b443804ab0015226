"""A site in VRM that answers as its HTTP bridge does, out of VRM's diagnostics.

VRM gives each value with its D-Bus service, instance and path, and with the time at which the site
sent it. Source: Victron's VRM API documentation, ``/installations/{idSite}/diagnostics``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from exporter.drivers.transport.http.json_client import NotFoundError
from exporter.drivers.transport.http.site_client import SiteHttp
from exporter.drivers.transport.request_budget import RequestBudget
from exporter.drivers.venus.tree import SYSTEM
from exporter.drivers.venus.values import number
from exporter.model.snapshot import Outcome, ScrapeError

LOG_SECONDS = 900.0
"""How often a site sends its values to VRM; it may be set shorter there."""
OLDEST_SECONDS = 2 * LOG_SECONDS
# With the budget of a token, 600 sites can be asked once in this time.
ASK_SECONDS = 300.0
LIMITED_SECONDS = 900.0
_MOST_RECORDS = 5000
_HEADER = "X-Authorization"


@dataclass(slots=True, eq=False)
class VrmBridge:
    """The latest values of one site.

    Attributes
    ----------
    http : SiteHttp
    site_number : int
        ``idSite`` in VRM.
    wall_clock, monotonic : callables
    budget : callable
        The budget of the token that is in force.
    measured : float
        Unix seconds of the newest value; NaN before the first.
    """

    http: SiteHttp
    site_number: int
    wall_clock: Callable[[], float]
    monotonic: Callable[[], float]
    budget: Callable[[], RequestBudget]
    measured: float = math.nan
    _trees: dict[str, dict[str, Any]] = field(default_factory=dict)
    _ask_at: float = -math.inf

    async def refresh(self) -> bool:
        """Ask VRM for newer values, unless it is too early; whether there are any.

        Raises
        ------
        ScrapeError
            When VRM does not answer, or has no value of the site that is fresh.
        """
        newer, waits = False, False
        if (now := self.monotonic()) >= self._ask_at:
            waits = not self.budget().take(now)
            newer = not waits and await self._ask()
        age = self.wall_clock() - self.measured
        if not age <= OLDEST_SECONDS:
            if waits:
                detail = "VRM: it waits for its turn among the sites of its token"
                raise ScrapeError(Outcome.TIMEOUT, detail)
            detail = f"VRM's newest value of the site is {age / 60:.0f} min old"
            if math.isnan(age):
                detail = "VRM has no value of the site"
            raise ScrapeError(Outcome.TIMEOUT, detail)
        return newer

    async def _ask(self) -> bool:
        self._ask_at = self.monotonic() + ASK_SECONDS
        path = f"/installations/{self.site_number}/diagnostics"
        try:
            document = await self.http.get_json(path, {"count": "1000"}, token_header=_HEADER)
        except ScrapeError as error:
            if "status 429" in error.detail:
                # To ask on would keep the limit in force.
                self.budget().close(self.monotonic() + LIMITED_SECONDS)
            raise
        records = document.get("records") if isinstance(document, dict) else None
        if not isinstance(records, list):
            raise ScrapeError(Outcome.MALFORMED, f"GET {path}: has no list of records")
        return self._take(records[:_MOST_RECORDS])

    def _take(self, records: list[Any]) -> bool:
        """Sort values into the trees of their services; values that stopped are left out."""
        found: dict[str, dict[str, Any]] = {}
        newest, oldest = math.nan, self.wall_clock() - OLDEST_SECONDS
        for record in records:
            if not isinstance(record, dict):
                continue
            kind, path = record.get("dbusServiceType"), record.get("dbusPath")
            time, instance = number(record.get("timestamp")), number(record.get("instance"))
            if not isinstance(kind, str) or not isinstance(path, str) or not kind.isalnum():
                continue
            if math.isnan(time) or math.isnan(instance) or time < oldest:
                continue
            newest = time if math.isnan(newest) else max(newest, time)
            service = SYSTEM if kind == "system" else f"com.victronenergy.{kind}.i{instance:.0f}"
            tree = found.setdefault(service, {"DeviceInstance": instance})
            tree[path.lstrip("/")] = record.get("rawValue")
        if math.isnan(newest) or newest <= self.measured:
            return False
        # A clock of VRM that is ahead makes nothing younger than now.
        self.measured = min(newest, self.wall_clock())
        self._trees = found
        return True

    async def get_json(
        self, path: str, params: dict[str, str], *, patience_seconds: float | None = None
    ) -> Any:
        """The document of a route; see :class:`exporter.drivers.venus.site_reader.Bridge`."""
        if path == "/services":
            return {"services": list(self._trees)}
        service = params.get("service", "")
        if path != "/value" or params.get("path") != "/" or service not in self._trees:
            raise NotFoundError(f"{service}: VRM has no value of it")
        tree = self._trees[service]
        return {"value": self._with_names(tree) if service == SYSTEM else tree}

    def _with_names(self, system: dict[str, Any]) -> dict[str, Any]:
        """The system tree with what it says of services, which VRM does not keep."""
        named = dict(system)
        for service, tree in self._trees.items():
            kind = service.split(".")[2]
            if service != SYSTEM:
                instance = f"{tree['DeviceInstance']:.0f}"
                named[f"ServiceMapping/com_victronenergy_{kind}_{instance}"] = service
        for path, kind in (("Dc/Battery/BatteryService", "battery"), ("VebusService", "vebus")):
            first = sorted(s for s in self._trees if s.split(".")[2] == kind)
            if first:
                named[path] = first[0]
        return named
