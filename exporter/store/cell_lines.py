"""Rows of a pack's cells as line protocol, all of one moment in one piece of bytes.

A fleet stores cells by the million. So what does not change from scrape to scrape (series and names
of fields) is put together once for each set of labels, and only numbers are written anew.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from exporter.store.line_protocol import cell_line, tag
from exporter.store.queue import Block

FloatArray = NDArray[np.float64]

# In templates these stand for what differs between sites and moments; no label holds them.
_PACK, _STAMP = b"\x00", b"\x01"
# Between these, orjson and Python write a float alike.
_SMALLEST, _LARGEST = 1e-4, 1e16
_MOST_LABELS = 1024


def cell_block(
    site: str,
    pack: str,
    labels: tuple[str, ...],
    values: FloatArray,
    stamp: int,
    rows: Sequence[int],
    left_out: NDArray[np.int64] | None = None,
) -> Block:
    """Rows of cells at one moment.

    Parameters
    ----------
    site, pack : str
    labels : tuple of N str
    values : float array, shape (2, N)
        Voltages and temperatures, NaN where missing.
    stamp : int
        Milliseconds.
    rows : sequence of int
        Which cells; each has at least one value.
    left_out : int array, shape (N,), optional
        Rows before this one that a dead-band left out, by cell.
    """
    if len(rows) == len(labels) and (left_out is None or not left_out.any()):
        size = np.abs(values)
        if (((size >= _SMALLEST) & (size < _LARGEST)) | (values == 0)).all():
            template = _template(labels)
            if template is not None:
                return Block(_filled(template, site, pack, values, stamp), len(rows), stamp)
    return Block(
        "\n".join(each_cell_line(site, pack, labels, values, stamp, rows, left_out)).encode(
            "utf-8", "replace"
        ),
        len(rows),
        stamp,
    )


def each_cell_line(
    site: str,
    pack: str,
    labels: tuple[str, ...],
    values: FloatArray,
    stamp: int,
    rows: Sequence[int],
    left_out: NDArray[np.int64] | None = None,
) -> list[str]:
    """As :func:`cell_block`, line by line."""
    lines = []
    for row in rows:
        volts, celsius = values[:, row].tolist()
        before = int(left_out[row]) if left_out is not None else 0
        lines.append(cell_line(site, pack, labels[row], volts, celsius, stamp, before))
    return lines


@functools.lru_cache(maxsize=_MOST_LABELS)
def _template(labels: tuple[str, ...]) -> list[bytes] | None:
    """What stands before, between and after the numbers: two of them for each cell."""
    if not all(label.isprintable() for label in labels):
        return None
    parts: list[bytes] = []
    for number, label in enumerate(labels):
        end = b" %b\n" % _STAMP if number else b""
        named = tag(label).encode("utf-8", "replace")
        parts += [b"%bcell,%b,cell=%b voltage_v=" % (end, _PACK, named), b""]
        parts += [b",temperature_c=", b""]
    return [*parts, b" " + _STAMP]


def _filled(template: list[bytes], site: str, pack: str, values: FloatArray, stamp: int) -> bytes:
    parts = template.copy()
    parts[1::4] = _numbers(values[0])
    parts[3::4] = _numbers(values[1])
    series = f"site={tag(site)},pack={tag(pack)}".encode("utf-8", "replace")
    return b"".join(parts).replace(_PACK, series).replace(_STAMP, b"%d" % stamp)


def _numbers(values: Any) -> list[bytes]:
    """Floats as Python writes them, in the range where orjson does the same."""
    text = orjson.dumps(np.ascontiguousarray(values), option=orjson.OPT_SERIALIZE_NUMPY)
    return text[1:-1].split(b",")
