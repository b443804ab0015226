"""A query as a person would say it, and the words of times and counts in answers."""

from __future__ import annotations

from datetime import datetime

from exporter.ask.catalogue import CONDITIONS, METRICS
from exporter.ask.figures import CAUSES_OF, FIGURES
from exporter.ask.query import OPERATORS, Query, What
from exporter.model.text import duration_words


def moment_words(moment: datetime) -> str:
    """A moment as a person reads it, in its own time zone."""
    return moment.strftime("%Y-%m-%d %H:%M")


def times_words(count: int) -> str:
    """``twice``, ``3 times``."""
    return {1: "once", 2: "twice"}.get(count, f"{count} times")


_SUBJECTS = {
    What.STATUS: "summary of the fleet",
    What.ATTENTION: "sites that need attention",
    What.RANK: "sites in order",
    What.SITE: "details",
    What.COMPARE: "comparison",
    What.OUTLIERS: "outliers",
    What.WHICH: "sites",
    What.EXPLAIN: "every deduction",
    What.SINCE: "since when",
    What.HISTORY: "history",
    What.VALUE: "value",
    What.COST: "cost",
    What.TIMELINE: "what happened",
    What.CONTACT: "where, and whom to call",
    What.CELLS: "single cells",
    What.ALERTS: "alerts",
    What.SILENCES: "what is silenced",
    What.FORECAST: "forecast",
    What.FACTS: "facts",
    What.ENERGY: "energy account",
    What.PORTFOLIO: "portfolio",
    What.PLAN: "plan",
    What.HELP: "what can be answered",
}
_EVENT_WORDS = {
    "begun": "what began",
    "ended": "what ended",
    "unsilenced": "what no silence covers",
    "ongoing": "what is so still",
}
_SEVERITY_WORDS = {"critical": "with a critical issue", "warning": "with a warning or worse"}


def in_words(query: Query, titles: dict[str, str] | None = None) -> str:
    """The query as a person would say it, so that a misunderstanding shows.

    Parameters
    ----------
    query : Query
    titles : dict of site id to name, optional
    """
    titles = titles or {}
    names = [titles.get(site, site) for site in query.sites]
    metrics = [METRICS[m].label for m in query.metrics]
    subject = _SUBJECTS[query.what]
    parts = ["number of " + subject if query.count else subject]
    if metrics:
        parts.append(("of " if query.what is not What.RANK else "by ") + ", ".join(metrics))
    parts += _figure_in_words(query)
    if query.group_by:
        parts.append("by " + query.group_by.replace("_", " "))
    if names:
        parts.append(("for " if query.what is not What.COMPARE else "of ") + ", ".join(names))
    parts += _tests_in_words(query)
    parts += _how_long_in_words(query)
    parts += [
        f"{f.attribute.replace('_', ' ')} {'not ' if f.negate else ''}{f.value}"
        for f in query.filters
    ]
    if query.order:
        parts.append(f"{query.order} first")
    if query.severity in _SEVERITY_WORDS:
        parts.append(_SEVERITY_WORDS[query.severity])
    if query.limit:
        parts.append(f"at most {query.limit}")
    parts += _when_in_words(query)
    if query.cell:
        parts.append(f"cell {query.cell}")
    if query.unit:
        parts.append(f"in {query.unit}")
    if query.with_cost:
        parts.append("and its cost")
    return ", ".join(parts)


def _figure_in_words(query: Query) -> list[str]:
    if query.figure is None:
        return []
    known = CAUSES_OF.get(query.figure, {})
    return [FIGURES[query.figure].label, *(f"to {known[cause]}" for cause in query.causes)]


def _when_in_words(query: Query) -> list[str]:
    parts = []
    for period, against in ((query.period, ""), (query.beside, "against ")):
        if period is not None:
            start, end = moment_words(period.start), moment_words(period.end)
            said = f"{period.words}: " if period.words else ""
            parts.append(f"{against}{said}{start} to {end}")
    if query.events:
        parts.append(_EVENT_WORDS[query.events])
    return parts


def _how_long_in_words(query: Query) -> list[str]:
    parts = []
    if query.lasting:
        how = (
            OPERATORS[query.lasting.operator]
            .replace("above", "more than")
            .replace("below", "less than")
        )
        parts.append(f"for {how} {duration_words(query.lasting.seconds)}")
    if query.times:
        parts.append(f"at least {times_words(query.times)}")
    return parts


def _tests_in_words(query: Query) -> list[str]:
    tests = [("not " if c.negate else "") + CONDITIONS[c.name].label for c in query.conditions] + [
        f"{METRICS[c.metric].label} {OPERATORS[c.operator]} {c.value:g}"
        + (f" {METRICS[c.metric].unit}" if METRICS[c.metric].unit else "")
        for c in query.comparisons
    ]
    return [(" or " if query.any_of else " and ").join(tests)] if tests else []
