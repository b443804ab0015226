"""Renews what is said of cells: on start and then hourly, in a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import sys
from collections.abc import Callable, Iterable, Mapping

from exporter.cells.model import SiteCells, from_json
from exporter.influxql import InfluxQL

log = logging.getLogger(__name__)

KEEP_SECONDS = 2 * 86_400
_LONGEST_LINE = 64 * 1024 * 1024


class CellWatch:
    """The latest analysis of each site.

    Parameters
    ----------
    stored : InfluxQL
    wall_clock : callable
        Unix seconds.
    """

    def __init__(self, stored: InfluxQL, wall_clock: Callable[[], float]) -> None:
        self._stored = stored
        self._wall_clock = wall_clock
        self._found: dict[str, SiteCells] = {}
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = False

    def latest(self, sites: Iterable[str]) -> Mapping[str, SiteCells]:
        """What was said last of these sites, unless it is two days old."""
        oldest = self._wall_clock() - KEEP_SECONDS
        return {
            site: found
            for site in sites
            if (found := self._found.get(site)) is not None and found.time >= oldest
        }

    async def renew(self, sites: list[str]) -> None:
        """Analyse all sites, one after the other; each is known as soon as it is done.

        A site whose history cannot be read keeps what was said before.
        """
        if self._process is not None or self._stopping:
            return  # The round before is still at work.
        job = {
            "url": self._stored.url,
            "database": self._stored.database,
            "headers": self._stored.headers,
            "sites": sites,
            "until": self._wall_clock(),
        }
        self._process = process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "exporter.cells"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=_LONGEST_LINE,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            # On its standard input, since others can read arguments and environment.
            process.stdin.write(json.dumps(job).encode())
            process.stdin.close()
            async for line in process.stdout:
                self._take(from_json(line))
            code = await process.wait()
            if code and not self._stopping:
                log.error("the analysis of cells ended with %d; it is tried again in an hour", code)
        except (OSError, ValueError):
            log.exception("the analysis of cells was cut short; it is tried again in an hour")
        finally:
            self._process = None
            if process.returncode is None:
                process.kill()
                await process.wait()

    def _take(self, found: SiteCells) -> None:
        if found.fault is None or found.site not in self._found:
            self._found[found.site] = found
        if found.fault is not None and found.fault.startswith("http"):
            log.warning("cells of %s were not analysed: %s", found.site, found.fault)

    async def stop(self) -> None:
        """End what is under way."""
        self._stopping = True
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
