"""The order of recurring work, on a clock that the test moves and on the real loop."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.collect.timers import Timers


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@given(st.lists(st.floats(0.0, 30.0), max_size=80), st.integers(0, 1000))
def test_each_timer_keeps_its_rhythm(moves: list[float], seed: int) -> None:
    """However late the loop is: the right turns, in the order in which they are due."""
    rng, clock = random.Random(seed), Clock()
    timers = Timers(clock)
    called: dict[int, list[tuple[float, float]]] = defaultdict(list)
    set_timers = []
    for number in range(7):
        interval, phase = rng.uniform(0.5, 20.0), rng.uniform(0.0, 20.0)

        def action(lag: float, number: int = number) -> None:
            called[number].append((clock.now, lag))

        timers.add(interval, phase, action)
        set_timers.append((interval, clock.now + phase))
    for move in moves:
        clock.now += move
        timers.call_due()
    for number, (interval, first) in enumerate(set_timers):
        turns = []
        for now, lag in called[number]:
            assert lag >= 0
            turn = (now - lag - first) / interval
            assert abs(turn - round(turn)) < 1e-6, "a turn off the timer's own rhythm"
            turns.append(int((now - first) // interval + 1e-9))
        assert turns == sorted(set(turns)), "a turn twice"
        if clock.now > first + interval:
            assert called[number]


def test_a_cancelled_timer_is_called_no_more() -> None:
    clock, called = Clock(), []
    timers = Timers(clock)
    timer = timers.add(1.0, 0.0, called.append)
    timers.call_due()
    timers.cancel(timer)
    clock.now += 10
    timers.call_due()
    assert called == [0.0]


def test_an_action_may_set_and_cancel_timers() -> None:
    clock, called = Clock(), []
    timers = Timers(clock)

    def action(_lag: float) -> None:
        called.append("first")
        timers.cancel(first)
        timers.add(1.0, 0.0, lambda _: called.append("second"))

    first = timers.add(1.0, 0.0, action)
    timers.call_due()
    clock.now += 1
    timers.call_due()
    assert called == ["first", "second", "second"]


def test_a_failing_action_stops_no_other(caplog: pytest.LogCaptureFixture) -> None:
    clock, called = Clock(), []
    timers = Timers(clock)

    def broken(_lag: float) -> None:
        raise KeyError

    timers.add(1.0, 0.0, broken)
    timers.add(1.0, 0.0, called.append)
    timers.call_due()
    assert called == [0.0]
    assert "KeyError" in caplog.text


@contextlib.contextmanager
def running(timers: Timers) -> Iterator[None]:
    task = asyncio.get_running_loop().create_task(timers.run())
    try:
        yield
    finally:
        task.cancel()


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(120):
        while not condition():  # noqa: ASYNC110 - any condition, not an event
            await asyncio.sleep(0.005)


async def test_a_timer_set_later_may_be_due_before_those_that_wait() -> None:
    timers, called = Timers(time.monotonic), []
    timers.add(3600.0, 3600.0, lambda _: called.append("late"))
    with running(timers):
        await asyncio.sleep(0.02)
        timers.add(3600.0, 0.0, lambda _: called.append("soon"))
        await until(lambda: called)
    assert called == ["soon"]


async def test_a_job_is_never_run_twice_at_a_time_and_may_fail(
    caplog: pytest.LogCaptureFixture,
) -> None:
    timers, most, now = Timers(time.monotonic), 0, 0
    turns = 0

    async def job() -> None:
        nonlocal most, now, turns
        now += 1
        turns += 1
        most = max(most, now)
        await asyncio.sleep(0.05)
        now -= 1
        if turns == 1:
            raise ZeroDivisionError

    timers.every(0.01, job, "a job")
    with running(timers):
        await until(lambda: turns >= 4)
        await timers.stop()
    assert most == 1
    assert "a job failed" in caplog.text


@pytest.mark.parametrize(("finish", "expected"), [(False, "cancelled"), (True, "whole")])
async def test_stopping_cancels_a_job_or_lets_it_end(finish: bool, expected: str) -> None:
    ended: list[str] = []
    begun, release = asyncio.Event(), asyncio.Event()

    async def job() -> None:
        begun.set()
        try:
            await release.wait()
            ended.append("whole")
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    timers = Timers(time.monotonic)
    timers.every(0.01, job, "job")
    with running(timers):
        await begun.wait()
        asyncio.get_running_loop().call_later(0.05, release.set)
        await timers.stop(finish=finish)
    assert ended == [expected]
