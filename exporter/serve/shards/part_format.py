"""The part of a shard as bytes: a head in JSON, and arrays as they lie in memory.

Nothing in it can run code: a shard is believed what it says of its sites and nothing else.
"""

from __future__ import annotations

import array
import math
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import orjson
from pydantic import TypeAdapter, ValidationError

from exporter import __version__
from exporter.assess.assessment import Issue
from exporter.assess.merged_fleet import Arrays, ShardPart
from exporter.assess.site_views import PackView, SiteView
from exporter.model.cell_findings import as_dict, from_dict
from exporter.model.packed_cells import PackedCells, pack_cells
from exporter.model.snapshot import Cells, Outcome

MEDIA_TYPE = "application/vnd.fleetscope.shard"
_LENGTH = struct.Struct("!Q")
_KINDS = frozenset("fbiu")
_ISSUES = TypeAdapter(list[tuple[Issue, ...]])


class PartError(ValueError):
    """Bytes that are not the part of a shard of this version."""


@dataclass(slots=True)
class _CellTable:
    """Single cells of all packs, one behind the other; each list of labels once."""

    labels: dict[tuple[str, ...], int] = field(default_factory=dict)
    voltages: array.array[float] = field(default_factory=lambda: array.array("d"))
    temperatures: array.array[float] = field(default_factory=lambda: array.array("d"))

    def add(self, cells: Cells | PackedCells) -> int:
        """Append the cells of a pack; returns which labels they have."""
        self.voltages.extend(cells.voltages_v)
        self.temperatures.extend(cells.temperatures_c)
        return self.labels.setdefault(tuple(cells.labels), len(self.labels))


def encode(part: ShardPart, now: float, cells_after: float = -math.inf) -> bytes:
    """The bytes of a part.

    Parameters
    ----------
    part : ShardPart
    now : float
        Monotonic seconds of this process.
    cells_after : float
        Unix seconds. Analyses of cells that are older are left out: the reader has them.
    """
    table = _CellTable()
    records = [_record(view, now, table) for view in part.records]
    arrays = {
        **dict(_flat(("inputs",), part.inputs)),
        **dict(_flat(("state",), part.state)),
        ("cells", "voltages"): np.asarray(table.voltages),
        ("cells", "temperatures"): np.asarray(table.temperatures),
    }
    head = {
        "version": __version__,
        "shard": part.shard,
        "ids": part.ids,
        "arrays": [(path, str(a.dtype), a.shape) for path, a in arrays.items()],
        "issues": part.issues,
        "labels": list(table.labels),
        "records": records,
        "cells": [as_dict(c) for c in part.cells.values() if c.time > cells_after],
        "cell_sites": list(part.cells),
    }
    text = orjson.dumps(head, option=orjson.OPT_NON_STR_KEYS)
    bodies = [np.ascontiguousarray(a).tobytes() for a in arrays.values()]
    return b"".join([_LENGTH.pack(len(text)), text, *bodies])


def decode(body: bytes, now: float, cells: Mapping[str, Any] | None = None) -> ShardPart:
    """The part that bytes are.

    Parameters
    ----------
    body : bytes
    now : float
        Monotonic seconds of this process.
    cells : mapping of site id to SiteCells, optional
        Analyses that earlier parts of this shard had.

    Raises
    ------
    PartError
    """
    try:
        return _decoded(body, now, dict(cells or {}))
    except PartError:
        raise
    except (ValueError, TypeError, KeyError, IndexError, struct.error, ValidationError) as error:
        raise PartError(f"is not the part of a shard ({type(error).__name__})") from error


def _decoded(body: bytes, now: float, cells: dict[str, Any]) -> ShardPart:
    (length,) = _LENGTH.unpack_from(body)
    head = orjson.loads(memoryview(body)[_LENGTH.size : _LENGTH.size + length])
    if head["version"] != __version__:
        raise PartError(f"is of version {head['version']!s:.40}, this one is {__version__}")
    ids = [str(site) for site in head["ids"]]
    arrays: Arrays = {}
    at = _LENGTH.size + length
    for path, dtype, shape in head["arrays"]:
        kind = np.dtype(str(dtype))
        if kind.kind not in _KINDS or (path[0] != "cells" and shape[0] != len(ids)):
            raise PartError("has an array that is not of its sites")
        values = np.frombuffer(body, kind, math.prod(shape), at).reshape(shape)
        at += values.nbytes
        _put(arrays, path, values)
    if at != len(body):
        raise PartError("is not of the length that it says")
    packed = _Packed(arrays.pop("cells"), [tuple(map(str, names)) for names in head["labels"]])
    records = [_view(record, now, packed) for record in head["records"]]
    issues = _ISSUES.validate_python(head["issues"])
    if not len(ids) == len(records) == len(issues):
        raise PartError("has not one record for each site")
    cells |= {c.site: c for c in map(from_dict, head["cells"])}
    kept = {site: cells[site] for site in head["cell_sites"] if site in cells}
    return ShardPart(
        str(head["shard"]), ids, arrays["inputs"], arrays["state"], issues, records, kept
    )


# -- records ----------------------------------------------------------------------------------


def _record(view: SiteView, now: float, table: _CellTable) -> dict[str, Any]:
    # Fields without a line of their own are plain values.
    record = {f.name: getattr(view, f.name) for f in fields(view)}
    record["alarms"] = [(*key, level) for key, level in view.alarms.items()]
    record["packs"] = [_pack(pack, now, table) for pack in view.packs]
    del record["valid_until"]
    return record


def _pack(pack: PackView, now: float, table: _CellTable) -> dict[str, Any]:
    record = {f.name: getattr(pack, f.name) for f in fields(pack)}
    record["seen"] = now - pack.seen
    record["cells"] = None if pack.cells is None else table.add(pack.cells)
    return record


class _Packed:
    """Single cells as they come, pack by pack."""

    def __init__(self, arrays: Arrays, labels: list[tuple[str, ...]]) -> None:
        self._voltages, self._temperatures = arrays["voltages"], arrays["temperatures"]
        self._labels = labels
        self._at = 0

    def take(self, number: int) -> PackedCells:
        labels = self._labels[number]
        span = slice(self._at, self._at + len(labels))
        self._at = span.stop
        voltages, temperatures = array.array("d"), array.array("d")
        voltages.frombytes(self._voltages[span].tobytes())
        temperatures.frombytes(self._temperatures[span].tobytes())
        if len(voltages) != len(labels):
            raise PartError("has fewer cells than labels")
        return pack_cells(Cells(labels, voltages, temperatures))


def _view(record: dict[str, Any], now: float, packed: _Packed) -> SiteView:
    outcome = record["outcome"]
    return SiteView(
        **record
        | {
            "outcome": None if outcome is None else Outcome(outcome),
            "outcomes": {Outcome(name): int(n) for name, n in record["outcomes"].items()},
            "alarms": {(str(d), str(a)): int(level) for d, a, level in record["alarms"]},
            "packs": tuple(_pack_view(pack, now, packed) for pack in record["packs"]),
            "valid_until": math.inf,
        }
    )


def _pack_view(record: dict[str, Any], now: float, packed: _Packed) -> PackView:
    cells = record["cells"]
    readings = {
        str(name): math.nan if value is None else float(value)
        for name, value in record["readings"].items()
    }
    given = {
        "readings": readings,
        "seen": now - float(record["seen"]),
        "cells": None if cells is None else packed.take(cells),
        "fresh": tuple(map(str, record["fresh"])),
    }
    return PackView(**record | given)


# -- arrays -----------------------------------------------------------------------------------


def _flat(path: tuple[str, ...], value: Any) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(value, Mapping):
        for name, part in value.items():
            yield from _flat((*path, name), part)
    else:
        yield path, np.asarray(value)


def _put(arrays: Arrays, path: list[str], values: Any) -> None:
    *outer, name = map(str, path)
    for part in outer:
        arrays = arrays.setdefault(part, {})
    arrays[name] = values
