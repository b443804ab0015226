"""Killed at any moment, ended in order, started again: what was put down arrives, once."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from exporter.store.queue import Fate
from tests.faults.plant import balanced, plant
from tests.faults.proxy import Manner, Proxy
from tests.faults.store import Store
from tests.service_process import command, environment, serving, write_fleet
from tests.service_process import until as waited

pytestmark = pytest.mark.stack

ROUNDS = int(os.environ.get("KILLS", "5"))
SEED = 20261121


class Feeder:
    """:mod:`tests.faults.feeder` in a process of its own."""

    def __init__(self, folder: Path, url: str, first: int) -> None:
        arguments = [sys.executable, "-m", "tests.faults.feeder", str(folder), url, str(first)]
        self.process = subprocess.Popen(
            arguments, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )

    def lines(self) -> Iterator[dict[str, Any]]:
        assert self.process.stdout is not None
        for text in self.process.stdout:
            if text.endswith("\n"):
                yield json.loads(text)


async def test_what_was_put_down_survives_kills(
    proxy: Proxy, store: Store, tmp_path: Path, quick: None
) -> None:
    """InfluxDB away in every other round; killed between any two instructions."""
    rng = random.Random(SEED)
    first, down, produced = 0, 0, 0
    promised: set[int] = set()
    for number in range(ROUNDS):
        proxy.manner = Manner.REFUSE if number % 2 else Manner.LIE
        feeder = Feeder(tmp_path, proxy.url, first)
        wanted = rng.randrange(20, 60)
        deadline = None
        for told in feeder.lines():
            assert balanced(told["counts"])
            # The counters that Prometheus sees never fall back.
            assert told["counts"]["produced"] >= produced
            produced = told["counts"]["produced"]
            down = told["down"]
            if deadline is None and down >= first + wanted:
                deadline = time.monotonic() + rng.random() * 0.2
            if deadline is not None and time.monotonic() > deadline:
                break
        feeder.process.kill()
        # What it told before it died is read to the end.
        for told in feeder.lines():
            down = max(down, told["down"])
        feeder.process.communicate()
        promised |= set(range(first, down))
        # Past everything that the killed one can have made.
        first = down + 10_000
    proxy.manner = Manner.PASS
    async with plant(proxy.url, tmp_path, index=first) as running:
        await running.sent()
        counts = running.counts
    found = store.indices("scrape")
    assert len(promised) > 20 * ROUNDS / 2
    assert promised - set(found) == set()
    # At most one commit per kill was on disk and not told yet; nothing else is there.
    assert counts[Fate.WRITTEN] == len(found) == counts[Fate.PRODUCED]


class _Numbered(BaseHTTPRequestHandler):
    """A site whose battery power is the number of the scrape."""

    served = 0

    def do_GET(self) -> None:
        cls = type(self)
        if self.path == "/services":
            names = ["com.victronenergy.battery.ttyO0", "com.victronenergy.system"]
            reply: dict[str, object] = {"success": True, "services": names, "count": 2}
        elif "com.victronenergy.system" in self.path:
            cls.served += 1
            tree = {
                "Dc/Battery/BatteryService": "com.victronenergy.battery.ttyO0",
                "Ac/Grid/L1/Power": float(cls.served),
                "Ac/Grid/NumberOfPhases": 1,
            }
            reply = {"success": True, "value": tree}
        else:
            reply = {"success": True, "value": {"Soc": 70.0}}
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(reply).encode())

    def log_message(self, *_: object) -> None:
        """Silent."""


@pytest.fixture
def site() -> Iterator[str]:
    _Numbered.served = 0
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Numbered)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def scrapes(store: Store) -> list[int]:
    found = []
    # Until the service has made the database there is none.
    with contextlib.suppress(AssertionError):
        found = store.query('SELECT grid_power_w FROM "raw"."site"')
    return sorted(int(row[1]) for row in (found[0]["values"] if found else []))


def test_the_service_ends_and_is_killed_while_influxdb_is_away(
    site: str, proxy: Proxy, store: Store, tmp_path: Path
) -> None:
    """SIGTERM loses nothing; kill -9 the last second at most; gauges and polling go on."""
    fleet = tmp_path / "fleet.json"
    write_fleet(fleet, {"a": site})
    settings = {
        "influxdb_url": proxy.url,
        "influxdb_api": "v1",
        "queue_dir": str(tmp_path / "queue"),
    }
    with serving(fleet, log="first", **settings) as service:
        waited(lambda: scrapes(store))
        proxy.manner = Manner.REFUSE
        before = service.scrapes("a")
        waited(lambda: service.scrapes("a") >= before + 5)
        second = subprocess.run(
            command("run", "--fleet", str(fleet), "--listen", "127.0.0.1:0"),
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
            env=environment(**settings),
        )
        assert second.returncode == 1
        assert f"in use by the exporter with process id {service.process.pid}" in second.stderr
        assert service.stop() == 0
        ended = _Numbered.served
    with serving(fleet, log="second", **settings) as service:
        spooled = 'points_total{fate="spooled"}'
        waited(lambda: (service.metric(spooled) or 0) > 0 and service.scrapes("a") >= 5)
        assert service.metric("spool_durable") == 1
        service.process.send_signal(signal.SIGKILL)
        service.process.wait()
        killed = _Numbered.served
    proxy.manner = Manner.PASS
    with serving(fleet, log="third", **settings) as service:
        waited(lambda: len(scrapes(store)) > killed and service.scrapes("a") >= 4)
        assert service.stop() == 0
        last = _Numbered.served
    found = scrapes(store)
    assert len(found) == len(set(found))
    missing = set(range(1, last + 1)) - set(found)
    # A poll that was under way when the service ended was not taken; one that was taken within
    # the second before the kill was not on disk yet.
    assert missing <= {ended, killed - 2, killed - 1, killed, last}


def test_the_order_of_writes_is_that_of_a_loss_of_power(tmp_path: Path) -> None:
    """The log of the queue is synced before a commit is told; so power may go at any moment."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    trace = tmp_path / "trace"
    code = (
        "import asyncio, sys, pathlib\n"
        "from exporter.store.disk_queue import DiskQueue\n"
        "from tests.faults.plant import LIMITS\n"
        "from tests.faults.store import line\n"
        "from exporter.store.queue import compress\n"
        "async def main():\n"
        "    queue = DiskQueue(pathlib.Path(sys.argv[1]), LIMITS, lambda: 1000.0)\n"
        "    await queue.open()\n"
        "    for n in range(20):\n"
        "        await queue.put([compress([line(n)], 1000.0)])\n"
        "        print('TOLD', n, flush=True)\n"
        "asyncio.run(main())\n"
    )
    subprocess.run(
        [
            *("strace", "-f", "-y", "-e", "trace=pwrite64,fdatasync,fsync,write"),
            *("-o", str(trace), sys.executable, "-c", code, str(tmp_path / "queue")),
        ],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    unsynced, told = False, 0
    for text in trace.read_text("utf-8", "replace").splitlines():
        if "queue.sqlite-wal>" in text:
            unsynced = "pwrite64(" in text
        elif '"TOLD' in text:
            told += 1
            assert not unsynced, "told before it was on disk"
    assert told == 20
