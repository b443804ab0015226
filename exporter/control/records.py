"""Rows on their way to the journal: many callers, one thread that writes, one commit for all that
waits."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from exporter.control.journal import Journal, JournalError, Remembered
from exporter.model.orders import Order, OrderEvent, OrderStatus, drafted
from exporter.model.workers import BlockingCalls

log = logging.getLogger(__name__)

RETRY_SECONDS = 1.0

OnRow = Callable[[OrderStatus, OrderEvent], None]
"""Takes the status after a row, and the row."""


@dataclass(slots=True, eq=False)
class _Entry:
    """Rows that belong together. Without a future nobody waits, and they are never given up."""

    rows: list[tuple[Order, OrderEvent, OrderStatus]]
    request: Remembered | None = None
    committed: asyncio.Future[None] | None = None


class Records:
    """Statuses of open orders, and the journal behind them.

    Each order has one writer: the request that makes it, and its site's control afterwards.

    Parameters
    ----------
    journal : Journal
    on_row : callable
        Called for each row that took effect.

    Attributes
    ----------
    failure : str or None
        Why the journal cannot be written at present.
    """

    def __init__(self, journal: Journal, on_row: OnRow) -> None:
        self._journal = journal
        self._on_row = on_row
        self._waiting: list[_Entry] = []
        self._wake = asyncio.Event()
        self._threads = BlockingCalls(1, "journal")
        self._work: asyncio.Task[None] | None = None
        self._statuses = {status.order.id: status for status in journal.open_orders()}
        self._sequence = journal.next_sequence()
        self.failure: str | None = None

    def start(self) -> None:
        """Begin to write; must be called inside the event loop."""
        self._work = asyncio.create_task(self._run())

    async def stop(self, seconds: float) -> None:
        """Write what waits, and end."""
        try:
            async with asyncio.timeout(seconds):
                while self._waiting:  # noqa: ASYNC110 - at the end of the program, for moments
                    await asyncio.sleep(0.01)
        except TimeoutError:
            log.error("%d rows of the journal of orders were not written", len(self._waiting))
        if self._work is not None:
            self._work.cancel()
            await asyncio.wait({self._work})
        self._journal.close()

    @property
    def open(self) -> list[OrderStatus]:
        """Orders that have not ended or owe a release, in their sequence."""
        return sorted(self._statuses.values(), key=lambda s: s.order.sequence)

    def status(self, order: str) -> OrderStatus | None:
        """The status of an open order."""
        return self._statuses.get(order)

    def take_sequence(self) -> int:
        """The next sequence number."""
        self._sequence += 1
        return self._sequence - 1

    async def make(
        self, orders: Sequence[tuple[Order, Sequence[OrderEvent]]], request: Remembered | None
    ) -> list[OrderStatus]:
        """Write new orders, each with its first rows after ``drafted``; returns once committed.

        Raises
        ------
        JournalError
            None of them was written.
        """
        rows: list[tuple[Order, OrderEvent, OrderStatus]] = []
        found = []
        for order, events in orders:
            first, *rest = events
            status = drafted(order, first.time)
            rows.append((order, first, status))
            for event in rest:
                status = status.after(event)
                rows.append((order, event, status))
            found.append(status)
        await self._commit(rows, request)
        return found

    async def add(self, *events: OrderEvent) -> None:
        """Add rows of open orders; returns once they are committed and in effect.

        Raises
        ------
        JournalError
            None of them was written or took effect.
        """
        await self._commit([self._following(event) for event in events], None)

    def note(self, event: OrderEvent) -> OrderStatus:
        """Let a row take effect now; it is written as soon as the journal can be."""
        row = self._following(event)
        self._waiting.append(_Entry([row]))
        self._take_effect([row])
        self._wake.set()
        return row[2]

    async def remembered(self, issuer: str, key: str, digest: str) -> Mapping[str, Any] | None:
        """See :meth:`Journal.remembered`."""
        return await self._threads.run(self._journal.remembered, issuer, key, digest)

    def _following(self, event: OrderEvent) -> tuple[Order, OrderEvent, OrderStatus]:
        before = self._statuses[event.order]
        return before.order, event, before.after(event)

    async def _commit(
        self, rows: list[tuple[Order, OrderEvent, OrderStatus]], request: Remembered | None
    ) -> None:
        committed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = _Entry(rows, request, committed)
        self._waiting.append(entry)
        self._wake.set()
        # A caller that goes away leaves a row that may be on the disk already.
        await asyncio.shield(committed)

    async def _run(self) -> None:
        while True:
            wait = None if self.failure is None else RETRY_SECONDS
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._wake.wait()
            self._wake.clear()
            if self._waiting:
                batch, self._waiting = self._waiting, []
                await self._write(batch)
            elif self.failure is not None:
                with contextlib.suppress(JournalError):
                    await self._threads.run(self._journal.probe)
                    self.failure = None

    async def _write(self, batch: list[_Entry]) -> None:
        """Commit what waits; one request by itself, so that it fails by itself."""
        groups = _groups(batch)
        for index, entries in enumerate(groups):
            rows = [row for entry in entries for row in entry.rows]
            try:
                await self._threads.run(self._journal.add, rows, entries[0].request)
            except JournalError as error:
                if self.failure is None:
                    log.error("%s", error)
                self.failure = str(error)
                # Rows of one order must not overtake each other.
                self._fail([entry for group in groups[index:] for entry in group], error)
                return
            self.failure = None
            for entry in entries:
                if entry.committed is not None:
                    self._take_effect(entry.rows)
                    if not entry.committed.done():
                        entry.committed.set_result(None)

    def _fail(self, entries: list[_Entry], error: JournalError) -> None:
        """Give up rows that somebody waits for; the others are written later."""
        kept = [entry for entry in entries if entry.committed is None]
        for entry in entries:
            if entry.committed is not None and not entry.committed.done():
                entry.committed.set_exception(error)
        # They are tried again in a while, or with what comes next.
        self._waiting = kept + self._waiting

    def _take_effect(self, rows: list[tuple[Order, OrderEvent, OrderStatus]]) -> None:
        for order, event, status in rows:
            if status.end is None or status.owes_release:
                self._statuses[order.id] = status
            else:
                self._statuses.pop(order.id, None)
            self._on_row(status, event)


def _groups(batch: list[_Entry]) -> list[list[_Entry]]:
    """Entries in order, those with a request alone and the others together."""
    groups: list[list[_Entry]] = []
    for entry in batch:
        alone = entry.request is not None
        if groups and not alone and groups[-1][0].request is None:
            groups[-1].append(entry)
        else:
            groups.append([entry])
    return groups
