"""What a fleet of a size needs, computed from measured figures: ``python -m tests.bench.scaling``.

Writes the table of docs/scaling.md. The figures of one site are in :data:`MEASURED`, each with the
command that measures it.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "scaling.md"
BEGIN, END = "<!-- begin: python -m tests.bench.scaling -->\n", "<!-- end -->\n"
SIZES = (10, 100, 1_000, 10_000, 100_000, 1_000_000)
INTERVAL_SECONDS = 10.0


@dataclass(frozen=True)
class Measured:
    """One site with 260 cells, polled every 10 s, on the machine that docs/benchmarks.md names.

    Attributes
    ----------
    cpu_ms : float
        Processor time of a scrape, all processes; ``make bench``.
    fixed_mib, site_kib : float
        Memory of all processes without sites, and of one more site; ``make bench``.
    reply_bytes : float
        The two trees of a scrape with their heads.
    points_per_scrape, cells_per_minute : float
        Lines of ``site``, ``battery``, ``alarm`` and ``health``, and rows of single cells.
    bytes_per_scrape, bytes_per_cell : float
        What they take compressed, on the way to InfluxDB and in the queue.
    series : float
        Samples of ``/metrics`` of one site.
    """

    cpu_ms: float
    fixed_mib: float
    site_kib: float
    reply_bytes: float
    points_per_scrape: float
    cells_per_minute: float
    bytes_per_scrape: float
    bytes_per_cell: float
    series: float


MEASURED = Measured(
    cpu_ms=1.4,
    fixed_mib=150.0,
    site_kib=97.0,
    reply_bytes=21_300.0,
    points_per_scrape=12.0,
    cells_per_minute=260.0,
    bytes_per_scrape=105.0,
    bytes_per_cell=9.2,
    series=27.0,
)
# Of a core: the rest is for restarts, outages that are caught up, and busy neighbours.
FILL = 0.6


@dataclass(frozen=True)
class Need:
    """What a fleet of so many sites needs."""

    sites: int
    shards: int
    cores: float
    memory_mib: float
    network_mbit: float
    points: float
    store_mbit: float
    queue_hour_gib: float
    series: float


def need(sites: int, one: Measured = MEASURED) -> Need:
    """Compute the need of a fleet."""
    scrapes = sites / INTERVAL_SECONDS
    cores = scrapes * one.cpu_ms / 1000
    shards = max(1, math.ceil(cores / FILL))
    cell_rows = sites * one.cells_per_minute / 60
    stored = scrapes * one.bytes_per_scrape + cell_rows * one.bytes_per_cell
    return Need(
        sites=sites,
        shards=shards,
        cores=cores,
        memory_mib=shards * one.fixed_mib + sites * one.site_kib / 1024,
        network_mbit=scrapes * one.reply_bytes * 8 / 1e6,
        points=scrapes * one.points_per_scrape + cell_rows,
        store_mbit=stored * 8 / 1e6,
        queue_hour_gib=stored * 3600 / 2**30,
        series=sites * one.series,
    )


def _rounded(value: float) -> str:
    """A figure with two digits that count."""
    digits = max(0, 1 - math.floor(math.log10(value)))
    return f"{round(value, 1 - math.floor(math.log10(value))):,.{digits}f}"


def table() -> str:
    """The table of the page."""
    heads = (
        *("sites", "shards", "cores", "memory", "from sites", "points a second"),
        *("to InfluxDB", "an hour in the queue", "series"),
    )
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    for size in SIZES:
        found = need(size)
        cells = (
            *(f"{found.sites:,}", f"{found.shards:,}", _rounded(found.cores)),
            f"{found.memory_mib:,.0f} MiB",
            f"{_rounded(found.network_mbit)} Mbit/s",
            f"{found.points:,.0f}",
            f"{_rounded(found.store_mbit)} Mbit/s",
            f"{_rounded(found.queue_hour_gib)} GiB",
            f"{found.series:,.0f}",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def page(text: str) -> str:
    """The page with the table of today."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


def main() -> None:
    """Write the page; with ``--print`` only show the table."""
    if "--print" in sys.argv:
        print(table())
        return
    PAGE.write_text(page(PAGE.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()
