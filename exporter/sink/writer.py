"""Gathers lines into batches and sends them, oldest first, until InfluxDB has accepted them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import random
from collections.abc import Callable
from dataclasses import dataclass

from exporter.levels import RAW
from exporter.sink.queue import Batch, Queue, compress
from exporter.sink.target import (
    NotAllowedError,
    RejectedError,
    RetryLaterError,
    Target,
    wait_seconds,
)

log = logging.getLogger(__name__)

FLUSH_SECONDS = 1.0
LINES_PER_BATCH = 5000
STOP_SECONDS = 3.0


@dataclass(slots=True)
class WriterStats:
    """Counters of the writer."""

    writes: int = 0
    errors: int = 0
    last_error: str = ""


class Writer:
    """Lines in, batches out.

    Parameters
    ----------
    target : Target
    queue : Queue
    wall_clock : callable
        Unix seconds.
    rng : random.Random
        For the jitter of waits.
    """

    def __init__(
        self, target: Target, queue: Queue, wall_clock: Callable[[], float], rng: random.Random
    ) -> None:
        self.queue = queue
        self.stats = WriterStats()
        self._target = target
        self._wall_clock = wall_clock
        self._rng = rng
        self._lines: list[str] = []
        self._filled = asyncio.Event()
        self._stopping = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._failures = 0
        self._complained = False
        self._oldest_written = math.inf

    def start(self) -> None:
        """Start sending; must be called inside the event loop."""
        self._tasks = [asyncio.create_task(self._flush_often()), asyncio.create_task(self._send())]

    def add(self, lines: list[str]) -> None:
        """Take lines to write; never blocks and never raises."""
        self._lines += lines
        if len(self._lines) >= LINES_PER_BATCH:
            self.flush()

    @property
    def gathering(self) -> int:
        """Lines that are not in a batch yet."""
        return len(self._lines)

    def flush(self) -> None:
        """Put what has been gathered into the queue."""
        lines, self._lines = self._lines, []
        for start in range(0, len(lines), LINES_PER_BATCH):
            batch = compress(lines[start : start + LINES_PER_BATCH], self._wall_clock())
            self.queue.put(batch)
            self._filled.set()

    def put(self, batch: Batch) -> None:
        """Put a batch that is made already into the queue, behind what waits there."""
        self.queue.put(batch)
        self._filled.set()

    def take_oldest_written(self) -> float:
        """Unix seconds of the oldest batch of full detail that was written since the last call,
        infinite where none was: what came late has roll-ups to be made again."""
        oldest, self._oldest_written = self._oldest_written, math.inf
        return oldest

    async def stop(self) -> int:
        """Send what waits, for three seconds at most; returns the number of points left behind.

        A wait is cut short for one more attempt; the first one that fails then is the last.
        """
        self.flush()
        self._stopping.set()
        self._filled.set()
        if self._tasks:
            flushing, sending = self._tasks
            flushing.cancel()
            await asyncio.wait({sending}, timeout=STOP_SECONDS)
            sending.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._target.close()
        left = 0
        while (batch := self.queue.oldest()) is not None:
            left += batch.points
            self.queue.settle(batch)
        if left:
            log.error("stopped with %d points that InfluxDB has not accepted; dropped", left)
        return left

    async def _flush_often(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            self.flush()

    async def _send(self) -> None:
        prepared = False
        batch: Batch | None = None
        while True:
            try:
                if not prepared:
                    await self._prepare()
                    prepared = True
                batch = self.queue.oldest()
                if batch is None:
                    if self._stopping.is_set():
                        return
                    self._filled.clear()
                    await self._filled.wait()
                    continue
                self.stats.writes += 1
                await self._target.write(batch.body, batch.policy)
            except (RetryLaterError, NotAllowedError) as error:
                if not await self._another_try(error):
                    return
                continue
            except RejectedError as error:
                assert batch is not None  # only a write rejects
                rejected = batch.points if error.rejected is None else error.rejected
                rejected = min(rejected, batch.points)
                self.queue.settle(batch, written=batch.points - rejected, rejected=rejected)
                self.stats.errors += 1
                self.stats.last_error = str(error)
                log.error("InfluxDB rejected %d of %d points: %s", rejected, batch.points, error)
            except Exception as error:
                log.exception("sending to InfluxDB failed unexpectedly")
                if not await self._another_try(RetryLaterError(type(error).__name__)):
                    return
                continue
            else:
                self.queue.settle(batch, written=batch.points)
            if batch is not None and batch.policy == RAW:
                self._oldest_written = min(self._oldest_written, batch.time)
            if self._complained:
                log.info("InfluxDB accepts points again")
            self._failures, self._complained = 0, False

    async def _prepare(self) -> None:
        try:
            await self._target.prepare()
        except NotAllowedError as error:
            log.warning(
                "databases and retention must exist already, creating is refused: %s", error
            )
        else:
            log.info("InfluxDB is ready: databases and retention are in place")

    async def _another_try(self, error: RetryLaterError | NotAllowedError) -> bool:
        """Wait after a failure; False if the writer is stopping and this was its last attempt."""
        self._failures += 1
        self.stats.errors += 1
        self.stats.last_error = str(error)
        if not self._complained:
            self._complained = True
            log.error("InfluxDB does not accept points, they wait in the queue: %s", error)
        if self._stopping.is_set():
            return False
        asked = error.after if isinstance(error, RetryLaterError) else None
        with contextlib.suppress(TimeoutError):
            seconds = wait_seconds(self._failures, asked, self._rng)
            await asyncio.wait_for(self._stopping.wait(), seconds)
        return True
