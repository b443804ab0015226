"""Judges PV of sites each hour: weeks once a day to learn, yesterday and today every time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from exporter.config.fleet import Site
from exporter.energy.market_prices import Prices, read_prices
from exporter.energy.pv_days import (
    LEARNED_DAYS,
    PvKnowledge,
    SlotPrices,
    day_lines,
    days_of,
    learn_pv,
    slot_lines,
)
from exporter.energy.pv_expected import can_expect
from exporter.energy.pv_past import read_pv
from exporter.energy.stored_pv import read_pv_days
from exporter.energy.tariff_file import TariffFile, zone_of_site
from exporter.history.influxql import InfluxQL
from exporter.store.connection import Connection
from scoring.forecast import SLOT_SECONDS

DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class PvTask:
    """A site to judge: its battery that counts, the place of its weather, and tariffs."""

    site: Site
    device: str | None
    place: str | None
    tariffs: TariffFile | None


@dataclass(slots=True)
class PvJob:
    """What is kept between hours.

    Attributes
    ----------
    known : dict of site id to (Site, local midnight, PvKnowledge)
    """

    known: dict[str, tuple[Site, float, PvKnowledge]] = field(default_factory=dict)

    async def judge(
        self,
        connection: Connection,
        weathers: Connection,
        tasks: Sequence[PvTask],
        now: float,
    ) -> tuple[list[str], list[str]]:
        """Judge some sites up to the last full hour; returns lines of days and of quarter hours.

        A day that is stored stays as it is once the next one has ended.

        Raises
        ------
        exporter.history.influxql.NoAnswerError
        """
        stored = InfluxQL(connection.url, connection.database, dict(connection.headers))
        other = InfluxQL(weathers.url, weathers.database, dict(weathers.headers))
        days: list[str] = []
        slots: list[str] = []
        try:
            for task in tasks:
                if can_expect(task.site):
                    of_site = await self._judge(stored, other, task, now // 3600 * 3600)
                    days += of_site[0]
                    slots += of_site[1]
        finally:
            await stored.close()
            await other.close()
        return days, slots

    async def _judge(
        self, stored: InfluxQL, weathers: InfluxQL, task: PvTask, end: float
    ) -> tuple[list[str], list[str]]:
        site = task.site
        today = midnight(site, end, 0)
        yesterday = midnight(site, end, 1)
        kept = self.known.get(site.id)
        fresh = kept is not None and kept[0] == site and kept[1] == today
        begin = yesterday if fresh else midnight(site, end, LEARNED_DAYS)
        first, last = int(begin // SLOT_SECONDS), int(end // SLOT_SECONDS)
        prices = await _prices(weathers, task.tariffs, begin, end)
        limit = kept[2].limit_w if fresh and kept is not None else float("nan")
        past = await read_pv(stored, weathers, site, task.device, task.place, first, last, limit)
        of_slot = SlotPrices.of(past, task.tariffs, prices)
        if fresh and kept is not None:
            found = days_of(past, kept[2], of_slot)
        else:
            knowledge, found = learn_pv(past, of_slot)
            self.known[site.id] = site, today, knowledge
            already = await read_pv_days(stored, [site.id], begin, yesterday)
            # Weather that came late takes the place of a clear sky.
            seen = {(day["time"], bool(day["by_weather"])) for day in already.days}
            found = [
                day
                for day in found
                if day.start >= yesterday
                or not {(day.start, True), (day.start, day.by_weather)} & seen
            ]
        lines = [
            line
            for day in found
            if day.measured_kwh or day.expected_kwh or day.unobserved_kwh
            for line in day_lines(site.id, day, of_slot.currency)
        ]
        return lines, slot_lines(past, yesterday)


def midnight(site: Site, time: float, days_before: int) -> float:
    """When a local day begins, on a quarter hour."""
    zone = zone_of_site(site)
    local = datetime.fromtimestamp(time - 1, UTC).astimezone(zone)
    day = local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    return (day - timedelta(days=days_before)).timestamp()


async def _prices(
    stored: InfluxQL, tariffs: TariffFile | None, start: float, end: float
) -> dict[str, Prices]:
    if tariffs is None or not tariffs.series:
        return {}
    return await read_prices(stored, tariffs.series, start, end)
