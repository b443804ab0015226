"""Register images as devices in the field have them: models of the maker between the published
ones, other bases, floating point, and points that are there without a value."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence

import pytest
from sunspec2.device import Model as Encoder

from tests.drivers.bridge import Clock
from tests.drivers.sunspec.test_sunspec import COMMON, Registers, read

INVERTER = (113, {"W": 6120.5, "Hz": 50.013, "PhVphA": 231.5, "St": 4, "Evt1": 0})
METER = (213, {"W": -2750.25, "Hz": 50.011, "PhVphA": 230.75, "PhVphB": 231.25, "TotWhImp": 4e6})
TRACKERS = (
    160,
    {"N": 2, "DCW_SF": 0, "module": [{"ID": 1, "DCW": 4100}, {"ID": 2, "DCW": 2140}]},
)


def of_the_maker(number: int, length: int) -> bytes:
    """A model that nobody publishes; what is in it looks like anything."""
    return struct.pack(f">2H{length}H", number, length, *(0x5300 + n for n in range(length)))


def image(base: int, parts: Sequence[tuple[int, dict[str, object]] | bytes]) -> Registers:
    """A chain of models, published and of the maker, from ``base`` on."""
    data = b"SunS"
    for part in parts:
        data += part if isinstance(part, bytes) else Encoder(part[0], data=dict(part[1])).get_mb()
    data += struct.pack(">HH", 0xFFFF, 0)
    return dict(enumerate(struct.unpack(f">{len(data) // 2}H", data), base))


@pytest.mark.parametrize("base", [0, 50000])
async def test_models_of_the_maker_stand_between(base: int, clock: Clock) -> None:
    maker, large = of_the_maker(64202, 33), of_the_maker(64001, 300)
    parts = [maker, COMMON, large, INVERTER, maker, (120, {"WRtg": 8000}), TRACKERS, maker, METER]
    snapshot = await read({1: image(base, parts)}, clock)
    assert snapshot.implausible == ()
    assert {name: v for name, v in snapshot.readings.items() if not math.isnan(v)} == {
        "grid_expected": 1,
        "grid_connected": 1,
        "grid_power_w": -2750.25,
        "grid_frequency_hz": pytest.approx(50.011, abs=1e-5),
        "grid_voltage_v": 231,
        "grid_voltage_min_v": 230.75,
        "grid_voltage_max_v": 231.25,
        "grid_import_kwh": 4000,
        "pv_dc_power_w": 6240,
        "pv_power_w": 6240,
        "load_power_w": 3370.25,
    }
    assert snapshot.batteries == ()
    assert snapshot.properties["serial"] == "S-0001"


async def test_points_without_a_value_are_no_zeros(clock: Clock) -> None:
    """0x8000, 0xFFFF and NaN stand where a point is not implemented, in every part of a site."""
    meter, tracker = (203, {"W_SF": 0, "Hz_SF": -2}), (160, {"N": 1, "DCW_SF": 0})
    storage = (124, {"ChaState_SF": -2, "InBatV_SF": -1})
    parts = [COMMON, (113, {"St": 4}), meter, tracker, storage]
    snapshot = await read({1: image(0, parts)}, clock)
    known = {name for name, v in snapshot.readings.items() if not math.isnan(v)}
    assert known == {"grid_expected"}
    (pack,) = snapshot.batteries
    assert all(map(math.isnan, pack.readings.values()))
    assert snapshot.implausible == ()


async def test_a_battery_with_half_of_its_points(clock: Clock) -> None:
    """As a rack gives it whose modules do not report: no health, no cells, no cycles."""
    rack = {"SoC": 6210, "SoC_SF": -2, "V": 7685, "V_SF": -1, "A": 125, "A_SF": -1, "ChaSt": 4}
    snapshot = await read({1: image(50000, [COMMON, of_the_maker(64110, 20), (802, rack)])}, clock)
    (pack,) = snapshot.batteries
    assert {name: v for name, v in pack.readings.items() if not math.isnan(v)} == {
        "soc_percent": 62.1,
        "voltage_v": 768.5,
        "current_a": 12.5,
    }
