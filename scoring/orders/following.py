"""Whether a site follows its order: the set-point that brings a battery power about, ramps, and the
verdict on what was measured. Pure; times are monotonic seconds."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import StrEnum

SMALLEST_TOLERANCE_W = 100.0
TOLERANCE_SHARE = 0.05
NEEDED_SNAPSHOTS = 2
"""Snapshots in a row within the tolerance that make an order effective."""
SHORTEST_SETTLING_SECONDS = 60.0
SETTLING_INTERVALS = 6.0
PROGRESS_SHARE = 0.25
"""Of the settling time: a site that comes nearer within it is waited for."""
# Inverters lose a tenth at most; a larger correction would hide that the order is not followed.
MOST_TRIM_SHARE = 0.10
MOST_TRIM_W = 200.0
TRIM_GAIN = 0.5


def tolerance_w(power_w: float) -> float:
    """Distance from a power within which it counts as followed, W."""
    return max(SMALLEST_TOLERANCE_W, TOLERANCE_SHARE * abs(power_w))


def settling_seconds(interval_seconds: float) -> float:
    """How long a site may take after its set-point was read back and the ramp is over."""
    return max(SHORTEST_SETTLING_SECONDS, SETTLING_INTERVALS * interval_seconds)


def grid_setpoint_w(battery_w: float, load_w: float, pv_w: float, trim_w: float = 0.0) -> float:
    """Power at the AC input that brings a battery power about, positive when importing.

    Parameters
    ----------
    battery_w : float
        Positive when charging.
    load_w, pv_w : float
        Present load and PV power; NaN PV is a site without any.
    trim_w : float
        Correction for losses, of :func:`trimmed`.
    """
    return battery_w + load_w - (0.0 if math.isnan(pv_w) else pv_w) + trim_w


def trimmed(trim_w: float, wanted_w: float, measured_w: float) -> float:
    """The correction after another measurement: losses keep a battery off what its inverter takes.

    Parameters
    ----------
    trim_w : float
        The correction before.
    wanted_w, measured_w : float
        Battery power, W.

    Returns
    -------
    float
        W, at most a tenth of the wanted power and 200 W.
    """
    if math.isnan(measured_w):
        return trim_w
    most = MOST_TRIM_W + MOST_TRIM_SHARE * abs(wanted_w)
    return max(-most, min(most, trim_w + TRIM_GAIN * (wanted_w - measured_w)))


def ramped_w(before_w: float, wanted_w: float, ramp_w_per_s: float | None, seconds: float) -> float:
    """Power on the way from one to another after some seconds; None: at once."""
    if ramp_w_per_s is None:
        return wanted_w
    step = ramp_w_per_s * max(0.0, seconds)
    return before_w + max(-step, min(step, wanted_w - before_w))


class Verdict(StrEnum):
    """What the measurements say of an order."""

    PENDING = "pending"
    EFFECTIVE = "effective"
    INEFFECTIVE = "ineffective"


@dataclass(frozen=True, slots=True)
class Observation:
    """What was measured since an order's set-point was read back.

    Attributes
    ----------
    due : float
        Until then it must follow.
    within : int
        Snapshots in a row within the tolerance.
    verdict : Verdict
    measured_w : float
        Latest measurement.
    marked_at, marked_w : float
        When the distance from the wanted power was marked last, and the distance.
    nears : bool
        Whether that was less by a tolerance than the mark before.
    """

    due: float
    within: int = 0
    verdict: Verdict = Verdict.PENDING
    measured_w: float = math.nan
    marked_at: float = -math.inf
    marked_w: float = -math.inf
    nears: bool = False

    def after(self, now: float, wanted_w: float, measured_w: float, settling: float) -> Observation:
        """The observation with one more Snapshot.

        Parameters
        ----------
        now : float
        wanted_w : float
            Power that the order has reached by its ramp.
        measured_w : float
            NaN where it was not measured, which is neither within nor outside.
        settling : float
            Seconds for which a site that followed may leave the tolerance.
        """
        if math.isnan(measured_w):
            verdict = Verdict.INEFFECTIVE if now >= self.due else self.verdict
            return replace(self, verdict=verdict)
        distance_w = abs(measured_w - wanted_w)
        if distance_w <= tolerance_w(wanted_w):
            within = self.within + 1
            followed = within >= NEEDED_SNAPSHOTS or self.verdict is Verdict.EFFECTIVE
            verdict = Verdict.EFFECTIVE if followed else Verdict.PENDING
            due = now + settling if followed else self.due
            return Observation(due, within, verdict, measured_w)
        found = replace(self, within=0, measured_w=measured_w)
        if now - self.marked_at >= PROGRESS_SHARE * settling:
            # A battery that ramps comes nearer each time; the distance bounds how often.
            nears = self.marked_w - distance_w >= tolerance_w(wanted_w)
            found = replace(found, marked_at=now, marked_w=distance_w, nears=nears)
        late = now >= self.due and not found.nears
        return replace(found, verdict=Verdict.INEFFECTIVE if late else self.verdict)
