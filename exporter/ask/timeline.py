"""What happened in a period, in order: statuses, issues, alerts, planned work, orders, reloads, and
the time that was not observed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime

from exporter.ask.metric_history import where
from exporter.ask.order_entries import add_orders, orders_statement
from exporter.ask.planned_work import planned
from exporter.ask.query import Period
from exporter.ask.statements import ask
from exporter.ask.timeline_entries import Entry, Open, Stretch, Timeline
from exporter.ask.view import View
from exporter.history.coverage import HOLD_SECONDS
from exporter.history.influxql import InfluxQL, Series, quoted
from exporter.model.text import duration_words, without_age
from scoring.status import Status

STORED_EVERY_SECONDS = 10.0
LOOKBACK_SECONDS = 900.0
"""How far before the period a status or an issue is looked for that held when it began."""
MOST_BEGINNINGS = 100
"""How many beginnings of issues are given the sentence that they began with."""
_FIRST_SEEN_SECONDS = 3600.0
"""An issue is stored that soon after it began: a site is offline since its last answer."""
_FIELDS = '"since", "severity", "sentence", "value"'
_SEVERITIES = {1: "info", 2: "warning", 3: "critical"}
_UNSEEN_AFTER_SECONDS = 6 * STORED_EVERY_SECONDS


def statements(period: Period, sites: list[str] | None) -> list[str]:
    """What is asked of InfluxDB: ends, issues as last and as first seen and as they were before the
    period, when they began, statuses, events."""
    active, ended = (where(period, sites, f'"active" = {n}') for n in (1, 0))
    by = 'GROUP BY "site", "code"'
    return [
        f'SELECT {_FIELDS} FROM "issue" WHERE {ended} {by}',
        # One selector, so that the time is that of the point.
        f'SELECT last("active"), {_FIELDS} FROM "issue" WHERE {where(period, sites)} {by}',
        f'SELECT first("active"), {_FIELDS} FROM "issue" WHERE {active} {by}',
        f'SELECT last("active"), {_FIELDS} FROM "issue" WHERE {where(_before(period), sites)} {by}',
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


def first_statement(site: str, code: str, since: float, end: float) -> str:
    """An issue as it was first stored after it began at ``since``, Unix seconds."""
    until = min(end, since + _FIRST_SEEN_SECONDS)
    span = Period(datetime.fromtimestamp(since, UTC), datetime.fromtimestamp(until, UTC))
    same = f'"since" > {since - 0.06:.2f} AND "since" < {since + 0.06:.2f}'
    clause = where(span, [site], f'"code" = {quoted(code)} AND "active" = 1 AND {same}')
    return f'SELECT first("active"), {_FIELDS} FROM "issue" WHERE {clause} GROUP BY "site", "code"'


def _before(period: Period) -> Period:
    """The time shortly before a period."""
    earlier = datetime.fromtimestamp(period.start.timestamp() - LOOKBACK_SECONDS, UTC)
    return Period(earlier, period.start)


def _overall(period: Period, sites: list[str] | None) -> str:
    return where(Period(_before(period).start, period.end), sites, "\"component\" = 'overall'")


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
    (*issues, begins, first, polls, events, ways, orders) = await ask(stored, found.statements)
    ends, last, first_seen, before = issues
    changed = [series.tags["site"] for series in first if series.rows[0][1] != series.rows[0][2]]
    steps: list[Series] = []
    if changed:
        found.statements.append(steps_statement(period, changed))
        (steps,) = await ask(stored, found.statements[-1:])
    wanted = {view.sites[row].id for row in rows}
    reader = IssueReader(found, period, wanted)
    reader.know(first_seen, before, begins, ends)
    more = reader.unknown_beginnings()
    if more:
        found.statements += more
        for series in await ask(stored, more):
            reader.know(series)
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
        self._first: dict[tuple[str, str, float], tuple[float | None, str]] = {}
        self._since: dict[tuple[str, str], set[float]] = defaultdict(set)
        self._ended: set[tuple[str, str, float]] = set()

    def know(
        self,
        first: Sequence[Series],
        before: Sequence[Series] = (),
        begins: Sequence[Series] = (),
        ends: Sequence[Series] = (),
    ) -> None:
        """Take what is needed to tell a beginning: issues as first seen in the period, as last seen
        before it, when they began, and ends."""
        for series in (*before, *first):
            _, active, since, severity, words, value = series.rows[0]
            if since is None:
                continue
            self._since[_key(series)].add(round(since, 1))
            if active == 1:
                sentence = without_age(words or "", value)
                self._first.setdefault(_beginning(series, since), (severity, sentence))
            else:
                self._ended.add(_beginning(series, since))
        for series in begins:
            self._since[_key(series)] |= {round(row[-1], 1) for row in series.rows}
        for series in ends:
            self._ended |= {_beginning(series, row[1]) for row in series.rows if row[1] is not None}

    def unknown_beginnings(self) -> list[str]:
        """Statements for the beginnings within the period of which the first words are not known,
        of :data:`MOST_BEGINNINGS` at most."""
        absent = [
            (since, site, code)
            for (site, code), each in self._since.items()
            for since in each
            if site in self._wanted
            and since >= self._start
            and (site, code, since) not in self._first
        ]
        return [
            first_statement(site, code, since, self._end)
            for since, site, code in sorted(absent)[:MOST_BEGINNINGS]
        ]

    def _again(self, key: tuple[str, str], since: float) -> bool:
        """Whether the issue stood before ``since`` and nobody saw it end, as over a restart."""
        earlier = [one for one in self._since[key] if one < round(since, 1)]
        return bool(earlier) and (*key, max(earlier)) not in self._ended

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
        """Add a beginning, in the words that it was first stored with; whether it was not known
        yet."""
        if since is None or _beginning(series, since) in self._known:
            return False
        self._known.add(_beginning(series, since))
        severity, sentence = self._first.get(_beginning(series, since), (severity, sentence))
        if since >= self._start:
            kind = "seen again" if self._again(_key(series), since) else "began"
            self._add(since, series, kind, sentence, severity)
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


def _beginning(series: Series, since: float) -> tuple[str, str, float]:
    return *_key(series), round(since, 1)
