"""What surrounds the sites: clouds, air, the grid and the people who use power."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from simulator.physics.noise import OrnsteinUhlenbeck, bounded
from simulator.physics.solar import ambient_temperature

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

FREQUENCY_STD_HZ = 0.02
FREQUENCY_LIMIT_HZ = 0.07
VOLTAGE_STD = 0.008
VOLTAGE_LIMIT = 0.025
LINE_DROP = 0.012


class Weather:
    """Clouds of each region, nearly alike for its sites.

    The clear-sky index is a logistic function of a slow process (hours: fronts) and a fast one
    (minutes: single clouds), both shared by the region, times a small difference of each site. It
    stays between 0.15 and 1.

    Parameters
    ----------
    region : int array, shape (N,)
        Region of each site, 0 to R - 1.
    cloudiness : float array, shape (R,)
        0 is nearly always clear, 1 nearly always overcast.
    rng : numpy.random.Generator
        Source of randomness.
    """

    def __init__(self, region: Ints, cloudiness: Floats, rng: np.random.Generator) -> None:
        self._region = region
        self._bias = 4.0 * (0.5 - cloudiness) + 0.7
        self._slow = OrnsteinUhlenbeck(cloudiness.size, 3.0 * 3600.0, rng)
        self._fast = OrnsteinUhlenbeck(cloudiness.size, 300.0, rng)
        self._local = OrnsteinUhlenbeck(region.size, 900.0, rng)
        self._air = OrnsteinUhlenbeck(cloudiness.size, 24.0 * 3600.0, rng)

    def step(self, dt: float) -> Floats:
        """Advance by ``dt`` seconds; clear-sky index of each site, shape (N,), 0.15 to 1."""
        regional = self._bias + 2.0 * self._slow.step(dt) + 0.5 * self._fast.step(dt)
        index = 0.2 + 0.8 / (1.0 + np.exp(-regional[self._region]))
        self._air.step(dt)
        result: Floats = np.clip(index + 0.03 * self._local.step(dt), 0.15, 1.0)
        return result

    def room_temperature(self, time: float, latitude: Floats, longitude: Floats) -> Floats:
        """Temperature around the batteries, °C, shape (N,): indoors, 5 to 32 °C."""
        outside = ambient_temperature(np.asarray(time), latitude, longitude)
        outside = outside + 2.5 * self._air.value[self._region]
        return np.clip(18.0 + 0.35 * (outside - 18.0), 5.0, 32.0)


class Grid:
    """Frequency of each synchronous area and voltage of each site's phases.

    Parameters
    ----------
    area : int array, shape (N,)
        Synchronous area of each site.
    nominal_hz, nominal_v, rated_w : float array, shape (N,)
        Nominal values and the power at which the site's line drops by 1.2 %.
    rng : numpy.random.Generator
        Source of randomness.
    """

    def __init__(
        self,
        area: Ints,
        nominal_hz: Floats,
        nominal_v: Floats,
        rated_w: Floats,
        rng: np.random.Generator,
    ) -> None:
        self._area = area
        self._nominal_hz = nominal_hz
        self._nominal_v = nominal_v
        self._rated = rated_w
        self._frequency = OrnsteinUhlenbeck(int(area.max()) + 1, 180.0, rng)
        self._voltage = OrnsteinUhlenbeck(3 * area.size, 1200.0, rng)

    def step(self, dt: float) -> tuple[Floats, Floats]:
        """Advance; frequency (N,) in Hz and open-line voltage (N, 3) in V."""
        deviation = bounded(FREQUENCY_STD_HZ * self._frequency.step(dt), FREQUENCY_LIMIT_HZ)
        relative = bounded(VOLTAGE_STD * self._voltage.step(dt), VOLTAGE_LIMIT).reshape(-1, 3)
        return (
            self._nominal_hz + deviation[self._area],
            self._nominal_v[:, None] * (1.0 + relative),
        )

    def line_voltage(self, row: int, open_line: Floats, grid_phases: Floats) -> Floats:
        """Voltage of one site's phases under import (positive W), V, shape (3,)."""
        drop = LINE_DROP * np.clip(grid_phases / self._rated[row], -1.5, 1.5)
        result: Floats = open_line - self._nominal_v[row] * drop
        return result


# Relative demand at each hour of local solar time.
HOUSEHOLD_TEXT = (
    "0.55 0.48 0.45 0.44 0.46 0.60 0.95 1.30 1.25 1.00 0.90 0.95 "
    "1.10 1.00 0.90 0.90 1.00 1.35 1.80 2.00 1.75 1.40 1.00 0.70"
)
WAREHOUSE_TEXT = (
    "0.40 0.40 0.40 0.40 0.42 0.55 0.95 1.45 1.75 1.85 1.85 1.75 "
    "1.60 1.75 1.80 1.75 1.60 1.20 0.80 0.60 0.50 0.45 0.42 0.40"
)
HOUSEHOLD = np.array(HOUSEHOLD_TEXT.split(), dtype=np.float64)
WAREHOUSE = np.array(WAREHOUSE_TEXT.split(), dtype=np.float64)


class Demand:
    """Power that the sites consume.

    Parameters
    ----------
    warehouse : bool array, shape (N,)
        True for the shape of a working day, False for a household's.
    mean_w : float array, shape (N,)
        Average over the day, W.
    longitude : float array, shape (N,)
        Degrees; fixes the local solar time.
    rng : numpy.random.Generator
        Source of randomness.
    """

    def __init__(
        self,
        warehouse: NDArray[np.bool_],
        mean_w: Floats,
        longitude: Floats,
        rng: np.random.Generator,
    ) -> None:
        shapes = np.where(warehouse[:, None], WAREHOUSE, HOUSEHOLD)
        self._shape: Floats = shapes / shapes.mean(axis=1, keepdims=True)
        self._rows = np.arange(mean_w.size)
        self._mean = mean_w
        self._longitude = longitude
        self._slow = OrnsteinUhlenbeck(mean_w.size, 1800.0, rng)
        self._fast = OrnsteinUhlenbeck(mean_w.size, 30.0, rng)

    def step(self, time: float, dt: float) -> Floats:
        """Advance; demand at the Unix time ``time``, W, shape (N,), never negative."""
        hour = (time / 3600.0 + self._longitude / 15.0) % 24.0
        left = hour.astype(np.int64)
        part = hour - left
        shape = self._shape[self._rows, left] * (1.0 - part)
        shape = shape + self._shape[self._rows, (left + 1) % 24] * part
        noise = np.exp(0.25 * self._slow.step(dt) + 0.06 * self._fast.step(dt) - 0.033)
        result: Floats = self._mean * shape * np.minimum(noise, 2.5)
        return result
