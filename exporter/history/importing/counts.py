"""What was found in a file: counts that add up, and the times that it covers."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
OF_DEVICES = (
    *("outside physics", "time is not between", "local time"),
    *("another value", "a counter"),
)
"""How reasons begin that lie in the recording and not in how it is written."""
FEWEST_UNREAD, LARGEST_UNREAD_SHARE, LARGEST_BAD_SHARE = 3, 0.01, 0.2
BLOCK = 51
"""Steps of which the median is what is usual there."""


@dataclass(slots=True)
class Counts:
    """Counts of one file or of many.

    rows = blank + bad rows + rows that gave readings or had nothing in them or were duplicates.

    Attributes
    ----------
    rows, blank : int
        Rows read, and lines with nothing on them.
    readings, points : int
        Values to be written, and values that the server has taken.
    missing : int
        Fields with nothing in them.
    duplicates : int
        Rows that say again what another row says.
    unordered : int
        Rows whose time lies before that of a row above them.
    repeated : int
        Rows in the hour that the clock shows twice, each with its pass.
    bad : dict of reason to count
    first, last : int or None
        Milliseconds UTC.
    cadence, gaps, longest_gap, gap_seconds
        Usual distance of two rows in seconds, how many are more than 2.5 times as far apart as is
        usual around them, and seconds without rows, at most and in all.
    rejected : int
        Points that the server refused for good.
    left_out : int
        Rows of something that the mapping does not ask for; they are no ``rows``.
    resets, wraps : int
        How often counters began again, and how often they passed their largest number.
    """

    rows: int = 0
    blank: int = 0
    readings: int = 0
    points: int = 0
    missing: int = 0
    duplicates: int = 0
    unordered: int = 0
    repeated: int = 0
    bad: dict[str, int] = field(default_factory=dict)
    first: int | None = None
    last: int | None = None
    cadence: float | None = None
    gaps: int = 0
    longest_gap: float = 0.0
    gap_seconds: float = 0.0
    rejected: int = 0
    left_out: int = 0
    resets: int = 0
    wraps: int = 0

    @property
    def bad_rows(self) -> int:
        """All that was kept aside."""
        return sum(self.bad.values())

    @property
    def shortfall(self) -> float:
        """The share of the rows that could not be read, if that is more than a few bad ones.

        0 where the file was read as it should. Fields of another width, times and numbers that
        cannot be read, and a file without any reading, are signs of a file that was misunderstood;
        values outside physics and times that have a value already are so if they are many.
        """
        rows = self.rows - self.blank
        if not self.readings and (rows or self.left_out):
            return 1.0
        if not rows:
            return 0.0
        unread = sum(n for reason, n in self.bad.items() if not reason.startswith(OF_DEVICES))
        if unread > max(FEWEST_UNREAD, LARGEST_UNREAD_SHARE * rows):
            return min(unread / rows, 1.0)
        return min(self.bad_rows / rows, 1.0) if self.bad_rows > LARGEST_BAD_SHARE * rows else 0.0

    @property
    def main_reason(self) -> str:
        """The reason of most bad rows; empty without any."""
        return max(self.bad, key=lambda reason: self.bad[reason]) if self.bad else ""

    def put_aside(self, reason: str, count: int = 1) -> None:
        """Count bad rows."""
        if count:
            self.bad[reason] = self.bad.get(reason, 0) + count

    def cover(self, times: Ints) -> None:
        """Note the range of some times in milliseconds UTC."""
        if times.size:
            low, high = int(times.min()), int(times.max())
            self.first = low if self.first is None else min(self.first, low)
            self.last = high if self.last is None else max(self.last, high)

    def find_gaps(self, times: Ints) -> None:
        """Cadence and gaps of all times of a series, ascending, in milliseconds.

        Of several series in one file, the cadence is that of the first.
        """
        steps = np.diff(times) / 1000.0
        if not steps.size:
            return
        if self.cadence is None:
            self.cadence = float(np.median(steps))
        usual = _usual(steps)
        wide = steps > 2.5 * usual
        self.gaps += int(wide.sum())
        self.longest_gap = max(self.longest_gap, float(steps[wide].max(initial=0.0)))
        self.gap_seconds += float((steps - usual)[wide].sum())

    def add(self, other: Counts) -> None:
        """Add the counts of another file."""
        for name in (
            *("rows", "blank", "readings", "points", "missing", "duplicates", "unordered"),
            *("repeated", "gaps", "gap_seconds", "rejected", "left_out", "resets", "wraps"),
        ):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for reason, count in other.bad.items():
            self.put_aside(reason, count)
        self.longest_gap = max(self.longest_gap, other.longest_gap)
        for time in (other.first, other.last):
            if time is not None:
                self.cover(np.array([time]))


def _usual(steps: Floats) -> Floats:
    """What is a usual step around each one, since a logger may be set to another cadence.

    The steps are taken in blocks, each with its median; of a block and its two neighbours the
    longest counts, so that the steps on the slower side of a change are none too long.
    """
    blocks = max(1, steps.size // BLOCK)
    sizes = np.full(blocks, BLOCK)
    sizes[-1] = steps.size - (blocks - 1) * BLOCK
    medians = np.empty(blocks)
    medians[:-1] = np.median(steps[: (blocks - 1) * BLOCK].reshape(-1, BLOCK), axis=1)
    medians[-1] = np.median(steps[-sizes[-1] :])
    around = medians.copy()
    around[1:] = np.maximum(around[1:], medians[:-1])
    around[:-1] = np.maximum(around[:-1], medians[1:])
    return np.repeat(around, sizes)
