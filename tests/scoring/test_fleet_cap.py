"""A fleet's limit on what it draws together: kept where batteries can, said where they cannot."""

from __future__ import annotations

import numpy as np
import pytest

from scoring.fleet_cap import PlanInputs, below_limit, planned
from scoring.plan import Battery, Goal, Mode, Outlook
from scoring.planning import FLEET_LIMIT

SLOTS = 24
HOURS = np.arange(SLOTS)
LABELS = [f"{n:02}:00" for n in HOURS]
NIGHT = np.where(HOURS < 5, 0.10, 0.40)


def fleet(sites: int, load_kw: float = 0.5, evening_kw: float = 2.0) -> list[PlanInputs]:
    """Homes that would all charge with 3 kW in the cheap hours."""
    load = load_kw + evening_kw * ((HOURS >= 18) & (HOURS < 21))
    ahead = Outlook(1.0, load, np.zeros(SLOTS), NIGHT, np.full(SLOTS, 0.08))
    battery = Battery(8.0, 3.0, 3.0, 0.5, 8.0)
    return [PlanInputs(battery, ahead, 2.0, Goal(), LABELS) for _ in range(sites)]


def total(plans: list) -> np.ndarray:  # type: ignore[type-arg]
    return np.sum([plan.course.import_kw for plan in plans], axis=0)


def test_a_limit_that_is_wide_changes_nothing() -> None:
    inputs = fleet(3)
    alone = [planned(one) for one in inputs]
    found, above = below_limit(inputs, alone, 1000.0)
    assert all(a is b for a, b in zip(found, alone, strict=True))
    assert not above.any()


@pytest.mark.parametrize("limit_kw", [10.0, 6.0])
def test_a_tight_limit_is_kept_and_savings_stay_honest(limit_kw: float) -> None:
    inputs = fleet(5)
    alone = [planned(one) for one in inputs]
    assert total(alone).max() > limit_kw
    found, above = below_limit(inputs, alone, limit_kw)
    assert total(found).max() <= limit_kw + 0.05
    assert above.max() <= 0.05
    for one, plan, before in zip(inputs, found, alone, strict=True):
        # Bills are at real prices: the surcharge is in none of them.
        paid = float((plan.course.import_kw * one.ahead.buy).sum())
        assert plan.bill.energy == pytest.approx(paid - 0.08 * plan.course.export_kw.sum())
        assert plan.plain == before.plain
        assert plan.saving <= before.saving + 1e-9
        assert all(plan.reasons)
    assert sum(plan.saving for plan in found) > 0.2 * sum(plan.saving for plan in alone)


def test_batteries_hold_an_evening_below_the_limit() -> None:
    inputs = fleet(4, evening_kw=2.5)
    # A flat price: by itself nobody would do anything.
    flat = np.full(SLOTS, 0.3)
    inputs = [
        PlanInputs(
            one.battery,
            Outlook(1.0, one.ahead.load_kw, one.ahead.pv_kw, flat, one.ahead.sell),
            7.0,
            one.goal,
            one.labels,
        )
        for one in inputs
    ]
    # What is stored goes into the load of the morning by itself, and lacks in the evening.
    alone = [planned(one) for one in inputs]
    found, above = below_limit(inputs, alone, 8.0)
    assert total(alone).max() > 8.0
    assert above.max() <= 0.05
    used = [r for p in found for r, m in zip(p.reasons, p.modes, strict=True) if m is Mode.HOLD]
    assert used
    assert any(FLEET_LIMIT in p.reasons for p in found) or all(used)


def test_a_load_beyond_all_batteries_is_said() -> None:
    inputs = fleet(3, load_kw=4.0)
    found, above = below_limit(inputs, [planned(one) for one in inputs], 5.0)
    assert above.max() > 1.0
    assert len(found) == 3


def test_no_sites_need_no_plan() -> None:
    found, above = below_limit([], [], 5.0)
    assert found == []
    assert not above.size
