"""Counters in files: bad samples that leave their course and return, resets, and what is none."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from exporter.history.importing.counts import Counts
from exporter.history.importing.file_error import FileError
from exporter.history.importing.layout import Signal
from exporter.history.importing.rows import Rows, empty_rows
from scoring.counters import Step, counter_steps, is_counter

Bools = NDArray[np.bool_]

GLITCH = "a counter that leaves its course and returns: a bad sample"
HELD_ROWS, KNOWN_ROWS = 16, 64
"""Rows that wait for what follows, and rows written before that are still looked at."""
_INTERVAL = {
    "meter.energy_import_kwh": "meter.interval_import_kwh",
    "meter.energy_export_kwh": "meter.interval_export_kwh",
}


@dataclass(slots=True)
class CounterSamples:
    """Watches the counters among the signals of one series of rows.

    Attributes
    ----------
    signals : tuple of Signal
    counts : Counts
    """

    signals: tuple[Signal, ...]
    counts: Counts
    _held: Rows = field(init=False)
    _known: Rows = field(init=False)
    _looked: bool = False

    def __post_init__(self) -> None:
        self._held = self._known = empty_rows(len(self.signals))

    @property
    def any(self) -> bool:
        """Whether one of the signals is a counter."""
        return any(signal.quantity.counter for signal in self.signals)

    def add(self, rows: Rows, *, final: bool) -> tuple[Rows, Bools]:
        """Rows that can be judged by now, ascending in time, and which values of them are bad.

        Parameters
        ----------
        rows : Rows
            Of UTC, each time once.
        final : bool
            Whether no more follow.

        Returns
        -------
        rows : Rows
        bad : (n, signals) bool

        Raises
        ------
        FileError
            If the first rows are energy per interval and no counter.
        """
        rows = Rows.joined([self._held, rows])
        # What stands last in the file is next to what follows, also in one with the newest first.
        order = np.argsort(rows.line, kind="stable")
        keep = order.size if final else max(order.size - HELD_ROWS, 0)
        self._held = rows.take(order[keep:])
        ready = np.zeros(rows.line.size, np.bool_)
        ready[order[:keep]] = True
        seen = Rows.joined([self._known, rows])
        emitted = np.concatenate([np.zeros(self._known.line.size, np.bool_), ready])
        by_time = np.argsort(seen.time, kind="stable")
        seen, emitted = seen.take(by_time), emitted[by_time]
        bad = np.zeros(seen.values.shape, np.bool_)
        for n, signal in enumerate(self.signals):
            if signal.quantity.counter:
                bad[:, n] = self._judge(signal, seen, n, emitted)
        good = seen.take(emitted)
        good.values[bad[emitted]] = np.nan
        self._known = Rows.joined([self._known, good])
        latest = np.argsort(self._known.line, kind="stable")[-KNOWN_ROWS:]
        self._known = self._known.take(latest)
        return seen.take(emitted), bad[emitted]

    def _judge(self, signal: Signal, rows: Rows, n: int, emitted: Bools) -> Bools:
        known = ~np.isnan(rows.values[:, n])
        values, times = rows.values[known, n], rows.time[known]
        if not self._looked and values.size:
            self._look(signal, values)
        steps = counter_steps(np.zeros(values.size, np.int64), times, values)
        mine = emitted[known]
        self.counts.resets += int(np.count_nonzero(mine & (steps.kinds == Step.RESET)))
        self.counts.wraps += int(np.count_nonzero(mine & (steps.kinds == Step.WRAP)))
        bad = np.zeros(known.size, np.bool_)
        bad[known] = (steps.kinds == Step.GLITCH) & mine
        return bad

    def _look(self, signal: Signal, values: NDArray[np.float64]) -> None:
        self._looked = True
        if is_counter(values):
            return
        steps = np.diff(values)
        share = int(np.count_nonzero(steps < 0)) / max(int(np.count_nonzero(steps)), 1)
        name = signal.quantity.name
        advice = (
            f"if they are energy per interval, say --quantity {name}={_INTERVAL[name]}"
            if name in _INTERVAL
            else "map them to another quantity"
        )
        raise FileError(
            f"{share:.0%} of the changes of {name} are falls, and a counter does not fall; {advice}"
        )
