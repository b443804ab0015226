"""Losses of one site in one month: by day, service, cause and event."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

import numpy as np

from exporter.portfolio.contracts_file import AvailabilityService, CapacityService, SiteContract
from exporter.portfolio.figure import Figure, figure
from exporter.portfolio.ledger_rows import Row
from exporter.portfolio.own_lines import kept_volume, limits_of, line_key, price_at, prices_of
from exporter.portfolio.settlement_figures import DayRevenue, ServiceDay
from exporter.portfolio.site_month import FloatArray, SiteMonth, number_array
from scoring.money.amounts import rounded
from scoring.money.losses import Attribution, Course, LossCause, Plant, Trouble, attribution

EventKey = tuple[str, str, float]
"""Device, code and beginning of an event."""


@dataclass(slots=True)
class DayLoss:
    """What one service lost on one day; ``losses`` add up to ``best - paid``."""

    best: Decimal
    planned: Decimal
    paid: Decimal
    losses: Mapping[LossCause, Decimal]


@dataclass(slots=True)
class MonthLosses:
    """What a site lost.

    ``days`` has no entry for a day that cannot be judged: without measured power, orders or prices
    for all of it.
    """

    days: dict[ServiceDay, DayLoss] = field(default_factory=dict)
    events: dict[EventKey, Decimal] = field(default_factory=lambda: defaultdict(Decimal))


def cause_of(event: Row) -> LossCause | None:
    """Which cause an event is charged to; None for one that limits nothing."""
    if event["category"] == "communication":
        return LossCause.COMMUNICATION
    if event["available"] is None or event["available"] >= 1:
        return None
    return LossCause.OUTAGE if event["available"] == 0 else LossCause.DERATING


def event_key(event: Row) -> EventKey:
    """What an event is, within a site."""
    return event["device"], event["code"], event["start"]


def plant_of(site: SiteContract) -> Plant:
    """The plant of a contract."""
    wear = 0.0
    if site.wear_per_cycle is not None:
        # A cycle gives the usable energy once; what arrives at the meter is less.
        wear = float(site.wear_per_cycle) / site.usable_kwh / site.discharge_efficiency
    return Plant(
        power_kw=site.power_kw,
        usable_kwh=site.usable_kwh,
        charge_efficiency=site.charge_efficiency,
        discharge_efficiency=site.discharge_efficiency,
        wear_per_kwh=wear,
        lowest_kwh=site.usable_kwh * site.soc_min / 100,
        highest_kwh=site.usable_kwh * site.soc_max / 100,
    )


def month_losses(known: SiteMonth, revenues: Mapping[ServiceDay, DayRevenue]) -> MonthLosses:
    """Losses by day and event."""
    found = MonthLosses()
    _energy(known, revenues, found)
    for service in known.site.services:
        if isinstance(service, AvailabilityService):
            _kept_power(known, service, revenues, found)
        elif isinstance(service, CapacityService):
            _capacity(known, service, revenues, found)
    return found


def loss_figures(known: SiteMonth, losses: MonthLosses) -> Iterator[Figure | None]:
    """``potential``, ``loss`` and ``waterfall``."""
    site = known.site.id
    yield from _waterfall(site, losses)
    for (service, day), one in sorted(losses.days.items()):
        yield figure(
            "potential",
            (site, service),
            day,
            best=one.best,
            planned=one.planned,
            paid=one.paid,
            lost=one.best - one.paid,
        )
        for cause, amount in one.losses.items():
            yield figure("loss", (site, service, cause.value), day, amount=amount)


def _waterfall(site: str, losses: MonthLosses) -> Iterator[Figure | None]:
    by_day: dict[float, list[DayLoss]] = defaultdict(list)
    for (_, day), one in losses.days.items():
        by_day[day].append(one)
    for day, each in sorted(by_day.items()):
        left = sum((one.best for one in each), Decimal(0))
        yield figure("waterfall", (site, "best"), day, place=0, total=left)
        for place, cause in enumerate(LossCause, 1):
            amount = sum((one.losses[cause] for one in each), Decimal(0))
            left -= amount
            yield figure(
                "waterfall", (site, cause.value), day, place=place, amount=amount, left=left
            )
        yield figure("waterfall", (site, "paid"), day, place=len(LossCause) + 1, total=left)


def _energy(known: SiteMonth, revenues: Mapping[ServiceDay, DayRevenue], into: MonthLosses) -> None:
    service = known.energy_service
    if service is None or not known.dispatch:
        return
    month, rows = known.month, known.dispatch
    starts, seconds = number_array(rows, "start"), number_array(rows, "seconds")
    prices = prices_of(known.ledger, service, month.start, month.end)
    found = (price_at(prices, at - at % service.seconds) for at in starts.tolist())
    price = np.array([np.nan if one is None else float(one) for one in found])
    actual, wanted = number_array(rows, "actual_kw"), number_array(rows, "wanted_kw")
    day = month.day_of(starts)
    whole = ~np.isnan(price) & ~np.isnan(actual) & ~np.isnan(wanted)
    lengths = np.diff(np.array(month.edges))
    seen = np.bincount(day[whole], weights=seconds[whole], minlength=len(lengths))
    paid, judged = [], []
    for number, (begin, _) in enumerate(month.days):
        revenue = revenues.get((service.name, begin))
        amount = None if revenue is None else revenue.amount
        judged.append(amount is not None and abs(seen[number] - lengths[number]) < 1)
        paid.append(Decimal(0) if amount is None else amount)
    events = [row for row in known.events if cause_of(row) is not None]
    plant = plant_of(known.site)
    course = Course(
        price_per_kwh=np.nan_to_num(price) / 1000,
        hours=seconds / 3600,
        ordered_kw=wanted,
        actual_kw=actual,
        allowed_kw=number_array(rows, "allowed_kw"),
        first_kwh=_first_kwh(known, plant, actual, seconds / 3600),
    )
    troubles = [_trouble(row, starts, seconds, month.end) for row in events]
    each = attribution(plant, course, troubles, day, paid)
    for (begin, _), is_judged, one in zip(month.days, judged, each, strict=True):
        if is_judged:
            _add_energy(into, (service.name, begin), one, events)


def _add_energy(
    into: MonthLosses, place: ServiceDay, one: Attribution, events: Sequence[Row]
) -> None:
    into.days[place] = DayLoss(one.best, one.planned, one.paid, one.losses)
    for row, lost in zip(events, one.events, strict=True):
        into.events[event_key(row)] += lost


def _trouble(row: Row, starts: FloatArray, seconds: FloatArray, until: float) -> Trouble:
    """An event over the intervals that it touches, each in proportion to the overlap."""
    cause = cause_of(row)
    assert cause is not None
    end = until if row["end"] is None else row["end"]
    overlap = np.minimum(starts + seconds, end) - np.maximum(starts, row["start"])
    touched = np.flatnonzero(overlap > 0)
    if not len(touched):
        return Trouble(cause, 0, np.zeros(0))
    here = slice(touched[0], touched[-1] + 1)
    left = 0.0 if cause is LossCause.COMMUNICATION else float(row["available"])
    share = np.clip(overlap[here], 0.0, None) / seconds[here]
    return Trouble(cause, int(touched[0]), 1.0 - share * (1.0 - left))


def _first_kwh(known: SiteMonth, plant: Plant, actual: FloatArray, hours: FloatArray) -> float:
    """Energy at the start: by the state of charge then, else the least that explains the power."""
    soc = known.telemetry.between(known.month.start, known.month.start + 900).of("soc_percent")
    if len(soc) and not np.isnan(soc[0]):
        return plant.usable_kwh * float(soc[0]) / 100
    power = np.nan_to_num(actual)
    change = np.where(
        power < 0, -power * plant.charge_efficiency, -power / plant.discharge_efficiency
    )
    lowest = float(np.cumsum(change * hours).min(initial=0.0))
    return min(-lowest, plant.usable_kwh)


def _kept_power(
    known: SiteMonth,
    service: AvailabilityService,
    revenues: Mapping[ServiceDay, DayRevenue],
    into: MonthLosses,
) -> None:
    events = [row for row in known.events if row["available"] is not None]
    ordered = sorted(
        (row for row in events if cause_of(row) is not None),
        key=lambda row: list(LossCause).index(cause_of(row) or LossCause.REST),
    )
    for begin, _ in known.month.days:
        place = service.name, begin
        revenue, key = revenues.get(place), line_key(known.site.id, service.name, begin)
        known_day = key in known.own.lines or key in known.own.nothing
        if revenue is None or revenue.amount is None or not known_day:
            continue
        day = datetime.fromtimestamp(begin, known.month.zone)
        best = before = rounded(kept_volume(service, day, []) * service.price)
        losses = dict.fromkeys(LossCause, Decimal(0))
        for number, row in enumerate(ordered, 1):
            limits = limits_of(ordered[:number], known.month.end)
            after = rounded(kept_volume(service, day, limits) * service.price)
            cause = cause_of(row)
            assert cause is not None
            losses[cause] += before - after
            into.events[event_key(row)] += before - after
            before = after
        losses[LossCause.REST] = before - revenue.amount
        into.days[place] = DayLoss(best, best, revenue.amount, losses)


def _capacity(
    known: SiteMonth,
    service: CapacityService,
    revenues: Mapping[ServiceDay, DayRevenue],
    into: MonthLosses,
) -> None:
    for begin, _ in known.month.days:
        revenue = revenues.get((service.name, begin))
        if revenue is None or revenue.amount is None or revenue.own is None:
            continue
        losses = dict.fromkeys(LossCause, Decimal(0))
        losses[LossCause.REST] = revenue.own - revenue.amount
        into.days[service.name, begin] = DayLoss(revenue.own, revenue.own, revenue.amount, losses)
