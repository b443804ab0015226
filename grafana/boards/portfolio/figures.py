"""What the boards of the portfolio share: variables, columns, links, and panels of days."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from grafana_foundation_sdk.builders import barchart, stat, table, timeseries
from grafana_foundation_sdk.builders.dashboard import Dashboard, QueryVariable
from grafana_foundation_sdk.models.dashboard import (
    DataTransformerConfig,
    VariableHide,
    VariableRefresh,
)

from grafana.kit import look
from grafana.kit.dashboard import IDS_ONLY, dashboard, stored_variable
from grafana.kit.panels import Spec, bars_in_order, lines, tiles
from grafana.kit.portfolio import EVERYTHING, PLANTS, daily, empty, rows
from grafana.kit.queries import INFLUXDB, influx, influx_table
from grafana.kit.tables import Column, computed, joined, link, listing, ordered, organized
from scoring.money.losses import LossCause
from scoring.status import Status

MONEY, PERCENT, HOURS = look.MONEY, "percent", "suffix: h"
DATE, MONTH = "time:YYYY-MM-DD", "time:MMM YYYY"
IN_MONTH = computed("month", "Time", "+", str(10 * 86_400_000))
"""A moment that is of the same month in every zone, ms: rows of months are stamped with their
beginning in the market's zone, which in another is of the month before."""
ODD = look.STATUS_COLOURS[Status.WARNING]
PREFIX = "fleetscope-portfolio-"
SINCE = "now-1M/M"
"""The last month and this one to date, so that figures of months are there."""
LEAST = -1e15
"""Below every amount; a missing one has no colour."""
BELOW_ZERO = look.limits(look.FINE, (LEAST, ODD), (0, look.FINE)).build()
ABOVE_ZERO = look.limits(look.FINE, (0.005, ODD)).build()

# What a cause is called, and its colour: no reds, since a loss is no page.
CAUSES = {
    LossCause.FORECAST: ("Forecast", "#5794f2"),
    LossCause.OUTAGE: ("Outage", ODD),
    LossCause.DERATING: ("Derating", "#c8a415"),
    LossCause.SOC: ("Charge", "#22b8b0"),
    LossCause.COMMUNICATION: ("Communication", "#8f6b4f"),
    LossCause.NOT_FOLLOWED: ("Not followed", "#9fc3f7"),
    LossCause.REST: ("Rest", look.SECOND),
}


def board(view: str, *, since: str = SINCE, currency: bool = True) -> Dashboard:
    """A dashboard of the portfolio with the choice of plants."""
    variables = [plant_variable(), *([currency_variable()] if currency else [])]
    remark = "Currency: ${currency}" if currency else ""
    return dashboard(PREFIX + view, variables, since=since, remark=remark).refresh("5m")


def plant_variable() -> QueryVariable:
    """The plants of the contracts; all at first."""
    query = rows('"site", last("power_kw")', "plant", where="", when=EVERYTHING, by=("site",))
    described = "Plants of the contracts, by id"
    return stored_variable("site", "Plant", described, query).regex(IDS_ONLY).all_value(".*")


def currency_variable() -> QueryVariable:
    """Hidden: the currency of the contracts."""
    return (
        QueryVariable("currency")
        .description("Currency of the contracts")
        .datasource(INFLUXDB)
        .query(rows('last("currency")', "plant", where="", when=EVERYTHING))
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .hide(VariableHide.HIDE_VARIABLE)
    )


def to(view: str, *fields: str) -> str:
    """A link to another view, keeping the time range and the plants, or naming some from a row."""
    chosen = "".join(f"&var-{name.lower()}=${{__data.fields.{name}}}" for name in fields)
    return f"/d/{PREFIX}{view}/?${{__url_time_range}}{chosen or '&${site:queryparam}'}"


EVENT_URL = (
    "/d/fleetscope-portfolio-operations/?from=${__data.fields.When.numeric}"
    "&to=${__data.fields.Until.numeric}&var-site=${__data.fields.Site}"
)
"""The readings of one event: its own time range, not that of the list."""


def site(view: str = "operations") -> Column:
    """The plant, with a link to another view of it alone."""
    return Column("site", "Site", url=to(view, "Site"), more={"custom.minWidth": 90})


def money(source: str, title: str, width: int = 104, **more: Any) -> Column:
    """An amount."""
    return Column(source, title, width, MONEY, 0, **more)


def marked(source: str, title: str, limits: Any, url: str, *, unit: str, decimals: int) -> Column:
    """A figure on a colour beyond its limits, with a link."""
    qualities = {
        "custom.cellOptions": {"type": "color-background", "mode": "basic"},
        "thresholds": limits,
        "color": {"mode": "thresholds"},
    }
    return Column(source, title, 104, unit, decimals, url=url, more=qualities)


FIGURES_WIDTH = 5
"""Of :func:`figures`: as wide as a phone on a large screen, where panels are as wide as it."""
Tile = tuple[str, str, str, int, str, Any]
"""Name, InfluxQL, unit, decimals, the view that a click opens, and limits or None."""


def figures(
    title: str, description: str, what: str, shown: Sequence[Tile], height: int
) -> stat.Panel:
    """A column of figures, each of which leads to where it comes from.

    Side by side a phone would have no room for an amount: Grafana keeps them in one row there.
    """
    overrides = {
        name: {"unit": unit, "decimals": decimals}
        | ({"mappings": [look.plain_zero(decimals)]} if unit == MONEY else {})
        | ({} if limits is None else {"thresholds": limits})
        | link(f"Open {view}", to(view))
        for name, _, unit, decimals, view, limits in shown
    }
    spec = Spec(
        title=title,
        description=description,
        size=(FIGURES_WIDTH, height),
        unit=look.NUMBER,
        empty=empty(what),
        colour=look.by_threshold(),
        thresholds=look.limits(look.FINE),
        targets=[
            influx(query, name, chr(ord("A") + place))
            for place, (name, query, *_) in enumerate(shown)
        ],
        overrides=overrides,
    )
    return tiles(spec, background=True, rows=True, beside=True, value=22, title=13)


def by_day(
    title: str,
    description: str,
    what: str,
    series: Sequence[tuple[str, str]],
    *,
    size: tuple[int, int] = (12, 8),
    unit: str = MONEY,
    decimals: int = 0,
    stacked: bool = False,
    line: bool = False,
    overrides: Mapping[str, Any] | None = None,
    low: float | None = None,
    high: float | None = None,
) -> timeseries.Panel:
    """Queries by day as bars or lines; each with its alias."""
    spec = Spec(
        title=title,
        description=description,
        size=size,
        unit=unit,
        empty=empty(what),
        decimals=decimals,
        low=low,
        high=high,
        colour=look.by_series(),
        targets=[
            influx(query, alias, chr(ord("A") + place))
            for place, (query, alias) in enumerate(series)
        ],
        overrides=overrides or {},
    )
    return lines(spec, stacked=stacked, bars=not line, fill=0 if line else 70)


def by_band(
    title: str, description: str, field: str, quantity: str, unit: str, size: tuple[int, int]
) -> barchart.Panel:
    """Hours or cycles by band of a quantity, added up over the chosen plants."""
    spec = Spec(
        title=title,
        description=description,
        size=size,
        unit=unit,
        empty=empty("telemetry"),
        low=0,
        colour=look.fixed(look.ACCENT),
        targets=[],
    )
    query = rows(
        f'sum("{field}") AS "{field}", last("lower") AS "lower"',
        "distribution",
        where=f"{PLANTS} AND \"quantity\" = '{quantity}'",
        by=("band",),
    )
    return bars_in_order(
        spec,
        [influx_table(query)],
        [ordered("lower"), organized({"band": "band", field: field}, ["Time", "lower"])],
        over="band",
        longest=10,
    )


def of_rows(
    title: str,
    description: str,
    what: str,
    queries: Sequence[str],
    columns: Sequence[Column],
    *,
    size: tuple[int, int] = (24, 8),
    join: str = "",
    order: str = "",
    descending: bool = True,
    also: Sequence[DataTransformerConfig] = (),
) -> table.Panel:
    """A table of InfluxQL answers, joined on a tag."""
    shown = {column.source for column in columns}
    spec = Spec(
        title=title,
        description=description,
        size=size,
        unit=look.NUMBER,
        empty=empty(what),
        targets=[influx_table(query, chr(ord("A") + place)) for place, query in enumerate(queries)],
        transformations=[
            *([joined(join)] if join else []),
            *also,
            *([IN_MONTH] if "month" in shown else []),
            *([ordered(order, descending=descending)] if order else []),
        ],
    )
    times = [f"Time {n}" for n in range(1, len(queries) + 1)] if join else []
    return listing(spec, columns, drop=sorted({"Time", *times} - shown))


def month() -> Column:
    """The month of a row, the same in every browser."""
    return Column("month", "Month", 96, MONTH)


def cumulative(field: str, measurement: str) -> str:
    """InfluxQL: what came together since the range began, by day."""
    return daily(f'cumulative_sum(sum("{field}"))', measurement)
