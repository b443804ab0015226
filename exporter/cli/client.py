"""Asks a running exporter over HTTP."""

from __future__ import annotations

import contextlib
import json
import os
import time
from pathlib import Path
from typing import Any

from exporter.model.http import HttpClient, Reply, RequestError, basic
from exporter.model.text import plain_line

USUAL_URL = "http://127.0.0.1:9797"
ASK_SECONDS = 30.0
POST_SECONDS = 60.0
EXIT_CANNOT_ANSWER = 2
_ZONES = "/zoneinfo/"


class CannotAskError(Exception):
    """The exporter did not answer, or answered that it cannot.

    Attributes
    ----------
    suggestions : tuple of str
        What can be asked, or may have been meant.
    session : str or None
        The session that goes on all the same.
    """

    def __init__(
        self, message: str, suggestions: tuple[str, ...] = (), session: str | None = None
    ) -> None:
        super().__init__(message)
        self.suggestions = suggestions
        self.session = session


def usual_url() -> str:
    """Where the exporter listens, unless an option says otherwise."""
    return os.environ.get("FLEETSCOPE_URL") or USUAL_URL


def local_zone() -> str:
    """The time zone of this machine: TZ, else what /etc/localtime points to, else its offset."""
    named = os.environ.get("TZ", "").lstrip(":")
    if named and "/" in named and not named.startswith("/"):
        return named
    with contextlib.suppress(OSError):
        target = os.path.realpath("/etc/localtime")
        if not named and _ZONES in target:
            return target.split(_ZONES, 1)[1].removeprefix("posix/")
    from datetime import datetime

    offset = datetime.now().astimezone().strftime("%z")
    return f"{offset[:3]}:{offset[3:5]}"


def zone(named: str | None) -> str:
    """The time zone to ask in, as named, else this machine's; times are shown in it from now on."""
    if not named:
        return local_zone()
    # POSIX counts an offset to the west.
    west = named.translate(str.maketrans("+-", "-+")) if named[0] in "+-" else ""
    os.environ["TZ"] = f"<{named}>{west}" if west else named
    time.tzset()
    return named


def get(url: str, path: str, parameters: dict[str, Any] | None = None, seconds: float = 0) -> Any:
    """The JSON that the exporter answers to GET, as :func:`fetch` brings it.

    Raises
    ------
    CannotAskError
    """
    body = fetch(url, path, parameters, seconds)
    try:
        return _plain(json.loads(body))
    except ValueError as error:
        raise CannotAskError(
            f"{url} answers, but not as an exporter does: {plain_line(str(error))}"
        ) from error


def site_id(url: str, name: str) -> str:
    """The id of the one site that an id, a name or a part of either means.

    Raises
    ------
    CannotAskError
    """
    return str(get(url, "query", {"what": "site", "site": name})["sites"][0])


def fetch(
    url: str, path: str, parameters: dict[str, Any] | None = None, seconds: float = 0
) -> bytes:
    """What the exporter answers to GET; lists become repeated parameters.

    A token comes from FLEETSCOPE_API_TOKEN, else user name and password from
    FLEETSCOPE_API_USERNAME and FLEETSCOPE_API_PASSWORD (secrets also from …_FILE); a CA of one's
    own from FLEETSCOPE_API_CA_FILE.

    Raises
    ------
    CannotAskError
    """
    given = {k: v for k, v in (parameters or {}).items() if v not in (None, [], (), False, "")}
    return _request("GET", url, path, _headers(), seconds or ASK_SECONDS, params=given)


def post(url: str, path: str, body: Any, headers: dict[str, str] | None = None) -> Any:
    """The JSON that the exporter answers to POST of a JSON body, signed in as :func:`fetch` is.

    Raises
    ------
    CannotAskError
    """
    sent = _headers() | (headers or {})
    found = _request("POST", url, path, sent, POST_SECONDS, json=body)
    try:
        return _plain(json.loads(found))
    except ValueError as error:
        raise CannotAskError(f"{url} answers, but not as an exporter does") from error


def _request(
    method: str, url: str, path: str, headers: dict[str, str], seconds: float, **given: Any
) -> bytes:
    address = f"{url.rstrip('/')}/api/v1/{path}"
    http = HttpClient(headers, os.environ.get("FLEETSCOPE_API_CA_FILE"))
    try:
        reply = http.request(method, address, seconds=seconds, **given)
    except RequestError as error:
        raise CannotAskError(_without_address(error, address)) from error
    finally:
        http.close()
    if reply.status >= 300:
        raise _refusal(reply, address)
    return reply.body


def _without_address(error: RequestError, address: str) -> str:
    return f"{address} does not answer: {plain_line(str(error).partition(': ')[2])}"


def _refusal(reply: Reply, address: str) -> CannotAskError:
    """What the exporter says is wrong."""
    try:
        body = _plain(json.loads(reply.body))
        detail = body["detail"]
        if isinstance(detail, str):
            offered = body.get("examples") or body.get("suggestions") or ()
            return CannotAskError(detail, tuple(offered), body.get("session"))
    except (ValueError, KeyError, TypeError, AttributeError):
        pass
    return CannotAskError(f"{address} answered {reply.status}")


def _plain(value: Any) -> Any:
    """An answer whose texts act on no terminal, whoever sent it."""
    if isinstance(value, str):
        return value if value.isprintable() else "\n".join(map(plain_line, value.split("\n")))
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {_plain(key): _plain(item) for key, item in value.items()}
    return value


def _headers() -> dict[str, str]:
    if token := _secret("FLEETSCOPE_API_TOKEN"):
        return {"Authorization": f"Bearer {token}"}
    user = os.environ.get("FLEETSCOPE_API_USERNAME")
    return basic(user, _secret("FLEETSCOPE_API_PASSWORD")) if user else {}


def _secret(variable: str) -> str:
    """A secret from a variable, or from the file that another one names."""
    file = os.environ.get(f"{variable}_FILE")
    if not file:
        return os.environ.get(variable, "")
    try:
        return Path(file).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise CannotAskError(f"{variable}_FILE cannot be read") from error
