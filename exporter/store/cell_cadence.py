"""How often single cells are stored: at a cadence of their own, with an optional dead-band.

Lowest, highest and spread of a pack, with the ids of the extreme cells, are fields of ``battery``
and are stored at every scrape. What is thinned here is the row of each single cell.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from exporter.model.levels import LEVELS
from exporter.model.snapshot import Cells, Snapshot
from exporter.store.cell_lines import cell_block
from exporter.store.line_protocol import milliseconds
from exporter.store.queue import Block

if TYPE_CHECKING:
    from exporter.assess.issues import Issue

FloatArray = NDArray[np.float64]

HOLD_SECONDS = LEVELS[0].seconds
"""An unchanged cell is stored again at the first turn of each of the shortest windows, so that
none of them is empty."""
GAP_TURNS = 2.5


def has_cell_issue(issues: Iterable[Issue]) -> bool:
    """Whether any issue is about cells or their heat, so that every scrape of them counts.

    What the history says of a cell takes weeks and needs no more than the usual cadence.
    """
    return any(i.code in ("cell_spread", "battery_temperature") for i in issues)


@dataclass(slots=True)
class _Pack:
    """What was stored of a pack. Arrays have shape (cells,)."""

    labels: tuple[str, ...]
    turn: int
    seen: float = 0.0
    stored: FloatArray = field(default_factory=lambda: np.empty((0, 0)))
    window: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    left_out: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    pending: FloatArray = field(default_factory=lambda: np.empty((0, 0)))


class CellStore:
    """Decides which cell rows of a Snapshot are stored.

    Without a dead-band every cell is stored at the first scrape of each cadence. With one, a row
    whose voltage and temperature are both within the band of the row stored last is left out. A
    row that follows left-out ones says how many there were (``left_out``): their values were
    those of the row before it, within the band. Before a change and before a gap the last one
    that was left out is stored with its own time, so a step stays a step, and a stretch without
    rows that no ``left_out`` accounts for is a gap.

    Parameters
    ----------
    cadence : float
        Seconds; 0 stores every scrape.
    band_volts : float or None
        Half width of the dead-band; None switches it off.
    band_celsius : float
    """

    def __init__(self, cadence: float, band_volts: float | None, band_celsius: float) -> None:
        self._cadence = cadence
        self._band = None if band_volts is None else np.array([[band_volts], [band_celsius]])
        self._packs: dict[str, dict[str, _Pack]] = {}

    def lines(self, snapshot: Snapshot, *, every: bool) -> list[str]:
        """The lines of :meth:`blocks`."""
        blocks = self.blocks(snapshot, every=every)
        return [line for block in blocks for line in block.text.decode("utf-8").split("\n")]

    def blocks(self, snapshot: Snapshot, *, every: bool) -> list[Block]:
        """Rows to store of a Snapshot's cells, in the order of time.

        Parameters
        ----------
        snapshot : Snapshot
        every : bool
            Store each cell, whatever the cadence: the site has a cell issue.
        """
        packs = self._packs.setdefault(snapshot.site, {})
        found: list[Block] = []
        if not snapshot.outcome.answered:
            for device, pack in packs.items():
                found += _flush(snapshot.site, device, pack)
            return found
        for battery in snapshot.batteries:
            if battery.cells is not None:
                found += self._pack(snapshot, battery.device, battery.cells, every, packs)
        return found

    def forget(self, sites: Iterable[str]) -> None:
        """Keep the state of these sites alone."""
        self._packs = {site: self._packs[site] for site in sites if site in self._packs}

    def _pack(
        self, snapshot: Snapshot, device: str, cells: Cells, every: bool, packs: dict[str, _Pack]
    ) -> Iterator[Block]:
        turn = int(snapshot.time // self._cadence) if self._cadence else -1
        pack = packs.get(device)
        known = pack is not None and pack.labels == cells.labels
        if pack is not None and known and not every and self._cadence and pack.turn == turn:
            return
        values = np.array([cells.voltages_v, cells.temperatures_c])
        finite = np.isfinite(values)
        if not finite.all():
            values[~finite] = np.nan
        if pack is None or not known:
            if pack is not None:
                yield from _flush(snapshot.site, device, pack)
            pack = packs[device] = _Pack(cells.labels, turn)
            if self._band is not None:
                _begin(pack, values.shape[1])
        pack.turn = turn
        if self._band is None:
            rows = np.flatnonzero(~np.isnan(values).all(axis=0))
            yield from _rows(snapshot.site, device, pack.labels, values, snapshot.time, rows)
            return
        yield from self._banded(snapshot, device, pack, values, every)

    def _banded(
        self, snapshot: Snapshot, device: str, pack: _Pack, values: FloatArray, every: bool
    ) -> Iterator[Block]:
        assert self._band is not None
        site, time = snapshot.site, snapshot.time
        if not 0 <= time - pack.seen <= GAP_TURNS * max(self._cadence, 1.0):
            yield from _flush(site, device, pack)
        window = int(time // HOLD_SECONDS)
        same = (np.abs(values - pack.stored) <= self._band) | (
            np.isnan(values) & np.isnan(pack.stored)
        )
        unchanged = same.all(axis=0)
        missing = np.isnan(values).all(axis=0)
        left = unchanged & ~missing & (pack.window == window) & (not every)
        stored = ~left
        changed = np.flatnonzero(stored & ~unchanged & (pack.left_out > 0))
        yield from _rows(
            site, device, pack.labels, pack.pending, pack.seen, changed, pack.left_out - 1
        )
        pack.left_out[changed] = 0
        rows = np.flatnonzero(stored & ~missing)
        yield from _rows(site, device, pack.labels, values, time, rows, pack.left_out)
        pack.stored[:, stored] = values[:, stored]
        pack.window[stored] = window
        pack.window[missing] = -1
        pack.left_out = np.where(left, pack.left_out + 1, 0)
        pack.pending, pack.seen = values, time


def _begin(pack: _Pack, cells: int) -> None:
    """Nothing is stored yet: every cell is in no window, so that its next row is kept."""
    pack.stored = np.full((2, cells), np.nan)
    pack.pending = np.full((2, cells), np.nan)
    pack.window = np.full(cells, -1, dtype=np.int64)
    pack.left_out = np.zeros(cells, dtype=np.int64)


def _flush(site: str, device: str, pack: _Pack) -> Iterator[Block]:
    """What was left out last, before a gap; the next row of every cell is kept."""
    if not pack.left_out.size:
        return
    rows = np.flatnonzero(pack.left_out > 0)
    yield from _rows(site, device, pack.labels, pack.pending, pack.seen, rows, pack.left_out - 1)
    _begin(pack, len(pack.labels))


def _rows(
    site: str,
    device: str,
    labels: tuple[str, ...],
    values: FloatArray,
    time: float,
    rows: NDArray[np.int64],
    left_out: NDArray[np.int64] | None = None,
) -> Iterator[Block]:
    if rows.size:
        stamp = milliseconds(time)
        yield cell_block(site, device, labels, values, stamp, rows.tolist(), left_out)
