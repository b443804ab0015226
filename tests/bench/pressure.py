"""Readers, attackers and polling together: ``python -m tests.bench.pressure --minutes 10``.

Sites that answer at once are polled by a real service in processes of its own. Meanwhile readers
use it as pages, Prometheus and people with questions do, and attackers lean on it: hostile and long
questions, histories of 290 cells, PDFs that nobody waits for, floods, guessed passwords, half
requests and streams without number, each from many addresses. Reported is the longest delay of a
scrape behind its rhythm as the sites see it, what was answered, the memory of all processes, and
the load of the machine, which others may share.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import http.client
import itertools
import json
import multiprocessing
import os
import random
import socket
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import bcrypt
import yaml

from tests.bench.readers import History, Sites, serve
from tests.service_process import serving, until, write_fleet

PASSWORD = "right-4711"
SIGNED_IN = {"Authorization": "Basic " + base64.b64encode(f"ops:{PASSWORD}".encode()).decode()}
HOSTILE = (
    "which sites are " + "not low on charge and not hot and " * 6 + "offline?",
    "ab " * 59,
    "1+" * 240,
    "last since monday to " * 14,
    "wich sitse ar ofline adn hto " * 9,
)


class Pressure:
    """Callers in threads, until they are told to end; counts what they are answered.

    Parameters
    ----------
    url : str
        Of the service.
    ids : list of str
        Of its sites.
    """

    def __init__(self, url: str, ids: list[str]) -> None:
        self._port = int(urlsplit(url).port or 0)
        self._ids = ids
        self._end = threading.Event()
        self._numbers = itertools.count()
        self.answers: dict[str, Counter[int | str]] = {}
        self.slowest: dict[str, float] = {}
        self._lock = threading.Lock()

    def _ask(self, kind: str, path: str, **headers: str) -> None:
        """One GET from an address of this caller."""
        begun = time.monotonic()
        status: int | str
        try:
            connection = self._connected()
            with contextlib.closing(connection):
                connection.request("GET", path, headers=SIGNED_IN | headers)
                reply = connection.getresponse()
                reply.read()
                status = reply.status
        except (OSError, http.client.HTTPException) as error:
            status = type(error).__name__
        with self._lock:
            self.answers.setdefault(kind, Counter())[status] += 1
            took = time.monotonic() - begun
            self.slowest[kind] = max(self.slowest.get(kind, 0.0), took)

    def _connected(self, address: str | None = None) -> http.client.HTTPConnection:
        source = address or f"127.0.{1 + next(self._numbers) % 3}.{random.randrange(1, 250)}"
        return http.client.HTTPConnection(
            "127.0.0.1", self._port, timeout=120, source_address=(source, 0)
        )

    def _any_site(self) -> str:
        return random.choice(self._ids)

    def prometheus(self) -> None:
        """Scrapes and looks after the health."""
        self._ask("metrics", "/metrics")
        self._ask("healthz", "/healthz")
        self._end.wait(2)

    def page(self) -> None:
        """Opens the page, and a site."""
        for path in ("/", "/api/v1/fleet", "/api/v1/sites", f"/api/v1/sites/{self._any_site()}"):
            self._ask("page", path)
        self._end.wait(1)

    def person(self) -> None:
        """Asks what people ask."""
        for question in ("which sites need attention?", f"how is {self._any_site()}?"):
            self._ask("questions", f"/api/v1/ask?q={quote(question)}")
        self._ask("histories", f"/api/v1/history?site={self._any_site()}&metric=soc_percent")
        self._end.wait(2)

    def hostile_question(self) -> None:
        """Asks what takes long to read."""
        for question in HOSTILE:
            self._ask("hostile questions", f"/api/v1/ask?q={quote(question[:1900])}")
        self._ask("hostile questions", "/api/v1/query?what=site&site=" + quote("1+" * 9000))

    def cells(self) -> None:
        """Histories of all cells, one after the other."""
        path = f"/api/v1/history?site={self._any_site()}&metric=cell_voltage_v&since=7d&points=5000"
        self._ask("histories of cells", path)

    def abandoned_pdf(self) -> None:
        """Asks for a PDF and leaves."""
        with contextlib.suppress(OSError), contextlib.closing(self._connected()) as connection:
            connection.request("GET", "/api/v1/report?days=1&format=pdf", headers=SIGNED_IN)
            self._end.wait(random.uniform(0.2, 5))

    def flood(self) -> None:
        """As many requests as one connection gets through."""
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection = self._connected("127.0.9.9")
            with contextlib.closing(connection):
                for path in ("/api/v1/sites", "/metrics", "/api/v1/issues", "/nothing") * 10:
                    connection.request("GET", path, headers=SIGNED_IN)
                    reply = connection.getresponse()
                    reply.read()
                    with self._lock:
                        self.answers.setdefault("flood", Counter())[reply.status] += 1

    def guesser(self) -> None:
        """Guesses passwords."""
        guess = base64.b64encode(f"ops:{random.random()}".encode()).decode()
        self._ask("guesses", "/api/v1/fleet", Authorization=f"Basic {guess}")

    def half_requests(self) -> None:
        """Holds connections that never say what they want."""
        held = []
        for _ in range(150):
            with contextlib.suppress(OSError):
                one = socket.create_connection(
                    ("127.0.0.1", self._port), 10, (f"127.0.8.{next(self._numbers) % 5 + 1}", 0)
                )
                one.sendall(b"GET /api/v1/sites HTTP/1.1\r\nHost: localhost\r\n")
                held.append(one)
        self._end.wait(5)
        for one in held:
            one.close()

    def streams(self) -> None:
        """Opens event streams and never reads them."""
        held = []
        for _ in range(60):
            with contextlib.suppress(OSError):
                connection = self._connected("127.0.7.7")
                connection.request("GET", "/api/v1/events", headers=SIGNED_IN)
                held.append(connection)
        self._end.wait(10)
        for connection in held:
            connection.close()

    def run(self, seconds: float) -> None:
        """All of them at once, for so long."""
        crowd: list[tuple[Callable[[], None], int]] = [
            (self.prometheus, 1),
            (self.page, 4),
            (self.person, 4),
            (self.hostile_question, 4),
            (self.cells, 8),
            (self.abandoned_pdf, 4),
            (self.flood, 2),
            (self.guesser, 4),
            (self.half_requests, 1),
            (self.streams, 1),
        ]
        threads = [
            threading.Thread(target=self._repeat, args=(act,), daemon=True)
            for act, count in crowd
            for _ in range(count)
        ]
        for thread in threads:
            thread.start()
        self._end.wait(seconds)
        self._end.set()
        for thread in threads:
            thread.join(150)

    def _repeat(self, act: Callable[[], None]) -> None:
        while not self._end.is_set():
            act()


def megabytes_of(pid: int) -> dict[str, float]:
    """Memory of a process and of all below it, by module."""
    found: dict[str, float] = {}
    pending = [pid]
    while pending:
        one = pending.pop()
        with contextlib.suppress(OSError, ValueError, IndexError, StopIteration):
            status = Path(f"/proc/{one}/status").read_text("utf-8")
            words = Path(f"/proc/{one}/cmdline").read_bytes().decode().split("\0")
            name = words[words.index("-m") + 1] if "-m" in words else words[0]
            resident = next(x for x in status.splitlines() if x.startswith("VmRSS:"))
            found[name] = found.get(name, 0.0) + int(resident.split()[1]) / 1024
            for task in Path(f"/proc/{one}/task").iterdir():
                pending += map(int, (task / "children").read_text("utf-8").split())
    return found


def delays(times: dict[str, list[float]], begin: float, end: float, interval: float) -> list[float]:
    """How late each scrape of a span was, beyond the interval; the earliest are below zero."""
    found = []
    for asked in times.values():
        within = [moment for moment in asked if begin - interval <= moment <= end + interval]
        found += [b - a - interval for a, b in itertools.pairwise(within)]
    return sorted(found)


def measure(sites: int, interval: float, minutes: float) -> dict[str, Any]:
    """Run it once; see the module."""
    context = multiprocessing.get_context("spawn")
    pipes, processes = [], []
    for kind in (Sites, History):
        ours, theirs = context.Pipe()
        process = context.Process(target=serve, args=(kind, theirs), daemon=True)
        process.start()
        pipes.append(ours)
        processes.append(process)
    site_url, influx_url = (pipe.recv() for pipe in pipes)
    most: dict[str, float] = {}
    loads: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        fleet = Path(folder) / "fleet.json"
        hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(10)).decode()
        web = Path(folder) / "web.yml"
        web.write_text(yaml.safe_dump({"basic_auth_users": {"ops": hashed}}), "utf-8")
        ids = [f"s{n:04}" for n in range(sites)]
        write_fleet(fleet, {i: f"{site_url}/{i}" for i in ids}, interval_seconds=interval)
        settings = {"influxdb_url": influx_url, "influxdb_api": "v1", "rollups": "false"}
        with serving(fleet, web_config=str(web), **settings) as service:
            until(lambda: service.get("/readyz")[0] == 200, 300)
            spans = []
            begun = time.monotonic()
            time.sleep(3 * interval)
            spans.append((begun, time.monotonic()))
            pressure = Pressure(service.url, ids)
            watching = threading.Event()

            def watch() -> None:
                while not watching.wait(1):
                    loads.append(os.getloadavg()[0])
                    for name, size in megabytes_of(service.process.pid).items():
                        most[name] = max(most.get(name, 0.0), size)

            watcher = threading.Thread(target=watch)
            watcher.start()
            begun = time.monotonic()
            pressure.run(60 * minutes)
            spans.append((begun, time.monotonic()))
            watching.set()
            watcher.join()
            code = service.stop()
            errors = sum(" error " in line.lower() for line in service.log.splitlines())
    pipes[0].send("end")
    times = pipes[0].recv()
    for process in processes:
        process.kill()
    quiet, busy = (delays(times, *span, interval) for span in spans)
    return {
        "sites": sites,
        "interval_s": interval,
        "minutes": minutes,
        "scrapes": len(busy),
        "latest_before_s": round(quiet[-1], 2),
        "latest_s": round(busy[-1], 2),
        "late_by_a_tenth": sum(late > interval / 10 for late in busy),
        "load": [round(min(loads), 1), round(max(loads), 1)],
        "answers": {
            kind: {str(status): count for status, count in sorted(found.items(), key=str)}
            for kind, found in sorted(pressure.answers.items())
        },
        "slowest_s": {kind: round(took, 1) for kind, took in sorted(pressure.slowest.items())},
        "most_megabytes": {name: round(size) for name, size in sorted(most.items())},
        "error_lines": errors,
        "exit_code": code,
    }


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="tests.bench.pressure", description=__doc__)
    parser.add_argument("--sites", type=int, default=200)
    parser.add_argument("--interval", type=float, default=10)
    parser.add_argument(
        "--minutes", type=float, default=float(os.environ.get("SOAK_MINUTES", "10"))
    )
    args = parser.parse_args()
    print(json.dumps(measure(args.sites, args.interval, args.minutes), indent=1))


if __name__ == "__main__":
    main()
