"""Imbalance against the state of the pack."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from scoring.cells.imbalance import Imbalance, assess_imbalance, snapshot, spread_level, spreads
from scoring.cells.rest import Zone
from scoring.cells.windows import Windows, build_windows, deviations

NAN = float("nan")
SEEDED = settings(derandomize=True, deadline=None, max_examples=40)
Array = NDArray[np.float64]


def hours(volts: Array, zone: Zone = Zone.PLATEAU, *, resting: bool = True) -> Windows:
    """Windows of one state, an hour for each row of cell voltages."""
    minutes = np.repeat(volts, 60, axis=0)
    t = np.arange(len(minutes)) * 60.0
    state = np.full(t.size, resting)
    return build_windows(t, *deviations(minutes), state, np.full(t.size, zone, dtype=np.int8))


def judge(volts: Array, zone: Zone = Zone.PLATEAU, *, resting: bool = True) -> Imbalance:
    return assess_imbalance(hours(volts, zone, resting=resting))


def off_by(*volts: float, cells: int = 16) -> Array:
    """One row a value: cell 4 off by it, the others equal."""
    rows = np.full((len(volts), cells), 3.3)
    rows[:, 4] += volts
    return rows


@pytest.mark.parametrize(
    ("zone", "resting", "level"),
    [
        (Zone.PLATEAU, True, 2),
        (Zone.PLATEAU, False, 1),
        (Zone.FULL, True, 0),
        (Zone.FULL, False, 0),
        (Zone.EMPTY, True, 0),
        (Zone.UNKNOWN, True, -1),
    ],
)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_the_same_60_mv_in_every_state(
    zone: Zone, resting: bool, level: int, dtype: type[np.floating]
) -> None:
    rows = off_by(-0.060).astype(dtype)
    verdict = judge(rows, zone, resting=resting)
    assert verdict.level[4] == level
    assert verdict.pack_level[0] == level
    now = snapshot(rows, np.array([zone], dtype=np.int8), np.array([resting]))
    assert now.level[0] == level
    assert now.worst[0] == 4
    assert now.spread_v[0] == pytest.approx(0.060, abs=1e-6)


def test_just_below_the_limits_is_silent() -> None:
    assert judge(off_by(0.0299)).level[4] == 0
    assert judge(off_by(0.0301)).level[4] == 1
    assert judge(off_by(0.0599)).level[4] == 1
    assert judge(off_by(0.249), Zone.FULL).level[4] == 0
    assert judge(off_by(0.251), Zone.FULL).level[4] == 1


def test_a_flagged_cell_has_its_distance_and_since_when() -> None:
    verdict = judge(off_by(0.0, 0.0, -0.04, -0.05, -0.07))
    np.testing.assert_array_equal(np.flatnonzero(verdict.level > 0), [4])
    assert verdict.level[4] == 2
    assert verdict.deviation_v[4] == pytest.approx(-0.07)
    assert verdict.since[4] == 2 * 3600.0
    assert np.isnan(np.delete(verdict.since, 4)).all()


def test_a_cell_that_came_back_is_cleared_and_one_at_the_edge_is_not() -> None:
    assert judge(off_by(-0.05, -0.05, 0.0)).level[4] == 0
    edge = judge(off_by(-0.0, -0.05, -0.0145))
    assert edge.level[4] == 1
    assert edge.since[4] == 3600.0


def test_near_full_nothing_is_cleared() -> None:
    plateau, full = off_by(-0.05), off_by(0.0)
    minutes = np.repeat(np.concatenate((plateau, full, full)), 60, axis=0)
    t = np.arange(180) * 60.0
    zone = np.repeat([Zone.PLATEAU, Zone.FULL, Zone.FULL], 60).astype(np.int8)
    windows = build_windows(t, *deviations(minutes), np.ones(180, dtype=np.bool_), zone)
    verdict = assess_imbalance(windows)
    assert verdict.level[4] == 1
    assert verdict.deviation_v[4] == pytest.approx(-0.05)


def test_it_takes_time() -> None:
    windows = hours(off_by(-0.05))
    assert assess_imbalance(windows, hold_seconds=3500.0).level[4] == 1
    assert assess_imbalance(windows, hold_seconds=3600.0).level[4] == 0


def test_both_ends_of_a_spread_are_named() -> None:
    rows = np.full((1, 16), 3.3)
    rows[0, 3] -= 0.02
    rows[0, 9] += 0.02
    np.testing.assert_array_equal(np.flatnonzero(judge(rows).level > 0), [3, 9])


@SEEDED
@given(st.integers(0, 100_000))
def test_order_and_level_move_the_flags_along(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = 3.3 + 0.02 * rng.standard_normal((3, 12))
    rows[rng.random((3, 12)) < 0.1] = NAN
    order = rng.permutation(12)
    plain, lifted = judge(rows), judge(rows + 0.0625)
    moved = judge(rows[:, order])
    np.testing.assert_array_equal(lifted.level, plain.level)
    np.testing.assert_array_equal(moved.level, plain.level[order])
    np.testing.assert_array_equal(moved.since, plain.since[order])
    np.testing.assert_array_equal(moved.pack_level, plain.pack_level)


def test_a_balanced_pack_has_no_imbalance() -> None:
    for value in (2.5, 3.3, 3.65):
        verdict = judge(np.full((4, 16), value))
        np.testing.assert_array_equal(verdict.level, np.zeros(16))
        np.testing.assert_array_equal(verdict.spread_v, np.zeros(4))


def test_missing_stays_missing() -> None:
    rows = off_by(-0.05, -0.05)
    rows[:, 7] = NAN
    verdict = judge(rows)
    assert verdict.level[7] == -1
    assert np.isnan(verdict.deviation_v[7])
    assert verdict.level[4] == 1
    np.testing.assert_array_equal(judge(np.full((2, 16), NAN)).level, np.full(16, -1))


def test_many_packs_at_once_equal_one_by_one() -> None:
    rng = np.random.default_rng(3)
    volts = 3.3 + 0.03 * rng.standard_normal((50, 8))
    volts[rng.random((50, 8)) < 0.2] = NAN
    volts[7] = NAN
    zone = rng.integers(-1, 3, 50).astype(np.int8)
    resting = rng.random(50) < 0.5
    every = snapshot(volts, zone, resting)
    for row in range(50):
        one = snapshot(volts[row : row + 1], zone[row : row + 1], resting[row : row + 1])
        assert one.level[0] == every.level[row]
        assert one.worst[0] == every.worst[row]
        np.testing.assert_array_equal(one.spread_v[0], every.spread_v[row])
    assert every.worst[7] == -1
    assert every.level[7] == -1
    assert set(every.level.tolist()) == {-1, 0, 1, 2}


def test_spread_needs_three_cells() -> None:
    found = spreads(np.array([[3.3, 3.4, NAN], [3.3, 3.4, 3.35]]))
    assert np.isnan(found[0])
    assert found[1] == pytest.approx(0.1)
    level = spread_level(found, np.ones(2, dtype=np.int8), np.ones(2, dtype=np.bool_))
    np.testing.assert_array_equal(level, [-1, 2])


def test_a_light_load_does_not_clear_what_a_heavy_one_showed() -> None:
    minutes = np.repeat(off_by(-0.12, -0.01, -0.01), 60, axis=0)
    t = np.arange(180) * 60.0
    rest = np.zeros(180, dtype=np.bool_)
    zone = np.full(180, Zone.PLATEAU, dtype=np.int8)
    every = build_windows(t, *deviations(minutes), rest, zone)
    assert assess_imbalance(every).level[4] == 0
    light = build_windows(t, *deviations(minutes), rest, zone, t < 3600.0)
    np.testing.assert_array_equal(light.loaded, [True, False, False])
    assert assess_imbalance(light).level[4] == 2


def test_a_window_clears_only_when_none_of_the_day_before_showed_it() -> None:
    # Off by 40 mV an hour a day, at the end of the discharge, for three days; then sound.
    volts = np.zeros(5 * 24)
    volts[[20, 44, 68]] = -0.040
    windows = hours(off_by(*volts))

    def level(rows: int) -> int:
        part = windows.only(np.arange(windows.start.size) < rows)
        return int(assess_imbalance(part, clear_after_seconds=86400.0).level[4])

    assert [level(rows) for rows in (20, 21, 30, 69, 90, 92)] == [0, 1, 1, 1, 1, 1]
    assert [level(rows) for rows in (93, 120)] == [0, 0]
    held = assess_imbalance(
        windows.only(np.arange(windows.start.size) < 92), clear_after_seconds=86400.0
    )
    assert held.since[4] == windows.start[20]
    assert assess_imbalance(windows).level[4] == 0


def test_the_ordinary_offset_of_another_cell_is_not_named_beside_the_faulty_one() -> None:
    rows = off_by(-0.016, -0.018, -0.040, -0.045)
    rows[:, 9] += 0.015
    # As long as nobody can tell which of the two it is, both are.
    pair = judge(rows[:2])
    np.testing.assert_array_equal(np.flatnonzero(pair.level > 0), [4, 9])
    later = judge(rows)
    np.testing.assert_array_equal(np.flatnonzero(later.level > 0), [4])
    # Beyond the limit a cell is named whatever the others do.
    rows[:, 9] += 0.016
    rows[:, 4] -= 0.1
    np.testing.assert_array_equal(np.flatnonzero(judge(rows).level > 0), [4, 9])
