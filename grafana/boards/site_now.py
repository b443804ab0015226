"""Site · Now: what is wrong with one site, what to do, and whom to call."""

# ruff: noqa: S608  (templates that Grafana fills in; no SQL is run here)

from __future__ import annotations

from collections.abc import Mapping

from grafana_foundation_sdk.builders import canvas, stat, statetimeline, table, timeseries
from grafana_foundation_sdk.builders.dashboard import Dashboard

from exporter.store.line_protocol import SEVERITY_LEVELS
from grafana.boards.site_plots import power_flows
from grafana.kit import look
from grafana.kit.canvas import Node, flow_diagram
from grafana.kit.dashboard import PromAnnotation, dashboard, site_variable
from grafana.kit.levels import READINGS, either, over_time
from grafana.kit.panels import Spec, colour, lines, tiles, timeline
from grafana.kit.queries import (
    influx,
    influx_table,
    latest,
    never_empty,
    prom_now,
    prom_table,
    with_columns,
)
from grafana.kit.tables import (
    WRAPPED,
    Column,
    hidden,
    joined,
    link,
    listing,
    only_with,
    ordered,
    organized,
    score_column,
    severity_column,
    share_column,
    since_column,
    transform,
)
from scoring.weights import WEIGHTS

ONE = '{site="$site"}'
CHOSEN = "\"site\" = '$site'"
FIRING = 'ALERTS{site="$site",alertstate="firing"}'
SILENT = "Nothing stored for this site in this time range"
CELLS_OF_SITE = "/d/fleetscope-cells/?${__url_time_range}&var-site=${site}"
SUBJECT = "/d/${__data.fields.target}/?${__url_time_range}&var-site=${site}"
READINGS_OF_SITE = "/d/fleetscope-site-readings/?${__url_time_range}&var-site=${site}"
LEAST_WH = 0.05
"""Below it Grafana would show thousandths of a watt-hour."""
NO_ISSUE = "none"
NOT_JUDGED = "unknown"
NO_CODE = {
    NO_ISSUE: "Nothing is wrong",
    NOT_JUDGED: "Not judged now",
}
"""In place of an action, where there is no issue: short, as a row has the height of one line."""


def build() -> Dashboard:
    """The dashboard."""
    made = dashboard("fleetscope-site", [site_variable(), READINGS.variable()])
    for annotation in _annotations():
        made.annotation(annotation)
    made.with_panel(_issues())
    made.with_panel(_contact()).with_panel(flow_now((8, 9))).with_panel(_battery())
    made.with_panel(_energy_today()).with_panel(_components())
    made.with_panel(power_flows((24, 9)))
    return made.with_panel(_issue_timeline()).with_panel(_score_over_time())


def _annotations() -> list[PromAnnotation]:
    status = f"fleetscope_site_status{ONE}"
    return [
        PromAnnotation(
            "Status changes",
            f"({status} == 1 unless {status} offset 1m == 1) and on (site) ({status} offset 1m)",
            "Now {{status}}",
            "The status of the site changed",
            look.ACCENT,
        ),
        PromAnnotation(
            "Alerts",
            f"{FIRING} unless {FIRING} offset 1m",
            "{{alertname}}",
            "It began to fire; severity {{severity}}",
            look.SEVERITY_COLOURS["critical"],
        ),
        PromAnnotation(
            "Maintenance",
            f"fleetscope_site_maintenance{ONE}",
            "In maintenance",
            "A maintenance window of the fleet file",
            look.SECOND,
        ),
    ]


def _issues() -> table.Panel:
    level = " or ".join(
        f'max by (code) ({value:g} * fleetscope_site_issue{{site="$site",severity="{name}"}})'
        for name, value in SEVERITY_LEVELS.items()
    )
    target = 'label_replace({}, "target", "fleetscope-site-readings", "", "")'.format(f"({level})")
    target = f'label_replace({target}, "target", "fleetscope-cells", "code", "cell_.*")'
    # A site that is not judged has no issue either, and is not fine for that.
    judged = f"max(fleetscope_site_status{ONE}) * (0 / 0)"
    for label, said in (("code", NO_ISSUE), ("target", "fleetscope-site-readings")):
        judged = f'label_replace({judged}, "{label}", "{said}", "", "")'
    nothing = {"code": NOT_JUDGED, "target": "fleetscope-site-readings"}
    fields = (
        '"severity" * 1000 + "deduction" AS "key", "deduction", "sentence", '
        '"since" * 1000 AS "since"'
    )
    spec = Spec(
        title="What is wrong, and what to do",
        description="Issues that are active at the end of the time range, worst first: what to do "
        "first, since when, the component whose score each lowers and by how many points. Click on "
        "an issue to see the readings or cells behind it. A site that no exporter answers for is "
        "not judged: System · Collection says why.",
        size=(24, 6),
        unit=look.NUMBER,
        empty="Nothing is wrong at the end of this time range",
        targets=[
            prom_table(never_empty(f"{target} or on () {judged}", nothing), "A"),
            influx_table(
                with_columns(
                    latest(fields, "issue", CHOSEN, '"code"'),
                    "code",
                    texts=("sentence",),
                    numbers=("key", "deduction", "since"),
                ),
                "B",
            ),
            prom_table(
                never_empty(
                    f'label_replace({level}, "component", "$1", "code", "(.*)")',
                    {"code": NO_ISSUE, "component": NO_ISSUE},
                ),
                "C",
            ),
        ],
        transformations=[
            joined("code"),
            only_with("target"),
            ordered("key", descending=True),
        ],
    )
    none = look.as_text({NO_ISSUE: "–"})
    return listing(
        spec,
        [
            severity_column("Value #A", SUBJECT, width=70),
            Column(
                "sentence",
                "Issue",
                # How the attempt to ask failed is on System · Collection.
                mappings=[look.without_details()],
                url=SUBJECT,
                more={"custom.minWidth": 130, **WRAPPED},
            ),
            Column(
                "code",
                "What to do",
                mappings=[*look.issue_actions(), look.as_text(NO_CODE)],
                more={"custom.minWidth": 130, **WRAPPED},
            ),
            since_column(),
            Column("component", "Lowers", 100, mappings=[*look.issue_components(), none]),
            Column("deduction", "By", 48, decimals=0),
            hidden("target"),
        ],
        drop=["key", "Value #C", "Time", "Time level", *(f"Time {n}" for n in range(1, 4))],
    )


def _contact() -> table.Panel:
    shown = {
        "phone": "Phone",
        "contact": "Contact",
        "email": "E-mail",
        "name": "Site",
        "location": "Location",
        "timezone": "Time zone",
        "priority": "Priority",
    }
    info = f"fleetscope_site_info{ONE}"
    nobody = dict.fromkeys(shown, "-") | {"name": "The fleet file has no such site"}
    spec = Spec(
        title="Whom to call, and where it is",
        description="What the fleet file says of the site.",
        size=(8, 9),
        unit=look.NUMBER,
        empty="The fleet file has no such site",
        targets=[
            prom_table(never_empty(f"max by ({', '.join(shown)}) ({info})", nobody)),
        ],
        transformations=[
            organized(shown, drop=["Time", "Value"]),
            transform("reduce", reducers=["lastNotNull"], mode="seriesToRows"),
        ],
    )
    entries = Column("Last *", "Entry", more=WRAPPED)
    return listing(spec, [Column("Field", "What", 100), entries])


def flow_now(size: tuple[int, int]) -> canvas.Panel:
    """Power between PV, grid, load and battery at the end of the time range."""
    spec = Spec(
        title="Power now",
        description="Where power comes from and where it goes at the end of the time range. A "
        "battery's power is positive when it charges, the grid's when the site draws from it. A "
        "dash is a value that the site does not give.",
        size=size,
        unit=look.UNITS["W"],
        empty="–",
        decimals=1,
        mappings=[look.missing_as("–")],
        targets=[
            prom_now(f"sum(fleetscope_{metric}{ONE}) or vector(0) / 0", name, ref)
            for ref, name, metric in (
                ("A", "PV", "pv_power_watts"),
                ("B", "Grid", "grid_power_watts"),
                ("C", "Load", "load_power_watts"),
                ("D", "Battery", "battery_power_watts"),
            )
        ],
    )
    return flow_diagram(
        spec,
        [
            Node("PV", 35, 2, (0, -1), look.FLOWS["PV"], inwards=True),
            Node("Grid", 0, 39, (1, 0), look.FLOWS["Grid import"], inwards=True),
            Node("Load", 70, 39, (-1, 0), look.FLOWS["Load"], inwards=False),
            Node("Battery", 35, 77, (0, 1), look.FLOWS["Battery charge"], inwards=False),
        ],
    )


def _battery() -> stat.Panel:
    spec = Spec(
        title="Battery",
        description="State of charge, and the time until it is empty as the battery itself "
        "estimates it; few do. Then the hottest and the widest spread of the site's packs.",
        size=(8, 9),
        unit=look.NUMBER,
        empty="No reading",
        colour=look.by_threshold(),
        thresholds=look.limits(look.FINE),
        targets=[
            prom_now(f"max(fleetscope_battery_soc_ratio{ONE})", "Charge", "A"),
            prom_now(
                f"min(fleetscope_battery_time_to_go_seconds{ONE}) or vector(0) / 0",
                "Time to empty",
                "B",
            ),
            prom_now(f"max(fleetscope_battery_temperature_celsius{ONE})", "Hottest", "C"),
            prom_now(f"max(fleetscope_cell_spread_volts{ONE})", "Cell spread", "D"),
        ],
        overrides={
            "Charge": {
                "unit": look.RATIO,
                "decimals": 0,
                "thresholds": look.soc_limits().build(),
            }
            | link("Readings", READINGS_OF_SITE),
            "Time to empty": {
                "unit": look.SECONDS,
                "decimals": 0,
                "mappings": [look.missing_as("Not reported")],
            },
            "Hottest": {
                "unit": look.UNITS["°C"],
                "decimals": 1,
                "thresholds": look.temperature_limits().build(),
            }
            | link("Readings", READINGS_OF_SITE),
            "Cell spread": {
                "unit": look.UNITS["V"],
                "decimals": 3,
                "thresholds": look.spread_limits().build(),
            }
            | link("Cells", CELLS_OF_SITE),
        },
    )
    return tiles(spec, background=True, small=True, value=26)


def _energy_today() -> stat.Panel:
    parts = (
        ("PV", "pv_power_watts", "clamp_min({}, 0)"),
        ("Load", "load_power_watts", "clamp_min({}, 0)"),
        ("Drawn", "grid_power_watts", "clamp_min({}, 0)"),
        ("Fed in", "grid_power_watts", "-clamp_max({}, 0)"),
    )
    spec = Spec(
        title="Energy today",
        description="Since midnight, out of the power of each minute; a minute without a reading "
        "counts nothing. Drawn from the grid and fed into it are apart.",
        size=(12, 7),
        unit="watth",
        empty="No reading",
        decimals=1,
        colour=look.fixed("text"),
        back="now/d",
        mappings=[look.missing_as("–"), look.below(LEAST_WH, "0.0 Wh")],
        targets=[
            prom_now(
                f"sum(sum_over_time(({side.format(f'fleetscope_{metric}{ONE}')})[$__range:1m])) "
                "/ 60 or vector(0) / 0",
                name,
                ref,
            )
            for ref, (name, metric, side) in zip("ABCD", parts, strict=True)
        ],
    )
    return tiles(spec, columns=True, value=20)


def _components() -> table.Panel:
    """One row for each component; an unknown one has a row without a score."""

    def each(values: Mapping[str, str]) -> str:
        return " or ".join(
            f'label_replace(vector({value}), "component", "{name}", "", "")'
            for name, value in values.items()
        )

    score = f"max by (component) (fleetscope_site_component_score{ONE})"
    known = f"({score} or {each(dict.fromkeys(WEIGHTS, '0 / 0'))})"
    spec = Spec(
        title="Component scores",
        description="What the overall score is made of: each component starts at 100 and loses "
        "points for its issues. The weight of an unknown component is shared out over the others; "
        "a dash is unknown.",
        size=(12, 7),
        unit=look.NUMBER,
        empty="Not asked yet, or the exporter is down",
        targets=[
            prom_table(known, "A"),
            prom_table(f"100 - {known}", "B"),
            prom_table(each({name: f"{weight:g}" for name, weight in WEIGHTS.items()}), "C"),
        ],
        transformations=[joined("component"), ordered("Value #C", descending=True)],
    )
    return listing(
        spec,
        [
            Column(
                "component",
                "Component",
                mappings=[look.names_of(*WEIGHTS)],
                more={"custom.minWidth": 102},
            ),
            score_column("Value #A", READINGS_OF_SITE, width=84),
            Column("Value #B", "Lost", 60, decimals=0),
            share_column("Value #C", "Weight", 72),
        ],
        drop=["Time 1", "Time 2", "Time 3"],
    )


def _issue_timeline() -> statetimeline.Panel:
    fields = {"worst": ('"severity"', '"severity_max"'), "on": ('"active"', '"active_max"')}
    code = '"code"'
    query = (
        f'SELECT max("worst") FROM {either(fields, "issue", by=code)} WHERE "on" = 1 AND '
        '$timeFilter GROUP BY time($__interval), "code" fill(null)'
    )
    spec = Spec(
        title="Issues over time",
        description="When each issue was active, by severity. Blank means that it was not.",
        size=(12, 8),
        unit=look.NUMBER,
        empty="No issue in this time range",
        interval=READINGS.interval,
        mappings=look.severity_mappings(),
        targets=[influx(query, "$tag_code")],
        overrides=look.issue_series(),
    )
    return timeline(spec)


def _score_over_time() -> timeseries.Panel:
    query = over_time("min", "score", "min", "health", by='"component"')
    spec = Spec(
        title="Scores over time",
        description="Overall and component scores, the lowest of each interval.",
        size=(12, 8),
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
    return lines(spec)
