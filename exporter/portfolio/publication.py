"""Everything that is published of a portfolio: worked out once, month by month."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import numpy as np

from exporter.portfolio.benchmark_figures import COMPARED, benchmark_figures
from exporter.portfolio.contracts_file import Contracts, SiteContract
from exporter.portfolio.duty_figures import (
    availability_figures,
    event_figures,
    sla_figures,
    ticket_figures,
)
from exporter.portfolio.figure import Figure, figure
from exporter.portfolio.ledger import Ledger
from exporter.portfolio.ledger_tables import TABLES
from exporter.portfolio.loss_figures import loss_figures, month_losses
from exporter.portfolio.market_days import MarketMonth, months
from exporter.portfolio.measurements import MEASUREMENTS
from exporter.portfolio.month_figures import HISTORY_DAYS, lifecycle_figures, month_figures
from exporter.portfolio.plant_figures import (
    distribution_figures,
    plant_days,
    plant_figure,
    quality_figures,
)
from exporter.portfolio.published import Changes, PublishedPortfolio, Scope
from exporter.portfolio.response_figures import response_figures
from exporter.portfolio.settlement_figures import (
    day_revenues,
    revenue_figures,
    settlement_figures,
)
from exporter.portfolio.site_month import SiteMonth
from exporter.portfolio.site_report import site_report

DAY = 86_400.0
FORECAST_SECONDS = 11 * 366 * DAY
OF_NO_SITE = frozenset({"price", "payout", "project", "benchmark"})
"""Measurements without a site; they are stored where sites without a project are."""
_AHEAD = "soh_forecast"
_COMPARED = frozenset({"revenue"} | {one.measurement for one in COMPARED})
"""What figures of all sites together are made of."""
_NOT_FIGURES = OF_NO_SITE | {"telemetry", _AHEAD}


@dataclass(slots=True)
class Published:
    """What a publication did: changes by site, those of no site, and days."""

    by_site: dict[str, Changes] = field(default_factory=lambda: defaultdict(Changes))
    shared: Changes = field(default_factory=Changes)
    months: int = 0

    @property
    def total(self) -> Changes:
        """All changes."""
        found = Changes()
        for one in (*self.by_site.values(), self.shared):
            found.add(one)
        return found


class Publisher:
    """Works out the figures of a portfolio and publishes them.

    Parameters
    ----------
    ledger : Ledger
    terms : Contracts
    store_of : callable
        The InfluxDB of a site; of None, that of what belongs to no site. None where nothing is
        stored of it.
    """

    def __init__(
        self,
        ledger: Ledger,
        terms: Contracts,
        store_of: Callable[[str | None], PublishedPortfolio | None],
    ) -> None:
        self._ledger = ledger
        self._terms = terms
        self._store_of = store_of

    async def publish(
        self, sites: Sequence[SiteContract], start: float, end: float, now: float
    ) -> Published:
        """Publish the months that a period touches, as far as their days have ended.

        Figures of partners, vendors and markets are those of all sites of the contracts, and are
        published only with all of them.

        Raises
        ------
        LedgerError, exporter.store.influx.NoAnswerError,
        exporter.history.importing.ordered_sender.GaveUpError
        """
        found = Published()
        zone = ZoneInfo(self._terms.zone)
        whole = {site.id for site in sites} == {site.id for site in self._terms.sites}
        for month in months(start, end, zone, now):
            found.months += 1
            figures: dict[str, list[Figure]] = {}
            for site in sites:
                store = self._store_of(site.id)
                if store is None:
                    continue
                made = [one for one in self._of_site(site, month, store) if one is not None]
                scopes = _scopes(site.id, month)
                if store.is_published_after(site.id, month.start):
                    made = [one for one in made if one.measurement != _AHEAD]
                else:
                    scopes.append(Scope(_AHEAD, site.id, month.end, month.end + FORECAST_SECONDS))
                found.by_site[site.id].add(await store.bring_up_to_date(scopes, made))
                figures[site.id] = [one for one in made if one.measurement in _COMPARED]
            shared = self._store_of(None)
            if whole and shared is not None:
                found.shared.add(await self._publish_shared(month, figures, shared))
        return found

    def _of_site(
        self, site: SiteContract, month: MarketMonth, store: PublishedPortfolio
    ) -> Iterator[Figure | None]:
        telemetry = store.telemetry(site.id, month.start, month.end)
        known = SiteMonth(self._ledger, self._terms, site, month, telemetry)
        report = site_report(self._ledger, site, month.start, month.end, telemetry)
        revenues = day_revenues(known)
        losses = month_losses(known, revenues)
        days = plant_days(known, revenues)
        before = store.daily_soh(site.id, month.end - HISTORY_DAYS * DAY, month.start, month.zone)
        yield plant_figure(site, month.start, self._terms.currency, self._terms.zone)
        yield through_figure(known, basis_of(self._ledger, self._terms, month))
        yield from dispatch_figures(known)
        yield from quality_figures(known)
        yield from settlement_figures(known)
        yield from revenue_figures(known, revenues)
        yield from loss_figures(known, losses)
        yield from availability_figures(known)
        yield from sla_figures(known, report)
        yield from event_figures(known, losses.events)
        yield from ticket_figures(known)
        yield from days.figures
        yield from distribution_figures(known)
        yield from response_figures(known)
        yield from month_figures(known, report, revenues, losses, days)
        yield from lifecycle_figures(known, days, before)

    async def _publish_shared(
        self,
        month: MarketMonth,
        figures: Mapping[str, Sequence[Figure]],
        store: PublishedPortfolio,
    ) -> Changes:
        made = [
            *price_figures(self._ledger, month),
            *payout_figures(self._terms, figures, month),
            *benchmark_figures(self._terms.sites, figures, month.start),
            *project_figures(self._ledger),
        ]
        scopes = [Scope(one, None, month.start, month.end) for one in OF_NO_SITE - {"project"}]
        scopes.append(Scope("project", None, 0.0, month.end + 200 * 366 * DAY))
        return await store.bring_up_to_date(scopes, made)


def _scopes(site: str, month: MarketMonth) -> list[Scope]:
    return [
        Scope(one, site, month.start, month.end) for one in MEASUREMENTS if one not in _NOT_FIGURES
    ]


@dataclass(frozen=True, slots=True)
class Basis:
    """What the figures of a month rest on, beside telemetry; where it is the same, so are they."""

    days: int
    ledger_import: int
    contracts: str


def basis_of(ledger: Ledger, terms: Contracts, month: MarketMonth) -> Basis:
    """What a month rests on now.

    Raises
    ------
    LedgerError
    """
    # Sets have another order in each process.
    text = json.dumps(
        terms.model_dump(),
        sort_keys=True,
        default=lambda value: sorted(value) if isinstance(value, frozenset) else str(value),
    )
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    newest = ledger.newest_import(month.start, month.end, month.zone, projects=not month.is_whole)
    return Basis(len(month.days), newest, digest)


def through_figure(known: SiteMonth, basis: Basis) -> Figure | None:
    """``publication``."""
    telemetry = known.telemetry
    measured = telemetry.times[np.isfinite(telemetry.of("power_kw"))]
    ends = [row["start"] + row["seconds"] for row in known.dispatch if row["actual_kw"] is not None]
    newest = float(measured[-1]) if len(measured) else max(ends, default=None)
    day = None
    if newest is not None:
        day = datetime.fromtimestamp(newest, known.month.zone).date().isoformat()
    readings = len(measured) + int(np.isfinite(telemetry.of("soc_percent")).sum())
    return figure(
        "publication",
        (known.site.id,),
        known.month.start,
        through=newest,
        through_day=day,
        readings=readings,
        **asdict(basis),
    )


def dispatch_figures(known: SiteMonth) -> Iterator[Figure | None]:
    """``dispatch``."""
    for row in known.dispatch:
        yield figure(
            "dispatch",
            (known.site.id,),
            row["start"],
            wanted_kw=row["wanted_kw"],
            allowed_kw=row["allowed_kw"],
            actual_kw=row["actual_kw"],
            seconds=row["seconds"],
        )


def price_figures(ledger: Ledger, month: MarketMonth) -> Iterator[Figure | None]:
    """``price``."""
    for row in ledger.latest(TABLES["prices"], month.start, month.end):
        yield figure(
            "price", (row["market"],), row["start"], price=row["price"], seconds=row["seconds"]
        )


def payout_figures(
    terms: Contracts, figures: Mapping[str, Sequence[Figure]], month: MarketMonth
) -> Iterator[Figure | None]:
    """``payout``: shares of what all sites earned."""
    if terms.partners is None:
        return
    amounts = [
        Decimal(f"{float(one.fields['amount']):.2f}")
        for each in figures.values()
        for one in each
        if one.measurement == "revenue" and "amount" in one.fields
    ]
    if not amounts:
        return
    whole = sum(amounts, Decimal(0))
    for partner, payout in terms.partners.payouts(whole).items():
        yield figure(
            "payout",
            (partner,),
            month.start,
            by_steps=payout.by_steps,
            by_minima=payout.by_minima,
            total=payout.total,
            share_percent=float(100 * payout.total / whole) if whole else None,
        )


def project_figures(ledger: Ledger) -> Iterator[Figure | None]:
    """``project``: every version, stamped with the import that brought it."""
    imports = {one["id"]: one["time"] for one in ledger.imports()}
    for row in ledger.versions(TABLES["pipeline"], 0.0, 7e9):
        planned, expected = (
            np.datetime64(row[name], "s").astype(float) for name in ("planned", "expected")
        )
        yield figure(
            "project",
            (row["project"],),
            imports[row["import"]],
            region=row["region"],
            stage=row["stage"],
            mw=row["mw"],
            mwh=row["mwh"],
            planned=float(planned),
            expected=float(expected),
            slip_days=float(expected - planned) / DAY,
        )
