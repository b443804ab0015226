"""``fleetscope rollup``: make roll-ups again, or list the days that need it."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from exporter.ask.lookup import UnknownSiteError
from exporter.ask.periods.reader import read_span
from exporter.ask.query import QueryError
from exporter.cli.site_names import site_ids
from exporter.config.fleet_file import FleetFileError
from exporter.config.settings import Settings, SettingsError
from exporter.history.databases import Databases, title
from exporter.history.rollups.recount import Report, RollupError, find_stale, recount, stored_span
from exporter.history.rollups.source import Source
from exporter.store.connection import connection_of
from exporter.store.influx import NoAnswerError, target_of
from exporter.store.target import NotAllowedError, RetryLaterError

NAMED_DAYS = 20
_FAILURES = (
    *(NoAnswerError, RollupError, RetryLaterError, NotAllowedError, ValueError, QueryError),
)


def parse_time(text: str, now: datetime) -> int:
    """Unix milliseconds of a time as all commands read it, in UTC unless it has an offset.

    Raises
    ------
    exporter.ask.query.QueryError
    """
    return round(read_span(text, now, UTC)[0].first.timestamp() * 1000)


def parse_end(text: str, now: datetime) -> int:
    """The same; a day alone means its end, so that a range from and to a day is that day."""
    return round(read_span(text, now, UTC)[0].last.timestamp() * 1000)


def day_words(time_ms: int) -> str:
    """A day in UTC."""
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d")


def run(
    settings: Settings,
    start: str | None,
    stop: str | None,
    sites: tuple[str, ...],
    *,
    check: bool,
    force: bool,
) -> int:
    """Run the command on every database of the sites; returns the worst exit code.

    0: done, or all is right; 1: days need it; 2: failed.
    """
    console = Console(stderr=True)
    try:
        databases = Databases(settings)
        sites = site_ids(settings, sites)
    except (SettingsError, UnknownSiteError, FleetFileError) as error:
        console.print(f"fleetscope: {error}", markup=False, soft_wrap=True)
        return 2
    if not databases.are_several:
        return _run(console, settings, start, stop, sites, check=check, force=force)
    codes = []
    for project, own in databases.with_sites(sites):
        console.print(f"{title(project)}:", markup=False)
        one = databases.by_project[project]
        codes.append(_run(console, one, start, stop, own, check=check, force=force))
    return max(codes, default=0)


def _run(
    console: Console,
    settings: Settings,
    start: str | None,
    stop: str | None,
    sites: tuple[str, ...],
    *,
    check: bool,
    force: bool,
) -> int:
    connection = connection_of(settings)
    if connection is None:
        console.print("fleetscope: FLEETSCOPE_INFLUXDB_URL is not set")
        return 2
    source = Source(connection)
    now_ms = round(time.time() * 1000)
    try:
        now = datetime.fromtimestamp(now_ms / 1000, UTC)
        start_ms = parse_time(start, now) if start else None
        stop_ms = parse_end(stop, now) if stop else now_ms
        if start_ms is None:
            span = stored_span(source, sites[0] if len(sites) == 1 else None)
            if span is None:
                console.print("nothing is stored in full detail")
                return 0
            start_ms = span[0]
        if start_ms >= stop_ms:
            raise ValueError("the range ends before it begins")
        stop_ms = min(stop_ms, now_ms)
        if check:
            return _check(console, source, start_ms, stop_ms, now_ms, sites)
        return asyncio.run(
            _make(console, settings, source, start_ms, stop_ms, now_ms, sites, force=force)
        )
    except _FAILURES as error:
        console.print(f"fleetscope: {error}", markup=False, soft_wrap=True)
        return 2
    finally:
        source.close()


def _check(
    console: Console,
    source: Source,
    start_ms: int,
    stop_ms: int,
    now_ms: int,
    sites: tuple[str, ...],
) -> int:
    found = find_stale(source, start_ms, stop_ms, now_ms, sites)
    for day in sorted(found.stale)[:NAMED_DAYS]:
        console.print(f"{day_words(day.start_ms)}  {day.site}  {day.measurement}", markup=False)
    if len(found.stale) > NAMED_DAYS:
        console.print(f"and {len(found.stale) - NAMED_DAYS} more")
    console.print(
        f"{len(found.stale)} days, counted for each measurement of each site, lack values that "
        f"full detail has; {len(found.expired)} hold more than is left of full detail",
        soft_wrap=True,
    )
    return 1 if found.stale else 0


async def _make(
    console: Console,
    settings: Settings,
    source: Source,
    start_ms: int,
    stop_ms: int,
    now_ms: int,
    sites: tuple[str, ...],
    *,
    force: bool,
) -> int:
    target = target_of(settings)
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total} days, {task.fields[values]} values"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )
    before = time.monotonic()
    try:
        await target.prepare()
        with bar:
            task = bar.add_task("rolling up", total=None, values=0)

            def show(done: int, known: int, report: Report) -> None:
                bar.update(task, completed=done, total=known, values=f"{report.values:,}")

            report = await recount(
                source,
                target,
                start_ms,
                stop_ms,
                now_ms,
                sites=sites,
                force=force,
                progress=show,
            )
    finally:
        await target.close()
    seconds = time.monotonic() - before
    console.print(
        f"{day_words(start_ms)} to {day_words(stop_ms - 1)}: {report.values:,} values became "
        f"{report.rows:,} rows in {seconds:.1f} s",
        soft_wrap=True,
    )
    if report.expired:
        console.print(
            f"{len(report.expired)} days were left as they are: full detail holds less than they "
            "were made of, since it expired or was deleted; --force makes them anew all the same",
            soft_wrap=True,
        )
    return 0
