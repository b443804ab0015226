"""Readings of a plant on worked examples."""

from __future__ import annotations

import math

import numpy as np
import pytest

from scoring.money.readings import (
    Gaps,
    completeness,
    cycles_by_depth,
    energy_by_day,
    gaps,
    hours_in_bands,
)

MINUTE, HOUR = 60.0, 3600.0


def test_gaps_by_hand() -> None:
    """Two of ten minutes are missing before the reading at 300 s and four behind it."""
    found = gaps(np.array([0.0, 60.0, 120.0, 300.0]), 0.0, 600.0, MINUTE)
    assert found == Gaps(2, 120.0 + 240.0, 0.4)
    # A reading that is a little late is no gap.
    assert gaps(np.array([0.0, 85.0, 120.0]), 0.0, 180.0, MINUTE) == Gaps(0, 0.0, 1.0)
    assert gaps(np.zeros(0), 0.0, 600.0, MINUTE) == Gaps(1, 600.0, 0.0)
    # More readings than were expected observe no more than all.
    assert gaps(np.arange(0.0, 600.0, 30.0), 0.0, 600.0, MINUTE).observed == 1.0


def test_completeness_by_hand() -> None:
    """All minutes of the first hour, a quarter of those of the second, none of the third."""
    times = np.append(np.arange(0.0, HOUR, MINUTE), HOUR + np.arange(0.0, 900.0, MINUTE))
    starts = np.array([0.0, HOUR, 2 * HOUR])
    assert completeness(times, starts, MINUTE).tolist() == [60.0, 15.0, 0.0]
    # What belongs to the hour after the last is not its own.
    assert completeness(np.append(times, 3 * HOUR), starts, MINUTE).tolist() == [60.0, 15.0, 0.0]
    assert completeness(np.arange(0.0, HOUR, 10.0), starts, MINUTE)[0] == 60.0


def test_hours_in_bands_by_hand() -> None:
    """Bands of 5 °C: 30 minutes in 20 to 25, a minute on the edge of 25 in the one above it."""
    values = np.concatenate([np.full(30, 22.5), [25.0, math.nan], np.full(60, -0.1)])
    found = hours_in_bands(values, 5.0, MINUTE)
    assert found.number.tolist() == [-1, 4, 5]
    assert found.lower.tolist() == [-5.0, 20.0, 25.0]
    assert found.hours == pytest.approx([1.0, 0.5, 1 / 60])
    # 1.05 is a billionth below its edge as a binary fraction of bands of 0.01.
    assert hours_in_bands(np.array([1.05]), 0.01, MINUTE).number.tolist() == [105]
    assert hours_in_bands(np.array([math.nan]), 5.0, MINUTE).hours.size == 0


def test_energy_by_day_by_hand() -> None:
    """6 kW out and 4 kW in for half an hour each; another day is unknown, and one stands still."""
    day = np.array([0, 0, 2, -1, 3])
    power = np.array([6.0, -4.0, 0.0, 50.0, 50.0])
    found = energy_by_day(day, power, np.array([0.5, 0.5, 1.0, 1.0, 1.0]), 3)
    assert found.discharged_kwh == pytest.approx([3.0, math.nan, 0.0], nan_ok=True)
    assert found.charged_kwh == pytest.approx([2.0, math.nan, 0.0], nan_ok=True)


def test_cycles_by_depth_by_hand() -> None:
    """From 50 to 90 to 10 to 100 %: half cycles of 40, of 80 and of 90 % depth, one each hour.

    The last two are of the second day; 90 % is in the uppermost of the bands of 10 %.
    """
    times = np.arange(4) * HOUR
    soc = np.array([50.0, 90.0, 10.0, 100.0])
    found = cycles_by_depth(times, soc, np.array([0, 0, 1, 1]), 10.0)
    assert found == [(0, 40.0, 0.5), (1, 80.0, 0.5), (1, 90.0, 0.5)]
    whole = cycles_by_depth(times[:2], np.array([0.0, 100.0]), np.zeros(2, np.int64), 10.0)
    assert whole == [(0, 90.0, 0.5)]
