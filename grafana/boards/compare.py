"""Fleet · Compare: a site and its peers, and who differs from them."""

from __future__ import annotations

import re

from grafana_foundation_sdk.builders import table, timeseries
from grafana_foundation_sdk.builders.dashboard import CustomVariable, Dashboard, QueryVariable

from exporter.model.quantities import QUANTITIES, Quantity
from grafana.boards.shared import WORST_SITE
from grafana.kit import look
from grafana.kit.dashboard import (
    choice_variable,
    collapsed,
    dashboard,
    peers_variable,
    site_variable,
)
from grafana.kit.panels import Spec, colour, lines
from grafana.kit.queries import (
    BUCKET,
    ON_SITE,
    influx,
    never_empty,
    or_missing,
    prom,
    prom_table,
)
from grafana.kit.tables import (
    SITE_URL,
    WRAPPED,
    Column,
    filled,
    joined,
    listing,
    only_with,
    ordered,
    site_column,
    transform,
)
from scoring.outliers import OUTLIER_METRICS

CHOSEN = 'site=~"$site|$peers"'
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
    ("Load that can be put off in W", "fleetscope_deferrable_power_watts"),
    ("Grid frequency in Hz", "fleetscope_grid_frequency_hertz"),
    ("Scrape duration in s", "fleetscope_site_scrape_duration_seconds"),
    ("Coverage from 0 to 1", "fleetscope_site_coverage_ratio"),
    ("Data quality from 0 to 1", "fleetscope_site_data_quality_ratio"),
    ("Change of the state of health a month", "fleetscope_battery_soh_trend_ratio_per_month"),
    ("Days until the state of health reaches its limit", "fleetscope_battery_soh_limit_days"),
    (
        "Days until the battery temperature reaches its limit",
        "fleetscope_battery_temperature_limit_days",
    ),
    ("Confidence in the score from 0 to 1", "fleetscope_site_confidence_ratio"),
)
SHORT = {
    "soh": "Health",
    "soh_trend": "Trend",
    "temperature": "Temp.",
    "cell_spread": "Spread",
    "pv_performance": "PV",
}
VALUE = f"max by (job, instance, site) ($metric{{{CHOSEN}}})"
INFO = f"fleetscope_site_info{{{CHOSEN}}}"
NOBODY = {"name": NONE_CHOSEN, "site": "-"}
IN_GROUP = 'and on ($group) fleetscope_site_info{site="$site"}'
GROUPED = (
    f"(max by (job, instance, site) ($metric) * {ON_SITE} group_left (battery_type, region) "
    f"fleetscope_site_info) {IN_GROUP}"
)
GROUPS = (("Same battery type", "battery_type"), ("Same region", "region"), ("Whole fleet", "job"))


def build() -> Dashboard:
    """The dashboard."""
    made = dashboard("fleetscope-compare", _variables())
    made.with_panel(_over_time())
    made.with_panel(_standing()).with_panel(_scores())
    made.with_panel(_furthest()).with_panel(_peers())
    collapsed(made, "Any reading, and the fleet's scores", [_readings(), _group()])
    return made


def _variables() -> list[QueryVariable | CustomVariable]:
    quantities = sorted(QUANTITIES.values(), key=lambda q: q.name != "soc_percent")
    return [
        site_variable(answering=True),
        choice_variable("group", "Peers", "What the peers of the site have in common", GROUPS),
        peers_variable(),
        choice_variable("metric", "Metric", "What is compared, as it is now and was", METRICS),
        choice_variable(
            "quantity",
            "Reading",
            "Any stored reading",
            [(_meaning(q), q.name) for q in quantities],
        ),
    ]


def _meaning(quantity: Quantity) -> str:
    """What a quantity is and its unit, without the commas that divide a list of choices."""
    first = re.split("[,;]", quantity.meaning)[0]
    return f"{first} in {quantity.unit}" if quantity.unit else first


def _over_time() -> timeseries.Panel:
    named = f"({VALUE}) * {ON_SITE} group_left (name) fleetscope_site_info"
    spec = Spec(
        title="${metric:text}",
        description="The chosen metric of the chosen sites over time. Colours only distinguish "
        "sites. The dashed line is the median of all peers of the site.",
        size=(24, 9),
        unit=look.NUMBER,
        empty=NONE_CHOSEN,
        colour=look.by_series(),
        targets=[
            prom(named, "{{name}}", "A"),
            prom(f"quantile(0.5, {GROUPED})", "Median of the group", "B"),
        ],
        overrides={"Median of the group": colour("text") | look.DASHED},
    )
    return lines(spec)


def _standing() -> table.Panel:
    """The value of each chosen site, and quantiles of its group."""

    def quantile(q: float) -> str:
        return f"max by (site) ({INFO} * 0 + on () group_left () quantile({q}, {GROUPED}))"

    info = f"max by (site, name, battery_type) ({INFO})"
    spec = Spec(
        title="${metric:text}: where each site stands in its group",
        description="The chosen metric of each chosen site, and the lowest, the median and the "
        "highest of all peers.",
        size=(12, 9),
        unit=look.NUMBER,
        empty=NONE_CHOSEN,
        targets=[
            prom_table(never_empty(info, NOBODY | {"battery_type": "-"}), "A"),
            prom_table(never_empty(f"max by (site) ({VALUE})", {"site": "-"}), "B"),
            *(
                prom_table(never_empty(quantile(q), {"site": "-"}), ref)
                for ref, q in (("C", 0), ("D", 0.5), ("E", 1))
            ),
        ],
        transformations=[joined("site"), only_with("Value #A"), ordered("Value #B")],
    )
    return listing(
        spec,
        [
            *site_column(),
            Column("battery_type", "Battery type", more=WRAPPED),
            Column("Value #B", "Value", 72),
            Column("Value #C", "Low", 72),
            Column("Value #D", "Median", 72),
            Column("Value #E", "High", 72),
        ],
        drop=["Value #A", *(f"Time {n}" for n in range(1, 6))],
    )


def _readings() -> timeseries.Panel:
    query = (
        'SELECT mean("$quantity") FROM "raw"./^(site|battery)$/ WHERE '
        '"site" =~ /^($site|$peers)$/ AND $timeFilter '
        'GROUP BY time($__interval), "site", "device" fill(null)'
    )
    spec = Spec(
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
    return lines(spec)


def _scores() -> table.Panel:
    refs = "BCDEF"
    spec = Spec(
        title="Robust scores",
        description="How far each chosen site is from the median of its peers in state of health, "
        "its trend, temperature, cell spread and PV performance, in robust z: 0.6745 times the "
        f"distance, over the median distance of the peers. Coloured beyond {look.OUTLIER_Z:g} "
        "either way. A dash: no value, or no group is large enough.",
        size=(12, 9),
        unit=look.NUMBER,
        empty=NONE_CHOSEN,
        targets=[
            prom_table(never_empty(f"max by (site, name) ({INFO})", NOBODY), "A"),
            *(
                prom_table(never_empty(_score_of(m.name), {"site": "-"}), ref)
                for ref, m in zip(refs, OUTLIER_METRICS, strict=True)
            ),
        ],
        transformations=[joined("site"), only_with("Value #A")],
    )
    scores = filled(look.outlier_limits())
    return listing(
        spec,
        [
            *site_column(),
            *(
                Column(f"Value #{ref}", SHORT[m.name], 80, decimals=1, url=SITE_URL, more=scores)
                for ref, m in zip(refs, OUTLIER_METRICS, strict=True)
            ),
        ],
        drop=["Value #A", *(f"Time {n}" for n in range(1, 7))],
    )


def _score_of(metric: str) -> str:
    """PromQL: the outlier score of each chosen site, NaN where it has none."""
    score = f'fleetscope_site_outlier_score{{{CHOSEN},metric="{metric}"}}'
    return or_missing(f"max by (site) ({score})", f"max by (site) ({INFO})")


def _peers() -> table.Panel:
    def members(label: str) -> str:
        return (
            f'max by (site) (fleetscope_site_info{{{CHOSEN},{label}!=""}} * on ({label}) '
            f"group_left () count by ({label}) (fleetscope_site_info))"
        )

    info = f"max by (site, name, battery_type, region) ({INFO})"
    spec = Spec(
        title="Peers",
        description="The groups that each chosen site can be compared with, narrowest first, and "
        f"their sizes. The first with at least {look.PEERS} sites that have a value is used: same "
        "battery type, else same region, else the whole fleet.",
        size=(12, 9),
        unit=look.NUMBER,
        empty=NONE_CHOSEN,
        targets=[
            prom_table(never_empty(info, NOBODY | {"battery_type": "-", "region": "-"}), "A"),
            prom_table(never_empty(members("battery_type"), {"site": "-"}), "B"),
            prom_table(never_empty(members("region"), {"site": "-"}), "C"),
        ],
        transformations=[joined("site"), only_with("Value #A")],
    )
    return listing(
        spec,
        [
            *site_column(),
            Column("battery_type", "Battery type", more=WRAPPED),
            Column("Value #B", "Sites", 60, decimals=0),
            Column("region", "Region", more=WRAPPED),
            Column("Value #C", "Sites ", 60, decimals=0),
        ],
        drop=["Value #A", "Time 1", "Time 2", "Time 3"],
    )


def _furthest() -> table.Panel:
    chosen = f"fleetscope_site_outlier_score and {ON_SITE} (fleetscope_site_info {IN_GROUP})"
    named = f"({chosen}) * {ON_SITE} group_left (name) fleetscope_site_info"
    nothing = {"name": "No site of this group has enough peers", "site": "-", "metric": "-"}
    distance = f"max by (site, name, metric) (topk({TOP}, abs({named})))"
    signed = f"max by (site, name, metric) ({named} and topk({TOP}, abs({named})))"
    spec = Spec(
        title="Furthest from their peers",
        description=f"The {TOP} scores of the group furthest from 0, on the good side and on the "
        "bad.",
        size=(12, 9),
        unit=look.NUMBER,
        empty="Prometheus gives no answer",
        targets=[
            prom_table(never_empty(distance, nothing, WORST_SITE), "A"),
            prom_table(never_empty(signed, nothing, WORST_SITE), "B"),
        ],
        transformations=[transform("merge"), ordered("Value #A", descending=True)],
    )
    metrics = look.names_of(*(m.name for m in OUTLIER_METRICS))
    return listing(
        spec,
        [
            *site_column(),
            Column("metric", "In", mappings=[metrics]),
            Column(
                "Value #B",
                "Robust z",
                84,
                decimals=1,
                url=SITE_URL,
                more=filled(look.outlier_limits()),
            ),
        ],
        drop=["Time", "Value #A"],
    )


def _group() -> timeseries.Panel:
    spec = Spec(
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
    return lines(spec)
