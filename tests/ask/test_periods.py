"""Periods as people write them become exactly those windows, or are refused."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from exporter.ask.periods.reader import read_bounds, read_moment, read_period
from exporter.ask.query import QueryError
from tests.ask.conftest import WALL

NOW = datetime.fromtimestamp(WALL, UTC)
BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("7d", "2026-03-11T15:30", "2026-03-18T15:30"),
        ("90 minutes", "2026-03-18T14:00", "2026-03-18T15:30"),
        ("this week", "2026-03-16T00:00", "2026-03-18T15:30"),
        ("last week", "2026-03-09T00:00", "2026-03-16T00:00"),
        ("last month", "2026-02-01T00:00", "2026-03-01T00:00"),
        ("2026-02", "2026-02-01T00:00", "2026-03-01T00:00"),
        ("2026-03", "2026-03-01T00:00", "2026-03-18T15:30"),
        ("from 2025-12 to 2026-01", "2025-12-01T00:00", "2026-02-01T00:00"),
        ("this quarter", "2026-01-01T00:00", "2026-03-18T15:30"),
        ("last year", "2025-01-01T00:00", "2026-01-01T00:00"),
        ("monday", "2026-03-16T00:00", "2026-03-17T00:00"),
        ("since wednesday", "2026-03-18T00:00", "2026-03-18T15:30"),
        ("friday", "2026-03-13T00:00", "2026-03-14T00:00"),
        ("2026-03-01", "2026-03-01T00:00", "2026-03-02T00:00"),
        ("from 2026-03-01 to 2026-03-08", "2026-03-01T00:00", "2026-03-09T00:00"),
        ("since 1 March", "2026-03-01T00:00", "2026-03-18T15:30"),
        ("March 5th", "2026-03-05T00:00", "2026-03-06T00:00"),
        ("in December", "2025-12-01T00:00", "2026-01-01T00:00"),
        ("in October 2025", "2025-10-01T00:00", "2025-11-01T00:00"),
        ("May 2025", "2025-05-01T00:00", "2025-06-01T00:00"),
        ("October 5, 2025", "2025-10-05T00:00", "2025-10-06T00:00"),
        ("since 16:00", "2026-03-17T16:00", "2026-03-18T15:30"),
        ("since 8 am", "2026-03-18T08:00", "2026-03-18T15:30"),
        ("seit Montag", "2026-03-16T00:00", "2026-03-18T15:30"),
        ("letzte Woche", "2026-03-09T00:00", "2026-03-16T00:00"),
        ("30m", "2026-03-18T15:00", "2026-03-18T15:30"),
        ("two hours ago", "2026-03-18T13:00", "2026-03-18T14:00"),
        ("half an hour ago", "2026-03-18T14:30", "2026-03-18T15:30"),
        ("at midnight", "2026-03-18T00:00", "2026-03-18T01:00"),
        ("13:10", "2026-03-18T13:10", "2026-03-18T13:11"),
        ("between 13:10 and 13:12", "2026-03-18T13:10", "2026-03-18T13:12"),
        ("between 16:00 and 17:00", "2026-03-17T16:00", "2026-03-17T17:00"),
        ("between 23:00 and 01:00", "2026-03-17T23:00", "2026-03-18T01:00"),
        ("13:10-13:20", "2026-03-18T13:10", "2026-03-18T13:20"),
        ("between 8 and 10 am", "2026-03-18T08:00", "2026-03-18T10:00"),
        ("Tuesday morning", "2026-03-17T00:00", "2026-03-17T12:00"),
        ("yesterday afternoon", "2026-03-17T12:00", "2026-03-17T18:00"),
        ("yesterday between 10 and 12", "2026-03-17T10:00", "2026-03-17T12:00"),
        ("monday 14:00 to 15:00", "2026-03-16T14:00", "2026-03-16T15:00"),
        ("from Monday 10:00 to Tuesday 12:00", "2026-03-16T10:00", "2026-03-17T12:00"),
        ("since 8", "2026-03-18T08:00", "2026-03-18T15:30"),
        ("since half an hour ago", "2026-03-18T15:00", "2026-03-18T15:30"),
        ("day before yesterday", "2026-03-16T00:00", "2026-03-17T00:00"),
        ("2026-03-18T14:00", "2026-03-18T14:00", "2026-03-18T14:01"),
        ("2026-03-18T13:00Z", "2026-03-18T14:00", "2026-03-18T14:01"),
        ("from 2026-03-18T14:00 to 2026-03-18T14:30", "2026-03-18T14:00", "2026-03-18T14:30"),
        ("vor zwei Stunden", "2026-03-18T13:00", "2026-03-18T14:00"),
        ("gestern zwischen 10 und 12 Uhr", "2026-03-17T10:00", "2026-03-17T12:00"),
        ("дві години тому", "2026-03-18T13:00", "2026-03-18T14:00"),
        ("вчора", "2026-03-17T00:00", "2026-03-18T00:00"),
        ("за останні 3 дні", "2026-03-15T15:30", "2026-03-18T15:30"),
    ],
)
def test_periods(text: str, start: str, end: str) -> None:
    period = read_period(text, NOW, BERLIN)
    assert (f"{period.start:%Y-%m-%dT%H:%M}", f"{period.end:%Y-%m-%dT%H:%M}") == (start, end)


def test_a_week_that_loses_an_hour_begins_at_local_midnight() -> None:
    now = datetime(2026, 3, 31, 10, tzinfo=UTC)
    week = read_period("last week", now, BERLIN)
    assert week.start.astimezone(UTC) == datetime(2026, 3, 22, 23, tzinfo=UTC)
    assert week.end.astimezone(UTC) == datetime(2026, 3, 29, 22, tzinfo=UTC)
    hours = read_period("48h", now, BERLIN)
    assert (hours.end.astimezone(UTC) - hours.start.astimezone(UTC)).total_seconds() == 48 * 3600


@pytest.mark.parametrize(
    "text",
    [
        "",
        "tomorrow",
        "next week",
        "soon",
        "2026-13-01",
        "2026-13",
        "2026-04",
        "0d",
        "9999y",
        "99:99",
        "now",
        "tonight",
        "8",
        "between 13:20 and 13:10",
    ],
)
def test_no_periods(text: str) -> None:
    with pytest.raises(QueryError):
        read_period(text, NOW, BERLIN)


@pytest.mark.parametrize(
    ("since", "until", "start", "end"),
    [
        ("13:10", "13:20", "2026-03-18T13:10", "2026-03-18T13:20"),
        ("13:10", None, "2026-03-18T13:10", "2026-03-18T15:30"),
        ("15:00", "16:00", "2026-03-18T15:00", "2026-03-18T15:30"),
        ("23:50", "00:10", "2026-03-17T23:50", "2026-03-18T00:10"),
        ("monday 13:10", "13:20", "2026-03-16T13:10", "2026-03-16T13:20"),
        ("monday", "tuesday", "2026-03-16T00:00", "2026-03-18T00:00"),
        ("yesterday", "yesterday", "2026-03-17T00:00", "2026-03-18T00:00"),
        ("yesterday", "10:00", "2026-03-17T00:00", "2026-03-18T10:00"),
        ("7d", "1d", "2026-03-11T15:30", "2026-03-17T15:30"),
        ("2h", "90m", "2026-03-18T13:30", "2026-03-18T14:00"),
        ("2 hours ago", "1 hour ago", "2026-03-18T13:30", "2026-03-18T14:30"),
        ("2026-03-18T13:10", "2026-03-18T13:20", "2026-03-18T13:10", "2026-03-18T13:20"),
        ("2026-03-18T12:10Z", "now", "2026-03-18T13:10", "2026-03-18T15:30"),
        ("2026-03-18T13:10 01:00", "now", "2026-03-18T13:10", "2026-03-18T15:30"),
        ("1773840000", "1773840600", "2026-03-18T14:20", "2026-03-18T14:30"),
    ],
)
def test_bounds(since: str, until: str | None, start: str, end: str) -> None:
    period = read_bounds(since, until, NOW, BERLIN)
    assert (f"{period.start:%Y-%m-%dT%H:%M}", f"{period.end:%Y-%m-%dT%H:%M}") == (start, end)


@pytest.mark.parametrize(
    ("since", "until"),
    [("13:20", "13:10"), ("1h", "2h"), ("2026-03-19", "now"), ("monday", "tomorrow"), ("x", "now")],
)
def test_no_bounds(since: str, until: str) -> None:
    with pytest.raises(QueryError):
        read_bounds(since, until, NOW, BERLIN)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("now", 1e9),
        ("90s", 1e9 - 90),
        ("7d", 1e9 - 604800),
        ("1700000000", 1.7e9),
        ("2026-03-01", 1772323200),
        ("2026-03-01T00:00:00Z", 1772323200),
        ("2026-03-01T00:00:00+01:00", 1772319600),
        ("2026-03-01T00:00:00 01:00", 1772319600),
    ],
)
def test_moments(text: str, seconds: float) -> None:
    found = read_moment(text, datetime.fromtimestamp(1e9, UTC), UTC)
    assert found.timestamp() == seconds


@pytest.mark.parametrize("text", ["", "soon", "-1", "nan", "inf", "1e30", "7x", "0000-01-01"])
def test_no_moments(text: str) -> None:
    with pytest.raises(QueryError):
        read_moment(text, NOW, UTC)
