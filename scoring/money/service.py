"""What a frequency service asks for, and how well a plant answers: power, delay and accuracy."""

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


@dataclass(frozen=True, slots=True)
class PowerByFrequency:
    """Measured power by band of frequency: middle of the band in Hz, mean power, and the number of
    readings; shape (B,), rising."""

    frequency_hz: FloatArray
    power_w: FloatArray
    readings: FloatArray


def required_power(
    frequency_hz: FloatArray,
    contract_w: float,
    *,
    nominal_hz: float,
    deadband_hz: float,
    full_hz: float,
    knee: tuple[float, float] | None = None,
) -> FloatArray:
    """P = -sign(f - f_n)·share(|f - f_n|)·P_contract: more where the frequency is low.

    The share is 0 within the dead-band, 1 from ``full_hz`` off nominal on, and a line in between,
    or two that meet at the knee: the form of National Grid ESO's Dynamic Containment (knee) and
    Dynamic Regulation (line), service terms of 2021. At 49.9 Hz a service of 10 MW with a dead-band
    of 15 mHz and full power 200 mHz off asks for 10·85/185 = 4.59 MW.

    Parameters
    ----------
    frequency_hz : array of shape (N,)
        NaN where not known.
    contract_w : float
    nominal_hz, deadband_hz, full_hz : float
        The dead-band lies below ``full_hz``.
    knee : (float, float), optional
        Hz off nominal, between both, and the share there, 0 to 1.

    Returns
    -------
    array of shape (N,)
        W, discharge positive.
    """
    off = frequency_hz - nominal_hz
    points = np.array([(deadband_hz, 0.0), *([] if knee is None else [knee]), (full_hz, 1.0)])
    share = np.interp(np.abs(off), points[:, 0], points[:, 1])
    found: FloatArray = -np.sign(off) * share * contract_w
    return found


def power_by_frequency(
    frequency_hz: FloatArray, power_w: FloatArray, nominal_hz: float, width_hz: float
) -> PowerByFrequency:
    """Mean power of each band of frequency, whose middles lie at f_n + n·width.

    A droop is seen so in what was measured, without steps; bands are ours. 1 and 3 MW at 49.995 and
    50.005 Hz are in the band at 50.00 Hz, 20 mHz wide, with a mean of 2 MW.

    Parameters
    ----------
    frequency_hz, power_w : array of shape (N,)
        Without NaN.
    nominal_hz, width_hz : float
    """
    numbers = np.round((frequency_hz - nominal_hz) / width_hz).astype(np.int64)
    bands, place = np.unique(numbers, return_inverse=True)
    readings = np.bincount(place, minlength=len(bands)).astype(np.float64)
    means = np.bincount(place, power_w, len(bands)) / readings
    middles = np.asarray(nominal_hz + bands * width_hz, np.float64)
    return PowerByFrequency(middles, means, readings)


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
