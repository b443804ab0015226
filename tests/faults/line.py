"""A TCP line between a driver and its peer that fails on command, whatever runs over it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from enum import StrEnum

GARBAGE = bytes(range(255, -1, -1)) * 4


class Trouble(StrEnum):
    """What the line does."""

    NONE = "none"
    HANG = "hang"
    """Connections are taken and nothing is passed on."""
    REFUSE = "refuse"
    """Nobody listens."""
    GARBAGE = "garbage"
    """In the stead of an answer come bytes of no protocol."""
    HALF = "half a reply"
    """Every answer ends in the middle, and with it the connection."""
    SLOW = "slow"
    """Answers come some bytes at a time."""


@dataclass(slots=True)
class Line:
    """Listens on a free loopback port and passes on to ``peer``.

    A change of trouble ends the connections that are open.
    """

    peer: int
    port: int = 0
    _trouble: Trouble = Trouble.NONE
    _server: asyncio.Server | None = None
    _open: set[asyncio.Task[None]] = field(default_factory=set)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Line]:
        """Until the block ends."""
        await self._listen()
        try:
            yield self
        finally:
            await self._close()

    async def set(self, trouble: Trouble) -> None:
        """Be in trouble from now on."""
        self._trouble = trouble
        await self._close()
        if trouble is not Trouble.REFUSE:
            await self._listen()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await self._pass_on(reader, writer)
        except asyncio.CancelledError:
            # Swallowed: the server's own callback would report it as a fault.
            pass
        finally:
            self._open.discard(task)
            writer.transport.abort()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._trouble is Trouble.HANG:
            await reader.read()
        if self._trouble is Trouble.GARBAGE:
            await reader.read(1)
            writer.write(GARBAGE)
            await writer.drain()
            return
        there, back = await asyncio.open_connection("127.0.0.1", self.peer)
        asking = asyncio.create_task(_copy(reader, back))
        try:
            if self._trouble is Trouble.HALF:
                answer = await there.read(65536)
                # Most of a long answer, so that its head is whole.
                writer.write(answer[: max(len(answer) // 2, len(answer) - 8)])
                await writer.drain()
            elif self._trouble is Trouble.SLOW:
                while block := await there.read(64):
                    writer.write(block)
                    await asyncio.sleep(0.001)
            else:
                await _copy(there, writer)
        finally:
            asking.cancel()
            back.transport.abort()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while block := await reader.read(65536):
        writer.write(block)
        await writer.drain()
    writer.write_eof()
