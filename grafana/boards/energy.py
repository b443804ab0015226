"""Site · Energy: what smart meters recorded, compared and one by one."""

# ruff: noqa: S608  (templates that Grafana fills in; no SQL is run here)

from __future__ import annotations

from grafana_foundation_sdk.builders import table, timeseries
from grafana_foundation_sdk.builders.dashboard import Dashboard

from exporter.model.levels import LEVELS
from grafana.kit import look
from grafana.kit.dashboard import (
    collapsed,
    dashboard,
    meter_variable,
    metered_site_variables,
    zone_variable,
)
from grafana.kit.levels import METERS, SITE, either, field, over_time
from grafana.kit.panels import Spec, lines
from grafana.kit.queries import influx, influx_table
from grafana.kit.tables import WRAPPED, Column, listing

CHOSEN = f'{SITE} AND "meter" =~ /^$meter$/'
NO_METERS = "This site has no meter, or nothing is stored in this time range"
NO_COUNTER = "The meters have no such counter, or nothing is stored in this time range"
HOURS = LEVELS[2].name
# A phone scrolls the table instead of cutting its numbers.
WIDE = {"custom.minWidth": 88}
DAYS = "GROUP BY time(1d)"
IN_ZONE = "tz('$zone')"


def build() -> Dashboard:
    """The dashboard."""
    variables = [
        *metered_site_variables(),
        meter_variable(),
        METERS.variable(),
        zone_variable(),
    ]
    made = dashboard("fleetscope-meters", variables, since="now-7d")
    made.with_panel(_summary())
    made.with_panel(_power())
    made.with_panel(_factor()).with_panel(_peaks())
    made.with_panel(_days("Energy in by day", "energy_import_kwh"))
    made.with_panel(_days("Energy out by day", "energy_export_kwh"))
    collapsed(made, "Each meter by itself", [_single()])
    return made


def _summary() -> table.Panel:
    fields = {
        "active_power_w": ('"active_power_w"', '"active_power_w_mean"'),
        "highest": ('"active_power_w"', '"active_power_w_max"'),
        "lowest": ('"active_power_w"', '"active_power_w_min"'),
        "factor": ('"power_factor"', '"power_factor_mean"'),
    }
    grown = (
        'SELECT sum("energy_import_kwh_increase") AS "in", sum("energy_export_kwh_increase") AS '
        f'"out" FROM "{HOURS}"."meter" WHERE {CHOSEN} AND $timeFilter GROUP BY "meter"'
    )
    # One query, so that a meter without counters keeps their columns.
    query = (
        'SELECT mean("active_power_w") AS "mean", max("highest") AS "max", min("lowest") AS "min", '
        'mean("factor") AS "factor", last("in") AS "in", last("out") AS "out" FROM '
        f"{either(fields, 'meter', where=CHOSEN, detail=METERS)}, ({grown}) "
        'WHERE $timeFilter GROUP BY "meter"'
    )
    spec = Spec(
        title="Meters",
        description="Each chosen meter over the time range: mean, lowest and highest active power "
        "in the meter's own sense of sign, the mean power factor, and by how much its energy "
        "counters grew, resets allowed for. A dash is a value that it does not record.",
        size=(24, 6),
        unit=look.NUMBER,
        empty=NO_METERS,
        targets=[influx_table(query)],
    )
    watts, energy = look.UNITS["W"], look.UNITS["kWh"]
    return listing(
        spec,
        [
            Column("meter", "Meter", more=WRAPPED),
            Column("mean", "Mean power", unit=watts, decimals=1, more=WIDE),
            Column("min", "Lowest", unit=watts, decimals=1, more=WIDE),
            Column("max", "Highest", unit=watts, decimals=1, more=WIDE),
            Column("factor", "Power factor", decimals=3, more=WIDE),
            Column("in", "Energy in", unit=energy, decimals=1, more=WIDE),
            Column("out", "Energy out", unit=energy, decimals=1, more=WIDE),
        ],
        drop=["Time"],
    )


def _each(how: str, name: str, kept: str) -> str:
    return over_time(how, name, kept, "meter", where=CHOSEN, by='"meter"', detail=METERS)


def _power() -> timeseries.Panel:
    spec = Spec(
        title="Active power of each meter",
        description="The mean of each quarter of an hour, or of longer steps over a longer range, "
        "in the meter's own sense of sign. A gap is a time without readings.",
        size=(24, 9),
        unit=look.UNITS["W"],
        empty=NO_METERS,
        interval=METERS.interval,
        colour=look.by_series(),
        targets=[influx(_each("mean", "active_power_w", "mean"), "$tag_meter")],
    )
    return lines(spec)


def _factor() -> timeseries.Panel:
    spec = Spec(
        title="Power factor of each meter",
        description="The mean of each interval. Near 1 all of the current does work; meters give "
        "it a sign of their own.",
        size=(12, 8),
        unit=look.NUMBER,
        empty="The meters record no power factor, or nothing is stored in this time range",
        decimals=2,
        interval=METERS.interval,
        colour=look.by_series(),
        targets=[influx(_each("mean", "power_factor", "mean"), "$tag_meter")],
    )
    return lines(spec, soft=(0.8, 1))


def _peaks() -> timeseries.Panel:
    spec = Spec(
        title="Highest power by day",
        description="The highest reading of each day of the site's time zone: what a demand charge "
        "is counted by.",
        size=(12, 8),
        unit=look.UNITS["W"],
        empty=NO_METERS,
        colour=look.by_series(),
        targets=[
            influx(
                f"SELECT max({field('active_power_w', 'max')}) FROM {METERS.of('meter')} WHERE "
                f'{CHOSEN} AND $timeFilter {DAYS}, "meter" fill(null) {IN_ZONE}',
                "$tag_meter",
            )
        ],
    )
    return lines(spec)


def _days(title: str, counter: str) -> timeseries.Panel:
    spec = Spec(
        title=title,
        description="By how much each meter's counter grew on each day of the site's time zone, "
        "the chosen meters on top of each other. A "
        "reset of the counter does not show; what grew in a gap counts where it was seen. The "
        "first and the last day are those of the time range, so far.",
        size=(12, 8),
        unit=look.UNITS["kWh"],
        empty=NO_COUNTER,
        low=0,
        decimals=1,
        colour=look.by_series(),
        targets=[
            influx(
                f'SELECT sum("{counter}_increase") FROM "{HOURS}"."meter" WHERE {CHOSEN} '
                f'AND $timeFilter {DAYS}, "meter" fill(none) {IN_ZONE}',
                "$tag_meter",
            )
        ],
    )
    return lines(spec, bars=True, fill=80, stacked=True)


def _single() -> timeseries.Panel:
    targets = [
        influx(
            over_time(how, "active_power_w", how, "meter", where=CHOSEN, detail=METERS), name, ref
        )
        for ref, how, name in (("A", "mean", "Mean"), ("B", "min", "Min"), ("C", "max", "Max"))
    ]
    spec = Spec(
        title="$meter",
        description="Active power of one meter: mean, lowest and highest of each interval. "
        "Nothing that was recorded lies outside.",
        size=(12, 8),
        unit=look.UNITS["W"],
        empty=NO_METERS,
        interval=METERS.interval,
        targets=targets,
        overrides=look.extremes(),
    )
    panel = lines(spec)
    return panel.repeat("meter").repeat_direction("h").max_per_row(2)
