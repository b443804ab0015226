"""Availability, guarantees, events and tickets of one site in one month."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal

import numpy as np

from exporter.portfolio.figure import Figure, figure
from exporter.portfolio.ledger_rows import Row
from exporter.portfolio.loss_figures import EventKey, event_key
from exporter.portfolio.site_month import SiteMonth
from exporter.portfolio.site_report import SiteReport, down_times, failure_of, unobserved
from scoring.money.availability import (
    available_share,
    time_availability,
    weighted_availability,
)
from scoring.money.reliability import repeats

HOUR = 3600.0
_WEIGHT_SECONDS = 900.0


def availability_figures(known: SiteMonth) -> Iterator[Figure | None]:
    """``availability`` and ``down``."""
    month, site = known.month, known.site.id
    down = down_times(known.events, month.end)
    dark = unobserved(known.dispatch, known.telemetry, month.start, month.end)
    for begin, end in month.days:
        found = time_availability(begin, end, down, frozenset(), dark)
        observed = (end - begin) * found.coverage
        yield figure(
            "availability",
            (site,),
            begin,
            percent=100 * found.fraction,
            up_hours=(observed - found.counted) / HOUR,
            down_hours=found.counted / HOUR,
            unobserved_hours=(end - begin - observed) / HOUR,
            coverage_percent=100 * found.coverage,
            weighted_percent=100 * _weighted(known, begin, end, dark),
        )
        for category, seconds in found.seconds.items():
            if seconds:
                yield figure("down", (site, category.value), begin, hours=seconds / HOUR)


def _weighted(
    known: SiteMonth, begin: float, end: float, dark: Sequence[tuple[float, float]]
) -> float:
    """Weighted availability of a day, in quarter hours."""
    starts = np.arange(begin, end, _WEIGHT_SECONDS)
    limits = [
        (
            row["start"],
            known.month.end if row["end"] is None else row["end"],
            float(min(row["available"], 1)),
        )
        for row in known.events
        if row["available"] is not None
    ]
    left = available_share(starts, _WEIGHT_SECONDS, limits, dark)
    soh = known.telemetry.between(begin, end).of("soh_percent")
    energy = 1.0 if not len(soh) or np.isnan(soh).all() else float(np.nanmedian(soh)) / 100
    power, rated = left * known.site.power_kw, known.site.usable_kwh
    seconds = np.full(len(starts), _WEIGHT_SECONDS)
    return weighted_availability(
        power, known.site.power_kw, np.full(len(starts), energy * rated), rated, seconds
    )[0]


def sla_figures(known: SiteMonth, report: SiteReport) -> Iterator[Figure | None]:
    """``sla``."""
    for one in report.guarantees:
        verdict, found = one.verdict, one.availability
        yield figure(
            "sla",
            (known.site.id, one.terms.name),
            known.month.start,
            target_percent=one.terms.target,
            actual_percent=100 * found.fraction,
            coverage_percent=100 * found.coverage,
            least_coverage_percent=100 * one.terms.least_coverage,
            met=verdict.met,
            shortfall=verdict.shortfall,
            owed=verdict.owed,
            owed_before_cap=verdict.owed_before_cap,
            cap=one.terms.cap,
            down_hours=found.counted / HOUR,
            excluded_hours=found.excluded / HOUR,
            document=one.terms.document,
        )


def event_figures(known: SiteMonth, lost: Mapping[EventKey, Decimal]) -> Iterator[Figure | None]:
    """``event``: those that began in the month, and what those that last into it took in it."""
    month, site = known.month, known.site.id
    for row in known.events:
        began_here = row["start"] >= month.start
        finish = month.end if row["end"] is None else row["end"]
        failure, ticket = failure_of(row, known.tickets)
        detected, repaired = failure.detected, failure.repair_began
        whole = began_here and row["end"] is not None
        forced = row["category"] == "forced"
        yield figure(
            "event",
            (site, row["device"], row["code"], row["category"]),
            max(row["start"], month.start),
            end=row["end"],
            hours=(min(finish, month.end) - max(row["start"], month.start)) / HOUR,
            available=row["available"],
            severity=row["severity"],
            lost=lost.get(event_key(row), Decimal(0)),
            restoration_hours=(finish - row["start"]) / HOUR if whole and forced else None,
            repair_hours=(finish - repaired) / HOUR if whole and repaired is not None else None,
            detection_hours=(detected - row["start"]) / HOUR if detected is not None else None,
            ticket=ticket,
            repeat=_repeats(row, known.events_before),
            one=began_here,
        )


def _repeats(event: Row, before: Sequence[Row]) -> int:
    """How often a device had a code in 30 days, this time included."""
    same = [
        row["start"]
        for row in before
        if row["device"] == event["device"] and row["code"] == event["code"]
    ]
    return repeats(event["start"], same)


def ticket_figures(known: SiteMonth) -> Iterator[Figure | None]:
    """``ticket``: those that were opened in the month."""
    for row in known.tickets:
        if row["opened"] < known.month.start:
            continue
        began, closed = row["repair_began"], row["closed"]
        yield figure(
            "ticket",
            (known.site.id, row["device"], row["code"]),
            row["opened"],
            ticket=row["ticket"],
            open=closed is None,
            waiting_hours=None if began is None else (began - row["opened"]) / HOUR,
            repair_hours=None if began is None or closed is None else (closed - began) / HOUR,
            closed=closed,
            one=1,
        )
