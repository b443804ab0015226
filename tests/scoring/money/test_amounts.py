"""Parts of an amount add up to it, and no part is off by more than a hundredth."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring.money.amounts import rounded, split

AMOUNTS = st.decimals("-1e9", "1e9", places=2)
WEIGHTS = st.lists(st.decimals(0, 1000, places=3), min_size=1, max_size=8).filter(any)


@given(AMOUNTS, WEIGHTS)
def test_parts_add_up(amount: Decimal, weights: list[Decimal]) -> None:
    parts = split(amount, weights)
    total = sum(weights)
    assert sum(parts) == amount
    for part, weight in zip(parts, weights, strict=True):
        assert abs(part - amount * weight / total) < Decimal("0.01")
        assert part == rounded(part)


@pytest.mark.parametrize(
    ("amount", "weights", "parts"),
    [
        ("100", (1, 1, 1), ("33.34", "33.33", "33.33")),
        ("0.01", (1, 1), ("0.01", "0.00")),
        ("-100", (1, 1, 1), ("-33.33", "-33.33", "-33.34")),
        ("70.00", (70, 30), ("49.00", "21.00")),
    ],
)
def test_worked_examples(amount: str, weights: tuple[int, ...], parts: tuple[str, ...]) -> None:
    found = split(Decimal(amount), [Decimal(weight) for weight in weights])
    assert sorted(found) == sorted(Decimal(part) for part in parts)


@pytest.mark.parametrize(("value", "paid"), [("0.125", "0.12"), ("0.135", "0.14"), ("1", "1.00")])
def test_half_goes_to_even(value: str, paid: str) -> None:
    assert str(rounded(Decimal(value))) == paid


def test_what_is_no_amount_is_refused() -> None:
    for value in ("NaN", "Infinity"):
        with pytest.raises(ValueError, match="no amount"):
            rounded(Decimal(value))
    for weights in ([], [Decimal(0)], [Decimal(2), Decimal(-1)]):
        with pytest.raises(ValueError, match="weights"):
            split(Decimal(1), weights)
