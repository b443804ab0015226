"""What roll-ups cost: ``python -m tests.bench.rollups --days 365`` writes a year of 260 cells.

Starts an InfluxDB 1.x of its own, writes voltage and temperature of each cell once a minute, rolls
everything up, has DuckDB recount some days, and asks what dashboards ask, at each level.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import time
from pathlib import Path

import duckdb
import numpy as np

from exporter.history.rollups.recount import Report, recount
from exporter.history.rollups.source import DAY_MS, Source
from exporter.model.levels import LEVELS, RAW
from exporter.store.connection import Connection
from exporter.store.influx import between_ms
from exporter.store.influx_v1 import InfluxV1
from exporter.store.queue import compress
from tests.bench.influx import Influx, cpu_seconds

PACKS, CELLS, MINUTES = 5, 52, 1440
RANGES_DAYS = (1, 7, 30, 180, 365, 730)


def day_values(day: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Millivolts and tenths of a degree of a day, shape (minutes, packs * cells)."""
    rng = np.random.default_rng((seed, day))
    course = 3300 + 40 * np.sin(np.arange(MINUTES) / MINUTES * 2 * np.pi)
    volts = course[:, None] + rng.normal(0, 3, (MINUTES, PACKS * CELLS))
    heat = 250 + 30 * np.sin(np.arange(MINUTES) / 600)[:, None]
    return volts.round().astype(int), (heat + rng.normal(0, 4, volts.shape)).round().astype(int)


def lines_of(start_ms: int, volts: np.ndarray, heat: np.ndarray) -> list[str]:
    """Line protocol of a day."""
    names = [f"cell,cell=c{c},pack=p{p},site=bench" for p in range(PACKS) for c in range(CELLS)]
    lines = []
    for minute, (row, warm) in enumerate(zip(volts.tolist(), heat.tolist(), strict=True)):
        stamp = start_ms + minute * 60_000
        lines += [
            f"{name} voltage_v={v / 1000},temperature_c={t / 10} {stamp}"
            for name, v, t in zip(names, row, warm, strict=True)
        ]
    return lines


def rss_mb(pid: int | None = None) -> float:
    """Highest resident memory of a process so far."""
    if pid is None:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    status = Path(f"/proc/{pid}/status").read_text("utf-8")
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def check(source: Source, first_ms: int, days: list[int], seed: int) -> int:
    """Recount days in DuckDB; returns the rows compared, raises where one differs."""
    compared = 0
    for day in days:
        start = first_ms + day * DAY_MS
        volts, heat = day_values(day, seed)
        db = duckdb.connect()
        minute = np.repeat(np.arange(MINUTES), PACKS * CELLS)
        cell = np.tile(np.arange(PACKS * CELLS), MINUTES)
        v, t = volts.ravel() / 1000, heat.ravel() / 10
        db.execute(
            "CREATE TABLE raw AS SELECT unnest($1::INTEGER[]) AS m, unnest($2::INTEGER[]) AS c, "
            "unnest($3::DOUBLE[]) AS v, unnest($4::DOUBLE[]) AS t",
            [minute.tolist(), cell.tolist(), v.tolist(), t.tolist()],
        )
        for level in LEVELS:
            wanted = {
                (c, start + w * level.seconds * 1000): values
                for c, w, *values in db.execute(
                    "SELECT c, m * 60 // $1 AS w, min(v), max(v), avg(v), quantile_cont(v, 0.01), "
                    "quantile_cont(v, 0.99), min(t), max(t) FROM raw GROUP BY ALL",
                    [level.seconds],
                ).fetchall()
            }
            found = {}
            for part in source.ask(
                "SELECT voltage_v_min, voltage_v_max, voltage_v_mean, voltage_v_p1, "
                f'voltage_v_p99, temperature_c_min, temperature_c_max FROM "{level.name}"."cell" '
                f"WHERE {between_ms(start, start + DAY_MS)} GROUP BY *"
            ):
                tags = dict(part.tags)
                place = int(tags["pack"][1:]) * CELLS + int(tags["cell"][1:])
                found |= {(place, int(row[0])): row[1:] for row in part.rows}
            assert set(found) == set(wanted), level
            keys = sorted(wanted)
            np.testing.assert_allclose(
                [found[k] for k in keys], [wanted[k] for k in keys], rtol=1e-12
            )
            compared += len(keys)
    return compared


def ask_costs(source: Source, last_ms: int, stored_days: int) -> None:
    """Time of the two queries of a cell dashboard over each range, at each level."""
    print(f"\n{'range':>7}  {'level':<11}{'one pack, heatmap':>20}{'one cell':>12}")
    for days in RANGES_DAYS:
        if days > stored_days:
            break
        for level in (RAW, *(x.name for x in LEVELS)):
            field = "voltage_v" if level == RAW else "voltage_v_max"
            interval = max(int(days * 86_400 / 1000), 60)
            cells = []
            for where, by in (("\"pack\" = 'p1'", ', "cell"'), ("\"cell\" = 'c7'", ', "pack"')):
                before = time.perf_counter()
                for _ in source.ask(
                    f'SELECT max("{field}") FROM "{level}"."cell" WHERE "site" = \'bench\' AND '
                    f"{where} AND {between_ms(last_ms - days * DAY_MS, last_ms)} "
                    f"GROUP BY time({interval}s){by} fill(none)"
                ):
                    pass
                cells.append(time.perf_counter() - before)
            print(f"{days:>5} d  {level:<11}{cells[0] * 1000:>17.0f} ms{cells[1] * 1000:>9.0f} ms")


async def measure(url: str, pid: int, days: int, seed: int) -> None:
    """Write, roll up, check, ask."""
    first = (int(time.time() * 1000) // DAY_MS - days) * DAY_MS
    target = InfluxV1(Connection(url, "fleet"), "inf", {x.name: "inf" for x in LEVELS})
    source = Source(Connection(url, "fleet"))
    await target.prepare()
    values = 0
    before = time.perf_counter()
    for day in range(days):
        volts, heat = day_values(day, seed)
        lines = lines_of(first + day * DAY_MS, volts, heat)
        for start in range(0, len(lines), 10_000):
            await target.write(compress(lines[start : start + 10_000], 0.0).body)
        values += 2 * len(lines)
    million = values / 1e6
    seconds = time.perf_counter() - before
    print(
        f"written: {million:.1f} million values, {seconds / million:.2f} s per million", flush=True
    )

    server_before, own_before = cpu_seconds(pid), time.process_time()
    before = time.perf_counter()
    peaks = []

    def told(done: int, known: int, report: Report) -> None:
        if done in (1, days // 2 or 1, days):
            peaks.append(rss_mb())

    report = await recount(
        source,
        target,
        first,
        first + days * DAY_MS,
        first + days * DAY_MS,
        measurements=["cell"],
        progress=told,
    )
    seconds = time.perf_counter() - before
    print(
        f"rolled up: {report.values / 1e6:.1f} million values to {report.rows / 1e6:.2f} million "
        f"rows in {seconds:.0f} s\n  per million values: {seconds / million:.2f} s, of which CPU "
        f"{(time.process_time() - own_before) / million:.2f} s here and "
        f"{(cpu_seconds(pid) - server_before) / million:.2f} s in InfluxDB\n  highest memory here "
        f"after the first day, half of them, all: {', '.join(f'{p:.0f}' for p in peaks)} MB; "
        f"InfluxDB {rss_mb(pid):.0f} MB"
    )
    assert report.values == values
    picked = sorted({0, days // 2, days - 1})
    rows = check(source, first, picked, seed)
    print(f"recounted in DuckDB: {rows} rows of {len(picked)} days are the same")
    ask_costs(source, first + days * DAY_MS, days)
    source.close()
    await target.close()


def main() -> None:
    """Run with a server of its own in a folder that is removed afterwards."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with Influx.running() as server:
        asyncio.run(measure(server.url, server.pid, options.days, options.seed))
        print(f"\non disk after {options.days} days: {server.data_bytes() / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
