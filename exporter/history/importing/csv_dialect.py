"""How a CSV file is written: encoding, table, columns, times and numbers."""

from __future__ import annotations

import codecs
import csv
import re
from dataclasses import dataclass, field, replace
from itertools import pairwise

import pyarrow as pa

from exporter.history.importing.entity_names import EntityNameError
from exporter.history.importing.file_error import FileError
from exporter.history.importing.layout import FilePlan, Format, LayoutError, Signal
from exporter.history.importing.number_dialect import (
    EMPTY,
    MARKS,
    NumberEvidence,
    as_float,
    cleaned,
)
from exporter.history.importing.row_keys import (
    check_one_series,
    first_plan,
    key_patterns,
)
from exporter.history.importing.table import Table, TableError, find_table
from exporter.history.importing.time_formats import (
    OpenOrderError,
    TimeFormat,
    TimeFormatError,
    detect,
    looks_like_time,
    named_format,
    parse,
)
from exporter.history.importing.time_text import plain
from exporter.history.importing.units import (
    any_unit_in_header,
    conversion,
    unit_in_header,
    unit_named,
)
from exporter.history.importing.wide_days import DayShape

TIME_NAMES = (
    *("time", "timestamp", "datetime", "date_time", "date time", "ts", "_time", "utc", "date"),
    *("zeit", "zeitstempel", "datum", "datum/zeit", "time_utc", "unix", "epoch", "last_changed"),
)
VALUE_NAMES = ("value", "_value", "val", "wert", "messwert", "v", "reading", "state")
HEAD_BYTES = 64 * 1024
_SAMPLE_LINES = 400
_SHARE_OF_ZEROS = 0.3
_CLOCK = re.compile(r"\d{1,2}(?:[:h]\d\d){1,2}(?: ?[AP]M)?")
_DOTTED_CLOCK = re.compile(r"([01]?\d|2[0-4])\.[0-5]\d(?:\.[0-5]\d)?")
_OF_CLOCKS = re.compile(r"time|uhr|zeit|hour|clock|heure|von|from|start|begin", re.IGNORECASE)
_OF_ROWS = ("", "index", "id", "nr", "nr.", "no", "no.", "#", "row", "lfd. nr.", "unnamed: 0")
_ENOUGH_TIMES = 0.8
_UTC_IN_HEADING = re.compile(r"(?<![A-Za-z])(?:UTC|GMT)(?![A-Za-z+-])")
_USUAL_NUMBER = re.compile(r"[-+]?\d+(?:[.,]\d+)?")
_DATE_ONLY = ("iso", "%Y%m%d")


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one file is written, and which columns are taken.

    Attributes
    ----------
    encoding : str
    skip_lines : int
        Lines before the first row.
    separator : str
    width : int
        Number of columns.
    time_columns : tuple of int
        More than one are joined by a blank: a date and a time of day.
    time : TimeFormat
    signals : tuple of Signal
        Each with the index of its column; of a file whose rows say whose they are, those of its
        first row.
    keys : tuple of (placeholder, column)
        The columns that say it.
    headings : tuple of str
    filters : tuple of (column, text)
        Rows with another text in that column are left out.
    decimals, units : tuple of str
        Of each signal: its decimal mark, and the unit that stands behind its numbers.
    evidence : tuple of NumberEvidence
        Of each signal, from the first lines; empty once the marks are decided.
    orders : tuple of TimeFormat
        Formats with exchanged day and month among which more rows must decide.
    patterns : tuple of (placeholder, pattern)
        Where a name is only a part of what its column says.
    shape : DayShape or None
        Of a file with a day in each row; all else is then of the table that it becomes.
    """

    encoding: str
    skip_lines: int
    separator: str
    width: int
    time_columns: tuple[int, ...]
    time: TimeFormat
    signals: tuple[Signal, ...]
    keys: tuple[tuple[str, int], ...] = ()
    headings: tuple[str, ...] = ()
    filters: tuple[tuple[int, str], ...] = ()
    decimals: tuple[str, ...] = ()
    units: tuple[str, ...] = ()
    evidence: tuple[NumberEvidence, ...] = field(default=(), compare=False)
    orders: tuple[TimeFormat, ...] = ()
    patterns: tuple[tuple[str, str], ...] = ()
    shape: DayShape | None = field(default=None, compare=False)


def encoding_of(head: bytes) -> str:
    """The encoding of a file by its first bytes: its mark, zeros of UTF-16, else UTF-8 or Windows.

    The last character may be cut.
    """
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if head.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    even, odd = head[0:4096:2], head[1:4096:2]
    if odd and odd.count(0) > _SHARE_OF_ZEROS * len(odd) and not even.count(0):
        return "utf-16-le"
    if even and even.count(0) > _SHARE_OF_ZEROS * len(even) and not odd.count(0):
        return "utf-16-be"
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        # Of bytes that are no text most are not in Windows' table either.
        return "cp1252" if _is_text(head) else "utf-8"
    return "utf-8"


def _is_text(head: bytes) -> bool:
    return sum(byte < 128 for byte in head) > 0.9 * len(head)


def detect_dialect(head: bytes, plan: FilePlan) -> Dialect:
    """How a file is written, by its beginning.

    Parameters
    ----------
    head : bytes
        Its first bytes, enough for some hundred lines.
    plan : FilePlan
        What is said of it already.

    Raises
    ------
    FileError
        If something cannot be known and is not said.
    """
    try:
        return _detect(head, plan)
    except (TimeFormatError, LayoutError, TableError, EntityNameError) as error:
        raise FileError(str(error)) from None
    except csv.Error as error:
        raise FileError(f"its beginning is no CSV: {error}") from None


def sample_lines(head: bytes, encoding: str) -> list[str]:
    """The first lines of a file.

    Raises
    ------
    FileError
    """
    try:
        text = codecs.getincrementaldecoder(encoding)("replace").decode(head)
    except LookupError:
        raise FileError(f"there is no encoding {encoding!r}") from None
    if "\n" not in text and "\r" in text:
        raise FileError("its lines end in carriage returns alone; convert them to line feeds")
    lines = text.split("\n")[:_SAMPLE_LINES]
    if len(head) >= HEAD_BYTES // 2 and len(lines) > 1:
        lines.pop()  # cut short
    # A return within a line ends nothing: such a line is a bad row when it comes to the rows.
    return [line.rstrip("\r").replace("\r", " ").replace("\0", "") for line in lines]


def _detect(head: bytes, plan: FilePlan) -> Dialect:
    given = plan.format
    encoding = given.encoding or encoding_of(head)
    lines = sample_lines(head, encoding)
    table = find_table(lines, given.separator, given.skip_lines, timed=given.time_format is None)
    filters = _filters(plan, table)
    body = [row for row in table.body if all(row[c].strip() == text for c, text in filters)]
    if not body:
        raise FileError(
            f"none of its first {len(table.body)} rows has "
            + " and ".join(f"{t!r} in {table.headings[c]!r}" for c, t in filters)
        )
    times = _time_columns(table, body, given)
    samples = [" ".join(row[c].strip() for c in times) for row in body]
    time, orders = _time_format(samples, plan)
    headings = list(table.headings)
    time = _in_zone_of_heading(time, headings[times[0]], plan, samples[0])
    if time.is_local and given.timezone is None:
        raise FileError("its times are local and no time zone is said; say --timezone")
    keys = tuple((name, column_index(c, headings)) for name, c in plan.rule.series_columns.items())
    patterns = key_patterns(plan, keys, body)
    first = first_plan(plan, keys, body, dict(patterns))
    taken = {*times, *(c for _, c in keys), *(c for c, _ in filters)}
    signals = _columns(first, headings, taken, body)
    places = [int(s.column or 0) for s in signals]
    evidence = [_evidence(table, column, filters) for column in places]
    signals, units = _units_behind(plan, signals, evidence, body)
    with_units(signals, headings)
    if not keys:
        check_one_series(headings, samples, body, {*taken, *places})
    return Dialect(
        *(encoding, table.skip_lines, table.separator, table.width, times, time, tuple(signals)),
        keys,
        table.headings,
        filters,
        units=tuple(units),
        evidence=tuple(evidence),
        orders=orders,
        patterns=patterns,
    )


def _in_zone_of_heading(time: TimeFormat, heading: str, plan: FilePlan, sample: str) -> TimeFormat:
    """The format of the times, of UTC where their heading says so.

    Raises
    ------
    FileError
        If the command says another zone; that of the file's own entry in the mapping counts.
    """
    if not time.is_local or not _UTC_IN_HEADING.search(heading):
        return time
    zone = plan.format.timezone
    if zone is not None and zone not in ("UTC", "Z") and plan.rule.timezone is None:
        raise FileError(
            f"{sample} is UTC by its heading {heading!r}, and {zone} by --timezone; say --timezone "
            f"UTC, or timezone: {zone} in the file's entry of the mapping"
        )
    return replace(time, utc=True) if zone is None else time


def _filters(plan: FilePlan, table: Table) -> tuple[tuple[int, str], ...]:
    headings = list(table.headings)
    return tuple((column_index(c, headings), text) for c, text in plan.rule.where.items())


def _time_format(samples: list[str], plan: FilePlan) -> tuple[TimeFormat, tuple[TimeFormat, ...]]:
    given = plan.format
    if given.time_format:
        return named_format(given.time_format, given.timezone), ()
    try:
        found = detect(samples, given.timezone)
    except OpenOrderError as error:
        return error.options[0], error.options
    if found is None:
        raise FileError(f"the times cannot be read, the first is {samples[0]!r}; say --time-format")
    return found, ()


def column_index(column: str | int, heading: list[str]) -> int:
    """A column by its heading, or by its number from 1.

    Raises
    ------
    FileError
    """
    if isinstance(column, int) or (column.isdecimal() and column not in heading):
        number = int(column)
        if not 1 <= number <= len(heading):
            raise FileError(f"there is no column {number}; it has {len(heading)}")
        return number - 1
    # A heading may have got the unit of the row below it.
    for names in (heading, [name.rpartition(" [")[0] for name in heading]):
        for index, name in enumerate(names):
            if name.casefold() == column.casefold():
                return index
    raise FileError(f"there is no column {column!r}; it has {', '.join(heading[:40])}")


def _time_columns(table: Table, body: list[list[str]], given: Format) -> tuple[int, ...]:
    heading = list(table.headings)
    if given.time_column is not None:
        column = given.time_column
        chosen = column if isinstance(column, list) else [column]
        return tuple(column_index(c, heading) for c in chosen)
    if given.time_format is not None:
        readable = _columns_in_format(body, named_format(given.time_format, given.timezone))
        if readable:
            return readable
    named = [n for n, name in enumerate(heading) if name.casefold() in TIME_NAMES]
    for index in (*named, *range(len(heading))):
        if not _holds_times(body, index):
            continue
        if _dates_only(body, index):
            clock = _clock_column(body, index, heading)
            return (index,) if clock is None else (index, clock)
        return (index,)
    for first in range(len(heading) - 1):
        if _is_clock(body, first + 1, heading[first + 1]) and re.search(r"\d", body[0][first]):
            return (first, first + 1)
    for index in named:
        if all(re.fullmatch(r"\d{5}([.,]\d+)?", row[index].strip()) for row in body):
            raise FileError(
                f"{heading[index]!r} holds numbers such as {body[0][index]!r}; if they are days "
                "of a spreadsheet, say --time-format excel"
            )
    raise FileError(
        f"no column holds times that can be read; the first row is {body[0][:6]}; say "
        "--time-column and --time-format, or --skip-lines if the table begins further down"
    )


def _columns_in_format(body: list[list[str]], form: TimeFormat) -> tuple[int, ...]:
    """The first column, or the first two next to each other, that a format reads."""
    width = len(body[0])
    for columns in (*((n,) for n in range(width)), *pairwise(range(width))):
        texts = pa.array([" ".join(row[c].strip() for c in columns) for row in body[:100]])
        if parse(texts, form)[1].mean() >= _ENOUGH_TIMES:
            return columns
    return ()


def _holds_times(body: list[list[str]], column: int) -> bool:
    cells = [row[column] for row in body[:100] if row[column].strip()]
    return bool(cells) and sum(map(looks_like_time, cells)) >= 0.8 * len(cells)


def _dates_only(body: list[list[str]], column: int) -> bool:
    cells = [plain(row[column]) for row in body[:20] if row[column].strip()]
    return all(not re.search(r"\d[:.h]?\d\d:|\d:\d|[ T_]\d{4}|\d{9}", cell) for cell in cells)


def _clock_column(body: list[list[str]], date: int, heading: list[str]) -> int | None:
    after = [*range(date + 1, len(body[0])), *range(date)]
    return next((n for n in after if _is_clock(body, n, heading[n])), None)


def _is_clock(body: list[list[str]], column: int, heading: str) -> bool:
    """Whether a column holds times of the day; 3.31 is one only under a heading that says so."""
    forms = [_CLOCK, _DOTTED_CLOCK] if _OF_CLOCKS.search(heading) else [_CLOCK]
    cells = [plain(row[column], intervals=True) for row in body[:20]]
    return any(all(form.fullmatch(cell) for cell in cells) for form in forms)


def _columns(
    plan: FilePlan, heading: list[str], taken: set[int], body: list[list[str]]
) -> list[Signal]:
    signals = plan.signals(heading, taken)
    if plan.rule.columns:
        return signals
    rest = [i for i in range(len(heading)) if i not in taken and _numeric(body, i, heading[i])]
    fitting = [i for i in rest if unit_in_header(signals[0].quantity, heading[i])]
    index = choose_value(signals[0].column, heading, fitting if len(fitting) == 1 else rest, taken)
    return [replace(plan.with_unit(signals[0], heading[index]), column=index)]


def _numeric(body: list[list[str]], column: int, heading: str) -> bool:
    """Whether a column holds numbers, with or without a unit; no times, and no names of digits."""
    cells = [c for row in body[:200] if (c := row[column].strip()).lower() not in EMPTY]
    numbers = sum(_is_number(c) and not looks_like_time(c) for c in cells)
    if numbers * 2 <= len(cells) or _is_clock(body, column, heading):
        return False
    different = set(cells)
    if len(different) == 1 and re.fullmatch(r"0\d+|\d{6,}", cells[0]):
        return False  # the number of a meter
    counted = heading.casefold() in _OF_ROWS and all(c.isdecimal() for c in cells)
    return not (counted and all(int(b) - int(a) == 1 for a, b in pairwise(cells)))


def _is_number(cell: str) -> bool:
    if _USUAL_NUMBER.fullmatch(cell):
        return True
    text, _ = cleaned(cell)
    return any(as_float(text, mark) is not None for mark in MARKS)


def with_units(signals: list[Signal], headings: list[str]) -> None:
    """Refuse signals whose unit is not known, or whose heading names that of something else.

    Raises
    ------
    FileError
    """
    for signal in signals:
        if not signal.conversion.unit:
            heading = headings[int(signal.column or 0)]
            if (unit := any_unit_in_header(heading)) is not None:
                raise FileError(
                    f"{heading!r} is in {unit}, which is no unit of {signal.quantity.name}; map it "
                    "to another quantity (--quantity), or say --value-column"
                )
            raise FileError(
                f"the unit of {signal.quantity.name} is not said; say --unit "
                f"{signal.quantity.name}={signal.quantity.unit} or the like, in the mapping, or in "
                "the heading"
            )


def choose_value(
    given: str | int | None, heading: list[str], rest: list[int], taken: set[int]
) -> int:
    """The column that holds the value: the one said, else the only one left, else by its heading.

    Raises
    ------
    FileError
    """
    if given is not None:
        return column_index(given, heading)
    if len(rest) == 1:
        return rest[0]
    named = [i for i in rest if heading[i].casefold() in VALUE_NAMES]
    if len(named) == 1:
        return named[0]
    left = rest or [i for i in range(len(heading)) if i not in taken]
    raise FileError(
        f"which column holds the value cannot be known; say --value-column, one of: "
        f"{', '.join(heading[i] for i in left[:12])}"
    )


def _evidence(table: Table, column: int, filters: tuple[tuple[int, str], ...]) -> NumberEvidence:
    found = NumberEvidence()
    texts: dict[str, int] = {}
    for number, row in zip(table.numbers, table.body, strict=True):
        if not filters or all(row[c].strip() == text for c, text in filters):
            texts.setdefault(row[column], number)
    for text, number in texts.items():
        found.add(number, text)
    return found


def _units_behind(
    plan: FilePlan, signals: list[Signal], evidence: list[NumberEvidence], body: list[list[str]]
) -> tuple[list[Signal], list[str]]:
    """Signals with the unit that stands behind their numbers, or in a column of its own.

    Raises
    ------
    FileError
        If it contradicts the unit that was said.
    """
    found, units = [], []
    for signal, seen in zip(signals, evidence, strict=True):
        behind = max(seen.units, key=lambda unit: seen.units[unit]) if seen.units else ""
        made = _with_unit_behind(plan, signal, seen, behind, body)
        found.append(made)
        units.append(behind)
    return found, units


def _with_unit_behind(
    plan: FilePlan, signal: Signal, seen: NumberEvidence, behind: str, body: list[list[str]]
) -> Signal:
    unit = unit_named(signal.quantity, behind) if behind else None
    if behind and unit is None:
        raise FileError(
            f"its numbers end in {behind!r}, which is no unit of {signal.quantity.name}; say "
            "--value-column if another column holds the values"
        )
    if unit is not None and seen.units[behind] * 2 < seen.count:
        unit = None  # a few that say it are no reason to convert the others
    if unit is None and not signal.conversion.unit:
        unit = _unit_column(signal, body)
    said = signal.conversion.unit
    if not unit or unit == said:
        return signal
    if plan.rule.unit is not None:
        raise FileError(f"its numbers end in {behind!r}, and their unit is said to be {said}")
    negate = signal.conversion.times < 0
    return replace(signal, conversion=conversion(signal.quantity, unit, negate=negate))


def _unit_column(signal: Signal, body: list[list[str]]) -> str | None:
    """The unit that a column repeats in every row, such as ``KWH`` under ``Einheit``."""
    for column in range(len(body[0])):
        cells = {row[column].strip() for row in body}
        if len(cells) == 1 and (unit := unit_named(signal.quantity, cells.pop())):
            return unit
    return None
