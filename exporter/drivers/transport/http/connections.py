"""Connections to sites: to which addresses they may go, and how much may come back over one."""

from __future__ import annotations

import errno
import functools
import ipaddress
import socket
from collections.abc import Callable, Iterable
from typing import Any

import aiohttp
from aiohttp.client_proto import ResponseHandler

LARGEST_REPLY = 1024 * 1024
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
# Where clouds answer with credentials of the machine that asks, and what is no single device.
REFUSED_NETWORKS: tuple[Network, ...] = tuple(
    ipaddress.ip_network(text)
    for text in (
        "0.0.0.0/8",  # this host, by another name
        "169.254.0.0/16",  # link-local; AWS, Azure, Google and others answer at 169.254.169.254
        "100.100.100.200/32",  # Alibaba Cloud's metadata
        "168.63.129.16/32",  # Azure's host
        "192.0.0.192/32",  # Oracle Cloud's older metadata
        "224.0.0.0/4",  # multicast
        "255.255.255.255/32",
        "::/128",
        "fe80::/10",  # link-local
        "fd00:ec2::/32",  # AWS's metadata
        "fd20:ce::/32",  # Google's metadata
        "ff00::/8",  # multicast
    )
)
# Their last 32 bits hold an IPv4 address: NAT64 (RFC 6052, RFC 8215), and the form of old.
_HOLD_IPV4 = tuple(
    ipaddress.IPv6Network(text) for text in ("64:ff9b::/96", "64:ff9b:1::/48", "::/96")
)
# The loopback is no IPv4 address, and `::` has a line of its own.
_ONE = ipaddress.IPv6Address("::1")


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


def is_refused(address: Address, allowed: Iterable[Network]) -> bool:
    """Whether sites may not be asked at an address, however it is written.

    Parameters
    ----------
    address : IPv4Address or IPv6Address
        An IPv4 address inside an IPv6 one (mapped, compatible, NAT64, 6to4) counts as itself.
    allowed : iterable of networks
        Exceptions from :data:`REFUSED_NETWORKS`.
    """
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is None and address > _ONE and any(address in net for net in _HOLD_IPV4):
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            address = inner
    return any(address in net for net in REFUSED_NETWORKS) and not any(
        address in net for net in allowed
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
