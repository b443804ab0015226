"""A Modbus TCP server of one site or several, with the faults of their networks."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

from simulator.engine import Simulator
from simulator.faults import SlowParams

_READ = (3, 4)
_WRITE = 16
_ILLEGAL_FUNCTION, _ILLEGAL_ADDRESS, _FAILURE, _NO_TARGET = 1, 2, 4, 11
_MOST_REGISTERS = 125
_RUBBISH = b"HTTP/1.1 502 Bad Gateway\r\n\r\n"


class Units(Protocol):
    """The units behind one address."""

    def registers(self, unit: int, address: int, count: int) -> Mapping[int, int] | None:
        """Registers of a unit by address, at least those asked for that it has; None where the
        unit does not exist."""


@runtime_checkable
class SettableUnits(Units, Protocol):
    """Units of which registers can be set."""

    def write(self, unit: int, address: int, words: Sequence[int]) -> int:
        """Set registers; returns a Modbus exception code, 0 where they are set."""


class ModbusServer:
    """Serves the units of one site.

    Parameters
    ----------
    simulator : Simulator
        Advanced to now before each reply.
    site : str
    units : Units
    others : sequence of (str, Units)
        Further sites behind the same address, as behind a gateway, with units of their own.
    """

    def __init__(
        self,
        simulator: Simulator,
        site: str,
        units: Units,
        others: Sequence[tuple[str, Units]] = (),
    ) -> None:
        self._simulator = simulator
        self._sites = [(site, units), *others]
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> int:
        """Listen, on a free port for 0; returns the port."""
        self._server = await asyncio.start_server(self._accept, host, port)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Stop listening and drop every open connection."""
        if self._server is not None:
            self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._server is not None:
            await self._server.wait_closed()
            self._server = None

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            while await self._serve(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        except asyncio.CancelledError:
            # Only stop() cancels; asyncio.streams would log the cancellation as an error.
            pass
        finally:
            writer.transport.abort()
            self._tasks.discard(task)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; whether the connection goes on."""
        head = await reader.readexactly(7)
        transaction, protocol, length, unit = struct.unpack(">HHHB", head)
        if protocol != 0 or not 2 <= length <= 254:
            return False
        body = await reader.readexactly(length - 1)
        site = self._site_of(unit)
        faults = {a.fault: a.params for a in self._simulator.faults_of(site)}
        if "offline" in faults:
            return False
        if "hang" in faults:
            await reader.read()
            return False
        slow = faults.get("slow")
        if isinstance(slow, SlowParams):
            await asyncio.sleep(slow.seconds)
        self._simulator.advance()
        data = self._fail(body[0], _FAILURE) if "http_500" in faults else self._answer(unit, body)
        reply = struct.pack(">HHHB", transaction, 0, len(data) + 1, unit) + data
        if "rubbish" in faults:
            reply = _RUBBISH
        elif "truncated" in faults:
            writer.write(reply[: len(reply) * 2 // 3])
            await writer.drain()
            with contextlib.suppress(ConnectionError):
                writer.write_eof()
            return False
        if "trickle" in faults:
            for byte in reply:
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(1.0)
            return True
        writer.write(reply)
        await writer.drain()
        return True

    def _site_of(self, unit: int) -> str:
        known = (site for site, units in self._sites if units.registers(unit, 0, 0) is not None)
        return next(known, self._sites[0][0])

    @staticmethod
    def _fail(function: int, code: int) -> bytes:
        return bytes([function | 0x80, code])

    def _answer(self, unit: int, body: bytes) -> bytes:
        function = body[0]
        if function == _WRITE and len(body) > 6:
            return self._write(unit, body)
        if function not in _READ or len(body) != 5:
            return self._fail(function, _ILLEGAL_FUNCTION)
        address, count = struct.unpack(">HH", body[1:])
        if not 1 <= count <= _MOST_REGISTERS:
            return self._fail(function, 3)
        asked = (units.registers(unit, address, count) for _, units in self._sites)
        registers = next((found for found in asked if found is not None), None)
        if registers is None:
            return self._fail(function, _NO_TARGET)
        wanted = range(address, address + count)
        if any(number not in registers for number in wanted):
            return self._fail(function, _ILLEGAL_ADDRESS)
        words = [registers[number] for number in wanted]
        return struct.pack(f">BB{count}H", function, 2 * count, *words)

    def _write(self, unit: int, body: bytes) -> bytes:
        """Set registers, of a site that takes any."""
        address, count, size = struct.unpack(">HHB", body[1:6])
        if size != 2 * count or len(body) != 6 + size:
            return self._fail(_WRITE, 3)
        words = struct.unpack(f">{count}H", body[6:])
        for _, units in self._sites:
            if isinstance(units, SettableUnits) and units.registers(unit, 0, 0) is not None:
                code = units.write(unit, address, words)
                return self._fail(_WRITE, code) if code else body[:5]
        return self._fail(_WRITE, _ILLEGAL_FUNCTION)
