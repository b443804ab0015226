"""Answers about a period, from InfluxDB."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from exporter.ask import issue_events as event_log
from exporter.ask import metric_history as histories
from exporter.ask import promql
from exporter.ask.answer import Answer, CannotAnswerError, Column, Table
from exporter.ask.builder import Builder, capital, figure, in_order
from exporter.ask.catalogue import CONDITIONS, METRICS, Metric
from exporter.ask.issue_events import Event
from exporter.ask.metric_history import History
from exporter.ask.query import Comparison, Query, What
from exporter.ask.view import View
from exporter.history.influxql import InfluxQL
from exporter.model.text import duration_words, sites_word

MOST_POINTS = 20_000


async def answer_past(view: View, query: Query, stored: InfluxQL | None) -> Answer:
    """Answer a query that has a period.

    Raises
    ------
    CannotAnswerError
    """
    b = Builder(view, query)
    if not b.chosen:
        raise b.nothing_to_ask()
    if query.what in (What.OUTLIERS, What.EXPLAIN, What.SINCE, What.HELP):
        raise CannotAnswerError(
            f"{query.what.value} is answered for now only; ask it without a period, or ask for the "
            "history of a metric"
        )
    if query.group_by:
        raise CannotAnswerError("groups are compared for now only; ask it without a period")
    if stored is None:
        raise CannotAnswerError(
            "the past is not known: no InfluxDB is configured (FLEETSCOPE_INFLUXDB_URL)", status=503
        )
    if query.what in (What.ATTENTION, What.STATUS) or (
        query.what is What.WHICH and query.conditions and not query.comparisons
    ):
        return await _events(b, stored)
    if query.what is What.WHICH:
        return await _which(b, stored)
    if query.what is What.SITE and not query.metrics:
        return await _site(b, stored)
    return await _history(b, stored)


def _period(b: Builder) -> Any:
    assert b.query.period is not None
    return b.query.period


def _asked_sites(b: Builder) -> list[str] | None:
    return None if b.mask.all() else b.chosen


async def _fetch(b: Builder, stored: InfluxQL, metric: Metric) -> dict[str, History]:
    if not metric.measurement:
        raise CannotAnswerError(f"{metric.label} is not stored; it is known for now only")
    period = _period(b)
    found, asked, _ = await histories.fetch(
        stored, metric, period, _asked_sites(b), len(b.chosen), _active(b.view)
    )
    b.evidence.influxql.extend(asked)
    show = promql.metric(metric.name, period.seconds)
    b.show(show)
    silent = [site for site in b.chosen if site not in found]
    if silent:
        named = ", ".join(silent[:5]) + (", …" if len(silent) > 5 else "")
        b.evidence.missing.append(f"{metric.label} of {sites_word(len(silent))}: {named}")
    gaps = [site for site, h in found.items() if h.covered < 0.95]
    if gaps:
        b.evidence.missing.append(
            f"{sites_word(len(gaps))} without readings in more than 5 % of the period: "
            + ", ".join(f"{s} ({100 * found[s].covered:.0f} % covered)" for s in gaps[:5])
            + (", …" if len(gaps) > 5 else "")
        )
    resets = sum(h.resets for h in found.values())
    if resets:
        b.evidence.notes.append(f"Counters were reset {resets} times and counted from zero again")
    glitches = sum(h.glitches for h in found.values())
    if glitches:
        b.evidence.notes.append(f"{glitches} bad readings of counters add nothing")
    if metric.over_time == "energy":
        b.evidence.notes.append("Energy is power over the observed time; a gap adds nothing")
    return found


def _active(view: View) -> dict[str, str]:
    """The active battery of each site that has one."""
    return {
        site.id: record.active_battery
        for site, record in zip(view.sites, view.assessment.records, strict=True)
        if record.active_battery
    }


async def _history(b: Builder, stored: InfluxQL) -> Answer:
    metric = METRICS[b.query.metrics[0] if b.query.metrics else "score"]
    if len(b.query.metrics) > 1:
        raise CannotAnswerError("the history of one metric at a time, please; name one")
    found = await _fetch(b, stored, metric)
    if not found:
        raise CannotAnswerError(f"InfluxDB has no {metric.label} for that period")
    lines = [_line(b, site, history, metric) for site, history in found.items()]
    lines = _sorted(b, lines, metric)
    shown = b.limit(lines)
    tables = [Table(capital(metric.label), _columns(metric), shown, len(lines))]
    few = shown[: histories.FEW_SITES]
    if b.query.what in (What.HISTORY, What.VALUE, What.COMPARE, What.SITE):
        courses = {line["site"]: found[line["site"]] for line in few}
        if len(b.chosen) > histories.FEW_SITES:
            courses = {"fleet": _together(list(found.values()), metric)}
        tables.append(_course_table(courses, metric))
    rows = [b.view.directory.row(line["site"]) for line in shown]
    return b.answer(_headline(b, found, lines, metric), tables, rows)


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
    line = b.view.identity(b.view.directory.row(site)) | {
        "mean": _known(history.mean),
        "first": float(history.values[0]),
        "last": float(history.values[-1]),
        "change": _known(change),
        "per_day": _known(history.per_day) if not math.isnan(change) else None,
        "trend": trend_word(change, metric),
        "total": _known(history.total),
        "covered": 100.0 * history.covered,
    }
    if metric.over_time == "mean":
        line |= {"lowest": _known(history.lowest), "highest": _known(history.highest)}
    return line


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


def trend_word(change: float, metric: Metric) -> str:
    """Rising, falling or steady, and whether that is good; empty where it is not known."""
    if math.isnan(change):
        return ""
    if abs(change) <= metric.steady:
        return "steady"
    word = "rising" if change > 0 else "falling"
    if not metric.worse:
        return word
    return f"{word}, {'worse' if (metric.worse == 'high') == (change > 0) else 'better'}"


def _sort_key(b: Builder, metric: Metric) -> str:
    """What sites are put in order by: the sum, the mean, or for highest and lowest the extreme."""
    if metric.over_time in ("counter", "energy"):
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


def _columns(metric: Metric) -> tuple[Column, ...]:
    def number(key: str, label: str, unit: str = metric.unit) -> Column:
        return Column(key, label, "number", unit, metric.decimals)

    site = (Column("status", "Now", "status"), Column("name", "Site"), Column("site", "Id"))
    covered = Column("covered", "Covered", "number", "%", 0)
    if metric.over_time in ("counter", "energy"):
        return (*site, number("total", "Total"), covered)
    if metric.over_time == "share":
        return (*site, number("mean", "Mean"), Column("trend", "Trend"), covered)
    return (
        *site,
        number("first", "First"),
        number("last", "Last"),
        number("mean", "Mean"),
        number("lowest", "Lowest"),
        number("highest", "Highest"),
        Column("per_day", "Per day", "number", metric.unit, metric.decimals + 1),
        Column("trend", "Trend"),
        covered,
    )


def _course_table(courses: dict[str, History], metric: Metric) -> Table:
    rows = [
        {"site": site, "time": float(time), "value": float(value)}
        for site, history in courses.items()
        for time, value in zip(history.times, history.values, strict=True)
    ]
    columns = (
        Column("site", "Site"),
        Column("time", "Time", "time"),
        Column("value", capital(metric.label), "number", metric.unit, metric.decimals),
    )
    return Table("Course", columns, rows[:MOST_POINTS], len(rows))


def _headline(
    b: Builder, found: dict[str, History], lines: list[dict[str, Any]], metric: Metric
) -> str:
    words = _period(b).words or "in the period"
    if len(lines) == 1:
        line, history = lines[0], next(iter(found.values()))
        if not math.isnan(history.total):
            total = figure(history.total, metric)
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


async def _which(b: Builder, stored: InfluxQL) -> Answer:
    """Sites of which a metric passed a value at any time of the period."""
    if len(b.query.comparisons) != 1 or b.query.conditions:
        raise CannotAnswerError("over a period, ask for one condition at a time")
    wanted = b.query.comparisons[0]
    metric = METRICS[wanted.metric]
    found = await _fetch(b, stored, metric)
    rows = []
    for site, history in found.items():
        if _ever(wanted, history, metric):
            rows.append(b.view.directory.row(site))
    lines = [
        _line(b, b.view.sites[row].id, found[b.view.sites[row].id], metric)
        for row in in_order(b, _mask_of(b, rows))
    ]
    shown = b.limit(lines)
    words = f"{metric.label} {wanted.operator} {figure(wanted.value, metric)}"
    headline = (
        f"{capital(sites_word(len(lines)) if lines else 'no sites')} of {b.of_sites()} had "
        f"{words} at some time, {_period(b).words or 'in the period'}."
    )
    table = Table(capital(words), _columns(metric), shown, len(lines))
    return b.answer(headline, [table], [b.view.directory.row(line["site"]) for line in shown])


def _ever(wanted: Comparison, history: History, metric: Metric) -> bool:
    if metric.over_time in ("counter", "energy"):
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


_EVENT_COLUMNS = (
    Column("status", "Now", "status"),
    Column("name", "Site"),
    Column("site", "Id"),
    Column("severity", "Worst", "severity"),
    Column("why", "Issue"),
    Column("times", "Times", "number"),
    Column("seconds", "Active for", "duration"),
    Column("first", "Since", "time"),
    Column("last", "Last seen", "time"),
    Column("ongoing", "Ongoing"),
)


async def _events(b: Builder, stored: InfluxQL) -> Answer:
    """Sites that had an issue in the period."""
    period = _period(b)
    found, asked, level = await event_log.fetch(stored, b.view, period, _asked_sites(b))
    b.evidence.influxql.extend(asked)
    if level is not None:
        b.evidence.notes.append(
            f"Read from windows of {level.bucket}: an issue that ended several times within one "
            "counts once"
        )
    least = {"info": 1, "warning": 2, "critical": 3}[b.query.severity or "warning"]
    if b.query.what is What.WHICH:
        found = _of_conditions(b, found)
        what = " or ".join(CONDITIONS[c.name].label for c in b.query.conditions)
        verb = f"had {what}"
    else:
        found = [event for event in found if event.level >= least]
        verb = "had a critical issue" if least == 3 else "needed attention"
    by_site: dict[str, list[Event]] = {}
    for event in sorted(found, key=lambda e: (-e.level, not e.ongoing, -e.seconds, e.code)):
        by_site.setdefault(event.site, []).append(event)
    order = sorted(
        by_site,
        key=lambda s: (
            -by_site[s][0].level,
            -sum(e.ongoing for e in by_site[s]),
            int(b.view.assessment.scores.attention[b.view.directory.row(s)]),
        ),
    )
    shown_sites = order[: b.query.limit or 20]
    lines = [_event_line(b, event) for site in shown_sites for event in by_site[site]]
    going_on = sum(any(e.ongoing for e in by_site[site]) for site in order)
    words = period.words or "in the period"
    headline = (
        f"{capital(sites_word(len(order)) if order else 'no sites')} of {b.of_sites()} {verb}, "
        f"{words}; {going_on or 'none'} still "
        + ("do" if b.query.what is not What.WHICH else "with it")
        + "."
    )
    if order:
        event = by_site[order[0]][0]
        title = b.view.directory.titles[order[0]]
        headline += f" First {title}: {event.sentence}, {duration_words(event.seconds)} in all" + (
            ", still now." if event.ongoing else "."
        )
    for site in shown_sites:
        for event in by_site[site]:
            if event.value is not None:
                b.evidence.readings.append(
                    {
                        "site": site,
                        "quantity": event.code,
                        "value": event.value,
                        "unit": "",
                        "time": event.last,
                        "threshold": event.threshold,
                    }
                )
    b.show(f"max_over_time({promql.issues(b.query.severity)}[{int(period.seconds)}s])")
    table = Table("Issues in the period", _EVENT_COLUMNS, lines, sum(map(len, by_site.values())))
    return b.answer(headline, [table], [b.view.directory.row(site) for site in shown_sites])


def _of_conditions(b: Builder, found: list[Event]) -> list[Event]:
    codes: set[str] = set()
    for condition in b.query.conditions:
        kind = CONDITIONS[condition.name]
        if condition.negate or not (
            kind.codes or kind.statuses == ("offline",) or kind.name == "any_issue"
        ):
            raise CannotAnswerError(
                f"whether sites had {kind.label} is known for now only; ask it without a period"
            )
        codes |= set(kind.codes)
        if kind.statuses == ("offline",):
            codes.add("site_offline")
        if kind.name == "any_issue":
            return found
    if len(b.query.conditions) > 1 and not b.query.any_of:
        # Each one of the conditions must have occurred, though not at the same moment.
        each = [
            {e.site for e in found if e.code in (CONDITIONS[c.name].codes or ("site_offline",))}
            for c in b.query.conditions
        ]
        sites = set.intersection(*each)
        b.evidence.notes.append("The conditions held within the period, not necessarily at once")
        found = [e for e in found if e.site in sites]
    return [event for event in found if event.code in codes]


def _event_line(b: Builder, event: Event) -> dict[str, Any]:
    return b.view.identity(b.view.directory.row(event.site)) | {
        "code": event.code,
        "severity": event.severity,
        "why": event.sentence,
        "times": event.times,
        "seconds": event.seconds,
        "first": event.first,
        "last": event.last,
        "ongoing": "yes" if event.ongoing else "no",
    }


async def _site(b: Builder, stored: InfluxQL) -> Answer:
    """How a site did: its score over the period, and its issues."""
    b.query = b.query.but(metrics=("score",))
    course = await _history(b, stored)
    b.query = b.query.but(what=What.ATTENTION, severity="info", metrics=())
    log = await _events(b, stored)
    tables = [course.tables[0], log.tables[0], *course.tables[1:]]
    return Answer(
        query=b.query.but(what=What.SITE, severity=None),
        understood=course.understood,
        headline=f"{course.headline} Issues in that time: {len(log.tables[0].rows) or 'none'}.",
        tables=tables,
        evidence=b.evidence,
        sites=course.sites,
        attention=course.attention,
    )
