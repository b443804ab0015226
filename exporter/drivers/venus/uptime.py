"""How long a site's controller has been running, and its clock, as the bridge on it says."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Protocol

from exporter.drivers.clock_notice import clock_notices
from exporter.drivers.venus.scrape import Scrape
from exporter.drivers.venus.values import number
from exporter.model.snapshot import Outcome, ScrapeError

EVERY_SECONDS = 300.0
PATIENCE_SECONDS = 2.0


class DatedBridge(Protocol):
    """A bridge whose replies say what its clock shows."""

    async def get_json(
        self,
        path: str,
        params: dict[str, str],
        *,
        patience_seconds: float | None = None,
        on_date: Callable[[float], None] | None = None,
    ) -> Any:
        """See :class:`exporter.drivers.transport.http.site_client.SiteHttp`."""


class Uptime:
    """Asks for the time since the start every five minutes, and counts on from there.

    The bridge starts with the controller, and answers this without asking D-Bus.

    Parameters
    ----------
    bridge : DatedBridge
    wall_clock, monotonic : callables
        Unix seconds, and seconds that never jump.
    """

    def __init__(
        self,
        bridge: DatedBridge,
        wall_clock: Callable[[], float],
        monotonic: Callable[[], float],
    ) -> None:
        self._bridge = bridge
        self._wall_clock = wall_clock
        self._monotonic = monotonic
        self._ahead_seconds = math.nan
        self._due: float | None = None
        self._started = math.nan

    async def read(self, scrape: Scrape) -> None:
        """Record it, where it is known; asks where it is time, with a request that is left over."""
        now = self._monotonic()
        if self._due is None:
            # The first scrapes have devices to find.
            self._due = now + EVERY_SECONDS
        if now >= self._due and scrape.requests_left and not scrape.problems:
            scrape.requests_left -= 1
            self._due = now + EVERY_SECONDS
            await self._ask(scrape)
        if not math.isnan(self._started):
            hours = (self._monotonic() - self._started) / 3600.0
            scrape.readings.put("uptime_h", round(hours, 1))
        scrape.notices += clock_notices(self._ahead_seconds)

    async def _ask(self, scrape: Scrape) -> None:
        """A bridge that does not say is asked again after the same time."""
        try:
            found = await self._bridge.get_json(
                "/health", {}, patience_seconds=PATIENCE_SECONDS, on_date=self._hear_clock
            )
        except ScrapeError as error:
            self._started = self._ahead_seconds = math.nan
            if error.outcome is Outcome.TIMEOUT:
                # What is stuck keeps the bridge's one thread: another request would wait behind it.
                scrape.requests_left = 0
            return
        seconds = number(found.get("uptime_seconds")) if isinstance(found, dict) else math.nan
        self._started = self._monotonic() - seconds

    def _hear_clock(self, seconds: float) -> None:
        self._ahead_seconds = seconds - self._wall_clock()
