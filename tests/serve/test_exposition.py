"""Metrics are rendered once for each version, and health says when nothing is assessed any more."""

from __future__ import annotations

import gzip
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.testclient import TestClient

from exporter.serve.application import make_app
from exporter.serve.exposition import Exposition
from tests.serve.api.served import ServedFleet, plan


class Counting(Collector):
    """Counts how often it was asked."""

    times = 0

    def collect(self) -> Iterable[Metric]:
        self.times += 1
        yield GaugeMetricFamily("asked", "How often", value=self.times)


def test_a_version_is_rendered_once_however_many_ask() -> None:
    collector, registry = Counting(), CollectorRegistry(auto_describe=False)
    registry.register(collector)
    versions: list[object] = [object()]
    exposition = Exposition(registry, lambda: versions[-1])

    def ask(compressed: bool) -> bytes:
        body = exposition.body(generate_latest, "text", compressed=compressed)
        return gzip.decompress(body) if compressed else body

    for _ in range(3):
        before = collector.times
        # The first alone, so that what is compressed later is its text.
        bodies = {ask(False)}
        with ThreadPoolExecutor(8) as callers:
            bodies |= set(callers.map(ask, [False, True] * 20))
        assert len(bodies) == 1
        assert collector.times == before + 1
        versions.append(object())


def test_without_versions_it_is_rendered_for_whoever_asks() -> None:
    collector, registry = Counting(), CollectorRegistry(auto_describe=False)
    registry.register(collector)
    exposition = Exposition(registry)
    bodies = {exposition.body(generate_latest, "text", compressed=False) for _ in range(3)}
    assert len(bodies) == collector.times == 3


@pytest.mark.parametrize(
    ("stalled", "status", "body"),
    [
        (None, 200, {"status": "ok"}),
        ("no news for 31 s", 503, {"status": "stalled", "for": "no news for 31 s"}),
    ],
)
def test_health_is_bad_once_nothing_is_assessed(
    stalled: str | None, status: int, body: dict[str, str]
) -> None:
    served = ServedFleet(plan(1))
    app = make_app(
        lambda: served.latest, lambda: None, CollectorRegistry(), stalled=lambda: stalled
    )
    reply = TestClient(app).get("/healthz")
    assert (reply.status_code, reply.json()) == (status, body)
