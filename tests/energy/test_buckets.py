"""Days of 23 and 25 hours, zones of half an hour, months and years."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from exporter.energy.buckets import edges, gathered, too_many, usual_step

BERLIN = ZoneInfo("Europe/Berlin")


def at(text: str, zone: str = "Europe/Berlin") -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


@pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25)])
def test_a_day_on_which_clocks_change(day: str, hours: int) -> None:
    start = at(day)
    (first, second) = edges("day", start, start + 3600, BERLIN)
    assert second - first == hours * 3600
    assert len(edges("15m", first, second, BERLIN)) == 4 * hours + 1
    assert len(edges("hour", first, second, BERLIN)) == hours + 1


def test_hours_of_a_zone_of_half_an_hour() -> None:
    zone = ZoneInfo("Asia/Kolkata")
    found = edges(
        "hour", at("2026-05-01T10:10", "Asia/Kolkata"), at("2026-05-01T12:00", "Asia/Kolkata"), zone
    )
    assert [datetime.fromtimestamp(t, zone).minute for t in found] == [0, 0, 0]
    assert [datetime.fromtimestamp(t, zone).hour for t in found] == [10, 11, 12]


def test_months_and_years_begin_at_local_midnight() -> None:
    found = edges("month", at("2025-12-15"), at("2026-02-02"), BERLIN)
    assert [datetime.fromtimestamp(t, BERLIN).strftime("%m-%d %H") for t in found] == [
        "12-01 00",
        "01-01 00",
        "02-01 00",
        "03-01 00",
    ]
    found = edges("year", at("2024-06-01"), at("2026-01-01"), BERLIN)
    assert [datetime.fromtimestamp(t, BERLIN).year for t in found] == [2024, 2025, 2026]


def test_sums_of_finer_steps() -> None:
    bounds = edges("day", at("2026-03-28"), at("2026-03-31"), BERLIN)
    starts = np.arange(bounds[0], bounds[-1], 900.0)
    values = np.ones(len(starts))
    values[: 24 * 4] = np.nan
    found = gathered(starts, values, bounds)
    assert np.isnan(found[0])
    assert found[1:].tolist() == [23 * 4, 24 * 4]


def test_the_usual_step_of_a_period() -> None:
    assert [usual_step(days * 86_400.0) for days in (1, 7, 60, 800, 30_000)] == [
        "15m",
        "hour",
        "day",
        "month",
        "year",
    ]
    assert too_many("15m", 365 * 86_400.0)
    assert not too_many("day", 365 * 86_400.0)
