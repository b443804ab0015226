"""Slopes of all pairs, on the published example."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import theilslopes

from scoring.slopes import slope_interval


def test_the_example_of_sen() -> None:
    """Sen (1968): seven points, slope 4, at 93 % from 26/7 to 35/8; scipy agrees."""
    x = np.array([1.0, 2, 3, 4, 10, 12, 18])
    y = np.array([9.0, 15, 19, 20, 45, 55, 78])
    found = slope_interval(x, y, 1.8119)
    assert found == pytest.approx((4.0, 26 / 7, 35 / 8))
    theirs = theilslopes(y, x, 0.07)
    assert found == pytest.approx((theirs.slope, theirs.low_slope, theirs.high_slope))


@pytest.mark.parametrize("points", [14, 40, 365])
def test_the_interval_is_as_far_on_both_sides(points: int) -> None:
    """What falls is what rises, turned over."""
    rng = np.random.default_rng(3)
    x = np.arange(points, dtype=float)
    y = 0.01 * x + rng.normal(0, 0.2, points)
    slope, low, high = slope_interval(x, y)
    assert slope_interval(x, -y) == pytest.approx((-slope, -high, -low))
