"""Abbreviations of time zones and offsets, as they stand behind times."""

from __future__ import annotations

import re
from datetime import datetime
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_OFFSET = re.compile(r"(?:UTC|GMT)?([+-])(\d{1,2})(?::?(\d\d))?")
_HOURS: dict[str, float] = {
    **{"Z": 0, "UTC": 0, "GMT": 0, "WET": 0, "WEST": 1, "CET": 1, "MEZ": 1},
    **{"CEST": 2, "MESZ": 2, "EET": 2, "EEST": 3, "OEZ": 2, "OESZ": 3, "MSK": 3, "SAST": 2},
    **{"AEST": 10, "AEDT": 11, "ACST": 9.5, "ACDT": 10.5, "AWST": 8, "NZST": 12, "NZDT": 13},
    **{"PST": -8, "PDT": -7, "MDT": -6, "AKST": -9, "AKDT": -8, "HST": -10},
}
OF_SEVERAL_ZONES = ("BST", "IST", "CST", "CDT", "EST", "EDT", "MST", "AST", "ADT", "NST", "WST")
"""Known to several parts of the world; the zone of the file decides."""


@lru_cache(maxsize=64)
def _own_abbreviations(timezone: str) -> dict[str, int]:
    """The abbreviations of a zone, with milliseconds ahead of UTC."""
    try:
        zone = ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return {}  # an offset, or a mistake that is reported where the zone is loaded
    found = {}
    for month in range(1, 13):
        moment = datetime(2024, month, 1, tzinfo=zone)
        ahead = moment.utcoffset()
        found[moment.tzname() or ""] = round(ahead.total_seconds() * 1000) if ahead else 0
    return found


def offset_ms(zone: str, timezone: str | None = None) -> int | None:
    """How far the zone or the offset behind a time is ahead of UTC; None if it is not known."""
    own = _own_abbreviations(timezone) if timezone else {}
    if zone in own:
        return own[zone]
    if zone in _HOURS:
        return round(_HOURS[zone] * 3_600_000)
    found = _OFFSET.fullmatch(zone)
    if not found:
        return None
    minutes = int(found[2]) * 60 + int(found[3] or 0)
    return (-minutes if found[1] == "-" else minutes) * 60_000
