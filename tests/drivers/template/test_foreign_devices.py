"""Devices that do not ship, each with a template written from its public description and from
docs/devices.md alone, against replies made after that description.

Sources: the community's OpenAPI description of the Powerwall gateway; the register tables that
users of Deye's three-phase hybrid inverters publish; the local API of Enphase's gateway.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from exporter.config.fleet_file import FleetFileError
from exporter.drivers.template.template_file import parse_template
from exporter.model.snapshot import Outcome
from tests.drivers.bridge import Clock
from tests.drivers.json_peer import JsonPeer
from tests.drivers.modbus_peers import pymodbus_server
from tests.drivers.template.opened import driver_at
from tests.drivers.template.replies import merged, words

POWERWALL = """template: powerwall
title: Powerwall gateway
gives: battery, PV, grid, consumption
transport: http
source: its community's OpenAPI description
switch_on: nothing
requests:
  meters: /api/meters/aggregates
  charge: /api/system_status/soe
  grid: /api/system_status/grid_status
readings:
  - {quantity: grid_power_w, path: site.instant_power}
  - {quantity: grid_frequency_hz, path: site.frequency, missing: [0]}
  - {quantity: grid_voltage_v, path: site.instant_average_voltage}
  - {quantity: grid_import_kwh, path: site.energy_imported, scale: 0.001}
  - {quantity: grid_export_kwh, path: site.energy_exported, scale: 0.001}
  - quantity: grid_connected
    request: grid
    path: grid_status
    values: {SystemGridConnected: 1, SystemIslandedActive: 0, SystemTransitionToGrid: 0}
  - {quantity: load_power_w, path: load.instant_power}
  - {quantity: pv_power_w, path: solar.instant_power}
  - {quantity: soc_percent, request: charge, path: percentage}
  - {quantity: power_w, path: battery.instant_power, scale: -1}
  - {quantity: charged_kwh, path: battery.energy_imported, scale: 0.001}
  - {quantity: discharged_kwh, path: battery.energy_exported, scale: 0.001}
"""
# The gateway's own meter gives no frequency, and at night the inverter takes a little.
POWERWALL_SAYS: dict[str, Any] = {
    "/api/meters/aggregates": {
        "site": {
            "instant_power": 612.5,
            "frequency": 0,
            "energy_exported": 323100.25,
            "energy_imported": 535337.5,
            "instant_average_voltage": 239.4,
        },
        "battery": {
            "instant_power": -1480,
            "frequency": 59.99,
            "energy_exported": 495740,
            "energy_imported": 557440,
        },
        "load": {"instant_power": 540.25},
        "solar": {"instant_power": -2, "energy_exported": 1115685.5},
    },
    "/api/system_status/soe": {"percentage": 68.4175},
    "/api/system_status/grid_status": {"grid_status": "SystemGridConnected"},
}

ENVOY = """template: envoy
title: Enphase gateway
gives: PV and grid
transport: http
source: descriptions of its local API
switch_on: nothing
requests: {meters: /production.json, inventory: /ivp/meters/readings}
readings:
  - {quantity: pv_ac_power_w, path: "production.[type=eim].wNow"}
  - {quantity: grid_power_w, path: "consumption.[measurementType=net-consumption].wNow"}
  - {quantity: load_power_w, path: "consumption.[measurementType=total-consumption].wNow"}
  - {quantity: grid_frequency_hz, request: inventory, path: "[eid=704643584].freq"}
"""
ENVOY_SAYS: dict[str, Any] = {
    "/production.json": {
        "production": [
            {"type": "inverters", "activeCount": 20, "wNow": 3101},
            {"type": "eim", "measurementType": "production", "wNow": 3145.25},
        ],
        "consumption": [
            {"type": "eim", "measurementType": "total-consumption", "wNow": 1210.5},
            {"type": "eim", "measurementType": "net-consumption", "wNow": -1934.75},
        ],
    },
    "/ivp/meters/readings": [
        {"eid": 704643328, "freq": 50.0, "voltage": 230.1},
        {"eid": 704643584, "freq": 50.063, "voltage": 230.2},
    ],
}

DEYE = """template: deye
title: Deye three-phase hybrid inverter, SG04LP3
gives: PV, battery, grid, consumption
transport: modbus
source: register tables of its users
switch_on: nothing
word_order: little
readings:
  - {quantity: pv_dc_power_w, sum: [{register: 672}, {register: 673}]}
  - {quantity: grid_power_w, register: 625, type: i16}
  - {quantity: grid_voltage_v, register: 598, scale: 0.1}
  - {quantity: grid_frequency_hz, register: 609, scale: 0.01}
  - {quantity: grid_import_kwh, register: 522, type: u32, scale: 0.1}
  - {quantity: grid_export_kwh, register: 524, type: u32, scale: 0.1}
  - {quantity: load_power_w, register: 653, type: i16}
  - {quantity: soc_percent, register: 588}
  - {quantity: voltage_v, register: 587, scale: 0.01}
  - {quantity: current_a, register: 591, type: i16, scale: -0.01}
  - {quantity: power_w, register: 590, type: i16, scale: -1}
  - {quantity: temperature_c, register: 586, scale: 0.1, offset: -100}
  - {quantity: charged_kwh, register: 516, type: u32, scale: 0.1}
  - {quantity: discharged_kwh, register: 518, type: u32, scale: 0.1}
alarms:
  - {alarm: Fan, register: 553, bit: 1, device: inverter/0}
  - {alarm: GridPhase, register: 553, bit: 2, device: inverter/0}
  - {alarm: BatteryShort, register: 555, bit: 15, values: {"0": 0, "1": 2}}
  - {alarm: GridFault, register: 555, bit: 3, values: {"0": 0, "1": 2}, device: inverter/0}
"""
# Energies have their lowest register first; temperatures stand 100 degrees higher.
DEYE_SAYS = merged(
    {672: 2100, 673: 1840, 598: 2312, 609: 4998, 588: 81, 587: 5312, 586: 1235},
    words(625, "h", -1450),
    words(653, "h", 905),
    words(590, "h", -1585),
    words(591, "h", -2984),
    words(516, "I", 70_001, little=True),
    words(518, "I", 65_432, little=True),
    words(522, "I", 131_075, little=True),
    words(524, "I", 9_876, little=True),
    {553: 0b10, 554: 0, 555: 0x8000},
)


def written(folder: Path, text: str) -> str:
    """The path of a template's file."""
    path = folder / "box.yaml"
    path.write_text(text, "utf-8")
    return str(path)


async def test_a_powerwall_gateway(tmp_path: Path, clock: Clock) -> None:
    peer = JsonPeer(POWERWALL_SAYS)
    template = written(tmp_path, POWERWALL)
    async with peer.running(), driver_at(peer.url, clock, template=template) as driver:
        snapshot = await driver.scrape()
        peer.documents = POWERWALL_SAYS | {
            "/api/system_status/grid_status": {"grid_status": "SystemIslandedActive"}
        }
        islanded = await driver.scrape()
    assert (snapshot.outcome, snapshot.implausible) == (Outcome.OK, ())
    readings = dict(snapshot.readings)
    assert readings.pop("grid_frequency_hz") != 0
    assert readings == {
        "grid_power_w": 612.5,
        "grid_voltage_v": 239.4,
        "grid_import_kwh": 535.3375,
        "grid_export_kwh": 323.10025,
        "grid_connected": 1,
        "load_power_w": 540.25,
        "pv_power_w": -2,
    }
    (pack,) = snapshot.batteries
    assert pack.readings == {
        "soc_percent": 68.4175,
        "power_w": 1480,
        "charged_kwh": 557.44,
        "discharged_kwh": 495.74,
    }
    assert islanded.readings["grid_connected"] == 0


async def test_an_enphase_gateway(tmp_path: Path, clock: Clock) -> None:
    peer = JsonPeer(ENVOY_SAYS)
    template = written(tmp_path, ENVOY)
    async with peer.running(), driver_at(peer.url, clock, template=template) as driver:
        snapshot = await driver.scrape()
    assert snapshot.readings == {
        "pv_ac_power_w": 3145.25,
        "pv_power_w": 3145.25,
        "grid_power_w": -1934.75,
        "load_power_w": 1210.5,
        "grid_frequency_hz": 50.063,
    }


async def test_a_deye_hybrid_inverter(tmp_path: Path, clock: Clock) -> None:
    template = written(tmp_path, DEYE)
    async with (
        pymodbus_server({1: DEYE_SAYS}) as port,
        driver_at(f"modbus://127.0.0.1:{port}", clock, template=template) as driver,
    ):
        snapshot = await driver.scrape()
    assert (snapshot.outcome, snapshot.implausible) == (Outcome.OK, ())
    assert snapshot.readings == {
        "pv_dc_power_w": 3940,
        "pv_power_w": 3940,
        "grid_power_w": -1450,
        "grid_voltage_v": 231.2,
        "grid_frequency_hz": 49.98,
        "grid_import_kwh": 13107.5,
        "grid_export_kwh": 987.6,
        "load_power_w": 905,
    }
    (pack,) = snapshot.batteries
    assert pack.readings == {
        "soc_percent": 81,
        "voltage_v": 53.12,
        "current_a": 29.84,
        "power_w": 1585,
        "temperature_c": 23.5,
        "charged_kwh": 7000.1,
        "discharged_kwh": 6543.2,
    }
    assert snapshot.alarms == {
        "inverter/0": {"Fan": 1, "GridPhase": 0, "GridFault": 0},
        "battery/0": {"BatteryShort": 2},
    }


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("register: 1, bit: 16", "bit: 16: u16 has no such bit"),
        ("register: 1, type: f32, bit: 3", "bit: 3: f32 has no such bit"),
        ("register: 1, type: u64, bit: 3", "bit: 3: u64 has no such bit"),
        ("register: 1, bit: 40", "readings[0].bit: 40: expected 31 or less"),
    ],
)
def test_a_bit_that_is_not_there(row: str, expected: str) -> None:
    head = DEYE.partition("readings:")[0]
    with pytest.raises(FleetFileError) as caught:
        parse_template(
            f"{head}readings:\n  - {{quantity: grid_connected, {row}}}\n", Path("box.yaml")
        )
    assert str(caught.value.mistakes[0]).endswith(expected)
