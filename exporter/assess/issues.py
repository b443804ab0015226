"""Issues: what the judgement found of a site, in words and since when."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from exporter.assess.sentences import ALSO_ELSEWHERE, of_the_grid, sentence_of
from exporter.collect.site_record import SiteRecord
from exporter.collect.state import FleetState
from exporter.model.cell_findings import CellFinding, SiteCells
from exporter.model.quantities import label
from scoring.fleet import FleetScores
from scoring.issues import Finding, Severity
from scoring.kinds import MAIN_READING
from scoring.rules import CELL_FINDING, MAIN_READING_SILENT, SITE_OFFLINE

_ORDER = {"critical": 0, "warning": 1, "info": 2}


@dataclass(frozen=True, slots=True)
class Issue:
    """One active issue of one site.

    ``value`` and ``threshold`` are in ``unit``, None where there is none; ``since`` is Unix
    seconds; ``deduction`` is in points of its component.
    """

    code: str
    component: str
    severity: str
    value: float | None
    threshold: float | None
    unit: str
    deduction: float
    sentence: str
    action: str
    since: float


def worst_cells(cells: Mapping[str, SiteCells]) -> dict[str, CellFinding]:
    """What the history says of the worst cell of each site, where it is a warning or worse."""
    found = {}
    for site, analysed in cells.items():
        worst = analysed.worst_finding()
        if worst is not None:
            found[site] = worst
    return found


def issues_of(
    state: FleetState,
    scores: FleetScores,
    wall: float,
    beginnings: Mapping[tuple[str, str], float],
    worst: Mapping[str, CellFinding],
) -> tuple[tuple[Issue, ...], ...]:
    """Issues with their sentences, worst first, each with its beginning."""
    found: list[list[Issue]] = [[] for _ in state.records]
    for finding in scores.findings:
        rule = finding.rule
        rows = np.flatnonzero(finding.severity).tolist()
        if not rows:
            continue
        of_grid = of_the_grid(finding, state.region, ~scores.offline)
        for row in rows:
            record = state.records[row]
            since = beginnings.get((state.ids[row], rule.code), wall)
            value, threshold = float(finding.value[row]), float(finding.threshold[row])
            if rule is SITE_OFFLINE and not math.isnan(value):
                since = float(state.last_success_time[row])
            detail = None
            if rule is MAIN_READING_SILENT:
                detail = label(MAIN_READING[state.profiles[row]])
            if rule is CELL_FINDING:
                cell = worst[state.ids[row]]
                detail = cell.sentence
                since = since if cell.since is None else cell.since
            sentence = sentence_of(
                rule,
                record,
                value,
                threshold,
                detail,
                ends_at=float(finding.ends_at[row]),
                settle_s=float(finding.settle_seconds[row]),
            )
            if of_grid[row]:
                sentence += ALSO_ELSEWHERE
            found[row].append(_issue(finding, row, sentence, since))
    return tuple([worst_first(issues) if issues else () for issues in found])


def _issue(finding: Finding, row: int, sentence: str, since: float) -> Issue:
    rule = finding.rule
    return Issue(
        code=rule.code,
        component=rule.component,
        severity=Severity(int(finding.severity[row])).name.lower(),
        value=number_or_none(float(finding.value[row])),
        threshold=number_or_none(float(finding.threshold[row])),
        unit=rule.unit,
        deduction=float(finding.deduction[row]),
        sentence=sentence,
        action=rule.action,
        since=since,
    )


def issue_beside_peers(
    finding: Finding, row: int, known: Issue | None, since: float, *, elsewhere: bool
) -> Issue:
    """The issue of a finding among all sites; ``known`` itself where it says the same.

    Parameters
    ----------
    finding : Finding
    row : int
    known : Issue or None
        The issue of the same code that was found among fewer peers.
    since : float
        Unix seconds at which the issue began.
    elsewhere : bool
        Whether other sites of its grid have it too.
    """
    end = ALSO_ELSEWHERE if elsewhere else ""
    if known is not None:
        sentence = known.sentence.removesuffix(ALSO_ELSEWHERE) + end
        if _issue(finding, row, known.sentence, since) == known:
            return known if sentence == known.sentence else replace(known, sentence=sentence)
    value, threshold = float(finding.value[row]), float(finding.threshold[row])
    sentence = sentence_of(
        finding.rule,
        SiteRecord(),
        value,
        threshold,
        ends_at=float(finding.ends_at[row]),
        settle_s=float(finding.settle_seconds[row]),
    )
    return _issue(finding, row, sentence + end, since)


def worst_first(issues: list[Issue]) -> tuple[Issue, ...]:
    """The issues of a site, the most severe first."""
    if len(issues) > 1:
        issues.sort(key=lambda i: (_ORDER[i.severity], -i.deduction, i.code))
    return tuple(issues)


def number_or_none(value: float) -> float | None:
    """The value, None where it is NaN."""
    return None if math.isnan(value) else value
