"""Forecasts know nothing of what comes, their scores are right, and a candidate has to win."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from scoring.forecast import (
    DAY_SLOTS,
    HORIZON_SLOTS,
    LOAD_BASELINES,
    PV_BASELINES,
    WEATHER_HOURS,
    Forecast,
    Score,
    Series,
    Trial,
    baselines,
    by_weather,
    by_weekday,
    clear_sky_index,
    enough,
    rolling,
    score,
    tidy,
    trial_issues,
)
from scoring.forecast_candidate import NAME, features, train

DAYS = 45
SLOTS = np.arange(DAYS * DAY_SLOTS + HORIZON_SLOTS)
QUARTER = SLOTS % DAY_SLOTS
WEEKDAY = SLOTS // DAY_SLOTS % 7
CLEAR = 5000 * np.maximum(0.0, np.sin((QUARTER - 24) / 48 * np.pi))


def pv(seed: int = 1) -> Series:
    rng = np.random.default_rng(seed)
    cloud = np.repeat(rng.uniform(0.2, 1.0, DAYS), DAY_SLOTS)
    watts = CLEAR[: DAYS * DAY_SLOTS] * cloud * rng.uniform(0.9, 1.0, DAYS * DAY_SLOTS)
    return Series(0, watts, CLEAR, WEEKDAY, QUARTER)


def with_weather(series: Series, *, error: float = 0.0) -> Series:
    """Forecasts of the weather that are right but for some error, the more the earlier."""
    rng = np.random.default_rng(3)
    cloud = np.append(series.watts / np.maximum(CLEAR[: len(series.watts)], 1), [0.5] * 144)
    rows = []
    for hours in WEATHER_HOURS:
        noise = np.repeat(rng.normal(0, error * hours / 36, len(cloud) // 16), 16)
        rows.append(CLEAR * 1.25 * np.clip(cloud + noise, 0, 1.1))
    return replace(series, weather=np.array(rows))


def load(seed: int = 1) -> Series:
    rng = np.random.default_rng(seed)
    watts = 400 + 900 * (np.abs(QUARTER - 76) < 10) * (WEEKDAY < 5) + rng.gamma(2, 60, len(SLOTS))
    return Series(0, watts[: DAYS * DAY_SLOTS], None, WEEKDAY, QUARTER)


@pytest.mark.parametrize("method", [*PV_BASELINES, NAME])
def test_nothing_after_the_issue_changes_a_forecast(method: str) -> None:
    series, issue = pv(), 40 * DAY_SLOTS + 37
    other = series.watts.copy()
    other[issue:] = np.random.default_rng(9).uniform(0, 1e5, len(other) - issue)
    twin = Series(0, other, CLEAR, WEEKDAY, QUARTER)
    made: dict[str, Forecast] = {}
    for name, given in (("as it was", series), ("otherwise", twin)):
        if method == NAME:
            trained = train(given, issue)
            assert trained is not None
            made[name] = trained(given, issue)
        else:
            made[name] = PV_BASELINES[method](given, issue)
    assert np.array_equal(made["as it was"], made["otherwise"])


@pytest.mark.parametrize("method", ["weather forecast", NAME])
def test_no_forecast_of_the_weather_that_came_after_the_issue_changes_a_forecast(
    method: str,
) -> None:
    series, issue = with_weather(pv(), error=0.2), 40 * DAY_SLOTS + 37
    assert series.weather is not None
    other = series.weather.copy()
    for row, hours in enumerate(WEATHER_HOURS):
        # So many hours before these slots, the issue was over.
        other[row, issue + 4 * hours + 1 :] = 77.0
    twin = replace(series, weather=other)
    made = []
    for given in (series, twin):
        known = baselines(given, "pv").get(method) or train(given, issue)
        assert known is not None
        made.append(known(given, issue))
    assert np.array_equal(*made)
    assert not np.array_equal(series.weather, other)


def test_the_weather_wins_where_its_forecasts_are_good_and_learns_the_plant() -> None:
    series = with_weather(pv())
    trial = rolling(series, baselines(series, "pv"), trial_issues(series))
    assert trial.winner() == "weather forecast"
    # The plant gives four fifths of what the model allows.
    others = [s.mae_w for name, s in trial.overall.items() if name != "weather forecast"]
    assert trial.overall["weather forecast"].mae_w < 0.2 * min(others)


def test_without_a_forecast_of_the_weather_a_slot_is_as_usual() -> None:
    series = with_weather(pv())
    assert series.weather is not None
    issue = 40 * DAY_SLOTS
    holed = series.weather.copy()
    holed[:, issue + 40 : issue + 60] = np.nan
    made = by_weather(replace(series, weather=holed), issue)
    usual = by_weekday(series, issue)
    assert np.array_equal(made[40:60], usual[40:60])
    assert not np.array_equal(made[30:40], usual[30:40])
    assert list(baselines(pv(), "pv")) == list(PV_BASELINES)
    assert list(baselines(series, "load")) == list(LOAD_BASELINES)


def test_features_of_an_issue_are_those_of_a_series_that_ends_there() -> None:
    series, issue = pv(), 41 * DAY_SLOTS + 5
    short = Series(0, series.watts[:issue], CLEAR, WEEKDAY, QUARTER)
    assert np.array_equal(features(series, issue), features(short, issue), equal_nan=True)


def test_a_method_that_looks_ahead_sees_nothing_there() -> None:
    def cheat(series: Series, issue: int) -> Forecast:
        assert len(series.watts) == issue
        return np.zeros((HORIZON_SLOTS, 3))

    rolling(pv(), {"cheat": cheat}, np.array([40 * DAY_SLOTS]))


@pytest.mark.parametrize(("series", "methods"), [(pv(), PV_BASELINES), (load(), LOAD_BASELINES)])
def test_baselines_are_played_over_the_past(series: Series, methods: dict[str, object]) -> None:
    found = rolling(series, methods, trial_issues(series, days=7))  # type: ignore[arg-type]
    for name, one in found.overall.items():
        assert one.slots > 1000, name
        assert 0.5 < one.coverage <= 1.0
        assert one.pinball_w < one.mae_w
    assert {hours for _, hours in found.by_lead} == {1, 6, 24}
    # Each day has its own cloud: near ahead the last hours say more than the day before.
    if "clear-sky index" in methods:
        near = {name: found.by_lead[name, 1].mae_w for name in methods}
        assert near["clear-sky index"] < near["yesterday"]


def test_a_score_by_hand() -> None:
    forecasts = np.array([[0.0, 10.0, 20.0], [0.0, 10.0, 20.0], [0.0, 10.0, 20.0]])
    found = score(forecasts, np.array([10.0, 30.0, np.nan]))
    assert (found.slots, found.mae_w, found.coverage) == (2, 10.0, 0.5)
    # 10: 0.1·10, 0, 0.1·10; 30: 0.1·30, 0.5·20, 0.9·10.
    assert found.pinball_w == pytest.approx((1 + 0 + 1 + 3 + 10 + 9) / 6)
    assert score(forecasts, np.full(3, np.nan)).slots == 0


@pytest.mark.parametrize(
    ("candidate", "serves"), [(96.9, NAME), (97.0, NAME), (97.1, "b"), (50.0, NAME), (200.0, "b")]
)
def test_the_candidate_serves_only_where_it_wins_by_three_percent(
    candidate: float, serves: str
) -> None:
    losses = {"a": 120.0, "b": 100.0, NAME: candidate}
    overall = {name: Score(1.0, loss, 0.8, 100) for name, loss in losses.items()}
    assert Trial(overall, {}).winner(NAME) == serves
    assert Trial(overall, {}).winner() == min(("a", "b", NAME), key=lambda name: losses[name])


def test_gaps_short_pasts_and_nights_give_a_forecast() -> None:
    series = pv()
    holes = series.watts.copy()
    holes[::3] = np.nan
    short = Series(0, holes[: 8 * DAY_SLOTS], CLEAR, WEEKDAY, QUARTER)
    assert not enough(short)
    for method in PV_BASELINES.values():
        for given in (short, Series(0, np.full(800, np.nan), CLEAR, WEEKDAY, QUARTER)):
            found = tidy(method(given, len(given.watts)))
            assert np.isfinite(found).all()
            assert (np.diff(found, axis=1) >= 0).all()
    found = clear_sky_index(series, 40 * DAY_SLOTS)
    assert (found[CLEAR[:HORIZON_SLOTS] == 0] == 0).all()
    assert train(short, 8 * DAY_SLOTS) is None
