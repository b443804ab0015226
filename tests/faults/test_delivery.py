"""Nothing is lost, doubled or changed whatever lies between exporter and InfluxDB."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from exporter.cli.commands import app
from exporter.store.queue import Fate
from tests.faults.plant import plant, until
from tests.faults.proxy import Fault, Manner, Proxy, Raw, Reply
from tests.faults.store import BASE, Store

pytestmark = [pytest.mark.stack, pytest.mark.usefixtures("quick")]

# Each says something else than what has become of the batch, or nothing that can be understood.
LIARS: list[Fault] = [
    *(Manner.SWALLOW, Manner.CUT_ANSWER, Manner.CLOSE_WHEN_STORED, Manner.FAIL_WHEN_STORED),
    *(Manner.LATE, Manner.LIE),
    Reply(200, '{"error":"timeout"}'),
    Reply(200, "<html>sign in</html>"),
    Reply(201, ""),
    Reply(202, "queued"),
    Reply(301, "", {"Location": "/elsewhere"}),
    Raw(b"HTTP/1.1 2"),
    Raw(b"HTTP/1.1 204 No Content\r\nX-Half"),
    Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"),
    Raw(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 100\r\n\r\n{"),
    Raw(b"HTTP/1.1 500 Words\r\nContent-Length: 3\r\n\r\nmore than three"),
    Raw(b"HTTP/1.1 999 Words\r\nContent-Length: 0\r\n\r\n"),
    Raw(b"\x00\xff rubbish"),
]
FAULTS: list[Fault] = [
    Manner.REFUSE,
    Manner.HANG,
    Manner.SLOW,
    Manner.RESET_IN_BODY,
    Reply(400, '{"error":"bad request"}'),
    Reply(400, '{"error":"unable to parse \'x\': missing fields"}'),
    Reply(400, '{"error":"partial write: points beyond retention policy dropped=99999"}'),
    Reply(401, '{"error":"authorization failed"}'),
    Reply(403, '{"error":"forbidden"}'),
    Reply(404, '{"error":"database not found: \\"fleet\\""}'),
    Reply(413, '{"error":"Request Entity Too Large"}'),
    Reply(429, "", {"Retry-After": "1"}),
    Reply(429, "", {"Retry-After": format_datetime(datetime.now(UTC) - timedelta(1), usegmt=True)}),
    Reply(503),
    *LIARS,
]


def name(fault: Fault) -> str:
    return str(getattr(fault, "status", fault))


@pytest.mark.parametrize("fault", FAULTS, ids=name)
async def test_nothing_is_lost_or_doubled(
    fault: Fault, proxy: Proxy, store: Store, tmp_path: Path
) -> None:
    await comes_through(fault, proxy, store, tmp_path)


@pytest.mark.parametrize("fault", LIARS, ids=name)
async def test_nothing_is_lost_by_influxdb_2(fault: Fault, store2: Store, tmp_path: Path) -> None:
    with Proxy(store2.url).serving() as proxy:
        await comes_through(fault, proxy, store2, tmp_path)


async def comes_through(fault: Fault, proxy: Proxy, store: Store, tmp_path: Path) -> None:
    async with plant(proxy.url, tmp_path, api=store.api) as running:
        await running.trickle(20)
        await until(lambda: len(store.indices("scrape")) == 20)
        proxy.manner = fault
        await running.trickle(30)
        await until(lambda: proxy.seen.total() - proxy.seen["pass"] >= 2)
        if fault not in (Manner.SLOW, Manner.LIE):
            assert running.counts[Fate.SPOOLED] > 0
        proxy.manner = Manner.PASS
        last = await running.trickle(5)
        await running.sent()
    assert store.indices("scrape") == list(range(last.stop))
    assert running.counts == {
        Fate.PRODUCED: 55,
        Fate.WRITTEN: 55,
        Fate.SPOOLED: 0,
        Fate.REJECTED: 0,
        Fate.DROPPED: 0,
    }


async def test_one_answer_is_not_taken_for_that_to_two_batches(
    proxy: Proxy, store: Store, tmp_path: Path
) -> None:
    """A proxy out of step: the second answer on a connection belongs to no request."""
    async with plant(proxy.url, tmp_path) as running:
        await running.trickle(5)
        await running.sent()
        for _ in range(3):
            proxy.manner = Manner.ANSWER_TWICE
            running.make(1)
            await running.sent()
            proxy.manner = Manner.REFUSE
            last = running.make(1)
            await running.put_down()
            seen = proxy.seen["refuse"]
            await until(lambda: proxy.seen["refuse"] > seen or running.counts[Fate.SPOOLED] == 0)  # noqa: B023
            proxy.manner = Manner.PASS
            await running.sent()
    assert store.indices("scrape") == list(range(last.stop))


async def test_what_a_proxy_drops_is_found_by_verify(
    proxy: Proxy, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer that everything is stored cannot be doubted when it comes; only counted after."""
    async with plant(proxy.url, tmp_path) as running:
        await running.trickle(5)
        await running.sent()
        proxy.manner = Manner.DROP
        running.make(7)
        await running.sent()
        assert running.counts[Fate.WRITTEN] == 12
    assert len(store.indices("scrape")) == 5
    monkeypatch.setenv("FLEETSCOPE_QUEUE_DIR", str(tmp_path / "queue"))
    monkeypatch.setenv("FLEETSCOPE_INFLUXDB_URL", store.url)
    monkeypatch.setenv("FLEETSCOPE_INFLUXDB_API", "v1")
    day, end = (
        time.strftime(f"%Y-%m-%dT{t}", time.gmtime(BASE / 1000)) for t in ("00:00", "01:00")
    )
    verify = ["verify", "--from", day, "--to", end]
    done = await asyncio.to_thread(CliRunner().invoke, app, verify)
    assert done.exit_code == 1
    assert "7 points were written and are not in InfluxDB" in done.output


async def test_the_present_comes_before_what_waited(
    proxy: Proxy, store: Store, tmp_path: Path
) -> None:
    proxy.manner = Manner.REFUSE
    async with plant(proxy.url, tmp_path) as running:
        for _ in range(40):
            running.make(4, "waited", size=2000)
            await running.put_down()
    # At this rate what waited takes ten seconds and more.
    async with plant(proxy.url, tmp_path, index=160, drain=30_000) as running:
        await until(lambda: proxy.seen.total() >= 3)
        proxy.manner = Manner.PASS
        present = running.make(1, "present")
        await until(lambda: store.indices("present") == list(present))
        assert running.counts[Fate.SPOOLED] > 80
    async with plant(proxy.url, tmp_path, index=161) as running:
        await running.sent()
        assert store.indices("waited") == list(range(160))


async def test_what_waited_goes_oldest_first(proxy: Proxy, store: Store, tmp_path: Path) -> None:
    proxy.manner = Manner.REFUSE
    async with plant(proxy.url, tmp_path) as running:
        for _ in range(10):
            running.make(10)
            await running.put_down()
    proxy.manner = Manner.PASS
    async with plant(proxy.url, tmp_path, index=100, drain=2000) as running:
        seen = 0
        while seen < 100:
            found = await asyncio.to_thread(store.indices, "scrape")
            assert found == list(range(len(found)))
            seen = len(found)
        await running.sent()
