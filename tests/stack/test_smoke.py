"""What ``make smoke`` checks holds on real servers, and each check can tell when it does not."""

from __future__ import annotations

import http.client
import json
from dataclasses import replace

import pytest

from provisioning.local.checks import Check, Checks, wait_for
from provisioning.local.stack import Stack
from provisioning.local.web import RequestError, get, get_json
from tests.service_process import until

pytestmark = pytest.mark.stack

NAMES = [
    "metrics_are_clean",
    "readings_in_influxdb",
    "offline_in_influxdb",
    "scores_in_prometheus",
    "names_in_prometheus",
    "issues_match_the_truth",
    "alert_in_alertmanager",
]


def test_every_check_is_run_here(checks: Checks) -> None:
    assert [check.__name__ for check, _ in checks.everything()] == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_check_holds(checks: Checks, name: str) -> None:
    found: dict[str, tuple[Check, float]] = {
        check.__name__: (check, limit) for check, limit in checks.everything()
    }
    outcome = wait_for(*found[name])
    assert outcome.good, outcome.found


class TestChecksCanFail:
    """After the checks have held, each is asked about a fleet that is not the one running."""

    def test_a_site_that_does_not_exist_is_missed(self, stack: Stack, checks: Checks) -> None:
        more = replace(checks.wanted, sites=checks.wanted.sites | {"site_nowhere"})
        others = Checks(stack, more)
        for check in (
            others.readings_in_influxdb,
            others.scores_in_prometheus,
            others.names_in_prometheus,
        ):
            outcome = check()
            assert not outcome.good
            assert "site_nowhere" in outcome.found

    def test_another_site_offline_is_missed(self, stack: Stack, checks: Checks) -> None:
        other = replace(checks.wanted, offline=frozenset({"site_alpha"}))
        others = Checks(stack, other)
        for check in (
            others.offline_in_influxdb,
            others.scores_in_prometheus,
            others.alert_in_alertmanager,
            others.readings_in_influxdb,
        ):
            assert not check().good, check

    def test_a_missing_and_a_false_issue_are_told(self, stack: Stack, checks: Checks) -> None:
        other = replace(
            checks.wanted,
            must_show={**checks.wanted.must_show, "site_mu": frozenset({"grid_lost"})},
            one_of={**checks.wanted.one_of, "site_kappa": [frozenset({"pv_low", "grid_voltage"})]},
            must_not_show={
                **checks.wanted.must_not_show,
                "site_alpha": frozenset({"battery_soh"}),
            },
        )
        found = Checks(stack, other).issues_match_the_truth().found
        assert "site_mu lacks grid_lost" in found
        assert "site_kappa lacks grid_voltage or pv_low" in found
        assert "site_alpha has a false battery_soh" in found

    def test_a_check_that_never_holds_is_given_up(self, stack: Stack, checks: Checks) -> None:
        more = replace(checks.wanted, sites=checks.wanted.sites | {"site_nowhere"})
        assert not wait_for(Checks(stack, more).names_in_prometheus, 0.0).good

    def test_an_influxdb_error_is_told(self, checks: Checks) -> None:
        with pytest.raises(RequestError, match="retention policy not found"):
            checks.influxql('SELECT "soc_percent" FROM "nothing"."battery"')


class TestServers:
    """The servers run with the files of provisioning/, on loopback alone."""

    def test_prometheus_has_the_rules_and_one_healthy_target(self, stack: Stack) -> None:
        url = stack.url("prometheus")
        rules = get_json(f"{url}/api/v1/rules")["data"]["groups"]
        names = {rule["name"] for group in rules for rule in group["rules"]}
        assert {"FleetscopeExporterDown", "FleetscopeSiteOffline"} <= names
        assert all(rule["health"] == "ok" for group in rules for rule in group["rules"])
        (target,) = get_json(f"{url}/api/v1/targets")["data"]["activeTargets"]
        assert target["health"] == "up"
        assert target["labels"]["job"] == "fleetscope"

    def test_alert_says_what_the_rule_promises(self, stack: Stack) -> None:
        alerts = get_json(f"{stack.url('alertmanager')}/api/v2/alerts")
        (offline,) = (a for a in alerts if a["labels"]["alertname"] == "FleetscopeSiteOffline")
        assert offline["labels"]["site"] == "site_epsilon"
        assert offline["labels"]["severity"] == "page"
        assert offline["labels"]["region"]
        assert offline["annotations"]["summary"] == "Epsilon is offline"
        assert offline["annotations"]["description"].startswith("Epsilon (site_epsilon) has been")

    def test_alerts_are_grouped_by_region_and_name(self, stack: Stack) -> None:
        groups = get_json(f"{stack.url('alertmanager')}/api/v2/alerts/groups")
        assert groups
        assert all(set(group["labels"]) == {"alertname", "region"} for group in groups)

    def test_a_dead_exporter_hides_the_alerts_of_its_own_sites_only(self, stack: Stack) -> None:
        url = stack.url("alertmanager")
        assert url is not None
        post_alerts(
            url,
            {"alertname": "FleetscopeExporterDown", "job": "fleetscope", "instance": "one:1"},
            {"alertname": "FleetscopeSiteCritical", "job": "fleetscope", "instance": "one:1"},
            {"alertname": "FleetscopeSiteCritical", "job": "fleetscope", "instance": "two:1"},
        )

        def hidden() -> dict[tuple[str, str], bool]:
            alerts = get_json(f"{url}/api/v2/alerts", {"filter": 'instance=~"(one|two):1"'})
            return {
                (a["labels"]["alertname"], a["labels"]["instance"]): bool(
                    a["status"]["inhibitedBy"]
                )
                for a in alerts
            }

        # What an alert hides is worked out after it was taken.
        until(lambda: any(hidden().values()))
        assert hidden() == {
            ("FleetscopeExporterDown", "one:1"): False,
            ("FleetscopeSiteCritical", "one:1"): True,
            ("FleetscopeSiteCritical", "two:1"): False,
        }

    def test_nothing_listens_beyond_loopback(self, stack: Stack) -> None:
        listening = get_listening_ports()
        ports = {program.port for program in stack.programs.values()}
        assert ports <= listening.keys()
        assert {listening[port] for port in ports} == {"0100007F"}

    def test_the_exporter_answers_for_itself(self, stack: Stack) -> None:
        assert get(f"{stack.url('exporter')}/healthz")
        assert len(get_json(f"{stack.url('exporter')}/api/v1/sites")) > 0


def post_alerts(url: str, *labels: dict[str, str]) -> None:
    """Send alerts to Alertmanager as Prometheus does."""
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=10.0)
    try:
        connection.request(
            "POST",
            "/api/v2/alerts",
            json.dumps([{"labels": each} for each in labels]),
            {"Content-Type": "application/json"},
        )
        assert connection.getresponse().status == 200
    finally:
        connection.close()


def get_listening_ports() -> dict[int, str]:
    """Listening IPv4 and IPv6 addresses in the kernel's hexadecimal, by port."""
    found: dict[int, str] = {}
    for table in ("tcp", "tcp6"):
        with open(f"/proc/net/{table}", encoding="ascii") as lines:
            for line in lines.readlines()[1:]:
                local, state = line.split()[1], line.split()[3]
                if state == "0A":
                    address, port = local.split(":")
                    found[int(port, 16)] = address
    return found
