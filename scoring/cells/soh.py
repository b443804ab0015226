"""State of health: classes of what is reported, an estimate by model, and one by measurement."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from scoring.cells.cycles import known_steps
from scoring.cells.rest import OCV_SOC_PERCENT, OCV_VOLTS, Codes, FloatArray, Floats
from scoring.cells.windows import Windows

CLASS_EDGES: FloatArray = np.array([80.0, 85.0, 90.0, 95.0, 98.0, 99.0])

CALENDAR_PERCENT_PER_YEAR = 2.5
CALENDAR_MOST = 15.0
CYCLE_PERCENT = 0.035
CYCLE_MOST = 20.0
IMBALANCE_MV: FloatArray = np.array([0.0, 20.0, 50.0, 100.0])
IMBALANCE_POINTS: FloatArray = np.array([0.0, 0.0, 3.0, 10.0])


class SohClass(IntEnum):
    """Classes of the state of health; each holds its lower bound and not its upper one."""

    UNKNOWN = -1
    END_OF_LIFE = 0
    CRITICAL = 1
    COMPROMISED = 2
    DEGRADED = 3
    NOMINAL = 4
    OPTIMAL = 5
    EXCELLENT = 6


@dataclass(frozen=True, eq=False)
class SohModel:
    """An estimate from age and use, which measures nothing; every array of the inputs' shape.

    Attributes
    ----------
    soh_percent : float array
        100 less the three; NaN where any input is missing. 55 at least.
    calendar, cycles, imbalance : float array
        Points deducted: 0 to 15, 0 to 20, 0 to 10.
    """

    soh_percent: FloatArray
    calendar: FloatArray
    cycles: FloatArray
    imbalance: FloatArray


@dataclass(frozen=True, eq=False)
class Anchors:
    """Moments at which the state of charge is known by itself, every array of shape (A,).

    Attributes
    ----------
    at : float array
        s, ascending.
    soc_percent, sigma_percent : float array
        State of charge and its standard uncertainty, %.
    """

    at: FloatArray
    soc_percent: FloatArray
    sigma_percent: FloatArray


@dataclass(frozen=True)
class MeasuredSoh:
    """State of health by coulomb counting between rests.

    Attributes
    ----------
    soh_percent : float
        Measured over nominal capacity, %; NaN where no span qualifies. Not clipped at 100: a new
        battery often has more than is printed on it.
    uncertainty : float
        Standard uncertainty (k = 1), % of the nominal capacity.
    capacity_ah : float
        Ah.
    spans : int
        Spans between rests that it rests on.
    """

    soh_percent: float
    uncertainty: float
    capacity_ah: float
    spans: int


def soh_class(soh_percent: Floats) -> Codes:
    """Class of each reported state of health, any shape; values of :class:`SohClass`.

    From 99 % excellent, 98 optimal, 95 nominal, 90 degraded, 85 compromised, 80 critical, below 80
    end of life. The published table shares its end points between classes; here a boundary
    belongs to the better one, which is what ``SOH >= 80 %`` of a warranty means.
    """
    result = np.searchsorted(CLASS_EDGES, soh_percent, side="right").astype(np.int8)
    return np.where(np.isfinite(soh_percent), result, np.int8(SohClass.UNKNOWN))


def imbalance_points(spread_mv: Floats) -> FloatArray:
    """Points that a spread at rest on the plateau costs the estimate, any shape; 0 to 10.

    The published penalty has branches at 20, 50 and 100 mV which all come to min(10, 0.1 * mV),
    that is 2 points for the 20 mV that no sound pack can avoid. Used instead: nothing up to 20 mV,
    then rising evenly to 3 at 50 mV and to 10 at 100 mV and more. It is continuous, never falls,
    reaches the same 10 at the same 100 mV, and stays small where balancing gives the charge back.
    """
    points: FloatArray = np.interp(spread_mv, IMBALANCE_MV, IMBALANCE_POINTS)
    return points


def model_soh(years: Floats, full_cycles: Floats, spread_mv: Floats) -> SohModel:
    """Estimate from age, cycles and imbalance; to be shown beside a measured value, never as one.

    SOH = 100 - min(2.5 * years, 15) - min(0.035 * cycles, 20) - imbalance_points(spread).

    The constants are rules of thumb, not the maker's: 6 years or 571 cycles exhaust a term, so that
    older batteries are overrated. A floor is not needed, since it cannot fall below 55.

    Parameters
    ----------
    years : float array
        Age, a, at least 0; NaN where missing.
    full_cycles : float array
        Equivalent full cycles, at least 0.
    spread_mv : float array
        Spread at rest on the plateau, mV, at least 0.
    """
    calendar = np.minimum(CALENDAR_PERCENT_PER_YEAR * np.maximum(years, 0.0), CALENDAR_MOST)
    cycles = np.minimum(CYCLE_PERCENT * np.maximum(full_cycles, 0.0), CYCLE_MOST)
    imbalance = imbalance_points(spread_mv)
    return SohModel(100.0 - calendar - cycles - imbalance, calendar, cycles, imbalance)


def voltage_anchors(
    windows: Windows,
    *,
    ocv_soc_percent: FloatArray = OCV_SOC_PERCENT,
    ocv_volts: FloatArray = OCV_VOLTS,
    sigma_v: float = 0.005,
    max_sigma_percent: float = 5.0,
) -> Anchors:
    """State of charge at rest by the open-circuit voltage, where the curve is steep enough.

    The uncertainty is that of the voltage divided by the slope of the curve. On the plateau of LFP
    5 mV are 5 % of charge; near full and near empty they are less than 2.

    Parameters
    ----------
    windows : Windows
        Those at rest are used.
    ocv_soc_percent, ocv_volts : float array, shape (K,)
        Charge curve of the cell, % and V, both ascending.
    sigma_v : float, above 0
        Standard uncertainty of the resting voltage against the curve, V: incomplete relaxation,
        hysteresis, the curve of another maker.
    max_sigma_percent : float
        Anchors that are worse are left out, %.
    """
    volts = windows.median_v
    middle = np.interp(volts, ocv_volts, ocv_soc_percent)
    # Both sides of the point, so that a corner of the curve is not taken for its steep side.
    above = np.interp(volts + sigma_v, ocv_volts, ocv_soc_percent) - middle
    below = middle - np.interp(volts - sigma_v, ocv_volts, ocv_soc_percent)
    sigma = np.maximum(above, below)
    within = (volts > ocv_volts[0]) & (volts < ocv_volts[-1])
    keep = windows.resting & within & (sigma <= max_sigma_percent)
    # At the very ends the curve is so steep that the figure would flatter; 0.5 % is the least.
    return Anchors(
        0.5 * (windows.start + windows.end)[keep], middle[keep], np.maximum(sigma[keep], 0.5)
    )


def measured_soh(
    t: FloatArray,
    current_a: Floats,
    anchors: Anchors,
    capacity_ah: float,
    *,
    min_change_percent: float = 40.0,
    min_coverage: float = 0.995,
    gain_error: float = 0.005,
    offset_per_hour: float = 0.0002,
    max_gap_seconds: float | None = None,
) -> MeasuredSoh:
    """Capacity by coulomb counting between rests with a known state of charge.

    C = integral of I dt / (change of SOC). Each anchor is paired with the next one that is far
    enough away; the spans are combined by their weights 1 / u². What all spans have in common (the
    gain of the current sensor, and the larger part of what the curve is off by) does not average
    out: the result is never surer than the best span by more than the square root of two. Where the
    spans differ by more than their uncertainties allow, the uncertainty grows by the Birge ratio.

    With anchors from a state of charge that the BMS counted with the nominal capacity, the result
    is that nominal capacity again: such anchors are no measurement.

    Parameters
    ----------
    t : float array, shape (T,)
        Seconds, strictly ascending.
    current_a : float array, shape (T,)
        A, positive when charging; NaN where missing.
    anchors : Anchors
        From :func:`voltage_anchors`.
    capacity_ah : float, above 0
        Nominal capacity, Ah.
    min_change_percent : float, above 0
        Least change of the state of charge of a span, %.
    min_coverage : float, 0 to 1
        Least share of a span that was seen.
    gain_error : float
        Standard uncertainty of the current's scale, as a ratio.
    offset_per_hour : float
        Standard uncertainty of the current's zero, as a share of the capacity per hour.
    max_gap_seconds : float, optional
        As in :func:`scoring.cells.rest.gap_limit`.

    References
    ----------
    G. L. Plett, "Recursive approximate weighted total least squares estimation of battery cell
    total capacity", J. Power Sources 196, 2011, pp. 2319-2331: why both sides of the quotient
    carry uncertainty.
    R. T. Birge, "The calculation of errors by the method of least squares", Phys. Rev. 40, 1932,
    pp. 207-227: the ratio of external to internal consistency.
    """
    nan = float("nan")
    dt, left, right = known_steps(t, current_a, max_gap_seconds)
    charge = np.concatenate(([0.0], np.cumsum(0.5 * (left + right) * dt / 3600.0)))
    seen = np.concatenate(([0.0], np.cumsum(dt)))
    at_anchor = np.interp(anchors.at, t, charge) if t.size else np.zeros(0)
    seen_at = np.interp(anchors.at, t, seen) if t.size else np.zeros(0)
    capacities, variances = [], []
    begin, size = 0, anchors.at.size
    while begin < size - 1:
        change = anchors.soc_percent[begin + 1 :] - anchors.soc_percent[begin]
        far = np.flatnonzero(np.abs(change) >= min_change_percent)
        if far.size == 0:
            break
        end = begin + 1 + int(far[0])
        # The last anchor before the battery left the first state is the nearest to it in time.
        near = np.abs(anchors.soc_percent[begin:end] - anchors.soc_percent[begin])
        origin = begin + int(np.flatnonzero(near <= 2.0 * anchors.sigma_percent[begin])[-1])
        delta = float(anchors.soc_percent[end] - anchors.soc_percent[origin]) / 100.0
        elapsed = float(anchors.at[end] - anchors.at[origin])
        counted = float(at_anchor[end] - at_anchor[origin])
        covered = float(seen_at[end] - seen_at[origin]) >= min_coverage * elapsed
        capacity = counted / delta
        if covered and capacity > 0:
            sigma_soc = np.hypot(anchors.sigma_percent[end], anchors.sigma_percent[origin]) / 100.0
            offset = offset_per_hour * capacity_ah * elapsed / 3600.0 / abs(delta)
            relative = np.hypot(sigma_soc / abs(delta), gain_error)
            capacities.append(capacity)
            # Of the nominal capacity: a span that counted too little would weigh more for it.
            variances.append(float((relative * capacity_ah) ** 2 + offset**2))
        begin = end
    if not capacities or not capacity_ah > 0:
        return MeasuredSoh(nan, nan, nan, 0)
    found, weights = np.array(capacities), 1.0 / np.array(variances)
    value = float((found * weights).sum() / weights.sum())
    variance = 1.0 / float(weights.sum())
    if found.size > 1:
        variance *= max(1.0, float((weights * (found - value) ** 2).sum()) / (found.size - 1))
    variance = max(variance, 0.5 * min(variances))
    percent = 100.0 / capacity_ah
    return MeasuredSoh(value * percent, float(np.sqrt(variance)) * percent, value, len(capacities))
