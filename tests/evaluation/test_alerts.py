"""Series in promtool's notation, and alerts from its engine."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from exporter.evaluation.alert_series import MetricSeries, _Runs
from exporter.evaluation.alerts import fired_pages
from exporter.evaluation.page_rules import PageRules

RULES = """\
groups:
  - name: test
    rules:
      - alert: Offline
        expr: fleetscope_site_up == 0
        for: 2m
        labels: {severity: page, scope: site}
"""

NOTE = """\
      - alert: Lost
        expr: region:lost:count > 2
        labels: {severity: page}
      - alert: Slow
        expr: fleetscope_site_scrape_duration_seconds > 5
        labels: {severity: info}
"""
RECORDS = """\
groups:
  - name: records
    rules:
      - record: region:lost:count
        expr: count by (region) (site:lost:info)
      - record: site:lost:info
        expr: fleetscope_site_issue{code="grid_lost"}
      - record: fleet:rank:max
        expr: max(fleetscope_site_rank)
"""


def test_equal_values_are_one_run() -> None:
    runs = _Runs()
    for step, text in enumerate(["1", "1", "1", "0", "1"]):
        runs.put(step, text)
    assert runs.notation(range(5)) == "1x2 0 1"


def test_a_series_that_begins_late_is_silent_before() -> None:
    runs = _Runs()
    runs.put(3, "7")
    assert runs.notation(range(4)) == "_x3 7"


def test_a_series_that_vanishes_is_stale_and_not_carried_on() -> None:
    runs = _Runs()
    runs.put(0, "7")
    runs.put(1, "7")
    runs.put(5, "8")
    assert runs.notation(range(9)) == "7x1 stale _x2 8 stale"


def test_gaps_of_a_recording_are_gaps_on_the_clock() -> None:
    """By the mean pace every page behind a gap would come too early."""
    series = MetricSeries()
    series.times = [0.0, 60.0, 125.0, 240.0, 300.0, 3600.0, 3660.0, 3720.0]
    step, slots = series.clock()
    assert (step, slots) == (60, [0, 1, 2, 4, 5, 60, 61, 62])
    runs = _Runs()
    for number, text in enumerate(["1", "1", "2", "2", "2", "2", "3", "3"]):
        runs.put(number, text)
    assert runs.notation(slots) == "1x1 2x3 stale _x53 2 3x1"


def test_a_clock_does_not_drift_where_assessments_come_unevenly() -> None:
    """Else a page of the sixth day came eighteen hours late."""
    series = MetricSeries()
    series.times = [100.0 * n + late for n in range(300) for late in (0.0, 20.0, 95.0)]
    step, slots = series.clock()
    at = [step * slot for slot in slots]
    late = [abs(a - time) for a, time in zip(at, series.times, strict=True)]
    assert max(late) <= step / 2
    runs = _Runs()
    for number in range(900):
        runs.put(number, str(int(number >= 450)))
    length = sum(count for _, count in runs.runs)
    assert length == 900
    shown = runs.notation(slots)
    first = int(shown.split()[0].removeprefix("0x")) + 1
    assert abs(step * first - series.times[450]) <= step


def test_only_pages_and_what_they_read_are_evaluated(tmp_path: Path) -> None:
    (tmp_path / "alerts.yml").write_text(RULES + NOTE, "utf-8")
    (tmp_path / "records.yml").write_text(RECORDS, "utf-8")
    rules = PageRules.read(sorted(tmp_path.iterdir()))
    names = [rule.get("alert") or rule["record"] for g in rules.groups for rule in g["rules"]]
    assert names == ["Offline", "Lost", "region:lost:count", "site:lost:info"]
    assert rules.metrics == {"fleetscope_site_up", "fleetscope_site_issue"}


def test_every_page_of_the_rules_is_evaluated_as_its_file_has_it() -> None:
    files = sorted((Path(__file__).parents[2] / "provisioning/prometheus/rules").glob("*.yml"))
    every = [r for f in files for g in yaml.safe_load(f.read_text())["groups"] for r in g["rules"]]
    kept = [rule for group in PageRules.read(files).groups for rule in group["rules"]]
    assert [r for r in every if r.get("labels", {}).get("severity") == "page"] == [
        rule for rule in kept if "alert" in rule
    ]
    assert all(rule in every for rule in kept)


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
        "twice": [0, 0, 0, 1, 1, 0, 0, 0, 0, 1, 1],
    }.items():
        runs = series._series[("fleetscope_site_up", (("site", site),))] = _Runs()
        for step, value in enumerate(values):
            runs.put(step, str(value))
    found = [
        (a.labels["site"], a.begin, a.end, a.pages)
        for a in fired_pages(series, PageRules.read([path]))
    ]
    assert found == [
        ("twice", 1120.0, 1120.0, True),
        ('quoted \\"}\\" brace', 1240.0, 1360.0, True),
        ("twice", 1420.0, 1480.0, True),
        ("until the end", 1540.0, 1600.0, True),
    ]


@pytest.mark.stack
def test_pages_of_a_long_replay_are_found_to_the_step(tmp_path: Path) -> None:
    """Its queries take fifty steps each."""
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed")
    path = tmp_path / "rules.yml"
    path.write_text(RULES.replace("for: 2m", "for: 0s"), "utf-8")
    series = MetricSeries()
    series.times = [60.0 * step for step in range(217)]
    runs = series._series[("fleetscope_site_up", (("site", "a"),))] = _Runs()
    down = [(0, 0), (48, 51), (99, 99), (101, 148), (150, 216)]
    for step in range(217):
        runs.put(step, str(int(not any(a <= step <= b for a, b in down))))
    found = [(a.begin / 60, a.end / 60) for a in fired_pages(series, PageRules.read([path]))]
    assert found == down
