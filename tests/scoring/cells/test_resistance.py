"""Resistance from load steps, self-discharge from the drift at rest."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from scoring.cells.resistance import load_steps, self_discharge
from scoring.cells.rest import Zone
from scoring.cells.trend import theil_sen

NAN = float("nan")
Array = NDArray[np.float64]
T = np.arange(600) * 60.0
OHM = np.array([0.5, 0.52, 0.48, 1.5, 0.51, 0.49, 0.5, 0.53]) * 1e-3


def loaded(noise: float = 0.001, seed: int = 2) -> tuple[Array, Array, NDArray[np.int8]]:
    rng = np.random.default_rng(seed)
    current = np.repeat(rng.uniform(-150.0, 150.0, 60), 10)
    volts = 3.3 + current[:, None] * OHM + noise * rng.standard_normal((600, 8))
    return volts, current, np.full(600, Zone.PLATEAU, dtype=np.int8)


def test_resistances_are_found_and_the_high_one_named() -> None:
    found = load_steps(T, *loaded_with(280.0))
    np.testing.assert_allclose(found.resistance_ohm, OHM, rtol=0.05)
    np.testing.assert_array_equal(np.flatnonzero(found.raised), [3])
    assert found.ratio[3] == pytest.approx(3.0, rel=0.05)
    assert ((found.low < OHM) & (found.high > OHM)).all()
    assert found.steps > 40


def loaded_with(capacity: float) -> tuple[Array, Array, float, NDArray[np.int8]]:
    volts, current, zone = loaded()
    return volts, current, capacity, zone


def test_order_level_and_sign_change_nothing() -> None:
    volts, current, zone = loaded()
    plain = load_steps(T, volts, current, 280.0, zone)
    order = np.random.default_rng(1).permutation(8)
    moved = load_steps(T, volts[:, order] + 0.25, current, 280.0, zone)
    np.testing.assert_allclose(moved.resistance_ohm, plain.resistance_ohm[order])
    np.testing.assert_array_equal(moved.raised, plain.raised[order])
    mirrored = load_steps(T, 6.6 - volts, -current, 280.0, zone)
    np.testing.assert_allclose(mirrored.resistance_ohm, plain.resistance_ohm)


def test_without_steps_or_on_the_steep_parts_nothing_is_known() -> None:
    volts, current, zone = loaded()
    still = load_steps(T, volts, np.full(600, 20.0), 280.0, zone)
    assert still.steps == 0
    assert np.isnan(still.resistance_ohm).all()
    full = load_steps(T, volts, current, 280.0, np.full(600, Zone.FULL, dtype=np.int8))
    assert full.steps == 0
    slow = load_steps(T * 100.0, volts, current, 280.0, zone, max_step_seconds=120.0)
    assert slow.steps == 0
    assert not full.raised.any()


def test_missing_stays_missing() -> None:
    volts, current, zone = loaded()
    volts[:, 3] = NAN
    found = load_steps(T, volts, current, 280.0, zone)
    assert np.isnan(found.resistance_ohm[3])
    assert not found.raised.any()


def test_sound_cells_are_not_raised() -> None:
    rng = np.random.default_rng(6)
    zone = np.full(600, Zone.PLATEAU, dtype=np.int8)
    raised = 0
    for _ in range(40):
        current = np.repeat(rng.uniform(-150.0, 150.0, 60), 10)
        ohm = 0.5e-3 * (1.0 + 0.08 * rng.standard_normal(16))
        volts = 3.3 + current[:, None] * ohm + 0.003 * rng.standard_normal((600, 16))
        raised += int(load_steps(T, volts, current, 280.0, zone).raised.sum())
    assert raised == 0


def test_a_drift_of_one_millivolt_a_day_in_charge() -> None:
    days = np.arange(30.0)
    drift = 0.0002 * np.random.default_rng(3).standard_normal((30, 8))
    drift[:, 2] -= 0.0011 * days
    drift[:, 5] += 0.0011 * days
    found = self_discharge(theil_sen(days, drift), 280.0)
    # 1.1 mV a day are 1 % of charge a day.
    assert found.percent_per_month[2] == pytest.approx(30.4375, rel=0.03)
    assert found.low[2] < 30.4375 < found.high[2]
    assert found.leak_a[2] == pytest.approx(2.8 / 24.0, rel=0.03)
    np.testing.assert_array_equal(np.flatnonzero(found.raised), [2])
    assert np.isnan(found.percent_per_month[[0, 1, 3]]).all()


def test_shapes_must_agree() -> None:
    volts, current, zone = loaded()
    with pytest.raises(ValueError, match="must have one length"):
        load_steps(T, volts, current[1:], 280.0, zone)


def test_a_connector_that_came_loose_lately_is_not_lost_in_months_of_health() -> None:
    rng = np.random.default_rng(4)
    t = np.arange(0.0, 90 * 86400.0, 900.0)
    current = np.repeat(rng.uniform(-100.0, 100.0, t.size // 8), 8)
    ohm = np.tile(0.5e-3 * (1.0 + 0.04 * rng.standard_normal(8)), (t.size, 1))
    ohm[t > 80 * 86400.0, 3] *= 2.0
    volts = 3.3 + current[:, None] * ohm + 0.001 * rng.standard_normal(ohm.shape)
    zone = np.full(t.size, Zone.PLATEAU, dtype=np.int8)
    found = load_steps(t, volts, current, 280.0, zone)
    np.testing.assert_array_equal(np.flatnonzero(found.raised), [3])
    assert found.ratio[3] == pytest.approx(2.0, rel=0.15)
    # A fortnight without load: what there is of before counts.
    current[t > 70 * 86400.0] = 0.0
    assert load_steps(t, volts, current, 280.0, zone).steps == 24
