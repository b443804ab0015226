"""Issues that were active in a period, from InfluxDB and, where it reaches now, the Assessment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from exporter.ask.metric_history import tagged, where
from exporter.ask.query import Period
from exporter.ask.statements import ask, no_answer
from exporter.ask.view import View
from exporter.history.influxql import InfluxQL, NoAnswerError, Series
from exporter.history.level_choice import enough_for, level_of, table
from exporter.model.levels import Level
from exporter.model.text import without_age

_LEVELS = {1: "info", 2: "warning", 3: "critical"}
_NUMBERS = {name: number for number, name in _LEVELS.items()}
_WORDS = ("since", "sentence", "value", "threshold")
STORED_EVERY_SECONDS = 10.0

Row = dict[str, Any]


@dataclass(slots=True)
class Event:
    """An issue of a site within a period.

    ``sentence`` gives no age, since ``seconds`` is how long it was active within the period.
    ``first`` and ``last`` are Unix seconds; ``times`` counts how often it began; ``ongoing``
    whether it was active at the end of the period.
    """

    site: str
    code: str
    severity: str
    sentence: str
    value: float | None
    threshold: float | None
    first: float
    last: float
    seconds: float
    times: int
    ongoing: bool

    @property
    def level(self) -> int:
        """1 info, 2 warning, 3 critical."""
        return _NUMBERS[self.severity]


def statements(period: Period, sites: list[str] | None, level: Level | None = None) -> list[str]:
    """What is asked of InfluxDB: how bad and how long, its last sentence, and how often it began.

    Sentences are read in full detail even with a roll-up: there InfluxDB finds the last one alone
    without reading the rest.
    """
    group = 'GROUP BY "site", "code"'
    words = ", ".join(f'last("{name}") AS "{name}"' for name in _WORDS)
    if level is None:
        clause, ended = (where(period, sites, f'"active" = {n}') for n in (1, 0))
        return [
            'SELECT max("severity") AS "severity", min("since") AS "began", count("active") AS '
            f'"count", {words} FROM "issue" WHERE {clause} {group}',
            f'SELECT last("active") FROM "issue" WHERE {clause} {group}',
            f'SELECT first("active") FROM "issue" WHERE {clause} {group}',
            # An issue that goes on after a restart has another beginning, but has not ended.
            f'SELECT count("active") AS "ends" FROM "issue" WHERE {ended} {group}',
            f'SELECT last("active") FROM "issue" WHERE {where(period, sites)} {group}',
        ]
    source = f"FROM {table(level, 'issue')} WHERE"
    clause = where(period, sites, "", level)
    return [
        'SELECT max("severity_max") AS "severity", sum("active_1_s") AS "seconds" '
        f"{source} {clause} {group}",
        f'SELECT last("active") FROM "issue" WHERE {where(period, sites)} {group}',
        # What ends is stored once as not active: as often as that it had begun.
        f'SELECT count("active_min") AS "ends" {source} {clause} AND "active_min" = 0 {group}',
        f'SELECT first("active_max") {source} {clause} AND "active_max" = 1 {group}',
        f'SELECT {words} FROM "issue" WHERE {where(period, sites)} {group}',
    ]


async def fetch(
    stored: InfluxQL, view: View, period: Period, sites: list[str] | None
) -> tuple[list[Event], list[str], Level | None]:
    """Events of a period, the statements that gave them, and the level that was read.

    Raises
    ------
    CannotAnswerError
    """
    level = await _level(stored, period, sites)
    asked = statements(period, sites, level)
    results = await ask(stored, asked)
    wanted = set(view.directory.titles if sites is None else sites)
    tables = [
        {_key(s.tags): _row(s) for s in result if s.tags["site"] in wanted} for result in results
    ]
    read = _of_detail if level is None else _of_rollup
    found = {key: read(key, tables, period, level) for key in tables[0]}
    kept = {key: event for key, event in found.items() if event is not None}
    late = period.end.timestamp() - 2 * STORED_EVERY_SECONDS
    for event in kept.values():
        # What is active now is known better than what was stored.
        event.ongoing &= event.last > late and not reaches_now(view, period)
    _add_present(kept, view, period, wanted)
    return list(kept.values()), asked, level


async def _level(stored: InfluxQL, period: Period, sites: list[str] | None) -> Level | None:
    since, until = period.start.timestamp(), period.end.timestamp()
    try:
        levels = enough_for(until - since)
        return await level_of(stored, "issue", "active", since, until, tagged(sites), levels)
    except NoAnswerError as error:
        raise no_answer(error) from error


def _of_detail(
    key: tuple[str, str], tables: list[dict[tuple[str, str], Row]], period: Period, _: Level | None
) -> Event:
    worst, latest, stored, ends, state = (table.get(key, {}) for table in tables)
    start, end = period.start.timestamp(), period.end.timestamp()
    first, last = worst["began"] or start, latest.get("time", end)
    times = max(1, int(ends.get("ends", 0)) + int(state.get("last") == 1))
    # An outage is stored once it is sure, and began with the last answer.
    before_stored = max(0.0, stored.get("time", start) - max(first, start))
    seconds = worst["count"] * STORED_EVERY_SECONDS + before_stored
    return _event(
        key,
        worst,
        worst["severity"],
        first=first,
        last=last,
        seconds=min(seconds, period.seconds),
        times=times,
        ongoing=True,
    )


def _of_rollup(
    key: tuple[str, str],
    tables: list[dict[tuple[str, str], Row]],
    period: Period,
    level: Level | None,
) -> Event | None:
    assert level is not None
    worst, last, ends, begun, words = (table.get(key, {}) for table in tables)
    if not begun:
        # Nothing but the note that it had ended before.
        return None
    window, since = begun["time"], words.get("since")
    if since is None or since >= window + level.seconds:
        # Of a later time than the first: that began in the window or before.
        since = max(window, period.start.timestamp())
    return _event(
        key,
        words,
        worst["severity"],
        first=since,
        last=last.get("time", period.end.timestamp()),
        seconds=min(worst["seconds"] or 0.0, period.seconds),
        times=max(1, int(ends.get("ends", 0)) + int(last.get("last") == 1)),
        ongoing=last.get("last") == 1,
    )


def _event(
    key: tuple[str, str],
    words: Row,
    severity: float | None,
    *,
    first: float,
    last: float,
    seconds: float,
    times: int,
    ongoing: bool,
) -> Event:
    return Event(
        site=key[0],
        code=key[1],
        severity=_LEVELS.get(int(severity or 1), "info"),
        # Words may have expired where the roll-up has not.
        sentence=without_age(words.get("sentence") or "", words.get("value"))
        or key[1].replace("_", " "),
        value=words.get("value"),
        threshold=words.get("threshold"),
        first=first,
        last=last,
        seconds=seconds,
        times=times,
        ongoing=ongoing,
    )


def _row(series: Series) -> Row:
    return dict(zip(series.columns, series.rows[0], strict=True))


def _key(tags: dict[str, str]) -> tuple[str, str]:
    return tags["site"], tags["code"]


def reaches_now(view: View, period: Period) -> bool:
    """Whether a period ends so late that what is active now was active at its end."""
    now = view.assessment.time
    return period.start.timestamp() <= now <= period.end.timestamp() + 60


def _add_present(
    found: dict[tuple[str, str], Event], view: View, period: Period, wanted: set[str]
) -> None:
    """What is active now, which InfluxDB may not have yet."""
    now, start = view.assessment.time, period.start.timestamp()
    if not reaches_now(view, period):
        return
    for site, issues in zip(view.sites, view.assessment.issues, strict=True):
        if site.id not in wanted:
            continue
        for issue in issues:
            event = found.get((site.id, issue.code))
            if event is not None:
                event.ongoing = True
                event.sentence, event.value = without_age(issue.sentence, issue.value), issue.value
                event.last = now
                if event.level < _NUMBERS[issue.severity]:
                    event.severity = issue.severity
                continue
            found[site.id, issue.code] = Event(
                site=site.id,
                code=issue.code,
                severity=issue.severity,
                sentence=without_age(issue.sentence, issue.value),
                value=issue.value,
                threshold=issue.threshold,
                first=issue.since,
                last=now,
                seconds=now - max(start, issue.since),
                times=1,
                ongoing=True,
            )
