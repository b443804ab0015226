"""Meters of a Venus site are stored as meters, whatever they measure."""

from __future__ import annotations

from exporter.drivers.venus.http_driver import VenusHttpDriver
from exporter.drivers.venus.meter import read_meter
from exporter.model.snapshot import MeterSnapshot
from tests.drivers.bridge import GRID, PREFIX, PVINVERTER, Bridge, Clock


async def test_every_meter_of_a_site_comes_in_turn(
    driver: VenusHttpDriver, bridge: Bridge, clock: Clock
) -> None:
    load = {"DeviceInstance": 40, "Ac/L1/Power": 100.0, "Ac/L2/Power": 20.0}
    bridge.trees[PREFIX + "acload.meter_40"] = load
    bridge.trees[GRID] |= {"Ac/Power": 812.0, "Ac/Energy/Forward": 10.5, "Ac/PowerFactor": 0.98}
    bridge.trees[PVINVERTER] |= {"Ac/Power": 2500.0, "Ac/Energy/Forward": 99.0}
    found: dict[str, MeterSnapshot] = {}
    for _ in range(12):
        found |= {meter.device: meter for meter in (await driver.scrape()).meters}
        clock.advance(60.0)
    assert {"grid/30", "acload/40"} <= found.keys()
    assert any(name.startswith("pvinverter/") for name in found)
    assert found["acload/40"].readings == {"active_power_w": 120.0}
    grid = found["grid/30"].readings
    assert grid["active_power_w"] == 812.0
    assert grid["power_factor"] == 0.98
    assert grid["energy_import_kwh"] == 10.5


def test_a_tree_without_a_reading_is_no_meter() -> None:
    assert read_meter("grid/30", {"Ac/Power": [], "Ac/L1/Power": None}) is None


def test_what_cannot_be_is_left_out() -> None:
    found = read_meter("grid/30", {"Ac/Power": 5e9, "Ac/PowerFactor": 7.0, "Ac/Energy/Forward": 1})
    assert found == MeterSnapshot("grid/30", {"energy_import_kwh": 1.0})
