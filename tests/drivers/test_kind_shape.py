"""A meter's power stands under its role, and what a data centre can put off is known."""

from __future__ import annotations

import pytest

from exporter.config.fleet import Site
from exporter.drivers.kind_shape import shape_of
from exporter.model.snapshot import MeterSnapshot, Outcome, Snapshot
from exporter.store.line_protocol import snapshot_lines

METER = {
    "grid_power_w": 500.0,
    "grid_voltage_v": 230.0,
    "grid_import_kwh": 20.0,
    "grid_export_kwh": 3.0,
}


def shaped(readings: dict[str, float], **site: object) -> Snapshot:
    made = Site.model_validate({"id": "a", "api_endpoint": "http://a", **site})
    shape = shape_of(made)
    snapshot = Snapshot("a", 1.0, 0.1, Outcome.OK, readings=readings)
    return snapshot if shape is None else shape(snapshot)


@pytest.mark.parametrize(
    ("role", "power"),
    [("grid", "grid_power_w"), ("load", "load_power_w"), ("pv", "pv_power_w")],
)
def test_the_power_of_a_meter_stands_under_its_role(role: str, power: str) -> None:
    found = shaped(METER, kind="meter", meter={"role": role})
    assert found.readings[power] == 500.0
    assert ("grid_power_w" in found.readings) is (role == "grid")
    # The counters of a load are no import from the grid.
    assert ("grid_import_kwh" in found.readings) is (role == "grid")
    assert found.meters == (
        MeterSnapshot(
            "meter",
            {"active_power_w": 500.0, "energy_import_kwh": 20.0, "energy_export_kwh": 3.0},
        ),
    )


def test_a_meter_that_counts_the_other_way_is_turned() -> None:
    found = shaped(METER, kind="meter", meter={"sign": -1})
    assert found.readings["grid_power_w"] == -500.0
    assert (found.readings["grid_import_kwh"], found.readings["grid_export_kwh"]) == (3.0, 20.0)
    assert found.meters[0].readings["energy_import_kwh"] == 3.0


def test_a_meter_without_a_power_stays_without_one() -> None:
    found = shaped({"grid_voltage_v": 230.0}, kind="meter")
    assert found.readings == {"grid_voltage_v": 230.0}
    assert found.meters == ()


def test_a_driver_that_says_which_power_it_reads_is_believed() -> None:
    found = shaped({"load_power_w": 40.0}, kind="meter", meter={"role": "load"})
    assert found.readings == {"load_power_w": 40.0}
    assert found.meters[0].readings == {"active_power_w": 40.0}


@pytest.mark.parametrize(
    ("readings", "expected"),
    [
        ({"load_power_w": 3e5}, 1.5e5),
        ({"load_power_w": 1e5}, 1e5),
        ({"load_power_w": 3e5, "deferrable_power_w": 2e4}, 2e4),
        ({}, None),
    ],
)
def test_what_a_data_centre_can_put_off(readings: dict[str, float], expected: float | None) -> None:
    found = shaped(readings, kind="datacentre", datacentre={"deferrable_kw": 150})
    assert found.readings.get("deferrable_power_w") == expected


def test_a_meter_is_stored_where_imported_ones_are() -> None:
    found = shaped(METER, kind="meter", meter={"role": "load"})
    assert snapshot_lines(found)[1] == (
        "meter,site=a,meter=meter active_power_w=500.0,energy_import_kwh=20.0,"
        "energy_export_kwh=3.0 1000"
    )
