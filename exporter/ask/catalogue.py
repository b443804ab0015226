"""What can be asked about: metrics and conditions, each under one name. Data only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from exporter.model.quantities import ROWS
from exporter.model.quantity import Derived, Measurement, Quantity, Question
from scoring.rule import Severity
from scoring.rules import RULES
from scoring.weights import WEIGHTS


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
    source : "score", "component", "reading", "coverage", "scrape" or "past"
        Where in the Assessment it is; ``past`` is known from InfluxDB only. What the fleet file
        says has its own name here.
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

    @property
    def sums_up(self) -> bool:
        """Whether a period is summed up to a total of it, as an energy is."""
        return self.over_time in ("counter", "energy")


def _score(component: str) -> Metric:
    overall = component == "overall"
    return Metric(
        name="score" if overall else f"{component}_score",
        label="score" if overall else f"{component} score",
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


def _of_quantity(row: Quantity | Derived, question: Question) -> Metric:
    """What one way of asking for a quantity means."""
    now = question.over_time == "mean"
    measurement = ""
    fields: tuple[str, ...] = ()
    combine: Literal["active", "min", "max"] = "active"
    if isinstance(row, Quantity):
        measurement, fields = row.measurement.value, (row.name,)
    elif row.sources:
        measurement, fields = Measurement.BATTERY.value, row.sources
        combine = "min" if row.pick == "low" else "max"
    return Metric(
        name=question.name,
        label=question.label or row.label,
        unit=row.unit if now else "kWh",
        decimals=row.decimals if now else 1,
        worse=row.worse if now else "",
        source="reading" if now else "past",
        key=row.name,
        measurement=measurement,
        fields=fields,
        promql=row.gauge.promql if row.gauge and now else "",
        fleet=question.fleet,
        combine=combine,
        steady=question.steady,
        over_time=question.over_time,
    )


_AVAILABILITY = Metric(
    name="availability",
    label="availability",
    unit="%",
    decimals=1,
    worse="low",
    source="past",
    key="online",
    measurement="site",
    fields=("online",),
    promql="100 * avg_over_time(fleetscope_site_up[{range}])",
    over_time="share",
    steady=1.0,
)

_COVERAGE = Metric(
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
)

_RESPONSE_TIME = Metric(
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
)


def _of_fleet_file(name: str, label: str, unit: str) -> Metric:
    """What the fleet file says of a site, and what follows from it."""
    return Metric(
        name=name,
        label=label,
        unit=unit,
        decimals=1,
        worse="",
        source=name,
        key=name,
        measurement="",
        fields=(),
        promql="",
        fleet="sum",
    )


_TABLE = (
    _score("overall"),
    *(_score(component) for component in WEIGHTS),
    *(_of_quantity(row, question) for row in ROWS for question in row.questions),
    _COVERAGE,
    _RESPONSE_TIME,
    _AVAILABILITY,
    _of_fleet_file("capacity", "battery capacity", "kWh"),
    _of_fleet_file("stored_energy", "stored energy", "kWh"),
    _of_fleet_file("free_capacity", "energy that the battery can still take", "kWh"),
    _of_fleet_file("pv_capacity", "PV capacity", "kW"),
)

METRICS: Mapping[str, Metric] = MappingProxyType({metric.name: metric for metric in _TABLE})


def _spellings() -> Mapping[str, tuple[str, ...]]:
    rows = {row.name for row in ROWS}
    found: dict[str, tuple[str, ...]] = {}
    for metric in _TABLE:
        # The energy of a power has no field of its own.
        own = (metric.key, *metric.fields[:1]) if metric.over_time != "energy" else ()
        known = rows if metric.key in rows else {*metric.fields}
        names = [n for n in own if n in known and n not in METRICS and n not in found]
        group = (metric.name, *dict.fromkeys(names))
        found.update(dict.fromkeys(group, group))
    return MappingProxyType(found)


_SPELLINGS = _spellings()


def spellings(name: str) -> tuple[str, ...]:
    """All names of a metric by any of them: in :data:`METRICS`, in readings, in InfluxDB."""
    return _SPELLINGS.get(name, (name,))


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
    absent : str
        The metric of which there is no value.
    alerts : tuple of str
        How the names of the alerts begin that are about it.
    """

    name: str
    label: str
    codes: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()
    metric: str = ""
    absent: str = ""
    alerts: tuple[str, ...] = ()


_OF_STATUS = {
    "offline": ("FleetscopeSiteOffline", "FleetscopeManySitesOffline", "FleetscopeRegionOffline")
}
_STATUSES = ("healthy", "good", "warning", "critical", "offline", "unknown")


def _problems(component: str) -> tuple[str, ...]:
    """Codes of a component's issues that lower the score or call for attention."""
    return tuple(
        rule.code
        for rule in RULES
        if rule.component == component
        and any(level.points or level.severity >= Severity.WARNING for level in rule.levels)
    )


_CONDITIONS = (
    ConditionKind(
        "low_soh",
        "low state of health",
        ("battery_soh",),
        metric="soh",
        alerts=("FleetscopeBatterySoh",),
    ),
    ConditionKind(
        "hot",
        "hot battery",
        ("battery_temperature",),
        metric="temperature",
        alerts=("FleetscopeBatteryTemperature",),
    ),
    ConditionKind(
        "cell_imbalance",
        "cell imbalance",
        ("cell_spread",),
        metric="cell_spread",
        alerts=("FleetscopeCellSpread", "FleetscopeCellTrend", "FleetscopeCellSudden"),
    ),
    ConditionKind(
        "low_soc",
        "low state of charge",
        ("battery_soc",),
        metric="soc",
        alerts=("FleetscopeBatterySoc",),
    ),
    ConditionKind(
        "no_battery_data",
        "no battery reading",
        ("battery_silent",),
        alerts=("FleetscopeBatterySilent",),
    ),
    ConditionKind(
        "battery_problem",
        "battery problem",
        _problems("battery"),
        metric="battery_score",
        alerts=("FleetscopeBattery", "FleetscopeCell"),
    ),
    ConditionKind(
        "no_grid",
        "grid lost",
        ("grid_lost",),
        metric="grid_score",
        alerts=("FleetscopeGridLost", "FleetscopeRegionGridLost"),
    ),
    ConditionKind(
        "off_frequency",
        "grid frequency off",
        ("grid_frequency", "grid_frequency_deviation"),
        metric="grid_frequency",
        alerts=("FleetscopeGridFrequency",),
    ),
    ConditionKind(
        "off_voltage",
        "grid voltage off",
        ("grid_voltage",),
        metric="grid_voltage",
        alerts=("FleetscopeGridVoltage",),
    ),
    ConditionKind("unsteady_grid", "unsteady grid", ("grid_unsteady",), metric="grid_score"),
    ConditionKind(
        "grid_problem",
        "grid problem",
        _problems("grid"),
        metric="grid_score",
        alerts=("FleetscopeGrid", "FleetscopeRegionGrid"),
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
        _problems("connectivity"),
        metric="connectivity_score",
    ),
    ConditionKind(
        "device_alarm", "device alarm", ("device_alarm",), alerts=("FleetscopeDeviceAlarm",)
    ),
    ConditionKind("device_message", "device alarm or warning", ("device_alarm", "device_warning")),
    ConditionKind("implausible", "value outside physics", ("implausible_reading",)),
    ConditionKind("missing_readings", "missing readings", metric="coverage"),
    ConditionKind("maintenance", "in maintenance"),
    ConditionKind("any_issue", "any issue", metric="score"),
    ConditionKind("needs_attention", "needs attention", metric="score"),
    *(
        ConditionKind(
            name,
            f"status {name.upper()}",
            statuses=(name,),
            metric="score",
            alerts=_OF_STATUS.get(name, ()),
        )
        for name in _STATUSES
    ),
    *(
        ConditionKind(f"no_{metric.name}", f"no {metric.label}", absent=metric.name)
        for metric in METRICS.values()
        if metric.source == "reading"
    ),
)

CONDITIONS: Mapping[str, ConditionKind] = MappingProxyType({c.name: c for c in _CONDITIONS})
