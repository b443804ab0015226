"""What Alertmanager makes of alerts: who hears of which, what hides what, and in which words."""

from __future__ import annotations

import http.client
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from provisioning.alertmanager.render import BASE
from provisioning.local.web import get_json
from tests.oncall.conftest import OnCall, until
from tests.rules.test_rules import ALERTS, seconds

pytestmark = pytest.mark.stack

ALPHA = {"job": "fleetscope", "instance": "one:1", "site": "alpha", "region": "north"}
BETA = {"job": "fleetscope", "instance": "one:1", "site": "beta", "region": "north"}
DELTA, ECHO = {**BETA, "site": "delta"}, {**BETA, "site": "echo"}
OTHER = {"job": "fleetscope", "instance": "two:1", "site": "gamma", "region": "south"}


def labels(alert: str, **more: str) -> dict[str, str]:
    """The labels that an alert has: those of its rule, and those of the series."""
    fixed = {k: v for k, v in ALERTS[alert]["labels"].items() if v and "{{" not in v}
    return {"alertname": alert} | fixed | more


def post(on_call: OnCall, *alerts: dict[str, Any]) -> None:
    """Send alerts to Alertmanager as Prometheus does."""
    address = on_call.alertmanager.removeprefix("http://")
    connection = http.client.HTTPConnection(address, timeout=10.0)
    try:
        connection.request(
            "POST", "/api/v2/alerts", json.dumps(alerts), {"Content-Type": "application/json"}
        )
        assert connection.getresponse().status == 200
    finally:
        connection.close()


def heard(on_call: OnCall, *alerts: dict[str, str]) -> set[tuple[str, str]]:
    """Alert and site of those that nothing holds back, once all are there."""
    post(on_call, *({"labels": each} for each in alerts))
    url = f"{on_call.alertmanager}/api/v2/alerts"
    # Alertmanager works a state out when it is asked for it.
    until(lambda: len(get_json(url)) == len(alerts), "all alerts are there")
    return {
        (alert["labels"]["alertname"].removeprefix("Fleetscope"), alert["labels"].get("site", ""))
        for alert in get_json(url, {"inhibited": "false"})
    }


@pytest.mark.parametrize(
    ("alert", "more", "receiver"),
    [
        ("FleetscopeSiteOffline", {"priority": "high"}, "on-call"),
        ("FleetscopeSiteOffline", {"priority": "low"}, "on-call"),
        ("FleetscopeManySitesOffline", {}, "on-call"),
        ("FleetscopeExporterDown", {}, "on-call"),
        ("FleetscopeBatterySohWarning", {"priority": "high"}, "tickets"),
        ("FleetscopeBatterySohWarning", {"priority": "medium"}, "tickets"),
        ("FleetscopeConfigReloadFailed", {}, "tickets"),
        ("FleetscopeSiteOutlier", {"priority": "high"}, "nobody"),
    ],
)
def test_route(servers: dict[str, Path], alert: str, more: dict[str, str], receiver: str) -> None:
    done = subprocess.run(
        [
            *("amtool", "config", "routes", "test", f"--config.file={BASE / 'alertmanager.yml'}"),
            *(f"{name}={value}" for name, value in labels(alert, **more).items()),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == [receiver], done.stderr


def test_priority_sites_are_told_first() -> None:
    def wait(severity: str, priority: str | None) -> str:
        for route in yaml.safe_load((BASE / "alertmanager.yml").read_text("utf-8"))["route"][
            "routes"
        ]:
            wanted = {f'severity="{severity}"'} | (
                {f'priority="{priority}"'} if priority else set()
            )
            if set(route["matchers"]) == wanted:
                return str(route["group_wait"])
        raise AssertionError("no such route")

    assert (wait("page", "high"), wait("page", None)) == ("10s", "30s")
    assert (wait("ticket", "high"), wait("ticket", None)) == ("1m", "5m")


def test_a_dead_exporter_hides_everything_of_its_own(on_call: OnCall) -> None:
    on_call.start_alertmanager()
    assert heard(
        on_call,
        labels("FleetscopeExporterDown", job="fleetscope", instance="one:1"),
        labels("FleetscopeScrapeLoopLate", job="fleetscope", instance="one:1"),
        labels("FleetscopeSiteOffline", **ALPHA),
        labels("FleetscopeCellSpreadWarning", **BETA),
        labels("FleetscopeSiteOffline", **OTHER),
        labels("FleetscopeManySitesOffline"),
    ) == {("ExporterDown", ""), ("ManySitesOffline", "")}


def test_many_sites_hide_regions_and_single_sites_but_nothing_else(on_call: OnCall) -> None:
    on_call.start_alertmanager()
    assert heard(
        on_call,
        labels("FleetscopeManySitesOffline"),
        labels("FleetscopeRegionOffline", region="north"),
        labels("FleetscopeSiteOffline", **ALPHA),
        labels("FleetscopeBatterySocCritical", **ALPHA),
        labels("FleetscopeBatterySocCritical", **BETA),
        labels("FleetscopeSiteOffline", **OTHER),
    ) == {("ManySitesOffline", ""), ("BatterySocCritical", "beta")}


def test_a_region_hides_the_same_cause_at_its_own_sites(on_call: OnCall) -> None:
    on_call.start_alertmanager()
    without = {**ALPHA, "site": "delta", "region": ""}
    assert heard(
        on_call,
        labels("FleetscopeRegionGridLost", region="north", code="grid_lost"),
        labels("FleetscopeRegionGridQuality", region="south", cause="grid_voltage"),
        labels("FleetscopeGridLost", **ALPHA),
        labels("FleetscopeSiteCritical", **ALPHA),
        labels("FleetscopeCellSpreadCritical", **BETA),
        labels("FleetscopeGridVoltageOutOfBand", **BETA),
        labels("FleetscopeGridVoltageOutOfBand", **OTHER),
        labels("FleetscopeGridFrequencyOutOfBand", **OTHER),
        labels("FleetscopeGridLost", **without),
    ) == {
        ("RegionGridLost", ""),
        ("RegionGridQuality", ""),
        ("CellSpreadCritical", "beta"),
        ("GridVoltageOutOfBand", "beta"),
        ("GridFrequencyOutOfBand", "gamma"),
        ("GridLost", "delta"),
    }


def test_a_site_tells_one_thing_at_a_time(on_call: OnCall) -> None:
    on_call.start_alertmanager()
    assert heard(
        on_call,
        # Offline: nothing else of it counts.
        labels("FleetscopeSiteOffline", **OTHER),
        labels("FleetscopeBatteryTemperatureCritical", **OTHER),
        labels("FleetscopeSiteOutlier", **OTHER),
        # A critical issue: the score, the warning and the device's own alarm say the same.
        labels("FleetscopeBatteryTemperatureCritical", **ALPHA),
        labels("FleetscopeBatteryTemperatureWarning", **ALPHA),
        labels("FleetscopeSiteCritical", **ALPHA),
        labels("FleetscopeSiteWarning", **ALPHA),
        labels("FleetscopeDeviceAlarm", **ALPHA),
        labels("FleetscopeSiteOutlier", **ALPHA),
        labels("FleetscopeBatterySohWarning", **ALPHA),
        # A warning says more than the score that it causes, and does not hide a critical score.
        labels("FleetscopeGridVoltageOutOfBand", **BETA),
        labels("FleetscopeSiteWarning", **BETA),
        labels("FleetscopeDeviceAlarm", **BETA),
        # Nor does a device's alarm, but it comes with a battery that is warm.
        labels("FleetscopeDeviceAlarm", **DELTA),
        labels("FleetscopeBatteryTemperatureWarning", **DELTA),
        labels("FleetscopeCellSpreadCritical", **ECHO),
        labels("FleetscopeDeviceAlarm", **ECHO),
    ) == {
        ("SiteOffline", "gamma"),
        ("BatteryTemperatureCritical", "alpha"),
        ("BatterySohWarning", "alpha"),
        ("DeviceAlarm", "delta"),
        ("CellSpreadCritical", "echo"),
        ("GridVoltageOutOfBand", "beta"),
        ("DeviceAlarm", "beta"),
    }


def test_warnings_hide_no_critical_score(on_call: OnCall) -> None:
    on_call.start_alertmanager()
    assert heard(
        on_call,
        labels("FleetscopeSiteCritical", **ALPHA),
        labels("FleetscopeGridVoltageOutOfBand", **ALPHA),
        labels("FleetscopeSiteOutlier", **BETA),
    ) == {("SiteCritical", "alpha"), ("GridVoltageOutOfBand", "alpha"), ("SiteOutlier", "beta")}


def test_the_words_of_a_message(on_call: OnCall) -> None:
    on_call.start_alertmanager()
    note = {
        "summary": "Alpha is offline",
        "description": "Alpha (alpha) has been offline for at least 1 minute.",
        "action": "Check its internet connection.",
        "worst": "score 40 in the last hour",
        "contact": "Site operations +44 1632 960001",
        "dashboard_url": "/d/fleetscope-site?var-site=alpha",
        "runbook_url": "docs/runbooks.md#fleetscopesiteoffline",
    }
    first = {
        "labels": labels("FleetscopeSiteOffline", **ALPHA, name="Alpha", priority="high"),
        "annotations": note,
        "startsAt": "2026-03-01T08:30:00Z",
        "endsAt": "2099-01-01T00:00:00Z",
        "generatorURL": "http://prometheus.example.com",
    }
    post(on_call, first)
    message = until(lambda: on_call.receiver.posts.get("/chat"), "a message")[0]["attachments"][0]
    assert message["title"] == "Alpha is offline"
    assert message["text"] == (
        "Alpha (alpha) has been offline for at least 1 minute.\n"
        "Where: Alpha, north (high priority)\n"
        "Since: Sun 1 Mar 2026, 08:30 UTC\n"
        "Worst: score 40 in the last hour\n"
        "Do: Check its internet connection.\n"
        "Call: Site operations +44 1632 960001\n"
        "Look: https://grafana.example.com/d/fleetscope-site?var-site=alpha"
        "&from=1772350200000&to=now\n"
        "Runbook: https://runbooks.example.com/docs/runbooks.md#fleetscopesiteoffline\n\n"
        "Hold these back for a while: "
        f"{on_call.alertmanager}/#/silences/new?filter="
        "{alertname%3D%22FleetscopeSiteOffline%22,instance%3D%22one%3A1%22,"
        "region%3D%22north%22,site%3D%22alpha%22}\n"
    )


def test_no_name_becomes_markup_in_a_chat(on_call: OnCall) -> None:
    on_call.start_alertmanager()
    evil = (
        "<!channel> <http://evil.example.com|login> @channel @all [login](http://evil.example.com) "
        "https://evil.example.com WWW.evil.example.com"
    )
    alert = {
        "labels": labels("FleetscopeSiteOffline", **ALPHA, name=evil, priority="high"),
        "annotations": {
            "summary": f"{evil} is offline",
            "description": f"{evil} has been offline.",
            "action": evil,
            "contact": evil,
            "dashboard_url": "/d/x?var-site=alpha&var-pack=1",
        },
        "startsAt": "2026-03-01T08:30:00Z",
        "endsAt": "2099-01-01T00:00:00Z",
    }
    post(on_call, alert)
    message = until(lambda: on_call.receiver.posts.get("/chat"), "a message")[0]["attachments"][0]
    for part in (message["title"], message["text"], message["fallback"]):
        assert "&lt;!channel&gt;" in part
        for markup in ("<", ">", "@channel", "@all", "](", "://evil", "www.evil"):
            assert markup not in part.lower()
    # Our own links work.
    assert (
        "Look: https://grafana.example.com/d/x?var-site=alpha&var-pack=1&from=" in message["text"]
    )
    assert f"{on_call.alertmanager}/#/silences/new?filter=" in message["text"]
    # Whoever reads plain JSON gets the text as it is.
    page = until(lambda: on_call.receiver.posts.get("/pages"), "a page")[0]
    assert page["alerts"][0]["annotations"]["action"] == evil


def test_a_message_says_what_is_over_and_what_goes_on(on_call: OnCall) -> None:
    on_call.start_alertmanager(shorter=600)

    def lasting(site: str, name: str, end: str) -> dict[str, Any]:
        own = {**ALPHA, "site": site, "name": name}
        return {
            "labels": labels("FleetscopeSiteWarning", **own),
            "annotations": {"summary": f"{name} has been in WARNING", "dashboard_url": "/d/x"},
            "startsAt": "2026-03-01T08:30:00Z",
            "endsAt": end,
        }

    later = "2099-01-01T00:00:00Z"
    post(on_call, lasting("alpha", "Alpha", later), lasting("beta", "Beta", later))

    def told(title: str) -> dict[str, Any] | None:
        chat = [each["attachments"][0] for each in on_call.receiver.posts.get("/ticket-chat", ())]
        return next((each for each in chat if each["title"] == title), None)

    # Alertmanager may send what began long ago as soon as it has the first of the two.
    both = "Alpha has been in WARNING (2 alerts in north)"
    first = until(lambda: told(both), "a ticket of both")
    post(on_call, lasting("alpha", "Alpha", "2026-03-01T10:00:00Z"))
    over = "Beta has been in WARNING; over: Alpha has been in WARNING"
    second = until(lambda: told(over), "the end of one")
    # The rule waits for four hours, and the link opens half a day before.
    assert "\nSince: Sun 1 Mar 2026, 04:30 UTC\n" in first["text"]
    assert "/d/x?from=1772310600000&to=now\n" in first["text"]
    assert "\nFrom Sun 1 Mar 2026, 04:30 to Sun 1 Mar 2026, 10:00 UTC\n" in second["text"]


def test_messages_know_the_rules_that_wait_long() -> None:
    told = re.findall(
        r'match "\^(\w+)\$" \.Labels\.alertname }}{{ \(\.StartsAt\.Add -(\d+)\)',
        (BASE / "fleetscope.tmpl").read_text("utf-8"),
    )
    waits = {alert: seconds(rule["for"]) for alert, rule in ALERTS.items()}
    assert {alert: int(number) // 10**9 for alert, number in told} == {
        alert: wait for alert, wait in waits.items() if wait >= 1800
    }
