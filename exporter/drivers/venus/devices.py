"""The devices of one site: their ids, which of them are gone, and which hang."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from exporter.drivers.venus.scrape import Bridge
from exporter.drivers.venus.tree import PREFIX, Tree, device_id, service_class
from exporter.model.snapshot import Notice, Outcome, ScrapeError

ANSWERED = frozenset({Outcome.HTTP_STATUS, Outcome.MALFORMED, Outcome.TRUNCATED})
"""Failures of one request that leave hope for the next: the site did answer."""

HANG_SECONDS = 55.0
"""A hung D-Bus service keeps the bridge's only thread for two calls of 25 s."""
_FIRST_RETRY_SECONDS = 600.0
_LAST_RETRY_SECONDS = 3600.0
# A bridge that answers again so soon was slow.
_SLOW_SECONDS = 20.0
LASTING_CLASSES = frozenset(
    {
        "acsystem",
        "battery",
        "charger",
        "grid",
        "inverter",
        "multi",
        "solarcharger",
        "vebus",
    }
)
"""Devices that stay. PV inverters and generators sleep, and their services go with them."""


@dataclass(slots=True)
class DeviceIds:
    """Stable id of each service: class and instance, as Victron's own mappings write it.

    The name of a service depends on the port that a device is plugged into; its instance does not.
    Of two services with one class and instance the one that was known first keeps the plain id,
    unless the system's mapping names the other; the second has its service's name added.

    Attributes
    ----------
    changes : int
        Grows whenever an id may have become another one.
    """

    changes: int = 0
    _owners: dict[str, str] = field(default_factory=dict)
    _plain: dict[str, str] = field(default_factory=dict)
    _clashes: tuple[int, list[Notice]] = (0, [])

    def map(self, mapped: Mapping[str, str]) -> None:
        """Take service names and plain ids from the system's mapping."""
        for service, plain in mapped.items():
            if self._owners.get(plain) != service or self._plain.get(service) != plain:
                self._owners[plain] = service
                self._plain[service] = plain
                self.changes += 1

    def of(self, service: str, tree: Tree | None = None) -> str:
        """The id of a service; without a tree as it is known, else its short name."""
        plain = self._plain.get(service)
        if plain is None:
            if tree is None:
                return service.removeprefix(PREFIX)
            plain = self._plain[service] = device_id(service, tree)
            self.changes += 1
        owner = self._owners.get(plain)
        if owner is None:
            owner = self._owners[plain] = service
            self.changes += 1
        if owner == service:
            return plain
        return f"{plain}:{service.removeprefix(PREFIX).partition('.')[2]}"

    def forget(self, service: str) -> None:
        """Forget a service that does not exist any more; another may have its id."""
        self.keep(s for s in list(self._plain) if s != service)

    def keep(self, services: Iterable[str]) -> None:
        """Forget all services but these."""
        kept = set(services)
        if self._plain.keys() <= kept and kept.issuperset(self._owners.values()):
            return
        self.changes += 1
        self._plain = {s: plain for s, plain in self._plain.items() if s in kept}
        self._owners = {plain: s for plain, s in self._owners.items() if s in kept}

    def known(self) -> set[str]:
        """Ids of all services whose id is known."""
        return {self.of(service) for service in list(self._plain)}

    def clashes(self) -> list[Notice]:
        """One notice for each plain id that several services have."""
        if self._clashes[0] != self.changes:
            self._clashes = (self.changes, self._find_clashes())
        return self._clashes[1]

    def _find_clashes(self) -> list[Notice]:
        sharing: dict[str, list[str]] = {}
        for service, plain in self._plain.items():
            sharing.setdefault(plain, []).append(service.removeprefix(PREFIX))
        return [
            Notice("device_id_clash", plain, f"{' and '.join(sorted(names))} are both {plain}")
            for plain, names in sorted(sharing.items())
            if len(names) > 1
        ]


@dataclass(slots=True)
class GoneDevices:
    """Devices that were there and are gone, until they are back, replaced or dismissed.

    Attributes
    ----------
    ignored : frozenset of str
        Ids that nobody misses.
    """

    ignored: frozenset[str] = frozenset()
    _known: dict[str, str] = field(default_factory=dict)
    _gone: dict[str, str] = field(default_factory=dict)

    def update(self, present: Mapping[str, str]) -> None:
        """Compare with the services that there are now, by their ids.

        A new service of a class replaces one of that class that is gone: it was renamed or
        exchanged.
        """
        for service in [s for s in self._known if s not in present]:
            self._gone[self._known.pop(service)] = service_class(service)
        for service, device in present.items():
            kind = service_class(service)
            if kind not in LASTING_CLASSES:
                continue
            if service not in self._known:
                back = device if device in self._gone else None
                replaced = back or next((d for d, k in self._gone.items() if k == kind), None)
                if replaced is not None:
                    del self._gone[replaced]
            self._known[service] = device

    def notices(self) -> list[Notice]:
        """One notice for each device that is missed."""
        if not self._gone:
            return []
        return [
            Notice("device_gone", device, f"{device} is gone")
            for device in sorted(self._gone)
            if device not in self.ignored
        ]


@dataclass(slots=True)
class _Hang:
    since: float
    retry_at: float
    wait: float


@dataclass(slots=True)
class HungServices:
    """Services that did not answer in time, which keep the bridge from answering anybody.

    Times are monotonic seconds.
    """

    _hangs: dict[str, _Hang] = field(default_factory=dict)
    _busy_since: float | None = None

    def note(self, service: str, now: float) -> None:
        """A service did not answer: it is asked again in ten minutes, then ever more rarely."""
        before = self._hangs.get(service)
        wait = min(2 * before.wait, _LAST_RETRY_SECONDS) if before else _FIRST_RETRY_SECONDS
        since = before.since if before else now
        self._hangs[service] = _Hang(since, now + wait, wait)
        self._busy_since = now

    def __bool__(self) -> bool:
        """Whether any service hung when it was asked last."""
        return bool(self._hangs)

    async def wait(self, bridge: Bridge, monotonic: Callable[[], float]) -> None:
        """Wait until the bridge is done with the service that hung; it asks D-Bus nothing for this.

        Raises
        ------
        ScrapeError
            When the bridge does not answer in that time either.
        """
        if self._busy_since is None:
            return
        try:
            await bridge.get_json("/health", {}, patience_seconds=HANG_SECONDS)
        except ScrapeError as error:
            if error.outcome not in ANSWERED:
                names = ", ".join(s.removeprefix(PREFIX) for s in sorted(self._hangs))
                detail = f"the bridge does not answer since {names} hung"
                raise ScrapeError(error.outcome, detail) from error
        if monotonic() - self._busy_since < _SLOW_SECONDS:
            # It was slow, and nothing hung.
            self._hangs = {s: h for s, h in self._hangs.items() if h.since < self._busy_since}
        self._busy_since = None

    def answered(self, service: str) -> None:
        """A service answers."""
        self._hangs.pop(service, None)

    def avoids(self, service: str, now: float) -> bool:
        """Whether a service hung and its time has not come."""
        hang = self._hangs.get(service)
        return hang is not None and now < hang.retry_at

    def hung(self, service: str) -> bool:
        """Whether a service hung when it was asked last."""
        return service in self._hangs

    def due(self, now: float) -> list[str]:
        """Services that hung and are to be asked again."""
        return [service for service, hang in self._hangs.items() if now >= hang.retry_at]

    def keep(self, services: Iterable[str]) -> None:
        """Forget all services but these."""
        if not self._hangs:
            return
        kept = set(services)
        self._hangs = {s: h for s, h in self._hangs.items() if s in kept}

    def notices(self, ids: DeviceIds) -> list[Notice]:
        """One notice for each service that hangs."""
        if not self._hangs:
            return []
        return [
            Notice("device_silent", ids.of(service), f"{ids.of(service)} hangs")
            for service in sorted(self._hangs)
        ]
