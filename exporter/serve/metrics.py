"""Prometheus metrics, collected from the latest Assessment so that a removed site vanishes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

import numpy as np
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from exporter import __version__
from exporter.assess.assessment import FleetAssessment
from exporter.config.fleet import Contact
from exporter.config.maintenance import in_maintenance
from exporter.serve.metric_families import FAMILIES, PREFIX, WITH_GAUGES
from exporter.serve.order_metrics import order_metrics, plant_metrics
from exporter.serve.publication import ServiceNumbers
from exporter.serve.site_series import Kept, Labels, SiteIds, SiteSeries
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
        # What depends on the fleet file alone, with the fleet that it was made of.
        none = SiteIds([])
        self._of_fleet: tuple[object, SiteIds, Metric] = (None, none, _series("site_info", none))

    def describe(self) -> Iterable[Metric]:
        """Metrics without samples, so that registering them needs no Assessment."""
        return [_family(name) for name in FAMILIES]

    def collect(self) -> Iterator[Metric]:
        """See :class:`prometheus_client.registry.Collector`."""
        assessment = self._latest()
        fleet, sites, info = self._of_fleet
        if fleet is not assessment.fleet:
            every = assessment.fleet.sites
            sites = SiteIds([site.id for site in every], [site.project for site in every])
            info = Kept(_info(assessment, sites))
            self._of_fleet = (assessment.fleet, sites, info)
        yield from _site_metrics(assessment, sites, info)
        yield from _reading_metrics(assessment, sites)
        for metric in _cell_metrics(assessment):
            yield _with_projects(metric, sites.projects)
        yield from plant_metrics(assessment)
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
            numbers = self._numbers()
            yield from _own_metrics(numbers)
            if numbers.orders is not None:
                for metric in order_metrics(numbers.orders):
                    yield _with_projects(metric, sites.projects)


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


def _series(name: str, sites: SiteIds) -> SiteSeries:
    described = FAMILIES[name]
    return SiteSeries(PREFIX + name, described.help, described.kind, sites)


def _per_site(name: str, sites: SiteIds, values: FloatArray, scale: float = 1.0) -> Metric:
    """One sample for each site that has the value."""
    series = _series(name, sites)
    series.add_known(values * scale)
    return series


class _Rows:
    """Gathers samples of a metric one by one."""

    def __init__(self) -> None:
        self._rows: list[int] = []
        self._labels: list[Labels] = []
        self._values: list[float] = []

    def add(self, row: int, value: float, *labels: tuple[str, str]) -> None:
        self._rows.append(row)
        self._labels.append(labels)
        self._values.append(value)

    def of(self, name: str, sites: SiteIds) -> SiteSeries:
        """The metric of that name."""
        series = _series(name, sites)
        if self._rows:
            series.add_rows(self._rows, self._labels, self._values)
        return series


def _with_projects(metric: Metric, projects: Mapping[str, str]) -> Metric:
    """The metric with a label for the project of each site that has one."""
    if projects:
        metric.samples = [
            sample._replace(labels=sample.labels | {"project": project})
            if (project := projects.get(sample.labels.get("site", "")))
            else sample
            for sample in metric.samples
        ]
    return metric


def _site_metrics(assessment: FleetAssessment, sites: SiteIds, info: Metric) -> Iterator[Metric]:
    yield info
    yield _per_site("site_up", sites, assessment.up)
    yield from _score_metrics(assessment, sites)
    yield from _issue_metrics(assessment, sites)
    yield from _common_metrics(assessment)
    maintenance = _Rows()
    for row, site in enumerate(assessment.fleet.sites):
        if in_maintenance(assessment.fleet, site, assessment.time):
            maintenance.add(row, 1.0)
    yield maintenance.of("site_maintenance", sites)
    yield _per_site("site_scrape_duration_seconds", sites, assessment.duration)
    yield _per_site("site_last_success_timestamp_seconds", sites, assessment.last_success)
    scrapes, implausible = _Rows(), _Rows()
    ways, changes = _Rows(), _Rows()
    for row, view in enumerate(assessment.records):
        if view.way:
            ways.add(row, 1.0, ("way", view.way))
            changes.add(row, view.way_changes)
        for outcome, count in view.outcomes.items():
            scrapes.add(row, count, ("outcome", outcome.value))
        if view.implausible_total:
            implausible.add(row, view.implausible_total)
    yield scrapes.of("site_scrapes_total", sites)
    yield implausible.of("site_implausible_readings_total", sites)
    yield ways.of("site_way_in", sites)
    yield changes.of("site_way_changes_total", sites)


def _info(assessment: FleetAssessment, sites: SiteIds) -> SiteSeries:
    rows = _Rows()
    names = FAMILIES["site_info"].labels[1:]
    for row, site in enumerate(assessment.fleet.sites):
        contact = site.contact or Contact()
        texts = (
            *(site.title, site.region, site.vendor, site.battery_type, site.kind, site.priority),
            site.location,
            *(None if n is None else f"{n:g}" for n in (site.latitude, site.longitude)),
            site.timezone,
            *(contact.name, contact.phone, contact.email),
        )
        labels = zip(names, (text or "" for text in texts), strict=True)
        rows.add(row, 1.0, *labels)
    return rows.of("site_info", sites)


def _score_metrics(assessment: FleetAssessment, sites: SiteIds) -> Iterator[Metric]:
    """Scores, statuses, coverage, ranks and outliers; the sites that were tried have any."""
    scores = assessment.scores
    yield _per_site("site_health_score", sites, scores.overall.score)
    component = _series("site_component_score", sites)
    for part in scores.components:
        component.add_known(part.score, ("component", part.name))
    yield component
    known = np.flatnonzero(~np.isnan(assessment.up))
    rows = known.tolist()
    status = _series("site_status", sites)
    held = scores.overall.status[known][:, None] == np.array(STATUSES)
    states = [(("status", state.name),) for state in STATUSES]
    status.add_rows(known.repeat(len(states)).tolist(), states, held.astype(np.float64).ravel())
    yield status
    for name, values in (
        ("site_coverage_ratio", scores.overall.coverage),
        ("site_rank", scores.attention),
    ):
        series = _series(name, sites)
        series.add_rows(rows, ((),), values[known].astype(np.float64))
        yield series
    outlier = _series("site_outlier_score", sites)
    for name, found in scores.outliers.items():
        outlier.add_known(found.z, ("metric", name))
    yield outlier


def _issue_metrics(assessment: FleetAssessment, sites: SiteIds) -> Iterator[Metric]:
    issue, alarm, value, threshold = _Rows(), _Rows(), _Rows(), _Rows()
    for row, (issues, view) in enumerate(zip(assessment.issues, assessment.records, strict=True)):
        if not issues:
            continue
        # A site that does not answer has no such issue, and what it said before is old.
        if {DEVICE_ALARM.code, DEVICE_WARNING.code} & {active.code for active in issues}:
            worst = sorted(view.alarms.items(), key=lambda item: (-item[1], item[0]))
            for (device, name), level in worst[:ALARMS_SHOWN]:
                alarm.add(row, level, ("device", device), ("alarm", name))
        for active in issues:
            scale = 0.01 if active.unit == "%" else 1.0
            code = ("code", active.code)
            issue.add(row, 1.0, code, ("severity", active.severity))
            if active.value is not None:
                value.add(row, active.value * scale, code)
            if active.threshold is not None:
                threshold.add(row, active.threshold * scale, code)
    yield issue.of("site_issue", sites)
    yield alarm.of("device_alarm_level", sites)
    yield value.of("site_issue_value", sites)
    yield threshold.of("site_issue_threshold", sites)


def _common_metrics(assessment: FleetAssessment) -> Iterator[Metric]:
    shared, group = _family("common_issue_sites"), _family("common_issue_group_sites")
    rank = _family("common_issue_rank")
    for place, issue in enumerate(assessment.common, start=1):
        if issue.attribute is not None and issue.value is not None:
            names = [issue.code, issue.attribute, issue.value]
            shared.add_metric(names, issue.sites)
            group.add_metric(names, issue.group_size)
            rank.add_metric([*names, issue.follows or ""], place)
    yield shared
    yield group
    yield rank


def _reading_metrics(assessment: FleetAssessment, sites: SiteIds) -> Iterator[Metric]:
    for row in WITH_GAUGES:
        gauge = row.gauge
        if gauge is None:
            continue
        if not gauge.per_battery:
            yield _per_site(gauge.name, sites, assessment.readings[row.name], gauge.scale)
            continue
        of_batteries = _Rows()
        for number, view in enumerate(assessment.records):
            for pack in view.packs:
                if row.name in pack.fresh:
                    value = pack.readings[row.name] * gauge.scale
                    of_batteries.add(number, value, ("pack", pack.device))
        yield of_batteries.of(gauge.name, sites)


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
    if numbers.all_sites is not None:
        yield _single("fleet_file_sites", numbers.all_sites)
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
    if numbers.spools:
        ratio = _family("database_spool_ratio")
        oldest = _family("database_spool_oldest_timestamp_seconds")
        for project, own in numbers.spools.items():
            ratio.add_metric([project or ""], own.bytes / own.limit_bytes)
            if own.oldest is not None:
                oldest.add_metric([project or ""], own.oldest)
        yield ratio
        yield oldest
    yield _single("influxdb_writes_total", numbers.writes)
    yield _single("influxdb_errors_total", numbers.write_errors)
    if numbers.cells_every is not None:
        yield _single("cell_analysis_interval_seconds", numbers.cells_every)
    if numbers.rollups_time is not None:
        yield _single("rollup_last_success_timestamp_seconds", numbers.rollups_time)
    if total := sum(numbers.energy_lookups.values()):
        yield _single("energy_cache_hit_ratio", numbers.energy_lookups["hit"] / total)
    yield _single("clock_steps_total", numbers.clock_steps)
    yield _single("config_last_reload_successful", float(numbers.reload_successful))
    yield _single("config_last_reload_success_timestamp_seconds", numbers.reload_time)
    access = _family("access_config_last_reload_successful")
    for file, successful in numbers.access_files.items():
        access.add_metric([file], float(successful))
    yield access
