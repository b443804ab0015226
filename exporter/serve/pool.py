"""The pool: processes for requests that read the past or compute for long.

There is one worker for questions and one for histories and reports, so that neither waits for the
other. A worker is started by the first request, and ends when nobody has asked for a while.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Literal

from starlette.types import ASGIApp, Receive, Scope, Send

from exporter.config.settings import Settings
from exporter.serve.access.guard import CALLER
from exporter.serve.api.problems import problem
from exporter.serve.child import Child
from exporter.serve.messages import Begin, Cancel, Ready, Reply, Request, SendReport, Stop
from exporter.serve.publication import Encoder, Publication

log = logging.getLogger(__name__)

Kind = Literal["questions", "past"]
ROUTES: dict[str, Kind] = {
    "/api/v1/ask": "questions",
    "/api/v1/query": "questions",
    "/api/v1/timeline": "questions",
    "/api/v1/history": "past",
    "/api/v1/report": "past",
    "/api/v1/surface": "past",
}
# The session of a question is forgotten after an hour as well.
IDLE_SECONDS: dict[Kind, float] = {"questions": 3600.0, "past": 600.0}
# In work at a time, by a worker. Beyond it requests wait, and beyond MOST_WAITING they are refused.
AT_ONCE = 8
MOST_WAITING = 256
RETRY_SECONDS = 10
STOP_SECONDS = 2.0
_SCOPE = (
    *("type", "asgi", "http_version", "method", "scheme", "path", "raw_path"),
    *("query_string", "root_path", "headers", "client", "server", CALLER),
)


class BusyError(Exception):
    """Too many requests of a kind wait already."""


class WorkerEndedError(Exception):
    """The worker ended before it replied."""


class Pool:
    """The workers, each started when it is needed.

    Parameters
    ----------
    settings : Settings
    latest : callable
        The latest Publication.
    """

    def __init__(self, settings: Settings, latest: Callable[[], Publication]) -> None:
        self._settings = settings
        self._latest = latest
        self._numbers = itertools.count(1)
        self._workers: dict[Kind, _Worker] = {}
        self._starting: dict[Kind, asyncio.Lock] = {kind: asyncio.Lock() for kind in IDLE_SECONDS}
        self._room = {kind: asyncio.Semaphore(AT_ONCE) for kind in IDLE_SECONDS}
        self._waiting = dict.fromkeys(IDLE_SECONDS, 0)

    async def ask(self, kind: Kind, message: Request | SendReport) -> Reply:
        """The reply of a worker. A caller that is cancelled cancels the work.

        Raises
        ------
        BusyError
        WorkerEndedError
        OSError
            The worker cannot be started.
        """
        if self._waiting[kind] >= MOST_WAITING:
            raise BusyError
        self._waiting[kind] += 1
        try:
            await self._room[kind].acquire()
        finally:
            self._waiting[kind] -= 1
        try:
            async with self._starting[kind]:
                worker = self._workers.get(kind)
                if worker is None or worker.ended:
                    worker = self._workers[kind] = await _Worker.start(self._settings, kind)
            return await worker.ask(replace(message, number=next(self._numbers)), self._latest())
        finally:
            self._room[kind].release()

    async def send_report(self) -> list[str]:
        """Make the report of the report file and send it; returns what failed, in words."""
        reply = await self.ask("past", SendReport(0))
        return list(reply.failed)

    async def stop(self) -> None:
        """End all workers; what they are at is broken off."""
        await asyncio.gather(*(worker.stop() for worker in self._workers.values()))


class _Worker:
    """One worker process."""

    def __init__(self, child: Child, kind: Kind) -> None:
        self._child = child
        self._kind = kind
        self._encoder = Encoder()
        self._sent: Publication | None = None
        self._replies: dict[int, asyncio.Future[Reply]] = {}
        self._used = asyncio.get_running_loop().time()
        self._reading = asyncio.create_task(self._read())
        self._watching = asyncio.create_task(self._watch())
        self.ended = False

    @classmethod
    async def start(cls, settings: Settings, kind: Kind) -> _Worker:
        child = await Child.start("exporter.serve.worker")
        try:
            child.channel.send(Begin(settings))
            message = await child.channel.receive()
            assert isinstance(message, Ready)
        except EOFError as error:
            await child.end(STOP_SECONDS)
            raise WorkerEndedError(f"the worker for {kind} cannot be started") from error
        except BaseException:
            await child.end(0.0)
            raise
        return cls(child, kind)

    async def ask(self, message: Request | SendReport, latest: Publication) -> Reply:
        if latest is not self._sent:
            self._child.channel.send(self._encoder.encode(latest))
            self._sent = latest
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Reply] = loop.create_future()
        self._replies[message.number] = future
        self._child.channel.send(message)
        try:
            return await future
        finally:
            self._used = loop.time()
            self._replies.pop(message.number, None)
            if future.cancelled():
                self._child.channel.send(Cancel(message.number))

    async def _read(self) -> None:
        try:
            while True:
                reply = await self._child.channel.receive()
                waiting = self._replies.get(reply.number)
                if waiting is not None and not waiting.done():
                    waiting.set_result(reply)
        except EOFError:
            self.ended = True
            code = await self._child.process.wait()
            if self._replies:
                log.error("the worker for %s ended (exit code %d)", self._kind, code)
            for waiting in self._replies.values():
                if not waiting.done():
                    waiting.set_exception(WorkerEndedError(f"exit code {code}"))

    async def _watch(self) -> None:
        """End the process once nobody has asked for a while."""
        loop, most = asyncio.get_running_loop(), IDLE_SECONDS[self._kind]
        while True:
            left = self._used + most - loop.time()
            if left <= 0 and not self._replies:
                break
            await asyncio.sleep(max(left, 1.0))
        self.ended = True
        await self._end()

    async def _end(self) -> None:
        self._child.channel.send(Stop())
        await self._child.end(STOP_SECONDS)

    async def stop(self) -> None:
        self.ended = True
        self._watching.cancel()
        await self._end()
        await asyncio.wait({self._reading, self._watching})


class PoolRoutes:
    """ASGI middleware: has the requests of :data:`ROUTES` answered by the pool."""

    def __init__(self, app: ASGIApp, pool: Pool) -> None:
        self._app = app
        self._pool = pool

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See the ASGI specification."""
        kind = ROUTES.get(scope["path"]) if scope["type"] == "http" else None
        if kind is None or scope["method"] not in ("GET", "HEAD"):
            await self._app(scope, receive, send)
            return
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message.get("body", b"")
            if not message.get("more_body", False):
                break
        kept = {name: scope[name] for name in _SCOPE if name in scope}
        asking = asyncio.create_task(self._pool.ask(kind, Request(0, kept, bytes(body))))
        leaving = asyncio.create_task(_left(receive))
        try:
            await asyncio.wait({asking, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if not asking.done():
                return
            try:
                reply = asking.result()
            except (BusyError, WorkerEndedError, OSError) as error:
                await _refusal(error)(scope, receive, send)
                return
            await send(
                {"type": "http.response.start", "status": reply.status, "headers": reply.headers}
            )
            await send({"type": "http.response.body", "body": reply.body})
        finally:
            for task in (asking, leaving):
                task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait({asking, leaving})


async def _left(receive: Receive) -> None:
    """Wait until the caller is gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _refusal(error: Exception) -> ASGIApp:
    if isinstance(error, BusyError):
        detail = f"{MOST_WAITING} requests like this one wait already; try again later"
    else:
        log.error("no answer from the pool: %s", error)
        detail = "the process that was to answer ended; try again"
    return problem(503, detail, headers={"Retry-After": str(RETRY_SECONDS)})
