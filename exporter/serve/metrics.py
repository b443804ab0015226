"""Prometheus metrics, collected from the latest Assessment so that a removed site vanishes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from exporter import __version__
from exporter.assess.assessment import FleetAssessment
from exporter.config.fleet import Contact
from exporter.config.maintenance import in_maintenance
from exporter.model.quantities import ROWS
from exporter.store.queue_stats import SpoolNumbers
from scoring.issues import FloatArray
from scoring.rules import DEVICE_ALARM, DEVICE_WARNING
from scoring.status import STATUSES

PREFIX = "fleetscope_"
ALARMS_SHOWN = 10
WORST_CELLS = 5


@dataclass(frozen=True, slots=True)
class Description:
    """One metric: kind (``gauge`` or ``counter``), help text and labels."""

    kind: str
    help: str
    labels: tuple[str, ...] = ()


WITH_GAUGES = tuple(row for row in ROWS if row.gauge)


def _quantity_gauges() -> dict[str, Description]:
    return {
        row.gauge.name: Description(
            "gauge",
            row.gauge.help,
            ("site", "pack") if row.gauge.per_battery else ("site",),
        )
        for row in WITH_GAUGES
        if row.gauge
    }


METRICS: Mapping[str, Description] = MappingProxyType(
    {
        "site_info": Description(
            "gauge",
            "What the fleet file says of a site; always 1, to be joined on site",
            (
                "site",
                "name",
                "region",
                "vendor",
                "battery_type",
                "priority",
                "location",
                "latitude",
                "longitude",
                "timezone",
                "contact",
                "phone",
                "email",
            ),
        ),
        "site_up": Description(
            "gauge", "1 if the latest scrape of the site gave readings, 0 if it did not", ("site",)
        ),
        "site_health_score": Description(
            "gauge", "Overall health from 0 to 100; 0 while the site is offline", ("site",)
        ),
        "site_component_score": Description(
            "gauge",
            "Health of one component from 0 to 100; absent while nothing is known of it",
            ("site", "component"),
        ),
        "site_status": Description(
            "gauge",
            "State set: 1 for the status that the site has, 0 for the others",
            ("site", "status"),
        ),
        "site_issue": Description(
            "gauge",
            "1 while the site has this issue; absent otherwise",
            ("site", "code", "severity"),
        ),
        "site_issue_value": Description(
            "gauge",
            "Value that an active issue was judged by, in its unit, a percentage as a ratio; "
            "absent where the issue has none",
            ("site", "code"),
        ),
        "site_issue_threshold": Description(
            "gauge",
            "Limit that the value of an active issue has passed, in the same unit",
            ("site", "code"),
        ),
        "device_alarm_level": Description(
            "gauge",
            "Level of an alarm that a device reports: 1 warning, 2 alarm; absent otherwise, and "
            "at most 10 of a site",
            ("site", "device", "alarm"),
        ),
        "site_maintenance": Description(
            "gauge",
            "1 while the fleet file says that the site is being worked on; absent otherwise",
            ("site",),
        ),
        "common_issue_sites": Description(
            "gauge",
            "Sites of one region or battery type that share an issue beyond chance",
            ("code", "attribute", "value"),
        ),
        "common_issue_group_sites": Description(
            "gauge",
            "Assessed sites of a region or battery type that explains a shared issue",
            ("code", "attribute", "value"),
        ),
        "site_coverage_ratio": Description(
            "gauge",
            "Share of the inputs that a full judgement needs which the site gave",
            ("site",),
        ),
        "site_rank": Description(
            "gauge", "Place in the order of attention; 1 needs it most", ("site",)
        ),
        "site_outlier_score": Description(
            "gauge",
            "Robust z score against comparable sites; beyond 3.5 either way is an outlier",
            ("site", "metric"),
        ),
        "site_scrape_duration_seconds": Description(
            "gauge", "Duration of the latest scrape of the site", ("site",)
        ),
        "site_scrapes_total": Description(
            "counter", "Scrapes of the site by how they ended", ("site", "outcome")
        ),
        "site_last_success_timestamp_seconds": Description(
            "gauge", "Unix time of the latest scrape that gave readings", ("site",)
        ),
        "site_implausible_readings_total": Description(
            "counter", "Values outside physics, kept out of scores and storage", ("site",)
        ),
        **_quantity_gauges(),
        "cell_finding": Description(
            "gauge",
            "1 while the history of a cell says this of it; of the worst cells of a site only",
            ("site", "pack", "cell", "reason", "severity"),
        ),
        "cell_deviation_volts": Description(
            "gauge",
            "Distance of such a cell from the median of its pack at rest",
            ("site", "pack", "cell"),
        ),
        "cell_forecast_seconds": Description(
            "gauge",
            "Time until such a cell is so many millivolts off its pack's median at rest, by its "
            "trend; 0 where it is, absent without a trend that leads there",
            ("site", "pack", "cell", "millivolts"),
        ),
        "cell_analysis_timestamp_seconds": Description(
            "gauge", "Unix time at which the stored cells of a site were analysed last"
        ),
        "cell_analysis_interval_seconds": Description(
            "gauge", "Time in which the stored cells of all sites are analysed once"
        ),
        "fleet_sites": Description("gauge", "Sites in the fleet file"),
        "scrape_loop_lag_seconds": Description(
            "gauge", "Longest delay of a scrape behind its time in the last minute or two"
        ),
        "scrapes_skipped_total": Description(
            "counter", "Turns left out because the scrape before had not ended"
        ),
        "assessment_timestamp_seconds": Description(
            "gauge", "Unix time of the assessment that the site metrics show"
        ),
        "assessment_duration_seconds": Description(
            "gauge", "CPU seconds that the latest assessment of the fleet took"
        ),
        "points_total": Description(
            "counter",
            "Points for InfluxDB by fate: produced = written + spooled + rejected + dropped at "
            "any moment; spooled is what waits now and is the one fate that falls again",
            ("fate",),
        ),
        "spool_bytes": Description("gauge", "Compressed bytes that wait for InfluxDB"),
        "spool_oldest_timestamp_seconds": Description(
            "gauge", "Unix time of the oldest batch that waits; absent while none does"
        ),
        "spool_limit_bytes": Description(
            "gauge", "Compressed bytes that may wait; beyond them points are dropped"
        ),
        "spool_longest_seconds": Description(
            "gauge", "Age at which points on disk are dropped; absent without a queue on disk"
        ),
        "spool_durable": Description(
            "gauge",
            "1 while what waits is on disk, 0 while the disk cannot be written and it waits in "
            "memory; absent without a queue on disk",
        ),
        "influxdb_writes_total": Description("counter", "Batches sent to InfluxDB"),
        "influxdb_errors_total": Description(
            "counter", "Batches or requests that InfluxDB did not accept"
        ),
        "rollup_last_success_timestamp_seconds": Description(
            "gauge",
            "Unix time at which the roll-ups were last brought up to date, at first that of the"
            " start; absent without roll-ups",
        ),
        "clock_steps_total": Description(
            "counter", "Steps of the system clock by a second or more"
        ),
        "config_last_reload_successful": Description(
            "gauge", "1 if the fleet file now on disk is in force, 0 if it was refused"
        ),
        "config_last_reload_success_timestamp_seconds": Description(
            "gauge", "Unix time at which the fleet file in force was taken"
        ),
        "access_config_last_reload_successful": Description(
            "gauge",
            "1 if the web_config or site_secrets file now on disk is in force, 0 if it was refused;"
            " absent where none is named",
            ("file",),
        ),
        "build_info": Description("gauge", "Version of the exporter; always 1", ("version",)),
    }
)


@dataclass(frozen=True, slots=True)
class ServiceNumbers:
    """What the service tells of itself, read at each scrape of ``/metrics``."""

    lag_seconds: float
    skipped: int
    clock_steps: int
    assessment_seconds: float
    spool: SpoolNumbers
    writes: int
    write_errors: int
    cells_every: float | None
    rollups_time: float | None
    reload_successful: bool
    reload_time: float
    access_files: Mapping[str, bool] = field(default_factory=dict)


class FleetCollector(Collector):
    """Yields all metrics from what two callables return at that moment."""

    def __init__(
        self,
        latest: Callable[[], FleetAssessment],
        numbers: Callable[[], ServiceNumbers],
        *,
        contacts: bool = True,
    ) -> None:
        self._latest = latest
        self._numbers = numbers
        self._contacts = contacts

    def describe(self) -> Iterable[Metric]:
        """Metrics without samples, so that registering them needs no Assessment."""
        return [_family(name) for name in METRICS]

    def collect(self) -> Iterator[Metric]:
        """See :class:`prometheus_client.registry.Collector`."""
        assessment = self._latest()
        yield from _site_metrics(assessment, self._contacts)
        yield from _reading_metrics(assessment)
        yield from _cell_metrics(assessment)
        yield from _own_metrics(assessment, self._numbers())


def registry(
    latest: Callable[[], FleetAssessment],
    numbers: Callable[[], ServiceNumbers],
    *,
    contacts: bool = True,
) -> CollectorRegistry:
    """A registry with the fleet's metrics and those of the process; contacts blank if need be."""
    made = CollectorRegistry(auto_describe=False)
    made.register(FleetCollector(latest, numbers, contacts=contacts))
    ProcessCollector(registry=made)
    PlatformCollector(registry=made)
    GCCollector(registry=made)
    return made


def _family(name: str) -> CounterMetricFamily | GaugeMetricFamily:
    described = METRICS[name]
    kind = CounterMetricFamily if described.kind == "counter" else GaugeMetricFamily
    return kind(PREFIX + name, described.help, labels=described.labels)


def _single(name: str, value: float) -> Metric:
    family = _family(name)
    family.add_metric([], value)
    return family


def _per_site(name: str, sites: list[str], values: FloatArray, scale: float = 1.0) -> Metric:
    """One sample for each site that has the value; a missing one leaves no sample."""
    family = _family(name)
    for site, value in zip(sites, values.tolist(), strict=True):
        if not math.isnan(value):
            family.add_metric([site], value * scale)
    return family


def _site_metrics(assessment: FleetAssessment, contacts: bool) -> Iterator[Metric]:
    scores = assessment.scores
    sites = [site.id for site in assessment.fleet.sites]
    assessed = [not math.isnan(up) for up in assessment.up.tolist()]

    info = _family("site_info")
    for place in assessment.fleet.sites:
        contact = (place.contact if contacts else None) or Contact()
        texts = (
            *(place.title, place.region, place.vendor, place.battery_type, place.priority),
            place.location,
            *(None if n is None else f"{n:g}" for n in (place.latitude, place.longitude)),
            place.timezone,
            *(contact.name, contact.phone, contact.email),
        )
        info.add_metric([place.id, *(text or "" for text in texts)], 1)
    yield info

    yield _per_site("site_up", sites, assessment.up)
    yield _per_site("site_health_score", sites, scores.overall.score)
    component = _family("site_component_score")
    for part in scores.components:
        for site, value in zip(sites, part.score.tolist(), strict=True):
            if not math.isnan(value):
                component.add_metric([site, part.name], value)
    yield component

    status = _family("site_status")
    for site, code, known in zip(sites, scores.overall.status.tolist(), assessed, strict=True):
        if known:
            for state in STATUSES:
                status.add_metric([site, state.name], 1.0 if code == state else 0.0)
    yield status

    yield from _issue_metrics(assessment, sites)
    yield from _common_metrics(assessment)

    maintenance = _family("site_maintenance")
    for place in assessment.fleet.sites:
        if in_maintenance(assessment.fleet, place, assessment.time):
            maintenance.add_metric([place.id], 1.0)
    yield maintenance

    coverage, rank = _family("site_coverage_ratio"), _family("site_rank")
    for row, site in enumerate(sites):
        if assessed[row]:
            coverage.add_metric([site], float(scores.overall.coverage[row]))
            rank.add_metric([site], float(scores.attention[row]))
    yield coverage
    yield rank

    outlier = _family("site_outlier_score")
    for name, found in scores.outliers.items():
        for site, z in zip(sites, found.z.tolist(), strict=True):
            if not math.isnan(z):
                outlier.add_metric([site, name], z)
    yield outlier

    yield _per_site("site_scrape_duration_seconds", sites, assessment.duration)
    yield _per_site("site_last_success_timestamp_seconds", sites, assessment.last_success)
    scrapes, implausible = _family("site_scrapes_total"), _family("site_implausible_readings_total")
    for site, view in zip(sites, assessment.records, strict=True):
        for outcome, count in view.outcomes.items():
            scrapes.add_metric([site, outcome.value], count)
        if view.implausible_total:
            implausible.add_metric([site], view.implausible_total)
    yield scrapes
    yield implausible


def _issue_metrics(assessment: FleetAssessment, sites: list[str]) -> Iterator[Metric]:
    issue, alarm = _family("site_issue"), _family("device_alarm_level")
    value, threshold = _family("site_issue_value"), _family("site_issue_threshold")
    for site, issues, view in zip(sites, assessment.issues, assessment.records, strict=True):
        # A site that does not answer has no such issue, and what it said before is old.
        if {DEVICE_ALARM.code, DEVICE_WARNING.code} & {active.code for active in issues}:
            worst = sorted(view.alarms.items(), key=lambda item: (-item[1], item[0]))
            for (device, name), level in worst[:ALARMS_SHOWN]:
                alarm.add_metric([site, device, name], level)
        for active in issues:
            scale = 0.01 if active.unit == "%" else 1.0
            issue.add_metric([site, active.code, active.severity], 1.0)
            if active.value is not None:
                value.add_metric([site, active.code], active.value * scale)
            if active.threshold is not None:
                threshold.add_metric([site, active.code], active.threshold * scale)
    yield issue
    yield alarm
    yield value
    yield threshold


def _common_metrics(assessment: FleetAssessment) -> Iterator[Metric]:
    shared, group = _family("common_issue_sites"), _family("common_issue_group_sites")
    for issue in assessment.common:
        if issue.attribute is not None and issue.value is not None:
            names = [issue.code, issue.attribute, issue.value]
            shared.add_metric(names, issue.sites)
            group.add_metric(names, issue.group_size)
    yield shared
    yield group


def _reading_metrics(assessment: FleetAssessment) -> Iterator[Metric]:
    sites = [site.id for site in assessment.fleet.sites]
    for row in WITH_GAUGES:
        gauge = row.gauge
        if gauge is None:
            continue
        if not gauge.per_battery:
            yield _per_site(gauge.name, sites, assessment.readings[row.name], gauge.scale)
            continue
        family = _family(gauge.name)
        for site, view in zip(sites, assessment.records, strict=True):
            for pack, value in view.of_batteries[row.name].items():
                family.add_metric([site, pack], value * gauge.scale)
        yield family


def _cell_metrics(assessment: FleetAssessment) -> Iterator[Metric]:
    finding, deviation = _family("cell_finding"), _family("cell_deviation_volts")
    ahead, analysed = _family("cell_forecast_seconds"), _family("cell_analysis_timestamp_seconds")
    times = [cells.time for cells in assessment.cells.values() if cells.fault is None]
    if times:
        analysed.add_metric([], max(times))
    for site, cells in assessment.cells.items():
        for pack, cell, said in cells.worst(WORST_CELLS):
            names = [site, pack.pack, cell.cell]
            for one in said:
                finding.add_metric([*names, one.reason, one.severity], 1.0)
            if cell.deviation_v is not None:
                deviation.add_metric(names, cell.deviation_v)
            for forecast in cell.forecasts:
                if forecast.days is not None:
                    ahead.add_metric([*names, f"{forecast.millivolts}"], forecast.days * 86_400.0)
    yield finding
    yield deviation
    yield ahead
    yield analysed


def _own_metrics(assessment: FleetAssessment, numbers: ServiceNumbers) -> Iterator[Metric]:
    yield _single("fleet_sites", len(assessment.fleet.sites))
    yield _single("scrape_loop_lag_seconds", numbers.lag_seconds)
    yield _single("scrapes_skipped_total", numbers.skipped)
    yield _single("assessment_timestamp_seconds", assessment.time)
    yield _single("assessment_duration_seconds", numbers.assessment_seconds)
    points = _family("points_total")
    spool = numbers.spool
    for fate, count in spool.points.items():
        points.add_metric([fate.value], count)
    yield points
    yield _single("spool_bytes", spool.bytes)
    yield _single("spool_limit_bytes", spool.limit_bytes)
    for name, value in (
        ("spool_oldest_timestamp_seconds", spool.oldest),
        ("spool_longest_seconds", spool.longest_seconds),
        ("spool_durable", None if spool.durable is None else float(spool.durable)),
    ):
        if value is not None:
            yield _single(name, value)
    yield _single("influxdb_writes_total", numbers.writes)
    yield _single("influxdb_errors_total", numbers.write_errors)
    if numbers.cells_every is not None:
        yield _single("cell_analysis_interval_seconds", numbers.cells_every)
    if numbers.rollups_time is not None:
        yield _single("rollup_last_success_timestamp_seconds", numbers.rollups_time)
    yield _single("clock_steps_total", numbers.clock_steps)
    yield _single("config_last_reload_successful", float(numbers.reload_successful))
    yield _single("config_last_reload_success_timestamp_seconds", numbers.reload_time)
    access = _family("access_config_last_reload_successful")
    for file, successful in numbers.access_files.items():
        access.add_metric([file], float(successful))
    yield access
    build = _family("build_info")
    build.add_metric([__version__], 1)
    yield build
