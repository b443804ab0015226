"""Statements beside our own figures, day by day, and what each day earned."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from exporter.portfolio.figure import Figure, figure
from exporter.portfolio.ledger import run_rank
from exporter.portfolio.ledger_rows import Row
from exporter.portfolio.ledger_tables import TABLES
from exporter.portfolio.own_lines import OwnLines
from exporter.portfolio.reconciliation import Reconciliation, compare
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
    month, site = known.month, known.site
    in_force = _in_force(known)
    open_now = {
        (key, cause)
        for key, cause in _causes(compare(_within(known, in_force), [site], in_force, None))
    }
    run_of = {(r["service"], r["start"]): r["run"].upper() for r in in_force}
    runs = _runs(known)
    last_run: dict[float, str] = {}
    for run, rows in runs.items():
        for row in rows:
            last_run[month.begin_of(row["start"])] = run
    for run, rows in runs.items():
        own = _within(known, rows)
        found = compare(own, [site], rows, run)
        yield from _settled(known, run, found, own, last_run)
        for difference in found.differences:
            key: Key = (site.id, difference.service, f"{difference.start:.0f}")
            mine, theirs = own.lines.get(key), found.stated_lines.get(key)
            of_run = run_of.get((difference.service, difference.start), max(runs, key=run_rank))
            yield figure(
                "dispute",
                (site.id, difference.service, run, difference.cause.value),
                difference.start,
                amount=difference.amount,
                stated_volume=None if theirs is None else theirs.volume,
                own_volume=None if mine is None else mine.volume,
                stated_price=None if theirs is None else theirs.price,
                own_price=None if mine is None else mine.price,
                open=of_run == run and (key, difference.cause) in open_now,
            )


def day_revenues(known: SiteMonth) -> dict[ServiceDay, DayRevenue]:
    """What each service earned on each day of which anything is known."""
    month = known.month
    stated: dict[ServiceDay, Decimal] = defaultdict(Decimal)
    penalty: dict[ServiceDay, Decimal] = defaultdict(Decimal)
    rows = _in_force(known)
    for row in rows:
        place = row["service"], month.begin_of(row["start"])
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
    services = [service.name for service in known.site.services]
    found = {}
    for place in {*stated, *own, *budget}:
        is_covered = place[1] in covered
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
    last_run: dict[float, str],
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
            in_force=last_run.get(day_start) == run,
        )


def _contracted(known: SiteMonth, key: Key) -> bool:
    return key[1] in {service.name for service in known.site.services}


def _causes(found: Reconciliation) -> Iterator[tuple[Key, Cause]]:
    for d in found.differences:
        yield (d.site, d.service, f"{d.start:.0f}"), d.cause


def _runs(known: SiteMonth) -> dict[str, list[Row]]:
    """The last version of each line of each run, the earliest run first."""
    key = TABLES["settlement"].key
    found: dict[str, dict[tuple[object, ...], Row]] = defaultdict(dict)
    for row in known.statements:
        found[row["run"].upper()][tuple(row[name] for name in key)] = row
    return {run: list(found[run].values()) for run in sorted(found, key=run_rank)}


def _in_force(known: SiteMonth) -> list[Row]:
    """The latest run of each line."""
    key = TABLES["settlement"].key
    found: dict[tuple[object, ...], Row] = {}
    for rows in _runs(known).values():
        found |= {tuple(row[name] for name in key): row for row in rows}
    return list(found.values())


def _covered(known: SiteMonth, rows: list[Row]) -> frozenset[float]:
    """Days from the first to the last that a statement is about."""
    if not rows:
        return frozenset()
    days = [known.month.begin_of(row["start"]) for row in rows]
    first, last = min(days), max(days)
    return frozenset(day for day, _ in known.month.days if first <= day <= last)


def _within(known: SiteMonth, rows: list[Row]) -> OwnLines:
    """Our own lines of the days that a statement covers."""
    covered, begin_of = _covered(known, rows), known.month.begin_of

    def here(key: Key) -> bool:
        return begin_of(float(key[2])) in covered

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
