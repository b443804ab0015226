"""The poll loop: one job that works off the sites in the order in which they are due.

Sites are spread evenly over their interval, and no site is scraped twice at a time.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC
from functools import partial

from apscheduler.schedulers.asyncio import AsyncIOScheduler

from exporter.collect.timers import Timer, Timers
from exporter.config.fleet import Fleet, Site
from exporter.drivers.base import (
    Buffered,
    Driver,
    DriverContext,
    Registry,
    Subscribed,
    reader_of,
)
from exporter.drivers.ways_in import WaysIn, driver_in_use, open_driver, read_alike
from exporter.model.snapshot import Outcome, ScrapeError, Snapshot

log = logging.getLogger(__name__)

LONGEST_BACKOFF_SECONDS = 300.0
# Drivers end a scrape by their own limits, the longest of them 65 s. What outlasts this is a fault
# of the program, which must not leave a site without an outcome for ever.
LONGEST_SCRAPE_SECONDS = 180.0
STOP_SECONDS = 1.0
# The fractional part of multiples of the golden ratio spreads any number of sites evenly, and
# one more site moves none of those that are there.
_GOLDEN = 0.6180339887498949
# Sites start together, about so many at each of some moments of an interval: replies that come
# together cost a third of the processor time of replies that each wake the program.
_AT_A_MOMENT = 50
_FEWEST_MOMENTS, _MOST_MOMENTS = 20, 100

Sink = Callable[[Snapshot], None]


def backoff_turns(interval: float, failures: int, rng: random.Random) -> int:
    """Turns of a failing site until it is tried again; 1 is its very next one.

    Doubles from one turn at the first failure to five minutes at most, less up to a quarter at
    random, so that sites which failed together do not come back together.

    Parameters
    ----------
    interval : float
        Seconds from one turn to the next.
    failures : int
        Failures in a row, at least 1.
    rng : random.Random
    """
    delay = min(interval * 2.0 ** min(failures - 1, 30), LONGEST_BACKOFF_SECONDS)
    turns = round(delay * (1 - 0.25 * rng.random()) / interval)
    return max(1, min(turns, int(LONGEST_BACKOFF_SECONDS // interval)))


def moments_of(sites: int) -> int:
    """Moments of an interval at which the scrapes of so many sites begin."""
    return max(_FEWEST_MOMENTS, min(sites // _AT_A_MOMENT, _MOST_MOMENTS))


@dataclass(slots=True)
class LoopStats:
    """Counters of the loop itself."""

    scrapes: int = 0
    skipped: int = 0


@dataclass(slots=True, eq=False)
class _Target:
    site: Site
    driver: Driver
    timer: Timer
    read: Callable[[], Awaitable[Snapshot | None]]
    drain: Callable[[], list[Snapshot]] | None
    sends: bool
    not_before: float = 0.0
    failures: int = 0
    task: asyncio.Task[None] | None = None
    limit: asyncio.Timeout | None = None
    began: float = 0.0
    subscription: asyncio.Task[None] | None = None
    last_logged: Outcome | None = None


@dataclass(slots=True)
class Poller:
    """Polls every site of a fleet and hands each Snapshot to ``sink``.

    Parameters
    ----------
    registry : mapping of driver name to factory
    context : DriverContext
    sink : callable
        Takes each Snapshot; must not block.
    default_interval : float
        Seconds between scrapes of a site that sets none itself.
    rng : random.Random
        For the jitter.
    """

    registry: Registry
    context: DriverContext
    sink: Sink
    default_interval: float
    rng: random.Random
    stats: LoopStats = field(default_factory=LoopStats)
    _timers: Timers = field(init=False)
    _scheduler: AsyncIOScheduler = field(default_factory=lambda: AsyncIOScheduler(timezone=UTC))
    _targets: dict[str, _Target] = field(default_factory=dict)
    _added: int = 0
    _size: int = 0
    _lags: dict[int, float] = field(default_factory=dict)
    _leaving: dict[str, asyncio.Task[None]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._timers = Timers(self.context.monotonic)

    def start(self, fleet: Fleet) -> None:
        """Start polling; must be called inside the event loop."""
        self.reconfigure(fleet)
        # One job for as long as the service runs: APScheduler's triggers go by the wall clock.
        self._scheduler.add_job(self._timers.run, id="poll", misfire_grace_time=None)
        self._scheduler.start()

    def every(self, seconds: float, job: Callable[[], Awaitable[None] | None], name: str) -> None:
        """Run another job of the service in the same order, always inside the event loop."""
        self._timers.every(seconds, job, name)

    def reconfigure(self, fleet: Fleet) -> None:
        """Poll another fleet: changed sites at once, new ones within their interval.

        A site whose polling did not change and that answers keeps its rhythm.
        """
        sites = {site.id: site for site in fleet.sites}
        self._size = len(sites)
        for site_id in [i for i in self._targets if i not in sites]:
            self._let_go(self._targets.pop(site_id))
        for site in fleet.sites:
            target = self._targets.get(site.id)
            if target is None:
                self._add(site)
            elif target.site != site:
                if self._polled_alike(target.site, site):
                    target.site = site
                    if not target.failures:
                        continue
                else:
                    self._let_go(target)
                    target = self._add(site)
                target.failures, target.not_before = 0, 0.0
                self._poll(target)

    async def stop(self) -> None:
        """Stop polling: scrapes under way are broken off, what was read has been handed on."""
        for target in list(self._targets.values()):
            self._let_go(target)
        self._targets.clear()
        if self._leaving:
            await asyncio.wait(self._leaving.values(), timeout=STOP_SECONDS)
        await self._timers.stop()
        self._scheduler.shutdown(wait=False)

    def driver_of(self, site_id: str) -> Driver | None:
        """The driver of a site; None for one that is not polled."""
        target = self._targets.get(site_id)
        return None if target is None else driver_in_use(target.driver)

    def writer_of(self, site_id: str) -> Driver | None:
        """The driver to write set-points of a site with; None for one that is not polled."""
        target = self._targets.get(site_id)
        if target is None:
            return None
        return target.driver.writer if isinstance(target.driver, WaysIn) else target.driver

    @property
    def lag_seconds(self) -> float:
        """Longest delay of a scrape behind its time, in this minute and the one before."""
        minute = int(self.context.monotonic() // 60)
        return max(self._lags.get(minute, 0.0), self._lags.get(minute - 1, 0.0))

    def _add(self, site: Site) -> _Target:
        driver = open_driver(site, self.registry, self.context)
        interval = site.interval_seconds or self.default_interval
        self._added += 1
        phase = (self._added * _GOLDEN % 1.0) * interval
        grid = interval / moments_of(self._size)
        timer = self._timers.add(interval, phase, lambda lag: self._turn(target, lag), grid)
        # What a driver can do is asked once: a check against a protocol costs as much as a reading.
        sends = isinstance(driver, Subscribed)
        drain = driver.drain if isinstance(driver, Buffered) else None
        target = _Target(site, driver, timer, reader_of(driver), drain, sends)
        self._targets[site.id] = target
        if isinstance(driver, Subscribed):
            target.subscription = asyncio.create_task(driver.subscribe())
        return target

    def _let_go(self, target: _Target) -> None:
        self._timers.cancel(target.timer)
        for task in (target.task, target.subscription):
            if task is not None:
                task.cancel()
        before = self._leaving.get(target.site.id)
        self._leaving[target.site.id] = asyncio.create_task(self._leave(target, before))

    async def _leave(self, target: _Target, before: asyncio.Task[None] | None) -> None:
        """Wait for the end of a scrape that was broken off, and close the driver."""
        ending = {task for task in (target.task, target.subscription, before) if task}
        if ending:
            await asyncio.wait(ending)
        try:
            await target.driver.close()
        except Exception:
            log.exception("site %s: the driver failed to close", target.site.id)
        if self._leaving.get(target.site.id) is asyncio.current_task():
            del self._leaving[target.site.id]

    def _turn(self, target: _Target, lag: float) -> None:
        """A site's turn has come: scrape it, unless it is left alone for now."""
        if target.task is not None:
            # The site's own slowness is no lag of the loop.
            self.stats.skipped += 1
            self._end_overdue(target)
            return
        now = self.context.monotonic()
        self._note_lag(lag, now)
        if now >= target.not_before:
            self._poll(target)

    def _poll(self, target: _Target) -> None:
        """Begin a scrape, unless one is under way."""
        if target.task is None:
            task = target.task = asyncio.create_task(self._scrape(target))
            task.add_done_callback(partial(self._ended, target))

    def _end_overdue(self, target: _Target) -> None:
        """End a scrape that outlasts every limit of its driver."""
        overdue = self.context.monotonic() - target.began > LONGEST_SCRAPE_SECONDS
        if overdue and target.limit is not None and target.limit.when() is None:
            target.limit.reschedule(asyncio.get_running_loop().time())

    def _ended(self, target: _Target, task: asyncio.Task[None]) -> None:
        target.task = target.limit = None
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("site %s: a Snapshot was not taken", target.site.id, exc_info=error)

    async def _scrape(self, target: _Target) -> None:
        before = self._leaving.get(target.site.id)
        if before is not None:
            await asyncio.wait({before})
        now = self.context.monotonic()
        self.stats.scrapes += 1
        target.began = now
        snapshot = await self._snapshot(target, now)
        if self._targets.get(target.site.id) is not target:
            return
        if target.drain is not None:
            for earlier in target.drain():
                self.sink(earlier)
        if snapshot is None:
            return
        if snapshot.outcome.answered:
            target.failures, turns = 0, 1
        else:
            target.failures += 1
            turns = 1
            # Of a site that sends by itself nothing is asked, so that it need not be spared.
            if not target.sends:
                turns = backoff_turns(target.timer.interval, target.failures, self.rng)
        # Half a turn early, so that a turn that comes a little early still counts.
        target.not_before = now + (turns - 0.5) * target.timer.interval
        self._log_change(target, snapshot)
        self.sink(snapshot)

    async def _snapshot(self, target: _Target, started: float) -> Snapshot | None:
        """One scrape; a failed one is a measurement, and this is where it becomes one."""
        try:
            # No time is set here: a timer for each scrape is dear, and the site's next turns look.
            async with asyncio.timeout(None) as target.limit:
                return await target.read()
        except ScrapeError as error:
            outcome, detail = error.outcome, error.detail
        except Exception as error:
            # A driver must not raise anything else; if it does, one site fails and not the loop.
            log.exception("site %s: the driver failed unexpectedly", target.site.id)
            outcome, detail = Outcome.MALFORMED, f"driver fault: {type(error).__name__}"
            if target.limit is not None and target.limit.expired():
                limit = f"{LONGEST_SCRAPE_SECONDS:.0f} s"
                outcome, detail = Outcome.TIMEOUT, f"driver fault: no end of a scrape in {limit}"
        return Snapshot(
            site=target.site.id,
            time=self.context.wall_clock(),
            duration=self.context.monotonic() - started,
            outcome=outcome,
            detail=detail,
        )

    def _note_lag(self, lag: float, now: float) -> None:
        minute = int(now // 60)
        if minute not in self._lags:
            self._lags = {m: v for m, v in self._lags.items() if m == minute - 1}
        self._lags[minute] = max(self._lags.get(minute, 0.0), lag)

    @staticmethod
    def _log_change(target: _Target, snapshot: Snapshot) -> None:
        if snapshot.outcome is target.last_logged:
            return
        first = target.last_logged is None
        target.last_logged = snapshot.outcome
        if snapshot.outcome is not Outcome.OK:
            log.warning("site %s: %s: %s", target.site.id, snapshot.outcome, snapshot.detail)
        elif not first:
            log.info("site %s: answers again", target.site.id)

    def _polled_alike(self, old: Site, new: Site) -> bool:
        """Whether two versions of a site differ only in what polling does not depend on."""
        same = old.interval_seconds == new.interval_seconds
        return same and read_alike(old, new, self.registry)
