"""PV that falls beside its own past, against weather and habits that only look like it."""

from __future__ import annotations

import numpy as np
import pytest

from scoring.limits import FALLEN_BELOW, MUCH_FALLEN_BELOW
from scoring.pv_past import FloatArray, PvPast

SITES, DAYS = 6, 34
DAY = np.arange(DAYS)
REGION = np.zeros(SITES, dtype=np.int64)


def past_of(own: FloatArray, *, noise: float = 0.05, expected: FloatArray | None = None) -> PvPast:
    """Six sites under one sky; the first makes ``own`` of what the others do, shape (DAYS,)."""
    rng = np.random.default_rng(3)
    ratio = rng.uniform(0.35, 0.9, DAYS) * rng.normal(1.0, noise, (SITES, DAYS))
    ratio[0] *= own
    allowed = np.full((SITES, DAYS), 20_000.0)
    if expected is not None:
        allowed[0] = expected
    return PvPast.of(ratio * allowed, allowed, REGION)


def fallen(own: FloatArray, **how: FloatArray) -> float:
    return float(past_of(own, **how).fallen()[0][0])


@pytest.mark.parametrize("habit", [0.6, 1.0, 1.3])
@pytest.mark.parametrize("days", [3, 10, 20])
def test_a_string_of_three_is_missed_whatever_the_direction(habit: float, days: int) -> None:
    own = habit * np.where(DAYS - days <= DAY, 0.67, 1.0)
    assert MUCH_FALLEN_BELOW < fallen(own) < FALLEN_BELOW


def test_half_of_the_array_is_much() -> None:
    assert fallen(np.where(DAY >= DAYS - 4, 0.45, 1.0)) < MUCH_FALLEN_BELOW


@pytest.mark.parametrize("bad_days", [[33], [31, 33], [30, 31, 32]])
def test_one_good_day_of_three_is_enough(bad_days: list[int]) -> None:
    own = np.ones(DAYS)
    own[bad_days] = 0.3
    assert fallen(own) > FALLEN_BELOW


def test_a_site_whose_days_always_differ_has_not_fallen() -> None:
    own = np.random.default_rng(5).choice([0.5, 0.7, 1.0], DAYS)
    own[-3:] = 0.7, 0.5, 0.5
    assert fallen(own) > FALLEN_BELOW


def test_mornings_alone_are_not_compared_with_whole_days() -> None:
    """An array to the west beside a battery that is full by noon in a sunny spell."""
    morning = DAY >= DAYS - 4
    light = np.where(morning, 6_000.0, 20_000.0)
    assert np.isnan(fallen(np.where(morning, 0.4, 1.0), expected=light))


def test_snow_over_the_region_says_nothing() -> None:
    past = past_of(np.ones(DAYS))
    ratio = past.ratio.copy()
    ratio[:, -5:] = 0.01
    allowed = np.full(ratio.shape, 20_000.0)
    now, _ = PvPast.of(ratio * allowed, allowed, REGION).fallen()
    assert np.isnan(now).all()


def test_what_is_usual_can_be_kept_while_a_loss_lasts() -> None:
    """After five weeks every day of the window is a low one."""
    past = past_of(np.full(DAYS, 0.5))
    assert past.fallen()[0][0] > FALLEN_BELOW
    now, usual = past.fallen(np.array([1.0, *[np.nan] * (SITES - 1)]))
    assert now[0] < MUCH_FALLEN_BELOW
    assert usual[0] == 1.0


def test_few_days_say_nothing() -> None:
    own = np.where(DAY >= DAYS - 3, 0.5, 1.0)
    past = past_of(own)
    for column in range(DAYS - 7):
        past.ratio[:, column] = np.nan
    assert np.isnan(past.fallen()[0]).all()
    assert np.isnan(past.before(0).fallen()[0]).all()
    alone = PvPast(past.expected_wh, past.ratio, np.full(past.ratio.shape, np.nan))
    assert np.isnan(alone.fallen()[0]).all()
