"""What a site should be paid, from the ledger's own orders, prices and events, by contract."""

from __future__ import annotations

from bisect import bisect_right
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
from exporter.portfolio.market_days import local_midnight
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
    could not be worked out, with the reason. Of a day without any measured power no service has a
    figure: its periods are in none of the three.
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
        day = local_midnight(self.start, self.zone)
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
            found = _energy(ledger, (site.id, power), service, period, seen, missing)
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
    seen: set[date],
    missing: dict[Key, str],
) -> Iterator[tuple[float, Decimal, Decimal]]:
    prices = prices_of(ledger, service, period.start, period.end)
    site, power = measured
    metered: dict[float, list[Row]] = defaultdict(list)
    for row in power:
        metered[row["start"] - row["start"] % service.seconds].append(row)
    # A period without any row, on a day of which others are known, is not worth nothing.
    for at in _periods(period, service.seconds, seen):
        metered.setdefault(at, [])
    for at, rows in sorted(metered.items()):
        known = [row for row in rows if row["actual_kw"] is not None]
        seconds = sum(row["seconds"] for row in known)
        if not known:
            missing[line_key(site, service.name, at)] = "no measured power"
        elif seconds != service.seconds or len(known) < len(rows):
            missing[line_key(site, service.name, at)] = "no measured power for all of the period"
        elif (price := price_at(prices, at)) is None:
            missing[line_key(site, service.name, at)] = f"no price of {service.market}"
        else:
            energy = sum((row["actual_kw"] * row["seconds"] for row in rows), Decimal(0))
            yield at, _volume(energy / _HOUR / _KILO), price


def _periods(period: _Period, seconds: int, seen: set[date]) -> Iterator[float]:
    """Beginnings of the settlement periods of days of which power was measured."""
    for day in sorted(seen):
        begin = datetime(day.year, day.month, day.day, tzinfo=period.zone)
        at = begin.timestamp()
        at -= at % seconds
        end = min((begin + timedelta(days=1)).timestamp(), period.end)
        while at < end:
            if at >= period.start:
                yield at
            at += seconds


Prices = tuple[Sequence[float], Sequence[Row]]
"""Beginnings of prices, rising, and their rows."""


def prices_of(ledger: Ledger, service: EnergyService, start: float, end: float) -> Prices:
    """Prices of a service's market.

    Raises
    ------
    LedgerError
    """
    rows = [
        row
        for row in ledger.latest(TABLES["prices"], start - 86_400.0, end)
        if row["market"] == service.market
    ]
    return [row["start"] for row in rows], rows


def price_at(prices: Prices, at: float) -> Decimal | None:
    """The price that holds at a moment: of the row that began last, as long as it lasts."""
    starts, rows = prices
    place = bisect_right(starts, at) - 1
    if place < 0 or at >= starts[place] + rows[place]["seconds"]:
        return None
    price: Decimal = rows[place]["price"]
    return price


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
