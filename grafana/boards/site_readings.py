"""Site · Readings: what the site reports, as it arrived, and how it was asked."""

# ruff: noqa: S608  (templates that Grafana fills in; no SQL is run here)

from __future__ import annotations

from grafana_foundation_sdk.builders import statetimeline, table, timeseries
from grafana_foundation_sdk.builders.dashboard import Dashboard

from exporter.model.quantities import QUANTITIES
from grafana.boards.site_plots import battery, grid_and_devices, power_and_energy
from grafana.kit import look
from grafana.kit.dashboard import collapsed, dashboard, site_variable
from grafana.kit.levels import READINGS, either, grown, over_time
from grafana.kit.panels import Spec, colour, lines, timeline
from grafana.kit.queries import influx, influx_table, latest, prom
from grafana.kit.tables import WRAPPED, Column, listing

ONE = '{site="$site"}'
CHOSEN = "\"site\" = '$site'"
SILENT = "Nothing stored for this site in this time range"


def build() -> Dashboard:
    """The dashboard."""
    made = dashboard("fleetscope-site-readings", [site_variable(), READINGS.variable()])
    made.with_panel(_battery_readings()).with_panel(_site_readings())
    collapsed(made, "Power and energy", [*power_and_energy(), _counters()])
    collapsed(made, "Battery over time", battery())
    collapsed(made, "Limits and counters of the battery", [_limits(), _lifetime()])
    collapsed(made, "Grid and devices", grid_and_devices())
    collapsed(made, "Scrapes", [_online(), _scrapes(), _durations()])
    return made


def _readings(
    title: str, description: str, size: tuple[int, int], quantities: tuple[str, ...]
) -> table.Panel:
    """The newest row of each device with its age, one column for each quantity."""
    measurement = QUANTITIES[quantities[0]].measurement.value
    by = '"device"' if measurement == "battery" else '"site"'
    fields = ", ".join(f'"{name}"' for name in quantities)
    where = CHOSEN if measurement == "battery" else f'{CHOSEN} AND "online" >= 0'
    first = [Column("Time", "Age", 142, look.AGO)]
    if measurement == "battery":
        first.append(Column("device", "Battery", more={"custom.minWidth": 84, **WRAPPED}))
    spec = Spec(
        title=title,
        description=description + " A dash is a value that the device did not give.",
        size=size,
        unit=look.NUMBER,
        empty=SILENT,
        targets=[influx_table(latest(fields, measurement, where, by))],
    )
    return listing(
        spec,
        [*first, *(_reading(name) for name in quantities)],
        drop=[] if measurement == "battery" else ["site"],
    )


def _reading(name: str) -> Column:
    """The column of a quantity, with its unit."""
    row = QUANTITIES[name]
    least = {"custom.minWidth": 60}
    return Column(name, look.label_of(name), None, look.unit_of(name), row.decimals, more=least)


def _battery_readings() -> table.Panel:
    return _readings(
        "Battery readings",
        "The newest reading of each battery, with its age.",
        (24, 6),
        (
            "soc_percent",
            "soh_percent",
            "voltage_v",
            "current_a",
            "power_w",
            "temperature_c",
            "cell_min_v",
            "cell_max_v",
            "cell_spread_v",
        ),
    )


def _site_readings() -> table.Panel:
    return _readings(
        "Site readings",
        "The newest reading of the site, with its age.",
        (24, 4),
        (
            "grid_power_w",
            "load_power_w",
            "pv_power_w",
            "genset_power_w",
            "grid_frequency_hz",
            "grid_voltage_v",
        ),
    )


def _limits() -> table.Panel:
    return _readings(
        "What the BMS allows",
        "Limits and modules as each battery reports them.",
        (24, 4),
        (
            "charge_limit_a",
            "discharge_limit_a",
            "minimum_soc_percent",
            "time_to_go_s",
            "modules_online",
            "modules_offline",
            "modules_blocking_charge",
            "modules_blocking_discharge",
        ),
    )


def _lifetime() -> table.Panel:
    return _readings(
        "What the battery counts",
        "Counters of its life and its size, as each battery reports them.",
        (24, 4),
        (
            "cycles",
            "charged_kwh",
            "discharged_kwh",
            "capacity_ah",
            "consumed_ah",
            "cell_count",
        ),
    )


def _grown_by_device(name: str) -> str:
    measurement = QUANTITIES[name].measurement.value
    by = "time($__interval)" + (', "device"' if measurement == "battery" else "")
    return either({"grown": grown(name)}, measurement, by=by)


def _counters() -> timeseries.Panel:
    colours = {
        "charged_kwh": look.FLOWS["Battery charge"],
        "discharged_kwh": "#127a75",
        "grid_import_kwh": look.FLOWS["Grid import"],
        "grid_export_kwh": "#9cc3ff",
    }
    targets = [
        influx(
            f'SELECT sum("grown") FROM {_grown_by_device(name)} WHERE $timeFilter '
            "GROUP BY time($__interval) fill(none)",
            look.label_of(name),
            ref,
        )
        for ref, name in zip("ABCD", colours, strict=True)
    ]
    spec = Spec(
        title="Energy by hour",
        description="By how much the energy counters grew in each hour, or in longer steps over a "
        "longer range, all batteries together.",
        interval="1h",
        size=(24, 7),
        unit=look.UNITS["kWh"],
        empty="The site has no energy counters, or nothing is stored in this time range",
        low=0,
        decimals=2,
        targets=targets,
        overrides={look.label_of(name): colour(value) for name, value in colours.items()},
    )
    return lines(spec, bars=True, fill=80)


def _online() -> statetimeline.Panel:
    spec = Spec(
        title="Answering",
        description="Whether each scrape was answered. Blank is a time when nobody asked: the "
        "exporter was not running.",
        size=(12, 7),
        unit=look.NUMBER,
        empty=SILENT,
        interval=READINGS.interval,
        mappings=[*look.online_mappings(), *look.status_mappings()],
        targets=[
            influx(over_time("min", "online", "min", "site"), "Answers", "A"),
        ],
    )
    return timeline(spec)


def _scrapes() -> timeseries.Panel:
    spec = Spec(
        title="Scrapes by outcome",
        description="Scrapes of the site in each interval by how they ended: ok, partial, or one "
        "reason of failure.",
        size=(12, 7),
        unit=look.NUMBER,
        empty="The site was not scraped in this time range",
        low=0,
        decimals=0,
        colour=look.by_series(),
        targets=[
            prom(
                "sum by (outcome) "
                f"(increase(fleetscope_site_scrapes_total{ONE}[$__rate_interval]))",
                "{{outcome}}",
                "A",
            ),
            prom(
                f"increase(fleetscope_site_implausible_readings_total{ONE}[$__rate_interval])",
                "implausible values",
                "B",
            ),
        ],
        overrides={n.value: colour(c) for n, c in look.OUTCOME_COLOURS.items()},
    )
    return lines(spec, bars=True, fill=80, stacked=True)


def _durations() -> timeseries.Panel:
    spec = Spec(
        title="Scrape duration",
        description="How long the site took to answer.",
        size=(12, 7),
        unit=look.SECONDS,
        empty="The site was not scraped in this time range",
        low=0,
        interval=READINGS.interval,
        targets=[
            influx(over_time("mean", "scrape_seconds", "mean", "site"), "Mean", "A"),
            influx(over_time("max", "scrape_seconds", "max", "site"), "Max", "B"),
        ],
        overrides=look.extremes(),
    )
    return lines(spec)
