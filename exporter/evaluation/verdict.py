"""Findings held against labels: what was found, how late, and what was false."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from exporter.evaluation.alerts import FiredAlert
from exporter.evaluation.labels import Label, Paging
from exporter.evaluation.spells import Spell, of_site
from scoring.issues import Severity

MONTH_SECONDS = 30 * 86400.0
LINGER_SECONDS = 3600.0
"""How long after a fault a finding may still be its doing: windows of an hour look back on it."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a detector made of one label.

    Attributes
    ----------
    label : Label
    after_seconds : float or None
        From the fault's beginning to the first right finding; None: not found.
    paged_seconds : float or None
        The same for the first page.
    pages : int
        Pages that it made.
    findings : int
        How many times the same right finding began: one fault should be one.
    """

    label: Label
    after_seconds: float | None
    paged_seconds: float | None = None
    pages: int = 0
    findings: int = 0


@dataclass(slots=True)
class Verdict:
    """A detector against the truth.

    Attributes
    ----------
    found : list of Found
        One for each label that is a fault.
    false_issues, false_pages : Counter of str
        By code of the issue or name of the alert: warnings and worse that no label explains.
    false_infos : Counter of str
        By code: issues for information that no label explains.
    innocent_issues : Counter of str
        Those of ``false_issues`` that a look-alike brought about, by the look-alike.
    healthy_seconds : float
        Time of all sites in which nothing was wrong.
    """

    found: list[Found] = field(default_factory=list)
    false_issues: Counter[str] = field(default_factory=Counter)
    false_pages: Counter[str] = field(default_factory=Counter)
    false_infos: Counter[str] = field(default_factory=Counter)
    innocent_issues: Counter[str] = field(default_factory=Counter)
    healthy_seconds: float = 0.0

    @property
    def healthy_months(self) -> float:
        """Healthy time in months of 30 days of one site."""
        return self.healthy_seconds / MONTH_SECONDS

    def add(self, other: Verdict) -> None:
        """Take in the verdict of another replay."""
        self.found += other.found
        self.false_issues += other.false_issues
        self.false_pages += other.false_pages
        self.false_infos += other.false_infos
        self.innocent_issues += other.innocent_issues
        self.healthy_seconds += other.healthy_seconds


@dataclass(frozen=True, slots=True)
class Row:
    """All labels of one fault at one strength, summed up.

    ``median_seconds`` is over those that were found, NaN without any; ``most_findings`` is the
    largest number of findings that one of them made.
    """

    fault: str
    strength: str
    labels: int
    found: int
    paged: int
    median_seconds: float
    most_findings: int
    claimed: bool


def judge(
    labels: Sequence[Label],
    spells: Iterable[Spell],
    alerts: Iterable[FiredAlert],
    sites: int,
    span: tuple[float, float],
    last_of: Mapping[str, float] | None = None,
) -> Verdict:
    """Hold what a detector said against what was true.

    Parameters
    ----------
    labels : sequence of Label
    spells : iterable of Spell
        Those below a warning can find a fault; false ones are counted apart.
    alerts : iterable of FiredAlert
        Only those of sites are judged; empty for a detector without alerts.
    sites : int
        Number of sites of the fleet.
    span : tuple of float
        First and last moment, Unix seconds.
    last_of : mapping of site id to float, optional
        Time of each site's last reading: nothing is healthy that was not read.
    """
    alerts = [alert for alert in alerts if alert.pages and alert.labels.get("scope") == "site"]
    by_site, labels_of = of_site(spells), labels_by_site(labels)
    verdict = Verdict(healthy_seconds=_healthy_seconds(labels, sites, span, last_of))
    for label in labels:
        if not label.innocent:
            pages = [a for a in alerts if a.labels.get("site") == label.site]
            verdict.found.append(_found(label, by_site.get(label.site, ()), pages))
    for site, said in by_site.items():
        for spell in said:
            known = labels_of.get(site, ())
            if spell.severity >= Severity.WARNING:
                _count_false(verdict, spell, known)
            elif is_false(spell, known):
                verdict.false_infos[spell.code] += 1
    for alert in alerts:
        if is_false_page(alert, labels_of.get(alert.labels.get("site", ""), ())):
            verdict.false_pages[alert.name] += 1
    return verdict


def rows(found: Iterable[Found]) -> list[Row]:
    """Sums by fault and strength, in the order in which they come first."""
    groups: dict[tuple[str, str], list[Found]] = {}
    for one in found:
        groups.setdefault((one.label.fault, one.label.strength), []).append(one)
    return [_row(fault, strength, group) for (fault, strength), group in groups.items()]


def _row(fault: str, strength: str, group: list[Found]) -> Row:
    late = [f.after_seconds for f in group if f.after_seconds is not None]
    return Row(
        fault=fault,
        strength=strength,
        labels=len(group),
        found=len(late),
        paged=sum(f.pages for f in group),
        median_seconds=float(np.median(late)) if late else math.nan,
        most_findings=max(f.findings for f in group),
        claimed=any(f.label.claimed for f in group),
    )


def _found(label: Label, spells: Iterable[Spell], pages: Iterable[FiredAlert]) -> Found:
    right = [
        spell
        for spell in spells
        if spell.code in label.codes and spell.begin <= label.end and spell.end >= label.begin
    ]
    paged = [page.begin for page in pages if page.begin <= label.end and page.end >= label.begin]
    often = max(Counter(spell.code for spell in right).values(), default=0)
    begins = [spell.begin for spell in right]
    return Found(label, _delay(label, begins), _delay(label, paged), len(paged), often)


def _delay(label: Label, begins: list[float]) -> float | None:
    return max(0.0, min(begins) - label.begin) if begins else None


def labels_by_site(labels: Iterable[Label]) -> dict[str, list[Label]]:
    """Labels by site id."""
    found: dict[str, list[Label]] = {}
    for label in labels:
        found.setdefault(label.site, []).append(label)
    return found


def is_false(spell: Spell, labels: Iterable[Label]) -> bool:
    """Whether no label of a site explains what was said of it."""
    return not any(
        spell.code in label.codes | label.tolerated
        for label in labels
        if label.covers(spell.begin, LINGER_SECONDS)
    )


def is_false_page(alert: FiredAlert, labels: Iterable[Label]) -> bool:
    """Whether no label of a site allows that somebody is woken."""
    there = (x for x in labels if x.covers(alert.begin, LINGER_SECONDS))
    return all(label.paging is Paging.WRONG or label.innocent for label in there)


def _count_false(verdict: Verdict, spell: Spell, labels: Sequence[Label]) -> None:
    if not is_false(spell, labels):
        return
    verdict.false_issues[spell.code] += 1
    for label in labels:
        if label.innocent and label.covers(spell.begin, LINGER_SECONDS):
            verdict.innocent_issues[f"{label.fault}: {spell.code}"] += 1


def _healthy_seconds(
    labels: Iterable[Label],
    sites: int,
    span: tuple[float, float],
    last_of: Mapping[str, float] | None,
) -> float:
    """Time of all sites outside of every fault; labels of one site that overlap count once."""
    begin, end = span
    read = sites * (end - begin) if last_of is None else sum(t - begin for t in last_of.values())
    sick = 0.0
    of: dict[str, list[tuple[float, float]]] = {}
    for label in labels:
        if not label.innocent:
            last = end if last_of is None else last_of.get(label.site, begin)
            of.setdefault(label.site, []).append((max(label.begin, begin), min(label.end, last)))
    for times in of.values():
        reached = begin
        for first, last in sorted(times):
            sick += max(0.0, last - max(first, reached))
            reached = max(reached, last)
    return read - sick
