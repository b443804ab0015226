"""The header of every dashboard: for whom it is, four tiles, and links to its neighbours."""

from __future__ import annotations

from dataclasses import replace

from grafana_foundation_sdk.builders import stat, text
from grafana_foundation_sdk.builders.dashboard import QueryVariable, ThresholdsConfig
from grafana_foundation_sdk.models.dashboard import ValueMapping, VariableHide, VariableRefresh

from grafana.kit import look
from grafana.kit.catalogue import Entry, LimitName, catalogue
from grafana.kit.panels import Spec, dense, note, tiles
from grafana.kit.portfolio import (
    AGE_QUERY,
    DATA_UNTIL,
    headline_query,
)
from grafana.kit.queries import (
    CHOSEN,
    CHOSEN_INFO,
    INFLUXDB,
    PROMETHEUS,
    Target,
    influx,
    prom_now,
)
from grafana.kit.tables import link
from scoring.status import STATUSES, Status

HEIGHT = 3
WIDTHS, WALL_WIDTHS = (12, 12), (14, 10)
"""Of the text and of the tiles."""
WALL = "fleetscope-fleet-wall"
# To be read from four metres: a share of the screen, whatever its size.
TYPE, WALL_TYPE = "12px", "2.5vh"
WHOLE_SCREEN = "&kiosk=true&autofitpanels=true"
AGE_VARIABLE = "data_age"
TRIAGE = "fleetscope-overview"
UNKNOWN_AGE = 'label_replace(vector(0) / 0, "age", "of unknown age", "", "")'
SITE = "fleetscope-site"
COLLECTION = "fleetscope-collection"
FIRING_PAGES = 'ALERTS{alertstate="firing",severity="page",site!=""}'
OLD = 5  # times the age at which data is old: red

_WARNING = look.STATUS_COLOURS[Status.WARNING]
_CRITICAL = look.STATUS_COLOURS[Status.CRITICAL]
LIMITS: dict[LimitName, ThresholdsConfig] = {
    "any": look.limits(look.FINE, (1, _CRITICAL)),
    "some": look.limits(look.FINE, (1, _WARNING)),
    "score": look.score_limits(),
    "spread": look.spread_limits(),
    "none": look.limits(look.FINE),
}


def header(entry: Entry, remark: str = "") -> tuple[text.Panel, stat.Panel]:
    """Three rows of the grid: text with links, and four tiles.

    Parameters
    ----------
    entry : Entry
    remark : str
        HTML of a last line, in which variables are filled in.
    """
    return _text(entry, remark), _tiles(entry)


def age_variable(entry: Entry) -> QueryVariable:
    """Hidden: the age of the data in words, which the header's line shows."""
    if entry.scope == "portfolio":
        return (
            QueryVariable(AGE_VARIABLE)
            .description("Day up to which the portfolio was computed")
            .datasource(INFLUXDB)
            .query(DATA_UNTIL)
            .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
            .hide(VariableHide.HIDE_VARIABLE)
        )
    counted = f'count_values("age", {_age(entry)})'
    in_words = f'label_replace({counted}, "age", "$1 s old", "age", "(.*)")'
    return (
        QueryVariable(AGE_VARIABLE)
        .description("Age of the data")
        .datasource(PROMETHEUS)
        .query(f"query_result({in_words} or {UNKNOWN_AGE})")
        .regex('/age="([^"]+)"/')
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .hide(VariableHide.HIDE_VARIABLE)
    )


def _text(entry: Entry, remark: str) -> text.Panel:
    groups = (("↑", entry.up), ("↔", entry.across), ("↓", entry.down))
    links = " ".join(
        f"{arrow} " + " · ".join(_link(entry, catalogue()[uid]) for uid in uids)
        for arrow, uids in groups
        if uids
    )
    description = (
        f"{entry.title} is for the {' and the '.join(entry.personas)}. It is read from "
        f"{' and '.join(entry.sources)} and is old from {_duration(entry.fresh_s)} on."
    )
    # Before a portfolio is published there is no day, and the line must still read well.
    age = f"measured until: ${{{AGE_VARIABLE}}}"
    if entry.scope != "portfolio":
        age = f"data ${{{AGE_VARIABLE}}}."
    line = (
        f"<b>{entry.title}</b> for {', '.join(entry.personas)}: <b>{entry.decision}</b> "
        f"As of ${{__to:date:DD MMM HH:mm}}, {age}"
    )
    of_wall = entry.uid == WALL
    # In its large type there is room for two lines on a screen of 800.
    lines = (" " if of_wall else "<br>").join(part for part in (line, links, remark) if part)
    content = dense(lines, WALL_TYPE if of_wall else TYPE)
    return note("", description, (_widths(entry)[0], HEIGHT), content)


def _widths(entry: Entry) -> tuple[int, int]:
    return WALL_WIDTHS if entry.uid == WALL else WIDTHS


def _duration(seconds: int) -> str:
    return f"{seconds // 3600} h" if seconds > 3600 else f"{seconds} s"


def _url(entry: Entry, target: Entry) -> str:
    kept = "".join(f"&${{{name}:queryparam}}" for name in entry.carried(target))
    shown = WHOLE_SCREEN if target.uid == WALL else ""
    return f"/d/{target.uid}?${{__url_time_range}}{kept}{shown}"


def _link(entry: Entry, target: Entry) -> str:
    # Of the same domain, and of the only dashboard of one, the view says enough.
    same = target.pack in (entry.pack, "System", "Dispatch")
    name = target.title.split(" · ")[1] if same else target.title.replace(" · ", " ")
    return f'<a href="{_url(entry, target)}">{name}</a>'


def _tiles(entry: Entry) -> stat.Panel:
    status_name, status, status_properties = _status(entry)
    headline = entry.headline
    leads_to = catalogue()[headline.to]
    pages = SITE if entry.scope in ("site", "battery") else TRIAGE
    old = look.limits(
        look.FINE, (entry.fresh_s, _WARNING), (OLD * entry.fresh_s, _CRITICAL)
    ).build()
    spec = Spec(
        title="",
        description="Status, the figure of this subject, sites that page in what is chosen above, "
        "and the age of the data. Red is what pages; nothing is coloured at zero.",
        size=(_widths(entry)[1], HEIGHT),
        unit=look.NUMBER,
        empty="–",
        colour=look.by_threshold(),
        thresholds=look.limits(look.FINE),
        targets=[
            prom_now(f"{status} or vector(0) / 0", status_name, "A"),
            _headline(entry),
            prom_now(f"{_pages(entry)} or vector(0) / 0", "Pages", "C"),
            _age_target(entry),
        ],
        overrides={
            status_name: status_properties,
            headline.name: {
                **_figure(headline.unit),
                "thresholds": LIMITS[headline.limits].build(),
                "mappings": [look.missing_as("–")],
            }
            | link(f"Open {leads_to.title}", _url(entry, leads_to)),
            "Pages": {"thresholds": LIMITS["any"].build()}
            | link("Whom to call", _url(entry, catalogue()[pages])),
            "Data age": {"unit": look.SECONDS, "decimals": 0, "thresholds": old}
            | {"mappings": [look.missing_as("Never"), *_age_texts(entry)]}
            | link("Collection", _url(entry, catalogue()[COLLECTION])),
        },
    )
    if entry.uid != WALL:
        return tiles(spec, background=True, columns=True, value=18, title=12)
    return tiles(_named_by_value(spec), background=True, columns=True, value=None)


def _headline(entry: Entry) -> Target:
    headline = entry.headline
    if headline.query:
        return influx(headline_query(headline.query), headline.name, "B")
    figure = headline.expr.replace("$chosen", CHOSEN_INFO)
    return prom_now(f"{figure} or vector(0) / 0", headline.name, "B")


def _figure(unit: str) -> dict[str, object]:
    """Unit and decimals of a headline: a phone has no room for the digits of an amount."""
    if unit == look.MONEY:
        return {"unit": "short"}
    return {"unit": unit, "decimals": 3 if unit.endswith("V") else 0}


def _age_target(entry: Entry) -> Target:
    if entry.scope == "portfolio":
        return influx(AGE_QUERY, "Data age", "D")
    return prom_now(f"{_age(entry)} or vector(0) / 0", "Data age", "D")


def _age_texts(entry: Entry) -> list[ValueMapping]:
    """What an age is called where readings go beyond the time range."""
    if entry.scope != "portfolio":
        return []
    return [look.below(0, "Complete")]


def _named_by_value(spec: Spec) -> Spec:
    """Tiles whose names stand beside their values, in type of the same size; a unit behind them
    would be written smaller."""
    overrides = {
        name: dict(properties) | {"unit": f"prefix:{name} "}
        for name, properties in spec.overrides.items()
    }
    overrides["Data age"]["unit"] = "prefix:Age "
    return replace(spec, overrides=overrides)


def _status(entry: Entry) -> tuple[str, str, dict[str, object]]:
    """Name, PromQL and properties of the first tile."""
    if entry.scope in ("site", "battery"):
        each = " + ".join(
            f'{s.value} * max(fleetscope_site_status{{site="$site",status="{s.name}"}})'
            for s in STATUSES
        )
        texts = [look.missing_as("New"), *look.status_mappings()]
        mapped = {"mappings": texts, "decimals": 0}
        url = _url(entry, catalogue()[SITE])
        return "Status", each, mapped | {"color": {"mode": "thresholds"}} | link("Open it", url)
    chosen = CHOSEN_INFO if entry.scope == "fleet" else ""
    if entry.scope == "group":
        one = 'fleetscope_site_status{site=~"$site|$peers",status="CRITICAL"} == 1'
        expr = f"count({one}) or vector(0)"
    else:
        comma = "," if chosen else ""
        expr = f'sum(fleet:sites_by_status:count{{{chosen}{comma}status="CRITICAL"}})'
    url = f"/d/{TRIAGE}?${{__url_time_range}}&var-status=CRITICAL"
    return "Critical", expr, {"thresholds": LIMITS["any"].build()} | link("Only critical", url)


def _pages(entry: Entry) -> str:
    """PromQL: the number of sites that page, of those that are chosen."""
    if entry.scope in ("site", "battery"):
        sites = 'ALERTS{alertstate="firing",severity="page",site="$site"}'
        return f"count(count by (alertname) ({sites})) or vector(0)"
    if entry.scope == "group":
        sites = 'ALERTS{alertstate="firing",severity="page",site=~"$site|$peers"}'
        return f"count(count by (site) ({sites})) or vector(0)"
    if entry.scope in ("none", "portfolio"):
        return f"count(count by (site) ({FIRING_PAGES})) or vector(0)"
    chosen = f"fleet:health_score:by_site{{{CHOSEN}}}"
    return f"count(count by (site) ({FIRING_PAGES} and on (site) {chosen})) or vector(0)"


def _age(entry: Entry) -> str:
    """PromQL: seconds since the data was read or judged."""
    if entry.scope in ("site", "battery"):
        newest = 'max(fleetscope_site_last_success_timestamp_seconds{site="$site"})'
    else:
        newest = "min(fleetscope_assessment_timestamp_seconds)"
    return f"round(time() - {newest})"
