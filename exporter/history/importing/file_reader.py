"""One file from beginning to end: batches of lines, and beside them counts and bad rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from exporter.history.importing.column_lines import POINTS_PER_BATCH, encode
from exporter.history.importing.counts import Tally
from exporter.history.importing.csv_dialect import Dialect, FileError, named
from exporter.history.importing.layout import FilePlan, LayoutError, Signal
from exporter.history.importing.local_time import Zone, ZoneError, load_zone
from exporter.history.importing.row_blocks import examine, read_blocks
from exporter.history.importing.row_filter import REMEMBERED_ROWS, Sieve
from exporter.history.importing.rows import BadRow, Block, Rows

MOST_SERIES = 20_000
"""In one file: of more, the columns that say whose a row is are hardly the right ones."""

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

    Raises
    ------
    FileError, ZoneError
    """

    def __init__(
        self, plan: FilePlan, keep_aside: Callable[[list[BadRow]], None], now: float
    ) -> None:
        self.plan = plan
        self.dialect: Dialect = examine(plan)
        self.tally = Tally()
        self.signals: list[Signal] = [] if self.dialect.keys else list(self.dialect.signals)
        zone: Zone | None = None
        if self.dialect.time.is_local:
            if plan.format.timezone is None:
                raise ZoneError("its times are local and no time zone is said; say --timezone")
            zone = load_zone(plan.format.timezone)
        self._zone, self._now = zone, now
        self._ambiguous = plan.format.ambiguous or "order"
        self._whole = self._make(self.dialect)
        self._sieves: dict[tuple[str, ...], tuple[Sieve, tuple[Signal, ...]] | str] = {}
        self._keep_aside = keep_aside

    def pieces(self) -> Iterator[Piece]:
        """The whole file.

        Raises
        ------
        FileError
            If it cannot be read to its end.
        """
        for block in read_blocks(self.plan, self.dialect):
            yield from _batches(self._sift(block), block.bytes)
        yield from _batches(self._finish(), 0)

    def _sift(self, block: Block) -> Sorted:
        if not self.dialect.keys:
            yield self._whole.add(block), self.dialect.signals
            self._flush_bad(self._whole)
            return
        rows, owner = block.rows, block.owner
        # What belongs to nobody is counted by itself, and there are no rows left to it.
        block.rows = _of(rows, np.empty(0, np.int64))
        self._whole.add(block)
        for found in self._sieves.values():
            if not isinstance(found, str):
                found[0].remembered_rows = REMEMBERED_ROWS // len(self._sieves)
        order = np.argsort(owner, kind="stable")
        starts = np.searchsorted(owner[order], np.arange(len(block.owners) + 1))
        for place, said in enumerate(block.owners):
            mine = _of(rows, order[starts[place] : starts[place + 1]])
            owned = self._series(said) if mine.line.size else None
            if isinstance(owned, str):
                self._whole.refuse(mine, owned)
            elif owned is not None:
                sieve, signals = owned
                yield sieve.add(Block(mine, [], 0, 0, 0, 0)), signals
                self._flush_bad(sieve)
        self._flush_bad(self._whole)

    def _finish(self) -> Sorted:
        if not self.dialect.keys:
            yield self._whole.finish(), self.dialect.signals
            self._flush_bad(self._whole)
        for found in self._sieves.values():
            if not isinstance(found, str):
                sieve, signals = found
                yield sieve.finish(), signals
                self._flush_bad(sieve)

    def _series(self, said: tuple[str, ...]) -> tuple[Sieve, tuple[Signal, ...]] | str:
        """The sieve and the signals of rows that say this, or what is wrong with it."""
        found = self._sieves.get(said)
        if found is None:
            names = {
                key: named(text) for (key, _), text in zip(self.dialect.keys, said, strict=True)
            }
            try:
                signals = self._signals(self.plan.of_row(names))
            except LayoutError as error:
                found = str(error)
            else:
                # 17 and 017 are one cell, and its rows have one order.
                same = self._sieves.get(_normal_key(signals))
                made = replace(self.dialect, signals=signals)
                found = same or (self._make(made), signals)
                if same is None:
                    self._sieves[_normal_key(signals)] = found
                    self.signals += signals
            self._sieves[said] = found
            if len(self._sieves) > 2 * MOST_SERIES:
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

    def _make(self, dialect: Dialect) -> Sieve:
        return Sieve(dialect, self._zone, self._ambiguous, self._now, self.tally)

    def _flush_bad(self, sieve: Sieve) -> None:
        bad, sieve.bad = sieve.bad, []
        if bad:
            self._keep_aside(bad)


def _normal_key(signals: tuple[Signal, ...]) -> tuple[str, ...]:
    return ("", *(f"{signal.tags}" for signal in signals))


def _of(rows: Rows, chosen: np.typing.NDArray[np.int64]) -> Rows:
    return Rows(rows.line[chosen], rows.time[chosen], rows.values[chosen])


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
