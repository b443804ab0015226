"""The manners of the bridge, seen from a plain socket."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from simulator import BridgeServer, Simulator

CAPTURES = Path(__file__).parents[3] / "shared" / "captures" / "venus-ess-demo"
SYSTEM = "com.victronenergy.system"
HEADERS = [
    b"Content-type: application/json",
    b"Access-Control-Allow-Origin: *",
    b"Access-Control-Allow-Methods: GET, POST, OPTIONS",
    b"Access-Control-Allow-Headers: Content-Type",
]


@pytest.fixture
async def port(simulator: Simulator) -> AsyncIterator[int]:
    server = BridgeServer(simulator)
    yield await server.start("127.0.0.1", 0)
    await server.stop()


async def ask(port: int, target: str, method: str = "GET", body: bytes = b"") -> bytes:
    """Everything the server sends until it closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    length = f"Content-Length: {len(body)}\r\n" if body else ""
    writer.write(f"{method} {target} HTTP/1.1\r\nHost: site\r\n{length}\r\n".encode() + body)
    try:
        return await reader.read()
    finally:
        writer.close()
        await writer.wait_closed()


async def get(port: int, target: str, method: str = "GET", body: bytes = b"") -> tuple[int, Any]:
    head, _, text = (await ask(port, target, method, body)).partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(text)


async def control(port: int, **order: Any) -> tuple[int, Any]:
    return await get(port, "/_control", "POST", json.dumps(order).encode())


def value(site: str, service: str, path: str = "/") -> str:
    return f"/{site}/value?service={service}&path={path}"


async def test_http_1_0_without_length_closed_after_each_reply(port: int) -> None:
    answer = await ask(port, "/site_mu/health")
    head, _, text = answer.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[0] == b"HTTP/1.0 200 OK"
    assert lines[1].startswith(b"Server: BaseHTTP/")
    assert re.match(rb"Date: \w{3}, \d\d \w{3} \d{4} [\d:]{8} GMT$", lines[2])
    assert lines[3:] == HEADERS
    assert list(json.loads(text)) == [
        "service",
        "version",
        "status",
        "started_at",
        "uptime_seconds",
        "success",
    ]


async def test_body_is_indented_like_the_real_one(port: int) -> None:
    answer = await ask(port, value("site_mu", SYSTEM, "/GpsSpeed"))
    body = answer.partition(b"\r\n\r\n")[2]
    assert body == (
        b'{\n  "service": "com.victronenergy.system",\n  "path": "/GpsSpeed",\n'
        b'  "value": [],\n  "success": true\n}'
    )
    tree = (await ask(port, value("site_mu", SYSTEM))).partition(b"\r\n\r\n")[2]
    assert tree == json.dumps(json.loads(tree), indent=2).encode()


@pytest.mark.skipif(not CAPTURES.is_dir(), reason="no captures of a real bridge here")
async def test_bodies_equal_the_captured_ones_in_form(port: int) -> None:
    battery = "com.victronenergy.battery.ttyO0"
    answer = await ask(port, value("site_zeta", battery, "/Soh"))
    assert answer.startswith(b"HTTP/1.0 404 Not Found\r\n")
    real = (CAPTURES / "missing-path.404.json").read_bytes()
    assert answer.partition(b"\r\n\r\n")[2] == real
    absent = await ask(port, value("site_zeta", battery, "/TimeToGo"))
    assert absent.partition(b"\r\n\r\n")[2] == (CAPTURES / "invalid-value.200.json").read_bytes()


async def test_services_and_values(port: int) -> None:
    status, known = await get(port, "/site_mu/services")
    assert status == 200
    assert known["count"] == len(known["services"]) == 6
    for service in known["services"]:
        status, found = await get(port, value("site_mu", service))
        assert (status, found["success"]) == (200, True)
        assert len(found["value"]) > 10
    status, leaf = await get(port, value("site_mu", SYSTEM, "/Dc/Battery/Soc"))
    assert leaf["value"] == pytest.approx(68.0, abs=1.0)


async def test_branches_on_system_but_not_on_devices(port: int) -> None:
    status, branch = await get(port, value("site_mu", SYSTEM, "/Dc/Battery"))
    assert status == 200
    assert branch["value"]["Soc"] == pytest.approx(68.0, abs=1.0)
    service = "com.victronenergy.vebus.ttyS4"
    status, branch = await get(port, value("site_mu", service, "/Ac/ActiveIn"))
    assert (status, branch["value"]) == (404, None)


@pytest.mark.parametrize(
    "target",
    [
        value("site_mu", "com.victronenergy.none"),
        value("site_mu", SYSTEM, "/None"),
        value("site_mu", SYSTEM, "Soc"),
    ],
)
async def test_unknown_services_and_paths_are_alike(port: int, target: str) -> None:
    status, answer = await get(port, target)
    assert status == 404
    assert answer["value"] is None
    assert answer["success"] is False


@pytest.mark.parametrize(
    ("target", "method", "status"),
    [
        ("/site_mu/nothing", "GET", 404),
        ("/site_mu/value/", "GET", 404),
        ("/nowhere/health", "GET", 404),
        ("/site_mu/value", "GET", 400),
        ("/site_mu/value?service=x", "GET", 400),
        ("/site_mu/value", "POST", 400),
    ],
)
async def test_refusals(port: int, target: str, method: str, status: int) -> None:
    answered, body = await get(port, target, method)
    assert answered == status
    assert set(body) == {"error", "success"}


async def test_text_about_and_other_methods(port: int) -> None:
    text = f"/site_mu/text?service={SYSTEM}&path="
    assert (await get(port, text + "/SystemType"))[1]["text"] == "ESS"
    assert (await get(port, text + "/GpsSpeed"))[1]["text"] == "---"
    assert (await get(port, text + "/"))[0] == 404
    assert (await get(port, "/site_mu/"))[1]["version"] == "3.2.0"
    assert (await ask(port, "/site_mu/", "OPTIONS")).startswith(b"HTTP/1.0 204 ")
    assert (await ask(port, "/site_mu/", "PUT")).startswith(b"HTTP/1.0 501 ")
    assert (await ask(port, "/site_mu/", "HEAD")).endswith(b"\r\n\r\n")


async def test_writing_is_refused(port: int) -> None:
    order = json.dumps({"service": SYSTEM, "path": "/Soc", "value": 1}).encode()
    assert (await get(port, "/site_mu/value", "POST", order))[0] == 403
    assert (await get(port, "/site_mu/value", "POST", b"{"))[0] == 400


async def test_a_second_connection_to_a_site_waits_and_other_sites_do_not(port: int) -> None:
    await control(port, site="site_mu", fault="slow", params={"seconds": 0.3}, action="inject")
    order: list[str] = []

    async def visit(site: str, name: str) -> None:
        await ask(port, f"/{site}/health")
        order.append(name)

    first = asyncio.create_task(visit("site_mu", "first"))
    await asyncio.sleep(0.05)
    second = asyncio.create_task(visit("site_mu", "second"))
    await asyncio.sleep(0.05)
    await visit("site_lambda", "other site")
    await asyncio.gather(first, second)
    assert order == ["other site", "first", "second"]


async def test_hanging_site_never_answers_and_blocks_only_itself(port: int) -> None:
    await control(port, site="site_mu", fault="hang", action="inject")
    waiting = [asyncio.create_task(ask(port, "/site_mu/health")) for _ in range(2)]
    assert (await get(port, "/site_lambda/health"))[0] == 200
    done, _ = await asyncio.wait(waiting, timeout=0.2)
    assert not done
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


async def test_offline_site_closes_without_a_byte(port: int) -> None:
    assert await ask(port, "/site_epsilon/health") == b""


@pytest.mark.parametrize("fault", ["rubbish", "truncated", "http_500", "trickle"])
async def test_broken_replies(port: int, fault: str) -> None:
    whole = await ask(port, value("site_mu", SYSTEM))
    status, _ = await control(port, site="site_mu", fault=fault, action="inject")
    assert status == 200
    if fault == "trickle":
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /site_mu/health HTTP/1.0\r\n\r\n")
        assert await reader.read(100) == b"H"
        writer.close()
        return
    answer = await ask(port, value("site_mu", SYSTEM))
    if fault == "http_500":
        assert answer.startswith(b"HTTP/1.0 500 ")
        return
    assert answer.startswith(b"HTTP/1.0 200 ")
    assert 0 < len(answer) < len(whole)
    with pytest.raises(ValueError, match=r"."):
        json.loads(answer.partition(b"\r\n\r\n")[2])


async def test_control_lists_injects_and_clears(port: int) -> None:
    _, before = await get(port, "/_control")
    assert before["faults"]["site_alpha"] == [{"fault": "soh", "params": {"value": 68.0}}]
    assert "site_mu" not in before["faults"]
    params = {"value": 49.0}
    await control(port, site="site_mu", fault="frequency", params=params, action="inject")
    vebus = value("site_mu", "com.victronenergy.vebus.ttyS4", "/Ac/ActiveIn/L1/F")
    # VE.Bus shows the frequency in steps.
    assert (await get(port, vebus))[1]["value"] == pytest.approx(49.0, abs=0.25)
    _, after = await control(port, site="site_mu", fault="frequency", action="clear")
    assert after["faults"] == before["faults"]
    assert (await get(port, vebus))[1]["value"] != pytest.approx(49.0, abs=0.25)


@pytest.mark.parametrize(
    "order",
    [
        {"site": "nowhere", "fault": "hang", "action": "inject"},
        {"site": "site_mu", "fault": "fire", "action": "inject"},
        {"site": "site_mu", "fault": "soh", "params": {"volume": 1}, "action": "inject"},
        {"site": "site_mu", "fault": "soh", "params": 7, "action": "inject"},
        {"site": "site_mu", "fault": "hang", "action": "wish"},
        {"site": "site_mu"},
        [],
    ],
)
async def test_control_refuses_nonsense(port: int, order: Any) -> None:
    status, answer = await get(port, "/_control", "POST", json.dumps(order).encode())
    assert status == 400
    assert answer["success"] is False
    assert "site_mu" not in (await get(port, "/_control"))[1]["faults"]


async def test_stop_ends_hanging_connections(simulator: Simulator) -> None:
    server = BridgeServer(simulator)
    port = await server.start()
    simulator.inject("site_mu", "hang")
    waiting = asyncio.create_task(ask(port, "/site_mu/health"))
    await asyncio.sleep(0.05)
    await server.stop()
    assert await waiting == b""
    with pytest.raises(ConnectionRefusedError):
        await ask(port, "/site_mu/health")
