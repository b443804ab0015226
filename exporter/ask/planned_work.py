"""Maintenance windows and weekly mute times within a period, as a timeline lists them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from exporter.config.fleet import DAYS, Fleet, MaintenanceWindow, MuteTime, Site

LONGEST_WEEKLY_DAYS = 8
"""Weekly hours are listed one by one in periods up to this length."""


@dataclass(frozen=True, slots=True)
class Planned:
    """One stretch of planned quiet.

    Attributes
    ----------
    site : str
        Site id; empty for the whole fleet.
    kind : str
        ``maintenance`` or ``mute``.
    start, end : float
        Unix seconds.
    what : str
        In words, without its beginning or end.
    """

    site: str
    kind: str
    start: float
    end: float
    what: str


def planned(fleet: Fleet, sites: Iterable[Site], start: float, end: float) -> list[Planned]:
    """What overlaps a period: windows, and in periods of a week or so each weekly stretch.

    Parameters
    ----------
    fleet : Fleet
        Its own windows concern every site, by the clock at each.
    sites : iterable of Site
    start, end : float
        Unix seconds.
    """
    chosen = list(sites)
    names = sorted({site.timezone or "UTC" for site in chosen})
    zones = [(ZoneInfo(n), f" at sites in {n}" if len(names) > 1 else "") for n in names]
    found = []
    for window in fleet.maintenance:
        local = zones if None in (window.start.tzinfo, window.end.tzinfo) else zones[:1]
        found += [_window("", zone, window, where * (len(local) > 1)) for zone, where in local]
    found += [
        _window(site.id, _zone(site), window) for site in chosen for window in site.maintenance
    ]
    if end - start <= LONGEST_WEEKLY_DAYS * 86_400:
        for mute in fleet.mute_times:
            for zone, where in zones:
                found += _weekly("", zone, mute, start, end, where)
        for site in chosen:
            for mute in site.mute_times:
                found += _weekly(site.id, _zone(site), mute, start, end)
    return [each for each in found if each.start < end and each.end > start]


def unlisted(fleet: Fleet, sites: Iterable[Site], start: float, end: float) -> str:
    """The weekly hours that a long period does not list one by one, in words; empty for none."""
    if end - start <= LONGEST_WEEKLY_DAYS * 86_400:
        return ""
    each = [f"all sites {hours(mute)}" for mute in fleet.mute_times]
    each += [f"{site.id} {hours(mute)}" for site in sites for mute in site.mute_times]
    if not each:
        return ""
    more = f" and {len(each) - 5} more" if len(each) > 5 else ""
    return f"Weekly mute times are not listed one by one: {'; '.join(each[:5])}{more}"


def hours(mute: MuteTime) -> str:
    """``saturday, sunday 22:00 to 06:00``."""
    days = "every day" if set(mute.days) == set(DAYS) else ", ".join(mute.days)
    return f"{days} {mute.start:%H:%M} to {mute.end:%H:%M}"


def _zone(site: Site) -> tzinfo:
    return ZoneInfo(site.timezone) if site.timezone else UTC


def _window(site: str, zone: tzinfo, window: MaintenanceWindow, where: str = "") -> Planned:
    start, end = (
        (moment if moment.tzinfo else moment.replace(tzinfo=zone)).timestamp()
        for moment in (window.start, window.end)
    )
    reason = f"{where}: {window.reason}" if window.reason else where
    return Planned(site, "maintenance", start, end, reason)


def _weekly(
    site: str, zone: tzinfo, mute: MuteTime, start: float, end: float, where: str = ""
) -> Iterator[Planned]:
    """Every stretch that begins from the day before the period to its end."""
    day = datetime.fromtimestamp(start, zone).date() - timedelta(days=1)
    last = datetime.fromtimestamp(end, zone).date()
    reason = f"{where}: {mute.reason}" if mute.reason else where
    while day <= last:
        if DAYS[day.weekday()] in mute.days:
            over = timedelta(days=1) if mute.end <= mute.start else timedelta()
            begins = datetime.combine(day, mute.start, zone).timestamp()
            ends = datetime.combine(day + over, mute.end, zone).timestamp()
            yield Planned(site, "mute", begins, ends, reason)
        day += timedelta(days=1)
