"""What callers may use: time, requests at once, streams; and whose use is whose."""

from __future__ import annotations

import math

import pytest

from exporter.config.fleet import Project
from exporter.serve.access.roles import EVERY_PROJECT, Caller, Role
from exporter.serve.access.usage import (
    MOST_ACCOUNTS,
    MOST_UNDER_WAY,
    Account,
    OverLimitError,
    SharedClock,
    Streams,
    TimeBudgets,
    Usage,
    accounts_of,
)

A, B = (Account("address 192.0.2.1"),), (Account("address 192.0.2.2"),)
OPS = Account("user ops")


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


def test_a_project_has_the_quota_of_the_fleet_file() -> None:
    caller = Caller("ops", (("a", Role.VIEWER), ("b", Role.VIEWER)))
    quotas = {"a": Project(share=2, requests_per_minute=30)}
    *_, a, b = accounts_of("192.0.2.1", caller, quotas)
    assert (a.share, a.requests_per_minute) == (2, 30)
    assert (b.share, b.requests_per_minute) == (4, None)


def test_a_request_counts_in_every_project_or_in_none() -> None:
    clock = Clock()
    used = Usage(60.0, clock)
    a, b = Account("project a", requests_per_minute=2), Account("project b", requests_per_minute=1)
    used.begin((a, b))
    with pytest.raises(OverLimitError, match="project b has used its requests_per_minute"):
        used.begin((a, b))
    used.begin((a,))
    with pytest.raises(OverLimitError, match="project a"):
        used.begin((a,), free=True)
    clock.now += 30.0
    used.begin((a,))
    used.begin((Account("project c"),))


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
    x = (Account("project x", share=4),)
    budgets.charge(x, 240.0, 0.0)
    assert budgets.wait(x, 0.0) == 0
    for n in range(2 * MOST_ACCOUNTS):
        budgets.charge((Account(f"address {n}"),), 1.0, 0.0)
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
        used.begin((Account("address 192.0.2.9"), *B))


def test_requests_at_once_are_bounded_for_each_account() -> None:
    used = Usage(10.0, Clock())
    begun = [used.begin((*A, OPS)) for _ in range(MOST_UNDER_WAY)]
    with pytest.raises(OverLimitError):
        used.begin(A)
    with pytest.raises(OverLimitError):
        used.begin((*B, OPS))
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
    others = [streams.open((Account(f"address {n}"),)) for n in range(4)]
    # The one with the most gave way, the oldest first.
    assert [one.evicted for one in many] == [True, True, True, False, False]
    assert not any(one.evicted for one in others)
    streams.close(others[0])
    assert not streams.open(B).evicted
    assert len(streams._open) == 6


def test_a_user_has_one_limit_at_all_addresses() -> None:
    streams = Streams(most=100, most_of_a_caller=2)
    opened = [streams.open((Account(f"address {n}"), OPS)) for n in range(3)]
    assert [one.evicted for one in opened] == [True, False, False]
    assert OPS.share == 1
