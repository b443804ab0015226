"""Series in promtool's notation, and alerts from its engine."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from exporter.evaluation.alert_series import MetricSeries, _Runs, metrics_of
from exporter.evaluation.alerts import fired_pages

RULES = """\
groups:
  - name: test
    rules:
      - alert: Offline
        expr: fleetscope_site_up == 0
        for: 2m
        labels: {severity: page, scope: site}
"""


def test_equal_values_are_one_run() -> None:
    runs = _Runs()
    for step, text in enumerate(["1", "1", "1", "0", "1"]):
        runs.put(step, text)
    assert runs.notation(5) == "1x2 0 1"


def test_a_series_that_begins_late_is_silent_before() -> None:
    runs = _Runs()
    runs.put(3, "7")
    assert runs.notation(4) == "_x3 7"


def test_a_series_that_vanishes_is_stale_and_not_carried_on() -> None:
    runs = _Runs()
    runs.put(0, "7")
    runs.put(1, "7")
    runs.put(5, "8")
    assert runs.notation(9) == "7x1 stale _x2 8 stale"


def test_metrics_are_those_that_the_rules_name(tmp_path: Path) -> None:
    path = tmp_path / "rules.yml"
    path.write_text(RULES, "utf-8")
    assert metrics_of([path]) == {"fleetscope_site_up"}


@pytest.mark.stack
def test_promtool_fires_what_holds_long_enough(tmp_path: Path) -> None:
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed")
    path = tmp_path / "rules.yml"
    path.write_text(RULES, "utf-8")
    series = MetricSeries()
    series.times = [1000.0 + 60 * step for step in range(11)]
    for site, values in {
        'quoted "}" brace': [1, 1, 0, 0, 0, 0, 0, 1, 1, 1, 1],
        "brief": [1, 1, 0, 0, 1, 1, 1, 1, 1, 1, 1],
        "until the end": [1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0],
    }.items():
        runs = series._series[("fleetscope_site_up", (("site", site),))] = _Runs()
        for step, value in enumerate(values):
            runs.put(step, str(value))
    found = [(a.labels["site"], a.begin, a.end, a.pages) for a in fired_pages(series, [path])]
    assert found == [
        ('quoted \\"}\\" brace', 1240.0, 1360.0, True),
        ("until the end", 1540.0, 1600.0, True),
    ]
