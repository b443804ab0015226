"""Roll-ups of a running exporter: the current windows, and days with late data.

Nothing is remembered over a restart but what InfluxDB holds: at the start, once a day, and when a
batch was written that had waited, full detail of the last days is compared with its roll-ups.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from exporter.history.rollups.due import GRACE_MS, Task, due
from exporter.history.rollups.plot_level import level_batch
from exporter.history.rollups.rollup_process import RollupProcess
from exporter.history.rollups.source import DAY_MS
from exporter.model.levels import LEVELS
from exporter.model.workers import BrokenProcessPool
from exporter.store.influx import NoAnswerError
from exporter.store.project_writers import ProjectWriters
from exporter.store.writer import Writer

log = logging.getLogger(__name__)

TURN_SECONDS = 15.0
SETTLE_MS = 20_000
"""Younger points may not have arrived yet and are left to the next turn."""
LOOK_BACK_MS = 8 * DAY_MS
"""How far back is compared at a start and once a day. What comes later than this, through the
queue of this exporter, is compared from where it begins; the rest by ``fleetscope rollup``."""
COMPARE_MS = 300_000
QUEUE_SHARE = 0.25
"""Roll-ups wait while the queue is fuller: unlike readings, they can be made again."""


@dataclass(slots=True)
class RollupStats:
    """Counters of the roll-ups."""

    turns: int = 0
    values: int = 0
    late_days: int = 0
    failures: int = 0
    success_time: float = math.nan


class LiveRollups:
    """Keeps roll-ups up to date while the exporter polls.

    Parameters
    ----------
    worker : Worker
    writer : Writer
        Takes the batches; its queue is shared with full detail.
    sites : callable
        Ids of the sites that are polled.
    wall_clock : callable
        Unix seconds.
    """

    def __init__(
        self,
        worker: RollupProcess,
        writer: Writer,
        sites: Callable[[], Sequence[str]],
        wall_clock: Callable[[], float],
    ) -> None:
        self.stats = RollupStats()
        self._worker = worker
        self._writer = writer
        self._sites = sites
        self._wall_clock = wall_clock
        self._done: dict[str, int] = {}
        self._kept: dict[str, int] = {}
        self._compared = -math.inf
        self._late = math.inf
        self._late_noted = -math.inf
        self._reported = 0
        self._complained = False
        self._task: asyncio.Task[None] | None = None

    def start(self, ready: Callable[[], bool] = lambda: True) -> None:
        """Start; must be called inside the event loop. Nothing is done before it is ``ready``."""
        self.stats.success_time = self._wall_clock()
        self._task = asyncio.create_task(self._run(ready))

    async def stop(self) -> None:
        """Stop; unfinished roll-ups are made at the next start."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await asyncio.to_thread(self._worker.close)

    def note_late(self, time: float) -> None:
        """A point of this time, Unix seconds, was taken now: its windows may have been made."""
        now = self._wall_clock()
        if (now - time) * 1000 > GRACE_MS:
            self._late = min(self._late, time * 1000)
            self._late_noted = now

    async def turn(self) -> None:
        """Do what is due.

        Raises
        ------
        NoAnswerError, BrokenProcessPool
            What was not done is due again at the next turn.
        """
        now = round(self._wall_clock() * 1000) - SETTLE_MS
        self._late = min(self._late, self._writer.take_oldest_written() * 1000)
        self._kept = await self._worker.kept_from(now)
        await self._take_in_late(now)
        behind = {x.name: now - GRACE_MS - DAY_MS // 24 for x in LEVELS}
        tasks = due(self._done or behind, now, self._sites(), self._kept)
        for task in tasks:
            await self._do(task)
        if now // DAY_MS > self._reported // DAY_MS:
            self._writer.put(level_batch(self._kept, now))
            self._reported = now
        if tasks:
            self._done = {**behind, **self._done, **dict.fromkeys(tasks[0].since_ms, now)}
            self.stats.turns += 1
        self.stats.success_time = now / 1000

    async def _take_in_late(self, now: int) -> None:
        since = math.inf
        if now - self._compared >= DAY_MS:
            since = now - LOOK_BACK_MS
        elif self._late < now - GRACE_MS and now - self._compared >= COMPARE_MS:
            since = self._late - GRACE_MS
        if self._done and min(self._done.values()) < now - DAY_MS:
            # InfluxDB was away: compare what lies between instead of making all of it.
            since = min(since, *self._done.values())
            self._done = {}
        if since == math.inf:
            return
        tasks = await self._worker.compare(int(since), now - GRACE_MS, now, self._kept)
        if tasks:
            log.info("roll-ups: %d days of measurements hold data that came late", len(tasks))
        for task in tasks:
            await self._do(task)
        self.stats.late_days += len(tasks)
        self._compared = now
        waiting = self._writer.queue.oldest_time
        if waiting is None or waiting > self._late_noted:
            # What was late is written, and so compared.
            self._late = math.inf

    async def _do(self, task: Task) -> None:
        result = await self._worker.run(task, self._wall_clock())
        self.stats.values += result.values
        queue = self._writer.queue
        for batch in result.batches:
            while queue.bytes > QUEUE_SHARE * queue.limit:  # noqa: ASYNC110
                await asyncio.sleep(1.0)
            self._writer.put(batch)

    async def _run(self, ready: Callable[[], bool]) -> None:
        while True:
            await asyncio.sleep(TURN_SECONDS)
            if not ready():
                continue
            try:
                await self.turn()
            except (NoAnswerError, BrokenProcessPool) as error:
                self.stats.failures += 1
                if not self._complained:
                    self._complained = True
                    log.error("roll-ups wait, full detail cannot be read: %s", error)
            except Exception:
                self.stats.failures += 1
                log.exception("rolling up failed unexpectedly")
            else:
                if self._complained:
                    log.info("roll-ups are made again")
                self._complained = False


def rollups_of(
    writers: ProjectWriters, projects: Callable[[], Mapping[str, str | None]]
) -> list[LiveRollups]:
    """Roll-ups of each database, in a process of its own: one that hangs delays no other.

    Parameters
    ----------
    writers : ProjectWriters
    projects : callable
        The project of every site that is polled, by id.
    """

    def sites_of(key: str | None) -> list[str]:
        return [site for site, project in projects().items() if writers.key_of(project) == key]

    return [
        LiveRollups(RollupProcess(connection), writer, partial(sites_of, key), time.time)
        for key, writer, connection in writers.connections()
    ]
