"""What the ledger says of one site over a period: availability, failures, guarantees."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from exporter.portfolio.contracts_file import GuaranteeTerms, SiteContract
from exporter.portfolio.ledger import Ledger
from exporter.portfolio.ledger_rows import Row
from exporter.portfolio.ledger_tables import TABLES
from scoring.money.availability import (
    Availability,
    DownCategory,
    DownTime,
    time_availability,
)
from scoring.money.guarantees import Verdict, verdict
from scoring.money.reliability import Failure, Reliability, reliability

UNDER_WAY_SECONDS = 366 * 86_400.0
"""An event that began longer before the period than this is not looked for."""
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
    is None where a guarantee could not be judged.
    """

    site: str
    availability: Availability
    failures: Reliability
    guarantees: tuple[Judged, ...]

    @property
    def owed(self) -> Decimal | None:
        """What is owed for all guarantees."""
        each = [one.verdict.owed for one in self.guarantees]
        if None in each:
            return None
        return sum((owed for owed in each if owed is not None), Decimal(0))


def site_report(ledger: Ledger, site: SiteContract, start: float, end: float) -> SiteReport:
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
    down = [
        DownTime(row["start"], end if row["end"] is None else row["end"], _category(row))
        for row in events
        if row["available"] == 0
    ]
    dark = _unobserved(ledger, site.id, start, end)
    plain = time_availability(start, end, down, frozenset(), dark)
    judged = []
    for terms in site.guarantees:
        found = time_availability(start, end, down, terms.excluded, dark)
        percent = 100.0 * found.fraction
        judged.append(Judged(terms, found, verdict(terms.guarantee(), percent, found.coverage)))
    up = (end - start) * plain.coverage - plain.counted
    tickets = ledger.latest(TABLES["tickets"], start - UNDER_WAY_SECONDS, end, [site.id])
    failures = _failures([row for row in events if row["start"] >= start], tickets)
    return SiteReport(site.id, plain, reliability(failures, max(up, 0.0)), tuple(judged))


def _category(row: Row) -> DownCategory:
    try:
        return DownCategory(row["category"])
    except ValueError:
        return DownCategory.UNKNOWN


def _unobserved(ledger: Ledger, site: str, start: float, end: float) -> list[tuple[float, float]]:
    """Stretches of a period without measured power."""
    found, at = [], start
    for row in ledger.latest(TABLES["dispatch"], start - 86_400.0, end, [site]):
        if row["actual_kw"] is None or row["start"] + row["seconds"] <= start:
            continue
        if row["start"] > at:
            found.append((at, row["start"]))
        at = max(at, row["start"] + row["seconds"])
    return [*found, (at, end)] if at < end else found


def _failures(events: Sequence[Row], tickets: Sequence[Row]) -> list[Failure]:
    """Forced outages, each with the ticket of the same device and code that was opened in it."""
    by_fault: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for ticket in tickets:
        by_fault[ticket["device"], ticket["code"]].append(ticket)
    found = []
    for row in events:
        if row["category"] not in _FAILURES:
            continue
        finish = float("inf") if row["end"] is None else row["end"]
        same = by_fault[row["device"], row["code"]]
        opened = [t for t in same if row["start"] <= t["opened"] <= finish]
        of_it: Row = opened[0] if opened else {}
        found.append(
            Failure(
                began=row["start"],
                detected=of_it.get("opened"),
                repair_began=of_it.get("repair_began"),
                restored=row["end"],
            )
        )
    return found
