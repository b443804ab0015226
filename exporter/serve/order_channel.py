"""The server's way to the dispatcher, which runs in the process that polls."""

from __future__ import annotations

import asyncio
import itertools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fastapi import HTTPException

from exporter.control.journal import JournalReader
from exporter.control.order_views import OrderBook
from exporter.control.requests import ControlRequest, DispatchOffError
from exporter.serve.messages import OrderAnswer, OrderCommand

ANSWER_SECONDS = 30.0


class OrderChannel:
    """Sends requests for orders, and reads the journal.

    Parameters
    ----------
    send : callable or None
        Sends a message to the collector; None where there is none.
    book : callable
        Open orders as they were published last; None where there is no dispatcher.
    journal : Path or None
        File of the journal.
    second_look_w : float
        Power of an order above which the page asks for a confirmation that is typed.
    """

    def __init__(
        self,
        send: Callable[[OrderCommand], None] | None = None,
        book: Callable[[], OrderBook | None] = lambda: None,
        journal: Path | None = None,
        second_look_w: float = math.inf,
    ) -> None:
        self.second_look_w = second_look_w
        self._send = send
        self._book = book
        self._reader = JournalReader(journal) if journal is not None else None
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[OrderAnswer]] = {}

    def book(self) -> OrderBook:
        """Open orders as they were published last."""
        return self._book() or OrderBook("off")

    @property
    def reader(self) -> JournalReader:
        """The journal.

        Raises
        ------
        HTTPException
            404 where there is none.
        """
        if self._reader is None:
            detail = "there is no journal of orders: FLEETSCOPE_DISPATCH_JOURNAL is not set"
            raise HTTPException(404, detail)
        return self._reader

    async def ask(self, request: ControlRequest) -> dict[str, Any]:
        """The dispatcher's answer.

        Raises
        ------
        HTTPException
            As the dispatcher refuses it, and 504 where it does not answer in time; then it may
            still carry the request out, and the same Idempotency-Key finds out.
        """
        if self._send is None:
            raise HTTPException(403, str(DispatchOffError()))
        number = next(self._numbers)
        future: asyncio.Future[OrderAnswer] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        try:
            self._send(OrderCommand(number, request))
            async with asyncio.timeout(ANSWER_SECONDS):
                answer = await future
        except TimeoutError:
            detail = "the dispatcher does not answer; ask again with the same Idempotency-Key"
            raise HTTPException(504, detail) from None
        finally:
            del self._waiting[number]
        if answer.status != 200:
            raise HTTPException(answer.status, str(answer.body.get("detail", "")))
        return answer.body

    def take(self, answer: OrderAnswer) -> None:
        """Take an answer from the collector."""
        future = self._waiting.get(answer.number)
        if future is not None and not future.done():
            future.set_result(answer)
