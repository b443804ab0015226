"""The analysis as a process of its own: a job on standard input, a line of JSON for each site.

It holds the interpreter for seconds, and the memory of a site's history, so it runs neither in the
poll loop nor in a thread beside it.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys

import orjson

from exporter.cells.analysis import analyse_site
from exporter.cells.model import as_dict
from exporter.influxql import InfluxQL

NICENESS = 10


async def main() -> None:
    """Work through the job: ``url``, ``database``, ``headers``, ``sites`` and ``until``."""
    job = json.loads(sys.stdin.read())
    stored = InfluxQL(job["url"], job["database"], job["headers"])
    try:
        for site in job["sites"]:
            cells = await analyse_site(stored, site, job["until"])
            sys.stdout.write(orjson.dumps(as_dict(cells)).decode() + "\n")
            sys.stdout.flush()
    finally:
        await stored.close()


if __name__ == "__main__":
    os.nice(NICENESS)
    asyncio.run(main())
