"""PV against the sun as it was stored: the days of sites, added up over a period."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, time, tzinfo
from typing import Any

from exporter.config.fleet import Site
from exporter.energy.pv_days import DAYS, INVERTERS, KEPT_AT, LOSSES
from exporter.energy.tariff_file import zone_of_site
from exporter.history.influxql import InfluxQL, any_of, between
from exporter.history.observed import MOST_NAMED_SITES
from scoring.pv_losses import CAUSE_LABELS, Cause

Row = dict[str, Any]


@dataclass(slots=True)
class PvAccount:
    """PV of some sites over whole days that begin in a period.

    Attributes
    ----------
    days : list of dict
        Each row of :data:`exporter.energy.pv_days.DAYS` with ``site``, ``time`` (Unix seconds, its
        start) and, of one site alone, ``losses`` (cause to kWh).
    losses : dict of Cause to (kWh, value or None)
        The value is None where a part of the energy has no price.
    inverters : dict of (site, name) to (kWh, lost kWh)
    currency : str
        Of the values; empty without a tariff.
    asked_days : int
        Days of sites that were asked about, judged or not.
    """

    days: list[Row] = field(default_factory=list)
    losses: dict[Cause, tuple[float, float | None]] = field(default_factory=dict)
    inverters: dict[tuple[str, str], tuple[float, float]] = field(default_factory=dict)
    currency: str = ""
    asked_days: int = 0

    def add(self, more: PvAccount) -> None:
        """Put the days and losses of other sites to those that are there."""
        self.days += more.days
        self.inverters |= more.inverters
        self.currency = more.currency or self.currency
        self.asked_days += more.asked_days
        for cause, (kwh, value) in more.losses.items():
            before, worth = self.losses.get(cause, (0.0, 0.0))
            both = None if value is None or worth is None else value + worth
            self.losses[cause] = before + kwh, both

    def total(self, name: str) -> float:
        """The sum of a field over all days, kWh."""
        return sum(day.get(name) or 0.0 for day in self.days)

    @property
    def lost_kwh(self) -> float:
        """Expected less measured."""
        return self.total("expected_kwh") - self.total("measured_kwh")

    @property
    def lost_value(self) -> float | None:
        """What that would have been worth; None where a part of it has no price."""
        values = [value for _, value in self.losses.values()]
        known = [value for value in values if value is not None]
        return sum(known) if known and len(known) == len(values) else None

    def ratio(self, name: str) -> float | None:
        """A performance ratio over all days, by their insolation; None without any."""
        known = [
            (day[name], day["insolation_kwh_m2"]) for day in self.days if day.get(name) is not None
        ]
        weight = sum(sun for _, sun in known)
        return sum(value * sun for value, sun in known) / weight if weight > 0 else None


def days_in(start: float, end: float, asked: tzinfo, zone: tzinfo) -> tuple[float, float]:
    """Bounds of a period of whole days, Unix seconds, where days begin in another zone.

    A bound at midnight of the zone ``asked`` is midnight of ``zone``; another one stays the moment
    that it is.
    """

    def bound(moment: float) -> float:
        local = datetime.fromtimestamp(moment, asked)
        if local.timetz().replace(tzinfo=None) == time(0):
            return datetime.combine(local.date(), time(0), zone).timestamp()
        return moment

    first, last = bound(start), bound(end)
    return first, last if last > first else first + end - start


def days_begun(start: float, end: float, zone: tzinfo) -> int:
    """Days of a zone that begin from ``start`` to before ``end``, Unix seconds."""

    def not_before(moment: float) -> int:
        local = datetime.fromtimestamp(moment, zone)
        begun = local.timetz().replace(tzinfo=None) == time(0)
        return local.date().toordinal() + (0 if begun else 1)

    return max(0, not_before(end) - not_before(start))


async def read_pv_of_sites(
    stored: InfluxQL, sites: Sequence[Site], start: float, end: float, asked: tzinfo
) -> PvAccount:
    """PV of sites over days of each site's zone; bounds at midnight of ``asked`` mean its midnight.

    Raises
    ------
    exporter.history.influxql.NoAnswerError
    """
    found = PvAccount()
    groups: dict[str, list[Site]] = {}
    for site in sites:
        groups.setdefault(str(zone_of_site(site)), []).append(site)
    for members in groups.values():
        first, last = days_in(start, end, asked, zone_of_site(members[0]))
        read = await read_pv_days(stored, [site.id for site in members], first, last)
        days = days_begun(first, last, zone_of_site(members[0]))
        read.asked_days = max(1, days) * len(members)
        found.add(read)
    found.days.sort(key=lambda row: (row["time"], row["site"]))
    found.losses = {cause: found.losses[cause] for cause in CAUSE_LABELS if cause in found.losses}
    return found


async def read_pv_days(
    stored: InfluxQL, sites: Collection[str], start: float, end: float
) -> PvAccount:
    """What is stored of days that begin from ``start`` to before ``end``.

    Raises
    ------
    exporter.history.influxql.NoAnswerError
    """
    wanted = set(sites)
    found = PvAccount()
    by_day: dict[tuple[str, float], Row] = {}
    of_sites = f"{any_of('site', sites)} AND " if len(wanted) <= MOST_NAMED_SITES else ""

    async def rows(columns: str, measurement: str, groups: str = "") -> list[Row]:
        by = f" GROUP BY {groups}" if groups else ""
        read = await stored.select(
            f'SELECT {columns} FROM "{KEPT_AT}"."{measurement}" '  # noqa: S608
            f"WHERE {of_sites}{between(start, end)}{by}"
        )
        made = [
            dict(zip(series.columns, row, strict=True)) | series.tags | {"time": row[0] / 1000}
            for series in read
            for row in series.rows
        ]
        return [row for row in made if row["site"] in wanted]

    for row in await rows("*", DAYS):
        by_day[row["site"], row["time"]] = row | {"losses": {}}
    found.days = sorted(by_day.values(), key=lambda row: (row["time"], row["site"]))
    sums = (
        'sum("kwh") AS "kwh", count("kwh") AS "days", sum("value") AS "value", '
        'count("value") AS "priced", last("currency") AS "currency"'
    )
    for row in await rows(sums, LOSSES, '"site", "cause"') if found.days else ():
        cause = Cause(row["cause"])
        kwh, value = found.losses.get(cause, (0.0, 0.0))
        # Energy without a price has no worth, and neither has a sum with it.
        known = value is not None and row["priced"] == row["days"]
        found.losses[cause] = kwh + row["kwh"], (value or 0.0) + row["value"] if known else None
        found.currency = row.get("currency") or found.currency
    found.losses = {cause: found.losses[cause] for cause in CAUSE_LABELS if cause in found.losses}
    if len(wanted) == 1 and found.days:
        for row in await rows("*", LOSSES):
            if (day := by_day.get((row["site"], row["time"]))) is not None:
                day["losses"][Cause(row["cause"])] = row["kwh"]
    sums = 'sum("kwh") AS "kwh", sum("lost_kwh") AS "lost_kwh"'
    for row in await rows(sums, INVERTERS, '"site", "inverter"') if found.days else ():
        both = row.get("kwh") or 0.0, row.get("lost_kwh") or 0.0
        found.inverters[row["site"], row["inverter"]] = both
    return found
