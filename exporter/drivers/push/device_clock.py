"""Whether the clock of a node can be believed, and which of its points are late. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

from exporter.drivers.clock_notice import CLOCK_SECONDS

_STEADY_SECONDS = 2.0
_STEADY_SHARE = 0.2


@dataclass(frozen=True, slots=True)
class Seen:
    """What became of a point's time.

    ``time`` is its own time, or, by a clock that is not believed, the time of receipt or what the
    node's clock had before it. ``is_late`` says that it belongs to an earlier moment.
    """

    time: float
    is_late: bool


class DeviceClock:
    """The clock of one node, by what it sent.

    An old point may be late or come from a clock that is behind. Where the node says when it sent
    it, that settles it. Else a clock that is behind shows by points that are old and follow each
    other as fast as they arrive; those of a backlog come faster.

    Attributes
    ----------
    offset_seconds : float
        How far the clock is ahead, 0 while it is believed.
    """

    def __init__(self) -> None:
        self.offset_seconds = 0.0
        self._latest = self._latest_time = -math.inf
        self._old: tuple[float, float] | None = None

    def see(self, measured: float, sent: float, now: float) -> Seen:
        """Judge a point.

        Parameters
        ----------
        measured : float
            Its time by the node's clock, Unix seconds.
        sent : float
            When it was sent, by the same clock; NaN unknown.
        now : float
            Unix seconds here.
        """
        offset = self._offset(measured, sent, now)
        self.offset_seconds = offset if abs(offset) > CLOCK_SECONDS else 0.0
        time = measured - self.offset_seconds
        is_late = time <= self._latest_time or now - time > CLOCK_SECONDS
        if not is_late:
            self._latest, self._latest_time = measured, time
        return Seen(time, is_late)

    def _offset(self, measured: float, sent: float, now: float) -> float:
        if not math.isnan(sent):
            return sent - now
        if measured - now > CLOCK_SECONDS:
            return measured - now
        if now - measured <= CLOCK_SECONDS or measured <= self._latest:
            self._old = None
            return 0.0
        before, self._old = self._old, (now, measured)
        if before is None:
            return 0.0
        passed, advanced = now - before[0], measured - before[1]
        steady = abs(advanced - passed) <= max(_STEADY_SECONDS, _STEADY_SHARE * passed)
        return measured - now if passed >= 1.0 and steady else 0.0
