"""Raw registers of a SunSpec device, for people who ask where a reading comes from."""

from __future__ import annotations

from tests.drivers.bridge import Clock
from tests.drivers.modbus_peers import pymodbus_server
from tests.drivers.sunspec.test_sunspec import (
    BATTERY,
    COMMON,
    INVERTER,
    METER,
    driver_at,
    registers,
)


async def test_raw_registers_are_kept_once_somebody_asks(clock: Clock) -> None:
    units = {1: registers(COMMON, INVERTER, METER, BATTERY)}
    async with pymodbus_server(units) as port, driver_at(port, clock) as driver:
        await driver.scrape()
        assert driver.raw_values() == []
        driver.keep_raw()
        await driver.scrape()
        raw = {(r.device, r.quantity): (r.place, r.raw) for r in driver.raw_values()}
        clock.advance(400)
        await driver.scrape()
        assert driver.raw_values() == []
    place, shown = raw["battery/1", "soc_percent"]
    assert shown == f"0x{745:04X} × 10^-1"
    address = int(place.removeprefix("unit 1 model 802 SoC at "))
    assert units[1][address] == 745
    # -1200 W as a signed word, and the state beside the power that has no sign of its own.
    assert raw["site", "grid_power_w"][1] == f"0x{0x10000 - 1200:04X} × 10^0"
    assert raw["battery/1", "power_w"][1] == f"0x{435:04X} × 10^1, 0x0003"
    assert len(raw["site", "grid_voltage_v"][0].split(" + ")) == 6
