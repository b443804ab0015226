"""Expected power in given weather, and what it stands on against published worked examples."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
from pvlib import irradiance, pvsystem, spa, temperature

from scoring.pv_power import Sky, cell_temperature, expected_power

NOON = datetime(2025, 6, 21, 12, tzinfo=UTC).timestamp()


def one(value: float) -> np.ndarray:
    return np.array([value])


PANEL = tuple(one(v) for v in (48.0, 0.0, 30.0, 180.0, 1.0))


def test_the_sun_stands_where_the_published_example_of_nrel_says() -> None:
    # NREL/TP-560-34302, appendix A.5: 17 October 2003, 12:30:30 at UTC-7.
    moment = datetime(2003, 10, 17, 19, 30, 30, tzinfo=UTC).timestamp()
    found = spa.solar_position_numpy(
        one(moment), 39.742476, -105.1786, 1830.14, 820.0, 11.0, 67.0, 0.5667, 1
    )
    apparent_zenith, azimuth = found[0], found[4]
    assert apparent_zenith[0] == pytest.approx(50.11162, abs=1e-5)
    assert azimuth[0] == pytest.approx(194.34024, abs=1e-5)


def test_parts_give_what_pvlib_publishes() -> None:
    # Reference values of pvlib's own tests and documentation.
    assert temperature.faiman(900, 20, 5) == pytest.approx(35.203, abs=1e-3)
    assert pvsystem.pvwatts_dc(900, 30, 100, -0.003) == pytest.approx(88.65)
    assert pvsystem.pvwatts_losses() == pytest.approx(14.075660688264469)
    winter = irradiance.erbs(np.array([0.0, 50, 1000]), np.array([120.0, 85, 10]), 1)
    assert winter["dni"] == pytest.approx([0.0, 96.7192672, 794.205651])
    assert winter["dhi"] == pytest.approx([0.0, 41.5703604, 217.860117])
    summer = irradiance.erbs(1000.0, 10.0, 171)
    assert (summer["dni"], summer["dhi"]) == pytest.approx((842.001578, 170.790318))
    # Faiman's coefficients are those of the publication: 25 and 6.84.
    expected = 20 + 900 / (25 + 6.84 * 5)
    assert cell_temperature(one(900.0), 20.0, 5.0) == pytest.approx([expected])


def test_measured_irradiance_in_the_plane_gives_the_formula_of_pvwatts() -> None:
    sky = Sky.of(1, poa_w_m2=one(800.0), air_c=one(25.0), wind_m_s=one(2.0))
    found = expected_power(NOON, *PANEL, -0.004, 0.10, sky=sky)
    cell = 25 + 800 / (25 + 6.84 * 2)
    by_hand = 1000 * 0.8 * (1 - 0.004 * (cell - 25)) * 0.90 * 0.96
    assert found.power_w == pytest.approx([by_hand])
    assert found.poa_w_m2 == pytest.approx([800.0])


def test_a_clear_sky_given_as_weather_is_the_clear_sky() -> None:
    clear = expected_power(NOON, *PANEL)
    flat = tuple(one(v) for v in (48.0, 0.0, 0.0, 180.0, 1.0))
    ghi = expected_power(NOON, *flat).poa_w_m2
    found = expected_power(NOON, *PANEL, sky=Sky.of(1, ghi_w_m2=ghi))
    # Beam and diffuse part are estimated, for all skies alike.
    assert found.poa_w_m2 == pytest.approx(clear.poa_w_m2, rel=0.06)
    half = expected_power(NOON, *PANEL, sky=Sky.of(1, ghi_w_m2=ghi / 2))
    assert half.power_w[0] == pytest.approx(found.power_w[0] / 2, rel=0.1)


def test_unknown_weather_is_no_clear_sky_and_the_night_is_dark() -> None:
    assert np.isnan(expected_power(NOON, *PANEL, sky=Sky.of(1)).power_w[0])
    night = expected_power(NOON + 43_200, *PANEL, sky=Sky.of(1, ghi_w_m2=one(3.0)))
    assert night.power_w[0] == 0.0


def test_heat_and_data_sheets_count() -> None:
    def power(coefficient: float, air_c: float) -> float:
        sky = Sky.of(1, poa_w_m2=one(1000.0), air_c=one(air_c))
        return float(expected_power(NOON, *PANEL, coefficient, sky=sky).power_w[0])

    assert power(-0.003, 35.0) > power(-0.004, 35.0)
    assert power(-0.003, 5.0) > power(-0.003, 35.0)
    assert power(np.nan, 20.0) == power(-0.0035, 20.0)
