"""What the history of a site's cells says: the part of the Assessment that is renewed hourly."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from pydantic import TypeAdapter

FORECAST_MV = (30, 60, 100)
"""Limits that are forecast, in mV from the median of the pack at rest: those of
:data:`scoring.cells.imbalance.DEFAULT_LIMITS` and the 0.10 V at which a spread is reported."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """Days until a cell is ``millivolts`` off: 0 where it is, None if it never gets there."""

    millivolts: int
    days: float | None
    earliest: float | None
    latest: float | None


@dataclass(frozen=True, slots=True)
class CellState:
    """One cell; every figure is None where the history does not carry it.

    Attributes
    ----------
    cell : str
    deviation_v : float
        Distance from the median of its pack at rest, V.
    temperature_k : float
        The same for its temperature, K.
    slope_v_per_day, slope_low, slope_high : float
        Trend of the deviation with its interval, V/day.
    resistance_ratio : float
        Of its resistance to the pack's median.
    forecasts : tuple of Forecast
    """

    cell: str
    deviation_v: float | None
    temperature_k: float | None
    slope_v_per_day: float | None
    slope_low: float | None
    slope_high: float | None
    resistance_ratio: float | None
    forecasts: tuple[Forecast, ...]


@dataclass(frozen=True, slots=True)
class CellFinding:
    """Something to say of one cell; ``since`` is Unix seconds, None where it is not known."""

    cell: str
    reason: str
    severity: str
    value: float
    unit: str
    since: float | None
    sentence: str


@dataclass(frozen=True, slots=True)
class Cycling:
    """How a pack was used in the time seen; None where current or charge are not known.

    ``depth_counts`` are cycles by depth, in tenths from 0 to 100 %; ``temperature_hours`` are
    hours, all cells together, in the ranges of :data:`scoring.cells.cycles.TEMPERATURE_EDGES`.
    """

    days: float
    cycles: float | None
    equivalent_full: float | None
    depth_counts: tuple[float, ...]
    charged_kwh: float | None
    discharged_kwh: float | None
    missing_hours: float | None
    efficiency: float | None
    efficiency_uncertainty: float | None
    temperature_hours: tuple[float, ...]


FORMULA = "100 - min(2.5 * years, 15) - min(0.035 * full cycles, 20) - imbalance"


@dataclass(frozen=True, slots=True)
class Estimate:
    """State of health by age and use, which measures nothing; see :data:`FORMULA`.

    Attributes
    ----------
    percent : float
    calendar, cycles, imbalance : float
        Points deducted for each.
    years : float
        Since the site was commissioned.
    full_cycles : float
        Equivalent full cycles of its whole life.
    cycles_basis : str
        ``counters`` where the battery's energy counters gave them, ``use seen`` where the use in
        the time seen was taken for that of its whole life.
    formula : str
    """

    percent: float
    calendar: float
    cycles: float
    imbalance: float
    years: float
    full_cycles: float
    cycles_basis: str
    formula: str = FORMULA


@dataclass(frozen=True, slots=True)
class Health:
    """State of health: as reported with its class, measured where current and rests allow, and
    estimated where the fleet file says when the site was commissioned."""

    reported_percent: float | None
    reported_class: str | None
    measured_percent: float | None
    measured_uncertainty: float | None
    measured_spans: int
    estimate: Estimate | None = None


@dataclass(frozen=True, slots=True)
class PackCells:
    """One pack; ``start`` and ``end`` of what was read are Unix seconds."""

    pack: str
    start: float
    end: float
    samples: int
    resting_windows: int
    trend_basis: str
    spread_rest_v: float | None
    cells: tuple[CellState, ...]
    findings: tuple[CellFinding, ...]
    cycling: Cycling | None
    health: Health | None


@dataclass(frozen=True, slots=True)
class SiteCells:
    """All packs of a site whose single cells are stored.

    Attributes
    ----------
    site : str
    time : float
        Unix seconds at which it was worked out.
    packs : tuple of PackCells
    fault : str or None
        Why nothing could be said.
    """

    site: str
    time: float
    packs: tuple[PackCells, ...] = field(default=())
    fault: str | None = None

    def worst_finding(self) -> CellFinding | None:
        """The most severe finding that is a warning or worse; None without one."""
        ranked = [
            (f.severity != "critical", -abs(f.value), pack.pack, f.cell, f)
            for pack in self.packs
            for f in pack.findings
            if f.severity in ("critical", "warning")
        ]
        return min(ranked, key=lambda entry: entry[:4])[4] if ranked else None

    def worst(self, most: int) -> Iterator[tuple[PackCells, CellState, tuple[CellFinding, ...]]]:
        """The cells with a warning or a trend, most severe first, then those furthest off."""
        order = ("critical", "warning", "info")
        found = []
        for pack in self.packs:
            for cell in pack.cells:
                mine = tuple(
                    f
                    for f in pack.findings
                    if f.cell == cell.cell and (f.severity != "info" or f.reason == "trend")
                )
                if mine:
                    severity = min(order.index(f.severity) for f in mine)
                    found.append((severity, -abs(cell.deviation_v or 0.0), pack, cell, mine))
        found.sort(key=lambda entry: (entry[0], entry[1], entry[2].pack, entry[3].cell))
        for _, _, pack, cell, mine in found[:most]:
            yield pack, cell, mine


_ADAPTER = TypeAdapter(SiteCells)


def from_json(text: str | bytes) -> SiteCells:
    """What :func:`as_dict` gave, from JSON."""
    return _ADAPTER.validate_json(text)


def from_dict(values: Any) -> SiteCells:
    """What :func:`as_dict` gave; ``ValueError`` if it is anything else."""
    return _ADAPTER.validate_python(values)


def as_dict(cells: SiteCells) -> dict[str, Any]:
    """Plain JSON values."""
    return asdict(cells)


def short_name(pack: str, packs: list[str], cell: str) -> str:
    """``3/17`` for cell 17 of pack ``bms1/3``, as long as no other pack of the site ends in 3."""
    last = pack.rpartition("/")[2]
    same = [other for other in packs if other.rpartition("/")[2] == last]
    return f"{last if len(same) == 1 else pack}/{cell}"
