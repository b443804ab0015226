"""A thousand nodes that push at once, over HTTP and over MQTT, beside sites that are polled."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import time
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from simulator.mqtt_client import connected
from tests.drivers.bridge import Bridge, site_trees
from tests.drivers.mosquitto import mosquitto, needs_mosquitto
from tests.service_process import serving
from tests.store.influx_listener import InfluxListener

pytestmark = [pytest.mark.stack, needs_mosquitto]

NODES = 1000
ROUNDS = 2
PATIENCE_SECONDS = 240.0
POLLED = [f"polled_{n}" for n in range(4)]


def token(number: int) -> str:
    return f"token-of-node-{number:04}"


def fleet_text(bridges: dict[str, str], broker: str) -> str:
    http = [
        {
            "id": f"http_{n:04}",
            "driver": "push",
            "token_sha256": hashlib.sha256(token(n).encode()).hexdigest(),
        }
        for n in range(NODES)
    ]
    mqtt = [{"id": f"mqtt_{n:04}", "driver": "push", "api_endpoint": broker} for n in range(NODES)]
    polled = [{"id": site, "api_endpoint": url} for site, url in bridges.items()]
    return json.dumps({"sites": [*http, *mqtt, *polled]})


def point(site: str, measured: float, value: float) -> bytes:
    return json.dumps(
        {"site": site, "measured": measured, "readings": {"grid_power_w": value}}
    ).encode()


async def post(number: int, host: str, port: int, body: bytes, gate: asyncio.Event) -> int:
    """Send a message from an address of the node's own, and again where the service asks for it."""
    await gate.wait()
    while True:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            own = (f"127.1.{number // 250}.{number % 250 + 1}", 0)
            reader, writer = await asyncio.open_connection(host, port, local_addr=own)
            head = (
                f"POST /api/v1/telemetry HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                f"Authorization: Bearer {token(number)}\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
            )
            writer.write(head.encode() + body)
            status = int((await reader.readuntil(b"\r\n")).split()[1])
            writer.close()
            if status not in (429, 503):
                return status
        await asyncio.sleep(1.0)


async def publish(number: int, port: int, body: bytes, gate: asyncio.Event) -> None:
    """Publish as a client of its own, connected before the others are let go."""
    async with connected("127.0.0.1", port, f"node-{number}", lambda *_: None) as (client, _):
        await gate.wait()
        client.publish(f"fleet/mqtt_{number:04}/telemetry", body)
        await client.drain()
        await asyncio.sleep(1.0)


def stored(listener: InfluxListener) -> Counter[tuple[str, str]]:
    """How often each value of each node was stored, by site and value."""
    found: Counter[tuple[str, str]] = Counter()
    for line in listener.taken:
        if line.startswith(("site,site=http_", "site,site=mqtt_")) and "grid_power_w=" in line:
            site = line[len("site,site=") :].split(" ")[0].split(",")[0]
            found[site, line.partition("grid_power_w=")[2].split(",")[0].split(" ")[0]] += 1
    return found


async def log_has(log: Path, words: str) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while words not in await asyncio.to_thread(log.read_text, "utf-8"):  # noqa: ASYNC110
            await asyncio.sleep(0.2)


async def test_nothing_is_lost_and_polling_goes_on(tmp_path: Path) -> None:
    listener = InfluxListener()
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(listener.serving())
        bridges = {}
        for site in POLLED:
            bridge = await stack.enter_async_context(Bridge(site_trees()).running())
            bridges[site] = bridge.url
        extra = "allow_anonymous true\nlog_type subscribe"
        server = stack.enter_context(mosquitto(tmp_path, extra))
        fleet = tmp_path / "fleet.json"
        fleet.write_text(fleet_text(bridges, server.url), "utf-8")
        service = stack.enter_context(
            serving(fleet, influxdb_url=listener.url, influxdb_api="v1", interval_seconds="5")
        )
        await log_has(tmp_path / "log", "listening on")
        parts = urlsplit(service.url)
        assert parts.hostname
        assert parts.port
        await log_has(tmp_path / "mosquitto.log", f"fleet/mqtt_{NODES - 1:04}/telemetry")
        begun = time.time()
        for turn in range(ROUNDS):
            gate, value = asyncio.Event(), float(turn + 1)
            now = time.time()
            posts = [
                post(n, parts.hostname, parts.port, point(f"http_{n:04}", now, value), gate)
                for n in range(NODES)
            ]
            sends = [
                publish(n, server.port, point(f"mqtt_{n:04}", now, value), gate)
                for n in range(NODES)
            ]
            tasks = [asyncio.ensure_future(one) for one in (*posts, *sends)]
            await asyncio.sleep(2.0)
            gate.set()
            async with asyncio.timeout(PATIENCE_SECONDS):
                results = await asyncio.gather(*tasks)
            assert Counter(results[:NODES]) == {202: NODES}
        expected = {
            (f"{kind}_{n:04}", f"{turn + 1}.0")
            for kind in ("http", "mqtt")
            for n in range(NODES)
            for turn in range(ROUNDS)
        }
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not expected <= stored(listener).keys():  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.5)
        assert stored(listener) == dict.fromkeys(expected, 1)
        polled = Counter(
            line.split(",site=")[1].split(" ")[0].split(",")[0]
            for line in listener.taken
            if line.startswith("site,site=polled_")
            and float(line.rpartition(" ")[2]) / 1000 >= begun
            and "online=1" in line
        )
        assert set(polled) == set(POLLED)
