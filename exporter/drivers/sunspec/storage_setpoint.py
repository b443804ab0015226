"""The charge and discharge rates of SunSpec model 124, with its own reversion as the lease.

Source: SunSpec Information Model Reference, model 124 (basic storage controls). Both rates are
limits in percent of ``WChaMax``. A negative rate is the least power of the other direction, so that
``InWRte`` = x and ``OutWRte`` = -x leave charging at x alone (Fronius, "Modbus TCP & RTU", storage
control). ``ChaGriSet``, whether the battery may charge from the grid, is the device's own switch
and is not written.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from exporter.drivers.base import Capability
from exporter.drivers.sunspec.discovery import SunSpecUnit
from exporter.drivers.sunspec.model_rows import Model, Place
from exporter.drivers.sunspec.model_setpoint import REVERSION_SECONDS, ModelSetpoint
from exporter.drivers.transport.modbus.frames import Function, Request
from exporter.drivers.transport.modbus.words import WordType, decode, scaled
from exporter.model.snapshot import ScrapeError

MODEL = 124
# Registers from the start of the model.
_RATED, _CONTROL, _RATES, _TIME = 2, 5, 12, 15
_RATED_SCALE, _RATE_SCALE = 18, 25
_BOTH_LIMITS = 3
_NOT_IMPLEMENTED = 0xFFFF
_WHOLE_PERCENT = 100.0


class StorageSetpoint:
    """Writes and reads the battery power of the first unit that has the model.

    Parameters
    ----------
    units : sequence of SunSpecUnit
    """

    def __init__(self, units: Sequence[SunSpecUnit]) -> None:
        self._model = ModelSetpoint(units, MODEL, _RATE_SCALE)
        self._rated_w = math.nan
        self._step_w = 0.0

    @property
    def is_there(self) -> bool:
        """Whether a unit is known to have it, with its rating and a time of reversion."""
        return self._model.found() is not None and not math.isnan(self._rated_w)

    @property
    def capability(self) -> Capability:
        """The battery power, in steps of what its rates resolve."""
        most_w = self._rated_w
        return Capability("W", -most_w, most_w, True, float(REVERSION_SECONDS), self._step_w)

    def see(self, models: Sequence[Model]) -> None:
        """Take in the ratings of a model that was just read."""
        for model in models:
            if model.place.model == MODEL and len(model.words) > _RATE_SCALE:
                try:
                    self._rate(model.words)
                except ScrapeError:
                    self._rated_w = math.nan

    async def write(self, value: float) -> None:
        """Set the battery power, W, positive when charging.

        Raises
        ------
        ScrapeError
            Also where somebody else limits the battery, since that limit could not be given back,
            and where the device does not hold the time of reversion.
        """
        unit, place = self._model.place()
        words = await self._read(unit, place)
        control = words[_CONTROL]
        if control and math.isnan(self._held_w(words)):
            raise self._model.refuse(f"the battery is limited already (StorCtl_Mod {control})")
        percent = _WHOLE_PERCENT * value / self._rated_w
        if abs(percent) > _WHOLE_PERCENT + 1e-9:
            raise self._model.refuse(f"takes {self._rated_w:.0f} W at most (WChaMax)")
        raw = round(scaled(percent, -self._rate_scale(words)))
        await self._write_rates(unit, place, words, (-raw, raw), REVERSION_SECONDS)
        # Without the rates the limits would hold what was there before.
        await self._model.put(unit, place, _CONTROL, (_BOTH_LIMITS,))
        self._model.check_lease((await self._read(unit, place))[_TIME])

    async def release(self) -> None:
        """Lift both limits, and leave the rates at 100 %. Raises as :meth:`write` does."""
        unit, place = self._model.place()
        words = await self._read(unit, place)
        await self._model.put(unit, place, _CONTROL, (0,))
        raw = round(scaled(_WHOLE_PERCENT, -self._rate_scale(words)))
        await self._write_rates(unit, place, words, (raw, raw), 0)

    async def read(self) -> float:
        """The battery power that is forced, W; NaN where none is. Raises as :meth:`write` does."""
        return self._held_w(await self._read(*self._model.place()))

    def _held_w(self, words: Sequence[int]) -> float:
        discharge = decode(words[_RATES : _RATES + 1], WordType.I16)
        charge = decode(words[_RATES + 1 : _RATES + 2], WordType.I16)
        if words[_CONTROL] & _BOTH_LIMITS != _BOTH_LIMITS or charge != -discharge:
            return math.nan
        return charge * self._step_w + 0.0

    async def _read(self, unit: SunSpecUnit, place: Place) -> Sequence[int]:
        """The whole model; its ratings are kept."""
        request = Request(unit.unit, Function.HOLDING, place.address, _RATE_SCALE + 1)
        words = await unit.gateway.read(request)
        if words[0] != MODEL:
            raise self._model.refuse("is not where it was found")
        self._rate(words)
        return words

    def _rate(self, words: Sequence[int]) -> None:
        scale = self._model.power_of_ten(words[_RATED_SCALE], "WChaMax")
        if words[_RATED] in (0, _NOT_IMPLEMENTED):
            raise self._model.refuse("has no WChaMax")
        if words[_TIME] == _NOT_IMPLEMENTED:
            # Without it nothing would end what a dispatcher that died has left.
            raise self._model.refuse("has no time of reversion")
        self._rated_w = scaled(words[_RATED], scale)
        self._step_w = scaled(self._rated_w / _WHOLE_PERCENT, self._rate_scale(words))

    def _rate_scale(self, words: Sequence[int]) -> int:
        return self._model.power_of_ten(words[_RATE_SCALE], "InWRte")

    async def _write_rates(
        self,
        unit: SunSpecUnit,
        place: Place,
        words: Sequence[int],
        rates: tuple[int, int],
        seconds: int,
    ) -> None:
        """Both rates and their reversion in one write; the window of change stays as it is."""
        encoded = [word for rate in rates for word in self._model.encoded(rate, WordType.I16)]
        window = words[_TIME - 1]
        await self._model.put(unit, place, _RATES, (*encoded, window, seconds))
