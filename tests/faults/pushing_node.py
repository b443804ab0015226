"""A node that posts its telemetry over HTTP to the service's own route, through a line."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI

from exporter.config.fleet_file import parse_fleet
from exporter.drivers import DRIVERS
from exporter.drivers.transport.push import PushTransport
from exporter.intake.telemetry import Batch
from exporter.serve.api.telemetry import Intake, router
from tests.faults.protocols import PUBLISH_SECONDS, SOC, SiteClock, SiteUnderTest, opened

TOKEN = "a-token-of-a-node"
_PATIENCE_SECONDS = 1.0


@contextlib.asynccontextmanager
async def push_http(folder: Path) -> AsyncIterator[SiteUnderTest]:
    """The line is the way of the node's requests."""
    del folder
    push, clock = PushTransport(), SiteClock()
    readings: dict[str, Any] = {"soc_percent": SOC}
    digest = hashlib.sha256(TOKEN.encode()).hexdigest()

    def deliver(batch: Batch) -> bool:
        push.deliver(batch.points, batch.sent)
        return True

    def put(value: Any) -> None:
        readings["soc_percent"] = value

    entry = f"sites:\n  - {{id: alpha, driver: push, token_sha256: {digest}}}\n"
    fleet = parse_fleet(entry, Path("fleet.yaml"), DRIVERS)
    async with (
        served(Intake(lambda: fleet, deliver)) as port,
        opened("push", port, clock, "", put, push, token_sha256=digest) as site,
    ):
        posting = asyncio.create_task(_post(site, readings))
        try:
            yield site
        finally:
            posting.cancel()
            await asyncio.gather(posting, return_exceptions=True)


@contextlib.asynccontextmanager
async def served(intake: Intake) -> AsyncIterator[int]:
    """Serve the telemetry route on a free port of the loopback; gives the port."""
    app = FastAPI()
    app.include_router(router(intake))
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off"))
    task = asyncio.create_task(server.serve([listener]))
    try:
        yield int(listener.getsockname()[1])
    finally:
        server.should_exit = True
        server.force_exit = True
        await task


async def _post(site: SiteUnderTest, readings: dict[str, Any]) -> None:
    """Post a point again and again, whatever became of the one before."""
    while True:
        now = site.clock.site()
        battery = {"device": "battery/1", "readings": dict(readings)}
        points = [{"site": "alpha", "measured": now, "batteries": [battery]}]
        body = json.dumps({"sent": now, "points": points}).encode()
        with contextlib.suppress(OSError, TimeoutError, ValueError, IndexError):
            async with asyncio.timeout(_PATIENCE_SECONDS):
                site.answers.append(await _posted(site.line.port, body))
        await asyncio.sleep(PUBLISH_SECONDS)


async def _posted(port: int, body: bytes) -> int:
    """The status of the answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = (
        f"POST /api/v1/telemetry HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {TOKEN}\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    try:
        writer.write(head.encode() + body)
        await writer.drain()
        return int((await reader.readline()).split()[1])
    finally:
        writer.transport.abort()
