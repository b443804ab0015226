"""Energy · Home: what a site makes and uses, against the sun and its forecast."""

# ruff: noqa: S608  (templates that Grafana fills in; no SQL is run here)

from __future__ import annotations

from grafana_foundation_sdk.builders import stat, text, timeseries
from grafana_foundation_sdk.builders.dashboard import Dashboard

from exporter.energy.forecasts import KEPT_AT, MEASUREMENT
from grafana.boards.site_now import flow_now
from grafana.boards.site_plots import power_flows
from grafana.kit import look
from grafana.kit.dashboard import dashboard, page_variable, site_variable
from grafana.kit.levels import READINGS, SITE, over_time
from grafana.kit.panels import Spec, colour, lines, note, tiles
from grafana.kit.queries import Target, influx, prom_now

ONE = '{site="$site"}'
ROLLED = '"rollup_15m"."site"'
SILENT = "Nothing stored for this site in this time range"
NO_FORECAST = "No forecast: it needs FLEETSCOPE_FORECASTS and seven days of history"
BAND = "rgba(140, 150, 165, 0.35)"


def build() -> Dashboard:
    """The dashboard."""
    variables = [site_variable(answering=True), READINGS.variable(), page_variable()]
    made = dashboard("fleetscope-energy-home", variables, since="now-24h")
    made.with_panel(_summary("PV", "pv_power_w", "pv_power_watts"))
    made.with_panel(_summary("Load", "load_power_w", "load_power_watts"))
    made.with_panel(flow_now((8, 9)))
    made.with_panel(_production())
    made.with_panel(_demand())
    made.with_panel(power_flows((16, 9)))
    made.with_panel(_sankey_link())
    return made


def _summary(name: str, field: str, gauge: str) -> stat.Panel:
    of_site = f"FROM {ROLLED} WHERE {SITE} AND $timeFilter"
    spec = Spec(
        title=f"{name} of the period",
        description=f"{name} now, and over the time range: all energy, mean power, and the highest "
        "mean power of a quarter of an hour, out of the roll-up of quarter hours. The newest "
        "quarter hour may be missing; `fleetscope energy` is exact to the second.",
        size=(8, 9),
        unit=look.UNITS["W"],
        empty=SILENT,
        targets=[
            prom_now(f"sum(fleetscope_{gauge}{ONE}) or vector(0) / 0", "Current", "A"),
            influx(f'SELECT sum("{field}_wh") / 1000 {of_site}', "Total", "B"),
            influx(f'SELECT mean("{field}_mean") {of_site}', "Average", "C"),
            influx(f'SELECT max("{field}_mean") {of_site}', "Peak", "D"),
        ],
        overrides={"Total": {"unit": look.UNITS["kWh"], "decimals": 1}},
        colour=look.fixed("text"),
        mappings=[look.missing_as("–")],
        decimals=1,
    )
    return tiles(spec, rows=True, value=26, title=13)


def forecast(quantity: str, ref: str = "F") -> list[Target]:
    """The band of the newest forecast of each slot."""
    names = (("p10", "Forecast, low"), ("p50", "Forecast"), ("p90", "Forecast, high"))
    return [
        influx(
            f'SELECT mean("{level}_w") FROM "{KEPT_AT}"."{MEASUREMENT}" WHERE {SITE} '
            f"AND \"quantity\" = '{quantity}' AND \"lead\" = 'next' AND $timeFilter "
            "GROUP BY time(15m) fill(null)",
            name,
            f"{ref}{place}",
        )
        for place, (level, name) in enumerate(names)
    ]


def band() -> dict[str, dict[str, object]]:
    """How the band looks: filled between low and high."""
    edge = {"custom.lineWidth": 0, "color": {"mode": "fixed", "fixedColor": BAND}}
    return {
        "Forecast": colour("#8c96a5") | look.DASHED,
        "Forecast, low": edge,
        "Forecast, high": edge | {"custom.fillBelowTo": "Forecast, low", "custom.fillOpacity": 25},
    }


def _production() -> timeseries.Panel:
    plain = (("Measured", "pv_power_w"), ("Clear sky", "pv_expected_w"))
    parts = (("DC-coupled", "pv_dc_power_w"), ("AC-coupled", "pv_ac_power_w"))
    spec = Spec(
        title="PV production",
        description="Mean power: measured, by coupling where the site tells them apart, what a "
        "clear sky allows, and the forecast with the band that eight of ten values should lie in. "
        "Click on a name to show it alone, with Ctrl to hide it.",
        size=(12, 10),
        unit=look.UNITS["W"],
        empty=SILENT,
        low=0,
        interval=READINGS.interval,
        targets=[
            *(
                influx(over_time("mean", field, "mean", "site"), name, ref)
                for ref, (name, field) in zip("ABCD", (*plain, *parts), strict=True)
            ),
            *forecast("pv"),
        ],
        overrides={
            "Measured": colour(look.FLOWS["PV"]) | {"custom.fillOpacity": 15},
            "Clear sky": colour("#e0a526") | look.DASHED,
            "DC-coupled": colour("#f2a03d"),
            "AC-coupled": colour("#b8a200"),
        }
        | band(),
    )
    return lines(spec)


def _demand() -> timeseries.Panel:
    spec = Spec(
        title="Demand",
        description="Mean power that was used, and its forecast with the band that eight of ten "
        "values should lie in.",
        size=(12, 10),
        unit=look.UNITS["W"],
        empty=SILENT,
        low=0,
        interval=READINGS.interval,
        targets=[
            influx(over_time("mean", "load_power_w", "mean", "site"), "Measured", "A"),
            *forecast("load"),
        ],
        overrides={"Measured": colour(look.FLOWS["Load"]) | {"custom.fillOpacity": 15}} | band(),
    )
    return lines(spec)


def _sankey_link() -> text.Panel:
    return note(
        "Where it went",
        "The exporter's own page, with a Sankey diagram of any period, cost and CO2.",
        (8, 9),
        "<p>Each kilowatt-hour from its source to its use, with cost and CO2, for any period: "
        '<a href="${page}/energy?site=${site}&since=${__from:date:seconds}'
        '&until=${__to:date:seconds}" target="_blank">energy of this site</a>, or '
        '<a href="${page}/energy?since=${__from:date:seconds}'
        '&until=${__to:date:seconds}" target="_blank">of all sites</a>.</p>',
    )
