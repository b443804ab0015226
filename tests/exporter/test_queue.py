"""The books of the queue balance whatever happens in whichever order."""

from __future__ import annotations

import gzip
from collections import deque

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from exporter.sink.queue import Batch, Books, Fate, MemoryQueue, compress

LIMIT = 100


def batch(size: int, points: int, time: float = 0.0) -> Batch:
    return Batch(b"x" * size, points, time)


class QueueMachine(RuleBasedStateMachine):
    """A queue beside a plain model of what it must hold."""

    def __init__(self) -> None:
        super().__init__()
        self.queue = MemoryQueue(LIMIT)
        self.model: deque[Batch] = deque()
        self.sending: Batch | None = None
        self.expected = dict.fromkeys(Fate, 0)
        self.clock = 0.0

    @rule(size=st.integers(0, 60), points=st.integers(1, 50))
    def put(self, size: int, points: int) -> None:
        self.clock += 1
        new = batch(size, points, self.clock)
        self.queue.put(new)
        self.model.append(new)
        self.expected[Fate.PRODUCED] += points
        first = 1 if self.sending else 0
        while sum(len(b.body) for b in self.model) > LIMIT and len(self.model) > first + 1:
            self.expected[Fate.DROPPED] += self.model[first].points
            del self.model[first]

    @rule()
    def oldest(self) -> None:
        self.sending = self.queue.oldest()
        assert self.sending is (self.model[0] if self.model else None)

    @precondition(lambda self: self.sending is not None)
    @rule(share=st.floats(0, 1), rejected=st.booleans())
    def settle(self, share: float, rejected: bool) -> None:
        assert self.sending is not None
        written = round(self.sending.points * share)
        bad = self.sending.points - written if rejected else 0
        self.queue.settle(self.sending, written=written, rejected=bad)
        self.expected[Fate.WRITTEN] += written
        self.expected[Fate.REJECTED] += bad
        self.expected[Fate.DROPPED] += self.sending.points - written - bad
        self.model.popleft()
        self.sending = None

    @rule()
    def settle_another(self) -> None:
        with pytest.raises(ValueError, match="oldest"):
            self.queue.settle(batch(1, 1))

    @invariant()
    def books_balance(self) -> None:
        counts = self.queue.books.counts
        waiting = sum(b.points for b in self.model)
        assert counts == self.expected | {Fate.SPOOLED: waiting}
        assert counts[Fate.PRODUCED] == sum(counts[f] for f in Fate if f is not Fate.PRODUCED)

    @invariant()
    def holds_what_the_model_holds(self) -> None:
        assert self.queue.bytes == sum(len(b.body) for b in self.model)
        assert self.queue.oldest_time == (self.model[0].time if self.model else None)

    @invariant()
    def is_bounded(self) -> None:
        kept = 1 if self.sending is None else 2
        assert self.queue.bytes <= LIMIT or len(self.model) <= kept


TestQueue = QueueMachine.TestCase
TestQueue.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_the_batch_being_sent_is_not_dropped() -> None:
    queue = MemoryQueue(10)
    first, second, third = batch(8, 1), batch(8, 2), batch(8, 4)
    queue.put(first)
    assert queue.oldest() is first
    queue.put(second)
    queue.put(third)
    queue.settle(first, written=1)
    assert queue.oldest() is third
    assert queue.books.counts[Fate.DROPPED] == 2


def test_a_batch_larger_than_the_limit_still_gets_its_chance() -> None:
    queue = MemoryQueue(10)
    queue.put(batch(50, 5))
    assert queue.oldest() is not None
    assert queue.books.counts[Fate.DROPPED] == 0


def test_compressed_lines_come_back() -> None:
    made = compress(["a x=1.0 1", "b,s=é🔋 y=2.0 2"], 5.0)
    assert (made.points, made.time) == (2, 5.0)
    assert gzip.decompress(made.body).decode() == "a x=1.0 1\nb,s=é🔋 y=2.0 2"


def test_half_a_surrogate_pair_does_not_stop_the_batch() -> None:
    made = compress(['a t="\ud83d" 1', "b y=2.0 2"], 5.0)
    assert gzip.decompress(made.body).decode() == 'a t="?" 1\nb y=2.0 2'


def test_a_reader_never_sees_books_that_do_not_balance() -> None:
    books = Books()
    books.produce(10)
    books.settle(Fate.WRITTEN, 3)
    counts = books.counts
    books.settle(Fate.DROPPED, 4)
    assert counts[Fate.SPOOLED] == 7
    assert books.counts[Fate.SPOOLED] == 3
