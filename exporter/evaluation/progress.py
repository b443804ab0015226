"""How far a long evaluation is: a line now and then, to standard error."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TextIO

TERMINAL_SECONDS, ELSEWHERE_SECONDS = 5.0, 60.0
"""Between two lines where somebody looks on, and in a log."""


@dataclass(slots=True)
class Progress:
    """Says how far a past is played.

    Attributes
    ----------
    name : str
        What is played, at the beginning of each line.
    begin, end : float
        Of the past, Unix seconds.
    stream : text stream
    clock : callable
        Monotonic seconds.
    """

    name: str
    begin: float
    end: float
    stream: TextIO = field(default_factory=lambda: sys.stderr)
    clock: Callable[[], float] = time.monotonic
    _period: float = field(init=False)
    _started: float = field(init=False)
    _due: float = field(init=False)

    def __post_init__(self) -> None:
        self._period = TERMINAL_SECONDS if self.stream.isatty() else ELSEWHERE_SECONDS
        self._started = self.clock()
        self._due = self._started + self._period

    def reached(self, moment: float) -> None:
        """Say so where a line is due; ``moment`` is in Unix seconds of the past."""
        now = self.clock()
        if now < self._due:
            return
        self._due = now + self._period
        day = datetime.fromtimestamp(moment, UTC)
        text = f"{self.name}: played up to {day:%Y-%m-%d %H:%M} UTC"
        share = (moment - self.begin) / (self.end - self.begin) if self.end > self.begin else 0.0
        if 0 < share <= 1:
            left = (now - self._started) * (1 - share) / share
            text += f", {100 * share:.0f} %, about {left / 60:.0f} min left"
        print(text, file=self.stream, flush=True)
