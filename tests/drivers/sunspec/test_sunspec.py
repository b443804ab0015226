"""SunSpec devices, encoded by the SunSpec Alliance's own package and served by pymodbus."""

from __future__ import annotations

import contextlib
import json
import math
import struct
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import sunspec2
from sunspec2.device import Model as Encoder

from exporter.drivers.base import DriverContext, Endpoint
from exporter.drivers.sunspec.model_rows import ModelRows, Point, model_rows
from exporter.drivers.sunspec.sunspec_driver import SunSpecDriver, SunSpecOptions
from exporter.drivers.transport import Transports
from exporter.drivers.transport.modbus import gateway as module
from exporter.model.snapshot import Outcome, ScrapeError, Snapshot
from tests.drivers.bridge import Clock
from tests.drivers.modbus_peers import RawModbus, pymodbus_server, reply_to, says, silent

PUBLISHED = Path(sunspec2.__file__).parent / "models" / "json"
Registers = dict[int, int]
COMMON = (1, {"Mn": "Maker", "Md": "Model 5", "SN": "S-0001"})
INVERTER = (
    103,
    {
        "W": 4210,
        "W_SF": 0,
        "Hz": 5002,
        "Hz_SF": -2,
        "PhVphA": 2301,
        "PhVphB": 2312,
        "PhVphC": 2298,
        "V_SF": -1,
        "St": 4,
        "Evt1": 0,
    },
)
METER = (
    203,
    {
        "W": -1200,
        "W_SF": 0,
        "Hz": 4998,
        "Hz_SF": -2,
        "PhVphA": 2295,
        "PhVphB": 2296,
        "PhVphC": 2297,
        "V_SF": -1,
        "TotWhImp": 1234500,
        "TotWhExp": 99250,
        "TotWh_SF": 0,
    },
)
TRACKERS = (
    160,
    {
        "N": 3,
        "DCW_SF": 1,
        "module": [
            {"ID": 1, "IDStr": "MPPT 1", "DCW": 210},
            {"ID": 2, "IDStr": "MPPT 2", "DCW": 65535},
            {"ID": 3, "IDStr": "StDisCha 3", "DCW": 40},
        ],
    },
)
BATTERY = (
    802,
    {
        "AHRtg": 200,
        "AHRtg_SF": 0,
        "SoC": 745,
        "SoC_SF": -1,
        "SoH": 970,
        "SoH_SF": -1,
        "NCyc": 311,
        "ChaSt": 3,
        "State": 3,
        "Evt1": 1 << 2 | 1 << 13,
        "V": 5121,
        "V_SF": -1,
        "A": 85,
        "A_SF": -1,
        "W": 435,
        "W_SF": 1,
        "CellVMax": 3341,
        "CellVMaxStr": 1,
        "CellVMaxMod": 3,
        "CellVMin": 3299,
        "CellVMinStr": 1,
        "CellVMinMod": 7,
        "CellV_SF": -3,
    },
)
BANK = (
    803,
    {
        "NStr": 1,
        "ModTmpMax": 312,
        "ModTmpMin": 240,
        "ModTmpAvg": 275,
        "ModTmp_SF": -1,
        "string": [{"StrNMod": 8, "StrCellVMax": 3350, "StrCellVMin": 3290}],
    },
)
MODULE = (
    805,
    {
        "StrIdx": 1,
        "ModIdx": 3,
        "NCell": 3,
        "CellV_SF": -3,
        "Tmp_SF": -1,
        "lithium-ion-module-cell": [
            {"CellV": 3301, "CellTmp": 251},
            {"CellV": 3341},
            {"CellV": 9000, "CellTmp": 255},
        ],
    },
)


def registers(*models: tuple[int, Mapping[str, Any]], base: int = 40000) -> Registers:
    """A chain of models from ``base`` on."""
    data = b"SunS"
    for number, values in models:
        data += Encoder(number, data=dict(values)).get_mb()
    data += struct.pack(">HH", 0xFFFF, 0)
    return dict(enumerate(struct.unpack(f">{len(data) // 2}H", data), base))


@contextlib.asynccontextmanager
async def driver_at(port: int, clock: Clock, **options: Any) -> AsyncIterator[SunSpecDriver]:
    context = DriverContext(Transports(None), clock.wall, clock.monotonic)  # type: ignore[arg-type]
    chosen = SunSpecOptions.model_validate(options)
    driver = SunSpecDriver.open(Endpoint("a", f"modbus://127.0.0.1:{port}", chosen), context)
    try:
        yield driver
    finally:
        await driver.close()


async def read(units: Mapping[int, Registers], clock: Clock, **block: Any) -> Snapshot:
    async with (
        pymodbus_server(units) as port,
        driver_at(port, clock, sunspec={"units": tuple(units), **block}) as driver,
    ):
        return await driver.scrape()


@pytest.mark.parametrize("base", [40000, 50000, 0])
async def test_an_inverter_is_found_at_each_base(base: int, clock: Clock) -> None:
    snapshot = await read({1: registers(COMMON, INVERTER, base=base)}, clock)
    assert snapshot.outcome is Outcome.OK
    assert snapshot.properties == {"serial": "S-0001", "system_type": "Maker Model 5"}
    readings = snapshot.readings
    assert readings["pv_power_w"] == readings["pv_ac_power_w"] == 4210
    assert readings["grid_frequency_hz"] == 50.02
    assert readings["grid_voltage_v"] == pytest.approx(230.3667, abs=1e-3)
    assert (readings["grid_voltage_min_v"], readings["grid_voltage_max_v"]) == (229.8, 231.2)
    assert (readings["grid_connected"], readings["grid_expected"]) == (1, 1)
    assert math.isnan(readings["grid_power_w"])
    assert math.isnan(readings["load_power_w"])
    assert snapshot.batteries == ()
    assert set(snapshot.alarms["inverter/1"].values()) == {0}


@pytest.mark.parametrize("model", [101, 102, 103, 111, 112, 113])
async def test_every_inverter_model(model: int, clock: Clock) -> None:
    values: dict[str, Any] = {"W": 4210, "Hz": 50, "PhVphA": 230, "St": 7, "Evt1": 1 << 7}
    if model < 110:
        values |= {"W_SF": 0, "Hz_SF": 0, "V_SF": 0}
    snapshot = await read({1: registers(COMMON, (model, values))}, clock)
    assert snapshot.readings["pv_power_w"] == 4210
    assert snapshot.readings["grid_voltage_v"] == 230
    alarms = snapshot.alarms["inverter/1"]
    assert {name for name, level in alarms.items() if level} == {"OverTemperature", "Fault"}


async def test_the_der_model_of_newer_inverters(clock: Clock) -> None:
    values = {"W": 421, "W_SF": 1, "Hz": 50020, "Hz_SF": -3, "InvSt": 3, "ConnSt": 1}
    values |= {"VL1": 2301, "V_SF": -1, "Alrm": 1 << 16}
    snapshot = await read({1: registers(COMMON, (701, values))}, clock)
    assert snapshot.readings["pv_power_w"] == 4210
    assert snapshot.readings["grid_frequency_hz"] == 50.02
    assert snapshot.readings["grid_voltage_v"] == 230.1
    assert snapshot.alarms["inverter/1"]["ManufacturerAlarm"] == 2


DER = (701, {"W": 421, "W_SF": 1, "Hz": 50020, "Hz_SF": -3, "InvSt": 3, "VL1": 2301, "V_SF": -1})
PORTS = (
    714,
    {
        "NPrt": 3,
        "DCA_SF": -1,
        "DCV_SF": -1,
        "DCW_SF": 1,
        "Prt": [
            {"PrtTyp": 0, "DCW": 210, "DCSta": 1},
            {"PrtTyp": 0, "DCW": -32768, "DCSta": 1},
            {"PrtTyp": 1, "DCW": 220, "DCA": 43, "DCV": 5121, "DCSta": 3},
        ],
    },
)
STORAGE = (713, {"WHRtg": 100, "WH_SF": 2, "SoC": 745, "SoH": 980, "Pct_SF": -1, "Sta": 1})


async def test_the_storage_and_the_dc_ports_of_a_der(clock: Clock) -> None:
    capacity = (702, {"WMaxRtg": 500, "WMax": 480, "W_SF": 1})
    droop = (711, {"Ena": 1, "NCtl": 1, "Ctl": [{}]})
    snapshot = await read({1: registers(COMMON, DER, capacity, droop, STORAGE, PORTS)}, clock)
    assert snapshot.readings["pv_power_w"] == snapshot.readings["pv_dc_power_w"] == 2100
    (pack,) = snapshot.batteries
    expected = {
        "soc_percent": 74.5,
        "soh_percent": 98,
        "power_w": -2200,
        "current_a": -4.3,
        "voltage_v": 512.1,
    }
    assert {name: pack.readings[name] for name in expected} == expected
    assert snapshot.alarms["storage/1"] == {"Storage": 1, "DcPort": 2}
    assert snapshot.properties["rated_power"] == "5000 W"
    assert snapshot.properties["storage_energy"] == "10 kWh"
    assert snapshot.properties["grid_functions"] == "frequency droop"
    assert snapshot.properties["serial"] == "S-0001"


@pytest.mark.parametrize(
    ("controls", "watts", "held", "remark"),
    [
        ({"WMaxLimPctEna": 1, "WMaxLimPct": 600, "WSetEna": 0}, 288, 1, "60 %"),
        ({"WMaxLimPctEna": 1, "WMaxLimPct": 600, "WSetEna": 0}, 200, 0, "60 %"),
        ({"WMaxLimPctEna": 0, "WMaxLimPct": 600, "WSetEna": 0}, 288, 0, ""),
        ({"WMaxLimPctEna": 1, "WMaxLimPct": 1000, "WSetEna": 0}, 480, 0, ""),
        ({"WMaxLimPctEna": 0, "WMaxLimPct": 600, "WSetEna": 1}, 10, 1, "fixed power"),
    ],
)
async def test_a_der_that_is_held_back_says_so(
    controls: dict[str, int], watts: int, held: int, remark: str, clock: Clock
) -> None:
    capacity = (702, {"WMaxRtg": 500, "WMax": 480, "W_SF": 1})
    set_to = (704, {**controls, "WMaxLimPct_SF": -1})
    der = (701, {**DER[1], "W": watts})
    snapshot = await read({1: registers(COMMON, der, capacity, set_to)}, clock)
    assert snapshot.readings["pv_disabled"] == held
    said = " ".join(notice.detail for notice in snapshot.notices)
    assert (remark in said) if remark else (said == "")


async def test_a_der_that_may_not_feed_in(clock: Clock) -> None:
    still = (701, DER[1] | {"W": 0})
    snapshot = await read({1: registers(COMMON, still, (703, {"ES": 0}))}, clock)
    assert snapshot.readings["pv_disabled"] == 1
    assert [n.detail for n in snapshot.notices] == ["inverter/1 may not feed in (model 703)"]
    # One that is allowed to, and one that leaves the model at zero and feeds in.
    for der, allowed in ((still, 1), (DER, 0)):
        feeds_in = await read({1: registers(COMMON, der, (703, {"ES": allowed}))}, clock)
        assert "pv_disabled" not in feeds_in.readings
        assert feeds_in.notices == ()


async def test_a_hybrid_site_on_several_units(clock: Clock) -> None:
    units = {
        1: registers(COMMON, INVERTER, TRACKERS, BATTERY, BANK, MODULE),
        240: registers(COMMON, METER),
    }
    snapshot = await read(units, clock)
    readings = snapshot.readings
    assert snapshot.outcome is Outcome.OK
    # One tracker says 65535, which is no value; the third one is the battery.
    assert readings["pv_dc_power_w"] == readings["pv_power_w"] == 2100
    assert math.isnan(readings["pv_ac_power_w"])
    assert readings["grid_power_w"] == -1200
    assert readings["load_power_w"] == 4210 - 1200
    assert (readings["grid_import_kwh"], readings["grid_export_kwh"]) == (1234.5, 99.25)
    assert readings["grid_frequency_hz"] == 49.98
    (pack,) = snapshot.batteries
    assert (pack.device, pack.active) == ("battery/1", True)
    expected = {
        "soc_percent": 74.5,
        "soh_percent": 97,
        "voltage_v": 512.1,
        "current_a": -8.5,
        "power_w": -4350,
        "cycles": 311,
        "capacity_ah": 200,
        "cell_min_v": 3.299,
        "cell_max_v": 3.341,
        "cell_spread_v": 0.042,
        "temperature_c": 27.5,
        "cell_max_temperature_c": 31.2,
        "cell_min_temperature_c": 24,
    }
    assert {name: pack.readings[name] for name in expected} == expected
    assert pack.cells is not None
    assert pack.cells.labels == ("1/3/1", "1/3/2", "1/3/3")
    assert pack.cells.voltages_v[:2] == (3.301, 3.341)
    assert math.isnan(pack.cells.voltages_v[2])
    assert [i.quantity for i in snapshot.implausible] == ["cell 1/3/3 voltage_v"]
    assert (pack.cell_min_id, pack.cell_max_id) == ("1/3/1", "1/3/2")
    levels = snapshot.alarms["battery/1"]
    found = {name: level for name, level in levels.items() if level}
    assert found == {"OverTemperature": 1, "LowSoc": 2}
    assert snapshot.devices == {"inverter/1", "battery/1"}


async def test_strings_of_one_inverter_are_meters_of_their_own(clock: Clock) -> None:
    snapshot = await read({1: registers(COMMON, INVERTER, TRACKERS)}, clock)
    # The second gives no value, and the third is the battery.
    assert [(meter.device, meter.readings) for meter in snapshot.meters] == [
        ("pvstring/1-1", {"active_power_w": 2100.0})
    ]


async def test_a_meter_that_counts_export_as_positive(clock: Clock) -> None:
    units = {1: registers(COMMON, INVERTER, METER)}
    snapshot = await read(units, clock, meter_positive="export")
    assert snapshot.readings["grid_power_w"] == 1200
    assert snapshot.readings["grid_import_kwh"] == 99.25


async def test_basic_storage_has_its_power_from_the_trackers(clock: Clock) -> None:
    storage = {"ChaState": 8150, "ChaState_SF": -2, "InBatV": 4023, "InBatV_SF": -1, "ChaSt": 3}
    storage |= {"MinRsvPct": 125, "MinRsvPct_SF": -1}
    snapshot = await read({1: registers(COMMON, INVERTER, TRACKERS, (124, storage))}, clock)
    (pack,) = snapshot.batteries
    assert pack.readings["soc_percent"] == 81.5
    assert pack.readings["minimum_soc_percent"] == 12.5
    assert pack.readings["voltage_v"] == 402.3
    assert pack.readings["power_w"] == -400


async def test_a_direction_that_nothing_tells_is_missing(clock: Clock) -> None:
    values = {**BATTERY[1], "ChaSt": 6}
    snapshot = await read({1: registers(COMMON, (802, values))}, clock)
    assert math.isnan(snapshot.batteries[0].readings["power_w"])
    assert math.isnan(snapshot.batteries[0].readings["current_a"])


async def test_points_without_scale_or_implementation_are_missing(clock: Clock) -> None:
    values = {"W": 4210, "W_SF": 99, "Hz": 65535, "Hz_SF": -2, "PhVphA": 2301, "V_SF": None}
    snapshot = await read({1: registers(COMMON, (103, values))}, clock)
    assert math.isnan(snapshot.readings["pv_power_w"])
    assert math.isnan(snapshot.readings["grid_frequency_hz"])
    assert math.isnan(snapshot.readings["grid_voltage_v"])
    assert math.isnan(snapshot.readings["grid_connected"])


async def test_a_lost_grid_and_a_sleeping_inverter(clock: Clock) -> None:
    dead = {**INVERTER[1], "Hz": 0, "PhVphA": 0, "PhVphB": 0, "PhVphC": 0}
    snapshot = await read({1: registers(COMMON, (103, dead))}, clock)
    assert snapshot.readings["grid_connected"] == 0
    snapshot = await read({1: registers(COMMON, (103, {**dead, "St": 2}))}, clock)
    assert math.isnan(snapshot.readings["grid_connected"])


async def test_a_dead_unit_loses_only_itself(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REQUEST_SECONDS", 0.5)
    held = registers(COMMON, INVERTER)

    def two_units(request: bytes) -> bytes:
        if request[6] != 1:
            return request[:2] + b"\0\0\0\3" + request[6:7] + bytes([request[7] | 0x80, 11])
        first, count = struct.unpack(">HH", request[8:12])
        words = [held.get(n) for n in range(first, first + count)]
        if None in words:
            return request[:2] + b"\0\0\0\3\1" + bytes([request[7] | 0x80, 2])
        body = struct.pack(f">BB{count}H", request[7], 2 * count, *words)
        return request[:2] + struct.pack(">HHB", 0, len(body) + 1, 1) + body

    async with (
        RawModbus(says(two_units)).running() as peer,
        driver_at(peer.port, clock, sunspec={"units": (1, 240)}) as driver,
    ):
        snapshot = await driver.scrape()
    assert snapshot.outcome is Outcome.PARTIAL
    assert snapshot.detail.startswith("unit 240 registers 40000-40001: exception 11")
    assert snapshot.readings["grid_frequency_hz"] == 50.02
    # Nothing is known of the other unit: it may be an inverter too.
    assert "pv_power_w" not in snapshot.readings
    assert "grid_power_w" not in snapshot.readings


@pytest.mark.parametrize(
    ("held", "detail"),
    [
        ({40000: 1, 40001: 2}, "no SunSpec models at 40000, 50000, 0"),
        (registers(), "has no SunSpec model"),
        (
            {40000: 0x5375, 40001: 0x6E53, 40002: 1, 40003: 60000},
            "model 1 of 60000 registers at 40002 does not end within the device",
        ),
        (
            {40000: 0x5375, 40001: 0x6E53, 40002: 1, 40003: 0},
            "model 1 of 0 registers at 40002 does not end within the device",
        ),
    ],
)
async def test_what_is_no_sunspec(held: Registers, detail: str, clock: Clock) -> None:
    with pytest.raises(ScrapeError) as caught:
        await read({1: held}, clock)
    assert caught.value.outcome is Outcome.MALFORMED
    assert caught.value.detail == f"unit 1: {detail}"


async def test_models_that_moved_are_found_again(clock: Clock) -> None:
    before, after = registers(COMMON, INVERTER), registers(COMMON, METER, INVERTER)
    async with driver_at(0, clock) as driver:
        async with pymodbus_server({1: before}) as driver._gateway.port:
            assert (await driver.scrape()).outcome is Outcome.OK
        driver._gateway.close()
        async with pymodbus_server({1: after}) as driver._gateway.port:
            with pytest.raises(ScrapeError) as caught:
                await driver.scrape()
            detail = "unit 1: model 103 was at register 40070, now model 203 is"
            assert (caught.value.outcome, caught.value.detail) == (Outcome.MALFORMED, detail)
            assert (await driver.scrape()).readings["grid_power_w"] == -1200


async def test_silence_is_a_timeout(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REQUEST_SECONDS", 0.3)
    async with RawModbus(silent).running() as peer, driver_at(peer.port, clock) as driver:
        with pytest.raises(ScrapeError) as caught:
            await driver.scrape()
    assert caught.value.outcome is Outcome.TIMEOUT


async def test_another_device_is_not_taken(clock: Clock) -> None:
    async with (
        pymodbus_server({1: registers(COMMON, INVERTER)}) as port,
        driver_at(port, clock, serial="S-0002") as driver,
    ):
        with pytest.raises(ScrapeError) as caught:
            await driver.scrape()
    assert "another device answers" in caught.value.detail


async def test_registers_that_are_their_own_addresses_are_no_sunspec(clock: Clock) -> None:
    async with RawModbus(says(reply_to)).running() as peer, driver_at(peer.port, clock) as driver:
        with pytest.raises(ScrapeError):
            await driver.scrape()


TYPES = {
    "u16": {"uint16", "enum16", "count"},
    "i16": {"int16"},
    "u32": {"uint32", "acc32"},
    "bits32": {"bitfield32"},
    "u64": {"uint64"},
    "f32": {"float32"},
    "text": {"string"},
}


def published(points: list[dict[str, Any]]) -> dict[str, tuple[int, dict[str, Any]]]:
    """Points by name, with their offsets."""
    found, at = {}, 0
    for point in points:
        found[point["name"]] = (at, point)
        at += point["size"]
    return found


def check(
    rows: ModelRows, own: Mapping[str, Point], theirs: dict[str, tuple[int, dict[str, Any]]]
) -> None:
    for name, point in own.items():
        at, row = theirs[name]
        assert (name, point.at) == (name, at)
        assert row["type"] in TYPES[point.type], name
        assert row.get("sf") == point.sf, name
        assert row["size"] == point.registers, name


@pytest.mark.parametrize("number", sorted(model_rows()))
def test_every_row_is_as_the_published_model_has_it(number: int) -> None:
    document = json.loads((PUBLISHED / f"model_{number}.json").read_text("utf-8"))
    group, rows = document["group"], model_rows()[number]
    fixed = published(group["points"])
    check(rows, rows.points, fixed)
    for name, at in rows.scale_factors.items():
        assert (fixed[name][0], fixed[name][1]["type"]) == (at, "sunssf")
    if rows.group is not None:
        (inner,) = group["groups"]
        check(rows, rows.group.points, published(inner["points"]))
        assert rows.group.after == sum(point["size"] for point in group["points"])
        assert rows.group.size == sum(point["size"] for point in inner["points"])
