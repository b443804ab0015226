"""What a fleet of a size needs, computed from measured figures: ``python -m tests.bench.scaling``.

Writes the table of docs/scaling.md from runs of ``make bench`` at two sizes (:data:`SMALL` and
:data:`LARGE`): their difference is what a site costs, the rest what an exporter costs.
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
class Run:
    """What one exporter used with a fleet of 260 cells a site, every 10 s; ``make bench``.

    Attributes
    ----------
    sites : int
    scrapes : float
        A second, as they were made: a full core makes fewer than are due.
    cpu_ms : float
        Processor time of a scrape, all processes.
    memory_mib : float
    """

    sites: int
    scrapes: float
    cpu_ms: float
    memory_mib: float


# docs/benchmarks.md, "From 100 to 10,000 sites": memory of the last run; processor time of the last
# pair of runs of which both had a core of their own.
SMALL = Run(1_000, 100.0, 2.15, 229.0)
LARGE = Run(10_000, 610.0, 1.40, 664.0)


@dataclass(frozen=True)
class Measured:
    """One exporter and one site, on the machine that docs/benchmarks.md names.

    Attributes
    ----------
    fixed_cores, scrape_ms : float
        What an exporter takes whatever it polls, and a scrape on top of that.
    fixed_mib, site_kib : float
        Memory of all processes without sites, and of one more site.
    reply_bytes : float
        The two trees of a scrape with their heads.
    points_per_scrape, cells_per_minute : float
        Lines of ``site``, ``battery``, ``alarm`` and ``health``, and rows of single cells.
    bytes_per_scrape, bytes_per_cell : float
        What they take compressed, on the way to InfluxDB and in the queue.
    stored_bytes_per_cell : float
        What a row of a single cell takes in InfluxDB 1.6 (docs/rollups.md: a year of 260 cells).
    series : float
        Samples of ``/metrics`` of one site.
    part_bytes : float
        What a shard tells the others of one site, single cells included; every 10 s.
    """

    fixed_cores: float
    scrape_ms: float
    fixed_mib: float
    site_kib: float
    reply_bytes: float
    points_per_scrape: float
    cells_per_minute: float
    bytes_per_scrape: float
    bytes_per_cell: float
    stored_bytes_per_cell: float
    series: float
    part_bytes: float


def measured(small: Run = SMALL, large: Run = LARGE) -> Measured:
    """The figures of an exporter and of a site, from two runs of different size."""

    def line(x0: float, y0: float, x1: float, y1: float) -> tuple[float, float]:
        slope = (y1 - y0) / (x1 - x0)
        return y0 - slope * x0, slope

    used = [run.scrapes * run.cpu_ms / 1000 for run in (small, large)]
    fixed_cores, per_scrape = line(small.scrapes, used[0], large.scrapes, used[1])
    fixed_mib, per_site = line(small.sites, small.memory_mib, large.sites, large.memory_mib)
    return Measured(
        fixed_cores=fixed_cores,
        scrape_ms=1000 * per_scrape,
        fixed_mib=fixed_mib,
        site_kib=1024 * per_site,
        reply_bytes=21_300.0,
        points_per_scrape=12.0,
        cells_per_minute=260.0,
        bytes_per_scrape=105.0,
        bytes_per_cell=9.2,
        stored_bytes_per_cell=3.2e9 / (260 * 365 * 1440),
        series=27.0,
        part_bytes=PART_BYTES,
    )


@dataclass(frozen=True)
class Prices:
    """What a month costs where it is rented, in any currency: put your own in here."""

    core: float = 20.0
    memory_gib: float = 3.0
    disk_gib: float = 0.10


# ``python -m tests.bench.shards``: one site with 260 cells.
PART_BYTES = 6_500.0
# Of a core: the rest is for restarts, outages that are caught up, and busy neighbours.
FILL = 0.6
PRICES = Prices()


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
    cells_year_gib: float
    series: float
    parts_mbit: float
    month: float


def need(sites: int, one: Measured | None = None) -> Need:
    """Compute the need of a fleet, of the exporters alone."""
    one = one or measured()
    scrapes = sites / INTERVAL_SECONDS
    busy = scrapes * one.scrape_ms / 1000
    shards = max(1, math.ceil(busy / (FILL - one.fixed_cores)))
    cores = shards * one.fixed_cores + busy
    memory_mib = shards * one.fixed_mib + sites * one.site_kib / 1024
    cell_rows = sites * one.cells_per_minute / 60
    stored = scrapes * one.bytes_per_scrape + cell_rows * one.bytes_per_cell
    queue_hour_gib = stored * 3600 / 2**30
    # A day without InfluxDB must find room.
    disk = 24 * queue_hour_gib * PRICES.disk_gib
    # Each shard rents a whole core, since it fills one at its worst.
    rent = shards * PRICES.core + memory_mib / 1024 * PRICES.memory_gib + disk
    return Need(
        sites=sites,
        shards=shards,
        cores=cores,
        memory_mib=memory_mib,
        network_mbit=scrapes * one.reply_bytes * 8 / 1e6,
        points=scrapes * one.points_per_scrape + cell_rows,
        store_mbit=stored * 8 / 1e6,
        queue_hour_gib=queue_hour_gib,
        cells_year_gib=cell_rows * 86_400 * 365 * one.stored_bytes_per_cell / 2**30,
        series=sites * one.series,
        parts_mbit=scrapes * one.part_bytes * 8 / 1e6 if shards > 1 else 0.0,
        month=rent,
    )


def _rounded(value: float) -> str:
    """A figure with two digits that count."""
    if not value:
        return "0"
    digits = max(0, 1 - math.floor(math.log10(value)))
    return f"{round(value, 1 - math.floor(math.log10(value))):,.{digits}f}"


def table() -> str:
    """The table of the page."""
    heads = (
        *("sites", "shards", "cores", "memory", "from sites", "points a second"),
        *("to InfluxDB", "an hour in the queue", "cells, a year", "series"),
        *("between shards", "a month"),
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
            f"{_rounded(found.cells_year_gib)} GiB",
            f"{found.series:,.0f}",
            f"{_rounded(found.parts_mbit)} Mbit/s" if found.parts_mbit else "–",
            f"{found.month:,.0f}",
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
