"""Periods that are to come; each needs a calendar that allows them."""

from __future__ import annotations

from datetime import datetime, time

from exporter.ask.periods.calendar import SECONDS, Calendar
from exporter.ask.periods.spans import Span, days_from, future, whole

_MORNING = 6


def next_length(c: Calendar, number: float, unit: str) -> Span:
    """So much time that follows now."""
    return whole(c.now, c.forward(number, unit)) if c.ahead else future()


def next_unit(c: Calendar, unit: str) -> Span:
    """The hour that follows now, or the whole day, week or month after the present one."""
    if not c.ahead or unit in SECONDS:
        return next_length(c, 1, unit)
    start = c.end(unit, c.now)
    return whole(start, c.end(unit, start))


def rest(c: Calendar, unit: str) -> Span:
    """From now to the end of the day, the week or the month."""
    return whole(c.now, c.end(unit, c.now)) if c.ahead else future()


def until(c: Calendar, last: Span) -> Span | None:
    """From now until a time to come; none for one that has been."""
    if not c.ahead:
        return None
    end = last.first if last.clock is None else c.clock_after(c.now, last.clock)
    return whole(c.now, end) if end > c.now else None


def until_weekday(c: Calendar, weekday: str) -> Span | None:
    return whole(c.now, _coming(c, weekday)) if c.ahead else None


def until_part_of_tomorrow(c: Calendar, part: str) -> Span:
    """Until its beginning; the morning begins at six here, since nobody means midnight."""
    begin = max(_MORNING, int(part.partition("-")[0]))
    return whole(c.now, c.on(tomorrow(c), time(begin)))


def _coming(c: Calendar, weekday: str) -> datetime:
    """The next such day after today."""
    return c.day(c.today, (int(weekday) - c.today.weekday() - 1) % 7 + 1)


def next_weekday(c: Calendar, weekday: str) -> Span:
    return days_from(c, _coming(c, weekday)) if c.ahead else future()


def next_weekend(c: Calendar) -> Span:
    return days_from(c, _coming(c, "5"), 2) if c.ahead else future()


def tomorrow(c: Calendar) -> datetime:
    return c.day(c.today, 1) if c.ahead else future()
