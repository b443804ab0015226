"""The page at ``/``: one document without outside requests, for whoever has no Grafana.

Its parts lie beside this module and are put together once; what it shows comes from the API.
"""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

from fastapi import APIRouter, Request, Response

from exporter.serve.api.replies import reply_bytes

_FOLDER = Path(__file__).parent
_SCRIPTS = ("base.js", "drawings.js", "history.js", "site.js", "fleet.js")


def document() -> tuple[bytes, str]:
    """The whole page, and the content security policy that lets in its own parts alone."""
    style = _read("page.css")
    script = "\n".join(_read(name) for name in _SCRIPTS)
    html = _read("page.html").replace("/* style */", style, 1).replace("/* script */", script, 1)
    policy = (
        "default-src 'none'",
        f"script-src {_hash(script)}",
        f"style-src {_hash(style)}",
        "connect-src 'self'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        # Whatever would make markup out of a text fails, names of sites included.
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
    return html.encode(), "; ".join(policy)


def router() -> APIRouter:
    """``/``."""
    routes = APIRouter()
    body, policy = document()
    headers = {
        "Content-Security-Policy": policy,
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }

    @routes.get("/", include_in_schema=False)
    async def page(request: Request) -> Response:
        """The page for a person."""
        return reply_bytes(request, body, "text/html; charset=utf-8", **headers)

    return routes


def _read(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
