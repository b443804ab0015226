"""Clear-sky power of PV arrays, from the sun's position at the site."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

DAY = 86400
STEP = 300
LINKE_TURBIDITY = 3.0
GAMMA_PDC = -0.004
LOSSES = 0.14
INVERTER_EFFICIENCY = 0.96
DELTA_T = 69.2
WIND_SPEED = 2.0


@dataclass(frozen=True)
class SunDay:
    """One UTC day of clear sky over N arrays, on a grid of 5 minutes.

    Attributes
    ----------
    start : float
        Unix time of the day's start, s.
    specific : float array, shape (N, 289)
        AC power under a clear sky, W for each W of STC capacity.
    elevation : float array, shape (N, 289)
        Apparent elevation of the sun, degrees.
    """

    start: float
    specific: Floats
    elevation: Floats

    def at(self, time: float) -> Floats:
        """Specific clear-sky power at a Unix time within the day, shape (N,)."""
        return _between(self.specific, time - self.start)

    def elevation_at(self, time: float) -> Floats:
        """Elevation of the sun at a Unix time within the day, degrees, shape (N,)."""
        return _between(self.elevation, time - self.start)


def _between(grid: Floats, seconds: float) -> Floats:
    left = min(int(seconds // STEP), grid.shape[1] - 2)
    part = seconds / STEP - left
    result: Floats = grid[:, left] * (1.0 - part) + grid[:, left + 1] * part
    return result


def ambient_temperature(time: Floats, latitude: Floats, longitude: Floats) -> Floats:
    """Outdoor air temperature of an average day, °C, by broadcasting the arguments.

    Parameters
    ----------
    time : float array
        Unix time, s.
    latitude, longitude : float array
        Degrees; south and west negative.

    Returns
    -------
    float array
        A mean and a yearly swing that follow the latitude and a daily swing of 8 °C that peaks at
        15 h local solar time. A rule of thumb, not a climate model.
    """
    day_of_year = time / DAY % 365.25
    local_hour = (time / 3600.0 + longitude / 15.0) % 24.0
    mean = 27.0 - 0.38 * np.abs(latitude)
    yearly = 0.2 * latitude * np.cos(2.0 * np.pi * (day_of_year - 201.0) / 365.25)
    daily = 4.0 * np.cos(2.0 * np.pi * (local_hour - 15.0) / 24.0)
    result: Floats = mean + yearly + daily
    return result


def sun_day(
    day_start: float, latitude: Floats, longitude: Floats, tilt: Floats, azimuth: Floats
) -> SunDay:
    """Clear-sky power of each array over the UTC day that starts at ``day_start``.

    Parameters
    ----------
    day_start : float
        Unix time of a UTC midnight, s.
    latitude, longitude, tilt, azimuth : float array, shape (N,)
        Degrees; azimuth 180 is south.

    Returns
    -------
    SunDay

    Notes
    -----
    NREL SPA (Reda and Andreas 2004) for the sun, Ineichen and Perez (2002) for the clear sky with a
    fixed Linke turbidity of 3, isotropic sky diffuse, Faiman cell temperature, PVWatts DC model
    with 14 % losses and an inverter of 96 %, all as implemented by pvlib. The sun's parallax (at
    most 9 arc seconds) is left out, so that the slow part is computed once for all arrays.
    """
    # pvlib takes seconds to import, and whoever only reads a scenario does not need it.
    from pvlib import atmosphere, clearsky, irradiance, pvsystem, spa, temperature

    times = day_start + np.arange(0, DAY + STEP, STEP, dtype=np.float64)
    with np.errstate(all="ignore"):
        sidereal, ascension, declination = spa.solar_position_numpy(
            times, 0.0, 0.0, 0.0, 1013.25, 12.0, DELTA_T, 0.5667, 1, sst=True
        )
        hour_angle = sidereal + longitude[:, None] - ascension
        place = np.deg2rad(latitude)[:, None]
        true_elevation = spa.topocentric_elevation_angle_without_atmosphere(
            latitude[:, None], declination, hour_angle
        )
        elevation = true_elevation + spa.atmospheric_refraction_correction(
            1013.25, 12.0, true_elevation, 0.5667
        )
        sun_azimuth = spa.topocentric_azimuth_angle(
            spa.topocentric_astronomers_azimuth(hour_angle, declination, latitude[:, None])
        )
        zenith = 90.0 - elevation
        airmass = atmosphere.get_relative_airmass(np.where(zenith < 90.0, zenith, np.nan))
        extra = float(irradiance.get_extra_radiation(_day_of_year(day_start)))
        sky = clearsky.ineichen(zenith, airmass, LINKE_TURBIDITY, 0.0, extra)
        plane = irradiance.get_total_irradiance(
            tilt[:, None],
            azimuth[:, None],
            zenith,
            sun_azimuth,
            sky["dni"],
            sky["ghi"],
            sky["dhi"],
            albedo=0.25,
        )["poa_global"]
        plane = np.nan_to_num(plane, nan=0.0)
        air = ambient_temperature(times[None, :], np.rad2deg(place), longitude[:, None])
        cell = temperature.faiman(plane, air, WIND_SPEED)
        power = pvsystem.pvwatts_dc(plane, cell, 1.0, GAMMA_PDC)
        specific = np.clip(power * (1.0 - LOSSES) * INVERTER_EFFICIENCY, 0.0, 1.0)
    return SunDay(day_start, np.where(elevation > 0.0, specific, 0.0), elevation)


def _day_of_year(day_start: float) -> int:
    moment = np.datetime64(int(day_start), "s")
    return int((moment.astype("M8[D]") - moment.astype("M8[Y]").astype("M8[D]")).astype(int)) + 1
