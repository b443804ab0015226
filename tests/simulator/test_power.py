"""Power flows balance and respect the limits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.physics.power import Flows, ac_to_dc, battery_target, dc_to_ac, flows

watts = st.floats(0.0, 50_000.0)


def run(
    demand: float,
    pv_ac: float,
    pv_dc: float,
    *,
    charge: float = 1e6,
    discharge: float = 1e6,
    island: bool = False,
    setpoint: float = 30.0,
    inverter: float = 10_000.0,
) -> Flows:
    wanted, ac, dc = np.array([demand]), np.array([pv_ac]), np.array([pv_dc])
    rated, alone = np.array([inverter]), np.array([island])
    target = battery_target(wanted, ac, dc, np.array([0.0 if island else setpoint]), rated)
    battery = np.clip(target, -discharge, charge)
    return flows(
        battery=battery, demand=wanted, pv_ac=ac, pv_dc=dc, islanded=alone, inverter_w=rated
    )


@given(st.tuples(watts, watts, watts), st.tuples(watts, watts), st.booleans())
def test_energy_balances_whatever_happens(
    powers: tuple[float, float, float], limits: tuple[float, float], island: bool
) -> None:
    (demand, pv_ac, pv_dc), (charge, discharge) = powers, limits
    flow = run(demand, pv_ac, pv_dc, charge=charge, discharge=discharge, island=island)
    left = flow.grid + flow.pv_ac + flow.pv_dc - flow.load - flow.battery - flow.loss
    assert abs(left[0]) < 1e-6
    assert flow.loss[0] >= -1e-9
    assert 0.0 <= flow.pv_ac[0] <= pv_ac
    assert 0.0 <= flow.pv_dc[0] <= pv_dc
    if island:
        assert flow.grid[0] == 0.0
        assert flow.load[0] <= demand + 1e-6
    else:
        assert flow.load[0] == demand


@given(st.floats(-1e5, 1e5))
def test_conversion_there_and_back(power: float) -> None:
    assert dc_to_ac(ac_to_dc(np.array([power])))[0] == pytest.approx(power)


def test_battery_holds_the_grid_at_the_set_point() -> None:
    assert run(3000.0, 0.0, 0.0).grid[0] == pytest.approx(30.0)
    assert run(500.0, 4000.0, 0.0).grid[0] == pytest.approx(30.0)


def test_surplus_charges_and_deficit_discharges() -> None:
    assert run(500.0, 0.0, 4000.0).battery[0] > 3000.0
    assert run(4000.0, 0.0, 500.0).battery[0] < -3000.0


def test_full_battery_exports_the_rest() -> None:
    flow = run(500.0, 0.0, 4000.0, charge=0.0)
    assert flow.battery[0] == 0.0
    assert flow.grid[0] == pytest.approx(500.0 - 0.95 * 4000.0)


def test_inverter_rating_curtails_pv_on_the_dc_side() -> None:
    flow = run(0.0, 0.0, 8000.0, charge=0.0, inverter=3000.0)
    assert flow.grid[0] == pytest.approx(-3000.0)
    assert flow.pv_dc[0] == pytest.approx(3000.0 / 0.95)


def test_island_curtails_pv_that_nothing_can_take() -> None:
    flow = run(500.0, 0.0, 4000.0, charge=0.0, island=True)
    assert flow.load[0] == pytest.approx(500.0)
    assert flow.pv_dc[0] == pytest.approx(500.0 / 0.95)


def test_island_with_an_empty_battery_sheds_load() -> None:
    flow = run(2000.0, 0.0, 1000.0, discharge=0.0, island=True)
    assert flow.load[0] == pytest.approx(950.0)
