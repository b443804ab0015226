"""Answers about the issues that sites had in a period."""

from __future__ import annotations

from typing import Any

from exporter.ask import issue_events as event_log
from exporter.ask import promql
from exporter.ask.answer import Answer, CannotAnswerError, Column, Table
from exporter.ask.builder import MOSTLY, SITE_COLUMNS, Builder, capital
from exporter.ask.catalogue import CONDITIONS
from exporter.ask.issue_events import Event
from exporter.ask.query import Condition, What
from exporter.ask.query_words import times_words
from exporter.history.influxql import InfluxQL
from exporter.model.text import duration_words, sites_word

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


async def events_answer(b: Builder, stored: InfluxQL) -> Answer:
    """Sites that had an issue in the period."""
    period = b.period
    found, asked, level = await event_log.fetch(stored, b.view, period, b.asked_sites)
    b.evidence.influxql.extend(asked)
    if level is not None:
        b.evidence.notes.append(
            f"Read from windows of {level.bucket}: an issue that ended several times within one "
            "counts once"
        )
    least = {"info": 1, "warning": 2, "critical": 3}[b.query.severity or "warning"]
    if b.query.what is What.WHICH and any(c.negate for c in b.query.conditions):
        return _never(b, found)
    if b.query.what is What.WHICH:
        found = _of_conditions(b, found)
        what = " or ".join(CONDITIONS[c.name].label for c in b.query.conditions)
        verb = f"had {what}"
        if b.query.times is not None:
            verb += f" at least {times_words(b.query.times)}"
    else:
        found = [event for event in found if event.level >= least]
        verb = "had a critical issue" if least == 3 else "needed attention"
    if b.query.events == "ongoing":
        found = [event for event in found if _now(b, event)]
    by_site = _by_site(b, found)
    order = list(by_site)
    shown_sites = order[: b.query.limit or 20]
    lines = [_event_line(b, event) for site in shown_sites for event in by_site[site]]
    going_on = sum(any(e.ongoing for e in by_site[site]) for site in order)
    if b.query.times is not None and level is not None:
        verb += ", as far as the stored windows tell times apart"
    # Of those that have it now, so many have it now.
    ongoing = b.query.events == "ongoing"
    going_on = len(order) if ongoing else going_on
    reaches_now = ongoing or event_log.reaches_now(b.view, period)
    headline = _headline(b, len(order), verb, going_on, at_end="" if reaches_now else " at the end")
    if order:
        event = by_site[order[0]][0]
        title = b.view.directory.titles[order[0]]
        often = sum(e.times for e in by_site[order[0]])
        most = f"Most often {title}, {times_words(often)}"
        first = most if b.query.order == "highest" else f"First {title}"
        headline += f" {first}: {event.sentence}, {duration_words(event.seconds)} in all" + (
            f", still {'now' if reaches_now else 'at the end'}." if event.ongoing else "."
        )
    _readings(b, [event for site in shown_sites for event in by_site[site]])
    b.show(f"max_over_time({promql.issues(b.query.severity)}[{int(period.seconds)}s])")
    table = Table("Issues in the period", _EVENT_COLUMNS, lines, sum(map(len, by_site.values())))
    return b.answer(headline, [table], [b.view.directory.row(site) for site in shown_sites])


def _by_site(b: Builder, found: list[Event]) -> dict[str, list[Event]]:
    """Events of each site, the worst site first; in the order of how often, where that is asked."""
    by_site: dict[str, list[Event]] = {}
    for event in sorted(found, key=lambda e: (-e.level, not e.ongoing, -e.seconds, e.code)):
        by_site.setdefault(event.site, []).append(event)
    often = {site: sum(e.times for e in events) for site, events in by_site.items()}
    sites = [site for site in by_site if often[site] >= (b.query.times or 0)]
    if b.query.order == "highest":
        sites.sort(key=lambda site: (-often[site], site))
    else:
        sites.sort(
            key=lambda s: (
                -by_site[s][0].level,
                -sum(e.ongoing for e in by_site[s]),
                int(b.view.assessment.scores.attention[b.view.directory.row(s)]),
            )
        )
    return {site: by_site[site] for site in sites}


def _readings(b: Builder, events: list[Event]) -> None:
    """The values that issues had, as evidence."""
    b.evidence.readings.extend(
        {
            "site": event.site,
            "quantity": event.code,
            "value": event.value,
            "unit": "",
            "time": event.last,
            "threshold": event.threshold,
        }
        for event in events
        if event.value is not None
    )


def _now(b: Builder, event: Event) -> bool:
    """Whether a site has the issue of an event now."""
    issues = b.view.issues(b.view.directory.row(event.site))
    return any(issue.code == event.code for issue in issues)


def _never(b: Builder, found: list[Event]) -> Answer:
    """Sites that did not have the conditions at any time, as far as they were observed."""
    assert b.coverage is not None
    if b.query.any_of or b.query.times or not all(c.negate for c in b.query.conditions):
        raise CannotAnswerError("over a period, ask for what was or for what never was")
    turned = tuple(Condition(c.name) for c in b.query.conditions)
    b.query, asked = b.query.but(conditions=turned, any_of=True), b.query
    had = {event.site for event in _of_conditions(b, found)}
    b.query = asked
    unseen = set(b.coverage.below(MOSTLY)) - had
    rows = [
        row
        for row in b.view.ranked(b.mask)
        if b.view.sites[row].id not in had and b.view.sites[row].id not in unseen
    ]
    what = " or ".join(CONDITIONS[c.name].label for c in turned)
    when = b.period.words or "in the period"
    some = capital(sites_word(len(rows)) if rows else "no sites")
    text = f"{some} of {b.of_sites()} never had {what}, {when}."
    if unseen and not rows:
        # Unobserved is not none.
        text = (
            f"{b.coverage.sentence()} Whether any of {b.of_sites()} never had {what} is not known."
        )
    elif unseen:
        text += f" Of {sites_word(len(unseen))} that is not known. {b.coverage.sentence()}"
    if unseen:
        b.evidence.missing.append(
            f"whether {sites_word(len(unseen))} had {what}: observed for less than 95 % of the time"
        )
    lines = [
        b.view.identity(row) | {"observed": 100.0 * b.coverage.of(b.view.sites[row].id)}
        for row in rows
    ]
    columns = (*SITE_COLUMNS, Column("observed", "Observed", "number", "%", 1))
    table = Table(f"Never {what}", columns, b.limit(lines), len(lines))
    return b.answer(text, [table], b.limit(rows))


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


def _headline(b: Builder, count: int, verb: str, going_on: int, *, at_end: str) -> str:
    """How many sites had issues, as far as the period was observed."""
    assert b.coverage is not None
    when = b.period.words or "in the period"
    if not b.coverage.enough:
        if not count:
            return f"{b.coverage.sentence()} Whether any of {b.of_sites()} {verb} is not known."
        return (
            f"{b.coverage.sentence()} In that time {sites_word(count)} of {b.of_sites()} {verb}; "
            "how many in all is not known."
        )
    some = capital(sites_word(count) if count else "no sites")
    does = "does" if going_on == 1 else "do"
    still = does if b.query.what is not What.WHICH else "with it"
    text = f"{some} of {b.of_sites()} {verb}, {when}; {going_on or 'none'} still {still}{at_end}."
    thin = b.coverage.below(MOSTLY)
    return f"{text} {b.coverage.sentence()}" if thin else text
