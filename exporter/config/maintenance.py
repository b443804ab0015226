"""Whether a site is being worked on, by what the fleet file says; the clock is an argument."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from exporter.config.fleet import DAYS, Fleet, MaintenanceWindow, MuteTime, Site


def in_maintenance(fleet: Fleet, site: Site, wall: float) -> bool:
    """Whether a window or mute time of the site or of the whole fleet covers a moment.

    Parameters
    ----------
    fleet : Fleet
    site : Site
        Its ``timezone`` is the one of times without an offset, UTC where it has none.
    wall : float
        Unix seconds. A window holds from its start, and no longer at its end.
    """
    windows = (*fleet.maintenance, *site.maintenance)
    mutes = (*fleet.mute_times, *site.mute_times)
    if not windows and not mutes:
        return False
    zone = ZoneInfo(site.timezone) if site.timezone else UTC
    now = datetime.fromtimestamp(wall, UTC)
    return any(_covers(window, now, zone) for window in windows) or any(
        _mutes(mute, now.astimezone(zone)) for mute in mutes
    )


def _covers(window: MaintenanceWindow, now: datetime, zone: tzinfo) -> bool:
    start, end = (
        moment if moment.tzinfo else moment.replace(tzinfo=zone)
        for moment in (window.start, window.end)
    )
    # In UTC: two moments of one zone would be compared by what the clock on the wall shows, which
    # shows an hour twice in autumn.
    return start.astimezone(UTC) <= now < end.astimezone(UTC)


def _mutes(mute: MuteTime, local: datetime) -> bool:
    """Whether weekly hours hold, by the clock on the wall at the site."""
    clock = local.time()
    today = DAYS[local.weekday()]
    if mute.start < mute.end:
        return today in mute.days and mute.start <= clock < mute.end
    yesterday = DAYS[(local - timedelta(days=1)).weekday()]
    return (today in mute.days and clock >= mute.start) or (
        yesterday in mute.days and clock < mute.end
    )
