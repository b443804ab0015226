"""The overall score: weighted components, caps, status and coverage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scoring.issues import BoolArray, Component, Finding, FloatArray, IntArray
from scoring.rule import NO_CAP
from scoring.status import status_of
from scoring.weights import WEIGHTS


@dataclass(frozen=True, slots=True)
class Overall:
    """Scores of all sites.

    Attributes
    ----------
    score : float array, shape (N,)
        0 to 100, to one decimal; NaN where nothing at all is known.
    status : int8 array, shape (N,)
        Values of :class:`scoring.status.Status`.
    coverage : float array, shape (N,)
        0 to 1: the share of the inputs that a site should have which it gave, each component
        weighing as in the score.
    missing : tuple of (name, bool array (N,))
        The inputs that a site should have and did not give.
    worst : int8 array, shape (N,)
        Highest severity of any finding.
    weights : float array, shape (C, N)
        What each component weighs after the unknown ones have given their weight away; NaN of an
        unknown one.
    cap : float array, shape (N,)
        What the issues hold the score to at most, 100 where they do not.
    """

    score: FloatArray
    status: NDArray[np.int8]
    coverage: FloatArray
    missing: tuple[tuple[str, BoolArray], ...]
    worst: IntArray
    weights: FloatArray
    cap: FloatArray


def combine(
    components: Sequence[Component],
    others: Sequence[Finding],
    offline: BoolArray,
    weights: Mapping[str, float] = WEIGHTS,
) -> Overall:
    """Combine component scores into one, cap it by the worst issue, and name the status.

    Parameters
    ----------
    components : sequence of Component
        Scores of shape (N,). The weight of an unknown one is shared out over the others.
    others : sequence of Finding
        Findings that belong to no component; they cap the score as the rest do.
    offline : bool array, shape (N,)
        Sites that do not answer: score 0, status OFFLINE.
    weights : mapping of component name to weight

    Returns
    -------
    Overall
        The lowest cap of an active issue holds the score. The score is rounded down to one
        decimal, so that what is shown never contradicts the status.
    """
    scores = np.array([c.score for c in components])
    share = np.array([weights[c.name] for c in components])[:, None]
    known = ~np.isnan(scores)
    total = (share * known).sum(axis=0)
    weighted = (share * np.where(known, scores, 0.0)).sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        score = np.where(total > 0, weighted / total, np.nan)
        weights_in_force = np.where(known, share / total, np.nan)

    findings = [f for c in components for f in c.findings] + list(others)
    active = [f for f in findings if f.severity.any()]
    worst = np.zeros(offline.shape, dtype=np.int8)
    cap = np.full(offline.shape, NO_CAP)
    if active:
        worst = np.max([f.severity for f in active], axis=0)
        cap = np.min([f.cap for f in active], axis=0)
    score = np.minimum(score, cap)
    score = np.where(offline, 0.0, score)
    score = np.floor(np.round(score, 6) * 10) / 10

    coverage_parts, coverage_weights = [], []
    missing: list[tuple[str, BoolArray]] = []
    for part in components:
        wanted = part.applicable.sum(axis=0)
        given = part.present.sum(axis=0)
        coverage_parts.append(np.where(wanted > 0, given / np.maximum(wanted, 1), 0.0))
        coverage_weights.append(np.where(wanted > 0, weights[part.name], 0.0))
        missing += [
            (name, part.applicable[row] & ~part.present[row])
            for row, name in enumerate(part.inputs)
        ]
    weight = np.array(coverage_weights)
    coverage = (weight * np.array(coverage_parts)).sum(axis=0) / np.maximum(
        weight.sum(axis=0), 1e-9
    )
    status = status_of(score, offline)
    return Overall(score, status, coverage, tuple(missing), worst, weights_in_force, cap)
