"""A controlled site behind a Venus HTTP bridge whose switch for writing can be turned.

What it writes is persistent: nothing but another write ends it. ``requests`` has all that came.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from simulator.bridge import Reply, failure, read_body, reply, request_line, send_reply, value_reply
from simulator.controlled import Bus, ControlledSite

SETPOINT_SERVICE = "com.victronenergy.settings"
SETPOINT_PATH = "/Settings/CGwacs/AcPowerSetPoint"


@dataclass
class ControlledBridge:
    """Serves one site at the root of its port.

    Attributes
    ----------
    site : ControlledSite
    requests : list of (method, target, body)
    """

    site: ControlledSite
    requests: list[tuple[str, str, bytes]] = field(default_factory=list)
    _server: asyncio.Server | None = None
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> int:
        """Listen, on a free port for 0; returns the port."""
        self._server = await asyncio.start_server(self._accept, host, port)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            method, target = request_line(head)
            body = await read_body(reader, head)
            async with self._turn:
                self.requests.append((method, target, body))
                await send_reply(writer, self._answer(method, target, body))
        writer.close()

    def _answer(self, method: str, target: str, body: bytes) -> Reply:
        parts = urlsplit(target)
        if method == "POST" and parts.path == "/value":
            return self._set(body)
        if method != "GET":
            return failure("Not found", 404)
        bus = Bus(self.site)
        if parts.path == "/services":
            services = bus.services()
            return reply({"services": services, "count": len(services), "success": True})
        if parts.path == "/value":
            return value_reply(bus, parse_qs(parts.query))
        return failure("Not found", 404)

    def _set(self, body: bytes) -> Reply:
        """In the order of the bridge: body, JSON, switch, service and path, value, the device."""
        if not body:
            return failure("Request body is required", 400)
        try:
            wanted: Any = json.loads(body)
        except ValueError as error:
            return failure(f"Invalid JSON: {error}", 400)
        if not self.site.switch_on:
            refusal = {
                "error": "AI write is disabled",
                "message": "The switch ai_write is off",
                "hint": "Enable the write switch to allow write operations",
                "details": {"venus_image_type": 1, "switch_found": True, "switch_state": 0},
                "success": False,
            }
            return reply(refusal, 403)
        if not wanted.get("service") or not wanted.get("path"):
            return failure("Missing service or path", 400)
        if wanted.get("value") is None:
            return failure("Missing value", 400)
        place = (wanted["service"], wanted["path"])
        if place != (SETPOINT_SERVICE, SETPOINT_PATH) or self.site.refuses:
            refusal = {"error": "Failed to set value", "reason": "not writable", "success": False}
            return reply(refusal | {"requested_value": wanted["value"]}, 400)
        self.site.advance()
        before, self.site.persistent_w = self.site.persistent_w, float(wanted["value"])
        self.site.writes.append((self.site.clock(), self.site.persistent_w))
        return reply({"value": wanted["value"], "previous_value": before, "success": True})
