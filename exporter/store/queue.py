"""The queue between the poll loop and InfluxDB, which keeps batches until they are accepted.

:class:`MemoryQueue` keeps them in memory, bounded; :class:`exporter.store.disk_queue.DiskQueue`
on disk. Every point put in is settled in the ledger exactly once.
"""

from __future__ import annotations

import gzip
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum, StrEnum
from typing import Literal, Protocol

from exporter.model.compression import gzip_bytes
from exporter.model.levels import RAW

DropOrder = Literal["cells-first", "oldest"]
# Points by the minute of their stamp (Unix time / 60 s) and by what they are; see `subject`.
Census = Mapping[tuple[int, str], int]

CELLS_PREFIX = "cell,"
# Characters of a line that tell its measurement, nearly always, and those of its stamp.
_HEAD, _END = 8, 13


class Fate(StrEnum):
    """What became of a point; produced = written + spooled + rejected + dropped at any moment."""

    PRODUCED = "produced"
    WRITTEN = "written"
    SPOOLED = "spooled"
    REJECTED = "rejected"
    DROPPED = "dropped"


class Kind(IntEnum):
    """What a batch holds: single cells, of which there are most, or everything else."""

    CELLS = 0
    REST = 1


@dataclass(frozen=True, slots=True)
class Batch:
    """Points on their way: gzip-compressed line protocol, how many, and when they were made.

    ``policy`` names the retention policy (1.x) or the last part of the bucket (2.x) to write to.
    ``number`` is given by the queue, from 1 upwards in the order of time; 0 before.
    """

    body: bytes
    points: int
    time: float
    policy: str = RAW
    kind: Kind = Kind.REST
    census: Census = field(default_factory=dict)
    number: int = 0


@dataclass(frozen=True, slots=True)
class Block:
    """Lines of single cells that share a stamp (milliseconds), as they are written: divided by line
    feeds, without one at the end."""

    text: bytes
    points: int
    stamp: int


@dataclass
class Ledger:
    """Counts of points by fate, and the same by minute and subject."""

    counts: Counter[Fate] = field(default_factory=Counter)
    by_minute: Counter[tuple[int, str, Fate]] = field(default_factory=Counter)

    def note(self, fate: Fate, points: int, census: Census) -> None:
        """Count points that were produced, written, rejected or dropped."""
        self.counts[fate] += points
        for (minute, what), count in census.items():
            self.by_minute[minute, what, fate] += count

    def settle(self, batch: Batch, rejected: Census) -> None:
        """Count the points of a batch as written, except those that were rejected."""
        bad = sum(rejected.values())
        self.note(Fate.WRITTEN, batch.points - bad, _less(batch.census, rejected))
        self.note(Fate.REJECTED, bad, rejected)

    def add(self, other: Ledger) -> None:
        """Add another ledger."""
        self.counts.update(other.counts)
        self.by_minute.update(other.by_minute)

    def __bool__(self) -> bool:
        return any(self.counts.values())


def balanced(counts: Mapping[Fate, int]) -> dict[Fate, int]:
    """Counts by every fate, with ``spooled`` computed from the others."""
    settled = sum(counts.get(f, 0) for f in (Fate.WRITTEN, Fate.REJECTED, Fate.DROPPED))
    every = {fate: counts.get(fate, 0) for fate in Fate}
    return every | {Fate.SPOOLED: every[Fate.PRODUCED] - settled}


def _less(census: Census, part: Census) -> Census:
    if not part:
        return census
    return {key: count - part.get(key, 0) for key, count in census.items()}


class Queue(Protocol):
    """Where batches wait. Called from the event loop only; a reader of counts may be elsewhere."""

    in_flight: set[int]
    """Numbers of batches that are being sent: not given out again, and never dropped."""

    async def open(self) -> None:
        """Read what an earlier run left; before that, there are neither counts nor batches."""

    async def put(self, batches: Sequence[Batch]) -> list[Batch]:
        """Take batches, and the notes of those settled; returns them with their numbers.

        When it returns they are as safe as they can be made now. May drop others, in their order,
        to stay within the limits.
        """

    async def oldest(self, after: int, most: int) -> list[Batch]:
        """Waiting batches that are not in flight, oldest first, with numbers above ``after``.

        At most ``most`` bytes together, and at least one batch if there is any.
        """

    def settle(self, batch: Batch, rejected: Census | None = None) -> None:
        """Remove a batch that was accepted, except the points that were rejected."""

    async def close(self) -> int:
        """End; returns the number of points that wait and are not kept for the next run."""

    @property
    def counts(self) -> Mapping[Fate, int]:
        """Points by fate; empty before it is known what an earlier run has left."""

    @property
    def bytes(self) -> int:
        """Compressed bytes that wait."""

    @property
    def limit(self) -> int:
        """Bytes beyond which batches are dropped."""

    @property
    def memory(self) -> int:
        """Bytes that may be held in memory."""

    @property
    def oldest_time(self) -> float | None:
        """Unix seconds of the oldest batch that waits."""

    @property
    def durable(self) -> bool | None:
        """Whether what waits is on disk; None for a queue that is not meant to be."""


def victims(waiting: Iterable[Batch], order: DropOrder) -> list[Batch]:
    """Batches in the order in which they are dropped."""
    first = sorted(waiting, key=lambda batch: batch.number)
    return first if order == "oldest" else sorted(first, key=lambda batch: batch.kind)


class MemoryQueue:
    """A queue in memory of at most ``limit`` bytes; beyond it batches are dropped in their order.

    Those that are in hand are not dropped, and new ones get their chance.
    """

    durable = None

    def __init__(self, limit: int, order: DropOrder = "cells-first") -> None:
        self.in_flight: set[int] = set()
        self.limit = limit
        self._order = order
        self._ledger = Ledger()
        self._batches: dict[int, Batch] = {}
        self._bytes = 0
        self._last = 0

    async def open(self) -> None:
        """See :class:`Queue`."""

    async def put(self, batches: Sequence[Batch]) -> list[Batch]:
        """See :class:`Queue`."""
        numbered, before = [], self._last
        for batch in batches:
            self._last += 1
            numbered.append(replace(batch, number=self._last))
            self._batches[self._last] = numbered[-1]
            self._bytes += len(batch.body)
            self._ledger.note(Fate.PRODUCED, batch.points, batch.census)
        if self._bytes > self.limit:
            for batch in victims(self._batches.values(), self._order):
                if self._bytes <= self.limit:
                    break
                if batch.number not in self.in_flight and batch.number <= before:
                    self._remove(batch)
                    self._ledger.note(Fate.DROPPED, batch.points, batch.census)
        return numbered

    async def oldest(self, after: int, most: int) -> list[Batch]:
        """See :class:`Queue`."""
        return oldest_of(self._batches, after, most, self.in_flight)

    def settle(self, batch: Batch, rejected: Census | None = None) -> None:
        """See :class:`Queue`."""
        self._remove(batch)
        self._ledger.settle(batch, rejected or {})
        self._ledger.by_minute.clear()

    async def close(self) -> int:
        """See :class:`Queue`."""
        left = balanced(self._ledger.counts)[Fate.SPOOLED]
        self._ledger.note(Fate.DROPPED, left, {})
        self._batches.clear()
        self._bytes = 0
        return left

    def _remove(self, batch: Batch) -> None:
        del self._batches[batch.number]
        self._bytes -= len(batch.body)

    @property
    def counts(self) -> Mapping[Fate, int]:
        """See :class:`Queue`."""
        return balanced(self._ledger.counts)

    @property
    def bytes(self) -> int:
        """See :class:`Queue`."""
        return self._bytes

    @property
    def memory(self) -> int:
        """See :class:`Queue`."""
        return self.limit

    @property
    def oldest_time(self) -> float | None:
        """See :class:`Queue`."""
        return next((batch.time for batch in list(self._batches.values())), None)


def oldest_of(
    batches: Mapping[int, Batch], after: int, most: int, skip: Collection[int]
) -> list[Batch]:
    """As :meth:`Queue.oldest`, of batches in memory."""
    found: list[Batch] = []
    size = 0
    for number in sorted(batches):
        if number > after and number not in skip:
            size += len(batches[number].body)
            if found and size > most:
                break
            found.append(batches[number])
    return found


def subject(line: str) -> str:
    """What a line is counted under: its measurement.

    Lines of one measurement that hold other fields and can have the same stamp are kept apart,
    since InfluxDB makes one point of the two.
    """
    measurement = line.partition(",")[0]
    return "site/pv_expected_w" if " pv_expected_w=" in line else measurement


def census(lines: Sequence[str], policy: str = RAW) -> Census:
    """Points by minute and subject, which begins with the policy unless that is ``raw``.

    Stamps are in milliseconds, at the end of each line.
    """
    if lines and lines[0].startswith(CELLS_PREFIX):
        # Slices are counted in C: a large fleet has half a million cells a second.
        found = Counter([("cell", line[-_END:]) for line in lines])
    else:
        found = _subjects(lines)
    minutes: Counter[tuple[int, str]] = Counter()
    begin = "" if policy == RAW else f"{policy}/"
    for (what, end), count in found.items():
        stamp = end.rpartition(" ")[2]
        minutes[int(stamp) // 60_000 if stamp.isdecimal() else 0, begin + what] += count
    return dict(minutes)


def _subjects(lines: Sequence[str]) -> Counter[tuple[str, str]]:
    """Lines by subject and by the end of their stamp.

    Most measurements end within the first characters, which with the stamp make one key for many
    lines. Those that do not, and ``site``, are looked at line by line.
    """
    found: Counter[tuple[str, str]] = Counter()
    others = set()
    for key, count in Counter([line[:_HEAD] + line[-_END:] for line in lines]).items():
        head, end = key[:_HEAD], key[_HEAD:]
        if "," in head and len(end) == _END and not head.startswith("site,"):
            found[head.partition(",")[0], end] += count
        else:
            others.add(key)
    if others:
        left = [line for line in lines if line[:_HEAD] + line[-_END:] in others]
        found.update([(subject(line), line[-_END:]) for line in left])
    return found


def compress(lines: Sequence[str], time: float, policy: str = RAW) -> Batch:
    """A batch of lines."""
    # A device can name itself with half of a surrogate pair, which has no UTF-8.
    text = "\n".join(lines).encode("utf-8", "replace")
    cells = policy == RAW and lines[0].startswith(CELLS_PREFIX)
    return Batch(
        gzip_bytes(text),
        len(lines),
        time,
        policy,
        Kind.CELLS if cells else Kind.REST,
        census(lines, policy),
    )


def pack(lines: Sequence[str], time: float, most: int) -> list[Batch]:
    """Batches of at most ``most`` lines, single cells apart from the rest."""
    cells = [line for line in lines if line.startswith(CELLS_PREFIX)]
    rest = [line for line in lines if not line.startswith(CELLS_PREFIX)] if cells else lines
    return [
        compress(part[start : start + most], time)
        for part in (rest, cells)
        for start in range(0, len(part), most)
    ]


def pack_blocks(blocks: Sequence[Block], time: float, most: int) -> list[Batch]:
    """Batches of whole blocks with at most ``most`` lines, or of one block."""
    batches: list[Batch] = []
    first, points = 0, 0
    for place, block in enumerate(blocks):
        if points and points + block.points > most:
            batches.append(_compress_blocks(blocks[first:place], time))
            first, points = place, 0
        points += block.points
    if blocks:
        batches.append(_compress_blocks(blocks[first:], time))
    return batches


def _compress_blocks(blocks: Sequence[Block], time: float) -> Batch:
    minutes: Counter[tuple[int, str]] = Counter()
    for block in blocks:
        minutes[block.stamp // 60_000, "cell"] += block.points
    return Batch(
        gzip_bytes(b"\n".join([block.text for block in blocks])),
        sum(block.points for block in blocks),
        time,
        RAW,
        Kind.CELLS,
        dict(minutes),
    )


def unpack(body: bytes) -> list[str]:
    """The lines of a batch."""
    return gzip.decompress(body).decode("utf-8").split("\n")
