"""Medians, deviations, windows of one state and streaks of evidence."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from scoring.cells.rest import Zone
from scoring.cells.windows import build_windows, deviations, medians, streaks, window_medians

NAN = float("nan")
SEEDED = settings(derandomize=True, deadline=None, max_examples=60)
VOLTS = arrays(
    np.float64,
    st.tuples(st.integers(1, 6), st.integers(3, 9)),
    elements=st.one_of(st.just(NAN), st.integers(2500, 3650).map(lambda mv: mv / 1000.0)),
)
Array = NDArray[np.float64]


@SEEDED
@given(VOLTS)
def test_medians_equal_numpys(volts: Array) -> None:
    for row, value in zip(volts, medians(volts), strict=True):
        known = row[np.isfinite(row)]
        if known.size:
            assert value == pytest.approx(np.median(known), abs=1e-12)
        else:
            assert np.isnan(value)


@SEEDED
@given(VOLTS, st.integers(0, 10_000))
def test_deviations_know_neither_order_nor_level(volts: Array, seed: int) -> None:
    order = np.random.default_rng(seed).permutation(volts.shape[1])
    _, plain = deviations(volts)
    _, shifted = deviations(volts + 0.125)
    _, moved = deviations(volts[:, order])
    np.testing.assert_allclose(shifted, plain, atol=1e-12)
    np.testing.assert_array_equal(moved, plain[:, order])
    one_by_one = np.stack([deviations(row)[1] for row in volts])
    np.testing.assert_array_equal(one_by_one, plain)
    assert np.isnan(plain[np.isnan(volts)]).all()


def test_two_cells_make_no_comparison() -> None:
    median, off = deviations(np.array([[3.3, 3.4, NAN], [3.3, 3.4, 3.5]]))
    np.testing.assert_array_equal(np.isnan(median), [True, False])
    assert np.isnan(off[0]).all()
    np.testing.assert_allclose(off[1], [-0.1, 0.0, 0.1], atol=1e-12)


def test_float32_stays_float32() -> None:
    volts = np.array([[3.3, 3.31, 3.32]], dtype=np.float32)
    median, off = deviations(volts)
    assert median.dtype == off.dtype == np.float32


def test_window_medians_equal_a_loop_over_windows() -> None:
    rng = np.random.default_rng(2)
    values = rng.normal(size=(200, 5))
    values[rng.random((200, 5)) < 0.3] = NAN
    first = np.array([0, 7, 20, 90, 150])
    stop = np.array([7, 20, 80, 150, 200])
    found = window_medians(values, first, stop)
    for row, (a, b) in enumerate(zip(first, stop, strict=True)):
        enough = np.isfinite(values[a:b]).sum(axis=0) >= (b - a + 1) // 2
        np.testing.assert_allclose(
            found[row], np.where(enough, np.nanmedian(values[a:b], axis=0), NAN)
        )


def test_windows_are_cut_by_state_gap_and_length() -> None:
    t = np.arange(300) * 60.0
    t[200:] += 3600.0
    zone = np.full(300, Zone.PLATEAU, dtype=np.int8)
    zone[250:] = Zone.FULL
    resting = t >= 40 * 60.0
    volts = np.tile(3.3 + 0.001 * np.arange(5), (300, 1))
    windows = build_windows(t, *deviations(volts), resting, zone)
    np.testing.assert_array_equal(windows.first, [0, 40, 100, 160, 200, 250])
    np.testing.assert_array_equal(windows.stop, [40, 100, 160, 200, 250, 300])
    np.testing.assert_array_equal(windows.resting, [False] + [True] * 5)
    np.testing.assert_array_equal(windows.zone, [1, 1, 1, 1, 1, 2])
    np.testing.assert_allclose(windows.deviation_v, np.tile(0.001 * np.arange(-2, 3), (6, 1)))
    np.testing.assert_allclose(windows.median_v, 3.302)


def test_short_states_make_no_window() -> None:
    t = np.arange(60) * 60.0
    resting = np.ones(60, dtype=np.bool_)
    resting[20:25] = False
    zone = np.full(60, Zone.PLATEAU, dtype=np.int8)
    windows = build_windows(t, *deviations(np.full((60, 4), 3.3)), resting, zone)
    np.testing.assert_array_equal(windows.first, [0, 25])
    assert windows.resting.all()


def test_hourly_data_make_windows_too() -> None:
    t = np.arange(48) * 3600.0
    zone = np.full(48, Zone.PLATEAU, dtype=np.int8)
    windows = build_windows(
        t, *deviations(np.full((48, 4), 3.3)), np.ones(48, dtype=np.bool_), zone
    )
    np.testing.assert_array_equal(windows.stop - windows.first, [4] * 12)


def test_nothing_makes_no_window() -> None:
    none = np.zeros(0)
    windows = build_windows(
        none,
        none,
        np.zeros((0, 4)),
        np.zeros(0, dtype=np.bool_),
        np.zeros(0, dtype=np.int8),
    )
    assert windows.deviation_v.shape == (0, 4)


def test_a_streak_begins_after_the_last_contradiction() -> None:
    evidence = np.array([[1, 1, 0, 1], [0, -1, 0, 1], [1, 1, 0, 1], [0, 0, 0, -1]], dtype=np.int8)
    start = np.array([0.0, 100.0, 200.0, 300.0])
    since, seen = streaks(evidence, start, np.full(4, 60.0))
    np.testing.assert_array_equal(since, [0.0, 200.0, NAN, NAN])
    np.testing.assert_array_equal(seen, [120.0, 60.0, 0.0, 0.0])


def test_shapes_that_do_not_fit_are_refused() -> None:
    t = np.arange(5) * 60.0
    state = np.ones(5, dtype=np.bool_)
    zone = np.ones(5, dtype=np.int8)
    with pytest.raises(ValueError, match=r"deviation must have shape \(5, C\), not \(4, 3\)"):
        build_windows(t, t, np.zeros((4, 3)), state, zone)
    with pytest.raises(ValueError, match="median, resting and zone must have the shape"):
        build_windows(t, t, np.zeros((5, 3)), state[:4], zone)
