"""The points of SunSpec models, and models as read from a device. Pure, no I/O.

Source: SunSpec Information Model Reference. The rows are our own: the published definitions come
in a package with a client that blocks and a driver of serial ports, and of their 112 models some
hundred points of 35 are needed.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from exporter.drivers.transport.modbus.words import (
    WordType,
    decode,
    decode_text,
    registers_of,
    scale_factor,
    scaled,
)

_FILE = Path(__file__).parent / "models.yaml"
_MODEL = ConfigDict(extra="forbid", frozen=True)
MOST_REPEATS = 256
_NOT_IMPLEMENTED = {
    WordType.U16: frozenset({0xFFFF}),
    WordType.I16: frozenset({-0x8000}),
    WordType.U32: frozenset({0xFFFFFFFF}),
    WordType.U64: frozenset({2**64 - 1}),
}


class Point(BaseModel):
    """One point: ``at`` counts registers from the start of its model or group."""

    model_config = _MODEL

    at: int
    type: WordType | Literal["text", "bits32"]
    count: int = 1
    sf: str | None = None

    @property
    def registers(self) -> int:
        """How many it takes."""
        if self.type == "text":
            return self.count
        return 2 if self.type == "bits32" else registers_of(self.type)


class Group(BaseModel):
    """Points that repeat, ``after`` registers from the start of the model, each of ``size``."""

    model_config = _MODEL

    after: int
    size: int
    points: dict[str, Point]


class ModelRows(BaseModel):
    """What is read of one model, or of several alike."""

    model_config = _MODEL

    models: tuple[int, ...]
    points: dict[str, Point]
    group: Group | None = None
    scale_factors: dict[str, int] = Field(default_factory=dict)

    @property
    def end(self) -> int:
        """Registers from its start that hold all fixed points and scale factors."""
        fixed = [point.at + point.registers for point in self.points.values()]
        return max([2, *fixed, *(at + 1 for at in self.scale_factors.values())])


@functools.cache
def model_rows() -> Mapping[int, ModelRows]:
    """The rows by model id."""
    rows = TypeAdapter(list[ModelRows]).validate_python(yaml.safe_load(_FILE.read_text("utf-8")))
    return {number: row for row in rows for number in row.models}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a device has a model: its id, the address of its first register, and its length,
    without the two registers of the head."""

    model: int
    address: int
    length: int

    @property
    def wanted(self) -> int:
        """Registers from the address on that readings are made of; 0 for an unknown model."""
        row = model_rows().get(self.model)
        if row is None:
            return 0
        return self.length + 2 if row.group else min(self.length + 2, row.end)


@dataclass(frozen=True, slots=True)
class Model:
    """A model as it was read. A point that the device leaves out or cannot give is NaN.

    Attributes
    ----------
    place : Place
    words : sequence of int
        Its registers from the head on, as many as were wanted.
    """

    place: Place
    words: Sequence[int]

    @property
    def rows(self) -> ModelRows:
        """Its points."""
        return model_rows()[self.place.model]

    def number(self, name: str) -> float:
        """A fixed point, scaled; NaN where there is none."""
        point = self.rows.points.get(name)
        return math.nan if point is None else self._number(point, 0)

    def text(self, name: str) -> str:
        """A fixed point of text, empty where there is none."""
        point = self.rows.points.get(name)
        return "" if point is None else decode_text(self._words(point, 0))

    def bits(self, name: str) -> int:
        """A bit field; 0 where it is not implemented."""
        point = self.rows.points.get(name)
        words = self._words(point, 0) if point is not None else ()
        value = words[0] << 16 | words[1] if len(words) == 2 else 0
        # The highest bit says that there is no field.
        return 0 if value >> 31 else value

    def repeats(self) -> list[Repeat]:
        """The groups that the model's length has room for."""
        group = self.rows.group
        if group is None:
            return []
        count = max(0, len(self.words) - group.after) // group.size
        return [
            Repeat(self, group.after + group.size * index) for index in range(count)[:MOST_REPEATS]
        ]

    def _words(self, point: Point, start: int) -> Sequence[int]:
        first = start + point.at
        words = self.words[first : first + point.registers]
        return words if len(words) == point.registers else ()

    def _number(self, point: Point, start: int) -> float:
        words = self._words(point, start)
        if not words or not isinstance(point.type, WordType):
            return math.nan
        value = decode(words, point.type, missing=_NOT_IMPLEMENTED.get(point.type, frozenset()))
        return value if point.sf is None else self._scaled(value, point.sf)

    def _scaled(self, value: float, factor: str) -> float:
        at = self.rows.scale_factors[factor]
        power = scale_factor(self.words[at]) if at < len(self.words) else None
        return math.nan if power is None else scaled(value, power)


@dataclass(frozen=True, slots=True)
class Repeat:
    """One repetition of a model's group."""

    model: Model
    start: int

    def number(self, name: str) -> float:
        """As :meth:`Model.number`."""
        group = self.model.rows.group
        assert group is not None
        return self.model._number(group.points[name], self.start)

    def text(self, name: str) -> str:
        """As :meth:`Model.text`."""
        group = self.model.rows.group
        assert group is not None
        return decode_text(self.model._words(group.points[name], self.start))
