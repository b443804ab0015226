"""The timeline of a period as an answer."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import Any

import numpy as np

from exporter.ask import timeline, timeline_rollups
from exporter.ask.alert_answers import past_alerts
from exporter.ask.answer import Answer, CannotAnswerError, Column, Table
from exporter.ask.builder import MOSTLY, Builder, capital
from exporter.ask.catalogue import CONDITIONS
from exporter.ask.planned_work import unlisted
from exporter.ask.query_words import moment_words
from exporter.ask.timeline_entries import Entry, Open, Stretch, Timeline
from exporter.history.alert_history import AlertHistory
from exporter.history.influxql import InfluxQL
from exporter.model.levels import DAY
from exporter.model.text import duration_words, sites_word

LONGEST_DAYS = 31
MOST_ENTRIES = 200
_NAMED = 3
_NOT_SEEN = ("unobserved", "maintenance", "mute")
"""What is known without having been observed."""
_WORK = {"maintenance", "mute"}
_LEVELS = {"": 0, "info": 1, "ticket": 2, "warning": 2, "page": 3, "critical": 3}
_COLUMNS = (
    Column("time", "Time", "time"),
    Column("name", "Site"),
    Column("site", "Id"),
    Column("kind", "Kind"),
    Column("severity", "Severity", "severity"),
    Column("what", "What"),
    Column("seconds", "Lasted", "duration"),
)
_BEFORE = (
    Column("since", "Since", "time"),
    Column("name", "Site"),
    Column("site", "Id"),
    Column("severity", "Severity", "severity"),
    Column("what", "What"),
)


async def read_timeline(b: Builder, stored: InfluxQL) -> Timeline:
    """What happened in the period, in full detail or, where that is too long, out of roll-ups.

    Raises
    ------
    CannotAnswerError
    """
    rows = [int(row) for row in np.flatnonzero(b.mask)]
    if b.period.seconds <= LONGEST_DAYS * DAY:
        found = await timeline.fetch(stored, b.view, b.period, rows, b.asked_sites)
    else:
        level = await timeline_rollups.level_for(stored, b.period, b.asked_sites)
        if level is None:
            raise CannotAnswerError(
                f"a timeline of more than {LONGEST_DAYS} days is read from roll-ups, which do not "
                "hold that period"
            )
        found = await timeline_rollups.fetch(stored, b.view, b.period, rows, b.asked_sites, level)
        b.evidence.notes.append(
            f"Read from windows of {level.bucket}: times are exact to one, and what began and "
            "ended within one counts once"
        )
    b.evidence.influxql.extend(found.statements)
    return found


async def timeline_answer(
    b: Builder, stored: InfluxQL, alerts: AlertHistory | None = None
) -> Answer:
    """What happened in the period, in order, with what was known when it began.

    Raises
    ------
    CannotAnswerError
    """
    found = await read_timeline(b, stored)
    unknown = await past_alerts(b, alerts, found)
    note = unlisted(
        b.view.assessment.fleet,
        [b.view.sites[row] for row in np.flatnonzero(b.mask)],
        *timeline.bounds(b.period),
    )
    if note:
        b.evidence.notes.append(note)
    found.in_order()
    found = _chosen(b, found)
    if b.query.order == "latest":
        found.entries.reverse()
    shown = found.entries[: b.query.limit or MOST_ENTRIES]
    tables = [Table("Timeline", _COLUMNS, [_row(b, e) for e in shown], len(found.entries))]
    if found.before:
        before = [_row(b, issue) for issue in found.before]
        tables.append(Table("Known before", _BEFORE, before[:MOST_ENTRIES], len(before)))
    sites = dict.fromkeys(entry.site for entry in shown if entry.site)
    headline = f"{_headline(b, found)} {unknown}".rstrip()
    return b.answer(headline, tables, [b.view.directory.row(site) for site in sites])


def _chosen(b: Builder, found: Timeline) -> Timeline:
    """The entries of the kinds and issues that are asked about."""
    work = [c for c in b.query.conditions if c.name == "maintenance" and not c.negate]
    codes = None if work else condition_codes(b)
    least = _LEVELS[b.query.severity or ""]
    kind = {"begun": "began", "ended": "ended"}.get(b.query.events or "")

    def wanted(entry: Entry | Open | Stretch) -> bool:
        if work:
            return _WORK & {getattr(entry, "kind", ""), entry.code} != set()
        if codes is not None and entry.code not in codes:
            return False
        if isinstance(entry, Entry) and kind is not None and entry.kind != kind:
            return False
        return not least or _LEVELS.get(entry.severity, 0) >= least

    return Timeline(
        [entry for entry in found.entries if wanted(entry)],
        [issue for issue in found.before if wanted(issue)],
        stretches=[stretch for stretch in found.stretches if wanted(stretch)],
    )


def condition_codes(b: Builder) -> set[str] | None:
    """Codes of the issues that the conditions mean; None for everything."""
    codes: set[str] = set()
    for condition in b.query.conditions:
        kind = CONDITIONS[condition.name]
        found = {*kind.codes} or ({"site_offline"} if kind.statuses == ("offline",) else set())
        if condition.negate or not found:
            raise CannotAnswerError(f"when sites had {kind.label} is not kept; leave it out")
        codes |= found
    return codes if b.query.conditions else None


def _row(b: Builder, found: Entry | Open) -> dict[str, Any]:
    name = b.view.directory.titles.get(found.site, "(fleet)")
    return asdict(found) | {"name": name}


def _headline(b: Builder, found: Timeline) -> str:
    assert b.coverage is not None
    observed = b.coverage.sentence()
    text = _counted(b, found) if b.query.count else _in_order(b, found)
    if b.coverage.enough:
        return f"{text} {observed}" if b.coverage.below(MOSTLY) else text
    if not [entry for entry in found.entries if entry.kind not in _NOT_SEEN]:
        return f"{observed} Whether anything happened is not known."
    return f"{observed} In that time: {text}"


def _in_order(b: Builder, found: Timeline) -> str:
    """How much happened, and what came first."""
    changes = [entry for entry in found.entries if entry.kind != "unobserved"]
    when = b.period.words or "in the period"
    verb = {"begun": "began", "ended": "ended"}.get(b.query.events or "", "")
    open_before = f" {len(found.before)} known before it began." if found.before else ""
    if not changes:
        return f"{'Nothing ' + (verb or 'happened')}, {when}.{open_before}"
    sites = {entry.site for entry in changes if entry.site}
    count = len(changes)
    noun = f"issue{'s' * (count > 1)} {verb}" if verb else f"change{'s' * (count > 1)}"
    text = f"{count} {noun} at {sites_word(len(sites))}, {when}: "
    text += "latest first, " if b.query.order == "latest" else ""
    return (
        text + "; ".join(_words(b, entry) for entry in changes[:_NAMED]) + _more(count, open_before)
    )


def _more(count: int, open_before: str) -> str:
    return (f"; and {count - _NAMED} more." if count > _NAMED else ".") + open_before


def _counted(b: Builder, found: Timeline) -> str:
    """How many times, at each site."""
    begun = Counter(entry.site for entry in found.entries if entry.kind == "began")
    already = {issue.site for issue in found.before}
    what = " or ".join(CONDITIONS[c.name].label for c in b.query.conditions) or "an issue"
    when = b.period.words or "in the period"
    each = ", ".join(
        f"{b.view.directory.titles[site]} {count}" for site, count in begun.most_common(_NAMED)
    )
    total = begun.total()
    text = f"{capital(what)} began {total} time{'s' * (total != 1)}, {when}"
    if len(begun) > 1:
        text += f": {each}"
    if already:
        text += f"; at {sites_word(len(already))} it was so when the period began"
    return f"{text}."


def _words(b: Builder, entry: Entry) -> str:
    """``13:12 Beta: does not answer, for 3 min``."""
    from datetime import datetime

    moment = datetime.fromtimestamp(entry.time, b.period.start.tzinfo)
    within_a_day = b.period.start.date() == b.period.end.date()
    at = f"{moment:%H:%M}" if within_a_day else moment_words(moment)
    name = b.view.directory.titles.get(entry.site, "fleet")
    text = f"{at} {name}: {entry.what.rstrip('.')}"
    if entry.kind in ("ended", "resolved"):
        lasted = f" after {duration_words(entry.seconds)}" if entry.seconds else ""
        return f"{text} ({entry.kind}{lasted})"
    named = entry.kind in ("seen again", "last seen", "fired")
    return f"{text} ({entry.kind})" if named else text
