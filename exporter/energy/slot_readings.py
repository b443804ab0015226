"""Readings of a site on the grid of quarter hours: of the roll-up, and of full detail elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from exporter.history.influxql import InfluxQL, between, name, quoted
from exporter.history.level_choice import table
from exporter.model.levels import LEVELS
from scoring.forecast import SLOT_SECONDS

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class SlotReading:
    """What is read: a field, how a slot's values become one, and which tag tells series apart.

    Attributes
    ----------
    measurement, field : str
    how : str
        As the roll-up calls it.
    where : str
        Another condition on tags.
    tag : str
        Empty for one series.
    """

    measurement: str
    field: str
    how: Literal["mean", "min", "max"] = "mean"
    where: str = ""
    tag: str = ""


async def read_slots(
    stored: InfluxQL, site: str, reading: SlotReading, first: int, last: int
) -> dict[str, FloatArray]:
    """A reading by the value of its tag; without a tag under the empty one.

    Returns
    -------
    dict of str to float array, shape (last - first,)
        NaN where unknown. A series of which nothing is known is absent.

    Raises
    ------
    exporter.history.influxql.NoAnswerError
    """
    found: dict[str, FloatArray] = {}
    where = " AND ".join(
        filter(
            None,
            (
                f'"site" = {quoted(site)}',
                reading.where,
                between(first * SLOT_SECONDS, last * SLOT_SECONDS),
            ),
        )
    )
    also = f", {name(reading.tag)}" if reading.tag else ""
    field, how = reading.field, reading.how
    for source, column in (
        (table(LEVELS[1], reading.measurement), f"{field}_{how}"),
        (table(None, reading.measurement), field),
    ):
        if found and not any(np.isnan(values).any() for values in found.values()):
            break
        read = await stored.select(
            f"SELECT {how}({name(column)}) FROM {source} WHERE {where} "  # noqa: S608
            f"GROUP BY time({SLOT_SECONDS}s){also} fill(none)"
        )
        for series in read:
            values = found.setdefault(
                series.tags.get(reading.tag, ""), np.full(last - first, np.nan)
            )
            for time, value in series.rows:
                place = int(time // (1000 * SLOT_SECONDS)) - first
                if value is not None and 0 <= place < len(values) and np.isnan(values[place]):
                    values[place] = value
    return {key: values for key, values in found.items() if np.isfinite(values).any()}


async def read_one(
    stored: InfluxQL, site: str, reading: SlotReading, first: int, last: int
) -> FloatArray:
    """A reading without a tag; NaN where unknown."""
    found = await read_slots(stored, site, reading, first, last)
    return found.get("", np.full(last - first, np.nan))
