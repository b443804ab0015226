"""What every answer is put together with: masks, columns, evidence."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from exporter.ask import promql
from exporter.ask.answer import Answer, CannotAnswerError, Column, Evidence, Table
from exporter.ask.catalogue import CONDITIONS, METRICS, Metric
from exporter.ask.display_units import unit_of
from exporter.ask.query import Period, Query
from exporter.ask.query_words import in_words
from exporter.ask.view import View, reading
from exporter.assess.assessment import Issue
from exporter.history.coverage import Coverage
from exporter.model.figures import digits, exact, with_unit
from exporter.model.figures import figure as written
from exporter.model.text import sites_word

USUAL_ROWS = 20
MOSTLY = 0.95
"""An answer over a period says what was observed if it was less than this share."""

SITE_COLUMNS = (
    Column("status", "Status", "status"),
    Column("name", "Site"),
    Column("site", "Id"),
)
SCORE = Column("score", "Score", "number", decimals=1)
WHY = (
    Column("why", "Why"),
    Column("more", "More", "number"),
    Column("since", "Since", "time"),
    Column("action", "What to do first"),
)
ISSUE_COLUMNS = (
    Column("severity", "Severity", "severity"),
    Column("sentence", "Issue"),
    Column("deduction", "Points", "number"),
    Column("since", "Since", "time"),
    Column("action", "What to do first"),
)
_OF_ISSUE = {
    code: kind.metric
    for kind in reversed(tuple(CONDITIONS.values()))
    for code in kind.codes
    if kind.metric and not kind.metric.endswith("_score")
}


def capital(text: str) -> str:
    """A text with its first letter large."""
    return text[:1].upper() + text[1:]


def figure(value: float | None, metric: Metric, limit: float | None = None) -> str:
    """A value with its unit, on its side of the limit that it is judged by, or "unknown"."""
    if value is None:
        return "unknown"
    if (unit := unit_of(metric)) is not None:
        least = None if limit is None else unit.value(limit)
        text = written(unit.value(value), unit.decimals(metric.decimals), least)
        return with_unit(text, unit.name)
    return with_unit(written(value, metric.decimals, limit), metric.unit)


def asked_limit(value: float, metric: Metric) -> str:
    """A limit that the question names, with all its digits."""
    return with_unit(exact(value), metric.unit)


class Builder:
    """Puts an answer together for one query and one View."""

    def __init__(self, view: View, query: Query) -> None:
        self.view = view
        self.query = query
        self.mask = view.mask(query)
        self.chosen = [view.sites[row].id for row in np.flatnonzero(self.mask)]
        self.evidence = Evidence(time=view.assessment.time)
        self.coverage: Coverage | None = None
        self.scope = promql.scope(query, self.chosen, view.assessment.fleet)

    @property
    def period(self) -> Period:
        """The period that is asked about."""
        assert self.query.period is not None
        return self.query.period

    @property
    def asked_sites(self) -> list[str] | None:
        """Ids of the sites that are asked about; None for all."""
        return None if self.mask.all() else self.chosen

    def of_sites(self) -> str:
        """`` of the 4 sites asked about`` where it is not the whole fleet."""
        if self.mask.all():
            return sites_word(self.view.count)
        return f"{sites_word(len(self.chosen))} asked about"

    def show(self, promql: str) -> None:
        """Add an expression that shows the same."""
        if promql:
            wrapped = f"({promql})" if self.scope and " " in promql else promql
            self.evidence.promql.append(wrapped + self.scope)

    def metric_column(self, metric: Metric, rows: Iterable[int]) -> Column:
        """The column of a metric, with digits enough for all rows of the table to stand on their
        side of the limits that they are judged by."""
        values = self.view.values(metric)
        decimals = metric.decimals
        for row in rows:
            value = float(values[row])
            decimals = max(decimals, digits(value, metric.decimals, self.view.limit_of(row, value)))
        return Column(metric.name, capital(metric.label), "number", metric.unit, decimals)

    def limit(self, rows: list[Any]) -> list[Any]:
        """The rows that the query wants to see."""
        return rows[: self.query.limit or USUAL_ROWS]

    def issue_evidence(self, row: int, issues: Iterable[Issue]) -> None:
        """The readings that issues of a site rest on."""
        site = self.view.sites[row].id
        for issue in issues:
            metric = METRICS.get(_OF_ISSUE.get(issue.code, ""))
            taken = self.view.taken(metric, row) if metric else self.view.assessment.time
            if issue.value is not None:
                self.evidence.readings.append(
                    reading(site, issue.code, issue.value, issue.unit, taken, issue.threshold)
                )

    def metric_evidence(self, row: int, metric: Metric, value: float | None) -> None:
        """The value of a metric, or that it is missing."""
        site = self.view.sites[row].id
        if value is None:
            self.evidence.missing.append(f"{metric.label} of {site}")
        else:
            taken = self.view.taken(metric, row)
            self.evidence.readings.append(reading(site, metric.name, value, metric.unit, taken))

    def missing_of(self, row: int) -> None:
        """Say what a site did not give."""
        absent = self.view.missing(row)
        if absent:
            self.evidence.missing.append(f"{self.view.sites[row].id}: {', '.join(absent)}")

    def answer(self, headline: str, tables: list[Table], rows: Iterable[int]) -> Answer:
        """The finished answer about some rows."""
        listed = list(rows)
        if unseen := self._unseen():
            headline = f"{headline} {unseen}."
            self.evidence.missing.append(unseen)
        return Answer(
            query=self.query,
            understood=in_words(self.query, self.view.directory.titles),
            headline=headline,
            tables=tables,
            evidence=self.evidence,
            sites=tuple(self.view.sites[row].id for row in listed),
            attention=bool(self.view.needing_attention(listed)),
            coverage=self.coverage,
        )

    def _unseen(self) -> str:
        """Which sites that the answer is about nobody sees now."""
        found = self.view.assessment
        named = set(self.query.sites)
        lost = {site for shard in found.unseen for site in shard.sites}
        about_now = self.query.period is None
        return found.unseen_sentence if about_now and (not named or named & lost) else ""

    def nothing_to_ask(self) -> CannotAnswerError:
        """No site is left by the filters."""
        wanted = ", ".join(str(f) for f in self.query.filters)
        return CannotAnswerError(f"no site of the fleet is left by {wanted}")


def issue_row(issue: Issue) -> dict[str, Any]:
    return {name: getattr(issue, name) for name in Issue.__slots__}


def in_order(b: Builder, mask: Any) -> list[int]:
    """Rows in the order in which sites were named, else those that need attention first."""
    rows = b.view.ranked(mask)
    if b.query.sites:
        place = {b.view.directory.row(site): n for n, site in enumerate(b.query.sites)}
        rows.sort(key=lambda row: place[row])
    return rows
