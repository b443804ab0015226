"""Turns at a worker: a bounded number at once, and a fair order among callers that wait."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator

from exporter.serve.access.usage import MOST_ACCOUNTS, Account, Accounts, OverLimitError


class BusyError(Exception):
    """Too many requests of all callers wait already."""


class Turns:
    """Decides who is next.

    The caller with the fewest requests in work is; among equals the one whose last turn is longest
    ago. So somebody with one request does not wait for all that another caller has waiting.

    Parameters
    ----------
    at_once : int
        In work at a time.
    at_once_of_a_caller : int
    most_waiting : int
    most_waiting_of_a_caller : int
    retry_seconds : float
        When somebody who has too many waiting may come again.
    """

    def __init__(
        self,
        at_once: int,
        at_once_of_a_caller: int,
        most_waiting: int,
        most_waiting_of_a_caller: int,
        retry_seconds: float,
    ) -> None:
        self._at_once, self._of_a_caller = at_once, at_once_of_a_caller
        self._most_waiting = most_waiting
        self._most_waiting_of_a_caller = most_waiting_of_a_caller
        self._retry_seconds = retry_seconds
        self._working: Counter[Account] = Counter()
        self._in_work = 0
        self._waiting: dict[asyncio.Future[None], Accounts] = {}
        # The number of the last turn of each account.
        self._turns = itertools.count(1)
        self._last: OrderedDict[Account, int] = OrderedDict()

    @contextlib.asynccontextmanager
    async def turn(self, accounts: Accounts) -> AsyncIterator[None]:
        """Wait for a turn, and hold it.

        Raises
        ------
        BusyError
        OverLimitError
        """
        await self._begin(accounts)
        try:
            yield
        finally:
            self._end(accounts)

    async def _begin(self, accounts: Accounts) -> None:
        self._check_room(accounts)
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[future] = accounts
        self._next()
        try:
            await future
        except asyncio.CancelledError:
            if self._waiting.pop(future, None) is None:
                # Its turn came in the same moment.
                self._end(accounts)
            raise

    def _end(self, accounts: Accounts) -> None:
        self._in_work -= 1
        self._working -= Counter(accounts)
        self._next()

    def _check_room(self, accounts: Accounts) -> None:
        waiting = Counter(account for held in self._waiting.values() for account in held)
        for account in accounts:
            if waiting[account] >= self._most_waiting_of_a_caller * account.share:
                raise OverLimitError(
                    f"{waiting[account]} requests like this one wait already",
                    self._retry_seconds,
                )
        if len(self._waiting) >= self._most_waiting:
            raise BusyError

    def _next(self) -> None:
        """Give turns to those who may have one."""
        while self._in_work < self._at_once:
            best, first = None, (float(self._of_a_caller), 0)
            for future, accounts in self._waiting.items():
                held = max((self._working[a] / a.share for a in accounts), default=-1.0)
                rank = (held, max((self._last.get(a, 0) for a in accounts), default=0))
                if held < self._of_a_caller and rank < first:
                    best, first = future, rank
            if best is None:
                return
            accounts = self._waiting.pop(best)
            self._in_work += 1
            self._working.update(accounts)
            self._note(accounts)
            if not best.done():
                best.set_result(None)

    def _note(self, accounts: Accounts) -> None:
        number = next(self._turns)
        for account in accounts:
            self._last[account] = number
            self._last.move_to_end(account)
        while len(self._last) > MOST_ACCOUNTS:
            self._last.popitem(last=False)
