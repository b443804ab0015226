"""Set-points, ramps, and whether an order is followed."""

from __future__ import annotations

import math

import pytest

from scoring.orders.following import (
    Observation,
    Verdict,
    grid_setpoint_w,
    ramped_w,
    tolerance_w,
    trimmed,
)


def test_the_point_of_control_is_the_ac_input() -> None:
    assert grid_setpoint_w(2000, load_w=600, pv_w=200) == 2400
    assert grid_setpoint_w(-2000, load_w=600, pv_w=200) == -1600
    assert grid_setpoint_w(2000, load_w=600, pv_w=math.nan) == 2600
    assert math.isnan(grid_setpoint_w(2000, load_w=math.nan, pv_w=200))


def test_the_tolerance_is_100_w_or_a_twentieth() -> None:
    assert tolerance_w(500) == 100
    assert tolerance_w(-10_000) == 500


def test_a_ramp_goes_both_ways_and_stops() -> None:
    assert ramped_w(0, 1000, 100, 3) == 300
    assert ramped_w(0, -1000, 100, 3) == -300
    assert ramped_w(0, 1000, 100, 30) == 1000
    assert ramped_w(0, 1000, None, 0) == 1000


def test_losses_are_corrected_and_no_more() -> None:
    trim = 0.0
    for _ in range(50):
        trim = trimmed(trim, 5000, 0.94 * (5000 + trim))
    assert 0.94 * (5000 + trim) == pytest.approx(5000, abs=1)
    for _ in range(50):
        trim = trimmed(trim, 5000, 700)
    assert trim == 700
    assert trimmed(12.0, 5000, math.nan) == 12.0


def verdicts(*measured: float, due: float = 60.0) -> list[str]:
    observation, found = Observation(due), []
    for second, power in enumerate(measured):
        observation = observation.after(10.0 * second, 1000, power, 30.0)
        found.append(observation.verdict.value)
    return found


def test_two_snapshots_in_a_row_are_needed() -> None:
    assert verdicts(1000, 500, 1050, 950) == ["pending", "pending", "pending", "effective"]


def test_who_does_not_follow_in_time_is_ineffective() -> None:
    assert verdicts(*[500] * 7)[-2:] == ["pending", "ineffective"]


def test_who_ramps_is_waited_for_while_it_comes_nearer() -> None:
    ramp = [100.0 * step for step in range(11)]
    assert verdicts(*ramp, 1000, due=30.0)[-3:] == ["pending", *["effective"] * 2]
    stuck = [*ramp[:7], *[600.0] * 3]
    assert verdicts(*stuck, due=30.0)[-2:] == ["ineffective", "ineffective"]
    # Too slow to come nearer by a tolerance in a quarter of the time.
    assert verdicts(*[20.0 * step for step in range(5)], due=30.0)[-1] == "ineffective"


def test_who_followed_may_leave_for_a_while() -> None:
    assert verdicts(1000, 1000, 500, 500, 1000, 1000) == ["pending", *["effective"] * 5]
    assert verdicts(1000, 1000, 500, 500, 500, 500)[-1] == "ineffective"


def test_what_is_not_measured_is_neither() -> None:
    assert verdicts(1000, math.nan, 1000)[-1] == "effective"
    assert verdicts(*[math.nan] * 7)[-1] == Verdict.INEFFECTIVE
