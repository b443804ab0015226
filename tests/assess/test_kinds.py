"""Each kind of site is judged by what it should give, and by everything that it gives."""

from __future__ import annotations

from typing import Any

import pytest

from exporter.assess.assessment import SiteAssessment
from exporter.model.snapshot import Outcome, Snapshot
from scoring.status import Status
from tests.assess.test_assessment import BATTERY, GRID, WALL, fleet, judge, snapshot

VOLTAGES = {name: GRID[name] for name in GRID if name.startswith("grid_voltage")}


def site(kind: str, readings: dict[str, float], **more: Any) -> SiteAssessment:
    found = Snapshot("a", WALL, 0.1, Outcome.OK, readings=readings)
    return judge(fleet("a", kind=kind, **more), [found]).site(0)


def codes(found: SiteAssessment) -> set[str]:
    return {issue.code for issue in found.issues}


def test_a_meter_has_no_battery_and_no_sun_to_miss() -> None:
    found = site("meter", {**VOLTAGES, "grid_power_w": 1200.0})
    assert (found.missing, found.coverage, codes(found)) == ((), 1.0, set())
    assert found.components["battery"] is None
    assert found.status is Status.HEALTHY
    assert "battery_silent" in codes(site("ess", {**VOLTAGES, "grid_power_w": 1200.0}))


@pytest.mark.parametrize(
    ("role", "reading"),
    [("grid", "grid_power_w"), ("load", "load_power_w"), ("pv", "pv_power_w")],
)
def test_a_meter_without_its_power_is_silent(role: str, reading: str) -> None:
    found = site("meter", VOLTAGES, meter={"role": role})
    assert found.missing == (reading,)
    assert codes(found) == {"main_reading_silent"}
    assert found.score == 69.0
    assert codes(site("meter", {**VOLTAGES, reading: 5.0}, meter={"role": role})) == set()


def test_a_power_alone_makes_no_grid_a_known_one() -> None:
    found = site("meter", {"grid_power_w": 1200.0})
    assert found.components["grid"] is None
    assert found.missing == ("grid_voltage_v",)


def test_a_data_centre_reports_load_and_what_can_be_put_off() -> None:
    whole = {"load_power_w": 3e5, "deferrable_power_w": 5e4, "grid_frequency_hz": 50.0}
    found = site("datacentre", whole)
    assert (found.missing, codes(found), found.coverage) == ((), set(), 1.0)
    without = site("datacentre", {"grid_frequency_hz": 50.0})
    assert set(without.missing) == {"load_power_w", "deferrable_power_w"}
    assert without.issues[0].sentence == "The site answers but does not give consumption"
    backed = site("datacentre", whole, datacentre={"battery_kwh": 100.0})
    assert backed.missing == ("soc_percent",)
    assert codes(backed) == {"battery_silent"}


def test_a_pv_site_misses_its_pv_and_no_charge() -> None:
    grid = {**VOLTAGES, "grid_frequency_hz": 50.0}
    found = site("pv", grid, solar_capacity_kw=5.0, latitude=48.0, longitude=16.0)
    assert (found.missing, codes(found)) == (("pv_power_w",), set())


def test_a_reading_that_a_kind_need_not_give_is_judged_where_it_comes() -> None:
    hot = snapshot("a", BATTERY | {"temperature_c": 70.0})
    found = judge(fleet("a", kind="pv", solar_capacity_kw=5.0), [hot]).site(0)
    assert codes(found) == {"battery_temperature"}
    assert found.status is Status.CRITICAL
    lost = site("meter", {"grid_connected": 0.0, "grid_power_w": 0.0})
    assert codes(lost) == {"grid_lost"}


@pytest.mark.parametrize("kind", ["ess", "bess"])
def test_a_battery_site_misses_what_it_missed_before(kind: str) -> None:
    found = judge(fleet("a", kind=kind), [snapshot("a", {"soc_percent": 50.0})]).site(0)
    assert (found.missing, found.status) == ((), Status.HEALTHY)
    silent = judge(fleet("a", kind=kind), [snapshot("a")]).site(0)
    assert codes(silent) == {"battery_silent"}


def test_a_device_with_one_voltage_has_a_voltage() -> None:
    found = site("meter", {"grid_power_w": 5.0, "grid_voltage_v": 230.0})
    assert (found.missing, codes(found)) == ((), set())
    low = site("meter", {"grid_power_w": 5.0, "grid_voltage_v": 180.0})
    assert codes(low) == {"grid_voltage"}
