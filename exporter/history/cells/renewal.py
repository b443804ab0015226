"""Analyses cells at the start and then hourly, in a process of its own.

The first round goes through at once, since nothing is known before it; those that follow spread the
sites over the time. Where the work would fill more than half of an hour, a round takes longer.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from pathlib import Path

from exporter.history.influxql import InfluxQL
from exporter.model.cell_findings import SiteCells, from_json
from exporter.model.workers import Program, ProgramError
from exporter.store.connection import Connection

log = logging.getLogger(__name__)

KEEP_SECONDS = 2 * 86_400
EVERY_SECONDS = 3600.0
MOST_BUSY = 0.5
"""Largest share of the time that the analysis may work."""
SPREAD = 0.9
_LAST = b'{"busy_seconds"'


class CellWatch:
    """The latest analysis of each site.

    Parameters
    ----------
    stored : InfluxQL
    wall_clock : callable
        Unix seconds.
    folder : Path, optional
        Where the past of sites is kept between rounds, so that only what is new is read.
    publish : callable, optional
        Takes the analysis of a site as soon as it is done.
    """

    def __init__(
        self,
        stored: InfluxQL,
        wall_clock: Callable[[], float],
        folder: Path | None = None,
        publish: Callable[[SiteCells], None] | None = None,
    ) -> None:
        self._stored = stored
        self._wall_clock = wall_clock
        self._folder = folder
        self._publish = publish
        self._found: dict[str, SiteCells] = {}
        self._program = Program("exporter.history.cells")
        self._stopping = asyncio.Event()
        self.every_seconds = EVERY_SECONDS

    def latest(self, sites: Iterable[str]) -> Mapping[str, SiteCells]:
        """The latest analysis of these sites, unless it is two days old."""
        oldest = self._wall_clock() - KEEP_SECONDS
        return {
            site: found
            for site in sites
            if (found := self._found.get(site)) is not None and found.time >= oldest
        }

    async def run(self, sites: Callable[[], Mapping[str, date | None]]) -> None:
        """Analyse the current sites again and again, until :meth:`stop`.

        Parameters
        ----------
        sites : callable
            Gives the ids of the sites, each with the day on which it was commissioned.
        """
        spread = 0.0
        while not self._stopping.is_set():
            begun = time.monotonic()
            busy = await self.renew(sites(), spread)
            if busy is not None:
                self.adapt(busy)
            spread = SPREAD * self.every_seconds
            rest = max(0.0, begun + self.every_seconds - time.monotonic())
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), rest)

    def adapt(self, busy: float) -> None:
        """Adapt the length of rounds to the work: an hour, or longer where it needs more."""
        before, self.every_seconds = self.every_seconds, max(EVERY_SECONDS, busy / MOST_BUSY)
        if abs(self.every_seconds - before) > 0.1 * before:
            log.warning(
                "the analysis of cells takes %.0f s for all sites; from now on it is done every "
                "%.0f minutes",
                busy,
                self.every_seconds / 60,
            )

    async def renew(self, sites: Mapping[str, date | None], spread_seconds: float) -> float | None:
        """Analyse all sites one after the other; publish each when it is done.

        A site whose history cannot be read keeps its previous analysis.

        Returns
        -------
        float or None
            Seconds at work; None where the round was cut short.
        """
        if self._stopping.is_set():
            return None
        connections: list[Connection] = []
        database_of: dict[str, int] = {}
        for site in sites:
            connection = self._stored.connection_of(site)
            if connection is None:
                continue
            if connection not in connections:
                connections.append(connection)
            database_of[site] = connections.index(connection)
        job = {
            "databases": [
                {"url": c.url, "database": c.database, "headers": dict(c.headers)}
                for c in connections
            ],
            "sites": database_of,
            "commissioned": {site: str(day) for site, day in sites.items() if day is not None},
            "folder": str(self._folder) if self._folder else None,
            "spread_seconds": spread_seconds,
        }
        busy = None
        try:
            async with contextlib.aclosing(self._program.lines(json.dumps(job).encode())) as lines:
                async for line in lines:
                    if line.startswith(_LAST):
                        busy = float(json.loads(line)["busy_seconds"])
                    else:
                        self._take(from_json(line))
        except ProgramError as error:
            if not self._stopping.is_set():
                log.error("cell analysis failed (%s); trying again later", error)
        except (OSError, ValueError):
            log.exception("cell analysis was cut short; trying again later")
        return busy

    def _take(self, found: SiteCells) -> None:
        if found.fault is None or found.site not in self._found:
            self._found[found.site] = found
            if self._publish is not None:
                self._publish(found)
        if found.fault is not None and found.fault.startswith("http"):
            log.warning("cells of %s were not analysed: %s", found.site, found.fault)

    async def stop(self) -> None:
        """End the running analysis."""
        self._stopping.set()
        self._program.kill()
