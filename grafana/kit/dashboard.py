"""What all dashboards share: header, variables, annotations, rows, refresh."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from grafana_foundation_sdk.builders.dashboard import (
    CustomVariable,
    Dashboard,
    QueryVariable,
    Row,
)
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import (
    AnnotationQuery,
    DashboardCursorSync,
    VariableHide,
    VariableModel,
    VariableOption,
    VariableRefresh,
    VariableSort,
)

from grafana.kit.catalogue import catalogue
from grafana.kit.header import age_variable, header
from grafana.kit.look import WORST_FIRST
from grafana.kit.panels import AnyPanel
from grafana.kit.queries import INFLUXDB, ON_SITE, PROMETHEUS

INFO = "fleetscope_site_info"
IDS_ONLY = r"/^(?!-?[\d.]+(?:e[+-]?\d+)?$)(.+)$/"
"""Grafana offers the values of every column of an answer; ids are those that are no numbers."""
BATTERY = "Battery of the site, by service and instance"
ALL = VariableOption(selected=True, text="All", value="$__all")


def dashboard(
    uid: str,
    variables: Sequence[Builder[VariableModel]] = (),
    *,
    since: str = "now-6h",
    remark: str = "",
) -> Dashboard:
    """A dashboard of the catalogue with its variables and its header, and nothing else yet.

    Parameters
    ----------
    uid : str
        As in the catalogue.
    variables : sequence of builders
        Chosen above, in this order.
    since : str
        Beginning of the time range at first.
    remark : str
        HTML of a last line in the header.
    """
    entry = catalogue()[uid]
    made = (
        Dashboard(entry.title)
        .uid(uid)
        .description(f"For the {', '.join(entry.personas)}: {entry.decision}")
        .tags(["fleetscope", entry.pack.lower()])
        .time(since, "now")
        .timezone("browser")
        .refresh("30s")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .readonly()
    )
    for variable in (*variables, age_variable(entry)):
        made.with_variable(variable)
    for panel in header(entry, remark):
        made.with_panel(panel)
    return made


def collapsed(made: Dashboard, title: str, panels: Sequence[AnyPanel]) -> None:
    """Append a row that is closed at first; its panels ask for nothing until it is opened."""
    row = Row(title)
    for panel in panels:
        row.with_panel(panel)
    made.with_row(row)


def label_variable(name: str, label: str, description: str) -> QueryVariable:
    """Any values of a label that the fleet file gives to sites; all at first."""
    return (
        QueryVariable(name)
        .label(label)
        .description(description)
        .datasource(PROMETHEUS)
        .query(f"label_values(fleetscope_site_info, {name})")
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_CASE_INSENSITIVE_ASC)
        .multi(True)
        .include_all(True)
        .all_value(".*")
        .current(ALL)
    )


def fleet_variables() -> list[QueryVariable | CustomVariable]:
    """Kind, region, vendor, battery type, priority and status: what sites are chosen by."""
    return [
        label_variable("kind", "Kind", "Kinds of sites: ess, bess, pv, meter, datacentre"),
        label_variable("region", "Region", "Regions of the fleet file"),
        label_variable("vendor", "Vendor", "Vendors of the fleet file"),
        label_variable("battery_type", "Battery type", "Battery types of the fleet file"),
        label_variable("priority", "Priority", "Priorities of the fleet file"),
        CustomVariable("status")
        .label("Status")
        .description("Statuses of sites at the end of the time range")
        .values(",".join(f"{s.name.capitalize()} : {s.name}" for s in WORST_FIRST))
        .multi(True)
        .include_all(True)
        .all_value(".*")
        .current(ALL),
    ]


def site_variable(*, answering: bool = False) -> QueryVariable:
    """A site by its name, worst first, so that the worst is shown at first.

    The value is the id. A site that has no score yet stands behind the others.

    Parameters
    ----------
    answering : bool
        Sites that do not answer stand behind the others.
    """
    order = f"(fleet:attention_order:by_site or {ON_SITE} 1000 * {INFO})"
    if answering:
        silent = f"{order} + {ON_SITE} (2000 * (fleetscope_site_up == bool 0))"
        order = f"({silent} or {ON_SITE} {order})"
    return _sites("site", "Site", f"sort({order} * {ON_SITE} group_left (name) {INFO})")


def cell_site_variable() -> QueryVariable:
    """A site whose battery gives cell voltages: those with findings first, then by spread.

    Any site where none does, so that links lead to one.
    """
    spread = "max by (job, instance, site) (fleetscope_cell_spread_volts)"
    found = "max by (job, instance, site) (10 * fleetscope_cell_finding)"
    order = f"({spread} + {ON_SITE} {found} or {spread})"
    named = f"{order} * {ON_SITE} group_left (name) {INFO}"
    any_site = f"0 * ({INFO} unless on () {spread})"
    return _sites("site", "Site", f"sort_desc({named} or {any_site})")


def peers_variable() -> QueryVariable:
    """Sites of the chosen group, all at first, worst first and 25 at most."""
    order = f'(fleet:attention_order:by_site and on ($group) {INFO}{{site="$site"}})'
    named = f"sort(bottomk(25, {order} * {ON_SITE} group_left (name) {INFO}))"
    return _sites("peers", "Compared with", named).multi(True).include_all(True).current(ALL)


def _sites(name: str, label: str, query: str) -> QueryVariable:
    return (
        QueryVariable(name)
        .label(label)
        .description("By the name in the fleet file; worst first")
        .datasource(PROMETHEUS)
        .query(f"query_result({query})")
        .regex(r'/[{,]name="(?<text>[^"]+)".*[{,]site="(?<value>[^"]+)"/')
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.DISABLED)
    )


def stored_variable(
    name: str, label: str, description: str, query: str, *, several: bool = True
) -> QueryVariable:
    """Values that InfluxQL finds, in natural order; ``several`` may be chosen, all at first."""
    made = (
        QueryVariable(name)
        .label(label)
        .description(description)
        .datasource(INFLUXDB)
        .query(query)
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.NATURAL_ASC)
    )
    return made.multi(True).include_all(True).current(ALL) if several else made


def metered_site_variables() -> list[QueryVariable]:
    """A site of which meters are stored, by its name, worst first after the one whose meters move
    most; and, hidden, their ids. Any site where no meter is stored, so that links lead to one."""
    metered = stored_variable(
        "metered",
        "Sites with meters",
        "Ids of the sites whose meters are read, or were imported",
        'SHOW TAG VALUES FROM "meter" WITH KEY = "site"',
    ).hide(VariableHide.HIDE_VARIABLE)
    of_them = f'{INFO}{{site=~"$metered"}}'
    # A meter that stands still, as that of a site without grid, shows nothing.
    spread = (
        'SELECT spread("active_power_w") AS "spread" FROM "raw"."meter" '
        'WHERE time > ${__to}ms - 30m AND time <= ${__to}ms GROUP BY "site"'
    )
    telling = (
        stored_variable(
            "telling",
            "Most telling",
            "Id of the site whose meters moved most in the last half hour of the time range",
            f'SELECT top("spread", 1), "site" FROM ({spread})',  # noqa: S608 (no SQL)
            several=False,
        )
        .regex(IDS_ONLY)
        .hide(VariableHide.HIDE_VARIABLE)
    )
    first = f'max by (job, instance, site) (-1 * {INFO}{{site="$telling"}})'
    order = f"({first} or {ON_SITE} fleet:attention_order:by_site or {ON_SITE} 1000 * {INFO})"
    return [
        metered,
        telling,
        _sites(
            "site",
            "Site",
            f"sort({order} * {ON_SITE} group_left (name) {of_them} "
            f"or 0 * ({INFO} unless on () {of_them}))",
        ),
    ]


def pack_variable() -> QueryVariable:
    """The batteries of the chosen site that give single cells; all at first."""
    return stored_variable(
        "pack",
        "Pack",
        BATTERY,
        'SHOW TAG VALUES FROM "cell" WITH KEY = "pack" WHERE "site" = \'$site\'',
    ).all_value(".*")


def meter_variable() -> QueryVariable:
    """The meters of the chosen site; all at first."""
    return stored_variable(
        "meter",
        "Meter",
        "Meters of the site",
        'SHOW TAG VALUES FROM "meter" WITH KEY = "meter" WHERE "site" = \'$site\'',
    )


def zone_variable() -> QueryVariable:
    """Hidden: the time zone that the fleet file gives to the site, in which its days begin."""
    return (
        QueryVariable("zone")
        .description("Time zone of the site")
        .datasource(PROMETHEUS)
        .query('label_values(fleetscope_site_info{site="$site"}, timezone)')
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .hide(VariableHide.HIDE_VARIABLE)
    )


def batteries_variable() -> QueryVariable:
    """One battery of the chosen site, whether or not it gives single cells."""
    return stored_variable(
        "pack",
        "Pack",
        BATTERY,
        "SHOW TAG VALUES FROM /^(battery|cell)$/ WITH KEY =~ /^(device|pack)$/ "
        "WHERE \"site\" = '$site'",
        several=False,
    )


def page_variable() -> QueryVariable:
    """Hidden: the address of the page of the exporter that reads the chosen site."""
    of_site = 'fleetscope_site_up{site="$site"}'
    page = f"max by (url) (fleetscope_page_info and on (job, instance) {of_site})"
    return (
        QueryVariable("page")
        .description("Address of the exporter's page")
        .datasource(PROMETHEUS)
        .query(f"query_result({page} or max by (url) (fleetscope_page_info))")
        .regex('/url="([^"]+)"/')
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .hide(VariableHide.HIDE_VARIABLE)
    )


def kept_variable() -> CustomVariable:
    """What is shown of each cell and interval; the values are aggregates and kept by roll-ups."""
    return choice_variable(
        "kept",
        "Cell over time",
        "What heatmaps of voltages show of each cell in each interval",
        [("Mean", "mean"), ("Lowest", "min"), ("Highest", "max")],
    )


def choice_variable(
    name: str, label: str, description: str, choices: Sequence[tuple[str, str]]
) -> CustomVariable:
    """One of several texts, each standing for a value; the first at first.

    Raises
    ------
    ValueError
        A text or value holds a comma, which is what Grafana divides choices at.
    """
    if any("," in part for choice in choices for part in choice):
        raise ValueError(f"a choice of {name} holds a comma")
    text, value = choices[0]
    return (
        CustomVariable(name)
        .label(label)
        .description(description)
        .values(",".join(f"{shown} : {stands_for}" for shown, stands_for in choices))
        .current(VariableOption(selected=True, text=text, value=value))
    )


class AlertAnnotation(AnnotationQuery):
    """An annotation with a title and a text, which the SDK's model has no fields for."""

    title_format: str = ""
    text_format: str = ""

    def to_json(self) -> dict[str, object]:
        """The JSON of the annotation."""
        formats = {"titleFormat": self.title_format, "textFormat": self.text_format, "step": "30s"}
        return super().to_json() | formats


@dataclass(frozen=True)
class PromAnnotation(Builder[AnnotationQuery]):
    """Marks on all plots, where a PromQL expression has a value.

    ``title`` and ``text`` name labels in double braces.
    """

    name: str
    expr: str
    title: str
    text: str
    colour: str

    def build(self) -> AnnotationQuery:
        """The annotation."""
        made = AlertAnnotation(name=self.name, datasource=PROMETHEUS, enable=True, expr=self.expr)
        made.icon_color = self.colour
        made.title_format, made.text_format = self.title, self.text
        return made
