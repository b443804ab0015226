"""docker-compose.yml, started for real: first as it was before, then upgraded to what it is now."""

from __future__ import annotations

import io
import json
import secrets
import shutil
import subprocess
import tarfile
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import yaml

from exporter.model.http import basic
from provisioning.local.ports import Ports
from tests.containers import images
from tests.containers.engine import FOLDER, ROOT, Engine, Project, absent
from tests.service_process import until

START_SECONDS = 180.0
PORTS = {
    "influxdb": 8086,
    "prometheus": 9090,
    "alertmanager": 9093,
    "grafana": 3000,
    "exporter": 9797,
}


LINES_OF_LOG = 40


@dataclass(frozen=True)
class Running:
    """The project as it runs, and what its .env holds.

    ``is_upgraded`` says whether the version before ran first, until its queue held what InfluxDB
    had not taken. ``left_out`` holds repositories of images that this machine has no stand-in for.
    """

    project: Project
    secrets: Mapping[str, str]
    ports: Mapping[str, int]
    left_out: set[str]
    is_upgraded: bool = False
    has_sign_in: bool = True

    def get(
        self, service: str, path: str, headers: Mapping[str, str] | None = None
    ) -> tuple[int, str]:
        """Status and body of a GET on a published port."""
        url = f"http://127.0.0.1:{self.ports[service]}{path}"
        request = urllib.request.Request(url, headers=dict(headers or {}))
        try:
            with urllib.request.urlopen(request, timeout=10) as reply:
                return reply.status, reply.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode("utf-8", "replace")
        except OSError as error:
            return 0, str(error)

    def ops(self) -> dict[str, str]:
        """The sign-in of ops, found as the documents say."""
        if not self.has_sign_in:
            return {}
        return basic("ops", self.project.execute("exporter", "cat", "/secrets/ops-password"))

    def metric(self, series: str) -> float | None:
        """The value of a series of the exporter, None where it is absent."""
        for line in self.get("exporter", "/metrics", self.ops())[1].splitlines():
            name, _, value = line.rpartition(" ")
            if name == f"fleetscope_{series}":
                return float(value)
        return None

    def promql(self, query: str) -> list[dict[str, Any]]:
        """Samples of an instant query; none while Prometheus does not answer."""
        path = f"/api/v1/query?{urlencode({'query': query})}"
        status, body = self.get("prometheus", path, self.ops())
        return json.loads(body)["data"]["result"] if status == 200 else []

    def rows(self) -> int | None:
        """Rows of sites in InfluxDB; None without an answer."""
        question = 'SELECT count("online") FROM "raw"."site"'
        token = self.secrets["FLEETSCOPE_INFLUXDB_TOKEN"]
        reply = self.influxql(token, question)
        if reply is None:
            return None
        series = reply.get("series")
        return int(series[0]["values"][0][1]) if series else 0

    def influxql(self, token: str, question: str) -> dict[str, Any] | None:
        """The first result of an InfluxQL query; None without an answer."""
        path = f"/query?{urlencode({'db': 'fleet', 'q': question})}"
        status, body = self.get("influxdb", path, {"Authorization": f"Token {token}"})
        return dict(json.loads(body)["results"][0]) if status == 200 else None


def commit_before() -> str | None:
    """The newest commit with another docker-compose.yml than the one on disk."""
    listed = subprocess.run(
        ["git", "log", "-n", "20", "--format=%H", "--", "docker-compose.yml"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    now = (ROOT / "docker-compose.yml").read_bytes()
    for commit in listed.stdout.split():
        shown = subprocess.run(
            ["git", "show", f"{commit}:docker-compose.yml"],
            cwd=ROOT,
            capture_output=True,
            check=False,
        )
        if shown.returncode == 0 and shown.stdout != now:
            return commit
    return None


def checkout(commit: str, folder: Path) -> None:
    """Unpack a commit."""
    packed = subprocess.run(
        ["git", "archive", commit], cwd=ROOT, capture_output=True, check=True
    ).stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(folder, filter="data")


def write_override(
    folder: Path, path: Path, ports: Mapping[str, int], tag: str, left_out: set[str]
) -> None:
    """What a test changes in a compose file: free ports, the image, and what is left out here."""
    compose = yaml.safe_load((folder / "docker-compose.yml").read_text("utf-8"))
    lines = ["services:"]
    for name, service in compose["services"].items():
        lines.append(f"  {name}:")
        if service["image"].startswith("fleetscope:"):
            lines.append(f"    image: localhost/fleetscope:{tag}")
        if name in ports:
            lines.append(f'    ports: !override ["127.0.0.1:{ports[name]}:{PORTS[name]}"]')
        if service["image"].partition(":")[0] in left_out:
            lines.append("    profiles: [left-out]")
        if images.influxdb2() is None and name in ("exporter", "setup"):
            # InfluxDB 1 has no tokens, so the setup writes none.
            lines.append("    environment:")
            lines.append("      FLEETSCOPE_INFLUXDB_API: v1")
            lines.append('      FLEETSCOPE_INFLUXDB_TOKEN_FILE: ""')
        if lines[-1] == f"  {name}:":
            lines.pop()
    path.write_text("\n".join(lines) + "\n", "utf-8")


@pytest.fixture(scope="session")
def engine() -> Engine:
    reason = absent()
    if reason is not None:
        pytest.skip(reason)
    return Engine()


@pytest.fixture(scope="session")
def running(engine: Engine, request: pytest.FixtureRequest) -> Iterator[Running]:
    """The whole project, upgraded from the version before; taken down at the end."""
    name = f"fleetscope-test-{secrets.token_hex(3)}"
    environment = {
        "FLEETSCOPE_INFLUXDB_TOKEN": secrets.token_urlsafe(32),
        "FLEETSCOPE_INFLUXDB_ADMIN_PASSWORD": secrets.token_urlsafe(18),
        "FLEETSCOPE_GRAFANA_ADMIN_PASSWORD": secrets.token_urlsafe(18),
        "COMPOSE_PROFILES": "demo",
        "FLEETSCOPE_SITE_SECRETS_FILE": "/fleet/site-secrets.yaml",
    }
    free = Ports(usual=False)
    ports = {service: free.pick(usual) for service, usual in PORTS.items()}
    work = FOLDER / name
    work.mkdir()
    left_out = images.make_stand_ins(engine, ROOT)
    images.build_own(engine, ROOT, "now")
    override = work / "now.yml"
    write_override(ROOT, override, ports, "now", left_out)
    project = Project(engine, name, ROOT, override, environment)
    try:
        commit = commit_before()
        if commit is not None:
            run_before(project, commit, work, environment, ports)
        project.compose("up", "-d", "--no-build")
        stack = Running(project, environment, ports, left_out, commit is not None)
        until(stack.rows, START_SECONDS)
        yield stack
    finally:
        if request.session.testsfailed:
            for service in sorted(PORTS):
                said = project.log(service).splitlines()[-LINES_OF_LOG:]
                print(f"-- the end of what {service} printed:", *said, sep="\n")
        project.down(volumes=True)
        shutil.rmtree(work)
    left = [
        engine.run("ps", "--all", "--quiet", "--filter", f"name={name}"),
        engine.run("volume", "ls", "--quiet", "--filter", f"name={name}"),
        engine.run("network", "ls", "--quiet", "--filter", f"name={name}"),
    ]
    assert left == ["", "", ""]


def run_before(
    now: Project,
    commit: str,
    work: Path,
    environment: Mapping[str, str],
    ports: Mapping[str, int],
) -> None:
    """Run the version before until its queue holds what InfluxDB has not taken, and stop it."""
    folder = work / "before"
    checkout(commit, folder)
    left_out = images.make_stand_ins(now.engine, folder)
    images.build_own(now.engine, folder, "before")
    override = work / "before.yml"
    write_override(folder, override, ports, "before", left_out)
    project = Project(now.engine, now.name, folder, override, environment)
    has_sign_in = "/secrets/ops-password" in (folder / "docker-compose.yml").read_text("utf-8")
    stack = Running(project, environment, ports, left_out, has_sign_in=has_sign_in)
    try:
        project.compose("up", "-d", "--no-build")
        until(stack.rows, START_SECONDS)
        project.compose("stop", "influxdb")
        until(lambda: stack.metric('points_total{fate="spooled"}'), START_SECONDS)
    finally:
        project.down(volumes=False)
