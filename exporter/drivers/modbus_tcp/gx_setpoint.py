"""The volatile set-point of a GX device in registers 2716 and 2717 (Venus 3.50 and later)."""

from __future__ import annotations

import math
from dataclasses import dataclass

from exporter.drivers.transport.modbus.frames import Function, Request, WriteRequest
from exporter.drivers.transport.modbus.gateway import Gateway
from exporter.drivers.transport.modbus.words import WordType, decode, encode

_REGISTER, _COUNT = 2716, 2


@dataclass(frozen=True, slots=True)
class GxSetpoint:
    """Writes and reads the set-point; 0 stands for none, so that 0 W is written as 1 W.

    Attributes
    ----------
    gateway : Gateway
    unit : int
    """

    gateway: Gateway
    unit: int

    async def write(self, value: float) -> None:
        """Set the power at the AC input, W, positive when importing."""
        words = encode(round(value) or 1, WordType.I32)
        await self.gateway.write(WriteRequest(self.unit, _REGISTER, words))

    async def release(self) -> None:
        """Have the device follow its own set-point again."""
        await self.gateway.write(WriteRequest(self.unit, _REGISTER, (0,) * _COUNT))

    async def read(self) -> float:
        """The set-point in force, W; NaN without one."""
        request = Request(self.unit, Function.HOLDING, _REGISTER, _COUNT)
        return decode(await self.gateway.read(request), WordType.I32) or math.nan
