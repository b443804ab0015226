"""What telemetry says of one plant in one month: energy, cycles, temperatures, communication."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

import numpy as np

from exporter.portfolio.contracts_file import SiteContract
from exporter.portfolio.figure import Figure, figure
from exporter.portfolio.settlement_figures import DayRevenue, ServiceDay
from exporter.portfolio.site_month import (
    FloatArray,
    SiteMonth,
    Telemetry,
    number_array,
    reading_step,
)
from scoring.money.readings import (
    EnergyDays,
    completeness,
    cycles_by_depth,
    energy_by_day,
    gaps,
    hours_in_bands,
)
from scoring.money.wear import cycle_budget, equivalent_cycles

HOUR = 3600.0
TEMPERATURE_BAND_C, VOLTAGE_BAND_PU, DEPTH_BAND_PERCENT = 5.0, 0.01, 10.0


@dataclass(slots=True)
class PlantDays:
    """Energy and state of health of each day of a month, shape (D,); NaN where not known."""

    charged_kwh: FloatArray
    discharged_kwh: FloatArray
    soh_percent: FloatArray
    figures: list[Figure | None] = field(default_factory=list, repr=False)


def plant_figure(site: SiteContract, month_start: float, currency: str, zone: str) -> Figure | None:
    """``plant``."""
    return figure(
        "plant",
        (site.id,),
        month_start,
        name=site.name or site.id,
        vendor=site.vendor,
        region=site.region,
        currency=currency,
        zone=zone,
        power_kw=site.power_kw,
        usable_kwh=site.usable_kwh,
        latitude=site.latitude,
        longitude=site.longitude,
        cycles_a_year=site.cycles_a_year,
        end_of_life_soh_percent=site.end_of_life_soh,
    )


def plant_days(known: SiteMonth, revenues: Mapping[ServiceDay, DayRevenue]) -> PlantDays:
    """``plant_day`` of each day."""
    month, site, telemetry = known.month, known.site, known.telemetry
    step = reading_step(telemetry)
    energy = _energy(known, step)
    charged, discharged = energy.charged_kwh, energy.discharged_kwh
    soh = np.full(len(month.days), np.nan)
    found = PlantDays(charged, discharged, soh)
    service = known.energy_service
    for number, (begin, end) in enumerate(month.days):
        here = telemetry.between(begin, end)
        soh[number] = _median(here.of("soh_percent"))
        cycles = equivalent_cycles(charged[number], discharged[number], site.usable_kwh)
        wear = None
        if site.wear_per_cycle is not None and not np.isnan(cycles):
            wear = site.wear_per_cycle * Decimal(f"{cycles:.9f}")
        revenue = None if service is None else revenues.get((service.name, begin))
        earned = None if revenue is None else revenue.amount
        budget = site.cycles_a_year
        found.figures.append(
            figure(
                "plant_day",
                (site.id,),
                begin,
                charged_kwh=charged[number],
                discharged_kwh=discharged[number],
                cycles=cycles,
                cycle_budget=None if budget is None else cycle_budget(budget, end - begin),
                wear=wear,
                margin=None if earned is None or wear is None else earned - wear,
                margin_per_cycle=float(earned) / cycles if earned is not None and cycles else None,
                soh_percent=soh[number],
                **_of_readings(here, begin, end, step),
            )
        )
    return found


def _of_readings(here: Telemetry, begin: float, end: float, step: float) -> dict[str, float]:
    """Figures of one day from its readings alone."""
    seen = here.times[~np.isnan(here.of("power_kw"))]
    if not len(seen):
        return {"observed_percent": 0.0}
    missing = gaps(seen, begin, end, step)
    soc, latency = here.of("soc_percent"), here.of("latency_ms")
    found = {
        "soc_lowest_percent": _least(soc),
        "soc_highest_percent": -_least(-soc),
        "temperature_c": _mean(here.of("temperature_c")),
        "temperature_max_c": -_least(-here.of("temperature_max_c")),
        "inverter_efficiency_percent": _mean(here.of("inverter_efficiency_percent")),
        "latency_p50_ms": _quantile(latency, 0.5),
        "latency_p95_ms": _quantile(latency, 0.95),
        "drop_ratio": _mean(here.of("drop_ratio")),
        "gaps": float(missing.count),
        "gap_minutes": missing.seconds / 60,
        "observed_percent": 100 * missing.observed,
    }
    for name, status in (
        ("controller_down_minutes", "controller_status"),
        ("cooling_down_minutes", "cooling_status"),
    ):
        values = here.of(status)
        if not np.isnan(values).all():
            found[name] = float((values < 0.5).sum()) * step / 60
    return found


def quality_figures(known: SiteMonth) -> Iterator[Figure | None]:
    """``quality``: hours in UTC, from the first reading of the month on."""
    month, telemetry = known.month, known.telemetry
    step = reading_step(telemetry)
    seen = telemetry.times[~np.isnan(telemetry.of("power_kw"))]
    if not len(seen):
        return
    starts = np.arange(month.start - month.start % HOUR, month.end, HOUR)
    expected = HOUR / step
    received = completeness(seen, starts, step)
    for start, count in zip(starts.tolist(), received.tolist(), strict=True):
        if start < month.start:
            continue
        yield figure(
            "quality",
            (known.site.id,),
            start,
            expected=expected,
            received=count,
            completeness_percent=100 * count / expected,
        )


def distribution_figures(known: SiteMonth) -> Iterator[Figure | None]:
    """``distribution``."""
    telemetry, month = known.telemetry, known.month
    step = reading_step(telemetry)
    for begin, end in month.days:
        here = telemetry.between(begin, end)
        for quantity, name, width, digits in (
            ("temperature", "temperature_max_c", TEMPERATURE_BAND_C, 0),
            ("voltage", "voltage_pu", VOLTAGE_BAND_PU, 2),
        ):
            bands = hours_in_bands(here.of(name), width, step)
            for lower, hours in zip(bands.lower.tolist(), bands.hours.tolist(), strict=True):
                yield figure(
                    "distribution",
                    (known.site.id, quantity, _band(lower, width, digits)),
                    begin,
                    hours=hours,
                    lower=round(lower, 6),
                )
    yield from _depths(known)


def _depths(known: SiteMonth) -> Iterator[Figure | None]:
    """Cycles by depth, each on the day on which it ends."""
    times, soc = known.telemetry.times, known.telemetry.of("soc_percent")
    if len(times) < 2:
        return
    found = cycles_by_depth(times, soc, known.month.day_of(times), DEPTH_BAND_PERCENT)
    for day, lower, count in found:
        if not 0 <= day < len(known.month.days):
            continue
        yield figure(
            "distribution",
            (known.site.id, "depth", _band(lower, DEPTH_BAND_PERCENT, 0)),
            known.month.days[day][0],
            cycles=count,
            lower=lower,
        )


def _band(lower: float, width: float, digits: int) -> str:
    return f"{lower:.{digits}f}–{lower + width:.{digits}f}"


def _energy(known: SiteMonth, step: float) -> EnergyDays:
    """Charged and discharged kWh of each day: readings, and the ledger's power between them."""
    month, telemetry = known.month, known.telemetry
    power = telemetry.of("power_kw")
    seen = ~np.isnan(power)
    times, power = telemetry.times[seen], power[seen]
    days, hours = [month.day_of(times)], [np.full(len(times), step / HOUR)]
    powers = [power]
    rows = [row for row in known.dispatch if row["actual_kw"] is not None]
    if rows:
        starts, seconds = number_array(rows, "start"), number_array(rows, "seconds")
        first, last = (np.searchsorted(times, edge) for edge in (starts, starts + seconds))
        days.append(month.day_of(starts))
        hours.append(np.maximum(seconds - (last - first) * step, 0.0) / HOUR)
        powers.append(number_array(rows, "actual_kw"))
    return energy_by_day(
        np.concatenate(days), np.concatenate(powers), np.concatenate(hours), len(month.days)
    )


def _median(values: FloatArray) -> float:
    return _quantile(values, 0.5)


def _quantile(values: FloatArray, share: float) -> float:
    known = values[~np.isnan(values)]
    return float(np.quantile(known, share)) if len(known) else float("nan")


def _mean(values: FloatArray) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")


def _least(values: FloatArray) -> float:
    known = values[~np.isnan(values)]
    return float(known.min()) if len(known) else float("nan")
