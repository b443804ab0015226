"""One's own lines against a settlement run: what differs, by cause, to the hundredth."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from zoneinfo import ZoneInfo

from exporter.portfolio.contracts_file import Contracts, SiteContract
from exporter.portfolio.ledger import Ledger, run_rank
from exporter.portfolio.ledger_rows import Row
from exporter.portfolio.ledger_tables import TABLES
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
    reason: their statement is in ``unjudged``, and neither right nor wrong.
    """

    run: str | None
    own: Decimal
    stated: Decimal
    differences: tuple[Difference, ...]
    lines: int
    missing: Mapping[str, int]
    unjudged: Decimal
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
        None for the latest run of each line.

    Raises
    ------
    LedgerError
    """
    zone = ZoneInfo(contracts.zone)
    own: dict[Key, Line] = {}
    nothing: set[Key] = set()
    unknown: dict[Key, str] = {}
    for site in sites:
        found = own_lines(ledger, site, zone, start, end)
        own |= found.lines
        nothing |= found.nothing
        unknown |= found.missing
    rows = _of_run(ledger, start, end, [site.id for site in sites], run)
    return compare(OwnLines(own, frozenset(nothing), unknown), sites, rows, run)


def compare(
    ours: OwnLines, sites: Sequence[SiteContract], rows: Sequence[Row], run: str | None
) -> Reconciliation:
    """Compare one's own lines with rows of a statement; see :func:`reconciliation`."""
    own, unknown = ours.lines, dict(ours.missing)
    stated = stated_lines(rows)
    contracted = {(site.id, service.name) for site in sites for service in site.services}
    for key in stated:
        if key[:2] in contracted and not (key in own or key in ours.nothing):
            unknown.setdefault(key, "no measured power")
    compared = {key: line for key, line in stated.items() if key not in unknown}
    each = tuple(
        Difference(key[0], key[1], float(key[2]), cause, amount)
        for key, cause, amount in reconcile(own, compared)
    )
    return Reconciliation(
        run=run,
        own=sum((line.amount for line in own.values()), Decimal(0)),
        stated=sum((line.amount for line in compared.values()), Decimal(0)),
        differences=each,
        lines=len({*own, *compared}),
        missing=Counter(unknown.values()),
        unjudged=sum((stated[key].amount for key in unknown if key in stated), Decimal(0)),
        stated_lines=stated,
    )


def stated_lines(rows: Sequence[Row]) -> dict[Key, Line]:
    """Lines of a statement; those of several partners about the same thing are one."""
    found: dict[Key, Line] = {}
    for row in rows:
        key = line_key(row["site"], row["service"], row["start"])
        line = _line(row)
        found[key] = _together(found[key], line) if key in found else line
    return found


def _together(one: Line, other: Line) -> Line:
    """Both lines as one, at the price that gives the sum of both products."""
    volume = one.volume + other.volume
    worth = one.volume * one.price + other.volume * other.price
    price = one.price if one.price == other.price or not volume else worth / volume
    return Line(volume, price, one.amount + other.amount, one.penalty + other.penalty)


def _of_run(
    ledger: Ledger, start: float, end: float, sites: Sequence[str], run: str | None
) -> list[Row]:
    table = TABLES["settlement"]
    if run is None:
        return ledger.latest(table, start, end, sites)
    # The last version of each line of that run.
    rows = ledger.versions(table, start, end, sites)
    of_run = [row for row in rows if row["run"].upper() == run.upper()]
    return list({tuple(row[name] for name in table.key): row for row in of_run}.values())


def _line(row: Row) -> Line:
    return Line(row["volume"], row["price"], row["amount"], row["penalty"])
