"""Gathers a report from the latest Assessment and the stored past."""

from __future__ import annotations

import asyncio
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np

from exporter import __version__
from exporter.ask.metric_history import History
from exporter.assess.assessment import FleetAssessment
from exporter.assess.costs import Estimate, PriceList, energy, estimate
from exporter.deliver.report.energy_balance import balance
from exporter.deliver.report.model import (
    Attention,
    Change,
    Observed,
    PastIssue,
    PvLossSum,
    PvSum,
    Report,
    SitePeriod,
    TariffSum,
    Worsening,
)
from exporter.deliver.report.period_data import DAY, Past, Table, total
from exporter.deliver.report.worsening import COURSES, Course, outlook
from exporter.energy.accounts import MOST_PV_DAYS, costs
from exporter.energy.stored_pv import read_pv_days
from exporter.energy.tariff_file import TariffFile
from exporter.history.coverage import LEAST_SHARE, Coverage, percent_words
from exporter.history.influxql import InfluxQL
from exporter.store.line_protocol import SEVERITY_LEVELS
from scoring.flows import self_consumption, self_sufficiency
from scoring.pv_losses import CAUSE_LABELS
from scoring.status import Status

TREND_DAYS = 90
MOST_LISTED = 200
MOSTLY = 0.9
ENERGIES = {
    "pv_kwh": "pv_energy",
    "load_kwh": "load_energy",
    "import_kwh": "imported_energy",
    "export_kwh": "exported_energy",
    "charged_kwh": "charged_energy",
    "discharged_kwh": "discharged_energy",
}
"""Energies of a report, and the metrics that they are to a question."""
Histories = dict[str, History]
Daily = dict[str, list[tuple[float, float]]]
_SEVERITIES = {level: name for name, level in SEVERITY_LEVELS.items()}


async def gather(
    assessment: FleetAssessment,
    stored: InfluxQL,
    start: float,
    prices: PriceList | None,
    tariffs: TariffFile | None = None,
    end: float | None = None,
) -> Report:
    """The report from ``start`` to ``end``, or to the moment of the Assessment.

    Parameters
    ----------
    assessment : FleetAssessment
    stored : InfluxQL
    start : float
        Unix seconds, before the Assessment.
    prices : PriceList or None
    tariffs : TariffFile, optional
        What energy cost is worked out by it, else by the price list.
    end : float, optional
        Unix seconds, after ``start``. Who needs attention is always said of the Assessment's time.

    Raises
    ------
    exporter.history.influxql.NoAnswerError
    """
    over = end is not None and end < assessment.time
    end = end if end is not None and over else assessment.time
    past = Past(stored, len(assessment.fleet.sites), _active(assessment))
    sites = [site.id for site in assessment.fleet.sites]
    seen = await past.observed(sites, start, end)
    seen_before = await past.observed(sites, 2 * start - end, start)
    online = _exact(await past.history("availability", start, end), seen)
    online_before = _exact(await past.history("availability", 2 * start - end, start), seen_before)
    scores = await past.scores(start, end)
    scores_before = await past.scores(2 * start - end, start)
    course = await past.score_course(start, end)
    issues = await past.issues(start, end)
    energies = {name: await past.history(metric, start, end) for name, metric in ENERGIES.items()}
    charge = await past.charge_change(start, end)
    worsening = await _worsening(assessment, past, end)
    periods = _periods(
        assessment,
        (seen, seen_before),
        (online, online_before),
        (scores, scores_before),
        energies,
        charge,
    )
    attention = _attention(assessment, prices)
    sums = {name: total(getattr(period, name) for period in periods) for name in ENERGIES}
    tariff = await _by_tariff(assessment, stored, start, end, tariffs)
    grid = Estimate((), ())
    if prices and tariff is None:
        grid = energy(sums["import_kwh"], sums["export_kwh"], prices)
    figures = [*(f for site in attention for f in site.figures), *grid.figures]
    by_day = {name: _by_day(courses) for name, courses in energies.items()}
    days = sorted({day for sums in by_day.values() for day in sums})
    return Report(
        made=assessment.time,
        start=start,
        end=end,
        version=__version__,
        sites=len(assessment.fleet.sites),
        observed=Observed(seen.share, seen.enough, seen.sentence()),
        counts={status.name: count for status, count in assessment.counts.items()},
        mean_score=_mean_if(seen, [period.mean_score for period in periods]),
        mean_score_before=_mean_if(seen_before, [period.mean_score_before for period in periods]),
        availability=_mean_if(seen, [period.availability for period in periods]),
        availability_before=_mean_if(
            seen_before, [period.availability_before for period in periods]
        ),
        score_times=tuple(time for time, _ in course),
        score_values=tuple(value for _, value in course),
        energy_days=tuple(days),
        energy_by_day={name: tuple(sums.get(day) for day in days) for name, sums in by_day.items()},
        energy=sums,
        throughput_kwh=total(period.throughput_kwh for period in periods),
        efficiency=_weighted(periods, "efficiency", "charged_kwh"),
        self_consumption=self_consumption(sums["pv_kwh"], sums["export_kwh"]),
        self_sufficiency=self_sufficiency(sums["load_kwh"], sums["import_kwh"]),
        common=tuple(issue.sentence for issue in assessment.common),
        attention=attention,
        changes=_changes(assessment, scores, over),
        began=_began(assessment, issues, start, over),
        worsening=worsening,
        periods=periods,
        currency=prices.currency if prices else None,
        cost_total=total(figure.amount for site in attention for figure in site.figures),
        energy_costs=grid.figures,
        assumptions=tuple(dict.fromkeys(f"{f.item}: {f.assumption}" for f in figures)),
        unpriced=_unpriced(attention, grid, prices),
        missing=_missing(periods, bool(course)),
        queries=tuple(past.statements),
        pv=await pv_against_sun(stored, sites, start, end),
        tariff=tariff,
    )


async def _by_tariff(
    assessment: FleetAssessment,
    stored: InfluxQL,
    start: float,
    end: float,
    tariffs: TariffFile | None,
) -> TariffSum | None:
    if tariffs is None:
        return None
    sites = assessment.fleet.sites
    found = await costs(stored, sites, _active(assessment), start, end, tariffs)
    if found is None:
        return None
    names = [one.name for one in fields(TariffSum)]
    return TariffSum(**{name: getattr(found, name) for name in names})


async def pv_against_sun(
    stored: InfluxQL, sites: list[str], start: float, end: float
) -> PvSum | None:
    """PV against the sun; None where no day was judged, or too many were."""
    if len(sites) * (end - start) > MOST_PV_DAYS * 86_400:
        return None
    found = await read_pv_days(stored, sites, start, end)
    if not found.days:
        return None
    return PvSum(
        measured_kwh=found.total("measured_kwh"),
        expected_kwh=found.total("expected_kwh"),
        clipped_kwh=found.total("clipped_kwh"),
        unobserved_kwh=found.total("unobserved_kwh"),
        performance_ratio=found.ratio("performance_ratio"),
        by_weather=all(day["by_weather"] for day in found.days),
        currency=found.currency,
        losses=tuple(
            PvLossSum(cause.value, CAUSE_LABELS[cause], kwh, value)
            for cause, (kwh, value) in found.losses.items()
        ),
    )


def _exact(online: Histories, seen: Coverage) -> Histories:
    """Availability of exactly the period, where the history is of whole windows."""
    return {site: replace(h, mean=seen.availability(site)) for site, h in online.items()}


def _active(assessment: FleetAssessment) -> dict[str, str]:
    return {
        site.id: record.active_battery
        for site, record in zip(assessment.fleet.sites, assessment.records, strict=True)
        if record.active_battery
    }


def _by_day(courses: Histories) -> dict[float, float]:
    """Energy of the fleet by the UTC day, Unix seconds, in which a step began."""
    days: dict[float, float] = defaultdict(float)
    for course in courses.values():
        for time, value in zip((course.times // DAY * DAY).tolist(), course.values, strict=True):
            days[time] += float(value)
    return dict(days)


def _attention(assessment: FleetAssessment, prices: PriceList | None) -> tuple[Attention, ...]:
    found = []
    for row in assessment.needing_attention():
        site = assessment.site(row)
        cost = estimate(site.site, site.issues, prices) if prices else Estimate((), ())
        serious = [issue for issue in site.issues if issue.severity != "info"]
        found.append(
            Attention(
                site=site.site.id,
                name=site.site.title,
                location=site.site.location,
                priority=site.site.priority,
                status=site.status.name,
                score=site.score,
                confidence=site.readings.get("confidence_ratio"),
                sentences=tuple(issue.sentence for issue in serious),
                action=serious[0].action,
                since=min(issue.since for issue in serious),
                figures=cost.figures,
                unpriced=cost.unpriced,
            )
        )
    return tuple(found)


def _changes(assessment: FleetAssessment, scores: Table, over: bool) -> tuple[Change, ...]:
    """Sites whose status is another at the end than at the beginning; the worst development first.

    The end is the Assessment, or what was stored last of a period that is ``over``.
    """
    found = []
    for row, site in enumerate(assessment.fleet.sites):
        stored = scores.get(site.id)
        now = int(assessment.scores.overall.status[row])
        score = float(assessment.scores.overall.score[row])
        if stored is None or stored["first_status"] is None:
            continue
        if over:
            now, score = int(stored["last_status"]), float(stored["last"])
        if math.isnan(score):
            continue
        before = int(stored["first_status"])
        if before != now:
            words = (Status(before).name, Status(now).name)
            found.append(Change(site.id, site.title, *words, float(stored["first"]), score))
    found.sort(key=lambda change: (change.score_after - change.score_before, change.site))
    return tuple(found[:MOST_LISTED])


def _began(
    assessment: FleetAssessment, issues: list[dict[str, Any]], start: float, over: bool
) -> tuple[PastIssue, ...]:
    """Issues that began in the period, critical first, then the newest; whether each has ended, in
    a period that is ``over`` by its end."""
    names = {site.id: site.title for site in assessment.fleet.sites}
    active = {
        (site.id, issue.code)
        for site, found in zip(assessment.fleet.sites, assessment.issues, strict=True)
        for issue in found
    }
    found = [
        PastIssue(
            site=entry["site"],
            name=names[entry["site"]],
            code=entry["code"],
            severity=_SEVERITIES.get(entry["severity"], "info"),
            sentence=entry["sentence"] or "",
            since=entry["since"],
            ended=entry["active"] == 0 if over else (entry["site"], entry["code"]) not in active,
        )
        for entry in issues
        if entry["site"] in names and entry["since"] is not None and entry["since"] >= start
    ]
    found = [issue for issue in found if issue.severity != "info"]
    found.sort(key=lambda issue: (-SEVERITY_LEVELS[issue.severity], -issue.since))
    return tuple(found[:MOST_LISTED])


async def _worsening(assessment: FleetAssessment, past: Past, end: float) -> tuple[Worsening, ...]:
    courses = [
        (course, await past.daily(course.quantity, end - TREND_DAYS * DAY, end))
        for course in COURSES
    ]
    # Beside the poll loop: a thousand sites take seconds.
    return await asyncio.to_thread(_outlooks, assessment, courses)


def _outlooks(
    assessment: FleetAssessment, courses: list[tuple[Course, Daily]]
) -> tuple[Worsening, ...]:
    found = []
    for course, daily in courses:
        for site in assessment.fleet.sites:
            points = daily.get(site.id, [])
            days = np.array([day for day, _ in points])
            values = np.array([value for _, value in points])
            thresholds = assessment.fleet.thresholds_of(site)
            limits = tuple(float(getattr(thresholds, name)) for name in course.limits)
            if len(days) < LEAST_SHARE * (1 + np.ptp(days) if len(days) else 1):
                continue
            seen = outlook(course, days, values, limits)
            if seen is None:
                continue
            last = float(days[-1]) * DAY
            latest = None if math.isinf(seen.latest) else last + seen.latest * DAY
            found.append(
                Worsening(
                    site=site.id,
                    name=site.title,
                    quantity=course.quantity,
                    unit=course.unit,
                    level=seen.level,
                    per_month=seen.per_month,
                    limit=seen.limit,
                    when=last + seen.days * DAY,
                    earliest=last + seen.earliest * DAY,
                    latest=latest,
                    times=tuple((days * DAY).tolist()),
                    values=tuple(values.tolist()),
                    days=len(days),
                )
            )
    found.sort(key=lambda entry: (entry.when, entry.site))
    return tuple(found[:MOST_LISTED])


def _periods(
    assessment: FleetAssessment,
    observed: tuple[Coverage, Coverage],
    online: tuple[Histories, Histories],
    scores: tuple[Table, Table],
    energies: dict[str, Histories],
    charge: dict[str, float],
) -> tuple[SitePeriod, ...]:
    """Every site, the least available first, then in the order of attention."""
    rows = []
    for row in assessment.by_attention():
        site = assessment.fleet.sites[row]
        known = {
            name: courses[site.id].total if site.id in courses else None
            for name, courses in energies.items()
        }
        availability = [
            up[site.id].mean / 100 if site.id in up and seen.of(site.id) >= LEAST_SHARE else None
            for seen, up in zip(observed, online, strict=True)
        ]
        mean_score = [
            table.get(site.id, {}).get("mean") if seen.of(site.id) >= LEAST_SHARE else None
            for seen, table in zip(observed, scores, strict=True)
        ]
        rows.append(
            SitePeriod(
                site=site.id,
                name=site.title,
                availability=availability[0],
                availability_before=availability[1],
                observed=observed[0].of(site.id),
                mean_score=mean_score[0],
                mean_score_before=mean_score[1],
                **known,
                **balance(known, site.capacity_kwh, charge.get(site.id)),
            )
        )
    return tuple(sorted(rows, key=lambda p: 2.0 if p.availability is None else p.availability))


def _unpriced(
    attention: tuple[Attention, ...], grid: Estimate, prices: PriceList | None
) -> tuple[str, ...]:
    if prices is None:
        return ("No price list is configured (FLEETSCOPE_PRICES), so there is no figure.",)
    unpriced = [f"{site.name}: {words}" for site in attention for words in site.unpriced]
    return (*unpriced[:20], *grid.unpriced)


def _missing(periods: tuple[SitePeriod, ...], any_score: bool) -> tuple[str, ...]:
    found = []
    thin = sum(period.observed < MOSTLY for period in periods)
    if thin:
        found.append(
            f"{thin} of {len(periods)} sites were observed for less than {percent_words(MOSTLY)} "
            "of the period; their figures are of the time in which they were."
        )
    if not any_score:
        found.append("No score is stored for the period.")
    for name in ENERGIES:
        absent = sum(getattr(period, name) is None for period in periods)
        if absent:
            found.append(f"{name.removesuffix('_kwh')}: {absent} sites give no such reading.")
    return tuple(found)


def _mean_if(observed: Coverage, values: Sequence[float | None]) -> float | None:
    """The mean of what is known, if enough of the period was observed."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known and observed.enough else None


def _weighted(periods: tuple[SitePeriod, ...], share: str, weight: str) -> float | None:
    """A share of the fleet: that of each site by its energy."""
    parts = [(getattr(period, share), getattr(period, weight)) for period in periods]
    known = [(value, kwh) for value, kwh in parts if value is not None and kwh]
    energy_kwh = sum(kwh for _, kwh in known)
    return sum(value * kwh for value, kwh in known) / energy_kwh if energy_kwh > 0 else None
