"""What readings of a plant say of a period: energy, gaps, completeness, hours in bands, depths.

``step`` is the time that a reading stands for, in seconds. The definitions are ours where no source
is named: no standard has them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scoring.cells.cycles import rainflow_cycles
from scoring.issues import FloatArray

IntArray = NDArray[np.int64]

HOUR_SECONDS = 3600.0
_HALF_STEP = 0.5
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Gaps:
    """Stretches without readings: how many, how long together, and the observed share of time."""

    count: int
    seconds: float
    observed: float


@dataclass(frozen=True, slots=True)
class Bands:
    """Values by band: number of the band, its lower edge in the unit of the values, and its hours;
    shape (B,), rising."""

    number: IntArray
    lower: FloatArray
    hours: FloatArray


@dataclass(frozen=True, slots=True)
class EnergyDays:
    """Energy at the meter by day, kWh, 0 or more; NaN for a day of which nothing is known."""

    charged_kwh: FloatArray
    discharged_kwh: FloatArray


def gaps(times: FloatArray, begin: float, end: float, step: float) -> Gaps:
    """Gaps = Σ(Δt - step) of the intervals longer than 1.5 steps, both ends of the period included.

    The observed share is min(1, readings·step / period). Readings at 0, 60, 120 and 300 s of ten
    minutes, a minute each: 120 s are missing before the last one and 240 s behind it, and four of
    ten minutes are observed.

    Parameters
    ----------
    times : array of shape (N,)
        Of readings within the period, Unix seconds, rising.
    begin, end : float
        The period, Unix seconds.
    """
    if not len(times):
        return Gaps(1, end - begin, 0.0)
    holes = np.diff(np.concatenate([[begin - step], times, [end]])) - step
    holes = holes[holes > _HALF_STEP * step]
    return Gaps(len(holes), float(holes.sum()), min(1.0, len(times) * step / (end - begin)))


def completeness(times: FloatArray, starts: FloatArray, step: float) -> FloatArray:
    """min(readings, 3600/step) of each hour: the readings that came of those that should have.

    Parameters
    ----------
    times : array of shape (N,)
        Unix seconds; those outside of the hours count nowhere.
    starts : array of shape (H,), H at least 1
        Beginnings of hours that follow each other, Unix seconds.
    """
    counts = np.histogram(times, bins=np.append(starts, starts[-1] + HOUR_SECONDS))[0]
    # The last bin of a histogram holds its right edge too.
    counts[-1] -= np.count_nonzero(times == starts[-1] + HOUR_SECONDS)
    found: FloatArray = np.minimum(counts, HOUR_SECONDS / step)
    return found


def hours_in_bands(values: FloatArray, width: float, step: float) -> Bands:
    """Hours = readings·step/3600 of each band [n·width, (n+1)·width), n = ⌊value/width⌋.

    A value on an edge belongs to the band above it, also where a binary fraction lies a billionth
    of a band below.

    Parameters
    ----------
    values : array of shape (N,)
        NaN where not known, which is in no band.
    width : float
        In the unit of the values, above 0.
    """
    number = np.floor(values[~np.isnan(values)] / width + _ROUNDING)
    found, counts = np.unique(number, return_counts=True)
    hours = np.asarray(counts * step / HOUR_SECONDS, np.float64)
    return Bands(found.astype(np.int64), found * width, hours)


def cycles_by_depth(
    times: FloatArray, soc_percent: FloatArray, day: IntArray, width: float
) -> list[tuple[int, float, float]]:
    """Rainflow cycles (ASTM E1049-85, 5.4.4) by the day on which they end, and by depth.

    A cycle of full depth is in the uppermost band.

    Parameters
    ----------
    times : array of shape (N,), N at least 2
        Unix seconds, rising.
    soc_percent : array of shape (N,)
        0 to 100, NaN where not known.
    day : array of shape (N,)
        Number of the day of each time.
    width : float
        Of a band, %; divides 100.

    Returns
    -------
    list of (day, lower edge in %, cycles), rising
    """
    cycles = rainflow_cycles(times, soc_percent)
    days = day[np.searchsorted(times, cycles.end)]
    bands = np.minimum(np.floor(cycles.depth_percent / width), 100 / width - 1)
    return [
        (number, band * width, float(cycles.count[(days == number) & (bands == band)].sum()))
        for number, band in sorted(set(zip(days.tolist(), bands.tolist(), strict=True)))
    ]


def energy_by_day(day: IntArray, power_kw: FloatArray, hours: FloatArray, count: int) -> EnergyDays:
    """E_out = Σ max(P, 0)·Δt and E_in = Σ max(-P, 0)·Δt of each day; discharge is positive.

    Both signs count apart: 6 kW out for half an hour and 4 kW in for half an hour are 3 kWh out and
    2 kWh in. Time without power has no energy.

    Parameters
    ----------
    day : array of shape (N,)
        Number of the day of each stretch of time; those outside of 0 to ``count`` - 1 are left out.
    power_kw : array of shape (N,)
        Mean power of each stretch, without NaN.
    hours : array of shape (N,)
        Length of each stretch, 0 or more.
    count : int
        Number of days.
    """
    within = (day >= 0) & (day < count)
    day, power_kw, hours = day[within], power_kw[within], hours[within]

    def by_day(values: FloatArray) -> FloatArray:
        return np.bincount(day, values * hours, count).astype(np.float64)

    out, into = by_day(np.maximum(power_kw, 0)), by_day(np.maximum(-power_kw, 0))
    nothing = by_day(np.ones(len(hours))) == 0
    into[nothing] = out[nothing] = np.nan
    return EnergyDays(into, out)
