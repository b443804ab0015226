"""The rule that needs InfluxDB's history, in a real Grafana over a real InfluxDB."""

from __future__ import annotations

import http.client
import re
import shutil
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import yaml

from provisioning.local.ports import LOOPBACK
from provisioning.local.servers import find_all, find_grafana
from provisioning.local.stack import build, fresh_folder
from provisioning.local.web import get_json
from tests.oncall.conftest import ROOT, OnCall, until
from tests.rules.test_rules import ALERTS, RUNBOOKS

FILE = ROOT / "provisioning/grafana/alerting/fleetscope.yml"
DAY = 86400
# Errors in Grafana's log where it has no plugins and no way to their catalogue.
ABOUT_PLUGINS = r"plugins path|plugin provisioning files|plugin manifest keys"


def rules() -> list[dict[str, Any]]:
    document = yaml.safe_load(FILE.read_text("utf-8"))
    return [rule for group in document["groups"] for rule in group["rules"]]


def test_no_data_is_no_alert_and_no_rule_stands_twice() -> None:
    for rule in rules():
        assert rule["noDataState"] == "OK"
        assert rule["execErrState"] == "KeepLast"
        assert rule["title"] not in ALERTS
        assert {query["datasourceUid"] for query in rule["data"]} <= {
            "fleetscope-influxdb",
            "__expr__",
        }


def test_a_rule_says_what_a_person_needs() -> None:
    runbooks = RUNBOOKS.read_text("utf-8")
    for rule in rules():
        assert set(rule["labels"]) == {"severity", "scope", "level", "cause"}
        notes = rule["annotations"]
        assert set(notes) == {"summary", "description", "action", "dashboard_url", "runbook_url"}
        assert notes["runbook_url"] == f"docs/runbooks.md#{rule['title'].lower()}"
        assert f"\n## {rule['title']}\n" in runbooks


def test_alerts_go_to_the_one_alertmanager() -> None:
    document = yaml.safe_load(FILE.read_text("utf-8"))
    (point,) = document["contactPoints"]
    (receiver,) = point["receivers"]
    assert receiver["type"] == "prometheus-alertmanager"
    assert receiver["settings"] == {"url": "$FLEETSCOPE_ALERTMANAGER_URL"}
    (policy,) = document["policies"]
    assert policy["receiver"] == point["name"]


def cell_lines(now: int) -> str:
    """Nine days of two packs of four cells, of which one cell falls by 2 mV a day.

    A third pack began yesterday and a fourth swings as a whole, as charge makes it.
    """
    lines = []
    for hour in range(9 * 24):
        at = now - hour * 3600
        swing = 0.05 * ((hour // 12) % 2)
        for pack, cell in ((p, c) for p in ("drifts", "steady", "new", "swings") for c in "1234"):
            if pack == "new" and hour >= 24:
                continue
            volts = 3.30 + 0.004 * int(cell) + (swing if pack == "swings" else 0.0)
            if (pack, cell) == ("drifts", "3"):
                volts += 0.002 * hour / 24
            lines.append(f"cell,site=alpha,pack={pack},cell={cell} voltage_v={volts} {at}")
    return "\n".join(lines)


def ask_influxdb(address: str, path: str, query: dict[str, str], body: str = "") -> None:
    connection = http.client.HTTPConnection(address, timeout=30.0)
    try:
        connection.request("POST", f"{path}?{urlencode(query)}", body)
        assert connection.getresponse().status in (200, 204)
    finally:
        connection.close()


@pytest.mark.stack
def test_a_drifting_cell_reaches_alertmanager_and_a_steady_one_does_not(
    on_call: OnCall, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grafana, found = find_grafana(), find_all()
    if grafana is None:
        pytest.skip("Grafana is not here: neither GRAFANA_HOME nor PATH has one")
    if "InfluxDB" not in found:
        pytest.skip("InfluxDB is not installed; `make servers` installs it")
    on_call.start_alertmanager()
    # The programs of a local run as it would start them, but each by itself.
    run = tmp_path / "run"
    fresh_folder(run)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    programs = build(run, found, grafana=grafana, usual_ports=False).programs
    influxdb = programs["influxdb"]
    on_call.run("influxdb", *influxdb.command, ready=influxdb.url + influxdb.ready)
    address = f"{LOOPBACK}:{influxdb.port}"
    for query in ("CREATE DATABASE fleet", "CREATE RETENTION POLICY raw ON fleet DURATION 90d"):
        suffix = "" if query.endswith("fleet") else " REPLICATION 1 DEFAULT"
        ask_influxdb(address, "/query", {"q": query + suffix})
    where = {"db": "fleet", "rp": "raw", "precision": "s"}
    ask_influxdb(address, "/write", where, cell_lines(int(time.time()) - 60))

    provisioning = tmp_path / "provisioning"
    shutil.copytree(ROOT / "provisioning/grafana", provisioning)
    document = yaml.safe_load(FILE.read_text("utf-8"))
    document["groups"][0]["interval"] = "10s"
    document["policies"][0]["group_wait"] = "1s"
    (provisioning / "alerting/fleetscope.yml").write_text(yaml.safe_dump(document), "utf-8")
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
    (alert,) = until(lambda: get_json(url), "the alert of the drifting cell")
    wanted = {
        "alertname": "FleetscopeCellDrift",
        "severity": "ticket",
        "site": "alpha",
        "pack": "drifts",
        "cell": "3",
    }
    assert wanted.items() <= alert["labels"].items()
    assert alert["annotations"]["summary"] == "Cell 3 of alpha drifts away from its pack"
    # 14 mV in a week, of which the mean of its pack takes part by a quarter.
    assert "has moved by -0.0105 V" in alert["annotations"]["description"]
    assert alert["annotations"]["dashboard_url"] == "/d/fleetscope-cells?var-site=alpha"
    log = (on_call.folder / "grafana.log").read_text("utf-8")
    errors = [line for line in log.splitlines() if "level=error" in line]
    assert [line for line in errors if not re.search(ABOUT_PLUGINS, line)] == []
