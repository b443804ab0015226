"""Keeps what was made of the last 48 hours for a minute: whoever opens the same screen again, or at
the same time, gets it without another question to InfluxDB."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Hashable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

T = TypeVar("T")

CACHE = "fleetscope-energy"
LIFE_SECONDS = 60.0
RECENT_SECONDS = 48 * 3600.0
MOST_VALUES = 1_000_000
"""Numbers that are held at most, some 100 bytes each; the oldest give way."""


@dataclass(slots=True)
class _Kept(Generic[T]):
    made: asyncio.Task[T]
    since: float
    weight: int
    waiting: int = 0


class RecentAnswers(Generic[T]):
    """Answers by question, each made once while it is wanted.

    Parameters
    ----------
    clock : callable, optional
        Seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: OrderedDict[Hashable, _Kept[T]] = OrderedDict()

    async def get(
        self, question: Hashable, weight: int, make: Callable[[], Coroutine[Any, Any, T]]
    ) -> tuple[T, float | None]:
        """The answer, and its age in seconds; None of one that was made for this call.

        Parameters
        ----------
        question : hashable
            With everything that the answer depends on, and who may see it.
        weight : int
            Numbers that the answer holds.
        make : callable
            Makes the answer; what it raises is raised here, and not kept. It is cancelled once
            nobody waits for it any more.
        """
        now = self._clock()
        kept = self._kept.get(question)
        age = None
        if kept is not None and now - kept.since < LIFE_SECONDS and not _failed(kept.made):
            age = now - kept.since
        else:
            self._kept.pop(question, None)
            kept = self._kept[question] = _Kept(asyncio.create_task(make()), now, weight)
            self._trim(now)
        kept.waiting += 1
        try:
            return await asyncio.shield(kept.made), age
        finally:
            kept.waiting -= 1
            if not kept.waiting and not kept.made.done():
                kept.made.cancel()
                if self._kept.get(question) is kept:
                    del self._kept[question]

    def _trim(self, now: float) -> None:
        held = sum(kept.weight for kept in self._kept.values())
        for question, kept in list(self._kept.items()):
            # Ordered by age: the first that may stay ends it.
            if held <= MOST_VALUES and now - kept.since < LIFE_SECONDS:
                return
            held -= kept.weight
            del self._kept[question]


def _failed(made: asyncio.Task[T]) -> bool:
    return made.done() and (made.cancelled() or made.exception() is not None)


def cache_status(age: float | None) -> str:
    """The header Cache-Status (RFC 9211) of an answer of that age; None is one made anew."""
    if age is None:
        return f"{CACHE}; fwd=miss; stored"
    return f"{CACHE}; hit; ttl={LIFE_SECONDS - age:.0f}"


def is_hit(header: str) -> bool | None:
    """Whether a header says that an answer was kept; None where it is not of this cache."""
    name, _, rest = header.partition(";")
    return "hit" in rest.split(";")[0] if name.strip() == CACHE else None
