"""Site: one site, from its headline readings to whom to call."""

# ruff: noqa: S608  (templates that Grafana fills in; no SQL is run here)

from __future__ import annotations

from collections.abc import Mapping

from grafana_foundation_sdk.builders import stat, statetimeline, table, timeseries
from grafana_foundation_sdk.builders.dashboard import Dashboard

from grafana.boards.site_plots import add_plots
from grafana.boards.site_readings import add_readings
from grafana.kit import look
from grafana.kit.frame import Happenings, dashboard, site_variable
from grafana.kit.levels import READINGS, either, over_time
from grafana.kit.panels import (
    WRAPPED,
    Face,
    colour,
    columns,
    grid,
    joined,
    lines,
    ordered,
    score_bar,
    tiles,
    timeline,
    transform,
)
from grafana.kit.queries import (
    influx,
    influx_table,
    latest,
    prom,
    prom_now,
    prom_table,
)
from scoring.weights import CRITICAL_CAP, WARNING_CAP, WEIGHTS

ONE = '{site="$site"}'
CHOSEN = "\"site\" = '$site'"
FIRING = 'ALERTS{site="$site",alertstate="firing"}'
SILENT = "Nothing stored for this site in this time range"
NO_READING = "No reading"
CELLS = "/d/fleetscope-cells/?${__url_time_range}&var-site=${site}"


def build() -> Dashboard:
    """The dashboard."""
    made = dashboard("fleetscope-site", "One site: how it is, why, since when, and whom to call.")
    made.with_variable(site_variable()).with_variable(READINGS.variable())
    made.annotation(
        Happenings(
            "Status changes",
            f"(fleetscope_site_status{ONE} == 1 unless fleetscope_site_status{ONE} offset 1m == 1) "
            f"and on (site) (fleetscope_site_status{ONE} offset 1m)",
            "Now {{status}}",
            "The status of the site changed",
            look.ACCENT,
        )
    )
    made.annotation(
        Happenings(
            "Alerts",
            f"{FIRING} unless {FIRING} offset 1m",
            "{{alertname}}",
            "It began to fire; severity {{severity}}",
            look.SEVERITY_COLOURS["critical"],
        )
    )
    made.annotation(
        Happenings(
            "Maintenance",
            f"fleetscope_site_maintenance{ONE}",
            "Being worked on",
            "A maintenance window of the fleet file",
            look.SECOND,
        )
    )
    for panel in (_status(), _score(), *_headlines()):
        made.with_panel(panel)
    made.with_panel(_issues()).with_panel(_components())
    made.with_panel(_issue_timeline()).with_panel(_component_timeline())
    add_plots(made)
    add_readings(made)
    return made


def _status() -> stat.Panel:
    face = Face(
        title="Status",
        description="Status of the site now. Offline means that it does not answer.",
        size=(6, 3),
        unit=look.NUMBER,
        empty="Not asked yet, or the exporter is down",
        targets=[prom_now(f"max by (status) (fleetscope_site_status{ONE} == 1)", "{{status}}")],
        overrides={
            s.name: colour(look.STATUS_COLOURS[s]) | {"displayName": s.name.capitalize()}
            for s in look.WORST_FIRST
        },
    )
    return tiles(face, background=True, names=True)


def _score() -> stat.Panel:
    face = Face(
        title="Score",
        description=f"Overall score, 0 to 100. A critical issue holds it to {CRITICAL_CAP:g} at "
        f"most, a warning to {WARNING_CAP:g}; an offline site has 0.",
        size=(6, 3),
        unit=look.SCORE,
        empty="No score yet",
        low=0,
        high=100,
        decimals=0,
        thresholds=look.score_limits(),
        colour=look.by_threshold(),
        targets=[prom(f"max(fleetscope_site_health_score{ONE})", "Score")],
    )
    return tiles(face, sparkline=True)


def _headlines() -> list[stat.Panel]:
    def one(title: str, description: str, unit: str, metric: str, **more: object) -> stat.Panel:
        face = Face(
            title=title,
            description=description + " Blank when the site gives no fresh value.",
            unit=unit,
            empty=NO_READING,
            targets=[prom_now(f"max(fleetscope_{metric}{ONE})", title)],
            **{"size": (6, 3), "colour": look.fixed("text"), **more},  # type: ignore[arg-type]
        )
        return tiles(face)

    by_limit = look.by_threshold()
    age = Face(
        title="Answered",
        description="Time since the site last gave readings.",
        size=(6, 3),
        unit=look.SECONDS,
        empty="Never answered",
        low=0,
        decimals=0,
        colour=look.fixed("text"),
        targets=[
            prom_now(f"time() - max(fleetscope_site_last_success_timestamp_seconds{ONE})", "Age")
        ],
    )
    return [
        tiles(age),
        one(
            "Charge",
            f"State of charge. Warning below {look.LIMITS.soc_critical:g} %.",
            look.RATIO,
            "battery_soc_ratio",
            low=0,
            high=1,
            decimals=0,
            thresholds=look.soc_limits("text"),
            colour=by_limit,
        ),
        one(
            "Health",
            "State of health, as the battery reports it.",
            look.RATIO,
            "battery_soh_ratio",
            low=0,
            high=1,
            decimals=0,
            thresholds=look.soh_limits("text"),
            colour=by_limit,
        ),
        one(
            "Hottest",
            "Highest battery or cell temperature.",
            look.UNITS["°C"],
            "battery_temperature_celsius",
            decimals=1,
            thresholds=look.temperature_limits("text"),
            colour=by_limit,
        ),
        one(
            "Spread",
            "Cell spread, the widest of the site's packs.",
            look.UNITS["V"],
            "cell_spread_volts",
            low=0,
            decimals=3,
            thresholds=look.spread_limits("text"),
            colour=by_limit,
        ),
        one(
            "Known",
            "Share of the inputs of a full judgement that the site gave; a low one makes the "
            "score less certain.",
            look.RATIO,
            "site_coverage_ratio",
            low=0,
            high=1,
            decimals=0,
            size=(6, 3),
        ),
    ]


def _issues() -> table.Panel:
    fields = (
        '"severity", "code" AS "component", "deduction", "sentence", "since" * 1000 AS "since", '
        '"active"'
    )
    query = latest(fields, "issue", CHOSEN, '"code"')
    active = {"fieldName": "active", "config": {"id": "equal", "options": {"value": 1}}}
    face = Face(
        title="What is wrong, and what to do",
        description="Issues that are active at the end of the time range, worst first: the "
        "component whose score each lowers and by how many points, since when, and what to do "
        "first. The worst also holds the overall score down.",
        size=(24, 6),
        unit=look.NUMBER,
        empty="Nothing wrong in this time range",
        targets=[influx_table(query)],
        transformations=[
            transform("filterByValue", type="include", match="all", filters=[active]),
            ordered("severity", descending=True),
            columns(
                {
                    "severity": "Severity",
                    "sentence": "Issue",
                    "component": "Lowers",
                    "deduction": "By",
                    "since": "Since",
                    "code": "What to do",
                },
                drop=["Time", "active"],
            ),
        ],
        overrides={
            "Severity": {
                "mappings": look.severity_mappings(),
                "custom.width": 72,
                "custom.align": "left",
                "custom.cellOptions": {"type": "color-background", "mode": "basic"},
            },
            "Issue": {
                "custom.width": 250,
                **WRAPPED,
            },
            "Lowers": {"mappings": look.issue_components(), "custom.width": 100},
            "By": {"decimals": 0, "custom.width": 48, "noValue": "–"},
            "Since": {"unit": look.AGO, "custom.width": 100, **WRAPPED},
            "What to do": {
                "mappings": look.issue_actions(),
                "custom.minWidth": 200,
                **WRAPPED,
            },
        },
    )
    return grid(face, tall=True)


def _components() -> table.Panel:
    """One row for each component; an unknown one has a row without a score."""

    def each(values: Mapping[str, str]) -> str:
        return " or ".join(
            f'label_replace(vector({value}), "component", "{name}", "", "")'
            for name, value in values.items()
        )

    score = f"max by (component) (fleetscope_site_component_score{ONE})"
    known = f"({score} or {each(dict.fromkeys(WEIGHTS, '0 / 0'))})"
    face = Face(
        title="Component scores",
        description="What the overall score is made of: each component starts at 100 and loses "
        "points for its issues. The weight of an unknown component is shared out over the others; "
        "a dash is unknown.",
        size=(9, 8),
        unit=look.NUMBER,
        empty="Not asked yet, or the exporter is down",
        targets=[
            prom_table(known, "A"),
            prom_table(f"100 - {known}", "B"),
            prom_table(each({name: f"{weight:g}" for name, weight in WEIGHTS.items()}), "C"),
        ],
        transformations=[
            joined("component"),
            ordered("Value #C", descending=True),
            columns(
                {
                    "component": "Component",
                    "Value #A": "Score",
                    "Value #B": "Lost",
                    "Value #C": "Weight",
                },
                drop=["Time 1", "Time 2", "Time 3"],
            ),
        ],
        overrides={
            "Component": {"mappings": [look.plain_words(*WEIGHTS)], "custom.minWidth": 102},
            "Score": score_bar(84),
            "Lost": {
                "decimals": 0,
                "custom.width": 52,
                "mappings": [look.missing_as("–")],
            },
            "Weight": {"unit": look.RATIO, "decimals": 0, "custom.width": 62},
        },
    )
    return grid(face, tall=True)


def _issue_timeline() -> statetimeline.Panel:
    fields = {"worst": ('"severity"', '"severity_max"'), "on": ('"active"', '"active_max"')}
    code = '"code"'
    query = (
        f'SELECT max("worst") FROM {either(fields, "issue", by=code)} WHERE "on" = 1 AND '
        '$timeFilter GROUP BY time($__interval), "code" fill(null)'
    )
    face = Face(
        title="Issues over time",
        description="When each issue was active, by severity. Blank means that it was not.",
        size=(15, 8),
        unit=look.NUMBER,
        empty="No issue in this time range",
        interval=READINGS.interval,
        mappings=look.severity_mappings(),
        targets=[influx(query, "$tag_code")],
        overrides=look.issue_series(),
    )
    return timeline(face)


def _component_timeline() -> timeseries.Panel:
    query = over_time("min", "score", "min", "health", by='"component"')
    face = Face(
        title="Scores over time",
        description="Overall and component scores, the lowest of each interval.",
        size=(24, 6),
        unit=look.SCORE,
        empty=SILENT,
        low=0,
        high=100,
        interval=READINGS.interval,
        targets=[influx(query, "$tag_component")],
        overrides={
            "overall": {**colour("text"), "custom.lineWidth": 3},
            "battery": colour(look.FLOWS["Battery charge"]),
            "grid": colour(look.FLOWS["Grid import"]),
            "solar": colour(look.FLOWS["PV"]),
            "connectivity": colour(look.SECOND),
        },
    )
    return lines(face)
