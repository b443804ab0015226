"""Hints of resistance from load steps and of self-discharge from the drift at rest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scoring.cells.critical import DAYS_PER_MONTH
from scoring.cells.rest import (
    PLATEAU_VOLTS_PER_PERCENT,
    BoolArray,
    Codes,
    FloatArray,
    Floats,
    Zone,
    gap_limit,
)
from scoring.cells.trend import Trend
from scoring.cells.windows import medians


@dataclass(frozen=True, eq=False)
class Resistance:
    """Resistance of each of C cells as load steps show it.

    Attributes
    ----------
    resistance_ohm : float array, shape (C,)
        Median of voltage step over current step, ohm: ohmic part, wiring and connectors, and what
        polarisation builds up within one sample. NaN with too few steps.
    low, high : float array, shape (C,)
        Confidence interval of that median (Gaussian, from the MAD), ohm.
    ratio : float array, shape (C,)
        Resistance divided by the pack's median.
    raised : bool array, shape (C,)
        Whether the ratio is above the limit, beyond the interval and an outlier among the cells.
    steps : int
        Load steps found.
    """

    resistance_ohm: FloatArray
    low: FloatArray
    high: FloatArray
    ratio: FloatArray
    raised: BoolArray
    steps: int


@dataclass(frozen=True, eq=False)
class SelfDischarge:
    """Loss of charge of each cell beyond that of the pack's median cell, arrays of shape (C,).

    Attributes
    ----------
    percent_per_month, low, high : float array
        Share of the capacity, % per 30.4375 days, and its interval; positive loses charge. NaN
        without a trend.
    leak_a : float array
        The same as a current, A.
    raised : bool array
        Whether the interval lies above the limit.
    """

    percent_per_month: FloatArray
    low: FloatArray
    high: FloatArray
    leak_a: FloatArray
    raised: BoolArray


def load_steps(
    t: FloatArray,
    voltages: Floats,
    current_a: Floats,
    capacity_ah: float,
    zone: Codes,
    *,
    min_step_per_hour: float = 0.1,
    max_step_seconds: float | None = None,
    max_steps: int = 2000,
    min_steps: int = 8,
    recent_days: float = 14.0,
    recent_steps: int = 24,
    raised_ratio: float = 1.5,
    outlier_z: float = 3.5,
    z: float = 2.58,
) -> Resistance:
    """Resistance of each cell from the steps of the current between neighbouring samples.

    R = dV / dI of each step, as in the pulse test of IEC 62660-1 but with the steps that daily use
    happens to have. Absolute values depend on the cadence; the ratio between cells, which is what
    is judged, does not. A cell is raised if its ratio is at least 1.5, the interval lies above
    1.2 times the pack's median and its robust z among the cells is beyond 3.5.

    Parameters
    ----------
    t : float array, shape (T,)
        Seconds, strictly ascending.
    voltages : float array, shape (T, C)
        V; NaN where missing.
    current_a : float array, shape (T,)
        A, positive when charging; NaN where missing.
    capacity_ah : float, above 0
        Nominal capacity, Ah.
    zone : int8 array, shape (T,)
        Steps outside the plateau, where charge moves the voltage as well, are left out.
    min_step_per_hour : float
        Least step as a share of the capacity per hour.
    max_step_seconds : float, optional
        Longest time between the two samples, s; as in :func:`scoring.cells.rest.gap_limit`.
    max_steps : int
        Of more steps the largest are taken.
    min_steps : int
        Steps that a cell needs.
    recent_days, recent_steps : float and int
        Only steps of the last so many days count, and of longer ago as many as it takes to have so
        many: of three months a connector that came loose a fortnight ago would be a small part.
    raised_ratio, outlier_z : float
        As above.
    z : float
        Quantile of the interval; 2.58 is 99 %.

    Raises
    ------
    ValueError
        If the shapes do not fit.
    """
    if voltages.shape[0] != t.size or current_a.shape != t.shape or zone.shape != t.shape:
        raise ValueError("times, voltages, current and zone must have one length")
    step = np.diff(current_a.astype(np.float64))
    steady_zone = (zone[1:] == Zone.PLATEAU) & (zone[:-1] == Zone.PLATEAU)
    found = np.flatnonzero(
        (np.abs(step) >= min_step_per_hour * capacity_ah)
        & steady_zone
        & (np.diff(t) <= gap_limit(t, max_step_seconds))
    )
    if found.size:
        begin = int(np.searchsorted(t[found], t[-1] - recent_days * 86400.0))
        found = found[max(0, min(begin, found.size - recent_steps)) :]
    if found.size > max_steps:
        found = np.sort(found[np.argsort(-np.abs(step[found]), kind="stable")[:max_steps]])
    each = ((voltages[found + 1] - voltages[found]) / step[found][:, None]).T
    count = np.isfinite(each).sum(axis=1)
    value = medians(np.ascontiguousarray(each), min_count=min_steps).astype(np.float64)
    spread = 1.4826 * medians(np.abs(each - value[:, None]))
    # The standard error of a median is sqrt(pi / 2) times that of a mean.
    half = z * np.sqrt(np.pi / 2.0) * spread / np.sqrt(np.maximum(count, 1))
    typical = medians(value, min_count=3)
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.where(typical > 0, value / typical, np.nan)
    scatter = np.maximum(medians(np.abs(ratio - 1.0)), 0.02)
    raised = (
        (ratio >= raised_ratio)
        & (value - half > 1.2 * typical)
        & (0.6745 * (ratio - 1.0) > outlier_z * scatter)
    )
    return Resistance(value, value - half, value + half, ratio, raised, int(found.size))


def self_discharge(
    trend: Trend,
    capacity_ah: float,
    *,
    volts_per_percent: float = PLATEAU_VOLTS_PER_PERCENT,
    limit_percent_per_month: float = 5.0,
) -> SelfDischarge:
    """Loss of charge that the drift of a cell at rest stands for, if it is one.

    A falling deviation on the plateau divided by the slope of the charge curve (1.1 mV per %) is
    the charge that the cell loses beyond its peers. A hint only: a cell that a balancer bleeds
    looks the same, and the slope of the curve differs between makers and along the plateau.

    Parameters
    ----------
    trend : Trend
        Of the resting deviation on the plateau; cells without a carried trend stay NaN.
    capacity_ah : float
        Nominal capacity, Ah; NaN leaves the leak NaN.
    volts_per_percent : float, above 0
        Slope of the charge curve, V per % of charge.
    limit_percent_per_month : float
        Loss beyond the peers from which it is raised. LFP cells in order lose up to about 3 % a
        month all together, and differ by less.
    """
    factor = np.where(trend.carried, -DAYS_PER_MONTH / volts_per_percent, np.nan)
    percent = factor * trend.slope_v_per_day
    low, high = factor * trend.high, factor * trend.low
    leak = percent / 100.0 * capacity_ah / (DAYS_PER_MONTH * 24.0)
    return SelfDischarge(percent, low, high, leak, low > limit_percent_per_month)
