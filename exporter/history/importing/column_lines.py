"""Line protocol from whole columns, without a Python object per point."""

from __future__ import annotations

import gzip
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from exporter.history.importing.arrow_arrays import to_arrow
from exporter.history.importing.layout import Signal
from exporter.history.importing.rows import Rows
from exporter.store.line_protocol import tag

POINTS_PER_BATCH = 20_000


def prefix(signal: Signal) -> str:
    """``measurement,tags field=`` of a signal, as the exporter writes it for a live site."""
    tags = "".join(f",{name}={tag(value)}" for name, value in signal.tags)
    return f"{signal.quantity.measurement}{tags} {signal.quantity.field}="


def encode(rows: Rows, signals: tuple[Signal, ...]) -> Iterator[tuple[bytes, int]]:
    """Lines with millisecond stamps, and how many: at most :data:`POINTS_PER_BATCH` at a time."""
    stamps = to_arrow(rows.time).cast(pa.string())
    parts: list[bytes] = []
    points = 0
    for n, signal in enumerate(signals):
        known = ~np.isnan(rows.values[:, n])
        if not known.any():
            continue
        values = to_arrow(rows.values[known, n]).cast(pa.string())
        when = stamps if known.all() else stamps.take(to_arrow(np.flatnonzero(known)))
        lines = pc.binary_join_element_wise(prefix(signal), values, " ", when, "\n", "")
        start = 0
        while start < len(lines):
            taken = lines[start : start + POINTS_PER_BATCH - points]
            parts.append(_bytes(taken))
            points += len(taken)
            start += len(taken)
            if points == POINTS_PER_BATCH:
                yield b"".join(parts), points
                parts, points = [], 0
    if points:
        yield b"".join(parts), points


def _bytes(lines: pa.Array) -> bytes:
    """The texts of an array, one behind the other, as they lie in its buffer."""
    offsets = np.frombuffer(lines.buffers()[1], np.int32)[
        lines.offset : lines.offset + len(lines) + 1
    ]
    return bytes(memoryview(lines.buffers()[2])[int(offsets[0]) : int(offsets[-1])])


def pack(lines: bytes) -> bytes:
    """Compressed for the way; level 1, since the next ones cost four times the CPU."""
    return gzip.compress(lines, compresslevel=1)
