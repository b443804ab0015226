"""The pages at ``/``, ``/cells``, ``/energy``, ``/runbooks``: no outside requests, any browser.

Their parts lie beside this module and are put together once; what they show comes from the API.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from importlib import resources

from fastapi import APIRouter, Request, Response

from exporter.model.extras import missing
from exporter.serve.api.problems import problem
from exporter.serve.api.replies import reply_bytes
from exporter.serve.page.documents import (
    CELLS,
    ENERGY,
    FLEET,
    LIBRARY_PATH,
    RUNBOOK,
    Links,
    document,
)
from exporter.serve.page.runbooks import runbooks_html

__all__ = ["Links", "document", "router"]

# three.js with its orbit controls, as the package for SageMath ships it.
_LIBRARY = ("jupyter_threejs_sage", "static/r130/three.min.js")
_HTML = "text/html; charset=utf-8"


def router(links: Links | None = None) -> APIRouter:
    """The pages, and the library for surfaces.

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

    @routes.get(LIBRARY_PATH, include_in_schema=False)
    def library(request: Request) -> Response:
        """The library that draws surfaces."""
        if absent := missing("surface"):
            return problem(404, absent)
        return reply_bytes(request, _library(), "text/javascript; charset=utf-8")

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


@functools.cache
def _library() -> bytes:
    package, file = _LIBRARY
    return resources.files(package).joinpath(file).read_bytes()
