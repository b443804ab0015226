"""The sieve finds exactly the points that a store refuses, and no fault of the store itself."""

from __future__ import annotations

import gzip

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.model.levels import RAW
from exporter.store.bisection import Bisection, KnownGood
from exporter.store.queue import compress
from exporter.store.target import RefusedError, RetryLaterError

GOOD_BEFORE = "site,site=z online=1.0 1"


class Store:
    """Refuses every batch that holds one of the bad lines, in the manner of 1.x or of 2.x.

    ``faults`` are numbers of requests that a proxy in front of it answers with 400.
    """

    def __init__(self, bad: set[str], partial: bool, faults: frozenset[int] = frozenset()) -> None:
        self.bad, self.partial, self.faults = bad, partial, faults
        self.stored: set[str] = set()
        self.requests = 0

    async def write(self, body: bytes, policy: str) -> None:
        assert policy == RAW
        self.requests += 1
        if self.requests in self.faults:
            raise RefusedError("proxy answered 400", "<html>bad request</html>")
        lines = gzip.decompress(body).decode().split("\n")
        wrong = [line for line in lines if line in self.bad]
        if self.partial or not wrong:
            self.stored |= {line for line in lines if line not in self.bad}
        if wrong:
            words = f"partial write: field type conflict dropped={len(wrong)}"
            raise RefusedError(
                "answered 400",
                words if self.partial else "unable to parse",
                len(wrong) if self.partial else None,
            )


async def sift(store: Store, lines: list[str], known: KnownGood) -> Bisection:
    bisection = Bisection(compress(lines, 0.0), known)
    for _ in range(200):
        try:
            await bisection.run(store.write)
        except RetryLaterError:
            continue
        return bisection
    raise AssertionError("it never ends")


@settings(max_examples=80, deadline=None)
@given(
    bad=st.sets(st.integers(0, 39)),
    partial=st.booleans(),
    faults=st.frozensets(st.integers(1, 30), max_size=8),
)
async def test_exactly_the_bad_points_are_found(
    bad: set[int], partial: bool, faults: frozenset[int]
) -> None:
    lines = [f"{'site' if n % 3 else 'issue'},site=a x={n}.0 {n}" for n in range(40)]
    store = Store({lines[n] for n in bad}, partial, faults)
    known = KnownGood()
    known.accepted(compress([GOOD_BEFORE], 0.0).body, RAW)
    bisection = await sift(store, lines, known)
    refused = {one.line for one in bisection.refused}
    assert len(refused) == len(bisection.refused)
    assert refused >= {lines[n] for n in bad}
    assert store.stored - {GOOD_BEFORE} == set(lines) - store.bad
    # A proxy that happens to refuse one good point four times, and nothing else between, is
    # beyond telling; any less than that is seen through.
    assert refused == store.bad


async def test_a_whole_measurement_that_conflicts_costs_few_requests() -> None:
    lines = [f"cell,cell={n} x=1.0 {n}" for n in range(4000)]
    lines += [f"site,site={n} x=1.0 {n}" for n in range(1000)]
    store = Store({line for line in lines if line.startswith("site")}, partial=True)
    known = KnownGood()
    known.accepted(compress([GOOD_BEFORE], 0.0).body, RAW)
    bisection = await sift(store, lines, known)
    assert len(bisection.refused) == 1000
    assert store.requests <= 5


async def test_one_bad_point_in_five_thousand_costs_few_requests() -> None:
    lines = [f"site,site={n} x=1.0 {n}" for n in range(5000)]
    store = Store({lines[1234]}, partial=False)
    known = KnownGood()
    bisection = await sift(store, lines, known)
    assert [one.line for one in bisection.refused] == [lines[1234]]
    assert bisection.refused[0].words == "unable to parse"
    assert store.requests <= 40


@pytest.mark.parametrize("partial", [False, True])
async def test_a_store_that_has_taken_nothing_yet_is_not_believed(partial: bool) -> None:
    lines = [f"site,site={n} x=1.0 {n}" for n in range(100)]
    store = Store(set(lines), partial)
    bisection = Bisection(compress(lines, 0.0), KnownGood())
    for _ in range(3):
        with pytest.raises(RetryLaterError):
            await bisection.run(store.write)
    assert bisection.refused == []
    store.bad = {lines[5]}
    await bisection.run(store.write)
    assert [one.line for one in bisection.refused] == [lines[5]]
    assert store.stored == set(lines) - store.bad


async def test_a_store_that_refuses_what_it_took_before_is_not_believed() -> None:
    lines = [f"site,site={n} x=1.0 {n}" for n in range(4)]
    known = KnownGood()
    known.accepted(compress([GOOD_BEFORE], 0.0).body, RAW)
    store = Store({*lines, GOOD_BEFORE}, partial=True)
    bisection = Bisection(compress(lines, 0.0), known)
    with pytest.raises(RetryLaterError, match="points it took before"):
        await bisection.run(store.write)
    assert bisection.refused == []
