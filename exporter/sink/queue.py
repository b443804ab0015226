"""The seam between the loop and InfluxDB: batches wait here until they are accepted.

This one keeps them in memory, bounded. A durable one takes its place behind the same contract.
"""

from __future__ import annotations

import gzip
from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from exporter.levels import RAW


class Fate(StrEnum):
    """What became of a point; produced = written + spooled + rejected + dropped at any moment."""

    PRODUCED = "produced"
    WRITTEN = "written"
    SPOOLED = "spooled"
    REJECTED = "rejected"
    DROPPED = "dropped"


@dataclass(frozen=True, slots=True)
class Batch:
    """Points on their way: gzip-compressed line protocol, how many, and when they were made.

    ``policy`` names the retention policy (1.x) or the last part of the bucket (2.x) to write to.
    """

    body: bytes
    points: int
    time: float
    policy: str = RAW


class Books:
    """Counts of points by fate."""

    def __init__(self) -> None:
        self._counts = dict.fromkeys(Fate, 0)

    def produce(self, points: int) -> None:
        """Points that were made and wait from now on."""
        self._counts[Fate.PRODUCED] += points

    def settle(self, fate: Fate, points: int) -> None:
        """Points that were waiting have met their fate."""
        self._counts[fate] += points

    @property
    def counts(self) -> dict[Fate, int]:
        """Points by fate; ``spooled`` is what waits at present, the others only grow.

        What waits is worked out of one copy, so that the sum is right for a reader in another
        thread as well.
        """
        counts = dict(self._counts)
        settled = counts[Fate.WRITTEN] + counts[Fate.REJECTED] + counts[Fate.DROPPED]
        counts[Fate.SPOOLED] = counts[Fate.PRODUCED] - settled
        return counts


class Queue(Protocol):
    """Where batches wait, oldest first. Everything put in is settled in the books exactly once."""

    books: Books

    def put(self, batch: Batch) -> None:
        """Take a batch; may drop the oldest ones to stay within its bounds."""

    def oldest(self) -> Batch | None:
        """The batch to send next; it stays in the queue until it is settled."""

    def settle(self, batch: Batch, *, written: int = 0, rejected: int = 0) -> None:
        """Remove a batch that was sent; points that are neither written nor rejected dropped."""

    @property
    def bytes(self) -> int:
        """Bytes that wait."""

    @property
    def oldest_time(self) -> float | None:
        """Unix seconds of the oldest batch that waits."""


class MemoryQueue:
    """A queue in memory of at most ``limit`` bytes; beyond it the oldest batches are dropped.

    The batch that is being sent is not dropped under the sender's hands.
    """

    def __init__(self, limit: int) -> None:
        self.books = Books()
        self._limit = limit
        self._batches: deque[Batch] = deque()
        self._sending: Batch | None = None
        self._bytes = 0

    def put(self, batch: Batch) -> None:
        """See :class:`Queue`."""
        self.books.produce(batch.points)
        self._batches.append(batch)
        self._bytes += len(batch.body)
        first = 1 if self._sending is not None else 0
        while self._bytes > self._limit and len(self._batches) > first + 1:
            dropped = self._batches[first]
            del self._batches[first]
            self._bytes -= len(dropped.body)
            self.books.settle(Fate.DROPPED, dropped.points)

    def oldest(self) -> Batch | None:
        """See :class:`Queue`."""
        self._sending = self._batches[0] if self._batches else None
        return self._sending

    def settle(self, batch: Batch, *, written: int = 0, rejected: int = 0) -> None:
        """See :class:`Queue`."""
        if batch is not self._sending:
            raise ValueError("only the batch that oldest() gave last can be settled")
        self._batches.popleft()
        self._sending = None
        self._bytes -= len(batch.body)
        self.books.settle(Fate.WRITTEN, written)
        self.books.settle(Fate.REJECTED, rejected)
        self.books.settle(Fate.DROPPED, batch.points - written - rejected)

    @property
    def bytes(self) -> int:
        """See :class:`Queue`."""
        return self._bytes

    @property
    def oldest_time(self) -> float | None:
        """See :class:`Queue`."""
        return self._batches[0].time if self._batches else None


def compress(lines: list[str], time: float, policy: str = RAW) -> Batch:
    """A batch of lines; level 1, since the next ones cost four times the CPU for a tenth less."""
    # A device can name itself with half of a surrogate pair, which has no UTF-8.
    text = "\n".join(lines).encode("utf-8", "replace")
    return Batch(gzip.compress(text, compresslevel=1), len(lines), time, policy)
