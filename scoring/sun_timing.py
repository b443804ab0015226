"""When PV comes against when the sun allows it: a profile of the day in, hours of shift out.

Wrong coordinates and a wrong clock move the sun that a site is compared with. The centres of two
days' energy hide that where a battery is full by noon, since then only mornings count. So the shape
of what was made is held against the shape of what a clear sky allows, moved to and fro in time.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

PROFILE_HOURS = 24


class Profile(IntEnum):
    """Columns of a profile by the local solar hour that the fleet file's longitude gives."""

    MADE = 0
    """PV energy while nothing held it back, W s."""
    COUNTED = 1
    """Time of it, s."""
    ALLOWED = 2
    """What a clear sky allowed at any time, W s."""
    SEEN = 3
    """Time of it, s."""


KEPT_A_DAY = 0.85
"""What a profile keeps from one day to the next: about six days count."""
LEAST_SECONDS = 900.0
LEAST_HOURS = 8
"""Hours of the day that were counted; fewer fit any shift."""
STEP_HOURS = 0.25
BETTER_FIT = 0.5
"""A shift is believed where it leaves at most this share of what no shift leaves unexplained: the
clouds of some afternoons explain less."""


def shift_hours(profile: NDArray[np.float32]) -> FloatArray:
    """Hours by which PV comes later than the sun allows.

    Parameters
    ----------
    profile : float32 array, shape (N, PROFILE_HOURS, len(Profile))

    Returns
    -------
    float array, shape (N,)
        From -12 to 12; 0 where no shift fits much better than none; NaN where too few hours were
        counted or nothing was made.
    """
    sums = profile.astype(np.float64)
    made, counted = _mean(sums, Profile.MADE, Profile.COUNTED)
    allowed, _ = _mean(sums, Profile.ALLOWED, Profile.SEEN)
    weight = np.where(counted, sums[:, :, Profile.COUNTED], 0.0)
    steps = np.arange(-12.0, 12.0, STEP_HOURS)
    fit = np.array([_fit(made, _later(allowed, float(step)), weight) for step in steps])
    best = np.argmax(fit, axis=0)
    rows = np.arange(fit.shape[1])
    unmoved = fit[np.flatnonzero(steps == 0.0)[0]]
    believed = 1.0 - fit[best, rows] <= BETTER_FIT * (1.0 - unmoved)
    known = (counted.sum(axis=1) >= LEAST_HOURS) & ((made * weight).sum(axis=1) > 0)
    known &= allowed.sum(axis=1) > 0
    return np.where(known, np.where(believed, steps[best], 0.0), np.nan)


def _mean(sums: FloatArray, of: Profile, time: Profile) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Mean power by the hour, 0 where too little was seen, and where enough was."""
    enough = sums[:, :, time] >= LEAST_SECONDS
    mean = np.zeros(enough.shape)
    np.divide(sums[:, :, of], sums[:, :, time], out=mean, where=enough)
    return mean, enough


def _later(allowed: FloatArray, hours: float) -> FloatArray:
    """A profile moved to later hours, between two of them by the line that joins them."""
    whole = int(np.floor(hours))
    part = hours - whole
    moved: FloatArray = (1.0 - part) * np.roll(allowed, whole, axis=1)
    moved += part * np.roll(allowed, whole + 1, axis=1)
    return moved


def _fit(made: FloatArray, moved: FloatArray, weight: FloatArray) -> FloatArray:
    """Share of what was made that a multiple of a profile explains, 0 to 1."""
    both = (weight * made * moved).sum(axis=1)
    size = (weight * made**2).sum(axis=1) * (weight * moved**2).sum(axis=1)
    fit = np.zeros(both.shape)
    np.divide(both**2, size, out=fit, where=size > 0)
    return fit
