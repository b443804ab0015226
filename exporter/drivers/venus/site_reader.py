"""Reads a Venus site, whichever way its trees come: which devices, in which order, and what of it
becomes a Snapshot.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from typing import Any

from exporter.drivers.base import DriverContext, RawValue
from exporter.drivers.identity import Identity
from exporter.drivers.transport.http.json_client import NotFoundError
from exporter.drivers.venus import tree as venus
from exporter.drivers.venus.ac_input import AcInput, ac_services, read_ac_input, read_grid_energy
from exporter.drivers.venus.ac_sources import AcSources
from exporter.drivers.venus.battery import (
    MemberValues,
    listed_batteries,
    member_values,
    read_battery,
    read_listed,
)
from exporter.drivers.venus.conditions import read_conditions
from exporter.drivers.venus.derived import Derived, device_set, shared, sorted_names
from exporter.drivers.venus.device_notices import lasting_notices, state_notices
from exporter.drivers.venus.devices import (
    ANSWERED,
    HANG_SECONDS,
    DeviceIds,
    GoneDevices,
    HungServices,
)
from exporter.drivers.venus.kept_trees import KeptTrees
from exporter.drivers.venus.layout import Layout, LayoutMemory, layout_of
from exporter.drivers.venus.meter import meters_of
from exporter.drivers.venus.scrape import (
    Bridge,
    Budget,
    Scrape,
    VenusOptions,
    properties_of,
)
from exporter.drivers.venus.uptime import Uptime
from exporter.drivers.venus.values import number, text
from exporter.model.snapshot import Notice, Outcome, ScrapeError, Snapshot

SITE_SECONDS = 10.0
SERVICES_SECONDS = 3600.0
SETTINGS_SECONDS = 3600.0
METER_KNOWN_SECONDS = 90.0

_PROPERTIES = ("Serial", "SystemType", "FirmwareBuild")
_GRID_LOST = "GridLost"
_NO_DEVICES: frozenset[str] = frozenset()  # of all sites; each empty one takes 216 bytes


class SiteReader:
    """Reads one site, scrape after scrape, and remembers what later scrapes need.

    Parameters
    ----------
    site : str
        Site id.
    bridge : Bridge
    options : VenusOptions
    context : DriverContext
        Lends the clocks.
    budget : Budget
    uptime : Uptime, optional
    """

    def __init__(
        self,
        site: str,
        bridge: Bridge,
        options: VenusOptions,
        context: DriverContext,
        budget: Budget,
        uptime: Uptime | None = None,
    ) -> None:
        self._site = site
        self._bridge = bridge
        self._budget = budget
        self._wall_clock = context.wall_clock
        self._monotonic = context.monotonic
        self._layouts = LayoutMemory()
        self._identity = Identity(options.serial)
        self._services: Sequence[str] = []
        self._services_due = -math.inf
        self._mapped: dict[str, str] = {}
        self._every = Derived[tuple[str, ...]](())
        self._taken: tuple[Any, ...] = ()
        self._known: frozenset[str] = _NO_DEVICES
        self._present = Derived(_NO_DEVICES)
        self._properties = Derived[dict[str, str]]({})
        self._others_read: dict[str, float] = {}
        self._meter_was_last = False
        self._meters: dict[str, tuple[float, AcInput]] = {}
        self._disconnected: set[str] = set()
        self._members: dict[str, MemberValues] = {}
        self._information: dict[str, list[str]] = {}
        self._ids = DeviceIds()
        self._gone = GoneDevices(frozenset(options.ignored_devices) or _NO_DEVICES)
        self._hung = HungServices()
        self._sources = AcSources()
        self._settings_due = -math.inf
        self._kept = KeptTrees()
        self._uptime = uptime

    def keep_raw(self) -> None:
        """See :class:`exporter.drivers.base.Recording`."""
        self._kept.begin(self._monotonic())

    def raw_values(self) -> list[RawValue]:
        """See :class:`exporter.drivers.base.Explaining`."""
        return self._kept.raw_values(self._ids.of)

    async def scrape(self) -> Snapshot:
        """Read the site once; see :meth:`exporter.drivers.base.Pollable.scrape`."""
        await self._hung.wait(self._bridge, self._monotonic)
        started = self._monotonic()
        deadline = asyncio.get_running_loop().time() + SITE_SECONDS
        scrape = Scrape(self._site, deadline, self._budget.requests)
        system = await self._read_all(scrape)
        self._kept.keep({venus.SYSTEM: system, **scrape.trees}, self._monotonic())
        self._note_conditions(scrape, system)
        scrape.notices += lasting_notices(self._ids, self._members, self._gone, self._hung)
        return Snapshot(
            site=self._site,
            time=self._wall_clock(),
            duration=self._monotonic() - started,
            outcome=Outcome.PARTIAL if scrape.problems else Outcome.OK,
            detail="; ".join(scrape.problems),
            readings=scrape.readings.readings,
            batteries=tuple(scrape.batteries.values()),
            alarms=scrape.alarms,
            alarm_texts=scrape.alarm_texts,
            notices=tuple(scrape.notices),
            silence_seconds=scrape.silence_seconds,
            meters=tuple(meters_of(scrape.trees, self._ids.of)),
            devices=self._devices(scrape) if self._mapped else None,
            implausible=(*scrape.readings.implausible, *scrape.implausible),
            properties=self._properties.of(tuple(map(system.get, _PROPERTIES)), properties_of),
        )

    def _devices(self, scrape: Scrape) -> frozenset[str]:
        """Ids of all devices: those with a known service, and those read just now."""
        read = ("system/0", *scrape.alarms, *scrape.batteries)
        return self._present.of((self._ids, self._ids.changes, read), device_set)

    async def _read_all(self, scrape: Scrape) -> venus.Tree:
        if self._monotonic() >= self._services_due:
            await self._start_services(scrape)
        system = await self._read_system(scrape)
        services = self._every.of((self._mapped, self._services), sorted_names)
        active = await self._read_battery(scrape, system, services)
        await self._read_ac(scrape, system, services, active)
        if self._uptime is not None:
            await self._uptime.read(scrape)
        await self._read_others(scrape, services, active)
        self._judge_ac(scrape, system, services)
        for service, tree in scrape.trees.items():
            if venus.service_class(service) == "grid":
                read_grid_energy(tree, scrape.readings)
        return system

    async def _read_system(self, scrape: Scrape) -> venus.Tree:
        """The system tree; empty where the system service is down and the bridge is not."""
        try:
            system = await self._tree(scrape, venus.SYSTEM)
        except NotFoundError:
            scrape.problems.append("the bridge answers, the system service of the device does not")
            detail = "com.victronenergy.system does not answer"
            scrape.notices.append(Notice("system_service_down", "system/0", detail))
            self._services_due = -math.inf
            return {}
        self._identity.check(text(system.get("Serial")))
        venus.read_system(system, scrape.readings)
        self._sources.learn(system)
        layout = scrape.layouts[venus.SYSTEM]
        named = list(map(system.get, layout.mappings))
        if not self._is_taken(layout, named):
            await self._take_mapping(scrape, venus.mapped_services(system, layout))
            self._taken = (layout, named, self._services, self._ids.changes)
        return system

    def _is_taken(self, layout: Layout, named: list[Any]) -> bool:
        """Whether the mapping was taken before, and taking it again would change nothing."""
        self._layouts.keep(self._known)
        return (
            self._taken == (layout, named, self._services, self._ids.changes)
            and self._services_due != -math.inf
            and not self._hung
            and not self._disconnected
            and self._members.keys() | self._information.keys() <= self._known
        )

    async def _take_mapping(self, scrape: Scrape, mapped: dict[str, str]) -> None:
        """Take the devices that the system maps; where they changed, ask for all services."""
        if self._mapped and mapped.keys() != self._mapped.keys():
            left = self._mapped.keys() - mapped.keys()
            self._services = [s for s in self._services if s not in left]
            self._services_due = -math.inf
        self._mapped = mapped
        if self._services_due == -math.inf and not scrape.services_asked:
            await self._start_services(scrape)
        known = {*mapped, *self._services}
        self._ids.keep(known)
        self._ids.map(mapped)
        self._hung.keep(known)
        self._disconnected &= known
        if not self._members.keys() <= known:
            self._members = {s: m for s, m in self._members.items() if s in known}
        if not self._information.keys() <= known:
            self._information = {s: i for s, i in self._information.items() if s in known}
        self._layouts.keep(known)
        self._known = shared(frozenset({venus.SYSTEM, *known}))
        if mapped:
            self._gone.update({service: self._ids.of(service) for service in known})

    async def _start_services(self, scrape: Scrape) -> None:
        """Ask for the services; the system tree may know enough where they cannot be had."""
        try:
            await self._read_services(scrape)
        except ScrapeError as error:
            if error.outcome not in ANSWERED:
                raise
            scrape.problems.append(error.detail)

    async def _read_services(self, scrape: Scrape) -> None:
        scrape.services_asked = True
        document = await self._get(scrape, "/services", {})
        services = venus.service_list(document)
        # An empty list is what the bridge answers when D-Bus failed: what is known stays.
        if services:
            self._services = services
            self._services_due = self._monotonic() + SERVICES_SECONDS

    async def _read_battery(
        self, scrape: Scrape, system: venus.Tree, services: Sequence[str]
    ) -> str | None:
        service = venus.battery_service(system, services)
        tree: venus.Tree = {}
        has_tree = service is not None and venus.service_class(service) == "battery"
        if service is not None and has_tree and not self._hung.hung(service):
            try:
                tree = await self._tree(scrape, service)
            except NotFoundError as error:
                service, tree = await self._find_again(scrape, service, error)
            except ScrapeError as error:
                scrape.problems.append(error.detail)
        for listed in listed_batteries(system, service):
            if not self._is_silent(listed.service):
                if listed.service not in self._mapped:
                    self._ids.of(listed.service, {"DeviceInstance": listed.instance})
                scrape.add_battery(read_listed(listed, self._ids.of(listed.service)))
        if service is None:
            self._add_system_battery(scrape, system)
        elif not self._is_silent(service):
            # What the system tree has of a battery that is silent are its last values.
            device = self._ids.of(service, tree)
            layout = scrape.layouts.get(service) if tree else None
            found = read_battery(
                service, tree, active=True, system=system, device=device, layout=layout
            )
            scrape.add_battery(found)
        return service

    def _is_silent(self, service: str) -> bool:
        return service in self._disconnected or self._hung.hung(service)

    async def _find_again(
        self, scrape: Scrape, service: str, error: NotFoundError
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

    def _add_system_battery(self, scrape: Scrape, system: venus.Tree) -> None:
        """Without a battery service the system tree may still know of a battery."""
        found = read_battery(venus.SYSTEM, {}, active=True, system=system, device="system/0")
        if found[1] or any(not math.isnan(v) for v in found[0].readings.values()):
            scrape.add_battery(found)

    async def _read_ac(
        self, scrape: Scrape, system: venus.Tree, services: Sequence[str], active: str | None
    ) -> None:
        """Read inverters until one knows its input; the grid meter where that leaves a question."""
        settled = False
        for service in ac_services(system, services):
            is_meter = venus.service_class(service) == "grid"
            if scrape.requests_left == 0 or (settled and not is_meter):
                continue
            if (settled and is_meter) or self._hung.hung(service):
                continue
            if is_meter and self._gives_way(scrape, service, services, active):
                continue
            try:
                tree = await self._tree(scrape, service)
            except NotFoundError:
                self._services_due = -math.inf
                continue
            except ScrapeError as error:
                scrape.problems.append(error.detail)
                break
            seen = self._sources.seen_phases.get(service, ())
            found = scrape.inputs[service] = read_ac_input(service, tree, seen)
            self._meter_was_last = self._meter_was_last or is_meter
            self._sources.learn_device(tree)
            on_grid = number(system.get("Ac/ActiveIn/Source")) not in (2, 3)
            settled = found.live and not math.isnan(found.frequency_hz) and on_grid
            if not is_meter and found.connected == 0 and not self._sources.kinds:
                await self._read_kinds(scrape)

    def _gives_way(
        self, scrape: Scrape, meter: str, services: Sequence[str], active: str | None
    ) -> bool:
        """Whether the last request is another device's turn, which would never get one where the
        meter has to be read every time."""
        now = self._monotonic()
        read = self._meters.get(meter, (-math.inf,))[0]
        return (
            scrape.requests_left == 1
            and self._meter_was_last
            and now - read < METER_KNOWN_SECONDS
            and self._next_device(scrape, services, active, now) is not None
        )

    async def _read_kinds(self, scrape: Scrape) -> None:
        """Kinds of the inputs from the settings, for firmware that does not give them elsewhere."""
        if self._monotonic() < self._settings_due or scrape.requests_left == 0:
            return
        self._settings_due = self._monotonic() + SETTINGS_SECONDS
        query = {"service": "com.victronenergy.settings", "path": "/Settings/SystemSetup/AcInput1"}
        try:
            reply = await self._get(scrape, "/value", query)
        except NotFoundError:
            return
        except ScrapeError as error:
            scrape.problems.append(error.detail)
            return
        if isinstance(reply, dict):
            self._sources.learn_settings(0, reply.get("value"))

    def _judge_ac(self, scrape: Scrape, system: venus.Tree, services: Sequence[str]) -> None:
        now = self._monotonic()
        found: dict[str, AcInput] = {}
        order = ac_services(system, services)
        for service in order:
            tree = scrape.trees.get(service)
            if tree is not None:
                seen = self._sources.seen_phases.get(service, ())
                known = scrape.inputs.get(service)
                found[service] = known or read_ac_input(service, tree, seen)
                if venus.service_class(service) == "grid":
                    self._meters[service] = (now, found[service])
            elif service in self._meters and now - self._meters[service][0] < METER_KNOWN_SECONDS:
                # Meters are read in turn; between, the last word holds for what they alone know.
                found[service] = self._meters[service][1]
        # Without a device read just now nothing new is known, unless there is none to read.
        if any(service in scrape.trees for service in order) or not order:
            judged = self._sources.judge(system, services, found, scrape.readings)
            scrape.notices += judged

    async def _read_others(
        self, scrape: Scrape, services: Sequence[str], active: str | None
    ) -> None:
        """Spend what is left of the budget on the devices that were not read for longest."""
        now = self._monotonic()
        self._others_read = {s: t for s, t in self._others_read.items() if s in services}
        self._others_read.update(dict.fromkeys(scrape.trees, now))
        for _ in range(self._budget.others):
            if scrape.requests_left == 0 or scrape.problems:
                return
            service = self._next_device(scrape, services, active, now)
            if service is None:
                return
            await self._read_other(scrape, service, active, now)

    async def _read_other(
        self, scrape: Scrape, service: str, active: str | None, now: float
    ) -> None:
        self._others_read[service] = now
        self._meter_was_last = venus.service_class(service) == "grid"
        try:
            tree = await self._tree(scrape, service)
        except NotFoundError:
            self._services_due = -math.inf
            self._services = [s for s in self._services if s != service]
        except ScrapeError as error:
            scrape.problems.append(error.detail)
        else:
            if venus.service_class(service) == "battery" and not self._is_silent(service):
                device = self._ids.of(service, tree)
                layout = scrape.layouts.get(service) if tree else None
                found = read_battery(
                    service, tree, active=active is None, system=None, device=device, layout=layout
                )
                scrape.add_battery(found)

    def _next_device(
        self, scrape: Scrape, services: Sequence[str], active: str | None, now: float
    ) -> str | None:
        """The device that is due: the meter every other time, the one that waited longest, and
        last one that hung, when its time has come."""
        others = (s for s in services if s != active and s not in scrape.trees)
        waiting = [s for s in others if not self._hung.hung(s)]
        found = self._budget.longest_waiting(
            waiting, self._others_read, now, meter_first=not self._meter_was_last
        )
        return found or next((s for s in self._hung.due(now) if s in services), None)

    def _note_conditions(self, scrape: Scrape, system: venus.Tree) -> None:
        """Alarms, codes and states of the devices that were read."""
        trees = {**({venus.SYSTEM: system} if system else {}), **scrape.trees}
        for service, tree in trees.items():
            kind = venus.service_class(service)
            device = "system/0" if service == venus.SYSTEM else self._ids.of(service, tree)
            found = read_conditions(kind, tree, scrape.layouts[service])
            levels = found.levels
            if _GRID_LOST in levels and scrape.readings.readings.get("grid_expected") == 0:
                # What left is a generator or shore power, as it does every day.
                levels = levels | {_GRID_LOST: 0}
            scrape.alarms[device] = levels
            scrape.alarm_texts[device] = found.texts
            self._information[service] = found.information
            if kind == "battery":
                self._members[service] = member_values(tree)
        scrape.notices += state_notices(
            self._ids, self._information, self._members, self._disconnected
        )

    async def _tree(self, scrape: Scrape, service: str) -> venus.Tree:
        """The whole tree of a service; empty where the device says that it is not connected, since
        its last values stand there."""
        try:
            reply = await self._get(scrape, "/value", {"service": service, "path": "/"})
        except NotFoundError:
            self._ids.forget(service)
            raise
        except ScrapeError as error:
            if error.outcome is Outcome.TIMEOUT and service != venus.SYSTEM:
                self._hung.note(service, self._monotonic())
                scrape.silence_seconds = HANG_SECONDS + SITE_SECONDS
            raise
        self._hung.answered(service)
        tree = reply.get("value") if isinstance(reply, dict) else None
        if not isinstance(tree, dict):
            detail = f"GET /value: the tree of {service} is not an object"
            raise ScrapeError(Outcome.MALFORMED, detail)
        layout = self._layouts.layout(service, tree)
        if layout.has_nested(list(tree.values())):
            tree = venus.pruned(tree)
            layout = layout_of(tree)
        scrape.layouts[service] = layout
        if service == venus.SYSTEM:
            return tree
        self._ids.of(service, tree)
        if number(tree.get("Connected")) == 0:
            self._disconnected.add(service)
            return {}
        self._disconnected.discard(service)
        scrape.trees[service] = tree
        return tree

    async def _get(self, scrape: Scrape, path: str, params: dict[str, str]) -> Any:
        scrape.requests_left -= 1
        now = asyncio.get_running_loop().time()
        try:
            if now + self._budget.request_seconds < scrape.deadline:
                return await self._bridge.get_json(path, params)
            async with asyncio.timeout_at(scrape.deadline):
                return await self._bridge.get_json(path, params)
        except TimeoutError as error:
            detail = f"GET {path}: the site took longer than {SITE_SECONDS:.0f} s in all"
            scrape.requests_left = 0
            raise ScrapeError(Outcome.TIMEOUT, detail) from error
        except ScrapeError as error:
            if error.outcome is Outcome.TIMEOUT:
                # What is stuck keeps the bridge's one thread: another request would wait behind it.
                scrape.requests_left = 0
            raise
