"""Days until a limit: only where the data carry them."""

from __future__ import annotations

import numpy as np
import pytest

from scoring.outlook import days_until
from scoring.slopes import slope_interval


def one(value: float, limit: float, *slopes: float) -> tuple[float, float, float]:
    found = days_until(np.array([value]), np.array([limit]), *(np.array([s]) for s in slopes))
    return tuple(float(x[0]) for x in (found.days, found.earliest, found.latest))


def test_a_steady_loss_reaches_its_limit_in_proportion() -> None:
    days, earliest, latest = one(80, 70, -1.0, -2.0, -0.5)
    assert days == pytest.approx(304.4)
    assert (earliest, latest) == pytest.approx((152.2, 608.8))


@pytest.mark.parametrize("slopes", [(-1.0, -2.0, 0.1), (0.5, 0.2, 0.8), (0.0, 0.0, 0.0)])
def test_nothing_is_said_where_the_trend_may_be_none(slopes: tuple[float, float, float]) -> None:
    assert np.isnan(one(80, 70, *slopes)).all()


def test_nothing_is_said_of_more_than_ten_years() -> None:
    assert np.isnan(one(100, 70, -0.1, -0.2, -0.05)).all()
    assert one(80, 70, -0.5, -1.0, -0.01)[2] == np.inf


def test_the_interval_of_a_trend_holds_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(3)
    days = np.arange(35.0)
    held = 0
    for _ in range(200):
        _, low, high = slope_interval(days, -0.03 * days + 0.3 * rng.standard_normal(35))
        held += low <= -0.03 <= high
    assert 170 <= held <= 195, "90 % of 200"
