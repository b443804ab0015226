"""Answers about now, from the Assessment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from exporter.ask import promql
from exporter.ask.answer import Answer, CannotAnswerError, Column, Table
from exporter.ask.builder import (
    SCORE,
    SITE_COLUMNS,
    WHY,
    Builder,
    asked_limit,
    capital,
    figure,
    in_order,
    issue_row,
)
from exporter.ask.catalogue import CONDITIONS, METRICS, Metric
from exporter.ask.cell_answers import cells_answer
from exporter.ask.comparisons import compare_sites, group_table, outliers_answer
from exporter.ask.contact_answers import contact_answer
from exporter.ask.duration_answers import lasting_now, lasting_words
from exporter.ask.fact_answers import facts_answer
from exporter.ask.forecast_answers import forecast_answer
from exporter.ask.ordering import descending, ordered
from exporter.ask.query import Query, What
from exporter.ask.site_answers import explain_answer, since_answer, site_answer
from exporter.ask.view import FloatArray, View
from exporter.model.text import duration_words, sites_word
from scoring.status import STATUSES, Status

MOST_COMPARED = 50


def answer_now(view: View, query: Query) -> Answer:
    """Answer a query about now.

    Raises
    ------
    CannotAnswerError
        If filters leave no site, or the query lacks what it needs.
    """
    builder = Builder(view, query)
    if not builder.chosen:
        raise builder.nothing_to_ask()
    return _ANSWERS[query.what](builder)


def _status(b: Builder) -> Answer:
    view, found = b.view, b.view.assessment
    rows = view.ranked(b.mask)
    status = found.scores.overall.status[b.mask]
    score = found.scores.overall.score[b.mask]
    known = score[~np.isnan(score)]
    counts = {s.name: int((status == s).sum()) for s in (*STATUSES, Status.UNKNOWN)}
    urgent = view.needing_attention(rows)
    whole = bool(b.mask.all())
    mean = float(known.mean()) if known.size else None
    median = float(np.median(known)) if known.size else None
    texts = [f"{n} {name}" for name, n in counts.items() if n]
    headline = f"{capital(_need(len(urgent)))} attention of {b.of_sites()}: {', '.join(texts)}." + (
        f" Mean score {mean:.0f}, median {median:.0f}." if mean is not None else ""
    )
    tables = [
        Table(
            "Sites by status",
            (Column("status", "Status", "status"), Column("sites", "Sites", "number")),
            [{"status": name, "sites": n} for name, n in counts.items()],
            len(counts),
        ),
        _attention_table(b, urgent),
    ]
    shared = [
        {"code": issue.code, "sites": int(issue.sites), "sentence": issue.sentence}
        for issue in found.common
    ]
    if whole and shared:
        columns = (
            Column("sentence", "What several sites share"),
            Column("sites", "Sites", "number"),
        )
        tables.append(Table("In common", columns, shared, len(shared)))
    if counts["UNKNOWN"]:
        b.evidence.missing.append(f"{sites_word(counts['UNKNOWN'])} not scraped yet")
    b.show("count by (status) (fleetscope_site_status == 1)" if whole else "fleetscope_site_status")
    b.show("avg(fleetscope_site_health_score)" if whole else "fleetscope_site_health_score")
    return b.answer(headline, tables, b.limit(urgent) if urgent else [])


def _need(count: int) -> str:
    return "1 site needs" if count == 1 else f"{count or 'no'} sites need"


def _attention_table(b: Builder, rows: list[int]) -> Table:
    shown = b.limit(rows)
    lines = []
    for row in shown:
        issues = b.view.issues(row, b.query.severity)
        b.issue_evidence(row, issues)
        b.missing_of(row)
        worst = issues[0] if issues else None
        lines.append(
            b.view.identity(row)
            | {
                "score": b.view.number(b.view.assessment.scores.overall.score, row),
                "priority": b.view.sites[row].priority,
                "why": worst.sentence if worst else "",
                "more": max(0, len(issues) - 1),
                "since": worst.since if worst else None,
                "action": worst.action if worst else "",
                "issues": [issue_row(issue) for issue in issues],
            }
        )
    return Table("Sites that need attention", (*SITE_COLUMNS, SCORE, *WHY), lines, len(rows))


def _attention(b: Builder) -> Answer:
    severity = b.query.severity or "warning"
    if b.query.group_by:
        return _attention_of_groups(b)
    rows = b.view.ranked(b.mask & b.view.at_least(severity) & b.view.tests(b.query))
    b.show(promql.issues(b.query.severity))
    what = "a critical issue" if severity == "critical" else "attention"
    verb = _need(len(rows)) if what == "attention" else _have(len(rows))
    headline = f"{capital(verb)} {what}, of {b.of_sites()}."
    if rows and not b.query.count:
        first = b.view.issues(rows[0], b.query.severity)[0]
        headline += f" First {b.view.sites[rows[0]].title}: {first.sentence}."
    return b.answer(headline, [_attention_table(b, rows)], b.limit(rows))


def _attention_of_groups(b: Builder) -> Answer:
    """Groups, that with the most sites that need attention first."""
    table = group_table(b, [METRICS["score"]])
    table.rows.sort(key=lambda group: (-group["attention"], group["group"]))
    first = table.rows[0]
    headline = (
        f"Most sites that need attention by {(b.query.group_by or '').replace('_', ' ')}: "
        f"{first['group']}, {first['attention']} of {sites_word(first['sites'])}."
    )
    return b.answer(headline, [table], [])


def _have(count: int) -> str:
    return "1 site has" if count == 1 else f"{count or 'no'} sites have"


def _rank(b: Builder) -> Answer:
    names = b.query.metrics or ("score",)
    metric = METRICS[names[0]]
    values = b.view.values(metric)
    order = b.query.order or ("worst" if metric.worse else "highest")
    candidates = b.mask & b.view.tests(b.query)
    rows = ordered(b.view, np.where(candidates, values, np.nan), metric, order)
    unknown = int((candidates & np.isnan(values)).sum())
    if metric.name == "score":
        # The ranks of the Assessment break ties by priority and put the unknown last.
        by = b.view.assessment.scores
        ranks = by.attention if order in ("worst", "lowest") else by.performance
        rows = [int(r) for r in np.argsort(ranks) if candidates[r]]
        unknown = 0
    shown = b.limit(rows)
    lines = []
    for place, row in enumerate(shown, 1):
        value = b.view.number(values, row)
        b.metric_evidence(row, metric, value)
        line = b.view.identity(row) | {"place": place, metric.name: value}
        if metric.name != "score":
            line["score"] = b.view.number(b.view.assessment.scores.overall.score, row)
        issues = b.view.issues(row)
        line["why"] = issues[0].sentence if issues else ""
        lines.append(line)
    if unknown:
        b.evidence.missing.append(f"{metric.label} of {sites_word(unknown)}: left out")
    show = promql.metric(metric.name)
    if show:
        largest = descending(metric, order)
        b.show(f"{'topk' if largest else 'bottomk'}({len(shown) or 1}, {show})")
    if not rows:
        raise CannotAnswerError(f"no site has a {metric.label} now")
    best, value = b.view.sites[shown[0]].title, b.view.number(values, shown[0])
    headline = (
        f"{capital(order)} {metric.label}: {best} with "
        f"{figure(value, metric, b.view.limit_of(shown[0], value))}, of {sites_word(len(rows))}."
    )
    columns = (
        Column("place", "#", "number"),
        *SITE_COLUMNS,
        b.metric_column(metric, shown),
        *(() if metric.name == "score" else (SCORE,)),
        Column("why", "Why"),
    )
    title = f"Sites by {metric.label}, {order} first"
    return b.answer(headline, [Table(title, columns, lines, len(rows))], shown)


def _which(b: Builder) -> Answer:
    found = b.mask & b.view.tests(b.query)
    if b.query.lasting is not None:
        found &= lasting_now(b)
    rows = b.view.ranked(found)
    metrics = _telling(b.query)
    shown = b.limit(rows)
    lines = []
    codes = {code for c in b.query.conditions for code in CONDITIONS[c.name].codes}
    for row in shown:
        issues = b.view.issues(row)
        concerned = [i for i in issues if i.code in codes] or issues
        b.issue_evidence(row, concerned)
        line = b.view.identity(row)
        for metric in metrics:
            value = b.view.number(b.view.values(metric), row)
            line[metric.name] = value
            b.metric_evidence(row, metric, value)
        line["why"] = concerned[0].sentence if concerned else ""
        line["since"] = concerned[0].since if concerned else None
        lines.append(line)
    _unknown_inputs(b, metrics)
    b.show(promql.tests(b.query))
    words = _tests_words(b.query)
    headline = f"{capital(sites_word(len(rows)) if rows else 'no sites')} of {b.of_sites()}"
    headline += f": {words}." if words else "."
    columns = (
        *SITE_COLUMNS,
        *(b.metric_column(m, shown) for m in metrics),
        Column("why", "Why"),
        Column("since", "Since", "time"),
    )
    return b.answer(headline, [Table(capital(words) or "Sites", columns, lines, len(rows))], shown)


def _tests_words(query: Query) -> str:
    parts = [("not: " if c.negate else "") + CONDITIONS[c.name].label for c in query.conditions]
    for c in query.comparisons:
        metric = METRICS[c.metric]
        parts.append(f"{metric.label} {c.operator} {asked_limit(c.value, metric)}")
    text = (" or " if query.any_of else " and ").join(parts)
    return f"{text} {lasting_words(query.lasting)}" if query.lasting else text


def _telling(query: Query) -> list[Metric]:
    """The metrics that show how far the conditions of a query go."""
    names = [c.metric for c in query.comparisons]
    names += [CONDITIONS[c.name].metric for c in query.conditions]
    names += query.metrics
    return [METRICS[name] for name in dict.fromkeys(n for n in names if n)] or [METRICS["score"]]


def _unknown_inputs(b: Builder, metrics: list[Metric]) -> None:
    """A site of which a metric is not known is in no list of it: say so."""
    for metric in metrics:
        count = int((b.mask & np.isnan(b.view.values(metric))).sum())
        if count:
            b.evidence.missing.append(
                f"{metric.label} of {sites_word(count)} is not known: not judged by it"
            )


def _value(b: Builder) -> Answer:
    metrics = [METRICS[name] for name in b.query.metrics or ("score",)]
    if any(metric.source == "past" for metric in metrics):
        raise CannotAnswerError(
            f"{metrics[0].label} is known over a period only; add one, such as this week"
        )
    if b.query.group_by:
        return _groups(b, metrics)
    rows = in_order(b, b.mask & b.view.tests(b.query))
    if len(rows) == 1:
        return _one_value(b, rows[0], metrics)
    lines = []
    for metric in metrics:
        values = b.view.values(metric)[rows]
        known = values[~np.isnan(values)]
        unknown = len(rows) - known.size
        if unknown:
            b.evidence.missing.append(f"{metric.label} of {sites_word(unknown)}")
        lines.append(_summary(metric, known, unknown))
        if promql.metric(metric.name):
            b.show(f"{'sum' if metric.fleet == 'sum' else 'avg'}({promql.metric(metric.name)})")
    if all(line["sites"] == 0 for line in lines):
        raise CannotAnswerError(f"no site has a {metrics[0].label} now")
    texts = [
        f"{line['metric']} {'in total ' if m.fleet == 'sum' else 'is '}"
        f"{figure(line['total'] if m.fleet == 'sum' else line['mean'], m)}"
        + ("" if m.fleet == "sum" else f" on average (median {figure(line['median'], m)})")
        + f" over {sites_word(line['sites'])}"
        for m, line in zip(metrics, lines, strict=True)
        if line["sites"]
    ]
    table = Table("Values of the fleet", _SUMMARY_COLUMNS, lines, len(lines))
    return b.answer(capital("; ".join(texts)) + ".", [table], rows if b.query.sites else [])


_SUMMARY_COLUMNS = (
    Column("metric", "Metric"),
    Column("unit", "Unit"),
    Column("sites", "Sites", "number"),
    Column("mean", "Mean", "number", decimals=2),
    Column("median", "Median", "number", decimals=2),
    Column("lowest", "Lowest", "number", decimals=2),
    Column("highest", "Highest", "number", decimals=2),
    Column("total", "Total", "number", decimals=0),
    Column("unknown", "Unknown", "number"),
)


def _summary(metric: Metric, known: FloatArray, unknown: int) -> dict[str, Any]:
    some = known.size > 0
    return {
        "metric": metric.label,
        "unit": metric.unit,
        "sites": int(known.size),
        "mean": float(known.mean()) if some else None,
        "median": float(np.median(known)) if some else None,
        "lowest": float(known.min()) if some else None,
        "highest": float(known.max()) if some else None,
        "total": float(known.sum()) if some and metric.fleet == "sum" else None,
        "unknown": unknown,
    }


def _one_value(b: Builder, row: int, metrics: list[Metric]) -> Answer:
    texts, line = [], b.view.identity(row)
    for metric in metrics:
        value = b.view.number(b.view.values(metric), row)
        line[metric.name] = value
        b.metric_evidence(row, metric, value)
        b.show(promql.metric(metric.name))
        taken = duration_words(max(0.0, b.view.assessment.time - b.view.taken(metric, row)))
        texts.append(
            f"{metric.label} of {b.view.sites[row].title} is "
            + (
                "not known"
                if value is None
                else f"{figure(value, metric, b.view.limit_of(row, value))}, read {taken} ago"
            )
        )
    columns = (*SITE_COLUMNS, *(b.metric_column(m, [row]) for m in metrics))
    return b.answer(capital("; ".join(texts)) + ".", [Table("Value", columns, [line], 1)], [row])


def _groups(b: Builder, metrics: list[Metric]) -> Answer:
    table = group_table(b, metrics)
    best = table.rows[0]
    headline = (
        f"{sites_word(len(table.rows)).replace('site', 'group')} by "
        f"{(b.query.group_by or '').replace('_', ' ')}; first {best['group']} with "
        f"{figure(best[metrics[0].name], metrics[0])} over {sites_word(best['sites'])}."
    )
    return b.answer(headline, [table], [])


def _compare(b: Builder) -> Answer:
    if b.query.group_by:
        return _groups(b, [METRICS[name] for name in b.query.metrics or ("score",)])
    rows = in_order(b, b.mask)
    if len(rows) < 2:
        raise CannotAnswerError("a comparison needs at least two sites, or a group of them")
    if len(rows) > MOST_COMPARED:
        raise CannotAnswerError(
            f"{len(rows)} sites are too many to compare; at most {MOST_COMPARED}. Rank them instead"
        )
    return compare_sites(b, rows)


def _site(b: Builder) -> Answer:
    return site_answer(b, _the_one(b, "details"))


def _explain(b: Builder) -> Answer:
    return explain_answer(b, _the_one(b, "an explanation"))


def _the_one(b: Builder, what: str) -> int:
    if len(b.query.sites) != 1:
        raise CannotAnswerError(f"{what} is given for one site at a time; name one")
    return b.view.directory.row(b.query.sites[0])


def _since(b: Builder) -> Answer:
    return since_answer(b)


def _outliers(b: Builder) -> Answer:
    return outliers_answer(b)


_ANSWERS: dict[What, Callable[[Builder], Answer]] = {
    What.STATUS: _status,
    What.ATTENTION: _attention,
    What.RANK: _rank,
    What.SITE: _site,
    What.COMPARE: _compare,
    What.OUTLIERS: _outliers,
    What.WHICH: _which,
    What.EXPLAIN: _explain,
    What.SINCE: _since,
    What.VALUE: _value,
    What.CONTACT: contact_answer,
    What.CELLS: cells_answer,
    What.FORECAST: forecast_answer,
    What.FACTS: facts_answer,
}
