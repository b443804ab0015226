"""Cycles, energy, round trip and histograms."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from scoring.cells.cycles import (
    depth_histogram,
    energy,
    equivalent_full_cycles,
    rainflow_cycles,
    round_trip,
    temperature_hours,
    turning_points,
)

NAN = float("nan")
SEEDED = settings(derandomize=True, deadline=None, max_examples=50)
Array = NDArray[np.float64]


def ramp(*points: float, each: int = 10) -> tuple[Array, Array]:
    """One ramp of ``each`` minutes between each two points."""
    t = np.arange((len(points) - 1) * each + 1) * 60.0
    return t, np.interp(t, np.arange(len(points)) * each * 60.0, points)


def test_example_of_the_standard() -> None:
    # ASTM E1049-85, figure 6: ranges 3, 4, 8, 6 as half cycles, 4 as a whole one, 8, 9 as halves.
    t = np.arange(9) * 60.0
    series = np.array([-2.0, 1.0, -3.0, 5.0, -1.0, 3.0, -4.0, 4.0, -2.0])
    cycles = rainflow_cycles(t, series)
    found = sorted(zip(cycles.depth_percent.tolist(), cycles.count.tolist(), strict=True))
    assert found == [(3, 0.5), (4, 0.5), (4, 1.0), (6, 0.5), (8, 0.5), (8, 0.5), (9, 0.5)]


def test_a_small_cycle_within_a_large_one() -> None:
    t, soc = ramp(90, 40, 55, 10, 90)
    cycles = rainflow_cycles(t, soc)
    np.testing.assert_allclose(cycles.depth_percent, [15, 80, 80])
    np.testing.assert_allclose(cycles.count, [1.0, 0.5, 0.5])
    assert cycles.equivalent_full == pytest.approx(0.95)
    assert (cycles.start[0], cycles.end[0]) == (600.0, 1200.0)
    histogram = depth_histogram(cycles)
    np.testing.assert_allclose(histogram, [0, 1, 0, 0, 0, 0, 0, 0, 1, 0])


def test_one_discharge_is_half_a_cycle() -> None:
    cycles = rainflow_cycles(*ramp(100, 0))
    np.testing.assert_allclose(cycles.depth_percent, [100])
    np.testing.assert_allclose(cycles.count, [0.5])
    np.testing.assert_allclose(cycles.end, [600.0])


def test_trembling_flat_and_missing_make_no_cycles() -> None:
    t = np.arange(100) * 60.0
    assert rainflow_cycles(t, 50.0 + 0.4 * (np.arange(100) % 2)).count.size == 0
    assert rainflow_cycles(t, np.full(100, 50.0)).count.size == 0
    assert rainflow_cycles(t, np.full(100, NAN)).count.size == 0
    assert rainflow_cycles(t[:0], t[:0]).equivalent_full == 0.0


@SEEDED
@given(st.lists(st.integers(0, 100), min_size=2, max_size=40))
def test_halved_ranges_sum_up_to_the_way_gone(points: list[int]) -> None:
    t, soc = ramp(*points, each=3)
    cycles = rainflow_cycles(t, soc, hysteresis=0.0)
    way = np.abs(np.diff(points)).sum()
    assert cycles.equivalent_full == pytest.approx(way / 200.0)
    spread_out = np.full(2 * t.size, NAN)
    spread_out[::2] = soc
    again = rainflow_cycles(np.arange(2 * t.size) * 30.0, spread_out, hysteresis=0.0)
    np.testing.assert_allclose(again.depth_percent, cycles.depth_percent)


def test_turning_points_keep_the_extremes() -> None:
    _, soc = ramp(50, 50, 20, 20, 80, 79.5, 90, 10)
    rows = turning_points(soc)
    np.testing.assert_allclose(soc[rows], [50, 20, 90, 10])


def test_energy_splits_at_the_change_of_sign() -> None:
    t = np.array([0.0, 3600.0, 7200.0])
    found = energy(t, np.array([1000.0, -1000.0, -1000.0]))
    assert found.charged_wh == pytest.approx(250.0)
    assert found.discharged_wh == pytest.approx(1250.0)
    assert (found.seen_seconds, found.missing_seconds) == (7200.0, 0.0)


def test_energy_of_gaps_is_missing_not_zero() -> None:
    t = np.arange(10) * 60.0
    t[5:] += 1200.0
    power = np.full(10, 600.0)
    power[8] = NAN
    found = energy(t, power)
    assert found.charged_wh == pytest.approx(6 * 10.0)
    assert found.seen_seconds == 360.0
    assert found.missing_seconds == 1260.0 + 120.0


@SEEDED
@given(st.lists(st.floats(-5e3, 5e3), min_size=2, max_size=30))
def test_charged_minus_discharged_is_the_plain_integral(power: list[float]) -> None:
    t = np.arange(len(power)) * 60.0
    values = np.array(power)
    found = energy(t, values)
    net = np.trapezoid(values, t) / 3600.0
    assert found.charged_wh - found.discharged_wh == pytest.approx(net, abs=1e-6)
    assert found.charged_wh >= 0.0
    assert found.discharged_wh >= -1e-9
    mirrored = energy(t, -values)
    assert mirrored.charged_wh == pytest.approx(found.discharged_wh, abs=1e-6)


def days_of_cycling(efficiency: float, days: int = 20) -> tuple[Array, Array, Array]:
    t = np.arange(days * 288 + 1) * 300.0
    soc = np.interp(t % 86400.0, [0, 36000, 72000, 86400], [30, 90, 30, 30])
    power = np.gradient(soc, t / 3600.0) / 100.0 * 10_000.0
    return t, np.where(power > 0, power, power * efficiency), soc


@pytest.mark.parametrize("efficiency", [1.0, 0.92, 0.80])
def test_round_trip_finds_the_efficiency(efficiency: float) -> None:
    t, power, soc = days_of_cycling(efficiency)
    # The last afternoon is cut off: in and out over all that is there is not the efficiency.
    t, power, soc = t[:-140], power[:-140], soc[:-140]
    found = round_trip(t, power, soc, 10_000.0)
    assert found.efficiency == pytest.approx(efficiency, abs=found.uncertainty)
    assert found.uncertainty < 0.01
    naive = energy(t, power)
    off = abs(naive.discharged_wh / naive.charged_wh - efficiency)
    assert off > 2 * found.uncertainty


def test_no_round_trip_without_enough_or_through_gaps() -> None:
    t, power, soc = days_of_cycling(0.9, days=1)
    assert np.isnan(round_trip(t, power, soc, 10_000.0).efficiency)
    t, power, soc = days_of_cycling(0.9)
    power[np.arange(t.size) % 288 < 20] = NAN
    assert np.isnan(round_trip(t, power, soc, 10_000.0).efficiency)
    assert np.isnan(round_trip(t, power, np.full(t.size, NAN), 10_000.0).efficiency)


def test_more_out_than_in_is_no_efficiency() -> None:
    t, power, soc = days_of_cycling(1.03)
    assert np.isnan(round_trip(t, power, soc, 10_000.0).efficiency)


def test_equivalent_full_cycles() -> None:
    assert equivalent_full_cycles(1200.0, 800.0, 500.0) == 2.0
    assert np.isnan(equivalent_full_cycles(1200.0, 800.0, 0.0))
    assert np.isnan(equivalent_full_cycles(NAN, 800.0, 500.0))


def test_hours_in_each_range_of_temperature() -> None:
    t = np.arange(5) * 1800.0
    warmth = np.array([[20.0, NAN], [24.9, 5.0], [25.0, 5.0], [61.0, NAN], [61.0, 5.0]])
    hours = temperature_hours(t, warmth, np.array([20.0, 25.0, 60.0, np.inf]))
    np.testing.assert_allclose(hours, [[1.0, 0.0], [0.5, 0.0], [0.5, 0.0]])
    every = temperature_hours(t, warmth)
    np.testing.assert_allclose(every.sum(axis=0), [2.0, 1.0])


def test_shapes_must_agree() -> None:
    t = np.arange(5) * 60.0
    with pytest.raises(ValueError, match="soc_percent must have the shape"):
        rainflow_cycles(t, np.zeros(4))
    with pytest.raises(ValueError, match="power must have the shape"):
        energy(t, np.zeros(4))
    with pytest.raises(ValueError, match="power and state of charge must have"):
        round_trip(t, np.zeros(5), np.zeros(4), 100.0)
    with pytest.raises(ValueError, match=r"temperature must have shape \(5, C\)"):
        temperature_hours(t, np.zeros(5))
