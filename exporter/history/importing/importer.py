"""An import as a whole: which files, in which order, and what became of each."""

from __future__ import annotations

import asyncio
import hashlib
import math
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from exporter.history.importing.column_lines import pack
from exporter.history.importing.counts import Counts
from exporter.history.importing.file_error import FileError
from exporter.history.importing.file_reader import FileReader, Piece
from exporter.history.importing.folder_dialects import FolderDialects
from exporter.history.importing.folder_files import find_files
from exporter.history.importing.layout import (
    FilePlan,
    FileRule,
    Format,
    Signal,
    plan_file,
)
from exporter.history.importing.local_time import ZoneError
from exporter.history.importing.ordered_sender import Sender
from exporter.history.importing.progress import State
from exporter.history.importing.retention import Retention
from exporter.history.importing.row_blocks import fingerprint
from exporter.history.importing.rows import BadRow

VERSION = 3
"""Raised when the same file would make other batches than before."""


class TooOldError(Exception):
    """Readings that are older than what InfluxDB keeps."""


class Watcher(Protocol):
    """What shows the progress of an import."""

    def begin(self, name: str, number: int) -> None:
        """A file begins."""

    def advance(self, bytes: int, points: int) -> None:
        """So much more of it is read, and so many points made of it."""

    def note(self, sentence: str) -> None:
        """Something that the person who waits should know."""


@dataclass(slots=True)
class FileResult:
    """What became of one file."""

    plan: FilePlan
    counts: Counts
    signals: list[Signal] | None = None
    fault: str | None = None
    before: bool = False
    samples: list[tuple[Signal, list[tuple[int, float]]]] = field(default_factory=list)

    @property
    def sites(self) -> list[str]:
        """The sites that it is about; none where its rows say it and were read in a run before."""
        if self.plan.site:
            return [self.plan.site]
        return sorted({signal.tags[0][1] for signal in self.signals or ()})


@dataclass(slots=True)
class Outcome:
    """What became of all.

    Attributes
    ----------
    files : list of FileResult
    left_out : dict of name to reason
        Files that no pattern knows.
    refusals : list of str
        What InfluxDB said of points that it refused for good.
    examples : dict of reason to text
        One bad row for each reason, with its place.
    bad_rows : Path or None
        Where they are kept.
    rollups_due : bool
        Whether something was written, now or before, that roll-ups were not made of yet.
    """

    files: list[FileResult] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    refusals: list[str] = field(default_factory=list)
    examples: dict[str, str] = field(default_factory=dict)
    bad_rows: Path | None = None
    rollups_due: bool = False

    @property
    def total(self) -> Counts:
        """The counts of all files."""
        total = Counts()
        for result in self.files:
            total.add(result.counts)
        return total

    @property
    def complete(self) -> bool:
        """Whether every file that a pattern knows was read to its end and taken."""
        return not self.refusals and all(r.fault is None for r in self.files)

    @property
    def short(self) -> list[FileResult]:
        """The files of which less could be read than there is."""
        return [r for r in self.files if r.fault is None and r.counts.shortfall]


def plan(
    folder: Path, rules: Iterable[FileRule], sites: Mapping[str, str], common: Format
) -> tuple[list[FilePlan], dict[str, str]]:
    """The files of a folder, and why others are left out.

    Raises
    ------
    LayoutError
    """
    chosen = list(rules)
    plans, left_out = [], {}
    for path in find_files(folder):
        name = path.name if path == folder else path.relative_to(folder).as_posix()
        made = plan_file(path, name, chosen, sites, common)
        if isinstance(made, str):
            left_out[name] = made
        else:
            plans += made
    return plans, left_out


def mark_of(plan: FilePlan) -> str:
    """Changes with the file, and with everything that decides what is made of it."""
    decides: tuple[object, ...]
    decides = (VERSION, plan.site, plan.rule, sorted(plan.names.items()), plan.format)
    if not plan.site:
        decides += (sorted(plan.sites.items()), sorted(plan.known or ()))
    return hashlib.sha256(f"{fingerprint(plan.path)} {decides!r}".encode()).hexdigest()


async def check(plans: list[FilePlan], watcher: Watcher, outcome: Outcome) -> None:
    """Read every file to its end and write nothing."""
    dialects = FolderDialects(plans)
    for number, plan in enumerate(plans, 1):
        watcher.begin(plan.name, number)
        result = FileResult(plan, Counts())
        outcome.files.append(result)
        examples = _Examples(plan.name, outcome)
        try:
            reader = await asyncio.to_thread(FileReader, plan, examples.add, time.time(), dialects)
            result.signals, result.counts = reader.signals, reader.counts
            pieces = reader.pieces()
            while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
                watcher.advance(piece.bytes, piece.points)
            result.samples = reader.samples
        except (FileError, ZoneError) as error:
            result.fault = str(error)


class Importer:
    """Imports files, one after the other.

    Parameters
    ----------
    state : State
    sender : Sender
    retention : Retention
    watcher : Watcher
    extend : bool
        Whether the retention may be made longer for readings that are older.
    """

    def __init__(
        self, state: State, sender: Sender, retention: Retention, watcher: Watcher, *, extend: bool
    ) -> None:
        self._state = state
        self._sender = sender
        self._retention = retention
        self._watcher = watcher
        self._extend = extend
        self._oldest_ms = -math.inf

    async def run(self, plans: list[FilePlan], outcome: Outcome) -> None:
        """Import all files that are not imported yet.

        Raises
        ------
        GaveUpError, RetentionError, TooOldError, OSError
        """
        await self._sender.prepare()
        await self._look_up_retention()
        dialects = FolderDialects(plans)
        try:
            for number, plan in enumerate(plans, 1):
                self._watcher.begin(plan.name, number)
                outcome.files.append(await self._file(plan, outcome, dialects))
        finally:
            outcome.refusals += self._sender.refusals
            outcome.bad_rows = self._state.gather_bad_rows()

    async def _file(self, plan: FilePlan, outcome: Outcome, dialects: FolderDialects) -> FileResult:
        result = FileResult(plan, Counts())
        try:
            mark = await asyncio.to_thread(mark_of, plan)
        except OSError as error:
            result.fault = f"cannot be read: {error.strerror}"
            return result
        progress = self._state.progress(plan.name, mark)
        if progress.counts is not None:
            self._watcher.advance(plan.path.stat().st_size, progress.counts.points)
            result.counts, result.before = progress.counts, True
            return result
        bad = self._state.bad_rows_of(plan.name)
        examples = _Examples(plan.name, outcome)

        def keep_aside(rows: list[BadRow]) -> None:
            bad.add(rows)
            examples.add(rows)

        try:
            reader = await asyncio.to_thread(FileReader, plan, keep_aside, time.time(), dialects)
            result.signals, result.counts = reader.signals, reader.counts
            batches = await self._send(plan, mark, reader, progress.batches)
            result.samples = reader.samples
        except (FileError, ZoneError) as error:
            result.fault = str(error)
            # What it said before it broke off is kept with it.
            await self._settle(plan, mark, result.counts, await self._sender.drain())
            bad.keep()
            return result
        except BaseException:
            with suppress(OSError):
                bad.discard()
            raise
        bad.keep()
        self._state.complete(plan.name, mark, batches, result.counts)
        return result

    async def _send(self, plan: FilePlan, mark: str, reader: FileReader, done: int) -> int:
        """Send what was not taken before; returns the number of batches of the file."""
        number = 0
        self._acknowledged = done
        pieces = reader.pieces()
        counts = reader.counts
        while (packed := await asyncio.to_thread(_next_packed, pieces)) is not None:
            piece, body = packed
            self._watcher.advance(piece.bytes, piece.points)
            if not piece.points:
                continue
            if counts.first is not None and counts.first < self._oldest_ms:
                await self._make_room(counts.first)
            number += 1
            if number <= done:
                counts.points += piece.points
                continue
            counts.points += piece.points
            await self._settle(plan, mark, counts, await self._sender.send(body, piece.points))
        await self._settle(plan, mark, counts, await self._sender.drain())
        return number

    async def _settle(self, plan: FilePlan, mark: str, counts: Counts, settled: list[int]) -> None:
        for refused in settled:
            self._acknowledged += 1
            counts.rejected += refused
            counts.points -= refused
        if settled:
            self._state.acknowledge(plan.name, mark, self._acknowledged)

    async def _look_up_retention(self) -> None:
        seconds = await self._retention.seconds()
        self._oldest_ms = (time.time() - seconds) * 1000 if math.isfinite(seconds) else -math.inf

    async def _make_room(self, first_ms: int) -> None:
        days = math.ceil((time.time() - first_ms / 1000) / 86_400) + 1
        kept = f"{self._retention.name} keeps {await self._retention.seconds() / 86_400:g} days"
        if not self._extend:
            raise TooOldError(
                f"the readings go back {days} days and {kept}: InfluxDB would drop the older ones. "
                "Nothing older was written. Say --extend-retention to keep full detail for that "
                "long, or make it longer by hand"
            )
        # Half as much again, so that what is imported does not begin to vanish the next day.
        await self._retention.extend(1.5 * days * 86_400)
        self._watcher.note(f"{kept}; from now on {math.ceil(1.5 * days)}")
        await self._look_up_retention()


def _next_packed(pieces: Iterator[Piece]) -> tuple[Piece, bytes] | None:
    piece = next(pieces, None)
    return None if piece is None else (piece, pack(piece.lines) if piece.points else b"")


class _Examples:
    """Keeps one bad row for each reason."""

    def __init__(self, name: str, outcome: Outcome) -> None:
        self._name = name
        self._examples = outcome.examples

    def add(self, rows: list[BadRow]) -> None:
        for row in rows:
            reason = row.reason.partition(":")[0] if "physics" in row.reason else row.reason
            if reason not in self._examples:
                text = f"{self._name}, line {row.line}: {row.text}"
                self._examples[reason] = f"{text} ({row.reason})" if reason != row.reason else text
