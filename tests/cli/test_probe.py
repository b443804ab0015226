"""``fleetscope probe`` against devices on real sockets."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from datetime import datetime
from pathlib import Path

import pytest
import yaml

from exporter.cli import probing
from exporter.cli.probe import ProbeError, site_of, write_node
from exporter.cli.probing import candidates
from exporter.config.fleet_file import load_fleet
from exporter.drivers import DRIVERS
from exporter.drivers.venus import mqtt_driver
from exporter.model.snapshot import Outcome
from simulator import Scenario, Simulator
from simulator.devices import SiteBus
from simulator.modbus.gx import GxUnits
from simulator.modbus.server import ModbusServer
from simulator.modbus.sunspec import SunSpecUnits
from simulator.venus_mqtt import VenusDevice
from tests.drivers.bridge import unused_url
from tests.drivers.json_peer import JsonPeer
from tests.drivers.mosquitto import mosquitto, needs_mosquitto
from tests.drivers.template.replies import RECORDED
from tests.drivers.venus.gx import publishing

pytestmark = pytest.mark.slow

NOON = datetime.fromisoformat("2026-06-21T11:00:00+00:00")


def simulation() -> Simulator:
    return Simulator(Scenario.load("demo"), clock=lambda: 1000.0, start=NOON)


async def fleetscope(*arguments: str, **environment: str) -> tuple[int, str]:
    """The exit status and the output of the command."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "exporter", "probe", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=os.environ | {"COLUMNS": "200"} | environment,
    )
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode()


def fleet_file(folder: Path, *entries: dict[str, object]) -> Path:
    path = folder / "fleet.yaml"
    path.write_text(yaml.safe_dump({"sites": list(entries)}), "utf-8")
    return path


def row(output: str, quantity: str) -> str:
    return next(line for line in output.splitlines() if f" {quantity} " in line)


async def test_a_gx_device_is_found_and_written(tmp_path: Path) -> None:
    simulator = simulation()
    server = ModbusServer(simulator, "site_alpha", GxUnits(SiteBus(simulator, "site_alpha")))
    url = f"modbus://127.0.0.1:{await server.start()}"
    path = fleet_file(tmp_path, {"id": "other", "api_endpoint": "http://192.0.2.1"})
    audit = {"FLEETSCOPE_AUDIT_LOG": str(tmp_path / "audit.jsonl")}
    before = path.read_text("utf-8")
    try:
        status, output = await fleetscope(url, "--write", "--fleet", str(path), **audit)
        again, refusal = await fleetscope(url, "--write", "--fleet", str(path))
    finally:
        await server.stop()
    assert status == 0, output
    assert "modbus-tcp: ok in" in output
    assert "68 %" in row(output, "soh_percent")
    assert "registers of battery Soh" in row(output, "soh_percent")
    assert "missing: the device has no such value" in row(output, "genset_power_w")
    assert "missing for a full score: " in output
    (site,) = load_fleet(tmp_path / "nodes.yaml", DRIVERS).sites
    assert (site.driver, site.api_endpoint) == ("modbus-tcp", url)
    assert path.read_text("utf-8") == before
    assert again == 1
    assert "is there already; nothing is written" in refusal
    (event,) = (tmp_path / "audit.jsonl").read_text("utf-8").splitlines()
    assert json.loads(event)["site"] == site.id
    files = ["audit.jsonl", "fleet.yaml", "nodes.yaml"]
    assert sorted(os.listdir(tmp_path)) == files
    assert {site.id for site in load_fleet(path, DRIVERS).sites} == {"other", site.id}


async def test_sunspec_and_json_devices_are_found() -> None:
    simulator = simulation()
    server = ModbusServer(simulator, "site_gamma", SunSpecUnits(simulator, "site_gamma"))
    port = await server.start()
    peer = JsonPeer(RECORDED["shelly-3em"].documents)
    try:
        async with peer.running():
            status, output = await fleetscope(f"modbus://127.0.0.1:{port}", peer.url)
    finally:
        await server.stop()
    assert status == 0, output
    first, second = output.split(peer.url, 1)
    assert "sunspec: ok in" in first
    assert "driver: sunspec" in first
    assert "template shelly-3em: ok in" in second
    assert "/status total_power" in row(second, "grid_power_w")
    assert row(second, "grid_power_w").rstrip().endswith("331.5")
    assert "template: shelly-3em" in second
    assert "venus-http: partial: GET /services: status 404" in second


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "name addresses, or a site with --site; not both"),
        (("192.0.2.1", "--site", "m"), "name addresses, or a site with --site; not both"),
        (("gopher://192.0.2.1",), "expected HOST, HOST:PORT, or a URL of one of the drivers"),
        (("192.0.2.1", "--write"), "--write needs a fleet file"),
    ],
)
async def test_what_is_not_understood(arguments: tuple[str, ...], message: str) -> None:
    status, output = await fleetscope(*arguments)
    assert status == 1
    assert message in output


async def test_nothing_listens() -> None:
    status, output = await fleetscope(unused_url().replace("http", "modbus"))
    assert status == 1
    assert re.search(r"modbus-tcp, sunspec and \d+ more: refused: port \d+", output)
    assert "nothing that a driver or template understands answers" in output


@needs_mosquitto
async def test_a_broker_of_several_devices_asks_for_the_portal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probing, "SETTLED_SECONDS", 0.5)
    monkeypatch.setattr(mqtt_driver, "DISCOVERY_SECONDS", 0.1)
    devices = [VenusDevice(f"c0619ab0000{n}", dict) for n in (1, 2)]
    with mosquitto(tmp_path) as broker:
        async with publishing(broker.port, *devices), probing.context_for() as context:
            folder = Path()
            (found,) = await probing.probe(broker.url, context, lambda e: site_of(e, folder))
    assert found.outcome is Outcome.MALFORMED
    assert "several devices (c0619ab00001, c0619ab00002…); name the site's portal" in found.detail


def test_a_fleet_file_has_to_be_begun(tmp_path: Path) -> None:
    entry = {"id": "a", "driver": "sunspec", "api_endpoint": "modbus://192.0.2.1:502"}
    with pytest.raises(ProbeError, match="Begin it with `sites:` and the line above"):
        write_node(tmp_path / "fleet.yaml", entry, None)


def test_only_the_named_address_is_asked() -> None:
    for address in ("192.0.2.7", "192.0.2.7:1502", "modbus://192.0.2.7"):
        for candidate in candidates(address):
            assert "//192.0.2.7:" in candidate.entry["api_endpoint"]
    names = {candidate.name for candidate in candidates("192.0.2.7")}
    assert names >= {"venus-http", "modbus-tcp", "sunspec", "template huawei-sun2000"}
    assert "template home-assistant" not in names
