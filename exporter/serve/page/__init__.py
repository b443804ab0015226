"""The pages at ``/``, ``/cells``, ``/energy``, ``/runbooks``: no outside requests, any browser.

Their parts lie beside this module and are put together once; what they show comes from the API.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from fastapi import APIRouter, Request, Response

from exporter.serve.api.problems import problem
from exporter.serve.api.replies import reply_bytes
from exporter.serve.page.documents import (
    CELLS,
    ENERGY,
    FLEET,
    RUNBOOK,
    Links,
    document,
)
from exporter.serve.page.runbooks import runbooks_html

__all__ = ["Links", "document", "router"]

_HTML = "text/html; charset=utf-8"


def router(links: Links | None = None) -> APIRouter:
    """The pages.

    Parameters
    ----------
    links : Links, optional
        Addresses that pages link to.
    """
    routes = APIRouter()
    for path, parts in (("/", FLEET), ("/cells", CELLS), ("/energy", ENERGY)):
        routes.add_api_route(path, _page(*document(parts, links)), include_in_schema=False)

    @routes.get("/runbooks", include_in_schema=False)
    def runbooks(request: Request) -> Response:
        """What each alert means, how to check, what to do, when to escalate."""
        try:
            content = runbooks_html()
        except FileNotFoundError as error:
            return problem(404, str(error))
        html, policy = document(RUNBOOK, content=content)
        return reply_bytes(request, html, _HTML, **_headers(policy))

    return routes


def _page(body: bytes, policy: str) -> Callable[[Request], Awaitable[Response]]:
    async def page(request: Request) -> Response:
        """The page for a person."""
        return reply_bytes(request, body, _HTML, **_headers(policy))

    return page


def _headers(policy: str) -> dict[str, str]:
    return {
        "Content-Security-Policy": policy,
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }
