"""From a row of a file to a row of the ledger, or the reason why not."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

from exporter.portfolio.column_source import ColumnMapping, ColumnSource, source_of
from exporter.portfolio.ledger_tables import RUNS, ColumnType, LedgerColumn, LedgerTable, folded

LONGEST_TEXT = 200
_LARGEST = Decimal(10) ** 15
_FIRST, _LAST = datetime(1990, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
DATE, PERIOD = "settlement_date", "settlement_period"
"""A day and the number of a period in it, which may stand for a time."""
PERIOD_SECONDS = 1800
"""Length of a settlement period in Great Britain; a mapping file may fix ``seconds`` to another."""
_TIMED = {
    DATE: frozenset({"settlementdate"}),
    PERIOD: frozenset({"settlementperiod", "sp"}),
}
_PLAIN_NUMBER = re.compile(r"[-+]?\d*(?:\.\d+)?(?:[eE][-+]?\d{1,3})?\Z")
_EITHER = re.compile(r"[-+]?\d{1,3},\d{3}\Z")
_GROUPED = {
    mark: re.compile(rf"[-+]?\d{{1,3}}(?:{re.escape(mark)}\d{{3}})+\Z") for mark in (",", ".")
}
_BLANK = frozenset({"", "nan", "null", "none", "n/a", "-"})
"""Written, in lower case, where there is no value."""

Row = dict[str, Any]
"""Values by column: text, Decimal, whole numbers, Unix seconds; None where optional and empty."""


def places_of(
    table: LedgerTable, headings: Sequence[str], mapping: ColumnMapping
) -> dict[str, int]:
    """Where each column of a table is in a file, as far as it is there; the settlement date and
    period, where they are, under :data:`DATE` and :data:`PERIOD`.

    Raises
    ------
    HeadingsError
        A mapping that does not fit, or a column that two headings could be.
    """
    known_as = {column.name: column.known_as for column in table.columns}
    if any(column.type is ColumnType.TIME for column in table.columns):
        known_as |= _TIMED
    unknown = [name for name in mapping if name not in known_as]
    if unknown:
        raise HeadingsError(
            f"the mapping names {', '.join(unknown)}, which is no column; there are "
            f"{', '.join(known_as)}"
        )
    timed = {c.name for c in table.columns if c.type in (ColumnType.TIME, ColumnType.DATE)} | {DATE}
    for name in mapping:
        if source_of(mapping, name).format is not None and name not in timed:
            raise HeadingsError(f"the mapping gives {name} a format; only times and dates have one")
    found: dict[str, int] = {}
    for name, headings_of_it in known_as.items():
        source = source_of(mapping, name)
        if source.value is not None:
            continue
        if source.column is not None:
            fitting = [at for at, one in enumerate(headings) if one == source.column]
            if not fitting:
                raise HeadingsError(f"the mapping's column {source.column!r} is not in the file")
        else:
            # The name itself goes before what else a column may be called.
            own = [at for at, one in enumerate(headings) if folded(one) == folded(name)]
            fitting = own or [
                at for at, one in enumerate(headings) if folded(one) in headings_of_it
            ]
        if len(fitting) > 1:
            raise HeadingsError(
                f"{name} may be {' or '.join(repr(headings[at]) for at in fitting)}; name one in a "
                f"mapping file, such as '{name}: {headings[fitting[0]]}'"
            )
        if fitting:
            found[name] = fitting[0]
    return found


def row_key(table: LedgerTable, row: Row) -> tuple[Any, ...]:
    """What a row is about; of a table with runs, in which run."""
    return tuple(row[name] for name in (*table.key, *(("run",) if table.run else ())))


class BadRowError(Exception):
    """A row that is not taken; its text says which column, and what would be right."""


class HeadingsError(Exception):
    """A file whose columns do not make a table; its text names those that are missing."""


@dataclass(frozen=True, slots=True)
class Notation:
    """How a file writes times and numbers.

    ``zone`` is that of times without an offset and of settlement dates; ``decimal`` the mark of
    numbers in text, None where the file may have either: ``1,234`` is then refused.
    """

    zone: ZoneInfo | None = None
    decimal: str | None = None


class RowReader:
    """Reads the rows of one file for one table.

    Parameters
    ----------
    table : LedgerTable
    headings : sequence of str
        Of the file.
    mapping : ColumnMapping
        Where columns are that the usual names do not find.
    notation : Notation

    Raises
    ------
    HeadingsError
    """

    def __init__(
        self,
        table: LedgerTable,
        headings: Sequence[str],
        mapping: ColumnMapping,
        notation: Notation,
    ) -> None:
        self._table = table
        self._notation = notation
        columns = places_of(table, headings, mapping)
        self._readers = [
            (column, columns.get(column.name), source_of(mapping, column.name))
            for column in table.columns
        ]
        self._date, self._number = (columns.get(name) for name in (DATE, PERIOD))
        self._date_source = source_of(mapping, DATE)
        timed = self._date is not None and self._number is not None
        fixed = source_of(mapping, "seconds").value
        self._period_seconds = int(fixed) if fixed and fixed.isdecimal() else PERIOD_SECONDS
        self._of_a_period = timed and not (columns.keys() & {"seconds", table.period} or fixed)
        missing = [
            column.name
            for column, at, source in self._readers
            if at is None
            and source.value is None
            and column.default is None
            and not (column.type is ColumnType.TIME and timed)
        ]
        if missing:
            raise HeadingsError(
                f"no column for {', '.join(missing)}; the file has "
                f"{', '.join(headings) or 'none'}. "
                "Name them in a mapping file, such as 'amount: Net value'"
            )

    def row(self, cells: Sequence[Any]) -> Row:
        """One row.

        Raises
        ------
        BadRowError
        """
        found: Row = {}
        for column, at, source in self._readers:
            if column.type is ColumnType.TIME and at is None and column.default is None:
                found[column.name] = self._by_period(cells)
                continue
            value = cells[at] if at is not None and at < len(cells) else None
            try:
                found[column.name] = self._value(column, source, value)
            except ValueError as error:
                raise BadRowError(f"{column.name}: {error}") from None
            if column.name == self._table.period and column.type is ColumnType.TIME:
                self._check_period(cells, found[column.name])
        if self._of_a_period and "seconds" in found:
            found["seconds"] = self._period_seconds
        _check(self._table, found)
        return found

    def _value(self, column: LedgerColumn, source: ColumnSource, value: Any) -> Any:
        value = source.translated(value)
        if _is_blank(value):
            if column.default is None:
                raise ValueError("empty")
            if not column.default:
                return "" if column.type is ColumnType.TEXT else None
            value = column.default
        found = _READERS[column.type](source.moment(value), self._notation)
        if source.factor is not None and column.type is ColumnType.NUMBER:
            found *= source.factor
        if column.least is not None and found < Decimal(column.least):
            raise ValueError(f"{value} is below {column.least}")
        if column.most is not None and found > Decimal(column.most):
            raise ValueError(f"{value} is above {column.most}")
        return _chosen(column, found) if column.choices else found

    def _check_period(self, cells: Sequence[Any], start: float) -> None:
        """Where a file gives the settlement period beside the time, both must agree."""
        if self._date is None or self._number is None or self._notation.zone is None:
            return
        if any(at >= len(cells) or _is_blank(cells[at]) for at in (self._date, self._number)):
            return
        if self._by_period(cells) != start:
            moment = datetime.fromtimestamp(start, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            raise BadRowError(
                f"{self._table.period}: {moment} is not settlement period "
                f"{cells[self._number]} of {cells[self._date]}"
            )

    def _by_period(self, cells: Sequence[Any]) -> float:
        """The start of a settlement period, counted from local midnight."""
        assert self._date is not None
        assert self._number is not None
        zone = self._notation.zone
        if zone is None:
            raise BadRowError("settlement dates need the time zone of the market (--timezone)")
        try:
            day = _date(self._date_source.moment(cells[self._date]), self._notation)
            number = _whole(cells[self._number], self._notation)
        except (ValueError, IndexError) as error:
            raise BadRowError(f"settlement date and period: {error}") from None
        begin = datetime.fromisoformat(day).replace(tzinfo=zone)
        seconds = self._period_seconds
        after = (begin + timedelta(days=1)).timestamp()
        start = begin.timestamp() + (number - 1) * seconds
        if number < 1 or start >= after:
            periods = round((after - begin.timestamp()) / seconds)
            raise BadRowError(f"settlement period {number} of a day that has {periods}")
        return start


def _check(table: LedgerTable, row: Row) -> None:
    if table.run and row["run"].upper() not in RUNS and not row["run"].isdigit():
        raise BadRowError(f"run: {row['run']!r} is neither one of {', '.join(RUNS)} nor a number")
    for begin, finish in (("start", "end"), ("opened", "repair_began"), ("opened", "closed")):
        first, last = row.get(begin), row.get(finish)
        if first is not None and last is not None and last < first:
            raise BadRowError(f"{finish}: is before {begin}")


def _is_blank(value: Any) -> bool:
    if isinstance(value, str):
        return value.strip().casefold() in _BLANK
    return value is None or (isinstance(value, float) and math.isnan(value))


def _chosen(column: LedgerColumn, text: str) -> str:
    for one in column.choices:
        if folded(one) == folded(text):
            return one
    raise ValueError(
        f"{text!r} is none of {', '.join(column.choices)}; translate it in a mapping file"
    )


def _text(value: Any, _: Notation) -> str:
    text = " ".join(str(value).split())
    if len(text) > LONGEST_TEXT or not text.isprintable():
        raise ValueError(f"expected at most {LONGEST_TEXT} printable characters")
    return text


def _number(value: Any, notation: Notation) -> Decimal:
    if isinstance(value, bool):
        raise ValueError("expected a number")
    if isinstance(value, str):
        text = _with_point(value.strip(), notation.decimal)
    else:
        # Of a float the shortest text that is this number: what the file's writer meant.
        text = repr(value) if isinstance(value, float) else str(value)
    if not _PLAIN_NUMBER.match(text):
        raise ValueError(f"{str(value)[:40]!r} is no number; expected one such as -1234.50")
    try:
        found = Decimal(text)
    except InvalidOperation:
        raise ValueError(
            f"{str(value)[:40]!r} is no number; expected one such as -1234.50"
        ) from None
    if not found.is_finite() or abs(found) >= _LARGEST:
        raise ValueError(f"{text[:40]} is beyond what is taken")
    return found


def _with_point(text: str, decimal: str | None) -> str:
    """A number with a decimal point and without marks between thousands."""
    if decimal is None and _EITHER.match(text):
        small, large = text.replace(",", "."), text.replace(",", "")
        raise ValueError(f"{text} may be {small} or {large}; say --decimal , or --decimal .")
    mark, other = (",", ".") if decimal == "," else (".", ",")
    whole, point, fraction = text.partition(mark)
    if other in whole and _GROUPED[other].match(whole):
        whole = whole.replace(other, "")
    return f"{whole}{'.' if point else ''}{fraction}"


def _whole(value: Any, notation: Notation) -> int:
    found = _number(value, notation)
    if found != found.to_integral_value():
        raise ValueError(f"{value} is no whole number")
    return int(found)


def _date(value: Any, notation: Notation) -> str:
    if isinstance(value, datetime):
        aware = value.tzinfo is not None and notation.zone is not None
        return (value.astimezone(notation.zone) if aware else value).date().isoformat()
    if isinstance(value, date):
        return value.isoformat()
    text = str(value).strip()
    try:
        return datetime.fromisoformat(text).date().isoformat()
    except ValueError:
        raise ValueError(f"{text[:40]!r} is no date; expected one as 2026-03-01") from None


def _time(value: Any, notation: Notation) -> float:
    if isinstance(value, datetime):
        moment = value
    else:
        text = str(value).strip()
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            raise ValueError(
                f"{text[:40]!r} is no time; expected one as 2026-03-01T00:00:00Z"
            ) from None
    if moment.tzinfo is None:
        if notation.zone is None:
            raise ValueError(f"{value} has no offset; name its zone (--timezone)")
        moment = _local(moment, notation.zone)
    if not _FIRST <= moment < _LAST:
        raise ValueError(f"{value} is outside the years 1990 to 2199")
    return moment.timestamp()


def _local(moment: datetime, zone: ZoneInfo) -> datetime:
    """A local time; the hours that the clock skips or shows twice are refused."""
    early, late = (moment.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
    if early.utcoffset() == late.utcoffset():
        return early
    ahead = early.timestamp() < late.timestamp()
    what = "comes twice" if ahead else "is skipped"
    raise ValueError(f"{moment} {what} where clocks change; give the offset")


_READERS: Mapping[ColumnType, Callable[[Any, Notation], Any]] = {
    ColumnType.TEXT: _text,
    ColumnType.NUMBER: _number,
    ColumnType.WHOLE: _whole,
    ColumnType.DATE: _date,
    ColumnType.TIME: _time,
}
