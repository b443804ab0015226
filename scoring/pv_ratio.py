"""How good a PV plant is: performance ratio after IEC 61724-1, band of a day, trend of soiling."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scoring.slopes import slope_interval

FloatArray = NDArray[np.float64]

STANDARD_W_M2 = 1000.0
STANDARD_CELL_C = 25.0
LEAST_INSOLATION_KWH_M2 = 0.5
"""Of a day; below it the ratio hangs on the night's standby and the sensor's zero."""
BAND_DAYS = 28
LEAST_BAND_DAYS = 7
ASSUMED_BAND = (0.85, 1.10)
"""Irradiance of weather services is off by some 10 % on a day, the model by some 5 %."""
ASSUMED_CLEAR_BAND = (0.10, 1.05)
"""Under a clear sky as expectation: a thick cloud leaves a tenth."""
LEAST_SOILING_DAYS = 10
CLEANED_RISE = 0.04
CLEANING_RAIN_MM = 5.0
LEAST_SOILED = 0.03
CERTAIN_Z = 2.576


@dataclass(frozen=True, slots=True)
class Ratio:
    """Performance of a time.

    Attributes
    ----------
    insolation_kwh_m2 : float
        In the plane of the arrays, over what was observed.
    performance : float or None
        Final yield over reference yield [1]_; None where there was too little sun.
    at_25_c : float or None
        The same corrected to a cell temperature of 25 °C.

    References
    ----------
    .. [1] IEC 61724-1:2021, "Photovoltaic system performance - Part 1: Monitoring", 10.3.1 and
       10.3.2.
    """

    insolation_kwh_m2: float
    performance: float | None
    at_25_c: float | None


def performance(
    measured_w: FloatArray,
    poa_w_m2: FloatArray,
    cell_c: FloatArray,
    kwp: float,
    temperature_coefficient: float,
    hours: FloatArray,
) -> Ratio:
    """Performance ratio after IEC 61724-1 over slots in which everything is known.

    Parameters
    ----------
    measured_w, poa_w_m2, cell_c : float arrays, shape (N,)
        AC power, irradiance in the plane, cell temperature.
    kwp : float
        DC power at standard test conditions.
    temperature_coefficient : float
        1/°C, below 0.
    hours : float array, shape (N,)
        Observed time of each slot.
    """
    known = np.isfinite(measured_w) & np.isfinite(poa_w_m2) & np.isfinite(cell_c) & (hours > 0)
    sun = np.where(known, poa_w_m2, 0.0) * hours
    insolation = float(sun.sum()) / STANDARD_W_M2
    if insolation < LEAST_INSOLATION_KWH_M2 or not kwp > 0:
        return Ratio(insolation, None, None)
    made = float((np.where(known, measured_w, 0.0) * hours).sum()) / 1000.0
    factor = 1.0 + temperature_coefficient * (np.where(known, cell_c, 25.0) - STANDARD_CELL_C)
    corrected = float((sun * factor).sum()) / STANDARD_W_M2
    return Ratio(insolation, made / (kwp * insolation), made / (kwp * corrected))


def band(healthy: FloatArray, *, by_weather: bool) -> tuple[float, float, bool]:
    """Within which share of its expectation a healthy day lies: low, high, and whether the site's
    own days show it.

    Parameters
    ----------
    healthy : float array, shape (D,)
        Of earlier days, the newest last: energy that was made and what known causes took, over
        what was expected. NaN where too little was observed.
    by_weather : bool
        Whether the expectation is of the weather, not of a clear sky.
    """
    known = healthy[np.isfinite(healthy)][-BAND_DAYS:]
    if known.size < LEAST_BAND_DAYS:
        return *(ASSUMED_BAND if by_weather else ASSUMED_CLEAR_BAND), False
    low, high = np.quantile(known, (0.1, 0.9))
    return float(low), float(high), True


@dataclass(frozen=True, slots=True)
class Soiling:
    """The trend of a plant's ratio since it was last clean.

    Attributes
    ----------
    days : int
        Since then.
    percent_per_day, low, high : float or None
        Median slope and its 90 % interval after Sen; below 0 it falls. None with too few days.
    soiled : float
        Share that dirt takes now; 0 where a 99 % interval leaves open whether it takes any.
    """

    days: int
    percent_per_day: float | None = None
    low: float | None = None
    high: float | None = None
    soiled: float = 0.0


def soiling(ratios: FloatArray, rain_mm: FloatArray) -> Soiling:
    """Trend of a plant's ratio since the last rain or rise that may have cleaned it.

    Parameters
    ----------
    ratios : float array, shape (D,)
        Of each day, the newest last, corrected for temperature and for losses with another cause;
        NaN where unknown.
    rain_mm : float array, shape (D,)
        NaN is unknown, and no cleaning.
    """
    start = 0
    for day in range(len(ratios)):
        before = ratios[max(start, day - 3) : day]
        after = ratios[day : day + 3]
        rained = rain_mm[day] >= CLEANING_RAIN_MM
        if rained:
            start = day + 1
        elif np.isfinite(before).sum() >= 2 and np.isfinite(after).sum() >= 2:
            rise = np.nanmedian(after) / max(float(np.nanmedian(before)), 1e-9) - 1.0
            # Clouds lower a ratio for a day or two; dirt that is gone lifts all days after.
            later = ratios[day:]
            steady = np.nanquantile(later, 0.25) > (1 + CLEANED_RISE / 2) * np.nanmedian(before)
            if rise > CLEANED_RISE and steady:
                start = day
    x = np.flatnonzero(np.isfinite(ratios[start:])).astype(np.float64)
    if x.size < LEAST_SOILING_DAYS:
        return Soiling(len(ratios) - start)
    y = ratios[start:][x.astype(np.int64)]
    slope, low, high = slope_interval(x, y)
    clean = float(np.median(y - slope * x))
    if not clean > 0:
        return Soiling(len(ratios) - start)
    lost = -slope * float(x[-1]) / clean
    # Said aloud only where chance would do so once in two hundred times.
    falls = slope_interval(x, y, CERTAIN_Z)[2] < 0
    soiled = lost if falls and lost >= LEAST_SOILED and math.isfinite(lost) else 0.0
    slope, low, high = (100.0 * value / clean for value in (slope, low, high))
    return Soiling(len(ratios) - start, slope, low, high, min(soiled, 0.9))
