"""Addresses that this machine is never made to ask: metadata of clouds, link-local, groups."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable
from urllib.parse import urlsplit

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
        "fd00:42::42/128",  # Scaleway's metadata
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


def url_mistake(url: str, *, secret: bool) -> str | None:
    """What is wrong with a URL that the exporter sends to; None where nothing is.

    Parameters
    ----------
    url : str
        With a host.
    secret : bool
        Whether a password or token goes there.
    """
    parts = urlsplit(url)
    address = _literal(parts.hostname or "")
    if address is not None and is_refused(address, ()):
        return "a link-local, metadata or group address receives nothing"
    local = parts.hostname == "localhost" or (address is not None and address.is_loopback)
    if secret and parts.scheme == "http" and not local:
        return "a token needs https, except on this machine; set plain_http: true to send it openly"
    return None


def _literal(host: str) -> Address | None:
    """The address that a host is, however it is written; None for a name."""
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        pass
    try:
        # One to four numbers, each in decimal, octal or hexadecimal.
        return ipaddress.IPv4Address(socket.inet_aton(host))
    except (OSError, ValueError, UnicodeEncodeError):
        return None
