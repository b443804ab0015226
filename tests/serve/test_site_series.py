"""Metrics from arrays: the same bytes as the client library writes, sample by sample."""

from __future__ import annotations

import functools
import math
import random

import numpy as np
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector

from exporter.assess.assessment import FleetAssessment, assess
from exporter.collect.state import FleetState
from exporter.serve.metrics import registry
from exporter.serve.site_series import Encoder, SiteIds, SiteSeries, render
from tests.assess.test_assessment import WALL, failed, fleet, snapshot
from tests.serve.test_metrics import NUMBERS

ENCODERS: dict[str, Encoder] = {
    "text 0.0.4": generate_latest,
    "text 1.0.0": functools.partial(generate_latest, escaping="allow-utf-8"),
    "OpenMetrics": openmetrics.generate_latest,
    "OpenMetrics, UTF-8": functools.partial(
        openmetrics.generate_latest, escaping="allow-utf-8", version="1.0.0"
    ),
}
encoders = pytest.mark.parametrize("encoder", ENCODERS.values(), ids=ENCODERS.keys())
NAMES = ('quote"', "back\\slash", "line\nfeed", "caf\u00e9", "plain", "a b", "{}", "")
VALUES = (
    *(0.0, -0.0, 1.0, 0.1, 1e-4, 9.9e-5, 1e-5, -1e-5, 999_999.5, 1e6, 1_234_567.25, -1_234_567.0),
    *(1.7e9, 1_732_643_219.123, 1e16, 1e22, 5e-324, math.inf, -math.inf, 0.1 + 0.2, 123_456.0),
)


class _Metrics(Collector):
    def __init__(self, metrics: list[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> list[Metric]:
        return self._metrics


def random_series(rng: random.Random, sites: SiteIds, number: int) -> SiteSeries:
    counter = rng.random() < 0.3
    name = f"m_{number}_total" if counter else f"m_{number}"
    series = SiteSeries(name, rng.choice(NAMES), "counter" if counter else "gauge", sites)
    count = len(sites.names)
    for _ in range(rng.randrange(4)):
        labels = tuple((label, rng.choice(NAMES)) for label in rng.sample("ay_stz", 2))
        values = np.array(
            [rng.choice((*VALUES, math.nan, rng.gauss(0, 1e5))) for _ in range(count)]
        )
        if rng.random() < 0.5:
            series.add_known(np.abs(values) if counter else values, *labels)
            continue
        rows = sorted(rng.choices(range(count), k=2 * count)) if count else []
        each = [(("b", rng.choice(NAMES)), ("z", "1")) for _ in range(rng.choice((1, 2)))]
        series.add_rows(rows, each if rows else [], [rng.choice(VALUES) for _ in rows])
    return series


@encoders
def test_random_series_are_written_as_the_client_library_writes_them(encoder: Encoder) -> None:
    rng = random.Random(15)
    for _ in range(60):
        names = [f"{rng.choice(NAMES)}{n}" for n in range(rng.randrange(7))]
        projects = [rng.choice((None, *NAMES)) for _ in names] if rng.random() < 0.3 else []
        sites = SiteIds(names, projects)
        metrics: list[Metric] = [random_series(rng, sites, number) for number in range(5)]
        other = GaugeMetricFamily("other", "not by site", labels=["x"])
        other.add_metric(["1"], 2.0)
        metrics.insert(rng.randrange(5), other)
        made = CollectorRegistry(auto_describe=False)
        made.register(_Metrics(metrics))
        assert render(made, encoder).decode() == encoder(made).decode()


def judged(rng: random.Random, previous: FleetAssessment | None = None) -> FleetAssessment:
    ids = [f"s{n}" for n in range(30)]
    state = FleetState(fleet(*ids), 10.0)
    for site in ids[:-2]:
        if rng.random() < 0.1:
            state.apply(failed(site), 100.0)
            continue
        battery = {
            "soc_percent": rng.uniform(0, 100),
            "soh_percent": rng.choice((math.nan, rng.uniform(40, 100))),
            "temperature_c": rng.gauss(30, 20),
            "power_w": rng.gauss(0, 1e4),
        }
        readings = {"grid_power_w": rng.gauss(0, 3e6), "pv_power_w": rng.choice((0.0, math.nan))}
        state.apply(snapshot(site, battery, readings), 100.0)
    return assess(state, 101.0, WALL, previous)


@encoders
def test_a_fleet_is_written_as_the_client_library_writes_it(encoder: Encoder) -> None:
    rng = random.Random(16)
    latest = judged(rng)
    made = registry(lambda: latest, None)
    for _ in range(5):
        # The fleet is another object each time, or the same.
        latest = judged(rng)
        assert render(made, encoder).decode() == encoder(made).decode()
        assert render(made, encoder).decode() == encoder(made).decode()
    with_numbers = registry(lambda: latest, lambda: NUMBERS)
    text = render(with_numbers, encoder).decode()
    names = [line for line in text.splitlines() if line.startswith("# TYPE ")]
    assert names == [
        line for line in encoder(with_numbers).decode().splitlines() if line.startswith("# TYPE ")
    ]
