"""What a scrape costs from 100 to 10,000 sites: ``make bench``, or ``python -m tests.bench.scale``.

``fleetscope run`` as it is delivered, all of its processes on one core, polls a fleet that nginx
serves from static files on the other; the queue is on disk and ``/metrics`` is scraped every 15 s.
In the same run vmagent scrapes as many pages of 550 samples from the same nginx, and wrk asks for
the same trees and does nothing with them: the floor. CPU is what the operating system accounts.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import platform
import shutil
import statistics
import sys
import tempfile
import time
import urllib.request
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from provisioning.local.ports import Ports
from tests.bench.fleet import TICKS, descendants
from tests.bench.profile import profile
from tests.bench.static_fleet import SAMPLES_PER_PAGE, StaticFleet, listening, pinned

METRICS_SECONDS = 15.0
FIRST_ROUND_SECONDS = 60.0
SETTLE_SECONDS = 30
# The outlook of the sun, and the hourly analysis of cells: rare work, listed where it is seen.
STARTERS = frozenset({"collect.sun", "history.cells"})


@dataclass(frozen=True)
class Span:
    """One stretch of a run."""

    seconds: float
    scrapes: int
    cpu_ms_per_scrape: float
    cores: float
    by_process: dict[str, float]


def process_name(pid: int) -> str:
    """What a process of the exporter is, by its command line."""
    words = Path(f"/proc/{pid}/cmdline").read_bytes().decode("utf-8", "replace").split("\0")
    if "-m" not in words:
        return "roll-ups" if "spawn_main" in " ".join(words) else Path(words[0]).name or "?"
    module = words[words.index("-m") + 1]
    return "collector" if module == "exporter" else module.removeprefix("exporter.")


def cpu_by_process(pid: int) -> dict[str, float]:
    """CPU seconds of a process and those below it by what they are; ``ended`` of those before."""
    found: dict[str, float] = {}
    for one in descendants(pid):
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
            name = process_name(one)
            found[name] = found.get(name, 0.0) + sum(map(int, fields[11:13])) / TICKS
            found["ended"] = found.get("ended", 0.0) + sum(map(int, fields[13:15])) / TICKS
    return found


def memory_mib(pid: int) -> dict[str, float]:
    """Resident MiB by process, each with its share of what several hold, and the sum."""
    found: dict[str, float] = {}
    for one in descendants(pid):
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{one}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    name = process_name(one)
                    found[name] = found.get(name, 0.0) + round(int(line.split()[1]) / 1024, 1)
    return found | {"all": round(sum(found.values()), 1)}


@contextlib.asynccontextmanager
async def _running(*command: str, log: Path, env: dict[str, str]) -> AsyncIterator[int]:
    """A command while it is needed; yields its process id."""
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *command, stdout=output, stderr=output, env={**os.environ, **env}
        )
    try:
        yield process.pid
    finally:
        if process.returncode is None:
            process.terminate()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), 30)
        if process.returncode is None:
            process.kill()
            await process.wait()


class Scraper:
    """Scrapes ``/metrics`` as Prometheus does: every 15 seconds, compressed."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.bytes = 0
        self.text = ""
        self.lags: list[float] = []

    async def run(self) -> None:
        """Scrape until cancelled."""
        while True:
            await asyncio.to_thread(self.once)
            await asyncio.sleep(METRICS_SECONDS)

    def once(self) -> None:
        """Scrape once."""
        import gzip

        request = urllib.request.Request(self._url, headers={"Accept-Encoding": "gzip"})
        with urllib.request.urlopen(request, timeout=60) as reply:
            body = reply.read()
        self.bytes = len(body)
        self.text = gzip.decompress(body).decode()
        self.lags.append(self.value("scrape_loop_lag_seconds"))

    def value(self, series: str) -> float:
        """The value of one of the exporter's own series."""
        start = self.text.index(f"\nfleetscope_{series} ") + len(series) + len("\nfleetscope_ ")
        return float(self.text[start : self.text.index("\n", start)])

    def outcomes(self) -> dict[str, int]:
        """Scrapes of all sites by how they ended, since the start."""
        found: dict[str, int] = {}
        for line in self.text.splitlines():
            if line.startswith("fleetscope_site_scrapes_total{"):
                outcome = line.partition('outcome="')[2].partition('"')[0]
                found[outcome] = found.get(outcome, 0) + int(float(line.rpartition(" ")[2]))
        return found


async def _spans(pid: int, count: int, seconds: float) -> list[tuple[float, float, Any, Any]]:
    """Begin and end of each span with the CPU of the processes there."""
    found = []
    for _ in range(count):
        begin, before = time.time(), cpu_by_process(pid)
        await asyncio.sleep(seconds)
        found.append((begin, time.time(), before, cpu_by_process(pid)))
    return found


def _span(begin: float, end: float, before: Any, after: Any, scrapes: int) -> Span:
    used = {name: after[name] - before.get(name, 0.0) for name in after}
    scrapes = max(scrapes, 1)
    return Span(
        seconds=round(end - begin, 2),
        scrapes=scrapes,
        cpu_ms_per_scrape=round(1000 * sum(used.values()) / scrapes, 3),
        cores=round(sum(used.values()) / (end - begin), 3),
        by_process={name: round(1000 * cpu / scrapes, 3) for name, cpu in used.items() if cpu},
    )


def _summary(spans: list[Span]) -> dict[str, Any]:
    each = [span.cpu_ms_per_scrape for span in spans]
    return {
        "cpu_ms_per_scrape": {
            "median": statistics.median(each),
            "min": min(each),
            "max": max(each),
        },
        "by_process": {
            name: statistics.median([span.by_process.get(name, 0.0) for span in spans])
            for name in sorted({name for span in spans for name in span.by_process})
        },
        "spans": [asdict(span) for span in spans],
    }


async def _settled(pid: int, interval: float) -> None:
    """Wait for another round, and for the end of what runs at the start alone."""
    await asyncio.sleep(interval)
    for _ in range(SETTLE_SECONDS):
        if not STARTERS & cpu_by_process(pid).keys():
            break
        await asyncio.sleep(1.0)


async def _first_round(fleet: StaticFleet, sites: int) -> float | None:
    """When every site had been asked for its battery; None where some were not in time."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(FIRST_ROUND_SECONDS):
            first = None
            while first is None:
                await asyncio.sleep(1.0)
                first = fleet.asked().full_round(sites)
            return first
    return None


async def measure_exporter(fleet: StaticFleet, folder: Path, args: Any) -> dict[str, Any]:
    """Run the exporter against the fleet."""
    port = Ports(usual=False).pick(0)
    file = folder / "fleet.json"
    file.write_text(json.dumps(fleet.fleet(args.sites, args.interval)), "utf-8")
    env = {
        "FLEETSCOPE_INFLUXDB_URL": fleet.url,
        "FLEETSCOPE_INFLUXDB_API": "v1",
        "FLEETSCOPE_QUEUE_DIR": str(folder / "queue"),
        **({"FLEETSCOPE_CELL_SECONDS": str(args.cell_seconds)} if args.cell_seconds >= 0 else {}),
    }
    command = (sys.executable, "-m", "exporter", "run", "--fleet", str(file))
    listen = ("--listen", f"127.0.0.1:{port}")
    log = folder / "exporter.log"
    started = time.time()
    async with _running(*pinned(args.cpu), *command, *listen, log=log, env=env) as pid:
        await listening(port, FIRST_ROUND_SECONDS)
        first = await _first_round(fleet, args.sites)
        await _settled(pid, args.interval)
        scraper = Scraper(f"http://127.0.0.1:{port}/metrics")
        scraping = asyncio.create_task(scraper.run())
        begin = time.time()
        stages = asyncio.create_task(profile(pid, args.profile)) if args.profile else None
        raw = await _spans(pid, args.spans, args.seconds)
        end = time.time()
        scraping.cancel()
        memory = memory_mib(pid)
        await asyncio.sleep(1.5)
        await asyncio.to_thread(scraper.once)
        asked = fleet.asked()
        gaps = asked.gaps(begin)
        off = sorted(abs(gap - args.interval) for gap in gaps)
        spans = [
            _span(b, e, before, after, asked.count("battery", b, e)) for b, e, before, after in raw
        ]
        expected = args.sites * (end - begin) / args.interval
        return {
            **_summary(spans),
            "memory_mib": memory,
            "scrapes_of_expected": round(sum(s.scrapes for s in spans) / expected, 4),
            "outcomes": scraper.outcomes(),
            "first_round_s": round(first - started, 1) if first else None,
            "start_jitter_of_interval": {
                "p50": round(off[len(off) // 2] / args.interval, 4),
                "p99": round(off[int(len(off) * 0.99)] / args.interval, 4),
                "max": round(off[-1] / args.interval, 4),
            }
            if off
            else None,
            "lag_s": max(scraper.lags),
            "metrics_mb": {
                "plain": round(len(scraper.text) / 1e6, 2),
                "gzip": round(scraper.bytes / 1e6, 2),
            },
            "assessment_s": scraper.value("assessment_duration_seconds"),
            "log_lines": len(log.read_text("utf-8").splitlines()),
            "log_tail": log.read_text("utf-8").splitlines()[-3:],
            **({"profile": await stages} if stages else {}),
        }


async def measure_vmagent(fleet: StaticFleet, folder: Path, args: Any) -> dict[str, Any] | None:
    """Run vmagent against as many pages; None where there is no vmagent."""
    program = os.environ.get("VMAGENT_BIN") or shutil.which("vmagent")
    if program is None:
        return None
    ports = Ports(usual=False)
    port = ports.pick(0)
    host = fleet.url.removeprefix("http://")
    targets = [
        {"targets": [host], "labels": {"__metrics_path__": f"/p{n:05d}/metrics", "site": f"{n}"}}
        for n in range(args.sites)
    ]
    settings = {
        "global": {"scrape_interval": f"{args.interval:g}s", "scrape_timeout": "5s"},
        "scrape_configs": [{"job_name": "bench", "static_configs": targets}],
    }
    file = folder / "vmagent.json"
    file.write_text(json.dumps(settings), "utf-8")
    command = (
        *(program, f"-promscrape.config={file}", f"-httpListenAddr=127.0.0.1:{port}"),
        *(f"-remoteWrite.url={fleet.url}/write", f"-remoteWrite.tmpDataPath={folder}/vmagent"),
        "-loggerLevel=ERROR",
    )
    log = folder / "vmagent.log"

    async def scraped() -> float:
        def get() -> str:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as reply:
                return str(reply.read().decode())

        text = await asyncio.to_thread(get)
        return sum(
            float(line.rpartition(" ")[2])
            for line in text.splitlines()
            if line.startswith("vm_promscrape_scraped_samples_sum")
        )

    async with _running(*pinned(args.cpu), *command, log=log, env={}) as pid:
        await listening(port)
        await asyncio.sleep(1.5 * args.interval)
        spans = []
        for _ in range(args.spans):
            before_samples = await scraped()
            ((begin, end, before, after),) = await _spans(pid, 1, args.seconds)
            scrapes = round((await scraped() - before_samples) / SAMPLES_PER_PAGE)
            spans.append(_span(begin, end, before, after, scrapes))
        expected = args.sites * sum(s.seconds for s in spans) / args.interval
        return {
            **_summary(spans),
            "memory_mib": memory_mib(pid),
            "scrapes_of_expected": round(sum(s.scrapes for s in spans) / expected, 4),
        }


async def measure_floor(fleet: StaticFleet, args: Any) -> float | None:
    """CPU ms of wrk for the two requests of a scrape; None without wrk."""
    if shutil.which("wrk") is None:
        return None
    total = 0.0
    for service in ("com.victronenergy.system", "com.victronenergy.battery.ttyUSB0"):
        before = os.times()
        process = await asyncio.create_subprocess_exec(
            *pinned(args.cpu),
            *("wrk", "-t1", "-c8", "-d3", "-H", "Connection: close"),
            f"{fleet.url}/s00001/value?service={service}&path=/",
            stdout=asyncio.subprocess.PIPE,
        )
        text, _ = await process.communicate()
        after = os.times()
        used = after.children_user + after.children_system
        used -= before.children_user + before.children_system
        requests = int(text.decode().partition(" requests in")[0].split()[-1])
        total += 1000 * used / requests
    return round(total, 4)


async def measure(args: Any) -> dict[str, Any]:
    """One fleet: the exporter, vmagent and the floor one after another."""
    with tempfile.TemporaryDirectory(prefix="fleetscope-bench-") as name:
        # The workers of nginx may run as another user.
        os.chmod(name, 0o755)
        folder = Path(name)
        fleet = StaticFleet(folder, Ports(usual=False).pick(0), vebus=args.vebus)
        await fleet.start(args.server_cpu)
        found: dict[str, Any] = {"sites": args.sites, "interval_s": args.interval}
        try:
            for part, measured in (("fleetscope", measure_exporter), ("vmagent", measure_vmagent)):
                if part in args.parts:
                    found[part] = await measured(fleet, folder, args)
                    # A run that is broken off has said what it knows.
                    print(json.dumps({part: found[part]}), file=sys.stderr, flush=True)
            if "wrk" in args.parts:
                found["floor_ms"] = await measure_floor(fleet, args)
        finally:
            assert fleet.process is not None
            fleet.process.terminate()
            await fleet.process.wait()
        own, other = found.get("fleetscope"), found.get("vmagent")
        if own and other:
            medians = [part["cpu_ms_per_scrape"]["median"] for part in (own, other)]
            found["ratio_to_vmagent"] = round(medians[0] / medians[1], 2)
        found["machine"] = {
            "cores": os.cpu_count(),
            "load": round(os.getloadavg()[0], 1),
            "python": platform.python_version(),
            "date": time.strftime("%Y-%m-%d"),
        }
        return found


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="tests.bench.scale", description=__doc__)
    parser.add_argument("--sites", type=int, default=1000)
    parser.add_argument("--interval", type=float, default=10.0)
    parser.add_argument("--seconds", type=float, default=20.0, help="length of a span")
    parser.add_argument("--spans", type=int, default=3, help="spans that are measured")
    parser.add_argument("--vebus", action="store_true", help="three requests a scrape, not two")
    parser.add_argument("--cell-seconds", type=float, default=-1, help="cadence of stored cells")
    parser.add_argument("--parts", default="fleetscope,vmagent,wrk")
    parser.add_argument("--cpu", type=int, default=1, help="core of what is measured")
    parser.add_argument("--server-cpu", type=int, default=0, help="core of nginx")
    parser.add_argument("--profile", type=float, default=0, help="seconds to sample the collector")
    print(json.dumps(asyncio.run(measure(parser.parse_args())), indent=1))


if __name__ == "__main__":
    main()
