"""What was made a moment ago is kept for a minute, and made once for all who wait for it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine

import pytest

from exporter.energy.recent import (
    LIFE_SECONDS,
    MOST_VALUES,
    RecentAnswers,
    cache_status,
    is_hit,
)


class Source:
    """Counts what it is asked, and answers when it is let to."""

    def __init__(self, *, failing: bool = False) -> None:
        self.asked = 0
        self.failing = failing
        self.free = asyncio.Event()
        self.free.set()

    def make(self) -> Coroutine[None, None, int]:
        return self._made()

    async def _made(self) -> int:
        self.asked += 1
        number = self.asked
        await self.free.wait()
        if self.failing:
            raise ValueError("no answer")
        return number


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


async def test_an_answer_lives_for_a_minute() -> None:
    clock = Clock()
    source, kept = Source(), RecentAnswers[int](clock)
    assert await kept.get("a", 1, source.make) == (1, None)
    clock.now += LIFE_SECONDS - 1
    assert await kept.get("a", 1, source.make) == (1, LIFE_SECONDS - 1)
    assert await kept.get("b", 1, source.make) == (2, None)
    clock.now += 1
    assert await kept.get("a", 1, source.make) == (3, None)


async def test_those_who_wait_for_the_same_get_one_answer() -> None:
    source, kept = Source(), RecentAnswers[int](Clock())
    source.free.clear()
    waiting = [asyncio.create_task(kept.get("a", 1, source.make)) for _ in range(5)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    await asyncio.sleep(0)
    source.free.set()
    found = await asyncio.gather(*waiting, return_exceptions=True)
    assert isinstance(found[0], asyncio.CancelledError)
    assert found[1:] == [(1, 0.0)] * 4
    assert source.asked == 1


async def test_what_nobody_waits_for_any_more_ends_and_is_not_kept() -> None:
    source, kept = Source(), RecentAnswers[int](Clock())
    source.free.clear()
    only = asyncio.create_task(kept.get("a", 1, source.make))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    only.cancel()
    with pytest.raises(asyncio.CancelledError):
        await only
    source.free.set()
    assert await kept.get("a", 1, source.make) == (2, None)


async def test_a_failure_is_raised_and_not_kept() -> None:
    source, kept = Source(failing=True), RecentAnswers[int](Clock())
    for number in (1, 2):
        with pytest.raises(ValueError, match="no answer"):
            await kept.get("a", 1, source.make)
        assert source.asked == number


async def test_large_answers_give_way_oldest_first() -> None:
    source, kept = Source(), RecentAnswers[int](Clock())
    for question in "abc":
        await kept.get(question, MOST_VALUES // 2, source.make)
    assert (await kept.get("c", 1, source.make))[1] == 0.0
    assert (await kept.get("b", 1, source.make))[1] == 0.0
    assert (await kept.get("a", 1, source.make))[1] is None


def test_the_header_says_whether_it_was_kept() -> None:
    assert is_hit(cache_status(12.0)) is True
    assert is_hit(cache_status(None)) is False
    assert is_hit("another; hit") is None
