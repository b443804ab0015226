"""A yield that is slowly lost beside the neighbours, against what only looks like it."""

from __future__ import annotations

import numpy as np
import pytest

from scoring.window import DAYS, Daily, FloatArray, slow_figures

SITES = 6
DAYS_BACK = np.arange(DAYS)[::-1]
AGE = np.arange(DAYS)
"""Day of the window, the oldest first."""


def lost(share_left: FloatArray, noise: float = 0.025) -> float:
    """What is said of the first of six sites under one sky, of whose yield so much is left."""
    rng = np.random.default_rng(7)
    sky = rng.uniform(0.4, 0.9, DAYS)
    yields = sky * rng.normal(1.0, noise, (SITES, DAYS))
    yields[0] *= share_left
    daily = np.zeros((SITES, DAYS, len(Daily)), dtype=np.float32)
    daily[:, :, Daily.PV_EXPECTED_WH] = 10_000.0
    daily[:, :, Daily.PV_MADE_WH] = 10_000.0 * yields
    figures = slow_figures(daily, DAYS_BACK, np.zeros(SITES, dtype=np.int64))
    return float(figures["pv_soiling_ratio"][0])


@pytest.mark.parametrize("percent_per_day", [0.4, 0.8, 1.5])
def test_dirt_that_grows_is_measured(percent_per_day: float) -> None:
    left = 1.0 - percent_per_day / 100 * AGE
    assert lost(left) == pytest.approx(percent_per_day / 100 * AGE[-1], abs=0.04)


@pytest.mark.parametrize("day", [3, 17, 31])
def test_a_string_that_is_lost_at_once_is_no_dirt(day: int) -> None:
    assert lost(np.where(day > AGE, 1.0, 0.67)) < 0.08


def test_noise_is_no_dirt() -> None:
    assert lost(np.ones(DAYS)) == pytest.approx(0.0, abs=0.04)
    assert lost(np.ones(DAYS), noise=0.15) < 0.08
