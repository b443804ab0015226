"""A fleet's power is shared by room, up to what each site may do."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from scoring.orders.sharing import shared_power


def shares(total: float, most: list[float], room: list[float]) -> list[float]:
    return [round(float(x), 6) for x in shared_power(total, np.array(most), np.array(room))]


def test_by_room() -> None:
    assert shares(3000, [5000, 5000], [4, 2]) == [2000, 1000]


def test_what_one_cannot_do_goes_to_the_others() -> None:
    assert shares(3000, [500, 5000, 5000], [4, 2, 2]) == [500, 1250, 1250]


def test_the_fleet_does_no_more_than_it_can() -> None:
    assert shares(9000, [500, 700, 0], [4, 2, 9]) == [500, 700, 0]


def test_a_room_that_is_not_known_is_the_mean_of_the_others() -> None:
    assert shares(3000, [5000, 5000, 5000], [4, math.nan, 2]) == [
        pytest.approx(3000 * 4 / 9),
        1000,
        pytest.approx(3000 * 2 / 9),
    ]
    assert shares(3000, [5000, 5000], [math.nan, math.nan]) == [1500, 1500]


def test_sites_without_room_share_what_is_left_to_none() -> None:
    assert shares(3000, [5000, 5000], [0, 2]) == [0, 3000]
    assert shares(3000, [5000, 5000], [0, 0]) == [1500, 1500]


SITE = st.tuples(st.floats(0, 1e6), st.floats(0, 1e4) | st.just(math.nan))


@example(1000.0, [(5000.0, 2e-313), (5000.0, 2e-313)])
@example(9000.0, [(5000.0, 2e-313), (5000.0, 1e4)])
@given(st.floats(0, 1e7), st.lists(SITE, min_size=1, max_size=30))
def test_no_site_gets_more_than_it_may_and_the_sum_is_right(
    total: float, sites: list[tuple[float, float]]
) -> None:
    most, room = (np.array(column) for column in zip(*sites, strict=True))
    found = shared_power(total, most, room)
    assert (found >= 0).all()
    assert (found <= most * (1 + 1e-9) + 1e-6).all()
    assert found.sum() <= total * (1 + 1e-9) + 1e-6
    known = most[(most > 0) & ~(room == 0)]
    if known.size == (most > 0).sum():
        assert found.sum() == pytest.approx(min(total, most.sum()), rel=1e-6, abs=1e-3)
