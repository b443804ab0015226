"""Fleet · Triage: whom to call first, about what, and what several sites share."""

# ruff: noqa: S608  (templates that Grafana fills in; no SQL is run here)

from __future__ import annotations

from dataclasses import replace

from grafana_foundation_sdk.builders import geomap, table
from grafana_foundation_sdk.builders.dashboard import Dashboard, QueryVariable
from grafana_foundation_sdk.models.dashboard import (
    GridPos,
    VariableHide,
    VariableRefresh,
    VariableSort,
)

from grafana.boards.shared import (
    CALLED,
    FIRST,
    MARK,
    SHARED_CAUSE,
    UTILITY_ISSUES,
    call_order,
    cause_variable,
    cells_that_drift,
    outliers,
)
from grafana.kit import look
from grafana.kit.dashboard import ALL, dashboard, fleet_variables
from grafana.kit.header import HEIGHT
from grafana.kit.panels import Spec, world_map
from grafana.kit.queries import (
    AT_THE_END,
    CHOSEN,
    ON_SITE,
    PROMETHEUS,
    SITES,
    influx_table,
    never_empty,
    prom,
    prom_table,
    with_columns,
)
from grafana.kit.tables import (
    DASH,
    FILLED,
    SITE_URL,
    WRAPPED,
    Column,
    hidden,
    joined,
    link,
    listing,
    only_of,
    only_with,
    ordered,
    organized,
    since_column,
    site_column,
    transform,
)
from scoring.rule import in_a_sentence
from scoring.rules import RULES

WORST = 25
LIST_HEIGHT = 17
MARKERS = 500
NO_SITES = "No site has these properties, or Prometheus reaches no exporter"
NO_SITE = {"site": "-"}
NO_CAUSE = look.as_text({"none": "None"})
CAUSES = "Causes that several sites share"
CAUSES_URL = f"/d/fleetscope-overview/?${{__url_time_range}}&viewPanel=panel-[{CAUSES}]"
GROUP_URL = (
    "/d/fleetscope-overview/?${__url_time_range}"
    "&var-${__data.fields.attribute}=${__data.fields.Where:percentencode}"
)


def build() -> Dashboard:
    """The dashboard."""
    made = dashboard(
        "fleetscope-overview",
        [*fleet_variables(), _called_variable(), cause_variable()],
        since="now-24h",
        remark=f'<b>Shared cause: <a href="{CAUSES_URL}">{SHARED_CAUSE}</a></b>',
    )
    made.with_panel(_whom_to_call())
    # A map that is wider than it is high would cut off the north and the south.
    below = HEIGHT + LIST_HEIGHT
    made.with_panel(_causes().grid_pos(GridPos(x=0, y=below, w=10, h=7)))
    made.with_panel(cells_that_drift((8, 7)).grid_pos(GridPos(x=10, y=below, w=8, h=7)))
    made.with_panel(_map().grid_pos(GridPos(x=18, y=below, w=6, h=14)))
    return made.with_panel(outliers((18, 7)).grid_pos(GridPos(x=0, y=below + 7, w=18, h=7)))


def _whom_to_call() -> table.Panel:
    of_them = f"max by (site, name) (fleet:attention_order:by_site{{{FIRST}}})"
    mark = MARK.replace('site!=""', FIRST)
    sentences = (
        'SELECT "issue", "code", "since" * 1000 AS "since" FROM "raw"."health" '
        f'WHERE "component" = \'overall\' AND "rank" <= {8 * WORST} AND {AT_THE_END} '
        'GROUP BY "site" ORDER BY time DESC LIMIT 1'
    )
    sentences = with_columns(sentences, "site", texts=("issue", "code"), numbers=("since",))
    course = f"max by (site) (fleet:health_score:by_site{{{FIRST}}})"
    nobody = NO_SITE | {"name": NO_SITES}
    spec = Spec(
        title="Whom to call first",
        description=f"The {WORST} chosen sites that need attention most: those that page, then "
        "those with a ticket, then by score and priority. With the worst issue, what to do first, "
        "the score over the time range (24 hours at first), and the fleet file's phone number.",
        size=(24, LIST_HEIGHT),
        unit=look.NUMBER,
        empty=NO_SITES,
        points=96,
        targets=[
            prom_table(never_empty(call_order(of_them, mark), nobody), "A"),
            prom_table(
                never_empty(f"max by (site) ({mark}) or 0 * max by (site) ({of_them})", NO_SITE),
                "B",
            ),
            prom_table(
                never_empty(f"max by (site) (fleet:health_score:by_site{{{FIRST}}})", NO_SITE), "C"
            ),
            prom_table(
                never_empty(
                    f"max by (site, phone) (fleetscope_site_info{{{FIRST}}})",
                    NO_SITE | {"phone": "-"},
                ),
                "D",
            ),
            influx_table(sentences, "E"),
            prom(never_empty(course, NO_SITE), "", "F"),
        ],
        transformations=[
            # Any table of one row would look like a series of one moment to it.
            only_of("F", transform("timeSeriesTable", F={"stat": "lastNotNull"})),
            joined("site"),
            only_with("Value #A"),
            ordered("Value #A"),
        ],
    )
    actions = {rule.code: rule.action for rule in RULES}
    site, site_id = site_column()
    return listing(
        spec,
        [
            Column(
                "Value #B",
                "Alert",
                58,
                mappings=[look.alert_marks()],
                url=SITE_URL,
                more={"custom.cellOptions": FILLED, "custom.align": "left"},
            ),
            # Narrow, so that a phone shows the beginning of what is wrong, too; long names wrap.
            replace(site, width=150, more=WRAPPED),
            site_id,
            Column(
                "issue",
                "Worst issue",
                # How the attempt to ask failed is on Site · Now; here it would fill the table.
                mappings=[look.without_details(), look.shared_in_short()],
                url=SITE_URL,
                # Wrapped, each row would be as high as the details need that are left out.
                more={"custom.minWidth": 170, "noValue": DASH},
            ),
            Column(
                "code",
                "What to do first",
                mappings=[look.as_text(actions)],
                more={"custom.minWidth": 150},
            ),
            since_column(width=112),
            Column("Value #C", "Score", 56, decimals=0),
            Column(
                "Trend #F",
                "Trend",
                88,
                more={
                    "custom.cellOptions": {
                        "type": "sparkline",
                        "hideValue": True,
                        "lineWidth": 2,
                        "showPoints": "always",
                        "pointSize": 3,
                        "spanNulls": False,
                    },
                    "min": 0,
                    "max": 100,
                    "color": look.fixed(look.ACCENT).build(),
                },
            ),
            Column("phone", "Phone", 132, url="tel:${__value.raw}"),
        ],
        drop=[
            "Time health",
            "Time level",
            "Value #A",
            "Value #D",
            *(f"Time {n}" for n in range(1, 8)),
        ],
    )


def _called_variable() -> QueryVariable:
    """Hidden: the sites to call first, of those that are chosen, at the end of the range."""
    order = f"max by (site) (fleet:attention_order:by_site{{{CHOSEN}}})"
    return (
        QueryVariable(CALLED)
        .description(f"The {WORST} chosen sites that need attention most")
        .datasource(PROMETHEUS)
        .query(f"query_result({never_empty(f'bottomk({WORST}, {call_order(order)})', NO_SITE)})")
        .regex(r'/[{,]site="([^"]+)"/')
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.DISABLED)
        .multi(True)
        .include_all(True)
        .current(ALL)
        .hide(VariableHide.HIDE_VARIABLE)
    )


def _causes() -> table.Panel:
    fields = "max by (code, attribute, value)"
    found = f"{fields} (fleetscope_common_issue_sites)"
    share = f"{found} / {fields} (fleetscope_common_issue_group_sites)"
    # Its link leads to the sites of all regions.
    nothing = {"code": "none", "attribute": "region", "value": "All"}
    # What another issue brings about is advised on as that.
    following = (
        "label_replace(max by (code, attribute, value, follows) "
        '(fleetscope_common_issue_rank{follows!=""}), "advice", "follows $1", "follows", "(.*)")'
    )
    kind = f'label_join({found}, "kind", "/", "attribute", "code")'
    advised = f'label_replace({kind}, "advice", "share", "", "")'
    advised = f'label_replace({advised}, "advice", "utility", "kind", "{UTILITY_ISSUES}")'
    advice = (
        f"max by (code, attribute, value, advice) ({following} or on (code, attribute, value) "
        f"{advised})"
    )
    spec = Spec(
        title=CAUSES,
        description="Issues that more sites of one region or battery type have than chance allows, "
        "as the exporter and the terminal name them, and what follows from one right after it. "
        "Call the one behind the cause first, not each site. Click on the region or battery type "
        "to see its sites.",
        size=(10, 7),
        unit=look.NUMBER,
        empty="Prometheus gives no answer",
        targets=[
            prom_table(never_empty(found, nothing), "A"),
            prom_table(never_empty(share, nothing), "B"),
            prom_table(never_empty(advice, nothing | {"advice": "none"}), "C"),
            prom_table(never_empty(f"{fields} (fleetscope_common_issue_rank)", nothing), "D"),
        ],
        transformations=[transform("merge"), ordered("Value #D")],
    )
    return listing(
        spec,
        [
            Column("code", "Issue", 124, mappings=[*look.issue_names(), NO_CAUSE], more=WRAPPED),
            Column("value", "Where", 124, url=GROUP_URL, more=WRAPPED),
            Column("Value #A", "Sites", 52, decimals=0),
            Column("Value #B", "Of it", 52, look.RATIO, 0),
            Column(
                "advice",
                "What to do first",
                mappings=[look.as_text(_advice())],
                more={"custom.minWidth": 110, **WRAPPED},
            ),
            hidden("attribute"),
        ],
        drop=["Time", "Value #C", "Value #D"],
    )


def _advice() -> dict[str, str]:
    """What to do first, as the sentence of the terminal says it."""
    return {
        "none": "No issue is shared beyond chance",
        "utility": "Suspect the utility, not the sites",
        "share": "Look at what they have in common first",
    } | {
        f"follows {code}": f"It follows from: {in_a_sentence(code)}"
        for rule in RULES
        for code in rule.follows
    }


def _map() -> geomap.Panel:
    placed = (
        f"max by (site, name, status, latitude, longitude) (bottomk({MARKERS}, {SITES}) "
        f"* {ON_SITE} "
        'group_left (latitude, longitude) fleetscope_site_info{latitude!="",longitude!=""})'
    )
    numeric = [
        {"targetField": name, "destinationType": "number"} for name in ("latitude", "longitude")
    ]
    spec = Spec(
        title="Map",
        description="The chosen sites that the fleet file gives a place to, coloured by status; "
        f"of more than {MARKERS} those with the lowest scores. The worst lie on top. Click on one "
        "to open it.",
        size=(6, 14),
        unit=look.SCORE,
        empty="No chosen site has a latitude and longitude in the fleet file",
        decimals=0,
        targets=[prom_table(placed)],
        transformations=[
            transform("convertFieldType", conversions=numeric, fields={}),
            ordered("Value", descending=True),
            organized(
                {
                    "name": "Site",
                    "status": "Status",
                    "Value": "Score",
                    "latitude": "latitude",
                    "longitude": "longitude",
                    "site": "site",
                },
                drop=["Time"],
            ),
        ],
        overrides={
            "Site": link("Open the site", SITE_URL),
            "Status": {"mappings": look.status_mappings()},
        },
    )
    return world_map(spec, latitude="latitude", longitude="longitude", colour="Status")
