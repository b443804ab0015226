"""One file from beginning to end: batches of lines, and beside them counts and bad rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from exporter.importing.blocks import BadRow, examine, read_blocks
from exporter.importing.layout import FilePlan
from exporter.importing.lines import encode
from exporter.importing.sieve import Sieve
from exporter.importing.sniff import Dialect
from exporter.importing.tally import Tally
from exporter.importing.zone import Zone, ZoneError, load_zone


@dataclass(frozen=True, slots=True)
class Piece:
    """A step of reading a file.

    Attributes
    ----------
    lines : bytes
        Line protocol; empty where a block gave none.
    points : int
    bytes : int
        Bytes of the file that were read for it.
    """

    lines: bytes
    points: int
    bytes: int


class FileReader:
    """Reads one file; the same pieces every time, as long as the file is the same.

    Parameters
    ----------
    plan : FilePlan
    keep_aside : callable
        Takes the bad rows of each block.
    now : float
        Unix seconds.

    Raises
    ------
    FileError, ZoneError
    """

    def __init__(
        self, plan: FilePlan, keep_aside: Callable[[list[BadRow]], None], now: float
    ) -> None:
        self.plan = plan
        self.dialect: Dialect = examine(plan)
        zone: Zone | None = None
        if self.dialect.time.is_local:
            if plan.format.timezone is None:
                raise ZoneError("its times are local and no time zone is said; say --timezone")
            zone = load_zone(plan.format.timezone)
        self._sieve = Sieve(self.dialect, zone, plan.format.ambiguous or "order", now)
        self._keep_aside = keep_aside

    @property
    def tally(self) -> Tally:
        """Counts so far."""
        return self._sieve.tally

    def pieces(self) -> Iterator[Piece]:
        """The whole file.

        Raises
        ------
        FileError
            If it cannot be read to its end.
        """
        signals = self.dialect.signals
        for block in read_blocks(self.plan, self.dialect):
            rows = self._sieve.add(block)
            self._flush_bad()
            size = block.bytes
            for lines, points in encode(rows, signals):
                yield Piece(lines, points, size)
                size = 0
            if size:
                yield Piece(b"", 0, size)
        for lines, points in encode(self._sieve.finish(), signals):
            yield Piece(lines, points, 0)
        self._flush_bad()

    def _flush_bad(self) -> None:
        bad, self._sieve.bad = self._sieve.bad, []
        if bad:
            self._keep_aside(bad)
