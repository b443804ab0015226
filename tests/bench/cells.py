"""What the analysis of cells costs: ``python -m tests.bench.cells --cells 16``.

Starts an InfluxDB 1.x of its own, writes 91 days of packs of up to 52 cells (each cell once a
minute, the battery every ten seconds), and has ``python -m exporter.history.cells`` judge the
site: first out of full detail, then out of the roll-up that is written beside it as the exporter
makes it, and then again and again as its hourly rounds do, which read only what is new.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from exporter.history.cells.pack_reader import HISTORY_DAYS
from exporter.model.levels import LEVELS, RAW, RAW_RANGE_DAYS
from exporter.store.connection import Connection
from exporter.store.influx_v1 import InfluxV1
from exporter.store.queue import compress
from tests.bench.influx import Influx, cpu_seconds
from tests.scoring.cells.packs import CAPACITY_AH, DAY, START, History, Pack

LARGEST_PACK = 52
ROLLED = next(level for level in LEVELS if level.name == "rollup_15m")
Floats = NDArray[np.float64]


def raw_lines(site: str, pack: str, history: History, shift: float) -> Iterator[str]:
    """Cells once a minute, the battery every ten seconds."""
    stamps = ((history.t + shift) * 1000).astype(np.int64).tolist()
    for cell in range(history.voltages.shape[1]):
        head = f"cell,site={site},pack={pack},cell={cell + 1} "
        volts, warmth = history.voltages[:, cell], history.temperature[:, cell]
        for stamp, v, c in zip(
            stamps, volts.round(3).tolist(), warmth.round(1).tolist(), strict=True
        ):
            yield f"{head}voltage_v={v},temperature_c={c} {stamp}"
    for stamp, a, soc in zip(stamps, history.current.tolist(), history.soc.tolist(), strict=True):
        for part in range(6):
            yield (
                f"battery,site={site},device={pack} current_a={a:.1f},soc_percent={soc:.1f},"
                f"power_w={a * 53:.0f},capacity_ah={CAPACITY_AH},soh_percent=97 "
                f"{stamp + 10_000 * part}"
            )


def rolled_lines(site: str, pack: str, history: History, shift: float) -> Iterator[str]:
    """The same as windows of the roll-up, with the fields that the exporter writes."""
    size = round(ROLLED.seconds / (history.t[1] - history.t[0]))
    whole = history.t.size // size
    stamps = ((history.t[: whole * size : size] + shift) * 1000).astype(np.int64).tolist()

    def windows(values: Floats) -> Floats:
        return values[: whole * size].reshape(whole, size)

    def fields(name: str, values: Floats, *kept: str) -> list[str]:
        found = windows(values)
        made = {"min": found.min(axis=1), "max": found.max(axis=1), "mean": found.mean(axis=1)}
        made["p1"], made["p99"] = np.quantile(found, (0.01, 0.99), axis=1)
        columns = zip(*(made[what].tolist() for what in kept), strict=True)
        return [
            ",".join(f"{name}_{w}={v!r}" for w, v in zip(kept, row, strict=True)) for row in columns
        ]

    for cell in range(history.voltages.shape[1]):
        volts = fields("voltage_v", history.voltages[:, cell], "min", "max", "mean", "p1", "p99")
        warmth = fields("temperature_c", history.temperature[:, cell], "min", "max")
        head = f"cell,site={site},pack={pack},cell={cell + 1} "
        for stamp, v, c in zip(stamps, volts, warmth, strict=True):
            yield f"{head}{v},{c},samples={2 * size} {stamp}"
    kept = ("min", "max", "mean")
    parts = [
        fields("current_a", history.current, *kept),
        fields("soc_percent", history.soc, *kept),
        fields("power_w", history.current * 53, *kept),
        fields("capacity_ah", np.full(history.t.size, CAPACITY_AH), *kept),
        fields("soh_percent", np.full(history.t.size, 97.0), *kept),
    ]
    for stamp, *row in zip(stamps, *parts, strict=True):
        yield f"battery,site={site},device={pack} {','.join(row)} {stamp}"


def last_days(history: History) -> History:
    """Of a history in steps of a minute, what is read in full detail in any case, and a day."""
    last = slice(-1440 * (RAW_RANGE_DAYS + 1), None)
    return History(
        history.t[last],
        history.voltages[last],
        history.current[last],
        history.soc[last],
        history.temperature[last],
    )


async def write(target: InfluxV1, lines: Iterator[str], policy: str) -> None:
    """Write lines in batches to a level."""
    waiting: list[str] = []
    for line in lines:
        waiting.append(line)
        if len(waiting) >= 10_000:
            await target.write(compress(waiting, 0.0, policy).body, policy)
            waiting = []
    if waiting:
        await target.write(compress(waiting, 0.0, policy).body, policy)


def judge(server: Influx, site: str, times: int, folder: str | None = None) -> None:
    """Analyse the site as the service does, so many times over, and tell what one cost."""
    job = {"url": server.url, "database": "fleet", "headers": {}, "spread_seconds": 0}
    job["folder"] = folder
    job["sites"] = [site] * times
    before, started = cpu_seconds(server.pid), time.perf_counter()
    program = "import resource, runpy, sys\n"
    program += "runpy.run_module('exporter.history.cells', run_name='__main__')"
    program += "\nu = resource.getrusage(resource.RUSAGE_SELF)"
    program += "\nprint(u.ru_utime + u.ru_stime, u.ru_maxrss / 1024, file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", program],
        input=json.dumps(job),
        capture_output=True,
        text=True,
        check=True,
    )
    wall = time.perf_counter() - started
    cpu, megabytes = (float(word) for word in done.stderr.split()[-2:])
    *_, told, last = done.stdout.splitlines()
    found, busy = json.loads(told), json.loads(last)["busy_seconds"] / times
    trends = [
        (pack["pack"], f["cell"])
        for pack in found["packs"]
        for f in pack["findings"]
        if f["reason"] == "trend"
    ]
    samples = sum(pack["samples"] for pack in found["packs"])
    server_cpu = (cpu_seconds(server.pid) - before) / times
    print(
        f"  {busy:.2f} s a site; CPU {cpu / times:.2f} s here, with the start of the process, and "
        f"{server_cpu:.2f} s in InfluxDB; {megabytes:.0f} MB; {wall:.1f} s for {times}; "
        f"{samples} samples; trends of {trends}",
        flush=True,
    )


def bytes_in(folder: str) -> int:
    """What the files of a folder hold."""
    return sum(path.stat().st_size for path in Path(folder).iterdir())


async def measure(
    server: Influx, cells: int, days: int, rounds: int, stages: str, times: int
) -> None:
    """Write and judge."""
    until = float(int(time.time()) // int(DAY) * int(DAY))
    site = f"bench{cells}"
    target = InfluxV1(Connection(server.url, "fleet"), "inf", {x.name: "inf" for x in LEVELS})
    await target.prepare()
    packs = -(-cells // LARGEST_PACK)
    size = cells // packs

    def histories() -> Iterator[tuple[str, History]]:
        for number in range(packs):
            leak = {4: 0.3} if number == packs - 1 else {}
            made = Pack(cells=size, days=days, step=60.0, seed=number, leak_percent_per_day=leak)
            yield f"bms/{number + 1}", made.run()

    shift = until - START - days * DAY
    for stage, make, policy in (("raw", raw_lines, RAW), ("rolled", rolled_lines, ROLLED.name)):
        if stage not in stages.split(","):
            continue
        started = time.perf_counter()
        for pack, history in histories():
            if stages == "rolled":
                await write(target, raw_lines(site, pack, last_days(history), shift), RAW)
            await write(target, make(site, pack, history, shift), policy)
        print(f"{stage}: written in {time.perf_counter() - started:.0f} s", flush=True)
        for _ in range(rounds):
            judge(server, site, times)
    with tempfile.TemporaryDirectory() as folder:
        print("kept between rounds: the first, and those that follow", flush=True)
        judge(server, site, 1, folder)
        judge(server, site, 10 * times, folder)
        print(f"  {bytes_in(folder) / 1e6:.2f} MB kept on disk", flush=True)
    await target.close()


def main() -> None:
    """Run with a server of its own in a folder that is removed afterwards."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=16)
    parser.add_argument("--days", type=int, default=HISTORY_DAYS)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument(
        "--stages",
        default="raw,rolled",
        help="what to write and measure; rolled alone writes full detail of the last days only",
    )
    parser.add_argument("--times", type=int, default=5, help="analyses in a round")
    options = parser.parse_args()
    with Influx.running() as server:
        asyncio.run(
            measure(
                server, options.cells, options.days, options.rounds, options.stages, options.times
            )
        )


if __name__ == "__main__":
    main()
