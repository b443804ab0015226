"""Pack: one pack cell by cell in its physical order, now and over time, and what it has cycled."""

# ruff: noqa: S608  (templates that Grafana fills in; no SQL is run here)

from __future__ import annotations

from grafana_foundation_sdk.builders import barchart, heatmap, stat, timeseries
from grafana_foundation_sdk.builders.dashboard import Dashboard, Row
from grafana_foundation_sdk.models.dashboard import DataTransformerConfig

from grafana.boards import wear
from grafana.kit import look
from grafana.kit.frame import batteries_variable, dashboard, kept_variable, site_variable
from grafana.kit.levels import CELLS, READINGS, either, field, grown, last_and_median, over_time
from grafana.kit.panels import (
    Face,
    bars_in_order,
    colour,
    columns,
    difference,
    heat,
    joined,
    lines,
    ordered,
    tiles,
    transform,
)
from grafana.kit.queries import influx, influx_table

CHOSEN = "\"site\" = '$site' AND \"pack\" = '$pack'"
BATTERY = "\"site\" = '$site' AND \"device\" = '$pack'"
NO_CELLS = "This battery gives no single cells, or nothing was stored in this time range"
NO_TEMPERATURES = "This battery gives no temperature of single cells"
NO_COUNTERS = "The battery has no energy counters, or they did not move in this time range"
RATIO = "Out over in"
SILENT = "Nothing stored for this battery in this time range"


def build() -> Dashboard:
    """The dashboard."""
    made = dashboard("fleetscope-pack", "One pack: every cell in its place, and what it cycled.")
    made.with_variable(site_variable()).with_variable(batteries_variable())
    made.with_variable(kept_variable()).with_variable(CELLS.variable())
    made.with_variable(READINGS.variable())
    made.with_panel(_voltages_now()).with_panel(_temperatures_now())
    made.with_row(Row("Cells over time"))
    made.with_panel(_deviation()).with_panel(_voltages())
    made.with_row(Row("State of health"))
    for panel in wear.health():
        made.with_panel(panel)
    made.with_panel(wear.health_over_time())
    made.with_row(Row("Cycles and efficiency"))
    for panel in _counted():
        made.with_panel(panel)
    made.with_panel(_energy()).with_panel(_depth())
    return made.with_panel(wear.depths()).with_panel(wear.heat())


def _in_order(face: Face, name: str, kept: str) -> barchart.Panel:
    """One bar for each cell in physical order: its latest value less the median of the pack."""
    cells, median = last_and_median(name, kept, CHOSEN)
    return bars_in_order(
        face,
        [influx_table(cells, "A"), influx_table(median, "B")],
        [
            joined("pack", mode="inner"),
            difference("value", "median", "Off the median"),
            transform(
                "convertFieldType",
                conversions=[{"targetField": "cell", "destinationType": "number"}],
                fields={},
            ),
            ordered("cell"),
            columns(
                {"cell": "Cell", "Off the median": "Off the median"},
                drop=["pack", "value", "median", "Time", "Time 1", "Time 2"],
            ),
        ],
        over="Cell",
    )


def _voltages_now() -> barchart.Panel:
    return _in_order(
        Face(
            title="Voltage of each cell against the pack's median",
            description="Cells from first to last as they stand in the pack, at the end of the "
            f"time range. Purple from {look.CELL_VOLTS_OFF:.2f} V off, half of the spread that "
            "warns: a weak cell stands alone on one side.",
            size=(24, 8),
            unit=look.UNITS["V"],
            empty=NO_CELLS,
            decimals=3,
            thresholds=look.deviation_limits(look.CELL_VOLTS_OFF, fine=look.ACCENT),
            colour=look.by_threshold(),
            targets=[],
        ),
        "voltage_v",
        "mean",
    )


def _temperatures_now() -> barchart.Panel:
    return _in_order(
        Face(
            title="Temperature of each cell against the pack's median",
            description="Cells from first to last, at the end of the time range. Purple from "
            f"{look.CELL_CELSIUS_OFF:g} °C off: neighbours that warm together point at heat from "
            "outside, one alone at the cell or its connection.",
            size=(24, 7),
            unit=look.UNITS["°C"],
            empty=NO_TEMPERATURES,
            decimals=1,
            thresholds=look.deviation_limits(look.CELL_CELSIUS_OFF, fine=look.ACCENT),
            colour=look.by_threshold(),
            targets=[],
        ),
        "temperature_c",
        "max",
    )


ROWS = over_time("$kept", "voltage_v", "$kept", "cell", where=CHOSEN, by='"cell"', detail=CELLS)
BY_NUMBER = [
    transform("joinByField", byField="Time", mode="outer"),
    transform("organize", orderByMode="auto", orderBy=[{"type": "name", "desc": False}]),
]


# Grafana reckons a missing value as 0, which no cell that is read has: its share of the median is
# then 0, and the share less 1 is this. Of a difference in volts it could not be told.
MISSING = -0.999


def _all(operator: str, right: dict[str, object]) -> DataTransformerConfig:
    """Every column of numbers changed by the same."""
    left = {"matcher": {"id": "byType", "options": "number"}}
    binary = {"left": left, "operator": operator, "right": right}
    return transform("calculateField", mode="binary", replaceFields=True, binary=binary)


def _deviation() -> heatmap.Panel:
    face = Face(
        title="Deviation of every cell from the median of its moment",
        description="One row for each cell in physical order. Charging and discharging move all "
        "cells together and do not show here; a cell that drifts changes its colour against its "
        "neighbours: blue below the median, red above, full at "
        f"{look.CELL_SHARE_OFF:.1%}, which is {look.CELL_VOLTS_OFF:.2f} V of 3.3 V. Blank is a "
        "time without a reading. What is shown of each "
        "interval is chosen above: a spike shows as the lowest or highest whatever the range.",
        size=(24, 12),
        unit=look.RATIO,
        empty=NO_CELLS,
        interval=CELLS.interval,
        decimals=2,
        targets=[influx(ROWS, "$tag_cell")],
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
    return heat(face, decimals=2, either_side=look.CELL_SHARE_OFF, above=MISSING)


def _voltages() -> heatmap.Panel:
    face = Face(
        title="Voltage of every cell in physical order",
        description="One row for each cell, coloured as the scale below says: the pack as it was "
        "charged and discharged. Blank is a time without a reading.",
        size=(24, 11),
        unit=look.UNITS["V"],
        empty=NO_CELLS,
        interval=CELLS.interval,
        decimals=3,
        targets=[influx(ROWS, "$tag_cell")],
        transformations=BY_NUMBER,
    )
    return heat(face, decimals=3)


def _battery(fields: dict[str, tuple[str, str]], by: str = "") -> str:
    return either(fields, "battery", where=BATTERY, by=by, detail=CELLS)


def _counted() -> list[stat.Panel]:
    def one(title: str, description: str, query: str, unit: str, decimals: int) -> stat.Panel:
        return tiles(
            Face(
                title=title,
                description=description,
                size=(6, 3),
                unit=unit,
                empty="Not known",
                decimals=decimals,
                colour=look.fixed("text"),
                targets=[influx(query, title)],
            )
        )

    charged = _battery({"in": grown("charged_kwh")})
    both = _battery({"out": grown("discharged_kwh"), "in": grown("charged_kwh")})
    charge = _battery({"soc": ('"soc_percent"', '"soc_percent_mean"')})
    return [
        one(
            "Charge cycles",
            "Cycles of its whole life that the battery has counted.",
            f"SELECT last({field('cycles', 'last')}) FROM {CELLS.of('battery')} WHERE {BATTERY} "
            "AND $timeFilter",
            look.NUMBER,
            0,
        ),
        one(
            "Charged",
            "What its energy counter rose by in the time range.",
            f'SELECT sum("in") FROM {charged} WHERE $timeFilter',
            look.UNITS["kWh"],
            1,
        ),
        one(
            RATIO,
            "Energy out over energy in within the time range. It is the round-trip efficiency only "
            "where the charge was the same at both ends: see the tile beside it.",
            f'SELECT 100 * "out" / "in" FROM {both} WHERE "in" > 0 AND $timeFilter',
            look.UNITS["%"],
            1,
        ),
        one(
            "Charge gained",
            "State of charge at the end of the time range less that at its beginning, in points. "
            "Near 0 the tile beside it is the round-trip efficiency.",
            f'SELECT last("soc") - first("soc") FROM {charge} WHERE $timeFilter',
            look.NUMBER,
            1,
        ),
    ]


def _energy() -> timeseries.Panel:
    targets = [
        influx(
            f'SELECT sum("grown") FROM {_battery({"grown": grown(counter)}, "time($__interval)")} '
            "WHERE $timeFilter GROUP BY time($__interval) fill(none)",
            name,
            ref,
        )
        for ref, name, counter in (
            ("A", "Charged", "charged_kwh"),
            ("B", "Discharged", "discharged_kwh"),
        )
    ]
    face = Face(
        title="Charged and discharged",
        description="What the energy counters rose by in each hour, or in longer steps over a "
        "longer range.",
        size=(12, 8),
        unit=look.UNITS["kWh"],
        empty=NO_COUNTERS,
        low=0,
        decimals=2,
        interval="1h",
        targets=targets,
        overrides={"Charged": colour("#22b8b0"), "Discharged": colour(look.FLOWS["Load"])},
    )
    return lines(face, bars=True, fill=80)


def _depth() -> timeseries.Panel:
    targets = [
        influx(
            over_time(how, "soc_percent", how, "battery", where=BATTERY, detail=CELLS), name, ref
        )
        for ref, name, how in (("A", "Highest", "max"), ("B", "Lowest", "min"))
    ]
    face = Face(
        title="How deep it is cycled",
        description="Highest and lowest state of charge of each interval. The distance is the "
        "depth of the cycles.",
        size=(12, 8),
        unit=look.UNITS["%"],
        empty=SILENT,
        low=0,
        high=100,
        interval=CELLS.interval,
        targets=targets,
        overrides={
            "Highest": colour(look.FLOWS["Battery charge"]),
            "Lowest": colour(look.FLOWS["Battery charge"]) | {"custom.fillBelowTo": "Highest"},
        },
    )
    return lines(face)
