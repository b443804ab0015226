"""Driver for the Venus HTTP bridge.

The bridge is an HTTP/1.0 server with one thread and no socket timeout in front of D-Bus: a second
connection waits behind the first, and a stuck one blocks everybody. So a site gets one request at
a time, whole trees instead of single values, and at most four requests a scrape.
"""

from __future__ import annotations

import asyncio
import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from pydantic import Field

from exporter.config.field_types import Text
from exporter.drivers.base import Driver, DriverContext, Endpoint
from exporter.drivers.identity import Identity
from exporter.drivers.transport.http.json_client import NotFoundError
from exporter.drivers.transport.http.options import HttpOptions
from exporter.drivers.transport.http.site_client import SiteHttp
from exporter.drivers.venus import ac_input
from exporter.drivers.venus import tree as venus
from exporter.model.snapshot import (
    MISSING,
    BatterySnapshot,
    Implausible,
    Outcome,
    ScrapeError,
    Snapshot,
)

REQUESTS_PER_SCRAPE = 4
SITE_SECONDS = 10.0
SERVICES_SECONDS = 3600.0
OTHER_DEVICE_SECONDS = 60.0
_OTHER_CLASSES = frozenset(
    {
        "acsystem",
        "alternator",
        "battery",
        "charger",
        "dcdc",
        "dcgenset",
        "dcload",
        "dcsource",
        "dcsystem",
        "fuelcell",
        "genset",
        "grid",
        "inverter",
        "multi",
        "pvinverter",
        "solarcharger",
        "vebus",
    }
)

# Failures of one request that leave hope for the next: the site did answer.
_ANSWERED = frozenset({Outcome.HTTP_STATUS, Outcome.MALFORMED, Outcome.TRUNCATED})


@dataclass(slots=True)
class _Scrape:
    """What one scrape has gathered so far."""

    site: str
    deadline: float
    services_asked: bool = False
    requests_left: int = REQUESTS_PER_SCRAPE
    problems: list[str] = dataclasses.field(default_factory=list)
    readings: venus.Collector = dataclasses.field(default_factory=lambda: venus.Collector("site"))
    batteries: dict[str, BatterySnapshot] = dataclasses.field(default_factory=dict)
    alarms: dict[str, dict[str, int]] = dataclasses.field(default_factory=dict)
    implausible: list[Implausible] = dataclasses.field(default_factory=list)
    trees: dict[str, venus.Tree] = dataclasses.field(default_factory=dict)

    def add_battery(self, found: tuple[BatterySnapshot, list[Implausible]]) -> None:
        snapshot, implausible = found
        self.batteries[snapshot.device] = snapshot
        self.implausible += implausible


class VenusHttpOptions(HttpOptions):
    """Options of a site behind the Venus HTTP bridge."""

    serial: Text | None = Field(
        None,
        description="Serial number of its controller; readings of another one are not taken",
    )

    def identity(self) -> tuple[object, ...]:
        """The serial number alone: a new certificate does not make another device."""
        return (self.serial,)


class VenusHttpDriver(Driver):
    """Reads one site over its HTTP bridge. Pollable."""

    options = VenusHttpOptions
    schemes = ("http", "https")
    summary = "Victron Venus devices behind the Venus HTTP bridge."

    def __init__(
        self, site: str, http: SiteHttp, serial: str | None, context: DriverContext
    ) -> None:
        self._site = site
        self._http = http
        self._wall_clock = context.wall_clock
        self._monotonic = context.monotonic
        self._identity = Identity(serial)
        self._services: list[str] = []
        self._services_due = -math.inf
        self._others_read: dict[str, float] = {}
        self._device_ids: dict[str, str] = {}

    @classmethod
    def open(cls, endpoint: Endpoint, context: DriverContext) -> Self:
        """See :class:`exporter.drivers.base.Driver`."""
        options = endpoint.options
        assert isinstance(options, VenusHttpOptions)
        http = context.transports.http.site(endpoint.site, endpoint.url, options.trust)
        return cls(endpoint.site, http, options.serial, context)

    async def scrape(self) -> Snapshot:
        """Read the site once; see :class:`exporter.drivers.base.Pollable`."""
        started = self._monotonic()
        scrape = _Scrape(self._site, asyncio.get_running_loop().time() + SITE_SECONDS)
        system = await self._read_all(scrape)
        mapped = venus.mapped_services(system)
        return Snapshot(
            site=self._site,
            time=self._wall_clock(),
            duration=self._monotonic() - started,
            outcome=Outcome.PARTIAL if scrape.problems else Outcome.OK,
            detail="; ".join(scrape.problems),
            readings=scrape.readings.readings,
            batteries=tuple(scrape.batteries.values()),
            alarms=scrape.alarms,
            devices=self._devices(mapped, scrape) if mapped else None,
            implausible=(*scrape.readings.implausible, *scrape.implausible),
            properties=_properties(system),
        )

    def _devices(self, mapped: Mapping[str, str], scrape: _Scrape) -> frozenset[str]:
        """All devices: those that the system tree maps, and others that gave their id before."""
        self._device_ids = {s: d for s, d in self._device_ids.items() if s in self._services}
        known = {*mapped.values(), *self._device_ids.values(), *scrape.alarms}
        return frozenset({"system/0", *known, *scrape.batteries})

    async def _read_all(self, scrape: _Scrape) -> venus.Tree:
        if self._monotonic() >= self._services_due:
            await self._start_services(scrape)
        system = await self._tree(scrape, venus.SYSTEM)
        self._identity.check(venus.text(system.get("Serial")))
        venus.read_system(system, scrape.readings)
        scrape.alarms["system/0"] = venus.read_alarms(system)
        mapped = venus.mapped_services(system)
        services = sorted(mapped.keys() | set(self._services))
        active = await self._read_battery(scrape, system, services, mapped)
        await self._read_grid(scrape, system, services)
        await self._read_another(scrape, services, active)
        for service, tree in scrape.trees.items():
            device = venus.device_id(service, tree)
            self._device_ids[service] = device
            scrape.alarms[device] = venus.read_alarms(tree)
        return system

    async def _start_services(self, scrape: _Scrape) -> None:
        """Ask for the services; the system tree may tell enough where they cannot be had."""
        try:
            await self._read_services(scrape)
        except ScrapeError as error:
            if error.outcome not in _ANSWERED:
                raise
            scrape.problems.append(error.detail)

    async def _read_services(self, scrape: _Scrape) -> None:
        scrape.services_asked = True
        document = await self._get(scrape, "/services", {})
        services = venus.service_list(document)
        # An empty list is how the bridge tells that D-Bus failed: what is known stays.
        if services:
            self._services = services
            self._services_due = self._monotonic() + SERVICES_SECONDS

    async def _read_battery(
        self, scrape: _Scrape, system: venus.Tree, services: list[str], mapped: Mapping[str, str]
    ) -> str | None:
        service = venus.battery_service(system, services)
        if service is None:
            self._add_system_battery(scrape, system)
            return None
        tree: venus.Tree = {}
        if venus.service_class(service) == "battery":
            try:
                tree = await self._tree(scrape, service)
            except NotFoundError as error:
                service, tree = await self._find_again(scrape, service, error)
            except ScrapeError as error:
                scrape.problems.append(error.detail)
        for found in venus.other_batteries(system, service):
            scrape.add_battery(found)
        scrape.add_battery(
            venus.read_battery(
                service, tree, active=True, system=system, device=mapped.get(service)
            )
        )
        return service

    async def _find_again(
        self, scrape: _Scrape, service: str, error: NotFoundError
    ) -> tuple[str, venus.Tree]:
        """The battery was renamed since the system tree was written: ask what there is now."""
        self._services_due = -math.inf
        known = set(self._services)
        try:
            if not scrape.services_asked:
                await self._read_services(scrape)
            named = [s for s in self._services if venus.service_class(s) == "battery"]
            # A name that was not there before is the renamed one.
            again = min(named, key=lambda s: (s in known, s), default=None)
            if again is not None and again != service and scrape.requests_left > 0:
                return again, await self._tree(scrape, again)
        except ScrapeError as second:
            scrape.problems.append(second.detail)
        scrape.problems.append(error.detail)
        return service, {}

    def _add_system_battery(self, scrape: _Scrape, system: venus.Tree) -> None:
        """Without a battery service the system tree may still speak of a battery."""
        found = venus.read_battery(venus.SYSTEM, {}, active=True, system=system, device="system/0")
        if found[1] or any(not math.isnan(v) for v in found[0].readings.values()):
            scrape.add_battery(found)

    async def _read_grid(self, scrape: _Scrape, system: venus.Tree, services: list[str]) -> None:
        best: ac_input.AcInput | None = None
        asked = True
        for service in ac_input.ac_services(system, services):
            if scrape.requests_left == 0:
                asked = False
                break
            try:
                found = ac_input.read_ac_input(service, await self._tree(scrape, service))
            except NotFoundError:
                self._services_due = -math.inf
                continue
            except ScrapeError as error:
                scrape.problems.append(error.detail)
                asked = False
                break
            if best is None or (not best.voltages_v and found.voltages_v) or found.tells:
                best = found
            if found.tells:
                break
        if best is not None:
            ac_input.put_ac_input(best, scrape.readings)
        elif asked:
            ac_input.put_ac_input(ac_input.AcInput(MISSING, MISSING, ()), scrape.readings)

    async def _read_another(self, scrape: _Scrape, services: list[str], active: str | None) -> None:
        """Spend what is left of the budget on the device that was not read for longest."""
        now = self._monotonic()
        self._others_read = {s: t for s, t in self._others_read.items() if s in services}
        self._others_read.update(dict.fromkeys(scrape.trees, now))
        due = [
            (self._others_read.get(service, -math.inf), service)
            for service in services
            if venus.service_class(service) in _OTHER_CLASSES
            and service != active
            and service not in scrape.trees
            and now - self._others_read.get(service, -math.inf) >= OTHER_DEVICE_SECONDS
        ]
        if scrape.requests_left == 0 or scrape.problems or not due:
            self._read_meter(scrape)
            return
        service = min(due)[1]
        self._others_read[service] = now
        try:
            tree = await self._tree(scrape, service)
        except NotFoundError:
            self._services_due = -math.inf
            self._services = [s for s in self._services if s != service]
        except ScrapeError as error:
            scrape.problems.append(error.detail)
        else:
            if venus.service_class(service) == "battery":
                scrape.add_battery(
                    venus.read_battery(service, tree, active=active is None, system=None)
                )
        self._read_meter(scrape)

    def _read_meter(self, scrape: _Scrape) -> None:
        for service, tree in scrape.trees.items():
            if venus.service_class(service) == "grid":
                ac_input.read_grid_energy(tree, scrape.readings)

    async def _tree(self, scrape: _Scrape, service: str) -> venus.Tree:
        """The whole tree of a service."""
        reply = await self._get(scrape, "/value", {"service": service, "path": "/"})
        tree = reply.get("value") if isinstance(reply, dict) else None
        if not isinstance(tree, dict) or not all(isinstance(key, str) for key in tree):
            detail = f"GET /value: the tree of {service} is not an object"
            raise ScrapeError(Outcome.MALFORMED, detail)
        tree = venus.pruned(tree)
        if service != venus.SYSTEM:
            scrape.trees[service] = tree
        return tree

    async def _get(self, scrape: _Scrape, path: str, params: dict[str, str]) -> Any:
        scrape.requests_left -= 1
        try:
            async with asyncio.timeout_at(scrape.deadline):
                return await self._http.get_json(path, params)
        except TimeoutError as error:
            detail = f"GET {path}: the site took longer than {SITE_SECONDS:.0f} s in all"
            scrape.requests_left = 0
            raise ScrapeError(Outcome.TIMEOUT, detail) from error
        except ScrapeError as error:
            if error.outcome is Outcome.TIMEOUT:
                # What is stuck keeps the bridge's one thread: another request would wait behind it.
                scrape.requests_left = 0
            raise


def _properties(system: venus.Tree) -> dict[str, str]:
    named = {
        "serial": venus.text(system.get("Serial")),
        "system_type": venus.text(system.get("SystemType")),
        "firmware": venus.text(system.get("FirmwareBuild")),
    }
    return {key: value for key, value in named.items() if value}
