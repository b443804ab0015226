"""Simulations that several tests read."""

from __future__ import annotations

from datetime import datetime

import pytest

from simulator import Scenario, Simulator


class Clock:
    """A clock that moves only when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def demo() -> Scenario:
    return Scenario.load("demo")


NOON = datetime.fromisoformat("2026-06-21T11:00:00+00:00")


@pytest.fixture
def simulator(demo: Scenario, clock: Clock) -> Simulator:
    """The demo fleet on a June day at 11 h UTC: daylight from America to Africa."""
    return Simulator(demo, clock=clock, start=NOON)
