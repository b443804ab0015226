"""A written number never stands on the wrong side of its limit."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.model.figures import exact, figure, judged


@pytest.mark.parametrize(
    ("value", "decimals", "limit", "written"),
    [
        (94.9, 0, 95.0, "94.9"),
        (94.96, 0, 95.0, "94.96"),
        (95.0, 0, 95.0, "95"),
        (65.2, 0, 70.0, "65"),
        (45.04, 1, 45.0, "45.04"),
        (45.04, 1, None, "45.0"),
        (45.04, 1, math.nan, "45.0"),
        (50.5003, 2, 50.5, "50.5003"),
        (-0.04, 1, None, "0.0"),
        (math.nan, 1, 3.0, "–"),
    ],
)
def test_a_number_keeps_to_its_side_of_the_limit(
    value: float, decimals: int, limit: float | None, written: str
) -> None:
    assert figure(value, decimals, limit) == written


@given(
    limit=st.integers(-1000, 1000).map(lambda n: n / 20),
    apart=st.floats(1e-6, 10) | st.floats(-10, -1e-6),
    decimals=st.integers(0, 3),
)
def test_no_number_is_written_across_its_limit(limit: float, apart: float, decimals: int) -> None:
    value = limit + apart
    shown = float(figure(value, decimals, limit))
    assert (shown < limit) == (value < limit)
    assert (shown > limit) == (value > limit)


def test_a_limit_is_written_as_it_was_configured() -> None:
    assert [exact(v) for v in (95.0, 47.5, 0.1, 230 * 1.1)] == ["95", "47.5", "0.1", "253"]


def test_ratios_are_written_in_percent() -> None:
    assert judged(0.4999, 0.5, unit="", decimals=0, as_percent=True) == ("49.99 %", "50 %")
