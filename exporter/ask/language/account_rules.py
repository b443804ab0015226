"""Rules of questions on energy, the portfolio, plans and forecasts.

A part of the table in :mod:`exporter.ask.language.rules`.
"""

from __future__ import annotations

from exporter.ask.language.rule import Rule
from exporter.ask.query import What

R = Rule
ACCOUNT_RULES: dict[str, tuple[Rule, ...]] = {
    # Of an energy account, or of the published portfolio.
    "figure": (
        R("many_figures", no="one figure at a time, please"),
        # Their answers list the causes.
        R("why figure:pv_lost|figure:pv_expected|figure:lost", do="-why"),
        # What share of its load Alpha covers itself: the figure is that share.
        R("share figure:self_consumption|figure:self_sufficiency", do="-count"),
        R("compare many_sites !order", do="-compare order=highest"),
        R("each_site !one_site !order", do="order=highest"),
        R(
            "why|since|count|times|outliers|history|alerts|silences|contact|cell|forecast|recovered",
            no="of {figure} only the figure of a period is known; ask for it by itself",
        ),
        R("ahead", no="{figure} is of what has been; forecasts are of PV and consumption"),
        R(
            "energy_figure !period",
            no="{figure} over which period? Name one, such as yesterday or last week",
        ),
        R("figure:saving !one_site", no="a saving is known of one site at a time; name one"),
        R(
            "energy_figure",
            ask=What.ENERGY,
            takes="sites filters limit order period figure causes beside",
        ),
        R(
            "",
            ask=What.PORTFOLIO,
            takes="sites filters limit order period figure causes",
        ),
    ),
    "bill": (
        R(
            "",
            ask=What.ENERGY,
            takes="sites filters limit order period figure beside",
            drops="metrics",
        ),
    ),
    "plan": (
        R("!one_site", no="a plan is of one site at a time; name one"),
        R("period !ahead", no="a plan is of what is to come; ask what happened for what has been"),
        R(
            "why|since|count|cost|history|compare|outliers",
            no="of a plan its steps and their reasons are known; ask for the plan by itself",
        ),
        R("", ask=What.PLAN, takes="sites", drops="metrics order period"),
    ),
    # PV and consumption of the hours to come.
    "outlook": (
        R("many_metrics", no="one forecast at a time, please"),
        R("period !ahead", do="rest_of_today"),
        R(
            "period !ahead",
            no="a forecast is of what is to come, as of tomorrow; ask for the energy of a period "
            "for what has been",
        ),
        R(
            "why|since|count|times|outliers|history|alerts|cost|compare|group",
            no="of what is to come only the forecast is known, such as 'PV forecast for tomorrow'",
        ),
        R("", ask=What.FORECAST, takes="sites filters metrics limit period", drops="order"),
    ),
}
