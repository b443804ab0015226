"""The tables of the ledger, as data: columns, the names that files give them, and what is a key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from scoring.money.availability import DownCategory


class ColumnType(StrEnum):
    """What a column holds; amounts are decimals and never pass through binary fractions."""

    TEXT = "text"
    NUMBER = "number"
    TIME = "time"
    WHOLE = "whole"
    DATE = "date"


@dataclass(frozen=True, slots=True)
class LedgerColumn:
    """A column: its name, what it holds, and the headings that files use for it.

    Headings are compared without case, blanks, ``_`` and ``-``. ``default`` stands where a file
    has no such column or an empty cell; None makes a value necessary, an empty text leaves it open.
    Numbers are within ``least`` and ``most``, texts one of ``choices``, where these are given.
    """

    name: str
    type: ColumnType = ColumnType.TEXT
    headings: tuple[str, ...] = ()
    default: str | None = None
    least: str | None = None
    most: str | None = None
    choices: tuple[str, ...] = ()

    @property
    def known_as(self) -> frozenset[str]:
        """Headings as they are compared."""
        return frozenset(folded(text) for text in (self.name, *self.headings))


def folded(heading: str) -> str:
    """A heading as headings are compared."""
    return "".join(c for c in heading.casefold() if c not in " _-.")


RUNS: Mapping[str, int] = {
    name: number for number, name in enumerate(("II", "SF", "R1", "R2", "R3", "RF", "DF"))
}
"""Settlement runs of Great Britain, a later one in force over an earlier."""


@dataclass(frozen=True, slots=True)
class LedgerTable:
    """A table.

    ``key`` names the columns that say what a row is about. Where ``run`` is set, rows of several
    runs are kept side by side and the latest run is in force; elsewhere the row that came last is.
    ``period`` is the column whose time a row belongs to.
    """

    name: str
    meaning: str
    columns: tuple[LedgerColumn, ...]
    key: tuple[str, ...]
    period: str
    run: bool = False

    def column(self, name: str) -> LedgerColumn:
        """A column by its name."""
        return next(column for column in self.columns if column.name == name)


EVENT_CATEGORIES = (*(category.value for category in DownCategory), "derating")
"""Whose time an event takes; a derating leaves a part of the power."""
_SITE = LedgerColumn("site", headings=("siteid", "plant", "asset", "bmunit", "bmu"))
_START = LedgerColumn("start", ColumnType.TIME, ("starttime", "from", "begin", "timestamp", "time"))
_SECONDS = LedgerColumn(
    "seconds", ColumnType.WHOLE, ("duration", "periodseconds"), "1800", least="1"
)
_CODE = LedgerColumn("code", headings=("faultcode", "eventcode"), default="")
_DEVICE = LedgerColumn("device", headings=("unit", "equipment", "assetid"), default="")

TABLES: Mapping[str, LedgerTable] = {
    table.name: table
    for table in (
        LedgerTable(
            "settlement",
            "Lines of statements, by run: volume, price, penalty and what is paid",
            (
                _SITE,
                LedgerColumn("service", headings=("product", "market"), default="energy"),
                LedgerColumn("partner", headings=("counterparty",), default=""),
                _START,
                _SECONDS,
                LedgerColumn("run", headings=("settlementruntype", "runtype", "settlementrun")),
                LedgerColumn("volume", ColumnType.NUMBER, ("quantity", "mwh", "energy")),
                LedgerColumn("price", ColumnType.NUMBER, ("unitprice", "rate")),
                LedgerColumn("penalty", ColumnType.NUMBER, ("deduction",), "0"),
                LedgerColumn("amount", ColumnType.NUMBER, ("paid", "value", "total")),
            ),
            key=("site", "service", "partner", "start"),
            period="start",
            run=True,
        ),
        LedgerTable(
            "prices",
            "Prices of energy by period, a MWh",
            (
                LedgerColumn("market", headings=("dataprovider", "source", "index")),
                _START,
                _SECONDS,
                LedgerColumn(
                    "price",
                    ColumnType.NUMBER,
                    ("marketindexprice", "systembuyprice", "value", "eurmwh"),
                ),
            ),
            key=("market", "start"),
            period="start",
        ),
        LedgerTable(
            "dispatch",
            "Power that was wanted, allowed and measured, means of periods, discharge positive",
            (
                _SITE,
                _START,
                LedgerColumn("seconds", ColumnType.WHOLE, ("duration",), "900", least="1"),
                LedgerColumn(
                    "wanted_kw", ColumnType.NUMBER, ("requested", "setpoint", "ordered"), ""
                ),
                LedgerColumn("allowed_kw", ColumnType.NUMBER, ("limited",), ""),
                LedgerColumn("actual_kw", ColumnType.NUMBER, ("measured", "delivered"), ""),
            ),
            key=("site", "start"),
            period="start",
        ),
        LedgerTable(
            "events",
            "Faults, trips, losses of communication and maintenance",
            (
                _SITE,
                _DEVICE,
                _CODE,
                LedgerColumn("category", headings=("type", "kind"), choices=EVENT_CATEGORIES),
                LedgerColumn("severity", headings=("level", "priority"), default="warning"),
                _START,
                LedgerColumn("end", ColumnType.TIME, ("endtime", "until", "to", "cleared"), ""),
                LedgerColumn(
                    "available", ColumnType.NUMBER, ("availableshare", "left"), "", "0", "1"
                ),
            ),
            key=("site", "device", "code", "start"),
            period="start",
        ),
        LedgerTable(
            "tickets",
            "Maintenance tickets with the times of detection, repair and return",
            (
                LedgerColumn("ticket", headings=("ticketid", "id", "number", "workorder")),
                _SITE,
                _DEVICE,
                _CODE,
                LedgerColumn(
                    "opened", ColumnType.TIME, ("detected", "created", "start", "reported")
                ),
                LedgerColumn(
                    "repair_began", ColumnType.TIME, ("repairstart", "onsite", "started"), ""
                ),
                LedgerColumn(
                    "closed", ColumnType.TIME, ("end", "restored", "resolved", "completed"), ""
                ),
            ),
            key=("ticket",),
            period="opened",
        ),
        LedgerTable(
            "budget",
            "Revenue that was expected, by day",
            (
                _SITE,
                LedgerColumn("service", headings=("product", "market"), default="energy"),
                LedgerColumn("day", ColumnType.DATE, ("date", "settlementdate")),
                LedgerColumn(
                    "amount", ColumnType.NUMBER, ("budget", "expected", "forecast", "revenue")
                ),
            ),
            key=("site", "service", "day"),
            period="day",
        ),
        LedgerTable(
            "pipeline",
            "Projects on their way to operation",
            (
                LedgerColumn("project", headings=("name", "projectname")),
                LedgerColumn("region", headings=("area",), default=""),
                LedgerColumn("mw", ColumnType.NUMBER, ("power", "powermw"), least="0"),
                LedgerColumn("mwh", ColumnType.NUMBER, ("energy", "energymwh"), least="0"),
                LedgerColumn("stage", headings=("phase", "status")),
                LedgerColumn("planned", ColumnType.DATE, ("planneddate", "baseline", "target")),
                LedgerColumn("expected", ColumnType.DATE, ("expecteddate", "forecast", "cod")),
            ),
            key=("project",),
            period="planned",
        ),
    )
}
