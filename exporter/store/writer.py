"""Gathers lines into batches, queues them within a second, and has them sent."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Callable

from exporter.config.settings import Settings
from exporter.store.disk_queue import DiskQueue, Limits
from exporter.store.influx import target_of
from exporter.store.queue import Batch, Block, MemoryQueue, Queue, pack, pack_blocks
from exporter.store.queue_folder import QueueInUseError
from exporter.store.refused_points import RefusedPoints
from exporter.store.sender import Sender, WriterStats
from exporter.store.target import Target

log = logging.getLogger(__name__)

# What was gathered is put down this soon after its first line, so that a kill takes little; large
# fleets, where that is dear, gather for longer.
SOON_SECONDS = 0.01
GAP_SECONDS = 0.5
GAP_FOR_COST = 4.0
FLUSH_SECONDS = 1.0
LINES_PER_BATCH = 5000
STOP_SECONDS = 3.0
DRAIN_BYTES = 4e6


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
    rejects : RefusedPoints, optional
        Where points that InfluxDB refuses are kept.
    drain_bytes : float
        Most compressed bytes of the backlog that are sent a second, besides fresh batches.
    """

    def __init__(
        self,
        target: Target,
        queue: Queue,
        wall_clock: Callable[[], float],
        rng: random.Random,
        rejects: RefusedPoints | None = None,
        drain_bytes: float = DRAIN_BYTES,
    ) -> None:
        self.queue = queue
        self._target = target
        self._wall_clock = wall_clock
        rejects = rejects or RefusedPoints(None, wall_clock)
        self._sender = Sender(target, queue, rejects, rng, drain_bytes)
        self._lines: list[str] = []
        self._blocks: list[Block] = []
        self._made: list[Batch] = []
        self._gathered = asyncio.Event()
        self._flushing = asyncio.Lock()
        self._stopping = asyncio.Event()
        self._work: asyncio.Task[None] | None = None

    @property
    def stats(self) -> WriterStats:
        """Counters of what is sent."""
        return self._sender.stats

    def start(self) -> None:
        """Start sending; must be called inside the event loop."""
        self._work = asyncio.create_task(self._run())

    def add(self, lines: list[str]) -> None:
        """Take lines to write; never blocks and never raises."""
        if lines:
            self._lines += lines
            self._gathered.set()

    def add_blocks(self, blocks: list[Block]) -> None:
        """Take rows of cells to write; never blocks and never raises."""
        if blocks:
            self._blocks += blocks
            self._gathered.set()

    def put(self, batch: Batch) -> None:
        """Put a batch that is made already into the queue, with what is gathered now."""
        self._made.append(batch)
        self._gathered.set()

    def take_oldest_written(self) -> float:
        """Unix seconds of the oldest batch of full detail that was written since the last call,
        infinite where none was: what came late has roll-ups to be made again."""
        return self._sender.take_oldest_written()

    @property
    def gathering(self) -> int:
        """Lines that are not in a batch yet."""
        return len(self._lines) + sum(block.points for block in self._blocks)

    async def flush(self) -> None:
        """Put what has been gathered into the queue, with the notes of what was sent."""
        async with self._flushing:
            self._gathered.clear()
            lines, self._lines = self._lines, []
            blocks, self._blocks = self._blocks, []
            made, self._made = self._made, []
            batches = []
            if lines or blocks:
                now = self._wall_clock()
                batches = await asyncio.to_thread(_batches, lines, blocks, now)
            batches += made
            self._sender.offer(await self.queue.put(batches))

    async def stop(self) -> int:
        """Send what waits, for three seconds at most; returns the number of points that are lost.

        A wait is cut short for one more attempt; the first one that fails then is the last.
        """
        self._stopping.set()
        self._gathered.set()
        if self._work is not None:
            await self._work
        await self.flush()
        await self._sender.finish(STOP_SECONDS)
        await self._target.close()
        left = await self.queue.close()
        if left:
            log.error("stopped with %d points that InfluxDB has not accepted; dropped", left)
        return left

    async def _run(self) -> None:
        await self.queue.open()
        self._sender.start()
        loop = asyncio.get_running_loop()
        ended, took = loop.time(), 0.0
        while not self._stopping.is_set():
            await self._wait(self._gathered, ended + FLUSH_SECONDS - loop.time())
            if self._gathered.is_set():
                gap = min(max(GAP_SECONDS, GAP_FOR_COST * took), FLUSH_SECONDS)
                soon = min(SOON_SECONDS, FLUSH_SECONDS)
                await self._wait(self._stopping, max(soon, ended + gap - loop.time()))
            started = loop.time()
            try:
                await self.flush()
            except Exception:
                log.exception("what was gathered could not be put into the queue")
            ended = loop.time()
            took = ended - started

    @staticmethod
    async def _wait(event: asyncio.Event, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(event.wait(), max(seconds, 0.0))


def _batches(lines: list[str], blocks: list[Block], time: float) -> list[Batch]:
    return pack(lines, time, LINES_PER_BATCH) + pack_blocks(blocks, time, LINES_PER_BATCH)


def writer_of(settings: Settings, rng: random.Random) -> Writer | None:
    """The writer, or None where nothing is to be stored.

    Raises
    ------
    SystemExit
        Another exporter has the queue.
    """
    if settings.influxdb_url is None:
        log.warning("FLEETSCOPE_INFLUXDB_URL is not set: readings are scored but not stored")
        return None
    target = target_of(settings)
    folder = settings.queue_dir
    memory = settings.queue_megabytes * 1024 * 1024
    queue: Queue
    if folder is None:
        queue = MemoryQueue(memory, settings.queue_policy)
    else:
        limits = Limits(
            disk=settings.queue_disk_megabytes * 1024 * 1024,
            memory=memory,
            age=settings.queue_hours * 3600.0,
            order=settings.queue_policy,
        )
        try:
            queue = DiskQueue(folder, limits, time.time)
        except QueueInUseError as error:
            raise SystemExit(f"fleetscope: {error}") from error
    rejects = RefusedPoints(folder, time.time)
    return Writer(target, queue, time.time, rng, rejects, settings.queue_drain_megabytes * 1e6)
