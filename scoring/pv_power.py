"""Power that PV arrays should give: its one home, for a clear sky and for any weather."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

DEFAULT_TILT = 30.0
INVERTER_EFFICIENCY = 0.96
LOSSES = 0.14
TEMPERATURE_COEFFICIENT = -0.0035
AIR_C = 20.0
WIND_M_S = 1.0

_DELTA_T_SECONDS = 69.2
_REFRACTION_AT_HORIZON_DEG = 0.5667


@dataclass(frozen=True, eq=False)
class Expected:
    """What a clear sky, or the weather, allows at one moment, every array of shape (N,).

    Attributes
    ----------
    power_w : float array
        AC power, W, at least 0; NaN where location, capacity or irradiance is missing.
    elevation_deg : float array
        Elevation of the sun with refraction, degrees; NaN where the location is missing.
    poa_w_m2 : float array
        Irradiance in the plane of the array, W/m²; NaN where location or irradiance is missing.
    """

    power_w: FloatArray
    elevation_deg: FloatArray
    poa_w_m2: FloatArray


@dataclass(frozen=True, eq=False)
class Sky:
    """Weather that was measured or forecast, every array of shape (N,), NaN where unknown.

    Attributes
    ----------
    ghi_w_m2, dni_w_m2, dhi_w_m2 : float array
        Irradiance on a horizontal plane, of the beam, and diffuse on a horizontal plane, W/m².
        Without the latter two they are estimated from the first [1]_.
    poa_w_m2 : float array
        In the plane of the array; wins over all others.
    air_c, wind_m_s : float array
        °C and m/s; unknown is 20 °C and 1 m/s.

    References
    ----------
    .. [1] D. G. Erbs, S. A. Klein and J. A. Duffie, "Estimation of the diffuse radiation fraction
       for hourly, daily and monthly-average global radiation", Solar Energy 28(4), 1982,
       pp. 293-302.
    """

    ghi_w_m2: FloatArray
    dni_w_m2: FloatArray
    dhi_w_m2: FloatArray
    poa_w_m2: FloatArray
    air_c: FloatArray
    wind_m_s: FloatArray

    @classmethod
    def of(cls, count: int, **known: FloatArray) -> Sky:
        """A sky of which only some columns are known."""
        unknown = np.full(count, np.nan)
        return cls(*(known.get(one.name, unknown) for one in fields(cls)))


def expected_power(
    unix_time: float | FloatArray,
    latitude: FloatArray,
    longitude: FloatArray,
    tilt: FloatArray,
    azimuth: FloatArray,
    solar_capacity_kw: FloatArray,
    temperature_coefficient: float | FloatArray = TEMPERATURE_COEFFICIENT,
    losses: float | FloatArray = LOSSES,
    *,
    sky: Sky | None = None,
    linke_turbidity: float = 3.0,
    altitude: float = 0.0,
    albedo: float = 0.25,
    air_temperature: float = AIR_C,
    wind_speed: float = WIND_M_S,
) -> Expected:
    """Power that each array would deliver under a clear sky, or under a given one.

    Under a clear sky it is an upper bound for ordinary weather, not a forecast: no clouds, no
    horizon, no shade beyond the fixed losses, no loss by reflection, and no limit by the inverter
    (:func:`sum_of_arrays` has it). Bright cloud edges and cold air can exceed it for a while by 10
    to 20 %.

    Solar position by NREL SPA [1]_, relative air mass by Kasten and Young [2]_, clear-sky
    irradiance by Ineichen and Perez [3]_, transposition by Hay and Davies [4]_, cell temperature
    by Faiman [5]_, DC power and losses by PVWatts [6]_ (14 % losses is its default of 14.08 %
    rounded), and a constant inverter efficiency of 0.96.

    The first call imports pvlib, which takes a second or two.

    Parameters
    ----------
    unix_time : float, or float array of shape (N,)
        Seconds since 1970-01-01 UTC: one moment for all arrays, or one for each.
    latitude, longitude : float array, shape (N,)
        Degrees, north and east positive, -90 to 90 and -180 to 180; NaN where missing.
    tilt : float array, shape (N,)
        Degrees from horizontal, 0 to 90; NaN stands for 30.
    azimuth : float array, shape (N,)
        Direction that the array faces, degrees east of north, 0 to 360; NaN stands for 180 in
        the northern and 0 in the southern hemisphere.
    solar_capacity_kw : float array, shape (N,)
        DC power at standard test conditions, kW, at least 0; NaN where missing.
    temperature_coefficient : float, or float array of shape (N,)
        Change of DC power per °C of cell temperature from 25 °C, 1/°C; NaN stands for -0.0035.
    losses : float, or float array of shape (N,), 0 to 1
        Share lost between the modules and the inverter; NaN stands for 0.14.
    sky : Sky, optional
        In place of a clear sky; where its irradiance is unknown the power is NaN.
    linke_turbidity : float
        Turbidity of the clear atmosphere, about 2 (very clear) to 7 (polluted).
    altitude : float
        Metres above the sea.
    albedo : float, 0 to 1
        Share of light that the ground reflects.
    air_temperature, wind_speed : float
        °C and m/s, for the cell temperature, where no sky gives them.

    Raises
    ------
    ValueError
        If the shapes differ.

    References
    ----------
    .. [1] I. Reda and A. Andreas, "Solar position algorithm for solar radiation applications",
       Solar Energy 76(5), 2004, pp. 577-589.
    .. [2] F. Kasten and A. T. Young, "Revised optical air mass tables and approximation formula",
       Applied Optics 28, 1989, pp. 4735-4738.
    .. [3] P. Ineichen and R. Perez, "A new airmass independent formulation for the Linke
       turbidity coefficient", Solar Energy 73, 2002, pp. 151-157.
    .. [4] J. E. Hay and J. A. Davies, "Calculations of the solar radiation incident on an
       inclined surface", Proc. First Canadian Solar Radiation Data Workshop, 1980, p. 59.
    .. [5] D. Faiman, "Assessing the outdoor operating temperature of photovoltaic modules",
       Progress in Photovoltaics 16(4), 2008, pp. 307-315.
    .. [6] A. P. Dobos, "PVWatts Version 5 Manual", NREL/TP-6A20-62641, 2014.
    """
    # pvlib imports pandas, which takes a second that the rest of this module does not need.
    from pvlib import atmosphere, clearsky, irradiance, pvsystem, spa

    if not (
        latitude.shape == longitude.shape == tilt.shape == azimuth.shape == solar_capacity_kw.shape
    ):
        raise ValueError("latitude, longitude, tilt, azimuth and capacity must share one shape")
    surface_tilt = np.where(np.isnan(tilt), DEFAULT_TILT, tilt)
    equatorward = np.where(latitude < 0, 0.0, 180.0)
    surface_azimuth = np.where(np.isnan(azimuth), equatorward, azimuth)
    pressure_pa = atmosphere.alt2pres(altitude)
    times = np.atleast_1d(np.asarray(unix_time, dtype=np.float64))
    moments = times.astype("datetime64[s]")
    first = moments.astype("datetime64[Y]").astype("datetime64[D]")
    day_of_year = (moments.astype("datetime64[D]") - first).astype(np.int64) + 1
    dni_extra = np.asarray(irradiance.get_extra_radiation(day_of_year), dtype=np.float64)

    # Air mass is NaN below the horizon, and 0/0 there is turned into 0 W by the model.
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        # The position of the earth depends on time alone: one moment broadcasts over all arrays.
        zenith, _, elevation, _, sun_azimuth, _ = spa.solar_position_numpy(
            times,
            latitude,
            longitude,
            altitude,
            pressure_pa / 100.0,
            air_temperature,
            _DELTA_T_SECONDS,
            _REFRACTION_AT_HORIZON_DEG,
            1,
        )
        airmass = atmosphere.get_absolute_airmass(
            atmosphere.get_relative_airmass(zenith), pressure_pa
        )
        light = clearsky.ineichen(
            zenith, airmass, linke_turbidity, altitude=altitude, dni_extra=dni_extra
        )
        if sky is not None:
            light = _light_of(sky, zenith, day_of_year)
        total = irradiance.get_total_irradiance(
            surface_tilt,
            surface_azimuth,
            zenith,
            sun_azimuth,
            light["dni"],
            light["ghi"],
            light["dhi"],
            dni_extra=dni_extra,
            model="haydavies",
            albedo=albedo,
        )
    poa = np.maximum(total["poa_global"], 0.0)
    air_c: float | FloatArray = air_temperature
    wind: float | FloatArray = wind_speed
    if sky is not None:
        # A transposed irradiance is NaN or stray where the sun is down.
        poa = np.where(elevation > 0, poa, 0.0 * poa)
        poa = np.where(np.isnan(sky.poa_w_m2), poa, np.maximum(sky.poa_w_m2, 0.0))
        air_c = np.where(np.isnan(sky.air_c), air_temperature, sky.air_c)
        wind = np.where(np.isnan(sky.wind_m_s), wind_speed, sky.wind_m_s)
    cell = cell_temperature(poa, air_c, wind)
    gamma = np.where(
        np.isnan(temperature_coefficient), TEMPERATURE_COEFFICIENT, temperature_coefficient
    )
    lost = np.where(np.isnan(losses), LOSSES, losses)
    power_dc = pvsystem.pvwatts_dc(poa, cell, solar_capacity_kw * 1000.0, gamma)
    power = np.maximum(power_dc * (1.0 - lost) * INVERTER_EFFICIENCY, 0.0)
    return Expected(power, elevation, poa)


def _light_of(
    sky: Sky, zenith: FloatArray, day_of_year: NDArray[np.int64]
) -> dict[str, FloatArray]:
    """The three irradiances, the beam and the diffuse part estimated where they are unknown."""
    from pvlib import irradiance

    estimated: dict[str, Any] = irradiance.erbs(sky.ghi_w_m2, zenith, day_of_year)
    whole = np.isfinite(sky.dni_w_m2) & np.isfinite(sky.dhi_w_m2)
    return {
        "ghi": sky.ghi_w_m2,
        "dni": np.where(whole, sky.dni_w_m2, np.asarray(estimated["dni"])),
        "dhi": np.where(whole, sky.dhi_w_m2, np.asarray(estimated["dhi"])),
    }


def cell_temperature(
    poa_w_m2: FloatArray, air_c: float | FloatArray, wind_m_s: float | FloatArray
) -> FloatArray:
    """Cell temperature, °C, by Faiman's model with the coefficients of its publication."""
    from pvlib import temperature

    return np.asarray(temperature.faiman(poa_w_m2, air_c, wind_m_s), dtype=np.float64)


def sum_of_arrays(expected: Expected, site_of: NDArray[np.intp], limit_w: FloatArray) -> Expected:
    """What sites should make, of what each of their arrays should.

    Parameters
    ----------
    expected : Expected
        Of M arrays.
    site_of : int array, shape (M,)
        Row of the site that an array belongs to; every site has at least one.
    limit_w : float array, shape (N,)
        What the inverters of a site give at most; NaN without a limit.

    Returns
    -------
    Expected
        Of N sites: powers are sums, up to the limit; the irradiance is that of the brightest array.
    """
    power = np.zeros(limit_w.shape)
    np.add.at(power, site_of, expected.power_w)
    brightest = np.full(limit_w.shape, -np.inf)
    with np.errstate(invalid="ignore"):
        np.maximum.at(brightest, site_of, expected.poa_w_m2)
    elevation = np.full(limit_w.shape, np.nan)
    elevation[site_of] = expected.elevation_deg
    return Expected(np.where(power > limit_w, limit_w, power), elevation, brightest)
