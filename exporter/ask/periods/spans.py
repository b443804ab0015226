"""What a period consists of: spans of time, seen from now."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any, NoReturn

from exporter.ask.periods.calendar import Calendar
from exporter.ask.query import QueryError

_MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
FUTURE = "the future is not known; only the present and the past are"


class FuturePeriodError(QueryError):
    """A period that has not happened yet."""


@dataclass(frozen=True, slots=True)
class Span:
    """Some time: what it means alone, and where a period begins or ends that is bounded by it.

    ``clock`` is set where a time of day has no day; the one last passed is meant then.
    """

    start: datetime
    end: datetime
    first: datetime
    last: datetime
    clock: time | None = None


def whole(start: datetime, end: datetime) -> Span:
    return Span(start, end, start, end)


def days_from(c: Calendar, start: datetime, days: int = 1) -> Span:
    return whole(start, c.day(start, days))


def at(moment: datetime, clock: time | None = None, *, alone: time | None = None) -> Span:
    """A time of day: alone, the minute or the hour that begins with it."""
    length = HOUR if (alone or clock or time()).second else _MINUTE
    end = (moment.astimezone(UTC) + length).astimezone(moment.tzinfo)
    return Span(moment, end, moment, moment, clock)


def future(*_: Any) -> NoReturn:
    raise FuturePeriodError(FUTURE)
