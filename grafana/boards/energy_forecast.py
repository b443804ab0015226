"""Energy · Forecast: what comes, how good the forecast was, and which method serves."""

# ruff: noqa: S608  (templates that Grafana fills in; no SQL is run here)

from __future__ import annotations

from grafana_foundation_sdk.builders import table, timeseries
from grafana_foundation_sdk.builders.dashboard import Dashboard

from exporter.energy.forecasts import KEPT_AT, MEASUREMENT, SCORES
from exporter.energy.misses import MEASUREMENT as MISSES
from grafana.boards.energy_home import NO_FORECAST, band, forecast
from grafana.kit import look
from grafana.kit.dashboard import dashboard, site_variable
from grafana.kit.levels import QUARTERS, SITE, over_time
from grafana.kit.panels import Spec, colour, lines
from grafana.kit.queries import influx, influx_table
from grafana.kit.tables import WRAPPED, Column, listing, time_column

LEADS = ("1h", "6h", "24h")
AHEAD = "+36h"
"""Of a panel by itself: a dashboard whose range ends ahead has no status, pages or sites, since
Prometheus is asked about that end."""


def build() -> Dashboard:
    """The dashboard."""
    made = dashboard(
        "fleetscope-energy-forecast",
        [site_variable(answering=True), QUARTERS.variable()],
        since="now-24h",
    )
    made.with_panel(_ahead("PV: what comes", "pv"))
    made.with_panel(_ahead("Load: what comes", "load"))
    made.with_panel(_leads("PV as forecast 1, 6 and 24 h before", "pv", "pv_power_w", "PV"))
    made.with_panel(_leads("Load as forecast 1, 6 and 24 h before", "load", "load_power_w", "Load"))
    made.with_panel(_scores())
    made.with_panel(_misses())
    return made


def _ahead(title: str, quantity: str) -> timeseries.Panel:
    spec = Spec(
        title=title,
        description="The newest forecast of each quarter hour with the band that eight of ten "
        "values should lie in, whatever the time range.",
        size=(12, 10),
        unit=look.UNITS["W"],
        empty=NO_FORECAST,
        low=0,
        interval="15m",
        back=AHEAD,
        targets=forecast(quantity),
        overrides=band(),
    )
    return lines(spec)


def _leads(title: str, quantity: str, field: str, flow: str) -> timeseries.Panel:
    spec = Spec(
        title=title,
        description="Each forecast as it was issued so long before; none was changed afterwards.",
        size=(12, 9),
        unit=look.UNITS["W"],
        empty=NO_FORECAST,
        low=0,
        interval=QUARTERS.interval,
        targets=[
            influx(over_time("mean", field, "mean", "site", detail=QUARTERS), "Measured", "A"),
            *(
                influx(
                    f'SELECT mean("p50_w") FROM "{KEPT_AT}"."{MEASUREMENT}" WHERE {SITE} '
                    f"AND \"quantity\" = '{quantity}' AND \"lead\" = '{lead}' AND $timeFilter "
                    "GROUP BY time(15m) fill(null)",
                    f"{lead} before",
                    ref,
                )
                for ref, lead in zip("BCD", LEADS, strict=True)
            ),
        ],
        overrides={
            "Measured": colour(look.FLOWS[flow]) | {"custom.fillOpacity": 15},
            "1h before": colour("#3274d9"),
            "6h before": colour("#8ab8ff"),
            "24h before": colour("#8c96a5") | look.DASHED,
        },
    )
    return lines(spec)


def _scores() -> table.Panel:
    spec = Spec(
        title="Scores by method and lead",
        description="Each method over the last 14 days, each issue knowing only what was known "
        "then; all is over 36 h. Skill is 1 less the error as a share of that of yesterday's "
        "values. LightGBM serves only where its quantile loss is 3 % below the best simple method.",
        size=(24, 10),
        unit=look.NUMBER,
        empty=NO_FORECAST,
        targets=[
            influx_table(
                'SELECT last("mae_w") AS "mae", last("pinball_w") AS "pinball", '
                'last("coverage") AS "in_band", last("skill") AS "gain", '
                'last("serves") AS "serving", last("why") AS "because" '
                f'FROM "{KEPT_AT}"."{SCORES}" WHERE {SITE} AND $timeFilter '
                'GROUP BY "quantity", "lead", "method"'
            )
        ],
    )
    watts = look.UNITS["W"]
    return listing(
        spec,
        [
            Column("quantity", "Of", 70),
            Column("lead", "Lead", 70),
            Column("method", "Method", 140),
            Column("mae", "Mean error", unit=watts, decimals=0),
            Column("pinball", "Quantile loss", unit=watts, decimals=0),
            Column("in_band", "In band", unit=look.RATIO, decimals=0),
            Column("gain", "Skill", decimals=2),
            Column("serving", "Serves", 80, mappings=[look.as_text({"1": "Yes", "0": "No"})]),
            Column("because", "Why", more=WRAPPED),
        ],
        drop=["Time"],
    )


def _misses() -> table.Panel:
    spec = Spec(
        title="Worst misses",
        description="Up to five quarter hours a day that were furthest outside of the band that "
        "was forecast 24 h before, an hour apart; worked out when the day is over.",
        size=(24, 8),
        unit=look.UNITS["W"],
        empty="No quarter hour of this time range was outside of its band, or none is scored yet",
        targets=[
            influx_table(
                'SELECT "quantity", "p50_w", "measured_w", "missed_w", "beyond_w", "method" FROM '
                f'"{KEPT_AT}"."{MISSES}" WHERE {SITE} AND $timeFilter ORDER BY time DESC LIMIT 200'
            )
        ],
    )
    columns = [
        time_column(title="Quarter hour"),
        Column("quantity", "Of", 70),
        Column("p50_w", "Forecast", decimals=0),
        Column("measured_w", "Came", decimals=0),
        Column("missed_w", "Missed by", decimals=0),
        Column("beyond_w", "Beyond the band", decimals=0),
        Column("method", "By", more=WRAPPED),
    ]
    return listing(spec, columns)
