"""The registers of a GX device, made of the trees of its services.

Source: Victron's published register list. The map is our own, and none of the exporter's, so that
a mistake in one of them shows. As the real one does, a GX writes 0 where a path has no value.
"""

from __future__ import annotations

import csv
import functools
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simulator.devices import SiteBus
from simulator.devices.names import (
    BATTERY_INSTANCE,
    GRID_INSTANCE,
    MULTI_INSTANCE,
    PV_INSTANCE,
    SOLAR_INSTANCE,
    VEBUS_INSTANCE,
)

_FILE = Path(__file__).parent / "gx-registers.csv"
SYSTEM_UNIT = 100
# The multi's instance is 0, whose unit is the system's too: each has registers of its own.
UNITS = {
    0: (("multi", MULTI_INSTANCE), ("system", 0), ("settings", 0)),
    SYSTEM_UNIT: (("system", 0), ("settings", 0)),
    225: (("battery", BATTERY_INSTANCE),),
    226: (("solarcharger", SOLAR_INSTANCE),),
    227: (("vebus", VEBUS_INSTANCE),),
    GRID_INSTANCE: (("grid", GRID_INSTANCE),),
    PV_INSTANCE: (("pvinverter", PV_INSTANCE),),
}
_FORMS = {"u16": (">H", 0, 0xFFFF), "i16": (">h", -0x8000, 0x7FFF)}
_FORMS |= {"u32": (">I", 0, 0xFFFFFFFF), "i32": (">i", -0x80000000, 0x7FFFFFFF)}
_RESERVED = 0xFFFF


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the map: what stands from ``register`` on. Text has its length in ``count``."""

    path: str
    register: int
    type: str
    count: int
    divisor: float

    def words(self, value: Any) -> tuple[int, ...]:
        """The registers for a value; an absent one is 0."""
        if self.type == "none":
            return (_RESERVED,) * self.count
        if self.type == "text":
            text = (value if isinstance(value, str) else "").encode("latin-1", "replace")
            size = 2 * self.count
            return struct.unpack(f">{self.count}H", text[:size].ljust(size, b"\0"))
        form, low, high = _FORMS[self.type]
        known = isinstance(value, int | float) and not isinstance(value, bool)
        scaled = round(value * self.divisor) if known else 0
        packed = struct.pack(form, max(low, min(high, scaled)))
        return struct.unpack(f">{self.count}H", packed)


def _form(written: str) -> tuple[str, int]:
    """A type of the file and its registers: ``text6`` is text of six."""
    if written in _FORMS:
        return written, struct.calcsize(_FORMS[written][0]) // 2
    return written[:4], int(written[4:])


@functools.cache
def rows(kind: str) -> tuple[Row, ...]:
    """The rows of one class of devices."""
    found = []
    with _FILE.open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["service"] != kind:
                continue
            name, count = _form(row["type"])
            divisor = float(row["divisor"] or 1)
            found.append(Row(row["path"], int(row["register"]), name, count, divisor))
    return tuple(found)


class GxUnits:
    """The units behind the GX of one site.

    Parameters
    ----------
    bus : SiteBus
    """

    def __init__(self, bus: SiteBus) -> None:
        self._bus = bus

    def registers(self, unit: int, address: int, count: int) -> Mapping[int, int] | None:
        """See :class:`simulator.modbus.server.Units`."""
        found: dict[int, int] = {}
        there = False
        for kind, _ in UNITS.get(unit, ()):
            name = self._service(kind)
            tree = self._bus.tree(name) if name else None
            if tree is None:
                continue
            there = True
            for row in rows(kind):
                if row.register + row.count > address and row.register < address + count:
                    found |= dict(enumerate(row.words(tree.get(row.path)), row.register))
        return found if there else None

    def _service(self, kind: str) -> str | None:
        if kind in ("system", "settings"):
            return f"com.victronenergy.{kind}"
        name: str | None = getattr(self._bus.names(), kind)
        return name
