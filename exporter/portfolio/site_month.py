"""What is known of one site in one month: rows of the ledger in force, and telemetry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from exporter.portfolio.contracts_file import Contracts, EnergyService, SiteContract
from exporter.portfolio.ledger import UNDER_WAY_SECONDS, Ledger
from exporter.portfolio.ledger_rows import Row
from exporter.portfolio.ledger_tables import TABLES
from exporter.portfolio.market_days import MarketMonth
from exporter.portfolio.own_lines import OwnLines, own_lines

FloatArray = NDArray[np.float64]
READING_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Telemetry:
    """Readings of one site.

    ``times`` are Unix seconds, rising, shape (N,); ``values`` arrays of the same shape by field of
    :data:`exporter.portfolio.measurements.TELEMETRY`, NaN where there is no reading.
    """

    times: FloatArray
    values: Mapping[str, FloatArray]

    def of(self, name: str) -> FloatArray:
        """The readings of a field; all NaN where there are none."""
        found = self.values.get(name)
        return np.full(len(self.times), np.nan) if found is None else found

    def between(self, start: float, end: float) -> Telemetry:
        """The readings from ``start`` until before ``end``."""
        first, last = np.searchsorted(self.times, [start, end])
        return Telemetry(self.times[first:last], {k: v[first:last] for k, v in self.values.items()})


def reading_step(telemetry: Telemetry) -> float:
    """Seconds that a reading stands for: the usual time between two, a minute without any."""
    if len(telemetry.times) < 2:
        return READING_SECONDS
    return float(np.median(np.diff(telemetry.times)))


NO_TELEMETRY = Telemetry(np.zeros(0), {})


@dataclass(frozen=True)
class SiteMonth:
    """One site, one month.

    ``events`` and ``tickets`` are those that touch the month or began in the year before it.
    """

    ledger: Ledger
    terms: Contracts
    site: SiteContract
    month: MarketMonth
    telemetry: Telemetry = field(default=NO_TELEMETRY, repr=False)

    @cached_property
    def dispatch(self) -> list[Row]:
        """Orders and power, by their beginning."""
        return self._latest("dispatch", self.month.start)

    @cached_property
    def events(self) -> list[Row]:
        """Events that touch the month, by their beginning."""
        rows = self._latest("events", self.month.start - UNDER_WAY_SECONDS)
        touching = [r for r in rows if r["end"] is None or r["end"] > self.month.start]
        return sorted(touching, key=lambda row: (row["start"], row["device"], row["code"]))

    @cached_property
    def events_before(self) -> list[Row]:
        """Events that began in the year before the end of the month."""
        return self._latest("events", self.month.start - UNDER_WAY_SECONDS)

    @cached_property
    def tickets(self) -> list[Row]:
        """Tickets that were opened in the year before the end of the month."""
        return self._latest("tickets", self.month.start - UNDER_WAY_SECONDS)

    @cached_property
    def budget(self) -> list[Row]:
        """What was expected."""
        # Dates are kept as such, and compared in UTC: a day more on either side.
        rows = self.ledger.latest(
            TABLES["budget"], self.month.start - 86_400, self.month.end + 86_400, [self.site.id]
        )
        return rows

    @cached_property
    def statements(self) -> list[Row]:
        """Every version of every line of every run, the oldest first."""
        return self.ledger.versions(
            TABLES["settlement"], self.month.start, self.month.end, [self.site.id]
        )

    @cached_property
    def own(self) -> OwnLines:
        """What should be paid."""
        return own_lines(self.ledger, self.site, self.month.zone, self.month.start, self.month.end)

    @property
    def energy_service(self) -> EnergyService | None:
        """The service that pays for energy; None without one."""
        return next((s for s in self.site.services if isinstance(s, EnergyService)), None)

    def _latest(self, table: str, start: float) -> list[Row]:
        return self.ledger.latest(TABLES[table], start, self.month.end, [self.site.id])


def number_array(rows: Sequence[Row], name: str) -> FloatArray:
    """A column as an array; NaN where it is open."""
    return np.array(
        [np.nan if row[name] is None else float(row[name]) for row in rows], dtype=np.float64
    )
