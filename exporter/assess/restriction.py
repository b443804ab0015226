"""An Assessment of some projects alone: every count, rank and name in it is of their sites.

Peers never span projects (:class:`scoring.fleet.FleetInputs`), so scores, issues and outliers of a
site are the same in the whole Assessment and in a restricted one; ranks count its sites alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exporter.assess.assessment import FleetAssessment, UnseenShard
from exporter.config.fleet import Fleet, Site
from scoring.rule import Rule

Rows = NDArray[np.intp]


def restricted_fleet(
    fleet: Fleet, projects: frozenset[str] | None, contacts: frozenset[str] | None
) -> Fleet:
    """The fleet with the sites of some projects, and with the contacts of some.

    Parameters
    ----------
    fleet : Fleet
    projects, contacts : frozenset of str, or None for all
        Sites without a project belong to None alone.
    """
    sites = tuple(
        site if _within(site, contacts) or site.contact is None else _without_contact(site)
        for site in fleet.sites
        if _within(site, projects)
    )
    named = {k: v for k, v in fleet.projects.items() if projects is None or k in projects}
    return fleet.model_copy(update={"sites": sites, "projects": named})


def restricted(assessment: FleetAssessment, fleet: Fleet) -> FleetAssessment:
    """The Assessment of the sites of a fleet that :func:`restricted_fleet` made of its own."""
    kept = {site.id for site in fleet.sites}
    if len(kept) == len(assessment.fleet.sites):
        return replace(assessment, fleet=fleet)
    rows = np.array(
        [row for row, site in enumerate(assessment.fleet.sites) if site.id in kept], dtype=np.intp
    )
    scores = replace(
        _taken(assessment.scores, rows),
        attention=_ranks(assessment.scores.attention[rows]),
        performance=_ranks(assessment.scores.performance[rows]),
    )
    whole = {
        name: _taken(getattr(assessment, name), rows)
        for name in ("readings", "up", "duration", "last_success", "pv_ratio", "pv_expected_w")
    }
    return replace(
        assessment,
        fleet=fleet,
        scores=scores,
        ages=assessment.ages[rows],
        issues=tuple(assessment.issues[row] for row in rows),
        records=tuple(assessment.records[row] for row in rows),
        cells={site: found for site, found in assessment.cells.items() if site in kept},
        inputs=None,
        unseen=_unseen_within(assessment, kept),
        **whole,
    )


def _unseen_within(assessment: FleetAssessment, kept: set[str]) -> tuple[UnseenShard, ...]:
    parts = (
        replace(shard, sites=tuple(site for site in shard.sites if site in kept))
        for shard in assessment.unseen
    )
    return tuple(shard for shard in parts if shard.sites)


def _within(site: Site, projects: frozenset[str] | None) -> bool:
    return projects is None or site.project in projects


def _without_contact(site: Site) -> Site:
    return site.model_copy(update={"contact": None})


def _ranks(ranks: Rows) -> Rows:
    """Ranks from 1 in the same order."""
    order = np.argsort(ranks)
    found = np.empty_like(ranks)
    found[order] = np.arange(1, ranks.size + 1)
    return found


def _taken(value: Any, rows: Rows) -> Any:
    """Some rows of everything that has one for each site: the last axis of every array."""
    if isinstance(value, np.ndarray):
        return value[..., rows]
    if isinstance(value, Mapping):
        return {key: _taken(part, rows) for key, part in value.items()}
    if isinstance(value, tuple):
        return tuple(_taken(part, rows) for part in value)
    if is_dataclass(value) and not isinstance(value, (type, Rule)):
        parts = {field.name: _taken(getattr(value, field.name), rows) for field in fields(value)}
        return replace(value, **parts)
    return value
