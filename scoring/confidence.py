"""How good a site's data are, and how sure its score can be.

Neither changes a score: a score says what is known, these say how much that is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scoring.issues import BoolArray, Component, FloatArray
from scoring.overall import Overall
from scoring.solar import SolarResult
from scoring.weights import WEIGHTS

PER_STUCK_SENSOR, PER_UNUSABLE_VALUE = 0.25, 0.10
"""What a reading that stands still, or is outside physics or of a wrong type, takes of the quality:
of the ten or so readings that a score rests on, one; a stuck one deceives, so it counts more."""
WITHOUT_NEIGHBOURS = 0.5
"""A clear sky alone cannot tell clouds from a fault."""
WITHOUT_PAST = 0.2
"""What a missing past of 24 hours takes of the confidence: rules over time are a part of all."""


@dataclass(frozen=True, slots=True)
class Confidence:
    """Shares from 0 to 1, arrays of shape (N,); NaN for a site that was never tried.

    ``quality`` is of the data; ``confidence`` is in the score, never above the quality, and NaN of
    a site that does not answer, whose score is no judgement of its parts.
    """

    quality: FloatArray
    confidence: FloatArray


def confidence_of(
    components: Sequence[Component],
    overall: Overall,
    solar: SolarResult,
    *,
    worked_share: FloatArray,
    stuck: FloatArray,
    unusable: FloatArray,
    observed_ratio: FloatArray,
    offline: BoolArray,
) -> Confidence:
    """Data quality and confidence of all sites.

    Parameters
    ----------
    components, overall, solar
        The judgement.
    worked_share : float array, shape (N,)
        Share of the scrapes of the last hour that worked; NaN of a site never tried.
    stuck, unusable : float arrays, shape (N,)
        Number of readings that stand still, and that cannot be used.
    observed_ratio : float array, shape (N,)
        Share of the last 24 hours that was observed, NaN where none was.
    offline : bool array, shape (N,)
    """
    distrust = 1.0 - PER_STUCK_SENSOR * stuck - PER_UNUSABLE_VALUE * unusable
    quality = overall.coverage * worked_share * np.clip(distrust, 0.0, 1.0)
    quality = np.where(offline, 0.0, quality)
    known = np.zeros(quality.shape)
    wanted = np.zeros(quality.shape)
    for part in components:
        applies = part.applicable.any(axis=0)
        share = part.present.sum(axis=0) / np.maximum(part.applicable.sum(axis=0), 1)
        share = np.where(np.isnan(part.score), 0.0, share)
        if part.name == "solar":
            share = np.where(solar.neighbours > 0, share, WITHOUT_NEIGHBOURS * share)
        weight = np.where(applies, WEIGHTS[part.name], 0.0)
        known += weight * share
        wanted += weight
    past = 1.0 - WITHOUT_PAST * (1.0 - np.nan_to_num(observed_ratio, nan=0.0))
    confidence = np.minimum(quality, past * known / np.maximum(wanted, 1e-9))
    return Confidence(quality, np.where(offline, np.nan, confidence))
