"""Real Prometheus and Alertmanager with quicker copies of our files, and a real receiver."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from provisioning.alertmanager.render import render, write
from provisioning.local.ports import LOOPBACK, Ports
from provisioning.local.servers import find_all
from provisioning.local.web import RequestError, get, get_json

ROOT = Path(__file__).parents[2]
PROMETHEUS = ROOT / "provisioning/prometheus"
LIMIT = 120.0
# `for:` 1m becomes 6s and so on; what lasts after the end is cut more, and every wait of
# Alertmanager as much as `for:`.
SHORTER, END_SHORTER = 10, 30


def until(condition: Callable[[], Any], what: str) -> Any:
    """What a condition returns once it is true, asked for again and again."""
    deadline = time.monotonic() + LIMIT
    while not (found := condition()):
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.2)
    return found


class Receiver:
    """An HTTP server that keeps the JSON of every POST, by path."""

    def __init__(self) -> None:
        self.posts: dict[str, list[dict[str, Any]]] = {}
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.posts.setdefault(self.path, []).append(json.loads(body))
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b"ok")

            def log_message(self, *_: object) -> None:
                """Keep the test's output clean."""

        self._server = ThreadingHTTPServer((LOOPBACK, 0), Handler)
        self.url = f"http://{LOOPBACK}:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def told(self, path: str = "/pages") -> list[tuple[str, str]]:
        """Status and alert of every notification to a webhook, in order of arrival."""
        return [(p["status"], p["groupLabels"]["alertname"]) for p in self.posts.get(path, [])]

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class OnCall:
    """Servers of one test in one folder, all ended with it."""

    def __init__(self, folder: Path, servers: Mapping[str, Path]) -> None:
        self.folder = folder
        self.receiver = Receiver()
        self.ports = Ports(usual=False)
        self.prometheus = f"http://{LOOPBACK}:{self.ports.pick(0)}"
        self.alertmanager = f"http://{LOOPBACK}:{self.ports.pick(0)}"
        self._servers = servers
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def run(self, name: str, *command: object, ready: str) -> None:
        """Start a program and wait until an address answers."""
        with open(self.folder / f"{name}.log", "wb") as log:
            self._processes[name] = subprocess.Popen(
                [str(word) for word in command], cwd=ROOT, stdout=log, stderr=log
            )
        until(lambda: self._answers(name, ready), f"{name} answers at {ready}")

    def _answers(self, name: str, address: str) -> bool:
        log = (self.folder / f"{name}.log").read_text("utf-8", "replace")
        assert self._processes[name].poll() is None, f"{name} ended by itself:\n{log}"
        try:
            get(address)
        except RequestError:
            return False
        return True

    def start_alertmanager(self, *, shorter: int = SHORTER) -> None:
        """Alertmanager with the rendered configuration and every channel at the receiver."""
        environment = {
            "FLEETSCOPE_ALERT_WEBHOOK_URL": f"{self.receiver.url}/pages",
            "FLEETSCOPE_ALERT_CHAT_URL": f"{self.receiver.url}/chat",
            "FLEETSCOPE_TICKET_WEBHOOK_URL": f"{self.receiver.url}/tickets",
            "FLEETSCOPE_TICKET_CHAT_URL": f"{self.receiver.url}/ticket-chat",
            "FLEETSCOPE_GRAFANA_URL": "https://grafana.example.com",
            "FLEETSCOPE_RUNBOOKS_URL": "https://runbooks.example.com",
        }
        own = self.folder / "alertmanager"
        path = write(render(environment, str(own / "config"), (0, 25)), own)
        config = yaml.safe_load(path.read_text("utf-8"))
        for route in (config["route"], *config["route"]["routes"]):
            for key in ("group_wait", "group_interval"):
                route[key] = _shorter(route[key], shorter)
        path.write_text(yaml.safe_dump(config), "utf-8")
        self.run_alertmanager(path)

    def run_alertmanager(self, config: Path) -> None:
        """Alertmanager with a configuration as it stands."""
        self.run(
            "alertmanager",
            self._servers["Alertmanager"],
            f"--config.file={config}",
            f"--storage.path={self.folder / 'alertmanager-data'}",
            f"--web.listen-address={self.alertmanager.removeprefix('http://')}",
            f"--web.external-url={self.alertmanager}",
            "--cluster.listen-address=",
            ready=f"{self.alertmanager}/-/ready",
        )

    def start_prometheus(self, target: str) -> None:
        """Prometheus with quicker copies of the rules, scraping ``HOST:PORT`` every second."""
        own = self.folder / "prometheus"
        (own / "rules").mkdir(parents=True)
        (own / "targets").mkdir()
        config = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text("utf-8"))
        config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        (own / "prometheus.yml").write_text(yaml.safe_dump(config), "utf-8")
        for path in (PROMETHEUS / "rules").glob("*.yml"):
            document = yaml.safe_load(path.read_text("utf-8"))
            for rule in (rule for group in document["groups"] for rule in group["rules"]):
                for key, factor in (("for", SHORTER), ("keep_firing_for", END_SHORTER)):
                    if key in rule:
                        rule[key] = _shorter(rule[key], factor)
            (own / "rules" / path.name).write_text(
                yaml.safe_dump(document, allow_unicode=True), "utf-8"
            )
        for name, address in (("exporter", target), ("alertmanager", self.alertmanager)):
            targets = [{"targets": [address.removeprefix("http://")]}]
            (own / f"targets/{name}.yml").write_text(yaml.safe_dump(targets), "utf-8")
        self.run(
            "prometheus",
            self._servers["Prometheus"],
            f"--config.file={own / 'prometheus.yml'}",
            f"--storage.tsdb.path={own / 'data'}",
            f"--web.listen-address={self.prometheus.removeprefix('http://')}",
            ready=f"{self.prometheus}/-/ready",
        )

    def write_fleet(self, scenario: Path, base_url: str, output: Path) -> None:
        """The fleet file of a scenario of the simulator."""
        command = [*(sys.executable, "-m", "simulator", "fleet"), "--scenario", str(scenario)]
        command += ["--base-url", base_url, "--output", str(output)]
        subprocess.run(command, cwd=ROOT, check=True)

    def firing(self, alert: str) -> int:
        """How many alerts of a rule Prometheus has firing."""
        return self._in_state(alert, "firing")

    def pending(self, alert: str) -> int:
        """How many alerts of a rule wait in Prometheus for their time."""
        return self._in_state(alert, "pending")

    def _in_state(self, alert: str, state: str) -> int:
        alerts = get_json(f"{self.prometheus}/api/v1/alerts")["data"]["alerts"]
        return sum(a["labels"]["alertname"] == alert and a["state"] == state for a in alerts)

    def held_back(self, alert: str) -> int:
        """How many alerts of a rule Alertmanager holds back because of another."""
        query = {"filter": f'alertname="{alert}"', "active": "false"}
        return len(get_json(f"{self.alertmanager}/api/v2/alerts", query))

    def stop(self) -> None:
        for process in reversed(self._processes.values()):
            process.terminate()
        for process in self._processes.values():
            process.wait(30)
        self.receiver.stop()


def _shorter(duration: str, factor: int) -> str:
    units = {"s": 1, "m": 60, "h": 3600, "d": 86400}
    match = re.fullmatch(r"(\d+)([smhd])", duration)
    assert match, duration
    return f"{max(1000, int(match[1]) * units[match[2]] * 1000 // factor)}ms"


@pytest.fixture(scope="session")
def servers() -> dict[str, Path]:
    """Prometheus and Alertmanager; CI may not do without them."""
    found = find_all()
    absent = [name for name in ("Prometheus", "Alertmanager") if name not in found]
    if absent or shutil.which("amtool") is None:
        sentence = "Prometheus or Alertmanager is not installed; `make servers` installs them"
        if os.environ.get("CI"):
            pytest.fail(sentence)
        pytest.skip(sentence)
    return found


@pytest.fixture
def on_call(servers: dict[str, Path], tmp_path: Path) -> Iterator[OnCall]:
    """A receiver, and servers that a test starts as it needs them."""
    made = OnCall(tmp_path, servers)
    yield made
    made.stop()
