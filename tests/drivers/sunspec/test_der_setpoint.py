"""Set-points of model 704 at pymodbus's server, against the model that the Alliance publishes."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator

import pytest

from exporter.drivers.sunspec.der_setpoint import MODEL, DerSetpoint
from exporter.model.snapshot import ScrapeError
from tests.drivers.modbus_peers import pymodbus_server
from tests.drivers.sunspec.published import PublishedUnit, registers

LENGTH = 65


class Unit(PublishedUnit):
    def __init__(self, port: int) -> None:
        super().__init__(port, MODEL)
        self.setpoint = DerSetpoint([self.unit])


async def unit_at(scale: int = 0, **points: int) -> AsyncIterator[Unit]:
    async with pymodbus_server({1: registers(MODEL, LENGTH, WSet_SF=scale, **points)}) as port:
        unit = Unit(port)
        assert not unit.setpoint.is_there
        unit.setpoint.see(await unit.unit.read())
        yield unit
        unit.gateway.close()


@pytest.mark.parametrize(("scale", "written"), [(0, -2400), (1, -240), (-1, -24_000)])
async def test_charging_is_negative_power_with_a_time_of_reversion(
    scale: int, written: int
) -> None:
    async for unit in unit_at(scale, WSetPct=77):
        assert unit.setpoint.is_there
        # Orders are rounded to it: a device of hundreds of watts cannot hold 2,034 W.
        assert unit.setpoint.capability.step == 10.0**scale
        assert math.isnan(await unit.setpoint.read())
        await unit.setpoint.write(2400)
        assert await unit.setpoint.read() == pytest.approx(2400)
        high, low = await unit.words("WSet", 2)
        assert (high << 16 | low) - (1 << 32) == written
        assert await unit.words("WSetEna") == (1,)
        assert await unit.words("WSetMod") == (1,)
        assert await unit.words("WSetEnaRvrt") == (0,)
        assert await unit.words("WSetRvrtTms", 2) == (0, 60)
        # What is not ours stays.
        assert await unit.words("WSetPct") == (77,)


async def test_release_disables_it() -> None:
    async for unit in unit_at():
        await unit.setpoint.write(-500)
        assert await unit.setpoint.read() == 500 * -1
        await unit.setpoint.release()
        assert math.isnan(await unit.setpoint.read())
        assert await unit.words("WSetEna") == (0,)


@pytest.mark.parametrize("points", [{"scale": -0x8000}, {"WSetRvrtTms": 0xFFFFFFFF}])
async def test_a_device_without_scale_factor_or_time_of_reversion_has_no_set_point(
    points: dict[str, int],
) -> None:
    async for unit in unit_at(**points):
        assert not unit.setpoint.is_there


async def test_a_scale_factor_that_is_lost_later_ends_writing() -> None:
    async for unit in unit_at():
        await unit.set("WSet_SF", 0x8000)
        with pytest.raises(ScrapeError, match="scale factor"):
            await unit.setpoint.write(500)
        assert await unit.words("WSetEna") == (0,)
