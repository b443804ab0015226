"""GET over plain HTTP from one address: what most sites are, at a third of a general client's cost.

A reply that begins as nearly all do (its whole head in the first piece, a status that is final, no
transfer encoding) is read here. Any other goes, from its first byte, to aiohttp's own parser, so
that an unusual peer is judged in one place.
"""

from __future__ import annotations

import asyncio
import functools
import ipaddress
import re
import socket
from dataclasses import dataclass
from typing import Any, NamedTuple

from aiohttp.client_exceptions import ClientOSError, ClientPayloadError, ServerDisconnectedError

from exporter.config.addresses import Network, is_refused
from exporter.drivers.transport.http.connections import (
    LARGEST_REPLY,
    AddressRefusedError,
    BoundedHandler,
    too_large,
)

ADDRESS_SECONDS = 60.0
_PLAIN_BASE = re.compile(
    r"http://(?P<host>[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::(?P<port>\d{1,5}))?"
    r"(?P<path>(?:/[A-Za-z0-9._~/-]*)?)\Z"
)
_HEAD_END = b"\r\n\r\n"
_STATUS = re.compile(rb"HTTP/1\.[01] ([2-5]\d\d)(?: [^\r\n]*)?\r\n")
# Field lines as RFC 9110 has them; what differs is for aiohttp to judge.
_FIELDS = re.compile(rb"(?:\r\n[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t\x20-\x7e\x80-\xff]*)*\Z")
_MEDIA_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]+/[a-z0-9!#$&^_.+-]+\Z")
_UNKNOWN = 2**62
_NO_BODY = frozenset({204, 304})
_LENGTH = re.compile(rb"\s*(\d{1,15})\s*\Z")
_ALWAYS_SENT = (
    "Accept: application/json\r\nAccept-Encoding: identity\r\nUser-Agent: fleetscope\r\n"
    "Connection: close\r\n"
)


class ConnectTimeoutError(TimeoutError):
    """No connection within the time for connecting."""


class Reply(NamedTuple):
    """What a site answered."""

    status: int
    content_type: str
    encoding: str
    body: bytes | bytearray


@dataclass(frozen=True, slots=True)
class PlainEndpoint:
    """An endpoint that the plain client can ask: host without brackets, port, path, Host header."""

    host: str
    port: int
    path: str
    header: str


@functools.lru_cache(maxsize=65_536)
def plain_endpoint(base: str) -> PlainEndpoint | None:
    """The parts of an endpoint; None for one that needs the general client."""
    found = _PLAIN_BASE.match(base)
    if found is None:
        return None
    host, port = found["host"], int(found["port"] or 80)
    if not 0 < port < 65_536:
        return None
    header = host if port == 80 else f"{host}:{port}"
    return PlainEndpoint(host.strip("[]"), port, found["path"], header)


class PlainClient:
    """Asks sites at addresses that are allowed.

    Parameters
    ----------
    allowed : tuple of networks
        Exceptions from the addresses that no site may have.
    """

    def __init__(self, allowed: tuple[Network, ...]) -> None:
        self._allowed = allowed
        self._addresses: dict[tuple[str, int], tuple[float, asyncio.Future[list[str]]]] = {}

    def forget_addresses(self) -> None:
        """Resolve every host name anew."""
        self._addresses.clear()

    async def get(
        self,
        endpoint: PlainEndpoint,
        target: str,
        authorization: str | None,
        connect_seconds: float,
        total_seconds: float,
    ) -> Reply | None:
        """GET ``target``; None where the host has several addresses, which another client tries.

        Raises
        ------
        AddressRefusedError
            Nothing was sent: no site may have this address.
        ConnectTimeoutError, TimeoutError
        OSError, aiohttp.ClientError, aiohttp.http.HttpProcessingError
        """
        credentials = f"Authorization: {authorization}\r\n" if authorization else ""
        request = (
            f"GET {endpoint.path}{target} HTTP/1.1\r\nHost: {endpoint.header}\r\n"
            f"{_ALWAYS_SENT}{credentials}\r\n"
        ).encode("latin-1")
        loop = asyncio.get_running_loop()
        begun = loop.time()
        exchange = _Exchange(loop, request)
        try:
            async with asyncio.timeout_at(begun + total_seconds) as limit:
                address = await self._address(endpoint.host, endpoint.port)
                if address is None:
                    return None
                limit.reschedule(min(loop.time() + connect_seconds, begun + total_seconds))
                await loop.create_connection(lambda: exchange, address, endpoint.port)
                limit.reschedule(begun + total_seconds)
                return await exchange.done or await _unusual(exchange)
        except TimeoutError:
            if exchange.transport is None and loop.time() < begun + total_seconds:
                raise ConnectTimeoutError from None
            raise
        finally:
            exchange.end()

    async def _address(self, host: str, port: int) -> str | None:
        """The one address of a host; None where it has several."""
        if _is_literal(host):
            found = [host]
        else:
            found = await self._resolved(host, port)
        if len(found) != 1:
            return None
        if _refused(found[0], self._allowed):
            raise AddressRefusedError
        return found[0]

    async def _resolved(self, host: str, port: int) -> list[str]:
        loop = asyncio.get_running_loop()
        until, lookup = self._addresses.get((host, port), (0.0, None))
        failed = lookup is not None and lookup.done() and lookup.exception() is not None
        if lookup is None or failed or (lookup.done() and loop.time() > until):
            lookup = asyncio.ensure_future(_look_up(host, port))
            self._addresses[host, port] = (loop.time() + ADDRESS_SECONDS, lookup)
        return await asyncio.shield(lookup)


async def _look_up(host: str, port: int) -> list[str]:
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    return list(dict.fromkeys(str(address[0]) for _, _, _, _, address in found))


@functools.lru_cache(maxsize=65_536)
def _is_literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


@functools.lru_cache(maxsize=65_536)
def _refused(address: str, allowed: tuple[Network, ...]) -> bool:
    return is_refused(ipaddress.ip_address(address.partition("%")[0]), allowed)


class _Exchange(asyncio.Protocol):
    """One request and its reply.

    ``done`` becomes the Reply, or None once an unusual one is with ``handler``.
    """

    __slots__ = ("_data", "_expected", "_head", "_loop", "_request", "done", "handler", "transport")

    def __init__(self, loop: asyncio.AbstractEventLoop, request: bytes) -> None:
        self._loop = loop
        self._request = request
        self._data: bytes | bytearray = b""
        self._head: _Head | None = None
        self._expected = _UNKNOWN
        self.done: asyncio.Future[Reply | None] = loop.create_future()
        self.handler: Any = None
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See :class:`asyncio.Protocol`."""
        self.transport = transport
        self.transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """See :class:`asyncio.Protocol`."""
        if self._head is None:
            self._head = head = _usual_head(data)
            if head is None:
                self._hand_over(data)
                return
            self._data = data
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
            self._hand_over(bytes(self._data))

    def connection_lost(self, exc: Exception | None) -> None:
        """See :class:`asyncio.Protocol`."""
        if self.done.done():
            return
        if self._head is None:
            failure: Exception = ServerDisconnectedError()
            if isinstance(exc, OSError):
                failure = ClientOSError(*exc.args)
            self._fail(failure)
        elif exc is not None or self._head.length is not None:
            self._fail(ClientPayloadError())
        else:
            self._finish()

    def end(self) -> None:
        """Close the connection, whatever state it is in."""
        if self.transport is not None and not self.transport.is_closing():
            self.transport.abort()
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
        self.done.set_result(Reply(head.status, head.content_type, head.encoding, body))

    def _fail(self, failure: Exception) -> None:
        if not self.done.done():
            self.done.set_exception(failure)
        self.end()

    def _hand_over(self, data: bytes) -> None:
        """Let aiohttp read this reply, from its first byte."""
        handler = self.handler = BoundedHandler(self._loop)
        handler.connection_made(self.transport)
        handler.set_response_params(read_until_eof=True, auto_decompress=False)
        self.transport.set_protocol(handler)
        handler.data_received(data)
        if not self.done.done():
            self.done.set_result(None)


class _Head(NamedTuple):
    """The head of a reply: its size in bytes, and the length of the body where it is given."""

    size: int
    status: int
    length: int | None
    content_type: str
    encoding: str


def _usual_head(data: bytes) -> _Head | None:
    """The head of a reply that begins as nearly all do; None for any other."""
    end = data.find(_HEAD_END)
    status = _STATUS.match(data)
    if end < 0 or status is None:
        return None
    fields = data[status.end() - 2 : end].lower()
    if b"\ntransfer-encoding" in fields or not _FIELDS.match(fields):
        return None
    code = int(status[1])
    length: int | None = None
    at = fields.find(b"\ncontent-length:")
    if at >= 0:
        found = _LENGTH.match(_value(fields, at))
        if found is None or b"\ncontent-length:" in fields[at + 1 :]:
            return None
        length = int(found[1])
    if code in _NO_BODY:
        length = 0
    return _Head(
        size=end + 4,
        status=code,
        length=length,
        content_type=_media_type(fields),
        encoding=_text(fields, b"\ncontent-encoding:") or "identity",
    )


def _value(fields: bytes, at: int) -> bytes:
    """The value of the field whose line begins at ``at``."""
    begin = fields.index(b":", at) + 1
    end = fields.find(b"\r\n", begin)
    return fields[begin:end] if end >= 0 else fields[begin:]


def _text(fields: bytes, name: bytes) -> str:
    at = fields.find(name)
    if at < 0:
        return ""
    return _value(fields, at).partition(b";")[0].strip().decode("latin-1")


def _media_type(fields: bytes) -> str:
    found = _text(fields, b"\ncontent-type:")
    return found if _MEDIA_TYPE.match(found) else "application/octet-stream"


async def _unusual(exchange: _Exchange) -> Reply:
    """The reply as aiohttp reads it, without what announces it (1xx)."""
    handler = exchange.handler
    while True:
        message, payload = await handler.read()
        if not 100 <= message.code <= 199 or message.code == 101:
            break
    body = await payload.read()
    content_type = message.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if not _MEDIA_TYPE.match(content_type):
        content_type = "application/octet-stream"
    return Reply(
        status=message.code,
        content_type=content_type,
        encoding=message.headers.get("Content-Encoding", "identity"),
        body=body,
    )
