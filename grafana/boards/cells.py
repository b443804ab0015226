"""Cells: imbalance, the cells that cause it by name, and temperatures."""

# ruff: noqa: S608  (templates that Grafana fills in; no SQL is run here)

from __future__ import annotations

from dataclasses import replace

from grafana_foundation_sdk.builders import heatmap, stat, table, timeseries
from grafana_foundation_sdk.builders.dashboard import Dashboard, Row
from grafana_foundation_sdk.models.dashboard import DataTransformerConfig

from grafana.boards import wear
from grafana.boards.cells_critical import PACK_URL, critical
from grafana.kit import look
from grafana.kit.frame import dashboard, kept_variable, pack_variable, site_variable
from grafana.kit.levels import CELLS, READINGS, last_and_median, of_packs, over_time
from grafana.kit.panels import (
    CELLS_URL,
    HIDDEN,
    WRAPPED,
    Face,
    colour,
    coloured,
    columns,
    difference,
    grid,
    heat,
    joined,
    lines,
    link,
    ordered,
    shades,
    tiles,
    transform,
)
from grafana.kit.queries import ON_SITE, influx, influx_table, prom_now, prom_table

CHOSEN = "\"site\" = '$site'"
PACK = '"pack" =~ /^$pack$/'
NO_CELLS = (
    "No single cells: this battery gives only its lowest and highest cell, or the site gave "
    "nothing in this time range"
)
NO_TEMPERATURES = "This battery gives no temperature of single cells"
FURTHEST = 12


def build() -> Dashboard:
    """The dashboard."""
    made = dashboard("fleetscope-cells", "Which cells are out of balance, and since when.")
    made.with_variable(site_variable()).with_variable(pack_variable())
    made.with_variable(kept_variable())
    made.with_variable(READINGS.variable()).with_variable(CELLS.variable())
    made.with_panel(_now()).with_panel(_named())
    made.with_panel(critical())
    made.with_panel(_spread()).with_panel(_fleet())
    made.with_panel(_band()).with_panel(_furthest())
    made.with_row(Row("Packs compared"))
    made.with_panel(wear.packs()).with_panel(wear.spread()).with_panel(wear.hottest())
    made.with_panel(_packs_high()).with_panel(_packs_low())
    made.with_row(Row("Cells of each pack over time"))
    made.with_panel(_voltages())
    made.with_row(Row("Temperatures"))
    return made.with_panel(_warmest()).with_panel(_temperatures())


def _now() -> stat.Panel:
    face = Face(
        title="Spread",
        description="Highest minus lowest cell voltage of each pack of the site. Orange from "
        f"{look.LIMITS.cell_spread_warning:.2f} V, red from {look.LIMITS.cell_spread_critical:.2f} "
        "V, the fleet's default limits.",
        size=(5, 5),
        unit=look.UNITS["V"],
        empty="No battery of this site gives cell voltages",
        low=0,
        decimals=3,
        thresholds=look.spread_limits("text"),
        colour=look.by_threshold(),
        targets=[
            prom_now('max by (pack) (fleetscope_cell_spread_volts{site="$site"})', "{{pack}}")
        ],
    )
    return tiles(face)


def _named() -> table.Panel:
    fields = '"cell_min_id", "cell_min_v", "cell_max_id", "cell_max_v", "cell_spread_v"'
    where = f'{CHOSEN} AND ("cell_min_v" > 0 OR "cell_max_v" > 0)'
    query = (
        f'SELECT {fields} FROM "raw"."battery" WHERE {where} AND $timeFilter GROUP BY "device" '
        "ORDER BY time DESC LIMIT 1"
    )
    volts = {"unit": look.UNITS["V"], "decimals": 3, "custom.width": 66, "noValue": "–"}
    face = Face(
        title="Lowest and highest cell",
        description="The two extreme cells as the battery itself names them, with the age of the "
        "reading. A dash is a name or voltage that the battery did not give.",
        size=(19, 5),
        unit=look.NUMBER,
        empty="No battery of this site gives cell voltages",
        targets=[influx_table(query)],
        transformations=[
            columns(
                {
                    "device": "Pack",
                    "cell_min_id": "Lowest",
                    "cell_min_v": "at",
                    "cell_max_id": "Highest",
                    "cell_max_v": "at ",
                    "cell_spread_v": "Spread",
                    "Time": "Age",
                }
            )
        ],
        overrides={
            "Pack": {**WRAPPED, **link("Open the pack", PACK_URL)},
            "Lowest": {"noValue": "–", "custom.width": 66},
            "Highest": {"noValue": "–", "custom.width": 66},
            "at": volts,
            "at ": volts,
            "Spread": volts | coloured(look.spread_limits("text")),
            "Age": {"unit": look.AGO, "custom.width": 138},
        },
    )
    return grid(face)


def _fleet() -> table.Panel:
    worst = "topk(15, fleetscope_cell_spread_volts)"
    query = (
        f"max by (site, name, pack) ({worst} * {ON_SITE} group_left (name) fleetscope_site_info)"
    )
    face = Face(
        title="Widest in the fleet",
        description="The packs of all sites whose cells are furthest apart. Click on one to see "
        "its cells.",
        size=(9, 9),
        unit=look.NUMBER,
        empty="No site gives cell voltages",
        targets=[prom_table(query)],
        transformations=[
            ordered("Value", descending=True),
            columns(
                {"name": "Site", "pack": "Pack", "Value": "Spread", "site": "site"}, drop=["Time"]
            ),
        ],
        overrides={
            "Site": {**WRAPPED, **link("Open its cells", CELLS_URL)},
            "Pack": WRAPPED,
            "Spread": {
                "unit": look.UNITS["V"],
                "decimals": 3,
                "custom.width": 70,
            }
            | coloured(look.spread_limits("text")),
            "site": HIDDEN,
        },
    )
    return grid(face)


def _spread() -> timeseries.Panel:
    face = Face(
        title="Spread of each pack",
        description="Highest minus lowest cell voltage, the widest of each interval. Dashed: the "
        "fleet's default limits for a warning and for critical.",
        size=(15, 9),
        unit=look.UNITS["V"],
        empty="No battery of this site gives cell voltages in this time range",
        low=0,
        decimals=3,
        interval=READINGS.interval,
        thresholds=look.spread_limits(),
        colour=look.by_pack(),
        targets=[influx(_each_pack("max", "cell_spread_v"), "$tag_device")],
    )
    return lines(face, limit_lines=True, soft=(0, look.LIMITS.cell_spread_critical + 0.02))


def _furthest_from_median(face: Face, *, unit: str, decimals: int) -> table.Panel:
    """A table of the cells furthest from the median of their pack, by name."""
    volts = unit == look.UNITS["V"]
    most = look.CELL_VOLTS_OFF if volts else look.CELL_CELSIUS_OFF
    name, kept = ("voltage_v", "mean") if volts else ("temperature_c", "max")
    queries = last_and_median(name, kept, f"{CHOSEN} AND {PACK}")
    shown = {"pack": "Pack", "cell": "Cell", "value": "Value", "off": "Off by"}
    number = {"unit": unit, "decimals": decimals, "custom.width": 74}
    complete = replace(
        face,
        targets=[influx_table(query, ref) for query, ref in zip(queries, "AB", strict=True)],
        transformations=[
            joined("pack", mode="inner"),
            difference("value", "median", "off"),
            transform(
                "calculateField",
                mode="unary",
                alias="distance",
                replaceFields=False,
                unary={"operator": "abs", "fieldName": "off"},
            ),
            ordered("distance", descending=True),
            transform("limit", limitField=FURTHEST),
            columns(shown, drop=["Time", "Time 1", "Time 2", "Time cell", "median", "distance"]),
        ],
        overrides={
            "Pack": WRAPPED,
            "Cell": {"custom.width": 56},
            "Value": number,
            "Off by": number | coloured(look.deviation_limits(most)),
        },
    )
    return grid(complete)


def _furthest() -> table.Panel:
    face = Face(
        title="Cells furthest from the median",
        description=f"The {FURTHEST} cells whose latest voltage is furthest from the median of "
        "their pack, by name. Below the median under load and above it when charging points at a "
        "weak cell; always on one side points at balancing.",
        size=(9, 12),
        unit=look.NUMBER,
        empty=NO_CELLS,
        targets=[],
    )
    return _furthest_from_median(face, unit=look.UNITS["V"], decimals=3)


def _rows(how: str, name: str) -> str:
    where = f"{CHOSEN} AND {PACK}"
    return over_time(how, name, how, "cell", where=where, by='"pack", "cell"', detail=CELLS)


def _by_name() -> list[DataTransformerConfig]:
    order = [{"type": "name", "desc": False}]
    return [
        transform("joinByField", byField="Time", mode="outer"),
        transform("organize", orderByMode="auto", orderBy=order),
    ]


def _voltages() -> heatmap.Panel:
    face = Face(
        title="Voltage of every cell: $pack",
        description="One row for each cell of a pack, coloured as the scale below says. A cell "
        "that stands out against its neighbours at all times is out of balance. Blank is a time "
        "without a reading. What is shown of each interval is chosen above: a spike shows as "
        "the lowest or highest whatever the range.",
        size=(12, 12),
        unit=look.UNITS["V"],
        empty=NO_CELLS,
        interval=CELLS.interval,
        decimals=3,
        targets=[influx(_rows("$kept", "voltage_v"), "$tag_cell")],
        transformations=_by_name(),
    )
    return heat(face, decimals=3).repeat("pack").repeat_direction("h").max_per_row(2)


def _band() -> timeseries.Panel:
    where = f"{CHOSEN} AND {PACK}"
    targets = [
        influx(of_packs("max", "voltage_v", where), "Highest $tag_pack", "A"),
        influx(of_packs("median", "voltage_v", where), "Median $tag_pack", "B"),
        influx(of_packs("min", "voltage_v", where), "Lowest $tag_pack", "C"),
    ]
    face = Face(
        title="Highest, median and lowest cell",
        description="Where the cells of each pack lie. A lowest cell far below the median is one "
        "weak cell; a highest far above it is one that fills before the others.",
        size=(15, 12),
        unit=look.UNITS["V"],
        empty=NO_CELLS,
        decimals=3,
        interval=CELLS.interval,
        targets=targets,
        overrides={
            "/^Highest/": colour(look.FLOWS["Load"]),
            "/^Median/": colour("text"),
            "/^Lowest/": colour(look.ACCENT),
        },
    )
    return lines(face)


def _temperatures() -> heatmap.Panel:
    face = Face(
        title="Temperature of every cell: $pack",
        description="One row for each cell of a pack that gives a temperature, the highest of each "
        "interval, coloured as the scale below says. Blank is a time without a reading.",
        size=(12, 11),
        unit=look.UNITS["°C"],
        empty=NO_TEMPERATURES,
        interval=CELLS.interval,
        decimals=1,
        targets=[influx(_rows("max", "temperature_c"), "$tag_cell")],
        transformations=_by_name(),
    )
    return heat(face, decimals=1).repeat("pack").repeat_direction("h").max_per_row(2)


def _warmest() -> table.Panel:
    face = Face(
        title="Temperatures furthest from the median",
        description=f"The {FURTHEST} cells whose latest temperature is furthest from the median "
        "of their pack, by name.",
        size=(24, 9),
        unit=look.NUMBER,
        empty=NO_TEMPERATURES,
        targets=[],
    )
    return _furthest_from_median(face, unit=look.UNITS["°C"], decimals=1)


def _each_pack(how: str, name: str) -> str:
    return over_time(how, name, how, "battery", by='"device"')


def _packs_high() -> timeseries.Panel:
    face = Face(
        title="Lowest and highest cell of each pack",
        description="As each battery of the site reports them; packs that share a load should "
        "move together.",
        size=(12, 8),
        unit=look.UNITS["V"],
        empty="No battery of this site gives cell voltages in this time range",
        decimals=3,
        interval=READINGS.interval,
        overrides={"/^H/": shades(look.FLOWS["Load"]), "/^[LC]/": shades(look.ACCENT)},
        targets=[
            influx(_each_pack("max", "cell_max_v"), "High $tag_device", "A"),
            influx(_each_pack("min", "cell_min_v"), "Low $tag_device", "B"),
        ],
    )
    return lines(face)


def _packs_low() -> timeseries.Panel:
    face = Face(
        title="Coldest and hottest cell of each pack",
        description="As each battery of the site reports them, with the limit for a warning.",
        size=(12, 8),
        unit=look.UNITS["°C"],
        empty="No battery of this site gives cell temperatures in this time range",
        interval=READINGS.interval,
        thresholds=look.temperature_limits(),
        overrides={"/^H/": shades(look.FLOWS["Load"]), "/^[LC]/": shades(look.ACCENT)},
        targets=[
            influx(_each_pack("max", "cell_max_temperature_c"), "Hottest $tag_device", "A"),
            influx(_each_pack("min", "cell_min_temperature_c"), "Coldest $tag_device", "B"),
        ],
    )
    return lines(face, limit_lines=True, soft=(10, look.LIMITS.temperature_max + 2))
