"""Losses by cause: planted ones are found, and their sum is the whole to the hundredth."""

from __future__ import annotations

import math
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

from scoring.money.losses import Attribution, Course, LossCause, Plant, attribution, best_value

PLANT = Plant(100.0, 200.0, 0.9, 0.9)
DAY = 96


def course(days: int = 1) -> Course:
    """Cheap nights and dear evenings; orders and actual power are none yet."""
    count = DAY * days
    quarter = np.arange(count) % DAY
    price = np.where(quarter < 24, 0.05, np.where((quarter >= 72) & (quarter < 84), 0.40, 0.15))
    nothing = np.zeros(count, dtype=np.bool_)
    unknown = np.full(count, math.nan)
    return Course(
        price_per_kwh=price,
        hours=np.full(count, 0.25),
        down=nothing,
        available_kw=unknown,
        lowest_kwh=unknown,
        highest_kwh=unknown,
        unreachable=nothing,
        ordered_kw=np.zeros(count),
        actual_kw=np.zeros(count),
        first_kwh=0.0,
    )


def best_schedule() -> np.ndarray:
    """By hand: 222.2 kWh bought at night for 200 stored, 180 sold in the evening."""
    power = np.zeros(DAY)
    power[:8] = -100.0
    power[8] = -(200 / 0.9 - 200) / 0.25
    power[72:79] = 100.0
    power[79] = 20.0
    return power


BEST = 0.40 * 180 - 0.05 * 200 / 0.9


def test_the_best_day_by_hand() -> None:
    full = np.full(DAY, 100.0)
    value = best_value(PLANT, course(), full, np.zeros(DAY), np.full(DAY, 200.0))
    assert value == pytest.approx(BEST)


def losses(c: Course, paid: str) -> dict[str, Decimal]:
    found: Attribution = attribution(PLANT, c, Decimal(paid))
    assert sum(found.losses.values()) == found.best - found.paid
    return {cause.value: loss for cause, loss in found.losses.items() if loss}


def followed(c: Course) -> Course:
    return replace(c, ordered_kw=best_schedule(), actual_kw=best_schedule())


def test_nothing_is_lost_where_nothing_happened() -> None:
    assert losses(followed(course()), f"{BEST:.2f}") == {}


def test_a_statement_that_pays_less_is_the_rest() -> None:
    assert losses(followed(course()), f"{BEST - 5:.2f}") == {"rest": Decimal("5.00")}


def test_an_outage_of_the_whole_evening() -> None:
    """What was stored is worth the price of the day then, so nothing is worth buying for it."""
    base = course()
    down = base.down.copy()
    down[72:84] = True
    found = losses(replace(base, down=down), "0")
    # At 0.15 a kWh: 180 kWh sold by day.
    by_day = 0.15 * 180 - 0.05 * 200 / 0.9
    assert found["outage"] == Decimal(f"{BEST - by_day:.2f}")
    assert found["forecast"] == Decimal(f"{by_day:.2f}")


def test_each_cause_gets_its_own() -> None:
    base = course()
    half = np.full(DAY, math.nan)
    half[72:84] = 20.0
    derated = losses(replace(base, available_kw=half), "0")
    # 12 quarter hours at 20 kW in the evening, the rest by day.
    left = 0.40 * 60 + 0.15 * 120 - 0.05 * 200 / 0.9
    assert derated["derating"] == Decimal(f"{BEST:.2f}") - Decimal(f"{left:.2f}")
    ceiling = np.full(DAY, 100.0)
    limited = losses(replace(base, highest_kwh=ceiling), "0")
    assert limited["soc"] == Decimal(f"{BEST:.2f}") - Decimal(f"{BEST / 2:.2f}")
    cut = base.unreachable.copy()
    cut[:] = True
    assert losses(replace(base, unreachable=cut), "0") == {"communication": Decimal(f"{BEST:.2f}")}


def test_an_order_not_followed_is_not_the_forecast_s() -> None:
    c = replace(course(), ordered_kw=best_schedule())
    assert losses(c, "0") == {"not_followed": Decimal(f"{BEST:.2f}")}
    c = replace(course(), actual_kw=best_schedule())
    found = losses(c, f"{BEST:.2f}")
    assert found == {
        "forecast": Decimal(f"{BEST:.2f}"),
        "not_followed": -Decimal(f"{BEST:.2f}"),
    }


def test_negative_prices_are_not_burned() -> None:
    """Paid to take energy, it fills up and no more."""
    c = replace(course(), price_per_kwh=np.full(DAY, -0.1))
    full = np.full(DAY, 100.0)
    value = best_value(PLANT, c, full, np.zeros(DAY), np.full(DAY, 200.0))
    most_in_a_day = 0.1 * 100 * 24
    assert 0.1 * 200 / 0.9 <= value < most_in_a_day


def test_limits_that_cannot_be_reached_are_widened() -> None:
    """Full at the start of a day whose ceiling is lower: it goes down as fast as it can."""
    c = replace(course(), first_kwh=200.0, highest_kwh=np.full(DAY, 50.0))
    assert attribution(PLANT, c, Decimal(0)).losses[LossCause.SOC] >= 0


def test_parts_add_up_on_any_days() -> None:
    rng = np.random.default_rng(7)
    for _ in range(60):
        count = int(rng.integers(1, 200))
        c = Course(
            price_per_kwh=rng.normal(0.1, 0.2, count),
            hours=rng.choice([0.25, 0.5, 1.0], count),
            down=rng.random(count) < 0.1,
            available_kw=np.where(rng.random(count) < 0.5, math.nan, rng.uniform(0, 120, count)),
            lowest_kwh=np.where(rng.random(count) < 0.5, math.nan, rng.uniform(0, 60, count)),
            highest_kwh=np.where(rng.random(count) < 0.5, math.nan, rng.uniform(80, 250, count)),
            unreachable=rng.random(count) < 0.1,
            ordered_kw=rng.uniform(-100, 100, count),
            actual_kw=np.where(rng.random(count) < 0.1, math.nan, rng.uniform(-100, 100, count)),
            first_kwh=float(rng.uniform(0, 200)),
        )
        found = attribution(PLANT, c, Decimal("12.34"))
        assert sum(found.losses.values()) == found.best - found.paid
        for cause in (LossCause.OUTAGE, LossCause.DERATING, LossCause.SOC):
            assert found.losses[cause] >= Decimal("-0.01")
