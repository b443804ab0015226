"""A portfolio of many plants: import of telemetry, publication, and sums over it.

``python -m tests.bench.portfolio --sites 50 --months 1`` starts an InfluxDB 1.x of its own, clones
the simulated plants and prints times, processor time and the most memory of this process.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import csv
import io
import resource
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from exporter.config.settings import load_settings
from exporter.history.influxql import InfluxQL
from exporter.portfolio.contracts_file import load_contracts
from exporter.portfolio.ledger import Ledger
from exporter.portfolio.ledger_import import import_table, read_table
from exporter.portfolio.ledger_tables import TABLES
from exporter.portfolio.publication import Publisher
from exporter.portfolio.stored_figures import read_kpis
from exporter.portfolio.stores import PortfolioStores
from exporter.portfolio.telemetry_import import TelemetryFile
from simulator.cli import main as simulate
from tests.serve.api.influx import influx

LONDON = ZoneInfo("Europe/London")
OF_SITES = {
    "dispatch.csv": "dispatch",
    "events.csv": "events",
    "settlement-SF.csv": "settlement",
    "budget.csv": "budget",
}


@contextlib.contextmanager
def measured(what: str) -> Iterator[None]:
    """Print how long something took, and the most memory so far."""
    wall, used = time.monotonic(), time.process_time()
    yield
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{what}: {time.monotonic() - wall:.1f} s, {time.process_time() - used:.1f} s CPU, "
        f"at most {most:.0f} MiB so far",
        flush=True,
    )


def cloned(folder: Path, sites: int) -> dict[str, str]:
    """Clones of the three plants: their ids and the plant of each."""
    document = yaml.safe_load((folder / "contracts.yaml").read_text("utf-8"))
    plants = document["sites"]
    names = {f"plant-{n:03}": plants[n % len(plants)]["id"] for n in range(sites)}
    by_id = {plant["id"]: plant for plant in plants}
    document["sites"] = [by_id[plant] | {"id": name} for name, plant in names.items()]
    (folder / "contracts.yaml").write_text(yaml.safe_dump(document), "utf-8")
    for file in OF_SITES:
        with (folder / file).open(newline="", encoding="utf-8") as source:
            head, *rows = list(csv.reader(source))
        out = io.StringIO()
        writer = csv.writer(out)
        writer.writerow(head)
        for name, plant in names.items():
            writer.writerows([name, *row[1:]] for row in rows if row[0] == plant)
        (folder / file).write_text(out.getvalue(), "utf-8")
    return names


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sites", type=int, default=50)
    parser.add_argument("--months", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as made, influx(Path(made)) as server:
        settings = load_settings(influxdb_url=server.url, influxdb_api="v1")
        for number in range(given.months):
            name = f"2025-{number + 1:02}"
            folder = Path(made) / name
            simulate(["portfolio", "--output", str(folder), "--month", name])
            names = cloned(folder, given.sites)
            asyncio.run(one_month(folder, Path(made) / "books", names, settings, server.url))


async def one_month(
    folder: Path, books: Path, names: dict[str, str], settings: object, url: str
) -> None:
    """Import and publish a month."""
    terms = load_contracts(folder / "contracts.yaml")
    with measured(f"{folder.name} ledger"), Ledger(books) as ledger:
        for file, table in (OF_SITES | {"prices.csv": "prices"}).items():
            read = read_table(folder / file, TABLES[table], {}, LONDON)
            import_table(ledger, folder / file, TABLES[table], read, None)
    async with PortfolioStores(settings) as stores:  # type: ignore[arg-type]
        readings = 0
        with measured(f"{folder.name} telemetry"):
            for name, plant in names.items():
                rows = pq.read_table(folder / f"telemetry-{plant}.parquet")
                at = rows.schema.get_field_index("site")
                rows = rows.set_column(at, "site", pa.array([name] * rows.num_rows))
                path = folder / "one.parquet"
                pq.write_table(rows, path)
                file = TelemetryFile(path, {}, None, None)
                await stores.write(file.batches())
                readings += file.read.rows
        print(f"{readings:,} readings")
        with Ledger(books, read_only=True) as ledger:
            publisher = Publisher(ledger, terms, stores.of)
            begin = float(ledger.latest(TABLES["prices"], 0.0, 7e9)[0]["start"])
            end = float(ledger.latest(TABLES["prices"], 0.0, 7e9)[-1]["start"])
            for what in ("publish", "publish again"):
                with measured(f"{folder.name} {what}"):
                    found = await publisher.publish(terms.sites, max(begin, end - 86_400), end, 2e9)
                print(f"{found.total.written:,} rows written, {found.total.same:,} the same")
    stored = InfluxQL(url, "fleet", {})
    with measured(f"{folder.name} KPIs of all"):
        await read_kpis(stored, begin, end + 1800)
    await stored.close()


if __name__ == "__main__":
    main()
