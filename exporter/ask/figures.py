"""Figures of energy accounts and of the portfolio that can be asked about, and causes of losses.

Data only: each names where its rows are, and the answers read those as the API does. Free of numpy
and of any I/O, since the command line loads it too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

ENERGY, PORTFOLIO = "energy", "portfolio"


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure over a period.

    Attributes
    ----------
    name, label : str
        Its name in a query, and as a person says it.
    of : "energy" or "portfolio"
        The energy account, or the published portfolio.
    measurement, field : str
        Of the portfolio: where it is (:mod:`exporter.portfolio.measurements`).
    by : str
        Tag whose values are listed under each site; empty for none.
    usual : str
        Period where none is asked; empty for the newest row of each plant.
    order : "highest" or "lowest"
        Which plants come first.
    worse : "high" or "low"
        Side that is bad news.
    """

    name: str
    label: str
    of: str
    measurement: str = ""
    field: str = ""
    by: str = ""
    usual: str = "last month"
    order: str = "highest"
    worse: str = "high"


_FIGURES = (
    Figure("pv_expected", "PV against what was expected", ENERGY),
    Figure("pv_lost", "PV energy lost", ENERGY),
    Figure("pv_clipped", "PV above the limit of the inverters", ENERGY),
    Figure("balance", "energy account", ENERGY),
    Figure("self_consumption", "self-consumption", ENERGY, worse="low"),
    Figure("self_sufficiency", "self-sufficiency", ENERGY, worse="low"),
    Figure("energy_cost", "cost of energy", ENERGY),
    Figure("feed_in_income", "income from feed-in", ENERGY, worse="low"),
    Figure("co2", "CO2 of energy from the grid", ENERGY),
    Figure("saving", "saving by the battery's plan", ENERGY, worse="low"),
    Figure("revenue", "revenue", PORTFOLIO, "revenue", "amount", "service", worse="low"),
    Figure("lost", "lost revenue", PORTFOLIO, "loss", "amount", "cause"),
    Figure("dispute", "open disputes", PORTFOLIO, "dispute", "amount", "cause", "all time"),
    Figure("guarantee", "guarantees", PORTFOLIO, "sla", "owed", "term"),
    Figure(
        *("plant_availability", "availability of plants", PORTFOLIO, "availability", "percent"),
        worse="low",
    ),
    Figure("cycle_use", "cycles against the warranty", PORTFOLIO, "plant_day", "cycles"),
    Figure("fade", "loss of health a year", PORTFOLIO, "lifecycle", "fade_percent_a_year", "", ""),
    Figure(
        *("augmentation", "augmentation", PORTFOLIO, "lifecycle", "augmentation", "", ""),
        order="lowest",
        worse="low",
    ),
)
FIGURES: Mapping[str, Figure] = MappingProxyType({figure.name: figure for figure in _FIGURES})

PV_CAUSES: Mapping[str, str] = MappingProxyType(
    {
        "grid_lost": "the grid being lost",
        "curtailed": "curtailment",
        "battery_full": "a full battery",
        "snow": "what may be snow",
        "outage": "outages of PV",
        "inverter": "an inverter below the others",
        "shade": "what may be shade",
        "soiling": "what may be dirt",
        "rest": "weather and what nothing explains",
    }
)
"""Of lost PV energy (:class:`scoring.pv_losses.Cause`), in words."""
REVENUE_CAUSES: Mapping[str, str] = MappingProxyType(
    {
        "forecast": "forecasts",
        "outage": "outages",
        "derating": "derating",
        "soc": "the state of charge",
        "communication": "communications",
        "not_followed": "orders that were not followed",
        "rest": "what nothing explains",
    }
)
"""Of lost revenue (the measurement ``loss``), in words."""
CAUSES_OF: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {"pv_lost": PV_CAUSES, "lost": REVENUE_CAUSES}
)
"""Figures that a cause can be asked of."""
CAUSES = tuple(dict.fromkeys([*PV_CAUSES, *REVENUE_CAUSES]))
