"""Stamps of points when the clock steps: right to a hundredth, and no moment twice."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.collect.point_clock import LIVES, ClockSteps, Stamps
from exporter.store.line_protocol import milliseconds


class Clock:
    def __init__(self) -> None:
        self.now = 1.7e9

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("first", range(LIVES))
def test_a_stamp_is_right_to_a_hundredth(first: int) -> None:
    clock = Clock()
    stamps = Stamps(clock, first)
    for n in range(500):
        clock.now = 1.7e9 + n * 0.00373
        assert abs(stamps() - clock.now) <= 0.01
        assert milliseconds(stamps()) % LIVES == first


@pytest.mark.parametrize("steps", [[-3600.0], [3600.0, -3600.0], [-2.0] * (LIVES - 1), [-0.4] * 9])
def test_no_site_has_a_moment_twice(steps: list[float]) -> None:
    """A site that is polled each second to the millisecond, while the clock is set back."""
    clock = Clock()
    stamps = Stamps(clock)
    seen = []
    for step in steps:
        for _ in range(5):
            seen.append(milliseconds(stamps()))
            clock.now += 1.0
        clock.now += step
    for _ in range(4000):
        seen.append(milliseconds(stamps()))
        clock.now += 1.0
    assert len(seen) == len(set(seen))


@given(st.lists(st.floats(-0.49, 5.0), max_size=50))
def test_what_is_no_step_back_does_not_count(moves: list[float]) -> None:
    """Nudges of less than half a second, each caught up with before the next."""
    clock = Clock()
    stamps = Stamps(clock)
    for move in moves:
        clock.now += move
        assert milliseconds(stamps()) % LIVES == 0
        clock.now += 0.5
        stamps()


@pytest.mark.parametrize(
    ("moves", "count"),
    [([3600.0], 1), ([-3600.0], 1), ([0.6, 0.6], 1), ([0.4, -0.4, 0.4], 0), ([-2.0, 2.0], 2)],
)
def test_steps_are_counted_once_they_add_up_to_a_second(moves: list[float], count: int) -> None:
    wall, monotonic = Clock(), Clock()
    steps = ClockSteps(wall, monotonic)
    for move in moves:
        wall.now += 1.0 + move
        monotonic.now += 1.0
        steps.look()
        steps.look()
    assert steps.count == count
