"""When PV comes against when the sun allows it: profiles of days in, hours of shift out.

Wrong coordinates and a wrong clock move the sun that a site is compared with. The centres of two
days' energy hide that where a battery is full by noon, since then only mornings count. So the shape
of what was made is held against the shape of what a clear sky allows, moved to and fro in time.

Each day is judged by itself: hours that count only on dull days, since the battery is full on
bright ones, would look like a shift in a mean of several days. Clouds move single days either way,
wrong coordinates move every day the same way.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

PROFILE_HOURS = 24


class Profile(IntEnum):
    """Columns of a day's profile by the local solar hour that the fleet file's longitude gives."""

    MADE = 0
    """PV energy while nothing held it back, W s."""
    COUNTED = 1
    """Time of it, s."""
    ALLOWED = 2
    """What a clear sky allowed at any time, W s."""
    SEEN = 3
    """Time of it, s."""


LEAST_SECONDS = 900.0
LEAST_HOURS = 8
"""Hours of the day that were counted; fewer fit any shift."""
LEAST_LIGHT_HOURS = 5
"""Those of them with light or PV."""
LIGHT = 0.02
"""Of a clear day's highest power."""
SUNNY_RATIO = 0.25
"""Of a clear sky: below it a day says nothing of when PV is made."""
STEP_HOURS = 0.25
SHIFT_DAYS = 10
"""Past days that count, of those that said something."""
LEAST_DAYS = 3
"""Days that must have said something."""
AGREEING = 0.8
"""Share of them that must lie on the same side, by more than :data:`SIDE_HOURS`."""
SIDE_HOURS = 0.5


def day_shift(profile: NDArray[np.float32]) -> FloatArray:
    """Hours by which PV of a day came later than the sun allowed.

    Parameters
    ----------
    profile : float32 array, shape (N, PROFILE_HOURS, len(Profile))

    Returns
    -------
    float array, shape (N,)
        From -12 to 12; NaN where too few hours were counted or too little was made.
    """
    sums = profile.astype(np.float64)
    made, counted = _mean(sums, Profile.MADE, Profile.COUNTED)
    allowed, _ = _mean(sums, Profile.ALLOWED, Profile.SEEN)
    weight = np.where(counted, sums[:, :, Profile.COUNTED], 0.0)
    steps = np.arange(-12.0, 12.0, STEP_HOURS)
    moved = np.array([_later(allowed, float(step)) for step in steps])
    fit = np.array([_fit(made, later, weight) for later in moved])
    best = np.argmax(fit, axis=0)
    fitting = moved[best, np.arange(best.size)]
    light = np.maximum(made, allowed) > LIGHT * allowed.max(axis=1, keepdims=True)
    energy = (made * weight).sum(axis=1)
    known = (counted.sum(axis=1) >= LEAST_HOURS) & (energy > 0) & (allowed.sum(axis=1) > 0)
    known &= (counted & light).sum(axis=1) >= LEAST_LIGHT_HOURS
    known &= energy > SUNNY_RATIO * (fitting * weight).sum(axis=1)
    return np.where(known, steps[best], np.nan)


def lasting_shift(shifts: FloatArray) -> FloatArray:
    """Hours by which PV comes later, day after day.

    Parameters
    ----------
    shifts : float array, shape (N, D)
        Of single days, hours; NaN where a day says nothing.

    Returns
    -------
    float array, shape (N,)
        Median of the days; 0 where they do not agree on a side, NaN with too few of them.
    """
    count = (~np.isnan(shifts)).sum(axis=1)
    enough = count >= LEAST_DAYS
    found = np.full(len(shifts), np.nan)
    if enough.any():
        found[enough] = np.nanmedian(shifts[enough], axis=1)
    agreeing = (np.sign(found)[:, None] * shifts > SIDE_HOURS).sum(axis=1)
    return np.where(enough & (agreeing < AGREEING * count), 0.0, found)


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
