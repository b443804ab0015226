"""``/api/v1/aggregate`` over HTTP."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.serve.api.served import ServedFleet, plan

BLOCK = {"enabled": True, "max_charge_kw": 5, "max_discharge_kw": 4, "soc_floor": 20}


@pytest.fixture(scope="module")
def served() -> Iterator[ServedFleet]:
    fleet = ServedFleet(plan(8, dispatch=BLOCK))
    fleet.scrape(s0001=None)
    with fleet.serving():
        yield fleet


def test_the_fleet_is_one_plant_with_coverage(served: ServedFleet) -> None:
    found = served.json("/api/v1/aggregate")
    figures = found["figures"]
    assert found["sites"] == 8
    assert found["frequency_status"] == "normal"
    assert figures["online"] == {"value": 7, "sites": 8, "total": 8, "coverage": 1}
    assert figures["contracted_up_w"]["value"] == 8 * 4000
    assert figures["battery_power_w"]["sites"] == 7
    assert figures["battery_power_w"]["coverage"] == pytest.approx(7 / 8)
    power = sum(
        site["readings"]["power_w"]
        for site in served.json("/api/v1/sites")["sites"]
        if "power_w" in site["readings"]
    )
    assert figures["battery_power_w"]["value"] == pytest.approx(power)
    assert 0 < figures["up_w"]["value"] <= 7 * 4000 + abs(power) + 1


def test_some_sites(served: ServedFleet) -> None:
    one = served.json("/api/v1/aggregate?site=s0002")
    assert one["sites"] == 1
    soc = served.json("/api/v1/sites/s0002")["readings"]["soc_percent"]
    assert one["figures"]["soc_percent"]["value"] == pytest.approx(soc)
    north = served.json("/api/v1/aggregate?region=north")
    assert north["sites"] == 2
    nowhere = served.json("/api/v1/aggregate?region=nowhere")
    assert nowhere["sites"] == 0
    assert nowhere["figures"]["battery_power_w"]["value"] is None
