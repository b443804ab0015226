"""The short way to plain HTTP: the same documents and the same reasons as the general client."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import random
import socket
from collections.abc import AsyncIterator, Sequence

import pytest

from exporter.drivers.transport.http import json_client
from exporter.drivers.transport.http.json_client import HttpClient, get_json
from exporter.drivers.transport.http.plain_client import plain_endpoint
from exporter.model.snapshot import Outcome, ScrapeError

BODY = b'{"value": {"Soc": 71.5, "Voltages/Cell1": 3.312}}'
LENGTH = b"Content-Length: %d\r\n" % len(BODY)
OK = b"HTTP/1.0 200 OK\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"

REPLIES: dict[str, bytes] = {
    "as the bridge": OK + b"Server: BaseHTTP/0.6\r\nContent-type: application/json\r\n\r\n" + BODY,
    "with a length": OK + LENGTH + b"\r\n" + BODY,
    "longer than it says": OK + LENGTH + b"\r\n" + BODY + BODY,
    "shorter than it says": OK + LENGTH + b"\r\n" + BODY[:-9],
    "a length twice": OK + LENGTH + LENGTH + b"\r\n" + BODY,
    "two lengths": OK + LENGTH + b"Content-Length: 3\r\n\r\n" + BODY,
    "no number as length": OK + b"Content-Length: many\r\n\r\n" + BODY,
    "a negative length": OK + b"Content-Length: -1\r\n\r\n" + BODY,
    "chunked": OK.replace(b"1.0", b"1.1") + CHUNKED + b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY),
    "chunked and cut": OK.replace(b"1.0", b"1.1") + CHUNKED + b"%x\r\n%s" % (len(BODY), BODY),
    # So large that aiohttp's reader pauses before it is asked for the body.
    "large and chunked": OK.replace(b"1.0", b"1.1")
    + CHUNKED
    + b"".join(b"%x\r\n%s\r\n" % (60_000, b" " * 60_000) for _ in range(14))
    + b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY),
    "continued": b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"\r\n" + BODY,
    "bare line feeds": (OK + b"Server: x\r\n\r\n").replace(b"\r\n", b"\n") + BODY,
    "no reason": b"HTTP/1.1 200\r\n\r\n" + BODY,
    "no fields": OK + b"\r\n" + BODY,
    "encoded": OK + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(BODY),
    "encoded as itself": OK + b"Content-Encoding: identity\r\n\r\n" + BODY,
    "not found": b"HTTP/1.0 404 Not Found\r\n\r\n" + BODY,
    "no content": b"HTTP/1.1 204 No Content\r\n\r\n",
    "moved": b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\n\r\n",
    "status of four digits": b"HTTP/1.1 2000 OK\r\n\r\n" + BODY,
    "HTTP/2": b"HTTP/2.0 200 OK\r\n\r\n" + BODY,
    "nothing": b"",
    "half a head": OK + b"Server: Base",
    "no HTTP": b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    "a field without a colon": OK + b"Server\r\n\r\n" + BODY,
    "too large": OK + b"\r\n" + b" " * (2**20 + 1) + BODY,
    "a head that is too large": OK + b"".join(b"X-%d: y\r\n" % n for n in range(70_000)) + b"\r\n",
    "HTML": OK + b"Content-Type: text/HTML; charset=utf-8\r\n\r\n<html>",
}


@contextlib.asynccontextmanager
async def sending(pieces: Sequence[bytes]) -> AsyncIterator[str]:
    """A listener that sends these pieces, each in a packet of its own, and closes."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answering.add(asyncio.current_task())
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0.001)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    answering: set[asyncio.Task[None] | None] = set()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    server.sockets[0].setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/site"
        await asyncio.gather(*(task for task in answering if task))


async def read(url: str, http: HttpClient) -> object:
    """The document, or outcome and reason without what names a place in a reply."""
    try:
        return await get_json(http, url, "/value", {"path": "/"})
    except ScrapeError as error:
        return type(error), error.outcome, error.detail


async def both(pieces: Sequence[bytes], monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What the short way reads of a reply, and what aiohttp reads of it."""
    found = []
    async with sending(pieces) as url, HttpClient() as http:
        found.append(await read(url, http))
        with monkeypatch.context() as patch:
            patch.setattr(json_client, "plain_endpoint", lambda base: None)
            found.append(await read(url, http))
    return found


@pytest.mark.parametrize("reply", REPLIES.values(), ids=REPLIES.keys())
async def test_it_reads_what_aiohttp_reads(reply: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    short, general = await both([reply], monkeypatch)
    assert short == general


async def test_it_reads_the_same_however_a_reply_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(15)
    # Whether aiohttp sees what comes after the end depends on when it comes.
    whole = {name: reply for name, reply in REPLIES.items() if name != "longer than it says"}
    small = [reply for reply in whole.values() if len(reply) < 1000]
    for _ in range(60):
        reply = rng.choice(small)
        cuts = sorted(rng.randrange(len(reply) + 1) for _ in range(rng.randrange(4)))
        pieces = [reply[a:b] for a, b in zip([0, *cuts], [*cuts, len(reply)], strict=True)]
        short, general = await both(pieces, monkeypatch)
        assert short == general, pieces


async def test_it_reads_the_same_of_replies_with_wrong_bytes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = random.Random(16)
    small = [reply for reply in REPLIES.values() if 0 < len(reply) < 1000]
    for _ in range(150):
        reply = bytearray(rng.choice(small))
        for _ in range(rng.randrange(1, 4)):
            reply[rng.randrange(len(reply))] = rng.choice(b'\r\n :\x00\xff{}"0Aa')
        found = await both([bytes(reply)], monkeypatch)
        # The reason may quote a type of content that is none.
        short, general = (one[:2] if isinstance(one, tuple) else one for one in found)
        assert short == general, bytes(reply)


async def test_the_request_is_whole_and_closes() -> None:
    heads: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(OK + b"\r\n{}")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server, HttpClient() as http:
        port = server.sockets[0].getsockname()[1]
        url = f"http://127.0.0.1:{port}/site"
        query = {"service": "com.victronenergy.system", "path": "/"}
        await get_json(http, url, "/value", query, authorization="Bearer abc")
    (head,) = heads
    lines = head.decode().split("\r\n")
    assert lines[0] == "GET /site/value?service=com.victronenergy.system&path=/ HTTP/1.1"
    for line in (f"Host: 127.0.0.1:{port}", "Connection: close", "Authorization: Bearer abc"):
        assert line in lines
    assert "Accept-Encoding: identity" in lines


async def test_a_secret_that_would_end_its_line_is_not_sent() -> None:
    async with sending([OK + b"\r\n{}"]) as url, HttpClient() as http:
        with pytest.raises(ScrapeError) as caught:
            await get_json(http, url, "/value", {}, authorization="Bearer a\r\nX-Other: b")
    assert caught.value.outcome is Outcome.MALFORMED


@pytest.mark.parametrize(
    "base",
    [
        "https://site.example",
        "http://user:secret@site.example",
        "http://site.example/a?b=c",
        "http://site.example/a%20b",
        "http://s\u00efte.example",
        "http://[fe80::1%25eth0]/",
        "http://site.example:0",
        "http://site.example:99999",
    ],
)
def test_what_is_not_plain_goes_to_the_general_client(base: str) -> None:
    assert plain_endpoint(base) is None


async def test_a_name_is_resolved_once_a_minute_and_shared(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[object] = []
    async with sending([OK + b"\r\n{}"]) as url, HttpClient() as http:
        port = int(url.split(":")[2].partition("/")[0])

        async def resolved(host: object, *_: object, **__: object) -> list[object]:
            asked.append(host)
            await asyncio.sleep(0.01)
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

        loop = asyncio.get_running_loop()
        plain = loop.getaddrinfo
        monkeypatch.setattr(
            loop,
            "getaddrinfo",
            lambda host, *a, **k: (resolved if host == "a.example" else plain)(host, *a, **k),
        )
        named = f"http://a.example:{port}/site"
        found = await asyncio.gather(*(get_json(http, named, "/value", {}) for _ in range(5)))
    assert found == [{}] * 5
    assert asked == ["a.example"]
