"""Losses by cause: planted ones are found, and their sum is the whole to the hundredth."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

from scoring.money.losses import (
    Attribution,
    Course,
    LossCause,
    Plant,
    Trouble,
    attribution,
    best_course,
)

PLANT = Plant(100.0, 200.0, 0.9, 0.9)
DAY = 96


def course(days: int = 1) -> Course:
    """Cheap nights and dear evenings; orders and actual power are none yet."""
    count = DAY * days
    quarter = np.arange(count) % DAY
    price = np.where(quarter < 24, 0.05, np.where((quarter >= 72) & (quarter < 84), 0.40, 0.15))
    return Course(
        price_per_kwh=price,
        hours=np.full(count, 0.25),
        ordered_kw=np.zeros(count),
        actual_kw=np.zeros(count),
        allowed_kw=np.full(count, math.nan),
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


BOUGHT = 0.05 * 200 / 0.9
BEST = 0.40 * 180 - BOUGHT


def money(value: float) -> Decimal:
    return Decimal(f"{value:.2f}")


def followed(c: Course) -> Course:
    return replace(c, ordered_kw=best_schedule(), actual_kw=best_schedule())


def judged(
    c: Course, paid: str, troubles: Sequence[Trouble] = (), plant: Plant = PLANT
) -> Attribution:
    day = np.zeros(len(c.hours), dtype=np.int64)
    (found,) = attribution(plant, c, troubles, day, [Decimal(paid)])
    assert sum(found.losses.values()) == found.best - found.paid
    return found


def losses(
    c: Course, paid: str, troubles: Sequence[Trouble] = (), plant: Plant = PLANT
) -> dict[str, Decimal]:
    found = judged(c, paid, troubles, plant)
    return {cause.value: loss for cause, loss in found.losses.items() if loss}


def test_the_best_day_by_hand() -> None:
    c = course()
    power = best_course(PLANT, c)
    assert float((power * c.price_per_kwh * c.hours).sum()) == pytest.approx(BEST)


def test_nothing_is_lost_where_nothing_happened() -> None:
    assert losses(followed(course()), f"{BEST:.2f}") == {}


def test_a_statement_that_pays_less_is_the_rest() -> None:
    assert losses(followed(course()), f"{BEST - 5:.2f}") == {"rest": Decimal("5.00")}


def test_an_outage_takes_what_the_orders_would_have_sold() -> None:
    out = Trouble(LossCause.OUTAGE, 72, np.zeros(12))
    done = best_schedule()
    done[72:] = 0.0
    c = replace(followed(course()), actual_kw=done)
    found = judged(c, f"{-BOUGHT:.2f}", [out])
    assert {k.value: v for k, v in found.losses.items() if v} == {"outage": money(0.40 * 180)}
    assert found.events == (money(0.40 * 180),)
    assert found.planned == money(BEST)


def test_each_cause_gets_its_own() -> None:
    c = replace(course(), ordered_kw=best_schedule())
    half = judged(c, "0", [Trouble(LossCause.DERATING, 72, np.full(8, 0.5))])
    # 7 of 8 quarter hours at 50 kW instead of 100; the last asked for less.
    assert half.losses[LossCause.DERATING] == money(0.40 * 7 * 50 * 0.25)
    narrow = replace(PLANT, highest_kwh=100.0)
    # Half is bought and half is sold.
    assert losses(c, "0", plant=narrow)["soc"] == money(BEST) - money(BEST / 2)
    cut = Trouble(LossCause.COMMUNICATION, 0, np.zeros(DAY))
    assert losses(c, "0", [cut]) == {"communication": money(BEST)}
    allowed = best_schedule().clip(-100.0, 40.0)
    assert losses(replace(c, allowed_kw=allowed), "0")["derating"] == money(0.40 * 7 * 60 * 0.25)


def test_events_of_a_cause_add_up_to_it_and_overlap_counts_once() -> None:
    c = replace(course(), ordered_kw=best_schedule())
    troubles = [
        Trouble(LossCause.OUTAGE, 72, np.zeros(3)),
        Trouble(LossCause.OUTAGE, 74, np.zeros(2)),
        Trouble(LossCause.DERATING, 72, np.full(6, 0.5)),
    ]
    found = judged(c, "0", troubles)
    quarter = 0.40 * 25
    assert found.events == (money(3 * quarter), money(quarter), money(quarter))
    assert found.losses[LossCause.OUTAGE] == sum(found.events[:2])


def test_an_order_not_followed_is_not_the_forecast_s() -> None:
    c = replace(course(), ordered_kw=best_schedule())
    assert losses(c, "0") == {"not_followed": money(BEST)}
    c = replace(course(), actual_kw=best_schedule())
    assert losses(c, f"{BEST:.2f}") == {"forecast": money(BEST), "not_followed": -money(BEST)}


def test_what_is_lost_at_night_is_missed_in_the_evening() -> None:
    """An outage while it would charge costs what could not be sold, less what was not bought."""
    c = replace(course(), ordered_kw=best_schedule())
    found = judged(c, "0", [Trouble(LossCause.OUTAGE, 0, np.zeros(9))])
    assert found.losses[LossCause.OUTAGE] == money(BEST)


def test_days_are_charged_by_what_happened_in_them() -> None:
    c = course(2)
    orders = np.concatenate([best_schedule(), best_schedule()])
    c = replace(c, ordered_kw=orders, actual_kw=orders)
    day = np.repeat([0, 1], DAY)
    out = Trouble(LossCause.OUTAGE, DAY + 72, np.zeros(8))
    first, second = attribution(PLANT, c, [out], day, [money(BEST), Decimal(0)])
    assert first.losses[LossCause.OUTAGE] == 0
    assert second.losses[LossCause.OUTAGE] == money(0.40 * 180)
    for each in (first, second):
        assert sum(each.losses.values()) == each.best - each.paid


def test_negative_prices_are_not_burned() -> None:
    """Paid to take energy, it fills up and no more."""
    c = replace(course(), price_per_kwh=np.full(DAY, -0.1))
    value = float((best_course(PLANT, c) * c.price_per_kwh * c.hours).sum())
    assert 0.1 * 200 / 0.9 <= value < 0.1 * 100 * 24


def test_parts_add_up_in_a_thousand_random_months() -> None:
    """Months of a few long intervals, so that a thousand of them take seconds."""
    rng = np.random.default_rng(7)
    for _ in range(1000):
        days = int(rng.integers(28, 32))
        count = days * 2
        ordered = rng.uniform(-120, 120, count)
        troubles = []
        for _ in range(int(rng.integers(0, 6))):
            first = int(rng.integers(0, count))
            length = int(rng.integers(1, count - first + 1))
            cause = LossCause(rng.choice(["outage", "derating", "communication"]))
            troubles.append(Trouble(cause, first, rng.uniform(0, 1, length)))
        c = Course(
            price_per_kwh=rng.normal(0.1, 0.2, count),
            hours=rng.choice([0.5, 1.0, 12.0], count),
            ordered_kw=ordered,
            actual_kw=np.where(rng.random(count) < 0.1, math.nan, rng.uniform(-100, 100, count)),
            allowed_kw=np.where(rng.random(count) < 0.5, math.nan, ordered * rng.random(count)),
            first_kwh=float(rng.uniform(0, 200)),
        )
        plant = replace(PLANT, lowest_kwh=10.0, highest_kwh=float(rng.uniform(50, 250)))
        day = np.repeat(np.arange(days), 2)
        paid = [Decimal(int(v)) / 100 for v in rng.integers(-10_000, 10_000, days)]
        found = attribution(plant, c, troubles, day, paid)
        best = sum(each.best for each in found)
        lost = sum(sum(each.losses.values()) for each in found)
        assert lost == best - sum(paid)
        for each in found:
            assert sum(each.losses.values()) == each.best - each.paid
            of_events = sum(each.events)
            named = (LossCause.OUTAGE, LossCause.COMMUNICATION)
            assert of_events == sum(each.losses[c] for c in named) + sum(
                e for e, t in zip(each.events, troubles, strict=True) if t.cause == "derating"
            )
