"""What the recent past of every site says: sums by hour and by day in, figures out.

Twenty-four hours and thirty-five days are kept, in single precision, so that the memory of a site
is fixed: :data:`BYTES_PER_SITE`.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from scoring.pv_past import PvPast, neighbour_median
from scoring.slopes import CERTAIN_Z, slope_interval, slope_intervals
from scoring.sun_timing import PROFILE_HOURS, SHIFT_DAYS, Profile, lasting_shift

FloatArray = NDArray[np.float64]
BinArray = NDArray[np.float32]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]

HOURS, DAYS = 24, 35
HOUR_SECONDS, DAY_SECONDS = 3600.0, 86400.0


class Hourly(IntEnum):
    """Columns of the bins of an hour: sums, in seconds unless said otherwise; the last three are
    last values, NaN without any."""

    OBSERVED = 0
    """Time in which the site answered."""
    EXCURSIONS = 1
    """Times that the frequency left its band."""
    UNBALANCE_TIME = 2
    UNBALANCE = 3
    """Phase unbalance times time."""
    TEMPERATURE_TIME = 4
    HOT_TIME = 5
    """Time above the limit for long stays."""
    SCRAPES = 6
    SCRAPE_TIME = 7
    """Sum of the durations of scrapes."""
    CHARGED_WH = 8
    DISCHARGED_WH = 9
    """By the battery's power."""
    RESTARTS = 10
    """Times that the controller started anew."""
    UPTIME_TIME = 11
    """Time in which its uptime was known."""
    SOC = 12
    CHARGED_KWH = 13
    DISCHARGED_KWH = 14
    """By the battery's counters."""


class Daily(IntEnum):
    """Columns of the bins of a day (UTC): sums; the last four are no sums, NaN without any."""

    OBSERVED = 0
    SOH_TIME = 1
    SOH = 2
    """State of health times time, % s."""
    VOLTAGE_MEANS = 3
    """Ten-minute means of the phase voltages."""
    VOLTAGE_OUTSIDE = 4
    """Those of them outside the band."""
    OUTAGES = 5
    SCRAPES = 6
    SCRAPE_TIME = 7
    PV_MADE_WH = 8
    """PV energy while nothing held it back."""
    PV_EXPECTED_WH = 9
    """What a clear sky allowed in that time."""
    PV_NIGHT_WH = 10
    """PV energy while the sun is well below the horizon."""
    RESTARTS = 11
    """Times that the controller started anew."""
    HOTTEST = 12
    """°C."""
    PV_SHIFT = 13
    """Hours by which PV came later than the sun allowed in the solar day that ended."""
    EMPTIEST = 14
    FULLEST = 15
    """What was missing to a full charge at its lowest, and the highest charge, %."""


HOURLY_SUMS, DAILY_SUMS = slice(0, Hourly.SOC), slice(0, Daily.HOTTEST)
BYTES_PER_SITE = 4 * (HOURS * len(Hourly) + DAYS * len(Daily) + PROFILE_HOURS * len(Profile))

WEEK_DAYS = 7
LEAST_DAYS, LEAST_SPAN_DAYS = 14, 21
"""Of a trend of the state of health."""
HEAT_DAYS = 5
"""Days whose highest temperatures are averaged before a trend is sought: weather lasts for days."""
FLOOR_DAYS, FLOOR_WITHIN_DAYS = 3, 14
FLOOR_WIDTH_PERCENT, FLOOR_SWING_PERCENT = 1.5, 20.0
"""Half of the days of two weeks, three at least, whose lowest charges lie so close together show
where discharging ends; on each of them the charge rose by so much."""
MONTH_DAYS = 30.44
LEAST_MEANS = 144
"""Ten-minute means of one day: with fewer nothing is said of a week."""
LEAST_OBSERVED_SECONDS = 6 * HOUR_SECONDS
EFFICIENCY = 0.97
"""Of charging a lithium battery, as energy counters see it."""
LOSSES, RESOLUTION = 0.1, 0.01
"""What may explain a gap in an hour: of the energy that went through, and of the capacity."""
LEAST_BALANCE_HOURS = 6
HEAT_HOURS, LEAST_HEAT_HOURS = 6, 3
"""Over which the load of a battery explains its temperature, and how many of them it takes."""
MOVED_IN_HOUR, LEAST_MOVED_HOURS = 0.02, 4
"""Of the capacity, from which the charge of an hour says well what went through, and how many such
hours it takes."""
RESTARTS_OF_DAY = 2.0
"""Of one day that count towards a week: an update and its second half."""
FEWEST_SCRAPES = 6

FIGURES: Mapping[str, str] = MappingProxyType(
    {
        "observed_ratio": "share of the last 24 hours in which the site answered",
        "frequency_excursions": "times in 24 hours that the frequency left its band",
        "voltage_outside_ratio": "share of the ten-minute means of a week outside the band",
        "grid_outages": "outages of the grid in seven days",
        "voltage_unbalance_ratio": "mean phase unbalance over 24 hours",
        "hot_h": "hours of the last 24 above the limit for long stays",
        "controller_restarts": "times in 24 hours that the controller started anew",
        "controller_restarts_week": "the same in seven days, of each day two at most",
        "counted_gap_ratio": "what counters miss or add in 24 hours, of what the charge says moved",
        "moved_ratio": "energy that the charge says moved in these hours, of capacity",
        "mean_square_c": "mean square of the battery's C-rate in the last six hours, 1/h²",
        "energy_gap_ratio": "what counters and state of charge differ by in 24 hours, of capacity",
        "latency_s": "mean duration of the scrapes of the last two or three hours",
        "latency_ratio": "the same as a multiple of the week before",
        "soh_slope": "trend of the state of health, % a month",
        "soh_slope_low": "lower end of its 90 % interval",
        "soh_slope_high": "upper end of its 90 % interval",
        "soh_days": "days with a state of health",
        "hottest_c": "mean of the highest battery temperatures of the last five whole days, °C",
        "hottest_slope": "trend of the highest battery temperature of a day, °C a month",
        "hottest_slope_low": "lower end of its 99 % interval",
        "hottest_slope_high": "upper end of its 99 % interval",
        "soc_floor_percent": "charge at which discharging ended on half of the days of two weeks",
        "soc_highest_percent": "highest charge of the last 24 hours",
        "pv_shift_h": "hours by which PV comes later than the sun allows, median of ten days",
        "pv_shift_beside_h": "the same beside the neighbours, whose clouds are its own",
        "pv_shift_days_h": "the same of each day",
        "pv_night_ratio": "share of PV energy made while the sun is well below the horizon",
        "pv_soiling_ratio": "slow loss of PV yield beside its neighbours in 35 days, by its trend",
        "pv_usual_ratio": "PV yield of a day beside that of its neighbours that is usual at a site",
        "pv_of_usual_ratio": "the same on the best of the last three days, of what is usual",
    }
)
"""Names of the figures, and what each is."""


def quick_figures(
    hourly: BinArray, daily: BinArray, hours_back: IntArray, days_back: IntArray
) -> dict[str, FloatArray]:
    """Figures that change within minutes.

    Parameters
    ----------
    hourly : float32 array, shape (N, HOURS, len(Hourly))
    daily : float32 array, shape (N, DAYS, len(Daily))
    hours_back : int array, shape (HOURS,)
        How many hours ago each bin is; 0 is the one that is being filled.
    days_back : int array, shape (DAYS,)
        The same in days.

    Returns
    -------
    dict of name to float array, shape (N,)
        See :data:`FIGURES`; NaN where the data carry nothing. ``energy_gap_ratio`` is in kWh here,
        since bins know no capacity.
    """
    day = hourly[:, :, HOURLY_SUMS].sum(axis=1).astype(np.float64)
    week = daily[:, days_back < WEEK_DAYS, DAILY_SUMS].sum(axis=1).astype(np.float64)
    observed = day[:, Hourly.OBSERVED]
    seen_week = week[:, Daily.OBSERVED] > 0
    hot_h = day[:, Hourly.HOT_TIME] / HOUR_SECONDS
    found = {
        "observed_ratio": np.minimum(observed / (HOURS * HOUR_SECONDS), 1.0),
        "frequency_excursions": np.where(observed > 0, day[:, Hourly.EXCURSIONS], np.nan),
        "voltage_outside_ratio": _ratio(
            week[:, Daily.VOLTAGE_OUTSIDE], week[:, Daily.VOLTAGE_MEANS], LEAST_MEANS
        ),
        "grid_outages": np.where(seen_week, week[:, Daily.OUTAGES], np.nan),
        "voltage_unbalance_ratio": _ratio(
            day[:, Hourly.UNBALANCE], day[:, Hourly.UNBALANCE_TIME], LEAST_OBSERVED_SECONDS
        ),
        "hot_h": np.where(day[:, Hourly.TEMPERATURE_TIME] > 0, hot_h, np.nan),
        "soc_highest_percent": _highest(hourly[:, :, Hourly.SOC]),
        "controller_restarts": np.where(
            day[:, Hourly.UPTIME_TIME] > 0, day[:, Hourly.RESTARTS], np.nan
        ),
        "controller_restarts_week": np.minimum(
            daily[:, days_back < WEEK_DAYS, Daily.RESTARTS], RESTARTS_OF_DAY
        ).sum(axis=1, dtype=np.float64),
    }
    return found | _latency(hourly, daily, hours_back, days_back)


def _highest(values: BinArray) -> FloatArray:
    """Highest of each row, NaN where nothing is known."""
    highest = np.where(np.isnan(values), -np.inf, values).max(axis=1).astype(np.float64)
    return np.where(np.isinf(highest), np.nan, highest)


def energy_gap_kwh(hourly: BinArray, hours_back: IntArray, capacity_kwh: FloatArray) -> FloatArray:
    """Energy by which counters and state of charge contradict each other in a day, kWh, at least 0.

    Parameters
    ----------
    hourly, hours_back
        As in :func:`quick_figures`.
    capacity_kwh : float array, shape (N,)
        What the battery holds now, its state of health counted; NaN where unknown.

    Returns
    -------
    float array, shape (N,)
        The sum over hours, each less what losses, meters and the resolution of the charge may
        explain. NaN with less than six hours, or where either is unknown.
    """
    stored, charged, discharged = _energy_steps(hourly, hours_back, capacity_kwh)
    gap = np.abs(EFFICIENCY * charged - discharged - stored)
    explained = LOSSES * (charged + discharged) + RESOLUTION * capacity_kwh[:, None]
    # A counter that was reset says nothing of that hour.
    known = ~np.isnan(gap) & (charged >= 0) & (discharged >= 0)
    total = np.where(known, np.maximum(gap - explained, 0.0), 0.0).sum(axis=1)
    return np.where(known.sum(axis=1) >= LEAST_BALANCE_HOURS, total, np.nan)


def mean_square_rate(
    hourly: BinArray, hours_back: IntArray, capacity_kwh: FloatArray
) -> FloatArray:
    """Mean square of the rate at which energy went into and out of a battery.

    Its losses heat it by the square of the current (Bernardi, Pawlikowski and Newman, "A General
    Energy Balance for Battery Systems", J. Electrochem. Soc. 132, 1985: the irreversible part), and
    a pack follows them over hours.

    Parameters
    ----------
    hourly, hours_back
        As in :func:`quick_figures`.
    capacity_kwh : float array, shape (N,)
        NaN where unknown.

    Returns
    -------
    float array, shape (N,)
        In 1/h², at least 0, of the last six hours, the one that is being filled included; NaN with
        less than three hours of observed time or without a capacity.
    """
    recent = hours_back < HEAT_HOURS
    bins = hourly[:, recent].astype(np.float64)
    moved_kwh = (bins[:, :, Hourly.CHARGED_WH] + bins[:, :, Hourly.DISCHARGED_WH]) / 1000.0
    hours = bins[:, :, Hourly.OBSERVED] / HOUR_SECONDS
    seen = hours.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        rate = np.where(hours > 0, moved_kwh / hours, 0.0) / capacity_kwh[:, None]
        found = (hours * rate**2).sum(axis=1) / seen
    return np.where(seen >= LEAST_HEAT_HOURS, found, np.nan)


def counted_gap(
    hourly: BinArray, hours_back: IntArray, capacity_kwh: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """What counters miss or add of the energy that the charge says moved in a day.

    Counted are hours in which the charge moved by 2 % or more, each in the direction of its charge,
    and of them not the one with the largest contradiction: a monitor that finds its battery full
    jumps once.

    Parameters
    ----------
    hourly, hours_back, capacity_kwh
        As in :func:`energy_gap_kwh`.

    Returns
    -------
    tuple of two float arrays, shape (N,)
        Share of the moved energy, at least 0, and the moved energy, kWh. NaN with less than four
        hours.

    Examples
    --------
    Five hours of +10 % in 10 kWh, of which the counters see 0.33 kWh each: 4 kWh moved in the four
    hours that count, and 68 % of it is missing (of each kWh 0.97 times 0.33 are counted).
    """
    stored, charged, discharged = _energy_steps(hourly, hours_back, capacity_kwh)
    counted = EFFICIENCY * charged - discharged
    usable = np.abs(stored) >= MOVED_IN_HOUR * capacity_kwh[:, None]
    usable &= (charged >= 0) & (discharged >= 0) & ~np.isnan(counted)
    missing = np.where(usable, np.abs(stored) - np.sign(stored) * counted, 0.0)
    moved = np.where(usable, np.abs(stored), 0.0)
    rows, worst = np.arange(len(missing)), np.argmax(np.abs(missing), axis=1)
    known = usable.sum(axis=1) > LEAST_MOVED_HOURS
    moved_kwh = np.where(known, moved.sum(axis=1) - moved[rows, worst], np.nan)
    missing_kwh = missing.sum(axis=1) - missing[rows, worst]
    return _ratio(np.abs(missing_kwh), moved_kwh, 1e-9), moved_kwh


def _energy_steps(
    hourly: BinArray, hours_back: IntArray, capacity_kwh: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Of each hour what the charge says was stored, and what counters say was charged and
    discharged, kWh, shape (N, HOURS - 1) each; NaN where unknown."""
    order = np.argsort(-hours_back)
    columns = [Hourly.SOC, Hourly.CHARGED_KWH, Hourly.DISCHARGED_KWH]
    step = np.diff(hourly[:, order][:, :, columns].astype(np.float64), axis=1)
    return step[:, :, 0] / 100.0 * capacity_kwh[:, None], step[:, :, 1], step[:, :, 2]


def slow_figures(
    daily: BinArray,
    days_back: IntArray,
    neighbourhood: IntArray,
    pv_usual: FloatArray | None = None,
) -> dict[str, FloatArray]:
    """Figures that change within days.

    Parameters
    ----------
    daily, days_back
        As in :func:`quick_figures`.
    neighbourhood : int array, shape (N,)
        Number of the region of each site, -1 in none.
    pv_usual : float array, shape (N,), optional
        As :meth:`scoring.pv_past.PvPast.fallen` takes it.
    """
    found = _health(daily, days_back) | _heat(daily, days_back)
    found |= _sun(daily, days_back, neighbourhood)
    order = np.argsort(-days_back)
    made, expected = (
        daily[:, order, column].astype(np.float64)
        for column in (Daily.PV_MADE_WH, Daily.PV_EXPECTED_WH)
    )
    past = PvPast.of(made, expected, neighbourhood)
    found["pv_soiling_ratio"] = past.soiling()
    found["soc_floor_percent"] = _floor(daily, days_back)
    # Today is not over yet.
    now, usual = past.before(int((days_back > 0).sum())).fallen(pv_usual)
    return found | {"pv_of_usual_ratio": now, "pv_usual_ratio": usual}


def _ratio(part: FloatArray, whole: FloatArray, least: float) -> FloatArray:
    out = np.full(part.shape, np.nan)
    np.divide(part, whole, out=out, where=whole >= least)
    return out


def _latency(
    hourly: BinArray, daily: BinArray, hours_back: IntArray, days_back: IntArray
) -> dict[str, FloatArray]:
    """The last two to three hours against the days before today."""
    recent = hourly[:, hours_back < 3, HOURLY_SUMS].sum(axis=1).astype(np.float64)
    now = _ratio(recent[:, Hourly.SCRAPE_TIME], recent[:, Hourly.SCRAPES], FEWEST_SCRAPES)
    days = daily[:, (days_back >= 1) & (days_back <= WEEK_DAYS)].astype(np.float64)
    mean = _ratio(days[:, :, Daily.SCRAPE_TIME], days[:, :, Daily.SCRAPES], 24)
    past = np.full(len(daily), np.nan)
    enough = (~np.isnan(mean)).sum(axis=1) >= 3
    if enough.any():
        past[enough] = np.nanmedian(mean[enough], axis=1)
    return {"latency_s": now, "latency_ratio": _ratio(now, past, 1e-3)}


def _health(daily: BinArray, days_back: IntArray) -> dict[str, FloatArray]:
    """Trend of the state of health by the median of all slopes, and its interval."""
    order = np.argsort(-days_back)
    days = -days_back[order].astype(np.float64)
    bins = daily[:, order].astype(np.float64)
    mean = _ratio(bins[:, :, Daily.SOH], bins[:, :, Daily.SOH_TIME], 1.0)
    known = ~np.isnan(mean)
    count = known.sum(axis=1)
    slope, low, high = (np.full(count.shape, np.nan) for _ in range(3))
    # Most batteries show one value for weeks; only those that moved need the slopes of all pairs.
    for row in np.flatnonzero(count >= LEAST_DAYS).tolist():
        x, y = days[known[row]], mean[row, known[row]]
        if x[-1] - x[0] < LEAST_SPAN_DAYS:
            continue
        found = (0.0, 0.0, 0.0) if np.ptp(y) < 1e-6 else slope_interval(x, y)
        slope[row], low[row], high[row] = (MONTH_DAYS * value for value in found)
    return {
        "soh_slope": slope,
        "soh_slope_low": low,
        "soh_slope_high": high,
        "soh_days": count.astype(np.float64),
    }


def _heat(daily: BinArray, days_back: IntArray) -> dict[str, FloatArray]:
    """Trend of the highest temperature of a day, by means of five days in which three are known."""
    order = np.argsort(-days_back)
    highest = daily[:, order, Daily.HOTTEST].astype(np.float64)
    # Today has not seen its highest yet.
    highest[:, days_back[order] == 0] = np.nan
    blocks = highest.reshape(len(daily), -1, HEAT_DAYS)
    known = ~np.isnan(blocks)
    count = known.sum(axis=2)
    mean = _ratio(np.where(known, blocks, 0.0).sum(axis=2), count.astype(np.float64), 3.0)
    names = ("hottest_slope", "hottest_slope_low", "hottest_slope_high")
    found = {name: np.full(len(daily), np.nan) for name in names}
    rows = np.flatnonzero(~np.isnan(mean).any(axis=1))
    if rows.size:
        days = HEAT_DAYS * np.arange(blocks.shape[1], dtype=np.float64)
        trends = slope_intervals(days, mean[rows].T, CERTAIN_Z)
        for name, trend in zip(names, trends, strict=True):
            found[name][rows] = MONTH_DAYS * trend
    return found | {"hottest_c": mean[:, -1]}


def _floor(daily: BinArray, days_back: IntArray) -> FloatArray:
    """The lowest charge at which a battery that was charged meanwhile came to rest again and again.

    Where a device does not tell its minimum, its days do.
    """
    days = daily[:, (days_back >= 1) & (days_back <= FLOOR_WITHIN_DAYS)].astype(np.float64)
    lowest = 100.0 - days[:, :, Daily.EMPTIEST]
    cycled = days[:, :, Daily.FULLEST] - lowest >= FLOOR_SWING_PERCENT
    lows = np.sort(np.where(cycled, lowest, np.nan), axis=1)
    # Of each, how many lie close above it; half of the days must.
    close = lows[:, None, :] - lows[:, :, None]
    count = ((close >= 0) & (close <= FLOOR_WIDTH_PERCENT)).sum(axis=2)
    habit = count >= np.maximum(FLOOR_DAYS, cycled.sum(axis=1) / 2)[:, None]
    first = np.argmax(habit, axis=1)
    return np.where(habit.any(axis=1), lows[np.arange(len(lows)), first], np.nan)


def _sun(daily: BinArray, days_back: IntArray, neighbourhood: IntArray) -> dict[str, FloatArray]:
    """How much later PV comes than the sun allows.

    Clouds that come every afternoon and fog until noon shift a whole region, and so do a wrong
    clock and wrong coordinates of all of it: both figures are given, alone and beside the
    neighbours.
    """
    bins = daily.astype(np.float64)
    week = days_back < WEEK_DAYS
    # The first dawn of a site has a few watts of twilight and nothing else.
    whole = week & (days_back >= 1)
    everything = bins[:, whole, Daily.PV_NIGHT_WH] + bins[:, whole, Daily.PV_MADE_WH]
    days = bins[:, np.argsort(days_back)[:SHIFT_DAYS], Daily.PV_SHIFT]
    return {
        "pv_shift_days_h": days,
        **shift_figures(days, neighbourhood),
        "pv_night_ratio": _ratio(
            bins[:, whole, Daily.PV_NIGHT_WH].sum(axis=1), everything.sum(axis=1), 1.0
        ),
    }


def shift_figures(days: FloatArray, neighbourhood: IntArray) -> dict[str, FloatArray]:
    """``pv_shift_h`` and ``pv_shift_beside_h`` from the shifts of single days, shape (N, D)."""
    beside = days - neighbour_median(days, neighbourhood)
    return {"pv_shift_h": lasting_shift(days), "pv_shift_beside_h": lasting_shift(beside)}
