"""The books of both queues balance whatever happens in whichever order."""

from __future__ import annotations

import asyncio
import gzip
import random
import shutil
import tempfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from exporter.model.levels import RAW
from exporter.store.disk_queue import DiskQueue, Limits
from exporter.store.queue import (
    Batch,
    DropOrder,
    Fate,
    Kind,
    MemoryQueue,
    Queue,
    balanced,
    census,
    compress,
    pack,
    subject,
    unpack,
)

LIMIT = 100


def batch(size: int, points: int, kind: Kind = Kind.REST) -> Batch:
    return Batch(b"x" * size, points, 5.0, RAW, kind, {(1, "site"): points})


class Machine(RuleBasedStateMachine):
    """A queue beside a plain model of what it must hold."""

    durable = False

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = Path(tempfile.mkdtemp())
        self.queue = self.opened()
        self.model: dict[int, Batch] = {}
        self.hand: list[Batch] = []
        self.expected: Counter[Fate] = Counter()

    def opened(self) -> Queue:
        queue: Queue = MemoryQueue(LIMIT)
        if self.durable:
            queue = DiskQueue(self.folder, Limits(LIMIT, 10**6, 1e9), lambda: 1000.0)
        self.runner.run(queue.open())
        return queue

    def teardown(self) -> None:
        self.runner.run(self.queue.close())
        self.runner.close()
        shutil.rmtree(self.folder)

    @rule(sizes=st.lists(st.integers(0, 60), min_size=1, max_size=3), kind=st.sampled_from(Kind))
    def put(self, sizes: list[int], kind: Kind) -> None:
        self.commit([batch(size, size + 1, kind) for size in sizes])

    def commit(self, made: list[Batch]) -> None:
        spared = {b.number for b in self.hand}
        taken = self.runner.run(self.queue.put(made))
        self.expected[Fate.PRODUCED] += sum(b.points for b in made)
        self.shrink(spared, sum(len(b.body) for b in taken))
        self.model |= {b.number: b for b in taken}

    def shrink(self, spared: set[int], size: int = 0) -> None:
        size += sum(len(b.body) for b in self.model.values())
        for number in sorted(self.model, key=lambda n: (self.model[n].kind, n)):
            if size > LIMIT and number not in spared:
                size -= len(self.model[number].body)
                self.expected[Fate.DROPPED] += self.model.pop(number).points

    @rule(most=st.integers(1, 200))
    def take(self, most: int) -> None:
        found = self.runner.run(self.queue.oldest(0, most))
        hand = {b.number for b in self.hand}
        waiting = [n for n in sorted(self.model) if n not in hand]
        assert [b.number for b in found] == waiting[: len(found)]
        assert bool(found) == bool(waiting)
        assert sum(len(b.body) for b in found) <= most or len(found) == 1
        assert all(b == self.model[b.number] for b in found)
        self.hand += found
        self.queue.in_flight |= {b.number for b in found}

    @precondition(lambda self: self.hand)
    @rule(share=st.floats(0, 1), last=st.booleans())
    def settle(self, share: float, last: bool) -> None:
        done = self.hand.pop(-1 if last else 0)
        bad = round(done.points * share)
        self.queue.in_flight.discard(done.number)
        self.queue.settle(done, {(1, "site"): bad} if bad else None)
        del self.model[done.number]
        self.expected[Fate.WRITTEN] += done.points - bad
        self.expected[Fate.REJECTED] += bad
        self.commit([])

    @rule()
    def put_back(self) -> None:
        self.queue.in_flight.clear()
        self.hand.clear()

    @invariant()
    def the_books_are_right(self) -> None:
        waiting = sum(b.points for b in self.model.values())
        if self.queue.counts:
            assert self.queue.counts == balanced(self.expected) | {Fate.SPOOLED: waiting}
        assert balanced(self.expected)[Fate.SPOOLED] == waiting
        assert self.queue.bytes == sum(len(b.body) for b in self.model.values())
        assert (self.queue.oldest_time is None) == (not self.model)


class DurableMachine(Machine):
    """The same on disk, ended and opened again at any time."""

    durable = True

    @rule()
    def end_and_begin_again(self) -> None:
        assert self.runner.run(self.queue.close()) == 0
        self.hand.clear()
        self.queue = self.opened()
        self.shrink(set())


TestMemoryQueue = Machine.TestCase
TestMemoryQueue.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestDiskQueue = DurableMachine.TestCase
TestDiskQueue.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)


@pytest.mark.parametrize(("order", "kept"), [("cells-first", [1, 3, 5]), ("oldest", [3, 4, 5])])
@pytest.mark.parametrize("durable", [False, True])
async def test_the_order_says_what_goes_first(
    order: DropOrder, kept: list[int], durable: bool, tmp_path: Path
) -> None:
    queue: Queue = MemoryQueue(30, order)
    if durable:
        queue = DiskQueue(tmp_path, Limits(30, 10**6, 1e9, order), lambda: 0.0)
    await queue.open()
    for number in range(1, 6):
        await queue.put([batch(10, 1, Kind.CELLS if number in (2, 4) else Kind.REST)])
    assert [b.number for b in await queue.oldest(0, 1000)] == kept
    assert queue.counts[Fate.DROPPED] == 2
    await queue.close()


async def test_what_is_being_put_down_is_given_to_nobody_else(tmp_path: Path) -> None:
    """Who puts it in has it in hand: sent by two, it would be counted as written twice."""
    queue = DiskQueue(tmp_path, Limits(10**6, 10**6, 1e9), lambda: 5.0)
    await queue.open()
    made, found = await asyncio.gather(queue.put([batch(10, 1)]), queue.oldest(0, 10**6))
    assert (len(made), found) == (1, [])
    assert await queue.oldest(0, 10**6) == made
    await queue.close()


async def test_a_batch_larger_than_the_limit_still_gets_its_chance(tmp_path: Path) -> None:
    on_disk = DiskQueue(tmp_path, Limits(10, 10**6, 1e9), lambda: 0.0)
    for queue in (MemoryQueue(10), on_disk):
        await queue.open()
        (only,) = await queue.put([batch(50, 5)])
        assert await queue.oldest(0, 10) == [only]
        assert queue.counts[Fate.DROPPED] == 0
        await queue.close()


def test_compressed_lines_come_back() -> None:
    lines = ["a x=1.0 1", "b,s=é🔋 y=2.0 2"]
    made = compress(lines, 5.0)
    assert (made.points, made.time, made.kind) == (2, 5.0, Kind.REST)
    assert unpack(made.body) == lines


def test_half_a_surrogate_pair_does_not_stop_the_batch() -> None:
    made = compress(['a t="\ud83d" 1', "b y=2.0 2"], 5.0)
    assert gzip.decompress(made.body).decode() == 'a t="?" 1\nb y=2.0 2'


def test_cells_are_packed_apart_and_nothing_is_left_out() -> None:
    lines = [f"{'cell' if n % 3 else 'site'},site=a x={n}.0 {n}" for n in range(50)]
    packed = pack(lines, 5.0, 10)
    assert {(b.kind, len({line[:4] for line in unpack(b.body)})) for b in packed} == {
        (Kind.CELLS, 1),
        (Kind.REST, 1),
    }
    assert all(b.points <= 10 for b in packed)
    assert sorted(line for b in packed for line in unpack(b.body)) == sorted(lines)
    assert pack([], 5.0, 10) == []


def test_points_are_counted_by_minute_and_subject() -> None:
    minute = 29_000_000
    stamp = minute * 60_000
    lines = [
        f"site,site=a online=1.0 {stamp}",
        f"site,site=b online=1.0 {stamp + 59_999}",
        f"site,site=a pv_expected_w=1.0 {stamp}",
        f"site,site=c online=1.0 {stamp + 60_000}",
        f'issue,site=a sentence=" pv = 3" {stamp}',
    ]
    assert census(lines) == {
        (minute, "site"): 2,
        (minute, "site/pv_expected_w"): 1,
        (minute + 1, "site"): 1,
        (minute, "issue"): 1,
    }
    assert census([f"cell,cell=1 voltage_v=3.3 {stamp}"] * 3) == {(minute, "cell"): 3}


def test_a_census_is_the_count_line_by_line() -> None:
    rng = random.Random(15)
    starts = (
        "site,site=a grid_power_w=1.0",
        "site,site=a pv_expected_w=1.0",
        "site,site=b pv_power_w=1.0,x=2.0",
        "battery,site=a,device=b soc_percent=5.0",
        "health,site=a score=1.0",
        "health_of_all,site=a score=1.0",
        "issue,site=a,code=b active=1.0",
        'event,kind=start text="a b"',
        "a,b=c d=1.0",
        "no_tags d=1.0",
    )
    stamps = (1_780_000_000_000, 1_780_000_061_000, 5, 99_999)
    for _ in range(50):
        lines = [f"{rng.choice(starts)} {rng.choice(stamps)}" for _ in range(rng.randrange(60))]
        lines += rng.choices(("", "a", "a 1", "site,"), k=rng.randrange(3))
        expected: Counter[tuple[int, str]] = Counter()
        for line in lines:
            stamp = line[-13:].rpartition(" ")[2]
            expected[int(stamp) // 60_000 if stamp.isdecimal() else 0, subject(line)] += 1
        assert census(lines) == dict(expected)
