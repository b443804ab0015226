"""What every request passes before the application sees it, and every answer on its way out."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

import orjson
from fastapi import HTTPException
from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from exporter.config.fleet import Project
from exporter.serve.access.audit import CONTACTS_HEADER, AccessAudit
from exporter.serve.access.origins import is_foreign, is_own
from exporter.serve.access.rate_limits import Buckets
from exporter.serve.access.roles import (
    OPEN,
    OWN_CREDENTIALS,
    PERMISSIONS,
    Action,
    Caller,
    action_of,
)
from exporter.serve.access.sign_in import BusyError, SignIn
from exporter.serve.access.usage import (
    ACCOUNTS,
    METER,
    Meter,
    OverLimitError,
    Usage,
    accounts_of,
)
from exporter.serve.access.visible import calling
from exporter.serve.access.web_config import WebConfig

log = logging.getLogger(__name__)

LARGEST_BODY = 64 * 1024
LARGEST_HEAD = 32 * 1024
BODY_SECONDS = 10.0
CALLER = "fleetscope.caller"
# Rendered once for each Assessment, whoever asks; what watches the exporter is not refused.
CHEAP = frozenset({"/metrics", "/healthz", "/readyz"})
# A page of the exporter's own may set a policy that fits it; nothing else needs any right.
_DEFAULT_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "private, no-cache",
}
# Any request may be answered with these.
REFUSALS = (400, 401, 403, 408, 413, 421, 429, 431)


class _RefusedError(Exception):
    """A request that the application does not see, or not to its end."""

    def __init__(self, status: int, detail: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.headers = headers or {}


def _too_large() -> _RefusedError:
    return _RefusedError(413, f"a request may be {LARGEST_BODY // 1024} KiB at most")


def _stopping() -> _RefusedError:
    return _RefusedError(
        503, "the exporter stopped before it could answer; ask it again", {"Retry-After": "10"}
    )


# A caller of an open route who did not sign in.
_NOBODY = Caller("nobody")


def may_see_contacts(request: HTTPConnection) -> bool:
    """Whether contacts of some site may stand in the answer to this request.

    Sites whose contacts the caller may not see have none in the Assessment that it gets.
    """
    return caller_of(request).may_anywhere(Action.CONTACTS)


def caller_of(request: HTTPConnection) -> Caller:
    """Who sends a request; somebody without any right where nobody signed in."""
    caller = request.scope.get(CALLER)
    return caller if isinstance(caller, Caller) else _NOBODY


def authorise(request: HTTPConnection, action: Action, project: str | None) -> None:
    """Refuse an action in a project to a caller whose role there does not allow it.

    Parameters
    ----------
    request : HTTPConnection
    action : Action
    project : str or None
        Project of the site that the request is about; None for a site without a project.

    Raises
    ------
    HTTPException
        403, and 404 where the caller may not even read in that project.
    """
    caller = caller_of(request)
    if caller.may(action, project):
        return
    if not caller.may(Action.READ, project):
        raise HTTPException(404, "there is no such site or project")
    raise HTTPException(403, _needed(action))


class Guard:
    """ASGI middleware: rate and size limits, hosts, sign-in, the right to change, headers.

    Parameters
    ----------
    app : ASGI application
    config : callable
        The web configuration in force.
    sign_in : SignIn
    audit : AccessAudit
    names : frozenset of str
        Host names that the server answers to besides addresses, where nobody has to sign in.
    projects : callable
        The projects of the fleet file in force, with their quotas.
    caller_seconds : float
        Processor time that a caller may use at once.
    """

    def __init__(
        self,
        app: ASGIApp,
        config: Callable[[], WebConfig],
        sign_in: SignIn,
        audit: AccessAudit,
        names: frozenset[str] = frozenset(),
        projects: Callable[[], Mapping[str, Project]] = dict,
        caller_seconds: float = 60.0,
    ) -> None:
        self._projects = projects
        self._app = app
        self._config = config
        self._sign_in = sign_in
        self._audit = audit
        self._names = names
        self._usage = Usage(caller_seconds, time.monotonic)
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
        meter: Meter | None = None

        async def send_with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                self._note(scope, message)
                if meter is not None:
                    meter.stop()
                _add_headers(MutableHeaders(scope=message), config)
            await send(message)

        try:
            self._check_request(scope, config)
            caller = await self._caller(scope, config)
            scope[CALLER] = caller
            meter = self._meter(scope, caller, config)
            with calling(caller):
                await self._app(scope, _bounded(receive), send_with_headers)
        except _RefusedError as refused:
            if started:
                raise ConnectionResetError from refused
            await _refusal(send_with_headers, scope, refused)
        except asyncio.CancelledError:
            # The server cancels what is not answered two seconds after it was told to stop.
            if started or scope["app"].state.era is not None:
                raise
            await _refusal(send_with_headers, scope, _stopping())
        finally:
            if meter is not None:
                meter.stop()

    def _meter(self, scope: Scope, caller: Caller, config: WebConfig) -> Meter:
        """Begin to count what the request uses; refuse it where its caller used too much."""
        accounts = accounts_of(_address(scope), caller, self._projects())
        now = time.monotonic()
        for account in accounts[1:]:
            counted = _counted(account, scope)
            if account.startswith("user ") and not self._limit(config).take(counted, now):
                raise _RefusedError(429, "too many requests; slow down", {"Retry-After": "1"})
        try:
            meter = self._usage.begin(accounts, free=scope["path"] in CHEAP)
        except OverLimitError as error:
            retry = {"Retry-After": str(error.retry_seconds)}
            raise _RefusedError(429, str(error), retry) from None
        scope[ACCOUNTS], scope[METER] = accounts, meter
        return meter

    def _check_request(self, scope: Scope, config: WebConfig) -> None:
        """Refuse what needs no look at who sends it."""
        headers = dict(reversed(scope["headers"]))
        if not self._limit(config).take(_counted(_address(scope), scope), time.monotonic()):
            raise _RefusedError(429, "too many requests; slow down", {"Retry-After": "1"})
        head = sum(len(name) + len(value) for name, value in scope["headers"])
        if head + len(scope["raw_path"]) + len(scope["query_string"]) > LARGEST_HEAD:
            raise _RefusedError(
                431, f"address and headers may be {LARGEST_HEAD // 1024} KiB at most"
            )
        if not scope["query_string"].isascii():
            raise _RefusedError(
                400, "bytes beyond ASCII in an address are written as %XX (RFC 3986)"
            )
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or len(length) > 9 or int(length) > LARGEST_BODY:
            raise _too_large()
        host = headers.get(b"host", b"").decode("latin-1")
        if not config.signs_in and not is_own(host, self._names):
            raise _RefusedError(
                421,
                f"this server does not answer to the name {host[:80]!r}; if it is to, list the "
                "name in FLEETSCOPE_ALLOWED_HOSTS",
            )
        if is_foreign(scope["method"], headers):
            raise _RefusedError(403, "a page of another site may not ask this server")

    async def _caller(self, scope: Scope, config: WebConfig) -> Caller:
        """Who sends it; refuse what they may not do."""
        if (scope["method"], scope["path"]) in OWN_CREDENTIALS:
            return _NOBODY
        headers = dict(reversed(scope["headers"]))
        authorization = headers.get(b"authorization")
        try:
            caller = await self._sign_in.caller(
                config, authorization, _address(scope), time.monotonic()
            )
        except BusyError:
            raise _RefusedError(
                429, "too many sign-ins from this address", {"Retry-After": "10"}
            ) from None
        action = action_of(scope["method"], scope["path"])
        if action is Action.READ and scope["path"] in OPEN:
            return caller or _NOBODY
        if caller is None:
            raise _unknown_caller(config)
        if action is not None and not caller.may_anywhere(action):
            _check_method(scope)
            now = time.monotonic()
            self._audit.refused(caller, _address(scope), action, scope["path"], now)
            raise _RefusedError(403, _needed(action))
        self._audit.signed_in(caller, _address(scope), time.monotonic())
        return caller

    def _note(self, scope: Scope, message: Message) -> None:
        """Note what an answer gave to its caller, and what its request changed."""
        caller, address = scope.get(CALLER, _NOBODY), _address(scope)
        headers = MutableHeaders(scope=message)
        if (sites := headers.get(CONTACTS_HEADER)) is not None:
            del headers[CONTACTS_HEADER]
            self._audit.saw_contacts(caller, address, scope["path"], sites, time.monotonic())
        action = action_of(scope["method"], scope["path"])
        if action not in (None, Action.READ) and caller is not _NOBODY:
            self._audit.changed(caller, address, action, scope["path"], message["status"])

    def _limit(self, config: WebConfig) -> Buckets:
        limit = config.rate_limit
        if (limit.interval, limit.burst) != (self._requests.interval, self._requests.burst):
            self._requests = Buckets(limit.interval, limit.burst)
        return self._requests


def _counted(account: str, scope: Scope) -> str:
    """Under what a request is counted: a reader that asks too much must not keep Prometheus and
    health checks out, which may come from the same address."""
    return f"watch {account}" if scope["path"] in CHEAP else account


def _unknown_caller(config: WebConfig) -> _RefusedError:
    ways, needed = [], []
    if config.basic_auth_users or config.oidc is None:
        ways.append('Basic realm="Fleetscope", charset="UTF-8"')
        needed.append("a user name and password")
    if config.oidc is not None:
        ways.append('Bearer realm="Fleetscope"')
        needed.append("a token")
    detail = f"{' or '.join(needed)} {'is' if needed == ['a token'] else 'are'} needed"
    return _RefusedError(401, detail, {"WWW-Authenticate": ", ".join(ways)})


def _needed(action: Action) -> str:
    needed = PERMISSIONS[action]
    where = "every project" if needed.in_every_project else "the project"
    return f"to {action} takes the role {needed.role.name.lower()} in {where}"


def _address(scope: Scope) -> str:
    return str(scope["client"][0]) if scope.get("client") else ""


_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")


def _check_method(scope: Scope) -> None:
    """Refuse a method that the path does not know, whoever sends it."""
    routes = scope["app"].routes
    allowed = {
        method
        for method in _METHODS
        if any(route.matches({**scope, "method": method})[0] is Match.FULL for route in routes)
    }
    allowed |= {"HEAD"} if "GET" in allowed else set()
    if allowed and scope["method"] not in allowed:
        listed = ", ".join(sorted(allowed))
        raise _RefusedError(405, f"{scope['path'][:80]} takes {listed} only", {"Allow": listed})


def _bounded(receive: Receive) -> Receive:
    """``receive`` with an end to how much a body may hold and how long it may take."""
    left, whole = LARGEST_BODY, False

    async def bounded() -> Message:
        nonlocal left, whole
        if whole:
            # What comes after the body is only that the caller has gone, whenever that is.
            return await receive()
        try:
            async with asyncio.timeout(BODY_SECONDS):
                message = await receive()
        except TimeoutError:
            raise _RefusedError(408, "the request did not arrive in time") from None
        left -= len(message.get("body", b""))
        if left < 0:
            raise _too_large()
        whole = not message.get("more_body", False)
        return message

    return bounded


def bounded_bodies(app: ASGIApp) -> ASGIApp:
    """The application, with the same limits on bodies and nothing else."""

    async def bounded(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        refused: _RefusedError | None = None
        receive_bounded = _bounded(receive)

        async def receive_or_note() -> Message:
            nonlocal refused
            try:
                return await receive_bounded()
            except _RefusedError as error:
                refused = error
                raise

        async def send_unless_refused(message: Message) -> None:
            if refused is None:
                await send(message)

        try:
            await app(scope, receive_or_note, send_unless_refused)
        except _RefusedError as error:
            refused = error
        if refused is not None:
            await _refusal(send, scope, refused)

    return bounded


def _add_headers(headers: MutableHeaders, config: WebConfig) -> None:
    for name, value in _DEFAULT_HEADERS.items():
        headers.setdefault(name, value)
    chosen: dict[str, Any] = config.http_server_config.headers.model_dump(by_alias=True)
    for name, value in chosen.items():
        if value:
            headers[name] = value


async def _refusal(send: Send, scope: Scope, refused: _RefusedError) -> None:
    title = HTTPStatus(refused.status).phrase
    body = orjson.dumps(
        {
            "type": "about:blank",
            "title": title,
            "status": refused.status,
            "detail": str(refused),
        }
    )
    fields = {"Content-Type": "application/problem+json", "Content-Length": str(len(body))}
    # The rest of what such a caller sends is not read.
    fields |= {"Connection": "close"} | refused.headers
    raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in fields.items()]
    await send({"type": "http.response.start", "status": refused.status, "headers": raw})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
