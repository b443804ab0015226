"""The active power set-point of SunSpec model 704, with its own reversion as the lease.

Source: SunSpec DER Information Model Specification, model 704. Power is positive when a unit feeds
in, so that a battery's charging is negative there. When its time is over without a new write the
device disables the set-point by itself. The time of reversion is optional in the model; a device
without one is not written.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from exporter.drivers.base import Capability
from exporter.drivers.sunspec.discovery import SunSpecUnit
from exporter.drivers.sunspec.model_rows import Model, Place
from exporter.drivers.sunspec.model_setpoint import REVERSION_SECONDS, ModelSetpoint
from exporter.drivers.transport.modbus.frames import Function, Request
from exporter.drivers.transport.modbus.words import WordType, decode, encode, scale_factor, scaled

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
        self._step_w = math.nan

    @property
    def is_there(self) -> bool:
        """Whether a unit is known to have it, with a scale factor and a time of reversion."""
        return self._model.found() is not None and not math.isnan(self._step_w)

    @property
    def capability(self) -> Capability:
        """The battery power, in steps of what its scale factor resolves."""
        return replace(CAPABILITY, step=self._step_w)

    def see(self, models: Sequence[Model]) -> None:
        """Take in the scale factor of a model that was just read."""
        for model in models:
            words = model.words
            if model.place.model != MODEL or len(words) <= _SCALE:
                continue
            power = scale_factor(words[_SCALE])
            unknown = power is None or math.isnan(_seconds(words[_FIRST:]))
            self._step_w = math.nan if unknown else scaled(1.0, power or 0)

    async def write(self, value: float) -> None:
        """Set the battery power, W, positive when charging.

        Raises
        ------
        ScrapeError
            Also where the device does not hold the time of reversion.
        """
        unit, place = self._model.place()
        words, scale = await self._read(unit, place)
        power = self._model.encoded(scaled(-value, -scale), WordType.I32)
        words[_ENABLED], words[_MODE] = 1, _WATTS
        words[_POWER : _POWER + 2] = power
        words[_ENABLED_AFTER] = 0
        words[_TIME : _TIME + 2] = encode(REVERSION_SECONDS, WordType.U32)
        await self._model.put(unit, place, _FIRST, tuple(words))
        words, _ = await self._read(unit, place)
        self._model.check_lease(_seconds(words))

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


def _seconds(words: Sequence[int]) -> float:
    """The time of reversion, NaN where the device has none."""
    return decode(words[_TIME : _TIME + 2], WordType.U32)
