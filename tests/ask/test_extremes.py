"""When a metric was highest or lowest: of readings the bucket, of energies the hour or the day."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from exporter.ask.catalogue import METRICS
from exporter.ask.extremes import extreme_words
from exporter.ask.metric_history import History
from exporter.ask.query import Period

BERLIN = ZoneInfo("Europe/Berlin")
MONDAY = datetime(2026, 3, 16, tzinfo=BERLIN)


def history(values: list[float], step: float, total: float = math.nan) -> History:
    times = MONDAY.timestamp() + step * np.arange(len(values))
    figures = (np.mean(values), min(values), max(values))
    return History(times, np.array(values), *map(float, figures), total, 1.0)


def test_of_readings_it_is_the_bucket_that_is_highest() -> None:
    period = Period(MONDAY, MONDAY + timedelta(hours=1))
    text = extreme_words(history([25, 31, 47, 40], 900), METRICS["temperature"], period, "highest")
    assert "highest" in text
    assert "2026-03-16 00:30" in text
    assert "47.0 °C" in text


def test_of_energies_over_days_it_is_the_day_in_the_zone_of_the_asker() -> None:
    period = Period(MONDAY, MONDAY + timedelta(days=2, hours=12))
    hours = [0.5] * 24 + [1.0] * 24 + [0.1] * 12
    metric = METRICS["pv_energy"]
    made = history(hours, 3600, sum(hours))
    assert extreme_words(made, metric, period, "highest") == (
        "It was highest on Tuesday, 2026-03-17: 24.0 kWh."
    )
    # Wednesday is not over yet.
    assert "Monday, 2026-03-16: 12.0 kWh" in extreme_words(made, metric, period, "lowest")


def test_of_energies_within_a_day_it_is_the_hour() -> None:
    period = Period(MONDAY, MONDAY + timedelta(days=1))
    made = history([0.5, 2.0, 1.0], 3600, 3.5)
    text = extreme_words(made, METRICS["pv_energy"], period, "highest")
    assert "in the hour from 2026-03-16 01:00: 2.0 kWh" in text


def test_one_bucket_alone_is_no_extreme() -> None:
    period = Period(MONDAY, MONDAY + timedelta(hours=1))
    assert extreme_words(history([25], 3600), METRICS["temperature"], period, "highest") == ""
