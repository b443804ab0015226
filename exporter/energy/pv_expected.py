"""What the PV of a site should give in each quarter hour, under a clear sky or in the weather."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from exporter.collect.pv_arrays import PvArrays
from exporter.config.fleet import Site
from exporter.energy.weather import read_weather
from exporter.history.influxql import InfluxQL
from scoring.forecast import SLOT_SECONDS, WEATHER_HOURS
from scoring.pv_power import (
    AIR_C,
    TEMPERATURE_COEFFICIENT,
    WIND_M_S,
    Sky,
    cell_temperature,
    expected_power,
)

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class ExpectedSlots:
    """A site's expectation in the middle of slots; arrays of shape (N,).

    Attributes
    ----------
    possible_w, power_w : float array
        AC power without and with the limit of the inverters; NaN where irradiance is unknown.
    elevation_deg : float array
    poa_w_m2, cell_c : float array
        Irradiance and cell temperature, the mean over the arrays by their power.
    kwp, temperature_coefficient : float
        Of all arrays; the latter their mean by power.
    """

    possible_w: FloatArray
    power_w: FloatArray
    elevation_deg: FloatArray
    poa_w_m2: FloatArray
    cell_c: FloatArray
    kwp: float
    temperature_coefficient: float

    def limited(self, limit_w: float) -> ExpectedSlots:
        """The same with a limit; NaN changes nothing."""
        return replace(self, power_w=np.fmin(self.power_w, limit_w))


def can_expect(site: Site) -> bool:
    """Whether place and size of its PV are known."""
    return site.latitude is not None and site.longitude is not None and bool(site.solar_capacity_kw)


def expected_slots(site: Site, first: int, count: int, sky: Sky | None) -> ExpectedSlots:
    """The expectation of a site that :func:`can_expect` is true of.

    Parameters
    ----------
    site : Site
    first, count : int
        Slots since 1970.
    sky : Sky or None
        Weather of each slot; None is a clear sky.
    """
    arrays = PvArrays.of([site])
    times = SLOT_SECONDS * (np.arange(first, first + count, dtype=np.float64) + 0.5)
    possible, poa, cell = np.zeros(count), np.zeros(count), np.zeros(count)
    elevation = np.zeros(count)
    kwp = arrays.panels[4]
    weights = kwp / kwp.sum() if kwp.sum() > 0 else np.full(kwp.size, 1 / kwp.size)
    air = _known(sky.air_c if sky else None, AIR_C, count)
    wind = _known(sky.wind_m_s if sky else None, WIND_M_S, count)
    for panel, weight in zip(arrays.panels.T, weights.tolist(), strict=True):
        found = expected_power(times, *(np.full(count, v) for v in panel), sky=sky)
        possible += found.power_w
        poa += weight * found.poa_w_m2
        cell += weight * cell_temperature(found.poa_w_m2, air, wind)
        elevation = found.elevation_deg
    gamma = np.where(np.isnan(arrays.panels[5]), TEMPERATURE_COEFFICIENT, arrays.panels[5])
    return ExpectedSlots(
        possible,
        np.fmin(possible, float(arrays.limit_w[0])),
        elevation,
        poa,
        cell,
        float(kwp.sum()),
        float((weights * gamma).sum()),
    )


def _known(values: FloatArray | None, usual: float, count: int) -> FloatArray:
    if values is None:
        return np.full(count, usual)
    return np.where(np.isnan(values), usual, values)


async def read_allowed_ahead(
    weathers: InfluxQL, site: Site, place: str, first: int, count: int
) -> FloatArray | None:
    """What forecasts of the weather allow a site, by how long before they were known.

    Parameters
    ----------
    weathers : InfluxQL
        Where weather is stored.
    site : Site
        That :func:`can_expect` is true of.
    place : str
    first, count : int
        Slots since 1970.

    Returns
    -------
    float array, shape (len(WEATHER_HOURS), count), or None
        W; NaN where unknown. None where nothing is known.

    Raises
    ------
    exporter.history.influxql.NoAnswerError
    """
    start, end = float(first * SLOT_SECONDS), float((first + count) * SLOT_SECONDS)
    found = np.full((len(WEATHER_HOURS), count), np.nan)
    clear = expected_slots(site, first, count, None)
    for row, hours in enumerate(WEATHER_HOURS):
        weather = await read_weather(weathers, place, start, end, hours)
        if weather.starts.size:
            sky = weather.sky(first, clear.elevation_deg)
            found[row] = expected_slots(site, first, count, sky).power_w
            # At night nothing is allowed, whatever was said.
            found[row, clear.elevation_deg <= 0] = 0.0
    return found if np.isfinite(found[:, clear.elevation_deg > 0]).any() else None
