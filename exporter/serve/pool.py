"""The pool: processes for requests that read the past or compute for long.

There is one worker for questions, one for histories and one for reports, so that none waits for the
others. A worker is started by the first request, and ends when nobody has asked for a while.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from starlette.types import ASGIApp, Receive, Scope, Send

from exporter.config.settings import Settings
from exporter.energy.recent import is_hit
from exporter.serve.access.guard import CALLER
from exporter.serve.access.usage import ACCOUNTS, METER, Accounts, Meter, OverLimitError
from exporter.serve.api.problems import problem
from exporter.serve.child import Child
from exporter.serve.messages import Begin, Cancel, Ready, Reply, Request, SendReport, Stop
from exporter.serve.publication import Encoder, Publication
from exporter.serve.turns import BusyError, Turns

log = logging.getLogger(__name__)

Kind = Literal["questions", "past", "reports"]


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one kind of request: in work at a time, how long one may take, and when a worker ends."""

    at_once: int
    at_once_of_a_caller: int
    longest_seconds: float
    idle_seconds: float


LIMITS: dict[Kind, Limits] = {
    # The session of a question is forgotten after an hour as well.
    "questions": Limits(8, 4, 60.0, 3600.0),
    "past": Limits(8, 4, 120.0, 600.0),
    # Each may typeset a PDF in a process of its own.
    "reports": Limits(2, 1, 660.0, 600.0),
}
ROUTES: dict[str, Kind] = {
    "/api/v1/ask": "questions",
    "/api/v1/query": "questions",
    "/api/v1/timeline": "questions",
    "/api/v1/aggregate/history": "past",
    "/api/v1/energy": "past",
    "/api/v1/forecast": "past",
    "/api/v1/history": "past",
    "/api/v1/plan": "past",
    "/api/v1/savings": "past",
    "/api/v1/report": "reports",
    "/api/v1/surface": "past",
}
PREFIXES: dict[str, Kind] = {"/api/v1/portfolio/": "past"}
STREAMED = frozenset({"/api/v1/portfolio/telemetry"})
"""The server itself answers these: a worker would hold the whole answer."""
# Beyond what is in work requests wait, and beyond these numbers they are refused.
MOST_WAITING = 256
MOST_WAITING_OF_A_CALLER = 64
RETRY_SECONDS = 10
STOP_SECONDS = 2.0
# A worker that does not react to a cancellation for so long is ended.
CANCEL_SECONDS = 15.0
_SCOPE = (
    *("type", "asgi", "http_version", "method", "scheme", "path", "raw_path"),
    *("query_string", "root_path", "headers", "client", "server", CALLER),
)


def _nothing(_seconds: float) -> None:
    """Nobody is charged for what the exporter does by itself."""


class WorkerEndedError(Exception):
    """The worker ended before it replied."""


class TooLongError(Exception):
    """The work took longer than any may."""


class Pool:
    """The workers, each started when it is needed.

    Parameters
    ----------
    settings : Settings
    latest : callable
        The latest Publication.

    Attributes
    ----------
    lookups : dict of "hit" or "miss" to int
        Requests by whether what was made for an earlier one was kept.
    """

    def __init__(self, settings: Settings, latest: Callable[[], Publication]) -> None:
        self._settings = settings
        self._latest = latest
        self._numbers = itertools.count(1)
        self.lookups = {"hit": 0, "miss": 0}
        self._workers: dict[Kind, _Worker] = {}
        self._starting: dict[Kind, asyncio.Lock] = {kind: asyncio.Lock() for kind in LIMITS}
        self._turns = {
            kind: Turns(
                limits.at_once,
                limits.at_once_of_a_caller,
                MOST_WAITING,
                MOST_WAITING_OF_A_CALLER,
                RETRY_SECONDS,
            )
            for kind, limits in LIMITS.items()
        }

    async def ask(
        self,
        kind: Kind,
        message: Request | SendReport,
        accounts: Accounts = (),
        charge: Callable[[float], None] = _nothing,
    ) -> Reply:
        """The reply of a worker. A caller that is cancelled cancels the work.

        Parameters
        ----------
        kind : str
        message : Request or SendReport
        accounts : tuple of str
            Of the caller.
        charge : callable
            Takes the processor seconds of the work, also of what was cancelled.

        Raises
        ------
        BusyError
        OverLimitError
        TooLongError
        WorkerEndedError
        OSError
            The worker cannot be started.
        """
        async with self._turns[kind].turn(accounts):
            async with self._starting[kind]:
                worker = self._workers.get(kind)
                if worker is None or worker.ended:
                    worker = self._workers[kind] = await _Worker.start(self._settings, kind)
            numbered = replace(message, number=next(self._numbers))
            reply = await worker.ask(numbered, self._latest(), charge)
        for name, value in reply.headers:
            if name == b"cache-status" and (hit := is_hit(value.decode("latin-1"))) is not None:
                self.lookups["hit" if hit else "miss"] += 1
        return reply

    async def send_report(self) -> list[str]:
        """Make the report of the report file and send it; returns what failed, in words."""
        reply = await self.ask("reports", SendReport(0))
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
        self._cancelled: dict[int, tuple[asyncio.TimerHandle, Callable[[float], None]]] = {}
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

    async def ask(
        self, message: Request | SendReport, latest: Publication, charge: Callable[[float], None]
    ) -> Reply:
        if latest is not self._sent:
            self._child.channel.send(self._encoder.encode(latest))
            self._sent = latest
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Reply] = loop.create_future()
        self._replies[message.number] = future
        self._child.channel.send(message)
        try:
            async with asyncio.timeout(LIMITS[self._kind].longest_seconds):
                reply = await future
        except TimeoutError:
            raise TooLongError from None
        else:
            charge(reply.seconds)
            return reply
        finally:
            self._used = loop.time()
            self._replies.pop(message.number, None)
            if future.cancelled():
                self._child.channel.send(Cancel(message.number))
                watch = loop.call_later(CANCEL_SECONDS, self._stuck)
                self._cancelled[message.number] = (watch, charge)

    async def _read(self) -> None:
        try:
            while True:
                reply = await self._child.channel.receive()
                if (left := self._cancelled.pop(reply.number, None)) is not None:
                    watch, charge = left
                    watch.cancel()
                    charge(reply.seconds)
                waiting = self._replies.get(reply.number)
                if waiting is not None and not waiting.done():
                    waiting.set_result(reply)
        except EOFError:
            self.ended = True
            for watch, _ in self._cancelled.values():
                watch.cancel()
            code = await self._child.process.wait()
            if self._replies:
                log.error("the worker for %s ended (exit code %d)", self._kind, code)
            for waiting in self._replies.values():
                if not waiting.done():
                    waiting.set_exception(WorkerEndedError(f"exit code {code}"))

    def _stuck(self) -> None:
        """End the process, whose loop does not turn: what it is at would take from all others."""
        log.error("the worker for %s did not stop what was cancelled; it is ended", self._kind)
        with contextlib.suppress(ProcessLookupError):
            self._child.process.kill()

    async def _watch(self) -> None:
        """End the process once nobody has asked for a while."""
        loop, most = asyncio.get_running_loop(), LIMITS[self._kind].idle_seconds
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
        kind = kind_of(scope["path"]) if scope["type"] == "http" else None
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
        meter: Meter | None = scope.get(METER)
        if meter is not None:
            meter.stop()
        charge = meter.charge if meter is not None else _nothing
        request = Request(0, kept, bytes(body))
        asking = asyncio.create_task(self._pool.ask(kind, request, scope.get(ACCOUNTS, ()), charge))
        leaving = asyncio.create_task(_left(receive))
        try:
            await asyncio.wait({asking, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if not asking.done():
                return
            try:
                reply = asking.result()
            except (
                *(BusyError, OverLimitError, TooLongError, WorkerEndedError, OSError),
            ) as error:
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


def kind_of(path: str) -> Kind | None:
    """The kind of worker that answers a path; None where the server itself does."""
    if path in STREAMED:
        return None
    by_prefix = (kind for prefix, kind in PREFIXES.items() if path.startswith(prefix))
    return ROUTES.get(path) or next(by_prefix, None)


async def _left(receive: Receive) -> None:
    """Wait until the caller is gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _refusal(error: Exception) -> ASGIApp:
    retry = RETRY_SECONDS
    if isinstance(error, OverLimitError):
        retry = error.retry_seconds
        return problem(429, str(error), headers={"Retry-After": str(retry)})
    if isinstance(error, BusyError):
        detail = f"{MOST_WAITING} requests like this one wait already; try again later"
    elif isinstance(error, TooLongError):
        detail = "this took too long; ask about fewer sites or a shorter period"
    else:
        log.error("no answer from the pool: %s", error)
        detail = "the process that was to answer ended; try again"
    return problem(503, detail, headers={"Retry-After": str(retry)})
