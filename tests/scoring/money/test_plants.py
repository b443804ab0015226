"""Reliability, response and wear of a plant, on worked examples."""

from __future__ import annotations

import math

import numpy as np
import pytest

from scoring.money.ageing import ageing
from scoring.money.reliability import Failure, Reliability, reliability, repeats
from scoring.money.service import power_by_frequency, required_power, response
from scoring.money.wear import cycle_budget, equivalent_cycles, round_trip_efficiency

HOUR = 3600.0


def test_restoration_is_longer_than_repair() -> None:
    """Down for 4 h and 8 h, of which repair takes 1 h and 3 h; 720 h of work."""
    found = reliability(
        [
            Failure(0, HOUR, 3 * HOUR, 4 * HOUR),
            Failure(100 * HOUR, 101 * HOUR, 105 * HOUR, 108 * HOUR),
            Failure(200 * HOUR, 201 * HOUR, None, None),
        ],
        720 * HOUR,
    )
    assert found == Reliability(3, 6 * HOUR, 2, 2 * HOUR, 2, 240 * HOUR)


def test_without_failures_nothing_is_said() -> None:
    assert reliability([], 720 * HOUR) == Reliability(0, None, 0, None, 0, None)
    with pytest.raises(ValueError, match="backwards"):
        reliability([Failure(10, 5, None, None)], HOUR)


def test_repeats_by_hand() -> None:
    """Failures on days 0, 10 and 30: the first is 30 days back and counts no more on day 30."""
    days = [0.0, 10 * 24 * HOUR, 30 * 24 * HOUR]
    assert [repeats(day, days) for day in days] == [1, 2, 2]
    assert repeats(30 * 24 * HOUR - 1, days) == 2


def test_power_asked_for_and_given_by_frequency() -> None:
    """10 MW with a dead-band of 15 mHz, whole 200 mHz off nominal: 85/185 of it at 49.9 Hz."""
    terms = {"nominal_hz": 50.0, "deadband_hz": 0.015, "full_hz": 0.2}
    asked = required_power(np.array([49.9, 50.01, 50.3, math.nan]), 10e6, **terms)
    assert asked == pytest.approx([10e6 * 85 / 185, 0.0, -10e6, math.nan], nan_ok=True)
    bent = required_power(np.array([49.9, 50.15]), 10e6, **terms, knee=(0.1, 0.25))
    assert bent == pytest.approx([2.5e6, -10e6 * 0.625])
    given = power_by_frequency(
        np.array([49.995, 50.005, 49.92, 50.04]), np.array([1e6, 3e6, 5e6, -2e6]), 50.0, 0.02
    )
    assert given.frequency_hz == pytest.approx([49.92, 50.0, 50.04])
    assert given.power_w == pytest.approx([5e6, 2e6, -2e6])
    assert given.readings.tolist() == [1, 2, 1]


def test_delay_and_accuracy_by_hand() -> None:
    """Asked for 10 kW at 2 s, a tenth of it is there at 4 s."""
    times = np.arange(6.0)
    required = np.array([0, 0, 10, 10, 10, 10]) * 1e3
    power = np.array([0, 0, 0, 0.5, 5, 10]) * 1e3
    found = response(times, power, required, 10e3)
    assert found.delay_s == 2.0
    assert found.accuracy == pytest.approx(1 - (10 + 9.5 + 5) / 6 / 10)
    assert not found.indicative
    assert response(times * 60, power, required, 10e3).indicative
    power[3:] = math.nan
    blind = response(times, power, required, 10e3)
    assert (blind.delay_s, blind.coverage) == (None, 0.5)


def test_wear_by_hand() -> None:
    assert equivalent_cycles(520.0, 480.0, 100.0) == 5.0
    assert cycle_budget(365.25, 86_400.0) == pytest.approx(1.0)
    # 110 kWh in, of which 10 are still there: 90 out of 100.
    assert round_trip_efficiency(110.0, 90.0, 0.1, 100.0) == pytest.approx(0.9)
    assert math.isnan(round_trip_efficiency(5.0, 4.0, 0.0, 100.0))
    assert math.isnan(round_trip_efficiency(math.nan, 4.0, 0.0, 100.0))


def test_delay_and_accuracy_of_a_step_test() -> None:
    """Half-second readings of a test by steps: 20 MW are asked for at 49.8 Hz from 10.0 s on.

    The plant stands at 1 MW and ramps 6 MW a second from 10.5 s on: 3 MW above it are there at 11.0
    s, the first reading with a tenth of the step. Off by 1 MW in the 20 readings before, then by
    19, 19, 16, 13, 10, 7, 4, 1 and 0: 20 and 89 MW.
    """
    times = np.arange(0.0, 20.0, 0.5)
    required = np.where(times >= 10, 20e6, 0.0)
    power = np.clip(1e6 + 6e6 * np.maximum(times - 10.5, 0), 1e6, 20e6)
    found = response(times, power, required, 25e6)
    assert (found.delay_s, found.coverage, found.indicative) == (1.0, 1.0, False)
    assert found.accuracy == pytest.approx(1 - (20 + 89) / 40 / 25)
    # Downwards as upwards, and the largest step counts.
    assert response(times, -power, -required, 25e6).delay_s == 1.0
    required[:4] = -1e6
    assert response(times, power, required, 25e6).delay_s == 1.0


def test_a_plant_that_stands_still_has_no_delay() -> None:
    times = np.arange(10.0)
    still = response(times, np.zeros(10), np.where(times > 4, 5e6, 0.0), 5e6)
    assert (still.delay_s, still.accuracy) == (None, pytest.approx(0.5))
    assert response(times, np.zeros(10), np.zeros(10), 5e6).delay_s is None
    with pytest.raises(ValueError, match="above 0"):
        response(times, np.zeros(10), np.zeros(10), 0.0)


def test_cycles_against_a_warranty_by_hand() -> None:
    """A month of 30 days of a plant of 200 MWh: 6,300 MWh in, 5,550 out, of which the warranty
    allows 365 cycles a year."""
    cycles = equivalent_cycles(6_300_000.0, 5_550_000.0, 200_000.0)
    assert cycles == 29.625
    budget = cycle_budget(365.0, 30 * 86_400.0)
    assert budget == pytest.approx(29.97947, abs=1e-5)
    assert 100 * cycles / budget == pytest.approx(98.8176, abs=1e-3)
    # What was lost between both meters, with SOC 30 % higher at the end.
    assert round_trip_efficiency(6_300_000.0, 5_550_000.0, 0.3, 200_000.0) == pytest.approx(
        5550 / 6240
    )
    with pytest.raises(ValueError, match="above 0"):
        equivalent_cycles(1.0, 1.0, 0.0)


def test_ageing_to_augmentation_by_hand() -> None:
    """80 % is reached where the line from the median of the last seven days meets it."""
    days = np.arange(-40.0, 0.0)
    exact = ageing(days, 95.0 - 0.01 * days)
    assert exact.slope == pytest.approx(-0.01)
    # The median of the last seven days is that of day -4.
    assert exact.now_percent == pytest.approx(95.04)
    assert exact.days_until(80.0) == pytest.approx((1504.0, 1504.0, 1504.0))
    assert exact.at(100.0) == pytest.approx((94.04, 94.04, 94.04))
    assert exact.days_until(96.0) == (0.0, 0.0, 0.0)
    assert exact.days_until(None) == (None, None, None)
    # Readings in whole percent: 14 days at 96, then 14 at 95. Of 378 slopes 182 are 0; the flattest
    # falls are one of 1/27, two of 1/26, three of 1/25 and four of 1/24, of which the last are the
    # 189th and 190th in order. The flattest of the interval is 0.
    days = np.arange(-28.0, 0.0)
    coarse = ageing(days, np.where(days < -14, 96.0, 95.0))
    assert coarse.slope == pytest.approx(-1 / 24)
    assert coarse.flattest == 0.0
    expected, earliest, latest = coarse.days_until(80.0)
    assert expected == pytest.approx(15 * 24)
    assert earliest is not None
    assert earliest < expected
    assert latest is None
    assert coarse.at(10.0)[2] == 95.0


def test_too_few_days_carry_no_trend() -> None:
    found = ageing(np.arange(-13.0, 0.0), np.full(13, 90.0))
    assert found.now_percent == 90.0
    assert math.isnan(found.slope)
    assert found.days_until(80.0) == (None, None, None)
