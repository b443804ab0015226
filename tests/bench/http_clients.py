"""CPU per request of HTTP clients: ``python -m tests.bench.http_clients``.

All of them ask the same listener, which runs in a process of its own and has the bridge's manners
(HTTP/1.0, no Content-Length, closed after the reply). requests and httpx are measured where they
are installed. Figures are CPU of the asking process; ratios are to aiohttp on uvloop.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import json
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

BODY_BYTES = 12_000
AT_ONCE = 20


async def _listen() -> None:
    tree = {f"Dc/Battery/Path{n:03d}": 50.0 + n for n in range(400)}
    body = json.dumps({"success": True, "value": tree}, indent=1).encode()[:BODY_BYTES]
    head = b"HTTP/1.0 200 OK\r\nServer: BaseHTTP/0.6\r\nContent-type: application/json\r\n\r\n"

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head + body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=512)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


Get = Callable[[], Awaitable[bytes]]


async def _many(get: Get, count: int) -> None:
    async def some() -> None:
        for _ in range(count // AT_ONCE):
            assert len(await get()) == BODY_BYTES

    await asyncio.gather(*(some() for _ in range(AT_ONCE)))


async def _aiohttp(url: str, count: int) -> None:
    from exporter.drivers.transport.http.json_client import client_session

    async with client_session() as http:

        async def get() -> bytes:
            async with http.get(url, allow_redirects=False) as reply:
                return await reply.read()

        await _many(get, count)


async def _httpx(url: str, count: int) -> None:
    import httpx

    async with httpx.AsyncClient(trust_env=False) as http:

        async def get() -> bytes:
            return (await http.get(url)).content

        await _many(get, count)


async def _streams(url: str, count: int) -> None:
    port = int(url.rsplit(":", 1)[1])

    async def get() -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /value HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n")
        reply = await reader.read(-1)
        writer.close()
        return reply.partition(b"\r\n\r\n")[2]

    await _many(get, count)


async def _own(url: str, count: int) -> None:
    from exporter.drivers.transport.http.plain_client import PlainClient, plain_endpoint

    client, endpoint = PlainClient(()), plain_endpoint(url)
    assert endpoint is not None

    async def get() -> bytes:
        reply = await client.get(endpoint, "/value", None, 2.0, 5.0)
        assert reply is not None
        return bytes(reply.body)

    await _many(get, count)
    client.close()


def _requests(url: str, count: int) -> None:
    import requests

    for _ in range(count):
        assert len(requests.get(url, timeout=5).content) == BODY_BYTES


def _run(name: str, url: str, count: int) -> None:
    import uvloop

    clients: dict[str, Callable[[], Any]] = {
        "requests": lambda: _requests(url, count),
        "httpx": lambda: asyncio.run(_httpx(url, count)),
        "aiohttp": lambda: asyncio.run(_aiohttp(url, count)),
        "aiohttp+uvloop": lambda: uvloop.run(_aiohttp(url, count)),
        "streams": lambda: asyncio.run(_streams(url, count)),
        "streams+uvloop": lambda: uvloop.run(_streams(url, count)),
        "own+uvloop": lambda: uvloop.run(_own(url, count)),
    }
    clients[name]()


NAMES = (
    *("aiohttp+uvloop", "aiohttp", "streams", "streams+uvloop", "own+uvloop"),
    *("httpx", "requests"),
)


def _cpu_ms(name: str, url: str, count: int) -> float:
    """CPU milliseconds per request, without imports and start of the process."""
    script = (
        "import sys, time; from tests.bench import http_clients as b;"
        f"b._run({name!r}, {url!r}, {AT_ONCE}); before = time.process_time();"
        f"b._run({name!r}, {url!r}, {count}); print(time.process_time() - before)"
    )
    told = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return 1000 * float(told.stdout) / count


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="tests.bench.http_clients", description=__doc__)
    parser.add_argument("--requests", type=int, default=2000, help="number of requests each")
    parser.add_argument("--listen", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.listen:
        asyncio.run(_listen())
        return
    command = [sys.executable, "-m", "tests.bench.http_clients", "--listen"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as listener:
        assert listener.stdout is not None
        url = f"http://127.0.0.1:{listener.stdout.readline().strip()}"
        base = None
        started = time.time()
        for name in NAMES:
            library = name.split("+")[0]
            if library not in ("streams", "own") and importlib.util.find_spec(library) is None:
                print(f"{name:<16} not installed")
                continue
            cost = _cpu_ms(name, url, args.requests)
            base = base or cost
            print(f"{name:<16} {cost:6.3f} ms CPU a request   {cost / base:5.2f}")
        print(f"{args.requests} requests of {BODY_BYTES} bytes each, {time.time() - started:.0f} s")
        listener.kill()


if __name__ == "__main__":
    main()
