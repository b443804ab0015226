"""The journal of orders: an SQLite file to which rows are only ever added.

A row is committed, and on the disk, before anything is done that it speaks of, so that after a
crash the journal names every device that may have been written to. Each row carries a hash over
itself and the row before: a row that was changed or taken out shows.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from exporter.model.orders import (
    LIVE,
    Order,
    OrderAction,
    OrderEvent,
    OrderSource,
    OrderState,
    OrderStatus,
    drafted,
)

REQUEST_DAYS = 7.0
BUSY_SECONDS = 5.0
FIRST_CHAIN = "0" * 64
_SCHEMA = """
CREATE TABLE IF NOT EXISTS events (
    number INTEGER PRIMARY KEY,
    time REAL NOT NULL,
    order_id TEXT NOT NULL,
    site TEXT NOT NULL,
    dispatch TEXT NOT NULL,
    state TEXT NOT NULL,
    actor TEXT NOT NULL,
    evidence TEXT NOT NULL,
    document TEXT,
    chain TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS events_of_order ON events (order_id, number);
CREATE INDEX IF NOT EXISTS events_of_site ON events (site, number);
CREATE TABLE IF NOT EXISTS orders (
    sequence INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    site TEXT NOT NULL,
    dispatch TEXT NOT NULL,
    live INTEGER NOT NULL,
    owes_release INTEGER NOT NULL,
    state TEXT NOT NULL,
    document TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS orders_of_site ON orders (site, sequence);
CREATE INDEX IF NOT EXISTS orders_of_dispatch ON orders (dispatch, sequence);
CREATE INDEX IF NOT EXISTS orders_open ON orders (live, owes_release);
CREATE TABLE IF NOT EXISTS requests (
    issuer TEXT NOT NULL,
    key TEXT NOT NULL,
    digest TEXT NOT NULL,
    answer TEXT NOT NULL,
    time REAL NOT NULL,
    PRIMARY KEY (issuer, key)
) STRICT;
CREATE TABLE IF NOT EXISTS probe (id INTEGER PRIMARY KEY, time REAL NOT NULL) STRICT;
CREATE TRIGGER IF NOT EXISTS events_stay BEFORE DELETE ON events
    BEGIN SELECT RAISE(ABORT, 'rows of the journal stay'); END;
CREATE TRIGGER IF NOT EXISTS events_are_fixed BEFORE UPDATE ON events
    BEGIN SELECT RAISE(ABORT, 'rows of the journal stay as they are'); END;
"""


class JournalError(Exception):
    """The journal cannot be opened or written; its text says why."""


class KeyReusedError(Exception):
    """An Idempotency-Key came again with another request."""


@dataclass(frozen=True, slots=True)
class Remembered:
    """A request that is to be answered the same way again.

    Attributes
    ----------
    issuer, key : str
    digest : str
        Hash of the request.
    answer : mapping
    """

    issuer: str
    key: str
    digest: str
    answer: Mapping[str, Any]


class Journal:
    """The journal, open for writing by this process alone. Its methods may be called from threads.

    Parameters
    ----------
    path : Path
        Made where it is absent; a file ``.lock`` stands beside it while it is open.

    Raises
    ------
    JournalError
        Also where another process has it open.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._held: IO[str] | None = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._hold()
            self._rows = sqlite3.connect(
                path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            self._rows.execute("PRAGMA journal_mode = WAL")
            self._rows.execute("PRAGMA synchronous = FULL")
            self._rows.executescript(_SCHEMA)
            path.chmod(0o600)
            last = self._rows.execute(
                "SELECT number, chain, time FROM events ORDER BY number DESC LIMIT 1"
            ).fetchone()
        except (sqlite3.Error, OSError) as error:
            self._let_go()
            raise JournalError(f"{path.name}: {_reason(error)}") from error
        self._number: int = last[0] if last else 0
        self._chain: str = last[1] if last else FIRST_CHAIN
        self.latest_time: float = last[2] if last else 0.0

    def close(self) -> None:
        """Close the file and let another process have it."""
        with self._lock:
            self._rows.close()
            self._let_go()

    def open_orders(self) -> list[OrderStatus]:
        """Orders that have not ended, and those that owe a release; in their sequence."""
        with self._lock, _translated():
            found = self._rows.execute(
                "SELECT id FROM orders WHERE live = 1 OR owes_release = 1 ORDER BY sequence"
            ).fetchall()
            return [_status(self._rows, name) for (name,) in found]

    def next_sequence(self) -> int:
        """A number above those of all orders."""
        with self._lock, _translated():
            (last,) = self._rows.execute("SELECT MAX(sequence) FROM orders").fetchone()
            return int(last or 0) + 1

    def remembered(self, issuer: str, key: str, digest: str) -> Mapping[str, Any] | None:
        """The answer to a request that was answered already; None where it is new.

        Raises
        ------
        KeyReusedError
            If the request was another one.
        """
        with self._lock, _translated():
            row = self._rows.execute(
                "SELECT digest, answer FROM requests WHERE issuer = ? AND key = ?", (issuer, key)
            ).fetchone()
        if row is None:
            return None
        if row[0] != digest:
            raise KeyReusedError(key)
        answer: Mapping[str, Any] = json.loads(row[1])
        return answer

    def add(
        self,
        events: Sequence[tuple[Order, OrderEvent, OrderStatus]],
        request: Remembered | None = None,
    ) -> None:
        """Add rows and commit them: all of them, or none.

        Parameters
        ----------
        events : sequence of (Order, OrderEvent, OrderStatus)
            Each with the status that it leads to.
        request : Remembered or None
            Kept with them for as long as a caller may repeat it.

        Raises
        ------
        JournalError
            Nothing was added.
        """
        with self._lock, _translated():
            number, chain = self._number, self._chain
            self._rows.execute("BEGIN IMMEDIATE")
            try:
                for order, event, status in events:
                    number, chain = self._add_one(number, chain, order, event, status)
                if request is not None:
                    self._remember(request)
                self._rows.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    self._rows.execute("ROLLBACK")
                raise
            self._number, self._chain = number, chain

    def probe(self) -> None:
        """Write something of no meaning; raises JournalError where that cannot be."""
        with self._lock, _translated():
            self._rows.execute("INSERT OR REPLACE INTO probe VALUES (1, ?)", (time.time(),))

    @property
    def head(self) -> tuple[int, str]:
        """Number and hash of the latest row. Kept elsewhere, it shows that rows at the end are
        missing."""
        return self._number, self._chain

    def _add_one(
        self, number: int, chain: str, order: Order, event: OrderEvent, status: OrderStatus
    ) -> tuple[int, str]:
        number += 1
        document = _text(asdict(order)) if event.state is OrderState.DRAFTED else None
        evidence = _text(event.evidence)
        row: tuple[Any, ...] = (
            *(number, event.time, order.id, order.site, order.dispatch),
            *(event.state.value, event.actor, evidence, document),
        )
        chain = chained(chain, row)
        self._rows.execute("INSERT INTO events VALUES (?,?,?,?,?,?,?,?,?,?)", (*row, chain))
        flags = (event.state in LIVE, status.owes_release, status.state.value)
        if document is not None:
            self._rows.execute(
                "INSERT INTO orders VALUES (?,?,?,?,?,?,?,?)",
                (order.sequence, order.id, order.site, order.dispatch, *flags, document),
            )
        else:
            self._rows.execute(
                "UPDATE orders SET live = ?, owes_release = ?, state = ? WHERE id = ?",
                (*flags, order.id),
            )
        return number, chain

    def _remember(self, request: Remembered) -> None:
        now = time.time()
        self._rows.execute("DELETE FROM requests WHERE time < ?", (now - REQUEST_DAYS * 86400,))
        self._rows.execute(
            "INSERT INTO requests VALUES (?,?,?,?,?)",
            (request.issuer, request.key, request.digest, _text(request.answer), now),
        )

    def _hold(self) -> None:
        held = self.path.with_name(self.path.name + ".lock").open("a", encoding="utf-8")
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            held.close()
            raise OSError(0, "another process has it open") from None
        self._held = held

    def _let_go(self) -> None:
        if self._held is not None:
            self._held.close()
            self._held = None


class JournalReader:
    """The journal as other processes read it, while one writes it.

    Parameters
    ----------
    path : Path

    Raises
    ------
    JournalError
        Each method, where the file cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._local = threading.local()

    def orders(
        self,
        *,
        sites: Iterable[str] | None = None,
        dispatch: str | None = None,
        live: bool | None = None,
        dry: bool | None = None,
        before: int | None = None,
        limit: int = 100,
    ) -> list[OrderStatus]:
        """Orders, the latest first.

        Parameters
        ----------
        sites : iterable of str or None
            Only of these; None for all.
        dispatch : str or None
        live : bool or None
            Only those that have not ended or owe a release (True).
        dry : bool or None
            Only dry ones, or only the others.
        before : int or None
            Only with a sequence below this one.
        limit : int
        """
        where, given = _where(sites, "sequence", before)
        if dispatch is not None:
            where.append("dispatch = ?")
            given.append(dispatch)
        if live:
            where.append("(live = 1 OR owes_release = 1)")
        if dry is not None:
            where.append("json_extract(document, '$.dry_run') = ?")
            given.append(int(dry))
        query = f"SELECT id FROM orders WHERE {' AND '.join(where)} ORDER BY sequence DESC LIMIT ?"  # noqa: S608 - no value is in the text
        with _translated():
            rows = self._open()
            return [_status(rows, i) for (i,) in rows.execute(query, (*given, limit)).fetchall()]

    def order(self, name: str) -> OrderStatus | None:
        """One order by its id."""
        with _translated():
            rows = self._open()
            known = rows.execute("SELECT 1 FROM orders WHERE id = ?", (name,)).fetchone()
            return _status(rows, name) if known else None

    def history(self, name: str) -> list[OrderEvent]:
        """All rows of an order, oldest first."""
        with _translated():
            return [event for event, _ in _events(self._open(), name)]

    def log(
        self,
        *,
        sites: Iterable[str] | None = None,
        before: int | None = None,
        after: int | None = None,
        limit: int = 100,
    ) -> list[dict[str, Any]]:
        """Rows of the journal, the latest first; with ``after`` the oldest after that number.

        Each has ``number``, ``time``, ``order``, ``site``, ``dispatch``, ``state``, ``actor``,
        ``evidence`` and ``chain``; the first row of an order also has the order as ``document``.
        """
        where, given = _where(sites, "number", before)
        if after is not None:
            where.append("number > ?")
            given.append(after)
        way = "DESC" if after is None else "ASC"
        query = f"SELECT * FROM events WHERE {' AND '.join(where)} ORDER BY number {way} LIMIT ?"  # noqa: S608 - no value is in the text
        with _translated():
            return [_row(found) for found in self._open().execute(query, (*given, limit))]

    def last_number(self) -> int:
        """Number of the latest row; 0 without any."""
        with _translated():
            (last,) = self._open().execute("SELECT MAX(number) FROM events").fetchone()
            return int(last or 0)

    def broken_at(self) -> int | None:
        """Number of the first row that is not what was written, or after one that is missing."""
        chain, expected = FIRST_CHAIN, 1
        with _translated():
            for found in self._open().execute("SELECT * FROM events ORDER BY number"):
                *row, written = found
                chain = chained(chain, tuple(row))
                if row[0] != expected or chain != written:
                    return int(row[0])
                expected += 1
        return None

    def _open(self) -> sqlite3.Connection:
        """A connection of this thread's own."""
        found: sqlite3.Connection | None = getattr(self._local, "rows", None)
        if found is None:
            address = f"{self._path.absolute().as_uri()}?mode=ro"
            found = sqlite3.connect(address, timeout=BUSY_SECONDS, isolation_level=None, uri=True)
            self._local.rows = found
        return found


def chained(before: str, row: tuple[Any, ...]) -> str:
    """The hash of a row: SHA-256 over the hash of the row before and the row as JSON."""
    return hashlib.sha256(f"{before}{_text(row)}".encode()).hexdigest()


def _where(sites: Iterable[str] | None, column: str, before: int | None) -> tuple[list[str], Any]:
    where, given = ["1"], []
    if sites is not None:
        where.append("site IN (SELECT value FROM json_each(?))")
        given.append(json.dumps(sorted(sites)))
    if before is not None:
        where.append(f"{column} < ?")
        given.append(str(before))
    return where, given


def _status(rows: sqlite3.Connection, name: str) -> OrderStatus:
    status: OrderStatus | None = None
    for event, document in _events(rows, name):
        status = status.after(event) if status else drafted(_order(document), event.time)
    if status is None:
        raise sqlite3.DatabaseError(f"{name} has no rows")
    return status


def _events(rows: sqlite3.Connection, name: str) -> Iterator[tuple[OrderEvent, str]]:
    query = "SELECT * FROM events WHERE order_id = ? ORDER BY number"
    for _, moment, order, _, _, state, actor, evidence, document, _ in rows.execute(query, (name,)):
        event = OrderEvent(order, OrderState(state), moment, actor, json.loads(evidence))
        yield event, document


def _order(document: str) -> Order:
    found = json.loads(document)
    found["action"] = OrderAction(found["action"])
    found["source"] = OrderSource(found["source"])
    return Order(**found)


def _row(found: tuple[Any, ...]) -> dict[str, Any]:
    number, moment, order, site, dispatch, state, actor, evidence, document, chain = found
    row = {"number": number, "time": moment, "order": order, "site": site, "dispatch": dispatch}
    row |= {"state": state, "actor": actor, "evidence": json.loads(evidence)}
    if document is not None:
        row["document"] = json.loads(document)
    return row | {"chain": chain}


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise JournalError(f"the journal of orders: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or "unknown"


__all__ = [
    "Journal",
    "JournalError",
    "JournalReader",
    "KeyReusedError",
    "Remembered",
    "chained",
]
