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
    TWICE = "twice"
    """Everything comes two times."""
    FLOOD = "flood"
    """Every answer comes over and over, without an end."""


@dataclass(slots=True)
class Line:
    """Listens on a free loopback port and passes on to ``peer``.

    A change of trouble ends the connections that are open. It damages answers, or else requests.
    """

    peer: int
    port: int = 0
    damages_requests: bool = False
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
        if self._trouble is Trouble.GARBAGE and not self.damages_requests:
            await reader.read(1)
            writer.write(GARBAGE)
            await writer.drain()
            return
        there, back = await asyncio.open_connection("127.0.0.1", self.peer)
        damaged, whole = ((there, writer), (reader, back))
        if self.damages_requests:
            damaged, whole = whole, damaged
        passing = asyncio.create_task(_copy(*whole))
        try:
            await self._damage(*damaged)
            if self.damages_requests and self._trouble is not Trouble.HALF:
                await passing
        finally:
            passing.cancel()
            back.transport.abort()

    async def _damage(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        match self._trouble:
            case Trouble.GARBAGE:
                await reader.read(65536)
                writer.write(GARBAGE)
                await writer.drain()
            case Trouble.HALF:
                block = await reader.read(65536)
                # Most of a long block, so that its head is whole.
                writer.write(block[: max(len(block) // 2, len(block) - 8)])
                await writer.drain()
            case Trouble.SLOW:
                while block := await reader.read(64):
                    writer.write(block)
                    await asyncio.sleep(0.001)
            case Trouble.TWICE:
                while block := await reader.read(65536):
                    writer.write(block + block)
                    await writer.drain()
            case Trouble.FLOOD:
                block = await reader.read(65536)
                while not writer.is_closing():
                    writer.write(block)
                    await writer.drain()
                    await asyncio.sleep(0)
            case _:
                await _copy(reader, writer)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while block := await reader.read(65536):
        writer.write(block)
        await writer.drain()
    writer.write_eof()
