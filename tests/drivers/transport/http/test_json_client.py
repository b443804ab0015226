"""One GET of a JSON document, against a listener with every kind of bad manners."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import math
import socket

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.drivers.transport.http import json_client
from exporter.drivers.transport.http.json_client import HttpClient, NotFoundError, get_json
from exporter.model.snapshot import Outcome, ScrapeError
from tests.drivers.bridge import (
    HEAD,
    Bridge,
    Manner,
    answers,
    encoded,
    hangs_after,
    listener_that_never_accepts,
    one_byte_at_a_time,
    resets,
    sends,
    unused_url,
)

JSON_TYPE = "Content-Type: application/json"


pytestmark = pytest.mark.usefixtures("short_patience")


async def fetch(manner: Manner | None) -> object:
    bridge = Bridge({}, services=["com.victronenergy.system"])
    if manner is not None:
        bridge.manners["services"] = manner
    async with bridge.running(), HttpClient() as http:
        return await get_json(http, bridge.url, "/services", {})


async def failure(manner: Manner) -> ScrapeError:
    with pytest.raises(ScrapeError) as caught:
        await fetch(manner)
    assert "GET /services" in caught.value.detail
    assert "127.0.0.1" not in caught.value.detail
    assert caught.value.detail.isprintable()
    return caught.value


async def test_a_reply_without_length_is_read_to_its_end() -> None:
    expected = {"services": ["com.victronenergy.system"], "count": 1, "success": True}
    assert await fetch(None) == expected
    assert await fetch(one_byte_at_a_time) == expected


BROKEN = {
    "closed without a byte": (sends(b""), Outcome.REFUSED),
    "headers cut": (sends(HEAD[:20]), Outcome.REFUSED),
    "hangs before headers": (hangs_after(b""), Outcome.TIMEOUT),
    "hangs in headers": (hangs_after(HEAD[:20]), Outcome.TIMEOUT),
    "hangs in body": (hangs_after(HEAD + b'{"services": ['), Outcome.TIMEOUT),
    "reset in body": (resets, Outcome.TRUNCATED),
    "no body": (sends(HEAD), Outcome.TRUNCATED),
    "blank body": (sends(HEAD + b" \r\n"), Outcome.TRUNCATED),
    "shorter than it says": (
        answers("200 OK", b'{"services"', JSON_TYPE, "Content-Length: 900"),
        Outcome.TRUNCATED,
    ),
    "html": (
        answers("200 OK", b"<html><b>hello</b>", "Content-Type: text/html"),
        Outcome.MALFORMED,
    ),
    "garbage": (sends(HEAD + bytes(range(128, 256))), Outcome.MALFORMED),
    "not http": (sends(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"), Outcome.MALFORMED),
    "http 0.9": (sends(b'{"services": []}'), Outcome.MALFORMED),
    "two documents": (sends(HEAD + b"{}{}"), Outcome.MALFORMED),
    "wrong character": (sends(HEAD + b'{"a": 1, b}'), Outcome.MALFORMED),
    "too deep": (sends(HEAD + b"[" * 100_000), Outcome.MALFORMED),
    "gzip": (
        answers("200 OK", gzip.compress(b"{}"), JSON_TYPE, "Content-Encoding: gzip"),
        Outcome.MALFORMED,
    ),
    "larger than 1 MiB": (sends(HEAD + b'"' + b"x" * 2 * 2**20 + b'"'), Outcome.MALFORMED),
    "redirect": (answers("302 Found", b"", "Location: http://127.0.0.1:1/"), Outcome.HTTP_STATUS),
    "server error": (answers("500 Internal Server Error", b"{}"), Outcome.HTTP_STATUS),
    "no content": (answers("204 No Content"), Outcome.HTTP_STATUS),
    "unauthorised": (answers("401 Unauthorized", b"{}"), Outcome.HTTP_STATUS),
}


@pytest.mark.parametrize(("manner", "outcome"), BROKEN.values(), ids=BROKEN.keys())
async def test_every_broken_reply_has_its_outcome(manner: Manner, outcome: Outcome) -> None:
    assert (await failure(manner)).outcome is outcome


async def test_404_is_told_apart() -> None:
    error = await failure(answers("404 Not Found", encoded({"value": None})))
    assert isinstance(error, NotFoundError)
    assert error.outcome is Outcome.HTTP_STATUS


async def test_nobody_listens() -> None:
    async with HttpClient() as http:
        with pytest.raises(ScrapeError, match="ECONNREFUSED") as caught:
            await get_json(http, unused_url(), "/", {})
    assert caught.value.outcome is Outcome.REFUSED


async def test_connecting_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_client, "CONNECT_SECONDS", 0.2)
    with listener_that_never_accepts() as url:
        async with HttpClient() as http:
            with pytest.raises(ScrapeError, match="gave up connecting") as caught:
                await get_json(http, url, "/", {})
    assert caught.value.outcome is Outcome.TIMEOUT


async def test_tls_is_asked_of_a_plain_listener() -> None:
    async with Bridge({}).running() as bridge, HttpClient() as http:
        with pytest.raises(ScrapeError) as caught:
            await get_json(http, bridge.url.replace("http:", "https:"), "/", {})
    assert caught.value.outcome in (Outcome.TLS, Outcome.TIMEOUT, Outcome.REFUSED)


async def test_a_host_name_without_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    async def no_address(*asked: object, **how: object) -> list[object]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    # The resolver would ask a server beyond the loopback.
    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", no_address)
    async with HttpClient() as http:
        with pytest.raises(ScrapeError, match="no address for this host name") as caught:
            await get_json(http, "http://nowhere.invalid", "/", {})
    assert caught.value.outcome is Outcome.DNS


async def test_bare_infinity_and_broken_characters_do_not_break_a_reply() -> None:
    body = b'{"a": Infinity, "b": -Infinity, "c": NaN, "d": "caf\xe9", "e": 1}'
    document = await fetch(sends(HEAD + body))
    assert isinstance(document, dict)
    assert document["a"] == math.inf
    assert document["b"] == -math.inf
    assert math.isnan(document["c"])
    assert document["d"] == "caf\ufffd"
    assert document["e"] == 1


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=12,
)


def cut_outcomes(whole: bytes) -> set[Outcome]:
    outcomes = set()
    for length in range(len(whole)):
        with pytest.raises(ScrapeError) as caught:
            json_client._parse(whole[:length], "GET x", "application/json")
        outcomes.add(caught.value.outcome)
    return outcomes


@pytest.mark.slow
@given(st.dictionaries(st.text(max_size=5), JSON, min_size=1), st.booleans())
@settings(max_examples=25, deadline=None, derandomize=True)
def test_a_document_cut_at_any_byte_is_truncated(document: object, plain: bool) -> None:
    whole = json.dumps(document, ensure_ascii=plain).encode("utf-8", "replace")
    assert cut_outcomes(whole) == {Outcome.TRUNCATED}


def test_every_kind_of_token_can_be_cut() -> None:
    whole = (
        b'{"t":true,"f":false,"n":null,"i":-12,"x":1.5e-7,"y":-2E+09,"inf":Infinity,'
        b'"ninf":-Infinity,"nan":NaN,"u":"\\u00e9\\n\\\\ \xc3\xa9","l":[1,[]],"o":{"a":{}}}'
    )
    assert cut_outcomes(whole) == {Outcome.TRUNCATED}


@given(st.binary(max_size=60))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_any_bytes_are_a_document_or_a_reason(body: bytes) -> None:
    with contextlib.suppress(ScrapeError):
        json_client._parse(body, "GET x", "application/json")
        return
    with pytest.raises(ScrapeError) as caught:
        json_client._parse(body, "GET x", "application/json")
    assert caught.value.outcome in (Outcome.MALFORMED, Outcome.TRUNCATED)
    assert caught.value.detail.isprintable()
