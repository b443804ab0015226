"""What callers may use: time, requests at once, streams; and whose use is whose."""

from __future__ import annotations

import math

import pytest

from exporter.serve.access import usage
from exporter.serve.access.roles import EVERY_PROJECT, Caller, Role
from exporter.serve.access.usage import (
    MOST_ACCOUNTS,
    MOST_UNDER_WAY,
    OverLimitError,
    SharedClock,
    Streams,
    TimeBudgets,
    Usage,
    accounts_of,
)

A, B = ("address 192.0.2.1",), ("address 192.0.2.2",)


class Clock:
    """Seconds that a test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("address", "caller", "accounts"),
    [
        ("192.0.2.1", None, A),
        ("192.0.2.1", Caller("anyone", ((EVERY_PROJECT, Role.VIEWER),)), A),
        ("192.0.2.1", Caller("ops", ((EVERY_PROJECT, Role.VIEWER),)), (*A, "user ops")),
        (
            "192.0.2.1",
            Caller("ops", (("b", Role.VIEWER), ("a", Role.ADMIN))),
            (*A, "user ops", "project a", "project b"),
        ),
        ("::ffff:192.0.2.1", None, A),
        ("2001:db8:1:2:3:4:5:6", None, ("address 2001:db8:1:2::/64",)),
        ("2001:db8:1:2:ffff::", None, ("address 2001:db8:1:2::/64",)),
        ("fe80::1%eth0", None, ("address fe80::/64",)),
        ("", None, ("address ",)),
    ],
)
def test_whose_a_request_is(address: str, caller: Caller | None, accounts: tuple[str]) -> None:
    assert accounts_of(address, caller) == accounts


def test_time_is_shared_out_among_those_who_use_it() -> None:
    clock = Clock()
    shared = SharedClock(clock)
    first = shared.enter()
    clock.now += 1
    second = shared.enter()
    clock.now += 4
    assert shared.leave(first) == pytest.approx(1 + 4 / 2)
    clock.now += 1
    assert shared.leave(second) == pytest.approx(4 / 2 + 1)
    clock.now += 99
    assert shared.leave(shared.enter()) == 0


def test_a_budget_is_spent_and_refilled() -> None:
    budgets = TimeBudgets(60.0)
    budgets.charge(A, 59.0, 0.0)
    assert budgets.wait(A, 0.0) == 0
    budgets.charge(A, 31.0, 0.0)
    assert budgets.wait(A, 0.0) == pytest.approx(60.0)
    assert budgets.wait(B, 0.0) == 0
    # A user who comes from two addresses has both of them against it.
    assert budgets.wait((*B, *A), 30.0) == pytest.approx(30.0)
    assert budgets.wait(A, 60.0) == 0
    # A project has four times as much.
    budgets.charge(("project x",), 240.0, 0.0)
    assert budgets.wait(("project x",), 0.0) == 0
    for n in range(2 * MOST_ACCOUNTS):
        budgets.charge((f"address {n}",), 1.0, 0.0)
    assert len(budgets._used) == MOST_ACCOUNTS


def test_who_used_too_much_waits_and_nobody_else_does() -> None:
    clock = Clock()
    used = Usage(10.0, clock)
    meter = used.begin(A)
    clock.now += 40
    meter.stop()
    meter.stop()
    with pytest.raises(OverLimitError) as refused:
        used.begin(A)
    assert refused.value.retry_seconds == math.ceil(30 / (10 / 120))
    used.begin(A, free=True).stop()
    used.begin(B).stop()
    meter = used.begin(B)
    meter.charge(11.0)
    with pytest.raises(OverLimitError):
        used.begin(("address 192.0.2.9", *B))


def test_requests_at_once_are_bounded_for_each_account() -> None:
    used = Usage(10.0, Clock())
    begun = [used.begin((*A, "user ops")) for _ in range(MOST_UNDER_WAY)]
    with pytest.raises(OverLimitError):
        used.begin(A)
    with pytest.raises(OverLimitError):
        used.begin((*B, "user ops"))
    used.begin(B).stop()
    begun[0].stop()
    used.begin(A).stop()
    for meter in begun:
        meter.stop()
    assert not used._under_way


def test_streams_of_one_caller_end_for_its_own_and_for_those_of_others() -> None:
    streams = Streams(most=6, most_of_a_caller=4)
    many = [streams.open(A) for _ in range(4)]
    assert not any(one.evicted for one in many)
    many.append(streams.open(A))
    assert [one.evicted for one in many] == [True, False, False, False, False]
    others = [streams.open((f"address {n}",)) for n in range(4)]
    # The one with the most gave way, the oldest first.
    assert [one.evicted for one in many] == [True, True, True, False, False]
    assert not any(one.evicted for one in others)
    streams.close(others[0])
    assert not streams.open(B).evicted
    assert len(streams._open) == 6


def test_a_user_has_one_limit_at_all_addresses() -> None:
    streams = Streams(most=100, most_of_a_caller=2)
    opened = [streams.open((f"address {n}", "user ops")) for n in range(3)]
    assert [one.evicted for one in opened] == [True, False, False]
    assert usage.share_of("user ops") == 1
