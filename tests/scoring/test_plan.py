"""Plans: never worse than what they replace, within every limit, and never an exception."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoring.plan import (
    Battery,
    Goal,
    Mode,
    Outlook,
    Plan,
    Strategy,
    bill_of,
    optimise,
    run,
)
from scoring.planning import make_plan

BATTERY = Battery(
    capacity_kwh=10,
    charge_kw=5,
    discharge_kw=5,
    floor_kwh=1,
    ceiling_kwh=10,
    wear_per_kwh=0.02,
    import_kw=15,
    export_kw=10,
)
HOURS = np.arange(24.0)
HOME = Outlook(
    1.0,
    load_kw=0.5 + 1.5 * (np.abs(HOURS - 19) < 3),
    pv_kw=5 * np.maximum(0.0, np.sin((HOURS - 6) / 12 * np.pi)),
    buy=np.where(HOURS < 6, 0.15, np.where(np.abs(HOURS - 19) < 3, 0.45, 0.3)),
    sell=np.full(24, 0.08),
)
LABELS = [f"{hour:02.0f}:00" for hour in HOURS]


def plan(outlook: Outlook = HOME, battery: Battery = BATTERY, **goal: object) -> Plan:
    return make_plan(battery, outlook, 2.0, Goal(**goal), LABELS[: len(outlook.load_kw)])  # type: ignore[arg-type]


def within_limits(found: Plan, battery: Battery, outlook: Outlook, start: float) -> None:
    course = found.course
    assert (course.battery_kw <= battery.charge_kw + 1e-6).all()
    assert (course.battery_kw >= -battery.discharge_kw - 1e-6).all()
    assert (course.import_kw <= battery.import_kw + 1e-6).all()
    assert (course.export_kw <= battery.export_kw + 1e-6).all()
    assert (course.stored_kwh <= max(battery.ceiling_kwh, start) + 1e-6).all()
    assert (course.stored_kwh >= min(battery.floor_kwh, start) - 1e-6).all()
    came = course.import_kw + outlook.pv_kw - course.spilled_kw + course.unserved_kw
    assert came == pytest.approx(outlook.load_kw + course.export_kw + course.battery_kw, abs=1e-6)


def test_a_dear_evening_is_bought_in_the_night_with_a_reason() -> None:
    cloudy = replace(HOME, pv_kw=0.2 * HOME.pv_kw)
    found = plan(cloudy)
    assert found.saving > 0.5
    night = [n for n in range(6) if found.modes[n] is Mode.CHARGE]
    assert night
    assert "charges at 0.15 for" in found.reasons[night[0]]
    assert all(found.reasons)
    within_limits(found, BATTERY, cloudy, 2.0)


def test_on_a_flat_tariff_nothing_is_saved_and_nothing_is_ordered() -> None:
    for cloud in (0.0, 0.3, 1.0):
        flat = replace(HOME, pv_kw=cloud * HOME.pv_kw, buy=np.full(24, 0.3))
        found = plan(flat)
        assert found.saving == 0.0
        assert set(found.modes) == {Mode.AUTO}
        assert "nothing better" in found.note


def _best_of_all(battery: Battery, outlook: Outlook, start: float, powers: list[float]) -> float:
    """The least bill over every combination of powers and of plain self-consumption."""
    best = math.inf
    count = len(outlook.load_kw)
    for chosen in itertools.product([None, *powers], repeat=count):
        modes = tuple(Mode.AUTO if p is None else Mode.CHARGE for p in chosen)
        power = np.array([p or 0.0 for p in chosen])
        course = run(battery, outlook, start, modes, power)
        best = min(best, bill_of(battery, outlook, course, start).total)
    return best


@pytest.mark.parametrize("seed", range(8))
def test_no_combination_is_better_than_the_plan(seed: int) -> None:
    rng = np.random.default_rng(seed)
    outlook = Outlook(
        1.0,
        rng.uniform(0, 3, 5),
        rng.uniform(0, 4, 5) * rng.integers(0, 2, 5),
        rng.uniform(-0.1 if seed % 2 else 0.05, 0.5, 5),
        np.full(5, 0.07),
    )
    found = make_plan(BATTERY, outlook, 4.0, Goal(), LABELS[:5])
    best = _best_of_all(BATTERY, outlook, 4.0, [-5, -2.5, 0, 2.5, 5])
    assert found.bill.total <= best + 0.02


@pytest.mark.parametrize("strategy", list(Strategy))
def test_each_strategy_reaches_what_it_aims_at(strategy: Strategy) -> None:
    grams = np.where(HOURS < 12, 100.0, 500.0)
    outlook = replace(HOME, pv_kw=0.2 * HOME.pv_kw, grams=grams)
    found = plan(outlook, strategy=strategy, reserve_kwh=6.0, peak_price=2.0)
    within_limits(found, BATTERY, outlook, 2.0)
    if strategy is Strategy.CO2:
        assert found.bill.co2_kg < found.plain.co2_kg
    elif strategy is Strategy.PEAK_SHAVING:
        assert found.bill.peak_kw <= found.plain.peak_kw
    elif strategy is Strategy.BACKUP_RESERVE:
        assert found.course.stored_kwh[6:].min() >= 5.9
    elif strategy is Strategy.SELF_CONSUMPTION:
        assert set(found.modes) == {Mode.AUTO}


def test_a_connection_that_is_too_small_is_said() -> None:
    found = plan(battery=replace(BATTERY, import_kw=1.0, discharge_kw=0.5))
    assert "the load exceeds" in found.note
    found = plan(battery=replace(BATTERY, export_kw=0.0, charge_kw=0.0))
    assert "PV exceeds" in found.note


numbers = st.one_of(
    st.floats(-2, 20), st.sampled_from([math.nan, math.inf, -math.inf, 1e300, -1e300, 0.0])
)
rows = st.lists(numbers, min_size=6, max_size=6).map(np.array)


@settings(max_examples=60, deadline=None)
@given(rows, rows, rows, rows, st.tuples(*[numbers] * 10), numbers, st.sampled_from(list(Strategy)))
def test_whatever_comes_in_gives_a_plan(
    load: np.ndarray,
    pv: np.ndarray,
    buy: np.ndarray,
    sell: np.ndarray,
    sizes: tuple[float, ...],
    stored: float,
    strategy: Strategy,
) -> None:
    battery = Battery(*sizes)
    found = make_plan(
        battery, Outlook(0.25, load, pv, buy, sell), stored, Goal(strategy), LABELS[:6]
    )
    assert len(found.modes) == len(found.reasons) == len(found.power_kw) == 6
    assert all(found.reasons)
    assert np.isfinite(found.power_kw).all()
    assert math.isfinite(found.saving)
    if strategy is Strategy.COST:
        assert found.saving >= 0
    if not np.isfinite(load).all():
        assert "the load is unknown" in found.note


def test_below_the_floor_is_no_failure() -> None:
    found = make_plan(BATTERY, HOME, 0.2, Goal(), LABELS)
    assert found.course.stored_kwh[-1] >= 0.2
    assert "below its floor" in found.note


def test_negative_prices_over_many_slots_never_charge_and_discharge_at_once() -> None:
    buy = np.where((HOURS > 9) & (HOURS < 17), -0.1, 0.3)
    outlook = replace(HOME, buy=buy)
    power = optimise(BATTERY, outlook, 2.0, Goal())
    assert power is not None
    found = plan(outlook)
    assert found.saving >= 0
    within_limits(found, BATTERY, outlook, 2.0)
