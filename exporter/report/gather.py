"""Gathers a report from the latest Assessment and the stored past."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import numpy as np

from exporter import __version__
from exporter.assessment import FleetAssessment
from exporter.costs import Estimate, PriceList, energy, estimate
from exporter.influxql import InfluxQL
from exporter.report.model import (
    Attention,
    Change,
    PastIssue,
    Report,
    SitePeriod,
    Worsening,
)
from exporter.report.past import DAY, STRETCH_SECONDS, Past, Table, total
from exporter.report.worsening import COURSES, Course, outlook
from exporter.sink.line_protocol import SEVERITY_LEVELS
from scoring.status import Status

TREND_DAYS = 90
MOST_LISTED = 200
ENERGIES = ("pv_kwh", "load_kwh", "import_kwh", "export_kwh", "charged_kwh", "discharged_kwh")
Daily = dict[str, list[tuple[float, float]]]
_SEVERITIES = {level: name for name, level in SEVERITY_LEVELS.items()}


async def gather(
    assessment: FleetAssessment, stored: InfluxQL, start: float, prices: PriceList | None
) -> Report:
    """The report from ``start`` to the moment of the Assessment.

    Parameters
    ----------
    assessment : FleetAssessment
    stored : InfluxQL
    start : float
        Unix seconds, before the Assessment.
    prices : PriceList or None

    Raises
    ------
    exporter.influxql.NoAnswerError
    """
    end = assessment.time
    past = Past(stored)
    online = await past.availability(start, end)
    online_before = await past.availability(2 * start - end, start)
    scores = await past.scores(start, end)
    scores_before = await past.scores(2 * start - end, start)
    course = await past.score_course(start, end)
    issues = await past.issues(start, end)
    energies = {
        "pv_kwh": await past.integral("pv_power_w", start, end),
        "load_kwh": await past.integral("load_power_w", start, end),
        "import_kwh": await past.counter("site", "grid_import_kwh", start, end),
        "export_kwh": await past.counter("site", "grid_export_kwh", start, end),
        "charged_kwh": await past.counter("battery", "charged_kwh", start, end),
        "discharged_kwh": await past.counter("battery", "discharged_kwh", start, end),
    }
    worsening = await _worsening(assessment, past, end)
    periods = _periods(
        assessment, (online, online_before), (scores, scores_before), energies, end - start
    )
    attention = _attention(assessment, prices)
    sums = {name: total(getattr(period, name) for period in periods) for name in ENERGIES}
    grid = energy(sums["import_kwh"], sums["export_kwh"], prices) if prices else Estimate((), ())
    figures = [*(f for site in attention for f in site.figures), *grid.figures]
    days = sorted({day for by_site in energies.values() for by in by_site.values() for day in by})
    return Report(
        made=end,
        start=start,
        end=end,
        version=__version__,
        sites=len(assessment.fleet.sites),
        counts={status.name: count for status, count in assessment.counts.items()},
        mean_score=_mean(period.mean_score for period in periods),
        mean_score_before=_mean(period.mean_score_before for period in periods),
        availability=_mean(period.availability for period in periods),
        availability_before=_mean(period.availability_before for period in periods),
        score_times=tuple(time for time, _ in course),
        score_values=tuple(value for _, value in course),
        energy_days=tuple(days),
        energy_by_day={
            name: tuple(total(by.get(day) for by in by_site.values()) for day in days)
            for name, by_site in energies.items()
        },
        energy=sums,
        common=tuple(issue.sentence for issue in assessment.common),
        attention=attention,
        changes=_changes(assessment, scores),
        began=_began(assessment, issues, start),
        worsening=worsening,
        periods=periods,
        currency=prices.currency if prices else None,
        cost_total=total(figure.amount for site in attention for figure in site.figures),
        energy_costs=grid.figures,
        assumptions=tuple(dict.fromkeys(f"{f.item}: {f.assumption}" for f in figures)),
        unpriced=_unpriced(attention, grid, prices),
        missing=_missing(periods, start, end, bool(course)),
        queries=tuple(past.statements),
    )


def _attention(assessment: FleetAssessment, prices: PriceList | None) -> tuple[Attention, ...]:
    found = []
    for row in assessment.needing_attention()[:MOST_LISTED]:
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
                sentences=tuple(issue.sentence for issue in serious),
                action=serious[0].action,
                since=min(issue.since for issue in serious),
                figures=cost.figures,
                unpriced=cost.unpriced,
            )
        )
    return tuple(found)


def _changes(assessment: FleetAssessment, scores: Table) -> tuple[Change, ...]:
    """Sites whose status is another than at the beginning; the worst development first."""
    found = []
    for row, site in enumerate(assessment.fleet.sites):
        stored = scores.get(site.id)
        now = int(assessment.scores.overall.status[row])
        score = float(assessment.scores.overall.score[row])
        if stored is None or stored["first_status"] is None or math.isnan(score):
            continue
        before = int(stored["first_status"])
        if before != now:
            words = (Status(before).name, Status(now).name)
            found.append(Change(site.id, site.title, *words, float(stored["first"]), score))
    found.sort(key=lambda change: (change.score_after - change.score_before, change.site))
    return tuple(found[:MOST_LISTED])


def _began(
    assessment: FleetAssessment, issues: list[dict[str, Any]], start: float
) -> tuple[PastIssue, ...]:
    """Issues that began in the period, critical first, then the newest."""
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
            ended=(entry["site"], entry["code"]) not in active,
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
                )
            )
    found.sort(key=lambda entry: (entry.when, entry.site))
    return tuple(found[:MOST_LISTED])


def _periods(
    assessment: FleetAssessment,
    online: tuple[Table, Table],
    scores: tuple[Table, Table],
    energies: dict[str, dict[str, dict[float, float]]],
    seconds: float,
) -> tuple[SitePeriod, ...]:
    """Every site, the least available first, then in the order of attention."""
    found = []
    for row in assessment.by_attention():
        site = assessment.fleet.sites[row]
        stretches = online[0].get(site.id, {}).get("count", 0)
        found.append(
            SitePeriod(
                site=site.id,
                name=site.title,
                availability=online[0].get(site.id, {}).get("mean"),
                availability_before=online[1].get(site.id, {}).get("mean"),
                observed=min(1.0, stretches * STRETCH_SECONDS / seconds),
                mean_score=scores[0].get(site.id, {}).get("mean"),
                mean_score_before=scores[1].get(site.id, {}).get("mean"),
                **{
                    name: total(energies[name].get(site.id, {}).values() or [None])
                    for name in ENERGIES
                },
            )
        )
    return tuple(sorted(found, key=lambda p: 2.0 if p.availability is None else p.availability))


def _unpriced(
    attention: tuple[Attention, ...], grid: Estimate, prices: PriceList | None
) -> tuple[str, ...]:
    if prices is None:
        return ("No price list is configured (FLEETSCOPE_PRICES), so there is no figure.",)
    told = [f"{site.name}: {words}" for site in attention for words in site.unpriced]
    return (*told[:20], *grid.unpriced)


def _missing(
    periods: tuple[SitePeriod, ...], start: float, end: float, any_score: bool
) -> tuple[str, ...]:
    told = []
    thin = sum(period.observed < 0.9 for period in periods)
    if thin:
        told.append(
            f"{thin} of {len(periods)} sites were observed for less than 90 % of the period; their "
            "figures are of the time in which they were."
        )
    if not any_score:
        told.append("No score is stored for the period.")
    for name in ENERGIES:
        absent = sum(getattr(period, name) is None for period in periods)
        if absent:
            told.append(f"{name.removesuffix('_kwh')}: {absent} sites give no such reading.")
    return tuple(told)


def _mean(values: Any) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
