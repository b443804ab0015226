"""What answers cost: ``python -m tests.bench.answers --sites 1000 --days 30``.

Writes the roll-ups of a fleet's past into an InfluxDB 1.x of its own, serves the fleet as the
exporter does, and asks over HTTP and as commands in processes of their own. CPU of the service and
of InfluxDB is that of their processes; a command's is its own.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from exporter.history.influxql import InfluxQL
from exporter.history.level_choice import enough_for
from exporter.model.levels import DAY, LEVELS, Level
from tests.bench.rollups import cpu_seconds
from tests.serve.api.influx import Influx, influx
from tests.serve.api.served import START, ServedFleet, plan

BATCH = 20_000
QUESTIONS = (
    "which sites need attention?",
    "which sites needed attention in the past {days} days?",
    "which sites were offline in the past {days} days?",
    "how did the score develop over the past {days} days?",
    "which sites are getting worse over the past {days} days?",
    "availability over the past {days} days",
    "how much solar energy in the past {days} days?",
    "energy imported in the past {days} days",
    "worst sites by state of health over the past {days} days",
    "how did s0010 do over the past {days} days?",
)
COMMANDS = (
    ("version",),
    ("status",),
    ("rank",),
    ("rank", "--limit", "1000"),
    ("attention",),
    ("attention", "--json"),
    ("site", "s0010"),
    ("ask", "which sites need attention?"),
)


def rows(level: Level, sites: list[str], start: float, end: float) -> Iterator[str]:
    """Windows of a level: a fifth of the sites had an issue for two hours of every day."""
    first = int(start // level.seconds) * level.seconds
    for window in range(first, int(end), level.seconds):
        wave = math.sin(window / DAY * 2 * math.pi)
        pv, soc, kwh = max(0.0, 3000 * wave), 50 + 30 * wave, level.seconds / 3600
        second, stamp = window % DAY, window * 1000
        site = (
            f" online_min=1,online_max=1,online_1_s={level.seconds},pv_power_w_min={pv},"
            f"pv_power_w_max={pv},pv_power_w_mean={pv},load_power_w_min=400,load_power_w_max=800,"
            f"load_power_w_mean=600,grid_import_kwh_increase={0.3 * kwh},"
            f"grid_import_kwh_last={window / 1e4} {stamp}"
        )
        health = (
            ",component=overall score_min=88,score_max=97,score_mean=95,status_min=0,"
            f"status_max=0 {stamp}"
        )
        battery = (
            f",device=battery/512 soc_percent_min={soc - 1},soc_percent_max={soc + 1},"
            f"soc_percent_mean={soc},soh_percent_min=95,soh_percent_max=96,"
            f"soh_percent_mean={96 - window / 1e9},cell_spread_v_min=0.01,cell_spread_v_max=0.02,"
            f"cell_spread_v_mean=0.015,charged_kwh_increase={0.5 * kwh},"
            f"charged_kwh_last={window / 1e4} {stamp}"
        )
        for name in sites:
            yield f"site,site={name}{site}"
            yield f"health,site={name}{health}"
            yield f"battery,site={name}{battery}"
        if 10 * 3600 <= second < 12 * 3600:
            ending = int(second + level.seconds >= 12 * 3600)
            for name in sites[::5]:
                yield (
                    f"issue,site={name},code=battery_temperature active_min={1 - ending},"
                    f"active_max=1,active_1_s={level.seconds},severity_max=2 {stamp}"
                )


def detail(sites: list[str], end: float) -> Iterator[str]:
    """The last minutes in full detail, and the last words of each issue."""
    for n, site in enumerate(sites):
        stamp = round((end - 60) * 1000)
        yield f"site,site={site} online=1,pv_power_w=1000,load_power_w=600 {stamp}"
        yield f"health,site={site},component=overall score=95,status=0 {stamp}"
        yield f"battery,site={site},device=battery/512 soc_percent=50,soh_percent=95 {stamp}"
        if n % 5 == 0:
            last = end // DAY * DAY - 12 * 3600
            yield (
                f"issue,site={site},code=battery_temperature active=0,severity=2,"
                f'since={last - 7200},sentence="battery at 47 degrees",value=47,threshold=45 '
                f"{round(last * 1000)}"
            )


def write(server: Influx, lines: Iterator[str], policy: str) -> int:
    """Write lines in batches; returns how many."""
    count = 0
    batch: list[str] = []
    for line in lines:
        batch.append(line)
        if len(batch) == BATCH:
            put(server, batch, policy)
            count, batch = count + BATCH, []
    put(server, batch, policy)
    return count + len(batch)


def put(server: Influx, batch: list[str], policy: str) -> None:
    """Write a batch; a server that cannot keep up is given time."""
    for _ in range(60):
        try:
            server.write(batch, policy)
        except OSError:
            time.sleep(2)
        else:
            return
    raise TimeoutError("InfluxDB takes no more")


def timed(fleet: ServedFleet, path: str, pid: int) -> tuple[float, float, float, int]:
    """Seconds, CPU seconds of the service and of InfluxDB, and bytes of one request."""
    before = time.perf_counter(), time.process_time(), cpu_seconds(pid)
    with urllib.request.urlopen(f"http://127.0.0.1:{fleet.port}{path}", timeout=600) as reply:
        size = len(reply.read())
    after = time.perf_counter(), time.process_time(), cpu_seconds(pid)
    return after[0] - before[0], after[1] - before[1], after[2] - before[2], size


def command(url: str, *words: str) -> tuple[float, float]:
    """Seconds and CPU seconds of one command, the best of five."""
    best = (math.inf, math.inf)
    for _ in range(5):
        start, used = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(
            [sys.executable, "-m", "exporter", *words],
            env=os.environ | {"FLEETSCOPE_URL": url, "NO_COLOR": "1", "COLUMNS": "120"},
            stdout=subprocess.DEVNULL,
            check=False,
        )
        now = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime
        best = min(best, (cpu, time.perf_counter() - start))
    return best[1], best[0]


def measure(server: Influx, sites: int, days: int) -> None:
    """Write, serve, ask."""
    fleet = ServedFleet(plan(sites), InfluxQL(server.url, "fleet", {}), now=time.time() - START)
    fleet.scrape(
        **{f"s{n:04}": {"temperature_c": 47.0} for n in range(0, sites, 10)},
        **{f"s{n:04}": None for n in range(5, sites, 50)},
    )
    end, names = fleet.latest.time, [site.id for site in fleet.fleet.sites]
    pid = server.pid
    read = enough_for(days * DAY)[0]
    for level in LEVELS:
        server.query(
            f'CREATE RETENTION POLICY "{level.name}" ON "fleet" DURATION INF REPLICATION 1'
        )
        back = {read: days, LEVELS[-1]: 90}.get(level)
        if back is not None:
            count = write(server, rows(level, names, end - back * DAY, end), level.name)
            print(f"{level.name}: {count / 1e6:.1f} million rows of {back} days", flush=True)
    write(server, detail(names, end), "raw")
    with fleet.serving():
        base = f"http://127.0.0.1:{fleet.port}"
        if days:
            print(f"\n{'s':>6} {'CPU':>6} {'InfluxDB':>9} {'kB':>7}")
        for question in QUESTIONS:
            asked = question.format(days=days)
            path = "/api/v1/ask?" + urllib.parse.urlencode({"q": asked})
            s, cpu, stored, size = timed(fleet, path, pid)
            print(f"{s:6.2f} {cpu:6.2f} {stored:9.2f} {size / 1e3:7.0f}  {asked}", flush=True)
        for form in ("json", "html"):
            s, cpu, stored, size = timed(fleet, f"/api/v1/report?days={days}&format={form}", pid)
            print(
                f"{s:6.2f} {cpu:6.2f} {stored:9.2f} {size / 1e3:7.0f}  report, {form}", flush=True
            )
        print(f"\n{'s':>6} {'CPU':>6}  commands, best of five by CPU")
        for words in COMMANDS:
            s, cpu = command(base, *words)
            print(f"{s:6.2f} {cpu:6.2f}  fleetscope {' '.join(map(json.dumps, words))}", flush=True)


def main() -> None:
    """Run with a server of its own in a folder that is removed afterwards."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sites", type=int, default=1000)
    parser.add_argument("--days", type=int, default=30)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, influx(Path(folder)) as server:
        measure(server, options.sites, options.days)


if __name__ == "__main__":
    main()
