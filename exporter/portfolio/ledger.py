"""The ledger: an SQLite file that keeps every version of every row.

What can be restated (statements, prices, tickets, events) is never written over: a row that says
something else about the same key is a further version, and the earlier one can still be shown.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from exporter.portfolio.ledger_rows import Row
from exporter.portfolio.ledger_tables import RUNS, TABLES, ColumnType, LedgerTable

BUSY_SECONDS = 10.0
DAY = 86_400.0
UNDER_WAY_SECONDS = 366 * DAY
"""An event that began longer before a period than this is not looked for."""
_COUNTS_FOR = dict.fromkeys(TABLES, DAY) | {
    "events": UNDER_WAY_SECONDS,
    "tickets": UNDER_WAY_SECONDS,
}
"""How long after its own period a row may count."""
_TYPES = {
    ColumnType.TEXT: "TEXT",
    ColumnType.NUMBER: "TEXT",
    ColumnType.TIME: "REAL",
    ColumnType.WHOLE: "INTEGER",
    ColumnType.DATE: "TEXT",
}
_IMPORTS = """
CREATE TABLE IF NOT EXISTS imports (
    id INTEGER PRIMARY KEY,
    time REAL NOT NULL,
    table_name TEXT NOT NULL,
    source TEXT NOT NULL,
    digest TEXT NOT NULL,
    new INTEGER NOT NULL,
    restated INTEGER NOT NULL,
    same INTEGER NOT NULL,
    bad INTEGER NOT NULL
) STRICT
"""


class LedgerError(Exception):
    """Ledger that cannot be read or written; its text names the file and the reason."""


@dataclass(frozen=True, slots=True)
class Import:
    """What one file brought: new rows, rows that restate others, rows that were there, bad rows."""

    table: str
    source: str
    digest: str
    new: int
    restated: int
    same: int
    bad: int


class Ledger:
    """The file, opened.

    Parameters
    ----------
    path : Path
        Made where it is absent.
    read_only : bool

    Raises
    ------
    LedgerError
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self.path = path
        try:
            if read_only:
                uri = f"{path.absolute().as_uri()}?mode=ro"
                self._database = sqlite3.connect(uri, BUSY_SECONDS, uri=True)
            else:
                self._database = sqlite3.connect(path, BUSY_SECONDS)
            with self._says():
                if not read_only:
                    self._database.execute("PRAGMA journal_mode = WAL")
                    self._database.execute("PRAGMA synchronous = FULL")
                    self._make_tables()
        except sqlite3.Error as error:
            raise LedgerError(f"{path} cannot be opened: {error}") from error

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def add(
        self,
        table: LedgerTable,
        rows: Iterable[Row],
        source: str,
        digest: str,
        time: float,
        bad: int,
    ) -> Import:
        """Take rows in, all of them or none.

        Parameters
        ----------
        table : LedgerTable
        rows : iterable of Row
        source, digest : str
            Name of the file and the hash of its content.
        time : float
            Unix seconds.
        bad : int
            Rows of the file that were not taken.

        Raises
        ------
        LedgerError
        """
        counts = {"new": 0, "restated": 0, "same": 0}
        with self._says(), self._database:
            cursor = self._database.execute(
                "INSERT INTO imports (time, table_name, source, digest, new, restated, same, bad) "
                "VALUES (?, ?, ?, ?, 0, 0, 0, ?)",
                (time, table.name, source, digest, bad),
            )
            number = cursor.lastrowid
            for row in rows:
                counts[self._add_one(table, row, int(number or 0))] += 1
            self._database.execute(
                "UPDATE imports SET new = :new, restated = :restated, same = :same WHERE id = :id",
                counts | {"id": number},
            )
        return Import(table.name, source, digest, bad=bad, **counts)

    def latest(
        self, table: LedgerTable, start: float, end: float, sites: Sequence[str] | None = None
    ) -> list[Row]:
        """Rows in force whose period begins in [start, end): the last version of the latest run.

        Raises
        ------
        LedgerError
        """
        order = "run_rank DESC, version DESC" if table.run else "version DESC"
        key = ", ".join(_quoted(table.key))
        where, values = _where(table, start, end, sites)
        ranked = f"row_number() OVER (PARTITION BY {key} ORDER BY {order}) AS place"
        # A version may move a row to another period, such as a ticket that was opened later.
        fixed = {table.period, "site"} & {c.name for c in table.columns} <= set(table.key)
        inside, outside = (where, "TRUE") if fixed else ("TRUE", where)
        inner = f"SELECT *, {ranked} FROM {table.name} WHERE {inside}"  # noqa: S608 - names of our own tables
        statement = f"SELECT * FROM ({inner}) WHERE place = 1 AND {outside} ORDER BY {key}"  # noqa: S608 - the same
        return self._rows(table, statement, values)

    def versions(
        self, table: LedgerTable, start: float, end: float, sites: Sequence[str] | None = None
    ) -> list[Row]:
        """All versions of the rows of a period, the oldest first; each with ``version``."""
        where, values = _where(table, start, end, sites)
        order = ", ".join([*_quoted(table.key), *(["run_rank"] if table.run else []), "version"])
        statement = f"SELECT * FROM {table.name} WHERE {where} ORDER BY {order}"  # noqa: S608 - the same
        return self._rows(table, statement, values)

    def rows_by_site(self, table: LedgerTable, start: float, end: float) -> dict[str, int]:
        """How many rows of a period each site has, all versions counted."""
        where, values = _where(table, start, end, None)
        statement = f"SELECT site, count(*) FROM {table.name} WHERE {where} GROUP BY site"  # noqa: S608 - the same
        with self._says():
            return dict(self._database.execute(statement, values).fetchall())

    def newest_import(self, start: float, end: float, zone: ZoneInfo, *, projects: bool) -> int:
        """The number of the newest import with a row that may count in a period; 0 for none.

        The period is of local days of ``zone``. Projects belong to no period; they count where
        ``projects`` says so.
        """
        found = 0
        for table in TABLES.values():
            if table.name == "pipeline":
                where, values = ("TRUE" if projects else "FALSE"), list[Any]()
            else:
                where, values = _where(table, start - _COUNTS_FOR[table.name], end, None, zone)
            statement = f"SELECT max(import) FROM {table.name} WHERE {where}"  # noqa: S608 - the same
            with self._says():
                (newest,) = self._database.execute(statement, values).fetchone()
            found = max(found, newest or 0)
        return found

    def first_period(self) -> float | None:
        """The earliest period that settlements, prices or power are about, Unix seconds."""
        names = ("settlement", "prices", "dispatch")
        with self._says():
            each = [
                self._database.execute(f"SELECT min(start) FROM {name}").fetchone()[0]  # noqa: S608 - the same
                for name in names
            ]
        return min((first for first in each if first is not None), default=None)

    def imports(self) -> list[dict[str, Any]]:
        """What was taken in, the latest first."""
        with self._says():
            cursor = self._database.execute("SELECT * FROM imports ORDER BY id DESC")
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, values, strict=True)) for values in cursor]

    def _make_tables(self) -> None:
        self._database.execute(_IMPORTS)
        for table in TABLES.values():
            columns = ", ".join(f'"{c.name}" {_TYPES[c.type]}' for c in table.columns)
            rank = ", run_rank INTEGER NOT NULL" if table.run else ""
            self._database.execute(
                f"CREATE TABLE IF NOT EXISTS {table.name} ({columns}{rank}, "
                "version INTEGER NOT NULL, import INTEGER NOT NULL REFERENCES imports (id)) STRICT"
            )
            by = ", ".join([*_quoted(table.key), *(["run_rank"] if table.run else []), "version"])
            self._database.execute(
                f"CREATE UNIQUE INDEX IF NOT EXISTS {table.name}_key ON {table.name} ({by})"
            )
            self._database.execute(
                f'CREATE INDEX IF NOT EXISTS {table.name}_period ON {table.name} ("{table.period}")'
            )
        self._database.commit()

    def _add_one(self, table: LedgerTable, row: Row, number: int) -> str:
        values = {c.name: _stored(row[c.name]) for c in table.columns}
        key = list(table.key)
        if table.run:
            values["run_rank"] = run_rank(row["run"])
            key.append("run_rank")
        where = " AND ".join(f'"{name}" IS :{name}' for name in key)
        cursor = self._database.execute(
            f"SELECT * FROM {table.name} WHERE {where} ORDER BY version DESC LIMIT 1",  # noqa: S608 - names of our own tables
            {name: values[name] for name in key},
        )
        before = cursor.fetchone()
        version = 1
        if before is not None:
            known = dict(zip((c[0] for c in cursor.description), before, strict=True))
            if all(known[name] == value for name, value in values.items()):
                return "same"
            version = known["version"] + 1
        names = [*values, "version", "import"]
        marks = ", ".join("?" for _ in names)
        self._database.execute(
            f"INSERT INTO {table.name} ({', '.join(_quoted(names))}) VALUES ({marks})",  # noqa: S608 - the same
            [*values.values(), version, number],
        )
        return "new" if version == 1 else "restated"

    def _rows(self, table: LedgerTable, statement: str, values: Sequence[Any]) -> list[Row]:
        with self._says():
            cursor = self._database.execute(statement, values)
            names = [column[0] for column in cursor.description]
            found = [dict(zip(names, each, strict=True)) for each in cursor]
        for row in found:
            for column in table.columns:
                if column.type is ColumnType.NUMBER and row[column.name] is not None:
                    row[column.name] = Decimal(row[column.name])
        return found

    @contextlib.contextmanager
    def _says(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise LedgerError(f"{self.path}: {error}") from error


def run_rank(run: str) -> int:
    """The place of a settlement run: a later one is in force over an earlier."""
    known = RUNS.get(run.upper())
    return known if known is not None else int(run)


def _stored(value: Any) -> Any:
    return format(value.normalize(), "f") if isinstance(value, Decimal) else value


def _quoted(names: Iterable[str]) -> list[str]:
    return [f'"{name}"' for name in names]


def _where(
    table: LedgerTable,
    start: float,
    end: float,
    sites: Sequence[str] | None,
    zone: tzinfo = UTC,
) -> tuple[str, list[Any]]:
    by_date = table.column(table.period).type is ColumnType.DATE
    limits: list[Any] = [_day(at, zone) for at in (start, end)] if by_date else [start, end]
    where = f'"{table.period}" >= ? AND "{table.period}" < ?'
    if sites is None or "site" not in {c.name for c in table.columns}:
        return where, limits
    return f"{where} AND site IN ({', '.join('?' for _ in sites)})", [*limits, *sites]


def _day(seconds: float, zone: tzinfo) -> str:
    return datetime.fromtimestamp(seconds, zone).date().isoformat()
