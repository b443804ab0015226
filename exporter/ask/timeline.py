"""What happened in a period, in order: statuses, issues, alerts, planned work, orders, reloads, and
the time that was not observed."""

from __future__ import annotations

from datetime import UTC, datetime

from exporter.ask.metric_history import where
from exporter.ask.order_entries import add_orders, orders_statement
from exporter.ask.planned_work import planned
from exporter.ask.query import Period
from exporter.ask.statements import ask
from exporter.ask.timeline_entries import Entry, Open, Stretch, Timeline
from exporter.ask.view import View
from exporter.history.coverage import HOLD_SECONDS
from exporter.history.influxql import InfluxQL, Series
from exporter.model.text import duration_words, without_age
from scoring.status import Status

STORED_EVERY_SECONDS = 10.0
LOOKBACK_SECONDS = 900.0
"""How far before the period a status is looked for that held when it began."""
_SEVERITIES = {1: "info", 2: "warning", 3: "critical"}
_UNSEEN_AFTER_SECONDS = 6 * STORED_EVERY_SECONDS


def statements(period: Period, sites: list[str] | None) -> list[str]:
    """What is asked of InfluxDB: ends, issues as last seen, when they began, statuses, events."""
    active, ended = (where(period, sites, f'"active" = {n}') for n in (1, 0))
    fields, by = '"since", "severity", "sentence", "value"', 'GROUP BY "site", "code"'
    return [
        f'SELECT {fields} FROM "issue" WHERE {ended} {by}',
        # One selector, so that the time is that of the point.
        f'SELECT last("active"), {fields} FROM "issue" WHERE {where(period, sites)} {by}',
        f'SELECT distinct("since") AS "since" FROM "issue" WHERE {active} {by}',
        'SELECT max("status"), min("status"), first("status") FROM "health" '
        f'WHERE {_overall(period, sites)} GROUP BY "site"',
        f'SELECT count("online") FROM "site" WHERE {where(period, sites)} '
        "GROUP BY time(60s) fill(none)",
        f'SELECT "text" FROM "event" WHERE {where(period, None)} GROUP BY "kind"',
        f'SELECT "text" FROM "way_in" WHERE {where(period, sites)} GROUP BY "site"',
        orders_statement(period, sites),
    ]


def steps_statement(period: Period, sites: list[str]) -> str:
    """Every change of the status of some sites, which takes InfluxDB long."""
    return (
        'SELECT "step" FROM (SELECT difference("status") AS "step" FROM "health" '
        f'WHERE {_overall(period, sites)} GROUP BY "site") WHERE "step" != 0 GROUP BY "site"'
    )


def _overall(period: Period, sites: list[str] | None) -> str:
    earlier = datetime.fromtimestamp(period.start.timestamp() - LOOKBACK_SECONDS, UTC)
    return where(Period(earlier, period.end), sites, "\"component\" = 'overall'")


async def fetch(
    stored: InfluxQL, view: View, period: Period, rows: list[int], sites: list[str] | None
) -> Timeline:
    """What happened in a period at some sites.

    Parameters
    ----------
    stored : InfluxQL
    view : View
    period : Period
    rows : list of int
        Rows of the sites that are asked about.
    sites : list of str or None
        Their ids; None for all.

    Raises
    ------
    exporter.ask.answer.CannotAnswerError
        If InfluxDB does not answer.
    """
    found = Timeline(statements=statements(period, sites))
    ends, last, begins, first, polls, events, ways, orders = await ask(stored, found.statements)
    changed = [series.tags["site"] for series in first if series.rows[0][1] != series.rows[0][2]]
    steps: list[Series] = []
    if changed:
        found.statements.append(steps_statement(period, changed))
        (steps,) = await ask(stored, found.statements[-1:])
    wanted = {view.sites[row].id for row in rows}
    reader = IssueReader(found, period, wanted)
    reader.issues(ends, last, begins)
    reader.present(view)
    reader.statuses(first, steps)
    found.entries += unobserved(
        [row[0] for series in polls for row in series.rows], 60.0, period, view.assessment.time
    )
    found.add_planned(
        planned(view.assessment.fleet, [view.sites[row] for row in rows], *bounds(period)),
        *bounds(period),
    )
    found.entries += happened_to_exporter(events)
    found.entries += changes_of_way(ways, wanted)
    add_orders(found, orders, wanted, period.start.timestamp())
    found.in_order()
    return found


def bounds(period: Period) -> tuple[float, float]:
    """Unix seconds of its ends."""
    return period.start.timestamp(), period.end.timestamp()


def unobserved(times: list[float], every: float, period: Period, now: float) -> list[Entry]:
    """Stretches in which no site was polled.

    Parameters
    ----------
    times : list of float
        Unix seconds at which a window with polls begins.
    every : float
        Seconds of a window.
    period : Period
    now : float
        Unix seconds.
    """
    begin, end = bounds(period)
    found = []
    for time in [*times, min(end, now)]:
        if time - begin > max(HOLD_SECONDS, every):
            what = f"No site was observed for {duration_words(time - begin)}"
            found.append(Entry(begin, "", "unobserved", what, seconds=time - begin))
        begin = max(begin, time + every)
    return found


def happened_to_exporter(events: list[Series]) -> list[Entry]:
    """What the exporter itself did."""
    return [
        Entry(time, "", series.tags["kind"], text)
        for series in events
        for time, text in series.rows
    ]


def changes_of_way(ways: list[Series], wanted: set[str]) -> list[Entry]:
    """When sites were read by another way in than before."""
    return [
        Entry(time, series.tags["site"], "way in", text)
        for series in ways
        if series.tags["site"] in wanted
        for time, text in series.rows
    ]


class IssueReader:
    """Adds issues and statuses to a timeline, each from what one statement gave."""

    def __init__(self, found: Timeline, period: Period, wanted: set[str]) -> None:
        self._found = found
        self._start, self._end = bounds(period)
        self._wanted = wanted
        self._known: set[tuple[str, str, float]] = set()

    def issues(self, ends: list[Series], last: list[Series], begins: list[Series]) -> None:
        """Issues that began or ended; each is known by its site, its code and its beginning."""
        for series in self._of_sites(ends):
            for time, since, severity, words, value in series.rows:
                sentence = without_age(words or "", value)
                self._began(series, since, severity, sentence)
                if since is not None:
                    self._lasted(series, since, time, severity, sentence)
                self._add(
                    *(time, series, "ended", sentence, severity),
                    seconds=None if since is None else time - since,
                )
        sentences = {}
        for series in self._of_sites(last):
            time, active, since, severity, words, value = series.rows[0]
            sentence = without_age(words or "", value)
            sentences[_key(series)] = severity, sentence
            if active == 1:
                self._began(series, since, severity, sentence)
                unseen = time < self._end - _UNSEEN_AFTER_SECONDS
                if since is not None:
                    until = time if unseen else self._end
                    self._lasted(series, since, until, severity, sentence, ongoing=not unseen)
                if unseen:
                    self._add(time, series, "last seen", sentence, severity)
        for series in self._of_sites(begins):
            for row in series.rows:
                self._began(series, row[-1], *sentences.get(_key(series), (None, "")))

    def present(self, view: View) -> None:
        """Issues of now that InfluxDB does not have yet."""
        if not self._end - 60 <= view.assessment.time <= self._end + 60:
            return
        for site, issues in zip(view.sites, view.assessment.issues, strict=True):
            for issue in issues if site.id in self._wanted else ():
                series = Series({"site": site.id, "code": issue.code}, [], [])
                level = next(n for n, name in _SEVERITIES.items() if name == issue.severity)
                sentence = without_age(issue.sentence, issue.value)
                if self._began(series, issue.since, level, sentence):
                    self._lasted(*(series, issue.since, self._end, level, sentence), ongoing=True)

    def _began(
        self, series: Series, since: float | None, severity: float | None, sentence: str | None
    ) -> bool:
        """Add a beginning; whether it was not known yet."""
        if since is None or (*_key(series), round(since, 1)) in self._known:
            return False
        self._known.add((*_key(series), round(since, 1)))
        if since >= self._start:
            self._add(since, series, "began", sentence, severity)
        else:
            site, code = _key(series)
            what = sentence or code.replace("_", " ")
            self._found.before.append(Open(site, code, severity_name(severity), what, since))
        return True

    def _lasted(
        self,
        series: Series,
        since: float,
        until: float,
        severity: float | None,
        sentence: str | None,
        *,
        ongoing: bool = False,
    ) -> None:
        site, code = _key(series)
        what = sentence or code.replace("_", " ")
        start = max(since, self._start)
        stretch = Stretch(site, code, severity_name(severity), what, start, until, ongoing)
        self._found.stretches.append(stretch)

    def statuses(self, first: list[Series], steps: list[Series]) -> None:
        """Changes of the status."""
        status = {series.tags["site"]: series.rows[0][3] for series in first}
        for series in self._of_sites(steps):
            now = status[series.tags["site"]]
            for time, step in series.rows:
                before, now = now, now + step
                if time >= self._start:
                    what = f"{Status(int(before)).name} to {Status(int(now)).name}"
                    self._add(time, series, "status", what)

    def _of_sites(self, found: list[Series]) -> list[Series]:
        return [series for series in found if series.tags["site"] in self._wanted]

    def _add(
        self,
        time: float,
        series: Series,
        kind: str,
        what: str | None,
        severity: float | None = None,
        *,
        seconds: float | None = None,
    ) -> None:
        code = series.tags.get("code", "")
        words = what or code.replace("_", " ")
        site = series.tags["site"]
        entry = Entry(time, site, kind, words, severity_name(severity), code, seconds)
        self._found.entries.append(entry)


def severity_name(level: float | None) -> str:
    return _SEVERITIES.get(int(level), "") if level is not None else ""


def _key(series: Series) -> tuple[str, str]:
    return series.tags["site"], series.tags["code"]
