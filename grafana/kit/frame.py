"""What all dashboards share: uid, links between them, variables, annotations, refresh."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from grafana_foundation_sdk.builders.dashboard import (
    CustomVariable,
    Dashboard,
    DashboardLink,
    QueryVariable,
)
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import (
    AnnotationQuery,
    DashboardCursorSync,
    DashboardLinkType,
    VariableHide,
    VariableOption,
    VariableRefresh,
    VariableSort,
)

from grafana.kit.look import WORST_FIRST
from grafana.kit.queries import INFLUXDB, ON_SITE, PROMETHEUS

TITLES = {
    "fleetscope-overview": "Fleet overview",
    "fleetscope-site": "Site",
    "fleetscope-cells": "Cells",
    "fleetscope-pack": "Pack",
    "fleetscope-meters": "Meters",
    "fleetscope-compare": "Compare and outliers",
    "fleetscope-collection": "Collection",
}
ALL = VariableOption(selected=True, text="All", value="$__all")


def dashboard(uid: str, description: str, *, since: str = "now-6h") -> Dashboard:
    """An empty dashboard with links to the others, which keep time range and variables."""
    made = (
        Dashboard(TITLES[uid])
        .uid(uid)
        .description(description)
        .tags(["fleetscope"])
        .time(since, "now")
        .timezone("browser")
        .refresh("30s")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .readonly()
    )
    others = DashboardLink("Dashboards").type(DashboardLinkType.DASHBOARDS).tags(["fleetscope"])
    return made.link(others.as_dropdown(True).keep_time(True).include_vars(True))


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
    """Region, vendor, battery type, priority and status: what sites are chosen by."""
    return [
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


def site_variable(*, several: bool = False) -> QueryVariable:
    """Sites by their names, worst first, so that it is the worst that is shown at first.

    The value is the id. A site that has no score yet stands behind the others.
    """
    order = f"(fleet:attention_order:by_site or {ON_SITE} 1000 * fleetscope_site_info)"
    named = f"{order} * {ON_SITE} group_left (name) fleetscope_site_info"
    made = (
        QueryVariable("site")
        .label("Sites" if several else "Site")
        .description("Site, by the name in the fleet file; worst first")
        .datasource(PROMETHEUS)
        .query(f"query_result(sort({named}))")
        .regex(r'/[{,]name="(?<text>[^"]+)".*[{,]site="(?<value>[^"]+)"/')
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.DISABLED)
    )
    return made.multi(True) if several else made


def pack_variable() -> QueryVariable:
    """The batteries of the chosen site that give single cells; all at first."""
    return (
        QueryVariable("pack")
        .label("Pack")
        .description("Battery of the site, by service and instance")
        .datasource(INFLUXDB)
        .query('SHOW TAG VALUES FROM "cell" WITH KEY = "pack" WHERE "site" = \'$site\'')
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.NATURAL_ASC)
        .multi(True)
        .include_all(True)
        .all_value(".*")
        .current(ALL)
    )


def meter_variable() -> QueryVariable:
    """The meters of the chosen site; all at first."""
    return (
        QueryVariable("meter")
        .label("Meter")
        .description("Meters of the site whose recordings were imported")
        .datasource(INFLUXDB)
        .query('SHOW TAG VALUES FROM "meter" WITH KEY = "meter" WHERE "site" = \'$site\'')
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.NATURAL_ASC)
        .multi(True)
        .include_all(True)
        .current(ALL)
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
    return (
        QueryVariable("pack")
        .label("Pack")
        .description("Battery of the site, by service and instance")
        .datasource(INFLUXDB)
        .query(
            "SHOW TAG VALUES FROM /^(battery|cell)$/ WITH KEY =~ /^(device|pack)$/ "
            "WHERE \"site\" = '$site'"
        )
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.NATURAL_ASC)
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


class Happening(AnnotationQuery):
    """An annotation with a title and a text, which the SDK's model has no fields for."""

    title_format: str = ""
    text_format: str = ""

    def to_json(self) -> dict[str, object]:
        """The JSON of the annotation."""
        formats = {"titleFormat": self.title_format, "textFormat": self.text_format, "step": "30s"}
        return super().to_json() | formats


@dataclass(frozen=True)
class Happenings(Builder[AnnotationQuery]):
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
        made = Happening(name=self.name, datasource=PROMETHEUS, enable=True, expr=self.expr)
        made.icon_color = self.colour
        made.title_format, made.text_format = self.title, self.text
        return made
