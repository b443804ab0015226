"""What happened in a period, in order: statuses, issues, maintenance, reloads, unobserved time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from exporter.ask.metric_history import where
from exporter.ask.query import Period
from exporter.ask.statements import ask
from exporter.ask.view import View
from exporter.config.fleet import MaintenanceWindow, Site
from exporter.history.coverage import HOLD_SECONDS
from exporter.history.influxql import InfluxQL, Series
from exporter.model.text import duration_words
from scoring.status import Status

STORED_EVERY_SECONDS = 10.0
LOOKBACK_SECONDS = 900.0
"""How far before the period a status is looked for that held when it began."""
_SEVERITIES = {1: "info", 2: "warning", 3: "critical"}
_UNSEEN_AFTER_SECONDS = 6 * STORED_EVERY_SECONDS


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened.

    Attributes
    ----------
    time : float
        Unix seconds.
    site : str
        Site id; empty for what concerns the whole fleet.
    kind : str
        ``began``, ``ended`` or ``last seen`` (an issue), ``status``, ``maintenance``,
        ``unobserved``, ``reload`` or ``start``.
    what : str
        In words.
    severity : str
        Of an issue.
    code : str
        Of an issue.
    seconds : float or None
        How long it lasted, or was going on, within its whole length; None where it has none.
    """

    time: float
    site: str
    kind: str
    what: str
    severity: str = ""
    code: str = ""
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Open:
    """An issue that was active when the period began, since ``since`` (Unix seconds)."""

    site: str
    code: str
    severity: str
    what: str
    since: float


@dataclass(slots=True)
class Timeline:
    """Entries in order of time, what was known before, and what was asked of InfluxDB."""

    entries: list[Entry] = field(default_factory=list)
    before: list[Open] = field(default_factory=list)
    statements: list[str] = field(default_factory=list)


def statements(period: Period, sites: list[str] | None) -> list[str]:
    """What is asked of InfluxDB: ends, issues as last seen, when they began, statuses, events."""
    active, ended = (where(period, sites, f'"active" = {n}') for n in (1, 0))
    fields, by = '"since", "severity", "sentence"', 'GROUP BY "site", "code"'
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
    ends, last, begins, first, polls, events = await ask(stored, found.statements)
    changed = [series.tags["site"] for series in first if series.rows[0][1] != series.rows[0][2]]
    steps: list[Series] = []
    if changed:
        found.statements.append(steps_statement(period, changed))
        (steps,) = await ask(stored, found.statements[-1:])
    wanted = {view.sites[row].id for row in rows}
    reader = _Reader(found, period, wanted)
    reader.issues(ends, last, begins)
    reader.present(view)
    reader.statuses(first, steps)
    reader.gaps(polls, view.assessment.time)
    for row in rows:
        reader.maintenance(view.sites[row], view.sites[row].maintenance)
    reader.maintenance(None, view.assessment.fleet.maintenance)
    reader.events(events)
    found.entries.sort(key=lambda entry: (entry.time, entry.kind == "ended", entry.site))
    found.before.sort(key=lambda issue: issue.since)
    return found


class _Reader:
    """Adds entries to a timeline, each from what one statement gave."""

    def __init__(self, found: Timeline, period: Period, wanted: set[str]) -> None:
        self._found = found
        self._start, self._end = period.start.timestamp(), period.end.timestamp()
        self._wanted = wanted
        self._known: set[tuple[str, str, float]] = set()

    def issues(self, ends: list[Series], last: list[Series], begins: list[Series]) -> None:
        """Issues that began or ended; each is known by its site, its code and its beginning."""
        for series in self._of_sites(ends):
            for time, since, severity, sentence in series.rows:
                self._began(series, since, severity, sentence)
                self._add(
                    *(time, series, "ended", sentence, severity),
                    seconds=None if since is None else time - since,
                )
        sentences = {}
        for series in self._of_sites(last):
            time, active, since, severity, sentence = series.rows[0]
            sentences[_key(series)] = severity, sentence
            if active == 1:
                self._began(series, since, severity, sentence)
                if time < self._end - _UNSEEN_AFTER_SECONDS:
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
                self._began(series, issue.since, level, issue.sentence)

    def _began(
        self, series: Series, since: float | None, severity: float | None, sentence: str | None
    ) -> None:
        if since is None or (*_key(series), round(since, 1)) in self._known:
            return
        self._known.add((*_key(series), round(since, 1)))
        if since >= self._start:
            self._add(since, series, "began", sentence, severity)
        else:
            site, code = _key(series)
            what = sentence or code.replace("_", " ")
            self._found.before.append(Open(site, code, _severity(severity), what, since))

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

    def gaps(self, polls: list[Series], now: float) -> None:
        """Times in which no site was polled."""
        times = [row[0] for series in polls for row in series.rows]
        end = min(self._end, now)
        begin = self._start
        for time in [*times, end]:
            if time - begin > HOLD_SECONDS:
                what = f"No site was observed for {duration_words(time - begin)}"
                entry = Entry(begin, "", "unobserved", what, seconds=time - begin)
                self._found.entries.append(entry)
            begin = time + 60.0

    def maintenance(self, site: Site | None, windows: Sequence[MaintenanceWindow]) -> None:
        """Planned work of a site, or of the fleet."""
        zone = ZoneInfo(site.timezone) if site is not None and site.timezone else UTC
        for window in windows:
            start, end = (
                (moment if moment.tzinfo else moment.replace(tzinfo=zone)).timestamp()
                for moment in (window.start, window.end)
            )
            reason = f": {window.reason}" if window.reason else ""
            name = site.id if site is not None else ""
            for time, word in ((start, "begins"), (end, "ends")):
                if self._start <= time < self._end:
                    what = f"Maintenance {word}{reason}"
                    self._found.entries.append(Entry(time, name, "maintenance", what))
            if start < self._start < end:
                what = f"In maintenance{reason}"
                self._found.before.append(Open(name, "maintenance", "info", what, start))

    def events(self, events: list[Series]) -> None:
        """What the exporter itself did."""
        for series in events:
            for time, text in series.rows:
                self._found.entries.append(Entry(time, "", series.tags["kind"], text))

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
        entry = Entry(time, site, kind, words, _severity(severity), code, seconds)
        self._found.entries.append(entry)


def _severity(level: float | None) -> str:
    return _SEVERITIES.get(int(level), "") if level is not None else ""


def _key(series: Series) -> tuple[str, str]:
    return series.tags["site"], series.tags["code"]
