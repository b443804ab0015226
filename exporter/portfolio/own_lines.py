"""What a site should be paid, from the ledger's own orders, prices and events, by contract."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from zoneinfo import ZoneInfo

from exporter.portfolio.contracts_file import (
    AvailabilityService,
    CapacityService,
    EnergyService,
    SiteContract,
)
from exporter.portfolio.ledger import Ledger
from exporter.portfolio.ledger_rows import Row
from exporter.portfolio.ledger_tables import TABLES
from scoring.money.amounts import rounded
from scoring.money.availability import lost_hours
from scoring.money.revenue import Key, Line

VOLUME_STEP = Decimal("0.001")
"""Statements give MWh and MW·h to a thousandth."""
_KILO, _HOUR = Decimal(1000), Decimal(3600)


@dataclass(frozen=True, slots=True)
class OwnLines:
    """Lines by site, service and start, with what is known of the others.

    ``nothing`` are settlement periods in which nothing was due, ``missing`` those for which that
    could not be worked out, with the reason. A period that is in none of the three has no measured
    power at all: without any that day, no service has a figure.
    """

    lines: Mapping[Key, Line]
    nothing: frozenset[Key]
    missing: Mapping[Key, str]


@dataclass(frozen=True, slots=True)
class _Period:
    """The period asked for, and the local days in it."""

    start: float
    end: float
    zone: ZoneInfo

    def days(self, seen: set[date]) -> Iterator[datetime]:
        """Local midnights of the whole days of which power was measured."""
        day = datetime.fromtimestamp(self.start, self.zone)
        day = day.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
        while day.timestamp() < self.end:
            following = day + timedelta(days=1)
            whole = day.timestamp() >= self.start and following.timestamp() <= self.end
            if whole and day.date() in seen:
                yield day
            day = following


def line_key(site: str, service: str, start: float) -> Key:
    """What a line is about."""
    return site, service, f"{start:.0f}"


def own_lines(
    ledger: Ledger, site: SiteContract, zone: ZoneInfo, start: float, end: float
) -> OwnLines:
    """Lines of one site whose settlement periods begin in [start, end).

    Raises
    ------
    LedgerError
    """
    period = _Period(start, end, zone)
    lines: dict[Key, Line] = {}
    nothing: set[Key] = set()
    missing: dict[Key, str] = {}
    power = ledger.latest(TABLES["dispatch"], start, end, [site.id])
    seen = {
        datetime.fromtimestamp(row["start"], zone).date()
        for row in power
        if row["actual_kw"] is not None
    }
    for service in site.services:
        found: Iterable[tuple[float, Decimal, Decimal]]
        if isinstance(service, EnergyService):
            found = _energy(ledger, (site.id, power), service, period, missing)
        elif isinstance(service, AvailabilityService):
            found = _availability(ledger, site.id, service, period, seen)
        else:
            found = _capacity(service, period, seen)
        for at, volume, price in found:
            key = line_key(site.id, service.name, at)
            if volume:
                lines[key] = Line(volume, price, rounded(volume * price))
            else:
                nothing.add(key)
    return OwnLines(lines, frozenset(nothing), missing)


def _energy(
    ledger: Ledger,
    measured: tuple[str, Sequence[Row]],
    service: EnergyService,
    period: _Period,
    missing: dict[Key, str],
) -> Iterator[tuple[float, Decimal, Decimal]]:
    prices = {
        row["start"]: row["price"]
        for row in ledger.latest(TABLES["prices"], period.start, period.end)
        if row["market"] == service.market
    }
    site, power = measured
    metered: dict[float, list[Row]] = defaultdict(list)
    for row in power:
        metered[row["start"] - row["start"] % service.seconds].append(row)
    for at, rows in sorted(metered.items()):
        seconds = sum(row["seconds"] for row in rows if row["actual_kw"] is not None)
        if seconds != service.seconds:
            missing[line_key(site, service.name, at)] = "no measured power for all of the period"
        elif at not in prices:
            missing[line_key(site, service.name, at)] = f"no price of {service.market}"
        else:
            energy = sum((row["actual_kw"] * row["seconds"] for row in rows), Decimal(0))
            yield at, _volume(energy / _HOUR / _KILO), prices[at]


def _availability(
    ledger: Ledger, site: str, service: AvailabilityService, period: _Period, seen: set[date]
) -> Iterator[tuple[float, Decimal, Decimal]]:
    events = [
        row
        for row in ledger.latest(TABLES["events"], 0.0, period.end, [site])
        if row["available"] is not None and (row["end"] is None or row["end"] > period.start)
    ]
    limits = limits_of(events, period.end)
    for day in period.days(seen):
        yield day.timestamp(), kept_volume(service, day, limits), service.price


def hours_of(service: AvailabilityService, day: datetime) -> tuple[float, float]:
    """When a service begins and ends on the day of a local midnight, Unix seconds."""
    begin, finish = (_at_hour(day, hour) for hour in service.hours)
    return begin, finish


def limits_of(events: Iterable[Row], until: float) -> list[tuple[float, float, Decimal]]:
    """When each event limits a plant, and to which share; one that lasts, until the end."""
    return [
        (row["start"], until if row["end"] is None else row["end"], row["available"])
        for row in events
        if row["available"] is not None
    ]


def kept_volume(
    service: AvailabilityService, day: datetime, limits: Sequence[tuple[float, float, Decimal]]
) -> Decimal:
    """MW·h that a service pays for on a day, of which limits take their part; see
    :func:`scoring.money.availability.lost_hours`."""
    begin, finish = hours_of(service, day)
    hours = Decimal(int(finish - begin)) / _HOUR
    return _volume(service.mw * (hours - lost_hours(limits, begin, finish)))


def _capacity(
    service: CapacityService, period: _Period, seen: set[date]
) -> Iterator[tuple[float, Decimal, Decimal]]:
    for day in period.days(seen):
        yield day.timestamp(), _volume(service.mw), service.price


def _at_hour(day: datetime, hour: int) -> float:
    if hour == 24:
        return (day + timedelta(days=1)).timestamp()
    return day.replace(hour=hour).timestamp()


def _volume(value: Decimal) -> Decimal:
    return value.quantize(VOLUME_STEP, ROUND_HALF_EVEN)
