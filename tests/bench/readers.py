"""How long readers hold up polling and health: ``python -m tests.bench.readers --sites 1000``.

Sites that answer at once are polled every few seconds, by a real service in processes of its own.
Then histories and long questions are asked for, all at once. Reported is the longest delay of a
scrape behind its rhythm and of an answer of ``/healthz``, before and meanwhile. A site whose scrape
ran into its time limit, on a machine that is too busy, is left alone for longer and late by that;
the lag of the loop is without it.
"""

from __future__ import annotations

import argparse
import itertools
import json
import multiprocessing
import tempfile
import threading
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.service_process import ServiceProcess, serving, until, write_fleet

CELLS, SAMPLES = 290, 1000
QUESTION = quote("which sites are " + "not low on charge and not hot and " * 12 + "offline?")


class Sites(BaseHTTPRequestHandler):
    """Any number of sites, told apart by the path; notes when each is asked."""

    asked: dict[str, list[float]] = defaultdict(list)  # noqa: RUF012 - one for the process

    def do_GET(self) -> None:
        _, site, *rest = self.path.split("/", 2)
        path = rest[0] if rest else ""
        if path == "services":
            names = ["com.victronenergy.battery.ttyO0", "com.victronenergy.system"]
            reply: dict[str, object] = {"success": True, "services": names, "count": 2}
        elif "com.victronenergy.system" in path:
            self.asked[site].append(time.monotonic())
            tree = {"Dc/Battery/BatteryService": "com.victronenergy.battery.ttyO0"}
            reply = {"success": True, "value": tree | {"Dc/Battery/Soc": 70.0}}
        else:
            reply = {"success": True, "value": {"Soc": 70.0, "Soh": 95.0}}
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(reply).encode())

    def log_message(self, *_: object) -> None:
        """Silent."""


class History(BaseHTTPRequestHandler):
    """Stands in for InfluxDB, and always answers with the same cells."""

    answer = b""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        asked = "query" in self.path
        self.send_response(200 if asked else 204)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        if asked:
            self.wfile.write(self.answer)

    do_GET = do_POST  # noqa: N815 - the name that the class looks for

    def log_message(self, *_: object) -> None:
        """Silent."""


def _cells() -> bytes:
    series = [
        {
            "name": "cell",
            "tags": {"pack": "battery/0", "cell": str(cell)},
            "columns": ["time", "voltage_v"],
            "values": [[1_700_000_000_000 + i * 60_000, 3.3] for i in range(SAMPLES)],
        }
        for cell in range(CELLS)
    ]
    return json.dumps({"results": [{"series": series}]}).encode()


def serve(kind: type[BaseHTTPRequestHandler], pipe: Any) -> None:
    """Serve until told to end, and then say when each site was asked."""
    if kind is History:
        History.answer = _cells()
    server = ThreadingHTTPServer(("127.0.0.1", 0), kind)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    pipe.send(f"http://127.0.0.1:{server.server_address[1]}")
    pipe.recv()
    pipe.send(dict(Sites.asked))


def _delays(times: dict[str, list[float]], begin: float, end: float, interval: float) -> float:
    """The longest time between two scrapes of a site in a span, beyond the interval."""
    late = 0.0
    for asked in times.values():
        within = [time for time in asked if begin - interval <= time]
        within = [time for time in within if time <= end + interval]
        late = max([late, *(b - a - interval for a, b in itertools.pairwise(within))])
    return round(late, 2)


def _health(service: ServiceProcess, until_set: threading.Event, waits: list[float]) -> None:
    while not until_set.is_set():
        begun = time.monotonic()
        service.get("/healthz", 300)
        waits.append(time.monotonic() - begun)
        until_set.wait(0.1)


def measure(sites: int, interval: float, histories: int, questions: int) -> dict[str, Any]:
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
    with tempfile.TemporaryDirectory() as folder:
        fleet = Path(folder) / "fleet.json"
        ids = [f"s{n:04}" for n in range(sites)]
        write_fleet(fleet, {i: f"{site_url}/{i}" for i in ids}, interval_seconds=interval)
        settings = {"influxdb_url": influx_url, "influxdb_api": "v1", "rollups": "false"}
        with serving(fleet, **settings) as service:
            until(lambda: service.get("/readyz")[0] == 200, 300)
            spans: list[tuple[float, float, list[float]]] = []
            paths = [
                *(
                    f"/api/v1/history?site={i}&metric=cell_voltage_v&since=7d"
                    for i in ids[:histories]
                ),
                *[f"/api/v1/ask?q={QUESTION}"] * questions,
            ]
            statuses: list[int] = []
            lags: list[float] = []
            for asked in ([], paths):
                done, waits = threading.Event(), list[float]()
                begun = time.monotonic()
                watcher = threading.Thread(target=_health, args=(service, done, waits))
                watcher.start()
                with ThreadPoolExecutor(max(1, len(asked))) as callers:
                    replies = [callers.submit(service.get, path, 600) for path in asked]
                    time.sleep(2 * interval)
                    statuses = [one.result()[0] for one in replies]
                spans.append((begun, time.monotonic(), waits))
                done.set()
                watcher.join()
                lags.append(service.metric("scrape_loop_lag_seconds") or 0.0)
            time.sleep(2 * interval)
            offline = service.get("/api/v1/fleet")[1]
            service.stop()
    pipes[0].send("end")
    times = pipes[0].recv()
    for process in processes:
        process.kill()
    quiet, busy = spans
    return {
        "sites": sites,
        "interval_s": interval,
        "requests": {str(s): statuses.count(s) for s in sorted(set(statuses))},
        "readers_took_s": round(busy[1] - busy[0], 1),
        "healthz_longest_s": [round(max(span[2]), 2) for span in spans],
        "loop_lag_s": lags,
        "scrape_latest_s": [_delays(times, *span[:2], interval) for span in (quiet, busy)],
        "counts_after": json.loads(offline)["counts"],
    }


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="tests.bench.readers", description=__doc__)
    parser.add_argument("--sites", type=int, default=1000)
    parser.add_argument("--interval", type=float, default=10)
    parser.add_argument("--histories", type=int, default=40)
    parser.add_argument("--questions", type=int, default=20)
    args = parser.parse_args()
    report = measure(args.sites, args.interval, args.histories, args.questions)
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
