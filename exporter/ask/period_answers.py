"""Answers about a period, from InfluxDB."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from exporter.ask import metric_history as histories
from exporter.ask.answer import Answer, CannotAnswerError, Column, Table
from exporter.ask.builder import MOSTLY, Builder, asked_limit, capital, figure, in_order
from exporter.ask.by_day import by_day_answer
from exporter.ask.catalogue import METRICS, Metric
from exporter.ask.comparisons import members
from exporter.ask.crossings import crossings_answer, since_limit_answer
from exporter.ask.duration_answers import lasting_answer
from exporter.ask.energy_answers import energy_answer
from exporter.ask.event_answers import events_answer
from exporter.ask.extremes import ORDERS, extreme_words
from exporter.ask.history_tables import course_table, history_columns
from exporter.ask.metric_history import History
from exporter.ask.past_outliers import past_outliers
from exporter.ask.query import PARTS_OF_TIME, Comparison, Query, What
from exporter.ask.side_by_side import joined, side_by_side
from exporter.ask.statements import no_answer
from exporter.ask.stored_metric import active_batteries, fetch_metric
from exporter.ask.timeline_answer import timeline_answer
from exporter.ask.view import View
from exporter.energy.tariff_file import TariffFile
from exporter.history.alert_history import AlertHistory
from exporter.history.coverage import LEAST_SHARE, Coverage, coverage
from exporter.history.influxql import InfluxQL, NoAnswerError
from exporter.model.text import sites_word

_WITH_COURSE = (What.HISTORY, What.VALUE, What.COMPARE, What.SITE)
_OF_GROUPS = (What.VALUE, What.COMPARE, What.HISTORY)
_NOW_ONLY = (
    *(What.EXPLAIN, What.SINCE, What.HELP, What.CONTACT, What.CELLS),
    *(What.FORECAST, What.FACTS),
)


async def answer_past(
    view: View,
    query: Query,
    stored: InfluxQL | None,
    alerts: AlertHistory | None = None,
    tariffs: TariffFile | None = None,
) -> Answer:
    """Answer a query that has a period.

    Raises
    ------
    CannotAnswerError
    """
    b = Builder(view, query)
    if not b.chosen:
        raise b.nothing_to_ask()
    _refuse_now_only(query)
    if stored is None:
        raise CannotAnswerError(
            "the past is not known: no InfluxDB is configured (FLEETSCOPE_INFLUXDB_URL)", status=503
        )
    if query.beside is not None and not (query.metrics and query.what in _WITH_COURSE):
        alone = query.but(beside=None)
        return await joined(
            b, lambda one: answer_past(view, alone.but(period=one.period), stored, alerts, tariffs)
        )
    b.coverage = await _observed(b, stored)
    special = {
        What.ENERGY: lambda: energy_answer(b, stored, tariffs),
        What.OUTLIERS: lambda: past_outliers(b, stored, active_batteries(view)),
        What.TIMELINE: lambda: timeline_answer(b, stored, alerts),
    }.get(query.what)
    if special is not None:
        return await special()
    if query.group_by in PARTS_OF_TIME:
        return await by_day_answer(b, stored)
    if query.group_by and query.what in _OF_GROUPS:
        return await _history_of_groups(b, stored)
    if query.group_by:
        raise CannotAnswerError("of groups only metrics are known over a period; name one")
    if query.what is What.WHICH:
        return await _which_sites(b, stored)
    if query.what is What.SINCE:
        return await since_limit_answer(b, stored, active_batteries(view))
    if query.what in (What.ATTENTION, What.STATUS):
        return await events_answer(b, stored)
    by_score = query.what is What.SITE and not query.metrics
    return await (_site if by_score else _history)(b, stored)


async def _which_sites(b: Builder, stored: InfluxQL) -> Answer:
    """Sites of which conditions held: so long, so often, or at any time of the period."""
    query = b.query
    if query.lasting is not None:
        return await lasting_answer(b, stored)
    if query.conditions and not query.comparisons:
        return await events_answer(b, stored)
    if query.times is not None:
        return await crossings_answer(b, stored, active_batteries(b.view))
    return await _which(b, stored)


def _refuse_now_only(query: Query) -> None:
    of_a_limit = query.what is What.SINCE and query.comparisons
    if query.what in _NOW_ONLY and not of_a_limit:
        raise CannotAnswerError(
            f"{query.what.value} is answered for now only; ask it without a period, or ask for the "
            "history of a metric"
        )
    counted = query.what is What.WHICH and bool(query.conditions) != bool(query.comparisons)
    if query.times is not None and (query.lasting is not None or not counted):
        raise CannotAnswerError(
            "how often is known of issues, or of one limit of a metric; name one, such as offline "
            "or SOC below 20 %"
        )


async def _observed(b: Builder, stored: InfluxQL) -> Coverage:
    """How much of the period was observed, at every site that is asked about."""
    start, end = b.period.start.timestamp(), b.period.end.timestamp()
    try:
        found = await coverage(stored, b.chosen, start, end)
    except NoAnswerError as error:
        raise no_answer(error) from error
    b.evidence.influxql.extend(found.statements)
    return found


async def _history(b: Builder, stored: InfluxQL) -> Answer:
    if b.query.beside is not None or len(b.query.metrics) > 1:
        return await side_by_side(b, stored, lambda other: _observed(other, stored))
    metric = METRICS[b.query.metrics[0] if b.query.metrics else "score"]
    found = await fetch_metric(b, stored, metric)
    if not found:
        observed = b.coverage.sentence() if b.coverage else ""
        raise CannotAnswerError(f"{observed} InfluxDB has no {metric.label} for that period")
    lines = [_line(b, site, history, metric) for site, history in found.items()]
    lines = _sorted(b, lines, metric)
    shown = b.limit(lines)
    tables = [Table(capital(metric.label), history_columns(metric), shown, len(lines))]
    few = shown[: histories.FEW_SITES]
    unknown_share = metric.over_time == "share" and b.coverage and not b.coverage.enough
    if b.query.what in _WITH_COURSE and not unknown_share:
        courses = {line["site"]: found[line["site"]] for line in few}
        if len(b.chosen) > histories.FEW_SITES:
            courses = {"fleet": _together(list(found.values()), metric)}
        tables.append(course_table(courses, metric))
    rows = [b.view.directory.row(line["site"]) for line in shown]
    return b.answer(_headline(b, found, lines, metric), tables, rows)


async def _history_of_groups(b: Builder, stored: InfluxQL) -> Answer:
    """One metric of groups of sites over the period, side by side."""
    metric = METRICS[b.query.metrics[0] if b.query.metrics else "score"]
    if len(b.query.metrics) > 1:
        raise CannotAnswerError("one metric at a time over a period, please; name one")
    attribute = b.query.group_by or ""
    groups = members(b, attribute)
    found = await fetch_metric(b, stored, metric)
    assert b.coverage is not None
    key = "total" if metric.sums_up else "mean"
    lines: list[dict[str, Any]] = []
    for value, rows in groups.items():
        sites = [b.view.sites[row].id for row in rows]
        each = [_line(b, site, found[site], metric)[key] for site in sites if site in found]
        known = [number for number in each if number is not None]
        total = sum(known) if key == "total" else float(np.mean(known)) if known else 0.0
        lines.append(
            {
                "group": value,
                "sites": len(sites),
                "known": len(known),
                metric.name: total if known else None,
                "observed": 100.0 * float(np.mean([b.coverage.of(site) for site in sites])),
            }
        )
    sign = 1 if metric.worse == "low" else -1
    lines.sort(key=lambda g: (g[metric.name] is None, sign * (g[metric.name] or 0), g["group"]))
    label = ("Total " if key == "total" else "Mean ") + metric.label
    columns = (
        Column("group", attribute.replace("_", " ").capitalize()),
        Column("sites", "Sites", "number"),
        Column("known", "With values", "number"),
        Column(metric.name, label, "number", metric.unit, max(1, metric.decimals)),
        Column("observed", "Observed", "number", "%", 1),
    )
    texts = [f"{line['group']} {figure(line[metric.name], metric)}" for line in lines[:5]]
    headline = f"{label}, {b.period.words or 'in the period'}: {', '.join(texts)}."
    if not b.coverage.enough:
        headline = f"{b.coverage.sentence()} {headline}"
    table = Table(f"By {attribute.replace('_', ' ')}", columns, lines, len(lines))
    return b.answer(headline, [table], [])


def _together(parts: list[History], metric: Metric) -> History:
    """Mean, or sum, over sites at each time at which any of them has a value."""
    times = np.unique(np.concatenate([h.times for h in parts]))
    total, count = np.zeros(times.size), np.zeros(times.size)
    for history in parts:
        places = np.searchsorted(times, history.times)
        total[places] += history.values
        count[places] += 1
    values = total if metric.fleet == "sum" else total / count
    sums = [h.total for h in parts if not math.isnan(h.total)]
    means = [h.mean for h in parts if not math.isnan(h.mean)]
    return History(
        times=times,
        values=values,
        mean=float(np.mean(means)) if means else math.nan,
        lowest=min(h.lowest for h in parts),
        highest=max(h.highest for h in parts),
        total=sum(sums) if sums else math.nan,
        covered=float(np.mean([h.covered for h in parts])),
    )


def _line(b: Builder, site: str, history: History, metric: Metric) -> dict[str, Any]:
    change = history.change if metric.over_time in ("mean", "share") else math.nan
    if b.coverage is not None and b.coverage.of(site) < LEAST_SHARE:
        # No trend and no availability over time that was not seen.
        change = math.nan
        if metric.over_time == "share":
            history = replace(history, mean=math.nan)
    trend = trend_word(change, metric)
    # The slope of what does not change is noise, and a short period makes much of it in a day.
    moves = trend not in ("", STEADY)
    line = b.view.identity(b.view.directory.row(site)) | {
        "mean": _known(history.mean),
        "first": float(history.values[0]),
        "last": float(history.values[-1]),
        "change": _known(change),
        "per_day": _known(history.per_day) if moves else None,
        "trend": trend,
        "total": _known(history.total),
        "covered": 100.0 * history.covered,
        "observed": 100.0 * b.coverage.of(site) if b.coverage else None,
    }
    if metric.over_time == "mean":
        line |= {"lowest": _known(history.lowest), "highest": _known(history.highest)}
    return line


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


STEADY = "steady"


def trend_word(change: float, metric: Metric) -> str:
    """Rising, falling or steady, and whether that is good; empty where it is not known."""
    if math.isnan(change):
        return ""
    if abs(change) <= metric.steady:
        return STEADY
    word = "rising" if change > 0 else "falling"
    if not metric.worse:
        return word
    return f"{word}, {'worse' if (metric.worse == 'high') == (change > 0) else 'better'}"


def _sort_key(b: Builder, metric: Metric) -> str:
    """What sites are put in order by: the sum, the mean, or for highest and lowest the extreme."""
    if metric.sums_up:
        return "total"
    order = b.query.order
    if metric.over_time == "mean" and order in ("highest", "lowest"):
        return order
    return "mean"


def _sorted(b: Builder, lines: list[dict[str, Any]], metric: Metric) -> list[dict[str, Any]]:
    if b.query.sites and not b.query.order:
        place = {site: n for n, site in enumerate(b.query.sites)}
        return sorted(lines, key=lambda line: place[line["site"]])
    key = _sort_key(b, metric)
    order = b.query.order
    bad_is_high = metric.worse == "high"
    if b.query.what is What.HISTORY and order in (None, "worst", "best") and metric.worse:
        key = "change" if key == "mean" else key
    descending = order == "highest" or (
        order != "lowest" and (bad_is_high == (order != "best")) and bool(metric.worse)
    )
    if not metric.worse and order != "lowest":
        descending = True
    sign = -1.0 if descending else 1.0
    return sorted(
        lines, key=lambda line: (line[key] is None, sign * (line[key] or 0.0), line["site"])
    )


def _headline(
    b: Builder, found: dict[str, History], lines: list[dict[str, Any]], metric: Metric
) -> str:
    assert b.coverage is not None
    if not b.coverage.enough:
        return f"{b.coverage.sentence()} {_seen(found, lines, metric)}"
    text = _enough_seen(b, found, lines, metric)
    text = f"{text} {_extreme(b, found, metric)}".rstrip()
    return f"{text} {b.coverage.sentence()}" if b.coverage.share < MOSTLY else text


def _extreme(b: Builder, found: dict[str, History], metric: Metric) -> str:
    """When it was highest or lowest: at one site, or the highest of what adds up over many."""
    order = b.query.order
    if order not in ORDERS or b.query.what is not What.HISTORY:
        return ""
    alone = len(found) == len(b.chosen) == 1
    if not alone and (metric.fleet, metric.over_time, order) != ("sum", "mean", "highest"):
        return ""
    whole = _together(list(found.values()), metric)
    return extreme_words(whole, metric, b.period, order, "it" if alone else "the sum of the sites")


def _enough_seen(
    b: Builder, found: dict[str, History], lines: list[dict[str, Any]], metric: Metric
) -> str:
    words = b.period.words or "in the period"
    if len(lines) == 1:
        line, history = lines[0], next(iter(found.values()))
        if not math.isnan(history.total):
            # A small energy is not none.
            total = figure(history.total, metric, 0.0)
            return f"{line['name']}, {metric.label}, {words}: {total} in total."
        text = f"{line['name']}, {metric.label}, {words}: {figure(_known(history.mean), metric)}"
        text += " on average"
        if metric.over_time == "mean":
            text += f", from {figure(history.lowest, metric)} to {figure(history.highest, metric)}"
        return f"{text}; {line['trend'] or 'too short to call a trend'}."
    whole = _together(list(found.values()), metric)
    first = lines[0]
    if not math.isnan(whole.total):
        return (
            f"{capital(metric.label)} of {sites_word(len(lines))}, {words}: "
            f"{figure(whole.total, metric)} in total; first {first['name']} with "
            f"{figure(first['total'], metric)}."
        )
    falling = [line for line in lines if line["trend"].endswith("worse")]
    text = (
        f"{capital(metric.label)} of {sites_word(len(lines))}, {words}: "
        f"{figure(_known(whole.mean), metric)} on average"
    )
    if b.query.what is What.HISTORY and metric.worse:
        text += f"; getting worse at {sites_word(len(falling))}"
        if falling:
            text += f", most at {falling[0]['name']}"
    else:
        key = _sort_key(b, metric)
        word = "first" if key == "mean" else key
        text += f"; {word} {first['name']} with {figure(first[key], metric)}"
    return text + "."


def _seen(found: dict[str, History], lines: list[dict[str, Any]], metric: Metric) -> str:
    """What was seen of a metric, without a word about the rest of the period."""
    if metric.over_time == "share":
        return f"So {metric.label} is not known."
    whole = _together(list(found.values()), metric)
    of = lines[0]["name"] if len(lines) == 1 else sites_word(len(lines))
    if not math.isnan(whole.total):
        total = figure(whole.total, metric)
        return f"In that time {metric.label} of {of} was {total}; the whole is not known."
    text = (
        f"In that time {metric.label} of {of} was {figure(_known(whole.mean), metric)} on average"
    )
    if metric.over_time == "mean":
        text += f", from {figure(whole.lowest, metric)} to {figure(whole.highest, metric)}"
    return f"{text}; a trend is not known."


async def _which(b: Builder, stored: InfluxQL) -> Answer:
    """Sites of which a metric passed a value at any time of the period."""
    if len(b.query.comparisons) != 1 or b.query.conditions:
        raise CannotAnswerError("over a period, ask for one condition at a time")
    wanted = b.query.comparisons[0]
    metric = METRICS[wanted.metric]
    found = await fetch_metric(b, stored, metric)
    rows = []
    for site, history in found.items():
        if _ever(wanted, history, metric):
            rows.append(b.view.directory.row(site))
    lines = [
        _line(b, b.view.sites[row].id, found[b.view.sites[row].id], metric)
        for row in in_order(b, _mask_of(b, rows))
    ]
    shown = b.limit(lines)
    words = f"{metric.label} {wanted.operator} {asked_limit(wanted.value, metric)}"
    when = b.period.words or "in the period"
    assert b.coverage is not None
    if b.coverage.enough:
        some = capital(sites_word(len(lines)) if lines else "no sites")
        headline = f"{some} of {b.of_sites()} had {words} at some time, {when}."
    elif lines:
        headline = f"{b.coverage.sentence()} At least {sites_word(len(lines))} had {words}."
    else:
        headline = (
            f"{b.coverage.sentence()} Whether any of {b.of_sites()} had {words} is not known."
        )
    table = Table(capital(words), history_columns(metric), shown, len(lines))
    return b.answer(headline, [table], [b.view.directory.row(line["site"]) for line in shown])


def _ever(wanted: Comparison, history: History, metric: Metric) -> bool:
    if metric.sums_up:
        lowest = highest = history.total
    elif metric.over_time == "share":
        lowest = highest = history.mean
    else:
        lowest, highest = history.lowest, history.highest
    return {
        "<": lowest < wanted.value,
        "<=": lowest <= wanted.value,
        ">": highest > wanted.value,
        ">=": highest >= wanted.value,
        "=": lowest <= wanted.value <= highest,
    }[wanted.operator]


def _mask_of(b: Builder, rows: list[int]) -> Any:
    mask = np.zeros(b.view.count, dtype=np.bool_)
    mask[rows] = True
    return mask


async def _site(b: Builder, stored: InfluxQL) -> Answer:
    """How a site did: its score over the period, and its issues."""
    b.query = b.query.but(metrics=("score",))
    course = await _history(b, stored)
    b.query = b.query.but(what=What.ATTENTION, severity="info", metrics=())
    log = await events_answer(b, stored)
    tables = [course.tables[0], log.tables[0], *course.tables[1:]]
    return Answer(
        query=b.query.but(what=What.SITE, severity=None),
        understood=course.understood,
        headline=f"{course.headline} {_issues_seen(b, len(log.tables[0].rows))}",
        tables=tables,
        evidence=b.evidence,
        sites=course.sites,
        attention=course.attention,
        coverage=b.coverage,
    )


def _issues_seen(b: Builder, count: int) -> str:
    if b.coverage is not None and b.coverage.enough:
        return f"Issues in that time: {count or 'none'}."
    return f"Issues seen: {count}." if count else "No issue was seen in the observed time."
