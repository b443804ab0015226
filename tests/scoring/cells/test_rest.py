"""When a pack is at rest, and the zones of its charge curve."""

from __future__ import annotations

import numpy as np
import pytest

from scoring.cells.rest import Zone, at_rest, at_rest_by_voltage, gap_limit, zones

NAN = float("nan")
MINUTES = np.arange(120) * 60.0


def test_rest_begins_half_an_hour_after_the_last_load() -> None:
    current = np.where(MINUTES < 600, 50.0, 1.0)
    resting = at_rest(MINUTES, current, 280.0)
    np.testing.assert_array_equal(resting, MINUTES >= 600 + 1800)


def test_current_at_the_limit_is_rest_and_above_is_not() -> None:
    assert at_rest(MINUTES, np.full(120, -5.6), 280.0)[-1]
    assert not at_rest(MINUTES, np.full(120, 5.61), 280.0).any()


def test_power_with_energy_says_the_same_as_current_with_charge() -> None:
    current = np.random.default_rng(1).normal(0.0, 4.0, 120)
    np.testing.assert_array_equal(
        at_rest(MINUTES, current, 280.0, settle_seconds=120.0),
        at_rest(MINUTES, current * 51.2, 280.0 * 51.2, settle_seconds=120.0),
    )


def test_unknown_current_and_gaps_start_the_wait_anew() -> None:
    current = np.zeros(120)
    current[60] = NAN
    np.testing.assert_array_equal(
        at_rest(MINUTES, current, 280.0), ((MINUTES >= 1800) & (MINUTES < 3600)) | (MINUTES >= 5460)
    )
    late = MINUTES.copy()
    late[60:] += 600.0
    resting = at_rest(late, np.zeros(120), 280.0)
    np.testing.assert_array_equal(
        resting, ((late >= 1800) & (late < 3600)) | (late >= late[60] + 1800)
    )


def test_voltage_alone_tells_rest() -> None:
    volts = np.where(MINUTES < 1200, 3.30 + MINUTES * 2e-5, 3.3005)
    resting = at_rest_by_voltage(MINUTES, volts)
    # 1.5 mV below the last value of the ramp is passed within it.
    assert not resting[:48].any()
    assert resting[50:].all()
    volts[80] = NAN
    again = at_rest_by_voltage(MINUTES, volts)
    np.testing.assert_array_equal(np.flatnonzero(~again[50:]) + 50, np.arange(80, 111))


def test_range_of_voltage_equals_a_plain_loop() -> None:
    rng = np.random.default_rng(4)
    t = np.cumsum(rng.uniform(20.0, 100.0, 400))
    volts = 3.3 + np.cumsum(rng.normal(0.0, 0.0002, 400))
    resting = at_rest_by_voltage(t, volts, settle_seconds=900.0, max_gap_seconds=200.0)
    for row in range(400):
        earlier = np.flatnonzero(t <= t[row] - 900.0)
        expected = earlier.size > 0 and np.ptp(volts[earlier[-1] : row + 1]) <= 0.0015
        assert resting[row] == expected
    assert 20 < resting.sum() < 380


def test_zones_by_charge() -> None:
    zone = zones(np.array([0.0, 19.9, 20.0, 50.0, 94.9, 95.0, 100.0, NAN]))
    np.testing.assert_array_equal(zone, [0, 0, 1, 1, 1, 2, 2, -1])


def test_voltage_tells_the_zone_only_at_rest_and_without_charge() -> None:
    soc = np.array([NAN, NAN, NAN, NAN, 50.0])
    volts = np.array([3.20, 3.30, 3.40, 3.40, 3.40])
    resting = np.array([True, True, True, False, True])
    zone = zones(soc, volts, resting)
    expected = [Zone.EMPTY, Zone.PLATEAU, Zone.FULL, Zone.UNKNOWN, Zone.PLATEAU]
    np.testing.assert_array_equal(zone, expected)


def test_one_lost_sample_is_no_gap() -> None:
    assert gap_limit(MINUTES) == 150.0
    assert gap_limit(MINUTES, 7.0) == 7.0
    assert gap_limit(MINUTES[:1]) == 0.0


def test_impossible_inputs_are_refused() -> None:
    with pytest.raises(ValueError, match="strictly ascending"):
        at_rest(np.array([0.0, 60.0, 60.0]), np.zeros(3), 280.0)
    with pytest.raises(ValueError, match="times must be float64, not float32"):
        at_rest(MINUTES.astype(np.float32), np.zeros(120), 280.0)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="one dimension, not 2"):
        at_rest(MINUTES[None], np.zeros(120), 280.0)
    with pytest.raises(ValueError, match="capacity must be positive, not 0"):
        at_rest(MINUTES, np.zeros(120), 0.0)
    with pytest.raises(ValueError, match="current must have the shape"):
        at_rest(MINUTES, np.zeros(119), 280.0)
    with pytest.raises(ValueError, match="median_v must have the shape"):
        at_rest_by_voltage(MINUTES, np.zeros(119))
