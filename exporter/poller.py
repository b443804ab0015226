"""The poll loop: one APScheduler job per site, spread evenly, never two scrapes of one site."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from apscheduler.events import EVENT_JOB_MAX_INSTANCES
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.interval import IntervalTrigger

from exporter.config import Fleet, Site
from exporter.drivers.base import Driver, DriverContext, Endpoint, Registry
from exporter.snapshot import Outcome, ScrapeError, Snapshot

log = logging.getLogger(__name__)

LONGEST_BACKOFF_SECONDS = 300.0
CLOCK_STEP_SECONDS = 1.0
# The fractional part of multiples of the golden ratio spreads any number of sites evenly, and
# one more site moves none of those that are there.
_GOLDEN = 0.6180339887498949

Sink = Callable[[Snapshot], None]


def backoff_seconds(interval: float, failures: int, rng: random.Random) -> float:
    """Seconds to leave a failing site alone.

    Doubles from one interval at the first failure to five minutes at most, less up to a quarter
    at random, so that sites which failed together do not come back together. Never less than what
    is left until the next regular scrape.
    """
    delay = min(interval * 2.0 ** min(failures - 1, 30), LONGEST_BACKOFF_SECONDS)
    return max(delay, interval) * (1 - 0.25 * rng.random())


@dataclass(slots=True)
class LoopStats:
    """Counters of the loop itself."""

    scrapes: int = 0
    skipped: int = 0
    clock_steps: int = 0


@dataclass(slots=True)
class _Target:
    site: Site
    driver: Driver
    interval: float
    due: float = 0.0
    not_before: float = 0.0
    failures: int = 0
    task: asyncio.Task[None] | None = None
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
    _scheduler: AsyncIOScheduler = field(
        default_factory=lambda: AsyncIOScheduler(
            timezone=UTC,
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )
    )
    _targets: dict[str, _Target] = field(default_factory=dict)
    _added: int = 0
    _lags: dict[int, float] = field(default_factory=dict)
    _clock_watch: asyncio.Task[None] | None = None

    def start(self, fleet: Fleet) -> None:
        """Start polling; must be called inside the event loop."""
        self._scheduler.add_listener(self._on_skipped, EVENT_JOB_MAX_INSTANCES)
        self._scheduler.start()
        self._clock_watch = asyncio.create_task(self._watch_clock())
        self.reconfigure(fleet)

    def every(self, seconds: float, job: Callable[[], object], name: str) -> None:
        """Run another job of the service on the same scheduler."""
        self._scheduler.add_job(job, IntervalTrigger(seconds=seconds), id=f"/{name}")

    def reconfigure(self, fleet: Fleet) -> None:
        """Poll another fleet: changed sites at once, new ones within their interval."""
        sites = {site.id: site for site in fleet.sites}
        for site_id in [i for i in self._targets if i not in sites]:
            self._remove(self._targets.pop(site_id))
        for site in fleet.sites:
            target = self._targets.get(site.id)
            if target is not None and target.site == site:
                continue
            if target is not None:
                self._remove(target)
            self._add(site, at_once=target is not None)

    async def stop(self) -> None:
        """Stop polling: scrapes under way are broken off, what was read has been handed on."""
        if self._clock_watch is not None:
            self._clock_watch.cancel()
        self._scheduler.pause()
        running = [t.task for t in self._targets.values() if t.task is not None]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        self._scheduler.shutdown(wait=False)
        for target in self._targets.values():
            await target.driver.close()
        self._targets.clear()

    @property
    def lag_seconds(self) -> float:
        """Longest delay of a scrape behind its time, in this minute and the one before."""
        minute = int(self.context.monotonic() // 60)
        return max(self._lags.get(minute, 0.0), self._lags.get(minute - 1, 0.0))

    def _add(self, site: Site, *, at_once: bool) -> None:
        driver = self.registry[site.driver](Endpoint(site.id, site.api_endpoint), self.context)
        interval = site.interval_seconds or self.default_interval
        self._added += 1
        phase = 0.0 if at_once else (self._added * _GOLDEN % 1.0) * interval
        target = _Target(site, driver, interval)
        self._targets[site.id] = target
        self._schedule(target, phase)

    def _schedule(self, target: _Target, delay: float) -> None:
        target.due = self.context.monotonic() + delay
        self._scheduler.add_job(
            self._turn,
            IntervalTrigger(seconds=target.interval),
            args=[target],
            id=target.site.id,
            next_run_time=datetime.now(UTC) + timedelta(seconds=delay),
            replace_existing=True,
        )

    def _remove(self, target: _Target) -> None:
        if self._scheduler.get_job(target.site.id) is not None:
            self._scheduler.remove_job(target.site.id)
        if target.task is not None:
            target.task.cancel()

    async def _turn(self, target: _Target) -> None:
        """The scheduled job of a site: decides whether it is time, and waits for the scrape."""
        now = self.context.monotonic()
        if now < target.due - 0.2 * target.interval:
            # The wall clock jumped forward and every trigger fired with it.
            return
        self._note_lag(target, now)
        if now < target.not_before or target.task is not None:
            return
        target.task = asyncio.create_task(self._scrape(target, now))
        await asyncio.wait({target.task})
        target.task = None

    async def _scrape(self, target: _Target, now: float) -> None:
        self.stats.scrapes += 1
        snapshot = await self._snapshot(target, now)
        if self._targets.get(target.site.id) is not target:
            return
        if snapshot.outcome.answered:
            target.failures, target.not_before = 0, 0.0
        else:
            target.failures += 1
            wait = backoff_seconds(target.interval, target.failures, self.rng)
            # A little early: the job's own rhythm decides, not a photo finish with the jitter.
            target.not_before = now + wait - 0.05 * target.interval
        self._log_change(target, snapshot)
        self.sink(snapshot)

    async def _snapshot(self, target: _Target, started: float) -> Snapshot:
        """One scrape; a failed one is a measurement, and this is where it becomes one."""
        try:
            return await target.driver.scrape()
        except ScrapeError as error:
            outcome, detail = error.outcome, error.detail
        except Exception as error:
            # A driver must not raise anything else; if it does, one site fails and not the loop.
            log.exception("site %s: the driver failed unexpectedly", target.site.id)
            outcome, detail = Outcome.MALFORMED, f"driver fault: {type(error).__name__}"
        return Snapshot(
            site=target.site.id,
            time=self.context.wall_clock(),
            duration=self.context.monotonic() - started,
            outcome=outcome,
            detail=detail,
        )

    def _note_lag(self, target: _Target, now: float) -> None:
        lag = max(0.0, now - target.due)
        minute = int(now // 60)
        if minute not in self._lags:
            self._lags = {m: v for m, v in self._lags.items() if m == minute - 1}
        self._lags[minute] = max(self._lags.get(minute, 0.0), lag)
        # The next turn that lies ahead, in step with the trigger, which skips what it missed.
        missed = int(lag // target.interval)
        target.due += (missed + 1) * target.interval

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

    def _on_skipped(self, _event: object) -> None:
        self.stats.skipped += 1

    async def _watch_clock(self) -> None:
        """Put every job back in its place after the wall clock, which triggers go by, stepped.

        A task of its own, since after a step back the scheduler itself would sleep through it.
        """
        before = self.context.wall_clock() - self.context.monotonic()
        while True:
            await asyncio.sleep(1)
            offset = self.context.wall_clock() - self.context.monotonic()
            step, before = offset - before, offset
            if abs(step) >= CLOCK_STEP_SECONDS:
                self.stats.clock_steps += 1
                log.warning("the system clock stepped by %.1f s; the schedule is put right", step)
                self._reschedule()

    def _reschedule(self) -> None:
        now = self.context.monotonic()
        for job in self._scheduler.get_jobs():
            if job.id not in self._targets:
                job.modify(next_run_time=datetime.now(UTC))
        for target in self._targets.values():
            due = target.due
            self._schedule(target, max(0.0, due - now))
            target.due = due
