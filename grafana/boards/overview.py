"""Fleet overview: who needs attention, worst first."""

# ruff: noqa: S608  (templates that Grafana fills in; no SQL is run here)

from __future__ import annotations

from grafana_foundation_sdk.builders import stat, table, timeseries
from grafana_foundation_sdk.builders.dashboard import Dashboard

from grafana.boards.cells_critical import nearest
from grafana.boards.overview_places import add_places
from grafana.kit import look
from grafana.kit.frame import dashboard, fleet_variables
from grafana.kit.panels import (
    HIDDEN,
    SITE_URL,
    WRAPPED,
    Face,
    colour,
    coloured,
    columns,
    grid,
    joined,
    lines,
    link,
    only_with,
    ordered,
    score_bar,
    status_cell,
    tiles,
    transform,
)
from grafana.kit.queries import (
    AT_THE_END,
    CHOSEN,
    CHOSEN_INFO,
    ON_SITE,
    SITES,
    influx_table,
    or_missing,
    prom,
    prom_now,
    prom_table,
)
from scoring.outliers import METRICS as OUTLIER_METRICS
from scoring.weights import WEIGHTS

WORST = 25
NO_SITES = "No site has these properties, or Prometheus reaches no exporter"
COUNTS = f"fleet:sites_by_status:count{{{CHOSEN}}}"
WORST_SITES = f"bottomk({WORST}, fleet:attention_order:by_site{{{CHOSEN}}})"


def build() -> Dashboard:
    """The dashboard."""
    made = dashboard("fleetscope-overview", "Who needs attention, worst first, and why.")
    made.variables(list(fleet_variables()))
    made.with_panel(_counts()).with_panel(_score()).with_panel(_pages())
    made.with_panel(_ranking())
    made.with_panel(_offline()).with_panel(_common()).with_panel(_outliers())
    made.with_panel(_score_over_time()).with_panel(_status_over_time()).with_panel(nearest())
    add_places(made)
    return made


def _counts() -> stat.Panel:
    targets, overrides = [], {}
    for ref, status in zip("ABCDE", look.WORST_FIRST, strict=True):
        name = status.name.capitalize()
        expr = f'sum(fleet:sites_by_status:count{{{CHOSEN},status="{status.name}"}})'
        targets.append(prom_now(expr, name, ref))
        url = f"/d/fleetscope-overview/?${{__url_time_range}}&var-status={status.name}"
        overrides[name] = colour(look.STATUS_COLOURS[status]) | link(f"Only {name}", url)
    face = Face(
        title="Sites by status",
        description="Sites now in each of the five statuses. Click on one to see only its sites.",
        size=(14, 4),
        unit=look.NUMBER,
        empty="–",
        low=0,
        targets=targets,
        overrides=overrides,
    )
    return tiles(face, background=True, columns=True)


def _score() -> stat.Panel:
    face = Face(
        title="Fleet score",
        description="Mean overall score of the chosen sites, 0 to 100. An offline site counts 0.",
        size=(5, 4),
        unit=look.SCORE,
        empty="No score yet",
        low=0,
        high=100,
        decimals=0,
        thresholds=look.score_limits(),
        colour=look.by_threshold(),
        targets=[prom(mean_score(CHOSEN), "Fleet score")],
    )
    return tiles(face, sparkline=True)


def _pages() -> stat.Panel:
    critical, info = look.SEVERITY_COLOURS["critical"], look.SEVERITY_COLOURS["info"]
    face = Face(
        title="Alerts firing",
        description="Messages that the alerts firing now come to, one for each cause and region: "
        "a page wakes who is on call, a ticket waits. Single sites are left out where one alert "
        "tells of all of them.",
        size=(5, 4),
        unit=look.NUMBER,
        empty="Prometheus gives no answer",
        low=0,
        targets=[
            prom_now(_messages("page"), "Pages", "A"),
            prom_now(_messages("ticket"), "Tickets", "B"),
        ],
        overrides={
            "Pages": {"thresholds": look.limits("text", (1, critical)).build()},
            "Tickets": {"thresholds": look.limits("text", (1, info)).build()},
        },
    )
    return tiles(face, columns=True)


def _messages(severity: str) -> str:
    """PromQL: how many groups the alerts of a severity make, as Alertmanager forms them.

    Of its inhibitions the two count here that a mass outage depends on.
    """
    chosen = f'alertstate="firing",severity="{severity}"'
    outage = 'on () ALERTS{alertname="FleetscopeManySitesOffline",alertstate="firing"}'
    region = 'on (region, cause) ALERTS{alertstate="firing",scope="region",region!=""}'
    offline = 'ALERTS{alertname=~"FleetscopeSiteOffline|FleetscopeRegionOffline"}'
    return (
        "count(count by (region, alertname) (("
        f'ALERTS{{{chosen},scope!="site"}} or ALERTS{{{chosen},scope="site"}} unless {region}'
        f") unless ({offline} and {outage}))) or vector(0)"
    )


def mean_score(chosen: str) -> str:
    """PromQL: the mean score of sites, out of recorded sums."""
    return f"sum(fleet:health_score:sum{{{chosen}}}) / sum(fleet:health_score:count{{{chosen}}})"


def _ranking() -> table.Panel:
    components = [
        prom_table(
            or_missing(
                f'max by (site) (fleetscope_site_component_score{{component="{name}"}} '
                f"and {ON_SITE} {WORST_SITES})",
                f"max by (site) ({WORST_SITES})",
            ),
            ref,
        )
        for ref, name in zip("BCDE", WEIGHTS, strict=True)
    ]
    words = (
        'SELECT "issue", "since" * 1000 AS "since" FROM "raw"."health" '
        f'WHERE "component" = \'overall\' AND "rank" <= {2 * WORST} AND {AT_THE_END} '
        'GROUP BY "site" ORDER BY time DESC LIMIT 1'
    )
    order = prom_table(
        f"max by (site, name, status, priority) ({WORST_SITES})",
    )
    shown = {
        "status": "Status",
        "name": "Site",
        "short": "Worst issue",
        "since": "Since",
        "Value #A": "Score",
        **{f"Value #{ref}": name.capitalize() for ref, name in zip("BCDE", WEIGHTS, strict=True)},
        "priority": "Priority",
        "site": "site",
    }
    face = Face(
        title="Who needs attention",
        description=f"The {WORST} chosen sites that need attention most, worst first: overall "
        "score, the four component scores it is made of, and the worst issue in words. A dash is a "
        "component of which nothing is known. Click on a site to see why.",
        size=(24, 12),
        unit=look.NUMBER,
        empty=NO_SITES,
        targets=[order, *components, influx_table(words, "F")],
        transformations=[
            joined("site"),
            only_with("Value #A"),
            ordered("Value #A"),
            # How the attempt to ask failed is on the dashboard Site; here it would fill the table.
            transform(
                "extractFields",
                source="issue",
                format="regexp",
                regExp="/^(?<short>The site does not answer[^(]*|.+)/",
            ),
            columns(shown, drop=["issue", "Time health", *(f"Time {n}" for n in range(1, 7))]),
        ],
        overrides={
            "Status": status_cell(70),
            "Site": {"custom.width": 120, **WRAPPED, **link("Open the site", SITE_URL)},
            "Worst issue": {
                "custom.minWidth": 140,
                "noValue": "Nothing wrong",
                **WRAPPED,
            },
            "Since": {"custom.width": 136, "unit": look.AGO, "noValue": "–"},
            "Score": score_bar(70),
            **{n.capitalize(): score_bar(100 if len(n) > 8 else 64) for n in WEIGHTS},
            "Priority": {"custom.width": 68},
            "site": HIDDEN,
        },
    )
    return grid(face)


def _offline() -> table.Panel:
    offline = f'fleet:health_score:by_site{{{CHOSEN_INFO},status="OFFLINE"}}'
    face = Face(
        title="Offline sites",
        description="Sites that do not answer, the longest silent first, and whom to call.",
        size=(8, 8),
        unit=look.NUMBER,
        empty="Every chosen site answers",
        targets=[
            prom_table(f"topk({WORST}, max by (site, name) ({offline}))", "A"),
            prom_table(
                or_missing(
                    "1000 * max by (site) (fleetscope_site_last_success_timestamp_seconds "
                    f"and {ON_SITE} {offline})",
                    f"max by (site) ({offline})",
                ),
                "B",
            ),
            prom_table(f"max by (site, phone) (fleetscope_site_info and {ON_SITE} {offline})", "C"),
        ],
        transformations=[
            joined("site"),
            only_with("Value #A"),
            ordered("Value #B"),
            columns(
                {
                    "name": "Site",
                    "Value #B": "Last answer",
                    "phone": "Phone",
                    "site": "site",
                },
                drop=["Time 1", "Time 2", "Time 3", "Value #A", "Value #C"],
            ),
        ],
        overrides={
            "Site": {**WRAPPED, **link("Open the site", SITE_URL)},
            "Last answer": {
                "unit": look.AGO,
                "mappings": [look.missing_as("Never")],
                **WRAPPED,
            },
            "Phone": {"noValue": "–", **WRAPPED},
            "site": HIDDEN,
        },
    )
    return grid(face)


def _common() -> table.Panel:
    """Counts by code within one region, or one battery type, beside all sites of it."""
    parts = []
    for label in ("region", "battery_type"):
        shared = f'sum by (code, {label}) (fleet:issues:count{{{CHOSEN_INFO},{label}!=""}})'
        everyone = f"sum by ({label}) (fleet:health_score:count{{{CHOSEN_INFO}}})"
        parts.append((shared, everyone, label))

    def group(expr: str, label: str) -> str:
        return f'label_replace({expr}, "group", "$1", "{label}", "(.+)")'

    count = " or ".join(
        f"sum by (code, group) ({group(f'({shared} >= 2)', label)})" for shared, _, label in parts
    )
    share = " or ".join(
        "sum by (code, group) ("
        + group(f"(({shared} >= 2) / on ({label}) group_left () {everyone})", label)
        + ")"
        for shared, everyone, label in parts
    )
    face = Face(
        title="Issues common to several sites",
        description="Issues that two or more sites of one region or one battery type have at the "
        "same time, and the share of that group. The same grid issue in most of a region is the "
        "utility's; one battery type alone points at the product.",
        size=(8, 8),
        unit=look.NUMBER,
        empty="No issue is shared by two sites of a region or battery type",
        targets=[prom_table(f"topk(20, {share})", "A"), prom_table(f"topk(20, {count})", "B")],
        transformations=[
            transform("merge"),
            ordered("Value #A", descending=True),
            columns(
                {
                    "code": "Issue",
                    "group": "Region or type",
                    "Value #B": "Sites",
                    "Value #A": "Share",
                },
                drop=["Time"],
            ),
        ],
        overrides={
            "Issue": {"mappings": look.issue_names(), "custom.width": 116},
            "Region or type": WRAPPED,
            "Sites": {"custom.width": 52},
            "Share": {"unit": look.RATIO, "decimals": 0, "min": 0, "max": 1, "custom.width": 58},
        },
    )
    return grid(face)


def worrying_outliers() -> str:
    """PromQL: outlier scores beyond the threshold on the side that is bad news."""
    sides = []
    for worse, beyond in (("low", f"< -{look.OUTLIER_Z:g}"), ("high", f"> {look.OUTLIER_Z:g}")):
        names = "|".join(m.name for m in OUTLIER_METRICS if m.worse in (worse, "both"))
        sides.append(f'fleetscope_site_outlier_score{{metric=~"{names}"}} {beyond}')
    return " or ".join(f"({side})" for side in sides)


def _outliers() -> table.Panel:
    named = f"({worrying_outliers()}) * {ON_SITE} group_left (name) ({SITES} * 0 + 1)"
    face = Face(
        title="Outliers",
        description="Sites that differ from comparable ones to their disadvantage, by robust z "
        f"score: the distance from the peers' median in spreads. Beyond {look.OUTLIER_Z:g} either "
        "way is an outlier.",
        size=(8, 8),
        unit=look.NUMBER,
        empty="No chosen site is far from its peers",
        targets=[
            prom_table(f"max by (site, name, metric) ({named} and topk(20, abs({named})))", "A"),
            prom_table(f"max by (site, name, metric) (topk(20, abs({named})))", "B"),
        ],
        transformations=[
            transform("merge"),
            ordered("Value #B", descending=True),
            columns(
                {"name": "Site", "metric": "In", "Value #A": "Robust z", "site": "site"},
                drop=["Time", "Value #B"],
            ),
        ],
        overrides={
            "Site": {**WRAPPED, **link("Open the site", SITE_URL)},
            "In": {
                "mappings": [look.plain_words(*(m.name for m in OUTLIER_METRICS))],
                "custom.width": 118,
            },
            "Robust z": {
                "decimals": 1,
                "custom.width": 72,
            }
            | coloured(look.fixed(look.OUTLIER)),
            "site": HIDDEN,
        },
    )
    return grid(face)


def _score_over_time() -> timeseries.Panel:
    face = Face(
        title="Fleet score over time",
        description="Mean overall score of the chosen sites in any status and, dashed, of all "
        "sites; the median of all sites, and the score that a tenth of all is below. An offline "
        "site counts 0.",
        size=(8, 8),
        unit=look.SCORE,
        empty=NO_SITES,
        low=0,
        high=100,
        targets=[
            prom(mean_score(CHOSEN_INFO), "Mean", "A"),
            prom("fleet:health_score:mean", "Mean of all", "B"),
            prom("fleet:health_score:median", "Median of all", "C"),
            prom("fleet:health_score:lowest_tenth", "Lowest tenth of all", "D"),
        ],
        overrides={
            "Mean": colour(look.ACCENT),
            "Median of all": colour("#22b8b0"),
            "Lowest tenth of all": colour("#c15c9e"),
            "Mean of all": colour(look.SECOND)
            | {"custom.lineStyle": {"fill": "dash", "dash": [6, 6]}, "custom.lineWidth": 1},
        },
    )
    return lines(face)


def _status_over_time() -> timeseries.Panel:
    face = Face(
        title="Sites by status over time",
        description="Number of chosen sites in each status, worst at the bottom.",
        size=(8, 8),
        unit=look.NUMBER,
        empty=NO_SITES,
        low=0,
        decimals=0,
        targets=[
            prom(
                f'sum(fleet:sites_by_status:count{{{CHOSEN_INFO},status="{status.name}"}})',
                status.name.capitalize(),
                ref,
            )
            for ref, status in zip("ABCDE", look.WORST_FIRST, strict=True)
        ],
        overrides={s.name.capitalize(): colour(look.STATUS_COLOURS[s]) for s in look.WORST_FIRST},
    )
    return lines(face, stacked=True, fill=75)
