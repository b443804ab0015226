"""Stamps of points: the wall clock, without a moment that was stamped before it stepped back."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable

log = logging.getLogger(__name__)

# Less than the shortest interval, so that no site's stamps go back by a step that is not counted.
STEP_BACK_SECONDS = 0.5
LIVES = 10
CLOCK_STEP_SECONDS = 1.0


class Stamps:
    """A wall clock for whatever becomes a point: whole hundredths of a second, and in the last
    digit of the milliseconds how often the clock has stepped back.

    InfluxDB keeps one point of a series at a time. Sites are polled in a steady rhythm, so that
    after a step back by a whole number of intervals the new points would meet the very
    milliseconds of those before, and take their place. With another last digit they cannot.

    Parameters
    ----------
    wall_clock : callable
        Unix seconds.
    first : int
        The last digit before any step; another at each start makes it unlikely that points meet
        those of an earlier run, where the clock was set back between the two.
    """

    def __init__(self, wall_clock: Callable[[], float], first: int = 0) -> None:
        self._wall_clock = wall_clock
        self._digit = first % LIVES
        self._latest = -math.inf

    def __call__(self) -> float:
        """Unix seconds."""
        now = self._wall_clock()
        if now < self._latest - STEP_BACK_SECONDS:
            self._digit = (self._digit + 1) % LIVES
            self._latest = now
        self._latest = max(self._latest, now)
        return (math.floor(now * 100) * 10 + self._digit) / 1000


class ClockSteps:
    """Counts steps of the wall clock against the monotonic one, of a second or more.

    Smaller ones are no step until they add up to one.
    """

    def __init__(self, wall_clock: Callable[[], float], monotonic: Callable[[], float]) -> None:
        self._wall_clock = wall_clock
        self._monotonic = monotonic
        self._offset = wall_clock() - monotonic()
        self.count = 0

    def look(self) -> None:
        """Compare the clocks."""
        offset = self._wall_clock() - self._monotonic()
        step = offset - self._offset
        if abs(step) >= CLOCK_STEP_SECONDS:
            self._offset = offset
            self.count += 1
            log.warning("the system clock stepped by %.1f s; polling keeps its rhythm", step)
