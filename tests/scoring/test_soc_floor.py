"""The charge at which a battery comes to rest by habit, where its device does not tell it."""

from __future__ import annotations

from math import nan

import numpy as np
import pytest

from scoring.battery import minimum_kept
from scoring.window import DAYS, Daily, slow_figures


def floor(lowest: list[float], highest: float = 90.0) -> float:
    """What the days say, the latest being yesterday."""
    daily = np.zeros((1, DAYS, len(Daily)), dtype=np.float32)
    daily[:, :, Daily.HOTTEST :] = nan
    for age, low in enumerate(reversed(lowest), start=1):
        daily[0, age, Daily.EMPTIEST] = 100.0 - low
        daily[0, age, Daily.FULLEST] = highest
    figures = slow_figures(daily, np.arange(DAYS), np.array([-1]))
    return float(figures["soc_floor_percent"][0])


@pytest.mark.parametrize(
    ("lowest", "found"),
    [
        ([9, 9, 9], 9),
        ([9, 30, 9.5, 60, 9], 9),
        # A test of capacity once is no habit.
        ([9, 9, 3, 9], 9),
        ([9, 9], nan),
        # A battery that gets emptier each day has no floor.
        ([40, 30, 20, 10, 4], nan),
        ([nan, nan, nan], nan),
        ([9, 9, 9, *[50] * 14], 50),
        # A battery that begins to empty has no habit yet.
        ([*[20] * 11, 6, 5.5, 6.2], 20),
        ([5, 8, 12, 14, 17, 19, 21, 23, 26, 28], nan),
    ],
)
def test_days_that_end_at_the_same_charge_are_a_floor(lowest: list[float], found: float) -> None:
    assert floor(lowest) == pytest.approx(found, nan_ok=True)


def test_a_battery_that_is_never_charged_has_no_floor() -> None:
    assert np.isnan(floor([9] * 10, highest=12.0))


@pytest.mark.parametrize(
    ("told", "highest", "kept"), [(nan, 60.0, 9.0), (nan, 12.0, nan), (20.0, 60.0, 20.0)]
)
def test_the_floor_counts_for_what_the_device_does_not_tell(
    told: float, highest: float, kept: float
) -> None:
    """And only of a battery that was charged within a day: else somebody has to look."""
    found = minimum_kept(np.array([told]), np.array([9.0]), np.array([highest]))
    assert found[0] == pytest.approx(kept, nan_ok=True)
