"""What waits, in SQLite: records with checksums, and the ledger in the same transactions.

Everything here blocks and belongs into the one thread of :class:`DiskQueue`. WAL with
``synchronous=FULL``: with NORMAL a commit is not on disk when it returns, so that a loss of power
would take what has been acknowledged. The log is worked into the file after every commit, since a
damaged frame of it would cost all that follow: so it holds one transaction, not the last thousand
pages. Both cost about a millisecond for 200 KB, once a second.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sqlite3
import zlib
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from exporter.store.queue import Batch, Census, DropOrder, Fate, Kind, Ledger, balanced
from exporter.store.queue_folder import is_same

log = logging.getLogger(__name__)

FILE = "queue.sqlite"
PAGE_BYTES = 8192
LEDGER_DAYS = 14
# A file that was much larger is given back to the system once little is left in it.
SHRINK_FROM_BYTES = 64 * 1024 * 1024
# Recovered records are stored in parts, so that little memory is needed.
_RESTORED_BYTES = 1024 * 1024
_COLUMNS = "number, kind, policy, time, points, census, checksum, body"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS batch (
    number INTEGER PRIMARY KEY, kind INTEGER, policy TEXT, time REAL, points INTEGER,
    bytes INTEGER, census TEXT, checksum INTEGER, body BLOB);
CREATE INDEX IF NOT EXISTS batch_by_kind ON batch (kind, number, points, bytes, time);
CREATE TABLE IF NOT EXISTS book (fate TEXT PRIMARY KEY, points INTEGER) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS ledger (
    minute INTEGER, subject TEXT, fate TEXT, points INTEGER,
    PRIMARY KEY (minute, subject, fate)) WITHOUT ROWID;
"""
_CHECKSUM = "checksum"
# Beyond this, looking through the whole file at start would take longer than it is worth: damage
# is then found when it is met.
_CHECKED_BYTES = 256 * 1024 * 1024
_CORRUPT = ("SQLITE_CORRUPT", "SQLITE_NOTADB")


class DamagedError(Exception):
    """The file is no longer what SQLite wrote; its good records can be recovered."""


@dataclass(frozen=True, slots=True)
class Transaction:
    """What one commit changes.

    ``spare`` are the numbers that must not be dropped; ``now`` is Unix seconds; ``room`` are
    bytes to drop although the limit is not reached, because the disk is full.
    """

    insert: Sequence[Batch]
    delete: Collection[Batch]
    ledger: Ledger
    spare: Collection[int]
    now: float
    room: int = 0


@dataclass(frozen=True, slots=True)
class State:
    """What the file holds after a commit: points by fate, bytes, and the oldest batch's time."""

    counts: dict[Fate, int]
    bytes: int
    last: int
    oldest: float | None
    dropped: int = 0


@dataclass
class _Sizes:
    bytes: Counter[Kind] = field(default_factory=Counter)
    points: Counter[Kind] = field(default_factory=Counter)

    def add(self, kind: Kind, points: int, size: int, sign: int = 1) -> None:
        self.bytes[kind] += sign * size
        self.points[kind] += sign * points

    def copy(self) -> _Sizes:
        return _Sizes(self.bytes.copy(), self.points.copy())


def checksum(batch: Batch, census: str) -> int:
    """CRC-32 over everything that a record says."""
    head = (
        f"{batch.number} {int(batch.kind)} {batch.policy} {batch.time!r} {batch.points} {census} "
    )
    return zlib.crc32(batch.body, zlib.crc32(head.encode()))


def census_text(census: Census) -> str:
    """A census as it is stored."""
    return json.dumps([[minute, what, count] for (minute, what), count in census.items()])


def record(batch: Batch) -> tuple[int | float | str | bytes, ...]:
    """The row of a batch, in the order of the table."""
    census = census_text(batch.census)
    return (
        *(batch.number, int(batch.kind), batch.policy, batch.time, batch.points),
        *(len(batch.body), census),
        *(checksum(batch, census), batch.body),
    )


def batch_of(row: Sequence[object]) -> Batch | None:
    """The batch of a row as in ``_COLUMNS``, None if it is not what was written."""
    try:
        number, kind, policy, time, points, census, stored, body = row
        assert isinstance(number, int)
        assert isinstance(kind, int)
        assert isinstance(policy, str)
        assert isinstance(time, float)
        assert isinstance(points, int)
        assert isinstance(census, str)
        assert isinstance(body, bytes)
        entries = {(minute, what): count for minute, what, count in json.loads(census)}
        batch = Batch(body, points, time, policy, Kind(kind), entries, number)
    except (AssertionError, ValueError, TypeError):
        return None
    return batch if checksum(batch, census) == stored else None


def ledger_checksum(rows: Mapping[str, int]) -> int:
    """CRC-32 over the ledger; a fate without points counts as absent."""
    text = " ".join(f"{fate} {points}" for fate, points in sorted(rows.items()) if points)
    return zlib.crc32(text.encode())


class Store:
    """The file of one queue.

    Parameters
    ----------
    path : Path
    limit : int
        Bytes of batches beyond which they are dropped.
    longest : float
        Seconds after which a batch is dropped.
    order : str
        Which batches are dropped first.

    Raises
    ------
    sqlite3.Error, OSError
        From every method, where the disk is full, read-only or broken; nothing is changed then.
    DamagedError
        From every method.
    """

    def __init__(self, path: Path, limit: int, longest: float, order: DropOrder) -> None:
        self._path = path
        self._limit = limit
        self._longest = longest
        self._order = order
        self._database: sqlite3.Connection | None = None
        self._opened: os.stat_result | None = None
        self._sizes = _Sizes()
        self._ledger: Counter[Fate] = Counter()
        self._last = 0
        self._pruned = 0

    def open(self) -> State:
        """Open or make the file, and read what it holds."""
        with _classified():
            # Left to the user alone: points name sites and what they do.
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))
            database = sqlite3.connect(
                self._path, isolation_level=None, check_same_thread=False, timeout=5.0
            )
            try:
                for pragma in (
                    f"page_size={PAGE_BYTES}",
                    "journal_mode=WAL",
                    "synchronous=FULL",
                    "journal_size_limit=16777216",
                    "temp_store=MEMORY",
                    # Debian's SQLite overwrites what is deleted, which a full disk has no room for.
                    "secure_delete=OFF",
                ):
                    database.execute(f"PRAGMA {pragma}").fetchall()
                if os.path.getsize(self._path) < _CHECKED_BYTES:
                    (found,) = database.execute("PRAGMA quick_check(1)").fetchone()
                    if found != "ok":
                        raise DamagedError(f"{self._path}: {' '.join(str(found).split())}")
                database.executescript(_SCHEMA)
                self._read(database)
            except BaseException:
                database.close()
                raise
            self._database, self._opened = database, os.stat(self._path)
            return self._state()

    def in_place(self) -> bool:
        """Whether the file that was opened is still at its path; yes where that is unknown."""
        return self._opened is None or is_same(self._opened, self._path)

    def copy(self) -> None:
        """Put all of a file that was removed, and is still open, back at its path.

        Another file that has come to stand there is renamed, and not read.
        """
        new = self._path.with_name(self._path.name + ".new")
        for end in ("", "-wal", "-shm"):
            new.with_name(new.name + end).unlink(missing_ok=True)
        os.close(os.open(new, os.O_RDWR | os.O_CREAT, 0o600))
        with contextlib.closing(sqlite3.connect(new)) as copy:
            self._connected().backup(copy)
        for end in ("", "-wal", "-shm"):
            other = self._path.with_name(self._path.name + end)
            if other.exists():
                other.replace(other.with_name(other.name.replace(FILE, "strange.sqlite")))
        new.replace(self._path)
        descriptor = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _read(self, database: sqlite3.Connection) -> None:
        self._sizes = _Sizes()
        for kind, points, size in database.execute(
            "SELECT kind, sum(points), sum(bytes) FROM batch GROUP BY kind"
        ):
            self._sizes.add(Kind(kind), points, size)
        rows = dict(database.execute("SELECT fate, points FROM book"))
        if rows and rows.pop(_CHECKSUM, None) != ledger_checksum(rows):
            raise DamagedError(f"{self._path}: the ledger does not match its checksum")
        self._ledger = Counter({Fate(fate): points for fate, points in rows.items()})
        self._last = database.execute("SELECT coalesce(max(number), 0) FROM batch").fetchone()[0]

    def restore(self, batches: Iterator[Batch], ledger: Ledger | None) -> int:
        """Fill a file that was made anew with what was recovered from another.

        What the ledger says and was not found is dropped; what was found beyond them, since it had
        been sent and not yet overwritten, counts as produced once more and is sent once more.

        Returns
        -------
        int
            Points that wait.
        """
        found, size = 0, 0
        part: list[Batch] = []
        for batch in batches:
            part.append(batch)
            found += batch.points
            size += len(batch.body)
            if size > _RESTORED_BYTES:
                self.apply(Transaction(part, (), Ledger(), (), 0.0))
                part, size = [], 0
        self.apply(Transaction(part, (), Ledger(), (), 0.0))
        ledger = ledger or Ledger()
        lost = balanced(ledger.counts)[Fate.SPOOLED] - found
        ledger.note(Fate.DROPPED if lost > 0 else Fate.PRODUCED, abs(lost), {})
        self.apply(Transaction((), (), ledger, (), 0.0))
        return found

    def close(self) -> None:
        """Close the file; nothing waits to be written."""
        if self._database is not None:
            database, self._database = self._database, None
            database.close()

    def apply(self, change: Transaction) -> State:
        """Commit; when it returns, everything is on disk."""
        with _classified():
            database = self._connected()
            sizes = self._sizes.copy()
            notes = Ledger(+change.ledger.counts, +change.ledger.by_minute)
            with _transaction(database):
                dropped = self._change(database, change, sizes, notes)
            self._sizes = sizes
            self._ledger.update(notes.counts)
            self._last = max([self._last, *(batch.number for batch in change.insert)])
            self._tidy(database)
            return self._state(dropped)

    def oldest(self, after: int, most: int, skip: Collection[int]) -> tuple[list[Batch], list[int]]:
        """As :meth:`exporter.store.queue.Queue.oldest`, and the numbers of damaged ones."""
        good: list[Batch] = []
        bad: list[int] = []
        size = 0
        with _classified():
            rows = self._connected().execute(
                f"SELECT {_COLUMNS} FROM batch WHERE number > ? ORDER BY number",  # noqa: S608
                (after,),
            )
            for row in rows:
                if row[0] in skip:
                    continue
                batch = batch_of(row)
                if batch is None:
                    bad.append(row[0])
                    continue
                size += len(batch.body)
                if good and size > most:
                    break
                good.append(batch)
        return good, bad

    def has_room(self, size: int, reserve: int) -> bool:
        """Whether so many bytes fit into the file's free pages, or on the disk with a reserve."""
        with _classified():
            (pages,) = self._connected().execute("PRAGMA freelist_count").fetchone()
        disk = os.statvfs(self._path.parent)
        return bool(
            pages * PAGE_BYTES >= 2 * size or disk.f_bavail * disk.f_frsize >= 2 * size + reserve
        )

    def discard(self, numbers: Sequence[int]) -> State:
        """Drop records whose checksum is wrong, by what the index says of them."""
        notes, sizes = Ledger(), self._sizes.copy()
        with _classified():
            database = self._connected()
            found = [row for n in numbers for row in database.execute(_BY_NUMBER, (n,))]
            with _transaction(database):
                for number, kind, points, size, _ in found:
                    database.execute("DELETE FROM batch WHERE number = ?", (number,))
                    sizes.add(Kind(kind), points, size, -1)
                    notes.note(Fate.DROPPED, points, {})
                self._write_ledger(database, notes)
        self._sizes = sizes
        self._ledger.update(notes.counts)
        return self._state(notes.counts[Fate.DROPPED])

    def _connected(self) -> sqlite3.Connection:
        if self._database is None:
            raise sqlite3.OperationalError("the queue's file is not open")
        return self._database

    def _change(
        self, database: sqlite3.Connection, change: Transaction, sizes: _Sizes, notes: Ledger
    ) -> int:
        for batch in change.delete:
            gone = database.execute("DELETE FROM batch WHERE number = ?", (batch.number,)).rowcount
            if gone != 1:
                raise DamagedError(f"{self._path}: record {batch.number} is not found")
            sizes.add(batch.kind, batch.points, len(batch.body), -1)
        for batch in change.insert:
            database.execute("INSERT INTO batch VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", record(batch))
            sizes.add(batch.kind, batch.points, len(batch.body))
        dropped = self._drop(database, change, sizes, notes)
        self._write_ledger(database, notes)
        minute = int(change.now // 60)
        if minute >= self._pruned + 60:
            database.execute("DELETE FROM ledger WHERE minute < ?", (minute - LEDGER_DAYS * 1440,))
            self._pruned = minute
        return dropped

    def _drop(
        self, database: sqlite3.Connection, change: Transaction, sizes: _Sizes, notes: Ledger
    ) -> int:
        """Drop what is too old, then what is too much, each in its order; returns points."""
        dropped = 0
        too_old = change.now - self._longest
        goal = self._limit
        if change.room:
            goal = min(goal, max(sizes.bytes.total() - change.room, 0))
        for kinds in _ORDERS[self._order]:
            for number, kind, points, size, time in _walk(database, kinds):
                aged = time < too_old
                if not aged and sizes.bytes.total() <= goal:
                    break
                if number in change.spare:
                    continue
                (text,) = database.execute(
                    "SELECT census FROM batch WHERE number = ?", (number,)
                ).fetchone()
                database.execute("DELETE FROM batch WHERE number = ?", (number,))
                sizes.add(Kind(kind), points, size, -1)
                notes.note(Fate.DROPPED, points, _census_or_none(text))
                dropped += points
        return dropped

    def _write_ledger(self, database: sqlite3.Connection, notes: Ledger) -> None:
        rows = {fate.value: points for fate, points in (self._ledger + notes.counts).items()}
        database.executemany(
            "INSERT OR REPLACE INTO book VALUES (?, ?)",
            [*rows.items(), (_CHECKSUM, ledger_checksum(rows))],
        )
        database.executemany(
            "INSERT INTO ledger VALUES (?, ?, ?, ?) "
            "ON CONFLICT (minute, subject, fate) DO UPDATE SET points = points + excluded.points",
            [(m, what, fate.value, n) for (m, what, fate), n in notes.by_minute.items()],
        )

    def shorten_log(self) -> None:
        """Give the room of the log back, as far as what it holds goes into the file."""
        with _classified(), contextlib.suppress(sqlite3.OperationalError):
            self._connected().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def _tidy(self, database: sqlite3.Connection) -> None:
        """Work the log into the file, and make the file small again after an outage."""
        try:
            database.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
            size = os.path.getsize(self._path)
            if size > SHRINK_FROM_BYTES and self._sizes.bytes.total() < size // 16:
                database.execute("VACUUM")
                database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        except (sqlite3.Error, OSError) as error:
            # What was committed is safe in the log all the same.
            log.debug("the queue's log stays as it is: %s", error)

    def _state(self, dropped: int = 0) -> State:
        row = self._connected().execute("SELECT time FROM batch ORDER BY number LIMIT 1").fetchone()
        return State(
            dict(self._ledger),
            self._sizes.bytes.total(),
            self._last,
            row[0] if row else None,
            dropped,
        )


_BY_NUMBER = "SELECT number, kind, points, bytes, time FROM batch WHERE number = ?"
_ORDERS: dict[DropOrder, tuple[tuple[Kind, ...], ...]] = {
    "cells-first": ((Kind.CELLS,), (Kind.REST,)),
    "oldest": ((Kind.CELLS, Kind.REST),),
}


def _walk(database: sqlite3.Connection, kinds: Sequence[Kind]) -> Iterator[tuple[Any, ...]]:
    """Records of these kinds in the order of their numbers; those that came by may be deleted."""
    after, wanted = 0, ", ".join(str(int(kind)) for kind in kinds)
    query = (
        "SELECT number, kind, points, bytes, time FROM batch "  # noqa: S608 - numbers of ours
        f"WHERE kind IN ({wanted}) AND number > ? ORDER BY number LIMIT 64"
    )
    while rows := database.execute(query, (after,)).fetchall():
        yield from rows
        after = rows[-1][0]


def _census_or_none(text: object) -> Census:
    try:
        return {(minute, what): count for minute, what, count in json.loads(str(text))}
    except (ValueError, TypeError):
        return {}


@contextlib.contextmanager
def _transaction(database: sqlite3.Connection) -> Iterator[None]:
    """Commit what is done inside, or nothing of it."""
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
        database.execute("COMMIT")
    except BaseException:
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise


class _classified:  # noqa: N801 - a context manager
    """Turns SQLite's word for a damaged file into :class:`DamagedError`."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, sqlite3.Error):
            name = getattr(error, "sqlite_errorname", "")
            if name.startswith(_CORRUPT):
                raise DamagedError(str(error)) from error


def read_ledger(path: Path, first: int, last: int) -> Iterator[tuple[str, Fate, int]]:
    """Points by subject and fate of the minutes ``first`` to ``last``, both included.

    Safe while an exporter writes. Raises sqlite3.Error where there is no such file.
    """
    database = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=5.0)
    try:
        for what, fate, points in database.execute(
            "SELECT subject, fate, sum(points) FROM ledger WHERE minute BETWEEN ? AND ? "
            "GROUP BY subject, fate ORDER BY subject",
            (first, last),
        ):
            yield what, Fate(fate), points
    finally:
        database.close()
