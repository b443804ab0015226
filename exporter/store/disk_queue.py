"""A queue on disk that continues in memory while the disk is full, read-only, broken or slow."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from exporter.store.queue import (
    Batch,
    Census,
    DropOrder,
    Fate,
    Ledger,
    balanced,
    oldest_of,
    victims,
)
from exporter.store.queue_file import FILE, DamagedError, State, Store, Transaction
from exporter.store.queue_folder import (
    RESERVE_BYTES,
    FolderLock,
    QueueInUseError,
    keep_reserve,
    use_reserve,
)
from exporter.store.queue_recovery import repair

log = logging.getLogger(__name__)

T = TypeVar("T")

# A slower disk is not waited for; batches are sent from memory meanwhile.
PATIENCE_SECONDS = 2.0
RETRY_SECONDS = 2.0
OPEN_SECONDS = 10.0
CLOSE_SECONDS = 5.0
REMIND_SECONDS = 60.0
RESERVE_SECONDS = 10.0
# More than this is not put into one transaction, so that its log stays small.
TRANSACTION_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """How much may wait.

    Attributes
    ----------
    disk, memory : int
        Bytes on disk, and in memory while the disk cannot be written.
    age : float
        Seconds.
    order : str
        Which batches are dropped first.
    """

    disk: int
    memory: int
    age: float
    order: DropOrder = "cells-first"


class DiskQueue:
    """See :class:`exporter.store.queue.Queue`.

    A batch is in memory until a commit has stored it, and while it is in flight.
    All work on the file is done by one thread; the event loop never waits for a disk.

    Parameters
    ----------
    folder : Path
    limits : Limits
    wall_clock : callable
        Unix seconds.

    Raises
    ------
    QueueInUseError
        Another exporter has the folder.
    """

    def __init__(self, folder: Path, limits: Limits, wall_clock: Callable[[], float]) -> None:
        self.in_flight: set[int] = set()
        self._folder = folder
        self._limits = limits
        self._wall_clock = wall_clock
        self._started = wall_clock() - time.monotonic()
        self._folder_lock = FolderLock(folder)
        self._thread = ThreadPoolExecutor(1, "queue")
        self._store: Store | None = None
        self._state: State | None = None
        self._last = 0
        # Not on disk yet, and of these what a transaction under way puts there.
        self._held: dict[int, Batch] = {}
        self._storing: frozenset[int] = frozenset()
        # Being stored by `put`, whose caller gets them and has them in flight.
        self._arriving: set[int] = set()
        # Settled, and still on disk or about to be.
        self._settled: dict[int, Batch] = {}
        self._held_bytes = self._settled_bytes = 0
        # Notes that are not on disk yet, and those in the transaction under way. A batch counts
        # as produced there together with its record, or once it is settled without one.
        self._notes = Ledger()
        self._moving = Ledger()
        self._dropped, self._dropped_reported = 0, float("-inf")
        self._reserve_at = 0.0
        self._full = False
        self._failing = False
        # The file was removed under this process, which alone can still read it.
        self._homeless = False
        self._most = TRANSACTION_BYTES
        self._next_try = 0.0
        self._turn = asyncio.Lock()
        self._work: asyncio.Task[None] | None = None
        self._counts: Mapping[Fate, int] = {}
        try:
            self._folder_lock.take()
        except OSError as error:
            self._complain(error)

    async def open(self) -> None:
        """See :class:`exporter.store.queue.Queue`."""
        self._next_try = 0.0
        await self._commit(OPEN_SECONDS)

    async def put(self, batches: Sequence[Batch]) -> list[Batch]:
        """See :class:`exporter.store.queue.Queue`."""
        numbered: list[Batch] = []
        for batch in batches:
            # By the clock, so that numbers rise from run to run even while the file cannot be read.
            self._last = max(self._last + 1, int(self._wall_clock() * 1000))
            numbered.append(replace(batch, number=self._last))
            self._held[self._last] = numbered[-1]
            self._held_bytes += len(batch.body)
        if self._held_bytes > self._limits.memory:
            self._drop_held({batch.number for batch in numbered})
        if self._held or self._settled or self._notes or self._failing:
            self._arriving = {batch.number for batch in numbered}
            try:
                await self._commit(PATIENCE_SECONDS)
            finally:
                self._arriving = set()
        return numbered

    def _drop_held(self, spare: set[int]) -> None:
        """Stay within the memory that is allowed while the disk takes nothing."""
        for batch in victims(self._held.values(), self._limits.order):
            if self._held_bytes <= self._limits.memory:
                return
            if batch.number not in self.in_flight | spare | self._storing:
                self._let_go(batch)
                self._notes.note(Fate.PRODUCED, batch.points, batch.census)
                self._notes.note(Fate.DROPPED, batch.points, batch.census)

    def _let_go(self, batch: Batch) -> None:
        del self._held[batch.number]
        self._held_bytes -= len(batch.body)

    def _forget(self, batch: Batch) -> None:
        del self._settled[batch.number]
        self._settled_bytes -= len(batch.body)

    async def oldest(self, after: int, most: int) -> list[Batch]:
        """See :class:`exporter.store.queue.Queue`."""
        found: list[Batch] = []
        async with self._turn:
            if self._store is not None and self._state and self._state.oldest is not None:
                found = await self._read(self._store, after, most)
        # What was settled or taken meanwhile must not be given out as it was read before.
        gone = self.in_flight | self._settled.keys() | self._arriving
        on_disk = {batch.number: batch for batch in found if batch.number not in gone}
        return oldest_of(on_disk | self._held, after, most, gone)

    async def _read(self, store: Store, after: int, most: int) -> list[Batch]:
        skip = self.in_flight | self._settled.keys() | self._held.keys()
        try:
            found, damaged = await self._in_thread(store.oldest, after, most, skip)
            if damaged:
                log.error("%d records of the queue are damaged and dropped", len(damaged))
                self._state = await self._in_thread(store.discard, damaged)
        except DamagedError as error:
            await self._repair(error)
            return []
        except (sqlite3.Error, OSError) as error:
            self._complain(error)
            return []
        self._publish()
        return found

    def settle(self, batch: Batch, rejected: Census | None = None) -> None:
        """See :class:`exporter.store.queue.Queue`."""
        if batch.number in self._held and batch.number not in self._storing:
            self._let_go(batch)
            self._notes.note(Fate.PRODUCED, batch.points, batch.census)
        else:
            self._settled[batch.number] = batch
            self._settled_bytes += len(batch.body)
        self._notes.settle(batch, rejected or {})
        if self._failing:
            self._publish()

    async def close(self) -> int:
        """See :class:`exporter.store.queue.Queue`."""
        for _ in range(2):
            # The first may have been under way already, without what was settled last.
            self._next_try = 0.0
            if self._held or self._settled or self._notes:
                await self._commit(CLOSE_SECONDS)
        if self._work is None or self._work.done():
            if self._store is not None:
                await self._in_thread(self._store.close)
            self._folder_lock.release()
        self._thread.shutdown(wait=False, cancel_futures=True)
        if self._homeless:
            return self._counts[Fate.SPOOLED]
        return sum(batch.points for batch in self._held.values())

    async def _commit(self, patience: float) -> None:
        """Store what is only in memory; after ``patience`` seconds stop waiting, not working."""
        if self._work is not None and not self._work.done():
            patience = 0.0 if self._failing else patience
        elif time.monotonic() < self._next_try:
            self._publish()
            return
        else:
            self._work = asyncio.create_task(self._store_all())
        done, _ = await asyncio.wait({self._work}, timeout=patience)
        if not done:
            self._complain(TimeoutError(f"no answer within {patience:g} s"))
        elif (fault := self._work.exception()) is not None:
            log.error("the queue failed unexpectedly", exc_info=fault)

    async def _store_all(self) -> None:
        async with self._turn:
            try:
                if self._store is None:
                    await self._open_store()
                elif not await self._in_thread(self._store.in_place):
                    await self._put_in_place(self._store)
                await self._store_some()
            except DamagedError as error:
                await self._repair(error)
            except (QueueInUseError, sqlite3.Error, OSError) as error:
                self._complain(error)

    async def _open_store(self) -> None:
        self._folder_lock.take()
        path = self._folder / FILE
        store = Store(path, self._limits.disk, self._limits.age, self._limits.order)
        first, self._state = self._state is None, await self._in_thread(store.open)
        self._store = store
        self._last = max(self._last, self._state.last)
        waiting = balanced(self._state.counts)[Fate.SPOOLED]
        if first and waiting:
            log.info("%d points wait in the queue from before", waiting)

    async def _put_in_place(self, store: Store) -> None:
        """Recreate the folder and the file with all that the removed ones held."""
        if not self._homeless:
            log.error("%s was removed; recreating it with what waits", self._folder)
        self._homeless = True
        self._folder_lock.take()
        await self._in_thread(store.copy)
        self._homeless, self._store, self._reserve_at = False, None, 0.0
        await self._in_thread(store.close)
        await self._open_store()

    async def _store_some(self) -> None:
        batches: list[Batch] = []
        size = 0
        for batch in self._held.values():
            size += len(batch.body)
            if batches and size > self._most:
                break
            batches.append(batch)
        try:
            if self._full and not await self._make_room(size):
                self._next_try = time.monotonic() + RETRY_SECONDS
                return
            # Some may have been settled while room was made.
            await self._store_these([batch for batch in batches if batch.number in self._held])
        except sqlite3.OperationalError as error:
            if _name(error) != "SQLITE_FULL":
                raise
            await self._in_thread(use_reserve, self._folder)
            assert self._store is not None
            await self._in_thread(self._store.shorten_log)
            self._complain(error)
            self._most = max(size // 4, 1)
            if self._full and self._little_waits_on_disk:
                await self._compact()
            self._full = True
            return
        self._full = False
        self._most = min(max(self._most, size) * 4, TRANSACTION_BYTES)
        if self._held:
            return
        if time.monotonic() > self._reserve_at:
            self._reserve_at = time.monotonic() + RESERVE_SECONDS
            await self._in_thread(keep_reserve, self._folder)
        if self._failing:
            self._failing = False
            log.info("the queue is on disk again")
            self._publish()

    async def _make_room(self, size: int) -> bool:
        """Whether there is room for so many bytes on a disk that was full."""
        # Deleting makes room in the file; dropping does too, before memory is full as well.
        room = size if self._held_bytes > self._limits.memory // 2 else 0
        if self._settled or self._notes or room:
            await self._store_these([], room)
        assert self._store is not None
        if await self._in_thread(self._store.has_room, size, RESERVE_BYTES):
            return True
        if not self._little_waits_on_disk:
            return False
        await self._compact()
        return True

    async def _store_these(self, batches: list[Batch], room: int = 0) -> None:
        assert self._store is not None
        settled = list(self._settled.values())
        self._moving, self._notes = self._notes, Ledger()
        self._storing = frozenset(batch.number for batch in batches)
        ledger = Ledger(self._moving.counts.copy(), self._moving.by_minute.copy())
        for batch in batches:
            ledger.note(Fate.PRODUCED, batch.points, batch.census)
        # After a step of the clock into the future, batches must not seem too old.
        now = min(self._wall_clock(), self._started + time.monotonic())
        spare = self.in_flight | self._settled.keys() | self._storing
        change = Transaction(batches, settled, ledger, spare, now, room)
        try:
            self._state = await self._in_thread(self._store.apply, change)
        except BaseException:
            self._notes.add(self._moving)
            for batch in batches:
                if batch.number in self._settled:
                    # Settled while it was to be stored, and it was not.
                    self._forget(batch)
                    self._let_go(batch)
                    self._notes.note(Fate.PRODUCED, batch.points, batch.census)
            raise
        else:
            for batch in settled:
                self._forget(batch)
            for batch in batches:
                self._let_go(batch)
        finally:
            self._moving, self._storing = Ledger(), frozenset()
        self._report_dropped(self._state.dropped)
        self._publish()

    def _report_dropped(self, points: int) -> None:
        self._dropped += points
        now = time.monotonic()
        if self._dropped and now - self._dropped_reported > REMIND_SECONDS:
            log.error("the queue is at its limit: %d points dropped", self._dropped)
            self._dropped, self._dropped_reported = 0, now

    @property
    def _little_waits_on_disk(self) -> bool:
        stored = self._state.bytes if self._state else 0
        return stored - self._settled_bytes < RESERVE_BYTES // 4

    async def _compact(self) -> None:
        """Put what still waits into a new file, where the disk has no room to delete the rest."""
        assert self._store is not None
        store, self._store = self._store, None
        settled = list(self._settled.values())
        self._moving, self._notes = self._notes, Ledger()
        skip = frozenset(batch.number for batch in settled)
        try:
            await self._in_thread(store.close)
            await self._in_thread(
                repair, self._folder / FILE, self._limits.order, skip, self._moving
            )
        except BaseException:
            self._notes.add(self._moving)
            raise
        finally:
            self._moving = Ledger()
        for batch in settled:
            self._forget(batch)
        await self._open_store()
        self._publish()

    async def _repair(self, error: DamagedError) -> None:
        log.error("the queue's file is damaged; keeping its good records: %s", error)
        try:
            if self._store is not None:
                store, self._store = self._store, None
                await self._in_thread(store.close)
            kept = await self._in_thread(repair, self._folder / FILE, self._limits.order)
            log.warning("kept %d points of the damaged queue", kept)
            await self._open_store()
            self._publish()
        except (DamagedError, sqlite3.Error, OSError) as fault:
            self._complain(fault)

    def _complain(self, error: Exception) -> None:
        self._next_try = time.monotonic() + RETRY_SECONDS
        if not self._failing:
            self._failing = True
            reason = getattr(error, "strerror", None) or str(error)
            log.error("%s cannot be written, points wait in memory: %s", self._folder, reason)
        passing = _name(error) == "SQLITE_FULL" or isinstance(error, TimeoutError)
        if not passing and not self._homeless:
            # Opened again at the next try: the state that SQLite caches may be out of date.
            store, self._store = self._store, None
            if store is not None:
                self._thread.submit(store.close)
        self._publish()

    def _publish(self) -> None:
        """Update the published counts.

        They are those on disk, so that none falls back when the process is killed; while the disk
        takes nothing, what is in memory is added.
        """
        counts = Counter(self._state.counts if self._state else {})
        if self._failing:
            counts.update(self._notes.counts)
            counts.update(self._moving.counts)
            counts[Fate.PRODUCED] += sum(batch.points for batch in self._held.values())
        elif self._state is None:
            return
        self._counts = balanced(counts)

    async def _in_thread(self, work: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)

    @property
    def counts(self) -> Mapping[Fate, int]:
        """See :class:`exporter.store.queue.Queue`."""
        return self._counts

    @property
    def bytes(self) -> int:
        """See :class:`exporter.store.queue.Queue`."""
        stored = self._state.bytes if self._state else 0
        return max(stored - self._settled_bytes, 0) + self._held_bytes

    @property
    def limit(self) -> int:
        """See :class:`exporter.store.queue.Queue`."""
        return self._limits.disk

    @property
    def memory(self) -> int:
        """See :class:`exporter.store.queue.Queue`."""
        return self._limits.memory

    @property
    def oldest_time(self) -> float | None:
        """See :class:`exporter.store.queue.Queue`."""
        times = [batch.time for batch in list(self._held.values())[:1]]
        if self._state is not None and self._state.oldest is not None:
            times.append(self._state.oldest)
        return min(times, default=None)

    @property
    def durable(self) -> bool | None:
        """See :class:`exporter.store.queue.Queue`."""
        return not self._failing


def _name(error: Exception) -> str:
    return getattr(error, "sqlite_errorname", "")
