"""The running simulation: time, repeatability, a week of health and every physical fault."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from simulator import Scenario, Simulator
from simulator.scenario import FaultPlan
from simulator.state import SiteState

from .conftest import NOON, Clock

WEEKS = ("2026-06-20T00:00:00+00:00", "2026-12-20T00:00:00+00:00")
HEALTHY = ("site_zeta", "site_eta", "site_theta", "site_iota", "site_kappa", "site_lambda")
HEALTHY = (*HEALTHY, "site_mu")


@pytest.fixture(scope="module", params=WEEKS)
def week(request: pytest.FixtureRequest, demo: Scenario) -> dict[str, list[SiteState]]:
    """Every site of the demo each half hour of a simulated week."""
    simulator = Simulator(
        demo, clock=lambda: 0.0, start=datetime.fromisoformat(request.param), step_seconds=600.0
    )
    seen: dict[str, list[SiteState]] = {site.id: [] for site in demo.sites}
    for number in range(7 * 48):
        simulator.advance(simulator.start + number * 1800.0)
        for site_id, states in seen.items():
            states.append(simulator.state(site_id))
    return seen


def spread(state: SiteState) -> float:
    return max(state.cell_voltages) - min(state.cell_voltages)


def nominal(demo: Scenario, site_id: str) -> tuple[float, float]:
    site = next(s for s in demo.sites if s.id == site_id)
    region = demo.regions[site.region]
    return float(region.nominal_hz), region.nominal_v


def check(demo: Scenario, site_id: str, states: list[SiteState], *, skip: str = "") -> None:
    """Nothing wrong at any moment, ``skip`` aside."""
    hertz, volts = nominal(demo, site_id)
    for state in states:
        assert state.soc > 15.0
        if skip != "temperature":
            assert max(state.cell_temperatures) < 40.0
        if skip != "spread":
            assert spread(state) < 0.05
        if state.grid_connected:
            if skip != "frequency":
                assert abs(state.frequency - hertz) < 0.08
            assert all(abs(v / volts - 1.0) < 0.06 for v in state.grid_voltages)
        if skip != "soh":
            assert state.soh > 90.0


@pytest.mark.slow
@pytest.mark.parametrize("site_id", HEALTHY)
def test_healthy_sites_have_nothing_wrong_at_any_hour(
    demo: Scenario, week: dict[str, list[SiteState]], site_id: str
) -> None:
    assert not next(s for s in demo.sites if s.id == site_id).faults
    check(demo, site_id, week[site_id])


@pytest.mark.parametrize(
    ("site_id", "skip", "fault"),
    [
        ("site_alpha", "soh", lambda s: s.soh == pytest.approx(68.0)),
        ("site_beta", "frequency", lambda s: s.frequency == 49.3),
        ("site_gamma", "spread", lambda s: spread(s) == pytest.approx(0.12)),
        ("site_delta", "temperature", lambda s: s.battery_temperature == pytest.approx(46.0)),
        ("site_epsilon", "", lambda s: s.grid_connected),
    ],
)
def test_faulty_sites_show_their_fault_and_no_other(
    demo: Scenario,
    week: dict[str, list[SiteState]],
    site_id: str,
    skip: str,
    fault: Callable[[SiteState], bool],
) -> None:
    check(demo, site_id, week[site_id], skip=skip)
    assert all(fault(state) for state in week[site_id])


def test_watts_balance_all_week(week: dict[str, list[SiteState]]) -> None:
    for states in week.values():
        for s in states:
            made, used = s.grid + s.pv_ac + s.pv_dc, s.load + s.battery_power + s.conversion_loss
            assert made == pytest.approx(used, abs=1e-6)
            assert sum(s.grid_phases) == pytest.approx(s.grid, abs=1e-6)
            assert sum(s.load_phases) == pytest.approx(s.load, abs=1e-6)
            assert s.pv_dc + s.inverter_dc == pytest.approx(s.battery_power, abs=1e-6)
            assert sum(s.cell_voltages) == pytest.approx(s.battery_voltage)
            volts_amps = s.battery_voltage * s.battery_current
            assert volts_amps == pytest.approx(s.battery_power, abs=1e-6)


def test_pv_follows_the_sun_and_neighbours_share_their_weather(
    demo: Scenario, week: dict[str, list[SiteState]]
) -> None:
    for states in week.values():
        assert all(s.pv_ac + s.pv_dc == 0.0 for s in states if s.sun_elevation <= -1.0)
        assert max(s.pv_ac + s.pv_dc for s in states) > 0.0
    iberia = [s.id for s in demo.sites if s.region == "iberia"]
    ratio = [
        sum(s.pv_ac + s.pv_dc for s in week[i]) / sum(s.pv_clear_sky for s in week[i])
        for i in iberia
    ]
    assert min(ratio) > 0.9 * max(ratio)


def test_batteries_are_used(week: dict[str, list[SiteState]]) -> None:
    for site_id, states in week.items():
        power = np.array([s.battery_power for s in states])
        assert power.max() > 100.0, site_id
        assert power.min() < -100.0, site_id
        assert states[-1].charged_kwh > states[0].charged_kwh
        assert states[-1].discharged_kwh > states[0].discharged_kwh


def test_one_frequency_for_europe_and_sixty_hertz_in_america(simulator: Simulator) -> None:
    seen = {i: simulator.state(f"site_{i}").frequency for i in ("alpha", "mu", "zeta", "kappa")}
    assert seen["alpha"] == seen["mu"] != seen["zeta"]
    assert abs(seen["kappa"] - 60.0) < 0.08


# -- time -----------------------------------------------------------------------------------------


def test_same_state_however_often_it_is_read(demo: Scenario) -> None:
    clocks = Clock(), Clock()
    often, once = (Simulator(demo, clock=clock, start=NOON) for clock in clocks)
    for _ in range(60):
        clocks[0].now += 7.0
        often.advance()
        often.state("site_mu")
    clocks[1].now += 420.0
    once.advance()
    assert often.time == once.time
    for site in demo.sites:
        assert often.state(site.id) == once.state(site.id)


def test_another_seed_is_another_fleet(demo: Scenario, simulator: Simulator) -> None:
    other = Simulator(demo.model_copy(update={"seed": 1}), clock=Clock(), start=NOON)
    assert other.state("site_mu") != simulator.state("site_mu")


def test_at_speed_one_the_simulated_clock_is_the_wall_clock(demo: Scenario) -> None:
    moment = datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp()
    clock = Clock()
    clock.now = moment
    simulator = Simulator(demo, clock=clock)
    clock.now += 3600.0
    simulator.advance()
    assert simulator.now() == moment + 3600.0
    assert moment + 3595.0 <= simulator.time <= moment + 3600.0


def test_speed_multiplies_time(demo: Scenario, clock: Clock) -> None:
    simulator = Simulator(demo, clock=clock, start=NOON, speed=60.0)
    clock.now += 10.0
    simulator.advance()
    assert simulator.now() - simulator.start == 600.0
    assert simulator.time - simulator.start > 500.0


def test_bad_arguments_are_refused(demo: Scenario) -> None:
    with pytest.raises(ValueError, match="speed"):
        Simulator(demo, speed=0.0)
    with pytest.raises(ValueError, match="time zone"):
        Simulator(demo, start=datetime(2026, 1, 1))


def test_yield_starts_again_each_local_day(demo: Scenario) -> None:
    simulator = Simulator(demo, clock=lambda: 0.0, start=NOON, step_seconds=300.0)
    for _ in range(24 * 4):
        before = simulator.state("site_alpha").pv_today_kwh
        simulator.advance(simulator.time + 900.0)
        if simulator.state("site_alpha").pv_today_kwh < before:
            hour = (simulator.time / 3600.0 - 5.98 / 15.0) % 24.0
            assert hour < 0.5
            break
    else:
        pytest.fail("never reset")


# -- faults ---------------------------------------------------------------------------------------

CASES: list[tuple[str, dict[str, Any], Callable[[SiteState], bool]]] = [
    ("soh", {"value": 60.0}, lambda s: s.soh == pytest.approx(60.0)),
    ("frequency", {"value": 50.7}, lambda s: s.frequency == 50.7),
    ("frequency", {"offset": 0.3}, lambda s: 50.2 < s.frequency < 50.4),
    ("cell_spread", {"volts": 0.2}, lambda s: spread(s) == pytest.approx(0.2)),
    ("temperature", {"celsius": 58.0}, lambda s: 57.9 < s.battery_temperature < 58.1),
    ("grid_lost", {}, lambda s: not s.grid_connected and s.frequency == s.grid == 0.0),
    ("low_soc", {"value": 4.0}, lambda s: s.soc == pytest.approx(4.0)),
    ("voltage", {"value": 200.0}, lambda s: s.grid_voltages == [200.0] * 3),
    ("pv_dead", {}, lambda s: s.pv_ac + s.pv_dc == 0.0),
]


@pytest.mark.parametrize(("fault", "params", "shows"), CASES)
def test_fault_shows_at_once_lasts_and_goes(
    simulator: Simulator,
    clock: Clock,
    fault: Any,
    params: dict[str, Any],
    shows: Callable[[SiteState], bool],
) -> None:
    site_id = "site_mu"
    assert not shows(simulator.state(site_id))
    simulator.inject(site_id, fault, **params)
    assert shows(simulator.state(site_id))
    clock.now += 600.0
    simulator.advance()
    assert shows(simulator.state(site_id))
    assert simulator.state("site_lambda").grid_connected
    simulator.clear(site_id, fault)
    if fault != "low_soc":
        assert not shows(simulator.state(site_id))
    assert simulator.faults_of(site_id) == []


def test_shade_takes_its_share(simulator: Simulator) -> None:
    before = simulator.state("site_lambda").pv_ac
    simulator.inject("site_lambda", "pv_shaded", factor=0.4)
    assert simulator.state("site_lambda").pv_ac == pytest.approx(0.4 * before)


def test_a_lost_grid_leaves_the_loads_to_the_battery(simulator: Simulator) -> None:
    simulator.inject("site_kappa", "grid_lost")
    state = simulator.state("site_kappa")
    assert state.grid == 0.0
    assert state.load > 0.0
    assert state.output_frequency == 60.0
    assert state.output_voltages == [120.0]


def test_recovering_from_low_charge_takes_time(simulator: Simulator, clock: Clock) -> None:
    simulator.inject("site_lambda", "low_soc", value=5.0)
    simulator.clear("site_lambda")
    assert simulator.state("site_lambda").soc == pytest.approx(5.0, abs=0.1)
    clock.now += 1800.0
    simulator.advance()
    assert simulator.state("site_lambda").soc > 5.5


def test_planned_faults_begin_and_end_on_time(demo: Scenario, clock: Clock) -> None:
    plan = FaultPlan(fault="voltage", params={"value": 260.0}, start_seconds=60, end_seconds=120)
    mu = demo.sites[-1].model_copy(update={"faults": [plan]})
    scenario = demo.model_copy(update={"sites": [mu]})
    simulator = Simulator(scenario, clock=clock, start=NOON)
    seen = []
    for _ in range(36):
        seen.append(simulator.state("site_mu").grid_voltages == [260.0] * 3)
        clock.now += 5.0
        simulator.advance()
    assert seen == [False] * 12 + [True] * 12 + [False] * 12


def test_unknown_sites_and_parameters_are_refused(simulator: Simulator) -> None:
    with pytest.raises(KeyError):
        simulator.inject("nowhere", "soh", value=50.0)
    with pytest.raises(ValidationError):
        simulator.inject("site_mu", "soh", value=150.0)
    with pytest.raises(ValidationError):
        simulator.inject("site_mu", "frequency", value=50.0, offset=0.1)
    assert simulator.faults_of("site_mu") == []
