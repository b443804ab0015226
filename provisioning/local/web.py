"""Short HTTP requests to servers of this machine."""

from __future__ import annotations

import http.client
import json
from typing import Any
from urllib.parse import urlencode, urlsplit


class RequestError(Exception):
    """No answer, or not the one hoped for; the message says which."""


def get(url: str, query: dict[str, str] | None = None, *, timeout: float = 10.0) -> bytes:
    """Body of a GET that answered 2xx.

    Parameters
    ----------
    url : str
        ``http://HOST:PORT/PATH``.
    query : dict, optional
        Query parameters, encoded here.
    timeout : float
        Seconds for each step of the exchange, above 0.

    Raises
    ------
    RequestError
        Refused, timed out, or another status.
    """
    parts = urlsplit(url)
    target = (parts.path or "/") + (f"?{urlencode(query)}" if query else "")
    connection = http.client.HTTPConnection(parts.netloc, timeout=timeout)
    try:
        connection.request("GET", target)
        reply = connection.getresponse()
        body = reply.read()
    except (OSError, http.client.HTTPException) as error:
        raise RequestError(f"{url}: {error or type(error).__name__}") from error
    finally:
        connection.close()
    if not 200 <= reply.status < 300:
        raise RequestError(f"{url}: status {reply.status}: {body[:200]!r}")
    return body


def get_json(url: str, query: dict[str, str] | None = None, *, timeout: float = 10.0) -> Any:
    """Decoded JSON of a GET that answered 2xx; see :func:`get`.

    Raises
    ------
    RequestError
        As :func:`get`, or the body is not JSON.
    """
    body = get(url, query, timeout=timeout)
    try:
        return json.loads(body)
    except ValueError as error:
        raise RequestError(f"{url}: not JSON: {body[:200]!r}") from error
