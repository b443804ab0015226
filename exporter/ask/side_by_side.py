"""Figures of several metrics over a period, or of one period beside those of another."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from exporter.ask.answer import Answer, CannotAnswerError, Column, Table
from exporter.ask.builder import MOSTLY, SITE_COLUMNS, Builder, capital, figure
from exporter.ask.catalogue import METRICS, Metric
from exporter.ask.metric_history import History
from exporter.ask.query import Period
from exporter.ask.stored_metric import fetch_metric
from exporter.history.coverage import LEAST_SHARE, Coverage
from exporter.history.influxql import InfluxQL
from exporter.model.figures import figure as written
from exporter.model.figures import with_unit
from exporter.model.text import duration_words, sites_word

SAME_LENGTH = 0.01
"""Periods whose lengths differ by no more than this share of the longer count as alike."""


@dataclass(slots=True)
class _Span:
    """One period: what was observed of it, and for each metric the figure of each site."""

    period: Period
    coverage: Coverage
    figures: dict[str, dict[str, float]]

    @property
    def words(self) -> str:
        return self.period.words or "in the period"


async def side_by_side(b: Builder, stored: InfluxQL, coverage_of: Callable[..., Any]) -> Answer:
    """Several metrics over a period, or metrics over two periods with the change between them.

    The figure of an energy is its sum, of everything else its mean. What a site has in one of the
    two periods alone is in no difference.

    Parameters
    ----------
    b : Builder
        Its coverage is known.
    stored : InfluxQL
    coverage_of : callable
        What was observed of the sites of a Builder over its period, awaitable.

    Raises
    ------
    CannotAnswerError
    """
    metrics = [METRICS[name] for name in b.query.metrics or ("score",)]
    spans = [await _span(b, stored, metrics, b.coverage)]
    if b.query.beside is not None:
        other = Builder(b.view, b.query.but(period=b.query.beside, beside=None))
        other.evidence = b.evidence
        spans.append(await _span(other, stored, metrics, await coverage_of(other)))
    lines = _lines(b, spans, metrics)
    text = _headline(spans, lines, metrics)
    for span in spans:
        if span.coverage.share < MOSTLY:
            text = f"{capital(span.words)}: {span.coverage.sentence()} {text}"
    lengths = [span.period.seconds for span in spans]
    if max(lengths) - min(lengths) > SAME_LENGTH * max(lengths):
        text += f" The periods last {' and '.join(duration_words(each) for each in lengths)}."
    shown = b.limit(lines)
    table = Table("Side by side", _columns(spans, metrics), shown, len(lines))
    return b.answer(text, [table], [b.view.directory.row(line["site"]) for line in shown])


async def joined(b: Builder, one: Callable[[Builder], Awaitable[Answer]]) -> Answer:
    """The answer about the period, and then that about the one beside it."""
    assert b.query.beside is not None
    first = await one(Builder(b.view, b.query.but(beside=None)))
    second = await one(Builder(b.view, b.query.but(period=b.query.beside, beside=None)))
    pairs = ((first, b.query.period), (second, b.query.beside))
    tables = [
        replace(table, title=f"{table.title}, {period.words}" if period else table.title)
        for answer, period in pairs
        for table in answer.tables
    ]
    evidence = first.evidence
    for name in ("readings", "missing", "notes", "promql", "influxql"):
        known = getattr(evidence, name)
        known += [each for each in getattr(second.evidence, name) if each not in known]
    b.evidence, b.coverage = evidence, first.coverage
    rows = [b.view.directory.row(site) for site in dict.fromkeys((*first.sites, *second.sites))]
    text = f"{first.headline} {second.headline}{_difference(b.query.figure, first, second)}"
    return b.answer(text, tables, rows)


def _difference(name: str | None, first: Answer, second: Answer) -> str:
    """Of a figure of the energy account, how much more or less it was."""
    values = [
        next((row for table in answer.tables for row in table.rows if row.get("key") == name), None)
        for answer in (first, second)
    ]
    observed = all(a.coverage is not None and a.coverage.enough for a in (first, second))
    if name is None or values[0] is None or values[1] is None or not observed:
        return ""
    more = values[0]["value"] - values[1]["value"]
    word = "more" if more >= 0 else "less"
    return f" That is {with_unit(written(abs(more), 2), values[0]['unit'])} {word}."


async def _span(
    b: Builder, stored: InfluxQL, metrics: list[Metric], coverage: Coverage | None
) -> _Span:
    assert coverage is not None
    b.coverage = coverage
    figures = {}
    for metric in metrics:
        found = await fetch_metric(b, stored, metric)
        figures[metric.name] = {
            site: value
            for site, history in found.items()
            if not math.isnan(value := _figure(coverage, site, history, metric))
        }
    return _Span(b.period, coverage, figures)


def _figure(coverage: Coverage, site: str, history: History, metric: Metric) -> float:
    if metric.sums_up:
        return history.total
    unseen = metric.over_time == "share" and coverage.of(site) < LEAST_SHARE
    return math.nan if unseen else history.mean


def _lines(b: Builder, spans: list[_Span], metrics: list[Metric]) -> list[dict[str, Any]]:
    lines = []
    for site in b.query.sites or b.chosen:
        line = b.view.identity(b.view.directory.row(site))
        for place, span in enumerate(spans):
            for metric in metrics:
                line[f"{metric.name}_{place}"] = span.figures[metric.name].get(site)
            line[f"observed_{place}"] = 100.0 * span.coverage.of(site)
        for metric in metrics:
            pair = [line[f"{metric.name}_{place}"] for place in range(len(spans))]
            seen = all(span.coverage.of(site) >= LEAST_SHARE for span in spans)
            known = len(pair) == 2 and None not in pair and seen
            line[f"{metric.name}_change"] = pair[0] - pair[1] if known else None
        lines.append(line)
    if not b.query.sites:
        key = f"{metrics[0].name}_{'change' if len(spans) > 1 else 0}"
        sign = 1.0 if b.query.order in ("lowest", "best") else -1.0
        lines.sort(key=lambda x: (x[key] is None, sign * (x[key] or 0.0), x["site"]))
    return lines


def _columns(spans: list[_Span], metrics: list[Metric]) -> tuple[Column, ...]:
    columns = list(SITE_COLUMNS)
    for metric in metrics:
        label = capital(metric.label)
        for place, span in enumerate(spans):
            named = f"{label}, {span.words}" if len(spans) > 1 else label
            key = f"{metric.name}_{place}"
            columns.append(Column(key, named, "number", metric.unit, metric.decimals))
        if len(spans) > 1:
            key = f"{metric.name}_change"
            columns.append(Column(key, "Change", "number", metric.unit, metric.decimals))
    columns += [
        Column(
            f"observed_{place}",
            f"Observed, {span.words}" if len(spans) > 1 else "Observed",
            *("number", "%", 1),
        )
        for place, span in enumerate(spans)
    ]
    return tuple(columns)


def _headline(spans: list[_Span], lines: list[dict[str, Any]], metrics: list[Metric]) -> str:
    texts = [_of_metric(spans, lines, metric) for metric in metrics]
    whose = lines[0]["name"] if len(lines) == 1 else sites_word(len(lines))
    when = f", {spans[0].words}" if len(spans) == 1 else ""
    return f"{whose}{when}: {'; '.join(texts)}."


def _of_metric(spans: list[_Span], lines: list[dict[str, Any]], metric: Metric) -> str:
    """``PV energy 12.0 kWh today, 20.0 kWh yesterday: 8.0 kWh less (40 %)``."""
    keys = [f"{metric.name}_{place}" for place in range(len(spans))]
    both = [line for line in lines if None not in [line[key] for key in keys]]
    if not both:
        raise CannotAnswerError(
            f"{metric.label} is not known {' and '.join(span.words for span in spans)}, "
            f"for any of {sites_word(len(lines))}"
        )
    add = metric.fleet == "sum" or metric.sums_up
    total = np.sum if add else np.mean
    values = [float(total([line[key] for line in both])) for key in keys]
    how = "" if len(lines) == 1 else " in total" if add else " on average"
    if len(spans) == 1:
        text = f"{metric.label} {figure(values[0], metric)}{how}"
    else:
        said = [f"{figure(v, metric)}, {s.words}" for v, s in zip(values, spans, strict=True)]
        enough = all(span.coverage.enough for span in spans)
        change = _change(values, metric) if enough else "the change is not known"
        text = f"{metric.label}{how} {said[0]}, against {said[1]}: {change}"
    if len(both) < len(lines):
        text += f" (known of {sites_word(len(both))})"
    return text


def _change(values: list[float], metric: Metric) -> str:
    more = values[0] - values[1]
    if figure(abs(more), metric) == figure(0.0, metric):
        return "the same"
    share = f" ({100 * abs(more) / abs(values[1]):.0f} %)" if values[1] and metric.unit else ""
    return f"{figure(abs(more), metric)} {'more' if more > 0 else 'less'}{share}"
