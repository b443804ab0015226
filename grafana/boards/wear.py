"""Wear of packs: state of health in three ways, use, and how deep and how warm they are cycled."""

# ruff: noqa: S608  (templates that Grafana fills in; no SQL is run here)

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from grafana_foundation_sdk.builders import barchart, stat, table, timeseries

from exporter.history.cells.wear import DEPTHS, HEAT, MEASUREMENT
from exporter.model.cell_findings import FORMULA
from grafana.kit import look
from grafana.kit.levels import CELLS, READINGS, SITE, Detail, either, field, of_packs, over_time
from grafana.kit.panels import (
    WRAPPED,
    Face,
    bars_in_order,
    colour,
    columns,
    grid,
    joined,
    lines,
    link,
    ordered,
    shades,
    tiles,
    transform,
)
from grafana.kit.queries import influx, influx_table

ONE = f"{SITE} AND \"pack\" = '$pack'"
SEVERAL = f'{SITE} AND "pack" =~ /^$pack$/'
# A round of the analysis leaves a row; it takes an hour, or longer on a busy machine.
AT_THE_END = "time > ${__to}ms - 2d AND time <= ${__to}ms"
NOT_ANALYSED = "Not analysed at that time: the exporter does so hourly for sites of its fleet file"
PACK_URL = "/d/fleetscope-pack/?${__url_time_range}&var-site=${site}&var-pack=${__data.fields.Pack}"
REPORTED, MEASURED, ESTIMATED = "Reported", "Measured", "Estimated"


def _last(names: Mapping[str, str], where: str, by: str = "", detail: Detail = READINGS) -> str:
    """InfluxQL: the newest of these fields at the end of the range, under other names."""
    group = f" GROUP BY {by}" if by else ""
    sources = []
    for suffix in ("", "_max"):
        chosen = ", ".join(f'last("{name}{suffix}") AS "{shown}"' for name, shown in names.items())
        sources.append(
            f"(SELECT {chosen} FROM {detail.of(MEASUREMENT)} WHERE {where} AND {AT_THE_END}{group})"
        )
    outer = ", ".join(f'last("{shown}") AS "{shown}"' for shown in names.values())
    return f"SELECT {outer} FROM {', '.join(sources)} WHERE {AT_THE_END}{group}"


def packs() -> table.Panel:
    """The packs of the site, one by one: spread, state of health in three ways, use."""
    cells = either(
        {"last": ('last("voltage_v")', 'last("voltage_v_mean")')},
        "cell",
        where=SEVERAL,
        by='"pack", "cell"',
        detail=CELLS,
    )
    counted = (
        f'SELECT count("last") AS "cells", spread("last") AS "now" FROM {cells} '
        'WHERE $timeFilter GROUP BY "pack"'
    )
    names = {
        "spread_rest_v": "rest",
        "soh_reported_percent": "reported",
        "soh_measured_percent": "measured",
        "soh_measured_uncertainty_percent": "doubt",
        "soh_estimate_percent": "estimated",
        "full_cycles": "cycles",
        "efficiency_percent": "efficiency",
        "efficiency_uncertainty_percent": "unsure",
    }
    dash = {"noValue": "–", "mappings": [look.missing_as("–")], "custom.width": 92}
    volts = dash | {"unit": look.UNITS["V"], "decimals": 3}
    percent = dash | {"unit": look.UNITS["%"], "decimals": 1}
    face = Face(
        title="Packs side by side",
        description="Each pack with single cells: how many there are, how far apart they stand now "
        "and at rest; its state of health as the battery reports it, as it was measured by "
        "counting charge between rests (with its standard uncertainty), and as age and use let one "
        "estimate it; full cycles and round-trip efficiency in up to 91 days. A dash is what the "
        "history does not carry. Click on a pack to see its cells.",
        size=(24, 8),
        unit=look.NUMBER,
        empty="No single cells are stored for this site in this time range",
        targets=[influx_table(counted, "A"), influx_table(_last(names, SEVERAL, '"pack"'), "B")],
        transformations=[
            joined("pack"),
            ordered("pack"),
            columns(
                {
                    "pack": "Pack",
                    "cells": "Cells",
                    "now": "Apart now",
                    "rest": "Apart at rest",
                    "reported": "SOH reported",
                    "measured": "SOH measured",
                    "doubt": "±",
                    "estimated": "SOH estimated",
                    "cycles": "Full cycles",
                    "efficiency": "Round trip",
                    "unsure": "± ",
                },
                drop=["Time", "Time 1", "Time 2"],
            ),
        ],
        overrides={
            "Pack": {**WRAPPED, **link("Open the pack", PACK_URL)},
            "Cells": dash | {"custom.width": 64, "decimals": 0},
            "Apart now": volts,
            "Apart at rest": volts,
            "SOH reported": percent,
            "SOH measured": percent,
            "±": percent | {"custom.width": 70},
            "SOH estimated": percent,
            "Full cycles": dash | {"decimals": 1},
            "Round trip": percent,
            "± ": percent | {"custom.width": 70},
        },
    )
    return grid(face)


def _each_moment(how: str) -> str:
    """InfluxQL: of each pack the spread of its single cells at one moment."""
    rolled = f'"spread_v_{how}"'
    return (
        f'SELECT {how}("apart") FROM (SELECT spread("voltage_v") AS "apart" FROM '
        f'{CELLS.of("cell")} WHERE {SEVERAL} AND $timeFilter GROUP BY time(1m), "pack"), '
        f'(SELECT {rolled} AS "apart" FROM {CELLS.of("pack")} WHERE {SEVERAL} AND $timeFilter '
        'GROUP BY "pack") WHERE $timeFilter GROUP BY time($__interval), "pack" fill(null)'
    )


def spread() -> timeseries.Panel:
    """Out of single cells, for batteries that do not report it themselves."""
    face = Face(
        title="Spread of single cells",
        description="Highest minus lowest of the single cells of each pack at the same moment, the "
        "widest of each interval; of recorded files too, where no battery reported it. Dashed: "
        "the fleet's default limits, which are for half charge: near full and near empty a wide "
        "spread is normal.",
        size=(12, 8),
        unit=look.UNITS["V"],
        empty="No single cells are stored for this site in this time range",
        low=0,
        decimals=3,
        interval=CELLS.interval,
        thresholds=look.spread_limits(),
        colour=look.by_pack(),
        targets=[influx(_each_moment("max"), "$tag_pack")],
    )
    return lines(face, limit_lines=True, soft=(0, look.LIMITS.cell_spread_critical + 0.02))


def hottest() -> timeseries.Panel:
    """Out of single cells as well."""
    targets = [
        influx(of_packs("max", "temperature_c", SEVERAL), "Hottest $tag_pack", "A"),
        influx(of_packs("min", "temperature_c", SEVERAL), "Coldest $tag_pack", "B"),
    ]
    face = Face(
        title="Coldest and hottest single cell",
        description="Of each pack, the extremes of each interval; of recorded files too.",
        size=(12, 8),
        unit=look.UNITS["°C"],
        empty="This site gives no temperature of single cells in this time range",
        interval=CELLS.interval,
        thresholds=look.temperature_limits(),
        overrides={"/^H/": shades(look.FLOWS["Load"]), "/^C/": shades(look.ACCENT)},
        targets=targets,
    )
    return lines(face, limit_lines=True, soft=(10, look.LIMITS.temperature_max + 2))


# What the battery says is there before anything was analysed.
_OF_BATTERY = f"{READINGS.of('battery')} WHERE {SITE} AND \"device\" = '$pack' AND $timeFilter"


def health() -> list[stat.Panel]:
    """State of health of one pack: as reported with its class, measured, estimated."""

    def one(title: str, description: str, names: Mapping[str, str], wide: int) -> Face:
        return Face(
            title=title,
            description=description,
            size=(wide, 4),
            unit=look.UNITS["%"],
            empty="Not known",
            decimals=1,
            colour=look.fixed("text"),
            targets=[
                influx(_last({name: shown}, ONE), shown, ref)
                for ref, (name, shown) in zip("ABCD", names.items(), strict=False)
            ],
        )

    reported = one(
        "State of health reported",
        "As the battery reports it, at the end of the time range, with its class: from 99 % "
        "excellent, 98 optimal, 95 nominal, 90 degraded, 85 compromised, 80 critical, below that "
        "end of life.",
        {},
        8,
    )
    latest = f"SELECT last({field('soh_percent', 'mean')}) FROM {_OF_BATTERY}"
    reported = replace(
        reported,
        targets=[influx(latest, REPORTED, "A"), influx(latest, "Class", "B")],
        overrides={"Class": {"mappings": [*look.soh_classes()]}},
    )
    measured = one(
        "Measured",
        "Charge counted between two rests at which the voltage tells the state of charge, over the "
        "nominal capacity, with its standard uncertainty. Only where current and rests allow it.",
        {"soh_measured_percent": MEASURED, "soh_measured_uncertainty_percent": "±"},
        6,
    )
    estimated = one(
        "Estimated, not measured",
        f"By age and use: {FORMULA}. It needs commissioned in the fleet file; beside it what it "
        "takes off for age, cycles and imbalance.",
        {
            "soh_estimate_percent": ESTIMATED,
            "soh_estimate_calendar_percent": "Age",
            "soh_estimate_cycles_percent": "Cycles",
            "soh_estimate_imbalance_percent": "Imbalance",
        },
        10,
    )
    return [tiles(face, columns=True, value=26) for face in (reported, measured, estimated)]


def health_over_time() -> timeseries.Panel:
    """The three beside each other, over the time range."""
    targets = [
        influx(
            over_time("mean", name, "mean", MEASUREMENT, where=ONE, detail=READINGS).replace(
                "fill(null)", "fill(none)"
            ),
            shown,
            ref,
        )
        for ref, name, shown in (
            ("A", "soh_measured_percent", MEASURED),
            ("B", "soh_estimate_percent", ESTIMATED),
        )
    ]
    reported = (
        f"SELECT last({field('soh_percent', 'mean')}) FROM {_OF_BATTERY} "
        "GROUP BY time($__interval) fill(none)"
    )
    face = Face(
        title="State of health over time",
        description="As the battery reports it, as measured between rests, and as estimated by age "
        "and use, which measures nothing. The last two are renewed hourly.",
        size=(24, 7),
        unit=look.UNITS["%"],
        empty="The battery reports none, and it was not analysed in this time range",
        low=0,
        high=100,
        decimals=1,
        targets=[*targets, influx(reported, REPORTED, "C")],
        overrides={
            REPORTED: colour(look.ACCENT),
            MEASURED: colour(look.FLOWS["Battery charge"]),
            ESTIMATED: colour(look.SECOND)
            | {"custom.lineStyle": {"fill": "dash", "dash": [10, 10]}},
        },
    )
    return lines(face)


def _histogram(face: Face, names: Mapping[str, str], over: str) -> barchart.Panel:
    """One bar for each range, in their order."""
    return bars_in_order(
        face,
        [influx_table(_last(names, ONE))],
        [
            transform("reduce", reducers=["lastNotNull"], mode="seriesToRows"),
            columns({"Field": over, "Last *": face.title}),
        ],
        over=over,
        longest=20,
    )


def depths() -> barchart.Panel:
    """Cycles by their depth."""
    face = Face(
        title="Cycles by depth",
        description="How many cycles of which depth the state of charge went through in up to 91 "
        "days, by rainflow counting (ASTM E1049): a small cycle within a large one counts by "
        "itself, one that is not closed counts half.",
        size=(12, 8),
        unit=look.NUMBER,
        empty=NOT_ANALYSED,
        low=0,
        decimals=1,
        colour=look.fixed(look.FLOWS["Battery charge"]),
        targets=[],
    )
    return _histogram(face, DEPTHS, "Depth")


def heat() -> barchart.Panel:
    """Hours of cells by their temperature."""
    face = Face(
        title="Hours by temperature in °C",
        description="For how many hours the cells of the pack were how warm, all cells together, "
        "in up to 91 days; each bar from the temperature below it to the next. Warmth ages them: "
        "above 35 °C it counts.",
        size=(12, 8),
        unit=look.UNITS["h"],
        empty=NOT_ANALYSED,
        low=0,
        decimals=0,
        colour=look.fixed(look.FLOWS["Load"]),
        targets=[],
    )
    # Where each range begins: whole ranges would run into each other.
    short = {name: text.replace("below ", "<").split(" ")[0] for name, text in HEAT.items()}
    return _histogram(face, short, "Temperature")
