"""The demo's sites, each over the protocol that it speaks, read as the fleet file says."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
import yaml

from exporter.config.fleet_file import parse_fleet
from exporter.drivers import DRIVERS
from exporter.drivers.base import DriverContext, read_snapshot
from exporter.drivers.transport import Transports
from exporter.drivers.transport.http.json_client import HttpClient
from exporter.drivers.transport.http.site_client import HttpTransport
from exporter.drivers.ways_in import open_driver
from exporter.model.snapshot import Outcome
from simulator import BridgeServer, Scenario, Simulator
from simulator.cli import _serve_modbus
from simulator.fleetfile import fleet
from simulator.vrm import VrmPortal
from tests.drivers.bridge import unused_url

TOKEN = "a-token"


async def test_every_site_answers_over_its_protocol(simulator: Simulator, demo: Scenario) -> None:
    bridge = BridgeServer(simulator, VrmPortal(simulator, TOKEN, time.monotonic))
    port = int(unused_url().rpartition(":")[2])
    base = f"http://127.0.0.1:{await bridge.start()}"
    modbus = await _serve_modbus(simulator, demo, ("127.0.0.1", port))
    assert modbus is not None
    tokens = {"site_iota": TOKEN}
    written = yaml.safe_dump(fleet(demo, base, None, f"modbus://127.0.0.1:{port}", tokens))
    sites = parse_fleet(written, Path("fleet.yaml"), DRIVERS).sites
    found = {}
    try:
        async with HttpClient() as http:
            transport = HttpTransport(http, lambda *_: f"Bearer {TOKEN}")
            # The demo of the fixture has its own time.
            context = DriverContext(Transports(transport), lambda: simulator.time, time.monotonic)
            for site in sites:
                if site.id == "site_epsilon":
                    continue
                driver = open_driver(site, DRIVERS, context)
                found[site.id] = await read_snapshot(driver)
                await driver.close()
    finally:
        await modbus.stop()
        await bridge.stop()
    drivers = {site.driver for site in sites}
    with_battery = {site.id: site.kind in ("ess", "bess") for site in sites}
    assert drivers == {"venus-http", "modbus-tcp", "sunspec", "template", "vrm"}
    for site, snapshot in found.items():
        assert snapshot.outcome is Outcome.OK, (site, snapshot.detail)
        if with_battery[site]:
            assert snapshot.batteries[0].readings["soc_percent"] > 0, site
            assert "grid_power_w" in snapshot.readings, site
        else:
            assert snapshot.readings, site


def test_two_sites_cannot_share_the_units_of_one_port(demo: Scenario) -> None:
    plain = json.loads(demo.model_dump_json())
    plain["sites"][0]["protocol"] = "modbus"
    with pytest.raises(ValueError, match="at most one site speaks modbus"):
        Scenario.model_validate(plain)


def test_repeated_sites_speak_http(demo: Scenario) -> None:
    repeated = demo.with_sites(40).sites[len(demo.sites) :]
    assert {site.protocol for site in repeated} <= {"http", "mqtt"}
