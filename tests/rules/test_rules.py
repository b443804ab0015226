"""The alert rules, their promtool tests and their runbooks belong together."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from provisioning.prometheus import generate
from scoring.rule import Severity
from scoring.rules import RULES

ROOT = Path(__file__).parents[2]
RULE_FILES = sorted((ROOT / "provisioning/prometheus/rules").glob("*.yml"))
TEST_FILES = sorted((ROOT / "tests/rules").glob("*.test.yml"))
RUNBOOKS = ROOT / "docs/runbooks.md"


def alerts() -> dict[str, dict[str, Any]]:
    """Every alert of the rule files by its name."""
    found: dict[str, dict[str, Any]] = {}
    for path in RULE_FILES:
        for group in yaml.safe_load(path.read_text("utf-8"))["groups"]:
            for rule in group["rules"]:
                if "alert" in rule:
                    assert rule["alert"] not in found, f"{rule['alert']} stands twice"
                    found[rule["alert"]] = rule
    return found


def grafana_alerts() -> list[str]:
    """Names of the alerts that Grafana works out from InfluxDB's history."""
    return [
        rule["title"]
        for path in sorted((ROOT / "provisioning/grafana/alerting").glob("*.yml"))
        for group in yaml.safe_load(path.read_text("utf-8")).get("groups", [])
        for rule in group["rules"]
    ]


def promtool_files() -> list[dict[str, Any]]:
    """Every promtool test file of the folder."""
    return [yaml.safe_load(path.read_text("utf-8")) for path in TEST_FILES]


def promtool_tests() -> list[dict[str, Any]]:
    """Every promtool test of the folder, each with the seconds from one evaluation to the next."""
    return [
        {**test, "step": seconds(document["evaluation_interval"])}
        for document in promtool_files()
        for test in document["tests"]
    ]


def seconds(duration: str) -> int:
    """Seconds of a Prometheus duration such as ``1m45s``."""
    units = {"s": 1, "m": 60, "h": 3600, "d": 86400}
    parts = re.findall(r"(\d+)([smhd])", duration)
    assert "".join(n + u for n, u in parts) == duration
    return sum(int(number) * units[unit] for number, unit in parts)


def firing_twin_gap(test: dict[str, Any], alert: str) -> int | None:
    """Seconds from the last silent to the first firing moment of a test, None without both."""
    silent: list[int] = []
    firing: list[int] = []
    for case in test["alert_rule_test"]:
        if case["alertname"] == alert:
            (firing if case["exp_alerts"] else silent).append(seconds(case["eval_time"]))
    return min(firing) - max(silent) if firing and silent else None


ALERTS = alerts()
# Causes with a value that rises and falls while an alert lasts: the message has the worst of it.
MEASURED = {
    *("score", "cell_spread", "battery_temperature", "battery_soc"),
    *("grid_frequency", "grid_voltage"),
}
# An alert and one that it hides: it comes first and stays longer, by enough for Prometheus to
# evaluate both groups meanwhile. Otherwise the hidden one is told at the start or the end.
HIDES = [
    ("FleetscopeManySitesOffline", "FleetscopeSiteOffline"),
    ("FleetscopeRegionOffline", "FleetscopeSiteOffline"),
    ("FleetscopeRegionGridLost", "FleetscopeGridLost"),
    ("FleetscopeRegionGridQuality", "FleetscopeGridFrequencyOutOfBand"),
    ("FleetscopeRegionGridQuality", "FleetscopeGridVoltageOutOfBand"),
    ("FleetscopeBatteryTemperatureCritical", "FleetscopeDeviceAlarm"),
    ("FleetscopeBatterySocCritical", "FleetscopeDeviceAlarm"),
    ("FleetscopeCellSpreadCritical", "FleetscopeDeviceAlarm"),
    ("FleetscopeGridLost", "FleetscopeDeviceAlarm"),
    *(
        (alert, "FleetscopeSiteCritical")
        for alert, rule in ALERTS.items()
        if (rule["labels"]["scope"], rule["labels"]["level"]) == ("site", "critical")
        and rule["labels"]["cause"] != "score"
    ),
]
# These only end in order: the hidden one takes hours to begin, or waits in its group.
OUTLASTS = [
    ("FleetscopeManySitesOffline", "FleetscopeRegionOffline"),
    ("FleetscopeDeviceAlarm", "FleetscopeBatteryTemperatureWarning"),
    *(
        (alert, "FleetscopeSiteWarning")
        for alert, rule in ALERTS.items()
        if rule["labels"]["scope"] == "site"
        and rule["labels"]["level"] in {"critical", "warning"}
        and rule["labels"]["cause"] != "score"
    ),
]


@pytest.mark.parametrize(("name", "text"), generate.files().items())
def test_rule_files_on_disk_are_as_generated(name: str, text: str) -> None:
    assert (generate.FOLDER / name).read_text("utf-8") == text, "run make generate"


def test_every_issue_that_can_be_critical_has_an_alert_of_its_own() -> None:
    causes = {rule["labels"]["cause"] for rule in ALERTS.values()}
    for rule in RULES:
        if any(level.severity is Severity.CRITICAL for level in rule.levels):
            # Warnings lower the score, and an alert follows the score after four hours.
            assert rule.code in causes or rule.code == "site_offline"


def test_what_pages_for_an_issue_of_a_site_is_critical_on_every_face() -> None:
    """So that rank, colour and paging agree: a page never stands below what does not page."""
    by_code = {rule.code: rule for rule in RULES}
    for name, rule in ALERTS.items():
        cause = by_code.get(rule["labels"]["cause"])
        if cause is None or rule["labels"]["scope"] != "site":
            continue
        severities = {level.severity for level in cause.levels}
        if len(severities) > 1 and rule["labels"]["severity"] == "page":
            assert 'severity="critical"' in rule["expr"], name
        elif rule["labels"]["severity"] == "page":
            assert severities == {Severity.CRITICAL}, name
        if rule["labels"]["severity"] == "page":
            assert rule["labels"]["level"] == "critical", name


@pytest.mark.parametrize("alert", sorted(ALERTS))
def test_alert_says_what_a_person_needs(alert: str) -> None:
    rule = ALERTS[alert]
    labels, notes = rule["labels"], rule["annotations"]
    assert labels["severity"] in {"page", "ticket", "info"}
    assert labels["scope"] in {"exporter", "fleet", "region", "site"}
    assert labels["level"] in {"critical", "warning", "info"}
    assert labels["cause"]
    assert seconds(rule["for"]) >= 30, "one missed scrape would page"
    expected = {"summary", "description", "action", "runbook_url", "dashboard_url"}
    expected |= {"contact"} if labels["scope"] == "site" else set()
    assert set(notes) == expected | ({"worst"} if labels["cause"] in MEASURED else set())
    assert "$value" in notes["description"] or "| value" in notes["description"]
    assert notes["runbook_url"] == f"docs/runbooks.md#{alert.lower()}"
    assert notes["dashboard_url"].startswith("/d/fleetscope-")
    if labels["scope"] == "site":
        assert "$labels.name" in notes["summary"]
        # A healthy site can be an outlier.
        outlier = alert == "FleetscopeSiteOutlier"
        joined = "fleetscope_site_maintenance == 1" if outlier else "site:watched:info"
        assert joined in rule["expr"], "it would fire in planned maintenance"


@pytest.mark.parametrize(("alert", "hidden"), HIDES)
def test_what_hides_an_alert_comes_before_it(alert: str, hidden: str) -> None:
    assert seconds(ALERTS[alert]["for"]) + 2 * 15 <= seconds(ALERTS[hidden]["for"])


@pytest.mark.parametrize(("alert", "hidden"), HIDES + OUTLASTS)
def test_what_hides_an_alert_outlasts_it(alert: str, hidden: str) -> None:
    ends = [seconds(ALERTS[name].get("keep_firing_for", "0s")) for name in (alert, hidden)]
    assert ends[0] >= ends[1] + 60


def test_what_is_told_of_sites_outlasts_a_restart_of_the_exporter() -> None:
    for alert, rule in ALERTS.items():
        if rule["labels"]["scope"] == "site":
            assert seconds(rule["keep_firing_for"]) >= 120, alert


def test_runbooks_match_the_alerts_both_ways() -> None:
    headings = re.findall(r"^## (.+)$", RUNBOOKS.read_text("utf-8"), re.MULTILINE)
    assert sorted(headings) == sorted([*ALERTS, *grafana_alerts()])


@pytest.mark.parametrize("alert", sorted(ALERTS))
def test_runbook_entry_has_all_its_parts(alert: str) -> None:
    entry = RUNBOOKS.read_text("utf-8").split(f"## {alert}\n")[1].split("\n## ")[0]
    parts = re.findall(r"^\*\*(.+?)\.\*\*", entry, re.MULTILINE)
    assert parts == ["Meaning", "How to check", "What to do", "When to escalate"]


@pytest.mark.parametrize("alert", sorted(ALERTS))
def test_alert_has_its_twins(alert: str) -> None:
    mine = [t for t in promtool_tests() if t["name"].startswith(f"{alert}: ")]
    gaps = [(t["step"], gap) for t in mine if (gap := firing_twin_gap(t, alert)) is not None]
    assert gaps, "no test is silent just before `for` and firing at it"
    for step, gap in gaps:
        assert gap == step, "silent twin is not one evaluation before the firing one"
    for t in mine:
        for case in t["alert_rule_test"]:
            for expected in case["exp_alerts"]:
                assert set(expected["exp_annotations"]) == set(ALERTS[alert]["annotations"])
    assert any(
        "stays silent" in t["name"]
        and all(not c["exp_alerts"] for c in t["alert_rule_test"] if c["alertname"] == alert)
        for t in mine
    ), "no named case that must stay silent"


def test_every_promtool_test_names_an_alert_that_exists() -> None:
    for test in promtool_tests():
        assert test["name"].split(": ")[0] in ALERTS
        for case in test["alert_rule_test"]:
            assert case["alertname"] in ALERTS


def assert_promtool_agrees(path: Path) -> None:
    """Run the promtool tests of a file."""
    promtool = shutil.which("promtool")
    if promtool is None:
        if os.environ.get("CI"):
            pytest.fail("promtool is not installed")
        pytest.skip("promtool is not installed: make servers")
    done = subprocess.run(
        [promtool, "test", "rules", str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.stack
@pytest.mark.parametrize("path", TEST_FILES, ids=lambda p: p.name)
def test_promtool_agrees(path: Path) -> None:
    assert_promtool_agrees(path)
