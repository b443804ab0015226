"""JSON documents of one site, with that site's secret and trust on every request."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from exporter.drivers.transport.http.json_client import HttpClient, get_json, send_json
from exporter.drivers.transport.http.trust import SYSTEM_TRUST, Trust


def no_authorization(site: str, url: str) -> str | None:
    """For services without secrets of sites: none is sent an ``Authorization``."""
    return None


@dataclass(frozen=True, slots=True)
class HttpTransport:
    """HTTP for all sites.

    Attributes
    ----------
    client : HttpClient
    authorization : callable
        From a site's id and endpoint to its ``Authorization`` header, None for none. Asked before
        every request, since secrets change while the service runs.
    """

    client: HttpClient
    authorization: Callable[[str, str], str | None] = no_authorization

    def site(self, site: str, url: str, trust: Trust = SYSTEM_TRUST) -> SiteHttp:
        """A client of one site; ``url`` is what its requests begin with."""
        return SiteHttp(self, site, url.rstrip("/"), trust)


@dataclass(frozen=True, slots=True)
class SiteHttp:
    """A client of one site; made by :meth:`HttpTransport.site`."""

    transport: HttpTransport
    site: str
    url: str
    trust: Trust

    def get_json(
        self,
        path: str,
        params: dict[str, str],
        *,
        patience_seconds: float | None = None,
        token_header: str | None = None,
        on_date: Callable[[float], None] | None = None,
    ) -> Coroutine[Any, Any, Any]:
        """GET a JSON document; see :func:`exporter.drivers.transport.http.json_client.get_json`."""
        return get_json(
            self.transport.client,
            self.url,
            path,
            params,
            authorization=self.transport.authorization(self.site, self.url),
            token_header=token_header,
            trust=self.trust,
            patience_seconds=patience_seconds,
            on_date=on_date,
        )

    async def send_json(self, method: str, path: str, body: Any) -> bytes:
        """Set something; see :func:`exporter.drivers.transport.http.json_client.send_json`."""
        return await send_json(
            self.transport.client,
            method,
            self.url,
            path,
            body,
            authorization=self.transport.authorization(self.site, self.url),
            trust=self.trust,
        )
