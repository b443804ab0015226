"""GET over plain HTTP from one address: what most sites are, at a fraction of a general client's
cost.

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

from exporter.config.addresses import Network, is_refused
from exporter.drivers.transport.http.connections import AddressRefusedError, BoundedHandler
from exporter.drivers.transport.http.exchanges import (
    SUPPORTED,
    ConnectTimeoutError,
    Exchange,
    Exchanges,
    Reply,
)
from exporter.drivers.transport.http.reply_head import MEDIA_TYPE

__all__ = ["ConnectTimeoutError", "PlainClient", "PlainEndpoint", "Reply", "plain_endpoint"]

ADDRESS_SECONDS = 60.0
_PLAIN_BASE = re.compile(
    r"http://(?P<host>[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::(?P<port>\d{1,5}))?"
    r"(?P<path>(?:/[A-Za-z0-9._~/-]*)?)\Z"
)
_ALWAYS_SENT = (
    "Accept: application/json\r\nAccept-Encoding: identity\r\nUser-Agent: fleetscope\r\n"
    "Connection: close\r\n"
)


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
    """Asks sites at addresses that are allowed. Belongs to one event loop.

    Parameters
    ----------
    allowed : tuple of networks
        Exceptions from the addresses that no site may have.
    """

    def __init__(self, allowed: tuple[Network, ...]) -> None:
        self._allowed = allowed
        self._addresses: dict[tuple[str, int], tuple[float, asyncio.Future[list[str]]]] = {}
        self._exchanges = Exchanges() if SUPPORTED else None

    def forget_addresses(self) -> None:
        """Resolve every host name anew."""
        self._addresses.clear()

    def close(self) -> None:
        """End all requests under way."""
        if self._exchanges is not None:
            self._exchanges.close()

    @property
    def under_way(self) -> int:
        """Requests that are under way."""
        return self._exchanges.under_way if self._exchanges is not None else 0

    async def get(
        self,
        endpoint: PlainEndpoint,
        target: str,
        authorization: str | None,
        connect_seconds: float,
        total_seconds: float,
    ) -> Reply | None:
        """GET ``target``; None where another client is needed: the host has several addresses, or
        the system has no epoll.

        Raises
        ------
        AddressRefusedError
            Nothing was sent: no site may have this address.
        ConnectTimeoutError, TimeoutError
        OSError, aiohttp.ClientError, aiohttp.http.HttpProcessingError
        """
        if self._exchanges is None:
            return None
        loop = asyncio.get_running_loop()
        until = loop.time() + total_seconds
        address = endpoint.host
        if not _is_literal(address):
            async with asyncio.timeout_at(until):
                found = await self._resolved(address, endpoint.port)
            if found is None:
                return None
            address = found
        if _refused(address, self._allowed):
            raise AddressRefusedError
        credentials = f"Authorization: {authorization}\r\n" if authorization else ""
        request = (
            f"GET {endpoint.path}{target} HTTP/1.1\r\nHost: {endpoint.header}\r\n"
            f"{_ALWAYS_SENT}{credentials}\r\n"
        ).encode("latin-1")
        exchange = self._exchanges.begin(address, endpoint.port, request, connect_seconds, until)
        try:
            reply = await exchange.done
            if reply is None:
                async with asyncio.timeout_at(until):
                    reply = await _unusual(exchange, loop)
        finally:
            exchange.end()
            # A failure holds this frame by its traceback, and the exchange holds the failure.
            del exchange
        return reply

    async def _resolved(self, host: str, port: int) -> str | None:
        """The one address of a host; None where it has several."""
        loop = asyncio.get_running_loop()
        until, lookup = self._addresses.get((host, port), (0.0, None))
        failed = lookup is not None and lookup.done() and lookup.exception() is not None
        if lookup is None or failed or (lookup.done() and loop.time() > until):
            lookup = asyncio.ensure_future(_look_up(host, port))
            self._addresses[host, port] = (loop.time() + ADDRESS_SECONDS, lookup)
        found = await asyncio.shield(lookup)
        return found[0] if len(found) == 1 else None


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


async def _unusual(exchange: Exchange, loop: asyncio.AbstractEventLoop) -> Reply:
    """The reply as aiohttp reads it, without what announces it (1xx)."""
    handler = BoundedHandler(loop)
    handler.set_response_params(read_until_eof=True, auto_decompress=False)
    exchange.pass_to(handler)
    while True:
        message, payload = await handler.read()
        if not 100 <= message.code <= 199 or message.code == 101:
            break
    body = await payload.read()
    content_type = message.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if not MEDIA_TYPE.match(content_type):
        content_type = "application/octet-stream"
    return Reply(
        status=message.code,
        content_type=content_type,
        encoding=message.headers.get("Content-Encoding", "identity"),
        body=body,
        date=message.headers.get("Date", ""),
    )
