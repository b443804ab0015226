"""What a voltage alone tells of a grid: lost, or an inverter that sleeps."""

from __future__ import annotations

from math import nan

import pytest

from exporter.assess.assessment import FleetAssessment, assess
from exporter.collect.state import FleetState
from exporter.model.snapshot import MISSING, Snapshot
from tests.assess.test_assessment import WALL, fleet, snapshot

SILENT = ("grid_connected", "grid_voltage_min_v", "grid_voltage_max_v")


def seen(
    battery: dict[str, float] | None, pv_kw: float, *, seen_alive: bool = True, **readings: float
) -> FleetAssessment:
    state = FleetState(fleet("a", solar_capacity_kw=pv_kw), 10.0)
    if seen_alive:
        alive = snapshot("a", battery, {"grid_voltage_v": 230.0})
        for name in SILENT:
            alive.readings.pop(name, None)
        state.apply(alive, 990.0)
    given: Snapshot = snapshot("a", battery, readings)
    for name in SILENT:
        given.readings.pop(name, None)
    for name, value in readings.items():
        if value != value:  # noqa: PLR0124 - NaN
            given.readings.pop(name)
    state.apply(given, 1000.0)
    return assess(state, 1000.0, WALL)


def said(found: FleetAssessment) -> set[str]:
    return {issue.code for issue in found.issues[0]}


@pytest.mark.parametrize(
    ("volts", "hz", "lost"), [(0.0, nan, True), (3.0, nan, True), (180.0, 50.0, False)]
)
def test_a_site_with_a_battery_that_measures_no_voltage_has_lost_its_grid(
    volts: float, hz: float, lost: bool
) -> None:
    found = seen({}, 5.0, grid_voltage_v=volts, grid_frequency_hz=hz)
    assert ("grid_lost" in said(found)) is lost
    assert ("grid_voltage" in said(found)) is (not lost)
    assert "nominal_not_set" not in said(found)


def test_a_device_that_never_measured_a_grid_has_not_lost_it() -> None:
    """Some show 0 V where nothing is connected to measure it."""
    found = seen({}, 5.0, seen_alive=False, grid_voltage_v=0.0, grid_frequency_hz=nan)
    assert "grid_lost" not in said(found)


def test_a_device_that_says_so_itself_is_believed() -> None:
    state = FleetState(fleet("a"), 10.0)
    state.apply(snapshot("a", {}, {"grid_connected": 1.0, "grid_voltage_v": 0.0}), 1000.0)
    assert "grid_lost" not in said(assess(state, 1000.0, WALL))


@pytest.mark.parametrize(("volts", "watts"), [(0.0, 0.0), (120.0, 20.0), (40.0, MISSING)])
def test_a_pv_inverter_that_sleeps_or_wakes_measures_no_grid(volts: float, watts: float) -> None:
    found = seen(None, 10.0, grid_voltage_v=volts, grid_frequency_hz=47.5, pv_power_w=watts)
    assert not {c for c in said(found) if c.startswith("grid_") or c == "nominal_not_set"}


def test_a_pv_inverter_at_work_measures_its_grid() -> None:
    found = seen(None, 10.0, grid_voltage_v=180.0, grid_frequency_hz=50.0, pv_power_w=3000.0)
    assert "grid_voltage" in said(found)
