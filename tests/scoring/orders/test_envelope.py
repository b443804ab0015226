"""What a site may be asked for: each limit, its reason, and what a missing reading means."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring.orders.envelope import (
    Bounds,
    Condition,
    Readings,
    allowed_power,
    refusals,
)

BOUNDS = Bounds(max_charge_w=5000, max_discharge_w=4000, temperature_max_c=45)
READINGS = Readings(soc_percent=50, voltage_v=50, temperature_c=20, load_w=1000, pv_w=0)
HEALTHY = Condition(online=True, age_seconds=5, interval_seconds=10)


def codes(wanted: float, bounds: Bounds = BOUNDS, **changed: float) -> tuple[float, list[str]]:
    found = allowed_power(wanted, bounds, replace(READINGS, **changed))
    return found.allowed_w, [limit.code for limit in found.limits]


def test_an_order_within_all_limits_stays_as_it_is() -> None:
    assert codes(3000) == (3000, [])
    assert codes(-3000) == (-3000, [])
    assert codes(0) == (0, [])


@pytest.mark.parametrize(
    ("wanted", "changed", "expected"),
    [
        (9000, {}, (5000, ["rated"])),
        (-9000, {}, (-4000, ["rated"])),
        (3000, {"charge_limit_a": 20}, (1000, ["battery_limit"])),
        (-3000, {"discharge_limit_a": 10}, (-500, ["battery_limit"])),
        (3000, {"charge_limit_a": 0}, (0, ["battery_limit"])),
        (-3000, {"soc_percent": 10}, (0, ["soc_floor"])),
        (3000, {"soc_percent": 100}, (0, ["soc_ceiling"])),
        (3000, {"soc_percent": math.nan}, (0, ["soc_unknown"])),
        (3000, {"temperature_c": 45}, (0, ["heat"])),
        (3000, {"temperature_c": 43}, (2000, ["heat"])),
        (-3000, {"temperature_c": 44}, (-800, ["heat"])),
        (3000, {"temperature_c": 0}, (0, ["cold"])),
        (3000, {"coldest_c": -1}, (0, ["cold"])),
        (-3000, {"temperature_c": -5}, (-3000, [])),
    ],
)
def test_each_limit(
    wanted: float, changed: dict[str, float], expected: tuple[float, list[str]]
) -> None:
    assert codes(wanted, **changed) == expected


def test_limits_of_the_connection_count_load_and_pv() -> None:
    bounds = replace(BOUNDS, import_limit_w=3000, export_limit_w=500)
    assert codes(3000, bounds) == (2000, ["import_limit"])
    assert codes(3000, bounds, pv_w=500) == (2500, ["import_limit"])
    assert codes(-3000, bounds) == (-1500, ["export_limit"])
    # The load alone is above the limit: nothing may be charged, and nothing is discharged for it.
    assert codes(3000, bounds, load_w=4000) == (0, ["import_limit"])


def test_several_limits_are_all_named_strictest_first() -> None:
    assert codes(9000, charge_limit_a=40, temperature_c=44) == (
        1000,
        ["heat", "battery_limit", "rated"],
    )


def test_what_is_not_known_is_named_and_lowers_nothing() -> None:
    bounds = replace(BOUNDS, import_limit_w=3000)
    readings = replace(READINGS, temperature_c=math.nan, load_w=math.nan)
    found = allowed_power(2500, bounds, readings)
    assert found.allowed_w == 2500
    assert found.unchecked == (
        "current limits of the battery",
        "temperature of the battery",
        "import limit (the load is not known)",
    )


def test_a_value_that_hovers_at_the_floor_does_not_switch() -> None:
    at_floor = allowed_power(-1000, BOUNDS, replace(READINGS, soc_percent=10))
    assert at_floor.held == {"soc_floor"}
    above = replace(READINGS, soc_percent=11)
    assert allowed_power(-1000, BOUNDS, above, at_floor.held).allowed_w == 0
    assert allowed_power(-1000, BOUNDS, above).allowed_w == -1000
    clear = replace(READINGS, soc_percent=12)
    assert allowed_power(-1000, BOUNDS, clear, at_floor.held).allowed_w == -1000


ANY = st.floats(-1e5, 1e5) | st.just(math.nan)


@given(
    st.floats(-1e6, 1e6),
    st.builds(Readings, ANY, ANY, ANY, ANY, ANY, ANY, ANY, ANY),
    st.builds(
        Bounds,
        st.floats(0, 1e5),
        st.floats(0, 1e5),
        st.floats(0, 1e5) | st.just(math.nan),
        st.floats(0, 1e5) | st.just(math.nan),
    ),
)
def test_limits_never_raise_or_turn_an_order(
    wanted: float, readings: Readings, bounds: Bounds
) -> None:
    found = allowed_power(wanted, bounds, readings)
    assert math.isfinite(found.allowed_w)
    assert abs(found.allowed_w) <= abs(wanted)
    assert found.allowed_w * wanted >= 0
    rated = bounds.max_charge_w if wanted > 0 else bounds.max_discharge_w
    assert abs(found.allowed_w) <= rated or wanted == 0
    assert (found.allowed_w == wanted) == (not found.limits)


@pytest.mark.parametrize(
    ("condition", "code"),
    [
        (replace(HEALTHY, age_seconds=21), "stale"),
        (replace(HEALTHY, online=False), "offline"),
        (replace(HEALTHY, age_seconds=math.nan), "unknown_site"),
        (replace(HEALTHY, maintenance=True), "maintenance"),
        (replace(HEALTHY, critical="a cell is at 4.3 V"), "critical_issue"),
    ],
)
def test_refusals(condition: Condition, code: str) -> None:
    assert [limit.code for limit in refusals(condition)] == [code]


def test_a_healthy_site_is_not_refused() -> None:
    assert refusals(HEALTHY) == ()
    assert refusals(replace(HEALTHY, age_seconds=20)) == ()
