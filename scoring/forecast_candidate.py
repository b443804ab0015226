"""The candidate: gradient-boosted trees for each quantile (LightGBM), trained on one site's past.

Each row of training is a pair of an issue and a lead, with what was known at the issue and what the
calendar and the sun say of the slot ahead. No feature reaches past the issue.

References
----------
G. Ke et al., "LightGBM: A Highly Efficient Gradient Boosting Decision Tree", NeurIPS 30, 2017.
R. Koenker and G. Bassett, "Regression Quantiles", Econometrica 46(1), 1978, pp. 33-50.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoring.forecast import (
    DAY_SLOTS,
    HORIZON_SLOTS,
    LEVELS,
    MEDIAN_DAYS,
    Forecast,
    Series,
    by_weekday,
    clear_sky_index,
    known_weather,
    yesterday,
)

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

NAME = "LightGBM"
TRAINING_DAYS = 90
ISSUE_EVERY_SLOTS = 14
"""No divisor of a day, so that issues fall on all times of the day."""
LEADS_OF_AN_ISSUE = 24
LEAST_ROWS = 500
_PARAMETERS: dict[str, Any] = {
    "objective": "quantile",
    "learning_rate": 0.08,
    "num_leaves": 24,
    "min_data_in_leaf": 30,
    "lambda_l2": 1.0,
    "verbosity": -1,
    "num_threads": 1,
    "deterministic": True,
    "force_row_wise": True,
    "seed": 7,
}
_ROUNDS = 80


@dataclass(frozen=True)
class Candidate:
    """A trained candidate; a method as :data:`scoring.forecast.Method`."""

    boosters: tuple[Any, ...]
    scale_w: float

    def __call__(self, series: Series, issue: int) -> Forecast:
        """See :data:`scoring.forecast.Method`."""
        rows = features(series, issue) / self._units()
        found = np.stack([booster.predict(rows) for booster in self.boosters], axis=1)
        return np.asarray(found * self.scale_w, dtype=np.float64)

    def _units(self) -> FloatArray:
        return _units(self.scale_w)


# Watts among the features come first.
_WATTS = 10


def _units(scale_w: float) -> FloatArray:
    return np.array([scale_w] * _WATTS + [1.0] * 5)


def features(series: Series, issue: int) -> FloatArray:
    """What is known at an issue of each slot ahead, shape (HORIZON_SLOTS, 15).

    In watts: the three quantiles of the last 28 days at that time, the last day's value, the same
    a week ago, the mean of the last hour and of the last day, the clear sky and its share of the
    last hours of light (the two are 0 without a sun), and what the forecast of the weather allows;
    then quarter hour, weekday, lead, whether the
    last hour is known, and the day's place in the series' own month of light.
    """
    usual = by_weekday(series, issue)
    lead = np.arange(HORIZON_SLOTS)
    past = series.watts[max(0, issue - 8 * DAY_SLOTS) : issue]
    past = np.concatenate((np.full(8 * DAY_SLOTS - len(past), np.nan), past))
    week_ago = past[DAY_SLOTS + lead] if len(past) >= DAY_SLOTS + HORIZON_SLOTS else usual[:, 1]
    hour, day = _mean(past[-4:]), _mean(past[-DAY_SLOTS:])
    clear = index = np.zeros(HORIZON_SLOTS)
    if series.clear is not None:
        clear = np.nan_to_num(series.clear[issue : issue + HORIZON_SLOTS])
        index = clear_sky_index(series, issue)[:, 1]
    at = slice(issue, issue + HORIZON_SLOTS)
    ones = np.ones(HORIZON_SLOTS)
    return np.column_stack(
        (
            usual,
            yesterday(series, issue)[:, 1],
            week_ago,
            hour * ones,
            day * ones,
            clear,
            index,
            known_weather(series, issue),
            series.quarter[at],
            series.weekday[at],
            lead,
            np.isfinite(hour) * ones,
            _light(series, issue) * ones,
        )
    )


def _light(series: Series, issue: int) -> float:
    """Clear sky of the last day as a share of its 28 days; 1 without a sun."""
    if series.clear is None:
        return 1.0
    part = series.clear[max(0, issue - MEDIAN_DAYS * DAY_SLOTS) : issue]
    whole = _mean(part)
    return _mean(part[-DAY_SLOTS:]) / whole if whole > 0 else 1.0


def _mean(values: FloatArray) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else float("nan")


def train(series: Series, until: int, days: int = TRAINING_DAYS) -> Candidate | None:
    """Train on issues whose whole horizon lies before a slot.

    Parameters
    ----------
    series : Series
    until : int
        Place in the series; no target lies at or after it.
    days : int
        Of the past that is used.

    Returns
    -------
    Candidate or None
        None without enough history.

    Raises
    ------
    ImportError
        LightGBM is not installed.
    """
    import lightgbm

    first = max(7 * DAY_SLOTS, until - days * DAY_SLOTS)
    issues = np.arange(first, until - HORIZON_SLOTS + 1, ISSUE_EVERY_SLOTS)
    rng = np.random.default_rng(7)
    rows, targets = [], []
    for issue in issues.tolist():
        hidden = replace(series, watts=series.watts[:issue])
        ahead = series.watts[issue : issue + HORIZON_SLOTS]
        leads = np.sort(rng.choice(HORIZON_SLOTS, LEADS_OF_AN_ISSUE, replace=False))
        leads = leads[np.isfinite(ahead[leads])]
        rows.append(features(hidden, issue)[leads])
        targets.append(ahead[leads])
    if sum(map(len, targets)) < LEAST_ROWS:
        return None
    target = np.concatenate(targets)
    scale_w = max(float(np.quantile(np.abs(target), 0.99)), 1.0)
    data = np.concatenate(rows) / _units(scale_w)
    boosters = []
    for level in LEVELS:
        known = lightgbm.Dataset(data, target / scale_w, params={"verbosity": -1})
        boosters.append(lightgbm.train(_PARAMETERS | {"alpha": level}, known, _ROUNDS))
    return Candidate(tuple(boosters), scale_w)
