"""What the words of a period mean in the orders in which they stand: one table of rows."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, time, timedelta

from exporter.ask.periods import ahead
from exporter.ask.periods.calendar import DAY, SECONDS, Calendar
from exporter.ask.periods.spans import HOUR, Span, at, days_from, future, whole
from exporter.ask.query import QueryError

_MINUTE = timedelta(minutes=1)
# The marks of a time of day that "am" or "pm" stands behind.
HALVES = {"pm": 1, "am": 2}


def _iso(c: Calendar, match: re.Match[str]) -> Span:
    year, month, day, hour, minute, second, offset = match.groups()
    found = c.date(int(year), int(month), int(day))
    if hour is None:
        return days_from(c, found)
    try:
        found = found.replace(hour=int(hour), minute=int(minute), second=int(second or 0))
        if offset:
            shift = "+00:00" if offset in "Zz" else offset
            found = datetime.fromisoformat(found.replace(tzinfo=None).isoformat() + shift)
    except ValueError:
        raise QueryError(f"{match[0].strip()} is not a time") from None
    return at(found.astimezone(c.now.tzinfo))


def _dotted(c: Calendar, match: re.Match[str]) -> datetime:
    return c.past_date(int(match[2]), int(match[1]), float(match[3]) if match[3] else None)


def _weekday(c: Calendar, weekday: str, *, before_today: bool = False) -> datetime:
    back = (c.today.weekday() - int(weekday)) % 7
    return c.day(c.today, -(7 if back == 0 and before_today else back))


def _relative(c: Calendar, day: str) -> datetime:
    return c.day(c.today, -int(day))


def _part(c: Calendar, day: datetime, part: str) -> Span:
    begin, end = (int(hour) for hour in part.split("-"))
    start = c.on(day, time(begin))
    return whole(start, c.day(day, 1) if end == 24 else c.on(c.day(day, end // 24), time(end % 24)))


def _day_part(c: Calendar, day: str, part: str) -> Span:
    """Of a night that belongs to today ("heute Nacht"), the one that began yesterday."""
    if part == "18-30" and day == "0":
        return _last_night(c)
    return _part(c, _relative(c, day), part)


def _month(c: Calendar, month: str, year: float | None) -> Span:
    start = c.past_date(int(month), 1, year)
    return whole(start, c.day(start.replace(day=28), 4).replace(day=1))


def _quarter(c: Calendar, number: float, year: float | None) -> Span:
    """Q4: the last one that has begun."""
    if number not in (1, 2, 3, 4):
        raise QueryError(f"{number:g} is no quarter of a year")
    start = c.past_date(int(3 * number - 2), 1, year)
    return whole(start, c.end("quarter", start))


def _calendar_week(c: Calendar, week: float) -> Span:
    """A week by its number, of the year before where it has not come yet this year."""
    year = c.now.year if week <= c.now.isocalendar().week else c.now.year - 1
    try:
        start = datetime.fromisocalendar(year, int(week), 1)
    except ValueError:
        raise QueryError(f"{week:g} is no week of a year") from None
    return days_from(c, c.date(start.year, start.month, start.day), 7)


def _iso_month(c: Calendar, match: re.Match[str]) -> Span:
    if not 1 <= int(match[2]) <= 12:
        raise QueryError(f"{match[0]} is no month")
    return _month(c, match[2], float(match[1]))


def _month_day(c: Calendar, day: float, month: str, year: float | None, clock: time | None) -> Span:
    if not 1 <= day <= 31 or day != int(day):
        raise QueryError(f"{day:g} is no day of a month")
    start = c.past_date(int(month), int(day), year)
    return days_from(c, start) if clock is None else at(c.on(start, clock), alone=clock)


def _month_days(c: Calendar, first: float, last: float, month: str, year: float | None) -> Span:
    end = _month_day(c, last, month, year, None).end
    start = c.day(end, -1)
    return whole(c.date(start.year, start.month, int(first)), end)


def _rolling(c: Calendar, number: float | None, unit: str) -> Span:
    length = 1.0 if number is None else number
    if length <= 0 or length > 1e6:
        raise QueryError("a period has a length from one second on")
    start = c.back(length, unit)
    return Span(start, c.now, start, start)


def _ago(c: Calendar, number: float, unit: str) -> Span:
    """The minute, the hour or the day around that time; as a bound, that time itself."""
    moment = c.back(number, unit)
    if unit not in SECONDS:
        day = c.day(moment)
        return days_from(c, day)
    half = HOUR / 2 if unit == "hour" else _MINUTE / 2
    return Span(moment - half, moment + half, moment, moment)


def _last(c: Calendar, unit: str) -> Span:
    """The whole unit before the present one; of hours and minutes, the last sixty."""
    if unit in SECONDS:
        return _rolling(c, 1, unit)
    end = c.begin(unit, c.now)
    return whole(c.begin(unit, c.day(end, -1)), end)


def _this(c: Calendar, unit: str) -> Span:
    return whole(c.begin(unit, c.now), c.now)


def _weekend(c: Calendar) -> Span:
    weekday = c.today.weekday()
    saturday = c.day(c.today, -(weekday - 5 if weekday >= 5 else weekday + 2))
    return days_from(c, saturday, 2)


def _last_part(c: Calendar, part: str) -> Span:
    return _part(c, c.day(c.today, -1), part)


def _last_night(c: Calendar) -> Span:
    return _last_part(c, "18-30")


def from_moment(c: Calendar, span: Span) -> Span:
    """From 10 on; but what is from yesterday or last week is of that time."""
    return span if span.first == span.start and span.end - span.start >= DAY else since(c, span)


def since(c: Calendar, span: Span) -> Span:
    return whole(span.first, c.now)


def _since_hour(c: Calendar, clock: time) -> Span:
    return whole(c.last_clock(clock), c.now)


def between(c: Calendar, first: Span, last: Span) -> Span:
    """From one to the other; a time of day without a day belongs to the day of the other end."""
    if last.clock is None:
        on_a_day = first.clock is not None and last.first == last.last
        start = c.on(last.first, first.clock) if first.clock and on_a_day else first.first
        return whole(start if start < last.last else first.first, last.last)
    if first.clock is not None:
        return _clocks(c, first.clock, last.clock)
    on_a_day = first.first == first.last
    end = c.clock_after(first.first, last.clock) if on_a_day else c.last_clock(last.clock)
    return whole(first.first, end)


def _clocks(c: Calendar, first: time, last: time) -> Span:
    """The last such window that has begun; across midnight where it is no longer than a half day.

    Raises
    ------
    QueryError
    """
    first = _same_half(first, last)
    if first < last:
        start = c.last_clock(first)
        return whole(start, c.on(start, last))
    end = c.last_clock(last)
    start = c.on(c.day(end, -1), first)
    if end - start > DAY / 2:
        raise QueryError(f"{first:%H:%M} to {last:%H:%M}: a period must begin before it ends")
    return whole(start, end)


def _hours(c: Calendar, day: datetime, first: time, last: time) -> Span:
    start = c.on(day, first)
    return whole(start, c.clock_after(start, last))


def _hours_until(c: Calendar, first: time, last: time) -> Span:
    """``between 2 and 3 pm``: the first hour is of the same half of the day where it can be."""
    first = _same_half(first, last)
    return _hours(c, c.last_clock(first), first, last)


def _same_half(first: time, last: time) -> time:
    """``1:15 and 1:45 pm``: what stands behind the second time is meant of the first too."""
    if first.microsecond or last.microsecond != HALVES["pm"] or first.hour >= 12:
        return first
    later = first.replace(hour=first.hour + 12)
    return later if (later.hour, later.minute) <= (last.hour, last.minute) else first


def _last_part_hours(c: Calendar, part: str, first: time, last: time) -> Span:
    """``between 2 and 5 last night``: before midnight from six on, else after it."""
    begin, end = (int(hour) for hour in part.split("-"))
    start, finish = (
        c.on(c.today, clock)
        if end > 24 and clock.hour <= end - 24 and not clock.microsecond
        else c.on(c.day(c.today, -1), _of_part(clock, part) if begin >= 12 else clock)
        for clock in (first, last)
    )
    return whole(start, finish)


def _part_of_day_hours(c: Calendar, day: str, part: str, first: time, last: time) -> Span:
    """Of the night of today, as "heute Nacht zwischen 2 und 4", the last one."""
    if day == "0" and part == "18-30":
        return _last_part_hours(c, part, first, last)
    return _hours(c, _relative(c, day), _of_part(first, part), _of_part(last, part))


def _of_part(clock: time, part: str) -> time:
    """``6`` in the morning is 6:00, in the evening 18:00."""
    late = int(part.partition("-")[0]) >= 12
    return clock.replace(hour=clock.hour + 12) if late and clock.hour < 12 else clock


def _since_hour_of(c: Calendar, day: datetime, clock: time) -> Span:
    return whole(c.on(day, clock), c.now)


def _before_last(c: Calendar, unit: str) -> Span | None:
    """The unit before the last one: "than the week before"."""
    if unit in SECONDS:
        return None
    end = _last(c, unit).start
    return whole(c.begin(unit, c.day(end, -1)), end)


def _same_time(c: Calendar, day: str) -> Span:
    """The hour around the present time of another day."""
    moment = c.on(_relative(c, day), c.now.time())
    return whole(moment - HOUR / 2, moment + HOUR / 2)


@dataclass(frozen=True, slots=True)
class Row:
    """An order of classes, ``?`` behind what may be missing, and what it means."""

    pattern: tuple[str, ...]
    make: Callable[..., Span | None]


def _rows(*rows: tuple[str, Callable[..., Span | None]]) -> tuple[Row, ...]:
    return tuple(
        Row(tuple(pattern.split()), make)
        for patterns, make in rows
        for pattern in patterns.split("|")
    )


HELD = {
    *("moment", "named", "time", "hour", "number", "digits", "unit", "weekday", "weekday!"),
    *("month", "month!", "year", "day", "part", "iso", "iso_month", "dotted", "ordinal_day"),
}
NAMED = _rows(
    ("iso", _iso),
    ("iso_month", _iso_month),
    ("iso time", lambda c, match, clock: at(c.on(_iso(c, match).start, clock), alone=clock)),
    ("dotted", lambda c, match: days_from(c, _dotted(c, match))),
    ("dotted time", lambda c, match, clock: at(c.on(_dotted(c, match), clock), alone=clock)),
    ("day", lambda c, day: days_from(c, _relative(c, day))),
    ("day part", _day_part),
    ("part day", lambda c, part, day: _part(c, _relative(c, day), part)),
    ("day time", lambda c, day, clock: at(c.on(_relative(c, day), clock), alone=clock)),
    (
        "day at hour",
        lambda c, day, clock: at(c.on(_relative(c, day), clock), alone=clock),
    ),
    (
        "time day|at hour day",
        lambda c, clock, day: at(c.on(_relative(c, day), clock), alone=clock),
    ),
    # The day before yesterday.
    ("unit until day", lambda c, unit, day: days_from(c, c.day(_relative(c, day), -1))),
    ("weekday!", lambda c, day: days_from(c, _weekday(c, day))),
    ("last weekday", lambda c, day: days_from(c, _weekday(c, day, before_today=True))),
    ("last? weekday part", lambda c, day, part: _part(c, _weekday(c, day), part)),
    (
        "last? weekday at hour",
        lambda c, day, clock: at(c.on(_weekday(c, day), clock), alone=clock),
    ),
    ("last? weekday time", lambda c, day, clock: at(c.on(_weekday(c, day), clock), alone=clock)),
    ("time last? weekday", lambda c, clock, day: at(c.on(_weekday(c, day), clock), alone=clock)),
    # Before days of a month: of two readings of one length the first is taken.
    ("kw digits", _calendar_week),
    ("month year", _month),
    ("digits ordinal? month year? time?", _month_day),
    (
        "month digits ordinal? year? time?",
        lambda c, month, day, year, clock: _month_day(c, day, month, year, clock),
    ),
    ("month! year?", _month),
    (
        "hour this part|hour in this part|at hour this part|at hour in this part",
        lambda c, clock, part: at(c.on(c.today, _of_part(clock, part)), alone=clock),
    ),
    ("time", lambda c, clock: at(c.last_clock(clock), clock)),
    ("number unit ago|vor number unit", _ago),
    ("this unit", _this),
    ("last unit", _last),
    ("unit until date|unit until now", _this),
    ("this part", lambda c, part: _part(c, c.today, part)),
    ("tonight", lambda c: _part(c, c.today, "18-30")),
    ("last part", _last_part),
    ("overnight", _last_night),
    ("weekend|last weekend|this weekend|rolling weekend|filler weekend", _weekend),
    ("last number unit|rolling number unit|filler last number unit", _rolling),
    ("filler rolling number unit", _rolling),
    ("rolling unit|filler rolling unit|the last unit", lambda c, unit: _rolling(c, 1, unit)),
    ("digits unit", _rolling),
    (
        "last fortnight|rolling fortnight|filler last fortnight|over filler last fortnight",
        lambda c: _rolling(c, 2, "week"),
    ),
    ("rolling this unit|this rolling unit", lambda c, unit: _rolling(c, 1, unit)),
    # The first of March.
    (
        "ordinal_day filler? month! year?",
        lambda c, day, month, year: _month_day(c, float(day), month, year, None),
    ),
    ("tomorrow", lambda c, *_: days_from(c, ahead.tomorrow(c))),
    ("tomorrow part", lambda c, part: _part(c, ahead.tomorrow(c), part)),
    ("part tomorrow", lambda c, part: _part(c, ahead.tomorrow(c), part)),
    (
        "tomorrow time|tomorrow at hour",
        lambda c, clock: at(c.on(ahead.tomorrow(c), clock), alone=clock),
    ),
    (
        "time tomorrow|at hour tomorrow",
        lambda c, clock: at(c.on(ahead.tomorrow(c), clock), alone=clock),
    ),
    ("next unit", ahead.next_unit),
    ("next number unit|in next number unit", ahead.next_length),
    ("next weekday", ahead.next_weekday),
    ("next weekend", ahead.next_weekend),
    ("next part", lambda *_: future()),
    ("rest this? unit|rest filler unit", ahead.rest),
    ("rest day", lambda c, day: ahead.rest(c, "day") if day == "0" else None),
    ("unit prior|last unit prior last?|unit prior last", _before_last),
    ("this clock_time day", _same_time),
)
"""What has a meaning by itself."""

MOMENTS = NAMED + _rows(
    ("weekday", lambda c, day: days_from(c, _weekday(c, day))),
    ("month year?", _month),
    ("unit", _this),
    ("now", lambda c: at(c.now)),
)
"""What bounds a period."""

ROWS = NAMED + _rows(
    ("between moment and moment|from moment until moment|since moment until moment", between),
    ("named until moment|named dash moment", between),
    ("since moment|after moment", since),
    ("lead_in moment", from_moment),
    ("since hour", _since_hour),
    ("since yearstart|yearstart", lambda c: _this(c, "year")),
    (
        "since hour this part|since hour in this part",
        lambda c, clock, part: _since_hour_of(c, c.today, _of_part(clock, part)),
    ),
    (
        "since hour day part",
        lambda c, clock, day, part: _since_hour_of(c, _relative(c, day), _of_part(clock, part)),
    ),
    (
        "since day part hour|since day part at hour",
        lambda c, day, part, clock: _since_hour_of(c, _relative(c, day), _of_part(clock, part)),
    ),
    (
        "since hour day|since day hour",
        lambda c, *given: _since_hour_of(
            c,
            _relative(c, next(x for x in given if isinstance(x, str))),
            next(x for x in given if isinstance(x, time)),
        ),
    ),
    (
        "day between hour and hour|day from hour until hour|day hour until hour|day hour dash hour",
        lambda c, day, first, last: _hours(c, _relative(c, day), first, last),
    ),
    (
        "between hour and hour day|from hour until hour day|hour until hour day|hour dash hour day",
        lambda c, first, last, day: _hours(c, _relative(c, day), first, last),
    ),
    (
        "this part between hour and hour|this part from hour until hour|this part hour until hour",
        lambda c, part, first, last: _hours(c, c.today, first, last),
    ),
    (
        "between hour and hour this part|from hour until hour this part",
        lambda c, first, last, part: _hours(c, c.today, first, last),
    ),
    (
        "last part between hour and hour|last part from hour until hour|last part hour until hour",
        _last_part_hours,
    ),
    (
        "between hour and hour last part|from hour until hour last part|hour until hour last part",
        lambda c, first, last, part: _last_part_hours(c, part, first, last),
    ),
    ("day part between hour and hour|day part from hour until hour", _part_of_day_hours),
    (
        "weekday between hour and hour|weekday from hour until hour|weekday hour until hour",
        lambda c, day, first, last: _hours(c, _weekday(c, day), first, last),
    ),
    (
        "between hour and hour weekday|from hour until hour weekday|hour until hour weekday",
        lambda c, first, last, day: _hours(c, _weekday(c, day), first, last),
    ),
    (
        "between hour and time|from hour until time|hour until time",
        _hours_until,
    ),
    (
        "between digits ordinal? and digits ordinal? month year?"
        "|from digits ordinal? until digits ordinal? month year?"
        "|since digits ordinal? until digits ordinal? month year?"
        "|digits ordinal? until digits ordinal? month year?|digits dash digits month year?",
        _month_days,
    ),
    ("over filler? last unit|in filler last unit", lambda c, unit: _rolling(c, 1, unit)),
    ("during filler last unit", lambda c, unit: _rolling(c, 1, unit)),
    ("over number unit|during number unit", _rolling),
    ("over named|in named|during named", lambda c, span: span),
    ("until tomorrow part", ahead.until_part_of_tomorrow),
    ("until moment", ahead.until),
    (
        "between hour and hour tonight|from hour until hour tonight|hour until hour tonight"
        "|tonight between hour and hour|tonight from hour until hour",
        lambda c, first, last: _hours(
            c, c.today, _of_part(first, "18-24"), _of_part(last, "18-24")
        ),
    ),
    ("quarter_of_year digits year?", _quarter),
    ("until weekday", ahead.until_weekday),
    ("until end this? unit|until filler end unit", ahead.rest),
    (
        "tomorrow between hour and hour|tomorrow from hour until hour|tomorrow hour until hour",
        lambda c, first, last: _hours(c, ahead.tomorrow(c), first, last),
    ),
    (
        "between hour and hour tomorrow|from hour until hour tomorrow|hour until hour tomorrow",
        lambda c, first, last: _hours(c, ahead.tomorrow(c), first, last),
    ),
)
