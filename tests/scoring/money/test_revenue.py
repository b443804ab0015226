"""Revenue on worked examples; differences to a statement add up exactly and name planted errors."""

from __future__ import annotations

import math
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring.money.revenue import (
    Cause,
    Key,
    Line,
    energy_revenue,
    reconcile,
    service_revenue,
)

D = Decimal


def test_energy_by_hand() -> None:
    """Buys 10 kWh at -0.02, sells 8 at 0.30: earns 0.20 + 2.40."""
    prices, sold, bought = np.array([-0.02, 0.3]), np.array([0.0, 8.0]), np.array([10.0, 0.0])
    assert energy_revenue(prices, sold, bought) == pytest.approx((2.6, 1.0))
    prices[0] = math.nan
    assert energy_revenue(prices, sold, bought) == pytest.approx((2.4, 0.5))
    value, coverage = energy_revenue(np.full(2, math.nan), sold, bought)
    assert math.isnan(value)
    assert coverage == 0


def test_service_by_hand() -> None:
    """50 MW over 4 h at 12 a MW and hour, half of it at K = 0.8."""
    found = service_revenue(
        np.full(2, 50.0), np.full(2, 2.0), np.full(2, 12.0), np.array([1.0, 0.8])
    )
    assert found == pytest.approx((2160.0, 1.0))


def line(volume: str, price: str, amount: str | None = None, penalty: str = "0") -> Line:
    paid = D(amount) if amount is not None else D(volume) * D(price) - D(penalty)
    return Line(D(volume), D(price), paid, D(penalty))


def test_planted_errors_are_named_to_the_penny() -> None:
    own: dict[Key, Line] = {
        (k,): line("100", "12.5") for k in ("as agreed", "volume", "price", "missing", "sum")
    }
    stated: dict[Key, Line] = {
        ("as agreed",): line("100", "12.5"),
        ("volume",): line("96", "12.5"),
        ("price",): line("100", "12.05"),
        ("sum",): line("100", "12.5", amount="1249.99"),
        ("never ours",): line("1", "3"),
    }
    stated["volume",] = line("96", "12.5", penalty="25")
    assert reconcile(own, stated) == [
        (("missing",), Cause.MISSING, D("-1250.0")),
        (("never ours",), Cause.UNEXPECTED, D(3)),
        (("price",), Cause.PRICE, D("-45.00")),
        (("sum",), Cause.REST, D("-0.01")),
        (("volume",), Cause.VOLUME, D("-50.0")),
        (("volume",), Cause.PENALTY, D(-25)),
    ]


VALUES = st.decimals("-1000", "1000", places=3)
LINES = st.builds(Line, VALUES, VALUES, VALUES, VALUES)
ROWS = st.dictionaries(st.tuples(st.sampled_from("abcdef")), LINES)


@given(ROWS, ROWS)
def test_causes_add_up_exactly(own: dict[Key, Line], stated: dict[Key, Line]) -> None:
    found = reconcile(own, stated)
    whole = sum((s.amount for s in stated.values()), D(0)) - sum(
        (o.amount for o in own.values()), D(0)
    )
    assert sum((amount for *_, amount in found), D(0)) == whole
