"""A whole fleet under load: ``python -m tests.bench.fleet --sites 200 --seconds 60 --bad 0.1``.

The simulator serves the sites and the exporter polls them, each in a process of its own. A share
of the sites hangs, refuses or answers rubbish. What is counted comes from outside: the times of
scrapes from what the exporter writes to a listener that stands in for InfluxDB, CPU and memory
from the system, lag from ``/metrics``.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gzip
import json
import os
import re
import signal
import sys
import tempfile
import time
import urllib.request
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from aiohttp import web

from provisioning.local.ports import Ports

MANNERS = ("hang", "refuse", "rubbish")
SAMPLE_SECONDS = 10.0
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Store:
    """Stands in for InfluxDB 1.x: takes every batch and notes when each site was scraped."""

    times: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    outcomes: Counter[str] = field(default_factory=Counter)
    points: int = 0
    batches: int = 0

    async def query(self, _: web.Request) -> web.Response:
        """Databases and retention are always in place."""
        return web.json_response({"results": [{}]})

    async def write(self, request: web.Request) -> web.Response:
        """Take a batch."""
        body = await request.read()
        # aiohttp has decompressed it already.
        text = (gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body).decode()
        self.batches += 1
        for line in text.split("\n"):
            self.points += 1
            if line.startswith("site,site=") and " online=" in line:
                site = line[10 : line.index(" ")]
                self.times[site].append(int(line[line.rindex(" ") + 1 :]) / 1000)
                outcome = re.search(r'outcome="(\w+)"', line)
                self.outcomes[outcome[1] if outcome else "?"] += 1
        return web.Response(status=204)

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[int]:
        """Listen on a free port, which is yielded."""
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_post("/query", self.query)
        app.router.add_post("/write", self.write)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        try:
            yield runner.addresses[0][1]
        finally:
            await runner.cleanup()


async def _hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        await reader.read(-1)
    writer.close()


async def _rubbish(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.0 200 OK\r\nContent-type: application/json\r\n\r\n<html>\xff\x00{")
        await writer.drain()
    writer.close()


@dataclass
class Usage:
    """Resources of a process: CPU seconds and resident MiB."""

    cpu_seconds: float
    rss_mib: float


def _kill(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.kill()


def usage(pid: int) -> Usage:
    """What a process has used until now."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    cpu = (int(fields[11]) + int(fields[12])) / TICKS
    return Usage(cpu, pages * os.sysconf("SC_PAGE_SIZE") / 2**20)


def descendants(pid: int) -> list[int]:
    """The process itself, its children, and theirs."""
    parents: dict[int, list[int]] = defaultdict(list)
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            number = int(entry.name)
            stat = (entry / "stat").read_text().rpartition(")")[2].split()
            parents[int(stat[1])].append(number)
    found = [pid]
    for one in found:
        found += parents[one]
    return found


def usage_of_all(pid: int) -> Usage:
    """What a process and those below it have used, also those that have ended.

    Memory is what each holds alone and its share of what several hold.
    """
    cpu, memory = 0.0, 0.0
    for one in descendants(pid):
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
            # Of its own, and of its children that have ended.
            cpu += sum(map(int, fields[11:15])) / TICKS
            for line in Path(f"/proc/{one}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    memory += int(line.split()[1]) / 1024
    return Usage(cpu, memory)


def scrape_metrics(url: str) -> dict[str, float]:
    """The exporter's own figures by series, without those of sites."""
    with urllib.request.urlopen(f"{url}/metrics", timeout=30) as reply:
        text = reply.read().decode()
    found = {}
    for line in text.splitlines():
        if not line.startswith("#") and 'site="' not in line:
            name, _, value = line.rpartition(" ")
            found[name] = float(value)
    return found


async def _start_simulator(sites: int) -> tuple[asyncio.subprocess.Process, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "simulator", "serve", "--scenario", "scale"),
        *("--sites", str(sites), "--listen", "127.0.0.1:0"),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    line = (await process.stdout.readline()).decode()
    return process, line.rsplit(" ", 1)[1].strip()


async def _fleet(sites: int, url: str) -> dict[str, Any]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "simulator", "fleet", "--scenario", "scale"),
        *("--sites", str(sites), "--base-url", url),
        stdout=asyncio.subprocess.PIPE,
    )
    text, _ = await process.communicate()
    fleet: dict[str, Any] = yaml.safe_load(text)
    return fleet


async def measure(sites: int, seconds: float, bad: float, interval: float) -> dict[str, Any]:
    """Run a fleet and report on it.

    Parameters
    ----------
    sites : int
    seconds : float
        Length of the run, after the first round.
    bad : float
        Share of the sites that hang, refuse or answer rubbish, 0 to 1.
    interval : float
        Seconds between scrapes of a site.
    """
    store, ports = Store(), Ports(usual=False)
    async with contextlib.AsyncExitStack() as stack:
        hanging = await asyncio.start_server(_hang, "127.0.0.1", 0, backlog=1024)
        rubbish = await asyncio.start_server(_rubbish, "127.0.0.1", 0, backlog=1024)
        for server in (hanging, rubbish):
            stack.callback(server.close)
        endpoint = {
            "hang": f"http://127.0.0.1:{hanging.sockets[0].getsockname()[1]}",
            "refuse": f"http://127.0.0.1:{ports.pick(0)}",
            "rubbish": f"http://127.0.0.1:{rubbish.sockets[0].getsockname()[1]}",
        }
        store_port = await stack.enter_async_context(store.serving())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        simulator, url = await _start_simulator(sites)
        stack.callback(_kill, simulator)
        fleet = await _fleet(sites, url)
        manners = {}
        step = round(1 / bad) if bad else sites + 1
        for number, site in enumerate(fleet["sites"]):
            site["interval_seconds"] = interval
            if number % step == step - 1:
                manners[site["id"]] = MANNERS[len(manners) % len(MANNERS)]
                site["api_endpoint"] = endpoint[manners[site["id"]]]
        file = folder / "fleet.json"
        file.write_text(json.dumps(fleet), "utf-8")
        port = ports.pick(0)
        log = folder / "exporter.log"
        with log.open("wb") as errors:
            exporter = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "exporter", "run"),
                *("--fleet", str(file), "--listen", f"127.0.0.1:{port}"),
                stderr=errors,
                env={
                    **os.environ,
                    "FLEETSCOPE_INFLUXDB_URL": f"http://127.0.0.1:{store_port}",
                    "FLEETSCOPE_INFLUXDB_API": "v1",
                    "FLEETSCOPE_QUEUE_DIR": str(folder / "queue"),
                },
            )
        stack.callback(_kill, exporter)
        started = time.time()
        address = f"http://127.0.0.1:{port}"
        # The first round asks every site for its services and loads libraries.
        await asyncio.sleep(2 * interval)
        before, scrapes_before = usage(exporter.pid), sum(store.outcomes.values())
        all_before = usage_of_all(exporter.pid)
        points_before = store.points
        samples, lags = [], []
        begun = time.monotonic()
        while (left := begun + seconds - time.monotonic()) > 0:
            await asyncio.sleep(min(left, SAMPLE_SECONDS))
            samples.append(usage(exporter.pid).rss_mib)
            metrics = await asyncio.to_thread(scrape_metrics, address)
            lags.append(metrics["fleetscope_scrape_loop_lag_seconds"])
        after, scrapes = usage(exporter.pid), sum(store.outcomes.values()) - scrapes_before
        all_after = usage_of_all(exporter.pid)
        points = store.points - points_before
        elapsed = time.monotonic() - begun
        load = os.getloadavg()[1]
        simulator_cpu = usage(simulator.pid).cpu_seconds
        ended = time.time()
        exporter.send_signal(signal.SIGTERM)
        exit_code = await asyncio.wait_for(exporter.wait(), 60)
        _kill(simulator)
        await simulator.wait()
        lines = log.read_text("utf-8").splitlines()
    healthy = [site["id"] for site in fleet["sites"] if site["id"] not in manners]
    gaps = sorted(
        later - earlier
        for site in healthy
        for earlier, later in zip(store.times[site], store.times[site][1:], strict=False)
    )
    counts = [len(store.times[site]) for site in healthy]
    by_manner = {
        manner: [len(store.times[site]) for site, m in manners.items() if m == manner]
        for manner in MANNERS
    }
    cpu = after.cpu_seconds - before.cpu_seconds
    return {
        "sites": sites,
        "interval_s": interval,
        "measured_s": round(elapsed),
        "whole_run_s": round(ended - started),
        "scrapes": scrapes,
        "outcomes": dict(store.outcomes),
        "scrapes_of_a_healthy_site": [min(counts), max(counts)],
        "scrapes_of_a_bad_site": {m: [min(n), max(n)] for m, n in by_manner.items() if n},
        "gap_s": {
            "median": round(gaps[len(gaps) // 2], 2),
            "p99": round(gaps[int(len(gaps) * 0.99)], 2),
            "max": round(gaps[-1], 2),
            "min": round(gaps[0], 2),
        },
        "cpu_ms_per_scrape": round(1000 * cpu / scrapes, 2),
        "cpu_ms_per_scrape_of_all_processes": round(
            1000 * (all_after.cpu_seconds - all_before.cpu_seconds) / scrapes, 2
        ),
        "memory_mib_of_all_processes": round(all_after.rss_mib, 1),
        "cpu_share": round(cpu / elapsed, 3),
        "simulator_cpu_s": round(simulator_cpu),
        "points_per_s": round(points / elapsed),
        "rss_mib": {"first": round(samples[0], 1), "last": round(samples[-1], 1)},
        "rss_series_mib": [round(s) for s in samples[:: max(1, len(samples) // 12)]],
        "lag_s": {"max": round(max(lags), 3), "last": round(lags[-1], 3)},
        "exporter_figures": {
            name: value
            for name, value in metrics.items()
            if name.startswith(("fleetscope_points", "fleetscope_scrapes_skipped"))
        },
        "load_average": round(load, 1),
        "exit_code": exit_code,
        "log_lines": len(lines),
        "log_tail": lines[-4:],
    }


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="tests.bench.fleet", description=__doc__)
    parser.add_argument("--sites", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--bad", type=float, default=0.1)
    parser.add_argument("--interval", type=float, default=10)
    args = parser.parse_args()
    report = asyncio.run(measure(args.sites, args.seconds, args.bad, args.interval))
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
