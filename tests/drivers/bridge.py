"""A real listener with the manners of the Venus HTTP bridge, for the driver's tests.

HTTP/1.0, one request at a time, no Content-Length, the connection closed after each reply, and
404 bodies that hold a null value. It records every request, and misbehaves where it is told to.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from exporter.drivers.base import DriverContext, Endpoint
from exporter.drivers.transport import Transports
from exporter.drivers.transport.http.json_client import HttpClient
from exporter.drivers.transport.http.site_client import HttpTransport
from exporter.drivers.venus.http_driver import VenusHttpDriver, VenusHttpOptions

PREFIX = "com.victronenergy."
SYSTEM = PREFIX + "system"
BATTERY = PREFIX + "battery.ttyO0"
VEBUS = PREFIX + "vebus.ttyO1"
GRID = PREFIX + "grid.meter_30"
PVINVERTER = PREFIX + "pvinverter.meter_32"
CHARGER = PREFIX + "solarcharger.ttyO2"

Manner = Callable[[asyncio.StreamReader, asyncio.StreamWriter, bytes], Awaitable[None]]
HEAD = b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n"


@dataclass(slots=True)
class Request:
    """One request: what it asked for (``services`` or a service's name)."""

    asked: str
    target: str


@dataclass(slots=True)
class Bridge:
    """Serves trees. ``manners`` maps what is asked for to how it answers instead; ``leaves`` has
    single values by path."""

    trees: dict[str, dict[str, Any]]
    services: list[str] | None = None
    manners: dict[str, Manner] = field(default_factory=dict)
    leaves: dict[str, Any] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    overlaps: int = 0
    _idle: asyncio.Event = field(default_factory=asyncio.Event)
    url: str = ""
    _open: int = 0
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Bridge]:
        """Listen on a free port of the loopback until the block ends."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/site"
        try:
            yield self
        finally:
            server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await server.wait_closed()

    def asked(self) -> list[str]:
        """What was asked for since the last call, in order."""
        asked = [request.asked.removeprefix(PREFIX) for request in self.requests]
        self.requests.clear()
        return asked

    async def idle(self) -> None:
        """Wait until it has noticed that a client gave up."""
        if self._open:
            self._idle.clear()
            await self._idle.wait()

    def rename(self, old: str, new: str) -> None:
        """Move a device to another port: its service gets another name."""
        self.trees[new] = self.trees.pop(old)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._open += 1
        self.overlaps += self._open > 1
        try:
            async with self._turn:
                await self._answer(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            # Before the client can see the end of the reply and come again.
            self._open -= 1
            if not self._open:
                self._idle.set()
            self._tasks.discard(task)
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        target = head.split()[1]
        parts = urlsplit(target)
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        path = parts.path.removeprefix("/site")
        asked = query.get("service", "") if path == "/value" else path.lstrip("/")
        self.requests.append(Request(asked, target))
        status, body = self._reply(path, query)
        if asked in self.manners:
            await self.manners[asked](reader, writer, body)
            return
        writer.write(HEAD.replace(b"200 OK", status) + body)
        await writer.drain()

    def _reply(self, path: str, query: dict[str, str]) -> tuple[bytes, bytes]:
        if path == "/services":
            named = sorted(self.trees) if self.services is None else self.services
            return b"200 OK", encoded({"services": named, "count": len(named), "success": True})
        if path != "/value":
            return b"404 Not Found", encoded({"error": "Not found", "success": False})
        service, wanted = query.get("service", ""), query.get("path", "")
        if wanted in self.leaves:
            found = {"service": service, "path": wanted, "value": self.leaves[wanted]}
            return b"200 OK", encoded(found | {"success": True})
        tree = self.trees.get(service)
        if tree is None or wanted != "/":
            error = f"Path {wanted} not available on {service}"
            missing = {"service": service, "path": wanted, "value": None, "error": error}
            return b"404 Not Found", encoded(missing | {"success": False})
        found = {"service": service, "path": wanted, "value": tree, "success": True}
        return b"200 OK", encoded(found)


def encoded(document: Any) -> bytes:
    """A document as the bridge writes it, bare Infinity and all."""
    return json.dumps(document, indent=2).encode()


def sends(raw: bytes) -> Manner:
    """Sends these bytes, then closes."""

    async def manner(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, body: bytes
    ) -> None:
        writer.write(raw)
        await writer.drain()

    return manner


def answers(status: str, body: bytes = b"", *headers: str) -> Manner:
    """Answers with a status, headers and a body of its own."""
    head = "\r\n".join([f"HTTP/1.0 {status}", *headers])
    return sends(head.encode() + b"\r\n\r\n" + body)


def replies(document: Any) -> Manner:
    """Answers 200 with this document."""
    return sends(HEAD + encoded(document))


def cut_at(length: int) -> Manner:
    """Sends only so many bytes of the body."""

    async def manner(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, body: bytes
    ) -> None:
        writer.write(HEAD + body[:length])
        await writer.drain()

    return manner


def hangs_after(raw: bytes) -> Manner:
    """Sends these bytes, then nothing more, until the client gives up."""

    async def manner(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, body: bytes
    ) -> None:
        writer.write(raw)
        await writer.drain()
        await reader.read()

    return manner


async def one_byte_at_a_time(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, body: bytes
) -> None:
    """Sends the whole reply in single bytes."""
    for byte in HEAD + body:
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(0)


async def resets(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, body: bytes) -> None:
    """Resets the connection in the middle of the body."""
    writer.write(HEAD + body[: len(body) // 2])
    await writer.drain()
    await asyncio.sleep(0.02)
    raw = writer.transport.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    writer.transport.abort()


@contextlib.contextmanager
def listener_that_never_accepts() -> Iterator[str]:
    """Address of a listener whose queue is full, so that connecting hangs."""
    with contextlib.ExitStack() as opened:
        full = opened.enter_context(socket.socket())
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(4):
            waiting = opened.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        yield f"http://127.0.0.1:{full.getsockname()[1]}"


def unused_url() -> str:
    """Address on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


@dataclass(slots=True)
class Clock:
    """A clock that the test moves."""

    seconds: float = 1000.0
    epoch: float = 1_700_000_000.0

    def monotonic(self) -> float:
        return self.seconds

    def wall(self) -> float:
        return self.epoch + self.seconds

    def advance(self, seconds: float) -> None:
        self.seconds += seconds


@contextlib.asynccontextmanager
async def driver_for(
    url: str, clock: Clock | None = None, *, site: str = "alpha", **options: Any
) -> AsyncIterator[VenusHttpDriver]:
    """The driver of one site at an address, over the service's own kind of session."""
    clock = clock or Clock()
    async with HttpClient() as http:
        context = DriverContext(Transports(HttpTransport(http)), clock.wall, clock.monotonic)
        endpoint = Endpoint(site, url, VenusHttpOptions(**options))
        yield VenusHttpDriver.open(endpoint, context)
        # Connections that were given up close in the next turns of the loop.
        await asyncio.sleep(0.01)


def site_trees() -> dict[str, dict[str, Any]]:
    """A site with battery, Multi, grid meter, PV inverter and solar charger."""
    return copy.deepcopy(_SITE)


_SITE: dict[str, dict[str, Any]] = {
    SYSTEM: {
        "Serial": "c0619ab00001",
        "SystemType": "ESS",
        "ActiveBatteryService": "com.victronenergy.battery/256",
        "ActiveBmsService": [],
        "VebusService": VEBUS,
        "Dc/Battery/BatteryService": BATTERY,
        "Dc/Battery/Soc": 74.0,
        "Dc/Battery/Voltage": 52.4,
        "Dc/Battery/Current": -10.0,
        "Dc/Battery/Power": -524.0,
        "Dc/Battery/Temperature": 21.0,
        "Dc/Battery/Capacity": 200.0,
        "Dc/Pv/Power": 900.0,
        "Ac/Grid/L1/Power": 100.0,
        "Ac/Grid/L2/Power": -30.0,
        "Ac/Grid/L3/Power": 7.5,
        "Ac/Genset/L1/Power": [],
        "Ac/Consumption/L1/Power": 400.0,
        "Ac/Consumption/L2/Power": 200.0,
        "Ac/Consumption/L3/Power": [],
        "Ac/PvOnGrid/L1/Power": 10.0,
        "Ac/PvOnGrid/L2/Power": 20.0,
        "Ac/PvOnOutput/L1/Power": 300.0,
        "Ac/PvOnGenset/L3/Power": 4000.0,
        "Pv/Disable": 0,
        "SystemState/State": 256,
        "ServiceMapping/com_victronenergy_battery_256": BATTERY,
        "ServiceMapping/com_victronenergy_vebus_257": VEBUS,
        "ServiceMapping/com_victronenergy_grid_30": GRID,
        "ServiceMapping/com_victronenergy_pvinverter_32": PVINVERTER,
        "ServiceMapping/com_victronenergy_solarcharger_258": CHARGER,
    },
    BATTERY: {
        "DeviceInstance": 256,
        "Soc": 75.0,
        "Soh": 95.0,
        "Dc/0/Voltage": 52.5,
        "Dc/0/Current": -10.5,
        "Dc/0/Power": -551.0,
        "Dc/0/Temperature": 22.0,
        "System/MinCellVoltage": 3.28,
        "System/MaxCellVoltage": 3.31,
        "System/MinVoltageCellId": "0101",
        "System/MaxVoltageCellId": "0203",
        "System/NrOfModulesOnline": 2,
        "TimeToGo": 864000,
        "Alarms/LowVoltage": 0,
        "Alarms/HighTemperature": 1,
    },
    VEBUS: {
        "DeviceInstance": 257,
        "Ac/NumberOfPhases": 1,
        "Ac/ActiveIn/ActiveInput": 0,
        "Ac/ActiveIn/Connected": 1,
        "Ac/ActiveIn/L1/F": 50.02,
        "Ac/ActiveIn/L1/V": 231.0,
        "Ac/ActiveIn/L2/F": [],
        "Ac/ActiveIn/L2/V": [],
        "Alarms/GridLost": 0,
        "Alarms/L1/Overload": 2,
        "VebusError": 0,
    },
    GRID: {
        "DeviceInstance": 30,
        "Ac/Power": 77.5,
        "Ac/Frequency": 49.9,
        "Ac/L1/Voltage": 230.0,
        "Ac/L2/Voltage": 232.0,
        "Ac/L3/Voltage": 237.0,
        "Ac/Energy/Forward": 1234.5,
        "Ac/Energy/Reverse": 99.25,
        "ErrorCode": 0,
    },
    PVINVERTER: {"DeviceInstance": 32, "Ac/Power": 4330.0, "ErrorCode": 0},
    CHARGER: {
        "DeviceInstance": 258,
        "Yield/Power": 900.0,
        "Alarms/HighVoltage": 1,
        "ErrorCode": 17,
    },
}
