"""How far an import has come, on disk, so that it goes on where it stopped, however it stopped."""

from __future__ import annotations

import csv
import fcntl
import hashlib
import json
import os
import sqlite3
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from exporter.history.importing.counts import Counts
from exporter.history.importing.rows import BadRow
from exporter.model.text import spreadsheet_cell

BAD_ROWS = "bad-rows.csv"
_HEAD = ("file", "line", "reason", "text")


class BusyError(Exception):
    """Another import of the same files into the same place is running."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a file has come.

    Attributes
    ----------
    mark : str
        Of the file's content and of everything that decides what is made of it. With another one
        the file begins anew.
    batches : int
        Batches that InfluxDB has taken, of those that the file makes in their order.
    counts : Counts or None
        Its counts, once it is complete.
    """

    mark: str
    batches: int
    counts: Counts | None


class State:
    """The folder of one import; held by one process at a time.

    Parameters
    ----------
    folder : Path
        Made if it is absent.

    Raises
    ------
    BusyError, OSError
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._parts = folder / "bad-rows"
        self._parts.mkdir(parents=True, exist_ok=True)
        self._lock = (folder / "lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._lock.close()
            raise BusyError(f"another import is at work with {folder}") from None
        self._database = sqlite3.connect(folder / "state.sqlite", check_same_thread=False)
        # What was acknowledged may be sent again after a power loss: that changes nothing.
        self._database.executescript(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;"
            "CREATE TABLE IF NOT EXISTS file (name TEXT PRIMARY KEY, mark TEXT NOT NULL, "
            "batches INTEGER NOT NULL, tally TEXT) STRICT;"
        )

    def progress(self, name: str, mark: str) -> Progress:
        """How far a file has come; nothing, if it or what is made of it has changed since."""
        row = self._database.execute(
            "SELECT mark, batches, tally FROM file WHERE name = ?", (name,)
        ).fetchone()
        if row is None or row[0] != mark:
            return Progress(mark, 0, None)
        return Progress(mark, row[1], _counts(row[2]))

    def acknowledge(self, name: str, mark: str, batches: int) -> None:
        """InfluxDB has taken the first batches of a file."""
        with self._database:
            self._database.execute(
                "INSERT INTO file VALUES (?, ?, ?, NULL) ON CONFLICT (name) DO UPDATE SET "
                "mark = excluded.mark, batches = excluded.batches, tally = NULL",
                (name, mark, batches),
            )

    def complete(self, name: str, mark: str, batches: int, counts: Counts) -> None:
        """A file is done."""
        with self._database:
            self._database.execute(
                "INSERT INTO file VALUES (?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET "
                "mark = excluded.mark, batches = excluded.batches, tally = excluded.tally",
                (name, mark, batches, json.dumps(asdict(counts))),
            )

    def forget(self) -> None:
        """Begin every file anew."""
        with self._database:
            self._database.execute("DELETE FROM file")

    def bad_rows_of(self, name: str) -> BadRows:
        """Where the bad rows of a file go; those of an earlier attempt are replaced."""
        digest = hashlib.sha256(name.encode()).hexdigest()[:24]
        return BadRows(self._parts / f"{digest}.csv", name)

    def gather_bad_rows(self) -> Path | None:
        """All bad rows in one file, None if there are none."""
        parts = sorted(self._parts.glob("*.csv"), key=_name_in)
        target = self.folder / BAD_ROWS
        if not parts:
            target.unlink(missing_ok=True)
            return None
        new = target.with_suffix(".new")
        with new.open("w", encoding="utf-8", newline="") as out:
            csv.writer(out).writerow(_HEAD)
            for part in parts:
                with part.open(encoding="utf-8", newline="") as source:
                    while piece := source.read(1 << 20):
                        out.write(piece)
        new.replace(target)
        return target

    def close(self) -> None:
        """Let another process in."""
        self._database.close()
        self._lock.close()


class BadRows:
    """The bad rows of one file, put in place when the file is complete."""

    def __init__(self, path: Path, name: str) -> None:
        self._path = path
        self._new = path.with_suffix(".new")
        self._name = name
        self._file: IO[str] | None = None
        self._writer: Any = None

    def add(self, rows: Iterable[BadRow]) -> None:
        """Write rows."""
        for row in rows:
            if self._file is None:
                self._file = self._new.open("w", encoding="utf-8", newline="", errors="replace")
                self._writer = csv.writer(self._file)
            texts = (spreadsheet_cell(text) for text in (row.reason, row.text))
            self._writer.writerow((spreadsheet_cell(self._name), row.line, *texts))

    def keep(self) -> None:
        """Put them in the place of those of an earlier attempt."""
        if self._file is None:
            self._path.unlink(missing_ok=True)
            return
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._new.replace(self._path)

    def discard(self) -> None:
        """Leave those of an earlier attempt."""
        if self._file is not None:
            self._file.close()
            self._new.unlink(missing_ok=True)


def _name_in(part: Path) -> str:
    with part.open(encoding="utf-8", newline="") as file:
        return str(next(csv.reader(file), [""])[0])


def _counts(text: str | None) -> Counts | None:
    return None if text is None else Counts(**json.loads(text))
