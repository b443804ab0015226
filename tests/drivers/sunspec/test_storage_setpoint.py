"""Set-points of model 124 at pymodbus's server, against the model that the Alliance publishes."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator

import pytest

from exporter.drivers.sunspec.storage_setpoint import MODEL, StorageSetpoint
from exporter.model.snapshot import ScrapeError
from tests.drivers.modbus_peers import pymodbus_server
from tests.drivers.sunspec.published import PublishedUnit, points, registers

LENGTH = 24
# Of a hybrid inverter: 5 kW, rates in hundredths of a percent, nothing limited.
RATED = {"WChaMax": 5000, "InWRte": 10_000, "OutWRte": 10_000, "InOutWRte_SF": -2}
BOTH_LIMITS = 3


class Unit(PublishedUnit):
    def __init__(self, port: int) -> None:
        super().__init__(port, MODEL)
        self.setpoint = StorageSetpoint([self.unit])

    async def look(self) -> None:
        """Read the unit as the driver does."""
        self.setpoint.see(await self.unit.read())

    async def rates(self) -> tuple[int, int]:
        """``InWRte`` and ``OutWRte``."""
        return await self.signed("InWRte"), await self.signed("OutWRte")


async def unit_with(**values: int) -> AsyncIterator[Unit]:
    async with pymodbus_server({1: registers(MODEL, LENGTH, **RATED | values)}) as port:
        unit = Unit(port)
        await unit.look()
        yield unit
        unit.gateway.close()


def test_the_published_model_has_signed_rates_and_one_time_of_reversion() -> None:
    found = points(MODEL)
    assert {found[name]["type"] for name in ("InWRte", "OutWRte")} == {"int16"}
    assert {found[name]["sf"] for name in ("InWRte", "OutWRte")} == {"InOutWRte_SF"}
    flags = {symbol["name"].upper(): symbol["value"] for symbol in found["StorCtl_Mod"]["symbols"]}
    assert 1 << flags["CHARGE"] | 1 << flags["DISCHARGE"] == BOTH_LIMITS
    assert found["InOutWRte_RvrtTms"]["units"] == "Secs"


@pytest.mark.parametrize(
    ("power", "rates"),
    [(2000, (4000, -4000)), (-1250, (-2500, 2500)), (0, (0, 0)), (-5000, (-10_000, 10_000))],
)
async def test_one_power_is_a_rate_and_its_negative(power: float, rates: tuple[int, int]) -> None:
    async for unit in unit_with(MinRsvPct=10, ChaGriSet=1, InOutWRte_WinTms=7, WChaGra=33):
        assert unit.setpoint.is_there
        assert math.isnan(await unit.setpoint.read())
        await unit.setpoint.write(power)
        assert await unit.rates() == rates
        assert await unit.words("StorCtl_Mod") == (BOTH_LIMITS,)
        assert await unit.words("InOutWRte_RvrtTms") == (60,)
        assert await unit.setpoint.read() == pytest.approx(power)
        await unit.setpoint.release()
        assert math.isnan(await unit.setpoint.read())
        # What is left at the device: no limit, both rates at 100 %, nothing else touched.
        assert await unit.words("StorCtl_Mod") == (0,)
        assert await unit.rates() == (10_000, 10_000)
        assert await unit.words("InOutWRte_RvrtTms") == (0,)
        kept = [await unit.signed(n) for n in ("MinRsvPct", "ChaGriSet", "WChaGra", "WChaMax")]
        assert kept == [10, 1, 33, 5000]
        assert await unit.words("InOutWRte_WinTms") == (7,)


@pytest.mark.parametrize(("scale", "rate"), [(0, 40), (-1, 400), (-2, 4000)])
async def test_rates_follow_their_scale_factor(scale: int, rate: int) -> None:
    whole = round(100 / 10**scale)
    async for unit in unit_with(InOutWRte_SF=scale, InWRte=whole, OutWRte=whole):
        await unit.setpoint.write(2000)
        assert await unit.rates() == (rate, -rate)
        assert unit.setpoint.capability.step == pytest.approx(5000 / whole)


async def test_more_than_the_rating_is_not_written() -> None:
    async for unit in unit_with():
        with pytest.raises(ScrapeError, match="5000 W at most"):
            await unit.setpoint.write(5001)
        assert await unit.words("StorCtl_Mod") == (0,)


@pytest.mark.parametrize("control", [1, 2, 3])
async def test_a_limit_of_somebody_else_is_left_as_it_is(control: int) -> None:
    async for unit in unit_with(StorCtl_Mod=control, InWRte=5000, OutWRte=10_000):
        # Both limits with rates that differ are no set-point either.
        assert math.isnan(await unit.setpoint.read())
        with pytest.raises(ScrapeError, match=f"StorCtl_Mod {control}"):
            await unit.setpoint.write(1000)
        assert await unit.words("StorCtl_Mod") == (control,)
        assert await unit.rates() == (5000, 10_000)


@pytest.mark.parametrize(
    "lacking", [{"InOutWRte_RvrtTms": 0xFFFF}, {"WChaMax": 0}, {"InOutWRte_SF": -0x8000}]
)
async def test_a_device_without_reversion_rating_or_scale_is_not_written(
    lacking: dict[str, int],
) -> None:
    async for unit in unit_with(**lacking):
        assert not unit.setpoint.is_there
        with pytest.raises(ScrapeError):
            await unit.setpoint.write(1000)
        assert await unit.words("StorCtl_Mod") == (0,)
