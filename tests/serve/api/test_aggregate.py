"""``/api/v1/aggregate`` over HTTP."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from exporter.config.fleet import Fleet
from exporter.history.influxql import InfluxQL
from tests.serve.api.influx import influx
from tests.serve.api.served import START, ServedFleet, plan

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


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedFleet]:
    """Ten minutes of three sites, of which the third is silent in the second half."""
    capacities = (10.0, 30.0, None)
    sites = [
        {
            "id": f"s{n}",
            "api_endpoint": f"http://192.0.2.{n + 1}",
            "dispatch": BLOCK,
            "region": "north" if n else "south",
            "capacity_kwh": capacity,
        }
        for n, capacity in enumerate(capacities)
    ]
    lines = []
    for n, (power, soc) in enumerate([(1000, 20), (-400, 60), (50, 90)]):
        for second in range(0, 600 if n < 2 else 300, 10):
            stamp = round((START + second) * 1000)
            fields = f"power_w={power},soc_percent={soc}"
            lines.append(f"battery,site=s{n},device=battery/1 {fields} {stamp}")
            lines.append(f"site,site=s{n} grid_power_w={power + 300} {stamp}")
    with influx(tmp_path_factory.mktemp("influx")) as server:
        server.write(lines)
        fleet = ServedFleet(
            Fleet.model_validate({"sites": sites}), InfluxQL(server.url, "fleet", {})
        )
        with fleet.serving():
            yield fleet


@pytest.mark.stack
def test_the_past_of_the_plant_says_of_how_many_sites_it_is(stored: ServedFleet) -> None:
    span = f"since={START}&until={START + 600}"
    found = stored.json(f"/api/v1/aggregate/history?figure=battery_power_w&{span}")
    by_time = dict(
        zip(found["times"], zip(found["values"], found["sites"], strict=True), strict=True)
    )
    assert found["total"] == 3
    halves = {of for time, of in by_time.items() if time < START + 290}
    assert halves == {(650.0, 3)}
    # Less power and fewer sites: the sum says that it is of two.
    assert {of for time, of in by_time.items() if time >= START + 300} == {(600.0, 2)}
    grid = stored.json(f"/api/v1/aggregate/history?figure=grid_power_w&region=north&{span}")
    assert grid["total"] == 2
    assert set(grid["values"]) == {250.0, -100.0}


@pytest.mark.stack
def test_the_state_of_charge_of_the_past_is_weighted_by_usable_energy(stored: ServedFleet) -> None:
    span = f"since={START}&until={START + 600}"
    found = stored.json(f"/api/v1/aggregate/history?figure=soc_percent&{span}")
    # The third site has no known capacity, and 40 % would be the plain mean of the others.
    assert (found["total"], set(found["sites"])) == (2, {2})
    assert found["values"] == pytest.approx([50.0] * len(found["values"]))
    one = stored.json(f"/api/v1/aggregate/history?figure=soc_percent&site=s2&{span}")
    assert (one["total"], one["values"]) == (0, [])


def test_without_influxdb_the_past_is_not_there(served: ServedFleet) -> None:
    status, _, _ = served.ask("/api/v1/aggregate/history?figure=soc_percent")
    assert status == 503
