"""Each thing that was said of a recording, with its verdict: for whoever looks for its cause."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from exporter.evaluation.alerts import FiredAlert
from exporter.evaluation.labels import Label
from exporter.evaluation.spells import Spell
from exporter.evaluation.verdict import (
    LINGER_SECONDS,
    is_false,
    is_false_page,
    labels_by_site,
)

COLUMNS = ("from", "until", "site", "severity", "code", "verdict", "label", "sentence")

Sentences = Mapping[tuple[str, str, float], str]
"""What an issue said when it began, by site, code and beginning."""


def within_readings(
    spells: Iterable[Spell],
    alerts: Iterable[FiredAlert],
    last_of: Mapping[str, float],
    labels: Iterable[Label],
) -> tuple[tuple[Spell, ...], tuple[FiredAlert, ...]]:
    """What was said while a site had readings, or while a label says that something was wrong.

    A recording that ends at one site before it ends at others does not show that it fell silent.

    Parameters
    ----------
    last_of : mapping of site id to float
        Time of each site's last reading, Unix seconds.
    """
    of = labels_by_site(labels)

    def counts(site: str, begin: float) -> bool:
        if begin <= last_of.get(site, begin):
            return True
        return any(x.covers(begin, LINGER_SECONDS) and not x.innocent for x in of.get(site, ()))

    return (
        tuple(spell for spell in spells if counts(spell.site, spell.begin)),
        tuple(a for a in alerts if counts(a.labels.get("site", ""), a.begin)),
    )


def findings_csv(
    spells: Iterable[Spell],
    alerts: Iterable[FiredAlert],
    labels: Sequence[Label],
    sentences: Sentences,
) -> str:
    """One line for each issue and page, by its beginning; times in UTC.

    ``verdict`` is ``right``, ``tolerated`` or ``false``; ``label`` names the fault or look-alike
    that was there then.
    """
    of = labels_by_site(labels)
    lines = []
    for spell in spells:
        known = of.get(spell.site, ())
        there = [x for x in known if x.covers(spell.begin, LINGER_SECONDS)]
        verdict = "false" if is_false(spell, known) else "tolerated"
        if any(spell.code in x.codes for x in there):
            verdict = "right"
        sentence = sentences.get((spell.site, spell.code, spell.begin), "")
        severity = spell.severity.name.lower()
        head = (spell.begin, spell.end, spell.site, severity, spell.code)
        lines.append((*head, verdict, _names(there), sentence))
    for alert in alerts:
        site = alert.labels.get("site", "")
        if not alert.pages or alert.labels.get("scope") != "site":
            continue
        known = of.get(site, ())
        there = [x for x in known if x.covers(alert.begin, LINGER_SECONDS)]
        verdict = "false" if is_false_page(alert, known) else "right"
        head = (alert.begin, alert.end, site, "page", alert.name)
        lines.append((*head, verdict, _names(there), ""))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for begin, end, *rest in sorted(lines):
        writer.writerow((_iso(begin), _iso(end), *rest))
    return text.getvalue()


def _names(labels: Iterable[Label]) -> str:
    return "; ".join(f"{x.fault} {x.strength}".strip() for x in labels)


def _iso(time: float) -> str:
    return f"{datetime.fromtimestamp(time, UTC):%Y-%m-%dT%H:%M:%SZ}"
