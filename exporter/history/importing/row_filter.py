"""From rows of a file to rows that can be stored: UTC, within physics, each time once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from exporter.history.importing.counts import Tally
from exporter.history.importing.csv_dialect import Dialect, FileError
from exporter.history.importing.layout import Signal
from exporter.history.importing.local_time import Zone
from exporter.history.importing.repeated_hour import FIRST, SECOND, UNKNOWN, passes
from exporter.history.importing.rows import BadRow, Block, Rows, empty_rows
from exporter.history.importing.units import fitting_units

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

EARLIEST_MS = 946_684_800_000
"""2000-01-01 UTC: a clock without battery begins in 1970 or 1980."""
DAY_MS = 86_400_000
REMEMBERED_ROWS = 12_000_000
_HOPELESS_ROWS = 200

TIME_OUTSIDE = "time is not between 2000 and tomorrow"
SKIPPED = "local time does not exist: daylight saving skips it"
REPEATED = "local time exists twice, and which of the two it is cannot be told"
SECOND_VALUE = "another value for a time that has one"
PHYSICS = "outside physics"


@dataclass(slots=True)
class _Pending:
    """Rows of one repeated hour, until all of them have been seen."""

    rows: list[Rows]
    block: int


class Sieve:
    """Takes the blocks of one file in order; what it gives can be written.

    Parameters
    ----------
    dialect : Dialect
    zone : Zone or None
        Of local times, else None.
    ambiguous : str
        ``order``, ``earlier``, ``later`` or ``reject``: how rows in a repeated hour are told apart.
    now : float
        Unix seconds; what lies a day beyond is no measurement.
    tally : Tally, optional
        Counts to go on with: those of a file that holds many series, with a Sieve for each.
    """

    def __init__(
        self,
        dialect: Dialect,
        zone: Zone | None,
        ambiguous: str,
        now: float,
        tally: Tally | None = None,
    ) -> None:
        self.tally = Tally() if tally is None else tally
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

    def add(self, block: Block) -> Rows:
        """The good rows of a block, ascending in time, and those of earlier blocks that waited.

        Raises
        ------
        FileError
            If not one of the first rows lies within physics, which is a matter of the unit.
        """
        self._block += 1
        tally = self.tally
        tally.rows += block.read
        tally.blank += block.blank
        tally.missing += block.missing
        for row in block.bad:
            self._put_aside(row)
        rows = self._convert(block.rows)
        rows = self._utc(rows)
        settled = [k for k, p in self._pending.items() if p.block < self._block]
        return self._once(_joined([rows, *(self._settle(key) for key in settled)]))

    def finish(self) -> Rows:
        """What waited for more rows."""
        found = [self._settle(key) for key in list(self._pending)]
        rows = self._once(_joined(found)) if found else empty_rows(len(self._dialect.signals))
        if self._seen:
            self.tally.find_gaps(np.sort(np.concatenate([times for times, _ in self._seen])))
        return rows

    def refuse(self, rows: Rows, reason: str) -> None:
        """Put rows aside."""
        self._reject(rows, np.ones(rows.line.size, np.bool_), reason, local=True)

    def _put_aside(self, row: BadRow) -> None:
        reason = row.reason.partition(":")[0] if row.reason.startswith(PHYSICS) else row.reason
        self.tally.put_aside(reason)
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
            low, high = signal.kind.minimum, signal.kind.maximum
            outside = (values[:, n] < low) | (values[:, n] > high)
            if not outside.any():
                continue
            if self._block == 1 and outside.all() and outside.size >= _HOPELESS_ROWS:
                self._ask_for_unit(signal, rows.values[:, n])
            for i in np.flatnonzero(outside).tolist():
                value = float(rows.values[i, n])
                where = f" in column {int(signal.column or 0) + 1}" if values.shape[1] > 1 else ""
                reason = f"{PHYSICS}: {values[i, n]:g} {signal.kind.unit}{where} is not within "
                self._put_aside(
                    BadRow(
                        int(rows.line[i]),
                        f"{reason}{low:g} to {high:g}",
                        f"{self._text(rows, i, local=True).split(self._dialect.separator)[0]}"
                        f"{self._dialect.separator}{value:.10g}",
                    )
                )
            values[outside, n] = np.nan
        useful = ~np.isnan(values).all(axis=1)
        return Rows(rows.line[useful], rows.time[useful], values[useful])

    @staticmethod
    def _ask_for_unit(signal: Signal, values: Floats) -> None:
        fitting = fitting_units(signal.kind, values)
        if fitting:
            kind, unit = signal.kind, signal.conversion.unit
            raise FileError(
                f"not one of the first {values.size} values of {kind.name} is within physics in "
                f"{unit}, the first is {values[0]:g}; in {fitting[0]} they would be: say --unit "
                f"{kind.name}={fitting[0]}"
            )

    def _utc(self, rows: Rows) -> Rows:
        local = self._zone is not None
        # A day of room, since a local time may be that much ahead.
        inside = (rows.time >= EARLIEST_MS) & (rows.time <= self._latest_ms)
        if not inside.all():
            self._reject(rows, ~inside, TIME_OUTSIDE, local=local)
            rows = _take(rows, inside)
        if self._zone is not None:
            utc, later, repeated, skipped = self._zone.to_utc(rows.time)
            if skipped.any():
                self._reject(rows, skipped, SKIPPED, local=True)
            if repeated.any():
                utc, repeated = self._tell_apart(rows, utc, later, repeated)
            rows = _take(Rows(rows.line, utc, rows.values), ~(skipped | repeated))
        before = np.maximum.accumulate(np.concatenate([[self._highest], rows.time]))
        self.tally.unordered += int(np.count_nonzero(rows.time < before[:-1]))
        self._highest = int(before[-1])
        return rows

    def _tell_apart(
        self, rows: Rows, utc: Ints, later: Ints, repeated: Bools
    ) -> tuple[Ints, Bools]:
        """UTC of rows in a repeated hour, and which of them cannot be had yet, or at all."""
        if self._ambiguous in ("earlier", "later"):
            self.tally.repeated += int(np.count_nonzero(repeated))
            return (utc if self._ambiguous == "earlier" else later), np.zeros_like(repeated)
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
            pending.rows.append(_take(rows, chosen))
            pending.block = self._block
        return utc, repeated

    def _settle(self, key: int) -> Rows:
        """Rows of a repeated hour that is over, told apart by their order in the file."""
        assert self._zone is not None
        rows = _joined(self._pending.pop(key).rows)
        self._settled.add(key)
        found = passes(rows.time)
        unknown = found == UNKNOWN
        if unknown.any():
            self._reject(rows, unknown, REPEATED, local=True)
        utc, later, _, _ = self._zone.to_utc(rows.time)
        chosen = np.where(found == SECOND, later, utc)
        self.tally.repeated += int(np.count_nonzero((found == FIRST) | (found == SECOND)))
        return _take(Rows(rows.line, chosen, rows.values), ~unknown)

    def _once(self, rows: Rows) -> Rows:
        """Rows ascending in time, each time once: the first one of the file is kept."""
        order = np.lexsort((rows.line, rows.time))
        rows = _take(rows, order)
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
        self.tally.duplicates += int(np.count_nonzero(same))
        if other.any():
            self._reject(rows, other, SECOND_VALUE, local=False)
        rows, marks = _take(rows, fresh), marks[fresh]
        if rows.time.size:
            self._seen.append((rows.time, marks))
            while sum(t.size for t, _ in self._seen) > self.remembered_rows:
                self._seen.pop(0)
        self.tally.cover(rows.time)
        self.tally.readings += int(np.count_nonzero(~np.isnan(rows.values)))
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


def _take(rows: Rows, chosen: Bools | Ints) -> Rows:
    return Rows(rows.line[chosen], rows.time[chosen], rows.values[chosen])


def _joined(parts: list[Rows]) -> Rows:
    if len(parts) == 1:
        return parts[0]
    return Rows(
        np.concatenate([p.line for p in parts]),
        np.concatenate([p.time for p in parts]),
        np.concatenate([p.values for p in parts]),
    )
