"""From rows of a file to rows that can be stored: UTC, within physics, each time once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from exporter.history.importing.counter_samples import GLITCH, CounterSamples
from exporter.history.importing.counts import Counts
from exporter.history.importing.csv_dialect import Dialect
from exporter.history.importing.file_error import FileError
from exporter.history.importing.layout import Signal
from exporter.history.importing.local_time import Zone
from exporter.history.importing.repeated_hour import passes
from exporter.history.importing.rows import BadRow, Block, Rows, empty_rows
from exporter.history.importing.time_text import FIRST, SECOND, UNKNOWN
from exporter.history.importing.units import fitting_units

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

EARLIEST_MS = 946_684_800_000
"""2000-01-01 UTC: a clock without battery begins in 1970 or 1980."""
DAY_MS = 86_400_000
REMEMBERED_ROWS = 12_000_000
SAMPLES = 3
"""The first readings of a signal that a report shows."""
_HOPELESS_ROWS = 200

TIME_OUTSIDE = "time is not between 2000 and tomorrow"
SKIPPED = "local time does not exist: daylight saving skips it"
REPEATED = "local time exists twice, and nothing says which of the two it is"
SECOND_VALUE = "another value for a time that has one"
PHYSICS = "outside physics"


@dataclass(slots=True)
class _Pending:
    """Rows of one repeated hour, until all of them have been seen."""

    rows: list[Rows]
    block: int


class RowFilter:
    """Takes the blocks of one file in order; what it returns can be written.

    Parameters
    ----------
    dialect : Dialect
    zone : Zone or None
        Of local times, else None.
    ambiguous : str
        ``order``, ``earlier``, ``later`` or ``reject``: how rows in a repeated hour get their pass.
    now : float
        Unix seconds; what lies a day beyond is no measurement.
    counts : Counts, optional
        Counts to go on with: those of a file that holds many series, with a filter for each.
    """

    def __init__(
        self,
        dialect: Dialect,
        zone: Zone | None,
        ambiguous: str,
        now: float,
        counts: Counts | None = None,
    ) -> None:
        self.counts = Counts() if counts is None else counts
        self.remembered_rows = REMEMBERED_ROWS
        self.bad: list[BadRow] = []
        self._dialect = dialect
        self._zone = zone
        self._ambiguous = ambiguous
        self._latest_ms = int(now * 1000) + DAY_MS
        self._block = 0
        self._highest = -(2**62)
        self._pending: dict[int, _Pending] = {}
        self._settled: set[int] = set()
        self._seen: list[tuple[Ints, NDArray[np.uint64]]] = []
        self._counters = CounterSamples(dialect.signals, self.counts)
        self.samples: list[list[tuple[int, float]]] = [[] for _ in dialect.signals]

    def add(self, block: Block) -> Rows:
        """The good rows of a block, ascending in time, and those of earlier blocks that waited.

        Raises
        ------
        FileError
            If not one of the first rows lies within physics, which is a matter of the unit, or if
            a counter is none.
        """
        self._block += 1
        counts = self.counts
        counts.rows += block.read
        counts.blank += block.blank
        counts.missing += block.missing
        counts.left_out += block.left_out
        for row in block.bad:
            self._put_aside(row)
        rows = self._convert(block.rows)
        rows = self._utc(rows)
        settled = [k for k, p in self._pending.items() if p.block < self._block]
        rows = self._once(Rows.joined([rows, *(self._settle(key) for key in settled)]))
        return self._counted(rows, final=False)

    def finish(self) -> Rows:
        """What waited for more rows."""
        found = [self._settle(key) for key in list(self._pending)]
        rows = empty_rows(len(self._dialect.signals))
        if found:
            rows = self._once(Rows.joined(found))
        rows = self._counted(rows, final=True)
        if self._seen:
            self.counts.find_gaps(np.sort(np.concatenate([times for times, _ in self._seen])))
        return rows

    def refuse(self, rows: Rows, reason: str) -> None:
        """Put rows aside."""
        self._reject(rows, np.ones(rows.line.size, np.bool_), reason, local=True)

    def _put_aside(self, row: BadRow) -> None:
        reason = row.reason.partition(":")[0] if row.reason.startswith(PHYSICS) else row.reason
        self.counts.put_aside(reason)
        self.bad.append(row)

    def _reject(self, rows: Rows, chosen: Bools, reason: str, *, local: bool) -> None:
        for i in np.flatnonzero(chosen).tolist():
            self._put_aside(BadRow(int(rows.line[i]), reason, self._text(rows, i, local=local)))

    def _text(self, rows: Rows, i: int, *, local: bool) -> str:
        when = datetime.fromtimestamp(int(rows.time[i]) / 1000, UTC) if _shown(rows, i) else None
        stamp = str(int(rows.time[i])) if when is None else when.isoformat(timespec="milliseconds")
        stamp = stamp.removesuffix("+00:00") + ("" if local or when is None else "Z")
        return self._dialect.separator.join([stamp, *(f"{v:.10g}" for v in rows.values[i, :8])])

    def _convert(self, rows: Rows) -> Rows:
        """Values in the schema's units; those outside physics are put aside."""
        values = np.empty_like(rows.values)
        for n, signal in enumerate(self._dialect.signals):
            values[:, n] = signal.conversion.apply(rows.values[:, n])
            low, high = signal.quantity.minimum, signal.quantity.maximum
            outside = (values[:, n] < low) | (values[:, n] > high)
            if not outside.any():
                continue
            if self._block == 1 and outside.all() and outside.size >= _HOPELESS_ROWS:
                self._ask_for_unit(signal, rows.values[:, n])
            for i in np.flatnonzero(outside).tolist():
                value = float(rows.values[i, n])
                where = f" in column {int(signal.column or 0) + 1}" if values.shape[1] > 1 else ""
                reason = f"{PHYSICS}: {values[i, n]:g} {signal.quantity.unit}{where} is not within "
                self._put_aside(
                    BadRow(
                        int(rows.line[i]),
                        f"{reason}{low:g} to {high:g}",
                        f"{self._text(rows, i, local=True).split(self._dialect.separator)[0]}"
                        f"{self._dialect.separator}{value:.10g}",
                    )
                )
            values[outside, n] = np.nan
        useful = np.flatnonzero(~np.isnan(values).all(axis=1))
        return Rows(rows.line, rows.time, values, rows.passes).take(useful)

    @staticmethod
    def _ask_for_unit(signal: Signal, values: Floats) -> None:
        fitting = fitting_units(signal.quantity, values)
        if fitting:
            quantity, unit = signal.quantity, signal.conversion.unit
            raise FileError(
                f"not one of the first {values.size} values of {quantity.name} is within physics "
                f"in {unit}, the first is {values[0]:g}; in {fitting[0]} they would be: say --unit "
                f"{quantity.name}={fitting[0]}"
            )

    def _utc(self, rows: Rows) -> Rows:
        local = self._zone is not None
        # A day of room, since a local time may be that much ahead.
        inside = (rows.time >= EARLIEST_MS) & (rows.time <= self._latest_ms)
        if not inside.all():
            self._reject(rows, ~inside, TIME_OUTSIDE, local=local)
            rows = rows.take(inside)
        if self._zone is not None:
            utc, later, repeated, skipped = self._zone.to_utc(rows.time)
            if skipped.any():
                self._reject(rows, skipped, SKIPPED, local=True)
            if repeated.any():
                utc, repeated = self._with_pass(rows, utc, later, repeated)
            rows = rows.at(utc).take(~(skipped | repeated))
        before = np.maximum.accumulate(np.concatenate([[self._highest], rows.time]))
        self.counts.unordered += int(np.count_nonzero(rows.time < before[:-1]))
        self._highest = int(before[-1])
        return rows

    def _with_pass(self, rows: Rows, utc: Ints, later: Ints, repeated: Bools) -> tuple[Ints, Bools]:
        """UTC of rows in a repeated hour, and which of them cannot be had yet, or at all."""
        named = repeated & (rows.passes != UNKNOWN)
        if named.any():
            self.counts.repeated += int(np.count_nonzero(named))
            utc = np.where(named & (rows.passes == SECOND), later, utc)
            repeated = repeated & ~named
        if self._ambiguous in ("earlier", "later"):
            self.counts.repeated += int(np.count_nonzero(repeated))
            chosen = utc if self._ambiguous == "earlier" else np.where(repeated, later, utc)
            return chosen, np.zeros_like(repeated)
        if self._ambiguous == "reject":
            self._reject(rows, repeated, REPEATED, local=True)
            return utc, repeated
        assert self._zone is not None  # only local times are repeated
        change = self._zone.change_of(rows.time)
        for key in np.unique(change[repeated]).tolist():
            chosen = repeated & (change == key)
            if key in self._settled:
                self._reject(rows, chosen, REPEATED, local=True)
                continue
            pending = self._pending.setdefault(key, _Pending([], self._block))
            pending.rows.append(rows.take(chosen))
            pending.block = self._block
        return utc, repeated

    def _settle(self, key: int) -> Rows:
        """Rows of a repeated hour that is over, each with the pass that the order gives it."""
        assert self._zone is not None
        rows = Rows.joined(self._pending.pop(key).rows)
        self._settled.add(key)
        found = passes(rows.time)
        unknown = found == UNKNOWN
        if unknown.any():
            self._reject(rows, unknown, REPEATED, local=True)
        utc, later, _, _ = self._zone.to_utc(rows.time)
        chosen = np.where(found == SECOND, later, utc)
        self.counts.repeated += int(np.count_nonzero((found == FIRST) | (found == SECOND)))
        return rows.at(chosen).take(~unknown)

    def _once(self, rows: Rows) -> Rows:
        """Rows ascending in time, each time once: the first one of the file is kept."""
        order = np.lexsort((rows.line, rows.time))
        rows = rows.take(order)
        n = rows.time.size
        if n == 0:
            return rows
        marks = _marks(rows.values)
        fresh = np.append(True, np.diff(rows.time) != 0)
        first = np.maximum.accumulate(np.where(fresh, np.arange(n), 0))
        same = ~fresh & (marks == marks[first])
        other = ~fresh & ~same
        for times, earlier in self._seen:
            if times[-1] < rows.time[0] or times[0] > rows.time[-1]:
                continue
            place = np.minimum(np.searchsorted(times, rows.time), times.size - 1)
            again = times[place] == rows.time
            same |= again & (marks == earlier[place])
            other = (other | again) & ~same
            fresh &= ~again
        self.counts.duplicates += int(np.count_nonzero(same))
        if other.any():
            self._reject(rows, other, SECOND_VALUE, local=False)
        rows, marks = rows.take(fresh), marks[fresh]
        if rows.time.size:
            self._seen.append((rows.time, marks))
            while sum(t.size for t, _ in self._seen) > self.remembered_rows:
                self._seen.pop(0)
        return rows

    def _counted(self, rows: Rows, *, final: bool) -> Rows:
        """The rows with the bad samples of their counters put aside; some wait for what follows."""
        if self._counters.any:
            rows, bad = self._counters.add(rows, final=final)
            for row, n in zip(*(place.tolist() for place in np.nonzero(bad)), strict=True):
                when = self._text(rows, row, local=False).split(self._dialect.separator)[0]
                text = f"{when}{self._dialect.separator}{rows.values[row, n]:.10g}"
                self._put_aside(BadRow(int(rows.line[row]), GLITCH, text))
            rows.values[bad] = np.nan
            rows = rows.take(np.flatnonzero(~np.isnan(rows.values).all(axis=1)))
        self.counts.cover(rows.time)
        known = ~np.isnan(rows.values)
        self.counts.readings += int(np.count_nonzero(known))
        for n, samples in enumerate(self.samples):
            if len(samples) < SAMPLES:
                first = np.flatnonzero(known[:, n])[: SAMPLES - len(samples)]
                samples += [(int(rows.time[i]), float(rows.values[i, n])) for i in first.tolist()]
        return rows


def _shown(rows: Rows, i: int) -> bool:
    return 0 <= int(rows.time[i]) < 253_402_300_800_000


def _marks(values: Floats) -> NDArray[np.uint64]:
    """A number for each row that is equal for equal rows."""
    # -0.0 and 0.0 are the same reading; adding 0 makes them the same bits.
    bits = np.ascontiguousarray(np.where(np.isnan(values), np.nan, values + 0.0)).view(np.uint64)
    mark = np.zeros(values.shape[0], np.uint64)
    for column in range(values.shape[1]):
        mark = (mark ^ bits[:, column]) * np.uint64(0x9E3779B97F4A7C15)
        mark ^= mark >> np.uint64(29)
    return mark
