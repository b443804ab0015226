"""Which models a unit has, and their registers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from exporter.drivers.sunspec.model_rows import Model, Place
from exporter.drivers.transport.modbus.frames import (
    MOST_REGISTERS,
    NO_SUCH_UNIT,
    ExceptionReplyError,
    Function,
    Request,
)
from exporter.drivers.transport.modbus.gateway import Gateway
from exporter.model.snapshot import Outcome, ScrapeError

BASES = (40000, 50000, 0)
DISCOVER_SECONDS = 3600.0
_MARK = (0x5375, 0x6E53)  # "SunS"
_END = 0xFFFF
_COMMON = 1
# Far above what any device has; a chain that does not end must end here.
MOST_MODELS = 256
MOST_WORDS = 16_384


@dataclass(slots=True, eq=False)
class SunSpecUnit:
    """One unit: finds its models, and reads those that readings are made of.

    Attributes
    ----------
    gateway : Gateway
    unit : int
    monotonic : callable
    base : int or None
        Address at which its models were found.
    """

    gateway: Gateway
    unit: int
    monotonic: Callable[[], float]
    base: int | None = None
    _places: list[Place] = field(default_factory=list)
    _last: list[Place] = field(default_factory=list)
    _known_until: float = 0.0
    _common: list[Model] = field(default_factory=list)

    @property
    def known_models(self) -> list[int]:
        """Ids of its models as they were found last; 0 alone where none were."""
        return [place.model for place in self._last] or [0]

    def place_of(self, model: int) -> Place | None:
        """Where the unit has a model, as found last; None where it has none."""
        return next((place for place in self._last if place.model == model), None)

    async def read(self) -> list[Model]:
        """The models of the unit that are known to us, with their registers.

        Raises
        ------
        ScrapeError
            When the unit does not answer, or has no SunSpec models.
        """
        if not self._places or self.monotonic() >= self._known_until:
            await self._discover()
        models = list(self._common)
        for place in self._places:
            if place.wanted and place.model != _COMMON:
                models.append(await self._read_model(place))
        return models

    async def _discover(self) -> None:
        self._places, self._common = [], []
        self.base = await self._find_base()
        self._places = await self._walk(self.base + len(_MARK))
        for place in self._places:
            # What it says of itself changes with its firmware only.
            if place.model == _COMMON and not self._common:
                self._common = [await self._read_model(place)]
        self._last = self._places
        self._known_until = self.monotonic() + DISCOVER_SECONDS

    async def _find_base(self) -> int:
        for base in BASES:
            try:
                if await self._words(base, len(_MARK)) == _MARK:
                    return base
            except ExceptionReplyError as error:
                if error.code in NO_SUCH_UNIT:
                    raise
        bases = ", ".join(map(str, BASES))
        detail = f"unit {self.unit}: no SunSpec models at {bases}"
        raise ScrapeError(Outcome.MALFORMED, detail)

    async def _walk(self, address: int) -> list[Place]:
        places: list[Place] = []
        wanted = 0
        for _ in range(MOST_MODELS):
            try:
                model, length = await self._words(address, 2)
            except ExceptionReplyError:
                # Some devices end their chain by having no more registers.
                break
            if model == _END:
                break
            place = Place(model, address, length)
            if length == 0 or address + 2 + length > _END or wanted + place.wanted > MOST_WORDS:
                detail = f"unit {self.unit}: model {model} of {length} registers at {address}"
                raise ScrapeError(Outcome.MALFORMED, f"{detail} does not end within the device")
            places.append(place)
            wanted += place.wanted
            address += 2 + length
        if not places:
            raise ScrapeError(Outcome.MALFORMED, f"unit {self.unit}: has no SunSpec model")
        return places

    async def _read_model(self, place: Place) -> Model:
        words: list[int] = []
        while len(words) < place.wanted:
            count = min(MOST_REGISTERS, place.wanted - len(words))
            words += await self._words(place.address + len(words), count)
        if (words[0], words[1]) != (place.model, place.length):
            self._places = []
            detail = (
                f"unit {self.unit}: model {place.model} was at register {place.address}, now "
                f"model {words[0]} is"
            )
            raise ScrapeError(Outcome.MALFORMED, detail)
        return Model(place, words)

    async def _words(self, address: int, count: int) -> tuple[int, ...]:
        return await self.gateway.read(Request(self.unit, Function.HOLDING, address, count))
