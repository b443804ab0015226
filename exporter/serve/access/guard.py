"""What every request passes before the application sees it, and every answer on its way out."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any

import orjson
from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from exporter.serve.access.rate_limits import Buckets
from exporter.serve.access.sign_in import BusyError, Caller, SignIn
from exporter.serve.access.web_config import WebConfig

log = logging.getLogger(__name__)

LARGEST_BODY = 64 * 1024
LARGEST_HEAD = 32 * 1024
BODY_SECONDS = 10.0
# They tell that the process lives, and nothing of the fleet: health checks have no password.
OPEN = frozenset({"/healthz", "/readyz"})
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
CALLER = "fleetscope.caller"
# A page of the exporter's own may set a policy that fits it; nothing else needs any right.
_DEFAULT_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "private, no-cache",
}
# Any request may be answered with these; with 403 only what changes state.
REFUSALS = (400, 401, 408, 413, 429, 431)
_TITLES = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    408: "Request Timeout",
    413: "Content Too Large",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
}


class _TooLargeError(Exception):
    """The body of a request is larger than :data:`LARGEST_BODY`."""


def may_see_contacts(request: HTTPConnection) -> bool:
    """Whether contacts and endpoints may stand in the answer to this request."""
    caller = request.scope.get(CALLER)
    return isinstance(caller, Caller) and caller.contacts


class Guard:
    """ASGI middleware: rate and size limits, sign-in, the right to change, security headers.

    Parameters
    ----------
    app : ASGI application
    config : callable
        The web configuration in force.
    sign_in : SignIn
    """

    def __init__(self, app: ASGIApp, config: Callable[[], WebConfig], sign_in: SignIn) -> None:
        self._app = app
        self._config = config
        self._sign_in = sign_in
        self._requests = Buckets(config().rate_limit.interval, config().rate_limit.burst)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See the ASGI specification."""
        if scope["type"] != "http":
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008})
                return
            await self._app(scope, receive, send)
            return
        config = self._config()
        started = False

        async def send_with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                _add_headers(MutableHeaders(scope=message), config)
            await send(message)

        async def refuse(status: int, detail: str, **headers: str) -> None:
            if started:
                raise ConnectionResetError
            await _refusal(send_with_headers, scope, status, detail, headers)

        headers = dict(reversed(scope["headers"]))
        length = headers.get(b"content-length", b"0")
        client = scope["client"][0] if scope.get("client") else ""
        now = time.monotonic()
        if not self._limit(config).take(client, now):
            await refuse(429, "too many requests; slow down", **{"Retry-After": "1"})
            return
        head = sum(len(name) + len(value) for name, value in scope["headers"])
        if head + len(scope["raw_path"]) + len(scope["query_string"]) > LARGEST_HEAD:
            await refuse(431, f"address and headers may be {LARGEST_HEAD // 1024} KiB at most")
            return
        if not scope["query_string"].isascii():
            await refuse(400, "bytes beyond ASCII in an address are written as %XX (RFC 3986)")
            return
        if not length.isdigit() or len(length) > 9 or int(length) > LARGEST_BODY:
            await refuse(413, f"a request may be {LARGEST_BODY // 1024} KiB at most")
            return
        try:
            caller = await self._sign_in.caller(config, headers.get(b"authorization"), client, now)
        except BusyError:
            await refuse(429, "too many sign-ins have failed", **{"Retry-After": "10"})
            return
        if caller is None and scope["path"] not in OPEN:
            realm = {"WWW-Authenticate": 'Basic realm="Fleetscope", charset="UTF-8"'}
            await refuse(401, "a user name and password are needed", **realm)
            return
        if scope["method"] not in _SAFE and not (caller and caller.changes):
            await refuse(403, "what changes state needs the token for it, as Authorization: Bearer")
            return
        scope[CALLER] = caller
        try:
            await self._app(scope, _bounded(receive), send_with_headers)
        except _TooLargeError:
            await refuse(413, f"a request may be {LARGEST_BODY // 1024} KiB at most")
        except TimeoutError:
            await refuse(408, "the request did not arrive in time")

    def _limit(self, config: WebConfig) -> Buckets:
        limit = config.rate_limit
        if (limit.interval, limit.burst) != (self._requests.interval, self._requests.burst):
            self._requests = Buckets(limit.interval, limit.burst)
        return self._requests


def _bounded(receive: Receive) -> Receive:
    """``receive`` with an end to how much a body may hold and how long it may take."""
    left, whole = LARGEST_BODY, False

    async def bounded() -> Message:
        nonlocal left, whole
        if whole:
            # What comes after the body is only that the caller has gone, whenever that is.
            return await receive()
        async with asyncio.timeout(BODY_SECONDS):
            message = await receive()
        left -= len(message.get("body", b""))
        if left < 0:
            raise _TooLargeError
        whole = not message.get("more_body", False)
        return message

    return bounded


def _add_headers(headers: MutableHeaders, config: WebConfig) -> None:
    for name, value in _DEFAULT_HEADERS.items():
        headers.setdefault(name, value)
    chosen: dict[str, Any] = config.http_server_config.headers.model_dump(by_alias=True)
    for name, value in chosen.items():
        if value:
            headers[name] = value


async def _refusal(
    send: Send, scope: Scope, status: int, detail: str, headers: dict[str, str]
) -> None:
    body = orjson.dumps(
        {"type": "about:blank", "title": _TITLES[status], "status": status, "detail": detail}
    )
    fields = {"Content-Type": "application/problem+json", "Content-Length": str(len(body))}
    # The rest of what such a caller sends is not read.
    fields |= {"Connection": "close"} | headers
    raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in fields.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
