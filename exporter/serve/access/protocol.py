"""HTTP/1.1 with limits on connections: how many, how idle, and whose certificate."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from exporter.serve.access.proxies import Network, is_trusted

# Room for a fleet of nodes that all push at once.
MOST_CONNECTIONS = 2048
MOST_OF_AN_ADDRESS = 128
# A whole request, or the next one on the same connection, has to arrive within this time twice.
IDLE_SECONDS = 10.0
_CLOSE = (b"connection", b"close")


class PatientProtocol(H11Protocol):
    """uvicorn's protocol with limits: half a request does not hold a connection for long, and no
    address can take all connections. A new one takes the place of the oldest idle one."""

    allowed_names: frozenset[str] = frozenset()
    # Their connections are those of many callers.
    trusted: tuple[Network, ...] = ()
    opened = 0.0
    _retired = False
    _watch: asyncio.TimerHandle | None = None
    _seen: Any = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """See :class:`asyncio.Protocol`."""
        super().connection_made(transport)
        self.opened = self.loop.time()
        if not self._is_allowed(transport) or not self._has_room():
            transport.abort()
            return
        self._watch = self.loop.call_later(IDLE_SECONDS, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        """See :class:`asyncio.Protocol`."""
        if self._watch is not None:
            self._watch.cancel()
        super().connection_lost(exc)

    def _has_room(self) -> bool:
        """Whether this connection may stay; closes an idle one for it where that is needed."""
        address = self.client[0] if self.client else ""
        everyone = [c for c in self.connections if isinstance(c, PatientProtocol)]
        of_address = [c for c in everyone if (c.client or ("",))[0] == address]
        own = MOST_CONNECTIONS if is_trusted(address, self.trusted) else MOST_OF_AN_ADDRESS
        for crowd, most in ((of_address, own), (everyone, MOST_CONNECTIONS)):
            if len(crowd) <= most:
                continue
            idle = [c for c in crowd if c is not self and c.is_idle()]
            idle = [c for c in idle if not c.transport.is_closing()]
            if not idle:
                return False
            min(idle, key=lambda c: c.opened).transport.abort()
        return True

    def retire(self) -> None:
        """Close after the next answer that can still say so.

        Closing an idle connection at once would cut a request that is on its way.
        """
        self._retired = True
        self._end_soon()

    def handle_events(self) -> None:
        """See :class:`H11Protocol`."""
        super().handle_events()
        if self._retired:
            self._end_soon()

    def _end_soon(self) -> None:
        cycle = self.cycle
        if self.is_idle() or cycle.response_started:
            return
        headers = list(cycle.scope["headers"])
        if _CLOSE not in headers:
            # As if the caller had asked for it: the answer has the header too.
            cycle.scope["headers"] = [*headers, _CLOSE]

    def is_idle(self) -> bool:
        """Whether no request is being answered."""
        return self.cycle is None or self.cycle.response_complete

    def _is_allowed(self, transport: asyncio.Transport) -> bool:
        if not self.allowed_names:
            return True
        certificate = transport.get_extra_info("peercert") or {}
        return any(name in self.allowed_names for _, name in certificate.get("subjectAltName", ()))

    def _look(self) -> None:
        """Close if since the last look no request has come, and none is being answered."""
        if self.is_idle() and self.cycle is self._seen:
            self.transport.close()
            return
        self._seen = self.cycle
        self._watch = self.loop.call_later(IDLE_SECONDS, self._look)
