"""Files with a day in each row: NEM12 of Australian meters, and tables with a column for each time.

Such a file becomes one with a reading in each row, ``time;column;value``, before anything else
looks at it.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

import numpy as np

from exporter.history.importing.file_lines import Piece
from exporter.history.importing.time_formats import looks_like_time
from exporter.history.importing.time_text import plain

_SEPARATORS = (";", "\t", "|", ",")
_CLOCK = re.compile(r"(\d{1,2})[:.h]?(\d\d)(?:[:.]00)?")
_LETTERED = re.compile(r"(\d{1,2})[:.]?(\d\d)? ?([AB])(?::(\d\d))?")
_HOUR = re.compile(r"(?:h|hour|stunde|hr)[ _]?0?(\d{1,2})", re.IGNORECASE)
_FEWEST_COLUMNS = 20
_SAMPLE_ROWS = 2000
NEM12 = ("time", "meter", "register", "unit", "quality", "value")
_NEM12_RECORDS = ("100", "200", "300", "400", "500", "550", "900")
_INTERVALS = ("5", "15", "30")


@dataclass(slots=True)
class DayShape:
    """A file that holds a day in each row.

    Attributes
    ----------
    kind : str
        ``nem12``, or ``columns`` where the headings are times of the day.
    separator : str
    heading : int
        The line of the headings, from 0; of NEM12, of the first record.
    day_column : int
    clocks : list of (column, clock)
        ``00:15`` and so on, of the columns that hold readings.
    others : list of (column, heading)
        Of the columns that say whose they are.
    """

    kind: Literal["nem12", "columns"]
    separator: str
    heading: int
    day_column: int = 0
    clocks: list[tuple[int, str]] = field(default_factory=list)
    others: list[tuple[int, str]] = field(default_factory=list)
    _block: list[str] = field(default_factory=list)

    @property
    def headings(self) -> str:
        """The headings of the table that it becomes."""
        names = NEM12 if self.kind == "nem12" else ("time", *(h for _, h in self.others), "value")
        return ";".join(name.replace(";", " ") or f"column {n + 1}" for n, name in enumerate(names))

    def head(self, lines: list[str]) -> bytes:
        """The first lines of the table that it becomes, with headings."""
        rows = [row for n, line in enumerate(lines) for row in self._rows(n + 1, line)]
        self._block = []
        return "\n".join([self.headings, *rows[:_SAMPLE_ROWS], ""]).encode()

    def expand(self, piece: Piece) -> Piece:
        """The readings of whole lines, each in a line of its own with the number of its row."""
        if piece.lines.size and piece.lines[0] <= self.heading + 1:
            self._block = []  # read from the start again
        rows: list[str] = []
        numbers: list[int] = []
        for number, line in zip(
            piece.lines.tolist(), piece.raw.decode("utf-8", "replace").split("\n"), strict=False
        ):
            made = list(self._rows(number, line))
            rows += made
            numbers += [number] * len(made)
        raw = ("\n".join(rows) + "\n").encode() if rows else b""
        return Piece(raw, np.array(numbers, np.int64), piece.blank, piece.size, piece.last)

    def _rows(self, number: int, line: str) -> Iterator[str]:
        fields = next(csv.reader([line], delimiter=self.separator), [])
        if not fields or number <= self.heading:
            return
        if self.kind == "nem12":
            yield from self._nem12(fields)
            return
        if number == self.heading + 1:
            return
        others = [_field(fields, column) for column, _ in self.others]
        day = _field(fields, self.day_column)
        for column, clock in self.clocks:
            if column >= len(fields):
                break  # a short row gives few readings, so that no file grows
            yield ";".join([f"{day} {clock}", *others, _field(fields, column)])

    def _nem12(self, fields: list[str]) -> Iterator[str]:
        if fields[0] == "200":
            self._block = [*fields, *[""] * 10]
        elif fields[0] == "300" and self._block:
            meter, register, unit = self._block[1], self._block[4], self._block[7]
            minutes = int(self._block[8]) if self._block[8] in _INTERVALS else 30
            try:
                begin = datetime.strptime(fields[1].strip(), "%Y%m%d")
            except (ValueError, IndexError):
                yield ";".join([fields[1] if len(fields) > 1 else "", *[""] * 5])
                return
            count = 24 * 60 // minutes
            quality = _field(fields, 2 + count)[:1]
            for n, value in enumerate(fields[2 : 2 + count]):
                # Market time is UTC+10 all year; a reading is stamped with its beginning.
                moment = begin + timedelta(minutes=n * minutes)
                yield f"{moment:%Y-%m-%d %H:%M}+10:00;{meter};{register};{unit};{quality};{value}"


def _field(fields: list[str], column: int) -> str:
    return fields[column].strip().replace(";", " ") if column < len(fields) else ""


def find_day_shape(lines: list[str], separator: str | None, skip_lines: int) -> DayShape | None:
    """The shape of a file by its first lines; None if it has a time in each row.

    Parameters
    ----------
    lines : list of str
    separator : str or None
    skip_lines : int
        Lines before the headings.
    """
    nem12 = _nem12_start(lines)
    if nem12 is not None:
        return DayShape("nem12", ",", nem12)
    for candidate in [separator] if separator else _SEPARATORS:
        for n, line in enumerate(lines[:40]):
            if n < skip_lines or line.count(candidate) < _FEWEST_COLUMNS:
                continue
            cells = next(csv.reader([line], delimiter=candidate), [])
            clocks = _clocks(cells)
            if len(clocks) >= _FEWEST_COLUMNS:
                return _columns_shape(lines, candidate, n, cells, clocks)
    return None


def _nem12_start(lines: list[str]) -> int | None:
    """The line of the first record, also of a file that lacks its header."""
    for n, line in enumerate(lines[:5]):
        fields = line.split(",")
        if fields[:2] == ["100", "NEM12"]:
            return n
        if fields[0] == "200" and len(fields) >= 9 and fields[8].strip() in _INTERVALS:
            return n
        if line.strip() and fields[0] not in _NEM12_RECORDS:
            return None
    return None


def _clocks(cells: list[str]) -> list[tuple[int, str]]:
    """The columns whose heading is a time of the day, if they go up by equal steps."""
    found = []
    for n, cell in enumerate(cells):
        clock = _clock(cell)
        if clock is not None:
            found.append((n, clock))
    if len(found) < _FEWEST_COLUMNS:
        return []
    minutes = [int(c[:2]) * 60 + int(c[3:5]) for _, c in found if len(c) == 5]
    steps = np.diff(minutes)
    usual = int(np.median(steps)) if steps.size else 0
    return found if usual in (5, 10, 15, 30, 60) else []


def _clock(cell: str) -> str | None:
    text = plain(cell.strip(), intervals=True)
    lettered = _LETTERED.fullmatch(cell.strip())
    if lettered:
        minute = lettered[2] or lettered[4] or "00"
        return f"{int(lettered[1]):02}:{minute}{lettered[3]}"
    hour = _HOUR.fullmatch(text)
    if hour:
        # Hour 1 is the first one, which begins at midnight.
        return f"{int(hour[1]) - 1:02}:00" if 1 <= int(hour[1]) <= 24 else None
    match = _CLOCK.fullmatch("24:00" if cell.strip().startswith("24:00") else text)
    if match is None or int(match[1]) > 24 or int(match[2]) > 59:
        return None
    if ":" not in text and "." not in text and len(text) not in (3, 4):
        return None
    return f"{int(match[1]):02}:{match[2]}"


def _columns_shape(
    lines: list[str], separator: str, heading: int, cells: list[str], clocks: list[tuple[int, str]]
) -> DayShape | None:
    of_clocks = {n for n, _ in clocks}
    body = [
        next(csv.reader([line], delimiter=separator), []) for line in lines[heading + 1 :] if line
    ]
    rest = [n for n in range(len(cells)) if n not in of_clocks]
    for n in rest:
        days = [row[n] for row in body[:20] if n < len(row) and row[n].strip()]
        if days and all(looks_like_time(day) for day in days):
            others = [(c, cells[c].strip()) for c in rest if c != n and cells[c].strip()]
            return DayShape("columns", separator, heading, n, clocks, others)
    return None
