"""Modbus TCP peers on real sockets: pymodbus's server, and a listener that misbehaves."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

Registers = Mapping[int, int]
Manner = Callable[[asyncio.StreamReader, asyncio.StreamWriter, bytes], Awaitable[None]]


def simulated(unit: int, registers: Registers) -> SimDevice:
    """A unit with holding registers at some addresses, and none between them."""
    data = [
        SimData(address, values=[value & 0xFFFF], datatype=DataType.REGISTERS)
        for address, value in sorted(registers.items())
    ]
    return SimDevice(unit, simdata=data)


@contextlib.asynccontextmanager
async def pymodbus_server(units: Mapping[int, Registers], port: int = 0) -> AsyncIterator[int]:
    """Serve units by pymodbus on the loopback; gives the port."""
    devices = [simulated(unit, registers) for unit, registers in units.items()]
    server = ModbusTcpServer(devices, address=("127.0.0.1", port))
    await server.listen()
    try:
        assert server.transport is not None
        yield int(server.transport.sockets[0].getsockname()[1])
    finally:
        await server.shutdown()


@dataclass(slots=True)
class RawModbus:
    """A listener that answers by ``manner``; ``requests`` has the frames that it got."""

    manner: Manner
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0
    port: int = 0
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[RawModbus]:
        """Listen on a free port of the loopback until the block ends."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        try:
            while True:
                request = await reader.readexactly(12)
                self.requests.append(request)
                await self.manner(reader, writer, request)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        except asyncio.CancelledError:
            writer.transport.abort()
        finally:
            self._tasks.discard(task)
            writer.close()


def reply_to(request: bytes, *, transaction: int | None = None, unit: int | None = None) -> bytes:
    """A right reply: registers that hold their own addresses."""
    asked, _, _, asked_unit, function, address, count = struct.unpack(">HHHBBHH", request)
    body = struct.pack(f">BB{count}H", function, 2 * count, *range(address, address + count))
    head = (asked if transaction is None else transaction, 0, len(body) + 1)
    return struct.pack(">HHHB", *head, asked_unit if unit is None else unit) + body


def says(make: Callable[[bytes], bytes]) -> Manner:
    """Answers each request with the bytes that ``make`` gives for it."""

    async def manner(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes
    ) -> None:
        writer.write(make(request))
        await writer.drain()

    return manner


def says_and_closes(make: Callable[[bytes], bytes]) -> Manner:
    """Answers, and closes the connection."""

    async def manner(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes
    ) -> None:
        writer.write(make(request))
        await writer.drain()
        writer.close()

    return manner


async def silent(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes
) -> None:
    """Takes requests and says nothing."""
