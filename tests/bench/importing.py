"""What an import costs: ``python -m tests.bench.importing`` writes a folder and imports it twice.

CSV files of one signal each, brought by ``fleetscope import`` into an InfluxDB 1.x of its own:
three systems of five packs of 52 cells, voltage and temperature of each, six meters, and as many
files that nothing is known of as make 1,781. The first system has a value a minute over the last
days, all else a value every quarter of an hour; times are local ones of Europe/Berlin.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from tests.bench.influx import Influx, cpu_seconds

FILES, SYSTEMS, PACKS, CELLS, METERS = 1781, 3, 5, 52, 6
DAY, QUARTER = 86_400, 900
ZONE = ZoneInfo("Europe/Berlin")
Ints = NDArray[np.int64]
Bytes = NDArray[np.uint8]


def local_texts(times: Ints) -> Bytes:
    """Local times as text with a comma behind, a row each; ``times`` are whole minutes UTC."""
    hours, place = np.unique(times // 3600, return_inverse=True)
    offsets = [ZONE.utcoffset(datetime.fromtimestamp(h * 3600, UTC)) for h in hours.tolist()]
    shift = np.array([o.total_seconds() for o in offsets if o is not None], dtype=np.int64)[place]
    texts = np.datetime_as_string((times + shift).astype("datetime64[s]"), unit="s")
    rows = np.char.encode(texts, "ascii").view(np.uint8).reshape(len(times), -1).copy()
    rows[:, 10] = ord(" ")
    return np.hstack([rows, np.full((len(times), 1), ord(","), dtype=np.uint8)])


def write(path: Path, texts: Bytes, values: Ints, decimals: int) -> None:
    """One file; ``values`` are whole steps of the last decimal, 0 to 9999."""
    known = np.array([f"{n / 10**decimals:08.{decimals}f}\n".encode() for n in range(10_000)])
    digits = known.view(np.uint8).reshape(10_000, -1)
    with path.open("wb") as file:
        file.write(b"time,value\n")
        np.hstack([texts, digits[np.clip(values, 0, 9999)]]).tofile(file)


def make_folder(folder: Path, days: int, minute_days: int, seed: int) -> int:
    """Write the files; returns how many rows are in those that an import knows."""
    end = int(time.time()) // DAY * DAY
    begin, fine_from = end - days * DAY, end - minute_days * DAY
    slow = np.arange(begin, end, QUARTER)
    mixed = np.concatenate([np.arange(begin, fine_from, QUARTER), np.arange(fine_from, end, 60)])
    slow_texts, mixed_texts = local_texts(slow), local_texts(mixed)
    rows = 0
    for system in range(1, SYSTEMS + 1):
        times, texts = (mixed, mixed_texts) if system == 1 else (slow, slow_texts)
        course = np.sin(times % DAY / DAY * 2 * np.pi)
        for pack in range(1, PACKS + 1):
            rng = np.random.default_rng((seed, system, pack))
            for cell in range(1, CELLS + 1):
                noise = rng.standard_normal(len(times), dtype=np.float32)
                millivolts = np.rint(3300 + 40 * course + rng.normal(0, 3) + noise)
                tenths = np.rint(250 + 30 * course + 2 * noise)
                for letter, values, decimals in (("v", millivolts, 3), ("t", tenths, 1)):
                    name = f"bms{system}_p{pack}_{letter}{cell}.csv"
                    write(folder / name, texts, values.astype(np.int64), decimals)
                    rows += len(times)
    for meter in range(1, METERS + 1):
        power = np.rint(500 + 300 * np.sin(slow % DAY / DAY * 2 * np.pi)).astype(np.int64)
        write(folder / f"m{meter}_ap.csv", slow_texts, power, 1)
        rows += len(slow)
    for number in range(FILES - len(list(folder.iterdir()))):
        write(folder / f"other_{number}.csv", slow_texts[:100], np.zeros(100, dtype=np.int64), 1)
    return rows


def run(folder: Path, state: Path, server: Influx) -> None:
    """One import with the roll-ups that follow it: time, CPU, memory."""
    sites = (option for s in range(1, SYSTEMS + 1) for option in ("--site", f"{s}=bench_{s}"))
    server_before, began = cpu_seconds(server.pid), time.perf_counter()
    done = subprocess.Popen(
        [
            *(sys.executable, "-m", "exporter", "import", str(folder), *sites),
            *("--site", "bench_1", "--timezone", str(ZONE), "--unit", "meter.active_power_w=kW"),
            *("--extend-retention", "--no-rollups", "--state", str(state)),
        ],
        env={
            **os.environ,
            "FLEETSCOPE_INFLUXDB_API": "v1",
            "FLEETSCOPE_INFLUXDB_URL": server.url,
        },
    )
    _, status, used = os.wait4(done.pid, 0)
    print(
        f"exit code {os.waitstatus_to_exitcode(status)} after {time.perf_counter() - began:.0f} s; "
        f"CPU {used.ru_utime + used.ru_stime:.0f} s here and "
        f"{cpu_seconds(server.pid) - server_before:.0f} s in InfluxDB; highest memory here "
        f"{used.ru_maxrss / 1024:.0f} MB\n",
        flush=True,
    )


def main() -> None:
    """Import the folder, and once more."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=630)
    parser.add_argument("--minute-days", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, Influx.running() as server:
        files = Path(folder, "files")
        files.mkdir()
        rows = make_folder(files, options.days, options.minute_days, options.seed)
        print(f"{FILES:,} files, {rows / 1e6:.1f} million values\n", flush=True)
        for _ in range(2):
            run(files, Path(folder, "state"), server)


if __name__ == "__main__":
    main()
