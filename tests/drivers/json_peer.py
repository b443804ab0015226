"""An HTTP server on a real socket that gives JSON documents, for tests of templates."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class JsonPeer:
    """Serves ``documents`` by target (path with query); ``raw`` has whole bodies instead, and
    ``status`` is what all else gets."""

    documents: Mapping[str, Any]
    raw: dict[str, bytes] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    headers: list[str] = field(default_factory=list)
    status: str = "404 Not Found"
    url: str = ""

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[JsonPeer]:
        """Listen on a free port of the loopback until the block ends."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()
            await server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            target = head.split(" ", 2)[1]
            self.requests.append(target)
            self.headers.append(head)
            status, body = "200 OK", b""
            if target in self.raw:
                body = self.raw[target]
            elif target in self.documents:
                body = json.dumps(self.documents[target]).encode()
            else:
                status = self.status
            length = f"Content-Length: {len(body)}\r\n"
            head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n{length}"
            writer.write(f"{head}Connection: close\r\n\r\n".encode() + body)
            await writer.drain()
        writer.close()
