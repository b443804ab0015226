"""Levels of detail: full detail and four roll-ups, each in a retention policy or bucket of its own.

A level's name is the retention policy in InfluxDB 1.x and the last part of the bucket's name in
2.x. Windows begin at multiples of their length since 1970-01-01 UTC, so a day is a day in UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

RAW = "raw"
RAW_RANGE_DAYS = 2
RAW_BUCKET = "30s"
"""Polls are 10 s apart by default: a bucket of three of them never runs empty between two."""
RAW_CELL_BUCKET = "2m"
"""Single cells are stored once a minute by default, not to the second."""
METER_BUCKET, METER_SECONDS = "15m", 900
"""Smart meters usually give a value in a quarter of an hour."""
DAY = 86_400
_UNITS = {"h": 3600, "d": DAY, "w": 7 * DAY}


@dataclass(frozen=True, slots=True)
class Level:
    """One roll-up.

    Attributes
    ----------
    name : str
        Retention policy, or last part of the bucket's name.
    bucket : str
        Length of a window as InfluxQL and Grafana write it.
    seconds : int
        The same in seconds; divides a day.
    retention : str
        How long it is kept unless the settings say otherwise.
    shard_days : int
        Days in one file of InfluxDB. With the few points of a long window, the default of a week
        would spread a year over 52 files that hold next to nothing.
    range_days : int or None
        The longest range that a plot reads at this level; None is any.
    """

    name: str
    bucket: str
    seconds: int
    retention: str
    shard_days: int
    range_days: int | None


LEVELS = (
    Level("rollup_5m", "5m", 300, "180d", 7, 14),
    Level("rollup_15m", "15m", 900, "730d", 28, 60),
    Level("rollup_1h", "1h", 3600, "inf", 91, 400),
    Level("rollup_1d", "1d", DAY, "inf", 364, None),
)
PORTFOLIO, PORTFOLIO_SHARD_DAYS = "portfolio", 28
"""What is known of the portfolio: no roll-up, and restated for years."""
DEFAULT_RETENTION: Mapping[str, str] = MappingProxyType(
    {x.name: x.retention for x in LEVELS} | {PORTFOLIO: "inf"}
)


def duration_seconds(duration: str) -> int | None:
    """Seconds of a number of hours, days or weeks such as ``90d``; None for ``inf``."""
    return None if duration == "inf" else int(duration[:-1]) * _UNITS[duration[-1]]


def shard_seconds(name: str, duration: str) -> int | None:
    """Length of a shard of a level that is kept for ``duration``; None leaves it to InfluxDB.

    A shard is dropped whole once its last point has expired, so it is at most a quarter of that.
    """
    known = {level.name: level.shard_days for level in LEVELS} | {PORTFOLIO: PORTFOLIO_SHARD_DAYS}
    days = known.get(name)
    if days is None:
        return None
    kept = duration_seconds(duration)
    return days * DAY if kept is None else max(3600, min(days * DAY, kept // 4 // 3600 * 3600))
