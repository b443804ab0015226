"""Where in a text file its table stands: separator, headings, units row, first row of data."""

from __future__ import annotations

import csv
import re
from collections import Counter
from dataclasses import dataclass

from exporter.history.importing.time_formats import looks_like_time
from exporter.history.importing.units import is_unit

SEPARATORS = (";", "\t", "|", ",")
_NUMBER = re.compile(r"[-+\u2212]?[\d.,'\u00a0 ]*\d(?:[eE][-+]?\d+)?(?: ?[A-Za-z°%]{1,4})?")
_ONLY_RULE = re.compile(r"[-=_+|;,\s]+")
_SCORED_ROWS = 60
_SCORED_COLUMNS = 40
_FORMAT = re.compile(r"[dmyhsDMYHS.:/\- #]*")
_LONGEST_UNITS_CELL = 19


class TableError(ValueError):
    """A text without a table that can be found; the text says which option would help."""


@dataclass(frozen=True, slots=True)
class Table:
    """The table in the first lines of a file.

    Attributes
    ----------
    separator : str
    skip_lines : int
        Lines of the file before the first row.
    headings : tuple of str
        Without any in the file: ``column 1`` and so on.
    has_headings : bool
    body : list of list of str
        Rows with as many fields as most have.
    numbers : list of int
        The line of each, from 1.
    """

    separator: str
    skip_lines: int
    headings: tuple[str, ...]
    has_headings: bool
    body: list[list[str]]
    numbers: list[int]

    @property
    def width(self) -> int:
        """Number of columns."""
        return len(self.headings)


@dataclass(slots=True)
class _Split:
    """The lines as one separator splits them."""

    separator: str
    rows: list[list[str]]
    time_column: int | None
    score: int
    width: int


def find_table(
    lines: list[str], separator: str | None, skip_lines: int | None, *, timed: bool
) -> Table:
    """Find the table.

    Parameters
    ----------
    lines : list of str
        The first lines of the file, without their ends.
    separator : str or None
        Given by the user, else None.
    skip_lines : int or None
        How many lines stand before the headings; None to look for them.
    timed : bool
        Whether times are expected that can be recognised; False if their format is given.

    Raises
    ------
    TableError
    """
    start, named = _comments(lines, skip_lines)
    lines = [line if n >= start else "" for n, line in enumerate(lines)]
    if not any(line.strip() for line in lines):
        raise TableError("it holds no rows")
    split = _best_split(lines, separator or named, timed=timed)
    if split.width < 2:
        raise TableError("it has one column only; say --separator if that is wrong")
    first = _first_row(split, lines)
    heading, below = _heading(split, first, given=None if skip_lines is None else start)
    skip = below if heading is not None else _rows_from(split, first)
    kept = [
        (n + 1, row)
        for n, row in enumerate(split.rows)
        if n >= skip and len(row) == split.width and lines[n].strip()
    ]
    if heading is not None and not kept:
        raise TableError("it holds headings and no rows")
    names = _names(split, heading, below, [row for _, row in kept])
    return Table(
        *(split.separator, skip, tuple(names), heading is not None),
        [row for _, row in kept],
        [n for n, _ in kept],
    )


def _comments(lines: list[str], skip_lines: int | None) -> tuple[int, str | None]:
    """Lines of comment at the top, and a separator that one of them names as Excel does."""
    if skip_lines is not None:
        return skip_lines, None
    named: str | None = None
    for n, line in enumerate(lines):
        found = re.match(r"sep=(.)\s*\Z", line.strip("\"'"))
        if found:
            named = named or found[1]
        elif line.strip() and not line.startswith("#"):
            return n, named
    return len(lines), named


def _fields(line: str, separator: str) -> list[str]:
    return next(csv.reader([line], delimiter=separator), [])


def _best_split(lines: list[str], separator: str | None, *, timed: bool) -> _Split:
    found = [_split(lines, candidate) for candidate in ([separator] if separator else SEPARATORS)]
    best = max(found, key=lambda split: split.score)
    if best.score and (timed or separator):
        return best
    for split in found:
        counts = [len(row) for row, line in zip(split.rows, lines, strict=True) if line.strip()]
        usual = max(set(counts), key=counts.count)
        if usual > 1 and counts.count(usual) >= 0.8 * len(counts):
            return _Split(split.separator, split.rows, None, 0, usual)
    if best.score or separator:
        return best
    raise TableError("the separator cannot be found; say --separator")


def _split(lines: list[str], separator: str) -> _Split:
    # A line without the separator is one field: most candidates are done with here.
    rows = [_fields(line, separator) if separator in line else [line] for line in lines]
    if all(len(row) < 2 for row in rows):
        return _Split(separator, rows, None, 0, 1 if any(lines) else 0)
    places: Counter[tuple[int, int]] = Counter()
    used = [row for row in rows if any(cell.strip() for cell in row)]
    # The end of what is known of a file says more of its table than its beginning.
    for row in used[-_SCORED_ROWS:]:
        for n, cell in enumerate(row[:_SCORED_COLUMNS]):
            if looks_like_time(cell):
                places[n, len(row)] += 1
                break
    of_columns: Counter[int] = Counter()
    for (n, width), count in places.items():
        if width > 1:
            of_columns[n] += count
    if not of_columns:
        widths = Counter(len(row) for row in used)
        return _Split(separator, rows, None, 0, widths.most_common(1)[0][0] if widths else 0)
    column, score = of_columns.most_common(1)[0]
    width = max((w for n, w in places if n == column and w > 1), key=lambda w: places[column, w])
    return _Split(separator, rows, column, score, width)


def _is_data(split: _Split, row: list[str]) -> bool:
    if len(row) < 2:
        return False
    if split.time_column is None:
        return len(row) == split.width and any(_NUMBER.fullmatch(c.strip()) for c in row)
    return split.time_column < len(row) and looks_like_time(row[split.time_column])


def _first_row(split: _Split, lines: list[str]) -> int:
    """The first row of data that is as wide as most; else the first as wide."""
    wide = [n for n, row in enumerate(split.rows) if lines[n].strip() and len(row) == split.width]
    for n in wide:
        if _is_data(split, split.rows[n]):
            return n
    return wide[0] if wide else 0


def _heading(split: _Split, first: int, given: int | None) -> tuple[int | None, int]:
    """The line of the headings, None without any, and that of the first row below them."""
    rows = split.rows
    if given is not None:
        places = [n for n in range(given, len(rows)) if any(c.strip() for c in rows[n])]
        if not places or _is_data(split, rows[places[0]]):
            return None, first
        heading = places[0]
    else:
        found = _heading_above(split, first)
        if found is None:
            return None, first
        heading = found
    below = heading + 1
    while below < len(rows) and (
        _is_units(rows[below]) or _ONLY_RULE.fullmatch("".join(rows[below]) or "-")
    ):
        below += 1
    return heading, below


def _heading_above(split: _Split, first: int) -> int | None:
    best: tuple[bool, int, int] | None = None
    blanks = 0
    for n in range(first if _is_data(split, split.rows[first]) else first + 1, 0, -1):
        row = split.rows[n - 1]
        cells = [cell.strip() for cell in row if cell.strip()]
        if not cells:
            blanks += 1
            if blanks > 1 or best is not None:
                break
            continue
        if _is_units(row) or _ONLY_RULE.fullmatch("".join(row)):
            continue
        wrong = any(looks_like_time(c) for c in cells)
        numeric = sum(bool(_NUMBER.fullmatch(c)) for c in cells)
        # A number may head a column, such as the number of a meter; it does not head most.
        if wrong or (numeric and numeric * 2 >= len(cells) - 1 and len(cells) < 4):
            continue
        if len(cells) < 2 and len(row) != split.width:
            continue
        filled = max(m for m, cell in enumerate(row) if cell.strip()) + 1
        worth = (filled == split.width, len(set(cells)) - numeric)
        if best is None or worth > best[:2]:
            best = (*worth, n - 1)
    return best[2] if best else None


def _is_units(row: list[str]) -> bool:
    """Whether a row holds units and nothing else: ``;V;A;°C`` or ``[s];[V]``."""
    cells = [cell.strip().strip("[]()").strip() for cell in row]
    named = [cell for cell in cells if cell]
    return any(is_unit(cell) for cell in named) and all(
        is_unit(cell) or (len(cell) <= _LONGEST_UNITS_CELL and _FORMAT.fullmatch(cell))
        for cell in named
    )


def _rows_from(split: _Split, first: int) -> int:
    """Without headings: the first of the rows as wide as the others that end in the first good."""
    while first > 0 and len(split.rows[first - 1]) == split.width:
        first -= 1
    return first


def _names(split: _Split, heading: int | None, below: int, body: list[list[str]]) -> list[str]:
    width = split.width
    if heading is None:
        return [f"column {n + 1}" for n in range(width)]
    names = [name.strip() for name in split.rows[heading]]
    while len(names) > width and not names[-1]:
        names.pop()  # a separator behind the last one, which the rows do not have
    while len(names) < width and all(not row[len(names)].strip() for row in body):
        names.append(f"column {len(names) + 1}")  # a separator that only the rows have
    if len(names) != width:
        raise TableError(
            f"line {heading + 1} has {len(names)} headings and the rows have {width} fields, "
            f"separated by {split.separator!r}; say --separator, or save decimal commas with ; "
            "(if another line holds the headings, say --skip-lines)"
        )
    for row in split.rows[heading + 1 : below]:
        if _is_units(row):
            for n, cell in enumerate(row[:width]):
                unit = cell.strip().strip("[]()").strip()
                if unit and is_unit(unit) and unit not in names[n]:
                    names[n] = f"{names[n]} [{unit}]"
    return names
