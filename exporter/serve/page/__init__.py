"""The page at ``/``: one document without outside requests, for whoever has no Grafana.

Its parts lie beside this module and are put together once; what it shows comes from the API.
"""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

import orjson
from fastapi import APIRouter, Request, Response

from exporter.model.quantities import API_KEYS, OTHER_LABELS, ROWS
from exporter.serve.api.replies import reply_bytes
from scoring.rules import CELL_WARMER_BY_C
from scoring.status import GOOD_FROM, HEALTHY_FROM, WARNING_FROM

_FOLDER = Path(__file__).parent
_SCRIPTS = ("base.js", "drawings.js", "history.js", "site.js", "fleet.js")


def document() -> tuple[bytes, str]:
    """The whole page, and the content security policy that lets in its own parts alone."""
    style = _read("page.css")
    script = "\n".join([_tables(), *(_read(name) for name in _SCRIPTS)])
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


def _tables() -> str:
    """The rows and limits that the page shows; ``SECOND_KEYS`` repeat the figure of another key."""
    rows = {
        row.name: {"label": row.label, "unit": row.unit, "decimals": row.decimals} for row in ROWS
    }
    others = {name: {"label": text} for name, text in OTHER_LABELS.items()}
    table = orjson.dumps(rows | others).decode()
    second = orjson.dumps(sorted(API_KEYS)).decode()
    statuses = [["HEALTHY", HEALTHY_FROM], ["GOOD", GOOD_FROM], ["WARNING", WARNING_FROM]]
    return "\n".join(
        (
            f"const QUANTITIES = {table};",
            f"const SECOND_KEYS = new Set({second});",
            f"const STATUS_FROM = {orjson.dumps(statuses).decode()};",
            f"const CELL_WARMER_BY = {CELL_WARMER_BY_C};",
        )
    )


def _read(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
