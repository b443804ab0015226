"""The active power set-point of SunSpec model 704, with its own reversion as the lease.

Source: SunSpec DER Information Model Specification, model 704. Power is positive when a unit feeds
in, so that a battery's charging is negative there. When its time is over without a new write the
device disables the set-point by itself.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from exporter.drivers.base import Capability
from exporter.drivers.sunspec.discovery import SunSpecUnit, unit_with
from exporter.drivers.sunspec.model_rows import Place
from exporter.drivers.transport.modbus.frames import Function, Request, WriteRequest
from exporter.drivers.transport.modbus.words import WordType, decode, encode
from exporter.model.snapshot import Outcome, ScrapeError

MODEL = 704
REVERSION_SECONDS = 60
# Registers from the start of the model, all of which are written together: enabled, mode, power,
# power after reversion, two percentages, enabled after reversion, time of reversion.
_FIRST, _COUNT = 22, 11
_ENABLED, _MODE, _POWER, _ENABLED_AFTER, _TIME = 0, 1, 2, 8, 9
_SCALE = 55
_WATTS = 1
_SCALES = range(-10, 11)

CAPABILITY = Capability("W", -1e7, 1e7, True, float(REVERSION_SECONDS))


class DerSetpoint:
    """Writes and reads the set-point of the first unit that has it.

    Parameters
    ----------
    units : sequence of SunSpecUnit
    """

    def __init__(self, units: Sequence[SunSpecUnit]) -> None:
        self._units = units

    @property
    def is_there(self) -> bool:
        """Whether a unit is known to have it."""
        return self._found() is not None

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
        unit, place = self._place()
        words, scale = await self._read(unit, place)
        try:
            power = encode(-value / 10.0**scale, WordType.I32)
        except ValueError as error:
            raise ScrapeError(Outcome.MALFORMED, f"model {MODEL}: {error}") from error
        words[_ENABLED], words[_MODE] = 1, _WATTS
        words[_POWER : _POWER + 2] = power
        words[_ENABLED_AFTER] = 0
        words[_TIME : _TIME + 2] = encode(REVERSION_SECONDS, WordType.U32)
        address = place.address + _FIRST
        await unit.gateway.write(WriteRequest(unit.unit, address, tuple(words)))

    async def release(self) -> None:
        """Disable the set-point. Raises as :meth:`write` does."""
        unit, place = self._place()
        await unit.gateway.write(WriteRequest(unit.unit, place.address + _FIRST, (0,)))

    async def read(self) -> float:
        """The battery power that is set, W; NaN where none is. Raises as :meth:`write` does."""
        unit, place = self._place()
        words, scale = await self._read(unit, place)
        if words[_ENABLED] != 1 or words[_MODE] != _WATTS:
            return math.nan
        return -decode(words[_POWER : _POWER + 2], WordType.I32) * 10.0**scale

    async def _read(self, unit: SunSpecUnit, place: Place) -> tuple[list[int], int]:
        """The registers of the set-point, and the power of ten of its unit."""
        count = _SCALE - _FIRST + 1
        request = Request(unit.unit, Function.HOLDING, place.address + _FIRST, count)
        words = await unit.gateway.read(request)
        scale = decode(words[-1:], WordType.I16)
        if scale not in _SCALES:
            raise ScrapeError(Outcome.MALFORMED, f"model {MODEL}: has no scale factor of its power")
        return list(words[:_COUNT]), int(scale)

    def _place(self) -> tuple[SunSpecUnit, Place]:
        found = self._found()
        if found is None:
            raise ScrapeError(Outcome.MALFORMED, f"no unit has SunSpec model {MODEL}")
        return found

    def _found(self) -> tuple[SunSpecUnit, Place] | None:
        return unit_with(self._units, MODEL, _SCALE)
