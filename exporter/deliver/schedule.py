"""Deliveries: the report on its schedule, and tickets."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.cron import CronTrigger

from exporter.assess.assessment import FleetAssessment
from exporter.assess.costs import PriceList, load_prices
from exporter.collect.timers import Timers
from exporter.config.settings import Settings
from exporter.config.side_file import SideFileError, load
from exporter.deliver.report.report_file import ReportPlan
from exporter.deliver.tickets.ticket_file import TicketPlan
from exporter.deliver.tickets.updater import TicketUpdater
from exporter.energy.tariff_file import TariffFile, load_tariffs
from exporter.history.influxql import InfluxQL

log = logging.getLogger(__name__)

TICKET_SECONDS = 10.0
# A report is late by that much at most after the wall clock, which it goes by, stepped.
CLOCK_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class SideFiles:
    """What the files beside the fleet file say; None where a setting names none."""

    prices: PriceList | None = None
    report: ReportPlan | None = None
    tickets: TicketPlan | None = None
    tariffs: TariffFile | None = None


def load_side_files(settings: Settings) -> SideFiles:
    """The files that the settings name, as they are now.

    Raises
    ------
    SystemExit
        Where one cannot be used.
    """
    if settings.report is not None and settings.influxdb_url is None:
        raise SystemExit("fleetscope: FLEETSCOPE_REPORT needs FLEETSCOPE_INFLUXDB_URL")
    try:
        return SideFiles(
            prices=load_prices(settings.prices) if settings.prices else None,
            report=load(settings.report, ReportPlan) if settings.report else None,
            tickets=load(settings.tickets, TicketPlan) if settings.tickets else None,
            tariffs=load_tariffs(settings.tariffs) if settings.tariffs else None,
        )
    except SideFileError as error:
        raise SystemExit(f"fleetscope: {error}") from error


async def send_report(
    assessment: FleetAssessment,
    stored: InfluxQL,
    plan: ReportPlan,
    prices: PriceList | None,
    tariffs: TariffFile | None = None,
) -> list[str]:
    """Make the report that ends now, and send it everywhere; returns what failed, in words."""
    from exporter.deliver.report.delivery import deliver
    from exporter.deliver.report.gather import gather

    start = assessment.time - plan.days * 86400
    return await deliver(await gather(assessment, stored, start, prices, tariffs), plan)


class Deliveries:
    """Does what the side files say, at its time.

    Parameters
    ----------
    files : SideFiles
    latest : callable
        The latest Assessment.
    report : callable
        Makes and sends the report; returns what failed, in words.

    Raises
    ------
    SystemExit
        Where the folder of the tickets cannot be used.
    """

    def __init__(
        self,
        files: SideFiles,
        latest: Callable[[], FleetAssessment],
        report: Callable[[], Awaitable[list[str]]],
    ) -> None:
        self._plan = files.report
        self._latest = latest
        self._send_report = report
        self._updater: TicketUpdater | None = None
        try:
            if files.tickets is not None:
                self._updater = TicketUpdater(files.tickets)
        except SideFileError as error:
            raise SystemExit(f"fleetscope: {error}") from error
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
        if self._updater is not None:
            self._timers.every(TICKET_SECONDS, self._tickets, "tickets")
        self._scheduler.add_job(self._timers.run, id="timers", misfire_grace_time=None)
        self._scheduler.start()
        if (job := self._scheduler.get_job("report")) is not None:
            log.info("the next report is made %s", job.next_run_time.isoformat())

    async def stop(self) -> None:
        """End; a ticket that is under way is finished."""
        await self._timers.stop(finish=True)
        self._scheduler.shutdown(wait=False)
        if self._updater is not None:
            await self._updater.close()

    async def _tickets(self) -> None:
        assert self._updater is not None  # scheduled only with a plan for tickets
        try:
            await self._updater.turn(self._latest())
        except Exception as error:
            log.error("tickets: %s: %s", type(error).__name__, error)

    async def _report(self) -> None:
        try:
            failed = await self._send_report()
        except Exception as error:
            log.error("no report: %s: %s", type(error).__name__, error)
        else:
            for words in failed:
                log.error("report given up: %s", words)
