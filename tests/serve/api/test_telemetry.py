"""A node posts telemetry to a running service, and it reaches state, store and metrics."""

from __future__ import annotations

import hashlib
import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.service_process import ServiceProcess, serving, until

TOKEN = "a-token-of-a-node"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    folder = tmp_path_factory.mktemp("push")
    lines = ["sites:"]
    for number in range(60):
        digest = hashlib.sha256(f"{TOKEN}-{number}".encode()).hexdigest()
        dc_id = ", dc_id: DC01" if number == 0 else ""
        lines.append(
            f"  - {{id: node{number}, driver: push, token_sha256: {digest}, "
            f"interval_seconds: 1{dc_id}}}"
        )
    lines.append("  - {id: closed, driver: push}")
    fleet = folder / "fleet.yaml"
    fleet.write_text("\n".join(lines) + "\n", "utf-8")
    with serving(fleet) as process:
        yield process


def post(
    service: ServiceProcess, document: Any, token: str | None = f"{TOKEN}-0"
) -> tuple[int, dict[str, Any]]:
    raw = document if isinstance(document, bytes) else json.dumps(document).encode()
    request = urllib.request.Request(service.url + "/api/v1/telemetry", raw, method="POST")
    if token is not None:
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=30) as reply:
            return reply.status, json.loads(reply.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def site(service: ServiceProcess, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(service.get(f"/api/v1/sites/{name}")[1])
    return found


@pytest.mark.slow
def test_a_point_is_scored_and_silence_is_offline(service: ServiceProcess) -> None:
    battery = {"device": "battery/1", "readings": {"soc_percent": 55, "soh_percent": 60}}

    def sent() -> bool:
        point = {"site": "node1", "measured": time.time(), "batteries": [battery]}
        assert post(service, point, f"{TOKEN}-1") == (202, {"accepted": 1})
        time.sleep(0.3)
        return bool(site(service, "node1")["status"] == "CRITICAL")

    until(sent)
    assert [i["code"] for i in site(service, "node1")["issues"]] == ["battery_soh"]
    until(lambda: site(service, "node1")["status"] == "OFFLINE")
    assert service.metric('site_scrapes_total{outcome="timeout",site="node1"}')


def test_the_flat_form_of_a_data_centre(service: ServiceProcess) -> None:
    flat = {"dc_id": "DC01", "timestamp": time.time(), "cpu_usage": 40, "power_kw": 12.5}
    assert post(service, flat | {"soc": 70, "freq": 50.01}) == (202, {"accepted": 1})
    until(lambda: service.metric('grid_frequency_hertz{site="node0"}') == 50.01)


@pytest.mark.parametrize(
    ("document", "token", "status"),
    [
        ({"site": "node0", "measured": 1772352000}, None, 401),
        ({"site": "node0", "measured": 1772352000}, f"{TOKEN}-1", 401),
        ({"site": "nobody", "measured": 1772352000}, f"{TOKEN}-0", 401),
        ({"site": "closed", "measured": 1772352000}, "", 401),
        ([{"site": f"node{n}", "measured": 1772352000} for n in (0, 1)], f"{TOKEN}-0", 401),
        ({"site": "node0", "measured": "2026-03-01T08:00:00"}, f"{TOKEN}-0", 422),
        (b"{", f"{TOKEN}-0", 422),
        (b" " * 70_000, f"{TOKEN}-0", 413),
    ],
)
def test_what_is_refused(
    service: ServiceProcess, document: Any, token: str | None, status: int
) -> None:
    code, answer = post(service, document, token)
    assert code == status
    assert TOKEN not in json.dumps(answer)


def test_a_node_that_sends_too_often_is_held_up(service: ServiceProcess) -> None:
    codes = set()
    for number in range(400):
        point = {"site": "node2", "measured": 1772352000 + number}
        codes.add(post(service, point, f"{TOKEN}-2")[0])
        if 429 in codes:
            break
    assert codes == {202, 429}


@pytest.mark.slow
def test_many_nodes_at_once(service: ServiceProcess) -> None:
    time.sleep(3)  # the requests of this one address are limited too

    def send(number: int) -> int:
        point = {
            "site": f"node{number}",
            "measured": time.time(),
            "readings": {"grid_power_w": number},
        }
        return post(service, point, f"{TOKEN}-{number}")[0]

    with ThreadPoolExecutor(25) as pool:
        assert set(pool.map(send, range(10, 60))) == {202}
    for number in range(10, 60):
        series = f'grid_power_watts{{site="node{number}"}}'
        until(lambda series=series, number=number: service.metric(series) == number)
