"""Rows of a file: good ones, those that are kept aside, and whose they are."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from exporter.history.importing.arrow_arrays import to_numpy

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

_BETWEEN = "\x1f"


@dataclass(slots=True)
class Rows:
    """Rows of a file in its order.

    Attributes
    ----------
    line : (n,) int64
        Line, or row of a Parquet file, from 1.
    time : (n,) int64
        Milliseconds, of UTC or of the local wall clock.
    values : (n, signals) float64
        In the unit of the file; NaN where nothing can be used.
    passes : (n,) int64
        Which pass of a repeated hour the row itself names; else ``UNKNOWN``.
    """

    line: Ints
    time: Ints
    values: Floats
    passes: Ints

    def take(self, chosen: Bools | Ints) -> Rows:
        """Some of the rows."""
        return Rows(self.line[chosen], self.time[chosen], self.values[chosen], self.passes[chosen])

    def at(self, time: Ints) -> Rows:
        """The same rows at other times."""
        return Rows(self.line, time, self.values, self.passes)

    @staticmethod
    def joined(parts: list[Rows]) -> Rows:
        """The rows of one or more parts, one behind the other."""
        if len(parts) == 1:
            return parts[0]
        return Rows(
            np.concatenate([p.line for p in parts]),
            np.concatenate([p.time for p in parts]),
            np.concatenate([p.values for p in parts]),
            np.concatenate([p.passes for p in parts]),
        )


@dataclass(slots=True)
class BadRow:
    """A row, or one field of it, that is kept aside."""

    line: int
    reason: str
    text: str


@dataclass(slots=True)
class Block:
    """What one piece of a file holds: good rows, bad ones, and fields with nothing in them.

    ``left_out`` counts rows of something else, which the mapping does not ask for. Where rows say
    whose they are, ``owners`` are what their columns say, and ``owner`` the place in it of each
    good row.
    """

    rows: Rows
    bad: list[BadRow]
    blank: int
    missing: int
    read: int
    bytes: int
    left_out: int = 0
    owners: list[tuple[str, ...]] = field(default_factory=list)
    owner: Ints = field(default_factory=lambda: np.empty(0, np.int64))


def empty_rows(signals: int) -> Rows:
    """No rows, of so many signals."""
    empty = np.empty(0, np.int64)
    return Rows(empty, empty, np.empty((0, signals)), empty)


def put_owners(block: Block, columns: list[Any], readable: Bools) -> None:
    """Note whose each readable row is, from the columns that say it."""
    if columns:
        joined = pc.binary_join_element_wise(*columns, _BETWEEN).dictionary_encode()
        block.owners = [tuple(text.split(_BETWEEN)) for text in joined.dictionary.to_pylist()]
        block.owner = to_numpy(joined.indices.cast(pa.int64()))[readable]
