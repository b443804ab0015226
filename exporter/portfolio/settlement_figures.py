"""Statements beside our own figures, day by day, and what each day earned."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from exporter.portfolio.figure import Figure, figure
from exporter.portfolio.ledger import run_rank
from exporter.portfolio.ledger_rows import Row
from exporter.portfolio.own_lines import OwnLines
from exporter.portfolio.reconciliation import Reconciliation, compare, covered, rows_of_run
from exporter.portfolio.site_month import SiteMonth
from scoring.money.revenue import Cause, Key, Line

ServiceDay = tuple[str, float]
"""Name of a service, and the beginning of a day."""


@dataclass(frozen=True, slots=True)
class DayRevenue:
    """What one service earned on one day.

    ``stated`` is None where no run covers the day; ``own`` where it could not be worked out.
    """

    stated: Decimal | None
    own: Decimal | None
    penalty: Decimal
    budget: Decimal | None

    @property
    def amount(self) -> Decimal | None:
        """The run in force, or our own figure."""
        return self.own if self.stated is None else self.stated


def settlement_figures(known: SiteMonth) -> Iterator[Figure | None]:
    """``settlement`` and ``dispute``."""
    zone, site = known.month.zone, known.site
    in_force = rows_of_run(known.statements, None)
    standing = compare(_within(known, _covered(known, in_force)), [site], in_force, None, zone)
    open_now = set(_causes(standing))
    places = _places(known)
    last = {place: run for run, here in places.items() for place in here}
    for run, here in places.items():
        own = _within(known, here)
        rows = [r for r in rows_of_run(known.statements, run) if _place(known, r) in here]
        found = compare(own, [site], rows, run, zone)
        yield from _settled(known, run, found, own, last)
        for difference in found.differences:
            key: Key = (site.id, difference.service, f"{difference.start:.0f}")
            mine, theirs = own.lines.get(key), found.stated_lines.get(key)
            place = difference.service, known.month.begin_of(difference.start)
            yield figure(
                "dispute",
                (site.id, difference.service, run, difference.cause.value),
                difference.start,
                amount=difference.amount,
                stated_volume=None if theirs is None else theirs.volume,
                own_volume=None if mine is None else mine.volume,
                stated_price=None if theirs is None else theirs.price,
                own_price=None if mine is None else mine.price,
                open=last[place] == run and (key, difference.cause) in open_now,
            )


def day_revenues(known: SiteMonth) -> dict[ServiceDay, DayRevenue]:
    """What each service earned on each day of which anything is known."""
    month = known.month
    stated: dict[ServiceDay, Decimal] = defaultdict(Decimal)
    penalty: dict[ServiceDay, Decimal] = defaultdict(Decimal)
    rows = rows_of_run(known.statements, None)
    for row in rows:
        place = _place(known, row)
        stated[place] += row["amount"]
        penalty[place] += row["penalty"]
    own: dict[ServiceDay, Decimal] = defaultdict(Decimal)
    for (_, service, at), line in known.own.lines.items():
        own[service, month.begin_of(float(at))] += line.amount
    for _, service, at in known.own.nothing:
        own[service, month.begin_of(float(at))] += 0
    unknown = {(service, month.begin_of(float(at))) for _, service, at in known.own.missing}
    budget = _budget(known)
    covered = _covered(known, rows)
    days = {day for _, day in covered}
    services = [service.name for service in known.site.services]
    found = {}
    for place in {*stated, *own, *budget}:
        is_covered = place[1] in days
        if not is_covered and place not in own and place not in budget:
            continue
        found[place] = DayRevenue(
            stated=stated[place]
            if is_covered and (place in stated or place[0] in services)
            else None,
            own=own[place] if place in own and place not in unknown else None,
            penalty=penalty[place] if is_covered else Decimal(0),
            budget=budget.get(place),
        )
    return found


def revenue_figures(
    known: SiteMonth, revenues: dict[ServiceDay, DayRevenue]
) -> Iterator[Figure | None]:
    """``revenue``."""
    for (service, day), one in sorted(revenues.items()):
        yield figure(
            "revenue",
            (known.site.id, service),
            day,
            amount=one.amount,
            stated=one.stated,
            own=one.own,
            penalty=None if one.stated is None else one.penalty,
            budget=one.budget,
            provisional=None if one.amount is None else one.stated is None,
        )


def _settled(
    known: SiteMonth,
    run: str,
    found: Reconciliation,
    own: OwnLines,
    last: Mapping[ServiceDay, str],
) -> Iterator[Figure | None]:
    month, site = known.month, known.site
    sums: dict[ServiceDay, dict[str, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    for key, line in own.lines.items():
        day = sums[key[1], month.begin_of(float(key[2]))]
        day["own"] += line.amount
        day["lines"] += key not in found.stated_lines
    for key, line in found.stated_lines.items():
        day = sums[key[1], month.begin_of(float(key[2]))]
        day["penalty"] += line.penalty
        judged = key in own.lines or key in own.nothing or not _contracted(known, key)
        if judged and key not in own.missing:
            day["stated"] += line.amount
            day["lines"] += 1
        else:
            day["unjudged"] += line.amount
    seen: set[tuple[str, float]] = set()
    for difference in found.differences:
        if (difference.service, difference.start) not in seen:
            seen.add((difference.service, difference.start))
            sums[difference.service, month.begin_of(difference.start)]["differing"] += 1
    for (service, day_start), day in sorted(sums.items()):
        yield figure(
            "settlement",
            (site.id, service, run),
            day_start,
            stated=day["stated"],
            own=day["own"],
            difference=day["stated"] - day["own"],
            penalty=day["penalty"],
            unjudged=day["unjudged"],
            lines=day["lines"],
            differing=day["differing"],
            in_force=last.get((service, day_start)) == run,
        )


def _contracted(known: SiteMonth, key: Key) -> bool:
    return key[1] in {service.name for service in known.site.services}


def _causes(found: Reconciliation) -> Iterator[tuple[Key, Cause]]:
    for d in found.differences:
        yield (d.site, d.service, f"{d.start:.0f}"), d.cause


def _place(known: SiteMonth, row: Row) -> ServiceDay:
    return row["service"], known.month.begin_of(row["start"])


def _places(known: SiteMonth) -> dict[str, set[ServiceDay]]:
    """What each run is about, the earliest run first.

    A run is about all services of the days that it covers, so that what it lacks is missing; but
    for those that an earlier run has lines of, only about what it restates.
    """
    by_run: dict[str, list[Row]] = defaultdict(list)
    for row in known.statements:
        by_run[row["run"].upper()].append(row)
    found: dict[str, set[ServiceDay]] = {}
    before: set[ServiceDay] = set()
    for run in sorted(by_run, key=run_rank):
        rows = by_run[run]
        restated = {_place(known, row) for row in rows}
        found[run] = (_covered(known, rows) - before) | restated
        before |= restated
    return found


def _covered(known: SiteMonth, rows: Sequence[Row]) -> set[ServiceDay]:
    """All services on the days from the first to the last that a statement is about."""
    first, last = covered(rows, known.month.zone)
    services = {service.name for service in known.site.services}
    services |= {row["service"] for row in rows}
    return {(name, day) for day, _ in known.month.days if first <= day < last for name in services}


def _within(known: SiteMonth, places: Collection[ServiceDay]) -> OwnLines:
    """Our own lines of some services and days."""
    begin_of = known.month.begin_of

    def here(key: Key) -> bool:
        return (key[1], begin_of(float(key[2]))) in places

    own = known.own
    lines: dict[Key, Line] = {key: line for key, line in own.lines.items() if here(key)}
    missing = {key: why for key, why in own.missing.items() if here(key)}
    return OwnLines(lines, frozenset(filter(here, own.nothing)), missing)


def _budget(known: SiteMonth) -> dict[ServiceDay, Decimal]:
    by_date = {
        datetime.fromtimestamp(day, known.month.zone).date().isoformat(): day
        for day, _ in known.month.days
    }
    return {
        (row["service"], by_date[row["day"]]): row["amount"]
        for row in known.budget
        if row["day"] in by_date
    }
