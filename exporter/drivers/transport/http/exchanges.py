"""Requests under way: one nonblocking socket each, all in one epoll.

The event loop watches the epoll as a single descriptor. So what arrived at many sockets costs one
wake-up, and a request costs its own system calls and little else: no transport, no timer.
"""

from __future__ import annotations

import asyncio
import os
import select
import socket
from errno import EINPROGRESS
from typing import NamedTuple

from aiohttp.client_exceptions import ClientOSError, ClientPayloadError, ServerDisconnectedError

from exporter.drivers.transport.http.connections import LARGEST_REPLY, too_large
from exporter.drivers.transport.http.reply_head import Head, usual_head

SUPPORTED = hasattr(select, "epoll")
# Deadlines are checked this often while a request is under way.
TICK_SECONDS = 0.1
_EVENTS_AT_ONCE = 256
_BUFFER_BYTES = 256 * 1024
_UNKNOWN = 2**62


class ConnectTimeoutError(TimeoutError):
    """No connection within the time for connecting."""


class Reply(NamedTuple):
    """What a site answered; ``date`` is empty where it gave none."""

    status: int
    content_type: str
    encoding: str
    body: bytes | bytearray
    date: str = ""


class Exchanges:
    """All requests under way. Belongs to one event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._epoll = select.epoll()
        self._loop.add_reader(self._epoll.fileno(), self._turn)
        self._open: dict[int, Exchange] = {}
        self._ticking: asyncio.TimerHandle | None = None
        # One buffer for all: what a socket gives is copied out of it before the next one is read.
        self.buffer = memoryview(bytearray(_BUFFER_BYTES))

    def begin(
        self, address: str, port: int, request: bytes, connect_seconds: float, until: float
    ) -> Exchange:
        """Connect and ask.

        Parameters
        ----------
        address : str
            Literal, IPv4 or IPv6.
        port : int
        request : bytes
        connect_seconds : float
            Longest time until the connection stands.
        until : float
            Time of the loop by which the whole reply must be there.

        Raises
        ------
        OSError
        """
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        # The system's own type: the library's adds calls for what is not needed here.
        connection = socket.SocketType(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            code = connection.connect_ex((address, port))
            if code not in (0, EINPROGRESS):
                raise OSError(code, os.strerror(code))
            number = connection.fileno()
            self._epoll.register(number, _WATCHED)
        except BaseException:
            connection.close()
            raise
        connecting_until = min(self._loop.time() + connect_seconds, until)
        found = self._open[number] = Exchange(self, connection, request, connecting_until, until)
        if self._ticking is None:
            self._ticking = self._loop.call_later(TICK_SECONDS, self._tick)
        return found

    @property
    def under_way(self) -> int:
        """Requests that are under way."""
        return len(self._open)

    def future(self) -> asyncio.Future[Reply | None]:
        """A future of the loop."""
        return self._loop.create_future()

    def forget(self, number: int) -> None:
        """A socket is about to be closed, which takes it out of the epoll."""
        self._open.pop(number, None)

    def close(self) -> None:
        """End all requests."""
        for exchange in list(self._open.values()):
            exchange.end()
        if self._ticking is not None:
            self._ticking.cancel()
        self._loop.remove_reader(self._epoll.fileno())
        self._epoll.close()

    def _turn(self) -> None:
        found = self._open
        for number, events in self._epoll.poll(0, _EVENTS_AT_ONCE):
            exchange = found.get(number)
            if exchange is not None:
                exchange.on_events(events)

    def _tick(self) -> None:
        now = self._loop.time()
        try:
            for exchange in [one for one in self._open.values() if one.until <= now]:
                exchange.expire()
        finally:
            # Whatever went wrong here: without ticks no request ends by its time any more.
            again = bool(self._open)
            self._ticking = self._loop.call_later(TICK_SECONDS, self._tick) if again else None


# Edges: each event says that something is new, and costs no call to change a mask.
_WATCHED = select.EPOLLIN | select.EPOLLOUT | select.EPOLLRDHUP | select.EPOLLET if SUPPORTED else 0
_GONE = select.EPOLLERR | select.EPOLLHUP if SUPPORTED else 0
_ENDED = _GONE | select.EPOLLRDHUP if SUPPORTED else 0
_OUT, _IN_OR_ENDED = (select.EPOLLOUT, select.EPOLLIN | _ENDED) if SUPPORTED else (0, 0)


class Exchange:
    """One request and its reply.

    ``done`` becomes the Reply, or None for one that is not as usual: then :meth:`pass_to` gives
    what comes to another reader. The socket is not given to the event loop, which closes it by its
    number: where a reply fails before the loop has wholly taken it, the socket's own object closes
    that number once more, which by then may be another site's connection or a file.
    """

    __slots__ = (
        *("_connected", "_connection", "_data", "_exchanges", "_expected", "_head", "_is_open"),
        *("_is_paused", "_number", "_reader", "_reply_until", "_request", "done", "until"),
    )

    def __init__(
        self,
        exchanges: Exchanges,
        connection: socket.SocketType,
        request: bytes,
        connecting_until: float,
        until: float,
    ) -> None:
        self._exchanges = exchanges
        self._connection = connection
        self._number = connection.fileno()
        self._request = request
        self._reply_until = until
        self._connected = False
        self._is_open = True
        self._is_paused = False
        self._reader: asyncio.Protocol | None = None
        self._data: bytes | bytearray = b""
        self._head: Head | None = None
        self._expected = _UNKNOWN
        self.until = connecting_until
        self.done = exchanges.future()

    def on_events(self, events: int) -> None:
        """Go on after what epoll reports."""
        try:
            if not self._connected and not self._connect(events):
                return
            if events & _OUT and self._request:
                sent = self._connection.send(self._request)
                self._request = self._request[sent:]
            if events & _IN_OR_ENDED:
                if self._reader is None:
                    self._receive(all_of_it=events & _ENDED != 0)
                else:
                    self._read_on(self._reader)
        except BlockingIOError:
            return
        except OSError as error:
            self._end_of_stream(error)

    def _connect(self, events: int) -> bool:
        if events & _GONE:
            code = self._connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            failure = OSError(code, os.strerror(code))
            # The system gave up connecting before the deadline did.
            self._fail(ConnectTimeoutError() if isinstance(failure, TimeoutError) else failure)
            return False
        self._connected = True
        self.until = self._reply_until
        return True

    def _receive(self, *, all_of_it: bool) -> None:
        """Read until there is nothing more for now.

        A piece shorter than the buffer was the last one, unless the end of the stream was reported
        with it: of that there is no second event.
        """
        buffer = self._exchanges.buffer
        while not self.done.done():
            count = self._connection.recv_into(buffer)
            if not count:
                self._end_of_stream(None)
                return
            self._take(bytes(buffer[:count]))
            if count < _BUFFER_BYTES and not all_of_it:
                return

    def _take(self, data: bytes) -> None:
        if self._head is None:
            head = self._head = usual_head(data)
            self._data = data
            if head is None:
                self.done.set_result(None)
                return
            if head.length is not None:
                self._expected = head.size + head.length
        else:
            if self._data.__class__ is bytes:
                self._data = bytearray(self._data)
            self._data += data
        size = len(self._data)
        if size > LARGEST_REPLY:
            self._fail(too_large())
        elif size == self._expected:
            self._finish()
        elif size > self._expected:
            self.done.set_result(None)

    def pass_to(self, reader: asyncio.Protocol) -> None:
        """Give what was read so far, and all that still comes, to another reader."""
        self._reader = reader
        was_open = self._is_open
        reader.connection_made(_Passage(self))
        reader.data_received(bytes(self._data))
        if was_open:
            # What came before there was this reader is announced by no further event.
            self._read_on(reader)
        else:
            reader.connection_lost(None)

    def pause(self) -> None:
        """Read nothing until :meth:`go_on`."""
        self._is_paused = True

    def go_on(self) -> None:
        """Read what there is for the other reader."""
        self._is_paused = False
        if self._reader is not None:
            self._read_on(self._reader)

    def _read_on(self, reader: asyncio.Protocol) -> None:
        buffer = self._exchanges.buffer
        while self._is_open and not self._is_paused:
            try:
                count = self._connection.recv_into(buffer)
            except BlockingIOError:
                return
            except OSError as error:
                self._lose(reader, error)
                return
            if not count:
                self._lose(reader, None)
                return
            reader.data_received(bytes(buffer[:count]))

    def _lose(self, reader: asyncio.Protocol, error: OSError | None) -> None:
        self.end()
        reader.connection_lost(error)

    def _end_of_stream(self, error: OSError | None) -> None:
        if self._reader is not None:
            self._lose(self._reader, error)
        elif self._head is None:
            self._fail(ServerDisconnectedError() if error is None else ClientOSError(*error.args))
        elif error is not None or self._head.length is not None:
            self._fail(ClientPayloadError())
        else:
            self._finish()

    def expire(self) -> None:
        """Its time is over."""
        self._fail(TimeoutError() if self._connected else ConnectTimeoutError())

    @property
    def is_open(self) -> bool:
        """Whether its connection is not closed."""
        return self._is_open

    def end(self) -> None:
        """Close the connection, whatever state it is in."""
        if self._is_open:
            self._is_open = False
            # Its number may belong to another one as soon as it is closed.
            self._exchanges.forget(self._number)
            self._connection.close()
        if not self.done.done():
            self.done.cancel()
        elif not self.done.cancelled():
            # Nobody else may have asked for a failure that came with the end of the time.
            self.done.exception()

    def _finish(self) -> None:
        head = self._head
        if head is None or self.done.done():
            return
        end = len(self._data) if head.length is None else self._expected
        body = self._data[head.size : end]
        self.done.set_result(Reply(head.status, head.content_type, head.encoding, body, head.date))

    def _fail(self, failure: Exception) -> None:
        if not self.done.done():
            self.done.set_exception(failure)
        self.end()


class _Passage(asyncio.Transport):
    """What another reader may ask of the connection of an exchange."""

    def __init__(self, exchange: Exchange) -> None:
        super().__init__()
        self._exchange = exchange

    def abort(self) -> None:
        self._exchange.end()

    def close(self) -> None:
        self._exchange.end()

    def is_closing(self) -> bool:
        return not self._exchange.is_open

    def pause_reading(self) -> None:
        self._exchange.pause()

    def resume_reading(self) -> None:
        # Later: the reader asks amid what it was given last.
        asyncio.get_running_loop().call_soon(self._exchange.go_on)
