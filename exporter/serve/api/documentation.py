"""``/docs``: the API to read and to try, without outside requests; ``/api/v1``: what there is."""

from __future__ import annotations

import base64
import functools
import hashlib
import re
from importlib import resources
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.openapi.docs import get_swagger_ui_html

from exporter.serve.api.replies import reply, reply_bytes

# The distribution of Swagger UI that the package fastapi-swagger ships.
_ASSETS = "fastapi_swagger.resources"
_FILES = {"swagger-ui-bundle.js": "text/javascript", "swagger-ui.css": "text/css"}


def install(app: FastAPI) -> None:
    """Add both routes to an application."""

    @app.get("/docs", include_in_schema=False)
    def docs(request: Request) -> Response:
        """The API as a page."""
        html, policy = _page()
        headers = {"Content-Security-Policy": policy}
        return reply_bytes(request, html, "text/html; charset=utf-8", **headers)

    @app.get("/docs/{file}", include_in_schema=False)
    def asset(request: Request, file: str) -> Response:
        """A part of the page."""
        if file not in _FILES:
            return Response(status_code=404)
        return reply_bytes(request, _asset(file), _FILES[file])

    @app.get("/api/v1", tags=["about"])
    def index(request: Request) -> Response:
        """Every route of the API, with what it answers."""
        routes = [
            {"method": method.upper(), "path": path, "answers": operation.get("description", "")}
            for path, operations in app.openapi()["paths"].items()
            for method, operation in operations.items()
        ]
        about = {"version": app.version, "docs": "/docs", "openapi": "/openapi.json"}
        return reply(request, {**about, "routes": routes})


@functools.cache
def _page() -> tuple[bytes, str]:
    """The page, and the policy that admits its own parts alone."""
    options: dict[str, Any] = {"filter": True, "displayRequestDuration": True}
    response = get_swagger_ui_html(
        openapi_url="openapi.json",
        title="Fleetscope API",
        swagger_js_url="docs/swagger-ui-bundle.js",
        swagger_css_url="docs/swagger-ui.css",
        swagger_favicon_url="data:,",
        swagger_ui_parameters=options,
    )
    html = bytes(response.body)
    inline = re.search(rb"<script>(.*?)</script>", html, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(inline[1] if inline else b"").digest()).decode()
    policy = (
        "default-src 'none'",
        f"script-src 'self' 'sha256-{digest}'",
        # Swagger UI sets styles on its elements.
        "style-src 'self' 'unsafe-inline'",
        "img-src data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
    return html, "; ".join(policy)


@functools.cache
def _asset(file: str) -> bytes:
    return resources.files(_ASSETS).joinpath(file).read_bytes()
