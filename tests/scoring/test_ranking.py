"""Ranks for attention and performance."""

from __future__ import annotations

import math
import random as stdlib_random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from scoring.ranking import attention_rank, performance_rank
from scoring.status import Status, status_of

SEEDED = settings(derandomize=True, deadline=None)

SITE = st.tuples(
    st.one_of(st.just(math.nan), st.sampled_from([0.0, 49.0, 69.0, 85.5, 100.0])),
    st.booleans(),
    st.integers(0, 2),
)


def columns(
    sites: list[tuple[float, bool, int]], ids: list[str]
) -> tuple[NDArray[np.float64], NDArray[np.int8], NDArray[np.intp], list[str]]:
    overall = np.array([s[0] for s in sites], dtype=float)
    offline = np.array([s[1] for s in sites], dtype=bool)
    priority = np.array([s[2] for s in sites], dtype=np.intp)
    return overall, status_of(overall, offline), priority, ids


def attention_key(site: tuple[float, bool, int], name: str) -> tuple[Any, ...]:
    overall, offline, priority = site
    if offline:
        return (0, 0.0, 0, priority, name)
    if math.isnan(overall):
        return (1, 0.0, 1, priority, name)
    return (0, overall, 1, priority, name)


def performance_key(site: tuple[float, bool, int], name: str) -> tuple[Any, ...]:
    overall, offline, priority = site
    if offline:
        return (1, 0.0, priority, name)
    if math.isnan(overall):
        return (2, 0.0, priority, name)
    return (0, -overall, priority, name)


@SEEDED
@given(st.lists(SITE, max_size=30), st.integers(0, 1000))
def test_ranks_equal_a_plain_sort_and_ignore_the_order_of_the_input(
    sites: list[tuple[float, bool, int]], seed: int
) -> None:
    ids = [f"site-{i}" for i in range(len(sites))]
    stdlib_random.Random(seed).shuffle(ids)
    for rank, key in ((attention_rank, attention_key), (performance_rank, performance_key)):
        order = sorted(range(len(sites)), key=lambda i: key(sites[i], ids[i]))
        ranks = rank(*columns(sites, ids))
        assert [int(ranks[i]) for i in order] == list(range(1, len(sites) + 1))


def test_the_whole_order_by_example() -> None:
    sites = {
        "f": (100.0, False, 0),
        "a": (62.0, False, 2),
        "b": (62.0, False, 0),
        "c": (0.0, False, 0),
        "d": (95.0, True, 2),
        "e": (math.nan, False, 0),
        "g": (62.0, False, 1),
        "h": (math.nan, True, 0),
        "i": (62.0, False, 0),
    }
    ids = list(sites)
    data = columns(list(sites.values()), ids)
    by_attention = [ids[i] for i in np.argsort(attention_rank(*data))]
    by_performance = [ids[i] for i in np.argsort(performance_rank(*data))]
    assert by_attention == ["h", "d", "c", "b", "i", "g", "a", "f", "e"]
    assert by_performance == ["f", "b", "i", "g", "a", "c", "h", "d", "e"]


def test_a_status_of_unknown_is_last_even_with_a_score() -> None:
    overall = np.array([10.0, 90.0])
    status = np.array([Status.UNKNOWN, Status.HEALTHY])
    priority = np.zeros(2, dtype=int)
    np.testing.assert_array_equal(attention_rank(overall, status, priority, ["a", "b"]), [2, 1])
    np.testing.assert_array_equal(performance_rank(overall, status, priority, ["a", "b"]), [2, 1])


def test_ids_are_compared_character_by_character() -> None:
    # Padding or stripping would make "a" and "a\x00" the same id.
    ids = ["b", "a\x00", "a", "B", "a0"]
    data = columns([(50.0, False, 1)] * 5, ids)
    assert [ids[i] for i in np.argsort(attention_rank(*data))] == ["B", "a", "a\x00", "a0", "b"]


def test_an_empty_fleet_has_no_ranks() -> None:
    assert attention_rank(*columns([], [])).shape == (0,)
    assert performance_rank(*columns([], [])).shape == (0,)


@pytest.mark.parametrize("rank", [attention_rank, performance_rank])
def test_impossible_arguments_are_refused(rank: Any) -> None:
    with pytest.raises(ValueError, match="ids must be unique"):
        rank(*columns([(50.0, False, 0)] * 2, ["a", "a"]))
    with pytest.raises(ValueError, match="must have the same length"):
        rank(*columns([(50.0, False, 0)] * 2, ["a"]))
