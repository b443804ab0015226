"""A row that is published: a measurement of :mod:`exporter.portfolio.measurements`, as a line."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from exporter.portfolio.measurements import MEASUREMENTS
from exporter.store.line_protocol import milliseconds, tag, text

FieldValue = float | str


@dataclass(frozen=True, slots=True)
class Figure:
    """One row.

    ``tags`` are values in the order of the measurement's tags; ``time`` is in Unix seconds.
    """

    measurement: str
    tags: tuple[str, ...]
    time: float
    fields: Mapping[str, FieldValue]

    @property
    def place(self) -> tuple[str, tuple[str, ...], int]:
        """What identifies the row in InfluxDB: measurement, tags as they are stored, time."""
        return self.measurement, tuple(tag(t) for t in self.tags), milliseconds(self.time)

    def line(self) -> str:
        """The row in line protocol."""
        names = MEASUREMENTS[self.measurement].tags
        tags = "".join(f",{n}={tag(v)}" for n, v in zip(names, self.tags, strict=True))
        fields = ",".join(
            f"{name}={text(value) if isinstance(value, str) else repr(value)}"
            for name, value in self.fields.items()
        )
        return f"{self.measurement}{tags} {fields} {milliseconds(self.time)}"


def figure(
    measurement: str,
    tags: tuple[str, ...],
    time: float,
    /,
    **fields: Decimal | float | str | bool | None,
) -> Figure | None:
    """A row; None where nothing of it is known. What is None or NaN is left out.

    Raises
    ------
    KeyError
        For a field that the measurement does not have.
    """
    known = MEASUREMENTS[measurement].fields
    kept: dict[str, FieldValue] = {}
    for name, value in fields.items():
        stored = known[name]
        if value is None:
            continue
        if stored.is_text:
            kept[name] = str(value)
            continue
        number = float(value)
        if math.isfinite(number):
            kept[name] = number
    return Figure(measurement, tags, time, kept) if kept else None
