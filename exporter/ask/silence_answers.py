"""Answers about silences: what sends no message, until when, by whom and why."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np

from exporter.ask.answer import Answer, CannotAnswerError, Column, Table
from exporter.ask.builder import Builder
from exporter.ask.planned_work import Planned, planned, unlisted
from exporter.ask.query import Condition
from exporter.ask.query_words import moment_words
from exporter.model.silences import NoSilencesError, Silence, Silences
from exporter.model.text import sites_word

NOT_CONFIGURED = "silences: no Alertmanager is configured (FLEETSCOPE_ALERTMANAGER_URL)"
WIDER = "(several)"
MOST_ROWS = 200
_NAMED = 3
_COLUMNS = (
    Column("end", "Until", "time"),
    Column("name", "Site"),
    Column("site", "Id"),
    Column("alert", "Silenced"),
    Column("author", "By"),
    Column("comment", "Why"),
    Column("start", "Since", "time"),
)
_PLANNED = (
    Column("start", "From", "time"),
    Column("end", "Until", "time"),
    Column("name", "Site"),
    Column("site", "Id"),
    Column("kind", "Kind"),
    Column("why", "Why"),
)
_WORK = (Column("name", "Site"), Column("site", "Id"))


async def silences_answer(b: Builder, source: Silences | None) -> Answer:
    """What is silenced in Alertmanager, and what the fleet file mutes, now or in a period to come.

    A silence that is not of one site stands in every answer, since its labels decide what it
    silences. Of a period, silences are those that overlap it, or that end in it where that is
    asked.

    Raises
    ------
    CannotAnswerError
        For a period that is over: Alertmanager forgets silences.
    """
    found: list[Silence] | None = None
    if source is None:
        b.evidence.missing.append(NOT_CONFIGURED)
    else:
        try:
            found = await source.silences()
        except NoSilencesError as error:
            b.evidence.missing.append(f"silences: {error}")
    wanted = set(b.chosen)
    listed = [one for one in found or () if one.site is None or one.site in wanted]
    if b.query.period is not None:
        listed = [one for one in listed if _in_period(b, one)]
    if b.query.order in ("earliest", "latest"):
        listed.sort(key=lambda one: one.ends, reverse=b.query.order == "latest")
    rows = [_row(b, one) for one in listed]
    tables = [Table("Silences", _COLUMNS, rows[: b.query.limit or MOST_ROWS], len(rows))]
    work = _planned(b) if b.query.period is not None else []
    if work:
        rows = [_planned_row(b, one) for one in work]
        title = "Maintenance and mute times, by the fleet file"
        tables.append(Table(title, _PLANNED, rows[:MOST_ROWS], len(rows)))
    muted = _in_maintenance(b) if b.query.period is None else []
    if muted:
        names = [{"site": b.view.sites[row].id, "name": b.view.sites[row].title} for row in muted]
        tables.append(Table("In maintenance or a mute time, by the fleet file", _WORK, names,
                            len(names)))  # fmt: skip
    sites = dict.fromkeys(one.site for one in listed if one.site is not None)
    said = _of_the_file(b, muted) if b.query.period is None else _of_the_plan(b, work)
    headline = _headline(b, listed, known=found is not None) + said
    return b.answer(headline, tables, [b.view.directory.row(site) for site in sites])


def _in_period(b: Builder, silence: Silence) -> bool:
    start, end = b.period.start.timestamp(), b.period.end.timestamp()
    if b.query.events == "ended":
        return start <= silence.ends < end
    return silence.starts < end and silence.ends > start


def _planned(b: Builder) -> list[Planned]:
    """Maintenance and mute times of the fleet file within the period, in order."""
    start, end = b.period.start.timestamp(), b.period.end.timestamp()
    if end <= b.view.assessment.time:
        raise CannotAnswerError(
            "silences of the past are not kept; maintenance of the past is in the timeline: ask "
            "what happened"
        )
    if start < b.view.assessment.time:
        b.evidence.missing.append("silences that have ended: Alertmanager does not keep them")
    sites = [b.view.sites[row] for row in np.flatnonzero(b.mask)]
    if note := unlisted(b.view.assessment.fleet, sites, start, end):
        b.evidence.notes.append(note)
    found = planned(b.view.assessment.fleet, sites, start, end)
    if b.query.events == "ended":
        found = [one for one in found if start <= one.end < end]
    return sorted(found, key=lambda one: (one.start, one.site))


def _planned_row(b: Builder, work: Planned) -> dict[str, Any]:
    return {
        "start": work.start,
        "end": work.end,
        "name": b.view.directory.titles.get(work.site, "(all sites)"),
        "site": work.site,
        "kind": work.kind,
        "why": work.what.removeprefix(": "),
    }


def _of_the_plan(b: Builder, work: list[Planned]) -> str:
    when = b.period.words or "in that time"
    if not work:
        return f" The fleet file has no maintenance and no mute time, {when}."
    zone = b.period.start.tzinfo
    texts = [
        f"{b.view.directory.titles.get(one.site, 'all sites')} "
        f"{moment_words(datetime.fromtimestamp(one.start, zone))} to "
        f"{moment_words(datetime.fromtimestamp(one.end, zone))}{one.what}"
        for one in work[:_NAMED]
    ]
    more = f"; and {len(work) - _NAMED} more" if len(work) > _NAMED else ""
    return f" By the fleet file, {when}: {'; '.join(texts)}{more}."


def _row(b: Builder, silence: Silence) -> dict[str, Any]:
    one = silence.site is not None
    return {
        "end": silence.ends,
        "name": b.view.directory.titles[silence.site] if silence.site else WIDER,
        "site": silence.site or "",
        "alert": (silence.alert or "all alerts") if one else silence.matchers,
        "author": silence.author,
        "comment": silence.comment,
        "start": silence.starts,
    }


def _in_maintenance(b: Builder) -> list[int]:
    mask = b.view.condition(Condition("maintenance")) & b.mask
    return [int(row) for row in np.flatnonzero(mask)]


def _headline(b: Builder, found: list[Silence], *, known: bool) -> str:
    if not known:
        return "Whether Alertmanager silences anything is not known."
    if not found:
        when = "" if b.query.period is None else f", {b.period.words or 'in that time'}"
        if b.query.events == "ended":
            return f"No silence of {b.of_sites()} ends{when}."
        return f"Alertmanager silences nothing of {b.of_sites()}{when}."
    count = len(found)
    said = "; ".join(_words(b, one) for one in found[:_NAMED])
    more = f"; and {count - _NAMED} more" if count > _NAMED else ""
    return f"{count} silence{'s' * (count > 1)}: {said}{more}."


def _words(b: Builder, silence: Silence) -> str:
    """``FleetscopeSiteOffline of Alpha until 12 May 13:00 by ops (fan is being changed)``."""
    if silence.site is None:
        what = silence.matchers or "several sites"
    else:
        what = f"{silence.alert or 'all alerts'} of {b.view.directory.titles[silence.site]}"
    until = moment_words(datetime.fromtimestamp(silence.ends, UTC))
    by = f" by {silence.author}" if silence.author else ""
    return f"{what} until {until} UTC{by} ({silence.comment})"


def _of_the_file(b: Builder, muted: list[int]) -> str:
    if not muted:
        return ""
    names = ", ".join(b.view.sites[row].title for row in muted[:_NAMED])
    more = f" and {len(muted) - _NAMED} more" if len(muted) > _NAMED else ""
    verb = "are" if len(muted) > 1 else "is"
    return (
        f" By the fleet file {sites_word(len(muted))} {verb} in maintenance or a mute time: "
        f"{names}{more}."
    )
