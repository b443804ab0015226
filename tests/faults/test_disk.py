"""The queue's disk: full, read-only, damaged, shared; and what it promises of each."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from exporter.store.disk_queue import DiskQueue, Limits
from exporter.store.queue import Batch, Fate, compress, unpack
from exporter.store.queue_file import FILE, PAGE_BYTES
from exporter.store.queue_folder import QueueInUseError
from tests.faults.disks import failing_disk, mend, small_disk, turn_read_only
from tests.faults.plant import LIMITS, MEGABYTE, balanced, plant, until
from tests.faults.proxy import Manner, Proxy
from tests.faults.store import Store, line

pytestmark = pytest.mark.usefixtures("quick")


def batch(index: int, size: int = 0) -> Batch:
    return compress([line(index, size=size)], 1000.0 + index)


def index_of(found: Batch) -> int:
    (text,) = unpack(found.body)
    return int(float(text.split("n=")[1].split(" ")[0].split(",")[0]))


async def filled(folder: Path, records: int, sizes: list[int]) -> None:
    """A queue of one record for each index, closed."""
    queue = DiskQueue(folder, LIMITS, lambda: 1000.0)
    await queue.open()
    for index in range(records):
        await queue.put([batch(index, sizes[index % len(sizes)])])
    await queue.close()


async def left(folder: Path) -> tuple[list[int], dict[Fate, int]]:
    """Indices of what waits, as a queue that is opened anew finds them."""
    queue = DiskQueue(folder, LIMITS, lambda: 1000.0)
    await queue.open()
    found: list[int] = []
    after = 0
    for _ in range(1000):
        batches = await queue.oldest(after, MEGABYTE)
        if not batches:
            if after == 0:
                break
            after = 0
            continue
        assert all(b.number not in queue.in_flight for b in batches)
        queue.in_flight |= {b.number for b in batches}
        found += [index_of(b) for b in batches]
        after = batches[-1].number
    counts = dict(queue.counts)
    assert balanced(counts)
    await queue.close()
    return found, counts


@pytest.mark.slow
async def test_a_flipped_bit_costs_its_record_alone(tmp_path: Path) -> None:
    """Anywhere: in a record, in the header of its page, in the tree, in the header of the file."""
    rng = random.Random(20261121)
    whole = tmp_path / "whole"
    whole.mkdir()
    # From one page to many; small ones share their pages.
    await filled(whole, 120, [0, 300, 3000, 20_000])
    size = (whole / FILE).stat().st_size
    places = [rng.randrange(size) for _ in range(16)]
    # The structure of the file is a small part of it, and is looked at more closely.
    places += [rng.randrange(PAGE_BYTES) for _ in range(6)]
    places += [
        rng.randrange(size // PAGE_BYTES) * PAGE_BYTES + rng.randrange(24) for _ in range(14)
    ]
    worst = 0
    for place in places:
        folder = tmp_path / "damaged"
        shutil.copytree(whole, folder)
        with (folder / FILE).open("r+b") as file:
            file.seek(place)
            byte = file.read(1)[0]
            file.seek(place)
            file.write(bytes([byte ^ 1 << rng.randrange(8)]))
        found, counts = await left(folder)
        assert len(found) == len(set(found)), place
        missing = set(range(120)) - set(found)
        worst = max(worst, len(missing))
        assert len(missing) <= 1, (place, size, missing)
        assert counts[Fate.SPOOLED] == len(found), place
        shutil.rmtree(folder)
    assert worst == 1


@pytest.mark.parametrize("cut", [1, 500, PAGE_BYTES, 3 * PAGE_BYTES + 100])
async def test_a_torn_tail_costs_what_it_held(cut: int, tmp_path: Path) -> None:
    await filled(tmp_path, 40, [20_000])
    path = tmp_path / FILE
    os.truncate(path, path.stat().st_size - cut)
    found, counts = await left(tmp_path)
    assert set(range(40)) - set(found) <= {38, 39}
    assert len(set(range(40)) - set(found)) <= 2
    assert counts[Fate.PRODUCED] == 40


async def test_a_file_that_is_rubbish_is_no_reason_to_stop(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(random.Random(1).randbytes(50_000))
    queue = DiskQueue(tmp_path, LIMITS, lambda: 1000.0)
    await queue.open()
    await queue.put([batch(1)])
    assert [index_of(b) for b in await queue.oldest(0, 1000)] == [1]
    assert queue.durable
    await queue.close()


async def test_a_second_exporter_is_refused(tmp_path: Path) -> None:
    first = DiskQueue(tmp_path, LIMITS, time.time)
    with pytest.raises(QueueInUseError, match=f"process id {os.getpid()}; give each exporter"):
        DiskQueue(tmp_path, LIMITS, time.time)
    await first.open()
    await first.close()
    second = DiskQueue(tmp_path, LIMITS, time.time)
    await second.open()
    await second.close()


async def test_what_is_too_old_is_dropped_and_a_leaping_clock_is_not_believed(
    tmp_path: Path,
) -> None:
    now = 1000.0
    queue = DiskQueue(tmp_path, Limits(MEGABYTE, MEGABYTE, age=100.0), lambda: now)
    await queue.open()
    await queue.put([batch(0)])
    now += 86400 * 365
    await queue.put([batch(1)])
    assert queue.counts[Fate.DROPPED] == 0
    await queue.close()
    # A new start believes the clock: a year has passed.
    queue = DiskQueue(tmp_path, Limits(MEGABYTE, MEGABYTE, age=100.0), lambda: now)
    await queue.open()
    await queue.put([compress([line(2)], now)])
    assert queue.counts[Fate.DROPPED] == 2
    assert [index_of(b) for b in await queue.oldest(0, 1000)] == [2]
    await queue.close()


async def test_the_file_is_small_again_after_an_outage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exporter.store.queue_file.SHRINK_FROM_BYTES", MEGABYTE)
    queue = DiskQueue(tmp_path, LIMITS, lambda: 1000.0)
    await queue.open()
    for index in range(60):
        await queue.put([batch(index, 50_000)])
    assert (tmp_path / FILE).stat().st_size > 2 * MEGABYTE
    for waiting in await queue.oldest(0, 10**9):
        queue.settle(waiting)
    await queue.put([])
    await queue.put([batch(60)])
    assert (tmp_path / FILE).stat().st_size < MEGABYTE // 2
    await queue.close()
    assert (await left(tmp_path))[0] == [60]


@pytest.mark.stack
async def test_a_full_disk_of_four_megabytes(proxy: Proxy, store: Store, tmp_path: Path) -> None:
    """InfluxDB away, the disk full, 12 MB made: nothing lost that fits into disk and memory."""
    limits = Limits(disk=256 * MEGABYTE, memory=32 * MEGABYTE, age=86400.0)
    with small_disk(tmp_path / "queue"):
        async with plant(proxy.url, tmp_path, limits=limits) as running:
            await running.trickle(3)
            await running.sent()
            proxy.manner = Manner.REFUSE
            for _ in range(150):
                running.make(4, size=20_000)
                await running.put_down()
            assert running.writer.queue.durable is False
            assert running.writer.queue.bytes > 10 * MEGABYTE
            proxy.manner = Manner.PASS
            fresh = running.make(1, "fresh")
            await until(lambda: store.indices("fresh") == list(fresh))
            await running.sent()
            await until(lambda: running.writer.queue.durable)
            assert running.counts[Fate.DROPPED] == 0
            assert store.indices("scrape") == list(range(603))
            counts = running.counts
        async with plant(proxy.url, tmp_path, limits=limits) as running:
            await until(lambda: running.counts)
            assert running.counts == counts


@pytest.mark.stack
async def test_a_full_disk_and_full_memory_drop_the_oldest_and_say_so(
    proxy: Proxy, store: Store, tmp_path: Path
) -> None:
    limits = Limits(disk=256 * MEGABYTE, memory=2 * MEGABYTE, age=86400.0)
    with small_disk(tmp_path / "queue"):
        proxy.manner = Manner.REFUSE
        async with plant(proxy.url, tmp_path, limits=limits) as running:
            for _ in range(150):
                running.make(4, size=20_000)
                await running.put_down()
            last = running.make(1)
            proxy.manner = Manner.PASS
            await running.sent()
            await until(lambda: running.writer.queue.durable)
            counts = running.counts
        kept = store.indices("scrape")
        assert counts[Fate.WRITTEN] == len(kept)
        assert counts[Fate.DROPPED] == last.stop - len(kept) > 0
        assert last[0] in kept
        # The newest are there without a hole; what was dropped are older ones.
        assert kept[-40:] == list(range(last.stop - 40, last.stop))


@pytest.mark.stack
async def test_a_read_only_disk(proxy: Proxy, store: Store, tmp_path: Path) -> None:
    with small_disk(tmp_path / "queue", "16m") as folder:

        def mount(how: str) -> None:
            subprocess.run(["mount", "-o", f"remount,{how}", str(folder)], check=True)

        mount("ro")
        async with plant(proxy.url, tmp_path) as running:
            await running.trickle(50)
            await running.sent()
            queue = running.writer.queue
            assert queue.durable is False
            assert store.indices("scrape") == list(range(50))
            proxy.manner = Manner.REFUSE
            await running.trickle(10)
            mount("rw")
            await until(lambda: queue.durable)
        # What waited in memory is on disk by now, and so are the books.
        proxy.manner = Manner.PASS
        async with plant(proxy.url, tmp_path, index=60) as running:
            await running.trickle(5)
            await running.sent()
            assert store.indices("scrape") == list(range(65))
            assert running.counts[Fate.WRITTEN] == running.counts[Fate.PRODUCED] == 65


@pytest.mark.stack
async def test_a_disk_that_turns_read_only(proxy: Proxy, store: Store, tmp_path: Path) -> None:
    """What comes after is sent from memory; what was put down before is there for the next run."""
    with failing_disk(tmp_path / "queue") as folder:
        async with plant(proxy.url, tmp_path) as running:
            await running.trickle(10)
            await running.sent()
            proxy.manner = Manner.REFUSE
            await running.trickle(10)
            await running.put_down()
            turn_read_only(folder)
            await running.trickle(10)
            await running.put_down()
            queue = running.writer.queue
            assert queue.durable is False
            assert running.counts[Fate.SPOOLED] == 20
            proxy.manner = Manner.PASS
            last = running.make(1)
            await until(lambda: set(store.indices("scrape")) >= {*range(20, 30), *last})
        mend(folder)
        async with plant(proxy.url, tmp_path, index=31) as running:
            await running.trickle(5)
            await running.sent()
            assert running.writer.queue.durable
    assert store.indices("scrape") == list(range(36))


@pytest.mark.parametrize("instead", ["nothing", "an empty folder", "another queue"])
async def test_a_folder_that_is_removed_under_it_is_made_anew(instead: str, tmp_path: Path) -> None:
    folder = tmp_path / "queue"
    queue = DiskQueue(folder, LIMITS, lambda: 1000.0)
    await queue.open()
    for index in range(5):
        await queue.put([batch(index)])
    shutil.rmtree(folder)
    if instead != "nothing":
        folder.mkdir()
    if instead == "another queue":
        await filled(folder, 3, [0])
    await queue.put([batch(5)])
    assert queue.durable
    with pytest.raises(QueueInUseError):
        DiskQueue(folder, LIMITS, time.time)
    # As after kill -9: nothing is closed.
    shutil.copytree(folder, tmp_path / "copy")
    found, counts = await left(tmp_path / "copy")
    assert (found, counts[Fate.PRODUCED]) == (list(range(6)), 6)
    assert (folder / "strange.sqlite").exists() == (instead == "another queue")
    await queue.put([batch(6)])
    await queue.close()
    assert (await left(folder))[0] == list(range(7))


async def test_a_folder_that_cannot_be_made_anew_is_waited_for(tmp_path: Path) -> None:
    folder = tmp_path / "place" / "queue"
    queue = DiskQueue(folder, LIMITS, lambda: 1000.0)
    await queue.open()
    for index in range(5):
        await queue.put([batch(index)])
    shutil.rmtree(tmp_path / "place")
    (tmp_path / "place").write_text("in the way")
    await queue.put([batch(5)])
    assert queue.durable is False
    assert queue.counts[Fate.SPOOLED] == 6
    # It can still be sent: from the removed file, and from memory.
    assert [index_of(b) for b in await queue.oldest(0, MEGABYTE)] == list(range(6))
    (tmp_path / "place").unlink()
    while not queue.durable:
        await asyncio.sleep(0.1)
        await queue.put([])
    await queue.close()
    assert (await left(folder))[0] == list(range(6))
