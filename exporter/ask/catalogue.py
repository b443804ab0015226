"""What can be asked about: metrics and conditions, each under one name. Data only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal


@dataclass(frozen=True, slots=True)
class Metric:
    """A number of a site.

    Attributes
    ----------
    name, label, unit : str
        Its name in a query, as a person says it, and its unit.
    decimals : int
        Digits after the point that mean something.
    worse : "low", "high" or ""
        Side that is bad news; empty where neither is.
    source : "score", "component", "reading", "hottest", "pv", "coverage", "scrape" or "past"
        Where in the Assessment it is; ``past`` is known from InfluxDB only.
    key : str
        Its component or quantity.
    measurement, fields : str, tuple of str
        Where in InfluxDB it is; the worst of several fields counts.
    where : str
        InfluxQL condition that it needs.
    over_time : "mean", "counter", "share" or "energy"
        What a period is summed up to: the mean, the growth of a counter, the share of time in
        percent, or the energy of a power.
    combine : "active", "min" or "max"
        Of several batteries, the active one, the lowest or the highest counts.
    promql : str
        Expression that shows it, in its unit.
    fleet : "mean" or "sum"
        What it is for a group of sites.
    steady : float
        Change over a period that is not worth calling a trend.
    """

    name: str
    label: str
    unit: str
    decimals: int
    worse: Literal["low", "high", ""]
    source: str
    key: str
    measurement: str
    fields: tuple[str, ...]
    promql: str
    fleet: Literal["mean", "sum"] = "mean"
    where: str = ""
    over_time: Literal["mean", "counter", "share", "energy"] = "mean"
    combine: Literal["active", "min", "max"] = "active"
    steady: float = 0.0


def _score(component: str, label: str) -> Metric:
    overall = component == "overall"
    return Metric(
        name="score" if overall else f"{component}_score",
        label=label,
        unit="",
        decimals=1,
        worse="low",
        source="score" if overall else "component",
        key=component,
        measurement="health",
        fields=("score",),
        where=f"\"component\" = '{component}'",
        promql="fleetscope_site_health_score"
        if overall
        else f'fleetscope_site_component_score{{component="{component}"}}',
        steady=2.0,
    )


def _reading(
    name: str,
    label: str,
    unit: str,
    decimals: int,
    key: str,
    promql: str = "",
    *,
    measurement: str = "battery",
    worse: Literal["low", "high", ""] = "",
    fleet: Literal["mean", "sum"] = "mean",
    combine: Literal["active", "min", "max"] = "active",
    steady: float = 0.0,
    over_time: Literal["mean", "counter"] = "mean",
) -> Metric:
    return Metric(
        name=name,
        label=label,
        unit=unit,
        decimals=decimals,
        worse=worse,
        source="reading",
        key=key,
        measurement=measurement,
        fields=(key,),
        promql=promql,
        fleet=fleet,
        combine=combine,
        steady=steady,
        over_time=over_time,
    )


def _past(
    name: str,
    label: str,
    unit: str,
    measurement: str,
    field: str,
    over_time: Literal["counter", "share", "energy"],
    *,
    worse: Literal["low", "high", ""] = "",
    promql: str = "",
) -> Metric:
    return Metric(
        name=name,
        label=label,
        unit=unit,
        decimals=1,
        worse=worse,
        source="past",
        key=field,
        measurement=measurement,
        fields=(field,),
        promql=promql,
        fleet="mean" if over_time == "share" else "sum",
        over_time=over_time,
        steady=1.0,
    )


_TABLE = (
    _score("overall", "score"),
    _score("battery", "battery score"),
    _score("grid", "grid score"),
    _score("solar", "solar score"),
    _score("connectivity", "connectivity score"),
    _reading(
        "soc",
        "state of charge",
        "%",
        0,
        "soc_percent",
        "100 * fleetscope_battery_soc_ratio",
        worse="low",
        steady=5,
    ),
    _reading(
        "soh",
        "state of health",
        "%",
        1,
        "soh_percent",
        "100 * fleetscope_battery_soh_ratio",
        worse="low",
        combine="min",
        steady=0.5,
    ),
    Metric(
        name="temperature",
        label="battery temperature",
        unit="°C",
        decimals=1,
        worse="high",
        source="hottest",
        key="temperature_c",
        measurement="battery",
        fields=("temperature_c", "cell_max_temperature_c"),
        promql="fleetscope_battery_temperature_celsius",
        combine="max",
        steady=2.0,
    ),
    _reading(
        "cell_spread",
        "cell spread",
        "V",
        3,
        "cell_spread_v",
        "max by (site) (fleetscope_cell_spread_volts)",
        worse="high",
        combine="max",
        steady=0.01,
    ),
    _reading("cell_min", "lowest cell voltage", "V", 3, "cell_min_v", worse="low", combine="min"),
    _reading("cell_max", "highest cell voltage", "V", 3, "cell_max_v", worse="high", combine="max"),
    _reading("voltage", "battery voltage", "V", 1, "voltage_v", steady=0.5),
    _reading("current", "battery current", "A", 1, "current_a", steady=1),
    _reading(
        "battery_power",
        "battery power",
        "W",
        0,
        "power_w",
        "fleetscope_battery_power_watts",
        fleet="sum",
        steady=50,
    ),
    _reading("cycles", "charge cycles", "", 0, "cycles", worse="high", steady=1),
    _reading(
        "grid_power",
        "grid power",
        "W",
        0,
        "grid_power_w",
        "fleetscope_grid_power_watts",
        measurement="site",
        fleet="sum",
        steady=50,
    ),
    _reading(
        "grid_frequency",
        "grid frequency",
        "Hz",
        2,
        "grid_frequency_hz",
        "fleetscope_grid_frequency_hertz",
        measurement="site",
        steady=0.02,
    ),
    _reading(
        "grid_voltage", "grid voltage", "V", 0, "grid_voltage_v", measurement="site", steady=2
    ),
    _reading(
        "pv_power",
        "PV power",
        "W",
        0,
        "pv_power_w",
        "fleetscope_pv_power_watts",
        measurement="site",
        fleet="sum",
        steady=50,
    ),
    _reading(
        "load_power",
        "consumption",
        "W",
        0,
        "load_power_w",
        measurement="site",
        fleet="sum",
        steady=50,
    ),
    _reading("genset_power", "generator power", "W", 0, "genset_power_w", measurement="site"),
    Metric(
        name="pv_performance",
        label="PV performance ratio",
        unit="",
        decimals=2,
        worse="low",
        source="pv",
        key="pv_performance_ratio",
        measurement="",
        fields=(),
        promql="fleetscope_pv_performance_ratio",
        steady=0.05,
    ),
    Metric(
        name="coverage",
        label="coverage",
        unit="%",
        decimals=0,
        worse="low",
        source="coverage",
        key="coverage",
        measurement="health",
        fields=("coverage",),
        where="\"component\" = 'overall'",
        promql="100 * fleetscope_site_coverage_ratio",
        steady=5,
    ),
    Metric(
        name="response_time",
        label="scrape duration",
        unit="s",
        decimals=2,
        worse="high",
        source="scrape",
        key="scrape_seconds",
        measurement="site",
        fields=("scrape_seconds",),
        promql="fleetscope_site_scrape_duration_seconds",
        steady=0.2,
    ),
    _past(
        "availability",
        "availability",
        "%",
        "site",
        "online",
        "share",
        worse="low",
        promql="100 * avg_over_time(fleetscope_site_up[{range}])",
    ),
    _past("charged_energy", "energy charged", "kWh", "battery", "charged_kwh", "counter"),
    _past("discharged_energy", "energy discharged", "kWh", "battery", "discharged_kwh", "counter"),
    _past("imported_energy", "energy imported", "kWh", "site", "grid_import_kwh", "counter"),
    _past("exported_energy", "energy exported", "kWh", "site", "grid_export_kwh", "counter"),
    _past("pv_energy", "PV energy", "kWh", "site", "pv_power_w", "energy"),
    _past("load_energy", "energy consumed", "kWh", "site", "load_power_w", "energy"),
)

METRICS: Mapping[str, Metric] = MappingProxyType({metric.name: metric for metric in _TABLE})


@dataclass(frozen=True, slots=True)
class ConditionKind:
    """A thing that is or is not so at a site.

    Attributes
    ----------
    name, label : str
    codes : tuple of str
        Issue codes of which one must be active.
    statuses : tuple of str
        Statuses of which the site must have one.
    metric : str
        The metric that shows how far it goes.
    """

    name: str
    label: str
    codes: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()
    metric: str = ""


_STATUSES = ("healthy", "good", "warning", "critical", "offline", "unknown")

_CONDITIONS = (
    ConditionKind("low_soh", "low state of health", ("battery_soh",), metric="soh"),
    ConditionKind("hot", "hot battery", ("battery_temperature",), metric="temperature"),
    ConditionKind("cell_imbalance", "cell imbalance", ("cell_spread",), metric="cell_spread"),
    ConditionKind("low_soc", "low state of charge", ("battery_soc",), metric="soc"),
    ConditionKind("no_battery_data", "no battery reading", ("battery_silent",)),
    ConditionKind(
        "battery_problem",
        "battery problem",
        (
            "battery_soh",
            "battery_temperature",
            "cell_spread",
            "battery_soc",
            "battery_silent",
        ),
        metric="battery_score",
    ),
    ConditionKind("no_grid", "grid lost", ("grid_lost",), metric="grid_score"),
    ConditionKind(
        "off_frequency",
        "grid frequency off",
        ("grid_frequency", "grid_frequency_deviation"),
        metric="grid_frequency",
    ),
    ConditionKind("off_voltage", "grid voltage off", ("grid_voltage",), metric="grid_voltage"),
    ConditionKind("unsteady_grid", "unsteady grid", ("grid_unsteady",), metric="grid_score"),
    ConditionKind(
        "grid_problem",
        "grid problem",
        (
            "grid_lost",
            "grid_frequency",
            "grid_frequency_deviation",
            "grid_voltage",
            "grid_unsteady",
        ),
        metric="grid_score",
    ),
    ConditionKind(
        "low_pv",
        "PV below what it should make",
        ("pv_underperforming", "pv_low"),
        metric="pv_performance",
    ),
    ConditionKind("no_data", "no data", ("site_offline", "battery_silent"), ("unknown",)),
    ConditionKind(
        "flaky",
        "failing scrapes",
        ("scrapes_failing",),
        metric="connectivity_score",
    ),
    ConditionKind(
        "connection_problem",
        "connection problem",
        ("site_offline", "scrapes_failing"),
        metric="connectivity_score",
    ),
    ConditionKind("device_alarm", "device alarm", ("device_alarm",)),
    ConditionKind("device_message", "device alarm or warning", ("device_alarm", "device_warning")),
    ConditionKind("implausible", "value outside physics", ("implausible_reading",)),
    ConditionKind("missing_readings", "missing readings", metric="coverage"),
    ConditionKind("maintenance", "in maintenance"),
    ConditionKind("any_issue", "any issue", metric="score"),
    ConditionKind("needs_attention", "needs attention", metric="score"),
    *(
        ConditionKind(name, f"status {name.upper()}", statuses=(name,), metric="score")
        for name in _STATUSES
    ),
)

CONDITIONS: Mapping[str, ConditionKind] = MappingProxyType({c.name: c for c in _CONDITIONS})
