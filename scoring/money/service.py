"""How well a plant answers a required power: delay and accuracy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scoring.issues import FloatArray

STEP_SHARE = 0.1
"""The answer has begun when a tenth of the required step is made."""


@dataclass(frozen=True, slots=True)
class Response:
    """Answer to a required power.

    ``delay_s`` is None where no step was asked for or none was answered; ``accuracy`` is 0 to 1,
    NaN where nothing is known; ``indicative`` says that readings come too slowly for a judgement of
    delays (one a minute cannot show seconds).
    """

    delay_s: float | None
    accuracy: float
    coverage: float
    indicative: bool


def response(
    times: FloatArray, power_w: FloatArray, required_w: FloatArray, contract_w: float
) -> Response:
    """Delay to a tenth of the largest required step, and 1 - mean|P - P_required| / P_contract.

    The delay counts from the reading in which the step is first asked for, to the first in which
    P - P(before) is at least a tenth of it: the reaction time of step tests such as those of IEC
    61400-21-1. It is as fine as the readings are. The accuracy is ours; no standard has one.

    Parameters
    ----------
    times : array of shape (N,)
        Unix seconds, rising.
    power_w, required_w : array of shape (N,)
        Measured and required power, with the same sign; NaN where not known.
    contract_w : float
        Contracted power, above 0.

    Raises
    ------
    ValueError
    """
    if not contract_w > 0:
        raise ValueError("contracted power must be above 0")
    off = np.abs(power_w - required_w)
    seen = ~np.isnan(off)
    coverage = float(seen.mean()) if len(seen) else 0.0
    accuracy = max(0.0, 1.0 - float(off[seen].mean()) / contract_w) if seen.any() else float("nan")
    slow = len(times) < 2 or float(np.median(np.diff(times))) > 1.0
    return Response(_delay(times, power_w, required_w), accuracy, coverage, indicative=slow)


def _delay(times: FloatArray, power_w: FloatArray, required_w: FloatArray) -> float | None:
    steps = np.diff(required_w)
    if not len(steps) or np.isnan(steps).all():
        return None
    at = int(np.nanargmax(np.abs(steps)))
    step = float(steps[at])
    if step == 0 or np.isnan(power_w[at]):
        return None
    made = (power_w[at + 1 :] - power_w[at]) / step
    answered = np.flatnonzero(made >= STEP_SHARE)
    return float(times[at + 1 + answered[0]] - times[at + 1]) if len(answered) else None
