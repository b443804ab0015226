"""Panels of single cells that Battery · Balance and Battery · Pack share."""

from __future__ import annotations

import math
from dataclasses import replace

from grafana_foundation_sdk.builders import heatmap, table, text
from grafana_foundation_sdk.models.dashboard import DataTransformerConfig

from grafana.kit import look
from grafana.kit.levels import CELLS, SITE, last_and_median, over_time
from grafana.kit.panels import Spec, heat, note
from grafana.kit.queries import influx, influx_table
from grafana.kit.tables import (
    PACK_URL,
    Column,
    absolute,
    difference,
    filled,
    joined,
    listing,
    ordered,
    pack_column,
    transform,
)

NO_CELLS = (
    "No single cells: this battery gives only its lowest and highest cell, or the site gave "
    "nothing in this time range"
)
NO_TEMPERATURES = "This battery gives no temperature of single cells"
FURTHEST = 12
# Grafana reckons a missing value as 0, which no cell that is read has: its share of the median is
# then 0, and the share less 1 is this. A difference in volts could not show it.
MISSING = -0.999
BY_NUMBER = [
    transform("joinByField", byField="Time", mode="outer"),
    transform("organize", orderByMode="auto", orderBy=[{"type": "name", "desc": False}]),
]


_RANGE = "since=${__from:date:iso}&until=${__to:date:iso}"
_ON_PAGE = f"${{page}}/cells?site=${{site}}&packs=${{pack:csv}}&kept=${{kept}}&{_RANGE}"
_OF_SITE = "${__url_time_range}&var-site=${site}"
SURFACE_URL = f"{_ON_PAGE}&shape=surface"
"""The exporter's page; Grafana itself has no panel for a surface."""
VIEWS = {
    "Overview": f"/d/fleetscope-site/?{_OF_SITE}",
    "Packs compared": f"/d/fleetscope-cells/?{_OF_SITE}&viewPanel=panel-[Packs compared]",
    "Surface in 3D": SURFACE_URL,
    "Heatmaps": f"{_ON_PAGE}&shape=heatmap",
    "Critical cells": f"/d/fleetscope-cells/?{_OF_SITE}&viewPanel=panel-[Critical cells]",
}
"""Title of a view to its address; a title in brackets stands for the panel's number."""


def views() -> text.Panel:
    """The views of a battery's cells, one click each."""
    links = " · ".join(f'<a href="{url}">{title}</a>' for title, url in VIEWS.items())
    description = (
        "The site, its packs side by side, all cells over time as a surface that can be turned "
        "and as a heatmap (both on the exporter's own page), and the cells that stand out."
    )
    return note("", description, (24, 2), f'<div style="line-height: 1.2">Views: {links}</div>')


def of_each_cell(how: str, name: str, where: str) -> str:
    """InfluxQL: a quantity of each cell over time."""
    return over_time(how, name, how, "cell", where=where, by='"pack", "cell"', detail=CELLS)


def _all(operator: str, right: dict[str, object]) -> DataTransformerConfig:
    """Every column of numbers changed by the same."""
    left = {"matcher": {"id": "byType", "options": "number"}}
    binary = {"left": left, "operator": operator, "right": right}
    return transform("calculateField", mode="binary", replaceFields=True, binary=binary)


def deviation(title: str, where: str, size: tuple[int, int]) -> heatmap.Panel:
    """One row for each cell: its distance from the median of its pack at that moment.

    The scale is the same for every pack, so that packs can be compared.
    """
    spec = Spec(
        title=title,
        description="One row for each cell in physical order. Charging and discharging move all "
        "cells together and do not show here; a cell that drifts changes its colour against its "
        "neighbours: red below the median, blue above, full at "
        f"{look.CELL_SHARE_OFF:.1%}, which is {look.CELL_VOLTS_OFF:.2f} V of 3.3 V; the scale is "
        "the same for every pack. Blank is a time without a reading. What is shown of each "
        "interval is chosen above: a spike shows as the lowest or highest whatever the range.",
        size=size,
        unit=look.RATIO,
        empty=NO_CELLS,
        interval=CELLS.interval,
        decimals=2,
        targets=[influx(of_each_cell("$kept", "voltage_v", where), "$tag_cell")],
        transformations=[
            *BY_NUMBER,
            transform(
                "calculateField",
                mode="reduceRow",
                alias="median",
                replaceFields=False,
                reduce={"reducer": "median", "nullValueMode": "connected"},
            ),
            _all("/", {"matcher": {"id": "byName", "options": "median"}}),
            transform("filterFieldsByName", exclude={"names": ["median / median"]}),
            _all("-", {"fixed": "1"}),
            transform("renameByRegex", regex="(.*) / median - 1", renamePattern="$1"),
        ],
    )
    return heat(spec, decimals=2, either_side=look.CELL_SHARE_OFF, above=MISSING)


def temperatures(title: str, where: str, size: tuple[int, int]) -> heatmap.Panel:
    """One row for each cell: its temperature."""
    spec = Spec(
        title=title,
        description="One row for each cell of a pack that gives a temperature, the highest of each "
        "interval, coloured as the scale below says. Blank is a time without a reading.",
        size=size,
        unit=look.UNITS["°C"],
        empty=NO_TEMPERATURES,
        interval=CELLS.interval,
        decimals=1,
        targets=[influx(of_each_cell("max", "temperature_c", where), "$tag_cell")],
        transformations=BY_NUMBER,
    )
    return heat(spec, decimals=1)


def furthest(
    spec: Spec, name: str, unit: str, decimals: int, limit: float, worst: float = math.inf
) -> table.Panel:
    """The cells furthest from the median of their pack, by name.

    Parameters
    ----------
    spec : Spec
        Without targets and transformations.
    name : str
        Field of ``cell``.
    unit : str
        Grafana's name of its unit.
    decimals : int
    limit : float
        Distance beyond which it is coloured.
    worst : float
        Distance beyond which it is critical.
    """
    kept = "mean" if name == "voltage_v" else "max"
    queries = last_and_median(name, kept, f'{SITE} AND "pack" =~ /^$pack$/')
    complete = replace(
        spec,
        targets=[influx_table(query, ref) for query, ref in zip(queries, "AB", strict=True)],
        transformations=[
            joined("pack", mode="inner"),
            difference("value", "median", "off"),
            absolute("off", "distance"),
            ordered("distance", descending=True),
            transform("limit", limitField=FURTHEST),
        ],
    )
    return listing(
        complete,
        [
            pack_column(),
            Column("cell", "Cell", 56),
            Column("value", "Value", 80, unit, decimals),
            Column(
                "off",
                "Off by",
                80,
                unit,
                decimals,
                url=PACK_URL,
                more=filled(look.deviation_limits(limit, worst=worst)),
            ),
        ],
        drop=["Time", "Time 1", "Time 2", "Time cell", "median", "distance"],
    )
