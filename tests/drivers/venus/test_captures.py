"""Recorded replies of real bridges: what is read must be what was recorded.

The recordings are no part of the project; without them these tests are skipped.
"""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

import pytest

from exporter.model.snapshot import Outcome, Snapshot
from tests.drivers.bridge import PREFIX, SYSTEM, Bridge, Clock, driver_for

SHARED = Path(__file__).resolve().parents[3].parent / "shared" / "captures" / "venus-ess-demo"
FOLDER = Path(os.environ.get("FLEETSCOPE_CAPTURES", SHARED))

pytestmark = pytest.mark.skipif(
    not (FOLDER / f"{SYSTEM}.json").is_file(),
    reason="no recorded replies: ../shared/captures/venus-ess-demo is absent and "
    "FLEETSCOPE_CAPTURES names no folder of them",
)


def recorded_trees() -> dict[str, dict[str, Any]]:
    documents = {path.stem: json.loads(path.read_bytes()) for path in FOLDER.glob("com.*.json")}
    return {name: d["value"] for name, d in documents.items() if isinstance(d.get("value"), dict)}


async def scraped(times: int = 1) -> tuple[list[Snapshot], dict[str, dict[str, Any]]]:
    trees = recorded_trees()
    services = json.loads((FOLDER / "services.json").read_bytes())["services"]
    bridge, clock, snapshots = Bridge(trees, services=services), Clock(), []
    async with bridge.running(), driver_for(bridge.url, clock) as driver:
        for _ in range(times):
            snapshots.append(await driver.scrape())
            assert len(bridge.asked()) <= 4
            clock.advance(10)
    assert bridge.overlaps == 0
    return snapshots, trees


def same(found: float, *recorded: object) -> bool:
    """Whether a reading is the first of the recorded values that is a number."""
    numbers = [float(v) for v in recorded if isinstance(v, (int, float))]
    return math.isnan(found) if not numbers else found == pytest.approx(numbers[0])


def summed(tree: dict[str, Any], *groups: str) -> float | None:
    values = [tree.get(f"{g}/L{p}/Power") for g in groups for p in (1, 2, 3)]
    numbers = [v for v in values if isinstance(v, (int, float))]
    return sum(numbers) if numbers else None


async def test_the_site_is_what_its_system_tree_says() -> None:
    (snapshot,), trees = await scraped()
    system = trees[SYSTEM]
    assert snapshot.outcome is Outcome.OK
    # One recorded device writes 6.6 V for a cell.
    assert [i for i in snapshot.implausible if not i.quantity.startswith("cell ")] == []
    readings = snapshot.readings
    assert same(readings["grid_power_w"], summed(system, "Ac/Grid"))
    assert same(readings["genset_power_w"], summed(system, "Ac/Genset"))
    assert same(readings["load_power_w"], summed(system, "Ac/Consumption"))
    assert same(readings["pv_dc_power_w"], system.get("Dc/Pv/Power"))
    coupled = summed(system, "Ac/PvOnGrid", "Ac/PvOnOutput", "Ac/PvOnGenset")
    assert same(readings["pv_ac_power_w"], coupled)
    parts = [v for v in (coupled, system.get("Dc/Pv/Power")) if isinstance(v, (int, float))]
    assert same(readings["pv_power_w"], sum(parts) if parts else None)
    assert same(readings["system_state"], system.get("SystemState/State"))
    assert snapshot.properties.get("serial") == (system.get("Serial") or None)


async def test_the_active_battery_is_what_its_tree_says() -> None:
    (snapshot,), trees = await scraped()
    system = trees[SYSTEM]
    service = system.get("Dc/Battery/BatteryService")
    active = [b for b in snapshot.batteries if b.active]
    if not service:
        assert active == []
        return
    (battery,) = active
    tree = trees[service]
    kind = service.removeprefix(PREFIX).split(".")[0]
    assert battery.device == f"{kind}/{tree['DeviceInstance']}"
    own = tree if kind == "battery" else {}
    for name, path, word in (
        ("soc_percent", "Soc", "Soc"),
        ("voltage_v", "Dc/0/Voltage", "Voltage"),
        ("current_a", "Dc/0/Current", "Current"),
        ("power_w", "Dc/0/Power", "Power"),
        ("temperature_c", "Dc/0/Temperature", "Temperature"),
    ):
        assert same(battery.readings[name], own.get(path), system.get(f"Dc/Battery/{word}")), name
    for name, path in (
        ("soh_percent", "Soh"),
        ("cycles", "History/ChargeCycles"),
        ("charged_kwh", "History/ChargedEnergy"),
        ("discharged_kwh", "History/DischargedEnergy"),
        ("cell_min_v", "System/MinCellVoltage"),
        ("cell_max_v", "System/MaxCellVoltage"),
        ("modules_online", "System/NrOfModulesOnline"),
        ("charge_limit_a", "Info/MaxChargeCurrent"),
    ):
        assert same(battery.readings.get(name, math.nan), own.get(path)), name


async def test_the_grid_is_what_the_inverter_says() -> None:
    (snapshot,), trees = await scraped()
    service = trees[SYSTEM].get("VebusService")
    if not service:
        pytest.skip("the recorded site has no inverter on VE.Bus")
    tree = trees[service]
    frequency = tree.get("Ac/ActiveIn/L1/F")
    assert same(snapshot.readings["grid_frequency_hz"], frequency if frequency else [])
    assert snapshot.readings["grid_connected"] == float(bool(frequency))
    phases = range(1, int(tree.get("Ac/NumberOfPhases") or 3) + 1)
    recorded = [tree.get(f"Ac/ActiveIn/L{p}/V") for p in phases]
    volts = [v for v in recorded if isinstance(v, (int, float))] if frequency else []
    assert same(snapshot.readings["grid_voltage_v"], sum(volts) / len(volts) if volts else None)
    assert same(snapshot.readings["grid_voltage_min_v"], min(volts, default=None))


async def test_every_alarm_of_every_device_is_read_in_time() -> None:
    snapshots, trees = await scraped(times=12)
    levels = {
        device: dict(found) for snapshot in snapshots for device, found in snapshot.alarms.items()
    }
    for service, tree in trees.items():
        kind = service.removeprefix(PREFIX).split(".")[0]
        if kind in ("settings", "tank", "temperature", "platform", "generator", "evcharger"):
            continue
        device = f"{kind}/{tree.get('DeviceInstance')}" if service != SYSTEM else "system/0"
        for path, value in tree.items():
            if path.startswith("Alarms/") and not isinstance(value, list):
                assert levels[device][path.removeprefix("Alarms/")] == value, (service, path)


async def test_the_demonstration_in_figures() -> None:
    if os.environ.get("FLEETSCOPE_CAPTURES"):
        pytest.skip("these figures are those of the ESS demonstration")
    (snapshot,), _ = await scraped()
    assert snapshot.readings["grid_frequency_hz"] == pytest.approx(50.1025657654)
    assert snapshot.readings["pv_ac_power_w"] > 0
    assert snapshot.readings["pv_power_w"] > snapshot.readings["pv_ac_power_w"]
    (battery,) = snapshot.batteries
    assert battery.device == "battery/256"
    assert battery.readings["soc_percent"] == 100.0
    assert battery.readings["temperature_c"] == 30.0
    assert battery.readings["cycles"] == 233.0
    for name in ("soh_percent", "cell_min_v", "cell_spread_v", "time_to_go_s"):
        assert math.isnan(battery.readings[name])
    assert battery.cells is None
