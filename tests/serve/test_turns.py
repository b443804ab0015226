"""Turns at a worker: bounded, fair among callers, and given back whatever happens."""

from __future__ import annotations

import asyncio

import pytest

from exporter.serve.access.usage import Account, Accounts, OverLimitError
from exporter.serve.turns import BusyError, Turns

A, B = (Account("address a"),), (Account("address b"),)
C = (Account("address c"), Account("user c"))


class Work:
    """Requests that hold a turn until they are told to end; ``order`` is that of their turns."""

    def __init__(self, turns: Turns) -> None:
        self.turns = turns
        self.order: list[str] = []
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self.ends: dict[str, asyncio.Event] = {}

    async def ask(self, name: str, accounts: Accounts) -> None:
        self.ends[name] = asyncio.Event()
        self.tasks[name] = asyncio.create_task(self._hold(name, accounts))
        await asyncio.sleep(0)

    async def _hold(self, name: str, accounts: Accounts) -> None:
        async with self.turns.turn(accounts):
            self.order.append(name)
            await self.ends[name].wait()

    async def end(self, name: str) -> None:
        assert name in self.order
        self.ends[name].set()
        await self.tasks[name]
        await asyncio.sleep(0)


def turns(**changed: int) -> Turns:
    limits = {"at_once": 2, "at_once_of_a_caller": 1, "most_waiting": 6}
    return Turns(**(limits | {"most_waiting_of_a_caller": 4, "retry_seconds": 10} | changed))


async def test_somebody_with_one_request_does_not_wait_for_a_crowd() -> None:
    work = Work(turns(at_once=1))
    for n in range(4):
        await work.ask(f"a{n}", A)
    await work.ask("b", B)
    for name in ("a0", "b", "a1", "a2", "a3"):
        assert work.order[-1] == name
        await work.end(name)


async def test_one_caller_leaves_a_place_for_others() -> None:
    work = Work(turns())
    for n in range(3):
        await work.ask(f"a{n}", A)
    assert work.order == ["a0"]
    await work.ask("c", C)
    assert work.order == ["a0", "c"]
    await work.ask("c2", (Account("address elsewhere"), Account("user c")))
    await work.end("c")
    # The user's second request comes from another address and has its turn now.
    assert work.order == ["a0", "c", "c2"]
    for name in ("a0", "c2", "a1", "a2"):
        await work.end(name)
    assert work.order[-2:] == ["a1", "a2"]


async def test_what_waits_is_bounded_by_caller_and_in_all() -> None:
    work = Work(turns(at_once=1))
    for n in range(5):
        await work.ask(f"a{n}", A)
    with pytest.raises(OverLimitError) as refused:
        await work.turns._begin(A)
    assert refused.value.retry_seconds == 10
    await work.ask("b0", B)
    await work.ask("b1", B)
    with pytest.raises(BusyError):
        await work.turns._begin(C)
    for task in work.tasks.values():
        task.cancel()
    await asyncio.gather(*work.tasks.values(), return_exceptions=True)
    assert (work.turns._in_work, work.turns._waiting, +work.turns._working) == (0, {}, {})


async def test_a_turn_that_is_not_wanted_any_more_goes_to_the_next() -> None:
    work = Work(turns(at_once=1))
    for name, accounts in (("a", A), ("b", B), ("c", C)):
        await work.ask(name, accounts)
    # B leaves in the very moment in which its turn comes.
    work.ends["a"].set()
    await work.tasks["a"]
    work.tasks["b"].cancel()
    await asyncio.gather(work.tasks["b"], return_exceptions=True)
    await asyncio.sleep(0)
    assert work.order[-1] == "c"
    await work.end("c")
    assert work.turns._in_work == 0
