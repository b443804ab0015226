"""Days and months of a market: local days, of 23, 24 or 25 hours."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class MarketMonth:
    """One month of local days, or the part of it that has passed.

    ``edges`` are Unix seconds of the local midnights, the end included.
    """

    zone: ZoneInfo
    edges: tuple[float, ...]

    @property
    def start(self) -> float:
        """Unix seconds."""
        return self.edges[0]

    @property
    def end(self) -> float:
        """Unix seconds."""
        return self.edges[-1]

    @property
    def days(self) -> Sequence[tuple[float, float]]:
        """Beginning and end of each day, Unix seconds."""
        return list(zip(self.edges[:-1], self.edges[1:], strict=True))

    @property
    def is_whole(self) -> bool:
        """Whether all of its days have passed."""
        return datetime.fromtimestamp(self.end, self.zone).day == 1

    def day_of(self, times: NDArray[np.float64]) -> NDArray[np.int64]:
        """The day of each time, from 0; -1 before the month, the number of days after it."""
        found = np.searchsorted(np.array(self.edges), times, side="right") - 1
        return np.where(times >= self.end, len(self.edges) - 1, found).astype(np.int64)

    def begin_of(self, time: float) -> float:
        """The beginning of the day of a time within the month."""
        return self.edges[int(self.day_of(np.array([time]))[0])]


def local_midnight(time: float, zone: ZoneInfo) -> datetime:
    """The beginning of the local day of a time, Unix seconds."""
    at = datetime.fromtimestamp(time, zone)
    return at.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)


def months(start: float, end: float, zone: ZoneInfo, now: float) -> Iterator[MarketMonth]:
    """The months that a period touches, from their first day, without days that have not ended."""
    at = local_midnight(start, zone).replace(day=1)
    while at.timestamp() < end:
        following = (at + timedelta(days=32)).replace(day=1)
        days = (following.date() - at.date()).days
        midnights = [(at + timedelta(days=n)).timestamp() for n in range(days + 1)]
        edges = tuple(edge for edge in midnights if edge <= now)
        if len(edges) > 1:
            yield MarketMonth(zone, edges)
        at = following
