"""Kinds of sites and their blocks: what is taken, and what is refused with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from exporter.config.fleet import Fleet
from exporter.config.fleet_file import FleetFileError, parse_fleet
from exporter.drivers import DRIVERS

HEAD = "sites:\n  - id: a\n    api_endpoint: http://192.0.2.1:8088\n"


def parsed(*lines: str) -> Fleet:
    return parse_fleet(HEAD + "".join(f"    {line}\n" for line in lines), Path("f.yaml"), DRIVERS)


def mistakes(*lines: str) -> list[str]:
    with pytest.raises(FleetFileError) as caught:
        parsed(*lines)
    return [str(mistake) for mistake in caught.value.mistakes]


def test_a_site_without_a_kind_is_a_battery_with_pv() -> None:
    site = parsed().sites[0]
    assert (site.kind, site.profile, site.blocks) == ("ess", "ess", {})


def test_every_block_with_every_key() -> None:
    bess = parsed(
        "kind: bess",
        "bess: {rated_kw: 500, usable_kwh: 1000, pcs_vendor: Maker, inverters: 4,",
        "  aux_meter: acload/40, services: [arbitrage], soc_min: 5, soc_max: 95}",
    )
    assert bess.sites[0].capacity_kwh == 1000
    assert bess.thresholds_of(bess.sites[0]).soc_critical == 5
    pv = parsed(
        "kind: pv",
        "pv: {arrays: [{kwp: 3, tilt: 20, azimuth: 90}, {kwp: 4}], ac_limit_kw: 5,",
        "  curtailment: true}",
    )
    assert pv.sites[0].solar_capacity_kw == 7
    meter = parsed("kind: meter", "meter: {role: load, sign: -1}").sites[0]
    assert (meter.profile, meter.blocks) == ("meter load", {"meter": {"role": "load", "sign": -1}})
    centre = parsed(
        "kind: datacentre",
        "datacentre: {dc_id: dc-1, hostname: node1, capacity_kw: 800, battery_kwh: 200,",
        "  deferrable_kw: 150}",
    )
    assert (centre.sites[0].profile, centre.sites[0].capacity_kwh) == ("datacentre battery", 200)
    assert parsed("kind: datacentre").sites[0].profile == "datacentre"


def test_what_the_site_gives_itself_wins() -> None:
    fleet = parsed(
        "capacity_kwh: 10",
        "solar_capacity_kw: 2",
        "bess: {usable_kwh: 9, soc_min: 5}",
        "pv: {arrays: [{kwp: 3}]}",
        "thresholds: {soc_critical: 12}",
    )
    site = fleet.sites[0]
    assert (site.capacity_kwh, site.solar_capacity_kw) == (10, 2)
    assert fleet.thresholds_of(site).soc_critical == 12


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (
            ["kind: windmill"],
            "line 4, column 5: sites[0].kind: windmill: expected one of 'ess', 'bess', 'pv', "
            "'meter' or 'datacentre'",
        ),
        (
            ["kind: meter", "pv: {arrays: [{kwp: 3}]}"],
            "line 5, column 5: sites[0].pv: is for sites of the kind ess or bess or pv; this one "
            "is of the kind meter",
        ),
        (
            ["meter: {role: grid}"],
            "line 4, column 5: sites[0].meter: is for sites of the kind meter; this one is of the "
            "kind ess",
        ),
        (
            ["kind: meter", "meter: {role: grit}"],
            "line 5, column 13: sites[0].meter.role: grit: expected one of 'grid', 'load', 'pv' "
            "or 'aux'",
        ),
        (
            ["kind: meter", "meter: {sign: true}"],
            "line 5, column 13: sites[0].meter.sign: true: expected 1 or -1",
        ),
        (
            ["kind: pv", "pv: {arrays: [{kwpp: 3}]}"],
            "line 5, column 19: sites[0].pv.arrays[0].kwp: is missing; it is required",
        ),
        (
            ["kind: pv", "pv: {ac_limit_kw: 3}"],
            "line 4, column 5: sites[0].kind: a site of the kind pv needs pv.arrays or "
            "solar_capacity_kw",
        ),
        (
            ["kind: bess", "bess: {soc_min: 90, soc_max: 20}"],
            "line 5, column 12: sites[0].bess.soc_min: must be below soc_max 20",
        ),
        (
            ["kind: datacentre", "datacentre: {capacity_kw: -1}"],
            "line 5, column 18: sites[0].datacentre.capacity_kw: -1: expected more than 0",
        ),
    ],
)
def test_a_mistake_has_its_place(lines: list[str], expected: str) -> None:
    assert expected in mistakes(*lines)


def test_an_unknown_key_of_a_block_names_a_near_one() -> None:
    found = mistakes("kind: pv", "pv: {arrays: [{kwp: 3, tillt: 4}]}")
    assert found == [
        "line 5, column 28: sites[0].pv.arrays[0].tillt: unknown key; did you mean tilt?"
    ]
