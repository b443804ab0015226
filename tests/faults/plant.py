"""A writer over a queue on disk, fed with numbered points, in the test's own event loop."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

from exporter.store.connection import Connection, token_header
from exporter.store.disk_queue import DiskQueue, Limits
from exporter.store.influx_v1 import InfluxV1
from exporter.store.influx_v2 import InfluxV2
from exporter.store.queue import Fate, Queue
from exporter.store.refused_points import RefusedPoints
from exporter.store.target import Target
from exporter.store.writer import Writer
from tests.faults.store import TOKEN, line

ENOUGH_SECONDS = 180.0
MEGABYTE = 1024 * 1024
LIMITS = Limits(disk=256 * MEGABYTE, memory=16 * MEGABYTE, age=86400.0)


async def until(condition: Callable[[], Any]) -> Any:
    """Ask again and again, in a thread since it may block; what it answers once that is true."""
    end = time.monotonic() + ENOUGH_SECONDS
    while not (found := await asyncio.to_thread(condition)):
        assert time.monotonic() < end, "waited in vain"
        await asyncio.sleep(0.05)
    return found


def target_for(url: str, api: str) -> Target:
    if api == "v2":
        headers = token_header(TOKEN)
        return InfluxV2(Connection(url, "fleet", headers, organisation="fleetscope"), "inf")
    return InfluxV1(Connection(url, "fleet"), "inf")


def balanced(counts: Mapping[Fate, int]) -> bool:
    return counts[Fate.PRODUCED] == sum(n for fate, n in counts.items() if fate != "produced")


class Plant:
    """``index`` is the number of points that were made, and the index of the next one."""

    def __init__(self, writer: Writer, index: int = 0) -> None:
        self.writer = writer
        self.index = index

    @property
    def counts(self) -> Mapping[Fate, int]:
        counts = self.writer.queue.counts
        assert not counts or (balanced(counts) and min(counts.values()) >= 0)
        return counts

    def make(self, points: int, measurement: str = "scrape", size: int = 0) -> range:
        """Points with the next indices; returns these."""
        made = range(self.index, self.index + points)
        self.index += points
        self.writer.add([line(index, measurement, size) for index in made])
        return made

    async def trickle(self, points: int) -> range:
        """Points with time between them, so that they become several batches."""
        first = self.index
        for _ in range(points):
            self.make(1)
            await asyncio.sleep(0.02)
        return range(first, self.index)

    async def put_down(self) -> None:
        """Wait until everything that was made is in the queue."""
        await until(lambda: self.counts)
        await self.writer.flush()

    async def sent(self) -> None:
        """Wait until nothing waits."""
        await self.put_down()
        await until(lambda: self.counts and self.counts[Fate.SPOOLED] == 0)


@contextlib.asynccontextmanager
async def plant(
    url: str,
    folder: Path,
    *,
    api: str = "v1",
    index: int = 0,
    limits: Limits = LIMITS,
    queue: Queue | None = None,
    drain: float = 1e9,
) -> AsyncIterator[Plant]:
    queue = queue or DiskQueue(folder / "queue", limits, time.time)
    rejects = RefusedPoints(folder / "queue", time.time)
    writer = Writer(target_for(url, api), queue, time.time, random.Random(1), rejects, drain)
    writer.start()
    running = Plant(writer, index)
    try:
        yield running
    finally:
        await writer.stop()
