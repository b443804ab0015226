"""From a row of a file to a row of the ledger, or the reason why not."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

from exporter.portfolio.ledger_tables import RUNS, ColumnType, LedgerColumn, LedgerTable, folded

LONGEST_TEXT = 200
_LARGEST = Decimal(10) ** 15
_FIRST, _LAST = datetime(1990, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
_DATE_HEADINGS = frozenset({"settlementdate"})
_PERIOD_HEADINGS = frozenset({"settlementperiod"})
_PLAIN_NUMBER = re.compile(r"[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d+)?(?:[eE][-+]?\d{1,3})?\Z")

Row = dict[str, Any]
"""Values by column: text, Decimal, whole numbers, Unix seconds; None where optional and empty."""


def row_key(table: LedgerTable, row: Row) -> tuple[Any, ...]:
    """What a row is about; of a table with runs, in which run."""
    return tuple(row[name] for name in (*table.key, *(("run",) if table.run else ())))


class BadRowError(Exception):
    """A row that is not taken; its text says which column, and what would be right."""


class HeadingsError(Exception):
    """A file whose columns do not make a table; its text names those that are missing."""


class RowReader:
    """Reads the rows of one file for one table.

    Parameters
    ----------
    table : LedgerTable
    headings : sequence of str
        Of the file.
    mapping : mapping of str to str
        Columns of the table to headings of the file, where the usual names do not do.
    zone : ZoneInfo or None
        Of times without an offset, and of settlement dates; without it such times are refused.

    Raises
    ------
    HeadingsError
    """

    def __init__(
        self,
        table: LedgerTable,
        headings: Sequence[str],
        mapping: Mapping[str, str],
        zone: ZoneInfo | None,
    ) -> None:
        self._table = table
        self._zone = zone
        places = {folded(heading): at for at, heading in enumerate(headings)}
        self._readers: list[tuple[LedgerColumn, int | None]] = []
        missing = []
        for column in table.columns:
            at = self._place(column, headings, places, mapping)
            if at is None and column.default is None and column.type is not ColumnType.TIME:
                missing.append(column.name)
            self._readers.append((column, at))
        self._date = next((places[h] for h in _DATE_HEADINGS if h in places), None)
        self._number = next((places[h] for h in _PERIOD_HEADINGS if h in places), None)
        timed = self._date is not None and self._number is not None
        for column, at in self._readers:
            if (
                column.type is ColumnType.TIME
                and at is None
                and column.default is None
                and not timed
            ):
                missing.append(column.name)
        if missing:
            raise HeadingsError(
                f"no column for {', '.join(missing)}; the file has "
                f"{', '.join(headings) or 'none'}. "
                "Name them in a mapping file, such as 'amount: Net value'"
            )

    def _place(
        self,
        column: LedgerColumn,
        headings: Sequence[str],
        places: Mapping[str, int],
        mapping: Mapping[str, str],
    ) -> int | None:
        wanted = mapping.get(column.name)
        if wanted is not None:
            if wanted not in headings:
                raise HeadingsError(f"the mapping's column {wanted!r} is not in the file")
            return headings.index(wanted)
        return next((at for name, at in places.items() if name in column.known_as), None)

    def row(self, cells: Sequence[Any]) -> Row:
        """One row.

        Raises
        ------
        BadRowError
        """
        found: Row = {}
        for column, at in self._readers:
            value = cells[at] if at is not None and at < len(cells) else None
            if column.type is ColumnType.TIME and at is None and column.default is None:
                found[column.name] = self._by_period(cells)
                continue
            try:
                found[column.name] = self._value(column, value)
            except ValueError as error:
                raise BadRowError(f"{column.name}: {error}") from None
        _check(self._table, found)
        return found

    def _value(self, column: LedgerColumn, value: Any) -> Any:
        blank = value is None or (isinstance(value, str) and not value.strip())
        if blank or (isinstance(value, float) and math.isnan(value)):
            if column.default is None:
                raise ValueError("empty")
            if not column.default:
                return "" if column.type is ColumnType.TEXT else None
            value = column.default
        found = _READERS[column.type](value, self._zone)
        if column.least is not None and found < Decimal(column.least):
            raise ValueError(f"{value} is below {column.least}")
        return found

    def _by_period(self, cells: Sequence[Any]) -> float:
        """The start of a settlement period, counted from local midnight."""
        assert self._date is not None
        assert self._number is not None
        if self._zone is None:
            raise BadRowError("settlement dates need the time zone of the market (--timezone)")
        try:
            day = _date(cells[self._date], None)
            number = _whole(cells[self._number], None)
        except (ValueError, IndexError) as error:
            raise BadRowError(f"settlement date and period: {error}") from None
        begin = datetime.fromisoformat(day).replace(tzinfo=self._zone)
        length = next((c.default for c, _ in self._readers if c.name == "seconds"), None)
        seconds = int(length or "1800")
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


def _text(value: Any, _: ZoneInfo | None) -> str:
    text = " ".join(str(value).split())
    if len(text) > LONGEST_TEXT or not text.isprintable():
        raise ValueError(f"expected at most {LONGEST_TEXT} printable characters")
    return text


def _number(value: Any, _: ZoneInfo | None) -> Decimal:
    if isinstance(value, bool):
        raise ValueError("expected a number")
    if isinstance(value, float):
        # The shortest text that is this number: what the file's writer meant.
        value = repr(value)
    text = str(value).strip()
    if not _PLAIN_NUMBER.match(text):
        raise ValueError(f"{text[:40]!r} is no number; expected one such as -1234.50")
    try:
        found = Decimal(text.replace(",", ""))
    except InvalidOperation:
        raise ValueError(f"{text[:40]!r} is no number; expected one such as -1234.50") from None
    if not found.is_finite() or abs(found) >= _LARGEST:
        raise ValueError(f"{text[:40]} is beyond what is taken")
    return found


def _whole(value: Any, zone: ZoneInfo | None) -> int:
    found = _number(value, zone)
    if found != found.to_integral_value():
        raise ValueError(f"{value} is no whole number")
    return int(found)


def _date(value: Any, _: ZoneInfo | None) -> str:
    if isinstance(value, datetime):
        return value.date().isoformat()
    if isinstance(value, date):
        return value.isoformat()
    try:
        return date.fromisoformat(str(value).strip()[:10]).isoformat()
    except ValueError:
        raise ValueError(f"{str(value)[:40]!r} is no date; expected one as 2026-03-01") from None


def _time(value: Any, zone: ZoneInfo | None) -> float:
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
        if zone is None:
            raise ValueError(f"{value} has no offset; name its zone (--timezone)")
        moment = _local(moment, zone)
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


_READERS: Mapping[ColumnType, Callable[[Any, ZoneInfo | None], Any]] = {
    ColumnType.TEXT: _text,
    ColumnType.NUMBER: _number,
    ColumnType.WHOLE: _whole,
    ColumnType.DATE: _date,
    ColumnType.TIME: _time,
}
