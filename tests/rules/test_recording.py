"""Recording rules that take a short way give what the plain expression gives, by promtool."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from scoring.status import Status
from tests.rules.test_rules import assert_promtool_agrees

RULES = Path(__file__).parents[2] / "provisioning/prometheus/rules/fleet-recording.yml"
CHOICE = "region, vendor, battery_type, kind, priority"
PLAIN = (
    f"sum by (status, {CHOICE}) (fleetscope_site_status"
    f" * on (job, instance, site) group_left ({CHOICE}) fleetscope_site_info)"
)
SITES = {
    "a": ('region="north",vendor="X",priority="high"', "HEALTHY", 95),
    "b": ('region="north",vendor="X",priority="high"', "OFFLINE", 0),
    "c": ('vendor="Y",priority="low"', "CRITICAL", 40),
    # Never scraped: it has no score.
    "d": ('region="south",vendor="Y",priority="low"', "UNKNOWN", None),
}


@pytest.mark.stack
def test_sites_are_counted_by_status_as_by_all_series(tmp_path: Path) -> None:
    series = []
    for site, (labels, status, score) in SITES.items():
        own = f'job="fleetscope",instance="e",site="{site}"'
        series.append((f"fleetscope_site_info{{{own},{labels}}}", "1x4"))
        if score is not None:
            series.append((f"fleetscope_site_health_score{{{own}}}", f"{score}x4"))
        for other in Status:
            values = "1x4" if other.name == status else "0x4"
            series.append((f'fleetscope_site_status{{{own},status="{other.name}"}}', values))
    ours, by = "fleet:sites_by_status:count", f"on (status, {CHOICE})"
    none = [f"{ours} unless {by} {PLAIN}", f"{PLAIN} unless {by} {ours}", f"{ours} != {by} {PLAIN}"]
    means = {
        "fleet:health_score:mean": "avg(fleet:health_score:by_site)",
        "fleet:health_score_answering:mean": 'avg(fleet:health_score:by_site{status!="OFFLINE"})',
        "fleet:region_health_score:mean": "avg by (region) (fleet:health_score:by_site)",
    }
    none += [f"abs({short} - {plain}) > 1e-9" for short, plain in means.items()]
    none += [f"{plain} unless {short}" for short, plain in means.items()]
    counts = {f"count({ours})": len(Status) * 3, f"sum({ours})": 4, f"count({ours} > 0)": 4}
    counts['count(fleet:health_score:by_site{status="OFFLINE"})'] = 1
    asked = [{"expr": expr, "eval_time": "30s", "exp_samples": []} for expr in none]
    asked += [
        {"expr": expr, "eval_time": "30s", "exp_samples": [{"labels": "{}", "value": value}]}
        for expr, value in counts.items()
    ]
    test = {
        "rule_files": [str(RULES)],
        "evaluation_interval": "15s",
        "tests": [
            {
                "interval": "15s",
                "input_series": [{"series": name, "values": values} for name, values in series],
                "promql_expr_test": asked,
            }
        ],
    }
    file = tmp_path / "counts.yml"
    file.write_text(yaml.safe_dump(test), "utf-8")
    assert_promtool_agrees(file)
