"""Sites are registered over the API, checked like the fleet file, and polled soon after."""

from __future__ import annotations

import base64
import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import bcrypt
import pytest
import yaml

from tests.service_process import ServiceProcess, serving, until, write_fleet

pytestmark = pytest.mark.slow

TOKEN = "a-token-for-changes"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_fleet(tmp_path / "fleet.yaml", {"byhand": "http://127.0.0.1:9"})
    return tmp_path


@pytest.fixture
def service(folder: Path) -> Iterator[ServiceProcess]:
    audit = str(folder / "audit.jsonl")
    with serving(folder / "fleet.yaml", change_token=TOKEN, audit_log=audit) as process:
        until(lambda: process.get("/readyz")[0])
        yield process


def ask(
    service: ServiceProcess, method: str, path: str = "", document: Any = None, **headers: str
) -> tuple[int, Any]:
    raw = None if document is None else json.dumps(document).encode()
    request = urllib.request.Request(service.url + "/api/v1/nodes" + path, raw, method=method)
    request.add_header("Content-Type", "application/json")
    for name, value in (headers or {"Authorization": f"Bearer {TOKEN}"}).items():
        request.add_header(name, value)
    try:
        with urllib.request.urlopen(request, timeout=60) as reply:
            body = reply.read()
            return reply.status, json.loads(body) if body else None
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def audited(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "audit.jsonl").read_text().splitlines()]


def ids(service: ServiceProcess) -> set[str]:
    return {site["id"] for site in json.loads(service.get("/api/v1/sites")[1])["sites"]}


def test_a_node_is_registered_sends_is_changed_and_removed(
    service: ServiceProcess, folder: Path
) -> None:
    before = (folder / "fleet.yaml").read_bytes()
    status, answer = ask(service, "POST", document={"id": "north", "driver": "push"})
    assert status == 201
    token = answer["token"]
    assert token not in (folder / "nodes.yaml").read_text()
    until(lambda: ids(service) == {"byhand", "north"})
    point = {"site": "north", "measured": time.time(), "readings": {"grid_power_w": 5}}
    request = urllib.request.Request(
        service.url + "/api/v1/telemetry", json.dumps(point).encode(), method="POST"
    )
    request.add_header("Authorization", f"Bearer {token}")
    with urllib.request.urlopen(request, timeout=60) as reply:
        assert reply.status == 202
    changed = {"driver": "push", "name": "North", "priority": "high"}
    assert ask(service, "PUT", "/north", changed)[0] == 200
    (listed,) = ask(service, "GET")[1]["nodes"]
    assert listed["name"] == "North"
    assert "token_sha256" in listed
    assert ask(service, "DELETE", "/north") == (204, None)
    until(lambda: ids(service) == {"byhand"})
    assert not (folder / "nodes.yaml").exists()
    assert (folder / "fleet.yaml").read_bytes() == before
    events = audited(folder)
    assert [(e["change"], e["site"]) for e in events if e["event"] == "node"] == [
        ("add", "north"),
        ("change", "north"),
        ("remove", "north"),
    ]
    assert [e["status"] for e in events if e["event"] == "action"] == [201, 200, 204]


@pytest.mark.parametrize(
    ("document", "status", "words"),
    [
        ({"id": "byhand", "driver": "push"}, 409, "byhand"),
        ({"id": "BYHAND", "driver": "push"}, 422, "is an id of fleet.yaml too"),
        ({"id": "a"}, 422, "api_endpoint"),
        ({"id": "a", "api_endpoint": "http://u:secretpass@h"}, 422, "never go into"),
        ({"id": "../a", "driver": "push"}, 422, "sites[0].id"),
        ({"id": "a", "driver": "push", "colour": 1}, 422, "unknown key"),
        ({"id": "a", "driver": "push", "name": "x\ny"}, 422, "name"),
        ({}, 422, "id"),
    ],
)
def test_what_is_refused_changes_nothing(
    service: ServiceProcess, folder: Path, document: Any, status: int, words: str
) -> None:
    code, answer = ask(service, "POST", document=document)
    assert code == status
    assert words in answer["detail"]
    assert "secretpass" not in answer["detail"]
    assert {p.name for p in folder.iterdir()} <= {"fleet.yaml", "log", "audit.jsonl"}
    assert "node" not in {event["event"] for event in audited(folder)}


def test_sites_of_the_fleet_file_are_not_changed_here(service: ServiceProcess) -> None:
    assert ask(service, "DELETE", "/byhand")[0] == 404
    assert ask(service, "PUT", "/byhand", {"driver": "push"})[0] == 404


def test_many_at_once_are_all_there(service: ServiceProcess, folder: Path) -> None:
    def add(number: int) -> int:
        return ask(service, "POST", document={"id": f"n{number}", "driver": "push"})[0]

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(add, range(24))) == {201}
    assert len(yaml.safe_load((folder / "nodes.yaml").read_text())["sites"]) == 24
    until(lambda: len(ids(service)) == 25)


def test_a_restart_knows_them_and_a_broken_file_stops_nothing(folder: Path) -> None:
    with serving(folder / "fleet.yaml", change_token=TOKEN) as first:
        assert ask(first, "POST", document={"id": "north", "driver": "push"})[0] == 201
        first.stop()
    with serving(folder / "fleet.yaml", log="log2", change_token=TOKEN) as second:
        until(lambda: ids(second) == {"byhand", "north"})
        (folder / "nodes.yaml").write_text("sites: [", "utf-8")
        until(lambda: "fleet file refused" in second.log)
        assert ids(second) == {"byhand", "north"}
        assert ask(second, "POST", document={"id": "south", "driver": "push"})[0] == 422


def test_only_admins_of_the_project_may(folder: Path) -> None:
    hashed = bcrypt.hashpw(b"pass-of-them", bcrypt.gensalt(4)).decode()
    web = {
        "basic_auth_users": dict.fromkeys(("root", "north", "viewer"), hashed),
        "roles": {"root": {"*": "admin"}, "north": {"north": "admin"}, "viewer": {"*": "viewer"}},
    }
    (folder / "web.yaml").write_text(yaml.safe_dump(web), "utf-8")

    def basic(name: str) -> dict[str, str]:
        return {
            "Authorization": "Basic " + base64.b64encode(f"{name}:pass-of-them".encode()).decode()
        }

    node = {"id": "a", "driver": "push", "project": "north"}
    files = {"web_config": str(folder / "web.yaml"), "audit_log": str(folder / "audit.jsonl")}
    with serving(folder / "fleet.yaml", **files) as process:
        assert ask(process, "POST", document=node, Accept="*/*")[0] == 401
        assert ask(process, "POST", document=node, **basic("viewer"))[0] == 403
        south = node | {"id": "b", "project": "south"}
        assert ask(process, "POST", document=south, **basic("north"))[0] in (403, 404)
        assert ask(process, "POST", document=node, **basic("north"))[0] == 201
        assert ask(process, "POST", document=south, **basic("root"))[0] == 201
        listed = ask(process, "GET", **basic("north"))[1]["nodes"]
        assert [n["id"] for n in listed] == ["a"]
        assert ask(process, "DELETE", "/b", **basic("north"))[0] in (403, 404)
        assert ask(process, "DELETE", "/a", **basic("viewer"))[0] == 403
        events = [e for e in audited(folder) if e["event"] == "node"]
        assert [(e["name"], e["project"]) for e in events] == [
            ("north", "north"),
            ("root", "south"),
        ]


def test_a_node_has_a_kind_and_several_ways_in(service: ServiceProcess, folder: Path) -> None:
    node = {
        "id": "dc",
        "kind": "datacentre",
        "datacentre": {"deferrable_kw": 4, "battery_kwh": 10},
        "drivers": [
            {"driver": "push"},
            {"driver": "venus-http", "api_endpoint": "http://127.0.0.1:9"},
        ],
    }
    status, answer = ask(service, "POST", document=node)
    assert status == 201
    until(lambda: ids(service) == {"byhand", "dc"})

    def read() -> dict[str, Any] | None:
        """Send a point, and the site as the API has it once a point has come through.

        A single point is stale after three intervals, which a busy machine lets pass.
        """
        telemetry = {"dc_id": "dc", "timestamp": time.time(), "power_kw": 12.5, "soc": 60}
        request = urllib.request.Request(
            service.url + "/api/v1/telemetry",
            json.dumps(telemetry | {"freq": 50}).encode(),
            method="POST",
        )
        request.add_header("Authorization", f"Bearer {answer['token']}")
        with urllib.request.urlopen(request, timeout=60) as reply:
            assert reply.status == 202
        time.sleep(0.5)
        found: dict[str, Any] = json.loads(service.get("/api/v1/sites/dc")[1])
        return found if "load_power_w" in found["readings"] else None

    found = until(read)
    assert (found["kind"], found["way_in"], found["ways_in"][1]) == (
        "datacentre",
        "push",
        "venus-http",
    )
    assert found["readings"]["deferrable_power_w"] == 4000
    assert found["blocks"] == {"datacentre": {"deferrable_kw": 4, "battery_kwh": 10}}
    # A change keeps the token, which stands in the way that sends.
    changed = {**node, "name": "Centre"}
    assert ask(service, "PUT", "/dc", changed)[0] == 200
    kept = yaml.safe_load((folder / "nodes.yaml").read_text())["sites"][0]
    assert "token_sha256" in kept["drivers"][0]
    wrong = {"id": "x", "kind": "meter", "pv": {}, "api_endpoint": "http://127.0.0.1:9"}
    status, answer = ask(service, "POST", document=wrong)
    assert status == 422
    assert "is for sites of the kind ess or bess or pv" in answer["detail"]
