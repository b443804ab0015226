"""What the service does beside polling and answering: the report on its schedule, tickets."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.cron import CronTrigger

from exporter.assess.assessment import FleetAssessment
from exporter.assess.costs import PriceList, load_prices
from exporter.collect.timers import Timers
from exporter.config.settings import Settings
from exporter.config.side_file import SideFileError, load
from exporter.deliver.report.report_file import ReportPlan
from exporter.deliver.tickets.ticket_file import TicketPlan
from exporter.deliver.tickets.updater import TicketDesk
from exporter.history.influxql import InfluxQL

log = logging.getLogger(__name__)

TICKET_SECONDS = 10.0
# A report is late by that much at most after the wall clock, which it goes by, stepped.
CLOCK_SECONDS = 10.0


class Duties:
    """Reads the side files once, at the start, and does what they say.

    Raises
    ------
    SystemExit
        Where a file that is named cannot be used.
    """

    def __init__(
        self, settings: Settings, latest: Callable[[], FleetAssessment], stored: InfluxQL | None
    ) -> None:
        self._latest = latest
        self._stored = stored
        self.prices: PriceList | None = None
        self._plan: ReportPlan | None = None
        self._desk: TicketDesk | None = None
        try:
            if settings.prices is not None:
                self.prices = load_prices(settings.prices)
            if settings.report is not None:
                self._plan = load(settings.report, ReportPlan)
            if settings.tickets is not None:
                self._desk = TicketDesk(load(settings.tickets, TicketPlan))
        except SideFileError as error:
            raise SystemExit(f"fleetscope: {error}") from error
        if self._plan is not None and stored is None:
            raise SystemExit("fleetscope: FLEETSCOPE_REPORT needs FLEETSCOPE_INFLUXDB_URL")
        self._turning = asyncio.Lock()
        self._scheduler = AsyncIOScheduler(
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": 3600}
        )
        self._timers = Timers(time.monotonic)

    def start(self) -> None:
        """Begin; must be called inside the event loop."""
        plan = self._plan
        if plan is not None:
            trigger = CronTrigger.from_crontab(plan.schedule, plan.timezone)
            self._scheduler.add_job(self._report, trigger, id="report")
            # A report that has become due is made now; one that was made is not made again.
            self._timers.every(CLOCK_SECONDS, self._scheduler.wakeup, "wall clock")
        if self._desk is not None:
            self._timers.every(TICKET_SECONDS, self._tickets, "tickets")
        self._scheduler.add_job(self._timers.run, id="timers", misfire_grace_time=None)
        self._scheduler.start()
        if (job := self._scheduler.get_job("report")) is not None:
            log.info("the next report is made %s", job.next_run_time.isoformat())

    async def stop(self) -> None:
        """End; a ticket that is under way is finished."""
        self._timers.clear()
        self._scheduler.shutdown(wait=False)
        if self._desk is not None:
            async with self._turning:
                await self._desk.close()

    async def _tickets(self) -> None:
        assert self._desk is not None  # scheduled only with a desk
        async with self._turning:
            try:
                await self._desk.turn(self._latest())
            except Exception as error:
                log.error("tickets: %s: %s", type(error).__name__, error)

    async def _report(self) -> None:
        from exporter.deliver.report.delivery import deliver
        from exporter.deliver.report.gather import gather

        assert self._plan is not None  # scheduled only with a plan
        assert self._stored is not None  # checked at the start
        assessment = self._latest()
        start = assessment.time - self._plan.days * 86400
        try:
            report = await gather(assessment, self._stored, start, self.prices)
            failed = await deliver(report, self._plan)
        except Exception as error:
            log.error("no report: %s: %s", type(error).__name__, error)
        else:
            for words in failed:
                log.error("report given up: %s", words)
