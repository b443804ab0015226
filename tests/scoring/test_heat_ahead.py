"""Days until a battery is too hot, scored against what came in simulated seasons."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scoring.outlook import SEASON_DAYS, Outlook, days_until
from scoring.window import DAYS, Daily, slow_figures

LIMIT_C = 45.0
PLAYED_DAYS = 300
STATED_EVERY_DAYS = 10


def highest_of_days(sites: int, rise_c_day: tuple[float, float]) -> NDArray[np.float64]:
    """°C, shape (sites, PLAYED_DAYS): a season, weather that lasts for days, and a fan that fails
    slowly from some day on."""
    rng = np.random.default_rng(5)

    def each(low: float, high: float) -> NDArray[np.float64]:
        return rng.uniform(low, high, (sites, 1))

    t = np.arange(PLAYED_DAYS)
    weather = rng.normal(0.0, 1.0, (sites, PLAYED_DAYS)) * np.sqrt(1.0 - 0.75**2)
    for day in range(1, PLAYED_DAYS):
        weather[:, day] += 0.75 * weather[:, day - 1]
    season = each(18, 32) + each(2, 10) * np.sin(2 * np.pi * (t + each(0, 365)) / 365.25)
    return season + each(1, 3) * weather + each(*rise_c_day) * np.maximum(t - each(0, 150), 0.0)


def stated(highest: NDArray[np.float64], day: int) -> Outlook:
    """What is said at the end of a day."""
    daily = np.zeros((len(highest), DAYS, len(Daily)), dtype=np.float32)
    daily[:, :, Daily.HOTTEST] = highest[:, day - DAYS + 1 : day + 1]
    back = np.arange(DAYS)[::-1]
    found = slow_figures(daily, back, np.full(len(highest), -1))
    assert not np.isnan(found["hottest_c"]).any()
    return days_until(
        found["hottest_c"],
        np.full(len(highest), LIMIT_C),
        found["hottest_slope"],
        found["hottest_slope_high"],
        found["hottest_slope_low"],
        SEASON_DAYS,
    )


def score(highest: NDArray[np.float64]) -> tuple[int, int]:
    """How many statements were made, and how many of them held what came."""
    means = np.array([np.convolve(row, np.full(5, 0.2), "valid") for row in highest])
    made = held = 0
    for day in range(DAYS, PLAYED_DAYS - int(SEASON_DAYS), STATED_EVERY_DAYS):
        found = stated(highest, day)
        for row in np.flatnonzero(~np.isnan(found.days)):
            later = np.flatnonzero(means[row, day - 4 : day + int(SEASON_DAYS) - 4] >= LIMIT_C)
            came = float(later[0]) if later.size else np.inf
            made += 1
            held += found.earliest[row] <= came <= found.latest[row]
    return made, held


def test_what_is_said_of_fans_that_fail_came() -> None:
    made, held = score(highest_of_days(60, (0.1, 0.4)))
    assert made > 300
    assert held >= 0.95 * made


def test_seasons_alone_hardly_ever_reach_a_limit() -> None:
    statements = 60 * len(range(DAYS, PLAYED_DAYS - int(SEASON_DAYS), STATED_EVERY_DAYS))
    made, _ = score(highest_of_days(60, (0.0, 0.0)))
    assert made <= statements / 200


def test_a_trend_needs_each_of_its_five_days() -> None:
    highest = np.full((2, PLAYED_DAYS), 30.0) + 0.2 * np.arange(PLAYED_DAYS)
    assert not np.isnan(stated(highest, 60).days).any()
    daily = np.zeros((1, DAYS, len(Daily)), dtype=np.float32)
    daily[:, :, Daily.HOTTEST] = highest[0, :DAYS]
    daily[:, 10:13, Daily.HOTTEST] = np.nan
    found = slow_figures(daily, np.arange(DAYS)[::-1], np.array([-1]))
    assert np.isnan(found["hottest_slope"]).all()
