"""Makes the roll-ups of a range again: for ``fleetscope rollup`` and after an import."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field

from exporter.history.rollups.compute import Work, batches
from exporter.history.rollups.due import Day, Found, compare, day_of, kept_from, task_of, with_next
from exporter.history.rollups.fields import FIELDS
from exporter.history.rollups.plot_level import level_batch
from exporter.history.rollups.source import DAY_MS, Source
from exporter.store.queue import Batch
from exporter.store.target import RefusedError, RetryLaterError, Target

COMPARED_DAYS = 28
TRIES = 6


class RollupError(Exception):
    """A roll-up that could not be written; the text says why."""


@dataclass(slots=True)
class Report:
    """The result of a run.

    ``days`` counts days of a measurement of a site; ``expired`` are those left as they are, since
    full detail holds less than their roll-up was made of.
    """

    days: int = 0
    values: int = 0
    rows: int = 0
    expired: list[Day] = field(default_factory=list)


Progress = Callable[[int, int, Report], None]


def stored_span(source: Source, site: str | None = None) -> tuple[int, int] | None:
    """Unix milliseconds of the first and last row of full detail, None without any."""
    spans = [
        span
        for measurement, fields in FIELDS.items()
        for name in fields
        if (span := source.span(measurement, name, site)) is not None
    ]
    return (min(s[0] for s in spans), max(s[1] for s in spans)) if spans else None


def pieces(start_ms: int, stop_ms: int) -> Iterator[tuple[int, int]]:
    """The range in pieces of whole days that are compared at once.

    A counter's reading at midnight closes the day before, which is then the first.
    """
    for begin in range(day_of(start_ms - 1), stop_ms, COMPARED_DAYS * DAY_MS):
        yield begin, min(begin + COMPARED_DAYS * DAY_MS, stop_ms)


def find_stale(
    source: Source, start_ms: int, stop_ms: int, now_ms: int, sites: Collection[str] = ()
) -> Found:
    """Days of a range whose roll-ups lack some of full detail."""
    every = Found()
    kept = kept_from(source, now_ms)
    for begin, end in pieces(start_ms, stop_ms):
        found = compare(source, begin, end, kept)
        every.stale |= {day for day in found.stale if not sites or day.site in sites}
        every.expired |= {day for day in found.expired if not sites or day.site in sites}
    return every


async def recount(
    source: Source,
    target: Target,
    start_ms: int,
    stop_ms: int,
    now_ms: int,
    *,
    sites: Collection[str] = (),
    measurements: Collection[str] = tuple(FIELDS),
    force: bool = False,
    progress: Progress | None = None,
) -> Report:
    """Make the roll-ups of a range again; doing it twice changes nothing.

    Parameters
    ----------
    source : Source
    target : Target
    start_ms, stop_ms : int
        Every day that the range touches is made as a whole, the day that ends where it starts too,
        and after it the next day with data, whose counters and states depend on it.
    now_ms : int
    sites, measurements : collections of str, optional
        Only these.
    force : bool
        Make a day anew even where full detail holds less than was rolled up before, because it
        was deleted on purpose.
    progress : callable, optional
        Called with the number of days done, of days known, and the report so far.

    Raises
    ------
    NoAnswerError, RollupError
    """
    report = Report()
    kept = kept_from(source, now_ms)
    stop_ms = min(stop_ms, now_ms)
    done: set[Day] = set()
    known = 0
    for begin, end in pieces(start_ms, stop_ms):
        found = compare(source, begin, end, kept, measurements)
        wanted = {day for day in found.every if not sites or day.site in sites}
        if not force:
            report.expired += sorted(wanted & found.expired)
            wanted -= found.expired
        # The next piece may hold the day after the last one of this piece too.
        days = [day for day in with_next(source, wanted, now_ms) if day not in done]
        known += len(days)
        for day in days:
            work = Work()
            await _write_all(
                target, batches(source, task_of(day, now_ms, kept), now_ms / 1000, work)
            )
            done.add(day)
            report.days += 1
            report.values += work.values
            report.rows += work.lines
            if progress is not None:
                progress(report.days, known, report)
        done = {day for day in done if day.start_ms >= begin}
    levels = level_batch(kept, now_ms)
    await _write(target, levels.body, levels.policy)
    return report


async def _write_all(target: Target, made: Iterator[Batch]) -> None:
    """Write each batch while the next one is read and computed."""
    writing: asyncio.Task[None] | None = None
    try:
        while (batch := await asyncio.to_thread(next, made, None)) is not None:
            if writing is not None:
                await writing
            writing = asyncio.create_task(_write(target, batch.body, batch.policy))
        if writing is not None:
            await writing
    finally:
        if writing is not None:
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)


async def _write(target: Target, body: bytes, policy: str) -> None:
    for attempt in range(TRIES):
        try:
            await target.write(body, policy)
            return
        except RetryLaterError as error:
            if attempt == TRIES - 1:
                raise RollupError(f"not written after {TRIES} attempts: {error}") from error
            await asyncio.sleep(error.after if error.after is not None else 2.0**attempt)
        except RefusedError as error:
            lines = gzip.decompress(body).count(b"\n") + 1
            count = lines if error.left_out is None else error.left_out
            raise RollupError(f"{count} of {lines} rows were rejected: {error}") from error
