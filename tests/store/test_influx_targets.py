"""Both targets against real servers: what is written comes back by InfluxQL, once."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest

from exporter.model.levels import DAY
from exporter.store.connection import Connection, token_header
from exporter.store.influx_v1 import InfluxV1
from exporter.store.influx_v2 import InfluxV2
from exporter.store.queue import Fate, MemoryQueue, compress
from exporter.store.target import POLICIES, RefusedError, RetryLaterError, Target
from exporter.store.writer import Writer
from provisioning.local.ports import Ports
from tests.server_process import server_process

pytestmark = pytest.mark.stack

TOKEN = "operator-token-of-a-test"
NOW = int(time.time() * 1000)
SITES = ["plain", r"sp\ ace\,comma\=eq", "é🔋"]
LINES = [f'site,site={name} online=1.0,note="a \\"b\\" \\\\ c" {NOW}' for name in SITES]


def v2(url: str, token: str) -> Target:
    headers = token_header(token)
    return InfluxV2(Connection(url, "fleet", headers, organisation="fleetscope"), "90d")


class Server:
    """A server of its own on a free loopback port, with how to ask it."""

    def __init__(self, url: str, headers: dict[str, str]) -> None:
        self.url, self.headers = url, headers

    async def query(self, statement: str) -> list[dict[str, Any]]:
        params = {"db": "fleet", "q": statement}
        async with (
            aiohttp.ClientSession(headers=self.headers) as http,
            http.post(f"{self.url}/query", params=params) as reply,
        ):
            answer = await reply.json(content_type=None)
        series: list[dict[str, Any]] = answer["results"][0].get("series", [])
        return series

    def target(self, **other: str) -> Target:
        if self.headers:
            return v2(self.url, other.get("token", TOKEN))
        return InfluxV1(Connection(self.url, "fleet"), "90d")


@pytest.fixture(scope="module")
def influx1(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    binary = shutil.which("influxd")
    told = None
    if binary:
        told = subprocess.run([binary, "version"], check=False, capture_output=True, text=True)
    if told is None or "InfluxDB v1." not in told.stdout:
        pytest.skip("InfluxDB 1.x is not installed; `make servers` installs it")
    folder, ports = tmp_path_factory.mktemp("influx1"), Ports(usual=False)
    port = ports.pick(0)
    (folder / "influxdb.conf").write_text(
        f'reporting-disabled = true\nbind-address = "127.0.0.1:{ports.pick(0)}"\n'
        f'[meta]\ndir = "{folder}/meta"\n'
        f'[data]\ndir = "{folder}/data"\nwal-dir = "{folder}/wal"\n'
        f'[http]\nbind-address = "127.0.0.1:{port}"\nlog-enabled = false\n'
        "[monitor]\nstore-enabled = false\n",
        "utf-8",
    )
    assert binary is not None
    url = f"http://127.0.0.1:{port}"
    with server_process([binary, "-config", "influxdb.conf"], f"{url}/ping", folder):
        yield Server(url, {})


@pytest.fixture(scope="module")
def influx2(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    import json
    import urllib.request

    binary = os.environ.get("INFLUXDB2_BIN")
    if not binary:
        pytest.skip("INFLUXDB2_BIN does not name an influxd of InfluxDB 2.x")
    folder = tmp_path_factory.mktemp("influx2")
    url = f"http://127.0.0.1:{Ports(usual=False).pick(0)}"
    arguments = [
        *(binary, f"--bolt-path={folder}/bolt", f"--engine-path={folder}/engine"),
        *(f"--sqlite-path={folder}/sqlite", f"--http-bind-address={url[7:]}"),
        "--reporting-disabled",
    ]
    with server_process(arguments, f"{url}/health", folder):
        setup = {
            "username": "admin",
            "password": "password-of-a-test",
            "org": "fleetscope",
            "bucket": "other",
            "token": TOKEN,
        }
        request = urllib.request.Request(f"{url}/api/v2/setup", json.dumps(setup).encode())
        urllib.request.urlopen(request, timeout=30).close()
        yield Server(url, {"Authorization": f"Token {TOKEN}"})


@pytest.fixture(params=["influx1", "influx2"])
def server(request: pytest.FixtureRequest) -> Server:
    found: Server = request.getfixturevalue(request.param)
    return found


async def test_written_read_back_and_repeated(server: Server) -> None:
    target = server.target()
    try:
        await target.prepare()
        await target.prepare()
        batch = compress(LINES, 0.0)
        await target.write(batch.body)
        await target.write(batch.body)
        (series,) = await server.query('SELECT online, note, site FROM "site"')
        rows = sorted(row[1:] for row in series["values"])
        note = 'a "b" \\ c'
        assert rows == sorted([1, note, name] for name in ("plain", "sp ace,comma=eq", "é🔋"))
        (counted,) = await server.query('SELECT count("online") FROM "raw"."site"')
        assert counted["values"][0][1] == 3
        for policy in POLICIES[1:]:
            assert await server.query(f'SELECT * FROM "{policy}"."site"') == []
    finally:
        await target.close()


async def test_the_wrong_version_is_named(influx1: Server) -> None:
    target = v2(influx1.url, TOKEN)
    try:
        with pytest.raises(
            RetryLaterError, match=r"is InfluxDB 1\..*; set FLEETSCOPE_INFLUXDB_API=v1"
        ):
            await target.prepare()
    finally:
        await target.close()


async def test_rejected_points_are_counted(server: Server) -> None:
    target = server.target()
    try:
        await target.prepare()
        await target.write(compress([f"kind x=1.0 {NOW}"], 0.0).body)
        mixed = compress([f'kind x="text" {NOW + 1}', f"kind x=2.0 {NOW + 2}"], 0.0)
        with pytest.raises(RefusedError, match="type conflict") as caught:
            await target.write(mixed.body)
        assert caught.value.left_out == 1
        assert caught.value.about_points
        (series,) = await server.query('SELECT x FROM "kind"')
        assert [row[1] for row in series["values"]] == [1, 2]
        with pytest.raises(RefusedError, match="unable to parse") as caught:
            await target.write(compress(["rubbish"], 0.0).body)
        assert caught.value.left_out is None
        assert caught.value.about_points
    finally:
        await target.close()


async def test_exporters_that_start_at_once_prepare_without_a_conflict(server: Server) -> None:
    targets = [server.target(), server.target()]
    for target in targets:
        # As on a fresh server, for all of them alike.
        target._database = "begun"  # type: ignore[attr-defined]
    try:
        await asyncio.gather(*(target.prepare() for target in targets for _ in range(4)))
        for target in targets:
            await target.write(compress(LINES, 0.0).body)
    finally:
        for target in targets:
            await target.close()


async def test_a_partial_write_counts_unreadable_lines(influx1: Server) -> None:
    target = influx1.target()
    try:
        await target.prepare()
        lines = ["rubbish", f"part x=1.0 {NOW}", "more rubbish here", f"part x=2.0 {NOW + 1}"]
        with pytest.raises(RefusedError, match="partial write") as caught:
            await target.write(compress(lines, 0.0).body)
        assert caught.value.left_out == 2
        (series,) = await influx1.query('SELECT x FROM "part"')
        assert [row[1] for row in series["values"]] == [1, 2]
    finally:
        await target.close()


@pytest.mark.parametrize(
    "statement", ['DROP DATABASE "fleet"', 'DROP RETENTION POLICY "raw" ON fleet']
)
async def test_what_was_dropped_is_made_again(influx1: Server, statement: str) -> None:
    target = influx1.target()
    try:
        await target.prepare()
        await influx1.query(statement)
        with pytest.raises(RetryLaterError, match="not found"):
            await target.write(compress(LINES, 0.0).body)
        await target.write(compress(LINES, 0.0).body)
        (counted,) = await influx1.query('SELECT count("online") FROM "site"')
        assert counted["values"][0][1] == 3
    finally:
        await target.close()


async def test_retention_of_every_level_is_as_set(server: Server) -> None:
    target = server.target()
    try:
        await target.prepare()
    finally:
        await target.close()
    found = {}
    if server.headers:
        async with (
            aiohttp.ClientSession(headers=server.headers) as http,
            http.get(f"{server.url}/api/v2/buckets?org=fleetscope") as reply,
        ):
            for bucket in (await reply.json())["buckets"]:
                rule = (bucket["retentionRules"] or [{}])[0]
                shard = rule.get("shardGroupDurationSeconds")
                found[bucket["name"]] = (rule.get("everySeconds", 0), shard)
        found = {k.removeprefix("fleet/"): v for k, v in found.items() if k.startswith("fleet/")}
        assert found.pop("raw")[0] == 90 * DAY
    else:
        (series,) = await server.query("SHOW RETENTION POLICIES")
        for name, duration, shard, *_, default in series["values"]:
            hours = [
                int(text.partition("h")[0]) * 3600 if "h" in text else 0
                for text in (duration, shard)
            ]
            found[name] = (hours[0], hours[1])
            assert default is (name == "raw")
        assert found.pop("raw")[0] == 90 * DAY
        del found["autogen"]
    assert found.pop("portfolio") == (0, 28 * DAY)
    assert found == {
        "rollup_5m": (180 * DAY, 7 * DAY),
        "rollup_15m": (730 * DAY, 28 * DAY),
        "rollup_1h": (0, 91 * DAY),
        "rollup_1d": (0, 364 * DAY),
    }


async def test_a_batch_goes_to_its_policy(server: Server) -> None:
    target = server.target()
    try:
        await target.prepare()
        batch = compress([f"place x=1.0 {NOW}"], 0.0, "rollup_1h")
        await target.write(batch.body, batch.policy)
        assert await server.query('SELECT x FROM "raw"."place"') == []
        (series,) = await server.query('SELECT x FROM "rollup_1h"."place"')
        assert [row[1] for row in series["values"]] == [1]
    finally:
        await target.close()


async def test_the_writer_empties_its_queue_into_it(server: Server) -> None:
    writer = Writer(server.target(), MemoryQueue(10**7), time.time, random.Random(1))
    writer.start()
    for number in range(50):
        writer.add([f"many,site=s{number} x={n}.0 {NOW + n}" for n in range(200)])
        await asyncio.sleep(0)
    assert await writer.stop() == 0
    assert writer.queue.counts[Fate.WRITTEN] == 10_000
    (counted,) = await server.query('SELECT count("x") FROM "many"')
    assert counted["values"][0][1] == 10_000
