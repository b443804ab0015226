"""The analysis as a process of its own: a job on standard input, a line of JSON for each site.

It holds the interpreter for seconds and a site's history in memory, so it runs neither in the poll
loop nor in a thread of the same process.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import sys
import time
from datetime import date
from pathlib import Path

import orjson

from exporter.history.cells.analysis import analyse_site
from exporter.history.cells.pack_cache import tidy
from exporter.history.influxql import InfluxQL
from exporter.model.cell_findings import SiteCells, as_dict

NICENESS = 10
# A database that did not answer is left alone for so long, so that sites of others need not wait.
RETRY_SECONDS = 300.0


class Database:
    """One database, and whether it answered of late."""

    def __init__(self, stored: InfluxQL) -> None:
        self.stored = stored
        self._fault = ""
        self._not_before = -math.inf

    async def analyse(self, site: str, commissioned: date | None, folder: Path | None) -> SiteCells:
        """As :func:`exporter.history.cells.analysis.analyse_site`, up to now."""
        now = time.time()
        if time.monotonic() < self._not_before:
            return SiteCells(site, now, fault=self._fault)
        found = await analyse_site(self.stored, site, now, commissioned, folder)
        # Faults of the connection begin with an address.
        if found.fault is not None and found.fault.startswith("http"):
            self._fault, self._not_before = found.fault, time.monotonic() + RETRY_SECONDS
        return found


async def main() -> None:
    """Work through the job: ``databases``, ``sites`` and ``spread_seconds``.

    Each database has ``url``, ``database`` and ``headers``; ``sites`` gives the number of its
    database for each id. It may have ``folder``, where the past of sites is kept, and
    ``commissioned``, a day for each site of which it is known. One site at a time, spread evenly;
    the last line says for how many seconds it was at work.
    """
    job = json.loads(sys.stdin.read())
    databases = [Database(InfluxQL(**given)) for given in job["databases"]]
    sites, commissioned = job["sites"], job.get("commissioned", {})
    folder = Path(job["folder"]) if job.get("folder") else None
    if folder is not None:
        tidy(folder)
    begun, busy = time.monotonic(), 0.0
    try:
        for number, (site, place) in enumerate(sites.items()):
            due = begun + job["spread_seconds"] * number / len(sites)
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            before = time.monotonic()
            day = date.fromisoformat(commissioned[site]) if site in commissioned else None
            cells = await databases[place].analyse(site, day, folder)
            busy += time.monotonic() - before
            _write_line(as_dict(cells))
        _write_line({"busy_seconds": busy})
    finally:
        for database in databases:
            await database.stored.close()


def _write_line(found: dict[str, object]) -> None:
    sys.stdout.write(orjson.dumps(found).decode() + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    os.nice(NICENESS)
    asyncio.run(main())
