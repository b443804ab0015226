"""Rolling up in a process: reading, numpy and text take seconds that the poll loop has not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from exporter.model.workers import WorkerProcess

if TYPE_CHECKING:
    from exporter.history.rollups.due import Found, Task
    from exporter.history.rollups.source import Source
    from exporter.store.connection import Connection
    from exporter.store.queue import Batch


@dataclass(frozen=True, slots=True)
class Result:
    """Batches of a task, and how many values they were made of."""

    batches: list[Batch]
    values: int


class RollupProcess:
    """Rolls up in a process at low priority, started at the first task and again if it died.

    Every method raises NoAnswerError, or BrokenProcessPool if the process died.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._process = WorkerProcess()

    async def run(self, task: Task, time: float) -> Result:
        """Roll up; ``time`` is that of the batches, Unix seconds."""
        return await self._process.run(_run, self._connection, task, time)

    async def compare(
        self, start_ms: int, stop_ms: int, now_ms: int, kept_from_ms: Mapping[str, int]
    ) -> list[Task]:
        """Tasks for the days of a range in which full detail holds more than was rolled up."""
        return await self._process.run(
            _stale, self._connection, start_ms, stop_ms, now_ms, kept_from_ms
        )

    async def kept_from(self, now_ms: int) -> dict[str, int]:
        """See :func:`exporter.history.rollups.due.kept_from`."""
        return await self._process.run(_kept_from, self._connection, now_ms)

    def close(self) -> None:
        """See :meth:`exporter.model.workers.WorkerProcess.close`."""
        self._process.close()


_source: Source | None = None


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
