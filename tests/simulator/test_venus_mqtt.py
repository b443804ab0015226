"""The same physics over HTTP and MQTT is the same site to a monitor."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from exporter.assess.assessment import assess
from exporter.collect.state import FleetState
from exporter.config.fleet import Fleet
from exporter.model.snapshot import Outcome, Snapshot
from simulator import Scenario
from simulator.bridge import BridgeServer
from simulator.engine import Simulator
from simulator.venus_mqtt import devices_of
from tests.drivers.bridge import Clock, driver_for
from tests.drivers.mosquitto import mosquitto, needs_mosquitto
from tests.drivers.venus.gx import mqtt_driver, publishing, until, until_error
from tests.drivers.venus.test_mqtt_driver import merged

pytestmark = needs_mosquitto
# Time stands still, so that both see one moment.
STILL = 1e-9


def scored(site: str, *snapshots: Snapshot) -> tuple[float, str, list[str]]:
    """Score, status and issues after these Snapshots."""
    entry = {"id": site, "api_endpoint": "http://192.0.2.1"}
    state = FleetState(Fleet.model_validate({"sites": [entry]}), 10.0)
    for number, snapshot in enumerate(snapshots):
        state.apply(snapshot, 1000.0 + number)
    judged = assess(state, 1000.0 + len(snapshots), 1_700_000_000.0).site(0)
    return judged.score, judged.status, sorted(issue.code for issue in judged.issues)


@pytest.mark.parametrize("name", ["site_alpha", "site_beta", "site_zeta", "site_iota", "site_mu"])
async def test_a_site_is_the_same_over_http_and_mqtt(
    tmp_path: Path, demo: Scenario, name: str
) -> None:
    simulator = Simulator(demo, speed=STILL)
    server = BridgeServer(simulator)
    port = await server.start()
    ((portal, device),) = devices_of(simulator, [name]).items()
    clock = Clock()
    try:
        with mosquitto(tmp_path) as broker:
            url = f"http://127.0.0.1:{port}/{name}"
            async with driver_for(url, clock, site=name) as http:
                over_http = []
                for _ in range(8):
                    over_http.append(await http.scrape())
                    clock.advance(10)
            site = mqtt_driver(broker.url, site=name, portal=portal)
            async with publishing(broker.port, device), site as mqtt:
                over_mqtt = await until(mqtt)
    finally:
        await server.stop()
    one, other = merged(over_http), merged([over_mqtt])
    for part in ("alarms", "alarm_texts"):
        # The bridge's requests may be spent before the last device is asked.
        other[part] = {d: other[part][d] for d in one[part]}
    assert other == one
    assert scored(name, over_mqtt) == scored(name, *over_http)


@pytest.mark.parametrize(
    ("fault", "outcome"), [("offline", Outcome.TIMEOUT), ("rubbish", Outcome.OK)]
)
async def test_faults_of_a_site_show_over_mqtt(
    tmp_path: Path, demo: Scenario, fault: str, outcome: Outcome
) -> None:
    simulator = Simulator(demo, speed=STILL)
    ((portal, device),) = devices_of(simulator, ["site_iota"]).items()
    simulator.inject("site_iota", fault)
    with mosquitto(tmp_path) as broker:
        site = mqtt_driver(broker.url, portal=portal)
        async with publishing(broker.port, device), site as driver:
            if outcome is Outcome.TIMEOUT:
                error = await until_error(driver, lambda e: "sent nothing" in e.detail)
                assert error.outcome is outcome
                return
            snapshot = await until(driver)
    # What cannot be read is no reading, and is counted.
    assert all(math.isnan(value) for value in snapshot.readings.values())
    assert any(item.given for item in snapshot.implausible)
