"""Nothing is lost, doubled or changed whatever lies between exporter and InfluxDB."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from exporter.sink.queue import Fate
from tests.faults.plant import plant, until
from tests.faults.proxy import Manner, Proxy, Reply
from tests.faults.store import Store

pytestmark = [pytest.mark.stack, pytest.mark.usefixtures("quick")]

FAULTS: list[Manner | Reply] = [
    Manner.REFUSE,
    Manner.HANG,
    Manner.SLOW,
    Manner.RESET_IN_BODY,
    Manner.SWALLOW,
    Manner.CUT_ANSWER,
    Manner.LIE,
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
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda f: getattr(f, "status", f))
async def test_nothing_is_lost_or_doubled(
    fault: Manner | Reply, proxy: Proxy, store: Store, tmp_path: Path
) -> None:
    async with plant(proxy.url, tmp_path) as running:
        await running.trickle(20)
        await until(lambda: len(store.indices("scrape")) == 20)
        proxy.manner = fault
        await running.trickle(60)
        await until(lambda: proxy.seen.total() - proxy.seen["pass"] >= 2)
        if fault not in (Manner.SLOW, Manner.LIE):
            assert running.counts[Fate.SPOOLED] > 0
        proxy.manner = Manner.PASS
        last = await running.trickle(5)
        await running.sent()
    assert store.indices("scrape") == list(range(last.stop))
    assert running.counts == {
        Fate.PRODUCED: 85,
        Fate.WRITTEN: 85,
        Fate.SPOOLED: 0,
        Fate.REJECTED: 0,
        Fate.DROPPED: 0,
    }


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
