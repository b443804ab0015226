"""Performance ratio against the formulas of IEC 61724-1, the band of a day, the trend of dirt."""

from __future__ import annotations

import numpy as np
import pytest

from scoring.pv_ratio import ASSUMED_BAND, band, performance, soiling

NAN = float("nan")


def test_the_ratio_is_final_yield_over_reference_yield() -> None:
    poa, cell = np.array([500.0, 1000.0]), np.array([35.0, 55.0])
    measured, hours = np.array([2000.0, 3800.0]), np.array([1.0, 1.0])
    found = performance(measured, poa, cell, 5.0, -0.004, hours)
    assert found.insolation_kwh_m2 == pytest.approx(1.5)
    assert found.performance == pytest.approx((5.8 / 5.0) / 1.5)
    # 10.3.2: each hour's reference yield is multiplied by 1 + gamma (T - 25).
    corrected = 0.5 * (1 - 0.004 * 10) + 1.0 * (1 - 0.004 * 30)
    assert found.at_25_c == pytest.approx((5.8 / 5.0) / corrected)


def test_unknown_hours_are_in_neither_and_a_dark_day_has_no_ratio() -> None:
    arrays = (np.array([1000.0, NAN, 500.0]), np.array([900.0, 900.0, NAN]), np.full(3, 25.0))
    found = performance(*arrays, 1.0, -0.004, np.ones(3))
    assert found.insolation_kwh_m2 == pytest.approx(0.9)
    assert found.performance == pytest.approx(1.0 / 0.9)
    dark = performance(np.array([3.0]), np.array([40.0]), np.array([5.0]), 1.0, -0.004, np.ones(1))
    assert dark.performance is None


def test_the_band_is_of_the_sites_own_days_once_there_are_a_week_of_them() -> None:
    assert band(np.full(6, 0.9), by_weather=True) == (*ASSUMED_BAND, False)
    low, high, own = band(np.append(np.linspace(0.8, 1.0, 21), NAN), by_weather=True)
    assert own
    assert (low, high) == (pytest.approx(0.82), pytest.approx(0.98))


def test_dirt_shows_as_a_steady_fall_and_ends_with_rain() -> None:
    rng = np.random.default_rng(3)
    days = np.arange(30)
    falling = 0.85 * (1 - 0.004 * days) * (1 + rng.normal(0, 0.004, 30))
    dry = np.zeros(30)
    found = soiling(falling, dry)
    assert found.percent_per_day == pytest.approx(-0.4, abs=0.05)
    assert found.soiled == pytest.approx(0.116, abs=0.02)
    assert found.low is not None
    assert found.high is not None
    assert found.low <= found.percent_per_day <= found.high < 0
    rained = dry.copy()
    rained[28] = 12.0
    assert soiling(falling, rained).percent_per_day is None


def test_noise_is_no_dirt() -> None:
    rng = np.random.default_rng(4)
    for _ in range(50):
        ratios = 0.85 * (1 + rng.normal(0, 0.03, 30))
        assert soiling(ratios, np.full(30, NAN)).soiled == 0


def test_a_rise_is_a_cleaning_of_which_the_trend_begins_anew() -> None:
    days = np.arange(16)
    before, after = 0.85 * (1 - 0.008 * days), 0.85 * (1 - 0.002 * days)
    found = soiling(np.concatenate((before, after)), np.full(32, NAN))
    assert found.days == pytest.approx(16, abs=1)
    assert found.percent_per_day == pytest.approx(-0.2, abs=0.02)
