"""One file from beginning to end: batches of lines, counts and bad rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from exporter.history.importing.column_lines import POINTS_PER_BATCH, encode
from exporter.history.importing.counts import Counts
from exporter.history.importing.csv_dialect import Dialect
from exporter.history.importing.file_error import FileError
from exporter.history.importing.folder_dialects import FolderDialects
from exporter.history.importing.layout import FilePlan, LayoutError, OtherRowsError, Signal
from exporter.history.importing.local_time import Zone, ZoneError, load_zone
from exporter.history.importing.row_blocks import read_blocks
from exporter.history.importing.row_filter import REMEMBERED_ROWS, RowFilter
from exporter.history.importing.row_keys import key_text
from exporter.history.importing.rows import BadRow, Block, Rows

MOST_SERIES = 20_000
"""In one file: of more, the columns that say whose a row is are hardly the right ones."""

OTHER = "other rows"
Sorted = Iterator[tuple[Rows, tuple[Signal, ...]]]


@dataclass(frozen=True, slots=True)
class Piece:
    """A step of reading a file.

    Attributes
    ----------
    lines : bytes
        Line protocol; empty where a block gave none.
    points : int
    bytes : int
        Bytes of the file that were read for it.
    """

    lines: bytes
    points: int
    bytes: int


class FileReader:
    """Reads one file; the same pieces every time, as long as the file is the same.

    Parameters
    ----------
    plan : FilePlan
    keep_aside : callable
        Takes the bad rows of each block.
    now : float
        Unix seconds.
    dialects : FolderDialects, optional
        Of all files of the import; without it the file decides alone.

    Raises
    ------
    FileError, ZoneError
    """

    def __init__(
        self,
        plan: FilePlan,
        keep_aside: Callable[[list[BadRow]], None],
        now: float,
        dialects: FolderDialects | None = None,
    ) -> None:
        self.plan = plan
        self.dialect: Dialect = (dialects or FolderDialects([plan])).of(plan)
        self.counts = Counts()
        self.signals: list[Signal] = [] if self.dialect.keys else list(self.dialect.signals)
        zone: Zone | None = None
        if self.dialect.time.is_local:
            if plan.format.timezone is None:
                raise ZoneError("its times are local and no time zone is said; say --timezone")
            zone = load_zone(plan.format.timezone)
        self._zone, self._now = zone, now
        self._ambiguous = plan.format.ambiguous or "order"
        self._whole = self._make(self.dialect)
        self._filters: dict[tuple[str, ...], tuple[RowFilter, tuple[Signal, ...]] | str] = {}
        self._keep_aside = keep_aside

    def pieces(self) -> Iterator[Piece]:
        """The whole file.

        Raises
        ------
        FileError
            If it cannot be read to its end.
        """
        for block in read_blocks(self.plan, self.dialect):
            yield from _batches(self._filtered(block), block.bytes)
        yield from _batches(self._finish(), 0)

    def _filtered(self, block: Block) -> Sorted:
        if not self.dialect.keys:
            yield self._whole.add(block), self.dialect.signals
            self._flush_bad(self._whole)
            return
        rows, owner = block.rows, block.owner
        # What belongs to nobody is counted by itself, and there are no rows left to it.
        block.rows = rows.take(np.empty(0, np.int64))
        self._whole.add(block)
        for found in self._filters.values():
            if not isinstance(found, str):
                found[0].remembered_rows = REMEMBERED_ROWS // len(self._filters)
        order = np.argsort(owner, kind="stable")
        starts = np.searchsorted(owner[order], np.arange(len(block.owners) + 1))
        for place, texts in enumerate(block.owners):
            mine = rows.take(order[starts[place] : starts[place + 1]])
            owned = self._series(texts) if mine.line.size else None
            if isinstance(owned, str):
                self._leave_out(mine, owned)
            elif owned is not None:
                rows_filter, signals = owned
                yield rows_filter.add(Block(mine, [], 0, 0, 0, 0)), signals
                self._flush_bad(rows_filter)
        self._flush_bad(self._whole)

    def _finish(self) -> Sorted:
        if not self.dialect.keys:
            yield self._whole.finish(), self.dialect.signals
            self._flush_bad(self._whole)
        for found in self._filters.values():
            if not isinstance(found, str):
                rows_filter, signals = found
                yield rows_filter.finish(), signals
                self._flush_bad(rows_filter)

    def _leave_out(self, rows: Rows, reason: str) -> None:
        """Count rows of something else; put others aside that say no name."""
        if reason == OTHER:
            self.counts.left_out += rows.line.size
            self.counts.rows -= rows.line.size
        else:
            self._whole.refuse(rows, reason)

    def _series(self, texts: tuple[str, ...]) -> tuple[RowFilter, tuple[Signal, ...]] | str:
        """The filter and the signals of rows that say this, or what is wrong with it."""
        found = self._filters.get(texts)
        if found is None:
            names = {
                key: key_text(text) for (key, _), text in zip(self.dialect.keys, texts, strict=True)
            }
            try:
                signals = self._signals(self.plan.of_row(names, dict(self.dialect.patterns)))
            except OtherRowsError:
                found = OTHER
            except LayoutError as error:
                found = str(error)
            else:
                # 17 and 017 are one cell, and its rows have one order.
                same = self._filters.get(_normal_key(signals))
                made = replace(self.dialect, signals=signals)
                found = same or (self._make(made), signals)
                if same is None:
                    self._filters[_normal_key(signals)] = found
                    self.signals += signals
            self._filters[texts] = found
            if len(self._filters) > 2 * MOST_SERIES:
                raise FileError(
                    f"it holds more than {MOST_SERIES:,} series; are the columns that the mapping "
                    "names under series the right ones?"
                )
        return found

    def _signals(self, plan: FilePlan) -> tuple[Signal, ...]:
        taken = {*self.dialect.time_columns, *(column for _, column in self.dialect.keys)}
        made = plan.signals(list(self.dialect.headings), taken)
        return tuple(
            replace(known, tags=one.tags)
            for known, one in zip(self.dialect.signals, made, strict=True)
        )

    @property
    def samples(self) -> list[tuple[Signal, list[tuple[int, float]]]]:
        """The first readings of each signal: milliseconds UTC, and the value as it is stored."""
        if not self.dialect.keys:
            return list(zip(self.dialect.signals, self._whole.samples, strict=True))
        found: list[tuple[Signal, list[tuple[int, float]]]] = []
        seen = set()
        for known in self._filters.values():
            if not isinstance(known, str) and id(known[0]) not in seen:
                seen.add(id(known[0]))
                found += zip(known[1], known[0].samples, strict=True)
        return found

    def _make(self, dialect: Dialect) -> RowFilter:
        return RowFilter(dialect, self._zone, self._ambiguous, self._now, self.counts)

    def _flush_bad(self, rows_filter: RowFilter) -> None:
        bad, rows_filter.bad = rows_filter.bad, []
        if bad:
            self._keep_aside(bad)


def _normal_key(signals: tuple[Signal, ...]) -> tuple[str, ...]:
    return ("", *(f"{signal.tags}" for signal in signals))


def _batches(parts: Iterable[tuple[Rows, tuple[Signal, ...]]], size: int) -> Iterator[Piece]:
    """Lines of all parts, in batches that are worth sending; the last one may be small."""
    gathered: list[bytes] = []
    points = 0
    for rows, signals in parts:
        for lines, count in encode(rows, signals):
            gathered.append(lines)
            points += count
            if points >= POINTS_PER_BATCH:
                yield Piece(b"".join(gathered), points, size)
                gathered, points, size = [], 0, 0
    if points or size:
        yield Piece(b"".join(gathered), points, size)
