"""Stuck and noisy sense wires, and jumps of a cell."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from scoring.cells.pack import analyse_pack
from scoring.cells.rest import Zone
from scoring.cells.sensors import Sensors, assess_sensors, silent_since, without_faulty
from scoring.cells.sudden import daily_changes, sudden_changes
from scoring.cells.windows import Windows, build_windows, deviations

NAN = float("nan")
DAY = 86400.0
Array = NDArray[np.float64]
T = np.arange(0.0, 6 * DAY, 300.0)


def moving(seed: int = 1, swing: float = 0.03) -> Array:
    """Six days of ten cells whose pack moves up and down every day."""
    rng = np.random.default_rng(seed)
    volts = 3.3 + swing * np.sin(2 * np.pi * T / DAY)[:, None] + np.zeros(10)
    return np.round(volts + 0.0006 * rng.standard_normal(volts.shape), 3)


def judge(volts: Array, steady: NDArray[np.bool_] | None = None) -> Sensors:
    every = np.ones(T.size, dtype=np.bool_)
    return assess_sensors(T, volts, deviations(volts)[1], every if steady is None else steady)


def test_sound_wires_are_silent_and_shifts_change_nothing() -> None:
    volts = moving()
    sound = judge(volts)
    assert sound.faults == ()
    np.testing.assert_allclose(judge(volts + 0.125).noise_v, sound.noise_v, atol=1e-9)


def test_a_stuck_wire_from_the_sample_on() -> None:
    volts = moving()
    volts[1000:, 3] = volts[1000, 3] = 3.275
    (fault,) = judge(volts).faults
    assert (fault.cell, fault.kind, fault.lasting) == (3, "stuck", True)
    assert T[996] <= fault.start <= T[1000]
    assert fault.end == T[-1]


def test_a_stuck_wire_is_told_once_though_the_pack_rests_between() -> None:
    volts = moving()
    volts[2 * 288 : 4 * 288] = np.round(volts[2 * 288], 3)
    volts[100:, 3] = 3.275
    (fault,) = judge(volts).faults
    assert (fault.start, fault.end, fault.lasting) == (T[100], T[-1], True)
    # Mended over the weekend and stuck again: two of them.
    volts[3 * 288 : 4 * 288, 3] = 3.3
    assert [(f.start, f.lasting) for f in judge(volts).faults] == [
        (T[100], False),
        (T[4 * 288], True),
    ]


def test_a_stuck_wire_that_was_mended_and_a_dead_one() -> None:
    volts = moving()
    volts[600:1300, 3] = 3.275
    (fault,) = judge(volts).faults
    assert not fault.lasting
    assert T[1298] <= fault.end <= T[1303]
    volts = moving()
    volts[600:, 3] = NAN
    dead = judge(volts)
    assert dead.faults == ()
    np.testing.assert_allclose(dead.missing_ratio[:, 3], [0, 0, 1 - 24 / 288, 1, 1, 1])


def test_a_pack_that_stands_still_says_nothing_of_its_wires() -> None:
    assert judge(moving(swing=0.004)).faults == ()
    still = moving()
    still[:] = 3.3
    assert judge(still).faults == ()


def test_a_loose_wire_shows_on_both_sides() -> None:
    volts = moving()
    rng = np.random.default_rng(9)
    loose = 0.02 * rng.standard_normal(T.size) * (rng.random(T.size) < 0.4) * (T >= 2 * DAY)
    volts[:, 6] += loose
    volts[:, 7] -= loose
    found = judge(volts)
    assert [(f.cell, f.kind, f.mirrored_with, f.start) for f in found.faults] == [
        (6, "noisy", 7, 2 * DAY),
        (7, "noisy", 6, 2 * DAY),
    ]
    assert all(f.noise_v > 0.005 for f in found.faults)


def test_noise_of_one_cell_has_no_mirror() -> None:
    volts = moving()
    volts[:, 9] += 0.03 * np.random.default_rng(9).standard_normal(T.size)
    assert [(f.cell, f.mirrored_with) for f in judge(volts).faults] == [(9, -1)]


def test_spikes_and_load_steps_are_not_noise() -> None:
    volts = moving()
    volts[::288, 2] += 0.4
    assert judge(volts).faults == ()
    steps = np.arange(T.size) // 2 % 2 == 1
    volts = moving()
    volts[steps, 5] += 0.03
    change = np.ones(T.size, dtype=np.bool_)
    assert [f.cell for f in judge(volts).faults] == [5]
    change[1:] = steps[1:] == steps[:-1]
    assert judge(volts, change).faults == ()


def windows_of(volts: Array) -> Windows:
    zone = np.full(T.size, Zone.PLATEAU, dtype=np.int8)
    return build_windows(T, *deviations(volts), np.ones(T.size, dtype=np.bool_), zone)


def test_faulty_days_are_taken_out() -> None:
    volts = moving()
    volts[1000:, 3] = 3.275
    windows = windows_of(volts)
    clean = without_faulty(windows, judge(volts))
    gone = np.isnan(clean.deviation_v[:, 3])
    assert gone[windows.start >= T[1000]].all()
    assert not gone[windows.end < T[990]].any()
    assert not np.isnan(np.delete(clean.deviation_v, 3, axis=1)).any()


def test_a_jump_is_found_where_it_is() -> None:
    volts = moving(swing=0.0)
    volts[1000:, 4] -= 0.02
    found = sudden_changes(windows_of(volts))
    assert found.at[4] == T[996]
    assert -0.021 < found.step_v[4] < -0.019
    assert np.isnan(np.delete(found.at, 4)).all()
    lifted = sudden_changes(windows_of(volts + 0.0006))
    np.testing.assert_allclose(lifted.step_v, found.step_v, atol=0.0011)


def test_a_jump_was_when_the_first_of_several_voltages_told_it() -> None:
    volts = moving(swing=0.0)
    high = T // (DAY / 2) % 2 == 1
    volts[high] += 0.02
    volts[1000:, 4] -= 0.02
    assert not high[1000]
    found = sudden_changes(windows_of(volts))
    assert found.at[4] == T[996]


def test_one_wild_window_and_a_slow_drift_are_no_jumps() -> None:
    volts = moving(swing=0.0)
    volts[1000:1012, 4] -= 0.05
    volts[:, 6] -= 0.003 * T / DAY
    assert np.isnan(sudden_changes(windows_of(volts)).at).all()


def test_another_state_of_charge_is_no_jump() -> None:
    volts = moving(swing=0.0)
    high = T // (DAY / 2) % 2 == 1
    volts[high] += 0.02
    volts[high, 4] += 0.03
    assert np.isnan(sudden_changes(windows_of(volts)).at).all()


def test_nothing_gives_nothing() -> None:
    few = windows_of(moving())
    none = few.only(np.zeros(few.start.size, dtype=np.bool_))
    assert np.isnan(sudden_changes(none).at).all()
    empty = assess_sensors(T[:0], np.zeros((0, 4)), np.zeros((0, 4)), np.zeros(0, dtype=np.bool_))
    assert without_faulty(few, replace(empty, faults=())).deviation_v.shape == few.deviation_v.shape


def test_a_pack_that_never_rests_tells_a_jump_from_day_to_day() -> None:
    rng = np.random.default_rng(6)
    day = 19_000.5 + np.arange(20.0)
    values = 0.001 * rng.standard_normal((20, 4))
    assert np.isnan(daily_changes(day, values).step_v).all()
    values[14:, 1] += 0.012
    values[14, 2] += 0.040
    values[:, 3] += 0.002 * np.arange(20.0)
    found = daily_changes(day, values)
    np.testing.assert_array_equal(np.isfinite(found.step_v), [False, True, False, False])
    assert found.step_v[1] == pytest.approx(0.012, abs=0.002)
    assert found.at[1] == day[14] * DAY
    # Nobody knows when in the weeks without a reading.
    day[14:] += 20.0
    assert np.isnan(daily_changes(day, values).step_v).all()


def test_a_reading_that_a_service_put_off_is_told_of_a_pack_under_load() -> None:
    rng = np.random.default_rng(7)
    t = np.arange(0.0, 24 * DAY, 900.0)
    swing = 0.02 * np.sin(2 * np.pi * t / 5400.0) + 0.004 * rng.standard_normal(t.size)
    volts = 3.3 + swing[:, None] + 0.001 * rng.standard_normal((t.size, 12))
    volts[t > 20.5 * DAY, 5] -= 0.015
    (found,) = analyse_pack(t, np.round(volts, 3), soc_percent=np.full(t.size, 60.0)).findings
    assert (found.cell, found.reason, found.severity) == (5, "sudden_change", "warning")
    assert found.value == pytest.approx(-0.015, abs=0.003)
    assert found.text.endswith("from one day to the next")


def test_a_cell_that_is_read_no_more_is_told_and_a_silent_pack_is_not() -> None:
    volts = moving()
    volts[1000:, 3] = NAN
    volts[:, 7] = NAN
    last = silent_since(T, volts)
    np.testing.assert_array_equal(np.flatnonzero(np.isfinite(last)), [3])
    assert last[3] == T[999]
    (found,) = analyse_pack(T, volts).findings
    assert (found.cell, found.reason, found.since) == (3, "sensor_silent", T[999])
    assert found.text == "no reading for 3 days"
    volts[1000:, :6] = NAN
    assert np.isnan(silent_since(T, volts)).all()
    # Back after a gap, and not all of them yet.
    early = silent_since(np.append(T[:900], T[-5:]), np.vstack((volts[:900], volts[-5:])))
    assert np.isnan(early).all()
    assert silent_since(T[:0], volts[:0]).shape == (10,)
