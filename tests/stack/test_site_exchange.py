"""The running service explains its last exchange with a site, and says which way in it uses."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cli.test_probe import fleetscope, row
from tests.drivers.bridge import Bridge, site_trees, unused_url
from tests.drivers.json_peer import JsonPeer
from tests.service_process import ServiceProcess, serving

pytestmark = pytest.mark.stack


async def until(condition: Callable[[], Any]) -> Any:
    """Wait for what other processes bring about, while peers in this one answer."""
    async with asyncio.timeout(150.0):
        # What is waited for happens in another process.
        while not (found := await asyncio.to_thread(condition)):  # noqa: ASYNC110
            await asyncio.sleep(0.2)
    return found


def site_of(service: ServiceProcess, site: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(service.get(f"/api/v1/sites/{site}")[1])
    return found


async def test_the_last_exchange_of_the_service_is_explained(tmp_path: Path) -> None:
    odd = {"total_power": 9e9, "emeters": [{"voltage": True, "total": None}] * 3, "mac": "A"}
    peer, bridge = JsonPeer({"/status": odd}), Bridge(site_trees())
    async with peer.running(), bridge.running():
        sites = [
            {
                "id": "m",
                "kind": "meter",
                "driver": "template",
                "template": "shelly-3em",
                "api_endpoint": peer.url,
            },
            {
                "id": "v",
                "drivers": [
                    {"driver": "venus-http", "api_endpoint": unused_url()},
                    {"driver": "venus-http", "api_endpoint": bridge.url},
                ],
            },
        ]
        path = tmp_path / "fleet.yaml"
        path.write_text(yaml.safe_dump({"sites": sites}), "utf-8")
        with serving(path) as service:
            await until(lambda: service.get("/readyz")[0] == 200)
            url = await asyncio.to_thread(lambda: service.url)
            status, output = await fleetscope("--site", "m", FLEETSCOPE_URL=url)
            assert status == 0, output
            assert "implausible: 9e+09 is outside -2e+08 to 2e+08 W" in row(output, "grid_power_w")
            assert "wrong type: the device gives true" in row(output, "grid_voltage_v")
            assert "last exchange: ok in" in output
            assert "missing for a full score: grid voltage, grid power" in output

            await until(lambda: site_of(service, "v")["up"])
            status, output = await fleetscope("--site", "v", FLEETSCOPE_URL=url)
            assert status == 0, output
            assert "read over venus-http-2 (of venus-http-1, venus-http-2)" in output
            # Trees of a Venus site are kept from the first question on.
            assert row(output, "soc_percent").rstrip().split()[-1] != ""
            assert "battery Soc" in row(output, "soc_percent")
            assert "other_way_in: venus-http-1 is not in use" in output

            about = await asyncio.to_thread(site_of, service, "v")
            assert (about["way_in"], about["way_changes"]) == ("venus-http-2", 0)
            _, text = await asyncio.to_thread(service.get, "/metrics")
            assert 'fleetscope_site_way_in{site="v",way="venus-http-2"} 1' in text
            assert 'fleetscope_site_way_changes_total{site="v"} 0' in text
            assert 'kind="meter"' in text
            unknown, output = await fleetscope("--site", "nowhere", FLEETSCOPE_URL=url)
            assert unknown != 0
            assert "nowhere" in output
