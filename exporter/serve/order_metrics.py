"""Metrics of orders, from what the dispatcher published last."""

from __future__ import annotations

import math
from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from exporter.assess.assessment import FleetAssessment
from exporter.control.order_views import OrderBook, SiteOrders
from exporter.control.plant_view import plant_of
from exporter.serve.metric_families import FAMILIES, PREFIX

_SINGLE = {
    "order_expires_timestamp_seconds": "expires",
    "order_write_age_seconds": "written_seconds",
    "order_reversion_seconds": "reversion_seconds",
    "order_release_owed_timestamp_seconds": "release_owed_since",
}
MODES = ("off", "dry", "on")


def order_metrics(book: OrderBook) -> Iterator[Metric]:
    """The families; a site without an open order has no series."""
    mode = _gauge("dispatch_mode")
    for name in MODES:
        mode.add_metric([name], float(name == book.mode))
    yield mode
    writable = _gauge("dispatch_journal_writable")
    writable.add_metric([], float(book.journal_failure is None))
    yield writable
    writes = _counter("dispatch_writes_total")
    writes.add_metric([], book.writes)
    yield writes
    rows = _counter("orders_total")
    for state, count in book.counts.items():
        rows.add_metric([state], count)
    yield rows
    limits = _counter("order_limits_total")
    for reason, count in book.limits.items():
        limits.add_metric([reason], count)
    yield limits
    response = _counter("order_response_seconds_total")
    response.add_metric([], book.response_seconds)
    yield response
    foreign = _gauge("site_foreign_setpoint_watts")
    for site, value in book.foreign.items():
        foreign.add_metric([site], value)
    yield foreign
    in_force = _gauge("orders_in_force")
    in_force.add_metric([], float(sum(one.forced for one in book.sites)))
    yield in_force
    yield _persistent(book)
    yield from _of_sites(book.sites)


def _of_sites(sites: tuple[SiteOrders, ...]) -> Iterator[Metric]:
    power, info = _gauge("order_power_watts"), _gauge("order_info")
    families = {name: _gauge(name) for name in _SINGLE}
    for one in sites:
        if one.order:
            info.add_metric([one.site, one.action, one.source, one.state], 1)
            kinds = {
                "wanted": one.wanted_w,
                "allowed": one.allowed_w,
                "measured": one.measured_w,
            }
            for kind, value in kinds.items():
                if not math.isnan(value):
                    power.add_metric([one.site, kind], value)
        for name, field in _SINGLE.items():
            known: float = getattr(one, field)
            if not math.isnan(known):
                families[name].add_metric([one.site], known)
    yield power
    yield info
    yield from families.values()


def _persistent(book: OrderBook) -> Metric:
    """Shown as 0 without an order, so that its last sample tells what a dead exporter left."""
    family = _gauge("order_persistent_end_timestamp_seconds")
    ends = {one.site: one.persistent_end for one in book.sites}
    known = {site: end for site, end in ends.items() if not math.isnan(end)}
    for site, end in (dict.fromkeys(book.persistent, 0.0) | known).items():
        family.add_metric([site], end)
    return family


def _gauge(name: str) -> GaugeMetricFamily:
    described = FAMILIES[name]
    return GaugeMetricFamily(PREFIX + name, described.help, labels=described.labels)


def _counter(name: str) -> CounterMetricFamily:
    described = FAMILIES[name]
    return CounterMetricFamily(PREFIX + name, described.help, labels=described.labels)


_POWERS = {
    "battery": "battery_power_w",
    "up": "up_w",
    "down": "down_w",
    "contracted_up": "contracted_up_w",
    "contracted_down": "contracted_down_w",
}
_ENERGIES = {"above_floor": "energy_above_floor_kwh", "below_ceiling": "energy_below_ceiling_kwh"}
_JOULES = 3.6e6


def plant_metrics(assessment: FleetAssessment) -> Iterator[Metric]:
    """The sites that take orders as one plant for each project; nothing without such sites."""
    by_project: dict[str, list[int]] = {}
    for row, site in enumerate(assessment.fleet.sites):
        if site.dispatch.enabled:
            by_project.setdefault(site.project or "", []).append(row)
    power, energy = _gauge("plant_power_watts"), _gauge("plant_energy_joules")
    soc, sites = _gauge("plant_soc_ratio"), _gauge("plant_sites")
    for project, rows in by_project.items():
        figures = plant_of(assessment, rows).figures
        for kind, name in _POWERS.items():
            _add(power, [project, kind], figures[name].value)
        for kind, name in _ENERGIES.items():
            _add(energy, [project, kind], figures[name].value * _JOULES)
        usable = sum(figures[name].value for name in _ENERGIES.values())
        _add(energy, [project, "usable"], usable * _JOULES)
        _add(soc, [project], figures["soc_percent"].value / 100)
        _add(sites, [project, "all"], float(len(rows)))
        _add(sites, [project, "online"], figures["online"].value)
    yield from (power, energy, soc, sites)


def _add(family: GaugeMetricFamily, labels: list[str], value: float) -> None:
    if not math.isnan(value):
        family.add_metric(labels, value)
