"""``fleetscope ticket``."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

if TYPE_CHECKING:
    from exporter.tickets.incident import Incident
    from exporter.tickets.plan import TicketPlan


def ticket(
    site: Annotated[
        str | None, typer.Argument(help="Id of a site; without it every ticket that is due.")
    ] = None,
    code: Annotated[str | None, typer.Option("--code", help="Only this issue of the site.")] = None,
    send: Annotated[
        bool, typer.Option("--send", help="Ask the running exporter to open it.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show exactly what would be sent (the default).")
    ] = False,
    plan_file: Annotated[
        Path | None,
        typer.Option("--plan", help="Ticket file.", envvar="FLEETSCOPE_TICKETS", metavar="FILE"),
    ] = None,
    url: Annotated[
        str, typer.Option("--url", help="Where the exporter listens.", envvar="FLEETSCOPE_URL")
    ] = "http://127.0.0.1:9797",
) -> None:
    """Show the tickets that would be sent, request by request; with --send, have one opened.

    Exits 0 if nothing is due, 1 if something is, 2 if it could not be told.
    """
    from exporter.side_file import SideFileError, load
    from exporter.tickets.book import read_book
    from exporter.tickets.decide import decide
    from exporter.tickets.incident import incidents, unseen
    from exporter.tickets.plan import TicketPlan

    if send and (dry_run or site is None):
        _fail("--send needs a site, and no --dry-run")
    if plan_file is None:
        _fail("no ticket file is named; use --plan FILE or FLEETSCOPE_TICKETS")
    try:
        plan = load(plan_file, TicketPlan)
        book = read_book(plan.state)
    except SideFileError as error:
        _fail(str(error))
    path = "sites?sort=attention" if site is None else f"sites/{urllib.parse.quote(site, safe='')}"
    found = _get(url, path)
    sites = found["sites"] if site is None else [found]
    all_found = incidents(sites, found["time"])
    if site is None:
        hidden = frozenset(f"{one['id']}/{code}" for one in sites for code in unseen(one))
        steps = decide(plan, book, all_found, time.time(), unseen=hidden)
    else:
        chosen = [one for one in all_found if code in (None, one.code)]
        if not chosen:
            _fail(f"{site} has no active issue" + (f" {code}" if code else ""))
        if send:
            _send(plan, chosen)
        # As if nothing else were there: other incidents are not over because they were not asked.
        asked = frozenset(one.key for one in chosen)
        steps = [
            step
            for step in decide(plan, book, chosen, time.time(), asked)
            if step.incident is not None
        ]
    for step in steps:
        _show(step, book.entries.get((step.destination.name, step.key)))
    if not steps:
        typer.echo("no ticket is due")
    raise typer.Exit(1 if steps else 0)


def _send(plan: TicketPlan, chosen: list[Incident]) -> NoReturn:
    from exporter.tickets.desk import want

    for one in chosen:
        try:
            want(plan.state, one)
        except OSError as error:
            _fail(f"{plan.state} cannot be written: {error.strerror}")
        typer.echo(f"asked for a ticket: {one.key}")
    raise typer.Exit(0)


def _show(step: Any, entry: Any) -> None:
    """A step as it would go out, with secrets left out."""
    from exporter.tickets.styles import as_event, calls

    remote = entry.remote if entry is not None else None
    typer.echo(f"# {step.what} {step.number} at {step.destination.name}: {step.key}")
    if step.destination.kind == "file":
        typer.echo(f"write {step.destination.folder}/{step.number}.json")
        typer.echo(json.dumps(as_event(step, step.number), indent=2, ensure_ascii=False))
    else:
        for call in calls(step, remote, "x" if step.destination.token else ""):
            typer.echo(f"{call.method} {call.url}")
            for name, value in call.headers.items():
                typer.echo(f"{name}: {value}")
            for name in call.secret:
                typer.echo(f"{name}: (secret)")
            typer.echo(json.dumps(call.body, indent=2, ensure_ascii=False))
    typer.echo("")


def _get(url: str, path: str) -> Any:
    address = f"{url.rstrip('/')}/api/v1/{path}"
    try:
        with urllib.request.urlopen(address, timeout=30) as reply:  # noqa: S310 - the user's URL
            return json.load(reply)
    except urllib.error.HTTPError as error:
        try:
            reason = json.loads(error.read())["detail"]
        except (ValueError, KeyError):
            reason = f"answered {error.code}"
        _fail(str(reason))
    except (OSError, ValueError) as error:
        _fail(f"{address} does not answer: {getattr(error, 'reason', error)}")


def _fail(message: str) -> NoReturn:
    typer.echo(f"fleetscope: {message}", err=True)
    raise typer.Exit(2)
