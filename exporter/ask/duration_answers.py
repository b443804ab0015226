"""Sites that had a condition for longer, or shorter, than so long: now, and in a period."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exporter.ask.answer import Answer, CannotAnswerError, Column, Table
from exporter.ask.builder import MOSTLY, SITE_COLUMNS, Builder, capital
from exporter.ask.catalogue import CONDITIONS
from exporter.ask.query import OPERATORS, Lasting
from exporter.ask.timeline_answer import condition_codes, read_timeline
from exporter.ask.timeline_entries import Stretch
from exporter.history.influxql import InfluxQL
from exporter.model.text import duration_words, sites_word

_COLUMNS = (
    *SITE_COLUMNS,
    Column("longest", "Longest", "duration"),
    Column("seconds", "In all", "duration"),
    Column("times", "Times", "number"),
    Column("days", "Days", "number"),
    Column("since", "Longest since", "time"),
    Column("why", "Issue"),
    Column("ongoing", "Ongoing"),
)
_RESTARTS = (
    "An issue counts from the moment the exporter first saw it; after a restart of the exporter it "
    "counts anew, except for a site that has been offline"
)


def lasting_words(lasting: Lasting) -> str:
    """``for more than 2 h``."""
    how = {">": "more than", "<": "less than"}.get(lasting.operator, OPERATORS[lasting.operator])
    return f"for {how} {duration_words(lasting.seconds)}"


def lasting_now(b: Builder) -> NDArray[np.bool_]:
    """Where the conditions of the query have lasted so long, shape (N,).

    Raises
    ------
    CannotAnswerError
        For a condition of which it is not kept since when it holds.
    """
    assert b.query.lasting is not None
    codes = condition_codes(b)
    if codes is None or b.query.comparisons:
        raise CannotAnswerError("how long is known of issues only; name one, such as offline")
    now = b.view.assessment.time
    b.evidence.notes.append(_RESTARTS)
    return np.array(
        [
            any(
                issue.code in codes and b.query.lasting.holds(now - issue.since) for issue in issues
            )
            for issues in b.view.assessment.issues
        ],
        dtype=np.bool_,
    )


async def lasting_answer(b: Builder, stored: InfluxQL) -> Answer:
    """Sites at which a condition held so long at a stretch, within the period.

    Raises
    ------
    CannotAnswerError
    """
    lasting = b.query.lasting
    assert lasting is not None
    codes = condition_codes(b)
    if codes is None or b.query.comparisons:
        raise CannotAnswerError("how long is known of issues only; name one, such as offline")
    found = await read_timeline(b, stored)
    b.evidence.notes.append(_RESTARTS)
    by_site: dict[str, list[Stretch]] = {}
    for stretch in found.stretches:
        if stretch.code in codes and stretch.end is not None:
            by_site.setdefault(stretch.site, []).append(stretch)
    lines = [
        _line(b, site, stretches, lasting)
        for site, stretches in by_site.items()
        if any(lasting.holds(stretch.seconds) for stretch in stretches)
    ]
    by = "seconds" if b.query.order == "highest" else "longest"
    lines.sort(key=lambda line: (-line[by], line["site"]))
    shown = b.limit(lines)
    what = " or ".join(CONDITIONS[c.name].label for c in b.query.conditions)
    words = f"{what} {lasting_words(lasting)}"
    table = Table(capital(words), _COLUMNS, shown, len(lines))
    return b.answer(
        _headline(b, lines, words), [table], [b.view.directory.row(x["site"]) for x in shown]
    )


def _line(b: Builder, site: str, stretches: list[Stretch], lasting: Lasting) -> dict[str, Any]:
    meant = [stretch for stretch in stretches if lasting.holds(stretch.seconds)]
    longest = max(meant, key=lambda stretch: stretch.seconds)
    return b.view.identity(b.view.directory.row(site)) | {
        "longest": longest.seconds,
        "seconds": sum(stretch.seconds for stretch in meant),
        "times": len(meant),
        "days": _days(b, meant),
        "since": longest.start,
        "why": longest.what,
        "ongoing": "yes" if any(stretch.ongoing for stretch in meant) else "no",
    }


def _days(b: Builder, stretches: list[Stretch]) -> int:
    """On how many days of the asker's zone any of them was."""
    zone = b.period.start.tzinfo
    days = set()
    for stretch in stretches:
        day = datetime.fromtimestamp(stretch.start, zone).date()
        # What ends at midnight was not on the day that begins then.
        end = max(stretch.start, stretch.start + stretch.seconds - 1.0)
        last = datetime.fromtimestamp(end, zone).date()
        while day <= last:
            days.add(day)
            day += timedelta(days=1)
    return len(days)


def _headline(b: Builder, lines: list[dict[str, Any]], words: str) -> str:
    assert b.coverage is not None
    observed = b.coverage.sentence()
    count = len(lines)
    if not b.coverage.enough:
        if not count:
            return f"{observed} Whether any of {b.of_sites()} had {words} is not known."
        return f"{observed} At least {sites_word(count)} of {b.of_sites()} had {words}."
    some = capital(sites_word(count) if count else "no sites")
    text = f"{some} of {b.of_sites()} had {words} at a stretch, {b.period.words or 'in the period'}"
    if lines:
        first = lines[0]
        if b.query.order == "highest":
            text += f"; longest in all {first['name']} with {duration_words(first['seconds'])}"
        else:
            text += f"; longest {first['name']} with {duration_words(first['longest'])}"
        if len(b.chosen) == 1:
            days = f"{first['days']} day{'s' * (first['days'] > 1)}"
            text += f"; {duration_words(first['seconds'])} in all, on {days}"
    return f"{text}. {observed}" if b.coverage.below(MOSTLY) else f"{text}."
