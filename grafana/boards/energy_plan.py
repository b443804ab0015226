"""Energy · Plan: when the battery is to charge, hold and discharge, why, and what that saves."""

# ruff: noqa: S608  (templates that Grafana fills in; no SQL is run here)

from __future__ import annotations

from grafana_foundation_sdk.builders import stat, table, timeseries
from grafana_foundation_sdk.builders.dashboard import Dashboard

from exporter.energy.forecasts import KEPT_AT
from exporter.energy.plan_orders import MEASUREMENT as STANDING
from exporter.energy.plans import MEASUREMENT, SUMMARY
from exporter.energy.savings import MEASUREMENT as RESULT
from grafana.boards.energy_forecast import AHEAD
from grafana.kit import look
from grafana.kit.dashboard import dashboard, site_variable
from grafana.kit.levels import QUARTERS, SITE, over_time
from grafana.kit.panels import Spec, colour, lines, tiles
from grafana.kit.queries import Target, influx, influx_table
from grafana.kit.tables import WRAPPED, Column, listing

NO_PLAN = "No plan: it needs FLEETSCOPE_FORECASTS, a tariff and a battery of known size"

_FIGURES = (
    ("Energy without the plan", 'last("plain_cost")'),
    ("Energy with the plan", 'last("cost")'),
    ("Saved on energy", 'last("plain_cost") - last("cost")'),
    ("Saved on wear", 'last("plain_wear") - last("wear")'),
    ("Left in the battery", 'last("stored") - last("plain_stored")'),
    ("Saving", 'last("saving")'),
)
"""What the newest plan brings: the three before the last add up to it."""


def build() -> Dashboard:
    """The dashboard."""
    made = dashboard(
        "fleetscope-energy-plan",
        [site_variable(answering=True), QUARTERS.variable()],
        since="now-24h",
    )
    # What the battery does answers the question, so that it comes first on a phone as well.
    made.with_panel(_power(ahead=True)).with_panel(_saving())
    made.with_panel(_prices()).with_panel(_charge(ahead=True))
    made.with_panel(_reasons())
    made.with_panel(_standing())
    made.with_panel(_power(ahead=False)).with_panel(_charge(ahead=False))
    made.with_panel(_saved())
    return made


def _of(column: str, name: str, ref: str) -> Target:
    return influx(
        f'SELECT mean("{column}") FROM "{KEPT_AT}"."{MEASUREMENT}" WHERE {SITE} AND $timeFilter '
        "GROUP BY time(15m) fill(null)",
        name,
        ref,
    )


def _saving() -> stat.Panel:
    of_site = f'FROM "{KEPT_AT}"."{SUMMARY}" WHERE {SITE} AND $timeFilter'
    spec = Spec(
        title="What the newest plan brings",
        description="Over its 36 h, by the forecast and against plain self-consumption, in the "
        "currency of the tariff file: what energy costs without the plan and with it, what that "
        "saves, what wear is saved, and by how much more what is left in the battery at the end is "
        "worth. The last three add up to the saving; below zero they cost. On a flat tariff "
        "nothing is saved.",
        size=(8, 9),
        unit=look.NUMBER,
        empty=NO_PLAN,
        colour=look.fixed("text"),
        decimals=2,
        targets=[
            influx(f"SELECT {figure} {of_site}", name, ref)
            for ref, (name, figure) in zip("ABCDEF", _FIGURES, strict=True)
        ],
    )
    return tiles(spec, rows=True, beside=True, value=22, title=13)


def _prices() -> timeseries.Panel:
    spec = Spec(
        title="Prices",
        description="Per kilowatt-hour from and to the grid, in the currency of the tariff file.",
        size=(12, 9),
        unit=look.NUMBER,
        empty=NO_PLAN,
        decimals=3,
        interval="15m",
        back=AHEAD,
        targets=[_of("buy", "From the grid", "A"), _of("sell", "To the grid", "B")],
        overrides={
            "From the grid": colour(look.FLOWS["Grid import"]),
            "To the grid": colour(look.FLOWS["PV"]),
        },
    )
    return lines(spec, steps=True)


def _power(*, ahead: bool) -> timeseries.Panel:
    measured = influx(
        over_time("mean", "power_w", "mean", "battery", detail=QUARTERS), "Measured", "C"
    )
    spec = Spec(
        title="Battery: the next 36 h" if ahead else "Battery: planned and measured",
        description="Power above zero charges. Planned is what is expected to happen, set-point "
        "what an order would ask for; where the plan follows load and sun there is none.",
        size=(16 if ahead else 12, 9),
        unit=look.UNITS["W"],
        empty=NO_PLAN,
        interval="15m" if ahead else QUARTERS.interval,
        targets=[
            _of("battery_w", "Planned", "A"),
            influx(
                f'SELECT mean("power_w") FROM "{KEPT_AT}"."{MEASUREMENT}" WHERE {SITE} AND '
                '"mode" > 0 AND $timeFilter GROUP BY time(15m) fill(null)',
                "Set-point",
                "B",
            ),
            *([] if ahead else [measured]),
        ],
        back=AHEAD if ahead else None,
        overrides={
            "Planned": colour("#8c96a5") | look.DASHED,
            "Set-point": colour("#e0a526"),
            "Measured": colour(look.FLOWS["Battery charge"]),
        },
    )
    return lines(spec, steps=True)


def _charge(*, ahead: bool) -> timeseries.Panel:
    measured = influx(
        over_time("mean", "soc_percent", "mean", "battery", detail=QUARTERS), "Measured", "B"
    )
    spec = Spec(
        title="Charge: the next 36 h" if ahead else "Charge: planned and measured",
        description="State of charge at the end of each quarter hour as planned, and as measured "
        "where it lies in the past.",
        size=(12, 9),
        unit=look.UNITS["%"],
        empty=NO_PLAN,
        low=0,
        high=100,
        interval="15m" if ahead else QUARTERS.interval,
        targets=[_of("soc_percent", "Planned", "A"), *([] if ahead else [measured])],
        back=AHEAD if ahead else None,
        overrides={
            "Planned": colour("#8c96a5") | look.DASHED,
            "Measured": colour(look.FLOWS["Battery charge"]),
        },
    )
    return lines(spec)


def _saved() -> timeseries.Panel:
    names = (
        ("saved", "Saved", look.FLOWS["PV"]),
        ("forecast_errors", "Lost to forecast errors", "#8c96a5"),
        ("not_followed", "Lost as the plan was not followed", "#d97b29"),
    )
    spec = Spec(
        title="What was saved, day by day",
        description="With the load, sun and prices that came, against plain self-consumption, in "
        "the currency of the tariff file and with wear; and what a plan that knew everything would "
        "have saved as well, by its two causes. Days of which less than 80 % was observed are "
        "left out. Choose a longer time range for more days.",
        size=(24, 8),
        unit=look.NUMBER,
        empty="No day was worked out: it needs plans, and most of a day observed",
        decimals=2,
        targets=[
            influx(
                f'SELECT "{name}" FROM "{KEPT_AT}"."{RESULT}" WHERE {SITE} AND $timeFilter',
                title,
                ref,
            )
            for ref, (name, title, _) in zip("ABC", names, strict=True)
        ],
        overrides={title: colour(shade) for _, title, shade in names},
    )
    return lines(spec, bars=True, fill=70)


def _standing() -> table.Panel:
    spec = Spec(
        title="Orders of the plan",
        description="Where the plans of the site stand, each time that it changed: proposed, "
        "approved by somebody, covered by a mandate, or suspended; and what became of the orders. "
        "`fleetscope plan SITE --approve REASON` follows the newest plan.",
        size=(24, 6),
        unit=look.NUMBER,
        empty="No plan of this site has changed its standing in this time range",
        targets=[
            influx_table(
                f'SELECT "standing", "why" FROM "{KEPT_AT}"."{STANDING}" WHERE {SITE} '
                "AND $timeFilter ORDER BY time DESC LIMIT 50"
            )
        ],
    )
    columns = [
        Column("Time", "Since", 160),
        Column("standing", "The plan is", 140),
        Column("why", "What became of it", more=WRAPPED),
    ]
    return listing(spec, columns)


def _reasons() -> table.Panel:
    spec = Spec(
        title="Why",
        description="Each quarter hour in which the battery does not follow load and sun, with the "
        "reason. A plan is a proposal: nothing is sent before it is approved, or a mandate covers "
        "it.",
        size=(24, 11),
        unit=look.NUMBER,
        empty="Nothing is planned but to follow load and sun, or there is no plan",
        back=AHEAD,
        targets=[
            influx_table(
                'SELECT "action", "power_w", "buy", "soc_percent", "reason" FROM '
                f'"{KEPT_AT}"."{MEASUREMENT}" WHERE {SITE} AND "mode" > 0 AND $timeFilter'
            )
        ],
    )
    return listing(
        spec,
        [
            Column("Time", "From", 160),
            Column("action", "Does", 110),
            Column("power_w", "Power", 110, unit=look.UNITS["W"], decimals=1),
            Column("buy", "Price", 90, decimals=3),
            Column("soc_percent", "Charge then", 110, unit=look.UNITS["%"], decimals=0),
            Column("reason", "Why", more=WRAPPED),
        ],
    )
