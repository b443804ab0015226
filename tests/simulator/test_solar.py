"""The clear sky over an array."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest
from pvlib.location import Location

from simulator.physics.solar import SunDay, ambient_temperature, sun_day

JUNE = datetime(2026, 6, 21, tzinfo=UTC).timestamp()
DECEMBER = datetime(2026, 12, 21, tzinfo=UTC).timestamp()


def day(start: float, *rows: tuple[float, float, float, float]) -> SunDay:
    latitude, longitude, tilt, azimuth = np.array(rows, dtype=float).T
    return sun_day(start, latitude, longitude, tilt, azimuth)


def test_sun_stands_where_pvlib_says() -> None:
    sun = day(JUNE, (51.34, 12.37, 30.0, 180.0), (-32.93, 151.78, 20.0, 0.0))
    times = pd.date_range("2026-06-21", periods=289, freq="5min", tz="UTC")
    for row, place in enumerate((Location(51.34, 12.37), Location(-32.93, 151.78))):
        known = place.get_solarposition(times)["apparent_elevation"].to_numpy()
        high = known > 1.0
        assert np.abs(sun.elevation[row] - known)[high].max() < 0.02


def test_dark_at_night() -> None:
    sun = day(JUNE, (51.34, 12.37, 30.0, 180.0))
    assert (sun.specific[sun.elevation <= 0.0] == 0.0).all()
    assert (sun.elevation <= 0.0).any()


def test_most_power_at_solar_noon_and_within_the_rating() -> None:
    sun = day(JUNE, (40.0, 0.0, 30.0, 180.0))
    assert abs(int(sun.specific[0].argmax()) * 5 - 12 * 60) < 20
    assert 0.6 < sun.specific[0].max() < 0.9


def test_flat_array_is_alike_before_and_after_noon() -> None:
    sun = day(JUNE, (40.0, 0.0, 0.0, 180.0))
    noon = int(sun.elevation[0].argmax())
    morning = sun.specific[0, noon - 60 : noon][::-1]
    evening = sun.specific[0, noon + 1 : noon + 61]
    assert morning == pytest.approx(evening, abs=0.03)


def test_in_the_south_an_array_faces_north() -> None:
    sun = day(JUNE, (-33.0, 151.0, 30.0, 0.0), (-33.0, 151.0, 30.0, 180.0))
    assert sun.specific[0].sum() > 1.5 * sun.specific[1].sum()


def test_winter_is_poorer_than_summer() -> None:
    leeds = (53.8, -1.55, 35.0, 170.0)
    assert day(DECEMBER, leeds).specific.sum() < 0.6 * day(JUNE, leeds).specific.sum()


def test_reading_between_the_grid_points() -> None:
    sun = day(JUNE, (40.0, 0.0, 30.0, 180.0))
    middle = sun.at(JUNE + 100 * 300.0 + 150.0)[0]
    assert middle == pytest.approx(sun.specific[0, 100:102].mean())
    assert sun.at(JUNE + 86400.0)[0] == pytest.approx(sun.specific[0, -1])


def test_air_is_warmer_in_summer_and_in_the_afternoon() -> None:
    def air(moment: float, latitude: float) -> float:
        return float(ambient_temperature(np.array(moment), np.array(latitude), np.array(0.0)))

    assert air(JUNE, 50.0) > air(DECEMBER, 50.0)
    assert air(JUNE, -35.0) < air(DECEMBER, -35.0)
    assert air(JUNE + 15 * 3600, 50.0) > air(JUNE + 3 * 3600, 50.0)
