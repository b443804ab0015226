"""A site with several ways in: the first that answers is used.

When the way in use fails, the next one is asked in the same scrape. A better way is tried in the
background, and used again once it has answered several times in a row; one that fails soon after
that has to answer twice as often the next time, so that a way that comes and goes is left alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

from exporter.config.fleet import Site
from exporter.drivers.base import (
    Buffered,
    Driver,
    DriverContext,
    Endpoint,
    Explaining,
    RawValue,
    Recording,
    Registry,
    Subscribed,
    Writable,
    endpoint_of,
    read_snapshot,
)
from exporter.drivers.kind_shape import Shape, shape_of
from exporter.model.snapshot import Notice, Outcome, ScrapeError, Snapshot

log = logging.getLogger(__name__)

RETURN_AFTER = 3
"""Answers in a row after which a better way is used again."""
MOST_ANSWERS = 48
SETTLED_SECONDS = 1800.0
"""A way that worked for so long since it was returned to owes nothing for earlier failures."""
FIRST_RETRY_SECONDS = 10.0
LONGEST_RETRY_SECONDS = 300.0
TRIAL_SECONDS = 15.0
MOST_KEPT = 1000


@dataclass(slots=True, eq=False)
class Way:
    """One way in.

    Attributes
    ----------
    name : str
        As it is shown.
    driver : Driver
    error : ScrapeError or None
        Why it failed last; None while it answers.
    due : float
        Monotonic seconds from which on it is tried again.
    failures, answers : int
        In a row.
    needed : int
        Answers in a row after which it is used again.
    returned : float
        Monotonic seconds at which it was returned to; NaN: never.
    """

    name: str
    driver: Driver
    error: ScrapeError | None = None
    due: float = -math.inf
    failures: int = 0
    answers: int = 0
    needed: int = RETURN_AFTER
    returned: float = math.nan


class WaysIn(Driver):
    """One site, over the first of its ways that answers.

    Parameters
    ----------
    site : str
        Site id.
    ways : sequence of Way
        The best one first.
    shape : callable or None
        Makes a Snapshot that of the site's kind.
    context : DriverContext
        Lends the clock.
    """

    def __init__(
        self, site: str, ways: Sequence[Way], shape: Shape | None, context: DriverContext
    ) -> None:
        self._site = site
        self._ways = ways
        self._shape = shape
        self._monotonic = context.monotonic
        self._current = 0
        self._trial: asyncio.Task[None] | None = None
        self._earlier: deque[Snapshot] = deque(maxlen=MOST_KEPT)

    @classmethod
    def open(cls, endpoint: Endpoint, context: DriverContext) -> Self:
        """Not opened by name: :func:`open_driver` makes one of a site's drivers."""
        raise TypeError("a site with several ways in is opened by open_driver")

    @property
    def in_use(self) -> str:
        """Name of the way in use."""
        return self._ways[self._current].name

    @property
    def current(self) -> Driver:
        """The driver of the way in use."""
        return self._ways[self._current].driver

    @property
    def writer(self) -> Driver:
        """The driver to write set-points with: of the best way that can, whichever is read from;
        that of the way in use where none can.

        What wears flash memory is written only where no other way has a set-point.
        """
        able = [
            (way.driver, way.driver.capabilities())
            for way in self._ways
            if isinstance(way.driver, Writable)
        ]
        found = [(driver, known) for driver, known in able if known]
        volatile = [d for d, known in found if any(one.volatile for one in known.values())]
        listed = [*volatile, *(d for d, _ in found), *(d for d, _ in able)]
        return listed[0] if listed else self.current

    async def close(self) -> None:
        """Close every way."""
        if self._trial is not None:
            self._trial.cancel()
            await asyncio.gather(self._trial, return_exceptions=True)
        for way in self._ways:
            await way.driver.close()

    def drain(self) -> list[Snapshot]:
        """See :class:`exporter.drivers.base.Buffered`."""
        found = list(self._earlier)
        self._earlier.clear()
        for way in self._ways:
            if isinstance(way.driver, Buffered):
                found += [self._made(way, earlier) for earlier in way.driver.drain()]
        return found

    def raw_values(self) -> list[RawValue]:
        """See :class:`exporter.drivers.base.Explaining`; of the way in use."""
        driver = self._ways[self._current].driver
        return driver.raw_values() if isinstance(driver, Explaining) else []

    def keep_raw(self) -> None:
        """See :class:`exporter.drivers.base.Recording`; of the way in use."""
        if isinstance(self.current, Recording):
            self.current.keep_raw()

    async def read(self) -> Snapshot | None:
        """The next Snapshot; None where a way that sends by itself has nothing new.

        Raises
        ------
        ScrapeError
            When no way answers; that of the best one, with what the others said.
        """
        now = self._monotonic()
        self._return_to_better(now)
        self._begin_trial(now)
        first = self._current
        others = [index for index in range(len(self._ways)) if index != first]
        for index in (first, *others):
            way = self._ways[index]
            if index != first and now < way.due:
                continue
            try:
                snapshot = await self._ask(way)
            except ScrapeError as error:
                self._failed(way, error, in_use=index == first)
                continue
            self._answered(way)
            self._use(index)
            return None if snapshot is None else self._made(way, snapshot)
        raise self._no_way()

    def _use(self, index: int) -> None:
        if index != self._current:
            before, now = self._ways[self._current], self._ways[index]
            why = f" ({before.error.detail})" if before.error else ""
            log.warning(
                "site %s: %s is used instead of %s%s", *(self._site, now.name, before.name, why)
            )
            self._current = index

    def _no_way(self) -> ScrapeError:
        best = self._ways[0].error or self._ways[self._current].error
        assert best is not None  # every way has failed
        if len(self._ways) == 1:
            return best
        said = [f"{way.name}: {way.error.detail}" for way in self._ways if way.error]
        return ScrapeError(best.outcome, "; ".join(said))

    async def _ask(self, way: Way) -> Snapshot | None:
        try:
            return await read_snapshot(way.driver)
        except ScrapeError:
            raise
        except Exception as error:
            # A fault of one driver is no reason to lose the site.
            log.exception("site %s: the driver %s failed unexpectedly", self._site, way.name)
            detail = f"driver fault: {type(error).__name__}"
            raise ScrapeError(Outcome.MALFORMED, detail) from error

    def _made(self, way: Way, snapshot: Snapshot) -> Snapshot:
        if self._shape is not None:
            snapshot = self._shape(snapshot)
        if len(self._ways) == 1:
            return snapshot
        return replace(snapshot, way=way.name, notices=(*snapshot.notices, *self._notices()))

    def _notices(self) -> tuple[Notice, ...]:
        best = self._ways[0]
        if self._current == 0:
            return ()
        why = best.error.detail if best.error else "it answers again and is watched"
        detail = f"{best.name} is not in use ({why}); {self.in_use} is"
        return (Notice("other_way_in", "site", detail),)

    # -- what becomes of a way ------------------------------------------------------------------

    def _failed(self, way: Way, error: ScrapeError, *, in_use: bool = False) -> None:
        now = self._monotonic()
        if in_use and way.error is None:
            soon = now - way.returned < SETTLED_SECONDS
            way.needed = min(2 * way.needed, MOST_ANSWERS) if soon else RETURN_AFTER
        way.error = error
        way.answers = 0
        wait = FIRST_RETRY_SECONDS * 2.0 ** min(way.failures, 10)
        way.failures += 1
        way.due = now + min(wait, LONGEST_RETRY_SECONDS)

    @staticmethod
    def _answered(way: Way) -> None:
        way.error, way.failures, way.due = None, 0, -math.inf
        way.answers += 1

    def _return_to_better(self, now: float) -> None:
        for index, way in enumerate(self._ways[: self._current]):
            if way.answers >= way.needed:
                way.returned = now
                log.info("site %s: %s answers again and is used", self._site, way.name)
                self._current = index
                return

    def _begin_trial(self, now: float) -> None:
        """Try the best of the better ways that are due, beside the one in use."""
        if self._trial is not None and not self._trial.done():
            return
        better = self._ways[: self._current]
        way = next((way for way in better if now >= way.due), None)
        if way is not None:
            self._trial = asyncio.create_task(self._try(way))

    async def _try(self, way: Way) -> None:
        try:
            async with asyncio.timeout(TRIAL_SECONDS):
                snapshot = await self._ask(way)
        except TimeoutError:
            detail = f"no answer within {TRIAL_SECONDS:.0f} s"
            self._failed(way, ScrapeError(Outcome.TIMEOUT, detail))
        except ScrapeError as error:
            self._failed(way, error)
        else:
            if snapshot is None:
                return
            self._answered(way)
            if isinstance(way.driver, Subscribed):
                # What a node sent is sent once: it is stored, though another way is in use.
                self._earlier.append(replace(self._made(way, snapshot), current=False))


class PolledWaysIn(WaysIn):
    """Ways that are all asked. Pollable."""

    async def scrape(self) -> Snapshot | None:
        """See :class:`exporter.drivers.base.Pollable`."""
        return await self.read()


class SubscribedWaysIn(WaysIn):
    """Ways of which one at least sends by itself. Subscribed."""

    async def subscribe(self) -> None:
        """See :class:`exporter.drivers.base.Subscribed`."""
        subscribed = [w.driver for w in self._ways if isinstance(w.driver, Subscribed)]
        tasks = [asyncio.create_task(driver.subscribe()) for driver in subscribed]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.gather(*tasks, return_exceptions=True)

    async def latest(self) -> Snapshot | None:
        """See :class:`exporter.drivers.base.Subscribed`."""
        return await self.read()


def open_driver(site: Site, registry: Registry, context: DriverContext) -> Driver:
    """The driver of a site of the fleet file, over all of its ways in. Does no I/O."""
    shape = shape_of(site)
    ways = []
    for name, way in zip(site.way_names, site.ways, strict=True):
        kind = registry[way.driver]
        ways.append(Way(name, kind.open(endpoint_of(site.id, way, kind), context)))
    if len(ways) == 1 and shape is None:
        return ways[0].driver
    sends = any(isinstance(way.driver, Subscribed) for way in ways)
    return (SubscribedWaysIn if sends else PolledWaysIn)(site.id, ways, shape, context)


def driver_in_use(driver: Driver) -> Driver:
    """The driver that reads the site at present."""
    return driver.current if isinstance(driver, WaysIn) else driver


def read_alike(old: Site, new: Site, registry: Registry) -> bool:
    """Whether two versions of a site are read in the same way."""

    def read(site: Site) -> tuple[object, ...]:
        ways = [endpoint_of(site.id, way, registry[way.driver]) for way in site.ways]
        return [way.driver for way in site.ways], ways, site.kind, site.meter, site.datacentre

    return read(old) == read(new)
