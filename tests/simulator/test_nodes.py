"""Simulated nodes that send by themselves, to the service's route and over a real broker."""

from __future__ import annotations

import asyncio
import contextlib
import time
from pathlib import Path

import pytest
import yaml

from exporter.config.fleet_file import parse_fleet
from exporter.drivers import DRIVERS
from exporter.drivers.base import Driver, DriverContext, Subscribed, read_snapshot
from exporter.drivers.transport import Transports
from exporter.drivers.transport.http.json_client import HttpClient
from exporter.drivers.transport.http.site_client import HttpTransport
from exporter.drivers.transport.mqtt.broker import MqttTransport
from exporter.drivers.transport.push import PushTransport
from exporter.drivers.ways_in import open_driver
from exporter.intake.telemetry import Batch
from exporter.model.snapshot import ScrapeError, Snapshot
from exporter.serve.api.telemetry import Intake
from simulator import Scenario, Simulator, nodes
from simulator.fleetfile import fleet
from simulator.nodes import Destination, post_nodes, publish_nodes
from tests.drivers.mosquitto import mosquitto, needs_mosquitto
from tests.faults.pushing_node import served
from tests.simulator.conftest import Clock

TOKEN = "a-token"
PATIENCE_SECONDS = 180.0


@needs_mosquitto
async def test_nodes_send_what_their_sites_have(
    simulator: Simulator,
    demo: Scenario,
    clock: Clock,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(nodes, "SEND_SECONDS", 0.05)
    push = PushTransport()

    def deliver(batch: Batch) -> bool:
        push.deliver(batch.points, batch.sent)
        return True

    async with contextlib.AsyncExitStack() as stack:
        broker = stack.enter_context(mosquitto(tmp_path))
        entries = fleet(demo, "http://127.0.0.1:1", broker.url, None, {"dc_theta": TOKEN})
        parsed = parse_fleet(yaml.safe_dump(entries), Path("fleet.yaml"), DRIVERS)
        port = await stack.enter_async_context(served(Intake(lambda: parsed, deliver)))
        http = HttpTransport(await stack.enter_async_context(HttpClient()))
        transports = Transports(http, mqtt=MqttTransport(), push=push)
        context = DriverContext(transports, lambda: simulator.time, time.monotonic)
        pushed = [site for site in parsed.sites if site.driver == "push"]
        drivers = {site.id: open_driver(site, DRIVERS, context) for site in pushed}
        tasks = [
            asyncio.create_task(driver.subscribe())
            for driver in drivers.values()
            if isinstance(driver, Subscribed)
        ]
        to = {"dc_theta": Destination(f"http://127.0.0.1:{port}", TOKEN)}
        sending = (
            post_nodes(simulator, demo.pushing("push"), to),
            publish_nodes(simulator, demo.pushing("push-mqtt"), "127.0.0.1", broker.port),
        )
        tasks += [asyncio.create_task(one) for one in sending]
        try:
            found = {name: await first_snapshot(one, clock) for name, one in drivers.items()}
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
    state = simulator.state("site_theta")
    centre, meter = found["dc_theta"].readings, found["meter_kappa"].readings
    assert centre["load_power_w"] == pytest.approx(state.load, rel=0.2)
    assert centre["deferrable_power_w"] > 0
    assert meter["grid_import_kwh"] == pytest.approx(
        simulator.state("site_kappa").imported_kwh, rel=0.01
    )
    assert meter["grid_frequency_hz"] == pytest.approx(60, abs=0.5)


async def first_snapshot(driver: Driver, clock: Clock) -> Snapshot:
    """What the driver has first; the simulation goes on meanwhile, so that points are new."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            clock.now += 5.0
            with contextlib.suppress(ScrapeError):
                if (snapshot := await read_snapshot(driver)) is not None:
                    return snapshot
            await asyncio.sleep(0.05)


def test_a_node_without_a_token_or_a_broker_is_asked_like_the_others(demo: Scenario) -> None:
    sites = {site["id"]: site for site in fleet(demo, "http://127.0.0.1:1")["sites"]}
    assert {sites[name]["driver"] for name in ("dc_theta", "meter_kappa")} == {"template"}
    assert sites["site_iota"]["driver"] == "venus-http"
