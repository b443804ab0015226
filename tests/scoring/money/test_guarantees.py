"""Penalties by tier with a cap, on worked examples."""

from __future__ import annotations

import math
from decimal import Decimal

import pytest

from scoring.money.guarantees import Guarantee, Tier, verdict

D = Decimal
AVAILABILITY = Guarantee(
    name="availability",
    target=D(97),
    tiers=(Tier(D(2), D(1000)), Tier(D(5), D(2500)), Tier(None, D(5000))),
    cap=D(12_000),
    least_coverage=0.9,
)


@pytest.mark.parametrize(
    ("actual", "owed", "before"),
    [
        (99.2, "0.00", "0.00"),
        (97.0, "0.00", "0.00"),
        (96.5, "500.00", "500.00"),
        (95.0, "2000.00", "2000.00"),
        # Two points at 1,000, one at 2,500.
        (94.0, "4500.00", "4500.00"),
        # Two at 1,000, three at 2,500, two at 5,000: above the cap.
        (90.0, "12000.00", "19500.00"),
    ],
)
def test_by_tier(actual: float, owed: str, before: str) -> None:
    found = verdict(AVAILABILITY, actual, 1.0)
    assert found.owed is not None
    assert found.owed_before_cap is not None
    assert (str(found.owed), str(found.owed_before_cap)) == (owed, before)
    assert found.met == (actual >= 97)


def test_binary_fractions_make_no_penalty() -> None:
    """0.1 + 0.2 is above 0.3 by less than anybody measures."""
    latency = Guarantee("latency", D("0.3"), (Tier(None, D(10**9)),), D(10**9), at_least=False)
    assert verdict(latency, 0.1 + 0.2, 1.0).owed == 0
    assert verdict(latency, 0.35, 1.0).owed == D(50_000_000)


@pytest.mark.parametrize(("actual", "coverage"), [(math.nan, 1.0), (80.0, 0.5)])
def test_without_enough_observed_there_is_no_verdict(actual: float, coverage: float) -> None:
    found = verdict(AVAILABILITY, actual, coverage)
    assert (found.met, found.owed, found.shortfall) == (None, None, None)


@pytest.mark.parametrize(
    "tiers",
    [
        (),
        (Tier(None, D(1)), Tier(None, D(2))),
        (Tier(D(3), D(1)), Tier(D(2), D(2)), Tier(None, D(3))),
        (Tier(D(0), D(1)), Tier(None, D(2))),
        (Tier(None, D(-1)),),
    ],
)
def test_tiers_that_make_no_sense_are_refused(tiers: tuple[Tier, ...]) -> None:
    with pytest.raises(ValueError, match="availability"):
        Guarantee("availability", D(97), tiers, D(1))
