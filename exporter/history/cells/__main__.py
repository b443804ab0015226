"""The analysis as a process of its own: a job on standard input, a line of JSON for each site.

It holds the interpreter for seconds and a site's history in memory, so it runs neither in the poll
loop nor in a thread of the same process.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from datetime import date
from pathlib import Path

import orjson

from exporter.history.cells.analysis import analyse_site
from exporter.history.cells.pack_cache import tidy
from exporter.history.influxql import InfluxQL
from exporter.model.cell_findings import as_dict

NICENESS = 10


async def main() -> None:
    """Work through the job: ``url``, ``database``, ``headers``, ``sites`` and ``spread_seconds``.

    It may have ``folder``, where the past of sites is kept, and ``commissioned``, a day for each
    site of which it is known. One site at a time, spread evenly; the last line says for how many
    seconds it was at work.
    """
    job = json.loads(sys.stdin.read())
    stored = InfluxQL(job["url"], job["database"], job["headers"])
    sites, commissioned = job["sites"], job.get("commissioned", {})
    folder = Path(job["folder"]) if job.get("folder") else None
    if folder is not None:
        tidy(folder)
    begun, busy = time.monotonic(), 0.0
    try:
        for number, site in enumerate(sites):
            due = begun + job["spread_seconds"] * number / len(sites)
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            before = time.monotonic()
            day = date.fromisoformat(commissioned[site]) if site in commissioned else None
            cells = await analyse_site(stored, site, time.time(), day, folder)
            busy += time.monotonic() - before
            _write_line(as_dict(cells))
        _write_line({"busy_seconds": busy})
    finally:
        await stored.close()


def _write_line(found: dict[str, object]) -> None:
    sys.stdout.write(orjson.dumps(found).decode() + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    os.nice(NICENESS)
    asyncio.run(main())
