"""The register map of Victron GX devices, and trees of D-Bus paths made of registers. Pure."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field

from exporter.drivers.transport.modbus.unit_reader import Span
from exporter.drivers.transport.modbus.words import WordType, decode, decode_text, registers_of

_FILE = Path(__file__).parent / "victron-gx.yaml"


class GxRegister(BaseModel):
    """One row of the map; the file says what its keys mean."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    at: int = Field(ge=0, le=0xFFFF)
    path: str
    type: WordType | Literal["text"]
    count: int = Field(1, ge=1, le=32)
    scale: float = 1.0
    zero: Literal["value", "missing"] = "value"
    needs: str | None = None

    @property
    def span(self) -> Span:
        """First register, and how many."""
        count = self.count if self.type == "text" else registers_of(self.type)
        return self.at, count

    def read(self, words: Mapping[int, int]) -> float | str | None:
        """The value in these registers; None where there is none or they were not read."""
        first, count = self.span
        found = [words[n] for n in range(first, first + count) if n in words]
        if len(found) < count:
            return None
        if self.type == "text":
            return decode_text(found) or None
        value = decode(found, self.type)
        if math.isnan(value) or (value == 0 and self.zero == "missing"):
            return None
        # Beyond nine digits it is noise of the multiplication.
        return round(value * self.scale, 9)


class GxService(BaseModel):
    """The registers of one class of devices."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    units: tuple[int, ...]
    alive: tuple[str, ...]
    registers: tuple[GxRegister, ...]

    @functools.cached_property
    def spans(self) -> tuple[Span, ...]:
        """What is to be read."""
        return tuple(dict.fromkeys(row.span for row in self.registers))

    @property
    def first(self) -> GxRegister:
        """A register that every device of the class has."""
        return next((r for r in self.registers if r.path in self.alive), self.registers[0])

    def tree(self, words: Mapping[int, int]) -> dict[str, Any]:
        """The paths that have a value; empty where the device gives none at present.

        Parameters
        ----------
        words : mapping
            Register address to its 16 bits.
        """
        found: dict[str, Any] = {}
        for row in self.registers:
            value = row.read(words)
            if value is not None:
                found[row.path] = value
        if self.alive and not any(found.get(path) for path in self.alive):
            return {}
        for row in self.registers:
            if row.needs is not None and row.needs not in found:
                found.pop(row.path, None)
        return found


class GxMap(BaseModel):
    """The whole map."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    largest_gap: int
    instances: dict[int, int]
    services: dict[str, GxService]

    def device(self, kind: str, unit: int) -> str:
        """Id of a device as the HTTP bridge has it: class and instance."""
        return f"{kind}/{self.instances.get(unit, unit)}"


@functools.cache
def gx_map() -> GxMap:
    """The map that ships with the driver."""
    return GxMap.model_validate(yaml.safe_load(_FILE.read_text("utf-8")))


@dataclass(frozen=True, slots=True)
class GxDevice:
    """A device behind a GX: its class, its unit, and the name that its D-Bus service would have."""

    kind: str
    unit: int

    @property
    def service(self) -> str:
        """A service name, unique within the site."""
        return f"com.victronenergy.{self.kind}.unit{self.unit}"
