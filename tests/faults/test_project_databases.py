"""One exporter, a database and a token for each project; one of the databases hangs for a while."""

from __future__ import annotations

import asyncio
import base64
import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bcrypt
import pytest
import yaml

from exporter.store.connection import Connection, token_header
from exporter.store.influx_v2 import InfluxV2
from tests.faults.proxy import Manner, Proxy
from tests.faults.store import TOKEN, Store
from tests.service_process import ServiceProcess, command, environment, serving
from tests.service_process import until as until_soon

pytestmark = pytest.mark.stack

# A busy machine takes most of a minute to start the service, and as long for each of its steps.
ENOUGH_SECONDS = 300.0
SITES = {"alpha": "south", "beta": "north", "gamma": None}
DATABASES = {"south": "fleet_south", "north": "fleet_north", None: "fleet"}


def until(condition: Callable[[], Any]) -> Any:
    return until_soon(condition, ENOUGH_SECONDS)


def ask(store: Store, database: str, statement: str, token: str = TOKEN) -> list[dict[str, Any]]:
    """Series of a statement, none where there is no such database or the token may not read it."""
    asked = urllib.parse.urlencode({"db": database, "q": statement, "epoch": "ms"})
    headers = {"Authorization": f"Token {token}"} if store.api == "v2" else {}
    request = urllib.request.Request(f"{store.url}/query?{asked}", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as reply:
            return list(json.loads(reply.read())["results"][0].get("series", []))
    except urllib.error.HTTPError:
        return []


def stored(store: Store, project: str | None, source: str = '"raw"."site"') -> set[str]:
    """Sites that have a row in a project's database."""
    statement = f'SELECT count(*) FROM {source} GROUP BY "site"'
    return {one["tags"]["site"] for one in ask(store, DATABASES[project], statement)}


def make_tokens(store: Store) -> dict[str | None, str]:
    """A token for each database that reads and writes its buckets and nothing else."""
    tokens = {}
    for project, name in DATABASES.items():
        target = InfluxV2(
            Connection(store.url, name, token_header(TOKEN), organisation="fleetscope"), "90d"
        )

        async def prepare(target: InfluxV2 = target) -> None:
            await target.prepare()
            await target.close()

        asyncio.run(prepare())
        found = json.loads(store.request("/api/v2/buckets?limit=100"))["buckets"]
        own = [bucket for bucket in found if bucket["name"].startswith(f"{name}/")]
        organisation = own[0]["orgID"]
        rights = [
            {"action": action, "resource": {"type": "buckets", "id": bucket["id"]}}
            for bucket in own
            for action in ("read", "write")
        ]
        wide = {"type": "dbrp", "orgID": organisation}
        rights += [{"action": "read", "resource": wide}]
        rights += [{"action": "read", "resource": {"type": "orgs", "id": organisation}}]
        body = {"orgID": organisation, "permissions": rights}
        made = store.request("/api/v2/authorizations", json.dumps(body).encode(), "POST")
        tokens[project] = str(json.loads(made)["token"])
    return tokens


def sign_in(name: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:pass-of-them".encode()).decode()}


def get(service: ServiceProcess, path: str, user: str) -> tuple[int, str]:
    request = urllib.request.Request(service.url + path, headers=sign_in(user))
    try:
        with urllib.request.urlopen(request, timeout=90) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def metric(service: ServiceProcess, series: str) -> float | None:
    for line in get(service, "/metrics", "root")[1].splitlines():
        name, _, value = line.rpartition(" ")
        if name == f"fleetscope_{series}":
            return float(value)
    return None


def configure(folder: Path, tokens: dict[str | None, str], url_of_north: str) -> dict[str, str]:
    sites = [
        {"id": site, "api_endpoint": "http://127.0.0.1:9"} | ({"project": p} if p else {})
        for site, p in SITES.items()
    ]
    (folder / "fleet.yaml").write_text(yaml.safe_dump({"sites": sites}), "utf-8")
    hashed = bcrypt.hashpw(b"pass-of-them", bcrypt.gensalt(4)).decode()
    web = {
        "basic_auth_users": dict.fromkeys(("root", "anna", "nora"), hashed),
        "roles": {"root": {"*": "admin"}, "anna": {"south": "viewer"}, "nora": {"north": "viewer"}},
        "rate_limit": {"interval": "0", "burst": 1},
    }
    (folder / "web.yaml").write_text(yaml.safe_dump(web), "utf-8")
    projects: dict[str, dict[str, Any]] = {
        "south": {"database": "fleet_south"},
        "north": {"database": "fleet_north", "url": url_of_north},
    }
    found = {"influxdb_projects": str(folder / "projects.yaml")}
    if tokens:
        for name, entry in projects.items():
            (folder / f"{name}-token").write_text(tokens[name], "utf-8")
            entry["token"] = {"file": str(folder / f"{name}-token")}
        found["influxdb_token"] = tokens[None]
    (folder / "projects.yaml").write_text(yaml.safe_dump({"projects": projects}), "utf-8")
    return found


def test_projects_are_written_rolled_up_and_read_apart(either: Store, tmp_path: Path) -> None:
    store = either
    tokens = make_tokens(store) if store.api == "v2" else {}
    if store.api == "v1":
        for name in DATABASES.values():
            create = f'CREATE DATABASE "{name}" WITH DURATION inf NAME "raw"'
            store.request(f"/query?{urllib.parse.urlencode({'q': create})}", b"")
    # Late readings of half an hour ago, whose roll-ups are due at the start.
    stamp = round(time.time() * 1000) - 1_800_000
    path = (
        "/write?db=fleet_south&rp=raw&precision=ms"
        if store.api == "v1"
        else "/api/v2/write?org=fleetscope&bucket=fleet_south%2Fraw&precision=ms"
    )
    store.request(path, f"site,site=alpha online=1,grid_power_w=100 {stamp}".encode())
    with Proxy(store.url).serving() as proxy:
        proxy.manner = Manner.HANG
        settings = configure(tmp_path, tokens, proxy.url) | {
            "influxdb_url": store.url,
            "influxdb_api": store.api,
            "queue_dir": str(tmp_path / "queue"),
            "web_config": str(tmp_path / "web.yaml"),
        }
        with serving(tmp_path / "fleet.yaml", **settings) as service:
            # While one hangs, the others are written, rolled up and read.
            until(lambda: stored(store, "south") and stored(store, None))
            until(lambda: metric(service, 'database_spool_ratio{project="north"}'))
            until(lambda: stored(store, "south", '"rollup_5m"."site"'))
            history = "/api/v1/history?metric=grid_power_w&since=1h&site="
            status, body = get(service, history + "alpha", "anna")
            assert status == 200, body
            assert json.loads(body)["series"]
            assert get(service, history + "beta", "anna")[0] == 404
            proxy.manner = Manner.REFUSE
            # The rate of its waits is not known here: a hanging read may have begun before.
            status, body = until(lambda: _other_than(429, get(service, history + "beta", "nora")))
            assert status == 503
            assert "the database of the project north does not answer" in body
            assert store.url not in body
            assert proxy.url not in body
            assert get(service, history + "alpha", "root")[0] == 200
            question = "/api/v1/query?what=timeline&period=1h"
            status, body = until(lambda: _other_than(429, get(service, question, "root")))
            assert status == 503
            assert "north" in body
            # Back again, it gets everything that waited.
            proxy.manner = Manner.PASS
            until(lambda: stored(store, "north"))
            until(lambda: metric(service, 'points_total{fate="spooled"}') == 0)
            until(lambda: get(service, question, "root")[0] == 200)
            assert metric(service, 'points_total{fate="dropped"}') == 0
            assert metric(service, 'points_total{fate="rejected"}') == 0
            assert service.stop() == 0
    assert (tmp_path / "queue/projects/north").is_dir()
    for project in DATABASES:
        own = {site for site, name in SITES.items() if name == project}
        for measurement in ("site", "health", "issue"):
            assert stored(store, project, f'"raw"."{measurement}"') == own
    assert stored(store, "south", '"rollup_5m"."site"') == {"alpha"}
    assert "alpha" not in stored(store, None, '"rollup_5m"."site"')
    for project, token in tokens.items():
        for other, name in DATABASES.items():
            found = ask(store, name, 'SELECT "online" FROM "raw"."site"', token)
            assert bool(found) == (other == project)


def _other_than(status: int, answer: tuple[int, str]) -> tuple[int, str] | None:
    return None if answer[0] == status else answer


def test_commands_reach_each_database(either: Store, tmp_path: Path) -> None:
    import subprocess

    store = either
    tokens = make_tokens(store) if store.api == "v2" else {}
    settings = configure(tmp_path, tokens, store.url) | {
        "influxdb_url": store.url,
        "influxdb_api": store.api,
        "queue_dir": str(tmp_path / "queue"),
    }
    with serving(tmp_path / "fleet.yaml", **settings) as service:
        until(lambda: all(stored(store, project) for project in DATABASES))
        service.stop()

    def run(*arguments: str) -> tuple[int, str]:
        done = subprocess.run(
            command(*arguments),
            cwd=tmp_path,
            env=environment(fleet=str(tmp_path / "fleet.yaml"), **settings) | {"COLUMNS": "200"},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    files = tmp_path / "files"
    for site in SITES:
        (files / site).mkdir(parents=True)
        rows = "\n".join(f"2026-11-20T10:{n:02}:00Z,{n + 1}" for n in range(30))
        (files / site / f"grid_{site}.csv").write_text(f"time,value\n{rows}\n", "utf-8")
    common = ["--fleet", str(tmp_path / "fleet.yaml"), "--timezone", "UTC"]
    common += ["--pattern", "site.grid_power_w=grid_{system}", "--unit", "site.grid_power_w=W"]
    common += [f"--site={site}={site}" for site in SITES]
    code, output = run("import", str(files), *common)
    assert code == 1
    assert "name one with --project" in output
    for given in ([str(files / "gamma")], [str(files), "--project", "south"]):
        code, output = run("import", *given, *common)
        assert code == 0, output
    for project, database in DATABASES.items():
        own = {site for site, name in SITES.items() if name == project}
        imported = "WHERE time < '2026-11-21T00:00:00Z'"
        statement = f'SELECT count("grid_power_w") FROM "raw"."site" {imported} GROUP BY "site"'
        counted = {
            one["tags"]["site"]: one["values"][0][1] for one in ask(store, database, statement)
        }
        own = set() if project == "north" else own
        assert counted == dict.fromkeys(own, 30)
        imported = f'"rollup_1d"."site" {imported}'
        assert stored(store, project, imported) == own
    code, output = run("rollup", "--from", "2026-11-20", "--to", "2026-11-20", "--check")
    assert code == 0, output
    end = time.strftime("%Y-%m-%dT%H:%M", time.gmtime(time.time() + 60))
    code, output = run("verify", "--from", "1h ago", "--to", end)
    assert code == 0, output
    for name in ("all other sites", "project south", "project north"):
        assert f"{name}:" in output
    assert output.count("Everything that was written is in InfluxDB.") == 3
