"""One bounded HTTP GET of a JSON document, every failure told by its reason."""

from __future__ import annotations

import errno
import json
import re
from typing import Any

import aiohttp
import orjson

from exporter.snapshot import Outcome, ScrapeError

CONNECT_SECONDS = 2.0
REQUEST_SECONDS = 5.0
LARGEST_REPLY = 4 * 1024 * 1024
# What stands at the end of a document that broke off within a token, from where the parser gave
# up: nothing, the start of a literal, of a number's fraction or exponent, or of an escape.
_CUT_TOKEN = re.compile(
    r"|t|tr|tru|f|fa|fal|fals|n|nu|nul|N|Na|-?(?:I|In|Inf|Infi|Infin|Infini|Infinit)?"
    r"|\.|[eE][-+]?|\\?u?[0-9A-Fa-f]{0,4}"
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")


class NotFoundError(ScrapeError):
    """The server answered 404 for what was asked."""

    def __init__(self, detail: str) -> None:
        super().__init__(Outcome.HTTP_STATUS, detail)


def client_session() -> aiohttp.ClientSession:
    """One session for all sites: no cookies, no proxies, no kept connections, no compression."""
    connector = aiohttp.TCPConnector(force_close=True, limit=0, ttl_dns_cache=60)
    session = aiohttp.ClientSession(
        connector=connector,
        timeout=aiohttp.ClientTimeout(total=REQUEST_SECONDS, sock_connect=CONNECT_SECONDS),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"Accept": "application/json", "Accept-Encoding": "identity"},
        auto_decompress=False,
    )
    # aiohttp sends a GET again when the server closes without an answer, which suits connections
    # that are kept; here it would be a request beyond the site's budget. There is no public switch.
    session._retry_connection = False
    return session


async def get_json(
    http: aiohttp.ClientSession, base: str, path: str, params: dict[str, str]
) -> Any:
    """GET a JSON document of at most 4 MiB.

    Parameters
    ----------
    http : aiohttp.ClientSession
        As made by :func:`client_session`.
    base, path : str
        The endpoint, and what is asked of it, beginning with a slash.
    params : dict
        Query parameters.

    Returns
    -------
    object
        The document. Bare ``Infinity`` and ``NaN`` are read as the floats they name, since some
        devices write them.

    Raises
    ------
    NotFoundError
        For status 404.
    ScrapeError
        For every other failure, with its outcome and a sentence that names the request.
    """
    # Messages are shown to people who may know a site, but not the address it is reached under.
    query = "&".join(f"{key}={value}" for key, value in params.items())
    what = f"GET {path}?{query}" if query else f"GET {path}"
    try:
        async with http.get(base + path, params=params, allow_redirects=False) as reply:
            body = await _read(reply, what)
            status, content_type = reply.status, reply.content_type
            encoding = reply.headers.get("Content-Encoding", "identity")
    except ScrapeError:
        raise
    except Exception as error:
        raise _explain(error, what) from error
    if status == 404:
        raise NotFoundError(f"{what}: status 404")
    if status != 200:
        raise ScrapeError(Outcome.HTTP_STATUS, f"{what}: status {status}, 200 is expected")
    if encoding != "identity":
        raise ScrapeError(Outcome.MALFORMED, f"{what}: encoded as {encoding[:20]}, not asked for")
    return _parse(body, what, content_type)


async def _read(reply: aiohttp.ClientResponse, what: str) -> bytes:
    chunks: list[bytes] = []
    size = 0
    async for chunk in reply.content.iter_any():
        size += len(chunk)
        if size > LARGEST_REPLY:
            raise ScrapeError(
                Outcome.MALFORMED, f"{what}: reply is larger than {LARGEST_REPLY // 2**20} MiB"
            )
        chunks.append(chunk)
    return b"".join(chunks)


def _explain(error: Exception, what: str) -> ScrapeError:
    """Turn what the HTTP client raised into one of the closed list of outcomes."""
    if isinstance(error, TimeoutError):
        slow = "connecting" if isinstance(error, aiohttp.ConnectionTimeoutError) else "waiting"
        limit = CONNECT_SECONDS if slow == "connecting" else REQUEST_SECONDS
        return ScrapeError(Outcome.TIMEOUT, f"{what}: gave up {slow} after {limit:.0f} s")
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return ScrapeError(Outcome.DNS, f"{what}: no address for this host name")
    if isinstance(error, aiohttp.ClientSSLError):
        cause = getattr(error, "certificate_error", None) or getattr(error, "os_error", error)
        return ScrapeError(Outcome.TLS, f"{what}: {_one_line(cause)}")
    if isinstance(error, aiohttp.ClientPayloadError):
        return ScrapeError(Outcome.TRUNCATED, f"{what}: the reply was cut short")
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return ScrapeError(Outcome.REFUSED, f"{what}: closed without an answer")
    if isinstance(error, OSError):
        name = errno.errorcode.get(error.errno or 0, "") or type(error).__name__
        return ScrapeError(Outcome.REFUSED, f"{what}: no connection ({name})")
    # Only the parser's own words: the whole text of the error holds the address.
    words = _one_line(getattr(error, "message", None) or type(error).__name__)
    return ScrapeError(Outcome.MALFORMED, f"{what}: not HTTP as expected ({words})")


def _parse(body: bytes, what: str, content_type: str) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        pass
    # The strict parser refused it: bare Infinity, a broken character, or a real fault.
    text = body.decode("utf-8", errors="replace").strip()
    if not text:
        raise ScrapeError(Outcome.TRUNCATED, f"{what}: the reply is empty")
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        opening = text[0]
        if opening in "{[" and _ends_early(text, error):
            detail = f"{what}: the reply was cut short after {len(body)} bytes"
            raise ScrapeError(Outcome.TRUNCATED, detail) from error
        seen = _CONTROL.sub(" ", text[:40])
        detail = f"{what}: not JSON ({content_type}), it begins with {seen!r}"
        raise ScrapeError(Outcome.MALFORMED, detail) from error


def _ends_early(text: str, error: Exception) -> bool:
    """Whether a document broke off: the parser ran out of text, not into a wrong character."""
    if not isinstance(error, json.JSONDecodeError):
        return False
    if error.msg.startswith("Unterminated string"):
        return True
    return bool(_CUT_TOKEN.fullmatch(text, error.pos))


def _one_line(error: object) -> str:
    return _CONTROL.sub(" ", str(error))[:200]
