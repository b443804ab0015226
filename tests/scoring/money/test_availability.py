"""Availability against examples worked by hand, and against a count second by second."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring.money.availability import (
    ORDER,
    DownCategory,
    DownTime,
    available_share,
    category_seconds,
    time_availability,
    weighted_availability,
)

HOUR = 3600.0
WEEK = 168 * HOUR
EXCLUDED = frozenset({DownCategory.GRID, DownCategory.FORCE_MAJEURE})


def down(begin: float, end: float, category: DownCategory) -> DownTime:
    return DownTime(begin * HOUR, end * HOUR, category)


def test_a_week_by_hand() -> None:
    """8 h forced and 10 h of grid outage in 168 h: 1 - 8 / 158."""
    found = time_availability(
        0,
        WEEK,
        [down(10, 18, DownCategory.FORCED), down(50, 60, DownCategory.GRID)],
        EXCLUDED,
    )
    assert found.fraction == pytest.approx(1 - 8 / 158)
    assert (found.counted, found.excluded, found.coverage) == (8 * HOUR, 10 * HOUR, 1.0)


def test_a_fault_during_an_outage_of_the_grid_counts_once_and_is_the_grid_s() -> None:
    found = time_availability(
        0,
        WEEK,
        [down(0, 10, DownCategory.FORCED), down(4, 20, DownCategory.GRID)],
        EXCLUDED,
    )
    assert found.seconds[DownCategory.FORCED] == 4 * HOUR
    assert found.seconds[DownCategory.GRID] == 16 * HOUR
    assert found.fraction == pytest.approx(1 - 4 / 152)


def test_what_was_not_observed_is_neither_up_nor_down() -> None:
    dark = [(0, 68 * HOUR), (60 * HOUR, 68 * HOUR)]
    found = time_availability(0, WEEK, [down(70, 80, DownCategory.FORCED)], EXCLUDED, dark)
    assert found.coverage == pytest.approx(100 / 168)
    assert found.fraction == pytest.approx(0.9)
    # A ticket knows of a fault in the dark: that time is known.
    also = time_availability(0, WEEK, [down(0, 10, DownCategory.FORCED)], EXCLUDED, dark)
    assert also.coverage == pytest.approx(110 / 168)
    assert also.fraction == pytest.approx(1 - 10 / 110)


def test_nothing_observed_is_no_availability() -> None:
    found = time_availability(0, WEEK, [], EXCLUDED, [(0, WEEK)])
    assert math.isnan(found.fraction)
    assert found.coverage == 0
    with pytest.raises(ValueError, match="empty"):
        time_availability(5, 5, [], EXCLUDED)


TIMES = st.lists(
    st.tuples(st.integers(-20, 220), st.integers(-20, 220), st.sampled_from(ORDER)), max_size=12
)


@given(TIMES, st.lists(st.tuples(st.integers(-20, 220), st.integers(-20, 220)), max_size=5))
def test_as_a_count_by_seconds(
    times: list[tuple[int, int, DownCategory]], dark: list[tuple[int, int]]
) -> None:
    stretches = [DownTime(a, b, c) for a, b, c in times if a < b]
    dark = [pair for pair in dark if pair[0] < pair[1]]
    first: list[DownCategory | None] = []
    for second in range(200):
        each = [d.category for d in stretches if d.start <= second < d.end]
        first.append(min(each, key=ORDER.index) if each else None)
    seconds = category_seconds(0, 200, stretches)
    assert seconds == {category: first.count(category) for category in ORDER}
    found = time_availability(0, 200, stretches, EXCLUDED, dark)
    unseen = sum(
        first[second] is None and any(a <= second < b for a, b in dark) for second in range(200)
    )
    assert found.coverage == pytest.approx(1 - unseen / 200)
    base = 200 - unseen - sum(first.count(category) for category in EXCLUDED)
    if base:
        assert found.fraction == pytest.approx(1 - found.counted / base)
        assert 0 <= found.fraction <= 1
    else:
        assert math.isnan(found.fraction)


def test_weighted_by_what_it_could_do() -> None:
    """Half the power for half of the time, and all of it else: three quarters."""
    power, energy = np.array([50e3, 100e3]), np.array([200.0, 200.0])
    seconds = np.array([900.0, 900.0])
    assert weighted_availability(power, 100e3, energy, 200.0, seconds) == (0.75, 1.0)
    energy[1] = 50.0
    assert weighted_availability(power, 100e3, energy, 200.0, seconds) == (0.375, 1.0)
    power[0] = math.nan
    assert weighted_availability(power, 100e3, energy, 200.0, seconds) == (0.25, 0.5)
    power[1] = math.nan
    assert math.isnan(weighted_availability(power, 100e3, energy, 200.0, seconds)[0])
    with pytest.raises(ValueError, match="above 0"):
        weighted_availability(power, 0, energy, 200.0, seconds)


def test_the_share_of_power_of_a_quarter_hour() -> None:
    """5 of 15 minutes stand still; half of the power is left in the third; the fourth is dark."""
    starts = np.arange(5) * 900.0
    limits = [(0.0, 300.0, 0.0), (1800.0, 2700.0, 0.5), (1800.0, 2250.0, 0.25)]
    found = available_share(starts, 900.0, limits, [(2500.0, 3400.0), (3900.0, 4500.0)])
    # 0.25 for half of the third is 0.625, above 0.5. Of the fourth 700 of 900 s are dark; of the
    # third a limit is known.
    assert found == pytest.approx([2 / 3, 1.0, 0.5, math.nan, math.nan], nan_ok=True)
    assert available_share(starts, 900.0, []).tolist() == [1.0] * 5
