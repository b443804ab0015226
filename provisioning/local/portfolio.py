"""A portfolio of three simulated plants for the demo: last month, and this one up to now.

``python -m provisioning.local.portfolio --folder DIR --influxdb URL`` writes the plants' files,
takes them into the ledger and the telemetry into InfluxDB. The exporter, which is told of
``DIR/books.sqlite`` and ``DIR/contracts.yaml``, publishes them by itself.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import os
import shutil
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from exporter.config.settings import load_settings
from exporter.portfolio.ledger import Ledger
from exporter.portfolio.ledger_import import import_table, read_table
from exporter.portfolio.ledger_tables import TABLES
from exporter.portfolio.stores import PortfolioStores
from exporter.portfolio.telemetry_import import TelemetryFile
from provisioning.local.stack import BOOKS, CONTRACTS
from simulator.portfolio.files import write_month

ZONE = "Europe/London"
SEED = 11
NICENESS = 15
TABLE_FILES = {
    **{f"{name}.csv": name for name in TABLES if name != "settlement"},
    **{f"settlement-{run}.csv": "settlement" for run in ("II", "SF")},
}
_BEGINS = ("startTime", "start", "opened")
_ENDS = ("end", "repair_began", "closed")


def main(arguments: list[str] | None = None) -> None:
    """Write and take in the months."""
    parser = argparse.ArgumentParser(prog="python -m provisioning.local.portfolio")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--influxdb", required=True, help="address of an InfluxDB 1.x")
    chosen = parser.parse_args(arguments)
    os.nice(NICENESS)
    folder: Path = chosen.folder
    folder.mkdir(parents=True, exist_ok=True)
    asyncio.run(_fill(folder, chosen.influxdb, time.time()))


async def _fill(folder: Path, influxdb: str, now: float) -> None:
    unfinished = folder / "unfinished.sqlite"
    for part in _months(folder, now):
        with Ledger(unfinished) as ledger:
            for name, table in TABLE_FILES.items():
                read = read_table(part / name, TABLES[table], {}, ZoneInfo(ZONE))
                import_table(ledger, part / name, TABLES[table], read, part / "rejected")
        async with PortfolioStores(
            load_settings(influxdb_url=influxdb, influxdb_api="v1", influxdb_database="fleet")
        ) as stores:
            for path in sorted(part.glob("telemetry-*.parquet")):
                await stores.write(TelemetryFile(path, {}, None, None).batches())
        shutil.copy(part / CONTRACTS, folder / CONTRACTS)
    # Only now is there something to publish.
    unfinished.rename(folder / BOOKS)


def _months(folder: Path, now: float) -> Iterator[Path]:
    """The files of last month and of this one, without what is yet to come."""
    first = datetime.fromtimestamp(now, ZoneInfo(ZONE)).replace(day=1)
    for begin in (first - timedelta(days=1), first):
        part = folder / f"{begin:%Y-%m}"
        write_month(part, begin.year, begin.month, ZONE, SEED)
        for name in TABLE_FILES:
            _cut(part / name, now)
        for path in part.glob("telemetry-*.parquet"):
            _cut_readings(path, now)
        yield part


def _cut(path: Path, now: float) -> None:
    moment = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    with path.open(newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file)
        headings = list(rows.fieldnames or ())
        kept = [row for row in rows if all(row.get(name, "") < moment for name in _BEGINS)]
    for row in kept:
        row.update({name: "" for name in _ENDS if row.get(name, "") > moment})
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, headings)
        writer.writeheader()
        writer.writerows(kept)


def _cut_readings(path: Path, now: float) -> None:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    limit = pa.scalar(int(now * 1000), pa.timestamp("ms", "UTC"))
    pq.write_table(table.filter(pc.less(table["time"], limit)), path, compression="zstd")


if __name__ == "__main__":
    main()
