"""Local times to UTC, whole arrays at once, with the hours that a clock repeats and skips."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

FIRST_YEAR, LAST_YEAR = 1999, 2101
_OFFSET = re.compile(r"(?:UTC)?([+-])(\d{2}):?(\d{2})\Z")
_DAY = 86400


@dataclass(frozen=True)
class Zone:
    """A time zone as its changes of offset.

    Attributes
    ----------
    name : str
    changes : (N,) int64
        Unix seconds at which the offset changes, ascending.
    offsets : (N + 1,) int64
        Seconds ahead of UTC before the first change, and from each change on.
    """

    name: str
    changes: Ints
    offsets: Ints

    def to_utc(self, local: Ints) -> tuple[Ints, Ints, Bools, Bools]:
        """UTC of local times.

        Parameters
        ----------
        local : (n,) int64
            Milliseconds of the wall clock, counted as if it showed UTC.

        Returns
        -------
        utc : (n,) int64
            Milliseconds since 1970-01-01 UTC. Of a repeated time, its first pass.
        later : (n,) int64
            The same for the second pass; equal to ``utc`` where the time is not repeated.
        repeated, skipped : (n,) bool
            Times that the clock showed twice, and times that it never showed.
        """
        before, after = self.offsets[:-1], self.offsets[1:]
        high = (self.changes + np.maximum(before, after)) * 1000
        low = (self.changes + np.minimum(before, after)) * 1000
        sure = np.searchsorted(high, local, side="right")
        begun = np.searchsorted(low, local, side="right")
        within = begun > sure
        falls = np.append(before > after, False)
        repeated = within & falls[sure]
        skipped = within & ~falls[sure]
        utc = local - self.offsets[sure] * 1000
        later = np.where(repeated, local - self.offsets[begun] * 1000, utc)
        return utc, later, repeated, skipped

    def offset_ms(self, utc_ms: int) -> int:
        """Milliseconds ahead of UTC at a moment."""
        place = int(np.searchsorted(self.changes * 1000, utc_ms, side="right"))
        return int(self.offsets[place]) * 1000

    def change_of(self, local: Ints) -> Ints:
        """The number of the change in whose repeated hour each local time lies."""
        low = (self.changes + np.minimum(self.offsets[:-1], self.offsets[1:])) * 1000
        return np.searchsorted(low, local, side="right") - 1


class ZoneError(ValueError):
    """A time zone that does not exist."""


@lru_cache(maxsize=64)
def load_zone(name: str) -> Zone:
    """A zone by its IANA name, or a fixed offset such as ``+01:00``.

    Raises
    ------
    ZoneError
    """
    if name in ("UTC", "Z"):
        return Zone("UTC", np.empty(0, np.int64), np.zeros(1, np.int64))
    fixed = _OFFSET.match(name)
    if fixed:
        seconds = int(fixed[2]) * 3600 + int(fixed[3]) * 60
        signed = -seconds if fixed[1] == "-" else seconds
        return Zone(name, np.empty(0, np.int64), np.array([signed], np.int64))
    try:
        zone = ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ZoneError(
            f"{name!r} is not a time zone; expected one such as Europe/Berlin, UTC or +01:00"
        ) from None
    start = int(datetime(FIRST_YEAR, 1, 1, tzinfo=UTC).timestamp())
    end = int(datetime(LAST_YEAR, 1, 1, tzinfo=UTC).timestamp())
    changes: list[int] = []
    offsets = [_offset(zone, start)]
    for day in range(start, end, 7 * _DAY):
        last = _offset(zone, day + 7 * _DAY)
        if last != offsets[-1]:
            changes.append(_change(zone, day, day + 7 * _DAY))
            offsets.append(last)
    return Zone(name, np.array(changes, np.int64), np.array(offsets, np.int64))


def _change(zone: tzinfo, low: int, high: int) -> int:
    """The second between two at which the offset changes, by bisection."""
    first = _offset(zone, low)
    while high - low > 1:
        middle = (low + high) // 2
        if _offset(zone, middle) == first:
            low = middle
        else:
            high = middle
    return high


def _offset(zone: tzinfo, seconds: int) -> int:
    # Negative or huge stamps go through a difference, which has no limits of the platform.
    when = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    offset = when.astimezone(zone).utcoffset()
    assert offset is not None
    return round(offset.total_seconds())
