"""The timeline of a long period, out of roll-ups: its times are exact to a window."""

from __future__ import annotations

import asyncio

from exporter.ask.metric_history import tagged, where
from exporter.ask.order_entries import add_orders, orders_statement
from exporter.ask.planned_work import planned
from exporter.ask.query import Period
from exporter.ask.statements import ask, no_answer
from exporter.ask.timeline import (
    IssueReader,
    bounds,
    changes_of_way,
    happened_to_exporter,
    severity_name,
    unobserved,
)
from exporter.ask.timeline_entries import Entry, Open, Stretch, Timeline
from exporter.ask.view import View
from exporter.history.influxql import InfluxQL, NoAnswerError, Series
from exporter.history.level_choice import enough_for, level_of, table
from exporter.model.levels import Level
from exporter.model.text import without_age
from scoring.status import Status

_GROUP = 'GROUP BY "site", "code"'


async def level_for(stored: InfluxQL, period: Period, sites: list[str] | None) -> Level | None:
    """The roll-up that holds the issues of a period; None for full detail.

    Raises
    ------
    exporter.ask.answer.CannotAnswerError
    """
    since, until = bounds(period)
    try:
        levels = enough_for(until - since)
        return await level_of(stored, "issue", "active", since, until, tagged(sites), levels)
    except NoAnswerError as error:
        raise no_answer(error) from error


def statements(period: Period, sites: list[str] | None, level: Level) -> list[str]:
    """What is asked of InfluxDB.

    Of issues the first and the last window in which each was active, the windows after a gap, and
    those in which it ended: InfluxDB then gives back changes, not every window.
    """
    source = f"FROM {table(level, 'issue')} WHERE"
    active = f'{where(period, sites, "", level)} AND "active_max" = 1'
    # Elapsed time is that from one window in which the issue was active to the next.
    gaps = f'SELECT elapsed("active_max", 1s) AS "gap" {source} {active} {_GROUP}'
    overall = where(period, sites, "\"component\" = 'overall'", level)
    return [
        f'SELECT first("active_max"), "severity_max" {source} {active} {_GROUP}',
        f'SELECT last("active_max"), "severity_max" {source} {active} {_GROUP}',
        f'SELECT "gap" FROM ({gaps}) WHERE "gap" > {level.seconds} {_GROUP}',
        f'SELECT "active_min" {source} {where(period, sites, "", level)} AND "active_min" = 0 '
        f"{_GROUP}",
        f'SELECT last("sentence"), "value" FROM "issue" WHERE {where(period, sites)} {_GROUP}',
        f'SELECT "step" FROM (SELECT difference("status_max") AS "step" FROM '
        f'{table(level, "health")} WHERE {overall} GROUP BY "site") WHERE "step" != 0 '
        'GROUP BY "site"',
        f'SELECT first("status_max") FROM {table(level, "health")} WHERE {overall} GROUP BY "site"',
        f'SELECT sum("online_1_s"), sum("online_0_s") FROM {table(level, "site")} WHERE '
        f"{where(period, sites, '', level)} GROUP BY time({level.seconds}s) fill(none)",
        f'SELECT "text" FROM "event" WHERE {where(period, None)} GROUP BY "kind"',
        f'SELECT "text" FROM "way_in" WHERE {where(period, sites)} GROUP BY "site"',
        orders_statement(period, sites),
    ]


async def fetch(
    stored: InfluxQL,
    view: View,
    period: Period,
    rows: list[int],
    sites: list[str] | None,
    level: Level,
) -> Timeline:
    """What happened in a period at some sites; see :func:`exporter.ask.timeline.fetch`.

    Raises
    ------
    exporter.ask.answer.CannotAnswerError
    """
    found = Timeline(statements=statements(period, sites, level), exact_seconds=level.seconds)
    first, last, gaps, ends, words, steps, status, polls, events, ways, orders = await ask(
        stored, found.statements
    )
    wanted = {view.sites[row].id for row in rows}
    await asyncio.to_thread(_issues, found, period, wanted, level, (first, last, gaps, ends, words))
    IssueReader(found, period, wanted).present(view)
    _statuses(found, wanted, status, steps)
    times = [row[0] for series in polls for row in series.rows]
    found.entries += unobserved(times, float(level.seconds), period, view.assessment.time)
    chosen = [view.sites[row] for row in rows]
    found.add_planned(planned(view.assessment.fleet, chosen, *bounds(period)), *bounds(period))
    found.entries += happened_to_exporter(events)
    found.entries += changes_of_way(ways, wanted)
    add_orders(found, orders, wanted, period.start.timestamp())
    found.in_order()
    return found


def _issues(
    found: Timeline,
    period: Period,
    wanted: set[str],
    level: Level,
    read: tuple[list[Series], ...],
) -> None:
    """Stretches of windows without a gap and without an end between them."""
    first, last, gaps, ends, words = ({_key(s): s for s in series} for series in read)
    start, end = bounds(period)
    for key, series in first.items():
        if key[0] not in wanted:
            continue
        _, said, value = words[key].rows[0] if key in words else (0.0, "", None)
        sentence = without_age(said or "", value) or key[1].replace("_", " ")
        severity = severity_name(last[key].rows[0][2])
        finish = last[key].rows[0][0]
        after_gap = {row[0]: row[1] for row in gaps[key].rows} if key in gaps else {}
        ended = {row[0] for row in ends[key].rows} if key in ends else set()
        again = {t + level.seconds for t in ended if not _within_a_gap(t, after_gap)}
        begins = sorted(t for t in {series.rows[0][0], *after_gap, *again} if t <= finish)
        for at, following in zip(begins, [*begins[1:], None], strict=True):
            stop = min((t for t in ended if t >= at), default=None)
            until = finish if following is None else following - after_gap.get(following, 0.0)
            over = stop is not None and (following is None or stop < following)
            close = stop if over and stop is not None else until
            _stretch(
                *(found, key, severity, sentence, max(at, start)),
                min(close + level.seconds, end),
                before=at <= start,
                ended=over,
                ongoing=not over and following is None and finish >= end - 2 * level.seconds,
            )


def _within_a_gap(time: float, after_gap: dict[float, float]) -> bool:
    """Whether the issue was not active in the window after this one."""
    return any(begin - gap <= time < begin for begin, gap in after_gap.items())


def _stretch(
    found: Timeline,
    key: tuple[str, str],
    severity: str,
    sentence: str,
    at: float,
    until: float,
    *,
    before: bool,
    ended: bool,
    ongoing: bool,
) -> None:
    site, code = key
    found.stretches.append(Stretch(site, code, severity, sentence, at, until, ongoing))
    if before:
        found.before.append(Open(site, code, severity, sentence, at))
    else:
        found.entries.append(Entry(at, site, "began", sentence, severity, code))
    if not ongoing:
        kind = "ended" if ended else "last seen"
        seconds = until - at if ended else None
        found.entries.append(Entry(until, site, kind, sentence, severity, code, seconds))


def _statuses(found: Timeline, wanted: set[str], status: list[Series], steps: list[Series]) -> None:
    """Changes of the worst status from one window to the next."""
    began = {series.tags["site"]: series.rows[0][1] for series in status}
    for series in steps:
        site = series.tags["site"]
        if site not in wanted:
            continue
        now = began[site]
        for time, step in series.rows:
            before, now = now, now + step
            what = f"{Status(int(before)).name} to {Status(int(now)).name}"
            found.entries.append(Entry(time, site, "status", what))


def _key(series: Series) -> tuple[str, str]:
    return series.tags["site"], series.tags["code"]
