"""How a CSV file is written: separator, decimal mark, headings, columns, format of the times."""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from exporter.history.importing.layout import FilePlan, LayoutError, Signal
from exporter.history.importing.time_formats import (
    TimeFormat,
    TimeFormatError,
    detect,
    named_format,
)

SEPARATORS = (";", "\t", "|", ",")
TIME_NAMES = (
    *("time", "timestamp", "datetime", "date_time", "date time", "ts", "_time", "utc", "date"),
    *("zeit", "zeitstempel", "datum", "datum/zeit", "time_utc", "unix", "epoch"),
)
VALUE_NAMES = ("value", "_value", "val", "wert", "messwert", "v", "reading")
_SAMPLE_LINES = 400
_NUMBER = re.compile(r"[-+]?\d*([.,])\d+(?:[eE][-+]?\d+)?\Z")


class FileError(Exception):
    """A file that cannot be imported as it is; the text says why, and what to say to help."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one file is written, and which columns are taken.

    Attributes
    ----------
    encoding : str
    skip_lines : int
        Lines before the first row.
    separator, decimal : str
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
    """

    encoding: str
    skip_lines: int
    separator: str
    decimal: str
    width: int
    time_columns: tuple[int, ...]
    time: TimeFormat
    signals: tuple[Signal, ...]
    keys: tuple[tuple[str, int], ...] = ()
    headings: tuple[str, ...] = ()


def encoding_of(head: bytes) -> str:
    """The encoding that a file's first bytes name, else UTF-8."""
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    return "utf-8-sig" if head.startswith(codecs.BOM_UTF8) else "utf-8"


def sniff(head: bytes, plan: FilePlan) -> Dialect:
    """Tell how a file is written by its beginning.

    Parameters
    ----------
    head : bytes
        Its first bytes, enough for some hundred lines.
    plan : FilePlan
        What is said of it already.

    Raises
    ------
    FileError
        If something cannot be told and is not said.
    """
    try:
        return _sniff(head, plan)
    except (TimeFormatError, LayoutError) as error:
        raise FileError(str(error)) from None
    except csv.Error as error:
        raise FileError(f"its beginning is no CSV: {error}") from None


def _sniff(head: bytes, plan: FilePlan) -> Dialect:
    said = plan.format
    encoding = said.encoding or encoding_of(head)
    try:
        text = codecs.getincrementaldecoder(encoding)("replace").decode(head)
    except LookupError:
        raise FileError(f"there is no encoding {encoding!r}") from None
    if "\n" not in text and "\r" in text:
        raise FileError("its lines end in carriage returns alone; convert them to line feeds")
    lines = text.split("\n")[:_SAMPLE_LINES]
    if len(head) >= 1 << 15 and len(lines) > 1:
        lines.pop()  # cut short
    # A return within a line ends nothing: such a line is a bad row when it comes to the rows.
    lines = [line.rstrip("\r").replace("\r", " ").replace("\0", "") for line in lines]
    skip, separator = _preamble(lines, said.separator)
    lines = [line for line in lines[skip:] if line.strip()]
    if not lines:
        raise FileError("it holds no rows")
    separator = separator or _separator(lines)
    rows = list(csv.reader(lines, delimiter=separator))
    body = rows[1:] or rows
    heading, width = [name.strip() for name in rows[0]], _usual_width(body)
    has_heading = not any(_holds_time(cell) for cell in rows[0])
    while len(heading) > width and not heading[-1]:
        heading.pop()  # a separator behind the last one, which the rows do not have
    if not has_heading:
        body = rows
        heading = [f"column {n + 1}" for n in range(width)]
    elif len(rows) == 1:
        raise FileError("it holds headings and no rows")
    elif len(heading) != width:
        raise FileError(
            f"line {skip + 1} has {len(heading)} headings and the rows have {width} fields, "
            f"separated by {separator!r}; say --separator, or save decimal commas with ;"
        )
    if width < 2:
        raise FileError("it has one column only; say --separator if that is wrong")
    body = [row for row in body if len(row) == width]
    times = _time_columns(heading, body, said.time_column)
    samples = [" ".join(row[c].strip() for c in times) for row in body]
    time = named_format(said.time_format) if said.time_format else detect(samples)
    if time is None:
        raise FileError(f"the times cannot be read, the first is {samples[0]!r}; say --time-format")
    if time.is_local and said.timezone is None:
        raise FileError("its times are local and no time zone is said; say --timezone")
    keys = tuple((name, _index(c, heading)) for name, c in plan.rule.series.items())
    signals = _columns(first_plan(plan, keys, body), heading, {*times, *(c for _, c in keys)})
    decimal = said.decimal or _decimal(body, [int(s.column or 0) for s in signals])
    if has_heading:
        skip += next(i for i, line in enumerate(text.split("\n")[skip:]) if line.strip()) + 1
    return Dialect(
        *(encoding, skip, separator, decimal, width, times, time, tuple(signals)),
        keys,
        tuple(heading),
    )


def _preamble(lines: list[str], separator: str | None) -> tuple[int, str | None]:
    """Lines of comment at the top, and a separator that one of them names as Excel does."""
    skip = 0
    for line in lines:
        named = re.match(r"sep=(.)\s*\Z", line)
        if named:
            separator = separator or named[1]
        elif line.strip() and not line.startswith("#"):
            break
        skip += 1
    return skip, separator


def _separator(lines: list[str]) -> str:
    for candidate in SEPARATORS:
        counts = [len(row) for row in csv.reader(lines, delimiter=candidate)]
        usual = max(set(counts), key=counts.count)
        if usual > 1 and counts.count(usual) >= 0.8 * len(counts):
            return candidate
    raise FileError("the separator cannot be told; say --separator")


def _usual_width(rows: list[list[str]]) -> int:
    counts = [len(row) for row in rows]
    return max(set(counts), key=counts.count)


def _holds_time(cell: str) -> bool:
    """Whether a cell of the first line can be a time, of any format; then it is no heading."""
    return cell.strip()[:1].isdigit() and sum(c.isdigit() for c in cell) >= 6


def _index(column: str | int, heading: list[str]) -> int:
    """A column by its heading, or by its number from 1."""
    if isinstance(column, int) or (column.isdecimal() and column not in heading):
        number = int(column)
        if not 1 <= number <= len(heading):
            raise FileError(f"there is no column {number}; it has {len(heading)}")
        return number - 1
    for index, name in enumerate(heading):
        if name.casefold() == column.casefold():
            return index
    raise FileError(f"there is no column {column!r}; it has {', '.join(heading)}")


def _time_columns(
    heading: list[str], body: list[list[str]], said: str | int | list[str | int] | None
) -> tuple[int, ...]:
    if said is not None:
        return tuple(_index(c, heading) for c in (said if isinstance(said, list) else [said]))
    lower = [name.casefold() for name in heading]
    for index, name in enumerate(lower):
        if name in TIME_NAMES and _readable(body, index):
            return (index,)
    for index in range(len(heading)):
        if _readable(body, index):
            return (index,)
    for first, second in pairwise(range(len(heading))):
        if _is_clock(body, second) and re.search(r"\d", body[0][first]):
            return (first, second)
    raise FileError(
        f"no column holds times that can be read; the first row is {body[0][:6]}; "
        "say --time-column and --time-format"
    )


def _readable(body: list[list[str]], column: int) -> bool:
    try:
        found = detect([row[column] for row in body])
    except TimeFormatError:
        return True  # a time, though day and month are to be said
    # A date alone is a time only where no time of day stands beside it.
    date_only = all(len(row[column].strip()) <= 10 for row in body) and found == TimeFormat("iso")
    return found is not None and not (
        date_only and column + 1 < len(body[0]) and _is_clock(body, column + 1)
    )


def _is_clock(body: list[list[str]], column: int) -> bool:
    return all(re.match(r"\s*\d{1,2}:\d\d(:\d\d)?", row[column]) for row in body[:20])


def first_plan(
    plan: FilePlan, keys: tuple[tuple[str, int], ...], body: Iterable[Sequence[str | None]]
) -> FilePlan:
    """Where rows say whose they are, the plan for the first one that says it as it should."""
    if not keys:
        return plan
    fault: LayoutError | None = None
    for row in body:
        try:
            return plan.of_row({name: named(row[column]) for name, column in keys})
        except LayoutError as error:
            fault = fault or error
    raise FileError(f"no row says whose it is: {fault}")


def named(written: str | None) -> str:
    """A name without blanks around it, and 17 for the 17.0 that a spreadsheet makes of it."""
    name = (written or "").strip()
    return name[:-2] if re.fullmatch(r"\d+\.0", name) else name


def _columns(plan: FilePlan, heading: list[str], times: set[int]) -> list[Signal]:
    signals = plan.signals(heading, times)
    if plan.rule.columns:
        found = signals
    else:
        rest = [i for i in range(len(heading)) if i not in times]
        index = choose_value(signals[0].column, heading, rest)
        signal = plan.with_unit(signals[0], heading[index])
        found = [Signal(signal.kind, signal.tags, signal.conversion, index)]
    with_units(found)
    return found


def with_units(signals: list[Signal]) -> None:
    """Refuse signals whose unit is not known.

    Raises
    ------
    FileError
    """
    for signal in signals:
        if not signal.conversion.unit:
            raise FileError(
                f"the unit of {signal.kind.name} is not said; say --unit "
                f"{signal.kind.name}=kW or the like, in the mapping, or in the heading"
            )


def choose_value(said: str | int | None, heading: list[str], rest: list[int]) -> int:
    """The column that holds the value: the one said, else the only one left, else by its heading.

    Raises
    ------
    FileError
    """
    if said is not None:
        return _index(said, heading)
    if len(rest) == 1:
        return rest[0]
    named = [i for i in rest if heading[i].casefold() in VALUE_NAMES]
    if len(named) == 1:
        return named[0]
    raise FileError(
        f"which column holds the value cannot be told; say --value-column, one of: "
        f"{', '.join(heading[i] for i in rest[:12])}"
    )


def _decimal(body: list[list[str]], columns: list[int]) -> str:
    marks = {m[1] for row in body for c in columns if (m := _NUMBER.match(row[c].strip()))}
    if len(marks) > 1:
        raise FileError("some numbers have a decimal comma and some a point; say --decimal")
    return marks.pop() if marks else "."
