"""Recurring work on the monotonic clock: one order by due time, which one task works off.

A step of the wall clock moves nothing here.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import logging
import math
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

log = logging.getLogger(__name__)

# So many actions are called before the event loop has a turn: a loop that is behind reads what has
# arrived before it asks for more, instead of asking all sites at once and hearing none in time.
ACTIONS_AT_ONCE = 32
# What is due within this time of each other runs on one wake-up of the event loop.
TICK_SECONDS = 0.02


@dataclass(slots=True, eq=False)
class Timer:
    """Work that is due every ``interval`` seconds, next at ``due`` (monotonic).

    ``action`` is given the seconds that it is behind. A timer that is late skips the turns that
    it missed and keeps its rhythm.
    """

    interval: float
    due: float
    action: Callable[[float], None]
    cancelled: bool = False


class Timers:
    """Calls the actions of timers when they are due.

    Parameters
    ----------
    monotonic : callable
        Seconds that never jump.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        # The number keeps timers of the same moment in the order in which they were set.
        self._order: list[tuple[float, int, Timer]] = []
        self._numbers = itertools.count()
        self._sleep: asyncio.Future[None] | None = None
        self._running: set[asyncio.Task[None]] = set()
        self._runner: asyncio.Task[None] | None = None
        self._stopped = False

    def add(
        self, interval: float, phase: float, action: Callable[[float], None], grid: float = 0.0
    ) -> Timer:
        """Set a timer that is due first ``phase`` seconds from now.

        Parameters
        ----------
        interval : float
            Seconds, above 0.
        phase : float
            Seconds, 0 or more.
        action : callable
            Called inside the event loop; must not block.
        grid : float
            It is due at the next multiple of this, together with others; 0: at its very time.
        """
        due = self._monotonic() + phase
        if grid:
            due = math.ceil(due / grid) * grid
        timer = Timer(interval, due, action)
        self._push(timer)
        return timer

    def every(self, seconds: float, job: Callable[[], Awaitable[None] | None], name: str) -> Timer:
        """Run a job every so many seconds, plain or asynchronous, never twice at a time."""
        task: asyncio.Task[None] | None = None

        async def run() -> None:
            try:
                waiting = job()
                if waiting is not None:
                    await waiting
            except Exception:
                log.exception("%s failed; it is tried again", name)

        def turn(_lag: float) -> None:
            nonlocal task
            if task is None or task.done():
                task = asyncio.get_running_loop().create_task(run(), name=name)
                self._running.add(task)
                task.add_done_callback(self._running.discard)

        return self.add(seconds, seconds, turn)

    @staticmethod
    def cancel(timer: Timer) -> None:
        """Never call its action again."""
        timer.cancelled = True

    async def run(self) -> None:
        """Call what is due, until :meth:`stop`."""
        self._runner = asyncio.current_task()
        while not self._stopped:
            if self.call_due(ACTIONS_AT_ONCE) == ACTIONS_AT_ONCE:
                await asyncio.sleep(0)
                continue
            while self._order and self._order[0][2].cancelled:
                heapq.heappop(self._order)
            until_next = self._order[0][0] - self._monotonic() if self._order else None
            await self._wait(until_next)

    def call_due(self, most: int = sys.maxsize) -> int:
        """Call once the action of every timer that is due now, ``most`` at most.

        Returns
        -------
        int
            How many were called.
        """
        now = self._monotonic()
        called = 0
        while called < most and self._order and self._order[0][0] <= now:
            timer = heapq.heappop(self._order)[2]
            if timer.cancelled:
                continue
            lag = now - timer.due
            timer.due += (int(lag // timer.interval) + 1) * timer.interval
            self._push(timer)
            try:
                timer.action(lag)
            except Exception:
                log.exception("a timer's action failed")
            called += 1
        return called

    async def stop(self, *, finish: bool = False) -> None:
        """Call nothing any more.

        Parameters
        ----------
        finish : bool
            Let the jobs under way end, instead of cancelling them.
        """
        self._stopped = True
        self._order.clear()
        self._wake()
        if not finish:
            for task in self._running:
                task.cancel()
        ending = {*self._running, *([self._runner] if self._runner else [])}
        if ending:
            await asyncio.wait(ending)

    def _push(self, timer: Timer) -> None:
        if not self._order or timer.due < self._order[0][0]:
            self._wake()
        heapq.heappush(self._order, (timer.due, next(self._numbers), timer))

    async def _wait(self, seconds: float | None) -> None:
        loop = asyncio.get_running_loop()
        self._sleep = loop.create_future()
        handle = None
        if seconds is not None:
            handle = loop.call_later(max(seconds, TICK_SECONDS), self._wake)
        try:
            await self._sleep
        finally:
            self._sleep = None
            if handle is not None:
                handle.cancel()

    def _wake(self) -> None:
        if self._sleep is not None and not self._sleep.done():
            self._sleep.set_result(None)
