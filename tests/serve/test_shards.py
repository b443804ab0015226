"""Four real exporters with one fleet file: each answers for all of it, and a lost one is named."""

from __future__ import annotations

import contextlib
import json
import random
import subprocess
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from exporter.config.shards import shard_of
from provisioning.local.ports import Ports
from tests.serve.test_processes import listening
from tests.service_process import ServiceProcess, command, environment, serving, until

pytestmark = pytest.mark.stack

SITES = 48
COUNT = 4
TOKEN = "a-token-that-shards-know"
OF_LOST = [f"s{n:03}" for n in range(SITES) if shard_of(f"s{n:03}", COUNT) == 2]
OUTLIER = next(f"s{n:03}" for n in range(SITES) if shard_of(f"s{n:03}", COUNT) == 1)


class _Site(BaseHTTPRequestHandler):
    """Sites whose readings differ by site and never change."""

    def do_GET(self) -> None:
        site = self.path.split("/")[1]
        rng = random.Random(site)
        if "/services" in self.path:
            names = ["com.victronenergy.battery.ttyO0", "com.victronenergy.system"]
            reply: dict[str, object] = {"success": True, "services": names, "count": 2}
        elif "com.victronenergy.system" in self.path:
            tree = {"Dc/Battery/BatteryService": "com.victronenergy.battery.ttyO0"}
            reply = {"success": True, "value": tree | {"Dc/Battery/Soc": 70.0}}
        else:
            soh = round(rng.uniform(93, 97), 1) if int(site[1:]) % 6 else 60.0
            celsius = 44.0 if site == OUTLIER else round(rng.uniform(22, 26), 1)
            values = {"Soc": 70.0, "Soh": soh, "Dc/0/Temperature": celsius}
            reply = {"success": True, "value": values}
        self.send_response(200)
        self.end_headers()
        with contextlib.suppress(ConnectionError):
            self.wfile.write(json.dumps(reply).encode())

    def log_message(self, *_: object) -> None:
        """Silent."""


# Eight processes start at once, on a machine that may do other work.
PATIENCE_SECONDS = 240.0


def get(service: ServiceProcess, path: str) -> Any:
    status, body = service.get(f"/api/v1/{path}", timeout=PATIENCE_SECONDS)
    assert status == 200, body
    return json.loads(body)


def all_known(service: ServiceProcess) -> None:
    """Wait until every site of the fleet was read."""
    until(lambda: get(service, "fleet")["counts"]["UNKNOWN"] == 0, PATIENCE_SECONDS)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("shards") / "fleet.json"
    with listening(_Site) as url:
        sites = [
            {
                "id": f"s{n:03}",
                "api_endpoint": f"{url}/s{n:03}",
                "region": ("north", "south")[n % 2],
                "battery_type": "LFP",
            }
            for n in range(SITES)
        ]
        path.write_text(json.dumps({"sites": sites}), "utf-8")
        yield path


@pytest.fixture(scope="module")
def shards(fleet: Path) -> Iterator[list[ServiceProcess]]:
    free = Ports(usual=False)
    ports = [free.pick(0) for _ in range(COUNT)]
    urls = ",".join(f"http://127.0.0.1:{port}" for port in ports)
    found: list[ServiceProcess] = []
    with contextlib.ExitStack() as running:
        for index, port in enumerate(ports):
            service = serving(
                fleet,
                listen=f"127.0.0.1:{port}",
                log=f"log-{index}",
                shard=f"{index}/{COUNT}",
                shard_token=TOKEN,
                interval_seconds="5",
                # Two of them answer for the whole fleet.
                shard_urls=urls if index < 2 else "",
            )
            found.append(running.enter_context(service))
            # One after another: each is two processes that import for seconds.
            until(lambda: "listening on" in found[-1].log, PATIENCE_SECONDS)
        yield found


def test_any_shard_answers_for_all_and_metrics_are_of_its_own_sites(
    shards: list[ServiceProcess],
) -> None:
    ill = sorted(f"s{n:03}" for n in range(0, SITES, 6))
    for service in shards[:2]:
        all_known(service)
        fleet = get(service, "fleet")
        assert (fleet["sites"], fleet["unseen"]) == (SITES, None)
        # A busy machine may lose scrapes of more sites.
        assert set(ill) <= set(fleet["attention"])
        sites = get(service, "sites")["sites"]
        assert sorted(site["attention_rank"] for site in sites) == list(range(1, SITES + 1))
        low = [s["id"] for s in sites if "battery_soh" in {i["code"] for i in s["issues"]}]
        assert sorted(low) == ill
        # Its peers are mostly sites of other shards.
        answer = get(service, f"ask?q={quote('any outliers in temperature?')}")
        assert answer["sites"] == [OUTLIER]
    assert sum(service.metric("fleet_sites") or 0 for service in shards) == SITES
    assert shards[0].get("/api/v1/shard", PATIENCE_SECONDS)[0] == 401


def test_a_lost_shard_is_named_everywhere(fleet: Path, shards: list[ServiceProcess]) -> None:
    all_known(shards[0])
    shards[2].process.kill()
    shards[2].process.wait()
    unseen = until(lambda: get(shards[0], "fleet")["unseen"], PATIENCE_SECONDS)
    assert unseen["sites"] == len(OF_LOST) > 0
    assert unseen["ratio"] == pytest.approx(len(OF_LOST) / SITES, abs=1e-4)
    assert [shard["shard"] for shard in unseen["shards"]] == ["2/4"]
    sentence = f"{len(OF_LOST)} of {SITES} sites ({100 * len(OF_LOST) / SITES:.0f} %) are not seen"
    assert unseen["sentence"].startswith(sentence)
    site = get(shards[0], f"sites/{OF_LOST[0]}")
    assert (site["status"], site["score"], site["up"]) == ("UNKNOWN", None, None)
    assert "shard 2/4 does not answer" in site["detail"]
    # A question whose answer would be "none" names what nobody sees.
    answer = get(shards[0], f"ask?q={quote('which sites are offline?')}")
    assert sentence in answer["headline"]
    assert answer["evidence"]["missing"]
    done = subprocess.run(
        command("status", "--url", shards[0].url),
        capture_output=True,
        text=True,
        check=False,
        env=environment() | {"COLUMNS": "200"},
        cwd=fleet.parent,
    )
    assert sentence in done.stdout
    assert done.returncode == 1
