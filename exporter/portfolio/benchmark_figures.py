"""Vendors compared by the figures of their plants."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from exporter.portfolio.contracts_file import SiteContract
from exporter.portfolio.figure import Figure, figure
from scoring.outliers import robust_scores

LEAST_PLANTS = 3


@dataclass(frozen=True, slots=True)
class Compared:
    """A figure that plants are compared by: where it is, whether more is better, and a floor of the
    MAD in its unit, below which plants count as equal."""

    measurement: str
    field: str
    label: str
    unit: str
    more_is_better: bool
    floor: float


COMPARED = (
    Compared("plant_month", "availability_percent", "Availability", "%", True, 0.25),
    Compared("plant_month", "mtbf_hours", "Time between failures", "h", True, 24.0),
    Compared("plant_month", "restoration_hours", "Time to restoration", "h", False, 0.5),
    Compared("plant_month", "repair_hours", "Time of repair", "h", False, 0.5),
    Compared("plant_month", "round_trip_percent", "Round trip", "%", True, 0.5),
    Compared("plant_month", "revenue_per_mw", "Revenue per MW", "amount", True, 100.0),
    Compared(
        "plant_month", "energy_margin_per_cycle", "Energy revenue per cycle", "amount", True, 50.0
    ),
    Compared("plant_day", "latency_p95_ms", "Latency, p95", "ms", False, 5.0),
    Compared("plant_day", "gap_minutes", "Gaps a day", "min", False, 2.0),
    Compared("plant_day", "inverter_efficiency_percent", "Inverter", "%", True, 0.1),
    Compared("lifecycle", "fade_percent_a_year", "Loss of SOH a year", "%", False, 0.2),
    Compared("response", "accuracy_percent", "Accuracy of response", "%", True, 0.5),
)


def benchmark_figures(
    sites: Sequence[SiteContract], figures: Mapping[str, Sequence[Figure]], month_start: float
) -> Iterator[Figure | None]:
    """``benchmark``.

    Parameters
    ----------
    sites : sequence of SiteContract
    figures : mapping of site id to its figures of the month
        Of a figure with several rows the median counts.
    month_start : float
    """
    vendors = sorted({site.vendor for site in sites if site.vendor})
    for one in COMPARED:
        by_site = {site.id: _value(figures.get(site.id, ()), one) for site in sites}
        values = np.array([by_site[site.id] for site in sites])
        seen = int((~np.isnan(values)).sum())
        if not seen:
            continue
        scores = np.full(len(values), np.nan)
        if seen >= LEAST_PLANTS:
            whole = np.zeros(len(values), dtype=np.int64)
            found = robust_scores(values, [whole], min_members=LEAST_PLANTS, floor=one.floor)
            scores = found.z if one.more_is_better else -found.z
        for vendor in vendors:
            mine = np.array([site.vendor == vendor for site in sites]) & ~np.isnan(values)
            if mine.any():
                yield figure(
                    "benchmark",
                    (vendor, one.field),
                    month_start,
                    value=float(np.median(values[mine])),
                    fleet=float(np.nanmedian(values)),
                    score=float(np.median(scores[mine])),
                    sites=float(mine.sum()),
                    of_sites=float(seen),
                    unit=one.unit,
                    label=one.label,
                )


def _value(figures: Sequence[Figure], one: Compared) -> float:
    rows: dict[str, list[float]] = defaultdict(list)
    for each in figures:
        if each.measurement == one.measurement and one.field in each.fields:
            rows[one.field].append(float(each.fields[one.field]))
    return float(np.median(rows[one.field])) if rows[one.field] else float("nan")
