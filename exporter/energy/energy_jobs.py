"""What the collector does about energy beside polling: prices, weather, and every hour forecasts,
plans and PV against the sun."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Sequence

from exporter.assess.assessment import FleetAssessment
from exporter.config.settings import Settings
from exporter.config.side_file import SideFileError
from exporter.energy.forecasts import KEPT_AT
from exporter.energy.outlook_process import OutlookProcess, SiteNow
from exporter.energy.plan_orders import PlanOrders
from exporter.energy.price_feed import LINES_PER_BATCH, PriceFeed
from exporter.energy.pv_days import KEPT_AT as DAYS_KEPT_AT
from exporter.energy.pv_job import PvTask
from exporter.energy.tariff_file import TariffFile, load_tariffs
from exporter.energy.weather_feed import WeatherFeed
from exporter.energy.weather_file import WeatherFile, load_weather
from exporter.model.workers import BrokenProcessPool
from exporter.store.influx import NoAnswerError
from exporter.store.project_writers import ProjectWriters
from exporter.store.queue import compress
from exporter.store.writer import Writer

log = logging.getLogger(__name__)

TURN_SECONDS = 5.0
FIRST_ROUND_SECONDS = 60.0
"""So long the first plans wait for the charge of every battery."""
HOUR = 3600.0
SITES_AT_ONCE = 10
QUEUE_SHARE = 0.25
"""Forecasts wait while the queue is fuller: unlike readings, they can be made again."""


class EnergyJobs:
    """Keeps prices, forecasts and plans up to date; built by :meth:`of`.

    Parameters
    ----------
    writers : ProjectWriters
    tariffs : TariffFile or None
    weather : WeatherFile or None
    forecasts : bool
        Whether PV and load are forecast.
    latest : callable
        The latest Assessment.
    """

    def __init__(
        self,
        writers: ProjectWriters,
        tariffs: TariffFile | None,
        weather: WeatherFile | None,
        latest: Callable[[], FleetAssessment],
        *,
        forecasts: bool,
    ) -> None:
        self._writers = writers
        self._tariffs = tariffs
        self._weather = weather
        self._forecasts = forecasts
        self._outlook = OutlookProcess() if forecasts or weather else None
        self._latest = latest
        self.orders = PlanOrders(tariffs.planning.mandates if tariffs else (), time.time)
        # Prices and weather belong to no project.
        own = writers.of(None)
        self._feed = (
            PriceFeed(tariffs, own, time.time) if tariffs and tariffs.series and own else None
        )
        self._sky = (
            WeatherFeed(weather, own, lambda: latest().fleet.sites, time.time)
            if weather and own
            else None
        )
        self._forecast_hour = -math.inf
        self._began = time.monotonic()
        self._complained = False

    @classmethod
    def of(
        cls, settings: Settings, writers: ProjectWriters, latest: Callable[[], FleetAssessment]
    ) -> EnergyJobs | None:
        """What the settings ask for; None for nothing.

        Raises
        ------
        SystemExit
            The tariff file or the weather file cannot be used.
        """
        if not writers.by_project:
            return None
        try:
            tariffs = load_tariffs(settings.tariffs) if settings.tariffs else None
            weather = load_weather(settings.weather) if settings.weather else None
        except SideFileError as error:
            raise SystemExit(f"fleetscope: {error}") from error
        if tariffs is None and weather is None and not settings.forecasts:
            return None
        return cls(writers, tariffs, weather, latest, forecasts=settings.forecasts)

    async def turn(self) -> None:
        """Do what is due."""
        fed = [await feed.turn() for feed in (self._feed, self._sky) if feed is not None]
        now = time.time()
        if any(fed) and self._forecast_hour == -math.inf:
            # What was read a moment ago is not stored yet: plans need it, and days are judged once.
            return
        if self._outlook is None or now // HOUR <= self._forecast_hour:
            return
        if self._latest().untried and time.monotonic() < self._began + FIRST_ROUND_SECONDS:
            return
        try:
            await self._renew(self._outlook, now)
        except (NoAnswerError, BrokenProcessPool, MemoryError) as error:
            if not self._complained:
                log.error("forecasts wait: %s", error)
            self._complained = True
        else:
            self._forecast_hour = now // HOUR
            self._complained = False

    async def _renew(self, outlook: OutlookProcess, now: float) -> None:
        """Forecast and plan, each project by what its own database holds."""
        databases = list(self._writers.connections())
        prices = next((c for key, _, c in databases if key is None), databases[0][2])
        for key, writer, connection in databases:
            sites = [s for s in self._sites() if self._writers.key_of(s.site.project) == key]
            parts = [sites[n : n + SITES_AT_ONCE] for n in range(0, len(sites), SITES_AT_ONCE)]
            if self._forecasts:
                for part in parts:
                    await _put(writer, await outlook.forecasts(connection, prices, part, now))
                await _put(writer, await outlook.neighbours(sites))
                if self._tariffs is not None:
                    # A limit of the fleet is kept by all sites together.
                    capped = self._tariffs.planning.fleet_import_kw is not None
                    for part in [sites] if capped else parts:
                        lines, plans = await outlook.plans(prices, part, now, self._tariffs)
                        await _put(writer, lines)
                        for made in plans:
                            await self.orders.take(made)
                    for part in parts:
                        saved = await outlook.savings(connection, prices, part, now, self._tariffs)
                        await _put(writer, saved)
            for part in parts:
                tasks = [self._pv_task(one) for one in part]
                days, slots = await outlook.pv_days(connection, prices, tasks, now)
                await _put(writer, days, DAYS_KEPT_AT)
                await _put(writer, slots)

    async def watch_plans(self) -> None:
        """Suspend plans that must not go on, and store where all of them stand; while a renewal,
        which may take minutes, is under way too."""
        if not self.orders.standings:
            return
        sites = self._sites()
        await self.orders.watch({one.site.id: one.soc_percent for one in sites})
        projects = {one.site.id: one.site.project for one in sites}
        for site, line in self.orders.lines():
            if (writer := self._writers.of(projects.get(site))) is not None:
                await _put(writer, [line])

    def _pv_task(self, one: SiteNow) -> PvTask:
        return PvTask(one.site, one.device, one.place, self._tariffs)

    def _sites(self) -> list[SiteNow]:
        latest = self._latest()
        charge = latest.readings.get("soc_percent")
        return [
            SiteNow(
                site,
                view.active_battery,
                math.nan if charge is None else float(charge[row]),
                self._weather.place_of(site) if self._weather is not None else None,
            )
            for row, (site, view) in enumerate(zip(latest.fleet.sites, latest.records, strict=True))
        ]

    def close(self) -> None:
        """End the process and close connections; blocks for up to five seconds."""
        if self._feed is not None:
            self._feed.close()
        if self._sky is not None:
            self._sky.close()
        if self._outlook is not None:
            self._outlook.close()


async def _put(writer: Writer, lines: Sequence[str], kept_at: str = KEPT_AT) -> None:
    queue = writer.queue
    for start in range(0, len(lines), LINES_PER_BATCH):
        while queue.bytes > QUEUE_SHARE * queue.limit:  # noqa: ASYNC110 - as roll-ups wait
            await asyncio.sleep(1.0)
        part = lines[start : start + LINES_PER_BATCH]
        writer.put(compress(part, time.time(), kept_at))
