"""The process that rolls up: reading, numpy and text take seconds that the poll loop has not."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from exporter.history.rollups.due import Found, Task
    from exporter.history.rollups.source import Connection, Source
    from exporter.store.queue import Batch

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Result:
    """Batches of a task, and how many values they were made of."""

    batches: list[Batch]
    values: int


class Worker:
    """One process at low priority, started at the first task and again if it dies."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._pool: ProcessPoolExecutor | None = None

    async def run(self, task: Task, time: float) -> Result:
        """Roll up. Raises NoAnswerError, or BrokenProcessPool if the process died."""
        return await self._call(_run, task, time)

    async def compare(
        self, start_ms: int, stop_ms: int, now_ms: int, kept_from_ms: Mapping[str, int]
    ) -> list[Task]:
        """Tasks for the days of a range in which full detail holds more than was rolled up."""
        return await self._call(_stale, start_ms, stop_ms, now_ms, kept_from_ms)

    async def kept_from(self, now_ms: int) -> dict[str, int]:
        """See :func:`exporter.history.rollups.due.kept_from`."""
        return await self._call(_kept_from, now_ms)

    def close(self) -> None:
        """End the process; what it is at is thrown away."""
        if self._pool is not None:
            processes = list((self._pool._processes or {}).values())
            self._pool.shutdown(wait=False, cancel_futures=True)
            for process in processes:
                process.terminate()
                process.join(5)
            self._pool = None

    async def _call(self, function: Callable[..., T], *arguments: object) -> T:
        if self._pool is None:
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(1, mp_context=context, initializer=_begin)
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._pool, function, self._connection, *arguments)
        except BrokenProcessPool:
            self._pool = None
            raise


_source: Source | None = None


def _begin() -> None:
    # Ctrl-C reaches the whole group; the service ends this process by itself.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(10)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _connected(connection: Connection) -> Source:
    from exporter.history.rollups.source import Source

    global _source  # noqa: PLW0603 - one connection for the life of the process
    if _source is None:
        _source = Source(connection)
    return _source


def _run(connection: Connection, task: Task, time: float) -> Result:
    from exporter.history.rollups.compute import Work, batches

    work = Work()
    made = list(batches(_connected(connection), task, time, work))
    return Result(made, work.values)


def _stale(
    connection: Connection,
    start_ms: int,
    stop_ms: int,
    now_ms: int,
    kept_from_ms: Mapping[str, int],
) -> list[Task]:
    from exporter.history.rollups.due import compare, task_of, with_next

    source = _connected(connection)
    found: Found = compare(source, start_ms, stop_ms, kept_from_ms)
    return [task_of(d, now_ms, kept_from_ms) for d in with_next(source, found.stale, now_ms)]


def _kept_from(connection: Connection, now_ms: int) -> dict[str, int]:
    from exporter.history.rollups.due import kept_from

    return kept_from(_connected(connection), now_ms)
