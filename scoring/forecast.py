"""Forecasts of a power in quarter hours: simple ones that are hard to beat, and how all are scored.

A series is an array of mean powers, one for each quarter of an hour since 1970 from some first one
on, NaN where nothing is known or where the power was held back. A forecast that is issued at slot
``i`` knows the slots before ``i`` and nothing else; lead ``j`` is slot ``i + j``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

SLOT_SECONDS = 900
DAY_SLOTS = 96
HORIZON_SLOTS = 144
"""36 h."""
MEDIAN_DAYS = 28
LEVELS = (0.1, 0.5, 0.9)
LEADS_HOURS = (1, 6, 24)
"""By which forecasts are kept and scored: those issued so many hours before their slot."""
WEATHER_HOURS = (1, 6, 24, 36)
"""By which forecasts of the weather are kept."""
MARGIN = 0.03
"""By this share the candidate has to beat the best baseline."""
LEAST_DAYS = 7
"""Of history, for a forecast out of it."""
_RECENT_SLOTS = 8
_LIGHT_SHARE = 0.05
_MEMORY_HOURS = 6.0
_NEAR = (-1, 0, 1)


@dataclass(frozen=True, slots=True)
class Series:
    """What is known of one power of one site.

    Attributes
    ----------
    first : int
        Number of the first slot since 1970.
    watts : float array, shape (K,)
        Mean power of each slot; NaN is unknown or left out.
    clear : float array, shape (K + HORIZON_SLOTS,) or None
        For PV what a clear sky allows in each slot, W; it reaches beyond what is known.
    weekday : int array, shape (K + HORIZON_SLOTS,)
        Of the site's time zone, 0 is Monday.
    quarter : int array, shape (K + HORIZON_SLOTS,)
        Quarter hour of the day in the site's time zone.
    weather : float array, shape (len(WEATHER_HOURS), K + HORIZON_SLOTS), or None
        For PV what forecasts of the weather allow, W, each row of those that were known so many
        hours before the slot; NaN is unknown.
    """

    first: int
    watts: FloatArray
    clear: FloatArray | None
    weekday: IntArray
    quarter: IntArray
    weather: FloatArray | None = None


Forecast = FloatArray
"""Shape (HORIZON_SLOTS, 3): p10, p50 and p90, W, in ascending order."""
Method = Callable[[Series, int], Forecast]


def _days_before(series: Series, issue: int, days: int = MEDIAN_DAYS) -> FloatArray:
    """The days before the issue, shape (days, DAY_SLOTS); column 0 is the slot of the issue's time
    of day, the last row the day just over. NaN where the series does not reach back."""
    wanted = days * DAY_SLOTS
    part = series.watts[max(0, issue - wanted) : issue]
    padded = np.concatenate((np.full(wanted - len(part), np.nan), part))
    return padded.reshape(days, DAY_SLOTS)


def _weekend(series: Series, issue: int, days: int) -> NDArray[np.bool_]:
    """Whether each slot of those days lies on a weekend, shape (days, DAY_SLOTS)."""
    wanted = days * DAY_SLOTS
    part = series.weekday[max(0, issue - wanted) : issue] >= 5
    return np.concatenate((np.zeros(wanted - len(part), bool), part)).reshape(days, DAY_SLOTS)


def by_weekday(series: Series, issue: int) -> Forecast:
    """Quantiles of the same quarter hour and its two neighbours on the last 28 days: on workdays of
    workdays, on weekends of weekends, and of all days where that leaves less than five."""
    days = _days_before(series, issue)
    near = np.concatenate([np.roll(days.ravel(), -n).reshape(days.shape) for n in _NEAR])
    weekend = np.tile(_weekend(series, issue, MEDIAN_DAYS), (len(_NEAR), 1))
    tables = []
    every = _quantiles(near)
    for of_weekend in (False, True):
        of_kind = np.where(weekend == of_weekend, near, np.nan)
        few = np.isfinite(of_kind).sum(axis=0) < 5
        tables.append(np.where(few[:, None], every, _quantiles(of_kind)))
    lead = np.arange(HORIZON_SLOTS)
    kind = (series.weekday[issue : issue + HORIZON_SLOTS] >= 5).astype(np.int64)
    return np.asarray(np.stack(tables)[kind, lead % DAY_SLOTS], dtype=np.float64)


def _quantiles(values: FloatArray) -> FloatArray:
    """Quantiles over the rows, shape (columns, 3); NaN where nothing is known."""
    known = np.isfinite(values)
    count = known.sum(axis=0)
    ordered = np.sort(np.where(known, values, np.inf), axis=0)
    column = np.arange(values.shape[1])
    found = []
    for level in LEVELS:
        place = level * np.maximum(count - 1, 0)
        low = np.floor(place).astype(np.int64)
        high = np.minimum(low + 1, np.maximum(count - 1, 0))
        below, above = ordered[low, column], ordered[high, column]
        with np.errstate(invalid="ignore"):
            found.append(np.where(count > 0, below + (above - below) * (place - low), np.nan))
    return np.stack(found, axis=1)


def yesterday(series: Series, issue: int) -> Forecast:
    """The last day that is wholly known at the issue, for each slot; the band is that of how much
    a day differs from the one before at that time of day, over the last 28 days."""
    days = _days_before(series, issue, MEDIAN_DAYS + 1)
    last = days[-1]
    older = days[:-1][::-1]
    # Where yesterday is not known, the newest day that is.
    for day in older:
        last = np.where(np.isnan(last), day, last)
    change = _quantiles(np.diff(days, axis=0))
    shift = change[:, [0, 2]] - change[:, [1]]
    lead = np.arange(HORIZON_SLOTS) % DAY_SLOTS
    middle = last[lead]
    band = np.nan_to_num(shift[lead])
    return np.stack((middle + band[:, 0], middle, middle + band[:, 1]), axis=1)


def clear_sky_index(series: Series, issue: int) -> Forecast:
    """PV as a share of a clear sky: as in the last two hours of light, and the further ahead the
    more as on the last 28 days. Without a clear sky, that is the highest of those days."""
    days = _days_before(series, issue)
    lead = np.arange(HORIZON_SLOTS)
    if series.clear is not None:
        ahead = series.clear[issue : issue + HORIZON_SLOTS]
        wanted = MEDIAN_DAYS * DAY_SLOTS
        part = series.clear[max(0, issue - wanted) : issue]
        past = np.concatenate((np.full(wanted - len(part), np.nan), part)).reshape(days.shape)
    else:
        highest = _quantiles(days)[:, 2]
        ahead, past = highest[lead % DAY_SLOTS], np.tile(highest, (MEDIAN_DAYS, 1))
    top = float(np.nanmax(ahead, initial=0.0))
    light = past > _LIGHT_SHARE * max(top, 1e-9)
    with np.errstate(divide="ignore", invalid="ignore"):
        index = np.where(light & np.isfinite(days), days / past, np.nan)
    recent = _recent_index(days, past, light)
    usual = _usual_index(index)
    weight = np.exp(-(lead + 0.5) / 4 / _MEMORY_HOURS)
    of_time = usual[lead % DAY_SLOTS]
    spread = _quantiles((index - np.roll(index.ravel(), 4).reshape(index.shape)).reshape(-1, 1))[0]
    blended = []
    for n in range(3):
        now = recent + (0.0 if n == 1 else np.nan_to_num(spread[n] - spread[1]))
        blended.append(weight * max(now, 0.0) + (1 - weight) * of_time[:, n])
    return np.maximum(np.stack(blended, axis=1), 0.0) * np.nan_to_num(ahead)[:, None]


def _recent_index(days: FloatArray, past: FloatArray, light: NDArray[np.bool_]) -> float:
    """Made as a share of a clear sky over the newest slots of light that are known."""
    usable = np.flatnonzero((light & np.isfinite(days)).ravel())[-_RECENT_SLOTS:]
    allowed = float(past.ravel()[usable].sum())
    return float(days.ravel()[usable].sum()) / allowed if allowed > 0 else 1.0


def _usual_index(index: FloatArray) -> FloatArray:
    """Quantiles of the index by time of day, shape (DAY_SLOTS, 3), of all times where none is."""
    near = np.concatenate([np.roll(index.ravel(), -n).reshape(index.shape) for n in range(-4, 5)])
    found = _quantiles(near)
    whole = np.nan_to_num(_quantiles(index.reshape(-1, 1))[0], nan=1.0)
    return np.where(np.isnan(found), whole, found)


def known_weather(series: Series, issue: int) -> FloatArray:
    """What forecasts of the weather that were known at the issue allow in each slot ahead, W; NaN
    where none was."""
    if series.weather is None:
        return np.full(HORIZON_SLOTS, np.nan)
    lead = np.arange(HORIZON_SLOTS)
    return np.asarray(series.weather[_weather_row(lead), issue + lead])


def _weather_row(lead: IntArray) -> IntArray:
    """Of each lead, the row of the newest forecast that is as old: one of fewer hours before the
    slot was issued after the issue."""
    return np.searchsorted(4 * np.array(WEATHER_HOURS), lead).astype(np.int64)


def by_weather(series: Series, issue: int) -> Forecast:
    """PV as a share of what the forecast of the weather allows: at that time of day as on the last
    28 days, beside forecasts that were as old. As :func:`by_weekday` where there is none."""
    days, ahead = _days_before(series, issue), known_weather(series, issue)
    lead = np.arange(HORIZON_SLOTS)
    row = _weather_row(lead)
    top = float(np.nanmax(np.append(ahead, 0.0)))
    wanted = MEDIAN_DAYS * DAY_SLOTS
    found = np.full((HORIZON_SLOTS, 3), np.nan)
    for n in np.unique(row).tolist() if series.weather is not None else ():
        assert series.weather is not None
        part = series.weather[n, max(0, issue - wanted) : issue]
        past = np.concatenate((np.full(wanted - len(part), np.nan), part)).reshape(days.shape)
        light = past > _LIGHT_SHARE * max(top, 1e-9)
        with np.errstate(divide="ignore", invalid="ignore"):
            usual = _usual_index(np.where(light & np.isfinite(days), days / past, np.nan))
        here = row == n
        found[here] = usual[lead[here] % DAY_SLOTS] * ahead[here, None]
    return np.where(np.isnan(ahead)[:, None], by_weekday(series, issue), np.maximum(found, 0.0))


LOAD_BASELINES: Mapping[str, Method] = {"yesterday": yesterday, "28-day median": by_weekday}
PV_BASELINES: Mapping[str, Method] = {
    "yesterday": yesterday,
    "28-day median": by_weekday,
    "clear-sky index": clear_sky_index,
}


def baselines(series: Series, quantity: str) -> Mapping[str, Method]:
    """The simple methods for ``pv`` or ``load``; with forecasts of the weather where there are."""
    if quantity != "pv":
        return LOAD_BASELINES
    if series.weather is None:
        return PV_BASELINES
    return {**PV_BASELINES, "weather forecast": by_weather}


def tidy(forecast: Forecast, lowest_w: float = 0.0, highest_w: float = np.inf) -> Forecast:
    """Quantiles in order and within limits; NaN becomes the lowest."""
    within = np.clip(np.nan_to_num(forecast, nan=lowest_w), lowest_w, highest_w)
    return np.sort(within, axis=-1)


def enough(series: Series) -> bool:
    """Whether there is enough history for a forecast out of it: seven days of slots."""
    return int(np.isfinite(series.watts).sum()) >= LEAST_DAYS * DAY_SLOTS


@dataclass(frozen=True, slots=True)
class Score:
    """How good forecasts were over some slots.

    Attributes
    ----------
    mae_w : float
        Mean error of p50.
    pinball_w : float
        Mean quantile loss over the three levels.
    coverage : float
        Share of slots within p10 and p90; 0.8 would be right.
    slots : int
    """

    mae_w: float
    pinball_w: float
    coverage: float
    slots: int


def score(forecasts: FloatArray, actual: FloatArray) -> Score:
    """Score of forecasts, shape (N, 3), against what came, shape (N,); NaN is left out."""
    known = np.isfinite(actual) & np.isfinite(forecasts).all(axis=-1)
    if not known.any():
        return Score(np.nan, np.nan, np.nan, 0)
    given, came = forecasts[known], actual[known]
    off = came[:, None] - given
    levels = np.array(LEVELS)
    loss = np.maximum(levels * off, (levels - 1) * off)
    inside = (came >= given[:, 0] - 1e-9) & (came <= given[:, 2] + 1e-9)
    return Score(
        float(np.abs(off[:, 1]).mean()), float(loss.mean()), float(inside.mean()), len(came)
    )


@dataclass(frozen=True, slots=True)
class Trial:
    """Methods played over a past, each knowing only what was known at each issue.

    Attributes
    ----------
    overall : dict of method to Score
        Over all leads.
    by_lead : dict of (method, hours) to Score
        Of the hour that begins so many hours after the issue.
    """

    overall: dict[str, Score]
    by_lead: dict[tuple[str, int], Score]

    def winner(self, candidate: str | None = None) -> str:
        """The method to serve: the best baseline, or the candidate where it is better by 3 %."""
        losses = {
            name: found.pinball_w
            for name, found in self.overall.items()
            if name != candidate and found.slots
        }
        best = min(losses, key=lambda name: losses[name]) if losses else next(iter(self.overall))
        own = self.overall.get(candidate or "")
        if own is None or not own.slots or not losses:
            return best
        return (candidate or best) if own.pinball_w <= (1 - MARGIN) * losses[best] else best


def rolling(series: Series, methods: Mapping[str, Method], issues: IntArray) -> Trial:
    """Play methods over some issues of the past.

    Parameters
    ----------
    series : Series
    methods : mapping
        A method gets the whole series and must look at nothing from its issue on; it is given a
        copy in which that is NaN, so that it cannot.
    issues : int array
        Places in the series.
    """
    actual = []
    given: dict[str, list[FloatArray]] = {name: [] for name in methods}
    for issue in issues.tolist():
        # What lies ahead is not only not to be used, it is not there.
        hidden = series.watts[:issue]
        seen = replace(series, watts=hidden)
        ahead = series.watts[issue : issue + HORIZON_SLOTS]
        actual.append(np.concatenate((ahead, np.full(HORIZON_SLOTS - len(ahead), np.nan))))
        for name, method in methods.items():
            given[name].append(tidy(method(seen, issue)))
    came = np.stack(actual)
    overall, by_lead = {}, {}
    for name, forecasts in given.items():
        stacked = np.stack(forecasts)
        overall[name] = score(stacked.reshape(-1, 3), came.ravel())
        for hours in LEADS_HOURS:
            part = slice(4 * hours, 4 * hours + 4)
            by_lead[name, hours] = score(stacked[:, part].reshape(-1, 3), came[:, part].ravel())
    return Trial(overall, by_lead)


def trial_issues(series: Series, days: int = 14, every_slots: int = 24) -> IntArray:
    """Issues of the last days, every six hours, with at least seven days before them."""
    known = len(series.watts)
    start = max(LEAST_DAYS * DAY_SLOTS, known - days * DAY_SLOTS)
    return np.arange(start, max(start, known - 4), every_slots, dtype=np.int64)
