"""The service from outside: real process, real HTTP, real signals."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.service_process import command, environment, serving, until, write_fleet
from tests.store.influx_listener import JSON, Answer, InfluxListener

pytestmark = pytest.mark.stack

TREE = {
    "Dc/Battery/BatteryService": "com.victronenergy.battery.ttyO0",
    "Dc/Battery/Soc": 70.0,
    "Dc/Battery/Voltage": 52.0,
    "Dc/Battery/Power": 100.0,
}


class _Site(BaseHTTPRequestHandler):
    """A few values of a site, with the bridge's manners."""

    def do_GET(self) -> None:
        if self.path == "/services":
            names = ["com.victronenergy.battery.ttyO0", "com.victronenergy.system"]
            reply: dict[str, object] = {"success": True, "services": names, "count": 2}
        elif "com.victronenergy.system" in self.path:
            reply = {"success": True, "value": TREE}
        else:
            reply = {"success": True, "value": {"Soc": 70.0, "Soh": 95.0}}
        self.send_response(200)
        self.send_header("Content-type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(reply).encode())

    def log_message(self, *_: object) -> None:
        """Silent."""


@pytest.fixture
def site() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Site)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def hanging() -> Iterator[str]:
    """Takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture
def influx() -> Iterator[InfluxListener]:
    """The misbehaving store, in a thread with a loop of its own."""
    listener = InfluxListener()
    ready, loop = threading.Event(), asyncio.new_event_loop()
    end = asyncio.Event()

    async def serve() -> None:
        async with listener.serving():
            ready.set()
            await end.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    ready.wait()
    yield listener
    loop.call_soon_threadsafe(end.set)
    thread.join()
    loop.close()


@pytest.fixture
def fleet(tmp_path: Path) -> Path:
    return tmp_path / "fleet.json"


def refused() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


def test_it_serves_and_stops(site: str, hanging: str, fleet: Path, influx: InfluxListener) -> None:
    write_fleet(fleet, {"a": site, "b": site, **{f"hang{n}": hanging for n in range(5)}})
    with serving(fleet, influxdb_url=influx.url, influxdb_api="v1") as service:
        assert service.get("/healthz") == (200, '{"status":"ok"}')
        assert service.get("/readyz")[0] == 503
        until(lambda: service.scrapes("a") >= 2 and service.scrapes("b") >= 2)
        status, body = service.get("/metrics")
        assert status == 200
        if (promtool := shutil.which("promtool")) is not None:
            checked = subprocess.run(
                [promtool, "check", "metrics"],
                check=False,
                input=body,
                capture_output=True,
                text=True,
            )
            assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")
        assert {s["id"] for s in json.loads(service.get("/api/v1/sites")[1])["sites"]} >= {"a", "b"}
        assert json.loads(service.get("/api/v1/sites/a")[1])["readings"]["soc_percent"] == 70.0
        assert service.get("/api/v1/sites/zz")[0] == 404
        seen = service.scrapes("a") + service.scrapes("b")
        assert service.stop() == 0
        log = service.log
    written = [line for line in influx.taken if line.startswith(("site,site=a ", "site,site=b "))]
    assert len([line for line in written if " online=1.0" in line]) >= seen
    assert "Traceback" not in log
    assert log.rstrip().endswith("stopped")


def test_it_is_ready_when_every_site_was_tried(site: str, fleet: Path) -> None:
    write_fleet(fleet, {"a": site, "gone": refused()})
    with serving(fleet) as service:
        until(lambda: service.get("/readyz") == (200, '{"status":"ready","for":null}'))
        assert service.log.count("FLEETSCOPE_INFLUXDB_URL is not set") == 1
        assert service.stop() == 0


def test_it_reloads(site: str, fleet: Path) -> None:
    """By SIGHUP, and by itself when the file changes."""
    write_fleet(fleet, {"a": site, "b": refused(), "c": refused()}, interval_seconds=1)
    with serving(fleet) as service:
        failing = 'site_scrapes_total{outcome="refused",site="b"}'
        until(lambda: service.scrapes("a") and (service.metric(failing) or 0) >= 2)
        write_fleet(fleet, {"a": site, "b": site, "new": site}, interval_seconds=1)
        service.process.send_signal(signal.SIGHUP)
        until(lambda: service.metric("fleet_sites") == 3 and "fleet file taken" in service.log)
        until(lambda: 'site="c"' not in service.get("/metrics")[1])
        until(lambda: service.scrapes("b") and service.scrapes("new"))

        fleet.write_text('{"sites": []}', "utf-8")
        service.process.send_signal(signal.SIGHUP)
        until(lambda: service.metric("config_last_reload_successful") == 0)
        service.process.send_signal(signal.SIGHUP)
        before = service.scrapes("new")
        until(lambda: service.scrapes("new") >= before + 4)
        assert service.log.count("fleet file refused") == 1

        write_fleet(fleet, {"a": site}, interval_seconds=1)
        until(lambda: service.metric("config_last_reload_successful") == 1)
        until(lambda: 'site="new"' not in service.get("/metrics")[1])
        assert service.stop() == 0
        assert "Traceback" not in service.log


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
def test_it_listens_on_ipv6(fleet: Path, site: str) -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("no IPv6 loopback address here")
    write_fleet(fleet, {"a": site})
    with serving(fleet, listen="[::1]:0") as service:
        assert service.url.startswith("http://[::1]:")
        assert service.get("/healthz")[0] == 200
        assert service.stop() == 0


def test_sigint_is_as_good_and_a_stop_at_start_is_clean(fleet: Path, site: str) -> None:
    write_fleet(fleet, {"a": site})
    with serving(fleet) as service:
        assert service.url
        service.process.send_signal(signal.SIGINT)
        assert service.process.wait(60) == 0
        assert "Traceback" not in service.log


def run(*arguments: str, folder: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments),
        check=False,
        capture_output=True,
        text=True,
        cwd=folder,
        env=environment(**settings),
        timeout=60,
    )


def test_a_port_in_use_is_one_line(fleet: Path) -> None:
    write_fleet(fleet, {"a": refused()})
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = run(
            *("run", "--fleet", str(fleet), "--listen", address),
            folder=fleet.parent,
            log_level="error",
        )
    expected = f"fleetscope: cannot listen on {address}: Address already in use\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", expected)


SECRET = "tok-s3cr3t-Wx7"
PASSWORD = "pass-s3cr3t-Kq9"


@pytest.mark.parametrize(
    ("log_format", "api", "by_file"), [("text", "v1", False), ("json", "v2", True)]
)
def test_no_secret_in_any_output(
    log_format: str, api: str, by_file: bool, site: str, fleet: Path, influx: InfluxListener
) -> None:
    write_fleet(fleet, {"a": site, "gone": refused()})
    influx.prepares.append(Answer(401, '{"error":"authorization failed"}', JSON))
    influx.script.extend(
        [
            Answer(401, '{"error":"unauthorized access"}', JSON),
            Answer(400, '{"error":"unable to parse"}', JSON),
            Answer(503, "busy"),
        ]
    )
    secrets = {"influxdb_token": SECRET, "influxdb_password": PASSWORD}
    if by_file:
        for name, secret in list(secrets.items()):
            path = fleet.parent / name
            path.write_text(secret + "\n", "utf-8")
            secrets[f"{name}_file"] = str(path)
            del secrets[name]
    settings = {
        "influxdb_url": influx.url,
        "influxdb_api": api,
        "influxdb_username": "writer",
        "log_level": "debug",
        "log_format": log_format,
        **secrets,
    }
    outputs = []
    with serving(fleet, **settings) as service:
        until(lambda: (service.metric("influxdb_errors_total") or 0) >= 3)
        until(lambda: influx.taken)
        for path in (
            *("/metrics", "/healthz", "/readyz", "/api/v1/fleet", "/api/v1/sites"),
            *("/api/v1/sites/a", "/api/v1/sites/none", "/openapi.json", "/nothing"),
        ):
            outputs.append(service.get(path)[1])
        fleet.write_text(f'{{"sites": [], "influxdb_token": "{SECRET}"}}', "utf-8")
        service.process.send_signal(signal.SIGHUP)
        until(lambda: "fleet file refused" in service.log)
        assert service.stop() == 0
        outputs.append(service.log)
    if log_format == "json":
        assert all(json.loads(line)["message"] for line in outputs[-1].splitlines())
    for arguments in (["check-config", str(fleet)], ["run", "--fleet", str(fleet)], ["version"]):
        done = run(*arguments, folder=fleet.parent, **settings)
        outputs += [done.stdout, done.stderr]
    for wrong in (
        {"influxdb_url": "no URL"},
        {"influxdb_retention": "x"},
        {"queue_megabytes": "x"},
    ):
        done = run("run", "--fleet", str(fleet), folder=fleet.parent, **settings | wrong)
        assert done.returncode == 1
        outputs += [done.stdout, done.stderr]
    both = {"influxdb_token": SECRET, "influxdb_token_file": "/dev/null"}
    outputs.append(run("run", folder=fleet.parent, **settings | both).stderr)
    sent = "".join(influx.heads)
    assert SECRET in sent if api == "v2" else "Authorization: Basic" in sent
    basic = re.findall(r"Authorization: Basic (\S+)", sent)
    everything = "".join(outputs)
    for secret in (SECRET, PASSWORD, *basic):
        assert secret not in everything


def test_the_collector_loads_nothing_that_answers_or_draws() -> None:
    """Its memory and its start are those of polling; what is heavy runs in other processes."""
    heavy = (
        *("fastapi", "starlette", "uvicorn", "prometheus_client", "jinja2", "matplotlib"),
        *("weasyprint", "pandas", "pvlib", "scipy", "pyarrow", "duckdb", "typer", "rich"),
    )
    code = f"import sys, exporter.app; print(*(n for n in {heavy} if n in sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "\n"
