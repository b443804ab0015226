"""The active power set-point of SunSpec model 704, with its own reversion as the lease.

Source: SunSpec DER Information Model Specification, model 704. Power is positive when a unit feeds
in, so that a battery's charging is negative there. When its time is over without a new write the
device disables the set-point by itself.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from exporter.drivers.base import Capability
from exporter.drivers.sunspec.discovery import SunSpecUnit
from exporter.drivers.sunspec.model_rows import Place
from exporter.drivers.sunspec.model_setpoint import REVERSION_SECONDS, ModelSetpoint
from exporter.drivers.transport.modbus.frames import Function, Request
from exporter.drivers.transport.modbus.words import WordType, decode, encode, scaled

MODEL = 704
# Registers from the start of the model, all of which are written together: enabled, mode, power,
# power after reversion, two percentages, enabled after reversion, time of reversion.
_FIRST, _COUNT = 22, 11
_ENABLED, _MODE, _POWER, _ENABLED_AFTER, _TIME = 0, 1, 2, 8, 9
_SCALE = 55
_WATTS = 1

CAPABILITY = Capability("W", -1e7, 1e7, True, float(REVERSION_SECONDS))


class DerSetpoint:
    """Writes and reads the set-point of the first unit that has it.

    Parameters
    ----------
    units : sequence of SunSpecUnit
    """

    def __init__(self, units: Sequence[SunSpecUnit]) -> None:
        self._model = ModelSetpoint(units, MODEL, _SCALE)

    @property
    def is_there(self) -> bool:
        """Whether a unit is known to have it."""
        return self._model.found() is not None

    @property
    def capability(self) -> Capability:
        """The battery power."""
        return CAPABILITY

    async def write(self, value: float) -> None:
        """Set the battery power, W, positive when charging.

        Raises
        ------
        ScrapeError
        """
        unit, place = self._model.place()
        words, scale = await self._read(unit, place)
        power = self._model.encoded(scaled(-value, -scale), WordType.I32)
        words[_ENABLED], words[_MODE] = 1, _WATTS
        words[_POWER : _POWER + 2] = power
        words[_ENABLED_AFTER] = 0
        words[_TIME : _TIME + 2] = encode(REVERSION_SECONDS, WordType.U32)
        await self._model.put(unit, place, _FIRST, tuple(words))

    async def release(self) -> None:
        """Disable the set-point. Raises as :meth:`write` does."""
        await self._model.put(*self._model.place(), _FIRST, (0,))

    async def read(self) -> float:
        """The battery power that is set, W; NaN where none is. Raises as :meth:`write` does."""
        words, scale = await self._read(*self._model.place())
        if words[_ENABLED] != 1 or words[_MODE] != _WATTS:
            return math.nan
        return scaled(-decode(words[_POWER : _POWER + 2], WordType.I32), scale)

    async def _read(self, unit: SunSpecUnit, place: Place) -> tuple[list[int], int]:
        """The registers of the set-point, and the power of ten of its unit."""
        count = _SCALE - _FIRST + 1
        request = Request(unit.unit, Function.HOLDING, place.address + _FIRST, count)
        words = await unit.gateway.read(request)
        return list(words[:_COUNT]), self._model.power_of_ten(words[-1], "its power")
