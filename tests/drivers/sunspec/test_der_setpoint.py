"""Set-points of model 704 at pymodbus's server, against the model that the Alliance publishes."""

from __future__ import annotations

import json
import math
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import sunspec2

from exporter.drivers.sunspec.der_setpoint import MODEL, DerSetpoint
from exporter.drivers.sunspec.discovery import SunSpecUnit
from exporter.drivers.transport.modbus.frames import Function, Request
from exporter.drivers.transport.modbus.gateway import Gateway
from exporter.model.snapshot import ScrapeError
from tests.drivers.modbus_peers import pymodbus_server

LENGTH = 65
BASE = 40_000
COMMON = 66
START = BASE + 2 + 2 + COMMON
DEFINITION = Path(sunspec2.__file__).parent / "models/json/model_704.json"


def offsets() -> dict[str, int]:
    """Register of each point from the start of the model."""
    found, at = {}, 0
    points: list[dict[str, Any]] = json.loads(DEFINITION.read_text("utf-8"))["group"]["points"]
    for point in points:
        found[point["name"]] = at
        at += point["size"]
    return found


AT = offsets()


def registers(scale: int = 0, **points: int) -> dict[int, int]:
    found = {BASE: 0x5375, BASE + 1: 0x6E53, BASE + 2: 1, BASE + 3: COMMON}
    found |= dict.fromkeys(range(BASE + 4, BASE + 4 + COMMON), 0)
    found |= dict.fromkeys(range(START, START + 2 + LENGTH), 0)
    found |= {START: MODEL, START + 1: LENGTH, START + AT["WSet_SF"]: scale & 0xFFFF}
    found |= {START + AT[name]: value for name, value in points.items()}
    return found | {START + 2 + LENGTH: 0xFFFF, START + 3 + LENGTH: 0}


class Unit:
    """A unit at a server, and its set-point."""

    def __init__(self, port: int) -> None:
        self.gateway = Gateway("127.0.0.1", port)
        self.unit = SunSpecUnit(self.gateway, 1, lambda: 0.0)
        self.setpoint = DerSetpoint([self.unit])

    async def words(self, name: str, count: int = 1) -> tuple[int, ...]:
        request = Request(1, Function.HOLDING, START + AT[name], count)
        return await self.gateway.read(request)


async def unit_at(scale: int = 0, **points: int) -> AsyncIterator[Unit]:
    async with pymodbus_server({1: registers(scale, **points)}) as port:
        unit = Unit(port)
        assert not unit.setpoint.is_there
        await unit.unit.read()
        yield unit
        unit.gateway.close()


@pytest.mark.parametrize(("scale", "written"), [(0, -2400), (1, -240), (-1, -24_000)])
async def test_charging_is_negative_power_with_a_time_of_reversion(
    scale: int, written: int
) -> None:
    async for unit in unit_at(scale, WSetPct=77):
        assert unit.setpoint.is_there
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


async def test_a_device_without_a_scale_factor_is_not_written() -> None:
    async for unit in unit_at(-0x8000):
        with pytest.raises(ScrapeError, match="scale factor"):
            await unit.setpoint.write(500)
        assert await unit.words("WSetEna") == (0,)
