"""What the issues of sites may cost, by the configured price list. No price, no figure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from exporter.ask.answer import Column, Table
from exporter.ask.lookup import group_values
from exporter.ask.view import View
from exporter.assess.costs import PriceList, estimate
from exporter.model.text import sites_word

NO_PRICES = "No price list is configured, so there is no figure."
COLUMNS = (
    Column("status", "Status", "status"),
    Column("name", "Site"),
    Column("site", "Id"),
    Column("item", "For"),
    Column("quantity", "Quantity", "number", decimals=1),
    Column("unit", "Unit"),
    Column("price", "Price", "number", decimals=2),
    Column("amount", "Amount", "number", decimals=2),
    Column("currency", "Currency"),
    Column("assumption", "Assumed"),
)


@dataclass(frozen=True, slots=True)
class Costs:
    """A sentence, the figures it adds up, and in words what has none."""

    sentence: str
    table: Table | None
    missing: list[str]
    total: float | None


def costs(
    view: View,
    sites: Iterable[str],
    prices: PriceList | None,
    limit: int,
    order: str | None = None,
    group_by: str | None = None,
) -> Costs:
    """What the issues that sites have now may cost.

    Parameters
    ----------
    view : View
    sites : iterable of site id
    prices : PriceList or None
    limit : int
        Most rows of the table; the total is of all.
    order : "highest" or "lowest", optional
        Put the items in the order of their amount.
    group_by : str, optional
        An attribute of sites: a row for each of its values.
    """
    if prices is None:
        return Costs(NO_PRICES, None, ["price list"], None)
    rows: list[dict[str, Any]] = []
    unpriced: list[str] = []
    total, count = 0.0, 0
    for site in sites:
        row = view.directory.row(site)
        found = estimate(view.sites[row], view.issues(row), prices)
        unpriced += [f"{site}: {text}" for text in found.unpriced]
        count += bool(found.figures)
        total += found.total or 0.0
        rows += [
            view.identity(row) | {name: getattr(figure, name) for name in figure.__slots__}
            for figure in found.figures
        ]
    if not rows:
        why = "no price for what they need" if unpriced else "no issue that ends in a visit"
        return Costs(f"No figure: {why}.", None, unpriced, None)
    assumed = f" Items without a price: {len(unpriced)}." if unpriced else ""
    sentence = f"About {total:,.0f} {prices.currency} for {sites_word(count)}.".replace(",", " ")
    if order in ("highest", "lowest"):
        rows.sort(key=lambda row: (-1 if order == "highest" else 1) * (row["amount"] or 0.0))
        first = f"{rows[0]['item']} at {rows[0]['name']}"
        amount = f"{rows[0]['amount'] or 0.0:,.0f}".replace(",", " ")
        sentence += f" The {order} is {first}: {amount} {prices.currency}."
    if group_by is not None:
        return Costs(sentence + assumed, _grouped(view, rows, group_by), unpriced, total)
    return Costs(
        sentence + assumed, Table("Costs", COLUMNS, rows[:limit], len(rows)), unpriced, total
    )


def _grouped(view: View, rows: list[dict[str, Any]], attribute: str) -> Table:
    """The amounts by the values of an attribute, the largest first."""
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        place = view.directory.row(row["site"])
        status = attribute == "status"
        given = [view.status(place)] if status else group_values(view.sites[place], attribute)
        for value in given or ["(none)"]:
            empty = {"group": value, "sites": set(), "amount": 0.0}
            group = found.setdefault(value, empty)
            group["sites"].add(row["site"])
            group["amount"] += row["amount"] or 0.0
            group["currency"] = row["currency"]
    lines = [group | {"sites": len(group["sites"])} for group in found.values()]
    lines.sort(key=lambda line: (-line["amount"], line["group"]))
    columns = (
        Column("group", attribute.replace("_", " ").capitalize()),
        Column("sites", "Sites", "number"),
        Column("amount", "Amount", "number", decimals=2),
        Column("currency", "Currency"),
    )
    return Table(f"Costs by {attribute.replace('_', ' ')}", columns, lines, len(lines))
