"""``fleetscope ticket``."""

from __future__ import annotations

import json
import time
import urllib.parse
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from exporter.cli import client

if TYPE_CHECKING:
    from exporter.deliver.tickets.incident import Incident
    from exporter.deliver.tickets.ticket_file import TicketPlan


def ticket(
    site: Annotated[
        str | None,
        typer.Argument(help="Id, name or part of either; without it every ticket that is due."),
    ] = None,
    code: Annotated[str | None, typer.Option("--code", help="Only this issue of the site.")] = None,
    question: Annotated[
        str | None,
        typer.Option("--ask", help="For the sites of an answer, such as 'which sites are hot?'"),
    ] = None,
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
    as_json: Annotated[
        bool, typer.Option("--json", help="The same as JSON, one list of steps.")
    ] = False,
    url: Annotated[
        str, typer.Option("--url", help="Where the exporter listens.", envvar="FLEETSCOPE_URL")
    ] = "http://127.0.0.1:9797",
) -> None:
    """Show the tickets that would be sent, request by request; with --send, have one opened.

    Exits 0 if nothing is due, 1 if something is, 2 if that is unknown.
    """
    from exporter.config.side_file import SideFileError, load
    from exporter.deliver.tickets.decide import decide
    from exporter.deliver.tickets.ledger import read_ledger
    from exporter.deliver.tickets.ticket_file import TicketPlan

    if site is not None and question is not None:
        _fail("choose a site or --ask")
    if send and (dry_run or (site is None and question is None)):
        _fail("--send needs a site or --ask, and no --dry-run")
    if plan_file is None:
        _fail("no ticket file is named; use --plan FILE or FLEETSCOPE_TICKETS")
    try:
        plan = load(plan_file, TicketPlan)
        ledger = read_ledger(plan.state)
    except SideFileError as error:
        _fail(str(error))
    now = time.time()
    if site is None and question is None:
        steps = decide(plan, ledger, *_due(url, now))
    else:
        picked = _of_answer(url, question) if question is not None else _of_site(url, site, code)
        if send:
            _send(plan, picked)
        # As if nothing else were there: other incidents are not over because they were not asked.
        asked = frozenset(one.key for one in picked)
        steps = [s for s in decide(plan, ledger, picked, now, asked) if s.incident is not None]
    steps_shown = [
        _shown(step, ledger.entries.get((step.destination.name, step.key))) for step in steps
    ]
    if as_json:
        typer.echo(json.dumps(steps_shown, indent=2, ensure_ascii=False))
    else:
        for one in steps_shown:
            _show(one)
        if not steps_shown:
            typer.echo("no ticket is due")
    raise typer.Exit(1 if steps else 0)


def _due(
    url: str, now: float
) -> tuple[list[Incident], float, frozenset[str], frozenset[str], frozenset[str]]:
    """What the running exporter decides on, from what its API says."""
    from exporter.deliver.tickets.incident import incidents, unseen
    from exporter.deliver.tickets.regional import collective, hidden

    found = _get(url, "sites", sort="attention")
    single = incidents(found["sites"], found["time"])
    common = _get(url, "fleet")["common_issues"]
    shared, covered = collective(common, found["sites"], single)
    away = frozenset(f"{one['id']}/{code}" for one in found["sites"] for code in unseen(one))
    return [*shared, *single], now, frozenset(), away | hidden(found["sites"], away), covered


def _of_site(url: str, site: str | None, code: str | None) -> list[Incident]:
    from exporter.deliver.tickets.incident import incidents

    try:
        site = client.site_id(url, site or "")
    except client.CannotAskError as error:
        _fail(str(error))
    found = _get(url, f"sites/{urllib.parse.quote(site, safe='')}")
    chosen = [one for one in incidents([found], found["time"]) if code in (None, one.code)]
    if not chosen:
        _fail(f"{site} has no active issue" + (f" {code}" if code else ""))
    return chosen


def _of_answer(url: str, question: str) -> list[Incident]:
    """Issues of the sites of an answer: those that it is about, or all that need attention."""
    from exporter.ask.catalogue import CONDITIONS
    from exporter.deliver.tickets.incident import incidents

    answer = _get(url, "ask", q=question, tz=client.local_zone())
    typer.echo(f"[{answer['understood']}] {answer['headline']}", err=True)
    wanted = [c for c in answer["query"].get("conditions", ()) if not c.startswith("!")]
    codes = {code for name in wanted for code in CONDITIONS[name].codes}
    found = _get(url, "sites", sort="attention")
    sites = [one for one in found["sites"] if one["id"] in answer["sites"]]
    chosen = [
        one
        for one in incidents(sites, found["time"])
        if (one.code in codes if codes else one.severity != "info")
    ]
    if not chosen:
        _fail("no site of that answer has an active issue that it is about")
    left = max((t["total"] - len(t["rows"]) for t in answer["tables"][:1]), default=0)
    if left > 0:
        typer.echo(f"{left} more are not in the answer; ask for all of them", err=True)
    return chosen


def _send(plan: TicketPlan, chosen: list[Incident]) -> NoReturn:
    from exporter.deliver.tickets.ledger import in_use
    from exporter.deliver.tickets.updater import want

    if not in_use(plan.state):
        _fail(
            f"no exporter keeps its tickets in {plan.state}, so nothing would be sent; start one "
            "with FLEETSCOPE_TICKETS set to this ticket file"
        )
    for one in chosen:
        try:
            want(plan.state, one)
        except OSError as error:
            _fail(f"{plan.state} cannot be written: {error.strerror}")
        typer.echo(f"asked for a ticket: {one.key}")
    raise typer.Exit(0)


def _shown(step: Any, entry: Any) -> dict[str, Any]:
    """A step as it would go out; of secret headers only the names."""
    from exporter.deliver.tickets.trackers import as_event, calls

    destination = step.destination
    shown = {"what": step.what, "number": step.number, "key": step.key, "at": destination.name}
    if destination.kind == "file":
        file = f"{destination.folder}/{step.number}.json"
        return shown | {"file": file, "body": as_event(step, step.number)}
    remote = entry.remote if entry is not None else None
    requests = calls(step, remote, "x" if destination.token else "")
    sent = [
        {"method": one.method, "url": one.url, "headers": one.headers}
        | {"secret_headers": list(one.secret), "body": one.body}
        for one in requests
    ]
    return shown | {"requests": sent}


def _show(entry: dict[str, Any]) -> None:
    typer.echo(f"# {entry['what']} {entry['number']} at {entry['at']}: {entry['key']}")
    if "file" in entry:
        typer.echo(f"write {entry['file']}")
        typer.echo(json.dumps(entry["body"], indent=2, ensure_ascii=False))
    for call in entry.get("requests", ()):
        typer.echo(f"{call['method']} {call['url']}")
        for name, value in call["headers"].items():
            typer.echo(f"{name}: {value}")
        for name in call["secret_headers"]:
            typer.echo(f"{name}: (secret)")
        typer.echo(json.dumps(call["body"], indent=2, ensure_ascii=False))
    typer.echo("")


def _get(url: str, path: str, **parameters: Any) -> Any:
    try:
        return client.get(url, path, parameters)
    except client.CannotAskError as error:
        _fail(str(error))


def _fail(message: str) -> NoReturn:
    typer.echo(f"fleetscope: {message}", err=True)
    raise typer.Exit(client.EXIT_CANNOT_ANSWER)
