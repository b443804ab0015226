"""Answers out of the portfolio as it was published: what plants earned, lost and owe.

Rows are read and added up by the functions of the API (:mod:`exporter.portfolio.stored_figures`).
Days and months are those of the market. What is not published is not known, never 0.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from exporter.ask.answer import Answer, CannotAnswerError, Column, Table
from exporter.ask.builder import MOSTLY, SITE_COLUMNS, Builder, capital
from exporter.ask.energy_answers import bounds_in
from exporter.ask.figures import CAUSES_OF, FIGURES, REVENUE_CAUSES, Figure
from exporter.ask.query import Period
from exporter.ask.statements import no_answer
from exporter.history.coverage import Coverage
from exporter.history.influxql import InfluxQL, NoAnswerError
from exporter.model.text import sites_word
from exporter.portfolio.measurements import MEASUREMENTS
from exporter.portfolio.stored_figures import (
    FIRST,
    LAST,
    Rows,
    read_plants,
    read_rows,
    summed,
    zone_of_plants,
)

HOUR_SECONDS = 3600.0
NOT_PUBLISHED = (
    "nothing of the portfolio is published; 'fleetscope portfolio --publish' does it "
    "(docs/portfolio.md)"
)


@dataclass(slots=True)
class _Books:
    """What was read for a question: rows of the plants asked about, in the market's zone."""

    figure: Figure
    zone: ZoneInfo
    currency: str
    plants: list[str]
    words: str
    rows: Rows = field(default_factory=list)


async def portfolio_answer(b: Builder, stored: InfluxQL | None) -> Answer:
    """A figure of the plants asked about, over the period of the query.

    Raises
    ------
    CannotAnswerError
    """
    if stored is None:
        raise CannotAnswerError(
            "the portfolio is stored, and no InfluxDB is configured", status=503
        )
    try:
        return await _answered(b, stored)
    except NoAnswerError as error:
        raise no_answer(error) from error


async def _answered(b: Builder, stored: InfluxQL) -> Answer:
    figure = FIGURES[b.query.figure or ""]
    plants = await read_plants(stored)
    if not plants:
        raise CannotAnswerError(NOT_PUBLISHED)
    chosen = set(b.chosen)
    named = sorted({row["site"] for row in plants} & chosen)
    if not named:
        known = ", ".join(sorted({row["site"] for row in plants})[:5])
        raise CannotAnswerError(f"no plant of the portfolio is asked about; plants are {known}")
    outside = len(chosen) - len(named)
    if outside and b.query.sites:
        b.evidence.missing.append(f"{sites_word(outside)} asked about are no plants")
    currencies = {row["currency"] for row in plants if row["currency"]}
    books = _Books(
        figure,
        zone_of_plants(plants),
        currencies.pop() if len(currencies) == 1 else "",
        named,
        "",
    )
    newest, since, until = _bounds(b, books)
    only = {"site": named}
    if b.query.causes and figure.by == "cause":
        only["cause"] = list(b.query.causes)
    read = read_rows(stored, figure.measurement, since, until, only, newest=newest)
    observed = read_rows(stored, "availability", since, until, {"site": named})
    if newest or figure.usual == "all time":
        books.rows = await read
        observed.close()
    else:
        books.rows, seen = await asyncio.gather(read, observed)
        b.coverage = _coverage(seen, named, since, until)
    if not books.rows and not _is_published(b):
        raise CannotAnswerError(
            f"no {figure.label} of {_plants(b, books)} is published, {books.words}"
        )
    about = MEASUREMENTS[figure.measurement]
    b.evidence.notes.append(f"Source: {about.source}")
    if about.formula:
        b.evidence.notes.append(f"Formula: {about.formula}")
    head, table = _HEADS[figure.name](b, books)
    if b.coverage is not None and b.coverage.below(MOSTLY):
        head = f"{b.coverage.sentence()} {head}"
    sites = [line["site"] for line in table.rows if "site" in line] or named
    rows = [b.view.directory.row(site) for site in dict.fromkeys(sites)]
    return b.answer(head, [table], b.limit(rows))


def _bounds(b: Builder, books: _Books) -> tuple[bool, float, float]:
    """Whether the newest rows are asked for, and Unix seconds of both ends."""
    period = b.query.period
    if period is None and not books.figure.usual:
        books.words = "as last published"
        return True, FIRST, LAST
    if period is None and books.figure.usual == "all time":
        books.words = "up to now"
        return False, FIRST, LAST
    if period is None:
        period = _last_month(b.view.assessment.time, books.zone)
        b.query = b.query.but(period=period)
    start, end = bounds_in(period, books.zone)
    first, last = (datetime.fromtimestamp(t, books.zone) for t in (start, end))
    days = f"{first:%Y-%m-%d} to {last - timedelta(seconds=1):%Y-%m-%d}"
    books.words = f"{period.words or 'in the period'} ({days})"
    b.evidence.notes.append(f"Days are those of {books.zone}: {days}")
    return False, start, end


def _last_month(now: float, zone: ZoneInfo) -> Period:
    """The month before this one."""
    local = datetime.fromtimestamp(now, zone)
    this = datetime.combine(local.date().replace(day=1), time(0), zone)
    before = datetime.combine((this - timedelta(days=1)).date().replace(day=1), time(0), zone)
    return Period(before, this, "last month")


def _coverage(rows: Rows, plants: list[str], start: float, end: float) -> Coverage:
    """Observed time of each plant, out of the hours that are up or down."""
    seconds, up = dict.fromkeys(plants, 0.0), dict.fromkeys(plants, 0.0)
    for row in rows:
        if row["site"] in seconds:
            hours = (row["up_hours"] or 0.0) + (row["down_hours"] or 0.0)
            seconds[row["site"]] += HOUR_SECONDS * hours
            up[row["site"]] += HOUR_SECONDS * (row["up_hours"] or 0.0)
    longest = end - start
    return Coverage(start, end, {site: min(n, longest) for site, n in seconds.items()}, (), up)


def _is_published(b: Builder) -> bool:
    """Whether the period is published though it has no such row: then there was none."""
    one_of_a_kind = FIGURES[b.query.figure or ""].name == "lost" and bool(b.query.causes)
    return one_of_a_kind and b.coverage is not None and b.coverage.share > 0


def _plants(b: Builder, books: _Books) -> str:
    if len(books.plants) == 1:
        return b.view.directory.titles[books.plants[0]]
    return f"{len(books.plants)} plants"


def _money(amount: float | None, books: _Books) -> str:
    if amount is None:
        return "an unknown amount"
    return f"{amount:z,.2f} {books.currency}".replace(",", " ").strip()


def _sums(books: _Books, *by: str) -> Rows:
    return summed(books.rows, books.figure.measurement, by, books.zone)


def _sum(books: _Books, name: str) -> float | None:
    found = _sums(books)
    return found[0][name] if found else None


def _lines(b: Builder, rows: Rows) -> list[dict[str, Any]]:
    return [b.view.identity(b.view.directory.row(row["site"])) | row for row in rows]


def _sorted(b: Builder, lines: list[dict[str, Any]], key: str) -> list[dict[str, Any]]:
    figure = FIGURES[b.query.figure or ""]
    order = b.query.order if b.query.order in ("highest", "lowest") else figure.order
    if b.query.order in ("worst", "best"):
        bad_first = b.query.order == "worst"
        order = "highest" if (figure.worse == "high") == bad_first else "lowest"
    sign = -1 if order == "highest" else 1
    return sorted(
        lines, key=lambda line: (line[key] is None, sign * (line[key] or 0.0), line["site"])
    )


def _amount(key: str, label: str, books: _Books) -> Column:
    return Column(key, label, "number", books.currency, 2)


def _lost(b: Builder, books: _Books) -> tuple[str, Table]:
    lines = _sorted(b, _lines(b, _sums(books, "site", "cause")), "amount")
    for line in lines:
        line["label"] = REVENUE_CAUSES.get(line["cause"], line["cause"])
    columns = (*SITE_COLUMNS, Column("label", "Lost to"), _amount("amount", "Amount", books))
    table = Table("Lost revenue", columns, b.limit(lines), len(lines))
    amount = _sum(books, "amount")
    whose = _plants(b, books)
    if b.query.causes:
        causes = " and ".join(CAUSES_OF["lost"][cause] for cause in b.query.causes)
        # What is published without a row of these causes lost nothing to them.
        lost = _money(amount if books.rows else 0.0, books)
        text = f"{whose} lost {lost} to {causes}, {books.words}"
        if len(books.plants) > 1 and lines:
            text += f"; most {lines[0]['name']} with {_money(lines[0]['amount'], books)}"
        return f"{text}.", table
    text = f"{whose} lost {_money(amount, books)} of revenue against the best, {books.words}"
    if lines and (lines[0]["amount"] or 0) > 0:
        first = lines[0]
        text += f"; most to {first['label']}"
        text += f" at {first['name']}" if len(books.plants) > 1 else ""
        text += f", {_money(first['amount'], books)}"
    return f"{text}.", table


def _revenue(b: Builder, books: _Books) -> tuple[str, Table]:
    plants = _sorted(b, _lines(b, _sums(books, "site")), "amount")
    lines = _sorted(b, _lines(b, _sums(books, "site", "service")), "amount")
    columns = (
        *SITE_COLUMNS,
        Column("service", "Service"),
        _amount("amount", "Revenue", books),
        _amount("budget", "Budget", books),
        _amount("penalty", "Penalties", books),
        Column("provisional", "Days without a statement", "number"),
    )
    table = Table("Revenue", columns, b.limit(lines), len(lines))
    text = f"Revenue of {_plants(b, books)}, {books.words}: {_money(_sum(books, 'amount'), books)}"
    budget = _sum(books, "budget")
    if budget is not None:
        text += f", against a budget of {_money(budget, books)}"
    open_days = _sum(books, "provisional")
    if open_days:
        text += f"; {open_days:.0f} days of services have no statement yet and count our own figure"
    if len(plants) > 1:
        text += f"; first {plants[0]['name']} with {_money(plants[0]['amount'], books)}"
    services = sorted(_sums(books, "service"), key=lambda one: -(one["amount"] or 0.0))
    if len(services) > 1:
        named = (f"{one['service']} {_money(one['amount'], books)}" for one in services)
        text += f"; by service: {', '.join(named)}"
    return f"{text}.", table


def _disputes(b: Builder, books: _Books) -> tuple[str, Table]:
    books.rows = [row for row in books.rows if row["open"]]
    lines = _lines(b, _sums(books, "site", "service", "run", "cause"))
    lines.sort(key=lambda line: (-abs(line["amount"] or 0.0), line["site"]))
    columns = (
        *SITE_COLUMNS,
        *(Column(key, capital(key)) for key in ("service", "run", "cause")),
        _amount("amount", "Stated − own", books),
        Column("open", "Lines", "number"),
    )
    table = Table("Open disputes", columns, b.limit(lines), len(lines))
    count, amount = _sum(books, "open"), _sum(books, "amount")
    if not count:
        return f"No dispute of {_plants(b, books)} is open, {books.words}.", table
    first = lines[0]
    text = (
        f"{count:.0f} differences of statements of {_plants(b, books)} are open, {books.words}: "
        f"stated less own is {_money(amount, books)}; largest {first['cause']} of "
        f"{first['service']} at {first['name']}, {_money(first['amount'], books)}."
    )
    return text, table


def _guarantees(b: Builder, books: _Books) -> tuple[str, Table]:
    lines = _lines(b, books.rows)
    lines.sort(key=lambda line: (line["met"] not in (0, 0.0), line["met"] is None, line["site"]))
    columns = (
        *SITE_COLUMNS,
        Column("term", "Guarantee"),
        Column("target_percent", "Guaranteed", "number", "%", 2),
        Column("actual_percent", "Reached", "number", "%", 2),
        Column("coverage_percent", "Observed", "number", "%", 1),
        Column("met", "Met", "number"),
        _amount("owed", "Owed", books),
        Column("excluded_hours", "Excluded", "number", "h", 1),
    )
    table = Table("Guarantees", columns, b.limit(lines), len(lines))
    judged = [line for line in lines if line["met"] is not None]
    met = sum(1 for line in judged if line["met"])
    text = f"{met} of {len(judged)} guarantees of {_plants(b, books)} were met, {books.words}"
    missed = [line for line in judged if not line["met"]]
    if missed:
        first = missed[0]
        text += (
            f"; missed first {first['term']} of {first['name']}: {first['actual_percent']:.2f} % "
            f"of {first['target_percent']:.2f} %"
        )
        text += f"; {_money(_sum(books, 'owed'), books)} are owed"
    if len(judged) < len(lines):
        text += f"; {len(lines) - len(judged)} are not judged, since too little was observed"
    return f"{text}.", table


def _availability(b: Builder, books: _Books) -> tuple[str, Table]:
    lines = _lines(b, _sums(books, "site"))
    for line in lines:
        line["percent"] = _percent(line)
    lines = _sorted(b, lines, "percent")
    columns = (
        *SITE_COLUMNS,
        Column("percent", "Availability", "number", "%", 2),
        Column("up_hours", "Up", "number", "h", 1),
        Column("down_hours", "Down", "number", "h", 1),
        Column("unobserved_hours", "Not observed", "number", "h", 1),
    )
    table = Table("Availability", columns, b.limit(lines), len(lines))
    whole = _percent((_sums(books) or [{}])[0])
    if whole is None or (b.coverage is not None and not b.coverage.enough):
        return f"So the availability of {_plants(b, books)} is not known, {books.words}.", table
    text = f"Availability of {_plants(b, books)}, {books.words}: {whole:.2f} % of the observed time"
    if len(lines) > 1 and lines[0]["percent"] is not None:
        text += f"; first {lines[0]['name']} with {lines[0]['percent']:.2f} %"
    return f"{text}, without exclusions.", table


def _percent(row: Mapping[str, Any]) -> float | None:
    up, down = row.get("up_hours"), row.get("down_hours")
    whole = (up or 0.0) + (down or 0.0)
    return 100.0 * (up or 0.0) / whole if whole > 0 else None


def _cycles(b: Builder, books: _Books) -> tuple[str, Table]:
    lines = _lines(b, _sums(books, "site"))
    for line in lines:
        budget = line["cycle_budget"]
        used = line["cycles"]
        line["used_percent"] = 100.0 * used / budget if budget and used is not None else None
    lines = _sorted(b, lines, "used_percent")
    columns = (
        *SITE_COLUMNS,
        Column("cycles", "Cycles", "number", "", 1),
        Column("cycle_budget", "Warranty allows", "number", "", 1),
        Column("used_percent", "Used", "number", "%", 1),
    )
    table = Table("Cycles against the warranty", columns, b.limit(lines), len(lines))
    cycles, budget = _sum(books, "cycles"), _sum(books, "cycle_budget")
    text = f"{_plants(b, books)} made {_cycles_words(cycles)} full cycles, {books.words}"
    if budget:
        text += f", of {budget:.1f} that the warranty allows"
    if len(lines) > 1 and lines[0]["used_percent"] is not None:
        text += f"; first {lines[0]['name']} with {lines[0]['used_percent']:.0f} %"
    return f"{text}.", table


def _cycles_words(cycles: float | None) -> str:
    return "an unknown number of" if cycles is None else f"{cycles:.1f}"


def _newest(books: _Books) -> None:
    """Only the newest month of each plant, where a period is asked about."""
    by_site = {row["site"]: row for row in sorted(books.rows, key=lambda row: row["time"])}
    books.rows = list(by_site.values())


_LIFE_COLUMNS = (
    *SITE_COLUMNS,
    Column("fade_percent_a_year", "Health lost a year", "number", "%", 2),
    Column("soh_percent", "State of health", "number", "%", 1),
    Column("end_of_life_soh_percent", "Augmented at", "number", "%", 0),
    Column("augmentation", "Augmentation", "time"),
    Column("years_left", "Years left", "number", "", 1),
)


def _fade(b: Builder, books: _Books) -> tuple[str, Table]:
    _newest(books)
    lines = _sorted(b, _lines(b, books.rows), "fade_percent_a_year")
    table = Table("Life of plants", _LIFE_COLUMNS, b.limit(lines), len(lines))
    known = [line for line in lines if line["fade_percent_a_year"] is not None]
    if not known:
        return f"How fast {_plants(b, books)} fade is not known yet.", table
    first = known[0]
    text = f"{first['name']} loses {first['fade_percent_a_year']:.2f} % of health a year"
    if first["soh_percent"] is not None:
        text += f", now {first['soh_percent']:.1f} %"
    if len(lines) > 1:
        text += f"; of {len(known)} plants with a known trend"
        text += ", the fastest" if b.query.order != "lowest" else ", the slowest"
    return f"{text}, {books.words}.", table


def _augmentation(b: Builder, books: _Books) -> tuple[str, Table]:
    _newest(books)
    lines = _sorted(b, _lines(b, books.rows), "augmentation")
    table = Table("Life of plants", _LIFE_COLUMNS, b.limit(lines), len(lines))
    known = [line for line in lines if line["augmentation"] is not None]
    if not known:
        return f"When {_plants(b, books)} need augmentation is not known yet.", table
    first = known[0]
    parts = [f"{_month(first['augmentation'], books)}"]
    for key, word in (("augmentation_early", "earliest"), ("augmentation_late", "latest")):
        if first.get(key) is not None:
            parts.append(f"{word} {_month(first[key], books)}")
    text = f"{first['name']} is expected to need augmentation in {', '.join(parts)}"
    if len(lines) > 1:
        text += f"; the first of {len(known)} plants with a known trend"
    return f"{text}, {books.words}.", table


def _month(seconds: float, books: _Books) -> str:
    return f"{datetime.fromtimestamp(seconds, books.zone):%Y-%m}"


_HEADS: dict[str, Callable[[Builder, _Books], tuple[str, Table]]] = {
    "revenue": _revenue,
    "lost": _lost,
    "dispute": _disputes,
    "guarantee": _guarantees,
    "plant_availability": _availability,
    "cycle_use": _cycles,
    "fade": _fade,
    "augmentation": _augmentation,
}
