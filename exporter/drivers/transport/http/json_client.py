"""One bounded HTTP GET of a JSON document; every failure has its reason."""

from __future__ import annotations

import errno
import functools
import json
import math
import re
import socket
from collections.abc import Callable
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any, Self

import aiohttp
import numpy as np
import orjson

from exporter.config.addresses import Network
from exporter.drivers.transport.http.connections import (
    AddressRefusedError,
    BoundedConnector,
    TooLargeError,
)
from exporter.drivers.transport.http.plain_client import (
    ConnectTimeoutError,
    PlainClient,
    Reply,
    plain_endpoint,
)
from exporter.drivers.transport.http.trust import SYSTEM_TRUST, Trust
from exporter.model.snapshot import Outcome, ScrapeError
from exporter.model.text import plain_line

CONNECT_SECONDS = 2.0
REQUEST_SECONDS = 5.0
# The end of a document that broke off within a token, from where the parser gave
# up: nothing, the start of a literal, of a number's fraction or exponent, or of an escape.
_CUT_TOKEN = re.compile(
    r"|t|tr|tru|f|fa|fal|fals|n|nu|nul|N|Na|-?(?:I|In|Inf|Infi|Infin|Infini|Infinit)?"
    r"|\.|[eE][-+]?|\\?u?[0-9A-Fa-f]{0,4}"
)
_PLAIN_TEXT = re.compile(r"[A-Za-z0-9._~/-]*\Z").match
_LONGEST_INTEGER = 18
_COLON = ord(":")
# Of so many numpy counts one character in less time than Python does.
_MANY_BYTES = 4096
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


class NotFoundError(ScrapeError):
    """The server answered 404 for what was asked."""

    def __init__(self, detail: str) -> None:
        super().__init__(Outcome.HTTP_STATUS, detail)


class HttpClient:
    """Asks all sites. Plain HTTP to one address goes a short way; the rest through aiohttp.

    Parameters
    ----------
    allowed : tuple of networks
        Where sites may be although ``connections.REFUSED_NETWORKS`` has them.
    """

    def __init__(self, allowed: tuple[Network, ...] = ()) -> None:
        self.plain = PlainClient(allowed)
        self.session = client_session(allowed)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close what is open."""
        self.plain.close()
        await self.session.close()

    def forget_addresses(self) -> None:
        """Resolve every host name anew."""
        self.plain.forget_addresses()
        connector = self.session.connector
        assert isinstance(connector, BoundedConnector)
        connector.clear_dns_cache()


def client_session(allowed: tuple[Network, ...] = ()) -> aiohttp.ClientSession:
    """One session for all sites: no cookies, no proxies, no kept connections, no compression."""
    session = aiohttp.ClientSession(
        connector=BoundedConnector(allowed),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"Accept": "application/json", "Accept-Encoding": "identity"},
        auto_decompress=False,
    )
    # aiohttp sends a GET again when the server closes without an answer, which suits connections
    # that are kept; here it would be a request beyond the site's budget. There is no public switch.
    session._retry_connection = False
    return session


async def get_json(
    http: HttpClient,
    base: str,
    path: str,
    params: dict[str, str],
    *,
    authorization: str | None = None,
    token_header: str | None = None,
    trust: Trust = SYSTEM_TRUST,
    patience_seconds: float | None = None,
    on_date: Callable[[float], None] | None = None,
) -> Any:
    """GET a JSON document of at most 1 MiB.

    Parameters
    ----------
    http : HttpClient
    base, path : str
        The endpoint, and what is asked of it, beginning with a slash.
    params : dict
        Query parameters.
    authorization : str or None
        Value of the header of that name.
    token_header : str or None
        A header that takes the token of a bearer as ``Token ...``, instead of ``Authorization``.
    trust : Trust
        What the site's certificate must be.
    patience_seconds : float or None
        Longest time for the whole request; None for :data:`REQUEST_SECONDS`.
    on_date : callable, optional
        Called with the time of the peer's clock, Unix seconds, or NaN where it does not say.

    Returns
    -------
    object
        The document. Bare ``Infinity`` and ``NaN`` are read as the floats they name, since some
        devices write them. Halves of a character come out as U+FFFD.

    Raises
    ------
    NotFoundError
        For status 404.
    ScrapeError
        For every other failure, with its outcome and a sentence that names the request.
    """
    what, target = _asked(path, tuple(params.items()))
    patience = REQUEST_SECONDS if patience_seconds is None else patience_seconds
    endpoint = plain_endpoint(base)
    try:
        reply = None
        if endpoint and target and not token_header and _is_plain(authorization):
            plain = http.plain
            reply = await plain.get(endpoint, target, authorization, CONNECT_SECONDS, patience)
        if reply is None:
            headers = _credentials(authorization, token_header)
            reply = await _any_reply(http, base + path, params, headers, trust, patience)
    except ScrapeError:
        raise
    except Exception as error:
        raise _explain(error, what) from error
    if reply.status == 404:
        raise NotFoundError(f"{what}: status 404")
    if reply.status != 200:
        raise ScrapeError(Outcome.HTTP_STATUS, f"{what}: status {reply.status}, 200 is expected")
    if reply.encoding != "identity":
        detail = f"{what}: encoded as {reply.encoding[:20]}, not asked for"
        raise ScrapeError(Outcome.MALFORMED, detail)
    if on_date is not None:
        on_date(_unix_seconds(reply.date))
    return _parse(reply.body, what, reply.content_type)


def _unix_seconds(date: str) -> float:
    """Of an HTTP date (RFC 9110, 5.6.7); NaN where there is none."""
    try:
        return parsedate_to_datetime(date).replace(tzinfo=UTC).timestamp()
    except (ValueError, OverflowError):
        return math.nan


async def send_json(
    http: HttpClient,
    method: str,
    base: str,
    path: str,
    body: Any,
    *,
    authorization: str | None = None,
    trust: Trust = SYSTEM_TRUST,
) -> bytes:
    """Send a JSON document to a device that is to be set, once: nothing is repeated here.

    Parameters
    ----------
    http : HttpClient
    method : str
        ``POST`` or ``PUT``.
    base, path : str
        The endpoint, and where below it, beginning with a slash.
    body : object
        None sends no body.
    authorization : str or None
    trust : Trust

    Returns
    -------
    bytes
        The body of the answer, of at most 1 MiB.

    Raises
    ------
    ScrapeError
        With outcome ``http_status`` for a refusal, quoting what the device says.
    """
    what = f"{method} {path}"
    timeout = aiohttp.ClientTimeout(total=REQUEST_SECONDS, sock_connect=CONNECT_SECONDS)
    headers = _credentials(authorization, None)
    options: dict[str, Any] = {"headers": headers, "ssl": trust.ssl(), "timeout": timeout}
    if body is not None:
        options["data"] = orjson.dumps(body)
        headers["Content-Type"] = "application/json"
    try:
        async with http.session.request(
            method, base + path, allow_redirects=False, **options
        ) as answer:
            found = await answer.read()
    except ScrapeError:
        raise
    except Exception as error:
        raise _explain(error, what) from error
    if not 200 <= answer.status < 300:
        said = _said(found)
        detail = f"{what}: status {answer.status}" + (f": {said}" if said else "")
        raise ScrapeError(Outcome.HTTP_STATUS, detail)
    return found


def _said(body: bytes) -> str:
    """What a refusal says, in one line: the texts of its object, or its own."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return ""
    if not isinstance(document, dict):
        return _one_line(document) if isinstance(document, str) else ""
    named = [document.get(key) for key in ("error", "message", "reason", "detail", "hint")]
    return _one_line(": ".join(text for text in named if isinstance(text, str) and text))


# All sites are asked for the same few things.
@functools.lru_cache(maxsize=4096)
def _asked(path: str, params: tuple[tuple[str, str], ...]) -> tuple[str, str | None]:
    """What is asked, in words and as the target of a request; None where that needs escapes."""
    # Messages are shown to people who may know a site, but not the address it is reached under.
    query = "&".join([f"{key}={value}" for key, value in params])
    target = f"{path}?{query}" if query else path
    is_plain = all(map(_PLAIN_TEXT, (path, *(value for _, value in params))))
    return f"GET {target}", target if is_plain else None


def _is_plain(authorization: str | None) -> bool:
    """Whether a header can be written without escapes."""
    return authorization is None or (authorization.isascii() and authorization.isprintable())


def _credentials(authorization: str | None, token_header: str | None) -> dict[str, str]:
    if not authorization:
        return {}
    if token_header is None:
        return {"Authorization": authorization}
    return {token_header: f"Token {authorization.removeprefix('Bearer ')}"}


async def _any_reply(
    http: HttpClient,
    url: str,
    params: dict[str, str],
    headers: dict[str, str],
    trust: Trust,
    patience_seconds: float,
) -> Reply:
    """GET by aiohttp: TLS, hosts with several addresses, unusual ways to write an endpoint."""
    timeout = aiohttp.ClientTimeout(total=patience_seconds, sock_connect=CONNECT_SECONDS)
    options: dict[str, Any] = {"headers": headers, "ssl": trust.ssl(), "timeout": timeout}
    get = http.session.get(url, params=params, allow_redirects=False, **options)
    async with get as reply:
        body = await reply.read()
        encoding = reply.headers.get("Content-Encoding", "identity")
        date = reply.headers.get("Date", "")
        return Reply(reply.status, reply.content_type, encoding, body, date)


def _explain(error: Exception, what: str) -> ScrapeError:
    """Turn what the HTTP client raised into one of the closed list of outcomes."""
    if isinstance(getattr(error, "os_error", error), AddressRefusedError):
        return ScrapeError(Outcome.REFUSED, f"{what}: {AddressRefusedError().strerror}")
    # Only the parser's message: the whole text of the error holds the address.
    reason = _one_line(getattr(error, "message", None) or type(error).__name__)
    outcome, detail = Outcome.MALFORMED, f"not HTTP as expected ({reason})"
    for kind, found, describe in _FAILURES:
        if isinstance(error, kind):
            outcome, detail = found, describe(error)
            break
    return ScrapeError(outcome, f"{what}: {detail}")


def _timeout_detail(error: Any) -> str:
    if isinstance(error, (ConnectTimeoutError, aiohttp.ConnectionTimeoutError)):
        return f"gave up connecting after {CONNECT_SECONDS:.0f} s"
    return f"gave up waiting after {REQUEST_SECONDS:.0f} s"


def _tls_detail(error: Any) -> str:
    cause = getattr(error, "certificate_error", None) or getattr(error, "os_error", error)
    # A certificate for another host comes with the name of the one that was asked.
    return re.sub(r" for '[^']*'", " for the endpoint's host", _one_line(cause))


def _connection_detail(error: Any) -> str:
    name = errno.errorcode.get(error.errno or 0, "") or type(error).__name__
    return f"no connection ({name})"


# The first kind that an error belongs to decides.
_FAILURES: tuple[tuple[type[Exception], Outcome, Callable[[Any], str]], ...] = (
    (TimeoutError, Outcome.TIMEOUT, _timeout_detail),
    (TooLargeError, Outcome.MALFORMED, str),
    (aiohttp.ClientConnectorDNSError, Outcome.DNS, lambda _: "no address for this host name"),
    (socket.gaierror, Outcome.DNS, lambda _: "no address for this host name"),
    (aiohttp.ClientSSLError, Outcome.TLS, _tls_detail),
    (
        aiohttp.ServerFingerprintMismatch,
        Outcome.TLS,
        lambda _: "the certificate is not the one of certificate_sha256",
    ),
    (aiohttp.ClientPayloadError, Outcome.TRUNCATED, lambda _: "the reply was cut short"),
    (aiohttp.ServerDisconnectedError, Outcome.REFUSED, lambda _: "closed without an answer"),
    (OSError, Outcome.REFUSED, _connection_detail),
)


def _parse(body: bytes | bytearray, what: str, content_type: str) -> Any:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        document = _parse_leniently(bytes(body), what, content_type)
    try:
        # Counts are cheap. Where there are no more colons than keys, no key is there twice.
        if _count_colons(body) != _count_outer_keys(document):
            written = body.count(b'":') - body.count(b'\\":')
            if written != _count_keys([document]):
                _refuse_contradictions(body, what)
    except RecursionError as error:
        raise ScrapeError(Outcome.MALFORMED, f"{what}: nested too deeply") from error
    return document


def _parse_leniently(body: bytes, what: str, content_type: str) -> Any:
    """What the strict parser refuses: bare Infinity, a broken character, or a real fault."""
    text = body.decode("utf-8", errors="replace").strip()
    if not text:
        raise ScrapeError(Outcome.TRUNCATED, f"{what}: the reply is empty")
    try:
        document = json.loads(text, parse_int=_integer)
        return _whole_characters(document) if _SURROGATE.search(text) else document
    except (ValueError, RecursionError) as error:
        opening = text[0]
        if opening in "{[" and _ends_early(text, error):
            detail = f"{what}: the reply was cut short after {len(body)} bytes"
            raise ScrapeError(Outcome.TRUNCATED, detail) from error
        detail = f"{what}: not JSON ({content_type}), it begins with {text[:40]!r}"
        raise ScrapeError(Outcome.MALFORMED, detail) from error


def _integer(digits: str) -> int | float:
    """An integer; one too long for any reading becomes a float, which limits then reject."""
    return int(digits) if len(digits) <= _LONGEST_INTEGER else float(digits)


def _whole_characters(value: Any) -> Any:
    """The document without halves of characters, which no encoder would take later."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_whole_characters(item) for item in value]
    if isinstance(value, dict):
        return {_whole_characters(key): _whole_characters(item) for key, item in value.items()}
    return value


def _count_colons(body: bytes | bytearray) -> int:
    if len(body) < _MANY_BYTES:
        return body.count(b":")
    return int(np.count_nonzero(np.frombuffer(body, np.uint8) == _COLON))


def _count_outer_keys(value: Any) -> int:
    """Keys of an object and of those right within it: all there are, for most replies."""
    if not isinstance(value, dict):
        return 0
    return len(value) + sum([len(item) for item in value.values() if isinstance(item, dict)])


def _count_keys(value: dict[str, Any] | list[Any]) -> int:
    inner = value.values() if isinstance(value, dict) else value
    own = len(value) if isinstance(value, dict) else 0
    return own + sum([_count_keys(item) for item in inner if isinstance(item, (dict, list))])


def _refuse_contradictions(body: bytes | bytearray, what: str) -> None:
    """Refuse a key with two different values: which one is meant cannot be known."""

    def pairs(found: list[tuple[str, Any]]) -> dict[str, Any]:
        seen: dict[str, Any] = {}
        for key, value in found:
            # By their text, since NaN is not equal to itself.
            if key in seen and repr(seen[key]) != repr(value):
                detail = f"{what}: {key[:80]!r} is twice in the reply, with different values"
                raise ScrapeError(Outcome.MALFORMED, detail)
            seen[key] = value
        return seen

    text = body.decode("utf-8", errors="replace").strip()
    json.loads(text, object_pairs_hook=pairs, parse_int=_integer)


def _ends_early(text: str, error: Exception) -> bool:
    """Whether a document broke off: the parser ran out of text, not into a wrong character."""
    if not isinstance(error, json.JSONDecodeError):
        return False
    if error.msg.startswith("Unterminated string"):
        return True
    return bool(_CUT_TOKEN.fullmatch(text, error.pos))


def _one_line(error: object) -> str:
    return plain_line(str(error))[:200]
