"""A proxy before InfluxDB that misbehaves on command. It runs in a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

# Longer than a writer waits in the tests.
LATE_SECONDS = 3.0


class Manner(StrEnum):
    """What the proxy does with a write."""

    PASS = "pass"
    REFUSE = "refuse"
    """The connection is closed before anything is read."""
    HANG = "hang"
    """Everything is read, nothing answered."""
    SLOW = "slow"
    """The server answers, but a second late."""
    RESET_IN_BODY = "reset in body"
    """Half of the body is read, then the connection is reset."""
    SWALLOW = "swallow the answer"
    """The server gets and stores the batch; its answer never arrives."""
    CUT_ANSWER = "cut answer"
    """The server stores the batch; its answer breaks off."""
    CLOSE_WHEN_STORED = "close when stored"
    """The server stores the batch; the connection is closed without an answer."""
    FAIL_WHEN_STORED = "500 when stored"
    """The server stores the batch; the answer is 500."""
    LATE = "late"
    """The server stores the batch; its answer comes when nobody waits for it any more."""
    ANSWER_TWICE = "answer twice"
    """The server stores the batch; its answer comes twice, as if a next one had been stored too."""
    DROP = "drop"
    """Nothing reaches the server, and the answer says that it has stored everything."""
    LIE = "lie"
    """Each request meets one of the manners above, or an answer out of `LIES`, by chance."""


@dataclass(frozen=True)
class Reply:
    """The proxy's own answer; nothing reaches the server."""

    status: int
    body: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    def bytes(self) -> bytes:
        lines = [f"HTTP/1.1 {self.status} Words", f"Content-Length: {len(self.body.encode())}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        return ("\r\n".join(lines) + "\r\n\r\n" + self.body).encode()


@dataclass(frozen=True)
class Raw:
    """Bytes in the stead of an answer, then the end; nothing reaches the server."""

    answer: bytes

    @property
    def status(self) -> str:
        return self.answer.decode("ascii", "replace").replace("\r\n", " ")[:60]


Fault = Manner | Reply | Raw
LIES: list[Fault] = [
    *(Manner.PASS, Manner.PASS, Manner.PASS, Manner.REFUSE, Manner.RESET_IN_BODY),
    *(Manner.SWALLOW, Manner.CUT_ANSWER, Manner.CLOSE_WHEN_STORED, Manner.FAIL_WHEN_STORED),
    Reply(200, "<html>sign in</html>"),
    Raw(b"HTTP/1.1 503 Words\r\nContent-Length: 999\r\n\r\nhalf"),
    Reply(400, "<html>bad request</html>"),
    Reply(503),
    Reply(429, "", {"Retry-After": "1"}),
    Reply(502, "<html>bad gateway</html>"),
    Reply(401, '{"error":"authorization failed"}'),
    Reply(404, "<html>not here</html>"),
    Reply(301, "", {"Location": "http://127.0.0.1:1/"}),
]


class Proxy:
    """Listens on a free loopback port and hands on to ``upstream`` (``http://host:port``)."""

    def __init__(self, upstream: str, seed: int = 1) -> None:
        host, _, port = upstream.removeprefix("http://").partition(":")
        self._upstream = host, int(port)
        self.manner: Fault = Manner.PASS
        self.seen: Counter[str] = Counter()
        self.url = ""
        self._rng = random.Random(seed)
        self._loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[None]] = set()

    @contextlib.contextmanager
    def serving(self) -> Iterator[Proxy]:
        ready, end = threading.Event(), asyncio.Event()

        async def serve() -> None:
            server = await asyncio.start_server(self._accept, "127.0.0.1", 0, limit=2**26)
            self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            ready.set()
            await end.wait()
            server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

        thread = threading.Thread(target=self._loop.run_until_complete, args=(serve(),))
        thread.start()
        ready.wait()
        try:
            yield self
        finally:
            self._loop.call_soon_threadsafe(end.set)
            thread.join()
            self._loop.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                while await self._request(reader, writer):
                    pass
        except asyncio.CancelledError:
            # Swallowed: the server's own callback would report it as a fault.
            writer.transport.abort()
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def _request(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = await reader.readuntil(b"\r\n\r\n")
        manner = self.manner
        if manner is Manner.LIE:
            manner = self._rng.choice(LIES)
        self.seen[manner.value if isinstance(manner, Manner) else str(manner.status)] += 1
        length = next(
            (
                int(line.partition(b":")[2])
                for line in head.split(b"\r\n")
                if line.lower().startswith(b"content-length:")
            ),
            0,
        )
        if manner is Manner.REFUSE:
            return False
        if manner is Manner.RESET_IN_BODY:
            await reader.readexactly(length // 2)
            return False
        body = await reader.readexactly(length)
        if isinstance(manner, Reply):
            writer.write(manner.bytes())
            await writer.drain()
            return True
        if isinstance(manner, Raw):
            writer.write(manner.answer)
            await writer.drain()
            return False
        if manner is Manner.DROP:
            writer.write(
                Reply(204).bytes() if b"/write?" in head else await self._forward(head, body)
            )
            await writer.drain()
            return True
        if manner is Manner.HANG:
            await asyncio.sleep(3600)
        answer = await self._forward(head, body)
        if manner is Manner.SWALLOW:
            await asyncio.sleep(3600)
        if manner is Manner.CLOSE_WHEN_STORED:
            return False
        if manner is Manner.FAIL_WHEN_STORED:
            answer = Reply(500, '{"error":"timeout"}').bytes()
        if manner is Manner.ANSWER_TWICE:
            answer += answer
        if manner in (Manner.SLOW, Manner.LATE):
            await asyncio.sleep(1.0 if manner is Manner.SLOW else LATE_SECONDS)
        writer.write(answer if manner is not Manner.CUT_ANSWER else answer[: len(answer) // 2])
        await writer.drain()
        return manner is not Manner.CUT_ANSWER

    async def _forward(self, head: bytes, body: bytes) -> bytes:
        reader, writer = await asyncio.open_connection(*self._upstream)
        first, _, rest = head.partition(b"\r\n")
        try:
            writer.write(first + b"\r\nConnection: close\r\n" + rest + body)
            await writer.drain()
            answer = await reader.read(-1)
        finally:
            writer.close()
        return answer.replace(b"Connection: close\r\n", b"", 1)
