"""A portfolio of many plants: import of telemetry, publication, and what panels ask of it.

``python -m tests.bench.portfolio --sites 50 --months 1`` starts an InfluxDB 1.x of its own, clones
the simulated plants and prints times, processor time and the most memory of this process and of
InfluxDB. Then the job of the service looks for months that are out of date, of which there are
none, and every query of the portfolio's dashboards is asked, over the last month and over all.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import csv
import io
import os
import resource
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from exporter.config.settings import Settings, load_settings
from exporter.portfolio.contracts_file import load_contracts
from exporter.portfolio.ledger import Ledger
from exporter.portfolio.ledger_import import import_table, read_table
from exporter.portfolio.ledger_tables import TABLES
from exporter.portfolio.portfolio_job import bring_up_to_date
from exporter.portfolio.publication import Publisher
from exporter.portfolio.stores import PortfolioStores
from exporter.portfolio.telemetry_import import TelemetryFile
from simulator.cli import main as simulate
from tests.grafana.test_portfolio_queries import QUERIES, filled
from tests.serve.api.influx import Influx, influx

LONDON = ZoneInfo("Europe/London")
OF_SITES = {
    "dispatch.csv": "dispatch",
    "events.csv": "events",
    "settlement-SF.csv": "settlement",
    "budget.csv": "budget",
}


@contextlib.contextmanager
def measured(what: str, server: Influx) -> Iterator[None]:
    """Print how long something took, and the most memory so far."""
    wall, used, theirs = time.monotonic(), time.process_time(), cpu_seconds(server.pid)
    yield
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{what}: {time.monotonic() - wall:.1f} s, {time.process_time() - used:.1f} s CPU "
        f"and {cpu_seconds(server.pid) - theirs:.1f} s of InfluxDB, "
        f"at most {most:.0f} MiB and {most_mebibytes(server.pid):.0f} MiB of InfluxDB so far",
        flush=True,
    )


def cpu_seconds(pid: int) -> float:
    """What a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def most_mebibytes(pid: int) -> float:
    """The most memory that a process has had."""
    lines = Path(f"/proc/{pid}/status").read_text("ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


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
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as made, influx(Path(made)) as server:
        settings = load_settings(influxdb_url=server.url, influxdb_api="v1")
        spans = []
        books = Path(made) / "books"
        for number in range(given.months):
            name = f"2025-{number + 1:02}"
            folder = Path(made) / name
            simulate(["portfolio", "--output", str(folder), "--month", name])
            names = cloned(folder, given.sites)
            spans.append(asyncio.run(one_month(folder, books, names, settings, server)))
        kept = settings.model_copy(update={"books": books, "contracts": folder / "contracts.yaml"})
        with measured("a look of the job", server):
            turn = bring_up_to_date(kept, spans[-1][1])
        print(f"{turn.months} months published")
        for begin in sorted({spans[-1][0], spans[0][0]}, reverse=True):
            panels(server, begin, spans[-1][1])
    print(f"{time.monotonic() - began:.0f} s in all")


async def one_month(
    folder: Path, books: Path, names: dict[str, str], settings: Settings, server: Influx
) -> tuple[float, float]:
    """Import and publish a month; its beginning and end."""
    terms = load_contracts(folder / "contracts.yaml")
    with measured(f"{folder.name} ledger", server), Ledger(books) as ledger:
        for file, table in (OF_SITES | {"prices.csv": "prices"}).items():
            read = read_table(folder / file, TABLES[table], {}, LONDON)
            import_table(ledger, folder / file, TABLES[table], read, None)
    month = datetime.fromisoformat(f"{folder.name}-01").replace(tzinfo=LONDON)
    begin = month.timestamp()
    end = (month + timedelta(days=32)).replace(day=1).timestamp()
    async with PortfolioStores(settings) as stores:
        readings = 0
        with measured(f"{folder.name} telemetry", server):
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
            with measured(f"{folder.name} publish", server):
                found = await publisher.publish(terms.sites, begin, end, 2e9)
            print(f"{found.total.written:,} rows written, {found.total.same:,} the same")
    return begin, end


def panels(server: Influx, begin: float, end: float) -> None:
    """Ask every query of the dashboards over a period; print the slowest and the largest."""
    days = round((end - begin) / 86_400)
    found: list[tuple[float, int, str]] = []
    with measured(f"{len(QUERIES)} queries over {days} days", server):
        for param in QUERIES:
            query = filled(str(param.values[1]), begin, end, "1h" if days < 32 else "12h")
            data = urllib.parse.urlencode({"db": "fleet", "q": query, "epoch": "ms"}).encode()
            asked = time.monotonic()
            with urllib.request.urlopen(f"{server.url}/query", data, timeout=600) as reply:
                size = sum(map(len, iter(lambda: reply.read(1 << 20), b"")))
            found.append((time.monotonic() - asked, size, str(param.id)))
    seconds = sorted(one[0] for one in found)
    print(f"median {1000 * seconds[len(seconds) // 2]:.0f} ms")
    for one in {*sorted(found)[-6:], *sorted(found, key=lambda one: one[1])[-4:]}:
        print(f"  {one[0]:.2f} s, {one[1] / 1e6:.1f} MB: {one[2]}")


if __name__ == "__main__":
    main()
