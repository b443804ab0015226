"""``fleetscope verify``: compares the ledger with what is in InfluxDB."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from rich.console import Console
from rich.table import Table

from exporter.ask.periods.reader import read_moment, read_span
from exporter.ask.query import QueryError
from exporter.cli.console import plain_table
from exporter.config.settings import Settings, SettingsError
from exporter.history.databases import Databases, title
from exporter.store.connection import connection_of
from exporter.store.influx import InfluxClient
from exporter.store.queue import Fate
from exporter.store.verification import Row, VerifyError, verify

_COLUMNS = ("produced", "written", "in InfluxDB", "missing", "waiting", "rejected", "dropped")


def show(settings: Settings, first: str, last: str | None, console: Console) -> int:
    """Print the comparison; returns 0 if nothing is missing, 1 if something is.

    Raises
    ------
    VerifyError
        It could not be made.
    """
    try:
        databases = Databases(settings)
    except SettingsError as error:
        raise VerifyError(str(error)) from error
    if not databases.are_several:
        return _show(settings, first, last, console)
    codes = []
    for project, own in databases.by_project.items():
        console.print(f"{title(project)}:", markup=False)
        try:
            codes.append(_show(own, first, last, console))
        except VerifyError as error:
            # Nothing is said of this one; the others are compared all the same.
            console.print(f"fleetscope: {error}", markup=False, soft_wrap=True)
            codes.append(2)
    return max(codes)


def _show(settings: Settings, first: str, last: str | None, console: Console) -> int:
    if settings.queue_dir is None:
        raise VerifyError("the ledger is on disk only with FLEETSCOPE_QUEUE_DIR, which is not set")
    connection = connection_of(settings)
    if connection is None:
        raise VerifyError("FLEETSCOPE_INFLUXDB_URL is not set")
    try:
        now = datetime.now(UTC)
        start = read_moment(first, now, UTC)
        end = read_span(last, now, UTC)[0].last if last else now - timedelta(minutes=1)
    except QueryError as error:
        raise VerifyError(str(error)) from error
    if end - start < timedelta(minutes=1):
        raise VerifyError("--to must be at least a minute after --from")
    rows = verify(settings.queue_dir, InfluxClient(connection), start, end)
    if not rows:
        raise VerifyError(
            f"the ledger in {settings.queue_dir} has no points from {start:%Y-%m-%d %H:%M} to "
            f"{end:%Y-%m-%d %H:%M} {end:%Z}, so there is nothing to compare"
        )
    console.print(_table(rows, start, end))
    missing = sum(row.missing for row in rows)
    strange = sum(row.strange for row in rows)
    if strange:
        console.print(f"[yellow]![/] {strange} points are not in this ledger.")
    if missing:
        console.print(f"[red]✗[/] {missing} points were written and are not in InfluxDB.")
        return 1
    console.print("[green]✓[/] Everything that was written is in InfluxDB.")
    return 0


def _table(rows: list[Row], start: datetime, end: datetime) -> Table:
    title = f"Points from {start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} {end:%Z}"
    table = plain_table("points of", title=title)
    for name in _COLUMNS:
        table.add_column(name, justify="right")
    for row in rows:
        counts = row.counts
        table.add_row(
            row.subject,
            *(f"{n:,}" for n in (counts[Fate.PRODUCED], counts[Fate.WRITTEN], row.stored)),
            f"[red]{row.missing:,}[/]" if row.missing else "0",
            *(f"{counts[fate]:,}" for fate in (Fate.SPOOLED, Fate.REJECTED, Fate.DROPPED)),
        )
    return table
