"""A metric by the day or by the hour of a period, summed or averaged over the sites."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from exporter.ask.answer import Answer, CannotAnswerError, Column, Table
from exporter.ask.builder import MOSTLY, Builder, capital, figure
from exporter.ask.catalogue import METRICS, Metric
from exporter.ask.extremes import HOUR_SECONDS
from exporter.ask.metric_history import History
from exporter.ask.query import Period
from exporter.ask.stored_metric import fetch_metric
from exporter.history.influxql import InfluxQL
from exporter.model.text import sites_word

MOST_DAYS = 62
MOST_HOURS = 8 * 24
MOST_SITE_DAYS = 20_000
"""Sites times days of which the hours are read at once."""


async def by_day_answer(b: Builder, stored: InfluxQL) -> Answer:
    """Each day, or hour, of the period with what the sites had together.

    Of energies it is the sum; of everything else the mean over sites and time. Days and hours are
    those of the asker's zone; only those with nearly all of their hours are the highest or lowest.

    Raises
    ------
    CannotAnswerError
    """
    metric = METRICS[b.query.metrics[0] if b.query.metrics else "score"]
    hourly = b.query.group_by == "hour"
    parts = b.period.seconds / (HOUR_SECONDS if hourly else 86_400)
    if parts > (MOST_HOURS if hourly else MOST_DAYS):
        raise CannotAnswerError(
            f"that is {parts:.0f} {b.query.group_by}s; at most {MOST_HOURS} hours or {MOST_DAYS} "
            "days are given one by one"
        )
    if len(b.chosen) * b.period.seconds / 86_400 > MOST_SITE_DAYS:
        raise CannotAnswerError("that is too many days of too many sites; ask about fewer")
    if metric.over_time == "share":
        raise CannotAnswerError(f"{metric.label} is given for whole periods only")
    shift = b.period.start.utcoffset()
    # Where clocks differ by half an hour, hours of UTC are none of theirs.
    odd = shift is not None and shift.seconds % HOUR_SECONDS
    found = await fetch_metric(b, stored, metric, HOUR_SECONDS // 4 if odd else HOUR_SECONDS)
    assert b.coverage is not None
    if not found:
        raise CannotAnswerError(
            f"{b.coverage.sentence()} InfluxDB has no {metric.label} for that period"
        )
    lines = _lines(b, found, metric, hourly=hourly)
    seen = [line for line in lines if line["observed"] >= 100.0 * MOSTLY]
    lowest = b.query.order in ("lowest", "worst")
    pick = min if lowest else max
    whose = b.view.directory.titles[b.chosen[0]] if len(b.chosen) == 1 else b.of_sites()
    when = b.period.words or "in the period"
    word = "lowest" if lowest else "highest"
    text = f"{capital(metric.label)} of {whose}, {when}: "
    if seen:
        best = pick(seen, key=lambda line: (line["value"], line["start"]))
        text += f"{word} {_named(best, hourly=hourly)} with {figure(best['value'], metric)}"
    else:
        text += f"no whole {b.query.group_by} was observed, so which was {word} is not known"
    if seen and len(seen) < len(lines):
        text += f", of the {len(seen)} of {len(lines)} that were observed nearly whole"
    if metric.sums_up and b.coverage.enough:
        text += f"; {figure(sum(line['value'] for line in lines), metric)} in total"
    text += "."
    if b.coverage.below(MOSTLY):
        text = f"{b.coverage.sentence()} {text}"
    if b.query.order:
        lines.sort(key=lambda line: (1 if lowest else -1) * line["value"])
    columns = (
        Column("day", "Hour" if hourly else "Day"),
        Column("value", capital(metric.label), "number", metric.unit, metric.decimals),
        Column("sites", "With values", "number"),
        Column("observed", "Observed", "number", "%", 1),
    )
    b.evidence.notes.append(
        f"{'Hours' if hourly else 'Days'} of {b.period.start:%Z}; a gap adds nothing, and "
        f"{sites_word(len(found))} gave values"
    )
    shown = lines[: b.query.limit or len(lines)]
    table = Table(f"By {b.query.group_by}", columns, shown, len(lines))
    return b.answer(text, [table], [])


def _lines(
    b: Builder, found: dict[str, History], metric: Metric, *, hourly: bool
) -> list[dict[str, Any]]:
    values: dict[datetime, list[float]] = defaultdict(list)
    hours: dict[datetime, set[tuple[str, int]]] = defaultdict(set)
    for site, history in found.items():
        for time, value in zip(history.times, history.values, strict=True):
            start = datetime.fromtimestamp(float(time), b.period.start.tzinfo)
            start = start.replace(minute=0, second=0, microsecond=0)
            start = start if hourly else start.replace(hour=0)
            values[start].append(float(value))
            hours[start].add((site, int(time // HOUR_SECONDS)))
    add = np.sum if metric.sums_up else np.mean
    length = timedelta(hours=1) if hourly else timedelta(days=1)
    return [
        {
            "start": start.timestamp(),
            "day": f"{start:%Y-%m-%d %H:%M}" if hourly else f"{start:%a %Y-%m-%d}",
            "value": float(add(values[start])),
            "sites": len({site for site, _ in hours[start]}),
            "observed": _observed(b.period, len(hours[start]), len(found), start, start + length),
        }
        for start in sorted(values)
    ]


def _observed(period: Period, hours: int, sites: int, start: datetime, end: datetime) -> float:
    """Percent of a stretch that lies in the period and has values, of the sites that have any."""
    # Of seconds passed: a day on which clocks change has 23 or 25 hours.
    begin, finish = start.timestamp(), end.timestamp()
    inside = min(finish, period.end.timestamp()) - max(begin, period.start.timestamp())
    seconds = finish - begin
    return 100.0 * min(inside / seconds, hours * HOUR_SECONDS / (seconds * sites), 1.0)


def _named(line: dict[str, Any], *, hourly: bool) -> str:
    return f"from {line['day']}" if hourly else f"on {line['day']}"
