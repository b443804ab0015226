"""The processes of the real service: who starts whom again, who ends with whom, who waits."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar
from urllib.parse import quote

import pytest

from tests.service_process import ServiceProcess, serving, until, write_fleet

pytestmark = pytest.mark.stack

# Workers run at low priority: on a busy machine their start alone may take a while.
PATIENCE_SECONDS = 300.0
ASKED = "/api/v1/ask?q=fleet+summary"


def children(pid: int) -> dict[int, str]:
    """Process ids of the children of a process, with their command lines."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                stat = (entry / "stat").read_text("utf-8")
                if int(stat.rpartition(")")[2].split()[1]) == pid:
                    command = (entry / "cmdline").read_bytes()
                    found[int(entry.name)] = command.replace(b"\0", b" ").decode()
    return found


def child(pid: int, module: str) -> int | None:
    return next((p for p, command in children(pid).items() if module in command), None)


def server_of(service: ServiceProcess) -> int:
    return int(until(lambda: child(service.process.pid, "exporter.serve.process")))


def gone(pid: int) -> bool:
    with contextlib.suppress(OSError):
        stat = Path(f"/proc/{pid}/stat").read_text("utf-8")
        return stat.rpartition(")")[2].split()[0] == "Z"
    return True


class _Site(BaseHTTPRequestHandler):
    """A site with a battery of 290 cells."""

    cells: ClassVar = {f"Voltages/Cell{n}": 3.3 for n in range(1, 291)}

    def do_GET(self) -> None:
        if self.path == "/services":
            names = ["com.victronenergy.battery.ttyO0", "com.victronenergy.system"]
            reply: dict[str, object] = {"success": True, "services": names, "count": 2}
        elif "com.victronenergy.system" in self.path:
            tree = {"Dc/Battery/BatteryService": "com.victronenergy.battery.ttyO0"}
            reply = {"success": True, "value": tree | {"Dc/Battery/Soc": 70.0}}
        else:
            reply = {"success": True, "value": {"Soc": 70.0, "Soh": 95.0} | self.cells}
        self.send_response(200)
        self.end_headers()
        with contextlib.suppress(ConnectionError):
            self.wfile.write(json.dumps(reply).encode())

    def log_message(self, *_: object) -> None:
        """Silent."""


class _History(BaseHTTPRequestHandler):
    """Stands in for InfluxDB: every question is answered with 50 cells of 1,000 samples."""

    answer = json.dumps(
        {
            "results": [
                {
                    "series": [
                        {
                            "name": "cell",
                            "tags": {"pack": "battery/0", "cell": str(n)},
                            "columns": ["time", "voltage_v"],
                            "values": [[1_700_000_000_000 + i * 60_000, 3.3] for i in range(1000)],
                        }
                        for n in range(50)
                    ]
                }
            ]
        }
    ).encode()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(200 if "query" in self.path else 204)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        if "query" in self.path:
            with contextlib.suppress(ConnectionError):
                self.wfile.write(self.answer)

    do_GET = do_POST  # noqa: N815 - the name that the class looks for

    def log_message(self, *_: object) -> None:
        """Silent."""


@contextlib.contextmanager
def listening(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def site() -> Iterator[str]:
    with listening(_Site) as url:
        yield url


def test_a_server_that_dies_is_started_again(site: str, tmp_path: Path) -> None:
    """At the same address, with the same fleet, while polling goes on."""
    fleet = tmp_path / "fleet.json"
    write_fleet(fleet, {"a": site})
    with serving(fleet) as service:
        until(lambda: service.scrapes("a") >= 1)
        for number in range(2):
            server, before = server_of(service), service.scrapes("a")
            os.kill(server, signal.SIGKILL)
            until(lambda server=server: gone(server))
            # A caller waits for the next one and is not refused.
            assert service.get("/healthz")[0] == 200
            assert server_of(service) != server
            until(lambda before=before: service.scrapes("a") > before)
            assert service.log.count("the server ended (exit code -9)") == number + 1
        assert service.stop() == 0


def test_nothing_outlives_a_killed_service(site: str, tmp_path: Path) -> None:
    fleet = tmp_path / "fleet.json"
    write_fleet(fleet, {"a": site})
    with serving(fleet) as service:
        assert service.get(ASKED, PATIENCE_SECONDS)[0] == 200
        server = server_of(service)
        worker = child(server, "exporter.serve.worker")
        assert worker is not None
        service.process.kill()
        service.process.wait()
        until(lambda: gone(server) and gone(worker))


def test_an_orderly_end_leaves_nothing_and_signals_are_the_parents(
    site: str, tmp_path: Path
) -> None:
    """Ctrl-C and a container's stop reach every process of the group."""
    fleet = tmp_path / "fleet.json"
    write_fleet(fleet, {"a": site})
    with serving(fleet) as service:
        assert service.get(ASKED, PATIENCE_SECONDS)[0] == 200
        server = server_of(service)
        worker = child(server, "exporter.serve.worker")
        assert worker is not None
        for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            os.kill(server, name)
            os.kill(worker, name)
        assert service.get(ASKED, PATIENCE_SECONDS)[0] == 200
        assert child(server, "exporter.serve.worker") == worker
        assert service.stop() == 0
        assert gone(server)
        assert gone(worker)
        assert "error" not in service.log
        assert service.log.rstrip().endswith("stopped")


def test_a_worker_that_dies_fails_its_callers_alone(site: str, tmp_path: Path) -> None:
    fleet = tmp_path / "fleet.json"
    write_fleet(fleet, {"a": site})
    with serving(fleet) as service:
        assert service.get(ASKED, PATIENCE_SECONDS)[0] == 200
        worker = child(server_of(service), "exporter.serve.worker")
        assert worker is not None
        os.kill(worker, signal.SIGSTOP)
        with ThreadPoolExecutor(1) as callers:
            waiting = callers.submit(service.get, ASKED, PATIENCE_SECONDS)
            # It is stopped, so that its caller waits, and nobody else does.
            assert service.get("/healthz")[0] == 200
            assert service.get("/api/v1/fleet")[0] == 200
            before = service.scrapes("a")
            until(lambda: service.scrapes("a") >= before + 3)
            assert not waiting.done()
            os.kill(worker, signal.SIGKILL)
            status, body = waiting.result()
        assert status == 503, body
        assert service.get(ASKED, PATIENCE_SECONDS)[0] == 200
        assert service.stop() == 0


def test_a_stop_refuses_what_is_not_answered_in_time(site: str, tmp_path: Path) -> None:
    """With a reason and the time to ask again, and without a traceback in the log."""
    fleet = tmp_path / "fleet.json"
    write_fleet(fleet, {"a": site})
    with serving(fleet) as service:
        assert service.get(ASKED, PATIENCE_SECONDS)[0] == 200
        worker = child(server_of(service), "exporter.serve.worker")
        assert worker is not None
        os.kill(worker, signal.SIGSTOP)
        with ThreadPoolExecutor(1) as callers:
            waiting = callers.submit(service.get, ASKED, PATIENCE_SECONDS)
            until(lambda: callers_of(service) >= 1)
            # What is answered after its connection stood shows that it was read.
            assert [service.get("/healthz")[0] for _ in range(3)] == [200] * 3
            assert service.stop() == 0
            status, body = waiting.result()
        assert (status, json.loads(body)["title"]) == (503, "Service Unavailable")
        assert "ask it again" in body
        assert "Traceback" not in service.log


def callers_of(service: ServiceProcess) -> int:
    """Connections that are open to the service, this one left out."""
    port = int(service.url.rpartition(":")[2])
    lines = Path("/proc/net/tcp").read_text("utf-8").splitlines()[1:]
    ends = [(line.split()[1].rpartition(":")[2], line.split()[3]) for line in lines]
    return ends.count((f"{port:04X}", "01"))


def test_a_wrong_file_of_the_server_ends_the_start(tmp_path: Path) -> None:
    """In one line, with the exit code, and before any site was asked."""
    fleet, prices = tmp_path / "fleet.json", tmp_path / "prices.yaml"
    prices.write_text("currency: [", "utf-8")
    with socket.create_server(("127.0.0.1", 0)) as untouched:
        write_fleet(fleet, {"a": f"http://127.0.0.1:{untouched.getsockname()[1]}"})
        with serving(fleet, prices=str(prices), log_level="error") as service:
            assert service.process.wait(60) == 1
            assert service.log.startswith("fleetscope: ")
            assert len(service.log.splitlines()) == 1
        untouched.settimeout(0)
        with pytest.raises(BlockingIOError):
            untouched.accept()


QUESTION = quote("which sites are " + "not low on charge and not hot and " * 40 + "offline?")


def test_readers_delay_neither_scrapes_nor_health(site: str, tmp_path: Path) -> None:
    """40 histories of 50 cells and 20 long questions at once, over 60 sites."""
    fleet = tmp_path / "fleet.json"
    ids = [f"s{n:03}" for n in range(60)]
    write_fleet(fleet, dict.fromkeys(ids, site), interval_seconds=4)
    with listening(_History) as influx:
        settings = {"influxdb_url": influx, "influxdb_api": "v1", "rollups": "false"}
        with serving(fleet, **settings) as service:
            until(lambda: service.get("/readyz")[0] == 200)
            paths = [
                *(f"/api/v1/history?site={i}&metric=cell_voltage_v&since=7d" for i in ids[:40]),
                *[f"/api/v1/ask?q={QUESTION}"] * 20,
            ]
            healthy = 0
            begun = counted(service)
            with ThreadPoolExecutor(len(paths)) as callers:
                waiting = [callers.submit(service.get, path, PATIENCE_SECONDS) for path in paths]
                while not all(one.done() for one in waiting):
                    assert service.get("/healthz")[0] == 200
                    healthy += 1
                    time.sleep(0.05)
                answered = Counter(one.result()[0] for one in waiting)
            # An answer or a refusal with its reason; nobody is turned away by the load.
            assert set(answered) <= {200, 422}
            assert answered[200] >= 40
            assert healthy > 0
            # Every site has had its turns meanwhile.
            until(
                lambda: min(after - begun.get(i, 0) for i, after in counted(service).items()) >= 2
            )
            assert service.stop() == 0


def counted(service: ServiceProcess) -> dict[str, float]:
    """Good scrapes by site."""
    found = {}
    for line in service.get("/metrics")[1].splitlines():
        if line.startswith('fleetscope_site_scrapes_total{outcome="ok",site="'):
            site, _, count = line.partition('site="')[2].partition('"} ')
            found[site] = float(count)
    return found
