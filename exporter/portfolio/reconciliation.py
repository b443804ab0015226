"""One's own lines against a settlement run: what differs, by cause, to the hundredth."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from exporter.portfolio.contracts_file import Contracts, EnergyService, SiteContract
from exporter.portfolio.ledger import Ledger, run_rank
from exporter.portfolio.ledger_rows import Row
from exporter.portfolio.ledger_tables import TABLES
from exporter.portfolio.market_days import local_midnight
from exporter.portfolio.own_lines import OwnLines, line_key, own_lines
from scoring.money.revenue import Cause, Key, Line, reconcile


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference: stated minus own, of one site, service and settlement period."""

    site: str
    service: str
    start: float
    cause: Cause
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """A run against one's own figures.

    ``own`` and ``stated`` are sums over the lines that could be compared; ``differences`` add up to
    stated minus own. ``missing`` counts settlement periods of which there are no own figures, by
    reason: their statement is in ``unjudged``, and neither right nor wrong. ``uncovered`` is what
    was due on days that no statement is about.
    """

    run: str | None
    own: Decimal
    stated: Decimal
    differences: tuple[Difference, ...]
    lines: int
    missing: Mapping[str, int]
    unjudged: Decimal
    uncovered: Decimal = Decimal(0)
    stated_lines: Mapping[Key, Line] = field(default_factory=dict, repr=False)

    def by_cause(self) -> dict[Cause, Decimal]:
        """Differences by cause."""
        found: dict[Cause, Decimal] = defaultdict(Decimal)
        for difference in self.differences:
            found[difference.cause] += difference.amount
        return dict(found)


def runs(ledger: Ledger, start: float, end: float, sites: Sequence[str]) -> list[str]:
    """Settlement runs of a period, the earliest first."""
    rows = ledger.versions(TABLES["settlement"], start, end, sites)
    return sorted({row["run"].upper() for row in rows}, key=run_rank)


def reconciliation(
    ledger: Ledger,
    contracts: Contracts,
    sites: Sequence[SiteContract],
    start: float,
    end: float,
    run: str | None = None,
) -> Reconciliation:
    """Compare a run, or what is in force, with one's own figures.

    Parameters
    ----------
    ledger : Ledger
    contracts : Contracts
    sites : sequence of SiteContract
    start, end : float
        Unix seconds; settlement periods that begin in between.
    run : str or None
        A run as it stands, with lines of earlier runs that it does not restate; None for the latest
        run of each line.

    Raises
    ------
    LedgerError
    """
    zone = ZoneInfo(contracts.zone)
    rows = rows_of_run(
        ledger.versions(TABLES["settlement"], start, end, [s.id for s in sites]), run
    )
    own: dict[Key, Line] = {}
    nothing: set[Key] = set()
    unknown: dict[Key, str] = {}
    uncovered = Decimal(0)
    for site in sites:
        found = own_lines(ledger, site, zone, start, end)
        first, last = covered([row for row in rows if row["site"] == site.id], zone)
        for key, line in found.lines.items():
            if first <= float(key[2]) < last:
                own[key] = line
            else:
                uncovered += line.amount
        nothing |= {key for key in found.nothing if first <= float(key[2]) < last}
        unknown |= {k: why for k, why in found.missing.items() if first <= float(k[2]) < last}
    ours = OwnLines(own, frozenset(nothing), unknown)
    return replace(compare(ours, sites, rows, run, zone), uncovered=uncovered)


def rows_of_run(versions: Sequence[Row], run: str | None) -> list[Row]:
    """Lines as they stand with a run: of each the last version of the latest run up to it.

    Parameters
    ----------
    versions : sequence of Row
        All versions of all lines, those of an earlier run and the older ones first.
    run : str or None
        None for the latest of all.
    """
    key = TABLES["settlement"].key
    last = None if run is None else run_rank(run)
    standing = {
        tuple(row[name] for name in key): row
        for row in sorted(versions, key=lambda row: run_rank(row["run"]))
        if last is None or run_rank(row["run"]) <= last
    }
    return list(standing.values())


def covered(rows: Sequence[Row], zone: ZoneInfo) -> tuple[float, float]:
    """From the first to the last local day that lines of a statement are about, Unix seconds."""
    if not rows:
        return 0.0, 0.0
    starts = [row["start"] for row in rows]
    first, last = (local_midnight(at, zone) for at in (min(starts), max(starts)))
    return first.timestamp(), (last + timedelta(days=1)).timestamp()


def compare(
    ours: OwnLines,
    sites: Sequence[SiteContract],
    rows: Sequence[Row],
    run: str | None,
    zone: ZoneInfo,
) -> Reconciliation:
    """Compare one's own lines with rows of a statement; see :func:`reconciliation`."""
    own, unknown = ours.lines, dict(ours.missing)
    by_day = {
        (site.id, service.name)
        for site in sites
        for service in site.services
        if not isinstance(service, EnergyService)
    }
    stated = stated_lines(rows, by_day, zone)
    contracted = {(site.id, service.name) for site in sites for service in site.services}
    for key in stated:
        if key[:2] in contracted and not (key in own or key in ours.nothing):
            unknown.setdefault(key, "no measured power")
    judged = {key: line for key, line in stated.items() if key not in unknown}
    each = tuple(
        Difference(key[0], key[1], float(key[2]), cause, amount)
        for key, cause, amount in reconcile(own, judged)
    )
    return Reconciliation(
        run=run,
        own=sum((line.amount for line in own.values()), Decimal(0)),
        stated=sum((line.amount for line in judged.values()), Decimal(0)),
        differences=each,
        lines=len({*own, *judged}),
        missing=Counter(unknown.values()),
        unjudged=sum((stated[key].amount for key in unknown if key in stated), Decimal(0)),
        stated_lines=stated,
    )


def stated_lines(
    rows: Sequence[Row], by_day: Collection[tuple[str, str]], zone: ZoneInfo
) -> dict[Key, Line]:
    """Lines of a statement; those of several partners about the same thing are one.

    Services ``by_day`` (site, name) are due by the day: lines of a part of it are added up.
    """
    found: dict[Key, Line] = {}
    for row in rows:
        start = row["start"]
        if (row["site"], row["service"]) in by_day:
            start = local_midnight(start, zone).timestamp()
        key = line_key(row["site"], row["service"], start)
        line = _line(row)
        found[key] = _together(found[key], line) if key in found else line
    return found


def _together(one: Line, other: Line) -> Line:
    """Both lines as one, at the price that gives the sum of both products."""
    volume = one.volume + other.volume
    worth = one.volume * one.price + other.volume * other.price
    price = one.price if one.price == other.price or not volume else worth / volume
    return Line(volume, price, one.amount + other.amount, one.penalty + other.penalty)


def _line(row: Row) -> Line:
    return Line(row["volume"], row["price"], row["amount"], row["penalty"])
