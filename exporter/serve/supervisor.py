"""The collector's side of the server process: starts it, publishes to it, starts it again."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from typing import Any

from exporter.config.settings import Settings
from exporter.control.requests import ControlRequest
from exporter.intake.telemetry import Batch
from exporter.serve.child import Child
from exporter.serve.messages import (
    AskExchange,
    Begin,
    Exchanged,
    OrderAnswer,
    OrderCommand,
    Pushed,
    Ready,
    Reload,
    Stop,
)
from exporter.serve.publication import Encoder, Publication

log = logging.getLogger(__name__)

STOP_SECONDS = 5.0
FIRST_WAIT_SECONDS = 1.0
LONGEST_WAIT_SECONDS = 30.0
# A server that ran for this long is started again without a longer wait than the first one.
STEADY_SECONDS = 60.0


class ServerSupervisor:
    """Keeps a server process running behind a socket that listens.

    Parameters
    ----------
    settings : Settings
    listener : socket.socket
        Stays open while the server is started again, so that callers wait and are not refused.
    latest : callable
        The latest Publication.
    reload : callable
        Called when somebody asks over HTTP for the fleet file to be read again.
    push : callable
        Called with the telemetry that nodes have sent over HTTP.
    order : callable
        Answers what callers ask of the dispatcher: a status and a body.
    exchange : callable
        The last exchange with a site, as plain JSON values; None for one that is not polled.
    """

    def __init__(
        self,
        settings: Settings,
        listener: socket.socket,
        latest: Callable[[], Publication],
        reload: Callable[[], None],
        push: Callable[[Batch], None],
        order: Callable[[ControlRequest], Awaitable[tuple[int, dict[str, Any]]]],
        exchange: Callable[[str], dict[str, Any] | None] = lambda _: None,
    ) -> None:
        self._settings = settings
        self._listener = listener
        self._latest = latest
        self._reload = reload
        self._push = push
        self._order = order
        self._answering: set[asyncio.Task[None]] = set()
        self._exchange = exchange
        self._child: Child | None = None
        self._encoder: Encoder | None = None
        self._stopping = False
        self._work: asyncio.Task[None] | None = None

    async def start(self) -> str:
        """Start the server; returns the scheme of its URL once it is in order.

        Raises
        ------
        SystemExit
            The server found something wrong, and has said what.
        """
        started: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._work = asyncio.create_task(self._supervise(started))
        return await started

    def publish(self) -> None:
        """Send the latest Publication, unless the server still has the one before to read."""
        child, encoder = self._child, self._encoder
        if child is not None and encoder is not None and not child.channel.busy:
            child.channel.send(encoder.encode(self._latest()))

    def stop(self) -> None:
        """Let it answer what is under way, and end; see :meth:`ended`."""
        self._stopping = True
        if self._child is not None:
            self._child.channel.send(Stop())

    async def ended(self) -> None:
        """Wait for its end, a few seconds at most, and kill it then."""
        if self._child is not None:
            await self._child.end(STOP_SECONDS)
        if self._work is not None:
            self._work.cancel()
            await asyncio.wait({self._work})
        self._listener.close()

    async def _supervise(self, started: asyncio.Future[str]) -> None:
        loop = asyncio.get_running_loop()
        wait = FIRST_WAIT_SECONDS
        while True:
            begun = loop.time()
            try:
                code = await self._run(started)
            except OSError as error:
                code = -1
                log.error("the server cannot be started: %s", error)
            if self._stopping:
                return
            if not started.done():
                started.set_exception(SystemExit(code or 1))
                return
            log.error("the server ended (exit code %d); it is started again", code)
            if loop.time() - begun > STEADY_SECONDS:
                wait = FIRST_WAIT_SECONDS
            await asyncio.sleep(wait)
            wait = min(2 * wait, LONGEST_WAIT_SECONDS)

    async def _run(self, started: asyncio.Future[str]) -> int:
        """Run one server until its end; returns its exit code."""
        self._child = child = await Child.start("exporter.serve.process", self._listener)
        try:
            child.channel.send(Begin(self._settings))
            while True:
                message = await child.channel.receive()
                if isinstance(message, Ready):
                    self._encoder = Encoder()
                    self.publish()
                    if not started.done():
                        started.set_result(message.scheme)
                elif isinstance(message, Reload):
                    self._reload()
                elif isinstance(message, Pushed):
                    self._push(message.batch)
                elif isinstance(message, OrderCommand):
                    answering = asyncio.create_task(self._answer(child, message))
                    self._answering.add(answering)
                    answering.add_done_callback(self._answering.discard)
                elif isinstance(message, AskExchange):
                    found = self._exchange(message.site)
                    child.channel.send(Exchanged(message.number, found))
        except EOFError:
            return await child.process.wait()
        finally:
            self._encoder = None
            await child.end(0.0)

    async def _answer(self, child: Child, command: OrderCommand) -> None:
        """Answer a request for orders; the reader of messages does not wait for it."""
        try:
            status, body = await self._order(command.request)
        except Exception:
            log.exception("a request for orders failed")
            status, body = 500, {"detail": "the exporter made a mistake; its log says which"}
        child.channel.send(OrderAnswer(command.number, status, body))
