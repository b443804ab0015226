"""Connections to sites: to which addresses they may go, and how much may come back over one."""

from __future__ import annotations

import errno
import functools
import ipaddress
import socket
from collections.abc import Callable
from typing import Any

import aiohttp
from aiohttp.client_proto import ResponseHandler

from exporter.config.addresses import Network, is_refused

LARGEST_REPLY = 1024 * 1024


class TooLargeError(aiohttp.ClientError):
    """A site sent more than :data:`LARGEST_REPLY` bytes over one connection."""


class AddressRefusedError(OSError):
    """An address that no site may have."""

    def __init__(self) -> None:
        super().__init__(
            errno.EACCES,
            "the endpoint leads to a link-local, metadata or group address, which "
            "FLEETSCOPE_ALLOWED_NETWORKS does not allow",
        )


def socket_factory(allowed: tuple[Network, ...]) -> Callable[[Any], socket.socket]:
    """Makes the sockets of a session; called with the very address that is connected to, so that
    neither a host name nor an unusual way to write an address gets around it.

    Raises
    ------
    AddressRefusedError
        By what it returns, for an address that no site may have.
    """

    def make(info: Any) -> socket.socket:
        family, kind, protocol, _, address = info
        host = str(address[0]).partition("%")[0]
        if is_refused(ipaddress.ip_address(host), allowed):
            raise AddressRefusedError
        return socket.socket(family, kind, protocol)

    return make


def too_large() -> TooLargeError:
    """What a reply beyond the limit raises."""
    return TooLargeError(f"reply is larger than {LARGEST_REPLY // 2**20} MiB")


class BoundedHandler(ResponseHandler):
    """Ends a connection that carries too much, headers and the frames of chunks included.

    A limit on the body alone is not enough: a flood of tiny chunks or of ``100 Continue`` costs
    seconds of the processor that every other site's scrape needs.
    """

    def __init__(self, loop: Any) -> None:
        super().__init__(loop)
        self._received = 0

    def data_received(self, data: bytes) -> None:
        """See :class:`asyncio.Protocol`."""
        self._received += len(data)
        if self._received <= LARGEST_REPLY:
            super().data_received(data)
        elif self.transport is not None:
            error = too_large()
            if self._payload is not None:
                self._payload.set_exception(error)
            self.set_exception(error)
            self.transport.abort()


class BoundedConnector(aiohttp.TCPConnector):
    """Connects to allowed addresses only, closes after each reply, and bounds what comes back."""

    def __init__(self, allowed: tuple[Network, ...] = ()) -> None:
        super().__init__(
            force_close=True,
            limit=0,
            ttl_dns_cache=60,
            socket_factory=socket_factory(allowed),
        )
        # There is no public way to bound what a connection carries before it is parsed.
        bounded: Any = functools.partial(BoundedHandler, loop=self._loop)
        self._factory = bounded
