"""Roll-ups beside the poll loop, with a real server and the real process."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from exporter.history.rollups.due import HOUR_MS
from exporter.history.rollups.live import LiveRollups
from exporter.history.rollups.rollup_process import RollupProcess
from exporter.history.rollups.source import DAY_MS, Source
from exporter.store.connection import Connection
from exporter.store.influx import NoAnswerError
from exporter.store.queue import Fate, MemoryQueue, compress
from exporter.store.writer import Writer
from tests.store.test_influx_targets import Server

pytestmark = pytest.mark.stack

MINUTE = 60_000
NOON = (int(time.time() * 1000) // DAY_MS - 3) * DAY_MS + 12 * HOUR_MS


@dataclass
class Running:
    """A writer and roll-ups with a clock of the test's own."""

    server: Server
    writer: Writer
    rollups: LiveRollups
    worker: RollupProcess
    clock: list[float]

    async def write(self, *lines: str, made: float | None = None) -> None:
        self.writer.put(compress(list(lines), self.clock[0] if made is None else made))
        await self.drained()

    async def drained(self) -> None:
        await self.writer.flush()
        for _ in range(3600):
            counts = self.writer.queue.counts
            if counts[Fate.WRITTEN] == counts[Fate.PRODUCED]:
                return
            await asyncio.sleep(0.05)
        raise AssertionError(f"not written: {self.writer.stats.last_error}")

    async def turn(self, at_ms: int) -> None:
        self.clock[0] = at_ms / 1000 + 20
        await self.rollups.turn()
        await self.drained()

    async def highest(self, level: str, site: str) -> dict[int, float]:
        source = Source(Connection(self.server.url, "fleet", self.server.headers))
        try:
            return {
                int(row[0]): row[1]
                for part in source.ask(
                    f'SELECT grid_power_w_max FROM "{level}"."site" WHERE "site" = \'{site}\''
                )
                for row in part.rows
            }
        finally:
            source.close()


def start(server: Server, site: str) -> Running:
    clock = [NOON / 1000]
    queue = MemoryQueue(10**7)
    writer = Writer(server.target(), queue, lambda: clock[0], random.Random(1))
    worker = RollupProcess(Connection(server.url, "fleet", server.headers))
    live = LiveRollups(worker, writer, lambda: [site], lambda: clock[0])
    return Running(server, writer, live, worker, clock)


@pytest.fixture
async def running(server: Server) -> AsyncIterator[Running]:
    made = start(server, "live")
    target = server.target()
    await target.prepare()
    await target.close()
    made.writer.start()
    yield made
    await made.rollups.stop()
    await made.writer.stop()


async def test_windows_follow_and_late_data_and_a_restart_change_nothing_but_the_truth(
    running: Running,
) -> None:
    def point(minute: float, value: float, site: str = "live") -> str:
        return f"site,site={site} grid_power_w={value} {NOON + round(minute * MINUTE)}"

    await running.write(*(point(m, 100.0 + m) for m in range(8)))
    await running.turn(NOON + 8 * MINUTE)
    assert await running.highest("rollup_5m", "live") == {NOON: 104, NOON + 5 * MINUTE: 107}
    # The hour and the day are there while they last, so that no plot ends early.
    assert await running.highest("rollup_1h", "live") == {NOON: 107}
    assert await running.highest("rollup_1d", "live") == {NOON - 12 * HOUR_MS: 107}

    await running.write(*(point(m, 100.0 + m) for m in range(8, 70)))
    await running.turn(NOON + 70 * MINUTE)
    assert (await running.highest("rollup_1h", "live"))[NOON] == 159
    assert (await running.highest("rollup_1d", "live"))[NOON - 12 * HOUR_MS] == 169

    # A batch that waited in the queue for five hours, and a site that is not polled here.
    await running.write(*(point(m, 100.0 + m) for m in range(70, 360)))
    await running.turn(NOON + 360 * MINUTE)
    late = NOON / 1000 + 1200
    await running.write(point(20.5, 9000.5), point(20.5, 7.0, "other"), made=late)
    await running.turn(NOON + 371 * MINUTE)
    assert (await running.highest("rollup_5m", "live"))[NOON + 20 * MINUTE] == 9000.5
    assert (await running.highest("rollup_1d", "live"))[NOON - 12 * HOUR_MS] == 9000.5
    assert await running.highest("rollup_1h", "other") == {NOON: 7.0}
    assert running.rollups.stats.late_days >= 2

    # After a crash, what was written since the last roll-up is found by comparing.
    await running.write(point(372, 20_000.0))
    again = start(running.server, "live")
    again.writer.start()
    try:
        await again.turn(NOON + DAY_MS)
        assert (await again.highest("rollup_15m", "live"))[NOON + 360 * MINUTE] == 20_000
        assert (await again.highest("rollup_1d", "live"))[NOON - 12 * HOUR_MS] == 20_000
    finally:
        await again.rollups.stop()
        await again.writer.stop()


async def test_points_that_a_node_sends_late_are_counted_in_their_own_time(
    running: Running,
) -> None:
    """They come in a fresh batch, which says nothing of how old they are."""

    def point(minute: float, value: float) -> str:
        return f"site,site=late grid_power_w={value} {NOON + round(minute * MINUTE)}"

    await running.write(*(point(m, 100.0) for m in range(8)))
    await running.turn(NOON + 8 * MINUTE)
    await running.write(*(point(m, 100.0) for m in range(8, 300)))
    await running.turn(NOON + 300 * MINUTE)
    assert (await running.highest("rollup_1h", "late"))[NOON] == 100
    running.rollups.note_late((NOON + 20 * MINUTE) / 1000)
    await running.write(point(20.5, 777.0))
    await running.turn(NOON + 310 * MINUTE)
    assert (await running.highest("rollup_5m", "late"))[NOON + 20 * MINUTE] == 777
    assert (await running.highest("rollup_1h", "late"))[NOON] == 777
    assert (await running.highest("rollup_1d", "late"))[NOON - 12 * HOUR_MS] == 777


async def test_a_process_that_dies_is_started_again(running: Running) -> None:
    await running.turn(NOON)
    pool = running.worker._process._pool
    assert pool is not None
    (pid,) = pool._processes
    os.kill(pid, 9)
    with pytest.raises(Exception, match="terminated abruptly"):
        await running.turn(NOON + HOUR_MS)
    await running.turn(NOON + HOUR_MS)
    assert running.rollups.stats.turns == 2


async def test_a_server_that_is_away_is_an_error_with_its_address() -> None:
    worker = RollupProcess(Connection("http://127.0.0.1:9", "fleet", {}))
    try:
        with pytest.raises(NoAnswerError, match=r"http://127\.0\.0\.1:9/query"):
            await worker.kept_from(NOON)
    finally:
        worker.close()
