"""``fleetscope report``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from exporter.cli import client


def report(
    week: Annotated[bool, typer.Option("--week", help="The last 7 days (the default).")] = False,
    month: Annotated[bool, typer.Option("--month", help="The last 30 days.")] = False,
    days: Annotated[
        float | None, typer.Option("--days", min=0.01, max=366, help="So many days.")
    ] = None,
    since: Annotated[
        str | None, typer.Option("--since", help="From then on: monday, 30d, 2026-03-01.")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", help="Its end, with --since; now without it.")
    ] = None,
    tz: Annotated[
        str | None,
        typer.Option("--tz", help="Time zone of both, such as Europe/Berlin; this machine's."),
    ] = None,
    html: Annotated[
        Path | None, typer.Option("--html", help="Write it as HTML.", metavar="FILE")
    ] = None,
    pdf: Annotated[
        Path | None, typer.Option("--pdf", help="Write it as PDF.", metavar="FILE")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print its data as JSON.")] = False,
    url: Annotated[
        str, typer.Option("--url", help="Where the exporter listens.", envvar="FLEETSCOPE_URL")
    ] = "http://127.0.0.1:9797",
) -> None:
    """The fleet over a week: changes, attention, trends, availability, energy, costs.

    Writes HTML and PDF into the working folder unless told otherwise. Exits 0 if no site needs
    attention, 1 if some do, 2 if it could not be made.
    """
    if sum((week, month, days is not None, since is not None)) > 1:
        _fail("choose one of --week, --month, --days and --since")
    if until is not None and since is None:
        _fail("--until needs --since")
    period = {"days": f"{30.0 if month else days or 7.0:g}"}
    if since is not None:
        period = {"since": since, "tz": client.zone(tz)}
    if until is not None:
        period["until"] = until
    import json

    data = _get(url, period, "json")
    found = json.loads(data)
    if as_json:
        sys.stdout.write(data.decode() + "\n")
    if html is None and pdf is None and not as_json:
        from datetime import UTC, datetime

        stem = f"fleetscope-report-{datetime.fromtimestamp(found['end'], UTC):%Y-%m-%d}"
        html, pdf = Path(f"{stem}.html"), Path(f"{stem}.pdf")
    for path, form in ((html, "html"), (pdf, "pdf")):
        if path is None:
            continue
        body = _get(url, period, form)
        try:
            path.write_bytes(body)
        except OSError as error:
            _fail(f"{path} cannot be written: {error.strerror}")
        typer.echo(f"{path}: {len(body) / 1000:.0f} kB", err=as_json)
    raise typer.Exit(1 if found["attention"] else 0)


def _get(url: str, period: dict[str, str], form: str) -> bytes:
    try:
        return client.fetch(url, "report", period | {"format": form}, seconds=900)
    except client.CannotAskError as error:
        _fail(str(error))


def _fail(message: str) -> NoReturn:
    typer.echo(f"fleetscope: {message}", err=True)
    raise typer.Exit(client.EXIT_CANNOT_ANSWER)
