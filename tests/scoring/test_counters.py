"""Counters: resets, wraps and bad samples told apart by what follows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from scoring.counters import Step, counter_steps, is_counter

QUARTER_MS = 900_000


def steps(values: list[float], minutes: int = 15) -> tuple[list[float], list[Step]]:
    """Growth and kinds of one series."""
    readings = np.array(values, float)
    times = np.arange(readings.size) * minutes * 60_000
    found = counter_steps(np.zeros(readings.size, np.int64), times, readings)
    return found.growth.tolist(), [Step(kind) for kind in found.kinds.tolist()]


def total(values: list[float], minutes: int = 15) -> float:
    return round(float(np.nansum(steps(values, minutes)[0])), 6)


def rising(start: float, count: int, step: float = 1.0) -> list[float]:
    return [start + step * n for n in range(count)]


def test_a_counter_that_only_rises() -> None:
    growth, kinds = steps([5, 5, 7, 8])
    assert np.isnan(growth[0])
    assert growth[1:] == [0, 2, 1]
    assert kinds == [Step.FIRST, Step.RISE, Step.RISE, Step.RISE]


@pytest.mark.parametrize("bad", [0.0, 3.0, 500.0, 5000.0, 6553.5, 4294967.3])
@pytest.mark.parametrize("samples", [1, 2, 5])
def test_samples_that_lie_elsewhere_add_nothing(bad: float, samples: int) -> None:
    values = rising(998, 60)
    values[20 : 20 + samples] = [bad] * samples
    growth, kinds = steps(values)
    assert kinds[20 : 20 + samples] == [Step.GLITCH] * samples
    assert kinds.count(Step.GLITCH) == samples
    assert round(float(np.nansum(growth)), 6) == 59


def test_bad_samples_that_come_again_and_again() -> None:
    for bad in (0.0, 9999.0):
        values = rising(998, 60)
        for place in (10, 12, 14, 30, 31, 50):
            values[place] = bad
        assert steps(values)[1].count(Step.GLITCH) == 6
        assert total(values) == 59


def test_zeros_before_the_meter_answers() -> None:
    values = [0.0, *rising(998, 40)]
    growth, kinds = steps(values)
    assert kinds[:2] == [Step.GLITCH, Step.FIRST]
    assert float(np.nansum(growth)) == 39
    # A new counter begins at zero too, and its first step is like the others.
    assert total(rising(0, 40)) == 39
    assert steps(rising(0, 40))[1][1] == Step.RISE


def test_a_long_silence_that_reads_as_zero() -> None:
    values = [*rising(998, 30), *([0.0] * 100), *rising(1130, 30)]
    assert total(values) == 29 + (1130 - 1027) + 29


@pytest.mark.parametrize("bad", [0.0, 5000.0])
def test_a_glitch_of_many_samples(bad: float) -> None:
    values = [*rising(998, 30), *([bad] * 40), *rising(1070, 30)]
    assert total(values) == 29 + (1070 - 1027) + 29


def test_a_reset_counts_from_zero() -> None:
    growth, kinds = steps([*rising(998, 30), *rising(2, 30)])
    assert (kinds[30], growth[30]) == (Step.RESET, 2)
    assert float(np.nansum(growth)) == 29 + 2 + 29
    assert Step.GLITCH not in kinds


def test_a_counter_that_is_replaced_by_a_used_one() -> None:
    growth, kinds = steps([*rising(998, 30), *rising(700, 30)])
    assert (kinds[30], growth[30]) == (Step.RESET, 0)
    assert float(np.nansum(growth)) == 58


@pytest.mark.parametrize("minutes", [5, 60, 240])
def test_a_daily_counter(minutes: int) -> None:
    hours = np.arange(0, 24 * 10, minutes / 60)
    day = hours % 24
    kwh = np.clip(day - 6, 0, 12) ** 2 / 7
    assert total(kwh.tolist(), minutes) == pytest.approx(10 * 144 / 7, rel=0.02)
    assert Step.GLITCH not in steps(kwh.tolist(), minutes)[1]


@pytest.mark.parametrize(
    ("full", "step"), [(10_000, 0.7), (100_000, 13), (1e6, 5), (65536, 11), (6553.6, 0.3)]
)
def test_a_wrap_by_the_digits_of_the_counter(full: float, step: float) -> None:
    values = [round(v % full, 3) for v in rising(full - 20.4 * step, 60, step)]
    growth, kinds = steps(values)
    assert kinds.count(Step.WRAP) == 1
    assert float(np.nansum(growth)) == pytest.approx(59 * step)


def test_a_fall_far_from_full_is_no_wrap() -> None:
    assert Step.WRAP not in steps([*rising(9_000, 30), *rising(0, 30)])[1]


def test_a_small_fall_is_a_correction() -> None:
    growth, kinds = steps([1000, 1001, 1000.9, 1002])
    assert kinds[2] == Step.CORRECTION
    assert float(np.nansum(growth)) == pytest.approx(2)


def test_the_last_samples_wait_for_what_follows() -> None:
    values = [*rising(998, 30), 5000.0]
    growth, kinds = steps(values)
    assert (growth[-1], kinds[-1]) == (0, Step.PENDING)
    # A fall at the end adds what is read since zero, whatever it turns out to be.
    growth, kinds = steps([*rising(998, 30), 0.0, 0.0])
    assert kinds[-2:] == [Step.RESET, Step.RISE]
    assert float(np.nansum(growth)) == 29


def test_a_gap_is_no_glitch() -> None:
    times = np.array([0, 1, 2, 3, 4000, 4001, 4002]) * QUARTER_MS
    values = np.array([10.0, 11, 12, 13, 3990, 3991, 3992])
    found = counter_steps(np.zeros(7, np.int64), times, values)
    assert float(np.nansum(found.growth)) == 3982


def test_series_do_not_touch_each_other() -> None:
    good, ill = rising(998, 30), rising(5, 30)
    ill[10] = 0
    values = np.array([*good, *ill, *good])
    series = np.repeat(np.arange(3), 30)
    times = np.tile(np.arange(30) * QUARTER_MS, 3)
    found = counter_steps(series, times, values)
    assert np.flatnonzero(found.kinds == Step.GLITCH).tolist() == [40]
    assert float(np.nansum(found.growth)) == 3 * 29
    assert np.flatnonzero(np.isnan(found.growth)).tolist() == [0, 30, 40, 60]


@pytest.mark.parametrize("values", [[], [5.0], [5.0, 0.0], [0.0, 5.0], [5.0, 5.0]])
def test_few_samples(values: list[Any]) -> None:
    growth, _ = steps(values)
    assert len(growth) == len(values)
    assert np.nansum(growth) >= 0


def test_what_is_no_counter() -> None:
    rng = np.random.default_rng(3)
    assert not is_counter(rng.random(200))
    assert not is_counter(np.round(rng.random(200), 1))
    assert is_counter(np.cumsum(rng.random(200)))
    daily = np.tile(np.cumsum(rng.random(24)), 10)
    assert is_counter(daily)
    assert is_counter(np.array([3.0, 1.0, 2.0]))
    # Its many falls are resets, as they always were, and cost no time.
    assert total(rng.random(20_000).tolist()) > 0
