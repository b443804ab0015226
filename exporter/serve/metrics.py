"""Prometheus metrics, collected from the latest Assessment so that a removed site vanishes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from exporter import __version__
from exporter.assess.assessment import FleetAssessment
from exporter.config.fleet import Contact
from exporter.config.maintenance import in_maintenance
from exporter.serve.metric_families import FAMILIES, PREFIX, WITH_GAUGES
from exporter.serve.publication import ServiceNumbers
from scoring.issues import FloatArray
from scoring.rules import DEVICE_ALARM, DEVICE_WARNING
from scoring.status import STATUSES

ALARMS_SHOWN = 10
WORST_CELLS = 5


class FleetCollector(Collector):
    """Yields all metrics from what two callables return at that moment.

    Without numbers of the service they are those of the sites alone.
    """

    def __init__(
        self,
        latest: Callable[[], FleetAssessment],
        numbers: Callable[[], ServiceNumbers] | None,
        page_url: Callable[[], str] = str,
    ) -> None:
        self._latest = latest
        self._numbers = numbers
        self._page_url = page_url

    def describe(self) -> Iterable[Metric]:
        """Metrics without samples, so that registering them needs no Assessment."""
        return [_family(name) for name in FAMILIES]

    def collect(self) -> Iterator[Metric]:
        """See :class:`prometheus_client.registry.Collector`."""
        assessment = self._latest()
        projects = {site.id: site.project for site in assessment.fleet.sites if site.project}
        for metric in _of_sites(assessment):
            yield _with_projects(metric, projects) if projects else metric
        yield _single("fleet_sites", len(assessment.fleet.sites))
        yield _single("assessment_timestamp_seconds", assessment.time)
        build = _family("build_info")
        build.add_metric([__version__], 1)
        yield build
        page = _family("page_info")
        if url := self._page_url():
            page.add_metric([url], 1)
        yield page
        if self._numbers is not None:
            yield from _own_metrics(self._numbers())


def registry(
    latest: Callable[[], FleetAssessment],
    numbers: Callable[[], ServiceNumbers] | None,
    page_url: Callable[[], str] = str,
) -> CollectorRegistry:
    """A registry with the metrics of the sites and, with numbers, those of the service.

    ``page_url`` gives the address of the page as a browser reaches it, empty where it is not known.
    """
    made = CollectorRegistry(auto_describe=False)
    made.register(FleetCollector(latest, numbers, page_url))
    if numbers is None:
        return made
    ProcessCollector(pid=lambda: numbers().process_id or "self", registry=made)
    PlatformCollector(registry=made)
    GCCollector(registry=made)
    return made


def _family(name: str) -> CounterMetricFamily | GaugeMetricFamily:
    described = FAMILIES[name]
    kind = CounterMetricFamily if described.kind == "counter" else GaugeMetricFamily
    return kind(PREFIX + name, described.help, labels=described.labels)


def _single(name: str, value: float) -> Metric:
    family = _family(name)
    family.add_metric([], value)
    return family


def _per_site(name: str, sites: list[str], values: FloatArray, scale: float = 1.0) -> Metric:
    """One sample for each site that has the value."""
    family = _family(name)
    _add_known(family, sites, values * scale)
    return family


def _add_known(
    family: CounterMetricFamily | GaugeMetricFamily,
    sites: list[str],
    values: FloatArray,
    *labels: str,
) -> None:
    """A sample for each site that has the value; a missing one leaves none."""
    for site, value in zip(sites, values.tolist(), strict=True):
        if not math.isnan(value):
            family.add_metric([site, *labels], value)


def _of_sites(assessment: FleetAssessment) -> Iterator[Metric]:
    yield from _site_metrics(assessment)
    yield from _reading_metrics(assessment)
    yield from _cell_metrics(assessment)


def _with_projects(metric: Metric, projects: Mapping[str, str]) -> Metric:
    """The metric with a label for the project of each site that has one."""
    metric.samples = [
        sample._replace(labels=sample.labels | {"project": project})
        if (project := projects.get(sample.labels.get("site", "")))
        else sample
        for sample in metric.samples
    ]
    return metric


def _site_metrics(assessment: FleetAssessment) -> Iterator[Metric]:
    sites = [site.id for site in assessment.fleet.sites]
    assessed = [not math.isnan(up) for up in assessment.up.tolist()]
    yield _info(assessment)
    yield _per_site("site_up", sites, assessment.up)
    yield from _score_metrics(assessment, sites, assessed)
    yield from _issue_metrics(assessment, sites)
    yield from _common_metrics(assessment)
    maintenance = _family("site_maintenance")
    for site in assessment.fleet.sites:
        if in_maintenance(assessment.fleet, site, assessment.time):
            maintenance.add_metric([site.id], 1.0)
    yield maintenance
    yield _per_site("site_scrape_duration_seconds", sites, assessment.duration)
    yield _per_site("site_last_success_timestamp_seconds", sites, assessment.last_success)
    scrapes, implausible = _family("site_scrapes_total"), _family("site_implausible_readings_total")
    for site_id, view in zip(sites, assessment.records, strict=True):
        for outcome, count in view.outcomes.items():
            scrapes.add_metric([site_id, outcome.value], count)
        if view.implausible_total:
            implausible.add_metric([site_id], view.implausible_total)
    yield scrapes
    yield implausible


def _info(assessment: FleetAssessment) -> Metric:
    info = _family("site_info")
    for site in assessment.fleet.sites:
        contact = site.contact or Contact()
        texts = (
            *(site.title, site.region, site.vendor, site.battery_type, site.priority),
            site.location,
            *(None if n is None else f"{n:g}" for n in (site.latitude, site.longitude)),
            site.timezone,
            *(contact.name, contact.phone, contact.email),
        )
        info.add_metric([site.id, *(text or "" for text in texts)], 1)
    return info


def _score_metrics(
    assessment: FleetAssessment, sites: list[str], assessed: list[bool]
) -> Iterator[Metric]:
    """Scores, statuses, coverage, ranks and outliers; ``assessed`` says which sites have any."""
    scores = assessment.scores
    yield _per_site("site_health_score", sites, scores.overall.score)
    component = _family("site_component_score")
    for part in scores.components:
        _add_known(component, sites, part.score, part.name)
    yield component
    status = _family("site_status")
    coverage, rank = _family("site_coverage_ratio"), _family("site_rank")
    for row, (site, known) in enumerate(zip(sites, assessed, strict=True)):
        if known:
            for state in STATUSES:
                held = scores.overall.status[row] == state
                status.add_metric([site, state.name], 1.0 if held else 0.0)
            coverage.add_metric([site], float(scores.overall.coverage[row]))
            rank.add_metric([site], float(scores.attention[row]))
    yield status
    yield coverage
    yield rank
    outlier = _family("site_outlier_score")
    for name, found in scores.outliers.items():
        _add_known(outlier, sites, found.z, name)
    yield outlier


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


def _own_metrics(numbers: ServiceNumbers) -> Iterator[Metric]:
    yield _single("scrape_loop_lag_seconds", numbers.lag_seconds)
    yield _single("scrapes_skipped_total", numbers.skipped)
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
