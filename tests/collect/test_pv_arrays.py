"""What a site with several arrays should make is the sum of what each of them should."""

from __future__ import annotations

import numpy as np

from exporter.collect.pv_arrays import PvArrays
from exporter.config.fleet import Site
from scoring.pv_power import expected_power

NOON = 1_782_036_000.0  # 2026-06-21, 10:00 UTC
PLACE = {"latitude": 48.2, "longitude": 16.4, "api_endpoint": "http://a"}


def expected(*sites: Site) -> list[float]:
    arrays = PvArrays.of(sites)
    found = arrays.of_sites(expected_power(NOON, *arrays.panels))
    assert found is not None
    return [float(watts) for watts in found.power_w]


def test_arrays_add_up_and_the_inverters_limit_them() -> None:
    east = Site(id="east", **PLACE, tilt=30, azimuth=90, solar_capacity_kw=3)
    west = Site(id="west", **PLACE, tilt=30, azimuth=270, solar_capacity_kw=4)
    both = {"arrays": [{"kwp": 3, "azimuth": 90}, {"kwp": 4, "azimuth": 270}]}
    house = Site(id="house", **PLACE, tilt=30, pv=both)
    limited = Site(id="limited", **PLACE, tilt=30, pv=both | {"ac_limit_kw": 2.5})
    unknown = Site(id="unknown", api_endpoint="http://a")
    found = expected(east, house, west, limited, unknown)
    assert np.isclose(found[1], found[0] + found[2])
    assert found[3] == 2500.0
    assert np.isnan(found[4])
