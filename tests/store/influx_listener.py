"""A listener that answers as InfluxDB 1.x and 2.x do, and misbehaves on demand."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

RESET_BEFORE_READING = "reset before reading"
RESET_IN_REPLY = "reset in reply"
HANG = "hang"


_MAPPING = {
    "id": "00000000000000cc",
    "orgID": "00000000000000aa",
    "bucketID": "00000000000000bb",
    "database": "fleet",
    "retention_policy": "raw",
    "default": True,
}


@dataclass(frozen=True)
class Answer:
    """One reply; 2xx means that the batch was taken."""

    status: int
    body: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    def bytes(self) -> bytes:
        lines = [f"HTTP/1.1 {self.status} Words", f"Content-Length: {len(self.body.encode())}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        return ("\r\n".join(lines) + "\r\n\r\n" + self.body).encode()


TAKEN = Answer(204)
JSON = {"Content-Type": "application/json"}


@dataclass
class InfluxListener:
    """Answers writes by ``script``, one entry each, and takes all of them when it is empty.

    ``prepares`` does the same for the requests that create databases and buckets.
    """

    script: deque[Answer | str] = field(default_factory=deque)
    prepares: deque[Answer | str] = field(default_factory=deque)
    taken: list[str] = field(default_factory=list)
    attempts: list[list[str]] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    heads: list[str] = field(default_factory=list)
    url: str = ""
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[InfluxListener]:
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()
            for task in self.tasks:
                task.cancel()
            await asyncio.gather(*self.tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                while await self._request(reader, writer):
                    pass
        except asyncio.CancelledError:
            # Swallowed: the server's own callback would report it as a fault.
            writer.transport.abort()
        finally:
            self.tasks.discard(task)
            writer.close()

    async def _request(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.heads.append(head)
        method, path, _ = head.split(" ", 2)
        writing = "/write" in path
        self.requests.append(f"{method} {path}")
        queue = self.script if writing else self.prepares
        answer = queue.popleft() if queue else None
        if answer == RESET_BEFORE_READING:
            writer.transport.abort()
            return False
        body = await self._body(reader, head)
        if writing:
            self.attempts.append(gzip.decompress(body).decode().split("\n"))
        if isinstance(answer, str):
            await self._misbehave(answer, writer)
            return False
        answer = answer or (TAKEN if writing else self._prepared(method, path))
        if writing and answer.status < 300:
            self.taken += self.attempts[-1]
        writer.write(answer.bytes())
        await writer.drain()
        return True

    @staticmethod
    async def _body(reader: asyncio.StreamReader, head: str) -> bytes:
        for line in head.split("\r\n"):
            name, _, value = line.partition(":")
            if name.lower() == "content-length":
                return await reader.readexactly(int(value))
        return b""

    @staticmethod
    async def _misbehave(manner: str, writer: asyncio.StreamWriter) -> None:
        if manner == RESET_IN_REPLY:
            writer.write(b"HTTP/1.1 503 Words\r\nContent-Length: 500\r\n\r\nhalf of it")
            await writer.drain()
            writer.transport.abort()
        else:
            await asyncio.sleep(3600)

    @staticmethod
    def _prepared(method: str, path: str) -> Answer:
        """Databases and buckets: 1.x has none yet and creates them; 2.x has them all."""
        found: dict[str, object] = {"results": [{}]}
        if path.startswith("/api/v2/orgs"):
            found = {"orgs": [{"id": "00000000000000aa", "name": "fleetscope"}]}
        elif path.startswith("/api/v2/dbrps"):
            found = {"content": []} if method == "GET" else _MAPPING
        elif path.startswith("/api/v2/buckets"):
            bucket = {"id": "00000000000000bb", "name": "x", "retentionRules": []}
            found = {"buckets": [bucket]} if method == "GET" else bucket
        return Answer(200, json.dumps(found), JSON)
