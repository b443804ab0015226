"""The files of docs/operations.md for a machine without Docker, run by the real servers."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from provisioning.alertmanager.render import render, write
from provisioning.local.ports import LOOPBACK, Ports
from tests.service_process import until, write_fleet
from tests.test_app import site

__all__ = ["site"]
pytestmark = pytest.mark.stack
ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "operations.md"
PORTS = ("8086", "8088", "9090", "9093", "9797")
PASSWORDS = {
    "ADMIN_PASSWORD": "of-the-admin-4711",
    "EXPORTER_PASSWORD": "of-the-exporter-4711",
    "GRAFANA_PASSWORD": "of-grafana-4711",
}
_FILE = re.compile(r"(?ms)^```\w+ (\S+)\n(.*?)^```$")


def files() -> dict[str, str]:
    """Every file that the document gives, by its path."""
    return dict(_FILE.findall(DOCUMENT.read_text("utf-8")))


class Machine:
    """A folder in place of ``/``, with free ports in place of the usual ones."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._ports = Ports(usual=False)
        self.ports = {usual: str(self._ports.pick(int(usual))) for usual in PORTS}
        for path, text in files().items():
            target = root / path.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(self.here(text), "utf-8")
        self.processes: list[subprocess.Popen[bytes]] = []

    def here(self, text: str) -> str:
        for usual, port in self.ports.items():
            text = text.replace(f"127.0.0.1:{usual}", f"127.0.0.1:{port}")
        return re.sub(r"/(etc|var/lib)/", rf"{self.root}/\1/", text)

    def url(self, usual: str) -> str:
        return f"http://{LOOPBACK}:{self.ports[usual]}"

    def text(self, path: str) -> str:
        return (self.root / path.lstrip("/")).read_text("utf-8")

    def variables(self, path: str) -> dict[str, str]:
        """A file of ``NAME=value`` lines, as systemd reads it."""
        lines = self.text(path).splitlines()
        pairs = (line.split("=", 1) for line in lines if line and not line.startswith("#"))
        return {name: " ".join(shlex.split(value)) or value for name, value in pairs}

    def start(self, *command: str, name: str, **environment: str) -> None:
        program = shutil.which(command[0]) or shutil.which(command[0], path="/usr/sbin:/usr/bin")
        if program is None:
            pytest.skip(f"no {command[0]} in PATH; `make servers` installs it")
        with (self.root / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                [program, *command[1:]],
                stdout=log,
                stderr=log,
                env={"PATH": os.environ["PATH"], "HOME": str(self.root)} | environment,
                cwd=ROOT,
            )
        self.processes.append(process)

    def up(self, usual: str, path: str) -> None:
        def answers() -> bool:
            with contextlib.suppress(requests.RequestException):
                return requests.get(self.url(usual) + path, timeout=5).status_code < 300
            return False

        until(answers)

    def stop(self) -> None:
        for process in reversed(self.processes):
            process.terminate()
        for process in self.processes:
            process.wait(60)


def query(machine: Machine, statement: str, user: str, password: str) -> Any:
    reply = requests.post(
        machine.url("8086") + "/query",
        data={"q": statement, "db": "fleet"},
        auth=(user, password),
        timeout=30,
    )
    return reply.status_code, reply.json()


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    made = Machine(tmp_path_factory.mktemp("machine"))
    try:
        made.start(
            "influxd", "-config", str(made.root / "etc/influxdb/influxdb.conf"), name="influxd"
        )
        made.up("8086", "/ping")
        done = subprocess.run(
            ["sh", str(made.root / "influxdb-setup.sh")],
            env=os.environ | PASSWORDS,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "error" not in done.stdout
        yield made
    finally:
        made.stop()


def test_every_file_is_there_once() -> None:
    found = _FILE.findall(DOCUMENT.read_text("utf-8"))
    assert len(found) == len(files()) == 11


def test_users_of_influxdb_may_what_they_need_and_no_more(machine: Machine) -> None:
    assert query(machine, "SHOW DATABASES", "grafana", "wrong")[0] == 401
    write_it = 'DROP MEASUREMENT "site"'
    status, body = query(machine, write_it, "grafana", PASSWORDS["GRAFANA_PASSWORD"])
    assert (status, "not authorized" in json.dumps(body)) == (403, True)
    shown = query(machine, "SHOW RETENTION POLICIES", "admin", PASSWORDS["ADMIN_PASSWORD"])[1]
    rows = shown["results"][0]["series"][0]["values"]
    assert {row[0] for row in rows} == {"raw", *(f"rollup_{x}" for x in ("5m", "15m", "1h", "1d"))}


def test_the_whole_machine_works(machine: Machine, site: str, tmp_path: Path) -> None:
    etc = machine.root / "etc"
    (etc / "fleetscope/influxdb-password").write_text(
        PASSWORDS["EXPORTER_PASSWORD"] + "\n", "utf-8"
    )
    fleet = etc / "fleetscope/fleet.json"
    write_fleet(fleet, {"alpha": site}, interval_seconds=1)
    environment = machine.variables("/etc/fleetscope/environment")
    arguments = ["-m", "exporter", "run", "--fleet", str(fleet)]
    machine.start(sys.executable, *arguments, name="exporter", **environment)
    machine.up("9797", "/readyz")
    password = PASSWORDS["GRAFANA_PASSWORD"]
    until(
        lambda: (
            "series"
            in query(machine, 'SELECT last("online") FROM "raw"."site"', "grafana", password)[1][
                "results"
            ][0]
        )
    )
    log = (machine.root / "exporter.log").read_text("utf-8")
    assert "is no setting" not in log
    assert "does not accept" not in log

    for name in ("prometheus.yml", "rules"):
        source, target = ROOT / "provisioning/prometheus" / name, etc / "prometheus" / name
        copy: Any = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, target)
    checked = subprocess.run(
        ["promtool", "check", "config", str(etc / "prometheus/prometheus.yml")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
    given = shlex.split(machine.variables("/etc/default/prometheus")["ARGS"])
    machine.start("prometheus", *given, name="prometheus")
    write(
        render({}, str(etc / "prometheus/fleetscope/config"), (0, 25)),
        etc / "prometheus/fleetscope",
    )
    given = shlex.split(machine.variables("/etc/default/prometheus-alertmanager")["ARGS"])
    machine.start("prometheus-alertmanager", *given, name="alertmanager")
    machine.up("9090", "/-/ready")
    machine.up("9093", "/-/ready")
    until(lambda: value(machine, 'up{job="fleetscope"}') == "1")
    known = requests.get(machine.url("9090") + "/api/v1/alertmanagers", timeout=30).json()
    assert machine.ports["9093"] in json.dumps(known["data"]["activeAlertmanagers"])
    # The exporter asks that Prometheus for alerts.
    found = requests.get(machine.url("9797") + "/api/v1/query?what=alerts", timeout=60)
    assert found.status_code == 200, found.text


def value(machine: Machine, expression: str) -> str | None:
    reply = requests.get(
        machine.url("9090") + "/api/v1/query", params={"query": expression}, timeout=30
    )
    result = reply.json()["data"]["result"]
    return result[0]["value"][1] if result else None


def test_grafana_signs_in_to_influxdb(machine: Machine) -> None:
    home = os.environ.get("GRAFANA_HOME")
    if not home:
        pytest.skip("no Grafana: neither GRAFANA_HOME nor PATH names one")
    port = Ports(usual=False).pick(3000)
    dashboards = machine.root / "var/lib/grafana/fleetscope-dashboards"
    shutil.copytree(ROOT / "grafana/dashboards", dashboards)
    environment: Mapping[str, str] = machine.variables("/etc/grafana/fleetscope.env") | {
        "FLEETSCOPE_GRAFANA_INFLUXDB_PASSWORD": PASSWORDS["GRAFANA_PASSWORD"],
        "GF_SERVER_HTTP_PORT": str(port),
        "GF_PATHS_DATA": str(machine.root / "grafana"),
        "GF_PATHS_PROVISIONING": str(machine.root / "etc/grafana/provisioning"),
        "GF_SECURITY_ADMIN_PASSWORD": "of-the-test-4711",
        "GF_PLUGINS_PREINSTALL_DISABLED": "true",
    }
    program = f"{home}/bin/grafana"
    machine.start(program, "server", "--homepath", home, name="grafana", **environment)
    machine.ports["3000"] = str(port)
    machine.up("3000", "/api/health")
    reply = requests.get(
        machine.url("3000") + "/api/datasources/uid/fleetscope-influxdb/health",
        auth=("admin", "of-the-test-4711"),
        timeout=60,
    )
    assert reply.json()["status"] == "OK", reply.text


def test_systemd_reads_the_drop_in() -> None:
    text = files()["/etc/systemd/system/grafana-server.service.d/fleetscope.conf"]
    assert text.splitlines() == ["[Service]", "EnvironmentFile=/etc/grafana/fleetscope.env"]


def test_files_that_are_also_provisioned_say_the_same() -> None:
    shared = yaml.safe_load((ROOT / "provisioning/grafana/datasources/fleetscope.yml").read_text())
    own = yaml.safe_load(files()["/etc/grafana/provisioning/datasources/fleetscope.yml"])
    for one, other in zip(shared["datasources"], own["datasources"], strict=True):
        both = ("name", "uid", "type", "access", "editable")
        assert {key: one[key] for key in both} == {key: other[key] for key in both}
        named = {k: v for k, v in one["jsonData"].items() if k != "httpHeaderName1"}
        assert other["jsonData"] == named
    path = "dashboards/fleetscope.yml"
    shared = yaml.safe_load((ROOT / "provisioning/grafana" / path).read_text())
    own = yaml.safe_load(files()[f"/etc/grafana/provisioning/{path}"])
    shared["providers"][0]["options"]["path"] = own["providers"][0]["options"]["path"]
    assert own == shared
