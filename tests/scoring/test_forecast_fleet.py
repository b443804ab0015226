"""The band of a sum of forecasts: between sites that miss alike and sites that do not."""

from __future__ import annotations

import numpy as np
import pytest

from scoring.forecast_fleet import fleet_band

ONE = np.array([[[80.0, 100.0, 130.0]]])


def test_one_site_is_itself() -> None:
    assert fleet_band(ONE, np.array([-1]))[0].tolist() == [80.0, 100.0, 130.0]


def test_neighbours_miss_together_and_regions_do_not() -> None:
    bands = np.repeat(ONE, 4, axis=0)
    together = fleet_band(bands, np.zeros(4, dtype=np.int64))
    assert together[0].tolist() == [320.0, 400.0, 520.0]
    apart = fleet_band(bands, np.full(4, -1))
    assert apart[0].tolist() == pytest.approx([360.0, 400.0, 460.0])
    two = fleet_band(bands, np.array([0, 0, 1, 1]))
    assert together[0, 0] < two[0, 0] < apart[0, 0]


def test_an_unknown_site_is_in_no_sum_and_nothing_known_is_unknown() -> None:
    bands = np.array([[[1.0, 2.0, 3.0], [np.nan] * 3], [[np.nan] * 3, [np.nan] * 3]])
    found = fleet_band(bands, np.array([0, 0]))
    assert found[0].tolist() == [1.0, 2.0, 3.0]
    assert np.isnan(found[1]).all()


def test_a_tenth_lies_below_where_regions_are_independent() -> None:
    rng = np.random.default_rng(2)
    z = 1.2816
    sites, draws = 30, 4000
    spread = rng.uniform(5, 20, sites)
    came = rng.normal(100, spread, (draws, sites)).sum(axis=1)
    bands = np.stack((100 - z * spread, np.full(sites, 100.0), 100 + z * spread), axis=1)
    low, _, high = fleet_band(bands[:, None, :], np.full(sites, -1))[0]
    assert (came < low).mean() == pytest.approx(0.1, abs=0.02)
    assert (came > high).mean() == pytest.approx(0.1, abs=0.02)
