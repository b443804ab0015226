"""Set-points of SunSpec models: the unit that has the model, and its powers of ten."""

from __future__ import annotations

from collections.abc import Sequence

from exporter.drivers.sunspec.discovery import SunSpecUnit
from exporter.drivers.sunspec.model_rows import Place
from exporter.drivers.transport.modbus.frames import WriteRequest
from exporter.drivers.transport.modbus.words import WordType, encode, scale_factor
from exporter.model.snapshot import Outcome, ScrapeError

REVERSION_SECONDS = 60


class ModelSetpoint:
    """What set-points of all models share.

    Parameters
    ----------
    units : sequence of SunSpecUnit
    model : int
    last : int
        The last register, from the start of the model, that the set-point needs.
    """

    def __init__(self, units: Sequence[SunSpecUnit], model: int, last: int) -> None:
        self._units, self._model, self._last = units, model, last

    def found(self) -> tuple[SunSpecUnit, Place] | None:
        """The first unit that is known to have it, and where; None without one."""
        for unit in self._units:
            place = unit.place_of(self._model)
            if place is not None and place.length + 2 > self._last:
                return unit, place
        return None

    def place(self) -> tuple[SunSpecUnit, Place]:
        """As :meth:`found`; raises ScrapeError without one."""
        found = self.found()
        if found is None:
            raise ScrapeError(Outcome.MALFORMED, f"no unit has SunSpec model {self._model}")
        return found

    def refuse(self, what: str) -> ScrapeError:
        """What to raise where the model does not allow something."""
        return ScrapeError(Outcome.MALFORMED, f"model {self._model}: {what}")

    def power_of_ten(self, word: int, what: str) -> int:
        """The scale factor in a register; raises ScrapeError where it holds none."""
        power = scale_factor(word)
        if power is None:
            raise self.refuse(f"has no scale factor of {what}")
        return power

    def encoded(self, value: float, kind: WordType) -> tuple[int, ...]:
        """A number as registers; raises ScrapeError where they cannot hold it."""
        try:
            return encode(value, kind)
        except ValueError as error:
            raise self.refuse(str(error)) from error

    def check_lease(self, seconds: float) -> None:
        """Take in the time of reversion that a device holds after a write.

        Raises
        ------
        ScrapeError
            Where it holds none, or a longer one: nothing would end the set-point in time.
        """
        if not 0 < seconds <= REVERSION_SECONDS:
            held = f"{seconds:.0f} s" if seconds > 0 else "none"
            raise self.refuse(f"holds {held} in place of {REVERSION_SECONDS} s until reversion")

    @staticmethod
    async def put(unit: SunSpecUnit, place: Place, register: int, words: tuple[int, ...]) -> None:
        """Write registers from ``register`` of the model on; raises ScrapeError."""
        await unit.gateway.write(WriteRequest(unit.unit, place.address + register, words))
