"""``fleetscope portfolio``: revenue, availability, what is owed, and who gets what."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any
from zoneinfo import ZoneInfo

import typer

from exporter.cli.settlement import (
    BooksOption,
    ContractsOption,
    PeriodOption,
    SitesOption,
    fail,
    money,
    period_of,
    sites_of,
)

if TYPE_CHECKING:
    from exporter.portfolio.contracts_file import Contracts, SiteContract
    from exporter.portfolio.ledger import Ledger
    from exporter.portfolio.market_days import MarketMonth
    from exporter.portfolio.reconciliation import Reconciliation
    from exporter.portfolio.site_report import SiteReport
    from scoring.money.partners import Payout


@dataclass(frozen=True, slots=True)
class _Reports:
    """One site over the period, and over each month that it touches."""

    whole: SiteReport
    by_month: Mapping[str, SiteReport]

    @property
    def owed(self) -> Decimal | None:
        each = [report.owed for report in self.by_month.values()]
        if not each or None in each:
            return None
        return sum((owed for owed in each if owed is not None), Decimal(0))


def _named(month: MarketMonth) -> str:
    return f"{datetime.fromtimestamp(month.start, month.zone):%Y-%m}"


def portfolio(
    site: SitesOption = None,
    books: BooksOption = None,
    contracts: ContractsOption = None,
    period: PeriodOption = "last month",
    publish: Annotated[
        bool,
        typer.Option(
            "--publish",
            help="Work out every figure of the months that the period touches, and bring InfluxDB "
            "up to date with them.",
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="All figures, as JSON.")] = False,
) -> None:
    """What each plant was paid, how available it was, what is owed for that, and who gets what."""
    from exporter.config.side_file import SideFileError
    from exporter.portfolio.contracts_file import load_contracts
    from exporter.portfolio.ledger import Ledger, LedgerError
    from exporter.portfolio.market_days import months
    from exporter.portfolio.payouts import month_payouts
    from exporter.portfolio.reconciliation import reconciliation
    from exporter.portfolio.site_report import site_report

    if books is None or contracts is None:
        fail("name the ledger and the contracts: --books FILE --contracts FILE")
    try:
        terms = load_contracts(contracts)
        sites = sites_of(terms, site or [])
        start, end = period_of(period, ZoneInfo(terms.zone))
        with Ledger(books, read_only=True) as ledger:
            if publish:
                _publish(ledger, terms, sites, (start, end), as_json=as_json)
                return
            paid = {s.id: reconciliation(ledger, terms, [s], start, end) for s in sites}
            # Guarantees and shares are those of months.
            touched = list(months(start, end, ZoneInfo(terms.zone), time.time()))
            reports = [
                _Reports(
                    site_report(ledger, s, start, end),
                    {_named(m): site_report(ledger, s, m.start, m.end) for m in touched},
                )
                for s in sites
            ]
            # A share of some plants alone is none: the waterfall is that of all.
            shares = {} if site else month_payouts(ledger, terms, touched)
    except (SideFileError, LedgerError) as error:
        fail(str(error))
    if as_json:
        typer.echo(json.dumps(_document(reports, paid, shares, terms), indent=2))
    else:
        _show(reports, paid, shares, terms, (start, end))


def _publish(
    ledger: Ledger,
    terms: Contracts,
    sites: list[SiteContract],
    period: tuple[float, float],
    *,
    as_json: bool,
) -> None:
    import asyncio

    from exporter.config.settings import SettingsError, load_settings
    from exporter.history.importing.ordered_sender import GaveUpError
    from exporter.portfolio.publication import Published, Publisher
    from exporter.portfolio.stores import PortfolioStores
    from exporter.store.influx import NoAnswerError

    async def work() -> tuple[Published, list[str]]:
        async with PortfolioStores(load_settings()) as stores:
            publisher = Publisher(ledger, terms, stores.of)
            return await publisher.publish(sites, *period, time.time()), stores.refusals

    try:
        found, refusals = asyncio.run(work())
    except (SettingsError, GaveUpError, NoAnswerError) as error:
        fail(str(error))
    if refusals:
        fail(f"InfluxDB refused rows: {refusals[0]}")
    whole = found.total
    counts = {"written": whole.written, "same": whole.same, "removed": whole.removed}
    if as_json:
        typer.echo(json.dumps({"months": found.months, **counts}))
    else:
        typer.echo(
            f"{found.months} months of {len(sites)} sites: {whole.written:,} rows written, "
            f"{whole.same:,} as they were, {whole.removed:,} removed"
        )


def _document(
    reports: list[_Reports],
    paid: dict[str, Reconciliation],
    shares: dict[str, Payout],
    terms: Contracts,
) -> dict[str, Any]:
    return {
        "currency": terms.currency,
        "sites": [_site(report, paid[report.whole.site]) for report in reports],
        "payouts": {
            name: {
                "by_steps": str(payout.by_steps),
                "by_minima": str(payout.by_minima),
                "total": str(payout.total),
            }
            for name, payout in shares.items()
        },
    }


def _site(reports: _Reports, paid: Reconciliation) -> dict[str, Any]:
    report = reports.whole
    available, failures = report.availability, report.failures
    return {
        "site": report.site,
        "stated": str(paid.stated + paid.unjudged),
        "due": str(paid.own + paid.uncovered),
        "due_without_statement": str(paid.uncovered),
        "not_judged": str(paid.unjudged),
        "availability": None if math.isnan(available.fraction) else available.fraction,
        "coverage": available.coverage,
        "down_seconds": {c.value: s for c, s in available.seconds.items() if s},
        "failures": failures.failures,
        "restoration_seconds": failures.restoration_s,
        "repair_seconds": failures.repair_s,
        "between_failures_seconds": failures.between_s,
        "events_without_available": report.unsized,
        "guarantees": [
            {
                "month": month,
                "name": one.terms.name,
                "target": str(one.terms.target),
                "document": one.terms.document,
                "actual": None
                if math.isnan(one.availability.fraction)
                else 100 * one.availability.fraction,
                "coverage": one.availability.coverage,
                "excluded_seconds": one.availability.excluded,
                "met": one.verdict.met,
                "owed": None if one.verdict.owed is None else str(one.verdict.owed),
            }
            for month, judged in reports.by_month.items()
            for one in judged.guarantees
        ],
        "owed": None if reports.owed is None else str(reports.owed),
    }


def _show(
    reports: list[_Reports],
    paid: dict[str, Reconciliation],
    shares: dict[str, Payout],
    terms: Contracts,
    period: tuple[float, float],
) -> None:
    from exporter.cli.console import console, plain_table

    out, zone = console(), ZoneInfo(terms.zone)
    begin, end = (datetime.fromtimestamp(time, zone) for time in period)
    out.print(
        f"Portfolio {begin:%d %b %Y} to {end:%d %b %Y %H:%M} ({terms.zone})",
        markup=False,
        style="bold",
    )
    table = plain_table(
        *("Site", "Stated", "Due", "Available", "Observed", "Outages", "Restored in", "Owed to us")
    )
    for one in reports:
        report = one.whole
        known, available = paid[report.site], report.availability
        table.add_row(
            report.site,
            money(known.stated + known.unjudged, terms),
            money(known.own + known.uncovered, terms),
            "–" if math.isnan(available.fraction) else f"{100 * available.fraction:.2f} %",
            f"{100 * available.coverage:.1f} %",
            str(report.failures.failures),
            _hours(report.failures.restoration_s),
            "not known" if one.owed is None else money(one.owed, terms),
        )
    out.print(table)
    unsized = sum(one.whole.unsized for one in reports)
    if unsized:
        out.print(f"{unsized} events do not say what they left (available): they limit nothing.")
    if any(one.missing for one in paid.values()):
        out.print("Due leaves out periods without measured power or price: fleetscope settlement.")
    if shares:
        parts = plain_table("Partner", "By shares", "By minima", "In all")
        for name, payout in shares.items():
            parts.add_row(
                name,
                money(payout.by_steps, terms),
                money(payout.by_minima, terms, signed=True),
                money(payout.total, terms),
            )
        out.print(parts)


def _hours(seconds: float | None) -> str:
    return "–" if seconds is None else f"{seconds / 3600:.1f} h"
