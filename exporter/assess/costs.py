"""What it may cost, by a price list in the configuration. No price, no figure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field, StringConstraints

from exporter.assess.assessment import Issue
from exporter.config.fleet import Site
from exporter.config.side_file import SideModel, load
from scoring.rules import RULES

_VISITS = frozenset(rule.code for rule in RULES if rule.visit)
"""Issues that end in a visit to the site, unless they are for information only."""


class Price(SideModel):
    """A price and its assumption, which every figure made from it repeats."""

    price: Annotated[float, Field(ge=0, le=1e9)]
    assumption: Annotated[
        str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)
    ]


class PriceList(SideModel):
    """The price list; what is left out has no price, and then there is no figure."""

    currency: Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
    battery_per_kwh: Price | None = None
    service_call: Price | None = None
    grid_energy_per_kwh: Price | None = None
    feed_in_per_kwh: Price | None = None


@dataclass(frozen=True, slots=True)
class Figure:
    """One item of an estimate: ``quantity`` times ``price`` is ``amount``."""

    item: str
    amount: float
    currency: str
    quantity: float
    unit: str
    price: float
    assumption: str


@dataclass(frozen=True, slots=True)
class Estimate:
    """The cost of a site's issues, and in words what has no price."""

    figures: tuple[Figure, ...]
    unpriced: tuple[str, ...]

    @property
    def total(self) -> float | None:
        """The sum of the figures; None without any."""
        return sum(figure.amount for figure in self.figures) if self.figures else None


def load_prices(path: Path) -> PriceList:
    """Read a price list.

    Raises
    ------
    exporter.config.side_file.SideFileError
    """
    return load(path, PriceList)


def estimate(site: Site, issues: Iterable[Issue], prices: PriceList) -> Estimate:
    """What the active issues of a site may cost: one visit at most, and a battery where it is
    critically worn. An issue of the utility's grid or of information only costs nothing here.
    """
    serious = [issue for issue in issues if issue.severity != "info" and issue.code in _VISITS]
    figures: list[Figure] = []
    unpriced: list[str] = []
    if any(issue.code == "battery_soh" and issue.severity == "critical" for issue in serious):
        if prices.battery_per_kwh is None:
            unpriced.append("a new battery: no battery_per_kwh in the price list")
        elif site.capacity_kwh is None:
            unpriced.append("a new battery: no capacity_kwh in the fleet file")
        else:
            price = prices.battery_per_kwh
            figures.append(_figure("new battery", site.capacity_kwh, "kWh", price, prices))
    if serious:
        if prices.service_call is None:
            unpriced.append("a visit: no service_call in the price list")
        else:
            figures.append(_figure("visit", 1, "visit", prices.service_call, prices))
    return Estimate(tuple(figures), tuple(unpriced))


def energy(import_kwh: float | None, export_kwh: float | None, prices: PriceList) -> Estimate:
    """What imported energy cost and exported energy earned (negative); kWh, None where unknown."""
    figures, unpriced = [], []
    for item, kwh, price, key, sign in (
        ("energy from the grid", import_kwh, prices.grid_energy_per_kwh, "grid_energy_per_kwh", 1),
        ("energy to the grid", export_kwh, prices.feed_in_per_kwh, "feed_in_per_kwh", -1),
    ):
        if kwh is None:
            unpriced.append(f"{item}: no reading")
        elif price is None:
            unpriced.append(f"{item}: no {key} in the price list")
        else:
            figures.append(_figure(item, sign * kwh, "kWh", price, prices))
    return Estimate(tuple(figures), tuple(unpriced))


def _figure(item: str, quantity: float, unit: str, price: Price, prices: PriceList) -> Figure:
    amount = quantity * price.price
    return Figure(item, amount, prices.currency, quantity, unit, price.price, price.assumption)
