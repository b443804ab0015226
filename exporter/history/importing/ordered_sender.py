"""Batches to InfluxDB, a few at a time, in an order that can be acknowledged."""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable

from exporter.model.levels import RAW
from exporter.store.target import (
    NotAllowedError,
    RefusedError,
    RetryLaterError,
    Target,
    wait_seconds,
)

AT_ONCE = 3
PATIENCE_SECONDS = 900.0


class GaveUpError(Exception):
    """InfluxDB has not taken anything for a quarter of an hour."""


class Sender:
    """Sends batches until they are taken.

    Parameters
    ----------
    target : Target
    note : callable
        Takes a sentence for the person who waits.
    policy : str
        Retention policy, or last part of the bucket's name.
    """

    def __init__(self, target: Target, note: Callable[[str], None], policy: str = RAW) -> None:
        self.refusals: list[str] = []
        self._target = target
        self._policy = policy
        self._note = note
        self._rng = random.Random()  # noqa: S311 - jitter, not a secret
        self._under_way: deque[asyncio.Task[int]] = deque()

    async def prepare(self) -> None:
        """Create the database or buckets where they are absent.

        Raises
        ------
        GaveUpError
        """
        try:
            await self._patiently(self._target.prepare)
        except NotAllowedError as error:
            self._note(f"databases and retention must exist already: {error}")

    async def send(self, body: bytes, points: int) -> list[int]:
        """Start sending a batch; waits while too many are under way.

        Returns
        -------
        list of int
            For each batch that was settled meanwhile, oldest first, the points that were refused.

        Raises
        ------
        GaveUpError
        """
        settled = []
        while len(self._under_way) >= AT_ONCE:
            settled.append(await self._under_way[0])
            self._under_way.popleft()
        self._under_way.append(asyncio.create_task(self._one(body, points)))
        return settled

    async def drain(self) -> list[int]:
        """Wait for all that are under way; as :meth:`send`."""
        settled = []
        while self._under_way:
            settled.append(await self._under_way[0])
            self._under_way.popleft()
        return settled

    async def close(self) -> None:
        """Stop what is under way, and close connections."""
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)
        await self._target.close()

    async def _one(self, body: bytes, points: int) -> int:
        try:
            await self._patiently(lambda: self._target.write(body, self._policy))
        except RefusedError as error:
            refused = points if error.left_out is None else min(error.left_out, points)
            self.refusals.append(str(error))
            return refused
        return 0

    async def _patiently(self, attempt: Callable[[], Awaitable[None]]) -> None:
        failures, began = 0, time.monotonic()
        while True:
            try:
                await attempt()
            except RetryLaterError as error:
                failures += 1
                if failures == 1:
                    self._note(f"InfluxDB does not take points, waiting: {error}")
                if time.monotonic() - began > PATIENCE_SECONDS:
                    raise GaveUpError(str(error)) from error
                await asyncio.sleep(wait_seconds(failures, error.after, self._rng))
            else:
                return
