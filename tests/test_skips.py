"""A run that left tests out says so, and what they would have needed."""

from __future__ import annotations

import re
from pathlib import Path

from tests.skips import NEEDS, summary

REASON = re.compile(r'skip(?:if)?\((?:[^"()]*(?:\([^()]*\)[^"()]*)*)f?"([^"]+)"')


def test_skipped_tests_are_counted_by_what_they_need() -> None:
    reasons = ["Skipped: no Grafana: neither GRAFANA_HOME nor PATH names one"] * 2
    reasons.append("Skipped: INFLUXDB2_BIN does not name an influxd of InfluxDB 2.x")
    assert summary(reasons) == (
        "NOT a full run: 3 tests skipped: 2 for Grafana (GRAFANA_HOME or PATH), "
        "1 for InfluxDB 2 (INFLUXDB2_BIN)"
    )


def test_a_full_run_says_nothing() -> None:
    assert summary([]) is None


def test_an_unknown_reason_is_counted_too() -> None:
    assert summary(["Skipped: the moon is full"]) == (
        "NOT a full run: 1 test skipped: 1 for other reasons (named above)"
    )


def test_reasons_in_the_tests_name_their_need() -> None:
    found = [
        reason
        for path in Path(__file__).parent.rglob("test_*.py")
        for reason in REASON.findall(path.read_text("utf-8"))
        if any(word in reason for word in ("install", "no ", "neither", "needs"))
    ]
    assert len(found) > 5
    assert [r for r in found if not any(re.search(named, r) for _, named, _ in NEEDS)] == []
