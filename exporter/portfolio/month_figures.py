"""Figures of one site that are no sums of days: the month as a whole, what is left of the plant."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

import numpy as np

from exporter.portfolio.figure import Figure, figure
from exporter.portfolio.loss_figures import MonthLosses
from exporter.portfolio.plant_figures import PlantDays
from exporter.portfolio.settlement_figures import DayRevenue, ServiceDay
from exporter.portfolio.site_month import FloatArray, SiteMonth
from exporter.portfolio.site_report import SiteReport
from scoring.money.ageing import ageing
from scoring.money.wear import cycle_budget, equivalent_cycles, round_trip_efficiency

DAY = 86_400.0
YEAR_DAYS = 365.25
HOUR = 3600.0
MOST_MONTHS = 120
HISTORY_DAYS = 365


def month_figures(
    known: SiteMonth,
    report: SiteReport,
    revenues: Mapping[ServiceDay, DayRevenue],
    losses: MonthLosses,
    days: PlantDays,
) -> Iterator[Figure | None]:
    """``plant_month``."""
    site, month = known.site, known.month
    amounts = [one.amount for one in revenues.values() if one.amount is not None]
    budgets = [one.budget for one in revenues.values() if one.budget is not None]
    revenue = sum(amounts, Decimal(0)) if amounts else None
    lost = [one.best - one.paid for one in losses.days.values()]
    into, out = (_total(values) for values in (days.charged_kwh, days.discharged_kwh))
    cycles = equivalent_cycles(into, out, site.usable_kwh)
    service = known.energy_service
    energy = [
        one.amount
        for (name, _), one in revenues.items()
        if service is not None and name == service.name and one.amount is not None
    ]
    failures = report.failures
    yield figure(
        "plant_month",
        (site.id,),
        month.start,
        availability_percent=100 * report.availability.fraction,
        coverage_percent=100 * report.availability.coverage,
        failures=failures.failures,
        mtbf_hours=_hours(failures.between_s),
        restoration_hours=_hours(failures.restoration_s),
        repair_hours=_hours(failures.repair_s),
        round_trip_percent=100 * _round_trip(known, into, out),
        revenue=revenue,
        budget=sum(budgets, Decimal(0)) if budgets else None,
        lost=sum(lost, Decimal(0)) if lost else None,
        owed=report.owed,
        energy_margin_per_cycle=float(sum(energy, Decimal(0))) / cycles
        if energy and cycles
        else None,
        cycles=cycles,
        cycle_budget=None
        if site.cycles_a_year is None
        else cycle_budget(site.cycles_a_year, month.end - month.start),
        revenue_per_mw=None if revenue is None else float(revenue) / site.power_kw * 1000,
    )


def lifecycle_figures(
    known: SiteMonth, days: PlantDays, before: Sequence[tuple[float, float]]
) -> Iterator[Figure | None]:
    """``lifecycle`` and ``soh_forecast``.

    Parameters
    ----------
    known : SiteMonth
    days : PlantDays
    before : sequence of (Unix seconds, %)
        Daily medians of SOH before the month.
    """
    site, month = known.site, known.month
    here = [
        (begin, float(soh))
        for (begin, _), soh in zip(month.days, days.soh_percent, strict=True)
        if not np.isnan(soh)
    ]
    points = [*(p for p in before if p[0] >= month.end - HISTORY_DAYS * DAY), *here]
    if not here:
        return
    x = np.array([(at - month.end) / DAY for at, _ in points])
    y = np.array([soh for _, soh in points])
    found, limit = ageing(x, y), site.end_of_life_soh
    cycles = known.telemetry.of("cycles")
    cycles = cycles[~np.isnan(cycles)]
    allowed = site.cycles_a_year
    used = equivalent_cycles(_total(days.charged_kwh), _total(days.discharged_kwh), site.usable_kwh)
    expected, early, late = found.days_until(limit)
    yield figure(
        "lifecycle",
        (site.id,),
        month.start,
        soh_percent=found.now_percent,
        fade_percent_a_year=-found.slope * YEAR_DAYS,
        end_of_life_soh_percent=limit,
        augmentation=_at(month.end, expected),
        augmentation_early=_at(month.end, early),
        augmentation_late=_at(month.end, late),
        years_left=None if expected is None else expected / YEAR_DAYS,
        cycles_counted=float(cycles[-1]) if len(cycles) else None,
        cycles_used_percent=None
        if allowed is None
        else 100 * used / cycle_budget(allowed, month.end - month.start),
    )
    if np.isnan(found.slope):
        return
    last = MOST_MONTHS * YEAR_DAYS / 12 if expected is None else expected + 31
    at = datetime.fromtimestamp(month.end, month.zone)
    for _ in range(MOST_MONTHS):
        ahead = (at.timestamp() - month.end) / DAY
        if ahead > last:
            break
        percent, low, high = found.at(ahead)
        yield figure(
            "soh_forecast",
            (site.id,),
            at.timestamp(),
            soh_percent=percent,
            low_percent=low,
            high_percent=high,
        )
        at = (at.replace(day=1) + timedelta(days=32)).replace(day=1)


def _at(end: float, days: float | None) -> float | None:
    return None if days is None else end + days * DAY


def _round_trip(known: SiteMonth, into: float, out: float) -> float:
    soc = known.telemetry.of("soc_percent")
    soc = soc[~np.isnan(soc)]
    if not len(soc):
        return float("nan")
    change = float(soc[-1] - soc[0]) / 100
    return round_trip_efficiency(into, out, change, known.site.usable_kwh)


def _total(values: FloatArray) -> float:
    known = values[~np.isnan(values)]
    return float(known.sum()) if len(known) else float("nan")


def _hours(seconds: float | None) -> float | None:
    return None if seconds is None else seconds / HOUR
