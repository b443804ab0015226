"""Scenario files: what is refused and how sites are repeated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from simulator import Scenario
from simulator.scenario import SCENARIOS


def small() -> dict[str, Any]:
    return {
        "name": "small",
        "regions": {"here": {"synchronous_area": "one"}},
        "sites": [
            {
                "id": "a",
                "name": "A",
                "kind": "multiplus-bms",
                "location": "somewhere",
                "region": "here",
                "latitude": 40.0,
                "longitude": 0.0,
                "battery": {"type": "LFP", "capacity_kwh": 10.0},
                "solar": {"capacity_kw": 5.0},
                "load": {"daily_kwh": 10.0},
                "inverter_kw": 5.0,
            }
        ],
    }


def test_small_scenario_loads(tmp_path: Path) -> None:
    file = tmp_path / "small.yaml"
    file.write_text(yaml.safe_dump(small()))
    assert [site.id for site in Scenario.load(file).sites] == ["a"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"colour": "red"}, "Extra inputs are not permitted"),
        ({"region": "nowhere"}, "a: unknown region nowhere"),
        ({"id": "a b"}, "String should match pattern"),
        ({"latitude": 91.0}, "less than or equal to 90"),
        ({"off_grid": True}, "an off-grid site has no grid meter"),
        ({"kind": "quattro-3p"}, "a quattro-3p site has 3 phases"),
        ({"kind": "ac-pv"}, "an ac-pv site has its PV on an AC side"),
        ({"faults": [{"fault": "fire"}]}, "Input should be 'soh'"),
        ({"faults": [{"fault": "soh", "params": {"volume": 1}}]}, "Extra inputs"),
        ({"faults": [{"fault": "soh"}]}, "Field required"),
        (
            {"faults": [{"fault": "hang", "start_seconds": 5, "end_seconds": 5}]},
            "end_seconds must be later than start_seconds",
        ),
    ],
)
def test_mistakes_are_refused(change: dict[str, Any], message: str) -> None:
    data = small()
    data["sites"][0].update(change)
    with pytest.raises(ValidationError, match=message):
        Scenario.model_validate(data)


def test_duplicate_ids_are_refused() -> None:
    data = small()
    data["sites"] *= 2
    with pytest.raises(ValidationError, match="duplicate site id a"):
        Scenario.model_validate(data)


def test_demo_is_the_twelve_sites(demo: Scenario) -> None:
    assert len(demo.sites) == 12
    assert [s.name for s in demo.sites[:4]] == ["Alpha", "Beta", "Gamma", "Delta"]
    assert sum(1 for s in demo.sites if s.faults) == 5
    regions = [s.region for s in demo.sites]
    assert max(regions.count(r) for r in set(regions)) >= 5
    assert len({s.kind for s in demo.sites}) == 5


def test_repeated_sites_are_healthy_unique_and_repeatable(demo: Scenario) -> None:
    many = demo.with_sites(100)
    assert many.sites[:12] == demo.sites
    assert len({site.id for site in many.sites}) == 100
    assert not any(site.faults for site in many.sites[12:])
    assert {site.kind for site in many.sites[12:]} == {s.kind for s in demo.sites}
    assert many == demo.with_sites(100)
    assert many.sites[:50] == demo.with_sites(50).sites


def test_fewer_sites_are_the_first_ones(demo: Scenario) -> None:
    assert demo.with_sites(3).sites == demo.sites[:3]
    with pytest.raises(ValueError, match="at least one"):
        demo.with_sites(0)


def test_scale_generates_as_many_as_it_says_or_is_told() -> None:
    assert len(Scenario.load("scale").sites) == 1000
    assert len(Scenario.load(SCENARIOS / "scale.yaml", sites=20).sites) == 20
