"""What a plan has really saved: what happened, against plain self-consumption on the same days."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from exporter.config.fleet import Site
from exporter.energy.market_prices import read_prices
from exporter.energy.measured import FLOWS, Measured, read_flows
from exporter.energy.plans import HOURS, MODES, battery_of
from exporter.energy.site_past import read_charge
from exporter.energy.stored_outlook import read_plan
from exporter.energy.tariff_file import TariffFile, zone_of_site
from exporter.history.influxql import InfluxQL
from exporter.store.line_protocol import tag, text
from scoring.forecast import HORIZON_SLOTS, SLOT_SECONDS
from scoring.plan import (
    Battery,
    Bill,
    Goal,
    Mode,
    Outlook,
    Strategy,
    bill_of,
    run,
    value_of_stored,
)
from scoring.planning import make_plan

FloatArray = NDArray[np.float64]

MEASUREMENT = "plan_result"
LEAST_COVERAGE = 0.8
"""Below this share of observed quarter hours nothing is said of a period."""
LEAST_PLANNED = 0.8
"""Below this share of quarter hours with a plan nothing is said of plans."""
_MODE_OF = {code: mode for mode, code in MODES.items()}


@dataclass(frozen=True, slots=True)
class Saving:
    """What happened over a period, in the currency of the tariff file.

    Attributes
    ----------
    bill, plain, best : Bill
        What happened; plain self-consumption, and a plan that knew everything, played with the
        same load, sun and prices from the same charge on.
    planned : Bill or None
        The plans as they stood at the beginning of each quarter hour, followed to the letter, with
        what came. None where less than 80 % of the quarter hours had one.
    coverage : float
        Share of quarter hours of which load, PV and grid are known, 0 to 1; the rest is in no bill.
    """

    bill: Bill
    plain: Bill
    best: Bill
    planned: Bill | None
    coverage: float

    @property
    def saved(self) -> float:
        """Against plain self-consumption; below 0 it cost."""
        return self.plain.total - self.bill.total

    @property
    def missed(self) -> float:
        """What a plan that knew everything would have saved as well: the sum of the next two."""
        return self.bill.total - self.best.total

    @property
    def forecast_errors(self) -> float | None:
        """What plans lost because their forecasts were wrong."""
        return None if self.planned is None else self.planned.total - self.best.total

    @property
    def not_followed(self) -> float | None:
        """What was lost because the battery did not do what was planned; below 0 it was gained."""
        return None if self.planned is None else self.bill.total - self.planned.total


async def measured_saving(
    stored: InfluxQL,
    site: Site,
    device: str | None,
    start: float,
    end: float,
    tariffs: TariffFile,
    priced: InfluxQL | None = None,
) -> Saving | str:
    """What was saved over a period; or in words why that cannot be said.

    Parameters
    ----------
    stored : InfluxQL
    site : Site
    device : str or None
        The battery that counts.
    start, end : float
        Unix seconds; both are cut to whole quarter hours.
    tariffs : TariffFile
    priced : InfluxQL, optional
        Where prices are stored, if elsewhere.

    Raises
    ------
    exporter.history.influxql.NoAnswerError
    """
    battery, named = battery_of(site, tariffs.planning), tariffs.of(site)
    if battery is None or named is None:
        return "the site has no battery of known size, or no tariff"
    first, last = math.ceil(start / SLOT_SECONDS), int(end // SLOT_SECONDS)
    if last - first < 1:
        return "the period is shorter than a quarter of an hour"
    begin, until = float(first * SLOT_SECONDS), float(last * SLOT_SECONDS)
    found = await read_flows(
        stored, [site.id], begin, until, SLOT_SECONDS, {site.id: device} if device else {}, FLOWS
    )
    flows = found.sites.get(site.id, {})
    charge = await read_charge(stored, site.id, device, first, last)
    times = SLOT_SECONDS * np.arange(first, last, dtype=np.float64)
    zone = zone_of_site(site)
    prices = await read_prices(priced or stored, tariffs.series, begin, until)
    known = {name: series.at(times) for name, series in prices.items()}
    count = last - first
    load, bought = _kw(flows, "load", count), _kw(flows, "grid_import", count)
    sold = _kw(flows, "grid_export", count)
    pv = _kw(flows, "pv", count) if "pv" in flows else np.zeros(count)
    buy, sell = named[1].grid.at(times, zone, known), named[1].feed_in.at(times, zone, known)
    known_all = np.isfinite(np.stack((load, bought, sold, pv, buy, sell)))
    seen: NDArray[np.bool_] = np.asarray(known_all.all(axis=0))
    coverage = float(seen.mean())
    if coverage < LEAST_COVERAGE or np.isnan(charge).all():
        return f"only {100 * coverage:.0f} % of the period was observed, or the charge is unknown"
    came = Outlook(HOURS, load[seen], pv[seen], buy[seen], sell[seen])
    ends = battery.capacity_kwh * charge[np.isfinite(charge)][[0, -1]] / 100
    worth = value_of_stored(battery, came)
    discharged = np.nansum(_kw(flows, "discharged", count)[seen]) * HOURS
    bill = Bill(
        energy=float((bought[seen] * came.buy - sold[seen] * came.sell).sum() * HOURS),
        wear=battery.wear_per_kwh * float(discharged),
        stored=worth * float(ends[1] - ends[0]),
        co2_kg=0.0,
        peak_kw=float(bought[seen].max()),
        unserved_kwh=0.0,
    )
    course = run(battery, came, float(ends[0]))
    plain = bill_of(battery, came, course, float(ends[0]))
    best = _best(battery, came, float(ends[0]))
    modes, power, known_plan = await _planned(stored, site.id, first, last)
    planned = None
    if known_plan[seen].mean() >= LEAST_PLANNED:
        followed = tuple(mode for mode, counts in zip(modes, seen.tolist(), strict=True) if counts)
        course = run(battery, came, float(ends[0]), followed, power[seen])
        planned = bill_of(battery, came, course, float(ends[0]))
    return Saving(bill, plain, best, planned, coverage)


async def _planned(
    stored: InfluxQL, site: str, first: int, last: int
) -> tuple[list[Mode], FloatArray, NDArray[np.bool_]]:
    """Modes, set-points in kW, and where there was a plan: of each slot the newest, which was
    issued before it began."""
    count = last - first
    modes, power = [Mode.AUTO] * count, np.zeros(count)
    known = np.zeros(count, dtype=np.bool_)
    for row in await read_plan(stored, site, first * SLOT_SECONDS, last * SLOT_SECONDS):
        place = int(row["time"] // SLOT_SECONDS) - first
        modes[place] = _MODE_OF[row["mode"]]
        power[place] = row["power_w"] / 1000
        known[place] = True
    return modes, power, known


def saving_line(site: str, start: float, found: Saving, currency: str) -> str:
    """Line protocol of what a day has saved, at its beginning."""
    figures = {
        "saved": found.saved,
        "possible": found.plain.total - found.best.total,
        "forecast_errors": found.forecast_errors,
        "not_followed": found.not_followed,
        "coverage": found.coverage,
    }
    shown = ",".join(
        f"{name}={round(value, 5)!r}" for name, value in figures.items() if value is not None
    )
    stamp = round(start * 1000)
    return f"{MEASUREMENT},site={tag(site)} {shown},currency={text(currency)} {stamp}"


def _best(battery: Battery, came: Outlook, stored: float) -> Bill:
    """The bill of plans that know what comes, made as real ones are: for 36 h, kept for a day."""
    begin, parts = stored, []
    count = len(came.load_kw)
    for start in range(0, count, HORIZON_SLOTS * 2 // 3):
        ahead = _part(came, start, start + HORIZON_SLOTS)
        plan = make_plan(battery, ahead, stored, Goal(Strategy.COST), [""] * len(ahead.load_kw))
        day = _part(came, start, start + HORIZON_SLOTS * 2 // 3)
        size = len(day.load_kw)
        course = run(battery, day, stored, plan.modes[:size], plan.power_kw[:size])
        parts.append(bill_of(battery, day, course, stored))
        stored = float(course.stored_kwh[-1])
    return Bill(
        energy=sum(part.energy for part in parts),
        wear=sum(part.wear for part in parts),
        stored=value_of_stored(battery, came) * (stored - begin),
        co2_kg=0.0,
        peak_kw=max(part.peak_kw for part in parts),
        unserved_kwh=sum(part.unserved_kwh for part in parts),
    )


def _part(came: Outlook, start: int, stop: int) -> Outlook:
    arrays = (came.load_kw, came.pv_kw, came.buy, came.sell)
    return Outlook(came.hours, *(values[start:stop] for values in arrays))


def _kw(flows: Mapping[str, Measured], name: str, count: int) -> FloatArray:
    return flows[name].steps_kwh / HOURS if name in flows else np.full(count, np.nan)
