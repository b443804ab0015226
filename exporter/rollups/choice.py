"""Which level a plot should read: a small measurement that dashboards ask.

A dashboard cannot know how long each level is kept, nor what time it is where it asks, so the
exporter writes both: one row for each level, renewed with every day.
"""

from __future__ import annotations

from collections.abc import Mapping

from exporter.levels import DAY, LEVELS, RAW, RAW_BUCKET, RAW_RANGE_DAYS
from exporter.sink.queue import Batch, compress

MEASUREMENT = "level"
PLACE = LEVELS[-1].name
_ENDLESS_DAYS = 1_000_000


def level_batch(kept_from_ms: Mapping[str, int], now_ms: int) -> Batch:
    """A row for each level: its window, the longest range it is meant for, and from when on there
    is any of it. The longest window is the last resort for any range."""
    rows = [(RAW, RAW_BUCKET, 0, RAW_RANGE_DAYS)]
    rows += [(x.name, x.bucket, x.seconds, x.range_days or _ENDLESS_DAYS) for x in LEVELS]
    day = now_ms // (DAY * 1000) * DAY * 1000
    lines = [
        f"{MEASUREMENT},level={name} seconds={float(seconds)},range_ms={float(days * DAY * 1000)},"
        f"kept_from_ms={float(0 if name == PLACE else kept_from_ms.get(name, 0))},"
        f'choice="{name} {bucket}" {day}'
        for name, bucket, seconds, days in rows
    ]
    return compress(lines, now_ms / 1000, PLACE)
