"""Fleet · Trends: how scores and statuses move and how they are spread."""

from __future__ import annotations

from grafana_foundation_sdk.builders import bargauge, stat, table, timeseries
from grafana_foundation_sdk.builders.dashboard import Dashboard

from grafana.kit import look
from grafana.kit.dashboard import dashboard, fleet_variables
from grafana.kit.panels import Spec, bars, colour, lines, tiles
from grafana.kit.queries import (
    CHOSEN,
    CHOSEN_INFO,
    SITES,
    Target,
    never_empty,
    prom,
    prom_now,
    prom_table,
)
from grafana.kit.tables import (
    WRAPPED,
    Column,
    hidden,
    link,
    listing,
    ordered,
    score_column,
)
from scoring.status import GOOD_FROM, HEALTHY_FROM, WARNING_FROM, Status

NO_SITES = "No site has these properties, or Prometheus reaches no exporter"
REGION_URL = (
    "/d/fleetscope-overview/?${__url_time_range}&var-region=${__data.fields.region:percentencode}"
)
BUCKETS = tuple((low, low + 10) for low in range(90, -1, -10))


def build() -> Dashboard:
    """The dashboard."""
    made = dashboard("fleetscope-fleet-trends", fleet_variables())
    made.with_panel(_counts()).with_panel(_sites())
    made.with_panel(_score_over_time()).with_panel(_status_over_time())
    made.with_panel(_distribution()).with_panel(_regions())
    return made.with_panel(_issues())


def mean_score(chosen: str) -> str:
    """PromQL: the mean score of sites, out of recorded sums."""
    return f"sum(fleet:health_score:sum{{{chosen}}}) / sum(fleet:health_score:count{{{chosen}}})"


def status_counts(chosen: str) -> tuple[list[Target], dict[str, dict[str, object]]]:
    """Sites in each of the five statuses, worst first; a status without a site has no colour."""
    targets, overrides = [], {}
    comma = "," if chosen else ""
    for ref, status in zip("ABCDE", look.WORST_FIRST, strict=True):
        name = status.name.capitalize()
        expr = f'sum(fleet:sites_by_status:count{{{chosen}{comma}status="{status.name}"}})'
        targets.append(prom_now(expr, name, ref))
        url = f"/d/fleetscope-overview/?${{__url_time_range}}&var-status={status.name}"
        steps = look.limits(look.FINE, (1, look.STATUS_COLOURS[status])).build()
        overrides[name] = {"thresholds": steps} | link(f"Only {name}", url)
    return targets, overrides


def _counts() -> stat.Panel:
    targets, overrides = status_counts(CHOSEN)
    spec = Spec(
        title="Sites by status",
        description="Sites now in each of the five statuses. Click on one to see only its sites.",
        size=(15, 4),
        unit=look.NUMBER,
        empty=NO_SITES,
        low=0,
        colour=look.by_threshold(),
        # Without them Grafana fills an empty tile with green.
        thresholds=look.limits(look.FINE),
        targets=targets,
        overrides=overrides,
    )
    return tiles(spec, background=True, columns=True)


def _sites() -> stat.Panel:
    untried = "(fleet:sites:count - sum(fleet:health_score:count)) or fleet:sites:count"
    spec = Spec(
        title="Sites in all fleet files",
        description="Sites in the fleet files of all exporters, how many of them have not been "
        "asked yet, and how many are being worked on, whatever is chosen above.",
        size=(9, 4),
        unit=look.NUMBER,
        empty="Prometheus reaches no exporter",
        low=0,
        colour=look.fixed("text"),
        targets=[
            prom_now("fleet:sites:count", "Sites", "A"),
            prom_now(untried, "Not asked yet", "B"),
            prom_now("count(fleetscope_site_maintenance) or vector(0)", "In maintenance", "C"),
        ],
    )
    return tiles(spec, columns=True)


def _score_over_time() -> timeseries.Panel:
    spec = Spec(
        title="Fleet score over time",
        description="Mean overall score of the chosen sites in any status and, dashed, of all "
        "sites; the median of all sites, and the score that a tenth of all is below. An offline "
        "site counts 0.",
        size=(12, 9),
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
            "Median of all": colour(look.FLOWS["Battery charge"]),
            "Lowest tenth of all": colour(look.FLOWS["Load"]),
            "Mean of all": colour(look.SECOND) | look.DASHED,
        },
    )
    return lines(spec)


def _status_over_time() -> timeseries.Panel:
    spec = Spec(
        title="Sites by status over time",
        description="Number of chosen sites in each status, worst at the bottom.",
        size=(12, 9),
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
    return lines(spec, stacked=True, fill=75)


def _distribution() -> bargauge.Panel:
    answering = SITES.replace("{", '{status!="OFFLINE",', 1)
    targets: list[Target] = []
    overrides = {}
    for ref, (low, high) in zip("ABCDEFGHIJ", BUCKETS, strict=True):
        upper = "" if high == 100 else f" < {high}"
        name = f"{low}–{high}" if high < 100 else f"{low}+"
        targets.append(prom_now(f"count({answering} >= {low}{upper}) or vector(0)", name, ref))
        overrides[name] = colour(_status_colour(low))
    offline = SITES.replace("{", '{status="OFFLINE",', 1)
    targets.append(prom_now(f"count({offline}) or vector(0)", "Offline", "K"))
    overrides["Offline"] = colour(look.STATUS_COLOURS[Status.OFFLINE])
    spec = Spec(
        title="Distribution of scores",
        description="Number of chosen sites by overall score, in the colour of the status that "
        "the score means. An upper bound belongs to the next bar; 100 is in the first.",
        size=(8, 11),
        unit=look.NUMBER,
        empty=NO_SITES,
        low=0,
        decimals=0,
        targets=targets,
        overrides=overrides,
    )
    return bars(spec)


def _status_colour(score: float) -> str:
    for start, status in (
        (HEALTHY_FROM, Status.HEALTHY),
        (GOOD_FROM, Status.GOOD),
        (WARNING_FROM, Status.WARNING),
    ):
        if score >= start:
            return look.STATUS_COLOURS[status]
    return look.STATUS_COLOURS[Status.CRITICAL]


def _regions() -> table.Panel:
    worst = 'bottomk(12, fleet:region_health_score:mean{region=~"$region",region!=""})'
    named = f'max by (name, region) (label_replace({worst}, "name", "$1", "region", "(.*)"))'
    # Its link leads to the sites of all regions.
    nothing = {"name": "No site has a region in the fleet file", "region": "All"}
    spec = Spec(
        title="Score by region",
        description="Mean overall score of all sites of each region, the twelve worst regions. An "
        "offline site counts 0. Click to see its sites.",
        size=(8, 11),
        unit=look.NUMBER,
        empty="Prometheus gives no answer",
        targets=[prom_table(never_empty(named, nothing))],
        transformations=[ordered("Value")],
    )
    return listing(
        spec,
        [
            Column("name", "Region", url=REGION_URL, more=WRAPPED),
            score_column("Value", REGION_URL),
            hidden("region"),
        ],
        drop=["Time"],
    )


def _issues() -> table.Panel:
    count = f"sum by (code) (fleet:issues:count{{{CHOSEN_INFO}}})"
    spec = Spec(
        title="Issues by kind",
        description="How many of the chosen sites have each issue now.",
        size=(8, 11),
        unit=look.NUMBER,
        empty="Prometheus gives no answer",
        targets=[prom_table(never_empty(count, {"code": "none"}))],
        transformations=[ordered("Value", descending=True)],
    )
    none = look.as_text({"none": "No chosen site has an issue"})
    return listing(
        spec,
        [
            Column("code", "Issue", mappings=[*look.issue_names(), none]),
            Column("Value", "Sites", 72, decimals=0),
        ],
        drop=["Time"],
    )
