"""Losses of PV by cause: each planted cause is found, none is invented, and they always add up."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from scoring.pv_losses import (
    Cause,
    PvSlots,
    inferred_limit_w,
    learn_habits,
    split_losses,
    values_of,
)

Array = NDArray[np.float64]
DAYS = 14
KWP_W = 6000.0


def sunny(days: int = DAYS, weather: float = 1.0) -> PvSlots:
    """Clear days at a plant that makes exactly what is expected of it."""
    quarter = np.tile(np.arange(96), days)
    bell = np.maximum(np.sin((quarter - 24) / 48 * np.pi), 0.0) * weather
    count = len(quarter)
    none, no = np.full(count, np.nan), np.zeros(count, dtype=np.bool_)
    return PvSlots(
        possible_w=KWP_W * bell,
        expected_w=KWP_W * bell,
        measured_w=KWP_W * bell,
        observed=np.ones(count),
        poa_w_m2=1000 * bell,
        clear_poa_w_m2=1000 * bell / weather,
        export_w=0.5 * KWP_W * bell,
        load_w=np.full(count, 500.0),
        soc_percent=np.full(count, 60.0),
        held_back=no,
        grid_lost=no.copy(),
        air_c=np.full(count, 15.0),
        snow_m=none,
        quarter=quarter,
        by_weather=True,
    )


def lost(slots: PvSlots, last_days: int = 1) -> dict[Cause, float]:
    """kWh by cause of the last days, by what the days before taught."""
    found = split_losses(slots, learn_habits(slots))
    return {cause: float(watts[-96 * last_days :].sum()) / 4000 for cause, watts in found.items()}


def changed(slots: PvSlots, where: NDArray[np.bool_], factor: float, **other: Array) -> PvSlots:
    return replace(
        slots, measured_w=np.where(where, factor * slots.measured_w, slots.measured_w), **other
    )


def last_day(slots: PvSlots) -> NDArray[np.bool_]:
    return np.arange(len(slots.quarter)) >= len(slots.quarter) - 96


def test_nothing_is_lost_where_nothing_is() -> None:
    assert all(abs(kwh) < 1e-9 for kwh in lost(sunny()).values())


@pytest.mark.parametrize(
    ("cause", "factor", "other"),
    [
        (Cause.GRID_LOST, 0.0, {"grid_lost": 1}),
        (Cause.CURTAILED, 0.4, {"held_back": 1}),
        (Cause.BATTERY_FULL, 0.3, {"soc_percent": 99.5, "export_w": 0.0}),
        (Cause.SNOW, 0.01, {"snow_m": 0.2}),
        (Cause.SNOW, 0.05, {"air_c": -4.0}),
        (Cause.OUTAGE, 0.0, {}),
    ],
)
def test_each_planted_cause_takes_the_whole_gap(
    cause: Cause, factor: float, other: dict[str, float]
) -> None:
    slots = sunny()
    day = last_day(slots)
    columns = {}
    for name, value in other.items():
        before = getattr(slots, name)
        columns[name] = np.where(day, np.full(len(day), value), before).astype(before.dtype)
    found = lost(changed(slots, day, factor, **columns))
    gap = (1 - factor) * float(slots.expected_w[-96:].sum()) / 4000
    assert found[cause] == pytest.approx(gap)
    assert sum(found.values()) == pytest.approx(gap)
    assert {c for c, kwh in found.items() if abs(kwh) > 1e-9} == {cause}


def test_an_export_at_its_limit_is_curtailment_and_no_fault() -> None:
    slots = sunny()
    noon = last_day(slots) & (np.abs(slots.quarter - 48) < 8)
    export = np.where(noon, 2000.0, slots.export_w)
    found = lost(changed(slots, noon, 0.5, export_w=export, export_limit_w=np.float64(2000.0)))
    assert found[Cause.CURTAILED] > 1
    assert found[Cause.OUTAGE] == found[Cause.INVERTER] == found[Cause.REST] == 0


def test_one_of_two_inverters_that_fails_is_named_and_the_other_is_not() -> None:
    slots = sunny()
    east = slots.measured_w * np.where(slots.quarter < 48, 0.7, 0.3)
    west = slots.measured_w - east
    day = last_day(slots) & (slots.quarter > 50)
    broken = np.where(day, 0.0, west)
    found = lost(
        replace(slots, measured_w=east + broken, inverters_w={"east": east, "west": broken})
    )
    gap = float(west[day].sum()) / 4000
    # At dusk the usual share of the whole day counts.
    assert found[Cause.INVERTER] == pytest.approx(gap, rel=0.05)
    assert abs(found[Cause.REST]) < 0.05 * gap


def test_a_chimney_every_morning_is_possibly_shade() -> None:
    slots = sunny()
    morning = (slots.quarter >= 30) & (slots.quarter < 36)
    found = lost(changed(slots, morning, 0.4))
    gap = 0.6 * float(slots.expected_w[-96:][morning[-96:]].sum()) / 4000
    assert found[Cause.SHADE] == pytest.approx(gap, rel=0.05)


def test_clouds_on_one_morning_are_no_shade() -> None:
    slots = sunny()
    morning = last_day(slots) & (slots.quarter >= 30) & (slots.quarter < 36)
    found = lost(changed(slots, morning, 0.4))
    assert found[Cause.SHADE] == 0
    assert found[Cause.REST] > 0


def test_dirt_takes_its_share_and_no_more() -> None:
    slots = changed(sunny(), np.ones(96 * DAYS, np.bool_), 0.9)
    habits = replace(learn_habits(slots), soiled=0.08)
    found = split_losses(slots, habits)
    assert found[Cause.SOILING].sum() == pytest.approx(0.08 * slots.expected_w.sum())
    assert found[Cause.REST].sum() == pytest.approx(0.02 * slots.expected_w.sum())


def test_warm_rain_on_a_dead_plant_is_no_snow() -> None:
    slots = sunny()
    found = lost(changed(slots, last_day(slots), 0.0))
    assert found[Cause.SNOW] == 0
    assert found[Cause.OUTAGE] > 10


def test_a_flat_top_is_a_limit_and_a_cloudy_maximum_is_none() -> None:
    slots = sunny()
    clipped = np.minimum(slots.measured_w, 4000.0)
    assert inferred_limit_w(slots.possible_w, clipped) == pytest.approx(4000.0)
    assert np.isnan(inferred_limit_w(slots.possible_w, 0.9 * slots.measured_w))


CELLS = st.floats(min_value=0, max_value=9000) | st.just(float("nan"))


@settings(derandomize=True, deadline=None, max_examples=40)
@given(
    st.lists(st.tuples(CELLS, CELLS, st.booleans(), st.booleans()), min_size=4, max_size=4),
    st.floats(0, 100) | st.just(float("nan")),
    st.floats(-20, 40) | st.just(float("nan")),
)
def test_losses_add_up_whatever_comes(
    rows: list[tuple[float, float, bool, bool]], soc: float, air: float
) -> None:
    base = sunny(1)
    wide = [row for row in rows for _ in range(24)]
    slots = replace(
        base,
        expected_w=np.array([row[0] for row in wide]),
        measured_w=np.array([row[1] for row in wide]),
        held_back=np.array([row[2] for row in wide]),
        grid_lost=np.array([row[3] for row in wide]),
        soc_percent=np.full(96, soc),
        air_c=np.full(96, air),
    )
    found = split_losses(slots, learn_habits(slots, 0.1))
    gap = np.where(slots.judged, slots.expected_w - slots.measured_w, 0.0)
    assert sum(found.values()) == pytest.approx(gap, abs=1e-6)
    for cause, watts in found.items():
        assert np.isfinite(watts).all()
        assert cause is Cause.REST or (watts >= 0).all()


def test_lost_energy_replaces_what_was_bought_first_and_only_once() -> None:
    losses = {Cause.OUTAGE: np.array([3000.0]), Cause.REST: np.array([1000.0])}
    found = values_of(losses, *(np.array([v]) for v in (2000.0, 0.40, 0.10, 1.0)))
    assert found[Cause.OUTAGE] == pytest.approx(2 * 0.40 + 1 * 0.10)
    assert found[Cause.REST] == pytest.approx(0.10)
    more = values_of({Cause.REST: np.array([-1000.0])}, *(np.array([v]) for v in (0, 0.4, 0.1, 1)))
    assert more[Cause.REST] == pytest.approx(-0.10)
