"""A fault goes in at the site, one message comes out at the receiver, and one when it is over."""

from __future__ import annotations

import http.client
import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from provisioning.local.ports import LOOPBACK
from provisioning.local.web import get_json
from simulator.scenario import SCENARIOS
from tests.oncall.conftest import OnCall, until

pytestmark = pytest.mark.stack

REGIONS, SITES, OFFLINE = 10, 1000, 300


def healthy_scenario(path: Path) -> Path:
    """The sites of the demo that have nothing wrong, polled every second."""
    scenario = yaml.safe_load((SCENARIOS / "demo.yaml").read_text("utf-8"))
    scenario["sites"] = [
        {**site, "interval_seconds": 1}
        for site in scenario["sites"]
        if site["id"] in {"site_theta", "site_iota", "site_mu"}
    ]
    scenario["companions"] = []
    path.write_text(yaml.safe_dump(scenario, allow_unicode=True), "utf-8")
    return path


def control(address: str, **order: Any) -> None:
    """Put a fault into the simulator, or take it out."""
    connection = http.client.HTTPConnection(address, timeout=10.0)
    try:
        connection.request("POST", "/_control", json.dumps(order))
        assert connection.getresponse().status == 200
    finally:
        connection.close()


def test_a_fault_gives_one_message_and_one_when_it_is_over(on_call: OnCall, tmp_path: Path) -> None:
    simulator = f"{LOOPBACK}:{on_call.ports.pick(0)}"
    exporter = f"{LOOPBACK}:{on_call.ports.pick(0)}"
    scenario, fleet = healthy_scenario(tmp_path / "scenario.yaml"), tmp_path / "fleet.yaml"
    python = (sys.executable, "-m")
    on_call.run(
        "simulator",
        *(*python, "simulator", "serve", "--scenario", scenario, "--listen", simulator),
        ready=f"http://{simulator}/_control",
    )
    on_call.write_fleet(scenario, f"http://{simulator}", fleet)
    on_call.run(
        "exporter",
        *(*python, "exporter", "run", "--fleet", fleet, "--listen", exporter),
        ready=f"http://{exporter}/readyz",
    )
    on_call.start_alertmanager()
    on_call.start_prometheus(exporter)
    query = {"query": "sum(region:sites_watched:count) == 3"}
    until(
        lambda: get_json(f"{on_call.prometheus}/api/v1/query", query)["data"]["result"],
        "all three sites are watched",
    )
    assert on_call.receiver.told() == []

    control(simulator, action="inject", site="site_theta", fault="grid_lost")
    until(on_call.receiver.told, "a page")
    # The score falls with the grid; that is the same incident and must not be told again.
    until(lambda: on_call.firing("FleetscopeSiteCritical") == 1, "the site is critical")
    until(lambda: on_call.held_back("FleetscopeSiteCritical") == 1, "which is held back")
    assert on_call.receiver.told() == [("firing", "FleetscopeGridLost")]
    assert on_call.receiver.told("/tickets") == []

    control(simulator, action="clear", site="site_theta", fault="grid_lost")
    until(lambda: len(on_call.receiver.told()) > 1, "the end of it")
    until(lambda: not on_call.firing("FleetscopeSiteCritical"), "the site is well again")
    assert on_call.receiver.told() == [
        ("firing", "FleetscopeGridLost"),
        ("resolved", "FleetscopeGridLost"),
    ]
    (page, _) = on_call.receiver.posts["/pages"]
    (alert,) = page["alerts"]
    assert alert["labels"]["site"] == "site_theta"
    assert alert["annotations"]["summary"] == "Theta has lost the grid"
    assert alert["annotations"]["contact"] == "Site operations +44 1632 960108"
    (message, over) = (post["attachments"][0] for post in on_call.receiver.posts["/chat"])
    assert message["title"] == "Theta has lost the grid"
    assert "Where: Theta, east-australia (high priority)" in message["text"]
    assert (
        "https://grafana.example.com/d/fleetscope-site?var-site=site_theta&from="
        in (message["text"])
    )
    assert over["title"] == "Over: Theta has lost the grid"


class SyntheticFleet:
    """1,000 sites in 10 regions behind one /metrics; some of them can be taken offline."""

    def __init__(self) -> None:
        self.offline: frozenset[int] = frozenset()
        fleet = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = fleet.exposition().encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Keep the test's output clean."""

        self._server = ThreadingHTTPServer((LOOPBACK, 0), Handler)
        self.address = f"{LOOPBACK}:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def exposition(self) -> str:
        """What an exporter says of such a fleet, as far as the rules on offline sites read it."""
        lines = []
        for i in range(SITES):
            region, offline = f"region-{i * REGIONS // SITES}", i in self.offline
            priority = "high" if i % 7 == 0 else "medium"
            lines += [
                f'fleetscope_site_info{{site="s{i}",name="Site {i}",region="{region}",'
                f'priority="{priority}",contact="Site operations",phone="+44 1632 960001"}} 1',
                f'fleetscope_site_status{{site="s{i}",status="OFFLINE"}} {int(offline)}',
                f'fleetscope_site_status{{site="s{i}",status="HEALTHY"}} {int(not offline)}',
                f'fleetscope_site_health_score{{site="s{i}"}} {0 if offline else 97}',
            ]
        return "\n".join(lines) + "\n"

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def synthetic() -> Iterator[SyntheticFleet]:
    made = SyntheticFleet()
    yield made
    made.stop()


def test_a_mass_outage_is_one_page_and_its_end_another(
    on_call: OnCall, synthetic: SyntheticFleet
) -> None:
    # Two whole regions, and a few sites of each of the others.
    gone = [*range(200), *(i for i in range(200, SITES) if i % 8 == 0)]
    assert len(gone) == OFFLINE
    on_call.start_alertmanager()
    on_call.start_prometheus(synthetic.address)
    query = {"query": "sum(region:sites_watched:count)"}
    until(
        lambda: get_json(f"{on_call.prometheus}/api/v1/query", query)["data"]["result"],
        "the fleet is watched",
    )
    # Sites are noticed one after another, as their scrapes come round.
    synthetic.offline = frozenset(gone[:20])
    until(lambda: on_call.pending("FleetscopeSiteOffline") == 20, "the first are noticed")
    synthetic.offline = frozenset(gone)
    until(lambda: on_call.firing("FleetscopeSiteOffline") == OFFLINE, "all alerts fire")
    until(lambda: on_call.held_back("FleetscopeSiteOffline") == OFFLINE, "and are held back")
    until(lambda: on_call.held_back("FleetscopeRegionOffline") == 2, "those of regions as well")
    until(on_call.receiver.told, "a page")
    assert on_call.receiver.told() == [("firing", "FleetscopeManySitesOffline")]
    (page,) = on_call.receiver.posts["/pages"]
    (alert,) = page["alerts"]
    assert alert["annotations"]["summary"] == "300 of 1000 sites are offline at once"
    assert "region-0 100, region-1 100, region-2 13" in alert["annotations"]["description"]

    synthetic.offline = frozenset(gone[:100])
    # Below the limit of the whole fleet, while the sites of one region are still away.
    query = {"query": "sum(region:sites_offline:count) == 100"}
    until(
        lambda: get_json(f"{on_call.prometheus}/api/v1/query", query)["data"]["result"],
        "most are back",
    )
    synthetic.offline = frozenset()
    until(lambda: len(on_call.receiver.told()) > 1, "the end of it")
    until(lambda: not on_call.held_back("FleetscopeSiteOffline"), "nothing is left")
    assert on_call.receiver.told() == [
        ("firing", "FleetscopeManySitesOffline"),
        ("resolved", "FleetscopeManySitesOffline"),
    ]
    assert on_call.receiver.told("/tickets") == []
