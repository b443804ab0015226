"""What Grafana is told of alerts, in a real one: no rule of ours, and where others go."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
import yaml

from provisioning.local.servers import find_all, find_grafana
from provisioning.local.stack import build, fresh_folder
from provisioning.local.web import get_json
from tests.oncall.conftest import ROOT, OnCall, until
from tests.rules.test_rules import ALERTS

FILE = ROOT / "provisioning/grafana/alerting/fleetscope.yml"
DAY = 86400
# Errors in Grafana's log where it has no plugins and no way to their catalogue.
ABOUT_PLUGINS = r"plugins path|plugin provisioning files|plugin manifest keys"


def test_no_rule_stands_in_two_places() -> None:
    """Prometheus has them all; the one that Grafana had is taken out of it."""
    document = yaml.safe_load(FILE.read_text("utf-8"))
    assert "groups" not in document
    assert document["deleteRules"] == [{"orgId": 1, "uid": "fleetscope-cell-drift"}]
    assert {"FleetscopeCellTrend", "FleetscopeCellSuddenChange"} <= set(ALERTS)


def test_alerts_go_to_the_one_alertmanager() -> None:
    document = yaml.safe_load(FILE.read_text("utf-8"))
    (point,) = document["contactPoints"]
    (receiver,) = point["receivers"]
    assert receiver["type"] == "prometheus-alertmanager"
    assert receiver["settings"] == {
        "url": "$FLEETSCOPE_ALERTMANAGER_URL",
        "basicAuthUser": "$FLEETSCOPE_ALERTMANAGER_USERNAME",
        "basicAuthPassword": "${FLEETSCOPE_ALERTMANAGER_PASSWORD}",
    }
    (policy,) = document["policies"]
    assert policy["receiver"] == point["name"]


EARLIER = {
    "apiVersion": 1,
    "groups": [
        {
            "orgId": 1,
            "name": "fleetscope-history",
            "folder": "Fleetscope",
            "interval": "10s",
            "rules": [
                {
                    "uid": uid,
                    "title": uid,
                    "condition": "always",
                    "data": [
                        {
                            "refId": "always",
                            "datasourceUid": "__expr__",
                            "model": {"refId": "always", "type": "math", "expression": "1 > 0"},
                        }
                    ],
                    "for": "0s",
                }
                for uid in ("fleetscope-cell-drift", "rule-of-your-own")
            ],
        }
    ],
}


@pytest.mark.stack
def test_a_rule_of_your_own_reaches_alertmanager_and_the_earlier_one_is_gone(
    on_call: OnCall, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grafana, found = find_grafana(), find_all()
    if grafana is None:
        pytest.skip("Grafana is not here: neither GRAFANA_HOME nor PATH has one")
    on_call.start_alertmanager()
    # The programs of a local run as it would start them, but each by itself.
    run = tmp_path / "run"
    fresh_folder(run)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    programs = build(run, found, grafana=grafana, usual_ports=False).programs
    provisioning = tmp_path / "provisioning"
    shutil.copytree(ROOT / "provisioning/grafana", provisioning)
    document = yaml.safe_load(FILE.read_text("utf-8"))
    document["policies"][0]["group_wait"] = "1s"
    (provisioning / "alerting/fleetscope.yml").write_text(yaml.safe_dump(document), "utf-8")
    # Read before ours, as what an earlier version left behind.
    (provisioning / "alerting/earlier.yml").write_text(yaml.safe_dump(EARLIER), "utf-8")
    program = programs["grafana"]
    settings = {
        **program.environment,
        "GF_PATHS_PROVISIONING": str(provisioning),
        "FLEETSCOPE_ALERTMANAGER_URL": on_call.alertmanager,
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    on_call.run("grafana", *program.command, ready=program.url + program.ready)

    url = f"{on_call.alertmanager}/api/v2/alerts"
    (alert,) = until(lambda: get_json(url), "the alert of the rule in Grafana")
    assert alert["labels"]["alertname"] == "rule-of-your-own"
    log = (on_call.folder / "grafana.log").read_text("utf-8")
    errors = [line for line in log.splitlines() if "level=error" in line]
    assert [line for line in errors if not re.search(ABOUT_PLUGINS, line)] == []
