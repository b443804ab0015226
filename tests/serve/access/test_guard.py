"""What a caller gets past the guard, with and without sign-in; over real HTTP."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import socket
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import bcrypt
import pytest
import yaml
from fastapi import APIRouter, FastAPI, Request
from yarl import URL

from exporter.config.fleet import Project
from exporter.config.settings import Settings, load_settings
from exporter.serve.access import guard, protocol
from exporter.serve.access.failures import LONGEST_SECONDS, MOST_KEYS, Failures
from exporter.serve.access.guard import LARGEST_BODY, may_see_contacts
from exporter.serve.access.rate_limits import MOST_CLIENTS, Buckets
from exporter.serve.access.server import GuardedServer
from tests.serve.access.conftest import hashed

TOKEN = "change-me-4711-4711"


def application() -> FastAPI:
    app = FastAPI()

    @app.get("/healthz")
    async def health() -> str:
        return "ok"

    @app.get("/who")
    async def who(request: Request) -> bool:
        return may_see_contacts(request)

    @app.post("/-/reload")
    async def change(request: Request) -> int:
        return len(await request.body())

    included = APIRouter(prefix="/included")
    included.add_api_route("/who", who)
    app.include_router(included)
    return app


def configured(tmp_path: Path, config: dict[str, Any] | None, **more: Any) -> Settings:
    path = tmp_path / "web.yml"
    if config is not None:
        path.write_text(yaml.safe_dump(config), "utf-8")
        more["web_config"] = path
    return load_settings(**more)


@contextlib.asynccontextmanager
async def serving(
    settings: Settings, quotas: Mapping[str, Project] | None = None
) -> AsyncIterator[tuple[str, GuardedServer]]:
    guarded = GuardedServer(application(), settings, lambda: quotas or {})
    listener = socket.create_server(("127.0.0.1", 0))
    task = asyncio.create_task(guarded.serve(listener))
    try:
        yield f"{guarded.scheme}://127.0.0.1:{listener.getsockname()[1]}", guarded
    finally:
        guarded.stop()
        await task


async def read_whole(request: Any, handler: Any) -> Any:
    reply = await handler(request)
    await reply.read()
    return reply


def client(url: str) -> aiohttp.ClientSession:
    """A session that leaves no answer unread."""
    return aiohttp.ClientSession(url, middlewares=(read_whole,))


USERS = {"basic_auth_users": {"ops": hashed("right"), "prometheus": hashed("other")}}


def basic(name: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}


BEARER = {"Authorization": f"Bearer {TOKEN}"}


async def test_without_users_all_may_read_and_nobody_may_change(tmp_path: Path) -> None:
    async with serving(configured(tmp_path, None)) as (url, _), client(url) as http:
        assert await (await http.get("/who")).json() is True
        for headers in ({}, BEARER, {"Authorization": "Bearer "}):
            assert (await http.post("/-/reload", headers=headers)).status == 403
            for method in ("PUT", "DELETE", "PATCH", "MADE-UP"):
                refused = await http.request(method, "/-/reload", headers=headers)
                assert (refused.status, refused.headers["Allow"]) == (405, "POST")
            for path in ("/who", "/included/who"):
                refused = await http.post(path, headers=headers)
                assert (refused.status, refused.headers["Allow"]) == (405, "GET, HEAD")
            assert (await http.post("/nothing", headers=headers)).status == 403


async def test_a_change_needs_its_own_token(tmp_path: Path) -> None:
    settings = configured(tmp_path, USERS, change_token=TOKEN)
    async with serving(settings) as (url, _), client(url) as http:
        for headers in ({}, basic("ops", TOKEN), {"Authorization": f"Bearer {TOKEN}x"}):
            assert (await http.post("/-/reload", headers=headers)).status in (401, 403)
        assert (await http.post("/-/reload", headers=basic("ops", "right"))).status == 403
        assert (await http.post("/-/reload", headers=BEARER)).status == 200
        assert await (await http.get("/who", headers=BEARER)).json() is False
        # No path is an exception, not even one that only asks.
        assert (await http.post("/api/v1/ask", headers=basic("ops", "right"))).status == 403
        assert (await http.post("/who", headers=basic("ops", "right"))).status == 405


WRONG = {
    "nothing": {},
    "wrong password": basic("ops", "wrong"),
    "hash as password": basic("ops", USERS["basic_auth_users"]["ops"]),
    "unknown user": basic("nobody", "right"),
    "other's password": basic("ops", "other"),
    "empty": basic("ops", ""),
    "long": basic("ops", "right" + "x" * 100),
    "zero": basic("ops", "right\0"),
    "no colon": {"Authorization": "Basic " + base64.b64encode(b"ops").decode()},
    "no base64": {"Authorization": "Basic ==="},
    "not UTF-8": {"Authorization": "Basic " + base64.b64encode(b"\xff\xfe:x").decode()},
    "digest": {"Authorization": "Digest username=ops"},
    "bearer": {"Authorization": "Bearer right"},
}


@pytest.mark.parametrize("headers", WRONG.values(), ids=WRONG.keys())
async def test_sign_in_refuses(tmp_path: Path, headers: dict[str, str]) -> None:
    async with (
        serving(configured(tmp_path, USERS)) as (url, _),
        client(url) as http,
    ):
        for path in ("/who", "/openapi.json", "/nothing", "/healthz/"):
            reply = await http.get(path, headers=headers)
            assert reply.status == 401
            assert reply.headers["WWW-Authenticate"].startswith("Basic realm=")
            assert (await reply.json())["detail"] == "a user name and password are needed"
        assert (await http.get("/healthz", headers=headers)).status == 200


async def test_roles(tmp_path: Path) -> None:
    settings = configured(tmp_path, USERS, contact_users="prometheus, nobody")
    async with serving(settings) as (url, _), client(url) as http:
        for _ in range(2):  # the second time from memory
            reply = await http.get("/who", headers=basic("ops", "right"))
            assert (reply.status, await reply.json()) == (200, False)
            reply = await http.get("/who", headers=basic("prometheus", "other"))
            assert (reply.status, await reply.json()) == (200, True)


@pytest.mark.parametrize("kind", ["basic", "bearer"])
async def test_guessers_wait_and_those_who_know_do_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    waits: list[float] = []
    add = Failures.add

    def counted(self: Failures, client: str, name: str, now: float) -> float:
        waits.append(add(self, client, name, now))
        return 0.0

    monkeypatch.setattr(Failures, "add", counted)
    settings = configured(tmp_path, USERS, change_token=TOKEN)
    async with serving(settings) as (url, _), client(url) as http:
        for n in range(8):
            guess = {"Authorization": f"Bearer {n}"} if kind == "bearer" else basic("ops", f"{n}")
            assert (await http.get("/who", headers=guess)).status == 401
        assert waits[:3] == [0.0, 0.0, 0.0]
        assert waits[3:] == sorted(waits[3:])
        assert 0 < waits[3] < waits[-1] <= LONGEST_SECONDS
        assert (await http.get("/who", headers=basic("ops", "right"))).status == 200
        assert len(waits) == 8


async def test_guessers_of_many_addresses_keep_nobody_out(tmp_path: Path) -> None:
    async with serving(configured(tmp_path, USERS)) as (url, _):

        async def guesser(number: int) -> list[int]:
            local = aiohttp.TCPConnector(local_addr=(f"127.0.0.{number + 2}", 0))
            async with aiohttp.ClientSession(
                url, connector=local, middlewares=(read_whole,)
            ) as http:
                return [
                    (await http.get("/who", headers=basic("ops", f"guess {number} {n}"))).status
                    for n in range(4)
                ]

        guessing = [asyncio.create_task(guesser(number)) for number in range(24)]
        async with client(url) as http:
            for _ in range(5):
                assert (await http.get("/who", headers=basic("ops", "right"))).status == 200
                await asyncio.sleep(0)
        for task in guessing:
            task.cancel()
        found = await asyncio.gather(*guessing, return_exceptions=True)
        assert all(set(codes) <= {401} for codes in found if isinstance(codes, list))


async def test_one_address_cannot_take_all_connections(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "MOST_OF_AN_ADDRESS", 8)
    monkeypatch.setattr(protocol, "MOST_CONNECTIONS", 16)
    async with serving(configured(tmp_path, None)) as (url, _), client(url) as http:
        port = URL(url).port
        held = [
            await asyncio.open_connection("127.0.0.1", port, local_addr=(f"127.0.0.{host}", 0))
            for host in (9, 10, 11)
            for _ in range(12)
        ]
        assert (await http.get("/who")).status == 200
        # The oldest idle ones had to go, and the newest of each address are left.
        gone = [reader.at_eof() or await closed(reader) for reader, _ in held[:4]]
        assert all(gone)
        for _, writer in held:
            writer.close()


async def closed(reader: asyncio.StreamReader) -> bool:
    """Whether the server closed the connection."""
    try:
        return not await asyncio.wait_for(reader.read(1), 60)
    except ConnectionError:
        return True


async def test_an_unknown_user_costs_what_a_known_one_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[bytes] = []
    check = bcrypt.checkpw

    def watched(password: bytes, hash_: bytes) -> bool:
        compared.append(hash_)
        return check(password, hash_)

    monkeypatch.setattr(bcrypt, "checkpw", watched)
    async with serving(configured(tmp_path, USERS)) as (url, _), client(url) as http:
        for name in ("ops", "nobody", "somebody"):
            assert (await http.get("/who", headers=basic(name, "wrong"))).status == 401
    hashes = {h.encode() for h in USERS["basic_auth_users"].values()}
    assert len(compared) == 3
    assert set(compared) <= hashes


def test_failures_are_forgotten_in_time_and_bounded_in_number() -> None:
    failures = Failures()
    assert [failures.add("a", "ops", 0.0) for _ in range(5)][-1] > 0
    # Another address that guesses at the same user waits too.
    assert failures.add("b", "ops", 0.0) > 0
    assert failures.add("a", "ops", 3600.0) == 0
    for n in range(3 * MOST_KEYS):
        failures.add(f"{n}", "", 3600.0)
    assert len(failures._counts) == MOST_KEYS


FOREIGN = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}
LINK = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:9797", 200),
        ("[::1]:9797", 200),
        ("2130706433", 421),
        ("localhost:1", 200),
        ("LOCALHOST.", 200),
        ("fleet.example.com", 200),
        ("Fleet.Example.com.:443", 200),
        ("rebinding.example.net", 421),
        ("fleet.example.com.example.net", 421),
        ("localhost.example.net", 421),
        ("127.0.0.1.example.net:9797", 421),
        ("fleet.example.com/../x", 421),
        ("a b", 421),
    ],
)
async def test_only_own_names_are_answered(tmp_path: Path, host: str, status: int) -> None:
    settings = configured(tmp_path, None, allowed_hosts="fleet.example.com")
    async with serving(settings) as (url, _), client(url) as http:
        for path in ("/who", "/healthz", "/nothing"):
            reply = await http.get(path, headers={"Host": host})
            assert (reply.status == 421) is (status == 421), path
            if status == 421:
                assert "FLEETSCOPE_ALLOWED_HOSTS" in (await reply.json())["detail"]


async def test_where_users_sign_in_any_name_will_do(tmp_path: Path) -> None:
    async with serving(configured(tmp_path, USERS)) as (url, _), client(url) as http:
        headers = {"Host": "anything.example.net"} | basic("ops", "right")
        assert (await http.get("/who", headers=headers)).status == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"}, 200),
        ({"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate"}, 200),
        (LINK, 200),
        (FOREIGN, 403),
        (FOREIGN | {"Sec-Fetch-Site": "same-site"}, 403),
        (FOREIGN | {"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}, 403),
        (LINK | {"Sec-Fetch-Dest": "iframe"}, 403),
    ],
)
async def test_pages_of_other_sites_may_link_and_no_more(
    tmp_path: Path, headers: dict[str, str], status: int
) -> None:
    async with serving(configured(tmp_path, None)) as (url, _), client(url) as http:
        reply = await http.get("/who", headers=headers)
        assert reply.status == status
        assert reply.headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert reply.headers["Cross-Origin-Resource-Policy"] == "same-origin"


async def test_too_many_requests(tmp_path: Path) -> None:
    limit = {"rate_limit": {"interval": "1h", "burst": 3}}
    async with (
        serving(configured(tmp_path, limit)) as (url, _),
        client(url) as http,
    ):
        # An address that a caller claims to have opens no new bucket.
        replies = [
            await http.get("/who", headers={"X-Forwarded-For": f"192.0.2.{n}"}) for n in range(5)
        ]
        assert [reply.status for reply in replies] == [200, 200, 200, 429, 429]
        assert replies[-1].headers["Retry-After"] == "1"


def test_buckets_fill_again_and_forget_the_oldest() -> None:
    buckets = Buckets(interval=1.0, burst=2)
    assert [buckets.take("a", 0.0) for _ in range(3)] == [True, True, False]
    assert [buckets.take("a", 1.0) for _ in range(2)] == [True, False]
    assert [buckets.take("a", 9.0) for _ in range(3)] == [True, True, False]
    for n in range(MOST_CLIENTS):
        assert buckets.take(f"{n}", 9.0)
    assert buckets.take("a", 9.0)
    assert len(buckets._full) == MOST_CLIENTS
    assert all(Buckets(0.0, 1).take("a", 0.0) for _ in range(100))


async def chunks(size: int) -> AsyncIterator[bytes]:
    for _ in range(size // 1024):
        yield b"x" * 1024


async def test_a_large_request_is_refused(tmp_path: Path) -> None:
    settings = configured(tmp_path, None, change_token=TOKEN)
    async with serving(settings) as (url, _), client(url) as http:
        fits = await http.post("/-/reload", data=chunks(LARGEST_BODY), headers=BEARER)
        assert (fits.status, await fits.json()) == (200, LARGEST_BODY)
        for data in (b"x" * (LARGEST_BODY + 1), chunks(LARGEST_BODY + 1024)):
            large = await http.post("/-/reload", data=data, headers=BEARER)
            assert large.status == 413
        assert (await http.get("/who", headers={"X": "x" * 40_000})).status == 431
        assert (await http.get("/who?" + "x" * 40_000)).status == 431
        assert (await http.get(URL(f"{url}/who?\x80", encoded=True))).status == 400


async def exchange(url: str, sent: bytes) -> bytes:
    host, _, port = url.partition("://")[2].partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(sent)
    await writer.drain()
    answer = await reader.read()
    writer.close()
    return answer


async def test_half_a_request_holds_no_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "IDLE_SECONDS", 0.2)
    monkeypatch.setattr(guard, "BODY_SECONDS", 0.4)
    settings = configured(tmp_path, None, change_token=TOKEN)
    async with serving(settings) as (url, _):
        whole = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
        assert await exchange(url, b"") == b""
        assert await exchange(url, whole[:20]) == b""
        assert (await exchange(url, whole + whole[:20])).count(b"HTTP/1.1 200") == 1
        slow = f"POST /-/reload HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n"
        answer = await exchange(url, slow.encode() + b"Content-Length: 10\r\n\r\nx")
        assert answer.startswith(b"HTTP/1.1 408")


TRAVERSALS = [
    b"/../../../../etc/passwd",
    b"/%2e%2e/%2e%2e/etc/passwd",
    b"/api/v1/sites/..%2f..%2f..%2fetc%2fpasswd",
    b"/static/../../etc/passwd",
    b"//etc/passwd",
    b"/\\..\\..\\etc\\passwd",
    b"/%00/etc/passwd",
    b"/api/v1/sites/%c0%ae%c0%ae/etc/passwd",
    b"http://127.0.0.1:1/who/../etc/passwd",
]


@pytest.mark.parametrize("target", TRAVERSALS)
async def test_no_path_leads_to_a_file(tmp_path: Path, target: bytes) -> None:
    async with serving(configured(tmp_path, None)) as (url, _):
        request = b"GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n" % target
        answer = await exchange(url, request)
        assert answer.split(b" ")[1] in (b"404", b"400")
        assert b"root:" not in answer


async def test_headers(tmp_path: Path) -> None:
    async with serving(configured(tmp_path, None)) as (url, _), client(url) as http:
        for path in ("/who", "/nothing"):
            headers = (await http.get(path)).headers
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert headers["X-Frame-Options"] == "DENY"
            assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
            assert "Server" not in headers
            assert "Access-Control-Allow-Origin" not in headers
    chosen = {"X-Frame-Options": "sameorigin", "Strict-Transport-Security": "max-age=60"}
    config = {"http_server_config": {"headers": chosen}}
    settings = configured(tmp_path, config)
    async with serving(settings) as (url, _), client(url) as http:
        headers = (await http.get("/who")).headers
        assert headers["X-Frame-Options"] == "sameorigin"
        assert headers["Strict-Transport-Security"] == "max-age=60"


async def test_a_reader_that_asks_too_much_keeps_no_health_check_out(tmp_path: Path) -> None:
    config = {**USERS, "rate_limit": {"interval": "1h", "burst": 3}}
    async with serving(configured(tmp_path, config)) as (url, _), client(url) as http:

        async def statuses(path: str) -> list[int]:
            headers = basic("ops", "right")
            return [(await http.get(path, headers=headers)).status for _ in range(4)]

        assert await statuses("/who") == [200, 200, 200, 429]
        assert await statuses("/healthz") == [200, 200, 200, 429]


async def test_the_callers_of_a_project_share_its_quota(tmp_path: Path) -> None:
    roles = {"anna": {"south": "viewer"}, "ben": {"south": "viewer"}, "ops": {"*": "viewer"}}
    users = {"basic_auth_users": {name: hashed("right") for name in roles}, "roles": roles}
    quotas = {"south": Project(requests_per_minute=3)}
    async with (
        serving(configured(tmp_path, users), quotas) as (url, _),
        client(url) as http,
    ):

        async def status(name: str) -> int:
            return (await http.get("/who", headers=basic(name, "right"))).status

        assert [await status(name) for name in ("anna", "ben", "anna")] == [200, 200, 200]
        refused = await http.get("/who", headers=basic("ben", "right"))
        assert (refused.status, refused.headers["Retry-After"]) == (429, "5")
        assert "south" in (await refused.json())["detail"]
        # Those who see every project are not counted, and may look why.
        assert await status("ops") == 200
        # A new fleet file counts at once.
        quotas["south"] = Project()
        assert await status("anna") == 200
