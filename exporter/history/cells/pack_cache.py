"""Keeps the history of the packs of a site in a folder: a round reads what is new alone.

Full detail of the last days goes on from where it was read last. Once a day, at an hour that
differs from site to site, everything is read again: what came late counts from then on.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import math
import os
import time
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exporter.history.cells.pack_grid import Grid, Known, PackPast, in_order
from exporter.history.cells.pack_reader import (
    last_stored,
    read_newer,
    read_pack,
    read_packs,
    stretches,
)
from exporter.history.influxql import InfluxQL
from exporter.model.levels import DAY

log = logging.getLogger(__name__)

OVERLAP_SECONDS = 1800.0
"""Seconds that are read again: batches of one moment do not arrive together."""
FORGET_DAYS = 14
_MARK = b"fleetscope cells 1\n"
_ARRAYS = (("volts", np.uint16), ("warmth", np.int16), ("battery", np.float32))


@dataclass(slots=True)
class SitePast:
    """Packs by name; ``whole`` is when all was read, ``seen`` the last moment with a cell."""

    whole: float
    seen: float
    packs: dict[str, PackPast]


async def past_of(
    stored: InfluxQL, site: str, until: float, folder: Path | None = None
) -> SitePast | None:
    """The past of a site's packs before ``until``, Unix seconds; None if no cell was ever stored.

    Raises
    ------
    exporter.history.influxql.NoAnswerError
    """
    kept = load(folder, site) if folder else None
    if kept is not None and not _due(site, kept.whole, until) and kept.seen <= until:
        since = kept.seen - OVERLAP_SECONDS
        found = await read_newer(stored, site, kept.packs, since, until)
        if found is not None:
            if not math.isfinite(found[1]):
                return kept
            kept = SitePast(kept.whole, max(kept.seen, found[1]), found[0])
            _save(folder, site, kept, whole=False)
            return kept
    last = await last_stored(stored, site, until)
    if last is None:
        return None
    end = min(until, last + 1.0)
    names = await read_packs(stored, site, end)
    parts = await stretches(stored, site, end)
    packs = {pack: await read_pack(stored, site, pack, end, parts) for pack in names}
    made = SitePast(until, last, packs)
    _save(folder, site, made, whole=True)
    return made


def names_of(past: SitePast) -> list[str]:
    """The packs in their order."""
    return list(in_order(list(past.packs)))


def tidy(folder: Path) -> None:
    """Remove files that were not used for two weeks."""
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        for path in folder.glob("*.cells"):
            if time.time() - path.stat().st_mtime > FORGET_DAYS * DAY:
                path.unlink(missing_ok=True)


def _due(site: str, whole: float, until: float) -> bool:
    shift = zlib.crc32(site.encode()) % DAY
    return (until + shift) // DAY != (whole + shift) // DAY


def _paths(folder: Path, site: str) -> tuple[Path, Path]:
    name = hashlib.sha256(site.encode()).hexdigest()[:32]
    return folder / f"{name}.old.cells", folder / f"{name}.new.cells"


def load(folder: Path, site: str) -> SitePast | None:
    """The kept history of a site; None if there is none that can be used."""
    try:
        (old_head, old), (new_head, new) = (_read(path) for path in _paths(folder, site))
        if old_head["site"] != site or old_head["whole"] != new_head["whole"]:
            return None
        packs = {
            pack: PackPast(old[pack], new[pack], Known(**known))
            for pack, known in new_head["known"].items()
        }
        return SitePast(float(new_head["whole"]), float(new_head["seen"]), packs)
    except (OSError, ValueError, KeyError, TypeError, zlib.error):
        return None


def _save(folder: Path | None, site: str, past: SitePast, *, whole: bool) -> None:
    if folder is None:
        return
    old_path, new_path = _paths(folder, site)
    head = {"site": site, "whole": past.whole}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if whole:
            _write(old_path, head, {name: pack.old for name, pack in past.packs.items()})
        else:
            os.utime(old_path)
        known = {name: asdict(pack.known) for name, pack in past.packs.items()}
        new = {name: pack.new for name, pack in past.packs.items()}
        _write(new_path, {**head, "seen": past.seen, "known": known}, new)
    except OSError as error:
        log.warning("cells of %s are read anew each time: %s", site, error)


def _write(path: Path, head: dict[str, Any], grids: dict[str, Grid]) -> None:
    parts: list[bytes] = []
    listed = {}
    for name, grid in grids.items():
        listed[name] = {"begin": grid.begin, "step": grid.step, "labels": grid.labels}
        listed[name]["steps"] = grid.steps
        for column, kind in _ARRAYS:
            values = getattr(grid, column)
            if kind is not np.float32:
                # Differences are small, so they compress well.
                values = np.diff(values, axis=1, prepend=kind(0))
            parts.append(np.ascontiguousarray(values, dtype=kind).tobytes())
    text = json.dumps({**head, "grids": listed}).encode()
    body = zlib.compress(b"".join((len(text).to_bytes(4, "big"), text, *parts)), 1)
    temporary = path.with_suffix(f".{os.getpid()}")
    try:
        temporary.write_bytes(_MARK + body)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Grid]]:
    raw = path.read_bytes()
    if not raw.startswith(_MARK):
        raise ValueError("of another version")
    body = memoryview(zlib.decompress(raw[len(_MARK) :]))
    size = int.from_bytes(body[:4], "big")
    head = json.loads(bytes(body[4 : 4 + size]))
    place = 4 + size
    grids = {}
    for name, grid in head["grids"].items():
        steps, cells = grid["steps"], len(grid["labels"])
        columns: dict[str, NDArray[Any]] = {}
        for column, kind in _ARRAYS:
            rows = cells if kind is not np.float32 else 3
            count = rows * steps
            values = np.frombuffer(body, kind, count, place).reshape(rows, steps)
            place += values.nbytes
            columns[column] = (
                values.copy() if kind is np.float32 else np.cumsum(values, axis=1, dtype=kind)
            )
        grids[name] = Grid(grid["begin"], grid["step"], grid["labels"], **columns)
    return head, grids
