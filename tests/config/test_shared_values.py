"""Equal values of many sites are one object, and the fleet is what it was."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from exporter.config import reload
from exporter.config.fleet_file import FleetFileError, load_fleet
from exporter.config.reload import FleetFile
from exporter.config.shared_values import share_values
from exporter.drivers import DRIVERS

SITES: list[dict[str, object]] = [
    {
        "id": f"site-{n}",
        "api_endpoint": f"http://10.0.0.{n}:8088",
        "region": "north" if n % 2 else "south",
        "capacity_kwh": 10.5,
        **({"serial": "c0619ab"} if n == 3 else {}),
        **({"priority": "high"} if n == 4 else {}),
    }
    for n in range(6)
]


def written(folder: Path, sites: list[dict[str, object]]) -> Path:
    path = folder / "fleet.json"
    path.write_text(json.dumps({"sites": sites}), "utf-8")
    return path


def test_a_fleet_with_shared_values_is_the_same_fleet(tmp_path: Path) -> None:
    path = written(tmp_path, SITES)
    plain, shared = load_fleet(path, DRIVERS), load_fleet(path, DRIVERS)
    share_values(shared)
    assert shared == plain
    for own, other in zip(shared.sites, plain.sites, strict=True):
        assert own.options == other.options
        assert own.model_fields_set == other.model_fields_set
        assert own.identity == other.identity
    first, second, third = shared.sites[0], shared.sites[2], shared.sites[3]
    assert first.region is second.region
    assert first.capacity_kwh is second.capacity_kwh
    assert first.options is second.options
    assert first.options is not third.options
    assert first.model_fields_set is second.model_fields_set
    # A changed copy of a site changes no other.
    changed = first.model_copy(update={"name": "A"})
    assert "name" in changed.model_fields_set
    assert "name" not in second.model_fields_set


def test_a_large_file_is_read_by_a_process_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reload, "_LARGE_BYTES", 10)
    path = written(tmp_path, SITES)
    found = FleetFile(path, time.time, DRIVERS)
    assert found.fleet == load_fleet(path, DRIVERS)
    assert found.fleet.sites[0].options is found.fleet.sites[1].options
    written(tmp_path, [*SITES, {"id": "a b"}])
    with pytest.raises(FleetFileError, match=r"sites\[6\].id"):
        FleetFile(path, time.time, DRIVERS)
