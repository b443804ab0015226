"""How often a metric passed a limit in a period: SOC below 20 %, three times this week."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exporter.ask.answer import Answer, CannotAnswerError, Column, Table
from exporter.ask.builder import MOSTLY, SITE_COLUMNS, Builder, asked_limit, capital, in_order
from exporter.ask.catalogue import METRICS, Metric
from exporter.ask.metric_history import level_for, tagged, where
from exporter.ask.query import Comparison
from exporter.ask.query_words import moment_words, times_words
from exporter.ask.statements import ask
from exporter.history.influxql import InfluxQL
from exporter.history.level_choice import table
from exporter.history.rollups.fields import FIELDS
from exporter.model.levels import Level
from exporter.model.quantities import KEPT
from exporter.model.text import duration_words, sites_word

FloatArray = NDArray[np.float64]
WINDOWS = ((2 * 86_400.0, 60), (8 * 86_400.0, 300), (40 * 86_400.0, 1800))
"""Seconds of a period, and of the windows in which it is read; longer ones by the hour."""
LONGEST_WINDOW = 3600
_SIDES = {"<": "min", "<=": "min", ">": "max", ">=": "max"}


async def crossings_answer(b: Builder, stored: InfluxQL, active: dict[str, str]) -> Answer:
    """Sites of which a metric passed the limit at least so often as the query says.

    It passes a limit once from the window in which it first lies beyond to the last one; a gap does
    not end that, since what was not observed is not known to have come back.

    Raises
    ------
    CannotAnswerError
    """
    if len(b.query.comparisons) != 1:
        raise CannotAnswerError("how often is counted for one limit at a time")
    wanted = b.query.comparisons[0]
    metric = METRICS[wanted.metric]
    if wanted.operator not in _SIDES or metric.over_time != "mean" or not metric.measurement:
        raise CannotAnswerError(
            f"how often {metric.label} {wanted.operator} {asked_limit(wanted.value, metric)} is "
            "not counted; ask for above or below of a metric that is stored"
        )
    found, seconds = await _extremes(b, stored, metric, wanted, active)
    least = b.query.times or 1
    lines = []
    for row in in_order(b, b.mask):
        site = b.view.sites[row].id
        if site not in found:
            continue
        times, values = found[site]
        spells = _spells(times, values, wanted)
        # Of one site how often it was, whatever is asked.
        if len(spells) >= (1 if len(b.chosen) == 1 else least):
            lines.append(b.view.identity(row) | _line(b, spells, times, values, seconds))
    lines.sort(key=lambda line: (-line["times"], line["site"]))
    silent = [site for site in b.chosen if site not in found]
    if silent:
        b.evidence.missing.append(f"{metric.label} of {sites_word(len(silent))}")
    b.evidence.notes.append(
        f"Read in windows of {duration_words(seconds)}: what passes the limit twice within one, or "
        "before and after a gap, counts once; the time in all is that of the windows in which it "
        "lay beyond"
    )
    words = f"{metric.label} {wanted.operator} {asked_limit(wanted.value, metric)}"
    columns = (
        *SITE_COLUMNS,
        Column("times", "Times", "number"),
        Column("first", "First", "time"),
        Column("last", "Last", "time"),
        Column("seconds", "In all", "duration"),
        Column("days", "Days", "number"),
        Column("extreme", "Farthest", "number", metric.unit, metric.decimals),
        Column("observed", "Observed", "number", "%", 1),
    )
    for line in lines:
        line["observed"] = 100.0 * b.coverage.of(line["site"]) if b.coverage else None
    shown = b.limit(lines)
    made = Table(capital(words), columns, shown, len(lines))
    rows = [b.view.directory.row(line["site"]) for line in shown]
    return b.answer(_headline(b, lines, words, least), [made], rows)


async def since_limit_answer(b: Builder, stored: InfluxQL, active: dict[str, str]) -> Answer:
    """Since when a metric has been beyond a limit, as far back as the period reaches.

    Raises
    ------
    CannotAnswerError
    """
    found = await crossings_answer(b, stored, active)
    lines = found.tables[0].rows
    wanted = b.query.comparisons[0]
    metric = METRICS[wanted.metric]
    words = f"{metric.label} {wanted.operator} {asked_limit(wanted.value, metric)}"
    texts = [_since_words(b, line, words) for line in lines[:3] if line["times"]]
    if not texts:
        text = f"No site of {b.of_sites()} was seen with {words}, {b.period.words}."
    else:
        text = ". ".join(texts) + "."
    assert b.coverage is not None
    if b.coverage.below(MOSTLY):
        text = f"{b.coverage.sentence()} {text}"
    return replace(found, headline=text)


def _since_words(b: Builder, line: dict[str, Any], words: str) -> str:
    """``Delta has had battery temperature > 40 °C since 2026-03-17 13:05, for 26 h``."""
    zone = b.period.start.tzinfo
    end = b.view.assessment.time
    if line["last"] < end - 2 * LONGEST_WINDOW:
        last = datetime.fromtimestamp(line["last"], zone)
        return f"{line['name']} last had {words} until {moment_words(last)}"
    start = datetime.fromtimestamp(line["began"], zone)
    least = " at least" if line["began"] <= b.period.start.timestamp() + LONGEST_WINDOW else ""
    return (
        f"{line['name']} has had {words} since {moment_words(start)}, for{least} "
        f"{duration_words(end - line['began'])}"
    )


async def _extremes(
    b: Builder, stored: InfluxQL, metric: Metric, wanted: Comparison, active: dict[str, str]
) -> tuple[dict[str, tuple[FloatArray, FloatArray]], int]:
    """The extreme of each window on the side of the limit, by site, and the windows' length."""
    side = _SIDES[wanted.operator]
    period = b.period
    level = await level_for(stored, metric, period, tagged(b.asked_sites, metric.where))
    seconds = next((step for most, step in WINDOWS if period.seconds <= most), LONGEST_WINDOW)
    if level is not None:
        seconds = max(seconds, level.seconds)
    asked = [_statement(b, metric, side, seconds, level)]
    (result,) = await ask(stored, asked)
    b.evidence.influxql.extend(asked)
    devices: dict[str, dict[str, dict[float, float]]] = {}
    wanted_sites = set(b.chosen)
    pick = min if side == "min" else max
    for series in result:
        site = series.tags["site"]
        if site not in wanted_sites:
            continue
        course = devices.setdefault(site, {}).setdefault(series.tags.get("device", ""), {})
        for time, *values in series.rows:
            known = [value for value in values if value is not None]
            if known:
                course[time] = pick(known)
    found = {}
    for site, courses in devices.items():
        chosen = courses
        if metric.combine == "active" and len(courses) > 1:
            counted = active.get(site, "")
            if counted not in courses:
                counted = max(courses, key=lambda name: len(courses[name]))
            chosen = {counted: courses[counted]}
        joined: dict[float, float] = {}
        for course in chosen.values():
            for time, value in course.items():
                joined[time] = pick(value, joined.get(time, value))
        if joined:
            moments = sorted(joined)
            found[site] = np.array(moments), np.array([joined[moment] for moment in moments])
    return found, seconds


def _statement(b: Builder, metric: Metric, side: str, seconds: int, level: Level | None) -> str:
    clause = where(b.period, b.asked_sites, metric.where, level)
    device = ', "device"' if metric.measurement == "battery" else ""
    fields = []
    for number, name in enumerate(metric.fields):
        stored_as = name
        if level is not None:
            kept = KEPT[FIELDS[metric.measurement][name]]
            assert side in kept  # asked of level_for
            stored_as = f"{name}_{side}"
        fields.append(f'{side}("{stored_as}") AS "v{number}"')
    return (
        f"SELECT {', '.join(fields)} FROM {table(level, metric.measurement)} WHERE {clause} "
        f'GROUP BY time({seconds}s), "site"{device} fill(none)'
    )


def _beyond(values: FloatArray, wanted: Comparison) -> NDArray[np.bool_]:
    compare = {"<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal}
    return np.asarray(compare[wanted.operator](values, wanted.value), dtype=np.bool_)


def _spells(times: FloatArray, values: FloatArray, wanted: Comparison) -> list[tuple[int, int]]:
    """First and last place of each run of windows beyond the limit."""
    beyond = np.concatenate(([False], _beyond(values, wanted), [False]))
    edges = np.flatnonzero(beyond[1:] != beyond[:-1])
    return [(int(a), int(z) - 1) for a, z in zip(edges[::2], edges[1::2], strict=True)]


def _line(
    b: Builder,
    spells: list[tuple[int, int]],
    times: FloatArray,
    values: FloatArray,
    seconds: int,
) -> dict[str, Any]:
    nothing: dict[str, Any] = dict.fromkeys(("first", "last", "extreme"))
    if not spells:
        return nothing | {"times": 0, "seconds": 0.0, "days": 0}
    wanted = b.query.comparisons[0]
    pick = np.min if _SIDES[wanted.operator] == "min" else np.max
    beyond = times[_beyond(values, wanted)]
    zone = b.period.start.tzinfo
    return {
        "times": len(spells),
        "first": float(times[spells[0][0]]),
        "last": float(times[spells[-1][1]]) + seconds,
        "extreme": float(pick(values)),
        "began": float(times[spells[-1][0]]),
        "seconds": float(beyond.size * seconds),
        "days": len({datetime.fromtimestamp(float(time), zone).date() for time in beyond}),
    }


def _headline(b: Builder, lines: list[dict[str, Any]], words: str, least: int) -> str:
    when = b.period.words or "in the period"
    assert b.coverage is not None
    observed = b.coverage.sentence()
    if len(b.chosen) == 1:
        text = _of_one(b, lines[0] if lines else {"times": 0}, words, when)
    elif b.coverage.enough:
        some = capital(sites_word(len(lines)) if lines else "no sites")
        text = f"{some} of {b.of_sites()} had {words} {_often(least)}, {when}"
        if lines:
            text += f"; most often {lines[0]['name']}, {times_words(lines[0]['times'])}"
        text += "."
    elif lines:
        text = f"At least {sites_word(len(lines))} of {b.of_sites()} had {words} {_often(least)}."
    else:
        text = f"Whether any of {b.of_sites()} had {words} {_often(least)} is not known."
    return f"{observed} {text}" if b.coverage.below(MOSTLY) else text


def _of_one(b: Builder, line: dict[str, Any], words: str, when: str) -> str:
    assert b.coverage is not None
    count = line["times"]
    name = b.view.directory.titles[b.chosen[0]]
    often = times_words(count) if count else "not once"
    if count:
        days = f"{line['days']} day{'s' * (line['days'] > 1)}"
        often += f", on {days} and for about {duration_words(line['seconds'])} in all"
        first = datetime.fromtimestamp(line["first"], b.period.start.tzinfo)
        often += f", first at {moment_words(first)}"
    if b.coverage.enough:
        return f"{name} had {words} {often}, {when}."
    seen = f"{name} had {words} {often}" if count else f"{name} was not seen with {words}"
    return f"In that time {seen}; how often in all is not known."


def _often(least: int) -> str:
    return f"at least {times_words(least)}"
