"""Compare and outliers: sites side by side, and where each stands among its peers."""

from __future__ import annotations

import re

from grafana_foundation_sdk.builders import stat, table, timeseries
from grafana_foundation_sdk.builders.dashboard import Dashboard, Row

from exporter.model.quantities import QUANTITIES, Quantity
from grafana.kit import look
from grafana.kit.frame import choice_variable, dashboard, label_variable, site_variable
from grafana.kit.panels import (
    HIDDEN,
    SITE_URL,
    WRAPPED,
    Face,
    colour,
    columns,
    grid,
    joined,
    lines,
    link,
    ordered,
    tiles,
    transform,
)
from grafana.kit.queries import BUCKET, ON_SITE, influx, or_missing, prom, prom_now, prom_table
from scoring.outliers import METRICS as OUTLIER_METRICS

CHOSEN = 'site=~"$site"'
PEERS = 'region=~"$region",battery_type=~"$battery_type"'
TOP = 25
NONE_CHOSEN = "No site is chosen, or the chosen ones have no such value in this time range"
METRICS = (
    ("Overall score", "fleetscope_site_health_score"),
    ("State of charge from 0 to 1", "fleetscope_battery_soc_ratio"),
    ("State of health from 0 to 1", "fleetscope_battery_soh_ratio"),
    ("Temperature in °C", "fleetscope_battery_temperature_celsius"),
    ("Cell spread in V", "fleetscope_cell_spread_volts"),
    ("PV performance from 0 to 1", "fleetscope_pv_performance_ratio"),
    ("Battery power in W", "fleetscope_battery_power_watts"),
    ("PV power in W", "fleetscope_pv_power_watts"),
    ("Grid power in W", "fleetscope_grid_power_watts"),
    ("Grid frequency in Hz", "fleetscope_grid_frequency_hertz"),
    ("Scrape duration in s", "fleetscope_site_scrape_duration_seconds"),
    ("Coverage from 0 to 1", "fleetscope_site_coverage_ratio"),
)
SHORT = {
    "soh": "Health",
    "temperature": "Temp.",
    "cell_spread": "Spread",
    "pv_performance": "PV",
}
VALUE = f"max by (job, instance, site) ($metric{{{CHOSEN}}})"
GROUPED = (
    f"max by (job, instance, site) ($metric) * {ON_SITE} group_left (battery_type) "
    'fleetscope_site_info{battery_type!=""}'
)


def build() -> Dashboard:
    """The dashboard."""
    made = dashboard("fleetscope-compare", "Any sites side by side, and who differs from peers.")
    made.with_variable(label_variable("region", "Region", "Regions of the group"))
    made.with_variable(label_variable("battery_type", "Battery type", "Battery types of the group"))
    made.with_variable(site_variable(several=True))
    made.with_variable(
        choice_variable("metric", "Metric", "What is compared, as it is now and was", METRICS)
    )
    made.with_variable(
        choice_variable(
            "quantity",
            "Reading",
            "Any stored reading",
            [
                (_meaning(q), q.name)
                for q in sorted(QUANTITIES.values(), key=lambda q: q.name != "soc_percent")
            ],
        )
    )
    made.with_panel(_now()).with_panel(_over_time())
    made.with_panel(_standing()).with_panel(_readings())
    made.with_row(Row("Outliers"))
    made.with_panel(_scores()).with_panel(_peers())
    return made.with_panel(_furthest()).with_panel(_group())


def _meaning(quantity: Quantity) -> str:
    """What a quantity is and its unit, without the commas that divide a list of choices."""
    first = re.split("[,;]", quantity.meaning)[0]
    return f"{first} in {quantity.unit}" if quantity.unit else first


def _now() -> stat.Panel:
    named = f"({VALUE}) * {ON_SITE} group_left (name) fleetscope_site_info"
    face = Face(
        title="${metric:text} now",
        description=f"The chosen metric of the chosen sites now, {TOP} at most; the unit is the "
        "one in the metric's name.",
        size=(8, 9),
        unit=look.NUMBER,
        empty=NONE_CHOSEN,
        colour=look.fixed("text"),
        targets=[prom_now(f"topk({TOP}, {named})", "{{name}}")],
    )
    return tiles(face, small=True)


def _over_time() -> timeseries.Panel:
    named = f"({VALUE}) * {ON_SITE} group_left (name) fleetscope_site_info"
    face = Face(
        title="${metric:text}",
        description="The chosen metric of the chosen sites over time. Colours only tell sites "
        "apart. The dashed line is the median of the group that region and battery type choose.",
        size=(16, 9),
        unit=look.NUMBER,
        empty=NONE_CHOSEN,
        colour=look.by_series(),
        targets=[
            prom(named, "{{name}}", "A"),
            prom(
                f"quantile(0.5, max by (job, instance, site) ($metric) and {ON_SITE} "
                f"fleetscope_site_info{{{PEERS}}})",
                "Median of the group",
                "B",
            ),
        ],
        overrides={
            "Median of the group": colour("text")
            | {"custom.lineStyle": {"fill": "dash", "dash": [6, 6]}}
        },
    )
    return lines(face)


def _standing() -> table.Panel:
    """The value of each chosen site beside quantiles of all sites with its battery type."""

    def quantile(q: float) -> str:
        group = f"quantile by (battery_type) ({q}, {GROUPED})"
        site = f'fleetscope_site_info{{{CHOSEN},battery_type!=""}}'
        return f"max by (site) ({site} * on (battery_type) group_left () {group})"

    info = f"max by (site, name, battery_type) (fleetscope_site_info{{{CHOSEN}}})"
    number = {"custom.width": 64, "noValue": "–"}
    face = Face(
        title="${metric:text}: where each site stands in its group",
        description="The chosen metric of each chosen site beside the lowest, the median and the "
        "highest of all sites with the same battery type.",
        size=(12, 9),
        unit=look.NUMBER,
        empty=NONE_CHOSEN,
        targets=[
            prom_table(info, "A"),
            prom_table(f"max by (site) ({VALUE})", "B"),
            prom_table(quantile(0), "C"),
            prom_table(quantile(0.5), "D"),
            prom_table(quantile(1), "E"),
        ],
        transformations=[
            joined("site"),
            columns(
                {
                    "name": "Site",
                    "battery_type": "Battery type",
                    "Value #B": "Value",
                    "Value #C": "Low",
                    "Value #D": "Median",
                    "Value #E": "High",
                    "site": "site",
                },
                drop=["Value #A", *(f"Time {n}" for n in range(1, 6))],
            ),
        ],
        overrides={
            "Site": {**WRAPPED, **link("Open the site", SITE_URL)},
            "Value": number | {"custom.cellOptions": {"type": "color-text"}} | colour(look.ACCENT),
            "Battery type": WRAPPED,
            "Low": number,
            "Median": number,
            "High": number,
            "site": HIDDEN,
        },
    )
    return grid(face)


def _readings() -> timeseries.Panel:
    query = (
        'SELECT mean("$quantity") FROM "raw"./^(site|battery)$/ WHERE "site" =~ /^$site$/ AND '
        '$timeFilter GROUP BY time($__interval), "site", "device" fill(null)'
    )
    face = Face(
        title="${quantity:text}",
        description="The chosen reading of every device of the chosen sites, as stored. The unit "
        "is the one in its name.",
        size=(12, 9),
        unit=look.NUMBER,
        empty=NONE_CHOSEN,
        interval=BUCKET,
        colour=look.by_series(),
        targets=[influx(query, "$tag_site $tag_device")],
    )
    return lines(face)


def _scores() -> table.Panel:
    refs = "BCDE"
    targets = [
        prom_table(
            or_missing(
                f'max by (site) (fleetscope_site_outlier_score{{{CHOSEN},metric="{m.name}"}})',
                f"max by (site) (fleetscope_site_info{{{CHOSEN}}})",
            ),
            ref,
        )
        for ref, m in zip(refs, OUTLIER_METRICS, strict=True)
    ]
    names = {f"Value #{ref}": m.name for ref, m in zip(refs, OUTLIER_METRICS, strict=True)}
    shown = {column: SHORT[name] for column, name in names.items()}
    score = {
        "decimals": 1,
        "custom.width": 72,
        "mappings": [look.missing_as("–")],
        "thresholds": look.outlier_limits().build(),
        "color": {"mode": "thresholds"},
        "custom.cellOptions": {"type": "color-background", "mode": "basic"},
    }
    face = Face(
        title="Robust scores",
        description="How far each chosen site is from the median of its peers in state of health, "
        "temperature, cell spread and PV performance, in robust z: 0.6745 times the distance, over "
        f"the median distance of the peers. Coloured beyond {look.OUTLIER_Z:g} either way. A dash: "
        "no value, or no group is large enough.",
        size=(12, 9),
        unit=look.NUMBER,
        empty=NONE_CHOSEN,
        targets=[
            prom_table(f"max by (site, name) (fleetscope_site_info{{{CHOSEN}}})", "A"),
            *targets,
        ],
        transformations=[
            joined("site"),
            columns(
                {"name": "Site"} | shown | {"site": "site"},
                drop=["Value #A", *(f"Time {n}" for n in range(1, 6))],
            ),
        ],
        overrides={
            "Site": {**WRAPPED, **link("Open the site", SITE_URL)},
            **dict.fromkeys(shown.values(), score),
            "site": HIDDEN,
        },
    )
    return grid(face)


def _peers() -> table.Panel:
    def members(label: str) -> str:
        return (
            f'max by (site) (fleetscope_site_info{{{CHOSEN},{label}!=""}} * on ({label}) '
            f"group_left () count by ({label}) (fleetscope_site_info))"
        )

    count = {"custom.width": 52, "decimals": 0, "noValue": "–"}
    face = Face(
        title="Peers",
        description="The groups that each chosen site can be compared with, narrowest first, and "
        f"their sizes. The first with at least {look.PEERS} sites that have a value is used: same "
        "battery type, else same region, else the whole fleet.",
        size=(12, 9),
        unit=look.NUMBER,
        empty=NONE_CHOSEN,
        targets=[
            prom_table(
                f"max by (site, name, battery_type, region) (fleetscope_site_info{{{CHOSEN}}})",
                "A",
            ),
            prom_table(members("battery_type"), "B"),
            prom_table(members("region"), "C"),
        ],
        transformations=[
            joined("site"),
            columns(
                {
                    "name": "Site",
                    "battery_type": "Battery type",
                    "Value #B": "Sites",
                    "region": "Region",
                    "Value #C": "Sites ",
                    "site": "site",
                },
                drop=["Value #A", "Time 1", "Time 2", "Time 3"],
            ),
        ],
        overrides={
            "Site": {**WRAPPED, **link("Open the site", SITE_URL)},
            "Battery type": WRAPPED,
            "Region": WRAPPED,
            "Sites": count,
            "Sites ": count,
            "site": HIDDEN,
        },
    )
    return grid(face)


def _furthest() -> table.Panel:
    chosen = f"fleetscope_site_outlier_score and {ON_SITE} fleetscope_site_info{{{PEERS}}}"
    named = f"({chosen}) * {ON_SITE} group_left (name) fleetscope_site_info"
    face = Face(
        title="Furthest from their peers",
        description=f"The {TOP} scores furthest from 0 in the chosen regions and battery types, "
        "on the good side and on the bad.",
        size=(12, 9),
        unit=look.NUMBER,
        empty="No site of this group has enough peers to be compared with",
        targets=[
            prom_table(f"max by (site, name, metric) (topk({TOP}, abs({named})))", "A"),
            prom_table(f"max by (site, name, metric) ({named} and topk({TOP}, abs({named})))", "B"),
        ],
        transformations=[
            transform("merge"),
            ordered("Value #A", descending=True),
            columns(
                {"name": "Site", "metric": "In", "Value #B": "Robust z", "site": "site"},
                drop=["Time", "Value #A"],
            ),
        ],
        overrides={
            "Site": {**WRAPPED, **link("Open the site", SITE_URL)},
            "In": {"mappings": [look.plain_words(*(m.name for m in OUTLIER_METRICS))]},
            "Robust z": {
                "decimals": 1,
                "custom.width": 76,
                "thresholds": look.outlier_limits().build(),
                "color": {"mode": "thresholds"},
                "custom.cellOptions": {"type": "color-background", "mode": "basic"},
            },
            "site": HIDDEN,
        },
    )
    return grid(face)


def _group() -> timeseries.Panel:
    face = Face(
        title="Spread of the fleet's scores",
        description="Mean and median overall score of all sites with one standard deviation of "
        "them either way, and the mean of those that answer. An offline site counts 0 in the rest.",
        size=(12, 9),
        unit=look.SCORE,
        empty="Prometheus reaches no exporter",
        low=0,
        high=100,
        targets=[
            prom("fleet:health_score:mean", "Mean", "A"),
            prom("fleet:health_score:median", "Median", "B"),
            prom(
                "clamp_max(fleet:health_score:mean + fleet:health_score:stddev, 100)", "Above", "C"
            ),
            prom("clamp_min(fleet:health_score:mean - fleet:health_score:stddev, 0)", "Below", "D"),
            prom("fleet:health_score_answering:mean", "Mean of those that answer", "E"),
        ],
        overrides={
            "Mean": colour(look.ACCENT),
            "Median": colour(look.FLOWS["Battery charge"]),
            "Above": colour(look.SECOND) | {"custom.lineWidth": 1},
            "Below": colour(look.SECOND)
            | {"custom.lineWidth": 1, "custom.fillBelowTo": "Above", "custom.fillOpacity": 12},
            "Mean of those that answer": colour(look.FLOWS["Load"]),
        },
    )
    return lines(face)
