"""Critical cells and their neighbours."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from scoring.cells.critical import (
    Pattern,
    critical_cells,
    latest,
    monthly_percent,
    neighbour_influence,
)

NAN = float("nan")
Array = NDArray[np.float64]


def explain(excess: Array, *cells: int) -> tuple[list[int], list[int]]:
    flagged = np.zeros(excess.shape, dtype=np.bool_)
    flagged[list(cells)] = True
    found = neighbour_influence(excess, flagged)
    return found.pattern[list(cells)].tolist(), found.centre[list(cells)].tolist()


def bump(cells: int, centre: int, *profile: float) -> Array:
    excess = np.zeros(cells)
    for distance, value in enumerate(profile):
        for cell in {centre - distance, centre + distance}:
            if 0 <= cell < cells:
                excess[cell] = value
    return excess


def test_limits_are_10_mv_3_k_and_half_a_percent() -> None:
    found = critical_cells(
        np.array([0.0099, 0.010, -0.010, 0.0, 0.0, NAN]),
        np.array([0.0, 0.0, 0.0, 3.0, -4.0, NAN]),
        np.array([0.0, 0.0, 0.49, -0.5, NAN, NAN]),
    )
    np.testing.assert_array_equal(found.deviation, [False, True, True, False, False, False])
    np.testing.assert_array_equal(found.temperature, [False, False, False, True, False, False])
    np.testing.assert_array_equal(found.trend, [False, False, False, True, False, False])
    np.testing.assert_array_equal(found.critical, [False, True, True, True, False, False])
    np.testing.assert_array_equal(found.known, [True] * 5 + [False])


def test_ten_millivolts_in_float32_are_ten_millivolts() -> None:
    off = np.array([3.31, 3.30], dtype=np.float32) - np.float32(3.30)
    none = np.zeros(2)
    assert critical_cells(off, none, none).deviation[0]


def test_a_lone_cell_stands_alone() -> None:
    assert explain(bump(20, 7, 5.0, 0.2), 7) == ([Pattern.ALONE], [7])


def test_heat_falls_off_from_its_centre() -> None:
    warm = bump(20, 7, 8.0, 4.0, 2.0, 1.0)
    assert explain(warm, 6, 7, 8) == ([Pattern.FALLS_OFF] * 3, [7, 7, 7])


def test_heat_at_the_end_of_the_row() -> None:
    assert explain(bump(20, 0, 8.0, 4.0, 2.0), 0) == ([Pattern.FALLS_OFF], [0])


def test_a_warm_half_is_wide() -> None:
    warm = np.where(np.arange(30) < 14, 4.0, 0.0)
    assert explain(warm, 6) == ([Pattern.WIDE], [6])


def test_a_cell_below_is_explained_like_one_above() -> None:
    assert explain(-bump(20, 7, 0.05, 0.001), 7) == ([Pattern.ALONE], [7])


def test_without_neighbours_nothing_is_said() -> None:
    excess = bump(20, 7, 5.0)
    excess[[6, 8]] = NAN
    assert explain(excess, 7) == ([Pattern.NONE], [-1])


def test_mirror_image_and_rows_of_packs() -> None:
    rng = np.random.default_rng(5)
    excess = rng.normal(0.0, 2.0, (6, 15))
    flagged = np.abs(excess) > 2.0
    found = neighbour_influence(excess, flagged)
    back = neighbour_influence(excess[:, ::-1], flagged[:, ::-1])
    np.testing.assert_array_equal(back.pattern[:, ::-1], found.pattern)
    np.testing.assert_allclose(back.share[:, ::-1], found.share)
    for row in range(6):
        one = neighbour_influence(excess[row], flagged[row])
        np.testing.assert_array_equal(one.pattern, found.pattern[row])
        np.testing.assert_array_equal(one.centre, found.centre[row])
    np.testing.assert_array_equal(found.pattern >= 0, flagged)


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match="must share one shape"):
        neighbour_influence(np.zeros(4), np.zeros(5, dtype=np.bool_))


def test_trend_in_percent_of_the_voltage_per_month() -> None:
    slope = np.array([0.5 * 3.3 / 100.0 / 30.4375])
    assert monthly_percent(slope, 3.3)[0] == pytest.approx(0.5)


def test_latest_is_the_median_of_the_last_day() -> None:
    start = np.array([0.0, 86_400.0, 100_000.0, 172_800.0])
    values = np.array([[9.0, NAN], [8.0, NAN], [1.0, NAN], [3.0, NAN]])
    found = latest(values, start)
    assert found[0] == 2.0
    assert np.isnan(found[1])
    assert np.isnan(latest(values[:0], start[:0])).all()
