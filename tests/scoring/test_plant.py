"""A fleet as one plant: sums with their coverage, and no plain averages."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from scoring.plant import PlantInputs, plant

NAN = np.nan


def of(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float64)


INPUTS = PlantInputs(
    expected=np.array([True, True]),
    online=np.array([True, True]),
    power_w=of(1000, -500),
    grid_w=of(1500, -200),
    charge_w=of(5000, 2000),
    discharge_w=of(4000, 2000),
    contracted_charge_w=of(5000, 3000),
    contracted_discharge_w=of(5000, 3000),
    soc_percent=of(80, 20),
    floor_percent=of(10, 10),
    ceiling_percent=of(100, 100),
    capacity_kwh=of(90, 10),
    frequency_hz=of(50.00, 49.98),
)


def value(inputs: PlantInputs, name: str) -> float:
    return plant(inputs)[name].value


def test_soc_is_weighted_by_usable_energy() -> None:
    assert value(INPUTS, "soc_percent") == pytest.approx(74)
    assert value(INPUTS, "energy_above_floor_kwh") == pytest.approx(0.7 * 90 + 0.1 * 10)
    assert value(INPUTS, "energy_below_ceiling_kwh") == pytest.approx(0.2 * 90 + 0.8 * 10)


def test_headroom_is_counted_from_the_present_power() -> None:
    # The first charges at 1 kW: it can give that up and discharge 4 kW on top.
    assert value(INPUTS, "up_w") == (4000 + 1000) + (2000 - 500)
    assert value(INPUTS, "down_w") == (5000 - 1000) + (2000 + 500)


def test_what_a_site_does_not_give_is_left_out_and_counted() -> None:
    found = plant(replace(INPUTS, power_w=of(1000, NAN), online=np.array([True, False])))
    assert (found["battery_power_w"].value, found["battery_power_w"].sites) == (1000, 1)
    assert found["battery_power_w"].coverage == 0.5
    assert (found["online"].value, found["online"].total) == (1, 2)
    assert found["up_w"].sites == 1


def test_nothing_known_is_not_zero() -> None:
    found = plant(replace(INPUTS, power_w=of(NAN, NAN), soc_percent=of(NAN, NAN)))
    assert np.isnan(found["battery_power_w"].value)
    assert np.isnan(found["soc_percent"].value)
    assert found["soc_percent"].sites == 0


def test_frequency_is_the_median_with_its_spread() -> None:
    assert value(INPUTS, "frequency_hz") == pytest.approx(49.99)
    assert value(INPUTS, "frequency_spread_hz") == pytest.approx(0.02)


def test_a_plant_of_no_sites_has_no_figures() -> None:
    nothing = PlantInputs(*(np.array([], dtype=bool),) * 2, *(of(),) * 11)
    found = plant(nothing)
    assert np.isnan(found["battery_power_w"].value)
    assert np.isnan(found["battery_power_w"].coverage)
