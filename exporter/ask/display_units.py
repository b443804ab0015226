"""Units that an answer is shown in where the question names one, such as °F."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any

from exporter.ask.answer import Answer, Column, Table
from exporter.ask.catalogue import Metric


@dataclass(frozen=True, slots=True)
class DisplayUnit:
    """``value * scale + offset`` of a value in the unit ``of``, with so many more decimals."""

    name: str
    of: str
    scale: float
    offset: float = 0.0
    more_decimals: int = 0

    def value(self, value: float, *, difference: bool = False) -> float:
        """A value in this unit."""
        return value * self.scale + (0.0 if difference else self.offset)

    def decimals(self, decimals: int) -> int:
        """How many decimals a value has that has so many in its own unit."""
        return max(0, decimals + self.more_decimals)


DISPLAY_UNITS: Mapping[str, DisplayUnit] = {
    unit.name: unit
    for unit in (
        DisplayUnit("°F", "°C", 1.8, 32.0),
        DisplayUnit("kW", "W", 0.001, more_decimals=2),
        DisplayUnit("MWh", "kWh", 0.001, more_decimals=2),
        DisplayUnit("mV", "V", 1000.0, more_decimals=-3),
    )
}
# Columns of a change, not of a level.
_DIFFERENCES = {"per_day", "change"}
_UNITLESS = {"z"}
_shown_in: ContextVar[DisplayUnit | None] = ContextVar("shown_in", default=None)


@contextmanager
def shown_in(unit: str | None) -> Iterator[None]:
    """Put the figures of sentences into a unit until the block ends."""
    before = _shown_in.set(DISPLAY_UNITS[unit] if unit else None)
    try:
        yield
    finally:
        _shown_in.reset(before)


def unit_of(metric: Metric) -> DisplayUnit | None:
    """The unit that figures of a metric are shown in, None for its own."""
    unit = _shown_in.get()
    return unit if unit is not None and unit.of == metric.unit else None


def converted(answer: Answer, name: str) -> Answer:
    """The answer with its tables in a unit; the evidence keeps the unit of the readings."""
    unit = DISPLAY_UNITS[name]
    tables = [_table(table, unit) for table in answer.tables]
    if answer.evidence.readings:
        answer.evidence.notes.append(
            f"Shown in {unit.name}; readings under evidence are in {unit.of}"
        )
    return replace(answer, tables=tables)


def _table(table: Table, unit: DisplayUnit) -> Table:
    ours = [c for c in table.columns if c.kind == "number" and c.unit == unit.of]
    bare = [
        c.key for c in table.columns if c.kind == "number" and not c.unit and c.key not in _UNITLESS
    ]
    rows = [_row(row, [c.key for c in ours], bare, unit) for row in table.rows]
    return replace(
        table, columns=tuple(_column(c, c in ours, unit) for c in table.columns), rows=rows
    )


def _column(column: Column, is_ours: bool, unit: DisplayUnit) -> Column:
    if not is_ours:
        return column
    return replace(column, unit=unit.name, decimals=unit.decimals(column.decimals))


def _row(
    row: dict[str, Any], keys: list[str], bare: list[str], unit: DisplayUnit
) -> dict[str, Any]:
    named = row.get("unit") == unit.of
    found = dict(row)
    for key in [*keys, *(bare if named else [])]:
        if isinstance(row.get(key), (int, float)):
            found[key] = unit.value(float(row[key]), difference=key in _DIFFERENCES)
    if named:
        found["unit"] = unit.name
        if "decimals" in row:
            found["decimals"] = unit.decimals(row["decimals"])
    return found
