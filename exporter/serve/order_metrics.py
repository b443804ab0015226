"""Metrics of orders, from what the dispatcher published last."""

from __future__ import annotations

import math
from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from exporter.control.order_views import OrderBook, SiteOrders
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
    foreign = _gauge("site_foreign_setpoint_watts")
    for site, value in book.foreign.items():
        foreign.add_metric([site], value)
    yield foreign
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


def _gauge(name: str) -> GaugeMetricFamily:
    described = FAMILIES[name]
    return GaugeMetricFamily(PREFIX + name, described.help, labels=described.labels)


def _counter(name: str) -> CounterMetricFamily:
    described = FAMILIES[name]
    return CounterMetricFamily(PREFIX + name, described.help, labels=described.labels)
