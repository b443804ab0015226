"""``fleetscope settlement``: a settlement run against what should have been paid."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn
from zoneinfo import ZoneInfo

import typer

if TYPE_CHECKING:
    from exporter.portfolio.contracts_file import Contracts, SiteContract
    from exporter.portfolio.reconciliation import Reconciliation

_SHOWN = 15
CAUSES = {
    "missing": "not in the statement",
    "unexpected": "only in the statement",
    "volume": "volume",
    "price": "price",
    "penalty": "penalty",
    "rest": "rounding, or a wrong sum",
}


SitesOption = Annotated[
    list[str] | None, typer.Argument(help="Ids of sites; without any all of the contracts.")
]
BooksOption = Annotated[
    Path | None, typer.Option("--books", envvar="FLEETSCOPE_BOOKS", help="The ledger.")
]
ContractsOption = Annotated[
    Path | None,
    typer.Option("--contracts", envvar="FLEETSCOPE_CONTRACTS", help="Contracts (YAML)."),
]
PeriodOption = Annotated[
    str, typer.Option("--period", help="Such as 'last month', 2026-03 or 'this week'.")
]


def settlement(
    site: SitesOption = None,
    books: BooksOption = None,
    contracts: ContractsOption = None,
    period: PeriodOption = "last month",
    run: Annotated[
        str | None,
        typer.Option("--run", help="A settlement run; the latest of each line without it."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="All differences, as JSON.")] = False,
) -> None:
    """Compare a settlement with what prices, measured power and events say should be paid.

    Exits 0 if there is no difference, 1 if something could not be read, 3 if there are differences
    or lines that could not be judged.
    """
    from exporter.config.side_file import SideFileError
    from exporter.portfolio.contracts_file import load_contracts
    from exporter.portfolio.ledger import Ledger, LedgerError
    from exporter.portfolio.ledger_tables import TABLES
    from exporter.portfolio.reconciliation import reconciliation, runs

    if books is None or contracts is None:
        fail("name the ledger and the contracts: --books FILE --contracts FILE")
    try:
        terms = load_contracts(contracts)
        sites = sites_of(terms, site or [])
        start, end = period_of(period, ZoneInfo(terms.zone))
        with Ledger(books, read_only=True) as ledger:
            there = runs(ledger, start, end, [one.id for one in sites])
            if run is not None and there and run.upper() not in there:
                fail(f"--run {run}: there are {', '.join(there)} in that period")
            found = reconciliation(ledger, terms, sites, start, end, run)
            stated = ledger.rows_by_site(TABLES["settlement"], start, end)
    except (SideFileError, LedgerError) as error:
        fail(str(error))
    known = {one.id for one in terms.sites}
    strangers = {name: count for name, count in stated.items() if name not in known}
    if as_json:
        document = _document(found, terms, start, end) | {"without_contract": strangers}
        typer.echo(json.dumps(document, indent=2))
    else:
        _show(found, terms, (start, end))
        for name, count in strangers.items():
            typer.echo(
                f"{count:,} lines are about {name}, which has no contract; if a plant is called so "
                "in the statement, translate it in a mapping file."
            )
    raise typer.Exit(3 if found.differences or found.missing else 0)


def sites_of(terms: Contracts, wanted: list[str]) -> list[SiteContract]:
    """The contracts of the sites that are named, or all; ends the command where one is unknown."""
    known = {site.id: site for site in terms.sites}
    unknown = [name for name in wanted if name not in known]
    if unknown:
        fail(f"no contract of {', '.join(unknown)}; there are those of {', '.join(known)}")
    return [known[name] for name in wanted] if wanted else list(known.values())


def period_of(text: str, zone: ZoneInfo) -> tuple[float, float]:
    """Unix seconds of a period; ends the command where it is none."""
    from exporter.ask.periods.reader import read_period
    from exporter.ask.query import QueryError

    try:
        found = read_period(text, datetime.now(zone), zone)
    except QueryError as error:
        fail(f"--period {text}: {error}")
    return found.start.timestamp(), found.end.timestamp()


def _document(found: Reconciliation, terms: Contracts, start: float, end: float) -> dict[str, Any]:
    return {
        "start": start,
        "end": end,
        "currency": terms.currency,
        "run": found.run,
        "own": str(found.own),
        "stated": str(found.stated),
        "lines": found.lines,
        "due_without_statement": str(found.uncovered),
        "by_cause": {cause.value: str(amount) for cause, amount in found.by_cause().items()},
        "not_judged": {"lines": dict(found.missing), "amount": str(found.unjudged)},
        "differences": [
            {
                "site": d.site,
                "service": d.service,
                "start": datetime.fromtimestamp(d.start, UTC).isoformat(),
                "cause": d.cause.value,
                "amount": str(d.amount),
            }
            for d in found.differences
        ],
    }


def _show(found: Reconciliation, terms: Contracts, period: tuple[float, float]) -> None:
    from exporter.cli.console import console, plain_table

    out, zone = console(), ZoneInfo(terms.zone)
    begin, end = (datetime.fromtimestamp(time, zone) for time in period)
    which = f"run {found.run}" if found.run else "the latest run of each line"
    out.print(
        f"Settlement {begin:%d %b %Y} to {end:%d %b %Y %H:%M} ({terms.zone}), {which}",
        markup=False,
        style="bold",
    )
    if not found.lines:
        out.print("The ledger has no lines of that period that could be compared.")
    whole = found.stated - found.own
    out.print(
        f"Stated {money(found.stated, terms)}, due {money(found.own, terms)}: "
        f"{money(whole, terms, signed=True)} over {found.lines:,} lines.",
        soft_wrap=True,
    )
    if found.uncovered:
        out.print(f"{money(found.uncovered, terms)} are due on days that no statement is about.")
    for reason, count in found.missing.items():
        out.print(f"{count:,} lines are not judged: {reason}.", markup=False)
    if found.missing:
        out.print(f"They state {money(found.unjudged, terms)}.")
    if not found.differences:
        return
    causes = plain_table("Cause", "Amount")
    for cause, amount in sorted(found.by_cause().items(), key=lambda pair: pair[1]):
        causes.add_row(CAUSES[cause.value], money(amount, terms, signed=True))
    out.print(causes)
    table = plain_table("Site", "Service", "From", "Cause", "Amount")
    largest = sorted(found.differences, key=lambda d: -abs(d.amount))
    for d in largest[:_SHOWN]:
        moment = datetime.fromtimestamp(d.start, zone)
        table.add_row(
            d.site,
            d.service,
            f"{moment:%d %b %H:%M}",
            CAUSES[d.cause.value],
            money(d.amount, terms, signed=True),
        )
    out.print(table)
    if len(largest) > _SHOWN:
        out.print(f"and {len(largest) - _SHOWN} smaller ones; --json has them all")


def money(amount: Decimal, terms: Contracts, *, signed: bool = False) -> str:
    """An amount with its currency."""
    return f"{amount:{'+' if signed else ''},.2f} {terms.currency}"


def fail(reason: str) -> NoReturn:
    """End the command with a reason."""
    typer.echo(f"fleetscope: {reason}", err=True)
    raise typer.Exit(1)
