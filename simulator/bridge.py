"""The HTTP bridge of many sites on one port, with the manners of the real one.

A site's bridge answers HTTP/1.0 without Content-Length, closes after each reply, serves one request
at a time and knows no difference between a path that does not exist and one that failed.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from http import HTTPStatus
from typing import Any, Protocol
from urllib.parse import parse_qs, urlsplit

import orjson
from pydantic import ValidationError

from simulator import companions, openems
from simulator.devices import SiteBus
from simulator.devices.names import VRM_ROOT, Tree
from simulator.engine import Simulator
from simulator.faults import SlowParams
from simulator.vrm import VrmPortal

VERSION = "3.2.0"
MAX_REQUEST = 65536
HANG_LIMIT_SECONDS = 3600.0
TICK_SECONDS = 5.0

RUBBISH = b"<html><head><title>502 Bad Gateway</title></head><body>\xff\xfe\x00 \x80\x81 nginx"

ENDPOINTS = {
    "GET /": "API information",
    "GET /health": "Health check with uptime",
    "GET /services": "List all Victron dbus services",
    "GET /value?service=X&path=Y": "Get value from specific dbus path",
    "GET /text?service=X&path=Y": "Get text representation of value",
}


class Reply(Exception):  # noqa: N818
    """A finished reply: status, body and its type."""

    def __init__(self, status: int, body: bytes, kind: str = "application/json") -> None:
        super().__init__(status)
        self.status = status
        self.body = body
        self.kind = kind


@dataclass(frozen=True)
class Request:
    """A request to the bridge of one site; ``route`` is without the site's prefix."""

    site: str
    method: str
    route: str
    query: str
    body: bytes


def reply(data: object, status: int = 200) -> Reply:
    """A JSON reply, indented by two as the bridge does."""
    return Reply(status, orjson.dumps(data, option=orjson.OPT_INDENT_2))


def failure(message: str, status: int) -> Reply:
    """The bridge's own form of an error."""
    return reply({"error": message, "success": False}, status)


class BridgeServer:
    """Serves every site of a simulator under ``/<site id>`` and the control at ``/_control``.

    Parameters
    ----------
    simulator : Simulator
        The sites; each request first advances it to now.
    portal : VrmPortal or None
        What answers under ``/v2``.
    """

    def __init__(self, simulator: Simulator, portal: VrmPortal | None = None) -> None:
        self.simulator = simulator
        self._portal = portal
        self._server: asyncio.Server | None = None
        self._locks: dict[str, asyncio.Lock] = {}
        self._buses: dict[str, SiteBus] = {}
        self._ticker: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> int:
        """Listen, on a free port for 0; returns the port."""
        self._server = await asyncio.start_server(self._accept, host, port, limit=MAX_REQUEST)
        self._ticker = asyncio.create_task(self._keep_up())
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Stop listening and drop every open connection."""
        if self._server is not None:
            self._server.close()
        if self._ticker is not None:
            self._ticker.cancel()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._server is not None:
            await self._server.wait_closed()
            self._server = None

    async def _keep_up(self) -> None:
        """Advance while nobody asks, so that the first request after a quiet day is quick."""
        while True:
            await asyncio.sleep(TICK_SECONDS)
            self.simulator.advance()
            if self._portal is not None:
                self._portal.keep_up()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._serve(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        except asyncio.CancelledError:
            # Only stop() cancels; asyncio.streams would log the cancellation as an error, and a
            # client that does not read must not hold up the end.
            writer.transport.abort()
        try:
            writer.close()
            await writer.wait_closed()
        except (ConnectionError, asyncio.CancelledError):
            writer.transport.abort()
        finally:
            self._tasks.discard(task)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        method, target = request_line(head)
        parts = urlsplit(target)
        site_id, _, rest = parts.path.lstrip("/").partition("/")
        if site_id == "_control":
            body = await read_body(reader, head)
            await send_reply(writer, self._control(method, body))
            return
        if site_id == VRM_ROOT and self._portal is not None:
            status, document = self._portal.answer(f"/{rest}", parts.query, _headers(head))
            await send_reply(writer, reply(document, status))
            return
        if site_id not in self._locks:
            try:
                self.simulator.site(site_id)
            except KeyError:
                await send_reply(writer, failure("Not found", 404))
                return
            self._locks[site_id] = asyncio.Lock()
            self._buses[site_id] = SiteBus(self.simulator, site_id)
        async with self._locks[site_id]:
            self.simulator.advance()
            body = await read_body(reader, head)
            request = Request(site_id, method, f"/{rest}", parts.query, body)
            await self._answer(request, reader, writer)

    async def _answer(
        self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        site_id = request.site
        faults = {active.fault: active.params for active in self.simulator.faults_of(site_id)}
        if "offline" in faults:
            writer.transport.abort()
            return
        if "hang" in faults:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(reader.read(), HANG_LIMIT_SECONDS)
            return
        slow = faults.get("slow")
        if isinstance(slow, SlowParams):
            await asyncio.sleep(slow.seconds)
            self.simulator.advance()
        if "http_500" in faults:
            await send_reply(writer, failure("org.freedesktop.DBus.Error.NoReply", 500))
            return
        answer = self._route(request)
        if "rubbish" in faults:
            answer = Reply(200, RUBBISH, "text/html")
        elif "truncated" in faults:
            answer = Reply(answer.status, answer.body[: len(answer.body) * 2 // 3], answer.kind)
        if "trickle" in faults:
            await _trickle(writer, answer)
            return
        await send_reply(writer, answer, self.simulator.clock_ahead_seconds(site_id))

    # -- the bridge's routes ------------------------------------------------------------------

    def _route(self, request: Request) -> Reply:  # noqa: PLR0911 - one for each route
        method = request.method
        if method == "OPTIONS":
            return Reply(204, b"")
        if method == "POST":
            return self._write(request.route, request.body)
        if method != "GET":
            if method == "HEAD":
                return Reply(501, b"", "text/html;charset=utf-8")
            text = f"<html><body><p>Unsupported method ('{method}').</p></body></html>"
            return Reply(501, text.encode(), "text/html;charset=utf-8")
        bus = self._buses[request.site]
        params = parse_qs(request.query)
        match request.route:
            case "/value":
                return value_reply(bus, params)
            case "/text":
                return _text(bus, params)
            case "/services":
                services = bus.services()
                return reply({"services": services, "count": len(services), "success": True})
            case "/health":
                return self._health(
                    self.simulator.state(request.site).uptime_seconds,
                    self.simulator.clock_ahead_seconds(request.site),
                )
            case "/":
                return _about()
            case openems.ROUTE if bus.site.protocol == "openems":
                return reply(openems.channels(self.simulator.state(request.site)))
            case route if route in companions.ROUTES:
                return reply(companions.ROUTES[route](self.simulator.state(request.site)))
            case _:
                return failure("Not found", 404)

    @staticmethod
    def _health(uptime_seconds: float, ahead_seconds: float) -> Reply:
        started = datetime.now(UTC) + timedelta(seconds=ahead_seconds - uptime_seconds)
        return reply(
            {
                "service": "dbus-api-server",
                "version": VERSION,
                "status": "healthy",
                "started_at": started.replace(tzinfo=None).isoformat(),
                "uptime_seconds": int(uptime_seconds),
                "success": True,
            }
        )

    @staticmethod
    def _write(route: str, body: bytes) -> Reply:
        """Writing is always refused: a simulated site has its write switch off."""
        if not body:
            return failure("Request body is required", 400)
        try:
            json.loads(body)
        except ValueError as error:
            return failure(f"Invalid JSON: {error}", 400)
        if route != "/value":
            return failure("Not found", 404)
        return reply(
            {
                "error": "AI write is disabled",
                "message": "Venus OS Large image is not installed",
                "hint": "Enable the write switch to allow write operations",
                "details": {"venus_image_type": 0, "switch_found": False},
                "success": False,
            },
            403,
        )

    # -- control ------------------------------------------------------------------------------

    def _control(self, method: str, body: bytes) -> Reply:
        self.simulator.advance()
        if method == "GET":
            return reply({"faults": self._active(), "time": self.simulator.time, "success": True})
        if method != "POST":
            return failure("Use GET or POST", 405)
        try:
            order = json.loads(body)
            site, fault, action = order["site"], order.get("fault"), order["action"]
            if action == "inject":
                self.simulator.inject(site, fault, **(order.get("params") or {}))
            elif action == "clear":
                self.simulator.clear(site, fault)
            else:
                return failure("action must be inject or clear", 400)
        except KeyError as error:
            return failure(f"unknown or missing: {error}", 400)
        except (ValueError, TypeError, AttributeError, ValidationError) as error:
            return failure(str(error), 400)
        return reply({"faults": self._active(), "success": True})

    def _active(self) -> dict[str, list[dict[str, Any]]]:
        found = {}
        for site in self.simulator.scenario.sites:
            active = self.simulator.faults_of(site.id)
            if active:
                found[site.id] = [
                    {"fault": item.fault, "params": item.params.model_dump()} for item in active
                ]
        return found


def _about() -> Reply:
    return reply(
        {
            "name": "Victron DBus API Server",
            "version": VERSION,
            "mode": "read-write",
            "ai_write_enabled": False,
            "ai_write_status": "Venus OS Large image is not installed",
            "control_port": 8089,
            "endpoints": ENDPOINTS,
        }
    )


def _lookup(bus: Trees, params: dict[str, list[str]]) -> tuple[str, str, Any]:
    """Service, path and value; None where either is unknown."""
    service, path = params.get("service", [""])[0], params.get("path", [""])[0]
    if not service or not path:
        raise failure("Missing service or path parameter", 400)
    tree = bus.tree(service)
    if tree is None or not path.startswith("/"):
        return service, path, None
    key = path.strip("/")
    if not key:
        return service, path, tree
    if key in tree:
        return service, path, tree[key]
    if not service.endswith((".system", ".settings")):
        return service, path, None
    branch = {k[len(key) + 1 :]: v for k, v in tree.items() if k.startswith(f"{key}/")}
    return service, path, branch or None


class Trees(Protocol):
    """Services of a site and their values."""

    def tree(self, service: str) -> Tree | None:
        """The values of a service by path; None for an unknown one."""


def value_reply(bus: Trees, params: dict[str, list[str]]) -> Reply:
    """The answer to ``GET /value``."""
    try:
        service, path, value = _lookup(bus, params)
    except Reply as early:
        return early
    if value is None:
        return reply(_unavailable(service, path, "value"), 404)
    return reply({"service": service, "path": path, "value": value, "success": True})


def _text(bus: Trees, params: dict[str, list[str]]) -> Reply:
    try:
        service, path, value = _lookup(bus, params)
    except Reply as early:
        return early
    if value is None or isinstance(value, dict):
        return reply(_unavailable(service, path, "text"), 404)
    text = "---" if value == [] else str(value)
    return reply({"service": service, "path": path, "text": text, "success": True})


def _unavailable(service: str, path: str, what: str) -> dict[str, Any]:
    return {
        "service": service,
        "path": path,
        what: None,
        "error": f"Path {path} not available on {service}",
        "success": False,
    }


# -- bytes -------------------------------------------------------------------------------------


def request_line(head: bytes) -> tuple[str, str]:
    """Method and target of a request."""
    words = head.split(b"\r\n", 1)[0].decode("latin-1").split()
    if len(words) < 2:
        return "GET", "/"
    return words[0], words[1]


def _headers(head: bytes) -> dict[str, str]:
    """Headers by name in lower case."""
    lines = (line.partition(":") for line in head.decode("latin-1").split("\r\n")[1:])
    return {name.lower(): value.strip() for name, colon, value in lines if colon}


async def read_body(reader: asyncio.StreamReader, head: bytes) -> bytes:
    """The body of a request, as far as its length says that there is one."""
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            with contextlib.suppress(ValueError):
                size = min(int(line.split(b":", 1)[1]), MAX_REQUEST)
                return await reader.readexactly(size) if size > 0 else b""
    return b""


def _bytes(answer: Reply, ahead_seconds: float = 0.0) -> bytes:
    head = (
        f"HTTP/1.0 {answer.status} {HTTPStatus(answer.status).phrase}\r\n"
        f"Server: BaseHTTP/0.6 Python/3.12.12\r\n"
        f"Date: {formatdate(time.time() + ahead_seconds, usegmt=True)}\r\n"
        f"Content-type: {answer.kind}\r\n"
        "Access-Control-Allow-Origin: *\r\n"
        "Access-Control-Allow-Methods: GET, POST, OPTIONS\r\n"
        "Access-Control-Allow-Headers: Content-Type\r\n\r\n"
    )
    return head.encode("latin-1") + answer.body


async def send_reply(
    writer: asyncio.StreamWriter, answer: Reply, ahead_seconds: float = 0.0
) -> None:
    """Send a reply as the bridge writes it, by a clock that may be ahead."""
    writer.write(_bytes(answer, ahead_seconds))
    await writer.drain()


async def _trickle(writer: asyncio.StreamWriter, answer: Reply) -> None:
    for byte in _bytes(answer):
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(1.0)
