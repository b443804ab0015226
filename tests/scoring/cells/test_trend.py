"""Robust slopes, their intervals, and forecasts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import theilslopes

from scoring.cells.trend import Trend, current_trend, days_until, theil_sen

NAN = float("nan")
SEEDED = settings(derandomize=True, deadline=None, max_examples=25)
Array = NDArray[np.float64]
DAYS = np.arange(60.0)


def noisy(cells: int, seed: int = 1, sigma: float = 0.0005, days: Array = DAYS) -> Array:
    return sigma * np.random.default_rng(seed).standard_normal((days.size, cells))


def one(y: Array, days: Array = DAYS) -> Trend:
    return theil_sen(days, y[:, None], resolution_v=1e-12)


def test_slope_and_interval_equal_scipys() -> None:
    y = noisy(1, sigma=0.003)[:, 0] + 0.0004 * DAYS
    y[10:20] = NAN
    known = np.isfinite(y)
    reference = theilslopes(y[known], DAYS[known], alpha=0.999)
    trend = theil_sen(DAYS, y[:, None], z=3.2905, resolution_v=0.0)
    assert trend.points[0] == 50
    assert trend.slope_v_per_day[0] == pytest.approx(reference.slope, rel=1e-12)
    # Residuals are independent here, so that persistence widens the interval a little at most.
    assert trend.low[0] == pytest.approx(reference.low_slope, rel=0.2)
    assert trend.high[0] == pytest.approx(reference.high_slope, rel=0.2)


def test_interval_covers_the_truth() -> None:
    y = noisy(1000, sigma=0.002) + 0.0003 * DAYS[:, None]
    trend = theil_sen(DAYS, y, z=1.96, resolution_v=0.0)
    inside = (trend.low <= 0.0003) & (trend.high >= 0.0003)
    assert 0.94 <= inside.mean() <= 1.0


def test_persistent_noise_is_no_trend() -> None:
    rng = np.random.default_rng(8)
    wander = np.zeros((60, 2000))
    for day in range(1, 60):
        wander[day] = 0.85 * wander[day - 1] + 0.0005 * rng.standard_normal(2000)
    assert theil_sen(DAYS, wander).carried.mean() < 0.001


def test_a_quarter_of_wild_points_moves_little() -> None:
    y = noisy(1)[:, 0] - 0.001 * DAYS
    y[::4] += 0.3
    trend = one(y)
    assert trend.slope_v_per_day[0] == pytest.approx(-0.001, rel=0.15)


@SEEDED
@given(st.integers(0, 10_000))
def test_physics_of_the_slope(seed: int) -> None:
    y = noisy(6, seed) + 0.0005 * DAYS[:, None] * np.array([0, 0, 0, -2, 1, 0])
    plain = theil_sen(DAYS, y)
    lifted = theil_sen(DAYS, y + 0.25)
    np.testing.assert_allclose(lifted.slope_v_per_day, plain.slope_v_per_day, atol=1e-12)
    order = np.random.default_rng(seed).permutation(6)
    np.testing.assert_array_equal(theil_sen(DAYS, y[:, order]).carried, plain.carried[order])
    mirrored = theil_sen(DAYS, -y)
    np.testing.assert_allclose(mirrored.low, -plain.high, atol=1e-12)
    later = theil_sen(DAYS + 19_000.0, y)
    np.testing.assert_allclose(later.level_v, plain.level_v, atol=1e-9)
    np.testing.assert_array_equal(plain.carried, [False, False, False, True, True, False])


def test_cells_one_by_one_are_the_same_but_for_their_peers() -> None:
    y = noisy(8, 3) + 0.0004 * DAYS[:, None] * np.arange(8)
    y[5:9, 2] = NAN
    y[:55, 3] = NAN
    every = theil_sen(DAYS, y)
    for cell in range(8):
        alone = theil_sen(DAYS, y[:, [cell]])
        np.testing.assert_array_equal(alone.slope_v_per_day[0], every.slope_v_per_day[cell])
        np.testing.assert_array_equal(alone.level_v[0], every.level_v[cell])
    assert every.points[3] == 5
    assert np.isnan(every.slope_v_per_day[3])
    assert not every.carried[3]


def test_too_little_change_is_no_trend() -> None:
    assert not one(0.00004 * DAYS).carried[0]
    assert one(0.00006 * DAYS).carried[0]


def test_few_points_carry_nothing() -> None:
    for points, carried in ((6, False), (8, False), (9, True)):
        y = -0.001 * DAYS[:points]
        assert one(y, DAYS[:points]).carried[0] == carried


def test_a_recent_drift_is_found_and_a_past_one_forgotten() -> None:
    days = np.arange(90.0)
    y = noisy(8, days=days)
    y[:, 2] -= 0.001 * np.maximum(days - 75.0, 0.0)
    y[:, 5] += 0.001 * np.minimum(days, 60.0)
    assert not theil_sen(days, y).carried[2]
    trend = current_trend(days, y)
    assert trend.carried[2]
    assert trend.slope_v_per_day[2] == pytest.approx(-0.001, rel=0.15)
    np.testing.assert_array_equal(np.flatnonzero(trend.carried), [2])


def test_a_bend_brings_the_level_up_to_date() -> None:
    days = np.arange(40.0)
    y = noisy(8, days=days)
    y[:, 2] -= 0.0005 * days + 0.004 * np.maximum(days - 32.0, 0.0)
    trend = current_trend(days, y)
    assert trend.level_v[2] == pytest.approx(y[-1, 2], abs=0.010)
    assert trend.slope_v_per_day[2] < -0.001


def forecast(level: float, slope: float, limit: float = 0.03) -> tuple[float, float, float]:
    days = np.arange(30.0)
    y = noisy(8, days=days, sigma=0.0003)
    y[:, 3] += level + slope * (days - 29.0)
    found = days_until(theil_sen(days, y), limit)
    return float(found.earliest[3]), float(found.days[3]), float(found.latest[3])


@pytest.mark.parametrize(
    ("level", "slope", "truth"),
    [(0.01, 0.001, 20.0), (-0.01, -0.001, 20.0), (-0.005, -0.0005, 50.0), (0.02, 0.0005, 20.0)],
)
def test_forecast_holds_the_truth_within_its_interval(
    level: float, slope: float, truth: float
) -> None:
    earliest, days, latest = forecast(level, slope)
    assert earliest < truth < latest
    assert days == pytest.approx(truth, rel=0.1)
    assert latest - earliest < truth


def test_forecast_of_what_is_past_going_back_or_without_trend() -> None:
    assert forecast(0.04, 0.001) == (0.0, 0.0, 0.0)
    assert forecast(0.025, -0.001) == (np.inf, np.inf, np.inf)
    assert forecast(-0.001, -0.001) == (np.inf, np.inf, np.inf)
    assert np.isnan(forecast(0.02, 0.0)).all()


def test_impossible_inputs_are_refused() -> None:
    with pytest.raises(ValueError, match=r"deviation must have shape \(60, C\)"):
        theil_sen(DAYS, np.zeros((59, 3)))
    with pytest.raises(ValueError, match="days must ascend"):
        theil_sen(DAYS[::-1], np.zeros((60, 3)))
    with pytest.raises(ValueError, match="limit must be positive, not 0"):
        days_until(theil_sen(DAYS, noisy(3)), 0.0)


def test_nothing_gives_nothing() -> None:
    trend = current_trend(np.zeros(0), np.zeros((0, 4)))
    assert np.isnan(trend.slope_v_per_day).all()
    assert not trend.carried.any()
    assert np.isnan(current_trend(DAYS, np.full((60, 4), NAN)).level_v).all()
