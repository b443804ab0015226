"""How often scores were right, by the confidence that they had: a table of reliability."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from exporter.evaluation.labels import Label
from exporter.evaluation.spells import Spell, of_site
from exporter.evaluation.verdict import is_false, labels_by_site
from scoring.issues import Severity

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

EDGES = np.array([0.0, 0.5, 0.7, 0.8, 0.9, 0.95, 1.0])
"""Edges of the bands of confidence, each with its lower edge; the last one with both."""
BANDS = EDGES.size - 1


def _nothing() -> FloatArray:
    return np.zeros((2, BANDS))


@dataclass(slots=True)
class Calibration:
    """Assessments of sites by band of confidence, arrays of shape (2, BANDS): in the first row
    those of healthy times, in the second those under a fault that a detector claims to find.

    Attributes
    ----------
    assessed, right : float arrays
        Seconds in all, and those in which the assessment was right: no warning while nothing was
        wrong, a right finding under a fault.
    confidence : float array
        Sum of the confidences, times seconds.
    """

    assessed: FloatArray = field(default_factory=_nothing)
    right: FloatArray = field(default_factory=_nothing)
    confidence: FloatArray = field(default_factory=_nothing)

    def add(self, other: Calibration) -> None:
        """Take in the figures of another replay."""
        self.assessed += other.assessed
        self.right += other.right
        self.confidence += other.confidence


@dataclass(frozen=True, slots=True)
class Confidences:
    """Confidence of each site at each assessment.

    Attributes
    ----------
    sites : tuple of str
    times : float array, shape (T,)
        Unix seconds, ascending.
    values : float32 array, shape (T, N)
        0 to 1; NaN where a site has no score that judges its parts.
    """

    sites: tuple[str, ...]
    times: FloatArray
    values: NDArray[np.float32]


def calibrate(
    confidences: Confidences, labels: Sequence[Label], spells: Iterable[Spell]
) -> Calibration:
    """Hold each assessment against what was true at its time.

    Times under a fault that nobody claims to find count as neither.
    """
    times = confidences.times
    if times.size < 2:
        return Calibration()
    seconds = np.diff(times, append=2 * times[-1] - times[-2])
    said, true = of_site(spells), labels_by_site(labels)
    found = Calibration()
    for column, site in enumerate(confidences.sites):
        confidence = np.round(confidences.values[:, column].astype(np.float64), 6)
        sick, named, unclaimed = _truth(times, true.get(site, ()), said.get(site, ()))
        accused = np.zeros(times.size, dtype=np.bool_)
        for spell in said.get(site, ()):
            if spell.severity >= Severity.WARNING and is_false(spell, true.get(site, ())):
                accused |= (times >= spell.begin) & (times < spell.end)
        right = np.where(sick, named, ~accused)
        counted = ~np.isnan(confidence) & ~unclaimed
        band = np.clip(np.searchsorted(EDGES, confidence[counted], "right") - 1, 0, BANDS - 1)
        place = sick[counted] * BANDS + band
        weight = seconds[counted]
        found.assessed += _by_band(place, weight)
        found.right += _by_band(place, weight * right[counted])
        found.confidence += _by_band(place, weight * confidence[counted])
    return found


def _by_band(place: NDArray[np.int64], weight: FloatArray) -> FloatArray:
    return np.bincount(place, weight, 2 * BANDS).astype(np.float64).reshape(2, BANDS)


def _truth(
    times: FloatArray, labels: Iterable[Label], spells: Sequence[Spell]
) -> tuple[BoolArray, BoolArray, BoolArray]:
    """Where a site has a claimed fault, where each of those is named, where it has another."""
    sick, missed, unclaimed = (np.zeros(times.size, dtype=np.bool_) for _ in range(3))
    for label in labels:
        during = (times >= label.begin) & (times <= label.end)
        if label.claimed:
            named = np.zeros(times.size, dtype=np.bool_)
            for spell in spells:
                if spell.code in label.codes:
                    named |= (times >= spell.begin) & (times < spell.end)
            sick |= during
            missed |= during & ~named
        elif not label.innocent:
            unclaimed |= during
    return sick, ~missed, unclaimed & ~sick
