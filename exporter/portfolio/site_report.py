"""What the ledger says of one site over a period: availability, failures, guarantees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from exporter.portfolio.contracts_file import GuaranteeTerms, SiteContract
from exporter.portfolio.ledger import UNDER_WAY_SECONDS, Ledger
from exporter.portfolio.ledger_rows import Row
from exporter.portfolio.ledger_tables import TABLES
from exporter.portfolio.site_month import NO_TELEMETRY, Telemetry, reading_step
from scoring.money.availability import (
    Availability,
    DownCategory,
    DownTime,
    time_availability,
)
from scoring.money.guarantees import Verdict, verdict
from scoring.money.reliability import Failure, Reliability, reliability

_FAILURES = frozenset({DownCategory.FORCED.value})


@dataclass(frozen=True, slots=True)
class Judged:
    """A guarantee and what came of it."""

    terms: GuaranteeTerms
    availability: Availability
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class SiteReport:
    """One site over a period.

    ``availability`` excludes nothing; guarantees have their own, with what they exclude. ``owed``
    is None where a guarantee could not be judged. ``unsized`` counts events that do not say what
    they left of the plant: they count as limiting nothing.
    """

    site: str
    availability: Availability
    failures: Reliability
    guarantees: tuple[Judged, ...]
    unsized: int = 0

    @property
    def owed(self) -> Decimal | None:
        """What is owed for all guarantees."""
        each = [one.verdict.owed for one in self.guarantees]
        if None in each:
            return None
        return sum((owed for owed in each if owed is not None), Decimal(0))


def site_report(
    ledger: Ledger,
    site: SiteContract,
    start: float,
    end: float,
    telemetry: Telemetry = NO_TELEMETRY,
) -> SiteReport:
    """The report of one site.

    A plant is down in events that leave it nothing (``available`` 0). Time without measured power
    was not observed, unless an event tells of it.

    Raises
    ------
    LedgerError
    """
    events = [
        row
        for row in ledger.latest(TABLES["events"], start - UNDER_WAY_SECONDS, end, [site.id])
        if (row["end"] is None or row["end"] > start)
    ]
    down = down_times(events, end)
    dispatch = ledger.latest(TABLES["dispatch"], start - 86_400.0, end, [site.id])
    dark = unobserved(dispatch, telemetry, start, end)
    plain = time_availability(start, end, down, frozenset(), dark)
    judged = []
    for terms in site.guarantees:
        found = time_availability(start, end, down, terms.excluded, dark)
        percent = 100.0 * found.fraction
        judged.append(Judged(terms, found, verdict(terms.guarantee(), percent, found.coverage)))
    up = (end - start) * plain.coverage - plain.counted
    tickets = ledger.latest(TABLES["tickets"], start - UNDER_WAY_SECONDS, end, [site.id])
    failures = [
        failure_of(row, tickets)[0]
        for row in events
        if row["start"] >= start and row["category"] in _FAILURES
    ]
    return SiteReport(
        site.id,
        plain,
        reliability(failures, max(up, 0.0)),
        tuple(judged),
        unsized=sum(row["available"] is None for row in events),
    )


def down_times(events: Sequence[Row], until: float) -> list[DownTime]:
    """When a plant is down; in an event that lasts, until the end of the period."""
    return [
        DownTime(row["start"], until if row["end"] is None else row["end"], _category(row))
        for row in events
        if row["available"] == 0
    ]


def _category(row: Row) -> DownCategory:
    try:
        return DownCategory(row["category"])
    except ValueError:
        return DownCategory.UNKNOWN


def unobserved(
    dispatch: Sequence[Row], telemetry: Telemetry, start: float, end: float
) -> list[tuple[float, float]]:
    """Stretches of a period without measured power.

    The ledger's power counts; where it has none in the whole period, that of telemetry, of which a
    reading stands for the usual time between two.
    """
    found, at = [], start
    seen = [
        (row["start"], row["start"] + row["seconds"])
        for row in dispatch
        if row["actual_kw"] is not None and row["start"] + row["seconds"] > start
    ]
    if not seen:
        readings = telemetry.between(start, end)
        known = readings.times[~np.isnan(readings.of("power_kw"))]
        step = reading_step(readings)
        seen = [(time, time + step) for time in known.tolist()]
    for begin, finish in seen:
        if begin > at:
            found.append((at, begin))
        at = max(at, finish)
    return [*found, (at, end)] if at < end else found


def failure_of(event: Row, tickets: Sequence[Row]) -> tuple[Failure, str | None]:
    """An event as a failure, with the first ticket of its device and code that was opened in it."""
    finish = float("inf") if event["end"] is None else event["end"]
    of_it: Row = next(
        (
            ticket
            for ticket in sorted(tickets, key=lambda row: float(row["opened"]))
            if (ticket["device"], ticket["code"]) == (event["device"], event["code"])
            and event["start"] <= ticket["opened"] <= finish
        ),
        {},
    )
    repair = of_it.get("repair_began")
    if repair is not None and repair > finish:
        # A ticket that was taken up after the plant was back says nothing of its repair.
        repair = None
    failure = Failure(
        began=event["start"],
        detected=of_it.get("opened"),
        repair_began=repair,
        restored=event["end"],
    )
    return failure, of_it.get("ticket")
