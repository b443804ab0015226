"""Forecasts and plans in a process of their own: training and solving take time and memory that the
poll loop has not."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from exporter.config.fleet import Site
from exporter.energy.forecasts import (
    NEIGHBOURS,
    Forecaster,
    Issued,
    forecast_lines,
    from_neighbours,
)
from exporter.energy.market_prices import Prices, read_prices
from exporter.energy.misses import miss_lines, misses_of_day
from exporter.energy.plans import SitePlan, inputs_of, plan_lines, site_plan
from exporter.energy.pv_expected import can_expect, read_allowed_ahead
from exporter.energy.pv_job import PvJob, PvTask, midnight
from exporter.energy.savings import Saving, measured_saving, saving_line
from exporter.energy.site_past import QUANTITIES, SitePast, read_past
from exporter.energy.tariff_file import TariffFile
from exporter.history.influxql import InfluxQL
from exporter.model.workers import WorkerProcess
from exporter.store.connection import Connection
from scoring.fleet_cap import PlanInputs, below_limit, planned
from scoring.forecast import DAY_SLOTS, HORIZON_SLOTS, SLOT_SECONDS
from scoring.forecast_candidate import TRAINING_DAYS
from scoring.plan import CLOSE_KW

log = logging.getLogger(__name__)

DAY = 86_400.0
WEATHER_DAYS = 45
"""Of forecasts of the weather: a trial of 14 days, and 28 before it."""
AGAIN_SLOTS = 12
"""Of what is known already, the last three hours are read again: they may have been incomplete."""
MOST_KEPT_SITES = 2000
"""Of which the past stays in memory, 140 kB each; that of others is read anew every hour."""
MOST_BYTES = 2 * 1024**3
"""Of the process. A site whose training needs more has no forecast until there is room."""


@dataclass(frozen=True, slots=True)
class SiteNow:
    """A site, its battery that counts, its charge in percent (NaN is unknown), and the place of its
    weather."""

    site: Site
    device: str | None
    soc_percent: float
    place: str | None = None


@dataclass(slots=True)
class _Memory:
    """What the process keeps: pasts, what was learned, the newest forecasts, and of which sites a
    power was ever measured."""

    forecaster: Forecaster = field(default_factory=Forecaster)
    pasts: dict[str, SitePast] = field(default_factory=dict)
    issued: dict[tuple[str, str], Issued] = field(default_factory=dict)
    measured: set[tuple[str, str]] = field(default_factory=set)
    pv: PvJob = field(default_factory=PvJob)
    settled: dict[str, float] = field(default_factory=dict)
    """The local midnight up to which the saving of a site was worked out."""


_memory = _Memory()


class OutlookProcess:
    """Runs in a process at low priority, started at the first call and again if it died.

    Every method raises NoAnswerError, or BrokenProcessPool if the process died.
    """

    def __init__(self) -> None:
        self._process = WorkerProcess(MOST_BYTES)

    async def forecasts(
        self, connection: Connection, weathers: Connection, sites: Sequence[SiteNow], now: float
    ) -> list[str]:
        """Forecast some sites from the last full hour on, by the past of a database and the weather
        of another; returns lines to store."""
        return await self._process.run(_forecasts, connection, weathers, tuple(sites), now)

    async def plans(
        self, connection: Connection, sites: Sequence[SiteNow], now: float, tariffs: TariffFile
    ) -> tuple[list[str], list[SitePlan]]:
        """Plan for some sites by their newest forecasts and the prices of a database; returns lines
        to store, and the plans."""
        return await self._process.run(_plans, connection, tuple(sites), now, tariffs)

    async def savings(
        self,
        connection: Connection,
        prices: Connection,
        sites: Sequence[SiteNow],
        now: float,
        tariffs: TariffFile,
    ) -> list[str]:
        """Once a day, what yesterday has saved at some sites; returns lines to store."""
        return await self._process.run(_savings, connection, prices, tuple(sites), now, tariffs)

    async def pv_days(
        self, connection: Connection, weathers: Connection, tasks: Sequence[PvTask], now: float
    ) -> tuple[list[str], list[str]]:
        """Judge PV of some sites up to the last full hour, by the past of a database and weather
        and prices of another; returns lines to store of days and of quarter hours."""
        return await self._process.run(_pv_days, connection, weathers, tuple(tasks), now)

    async def neighbours(self, sites: Sequence[SiteNow]) -> list[str]:
        """Forecast sites without a past of their own by others; returns lines to store."""
        return await self._process.run(_neighbours, tuple(sites))

    def close(self) -> None:
        """See :meth:`exporter.model.workers.WorkerProcess.close`."""
        self._process.close()


def _forecasts(
    connection: Connection, weathers: Connection, sites: Sequence[SiteNow], now: float
) -> list[str]:
    return asyncio.run(_forecast_all(connection, weathers, sites, now))


async def _forecast_all(
    connection: Connection, weathers: Connection, sites: Sequence[SiteNow], now: float
) -> list[str]:
    stored, of_weather = _reader(connection), _reader(weathers)
    end = now // 3600 * 3600
    lines: list[str] = []
    try:
        for one in sites:
            try:
                lines += await _forecast_site(stored, of_weather, one, end)
            except MemoryError:
                log.error("no forecast of %s: it needs more memory than there is", one.site.id)
                _memory.pasts.clear()
    finally:
        await stored.close()
        await of_weather.close()
    return lines


async def _forecast_site(
    stored: InfluxQL, weathers: InfluxQL, one: SiteNow, end: float
) -> list[str]:
    lines: list[str] = []
    past = await _past(stored, one, end)
    weather = await _weather_of(weathers, one, past)
    for quantity in QUANTITIES:
        _memory.issued.pop((one.site.id, quantity), None)
        if np.isfinite(past.watts[quantity]).any():
            _memory.measured.add((one.site.id, quantity))
        made, scores = _memory.forecaster.forecast(past, quantity, weather)
        lines += scores
        if scores:
            # Once a day, of the day that is over.
            last = int(end // SLOT_SECONDS) // DAY_SLOTS * DAY_SLOTS
            missed = await misses_of_day(stored, past, quantity, last)
            lines += miss_lines(one.site.id, quantity, missed)
        if made is not None:
            _memory.issued[one.site.id, quantity] = made
            lines += forecast_lines(made)
    return lines


async def _weather_of(
    weathers: InfluxQL, one: SiteNow, past: SitePast
) -> NDArray[np.float64] | None:
    """What forecasts of the weather allow, as :class:`scoring.forecast.Series` takes it."""
    if one.place is None or not can_expect(one.site):
        return None
    count = len(past.watts["pv"]) + HORIZON_SLOTS
    used = min(count, WEATHER_DAYS * DAY_SLOTS + HORIZON_SLOTS)
    first = past.first + count - used
    found = await read_allowed_ahead(weathers, one.site, one.place, first, used)
    if found is None:
        return None
    return np.pad(found, ((0, 0), (count - used, 0)), constant_values=np.nan)


async def _past(stored: InfluxQL, one: SiteNow, end: float) -> SitePast:
    """The past of a site; of one that is known only what is new is read."""
    known = _memory.pasts.get(one.site.id)
    last = int(end // SLOT_SECONDS)
    wanted = int(TRAINING_DAYS * DAY // SLOT_SECONDS)
    if known is None or known.first + len(known.watts["pv"]) < last - wanted // 2:
        made = await read_past(stored, one.site, one.device, end - TRAINING_DAYS * DAY, end)
    else:
        begin = max(known.first, known.first + len(known.watts["pv"]) - AGAIN_SLOTS)
        new = await read_past(stored, one.site, one.device, float(begin * SLOT_SECONDS), end)
        first = max(known.first, last - wanted)
        watts = {
            name: np.concatenate(
                (known.watts[name][first - known.first : begin - known.first], new.watts[name])
            )
            for name in QUANTITIES
        }
        made = SitePast(one.site, first, watts)
    if len(_memory.pasts) < MOST_KEPT_SITES or one.site.id in _memory.pasts:
        _memory.pasts[one.site.id] = made
    return made


def _size(site: Site, quantity: str) -> float:
    """By what forecasts of neighbours are scaled: the installed power, and nothing for a load."""
    return float(site.solar_capacity_kw or math.nan) if quantity == "pv" else 1.0


def _neighbours(sites: Sequence[SiteNow]) -> list[str]:
    lines: list[str] = []
    by_id = {one.site.id: one.site for one in sites}
    for one in sites:
        for quantity in QUANTITIES:
            if (one.site.id, quantity) in _memory.issued or not _has(one.site, quantity):
                continue
            others = {
                other: (made, _size(by_id[other], quantity))
                for (other, name), made in _memory.issued.items()
                if name == quantity
                and made.method != NEIGHBOURS
                and other in by_id
                and (quantity == "pv" or by_id[other].kind == one.site.kind)
            }
            near = {o: pair for o, pair in others.items() if by_id[o].region == one.site.region}
            size = _size(one.site, quantity)
            made = from_neighbours(one.site.id, quantity, size, near or others)
            if made is not None:
                _memory.issued[one.site.id, quantity] = made
                lines += forecast_lines(made)
    return lines


def _has(site: Site, quantity: str) -> bool:
    """Whether neighbours teach anything of a site: its PV has a size, its load was measured.

    A plant of PV alone and a grid meter have no load of their own.
    """
    if quantity == "pv":
        return bool(site.solar_capacity_kw)
    return (site.id, quantity) in _memory.measured


def _pv_days(
    connection: Connection, weathers: Connection, tasks: Sequence[PvTask], now: float
) -> tuple[list[str], list[str]]:
    return asyncio.run(_memory.pv.judge(connection, weathers, tasks, now))


def _plans(
    connection: Connection, sites: Sequence[SiteNow], now: float, tariffs: TariffFile
) -> tuple[list[str], list[SitePlan]]:
    prices: dict[str, Prices] = {}
    if tariffs.series:
        prices = asyncio.run(_prices(connection, tariffs, now))
    plans = plans_now(sites, tariffs, prices)
    return [line for made in plans for line in plan_lines(made)], plans


def _savings(
    connection: Connection,
    prices: Connection,
    sites: Sequence[SiteNow],
    now: float,
    tariffs: TariffFile,
) -> list[str]:
    return asyncio.run(_settle(connection, prices, sites, now, tariffs))


async def _settle(
    connection: Connection,
    prices: Connection,
    sites: Sequence[SiteNow],
    now: float,
    tariffs: TariffFile,
) -> list[str]:
    stored, priced = _reader(connection), _reader(prices)
    lines: list[str] = []
    try:
        for one in sites:
            begin, end = midnight(one.site, now, 1), midnight(one.site, now, 0)
            if _memory.settled.get(one.site.id) == end:
                continue
            found = await measured_saving(stored, one.site, one.device, begin, end, tariffs, priced)
            _memory.settled[one.site.id] = end
            if isinstance(found, Saving):
                lines.append(saving_line(one.site.id, begin, found, tariffs.currency))
    finally:
        await stored.close()
        await priced.close()
    return lines


def _reader(connection: Connection) -> InfluxQL:
    return InfluxQL(connection.url, connection.database, dict(connection.headers))


def plans_now(
    sites: Sequence[SiteNow], tariffs: TariffFile, prices: dict[str, Prices]
) -> list[SitePlan]:
    """Plans of sites by the newest forecasts of this process, together below the fleet's limit."""
    found: list[tuple[SiteNow, int, PlanInputs]] = []
    for one in sites:
        forecasts = {
            quantity: made
            for quantity in QUANTITIES
            if (made := _memory.issued.get((one.site.id, quantity))) is not None
        }
        inputs = inputs_of(one.site, forecasts, one.soc_percent, tariffs, prices)
        if inputs is not None:
            found.append((one, forecasts["load"].first, inputs))
    plans = [planned(inputs) for _, _, inputs in found]
    limit = tariffs.planning.fleet_import_kw
    if limit is not None and plans:
        plans, above = below_limit([inputs for _, _, inputs in found], plans, limit)
        if (worst := float(above.max())) > CLOSE_KW:
            note = f"the load of the fleet exceeds its limit by {worst:.1f} kW"
            plans = [replace(p, note="; ".join(filter(None, (p.note, note)))) for p in plans]
    return [
        site_plan(one.site, first, inputs, plan, tariffs)
        for (one, first, inputs), plan in zip(found, plans, strict=True)
    ]


async def _prices(connection: Connection, tariffs: TariffFile, now: float) -> dict[str, Prices]:
    stored = _reader(connection)
    try:
        return await read_prices(
            stored, tariffs.series, now - 3600, now + 2 * HORIZON_SLOTS * SLOT_SECONDS
        )
    finally:
        await stored.close()
