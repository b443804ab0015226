"""Which days of PV a period asks for."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from exporter.energy.stored_pv import days_begun

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("start", "end", "days"),
    [
        ("2026-11-27T00:00", "2026-11-28T00:00", 1),
        # Since yesterday, minutes after midnight.
        ("2026-11-27T00:00", "2026-11-28T00:20", 2),
        ("2026-11-27T00:00", "2026-11-28T15:00", 2),
        ("2026-11-27T15:00", "2026-11-28T15:00", 1),
        ("2026-11-27T10:00", "2026-11-27T15:00", 0),
        # Days of 23 and 25 hours.
        ("2026-03-29T00:00", "2026-03-30T00:00", 1),
        ("2026-10-25T00:00", "2026-10-26T00:00", 1),
        ("2026-10-01T00:00", "2026-11-01T00:00", 31),
    ],
)
def test_days_that_begin_in_a_period_are_counted(start: str, end: str, days: int) -> None:
    first, last = (
        datetime.fromisoformat(t).replace(tzinfo=BERLIN).timestamp() for t in (start, end)
    )
    assert days_begun(first, last, BERLIN) == days
