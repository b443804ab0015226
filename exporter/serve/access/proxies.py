"""Reverse proxies that are trusted to say who their callers are.

Headers such as ``X-Forwarded-For`` count from these alone: whoever may claim another address gets
round every limit.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from starlette.types import ASGIApp, Receive, Scope, Send

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
# More hops than any installation has; the rest of a long header is not read.
_MOST_HOPS = 20


def networks_of(configured: str) -> tuple[Network, ...]:
    """The networks of a setting, which are separated by commas."""
    parts = (part.strip() for part in configured.split(","))
    return tuple(ipaddress.ip_network(part) for part in parts if part)


def is_trusted(address: str, trusted: Iterable[Network]) -> bool:
    """Whether an address, as a connection or a header has it, is that of such a proxy."""
    parsed = _parsed(address)
    return parsed is not None and any(parsed in network for network in trusted)


class TrustedProxies:
    """ASGI middleware: behind a trusted proxy the client, scheme and host are those it reports.

    Parameters
    ----------
    app : ASGI application
    trusted : tuple of networks
    """

    def __init__(self, app: ASGIApp, trusted: tuple[Network, ...]) -> None:
        self._app = app
        self._trusted = trusted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See the ASGI specification."""
        client = scope.get("client")
        if scope["type"] == "http" and client and is_trusted(client[0], self._trusted):
            scope = {**scope, **self._reported(scope)}
        await self._app(scope, receive, send)

    def _reported(self, scope: Scope) -> dict[str, object]:
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        given: dict[bytes, str] = {}
        for name, value in headers:
            if name.startswith(b"x-forwarded-"):
                # Several lines are one list (RFC 9110, 5.3).
                before = f"{given[name]}," if name in given else ""
                given[name] = before + value.decode("latin-1")
        changed: dict[str, object] = {
            "client": (self._client(scope["client"][0], given.get(b"x-forwarded-for", "")), 0)
        }
        # The last entry is that of the proxy itself.
        scheme = given.get(b"x-forwarded-proto", "").rpartition(",")[2].strip().lower()
        if scheme in ("http", "https"):
            changed["scheme"] = scheme
        host = given.get(b"x-forwarded-host", "").rpartition(",")[2].strip()
        if host:
            others = [(name, value) for name, value in headers if name != b"host"]
            changed["headers"] = [*others, (b"host", host.encode("latin-1"))]
        return changed

    def _client(self, proxy: str, forwarded_for: str) -> str:
        """The first address, from the right, that no trusted proxy has."""
        client = proxy
        for hop in reversed(forwarded_for.split(",")[-_MOST_HOPS:]):
            parsed = _parsed(hop.strip())
            if parsed is None:
                # Whatever stands further left was not written by somebody who is trusted.
                return client
            client = str(parsed)
            if not any(parsed in network for network in self._trusted):
                return client
        return client


def _parsed(text: str) -> Address | None:
    """An address, with or without a port; None for anything else."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        found = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return mapped or found
