"""The lower part of the dashboard Site: readings, scrapes and whom to call."""

# ruff: noqa: S608  (templates that Grafana fills in; no SQL is run here)

from __future__ import annotations

from grafana_foundation_sdk.builders import statetimeline, table, timeseries
from grafana_foundation_sdk.builders.dashboard import Dashboard, Row

from exporter.model.quantities import QUANTITIES
from grafana.kit import look
from grafana.kit.levels import READINGS, either, grown, over_time
from grafana.kit.panels import WRAPPED, Face, colour, columns, grid, lines, timeline, transform
from grafana.kit.queries import influx, influx_table, latest, prom, prom_table

ONE = '{site="$site"}'
CHOSEN = "\"site\" = '$site'"
SILENT = "Nothing stored for this site in this time range"


def add_readings(made: Dashboard) -> None:
    """Append readings with their ages, scrape health and contact."""
    made.with_row(Row("Readings as they arrived, scrapes, contact"))
    made.with_panel(_battery_readings()).with_panel(_site_readings())
    made.with_panel(_limits()).with_panel(_lifetime())
    made.with_panel(_counters()).with_panel(_online())
    made.with_panel(_scrapes()).with_panel(_durations())
    made.with_panel(_contact())


_WORDS = {
    "soc_percent": "Charge",
    "soh_percent": "Health",
    "voltage_v": "Voltage",
    "current_a": "Current",
    "power_w": "Power",
    "temperature_c": "Temp.",
    "cell_min_v": "Low cell",
    "cell_max_v": "High cell",
    "cell_spread_v": "Spread",
    "cycles": "Cycles",
    "charged_kwh": "Charged",
    "discharged_kwh": "Discharged",
    "grid_power_w": "Grid",
    "load_power_w": "Load",
    "pv_power_w": "PV",
    "genset_power_w": "Genset",
    "grid_frequency_hz": "Frequency",
    "grid_voltage_v": "Voltage",
    "grid_import_kwh": "Imported",
    "grid_export_kwh": "Exported",
    "capacity_ah": "Capacity",
    "consumed_ah": "Consumed",
    "time_to_go_s": "Time to go",
    "charge_limit_a": "Charge max",
    "discharge_limit_a": "Disch. max",
    "modules_online": "Modules",
    "modules_offline": "Missing",
    "modules_blocking_charge": "No charge",
    "modules_blocking_discharge": "No disch.",
    "cell_count": "Cells",
}


def _readings(
    title: str, description: str, size: tuple[int, int], quantities: tuple[str, ...]
) -> table.Panel:
    """The newest row of each device with its age, one column for each quantity."""
    measurement = QUANTITIES[quantities[0]].measurement.value
    by = '"device"' if measurement == "battery" else '"site"'
    fields = ", ".join(f'"{name}"' for name in quantities)
    where = CHOSEN if measurement == "battery" else f'{CHOSEN} AND "online" >= 0'
    shown = {"Time": "Age"} | ({"device": "Battery"} if measurement == "battery" else {})
    shown |= {name: _WORDS[name] for name in quantities}
    overrides: dict[str, dict[str, object]] = {
        "Age": {"unit": look.AGO, "custom.width": 142},
        "Battery": {"custom.minWidth": 84, **WRAPPED},
    }
    for name in quantities:
        overrides[_WORDS[name]] = {
            "unit": look.unit_of(name),
            "noValue": "–",
            "custom.minWidth": 60,
            "decimals": 3 if name.startswith("cell_") and name.endswith("_v") else 1,
        }
        if QUANTITIES[name].unit == "":
            overrides[_WORDS[name]]["decimals"] = 0
    face = Face(
        title=title,
        description=description + " A dash is a value that the device did not give.",
        size=size,
        unit=look.NUMBER,
        empty=SILENT,
        targets=[influx_table(latest(fields, measurement, where, by))],
        transformations=[columns(shown, drop=[] if measurement == "battery" else ["site"])],
        overrides=overrides,
    )
    return grid(face)


def _battery_readings() -> table.Panel:
    return _readings(
        "Battery readings",
        "The newest reading of each battery, with its age.",
        (24, 4),
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
    targets = [
        influx(
            f'SELECT sum("grown") FROM {_grown_by_device(name)} WHERE $timeFilter '
            "GROUP BY time($__interval) fill(none)",
            _WORDS[name],
            ref,
        )
        for ref, name in zip(
            "ABCD",
            ("charged_kwh", "discharged_kwh", "grid_import_kwh", "grid_export_kwh"),
            strict=True,
        )
    ]
    face = Face(
        title="Energy by hour",
        description="By how much the energy counters grew in each hour, or in longer steps over a "
        "longer range, all batteries together.",
        interval="1h",
        size=(12, 7),
        unit=look.UNITS["kWh"],
        empty="The site has no energy counters, or nothing is stored in this time range",
        low=0,
        decimals=2,
        targets=targets,
        overrides={
            "Charged": colour("#22b8b0"),
            "Discharged": colour("#127a75"),
            "Imported": colour("#5794f2"),
            "Exported": colour("#9cc3ff"),
        },
    )
    return lines(face, bars=True, fill=80)


def _online() -> statetimeline.Panel:
    face = Face(
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
    return timeline(face)


def _scrapes() -> timeseries.Panel:
    face = Face(
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
    return lines(face, bars=True, fill=80, stacked=True)


def _durations() -> timeseries.Panel:
    face = Face(
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
    return lines(face)


def _contact() -> table.Panel:
    face = Face(
        title="Whom to call, and where it is",
        description="What the fleet file says of the site.",
        size=(24, 9),
        unit=look.NUMBER,
        empty="The fleet file has no such site",
        targets=[
            prom_table(
                "max by (name, site, location, timezone, region, vendor, battery_type, priority, "
                f"contact, phone, email) (fleetscope_site_info{ONE})"
            ),
        ],
        transformations=[
            columns(
                {
                    "contact": "Contact",
                    "phone": "Phone",
                    "email": "E-mail",
                    "name": "Name",
                    "site": "Id",
                    "location": "Location",
                    "timezone": "Time zone",
                    "region": "Region",
                    "vendor": "Vendor",
                    "battery_type": "Battery type",
                    "priority": "Priority",
                },
                drop=["Time", "Value"],
            ),
            transform("transpose", firstFieldName="What", restFieldsName="Entry"),
        ],
        overrides={"What": {"custom.width": 120}},
    )
    return grid(face)
