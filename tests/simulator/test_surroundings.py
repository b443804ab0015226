"""Noise with memory, clouds, grid and demand."""

from __future__ import annotations

import numpy as np
import pytest

from simulator.physics.noise import OrnsteinUhlenbeck, bounded
from simulator.physics.surroundings import Demand, Grid, Weather


def rng() -> np.random.Generator:
    return np.random.default_rng(11)


@pytest.mark.parametrize("dt", [1.0, 60.0, 900.0])
def test_noise_keeps_its_spread_and_memory_at_any_step(dt: float) -> None:
    noise = OrnsteinUhlenbeck(4000, 300.0, rng())
    before = noise.value.copy()
    for _ in range(5):
        after = noise.step(dt)
    assert after.std() == pytest.approx(1.0, abs=0.05)
    correlation = np.corrcoef(before, after)[0, 1]
    assert correlation == pytest.approx(np.exp(-5.0 * dt / 300.0), abs=0.05)


def test_bounded_never_leaves_and_hardly_touches_the_middle() -> None:
    values = bounded(np.array([-100.0, 0.001, 100.0]), 0.07)
    assert np.abs(values).max() <= 0.07
    assert values[1] == pytest.approx(0.001, rel=1e-3)


def grid(area: list[int]) -> Grid:
    count = len(area)
    return Grid(
        np.array(area), np.full(count, 50.0), np.full(count, 230.0), np.full(count, 1e4), rng()
    )


def test_one_frequency_for_each_synchronous_area() -> None:
    seen = np.array([grid_step[0] for grid_step in (g.step(5.0) for g in [grid([0, 0, 1])])])
    assert seen[0, 0] == seen[0, 1]
    assert seen[0, 0] != seen[0, 2]


def test_frequency_wanders_by_two_hundredths_of_a_hertz() -> None:
    world = grid([0])
    series = np.array([world.step(60.0)[0][0] for _ in range(5000)])
    assert series.mean() == pytest.approx(50.0, abs=0.003)
    assert series.std() == pytest.approx(0.02, abs=0.003)
    assert np.abs(series - 50.0).max() < 0.07


def test_import_lowers_and_export_raises_the_voltage() -> None:
    world = grid([0])
    line = np.full(3, 230.0)
    volts = world.line_voltage(0, line, np.array([5000.0, 0.0, -5000.0]))
    assert volts[0] < volts[1] == 230.0 < volts[2]
    assert np.abs(volts / 230.0 - 1.0).max() < 0.02


def test_clouds_are_shared_by_a_region() -> None:
    weather = Weather(np.array([0, 0, 1]), np.array([0.4, 0.4]), rng())
    series = np.array([weather.step(300.0) for _ in range(4000)])
    together = np.corrcoef(series.T)
    assert together[0, 1] > 0.9
    assert abs(together[0, 2]) < 0.3
    assert series.min() >= 0.15
    assert series.max() <= 1.0


def test_a_cloudy_region_is_darker() -> None:
    weather = Weather(np.array([0, 1]), np.array([0.1, 0.9]), rng())
    series = np.array([weather.step(900.0) for _ in range(4000)])
    assert series[:, 0].mean() > 1.5 * series[:, 1].mean()


def test_demand_follows_local_solar_time_and_keeps_its_mean() -> None:
    demand = Demand(np.array([False, True]), np.array([500.0, 5000.0]), np.array([0.0, 0.0]), rng())
    hours = np.array([demand.step(h * 600.0, 600.0) for h in range(144 * 30)])
    assert hours.mean(axis=0) == pytest.approx([500.0, 5000.0], rel=0.05)
    days = hours.reshape(30, 24, 6, 2).mean(axis=(0, 2))
    assert 18 <= int(days[:, 0].argmax()) <= 20
    assert 8 <= int(days[:, 1].argmax()) <= 15


def test_demand_moves_with_longitude() -> None:
    demand = Demand(
        np.array([False, False]), np.array([500.0, 500.0]), np.array([0.0, 90.0]), rng()
    )
    hours = np.array([demand.step(h * 600.0, 600.0) for h in range(144 * 30)])
    days = hours.reshape(30, 24, 6, 2).mean(axis=(0, 2))
    assert (int(days[:, 0].argmax()) - int(days[:, 1].argmax())) % 24 == pytest.approx(6, abs=1)
