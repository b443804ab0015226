"""Solar yield against a clear sky and against what the neighbours made of the same clouds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from scoring.limits import LIMITS
from scoring.outliers import Labels, sort_groups
from scoring.rules import (
    DEAD_PV_RATIO,
    NEARLY_NO_PV,
    PV_LASTING_SECONDS,
    PV_LOW,
    PV_UNDERPERFORMING,
)

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.intp]

UNDERPERFORMING_BELOW = LIMITS["pv_underperforming"].default
LOW_BELOW = LIMITS["pv_low"].default
PV_RELEASE = LIMITS["pv_underperforming"].release
"""How far above its limit a yield must come for an issue to end: single clouds move it by that."""


@dataclass(frozen=True, eq=False)
class SolarResult:
    """Judgement of the solar yield, every array of shape (N,).

    Attributes
    ----------
    score : float array
        100 minus the deduction; NaN where the yield is unknown or weather may explain it.
    deduction : float array
        0, 15 or 40 points.
    relative : float array
        Ratio of the site divided by the median ratio of its neighbours, or its yield divided by
        theirs where that is more; NaN where there are too few neighbours or where they made too
        little to compare with.
    underperforming, low : bool array
        Warning and info; never both.
    neighbour_median : float array
        Median ratio of the neighbours without the site itself; NaN where there are too few.
    neighbours : int array
        Number of neighbours in that median, 0 where there are too few.
    very_low_s, low_s, dead_s : float array
        Judged time for which the yield has been below each limit, and for which the array has made
        nothing, s.
    uncompared_s : float array
        Time since the yield was last compared with that of neighbours, s.
    """

    score: FloatArray
    deduction: FloatArray
    relative: FloatArray
    underperforming: BoolArray
    low: BoolArray
    neighbour_median: FloatArray
    neighbours: IntArray
    very_low_s: FloatArray
    low_s: FloatArray
    dead_s: FloatArray
    uncompared_s: FloatArray

    @classmethod
    def nothing(cls, count: int) -> SolarResult:
        """No judgement of so many sites."""
        unknown, zero, no = np.full(count, np.nan), np.zeros(count), np.zeros(count, dtype=bool)
        none = np.zeros(count, dtype=np.intp)
        return cls(unknown, zero, unknown, no, no, unknown, none, zero, zero, zero, zero)

    def of_rows(self, rows: IntArray) -> SolarResult:
        """The judgement of other rows: of each the row here, -1 for one that is not here."""
        found = SolarResult.nothing(len(rows))
        here = rows >= 0
        values = {}
        for field in fields(self):
            values[field.name] = getattr(found, field.name).copy()
            values[field.name][here] = getattr(self, field.name)[rows[here]]
        return SolarResult(**values)

    def or_before(self, before: SolarResult, where: BoolArray) -> SolarResult:
        """This judgement, and where it has none the one before.

        One without neighbours is none either where there were neighbours before, unless it sees a
        dead array: full batteries silence all neighbours at once, which mends no array.

        Parameters
        ----------
        before : SolarResult
            Of the same sites.
        where : bool array, shape (N,)
            Where a judgement of before may go on.
        """
        lost = np.isnan(self.relative) & ~np.isnan(before.relative) & ~self.underperforming
        kept = where & (np.isnan(self.score) | lost) & ~np.isnan(before.score)
        if not kept.any():
            return self
        return SolarResult(
            *(
                # The counts of this judgement stay.
                getattr(self, field.name)
                if field.name in _COUNTED
                else np.where(kept, getattr(before, field.name), getattr(self, field.name))
                for field in fields(self)
            )
        )


_COUNTED = ("very_low_s", "low_s", "dead_s", "uncompared_s")
FORGET_SECONDS = 43200.0
"""Time without a comparison after which the count of an array of unknown direction begins anew: a
night, since a battery that is full by noon leaves only its mornings to compare."""


def exclude_mask(
    elevation_deg: FloatArray,
    soc_percent: FloatArray,
    feed_in_limited: BoolArray,
    *,
    min_elevation: float = 10.0,
    full_soc: float = 95.0,
) -> BoolArray:
    """Moments that say nothing of the array: low sun, a full battery, limited feed-in.

    Parameters
    ----------
    elevation_deg : float array, shape (N,)
        Elevation of the sun, degrees; where it is NaN the moment is excluded.
    soc_percent : float array, shape (N,)
        State of charge, 0 to 100. NaN (as on a site without a battery) is not taken for full.
    feed_in_limited : bool array, shape (N,)
        True while the site may not feed in all that it makes.
    min_elevation : float
        Lowest elevation that counts, degrees: below 10 the horizon and shade decide.
    full_soc : float
        State of charge from which charging is held back, %.

    Returns
    -------
    bool array, shape (N,)
        True where the moment may not be counted.
    """
    return ~(elevation_deg >= min_elevation) | (soc_percent >= full_soc) | feed_in_limited


def performance_ratio(
    energy_made_wh: FloatArray,
    energy_expected_wh: FloatArray,
    hours: FloatArray,
    solar_capacity_kw: FloatArray,
    *,
    min_hours: float = 0.5,
    min_kwh_per_kwp: float = 0.05,
) -> FloatArray:
    """Energy made in a window divided by what a clear sky would have allowed in it.

    Not the performance ratio of IEC 61724-1, which divides by measured irradiance: clouds lower
    this one, which is why it is compared with neighbours before anything is concluded.

    Parameters
    ----------
    energy_made_wh, energy_expected_wh : float array, shape (N,)
        Wh over the counted moments of the window, the same moments for both; NaN where missing.
        A made energy below 0 (standby draw) counts as 0.
    hours : float array, shape (N,)
        Counted time in the window, h.
    solar_capacity_kw : float array, shape (N,)
        DC power at standard test conditions, kW.
    min_hours : float
        Least counted time, h.
    min_kwh_per_kwp : float, above 0
        Least expected energy per installed kW, h.

    Returns
    -------
    float array, shape (N,)
        At least 0 and seldom above 1. NaN where an input is missing, the capacity is 0, or too
        little time or expected energy was counted.
    """
    enough = (
        (energy_expected_wh >= min_kwh_per_kwp * 1000.0 * solar_capacity_kw)
        & (energy_expected_wh > 0)
        & (hours >= min_hours)
    )
    ratio = np.full(energy_made_wh.shape, np.nan)
    np.divide(np.maximum(energy_made_wh, 0.0), energy_expected_wh, out=ratio, where=enough)
    return ratio


def specific_yield(
    ratio: FloatArray,
    energy_made_wh: FloatArray,
    hours: FloatArray,
    solar_capacity_kw: FloatArray,
) -> FloatArray:
    """Mean power over a window by installed power, W/W; NaN where the performance ratio is.

    Parameters
    ----------
    ratio, energy_made_wh, hours, solar_capacity_kw : float arrays, shape (N,)
        What :func:`performance_ratio` gave, and what it was given.
    """
    found = np.full(ratio.shape, np.nan)
    made = np.maximum(energy_made_wh, 0.0)
    np.divide(made, 1000.0 * solar_capacity_kw * hours, out=found, where=~np.isnan(ratio))
    return found


def neighbour_medians(
    values: FloatArray, groupings: Sequence[Labels], *, min_neighbours: int = 3
) -> tuple[FloatArray, IntArray]:
    """Median over the other members of the narrowest group with enough others.

    Parameters
    ----------
    values : float array, shape (N,)
        NaN where missing.
    groupings : sequence of int arrays, each of shape (N,)
        Group labels, narrowest grouping first; a negative label is a site in no group.
    min_neighbours : int, at least 1
        Others with a value that make a group large enough.

    Returns
    -------
    median : float array, shape (N,)
        NaN where the site has no value or too few neighbours.
    neighbours : int array, shape (N,)
        Number of others in the median, 0 where it is NaN.

    Raises
    ------
    ValueError
        If min_neighbours is below 1 or a grouping has another shape.
    """
    if min_neighbours < 1:
        raise ValueError(f"min_neighbours must be at least 1, not {min_neighbours}")
    if any(labels.shape != values.shape for labels in groupings):
        raise ValueError("every grouping must have the shape of the values")
    median = np.full(values.shape, np.nan)
    neighbours = np.zeros(values.shape, dtype=np.intp)
    for labels in groupings:
        groups = sort_groups(values, labels)
        others = groups.count[groups.group] - 1
        takes = (others >= min_neighbours) & (neighbours[groups.sites] == 0)
        if not takes.any():
            continue
        ordered = values[groups.sites]
        sites, others = groups.sites[takes], others[takes]
        start = groups.start[groups.group[takes]]
        own = np.flatnonzero(takes) - start
        low, high = (others - 1) // 2, others // 2
        # Places at or above the site's own move up by one, since it is not among the others.
        median[sites] = 0.5 * ordered[start + low + (low >= own)]
        median[sites] += 0.5 * ordered[start + high + (high >= own)]
        neighbours[sites] = others
    return median, neighbours


def assess_solar(
    ratio: FloatArray,
    groupings: Sequence[Labels],
    has_pv: BoolArray,
    *,
    min_neighbours: int = 3,
    underperforming_below: float = UNDERPERFORMING_BELOW,
    low_below: float = LOW_BELOW,
    dead_below: float = DEAD_PV_RATIO,
    nearly_none: float = NEARLY_NO_PV,
    min_neighbour_ratio: float = 0.05,
    yields: FloatArray | None = None,
    before: SolarResult | None = None,
    passed_s: float = math.inf,
    elapsed_s: float = 0.0,
    lasting_s: FloatArray | float = 0.0,
) -> SolarResult:
    """Judge each site's yield by its neighbours, which clouds hit alike.

    With neighbours: below half of their median ratio is a warning (40 points), below three
    quarters an info (15), once it has been so for ``lasting_s``. Without: only an array that makes
    nothing, below 0.02 of a clear sky, is a warning; weather may explain anything else. Where the
    neighbours themselves made almost nothing (snow, or a fault of the whole region) and the site
    did not either, the score is unknown rather than perfect.

    Diffuse light is alike for all directions, whereas the clear-sky yield depends on tilt and
    azimuth, and how much of the light is diffuse is not known. So a site is low only where its
    ratio and its yield are: one that its direction favours by more than it has lost is found at
    another time of the day.

    Parameters
    ----------
    ratio : float array, shape (N,)
        From :func:`performance_ratio`, over a window without night and curtailment; NaN where
        missing.
    groupings : sequence of int arrays, each of shape (N,)
        Group labels of neighbours, narrowest first, such as the region; a negative label is a
        site without neighbours. The whole fleet is no neighbourhood: it is not under one cloud.
    has_pv : bool array, shape (N,)
        False for a site without an array: it is unknown and is nobody's neighbour.
    min_neighbours : int, at least 1
        Others with a value that allow a comparison.
    underperforming_below, low_below : float
        Relative yields below which a site has the warning, or the info.
    dead_below : float
        Ratio below which an array without neighbours has the warning.
    nearly_none : float
        Relative yield below which an array of known direction has the warning at once.
    min_neighbour_ratio : float, above 0
        Median ratio of the neighbours below which it is too dark to compare.
    yields : float array, shape (N,), optional
        Mean power over the window by installed power, W/W; NaN where missing.
    before : SolarResult, optional
        The judgement before: what was underperforming must come ``PV_RELEASE`` above its limit.
    passed_s, elapsed_s : float
        Seconds since the judgement before, as far as they may have been observed, and all of them.
    lasting_s : float array, shape (N,), or float
        For how long a yield must be below its limit, s of time that is judged. More than
        ``PV_LASTING_SECONDS`` stands for an array of unknown direction; one that makes nothing
        waits no longer than those.

    Raises
    ------
    ValueError
        As in :func:`neighbour_medians`.
    """
    known = has_pv & np.isfinite(ratio)
    value = np.where(known, ratio, np.nan)
    median, neighbours = neighbour_medians(value, groupings, min_neighbours=min_neighbours)
    alone = known & (neighbours == 0)
    comparable = median >= min_neighbour_ratio
    relative = np.full(value.shape, np.nan)
    np.divide(value, median, out=relative, where=comparable)
    if yields is not None:
        alike, _ = neighbour_medians(
            np.where(known, yields, np.nan), groupings, min_neighbours=min_neighbours
        )
        level = np.full(value.shape, np.nan)
        np.divide(yields, alike, out=level, where=comparable & (alike > 0))
        relative = np.where(level > relative, level, relative)
    very_low = np.full(value.shape, underperforming_below)
    if before is not None:
        very_low = very_low + PV_RELEASE * before.underperforming
    so_far = SolarResult.nothing(value.size) if before is None else before
    compared = ~np.isnan(relative)
    far_below, dead = relative < very_low, (alone | compared) & (value < dead_below)
    known_direction = np.asarray(lasting_s) <= PV_LASTING_SECONDS
    kept = known_direction | (so_far.uncompared_s <= FORGET_SECONDS)
    very_low_s, low_s = (
        # What has lasted for long enough goes on in the morning.
        _lasted(where, compared, passed_s, np.where(kept | (count >= lasting_s), count, 0.0))
        for where, count in ((far_below, so_far.very_low_s), (relative < low_below, so_far.low_s))
    )
    dead_s = _lasted(dead, alone | compared, passed_s, so_far.dead_s)
    uncompared_s = np.where(compared, 0.0, so_far.uncompared_s + max(passed_s, elapsed_s))
    makes_nothing = dead & (dead_s >= np.minimum(lasting_s, PV_LASTING_SECONDS))
    lasts = (very_low_s >= lasting_s) | so_far.underperforming
    lasts |= (relative < nearly_none) & known_direction
    underperforming = (far_below & lasts) | ((alone | far_below) & makes_nothing)
    low = (relative < low_below) & ~underperforming & (low_s >= lasting_s)
    deduction = np.zeros(value.shape)
    deduction[low] = PV_LOW.levels[0].points
    deduction[underperforming] = PV_UNDERPERFORMING.levels[0].points
    all_dark = known & ~alone & ~comparable & (value < min_neighbour_ratio)
    score = np.where(known & ~all_dark, 100.0 - deduction, np.nan)
    return SolarResult(
        score=score,
        deduction=deduction,
        relative=relative,
        underperforming=underperforming,
        low=low,
        neighbour_median=median,
        neighbours=neighbours,
        very_low_s=very_low_s,
        low_s=low_s,
        dead_s=dead_s,
        uncompared_s=uncompared_s,
    )


def _lasted(where: BoolArray, told: BoolArray, passed_s: float, so_far: FloatArray) -> FloatArray:
    """Seconds for which something has been so, which stay as they are where nothing is told."""
    return np.where(told, np.where(where, so_far + passed_s, 0.0), so_far)
