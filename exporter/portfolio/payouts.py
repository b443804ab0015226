"""Who gets what of the revenue of all plants, month by month."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from exporter.portfolio.contracts_file import Contracts
from exporter.portfolio.ledger import Ledger
from exporter.portfolio.market_days import MarketMonth
from exporter.portfolio.settlement_figures import day_revenues
from exporter.portfolio.site_month import SiteMonth
from scoring.money.partners import Payout


def month_payouts(
    ledger: Ledger, terms: Contracts, months: Iterable[MarketMonth]
) -> dict[str, Payout]:
    """Payouts of each partner, added up over months; empty without partners or revenue.

    Raises
    ------
    LedgerError
    """
    found: dict[str, Payout] = {}
    if terms.partners is None:
        return found
    for month in months:
        amounts = [
            one.amount
            for site in terms.sites
            for one in day_revenues(SiteMonth(ledger, terms, site, month)).values()
            if one.amount is not None
        ]
        if not amounts:
            continue
        for name, payout in terms.partners.payouts(sum(amounts, Decimal(0))).items():
            before = found.get(name, Payout(Decimal(0), Decimal(0)))
            found[name] = Payout(
                before.by_steps + payout.by_steps, before.by_minima + payout.by_minima
            )
    return found
