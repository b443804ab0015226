"""Waterfalls and minima on worked examples; payouts add up to the revenue."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring.money.partners import Minimum, Step, payouts

D = Decimal
STEPS = (
    Step(D(10_000), {"lender": D(80), "owner": D(20)}),
    Step(None, {"lender": D(10), "owner": D(60), "optimiser": D(30)}),
)


def totals(revenue: str, *minima: Minimum) -> dict[str, str]:
    return {n: str(p.total) for n, p in payouts(D(revenue), STEPS, minima).items()}


def test_by_hand() -> None:
    """10,000 at 80:20, the 5,000 above it at 10:60:30."""
    assert totals("15000") == {"lender": "8500.00", "owner": "5000.00", "optimiser": "1500.00"}
    assert totals("4000") == {"lender": "3200.00", "owner": "800.00", "optimiser": "0.00"}


def test_a_minimum_comes_from_its_guarantor() -> None:
    floor = Minimum("optimiser", D(2000), "owner")
    assert totals("15000", floor) == {
        "lender": "8500.00",
        "owner": "4500.00",
        "optimiser": "2000.00",
    }
    # Even where the guarantor has nothing left.
    assert totals("1000", floor)["owner"] == "-1800.00"


@pytest.mark.parametrize("turned", [False, True])
def test_a_guarantor_has_its_own_minimum_after_it_gave(turned: bool) -> None:
    """Of 4,000 the lender has 3,200 and the owner 800; the owner adds 900 for the optimiser and has
    its own 1,000 from the lender, in whatever order the contract names them."""
    both = [Minimum("optimiser", D(900), "owner"), Minimum("owner", D(1000), "lender")]
    assert totals("4000", *(reversed(both) if turned else both)) == {
        "lender": "2100.00",
        "owner": "1000.00",
        "optimiser": "900.00",
    }
    with pytest.raises(ValueError, match="guarantee each other"):
        totals("4000", both[0], Minimum("owner", D(1), "optimiser"))


def test_a_loss_is_shared_as_the_first_step_shares() -> None:
    assert totals("-100") == {"lender": "-80.00", "owner": "-20.00", "optimiser": "0.00"}


@given(
    st.decimals("-1e6", "1e6", places=4),
    st.lists(st.decimals(1, 100_000, places=2), min_size=1, max_size=3, unique=True),
    st.decimals(0, 5000, places=2),
)
def test_payouts_add_up(revenue: Decimal, ends: list[Decimal], floor: Decimal) -> None:
    steps = [Step(end, {"a": D(1), "b": D(2)}) for end in sorted(ends)]
    steps.append(Step(None, {"b": D(1), "c": D(1)}))
    found = payouts(revenue, steps, [Minimum("c", floor, "b")])
    assert sum(p.total for p in found.values()) == revenue.quantize(D("0.01"))
    assert found["c"].total >= floor


@pytest.mark.parametrize(
    "steps",
    [
        (),
        (Step(D(5), {"a": D(1)}),),
        (Step(None, {"a": D(1)}), Step(None, {"a": D(1)})),
        (Step(D(5), {"a": D(1)}), Step(D(4), {"a": D(1)}), Step(None, {"a": D(1)})),
    ],
)
def test_steps_that_make_no_sense_are_refused(steps: tuple[Step, ...]) -> None:
    with pytest.raises(ValueError, match="waterfall"):
        payouts(D(1), steps)
    with pytest.raises(ValueError, match="without a share"):
        payouts(D(1), STEPS, [Minimum("nobody", D(1), "owner")])
