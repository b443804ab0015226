"""Energy · Home: what a site makes and uses, against the sun and its forecast."""

# ruff: noqa: S608  (templates that Grafana fills in; no SQL is run here)

from __future__ import annotations

from grafana_foundation_sdk.builders import geomap, stat, text, timeseries
from grafana_foundation_sdk.builders.dashboard import Dashboard

from exporter.energy.forecasts import KEPT_AT, MEASUREMENT
from exporter.energy.pv_days import DAYS, EXPECTED, LOSSES
from exporter.energy.pv_days import KEPT_AT as DAYS_KEPT_AT
from grafana.boards.site_now import flow_now
from grafana.boards.site_plots import power_flows
from grafana.kit import look
from grafana.kit.dashboard import dashboard, page_variable, site_variable
from grafana.kit.levels import QUARTERS, SITE, over_time
from grafana.kit.panels import Spec, colour, lines, note, tiles, world_map
from grafana.kit.queries import ON_SITE, Target, influx, prom, prom_now, prom_table
from grafana.kit.tables import link, organized, transform
from scoring.pv_losses import CAUSE_LABELS, FAULTS, Cause

ONE = '{site="$site"}'
ROLLED = '"rollup_15m"."site"'
SILENT = "Nothing stored for this site in this time range"
NO_DAYS = "No day was judged: it needs PV with place and size, and forecasts or weather switched on"
NO_FORECAST = "No forecast: it needs FLEETSCOPE_FORECASTS and seven days of history"
HERE = "/d/fleetscope-energy-home/?${__url_time_range}&var-site=${__data.fields.site}"
BAND = "rgba(140, 150, 165, 0.35)"


def build() -> Dashboard:
    """The dashboard."""
    variables = [site_variable(answering=True), QUARTERS.variable(), page_variable()]
    made = dashboard("fleetscope-energy-home", variables, since="now-24h")
    made.with_panel(_summary("PV", "pv_power_w", "pv_power_watts"))
    made.with_panel(_summary("Load", "load_power_w", "load_power_watts"))
    made.with_panel(flow_now((8, 9)))
    made.with_panel(_production())
    made.with_panel(_demand())
    made.with_panel(power_flows((16, 9), QUARTERS))
    made.with_panel(_sankey_link())
    made.with_panel(_against_sun()).with_panel(_days()).with_panel(_losses())
    made.with_panel(_map())
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
        description="Mean power: measured, by coupling and by inverter where the site tells them "
        "apart, what a clear sky and what the weather allow, and the forecast with the band that "
        "eight of ten values should lie in. "
        "Click on a name to show it alone, with Ctrl to hide it.",
        size=(12, 10),
        unit=look.UNITS["W"],
        empty=SILENT,
        low=0,
        interval=QUARTERS.interval,
        targets=[
            *(
                influx(over_time("mean", field, "mean", "site", detail=QUARTERS), name, ref)
                for ref, (name, field) in zip("ABCD", (*plain, *parts), strict=True)
            ),
            influx(
                f'SELECT mean("expected_w") FROM "{KEPT_AT}"."{EXPECTED}" WHERE {SITE} AND '
                '"by_weather" = 1 AND $timeFilter GROUP BY time(15m) fill(null)',
                "In this weather",
                "E",
            ),
            influx(
                f'SELECT mean("active_power_w_mean") FROM "{KEPT_AT}"."meter" WHERE {SITE} AND '
                '"meter" =~ /^(pvinverter|pvstring)/ AND $timeFilter '
                'GROUP BY time(15m), "meter" fill(null)',
                "$tag_meter",
                "G",
            ),
            *forecast("pv"),
        ],
        overrides={
            "Measured": colour(look.FLOWS["PV"]) | {"custom.fillOpacity": 15},
            "Clear sky": colour("#e0a526") | look.DASHED,
            "In this weather": colour("#d97b29") | look.DASHED,
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
        interval=QUARTERS.interval,
        targets=[
            influx(
                over_time("mean", "load_power_w", "mean", "site", detail=QUARTERS), "Measured", "A"
            ),
            *forecast("load"),
        ],
        overrides={"Measured": colour(look.FLOWS["Load"]) | {"custom.fillOpacity": 15}} | band(),
    )
    return lines(spec)


def _of_days(field: str, name: str, ref: str, measurement: str = DAYS) -> Target:
    return influx(
        f'SELECT {field} FROM "{DAYS_KEPT_AT}"."{measurement}" WHERE {SITE} AND $timeFilter',
        name,
        ref,
    )


def _against_sun() -> stat.Panel:
    by_sun = 'SELECT "performance_ratio" * "insolation_kwh_m2" AS "p", "insolation_kwh_m2" AS "i"'
    weighted = (
        f'SELECT sum("p") / sum("i") FROM ({by_sun} FROM "{DAYS_KEPT_AT}"."{DAYS}" WHERE {SITE} '
        'AND $timeFilter AND "performance_ratio" > 0)'
    )
    spec = Spec(
        title="PV against the sun",
        description="Over the days that begin in the time range, of what was observed: energy that "
        "was expected in the weather (or under a clear sky, where no weather is configured), what "
        "was less, what it would have been worth, and the performance ratio after IEC 61724-1. "
        "`fleetscope energy --pv` has each day.",
        size=(6, 9),
        unit=look.UNITS["kWh"],
        empty=NO_DAYS,
        targets=[
            _of_days('sum("expected_kwh")', "Expected", "A"),
            _of_days('sum("expected_kwh") - sum("measured_kwh")', "Less than that", "B"),
            _of_days('sum("value")', "Worth", "C", LOSSES),
            influx(weighted, "Performance ratio", "D"),
        ],
        overrides={
            "Worth": {"unit": look.NUMBER, "decimals": 2},
            "Performance ratio": {"unit": look.NUMBER, "decimals": 2},
        },
        colour=look.fixed("text"),
        mappings=[look.missing_as("–")],
        decimals=1,
    )
    return tiles(spec, rows=True, value=26, title=13)


def _days() -> timeseries.Panel:
    edge = {"custom.drawStyle": "line", "custom.lineWidth": 0, "custom.fillOpacity": 0}
    shade = {"color": {"mode": "fixed", "fixedColor": BAND}}
    spec = Spec(
        title="PV by day",
        description="What was made each day, and the band in which eight of ten days without a "
        "fault lie, given that day's weather. A bar below the band is a day to look into. Choose a "
        "longer time range for more days.",
        size=(9, 9),
        unit=look.UNITS["kWh"],
        empty=NO_DAYS,
        low=0,
        decimals=1,
        targets=[
            _of_days('"measured_kwh"', "Made", "A"),
            _of_days('"expected_kwh"', "Expected", "B"),
            _of_days('"low_kwh"', "Band, low", "C"),
            _of_days('"high_kwh"', "Band, high", "D"),
        ],
        overrides={
            "Made": colour(look.FLOWS["PV"]),
            "Expected": colour("#8c96a5") | edge | {"custom.showPoints": "always"},
            "Band, low": edge | shade,
            "Band, high": edge
            | shade
            | {"custom.fillBelowTo": "Band, low", "custom.fillOpacity": 25},
        },
    )
    return lines(spec, bars=True, fill=70)


_CAUSE_COLOURS = {
    Cause.GRID_LOST: "#5c6b7a",
    Cause.CURTAILED: "#3d8fb0",
    Cause.BATTERY_FULL: "#6fb3c9",
    Cause.SNOW: "#c9d4df",
    Cause.OUTAGE: "#d4493f",
    Cause.INVERTER: "#e8804f",
    Cause.SHADE: "#7d8c5c",
    Cause.SOILING: "#a8894f",
    Cause.REST: "#9aa3ad",
}


def _losses() -> timeseries.Panel:
    faults = " and ".join(f"“{CAUSE_LABELS[cause]}”" for cause in FAULTS)
    spec = Spec(
        title="PV lost by cause",
        description="What was less than expected, by day and cause; all causes of a day add up to "
        "expected less made. Below zero, more came than expected. "
        f"Somebody has to mend {faults}; the others are weather, the grid, or somebody's will. "
        "What nobody observed is in none.",
        size=(9, 9),
        unit=look.UNITS["kWh"],
        empty=NO_DAYS,
        decimals=1,
        targets=[
            influx(
                f'SELECT "kwh" FROM "{DAYS_KEPT_AT}"."{LOSSES}" WHERE {SITE} AND $timeFilter '
                'GROUP BY "cause"',
                "$tag_cause",
            )
        ],
        overrides={
            cause.value: colour(_CAUSE_COLOURS[cause]) | {"displayName": label}
            for cause, label in CAUSE_LABELS.items()
        },
    )
    return lines(spec, bars=True, fill=80, stacked=True)


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


def _map() -> geomap.Panel:
    placed = (
        f"max by (site, name, latitude, longitude) (fleetscope_pv_power_watts * {ON_SITE} "
        "group_left (name, latitude, longitude) "
        'fleetscope_site_info{latitude!="",longitude!=""})'
    )
    numeric = [
        {"targetField": name, "destinationType": "number"} for name in ("latitude", "longitude")
    ]
    spec = Spec(
        title="All sites by output",
        description="What the PV of each site with a place in the fleet file gives now. Click on "
        "one to open it here. Fleet · Triage has the map by status.",
        size=(24, 12),
        unit=look.UNITS["W"],
        empty="No site with PV has a latitude and longitude in the fleet file",
        decimals=1,
        targets=[prom_table(placed)],
        transformations=[
            transform("convertFieldType", conversions=numeric, fields={}),
            organized(
                {
                    "name": "Site",
                    "Value": "Output",
                    "latitude": "latitude",
                    "longitude": "longitude",
                    "site": "site",
                },
                drop=["Time"],
            ),
        ],
        overrides={
            "Site": link("Open the site's energy", HERE),
            "Output": {"color": {"mode": "continuous-BlYlRd"}},
        },
    )
    return world_map(spec, latitude="latitude", longitude="longitude", colour="Output")


def kept_accounts() -> timeseries.Panel:
    """How often the exporter had an energy account at hand; for Collection."""
    spec = Spec(
        title="Energy accounts that were kept",
        description="Share of the energy accounts of the last 48 hours that an earlier request had "
        "asked for within a minute, so that InfluxDB was not asked again; since the start.",
        size=(24, 6),
        unit=look.RATIO,
        empty="Nobody has asked for an energy account since the start",
        low=0,
        high=1,
        colour=look.by_pack(),
        targets=[prom("fleetscope_energy_cache_hit_ratio", "{{instance}}")],
    )
    return lines(spec)
