"""Days, weeks and times of day in the asker's zone, seen from now."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta, tzinfo

from exporter.ask.query import QueryError

SECONDS = {"second": 1, "minute": 60, "hour": 3600}
_DAYS = {"day": 1, "week": 7, "month": 30, "quarter": 91, "year": 365}
DAY = timedelta(days=1)
_LONGEST_DAYS = 36_500


class Calendar:
    """The calendar of a zone.

    Parameters
    ----------
    now : datetime
        With a time zone.
    zone : tzinfo
    ahead : bool
        Whether a period may lie in the future.
    """

    def __init__(self, now: datetime, zone: tzinfo, *, ahead: bool = False) -> None:
        self.now = now.astimezone(zone)
        self.ahead = ahead
        self._zone = zone

    def day(self, moment: datetime, days: int = 0) -> datetime:
        """Local midnight of a day, or of so many days later."""
        return datetime.combine(moment.date() + days * DAY, time(), self._zone)

    @property
    def today(self) -> datetime:
        """Local midnight."""
        return self.day(self.now)

    def begin(self, unit: str, day: datetime) -> datetime:
        """The beginning of the hour, day, week, month, quarter or year."""
        if unit in ("minute", "hour"):
            minute = day.minute if unit == "minute" else 0
            return day.replace(minute=minute, second=0, microsecond=0)
        day = self.day(day)
        if unit == "week":
            return self.day(day, -day.weekday())
        month = {"month": day.month, "quarter": 3 * ((day.month - 1) // 3) + 1, "year": 1}
        return day.replace(day=1, month=month[unit]) if unit in month else day

    def end(self, unit: str, day: datetime) -> datetime:
        """The end of the hour, day, week, month, quarter or year: the beginning of the next."""
        start = self.begin(unit, day)
        if unit in SECONDS:
            return start + timedelta(seconds=SECONDS[unit])
        if unit in ("day", "week"):
            return self.day(start, _DAYS[unit])
        # The 20 days reach into the next month, quarter or year from any day of the last one.
        return self.begin(unit, self.day(start, _DAYS[unit] + 20))

    def forward(self, number: float, unit: str) -> datetime:
        """So long from now."""
        if unit in SECONDS:
            elapsed = timedelta(seconds=number * SECONDS[unit])
            return (self.now.astimezone(UTC) + elapsed).astimezone(self._zone)
        if number * _DAYS[unit] > _LONGEST_DAYS:
            raise QueryError("more than a hundred years is too long a period")
        return self.now + timedelta(days=number * _DAYS[unit])

    def back(self, number: float, unit: str) -> datetime:
        """So long ago; days on the calendar keep the time of day when the clock changes."""
        if unit in SECONDS:
            elapsed = timedelta(seconds=number * SECONDS[unit])
            return (self.now.astimezone(UTC) - elapsed).astimezone(self._zone)
        if number * _DAYS[unit] > _LONGEST_DAYS:
            raise QueryError("more than a hundred years is too long a period")
        return self.now - timedelta(days=number * _DAYS[unit])

    def date(self, year: int, month: int, day: int) -> datetime:
        """Local midnight of a date.

        Raises
        ------
        QueryError
            If there is no such date.
        """
        try:
            return datetime(year, month, day, tzinfo=self._zone)
        except (ValueError, OverflowError):
            raise QueryError(f"{year}-{month:02}-{day:02} is not a date") from None

    def past_date(self, month: int, day: int, year: float | None) -> datetime:
        """A date, of the year before where it has not come yet this year."""
        if year:
            return self.date(int(year), month, day)
        found = self.date(self.now.year, month, day)
        return found if found <= self.now else self.date(self.now.year - 1, month, day)

    def on(self, day: datetime, clock: time) -> datetime:
        """A time of a day."""
        return datetime.combine(day.date(), clock.replace(second=0, microsecond=0), self._zone)

    def clock_after(self, moment: datetime, clock: time) -> datetime:
        """The first such time after a moment."""
        found = self.on(moment, clock)
        return found if found > moment else self.on(self.day(moment, 1), clock)

    def last_clock(self, clock: time) -> datetime:
        """The last such time that has been."""
        found = self.on(self.now, clock)
        return found if found < self.now else self.on(self.day(self.now, -1), clock)
