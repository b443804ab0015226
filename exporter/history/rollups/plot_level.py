"""A small measurement that tells dashboards which level a plot should read.

A dashboard cannot know how long each level is kept, nor what time it is where it asks, so the
exporter writes both: one row for each level, renewed with every day.
"""

from __future__ import annotations

from collections.abc import Mapping

from exporter.model.levels import (
    DAY,
    LEVELS,
    METER_BUCKET,
    METER_SECONDS,
    RAW,
    RAW_BUCKET,
    RAW_CELL_BUCKET,
    RAW_RANGE_DAYS,
)
from exporter.store.queue import Batch, compress

MEASUREMENT = "level"
PLACE = LEVELS[-1].name
_ENDLESS_DAYS = 1_000_000


def level_batch(kept_from_ms: Mapping[str, int], now_ms: int) -> Batch:
    """A row for each level: its window, the longest range it is meant for, and from when on there
    is any of it. The longest window is the last resort for any range.

    ``choice`` is the name and the least intervals that a plot should have there: of readings, of
    single cells and of meters.
    """
    rows = [(RAW, f"{RAW_BUCKET} {RAW_CELL_BUCKET} {METER_BUCKET}", 0, RAW_RANGE_DAYS)]
    for x in LEVELS:
        meters = METER_BUCKET if x.seconds < METER_SECONDS else x.bucket
        days = x.range_days or _ENDLESS_DAYS
        rows.append((x.name, f"{x.bucket} {x.bucket} {meters}", x.seconds, days))
    day = now_ms // (DAY * 1000) * DAY * 1000
    lines = [
        f"{MEASUREMENT},level={name} seconds={float(seconds)},range_ms={float(days * DAY * 1000)},"
        f"kept_from_ms={float(0 if name == PLACE else kept_from_ms.get(name, 0))},"
        f'choice="{name} {intervals}" {day}'
        for name, intervals, seconds, days in rows
    ]
    return compress(lines, now_ms / 1000, PLACE)
