"""Computes the lines of every level from full detail, for a few sites and a range."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import isnan

import numpy as np

from exporter.history.rollups.aggregate import (
    HOLD_MS,
    Before,
    IntArray,
    Samples,
    Windows,
    cut,
    expand_left_out,
    roll_up,
)
from exporter.history.rollups.due import Task
from exporter.history.rollups.fields import CELL, EXTREME_IDS, FIELDS, PACK, POWERS
from exporter.history.rollups.packs import pack_windows, spreads
from exporter.history.rollups.source import DAY_MS, Lookback, Source, before_arrays
from exporter.model.levels import Level
from exporter.model.quantities import RollupKind
from exporter.store.cell_cadence import HOLD_SECONDS
from exporter.store.influx import Tags, any_of, between_ms
from exporter.store.line_protocol import tag, text
from exporter.store.queue import Batch, compress

LINES_PER_BATCH = 5000
LOOKBACK = {
    RollupKind.STATE: Lookback(HOLD_MS),
    # A glitch is at most twelve samples long; the one before it is what a counter grew from.
    RollupKind.COUNTER: Lookback(30 * DAY_MS, 14),
}
# The sample that still stands at the beginning, and the one before it: their interval.
POWER_LOOKBACK = Lookback(2 * 3_600_000, 2)


@dataclass(slots=True)
class Work:
    """Counts of values read and lines made."""

    values: int = 0
    lines: int = 0


def batches(source: Source, task: Task, time: float, work: Work | None = None) -> Iterator[Batch]:
    """Batches of all windows of a task, the longest windows first.

    Parameters
    ----------
    source : Source
    task : Task
        Its start is a multiple of the longest of its windows.
    time : float
        Unix seconds, the batches' time of making.
    work : Work, optional
        Is added to.

    Raises
    ------
    NoAnswerError
    """
    made = Roller(source, task.measurement, task.sites, task.start_ms, task.stop_ms)
    if work is not None:
        work.values += made.read
    for level in reversed(task.levels):
        waiting: list[str] = []
        for line in made.lines(level, task.since_ms[level.name]):
            waiting.append(line)
            if len(waiting) >= LINES_PER_BATCH:
                yield compress(waiting, time, level.name)
                waiting = []
            if work is not None:
                work.lines += 1
        if waiting:
            yield compress(waiting, time, level.name)


class Roller:
    """The samples of a measurement, read once for all levels."""

    def __init__(
        self, source: Source, measurement: str, sites: Sequence[str], start_ms: int, stop_ms: int
    ) -> None:
        self._measurement = measurement
        self._kinds = FIELDS[measurement]
        self._range = start_ms, stop_ms
        self._ids = EXTREME_IDS.get(measurement, {})
        of_sites = any_of("site", sites)
        fields: list[str] = list(self._kinds)
        self._counters = [f for f, kind in self._kinds.items() if kind is RollupKind.COUNTER]
        # A counter's reading at the end of the range closes its last window.
        stop_reading = stop_ms + 1 if self._counters else stop_ms
        if measurement == CELL:
            # The first row of the window after the range says how many were left out in it.
            fields.append("left_out")
            stop_reading += HOLD_SECONDS * 1000
        self._tags, samples = source.samples(
            measurement, fields, self._ids, f"{of_sites} AND {between_ms(start_ms, stop_reading)}"
        )
        self._before = self._read_before(source, of_sites, start_ms)
        if measurement == CELL:
            values = dict(samples.values)
            left_out = values.pop("left_out")
            samples = Samples(samples.series, samples.times, values)
            samples = cut(expand_left_out(samples, left_out), stop_ms)
        self._samples = samples
        self.read = sum(
            int(np.count_nonzero(~np.isnan(column))) for column in samples.values.values()
        )
        self._packs: list[Tags] = []
        self._pack_of: IntArray | None = None
        if measurement == CELL:
            self._packs, self._pack_of = _packs(self._tags)
        self._labels = np.array([dict(tags).get("cell", "") for tags in self._tags], dtype=object)
        self._spread = spreads(samples, self._pack_of) if self._pack_of is not None else None

    def _read_before(self, source: Source, of_sites: str, start_ms: int) -> dict[str, Before]:
        wanted = {f: LOOKBACK[kind] for f, kind in self._kinds.items() if kind in LOOKBACK}
        wanted |= dict.fromkeys(POWERS.get(self._measurement, ()), POWER_LOOKBACK)
        found = {}
        read = source.before(self._measurement, wanted, self._counters, of_sites, start_ms)
        for field, last in read.items():
            found[field], added = before_arrays(last, self._tags)
            self._tags = [*self._tags, *added]
        return found

    def lines(self, level: Level, since_ms: int) -> Iterator[str]:
        """Lines of the windows of a level that begin at or after ``since_ms``."""
        window = level.seconds * 1000
        rows = roll_up(
            self._samples,
            self._kinds,
            window,
            *self._range,
            before=self._before,
            powers=POWERS.get(self._measurement, ()),
            extreme_ids=self._ids,
        )
        yield from _lines(self._measurement, self._tags, rows, since_ms)
        if self._pack_of is not None and self._spread is not None:
            packs = pack_windows(rows, self._pack_of, self._labels, self._spread, window)
            yield from _lines(PACK, self._packs, packs, since_ms)


def _packs(tags: list[Tags]) -> tuple[list[Tags], IntArray]:
    """Tags of the packs, and the number of the pack of every cell."""
    of_cell = [tuple(pair for pair in cell if pair[0] != "cell") for cell in tags]
    packs = sorted(set(of_cell))
    number = {pack: place for place, pack in enumerate(packs)}
    return packs, np.array([number[pack] for pack in of_cell], dtype=np.int64)


def _lines(measurement: str, tags: list[Tags], rows: Windows, since_ms: int) -> Iterator[str]:
    prefixes = [
        measurement + "".join(f",{key}={tag(value)}" for key, value in series if value)
        for series in tags
    ]
    names = list(rows.columns)
    numbers: Iterable[tuple[float, ...]] = zip(
        *(column.tolist() for column in rows.columns.values()), strict=True
    )
    texts = list(rows.texts.items())
    for place, (series, start, values) in enumerate(
        zip(rows.series.tolist(), rows.starts.tolist(), numbers, strict=True)
    ):
        if start < since_ms:
            continue
        fields = [f"{key}={v!r}" for key, v in zip(names, values, strict=True) if not isnan(v)]
        fields += [f"{key}={text(c[place])}" for key, c in texts if c[place] is not None]
        yield f"{prefixes[series]} {','.join(fields)} {start}"
