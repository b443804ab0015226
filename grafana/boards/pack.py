"""Battery · Pack: one pack cell by cell in its physical order, and how it wears."""

# ruff: noqa: S608  (templates that Grafana fills in; no SQL is run here)

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from grafana_foundation_sdk.builders import barchart, heatmap, stat, timeseries
from grafana_foundation_sdk.builders.dashboard import Dashboard

from exporter.history.cells.wear import DEPTHS, HEAT, MEASUREMENT
from exporter.model.cell_findings import FORMULA
from grafana.boards.cell_panels import BY_NUMBER, NO_CELLS, NO_TEMPERATURES, deviation, views
from grafana.kit import look
from grafana.kit.dashboard import (
    batteries_variable,
    cell_site_variable,
    collapsed,
    dashboard,
    kept_variable,
    page_variable,
)
from grafana.kit.levels import (
    CELLS,
    READINGS,
    cadence_variable,
    either,
    field,
    grown,
    last_and_median,
    over_time,
)
from grafana.kit.panels import AnyPanel, Spec, bars_in_order, colour, heat, lines, tiles
from grafana.kit.queries import influx, influx_table
from grafana.kit.tables import difference, joined, ordered, organized, transform
from grafana.kit.wear_fields import NOT_ANALYSED, newest

CHOSEN = "\"site\" = '$site' AND \"pack\" = '$pack'"
BATTERY = "\"site\" = '$site' AND \"device\" = '$pack'"
NO_COUNTERS = "The battery has no energy counters, or they did not move in this time range"
RATIO = "Out over in"
SILENT = "Nothing stored for this battery in this time range"
REPORTED, MEASURED, ESTIMATED = "Reported", "Measured", "Estimated"


def build() -> Dashboard:
    """The dashboard."""
    variables = [
        cell_site_variable(),
        batteries_variable(),
        kept_variable(),
        page_variable(),
        cadence_variable(),
        CELLS.variable(),
        READINGS.variable(),
    ]
    made = dashboard("fleetscope-pack", variables)
    made.with_panel(views())
    made.with_panel(_voltages_now()).with_panel(_temperatures_now())
    made.with_panel(deviation("Deviation of every cell over time", CHOSEN, (24, 12)))
    collapsed(made, "Voltage of every cell over time", [_voltages()])
    wear: list[AnyPanel] = [*_health(), _health_over_time(), _depths(), _heat()]
    collapsed(made, "State of health and wear", wear)
    collapsed(made, "Cycles and efficiency", [*_counted(), _energy(), _depth()])
    return made


def _in_order(spec: Spec, name: str, kept: str) -> barchart.Panel:
    """One bar for each cell in physical order: its latest value less the median of the pack."""
    cells, median = last_and_median(name, kept, CHOSEN)
    return bars_in_order(
        spec,
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
            organized(
                {"cell": "Cell", "Off the median": "Off the median"},
                drop=["pack", "value", "median", "Time", "Time 1", "Time 2"],
            ),
        ],
        over="Cell",
    )


def _voltages_now() -> barchart.Panel:
    return _in_order(
        Spec(
            title="Voltage of each cell against the pack's median",
            description="Cells from first to last as they stand in the pack, at the end of the "
            f"time range. Orange from {look.CELL_VOLTS_OFF:.2f} V off, half of the spread that "
            "warns, red where one cell alone makes the spread critical: a weak cell stands alone "
            "on one side. The scale is that of the limits, so that "
            "a millivolt of noise stays small.",
            size=(24, 9),
            unit=look.UNITS["V"],
            empty=NO_CELLS,
            decimals=3,
            low=-2 * look.CELL_VOLTS_OFF,
            high=2 * look.CELL_VOLTS_OFF,
            thresholds=look.deviation_limits(
                look.CELL_VOLTS_OFF, fine=look.ACCENT, worst=look.LIMITS.cell_spread_critical
            ),
            colour=look.by_threshold(),
            targets=[],
        ),
        "voltage_v",
        "mean",
    )


def _temperatures_now() -> barchart.Panel:
    return _in_order(
        Spec(
            title="Temperature of each cell against the pack's median",
            description="Cells from first to last, at the end of the time range. Orange from "
            f"{look.CELL_CELSIUS_OFF:g} °C off: neighbours that warm together point at heat from "
            "outside, one alone at the cell or its connection.",
            size=(24, 7),
            unit=look.UNITS["°C"],
            empty=NO_TEMPERATURES,
            decimals=1,
            low=-2 * look.CELL_CELSIUS_OFF,
            high=2 * look.CELL_CELSIUS_OFF,
            thresholds=look.deviation_limits(look.CELL_CELSIUS_OFF, fine=look.ACCENT),
            colour=look.by_threshold(),
            targets=[],
        ),
        "temperature_c",
        "max",
    )


ROWS = over_time("$kept", "voltage_v", "$kept", "cell", where=CHOSEN, by='"cell"', detail=CELLS)


def _voltages() -> heatmap.Panel:
    spec = Spec(
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
    return heat(spec, decimals=3)


# What the battery says is there before anything was analysed.
_OF_BATTERY = f"{READINGS.of('battery')} WHERE {BATTERY} AND $timeFilter"


def _health() -> list[stat.Panel]:
    """State of health of one pack: as reported with its class, measured, estimated."""

    def one(title: str, description: str, names: Mapping[str, str], wide: int) -> Spec:
        return Spec(
            title=title,
            description=description,
            size=(wide, 4),
            unit=look.UNITS["%"],
            empty="Not known",
            decimals=1,
            colour=look.fixed("text"),
            targets=[
                influx(newest({name: shown}, CHOSEN), shown, ref)
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
        f"By age and use: {FORMULA}. It needs commissioned in the fleet file; next to it what it "
        "takes off for age, cycles and imbalance.",
        {
            "soh_estimate_percent": ESTIMATED,
            "soh_estimate_calendar_percent": "Age",
            "soh_estimate_cycles_percent": "Cycles",
            "soh_estimate_imbalance_percent": "Imbalance",
        },
        10,
    )
    return [tiles(spec, columns=True, value=26) for spec in (reported, measured, estimated)]


def _health_over_time() -> timeseries.Panel:
    """All three over the time range."""
    targets = [
        influx(
            over_time("mean", name, "mean", MEASUREMENT, where=CHOSEN, detail=READINGS).replace(
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
    spec = Spec(
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
    return lines(spec)


def _histogram(spec: Spec, names: Mapping[str, str], over: str) -> barchart.Panel:
    """One bar for each range, in their order."""
    return bars_in_order(
        spec,
        [influx_table(newest(names, CHOSEN))],
        [
            transform("reduce", reducers=["lastNotNull"], mode="seriesToRows"),
            organized({"Field": over, "Last *": spec.title}),
        ],
        over=over,
        longest=20,
    )


def _depths() -> barchart.Panel:
    """Cycles by their depth."""
    spec = Spec(
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
    return _histogram(spec, DEPTHS, "Depth")


def _heat() -> barchart.Panel:
    """Hours of cells by their temperature."""
    spec = Spec(
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
    return _histogram(spec, short, "Temperature")


def _battery(fields: dict[str, tuple[str, str]], by: str = "") -> str:
    return either(fields, "battery", where=BATTERY, by=by, detail=CELLS)


def _counted() -> list[stat.Panel]:
    def one(title: str, description: str, query: str, unit: str, decimals: int) -> stat.Panel:
        return tiles(
            Spec(
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
            "where the charge was the same at both ends: see the next tile.",
            f'SELECT 100 * "out" / "in" FROM {both} WHERE "in" > 0 AND $timeFilter',
            look.UNITS["%"],
            1,
        ),
        one(
            "Charge gained",
            "State of charge at the end of the time range less that at its beginning, in points. "
            "Near 0 the previous tile is the round-trip efficiency.",
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
    spec = Spec(
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
    return lines(spec, bars=True, fill=80)


def _depth() -> timeseries.Panel:
    targets = [
        influx(
            over_time(how, "soc_percent", how, "battery", where=BATTERY, detail=CELLS), name, ref
        )
        for ref, name, how in (("A", "Highest", "max"), ("B", "Lowest", "min"))
    ]
    spec = Spec(
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
    return lines(spec)
