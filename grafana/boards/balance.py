"""Battery · Balance: which cells are out of balance, in which pack, and since when."""

# ruff: noqa: S608  (templates that Grafana fills in; no SQL is run here)

from __future__ import annotations

from dataclasses import replace

from grafana_foundation_sdk.builders import heatmap, table, timeseries
from grafana_foundation_sdk.builders.dashboard import Dashboard

from exporter.model.cell_findings import FORECAST_MV
from exporter.store.line_protocol import SEVERITY_LEVELS
from grafana.boards.cell_panels import (
    NO_CELLS,
    NO_TEMPERATURES,
    deviation,
    furthest,
    temperatures,
    views,
)
from grafana.boards.shared import WORST_SITE, days_column
from grafana.kit import look
from grafana.kit.dashboard import (
    cell_site_variable,
    collapsed,
    dashboard,
    kept_variable,
    pack_variable,
    page_variable,
)
from grafana.kit.levels import (
    CELLS,
    READINGS,
    SITE,
    cadence_variable,
    either,
    of_packs,
    over_time,
)
from grafana.kit.panels import Spec, colour, lines, shades
from grafana.kit.queries import ON_SITE, influx, influx_table, never_empty, or_missing, prom_table
from grafana.kit.tables import (
    CELLS_URL,
    DASH,
    NO_PACK,
    PACK_OF_SITE_URL,
    PACK_URL,
    WRAPPED,
    Column,
    highest,
    listing,
    one_row_each,
    ordered,
    pack_column,
    severity_column,
    site_column,
    spread_column,
    transform,
)
from grafana.kit.wear_fields import sources

ONE = '{site="$site"}'
CHOSEN = f'{SITE} AND "pack" =~ /^$pack$/'
ON_CELL = "on (job, instance, site, pack, cell)"
BY = "max by (pack, cell, reason, severity)"
NO_VOLTAGES = "No battery of this site gives cell voltages"
REASONS = {
    "imbalance_rest": "Out of balance at rest",
    "imbalance_load": "Out of balance under load",
    "deviation": "Off its pack at rest",
    "temperature": "Warmer than its pack",
    "trend": "Drifts",
    "sudden_change": "Changed suddenly",
    "resistance": "High resistance",
    "sensor_stuck": "Reading is stuck",
    "sensor_noisy": "Reading jumps",
    "sensor_silent": "No reading",
    "none": "Nothing in its history",
}


def build() -> Dashboard:
    """The dashboard."""
    variables = [
        cell_site_variable(),
        pack_variable(),
        kept_variable(),
        page_variable(),
        READINGS.variable(),
        cadence_variable(),
        CELLS.variable(),
    ]
    made = dashboard("fleetscope-cells", variables)
    made.with_panel(views())
    made.with_panel(_critical())
    made.with_panel(_furthest()).with_panel(_warmest())
    made.with_panel(_packs()).with_panel(_named())
    made.with_panel(_deviation())
    made.with_panel(_spread()).with_panel(_fleet())
    collapsed(made, "Temperature of every cell", [_temperatures(), _packs_temperature()])
    collapsed(made, "Single cells, of recorded files too", [_spread_of_cells(), _band()])
    return made


def _critical() -> table.Panel:
    """The worst cells of the site: a row for each reason."""
    finding = f"fleetscope_cell_finding{ONE}"
    severity = " or ".join(
        f'{BY} ({level:g} * fleetscope_cell_finding{{site="$site",severity="{name}"}})'
        for name, level in sorted(SEVERITY_LEVELS.items(), key=lambda item: -item[1])
    )

    nothing = {"reason": "none", "pack": NO_PACK, "cell": DASH, "severity": "none"}
    some_pack = f"max by (pack) (fleetscope_cell_spread_volts{ONE})"

    def of_cell(metric: str) -> str:
        """A figure of the cell in every row of it."""
        known = f"{BY} ({finding} * {ON_CELL} group_left () {metric})"
        return never_empty(or_missing(known, f"{BY} ({finding})"), nothing, some_pack)

    ahead = dict(zip("CDE", FORECAST_MV, strict=True))
    spec = Spec(
        title="Critical cells",
        description="The worst cells of the site, by their history of up to 91 days: what is said "
        "of each, how far it is from its pack's median at rest, and in how many days it will be "
        "30, 60 and 100 mV off if its trend goes on. A dash is a cell without such a trend. For "
        "its site even a critical cell is a warning, since it took weeks to come. "
        "Renewed hourly; click on a pack to see its cells.",
        size=(24, 5),
        unit=look.NUMBER,
        empty="Prometheus gives no answer",
        targets=[
            prom_table(never_empty(f"({severity})", nothing, some_pack), "A"),
            prom_table(of_cell(f"fleetscope_cell_deviation_volts{ONE}"), "B"),
            *(
                prom_table(
                    of_cell(
                        f'fleetscope_cell_forecast_seconds{{site="$site",millivolts="{mv}"}} '
                        "/ 86400"
                    ),
                    ref,
                )
                for ref, mv in ahead.items()
            ),
        ],
        transformations=[
            transform("merge"),
            transform(
                "sortBy",
                fields={},
                sort=[{"field": "Value #A", "desc": True}, {"field": "cell", "desc": False}],
            ),
        ],
    )
    return listing(
        spec,
        [
            severity_column("Value #A", PACK_URL, [look.as_text({"0": "–"}, look.FINE)]),
            Column("cell", "Cell", 48),
            # Before its pack, so that a phone shows it.
            Column(
                "reason",
                "What is said of it",
                url=PACK_URL,
                mappings=[look.as_text(REASONS)],
                more={"custom.minWidth": 190, **WRAPPED},
            ),
            replace(pack_column(), width=150),
            Column("Value #B", "Off its pack", 96, look.UNITS["V"], 3),
            *(days_column(f"Value #{ref}", f"{mv} mV in", PACK_URL) for ref, mv in ahead.items()),
        ],
        drop=["Time", "severity"],
    )


def _packs() -> table.Panel:
    """The packs of the site, one by one: spread, state of health in three ways, use."""
    cells = either(
        {"last": ('last("voltage_v")', 'last("voltage_v_mean")')},
        "cell",
        where=CHOSEN,
        by='"pack", "cell"',
        detail=CELLS,
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
    kept = ", ".join(f'last("{name}") AS "{name}"' for name in names.values())
    history = sources(names, CHOSEN, '"pack"', CELLS)
    # One query, so that a pack that was never analysed keeps the columns of its history.
    query = (
        f'SELECT count("last") AS "cells", spread("last") AS "now", {kept} FROM {cells}, '
        f'{history} GROUP BY "pack"'
    )
    spec = Spec(
        title="Packs compared",
        description="Each pack with single cells: how many there are, how far apart they stand now "
        "and at rest; its state of health as the battery reports it, as it was measured by "
        "counting charge between rests (with its standard uncertainty), and as age and use let one "
        "estimate it; full cycles and round-trip efficiency in up to 91 days. A dash is what the "
        "history does not carry. Click on a pack to see its cells.",
        size=(14, 6),
        unit=look.NUMBER,
        empty="No single cells are stored for this site in this time range",
        targets=[influx_table(query)],
        # Cells and history are rows of their own.
        transformations=[one_row_each("pack", ("cells", "now", *names.values())), ordered("pack")],
    )
    volts, percent = look.UNITS["V"], look.UNITS["%"]
    return listing(
        spec,
        [
            pack_column(),
            Column(highest("cells"), "Cells", 60, decimals=0),
            spread_column(highest("now"), volts, PACK_URL, "Apart now"),
            Column(highest("rest"), "Apart at rest", 84, volts, 3),
            Column(highest("reported"), "SOH reported", 88, percent, 1),
            Column(highest("measured"), "SOH measured", 88, percent, 1),
            Column(highest("doubt"), "±", 64, percent, 1),
            Column(highest("estimated"), "SOH estimated", 88, percent, 1),
            Column(highest("cycles"), "Full cycles", 76, decimals=1),
            Column(highest("efficiency"), "Round trip", 80, percent, 1),
            Column(highest("unsure"), "± ", 64, percent, 1),
        ],
    )


def _named() -> table.Panel:
    fields = '"cell_min_id", "cell_min_v", "cell_max_id", "cell_max_v", "cell_spread_v"'
    where = f'{SITE} AND ("cell_min_v" > 0 OR "cell_max_v" > 0)'
    query = (
        f'SELECT {fields} FROM "raw"."battery" WHERE {where} AND $timeFilter GROUP BY "device" '
        "ORDER BY time DESC LIMIT 1"
    )
    spec = Spec(
        title="Lowest and highest cell",
        description="The two extreme cells as the battery itself names them. A dash "
        "is a name or voltage that the battery did not give.",
        size=(10, 6),
        unit=look.NUMBER,
        empty=NO_VOLTAGES,
        targets=[influx_table(query)],
    )
    volts = look.UNITS["V"]
    return listing(
        spec,
        [
            pack_column(source="device"),
            Column("cell_min_id", "Lowest", 66),
            Column("cell_min_v", "at", 70, volts, 3),
            Column("cell_max_id", "Highest", 66),
            Column("cell_max_v", "at ", 70, volts, 3),
            spread_column("cell_spread_v", volts, PACK_URL),
        ],
        drop=["Time"],
    )


def _deviation() -> heatmap.Panel:
    panel = deviation("Deviation of every cell from its pack's median: $pack", CHOSEN, (24, 10))
    return panel.repeat("pack").repeat_direction("h").max_per_row(2)


def _fleet() -> table.Panel:
    worst = "topk(15, fleetscope_cell_spread_volts)"
    query = (
        f"max by (site, name, pack) ({worst} * {ON_SITE} group_left (name) fleetscope_site_info)"
    )
    nothing = {"name": "No site gives cell voltages", "site": "-", "pack": NO_PACK}
    spec = Spec(
        title="Widest in the fleet",
        description="The packs of all sites whose cells are furthest apart. Click on one to see "
        "its cells.",
        size=(9, 9),
        unit=look.NUMBER,
        empty="No site gives cell voltages",
        targets=[prom_table(never_empty(query, nothing, WORST_SITE))],
        transformations=[ordered("Value", descending=True)],
    )
    spread = spread_column("Value", look.UNITS["V"], PACK_OF_SITE_URL)
    return listing(
        spec, [*site_column(CELLS_URL), pack_column(PACK_OF_SITE_URL), spread], drop=["Time"]
    )


def _spread() -> timeseries.Panel:
    spec = Spec(
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
    return lines(spec, limit_lines=True, soft=(0, look.LIMITS.cell_spread_critical + 0.02))


def _furthest() -> table.Panel:
    spec = Spec(
        title="Voltages furthest from the median",
        description="The cells whose latest voltage is furthest from the median of their pack, by "
        "name. Below the median under load and above it when charging points at a weak cell; "
        "always on one side points at balancing.",
        size=(12, 7),
        unit=look.NUMBER,
        empty=NO_CELLS,
        targets=[],
    )
    worst = look.LIMITS.cell_spread_critical
    return furthest(spec, "voltage_v", look.UNITS["V"], 3, look.CELL_VOLTS_OFF, worst)


def _warmest() -> table.Panel:
    spec = Spec(
        title="Temperatures furthest from the median",
        description="The cells whose latest temperature is furthest from the median of their pack, "
        "by name.",
        size=(12, 7),
        unit=look.NUMBER,
        empty=NO_TEMPERATURES,
        targets=[],
    )
    return furthest(spec, "temperature_c", look.UNITS["°C"], 1, look.CELL_CELSIUS_OFF)


def _temperatures() -> heatmap.Panel:
    panel = temperatures("Temperature of every cell: $pack", CHOSEN, (24, 10))
    return panel.repeat("pack").repeat_direction("h").max_per_row(2)


def _each_pack(how: str, name: str) -> str:
    return over_time(how, name, how, "battery", by='"device"')


def _packs_temperature() -> timeseries.Panel:
    spec = Spec(
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
    return lines(spec, limit_lines=True, soft=(10, look.LIMITS.temperature_max + 2))


def _each_moment(how: str) -> str:
    """InfluxQL: of each pack the spread of its single cells at one moment."""
    rolled = f'"spread_v_{how}"'
    return (
        f'SELECT {how}("apart") FROM (SELECT spread("voltage_v") AS "apart" FROM '
        f'{CELLS.of("cell")} WHERE {CHOSEN} AND $timeFilter GROUP BY time(1m), "pack"), '
        f'(SELECT {rolled} AS "apart" FROM {CELLS.of("pack")} WHERE {CHOSEN} AND $timeFilter '
        'GROUP BY "pack") WHERE $timeFilter GROUP BY time($__interval), "pack" fill(null)'
    )


def _spread_of_cells() -> timeseries.Panel:
    """Out of single cells, for batteries that do not report it themselves."""
    spec = Spec(
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
    return lines(spec, limit_lines=True, soft=(0, look.LIMITS.cell_spread_critical + 0.02))


def _band() -> timeseries.Panel:
    targets = [
        influx(of_packs("max", "voltage_v", CHOSEN), "Highest $tag_pack", "A"),
        influx(of_packs("median", "voltage_v", CHOSEN), "Median $tag_pack", "B"),
        influx(of_packs("min", "voltage_v", CHOSEN), "Lowest $tag_pack", "C"),
    ]
    spec = Spec(
        title="Highest, median and lowest cell",
        description="Where the cells of each pack lie. A lowest cell far below the median is one "
        "weak cell; a highest far above it is one that fills before the others.",
        size=(12, 8),
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
    return lines(spec)
