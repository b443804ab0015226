"""Sends batches: fresh ones at once, and the backlog oldest first and at a bounded rate."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import random
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from zlib import crc32

from exporter.model.levels import RAW
from exporter.store.bisection import Bisection, KnownGood
from exporter.store.queue import Batch, Queue, census
from exporter.store.refused_points import RefusedPoints
from exporter.store.target import (
    NotAllowedError,
    RefusedError,
    RetryLaterError,
    Target,
    wait_seconds,
)

log = logging.getLogger(__name__)

# A batch is fresh for so long. Fresh batches are kept in memory as well as in the queue.
FRESH_SECONDS = 10.0
FRESH_BYTES = 32 * 1024 * 1024
# Concurrent requests. One that takes longer than `STALLED_SECONDS` does not count.
AT_ONCE = 4
AT_MOST = 8
STALLED_SECONDS = 2.0
# Bytes of the backlog that are read from the queue at a time.
CHUNK_BYTES = 1024 * 1024
BISECTED_AT_MOST = 8
BROKEN_OFF_AT_MOST = 3
REMIND_SECONDS = 300.0
PROGRESS_SECONDS = 30.0
LOOK_AGAIN_SECONDS = 10.0
_NONE = 2**63 - 1


@dataclass(slots=True)
class WriterStats:
    """Counters of what is sent."""

    writes: int = 0
    errors: int = 0
    last_error: str = ""


@dataclass(slots=True, eq=False)
class _Fresh:
    batch: Batch
    born: float
    task: asyncio.Task[None] | None = None
    started: float = 0.0


class Pace:
    """When to try again, after failures in a row."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self.failures = 0
        self.not_before = 0.0
        self.asked_until = 0.0

    def started(self) -> None:
        """An attempt begins; while attempts fail, the next one does not wait for its end."""
        if self.failures:
            self.not_before = time.monotonic() + wait_seconds(self.failures, None, self._rng)

    def failed(self, asked: float | None) -> None:
        """An attempt failed; ``asked`` are the seconds that the server asks to wait."""
        self.failures += 1
        wait = wait_seconds(self.failures, asked, self._rng)
        if asked is not None:
            self.asked_until = max(self.asked_until, time.monotonic() + wait)
        elif self.failures == 1:
            self.not_before = time.monotonic() + wait

    def succeeded(self) -> None:
        """The server takes points again."""
        self.failures, self.not_before, self.asked_until = 0, 0.0, 0.0

    @property
    def seconds(self) -> float:
        """Seconds until the next attempt."""
        return max(self.not_before, self.asked_until) - time.monotonic()


class Sender:
    """Takes batches out of a queue until InfluxDB has them.

    Parameters
    ----------
    target : Target
    queue : Queue
    rejects : RefusedPoints
    rng : random.Random
        For the jitter of waits.
    drain_bytes : float
        Most compressed bytes of the backlog that are sent a second.
    """

    def __init__(
        self,
        target: Target,
        queue: Queue,
        rejects: RefusedPoints,
        rng: random.Random,
        drain_bytes: float,
    ) -> None:
        self.stats = WriterStats()
        self._target = target
        self._queue = queue
        self._rejects = rejects
        self._drain_bytes = drain_bytes
        self._pace = Pace(rng)
        self._known = KnownGood()
        self._fresh: deque[_Fresh] = deque()
        self._suspects: deque[Batch] = deque()
        # Batches after this number may have returned to the backlog and are looked for again.
        self._put_back_from = 0
        self._prepared = False
        self._wake = asyncio.Event()
        self._backlog = asyncio.Event()
        self._suspected = asyncio.Event()
        self._bisected = asyncio.Event()
        self._stopping = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._complained_at: float | None = None
        self._broken_off: Counter[int] = Counter()
        self._oldest_written = math.inf

    def start(self) -> None:
        """Start sending; the queue must be open."""
        self._backlog.set()
        self._tasks = [
            asyncio.create_task(self._guarded(lane))
            for lane in (self._fresh_lane, self._backlog_lane, self._bisection_lane)
        ]

    def offer(self, batches: Sequence[Batch]) -> None:
        """Batches that have just been put into the queue."""
        now = time.monotonic()
        for batch in batches:
            self._queue.in_flight.add(batch.number)
            self._fresh.append(_Fresh(batch, now))
        self._age_out(now)
        self._wake.set()

    async def finish(self, seconds: float) -> None:
        """Send the backlog for so many seconds at most; the first failure ends it too."""
        self._pace.succeeded()
        self._stopping.set()
        for event in (self._wake, self._backlog, self._suspected, self._bisected):
            event.set()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)
        sending = [fresh.task for fresh in self._fresh if fresh.task is not None]
        for task in (*self._tasks, *sending):
            task.cancel()
        await asyncio.gather(*self._tasks, *sending, return_exceptions=True)

    async def _guarded(self, lane: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await lane()
                return
            except Exception:
                log.exception("sending to InfluxDB failed unexpectedly")
                await asyncio.sleep(1.0)

    # Fresh batches ----------------------------------------------------------------------------

    async def _fresh_lane(self) -> None:
        while True:
            self._wake.clear()
            now = time.monotonic()
            self._age_out(now)
            waiting = [fresh for fresh in self._fresh if fresh.task is None]
            if self._stopping.is_set() and (not self._fresh or self._pace.failures):
                return
            seconds = self._pace.seconds
            if not waiting or not self._has_room(now):
                seconds = 0.5 if self._fresh else LOOK_AGAIN_SECONDS
            elif seconds <= 0 or self._stopping.is_set():
                # While attempts fail, the newest goes first: the first success is up to date.
                fresh = waiting[-1 if self._pace.failures else 0]
                fresh.started = now
                fresh.task = asyncio.create_task(self._send_fresh(fresh))
                self._pace.started()
                continue
            await self._sleep(self._wake, seconds)

    def _has_room(self, now: float) -> bool:
        under_way = [fresh for fresh in self._fresh if fresh.task is not None]
        prompt = [fresh for fresh in under_way if now - fresh.started < STALLED_SECONDS]
        return len(under_way) < AT_MOST and len(prompt) < AT_ONCE

    def _age_out(self, now: float) -> None:
        """A batch that was not sent in time joins the backlog."""
        size = sum(len(fresh.batch.body) for fresh in self._fresh)
        most = min(FRESH_BYTES, self._queue.memory // 4)
        for fresh in list(self._fresh):
            too_much = size > most and fresh is not self._fresh[-1]
            if fresh.task is None and (now - fresh.born > FRESH_SECONDS or too_much):
                size -= len(fresh.batch.body)
                self._fresh.remove(fresh)
                self._put_back(fresh.batch)

    def _put_back(self, batch: Batch) -> None:
        self._queue.in_flight.discard(batch.number)
        self._put_back_from = min(self._put_back_from, batch.number - 1)
        self._backlog.set()

    async def _send_fresh(self, fresh: _Fresh) -> None:
        batch = fresh.batch
        try:
            done = await self._attempt(batch)
        except asyncio.CancelledError:
            done = None
            raise
        finally:
            fresh.task = None
            self._wake.set()
        if done is None:
            return
        self._fresh.remove(fresh)
        if done:
            self._settled(batch)
        elif len(self._suspects) < BISECTED_AT_MOST:
            self._suspects.append(batch)
            self._suspected.set()
        else:
            self._put_back(batch)

    def _settled(self, batch: Batch) -> None:
        self._queue.in_flight.discard(batch.number)
        self._note_written(batch)
        self._queue.settle(batch)

    def _note_written(self, batch: Batch) -> None:
        if batch.policy == RAW:
            self._oldest_written = min(self._oldest_written, batch.time)

    def take_oldest_written(self) -> float:
        """See :meth:`exporter.store.writer.Writer.take_oldest_written`."""
        oldest, self._oldest_written = self._oldest_written, math.inf
        return oldest

    # The backlog ------------------------------------------------------------------------------

    async def _backlog_lane(self) -> None:
        reported, after = time.monotonic(), 0
        while True:
            self._backlog.clear()
            # A batch that was in flight is looked for again once it is put back.
            after, self._put_back_from = min(after, self._put_back_from), _NONE
            batches = await self._queue.oldest(after, CHUNK_BYTES)
            if not batches:
                if after:
                    self._put_back_from = 0
                elif self._stopping.is_set():
                    return
                else:
                    await self._sleep(self._backlog, LOOK_AGAIN_SECONDS)
                continue
            numbers = {batch.number for batch in batches}
            self._queue.in_flight |= numbers
            try:
                for batch in batches:
                    if not await self._send_waiting(batch):
                        return
                    numbers.discard(batch.number)
                    after = batch.number
            finally:
                self._queue.in_flight -= numbers
            if time.monotonic() - reported > PROGRESS_SECONDS:
                reported = time.monotonic()
                self._report_progress()

    async def _send_waiting(self, batch: Batch) -> bool:
        """Send until the batch is settled; False if an attempt failed while stopping."""
        while True:
            # A server in trouble is tried with fresh batches, unless there are none.
            while self._pace.failures and (
                self._fresh or self._pace.seconds > 0 or not self._prepared
            ):
                if self._stopping.is_set():
                    return False
                await asyncio.sleep(min(max(self._pace.seconds, 0.05), 0.25))
            started = time.monotonic()
            self._pace.started()
            done = await self._attempt(batch)
            if done:
                self._settled(batch)
                # Half of the time at most, so that the server keeps up with fresh batches.
                took = time.monotonic() - started
                await self._sleep(self._stopping, max(took, len(batch.body) / self._drain_bytes))
                return True
            if done is False:
                while len(self._suspects) >= BISECTED_AT_MOST:
                    if self._stopping.is_set():
                        return False
                    self._bisected.clear()
                    await self._bisected.wait()
                self._suspects.append(batch)
                self._suspected.set()
                return True
            if self._stopping.is_set():
                return False

    def _report_progress(self) -> None:
        waiting, oldest = self._queue.bytes, self._queue.oldest_time
        if oldest is not None and waiting > CHUNK_BYTES:
            log.info(
                "sending what waited: %.1f MB to go, the oldest is %.0f s old",
                waiting / 1e6,
                time.time() - oldest,
            )

    # What is refused --------------------------------------------------------------------------

    async def _bisection_lane(self) -> None:
        while True:
            self._suspected.clear()
            if not self._suspects:
                if self._stopping.is_set():
                    return
                await self._suspected.wait()
                continue
            bisection = Bisection(self._suspects[0], self._known)
            while True:
                try:
                    await bisection.run(self._write)
                    break
                except RetryLaterError as error:
                    self._failed(error)
                    if self._stopping.is_set():
                        return
                    while self._pace.failures and (self._fresh or self._pace.seconds > 0):
                        if self._stopping.is_set():
                            return
                        await asyncio.sleep(0.25)
            self._succeeded()
            await self._reject(bisection)
            self._suspects.popleft()
            self._bisected.set()

    async def _reject(self, bisection: Bisection) -> None:
        batch, refused = bisection.batch, bisection.refused
        if refused:
            await asyncio.to_thread(self._rejects.write, refused)
            self.stats.errors += 1
            self.stats.last_error = refused[0].words
            log.error(
                "InfluxDB rejected %d of %d points: %s",
                len(refused),
                batch.points,
                refused[0].words,
            )
        self._queue.in_flight.discard(batch.number)
        self._note_written(batch)
        self._queue.settle(batch, census([one.line for one in refused], batch.policy))

    # One attempt ------------------------------------------------------------------------------

    async def _attempt(self, batch: Batch) -> bool | None:
        """Send a batch once: True if it was taken, False if refused, None if not now."""
        try:
            if not self._prepared:
                await self._prepare()
            try:
                await self._write(batch.body, batch.policy)
            except RefusedError as error:
                await self._known.check(self._write, str(error))
                self.stats.errors += 1
                self.stats.last_error = str(error)
                log.debug("a batch is refused, and its points are tried one by one: %s", error)
                return False
        except (RetryLaterError, NotAllowedError) as error:
            self._failed(error)
            return None
        except Exception as error:
            log.exception("sending to InfluxDB failed unexpectedly")
            self._failed(RetryLaterError(type(error).__name__))
            return None
        self._known.accepted(batch.body, batch.policy)
        self._succeeded()
        return True

    async def _write(self, body: bytes, policy: str) -> None:
        self.stats.writes += 1
        try:
            await self._target.write(body, policy)
        except RetryLaterError as error:
            if not error.broken_off:
                raise
            # Only this batch breaks off repeatedly: it may be too large. Parts of it may pass.
            key = crc32(body)
            self._broken_off[key] += 1
            if self._broken_off[key] < BROKEN_OFF_AT_MOST or not self._known.is_other(body):
                raise
            await self._known.check(self._target.write, str(error))
            raise RefusedError(str(error), str(error)) from error
        self._broken_off.clear()

    async def _prepare(self) -> None:
        try:
            await self._target.prepare()
        except NotAllowedError as error:
            log.warning(
                "databases and retention must exist already, creating is refused: %s", error
            )
        else:
            log.info("InfluxDB is ready: databases and retention are in place")
        self._prepared = True

    def _failed(self, error: RetryLaterError | NotAllowedError) -> None:
        self._pace.failed(error.after if isinstance(error, RetryLaterError) else None)
        self.stats.errors += 1
        self.stats.last_error = str(error)
        now = time.monotonic()
        if self._complained_at is None or now - self._complained_at > REMIND_SECONDS:
            self._complained_at = now
            log.error("InfluxDB does not accept points, they wait in the queue: %s", error)

    def _succeeded(self) -> None:
        if self._complained_at is not None:
            self._complained_at = None
            log.info("InfluxDB accepts points again")
        if self._pace.failures:
            self._wake.set()
        self._pace.succeeded()

    async def _sleep(self, until: asyncio.Event, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(until.wait(), max(seconds, 0.0))
