"""Classes of the state of health, the model estimate, and the measured one."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from scoring.cells.rest import OCV_SOC_PERCENT, OCV_VOLTS, at_rest, zones
from scoring.cells.soh import (
    Anchors,
    SohClass,
    imbalance_points,
    measured_soh,
    model_soh,
    soh_class,
    voltage_anchors,
)
from scoring.cells.windows import Windows, build_windows, deviations

NAN = float("nan")
Array = NDArray[np.float64]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_each_boundary_is_in_one_class(dtype: type[np.floating]) -> None:
    names = {
        100.0: SohClass.EXCELLENT,
        99.0: SohClass.EXCELLENT,
        98.9: SohClass.OPTIMAL,
        98.0: SohClass.OPTIMAL,
        97.9: SohClass.NOMINAL,
        95.0: SohClass.NOMINAL,
        94.9: SohClass.DEGRADED,
        90.0: SohClass.DEGRADED,
        89.9: SohClass.COMPROMISED,
        85.0: SohClass.COMPROMISED,
        84.9: SohClass.CRITICAL,
        80.0: SohClass.CRITICAL,
        79.9: SohClass.END_OF_LIFE,
        0.0: SohClass.END_OF_LIFE,
        104.0: SohClass.EXCELLENT,
        NAN: SohClass.UNKNOWN,
    }
    found = soh_class(np.array(list(names), dtype=dtype))
    assert [SohClass(code) for code in found.tolist()] == list(names.values())


def test_classes_never_improve_as_health_falls() -> None:
    codes = soh_class(np.linspace(70.0, 101.0, 3101))
    assert (np.diff(codes) >= 0).all()
    assert set(codes.tolist()) == set(range(7))


def test_model_in_numbers() -> None:
    found = model_soh(
        np.array([0.0, 2.0, 10.0, 1.0, NAN]),
        np.array([0.0, 200.0, 1000.0, 100.0, 1.0]),
        np.array([0.0, 20.0, 400.0, 75.0, 1.0]),
    )
    np.testing.assert_allclose(found.soh_percent, [100.0, 88.0, 55.0, 87.5, NAN])
    np.testing.assert_allclose(found.imbalance, [0.0, 0.0, 10.0, 6.5, 0.0])


def test_a_missing_input_never_improves_the_model() -> None:
    whole = np.array([1.0])
    for missing in range(3):
        inputs = [whole, whole, whole]
        inputs[missing] = np.array([NAN])
        assert np.isnan(model_soh(*inputs).soh_percent[0])


def test_imbalance_points_are_continuous_and_never_fall() -> None:
    points = imbalance_points(np.linspace(0.0, 150.0, 15_001))
    assert (np.diff(points) >= 0).all()
    assert np.diff(points).max() < 0.002
    np.testing.assert_allclose(
        imbalance_points(np.array([20.0, 50.0, 100.0, 150.0])), [0.0, 3.0, 10.0, 10.0]
    )


def battery(soh: float, gain: float = 1.0) -> tuple[Array, Array, Windows]:
    """Three deep cycles of a 280 Ah pack of a given health, resting at both ends."""
    t = np.arange(0.0, 3 * 86400.0, 60.0)
    soc = np.interp(t % 86400.0 / 3600.0, [0, 3, 9, 14, 20, 24], [5, 5, 99.2, 99.2, 5, 5])
    current = np.gradient(soc, t / 3600.0) / 100.0 * 280.0 * soh
    volts = np.interp(soc, OCV_SOC_PERCENT, OCV_VOLTS)[:, None] * np.ones(4)
    resting = at_rest(t, current, 280.0)
    windows = build_windows(t, *deviations(volts), resting, zones(np.full(t.size, NAN)))
    return t, current * gain, windows


@pytest.mark.parametrize("soh", [1.02, 0.95, 0.7])
def test_coulomb_counting_finds_the_capacity(soh: float) -> None:
    t, current, windows = battery(soh)
    found = measured_soh(t, current, voltage_anchors(windows), 280.0)
    assert found.spans >= 4
    assert found.soh_percent == pytest.approx(100.0 * soh, abs=1.0)
    assert found.capacity_ah == pytest.approx(280.0 * soh, rel=0.01)
    assert 0.3 < found.uncertainty < 3.0


def test_the_uncertainty_covers_a_sensor_that_is_off() -> None:
    t, current, windows = battery(0.9, gain=1.004)
    found = measured_soh(t, current, voltage_anchors(windows), 280.0)
    assert abs(found.soh_percent - 90.0) < 2.0 * found.uncertainty


def test_the_plateau_gives_no_anchors() -> None:
    t = np.arange(0.0, 86400.0, 60.0)
    volts = np.full((t.size, 4), 3.31)
    rest = np.ones(t.size, dtype=np.bool_)
    windows = build_windows(t, *deviations(volts), rest, zones(np.full(t.size, NAN)))
    assert voltage_anchors(windows, max_sigma_percent=4.0).at.size == 0
    wide = voltage_anchors(windows, max_sigma_percent=20.0)
    np.testing.assert_allclose(wide.sigma_percent, 5.0 * 68.6 / 74.0)


def test_small_swings_and_gaps_measure_nothing() -> None:
    t = np.arange(0.0, 86400.0, 60.0)
    current = np.full(t.size, 10.0)
    anchors = Anchors(np.array([0.0, 36_000.0]), np.array([30.0, 69.0]), np.array([1.0, 1.0]))
    assert np.isnan(measured_soh(t, current, anchors, 280.0).soh_percent)
    far = Anchors(anchors.at, np.array([30.0, 71.0]), anchors.sigma_percent)
    assert measured_soh(t, current, far, 280.0).soh_percent == pytest.approx(100 / 0.41 / 2.8)
    current[100:200] = NAN
    assert measured_soh(t, current, far, 280.0).spans == 0


def test_more_spans_are_surer_but_not_beyond_what_they_share() -> None:
    t = np.arange(0.0, 10 * 86400.0, 300.0)
    phase = t % 86400.0 / 43200.0
    soc = 10.0 + 80.0 * np.where(phase < 1.0, phase, 2.0 - phase)
    current = np.gradient(soc, t / 3600.0) * 2.8
    ends = np.arange(0, t.size, 144)
    sigma = np.full(ends.size, 2.0)
    many = measured_soh(t, current, Anchors(t[ends], soc[ends], sigma), 280.0)
    two = measured_soh(t, current, Anchors(t[ends[:2]], soc[ends[:2]], sigma[:2]), 280.0)
    assert many.spans == ends.size - 1
    assert many.uncertainty == pytest.approx(two.uncertainty / np.sqrt(2.0), rel=0.02)


def test_spans_that_differ_pull_the_result_to_neither_side_and_are_told() -> None:
    t = np.arange(0.0, 100 * 86400.0, 300.0)
    phase = t % 86400.0 / 43200.0
    soc = 10.0 + 80.0 * np.where(phase < 1.0, phase, 2.0 - phase)
    ends = np.arange(0, t.size, 144)
    anchors = Anchors(t[ends], soc[ends], np.full(ends.size, 2.0))
    # A current sensor that reads a fifth too much on every other half day, and too little between.
    factor = np.where((t // 43200.0).astype(int) % 2 == 0, 1.2, 0.8)
    even = np.gradient(soc, t / 3600.0) * 2.8
    steady, uneven = (measured_soh(t, x, anchors, 280.0) for x in (even, even * factor))
    assert uneven.soh_percent == pytest.approx(steady.soh_percent, abs=0.5)
    few = Anchors(t[ends[:9]], soc[ends[:9]], np.full(9, 2.0))
    steady, uneven = (measured_soh(t, x, few, 280.0) for x in (even, even * factor))
    assert uneven.uncertainty > 2.5 * steady.uncertainty
