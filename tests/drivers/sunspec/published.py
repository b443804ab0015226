"""Units with one control model, laid out as the SunSpec Alliance publishes it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import sunspec2

from exporter.drivers.sunspec.discovery import SunSpecUnit
from exporter.drivers.transport.modbus.frames import Function, Request, WriteRequest
from exporter.drivers.transport.modbus.gateway import Gateway

BASE = 40_000
COMMON = 66
START = BASE + 2 + 2 + COMMON
_DEFINITIONS = Path(sunspec2.__file__).parent / "models/json"


@cache
def points(model: int) -> Mapping[str, dict[str, Any]]:
    """Points of a model by name, each with ``at``: its register from the start of the model."""
    found: dict[str, dict[str, Any]] = {}
    at = 0
    listed: list[dict[str, Any]] = json.loads(
        (_DEFINITIONS / f"model_{model}.json").read_text("utf-8")
    )["group"]["points"]
    for point in listed:
        found[point["name"]] = {**point, "at": at}
        at += int(point["size"])
    return found


def registers(model: int, length: int, **values: int) -> dict[int, int]:
    """All registers of a unit: the common model, the one asked for, and the end."""
    found = {BASE: 0x5375, BASE + 1: 0x6E53, BASE + 2: 1, BASE + 3: COMMON}
    found |= dict.fromkeys(range(BASE + 4, BASE + 4 + COMMON), 0)
    found |= dict.fromkeys(range(START, START + 2 + length), 0)
    found |= {START: model, START + 1: length}
    for name, value in values.items():
        point = points(model)[name]
        size = int(point["size"])
        for n in range(size):
            found[START + point["at"] + n] = value >> 16 * (size - 1 - n) & 0xFFFF
    return found | {START + 2 + length: 0xFFFF, START + 3 + length: 0}


class PublishedUnit:
    """A unit at a server."""

    def __init__(self, port: int, model: int) -> None:
        self.gateway = Gateway("127.0.0.1", port)
        self.unit = SunSpecUnit(self.gateway, 1, lambda: 0.0)
        self._model = model

    async def words(self, name: str, count: int = 1) -> tuple[int, ...]:
        """Registers from a point on."""
        address = START + points(self._model)[name]["at"]
        return await self.gateway.read(Request(1, Function.HOLDING, address, count))

    async def set(self, name: str, *words: int) -> None:
        """Write registers from a point on."""
        address = START + points(self._model)[name]["at"]
        await self.gateway.write(WriteRequest(1, address, words))

    async def signed(self, name: str) -> int:
        """A point of one register, as its type says."""
        (word,) = await self.words(name)
        kind = points(self._model)[name]["type"]
        return word - 0x10000 if kind in ("int16", "sunssf") and word & 0x8000 else word
