"""Outliers against peers: a site is judged by the narrowest group that is large enough."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from scoring.rule import ODD_PREFIX
from scoring.slopes import pair_slopes

THRESHOLD = 3.5
"""Robust z beyond which a site is an outlier."""
_IMPROBABLE_Z = 1.6
"""A standard normal value exceeds it more often than :data:`DISCOVERY_RATE`."""
FEWEST_FOR_SLOPE, MOST_FOR_SLOPE = 12, 200
"""Sites of which it is learnt what a cause explains, and how many of more are taken."""
FEWEST_METRICS = 3
"""Of which a site is judged together."""

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.intp]
Labels = NDArray[np.integer[Any]]

ROBUST_FACTOR = 0.6745
"""0.75 quantile of the standard normal distribution: MAD / 0.6745 estimates sigma."""


@dataclass(frozen=True, eq=False)
class Outliers:
    """Robust outlier scores of one metric, every array of shape (N,).

    Attributes
    ----------
    z : float array
        Robust z, signed as value minus median; NaN where the value is missing or where no group
        is large enough.
    grouping : int array
        Index of the grouping that was used (0 is the narrowest), -1 where z is NaN.
    median, mad : float array
        Median of the group and median absolute deviation from it before the floor is applied,
        in the unit of the metric; NaN where z is NaN. Where a cause explains a part of the value
        (:func:`explained`), the median is moved by that part: what is usual under its load.
    members : int array
        Members of the group that have a value, the site itself included; 0 where z is NaN.
    flagged : bool array
        True where ``abs(z)`` is above the threshold; never True where z is NaN.
    """

    z: FloatArray
    grouping: IntArray
    median: FloatArray
    mad: FloatArray
    members: IntArray
    flagged: BoolArray


@dataclass(frozen=True, eq=False)
class SigmaOutliers:
    """Classical outlier scores of one metric, every array of shape (N,).

    Attributes are those of :class:`Outliers`, with the ``mean`` and the sample standard
    ``deviation`` of the group (before the floor) in place of median and MAD.
    """

    z: FloatArray
    grouping: IntArray
    mean: FloatArray
    deviation: FloatArray
    members: IntArray
    flagged: BoolArray


@dataclass(frozen=True)
class OutlierMetric:
    """A quantity in which sites are compared with their peers.

    Attributes
    ----------
    name : str
        Name of the metric, as in the label ``metric`` of ``site_outlier_score``.
    input : str
        Name of the array of readings it is computed from.
    floor : float
        Smallest MAD to divide by, in ``unit``: differences well below it are of no interest.
    unit : str
        Unit of the input and of the floor; "1" for a ratio.
    worse : "low", "high" or "both"
        Side on which an outlier is bad news.
    description : str
        What an outlier means, for a person.
    """

    name: str
    input: str
    floor: float
    unit: str
    worse: Literal["low", "high", "both"]
    description: str

    @property
    def odd_code(self) -> str:
        """Code of being odd in it, as issues have theirs."""
        return ODD_PREFIX + self.name

    def concerns(self, outliers: Outliers | SigmaOutliers) -> BoolArray:
        """Mask (N,) of the flagged sites that lie on the bad side of their peers."""
        if self.worse == "both":
            return outliers.flagged.copy()
        bad_side = outliers.z < 0 if self.worse == "low" else outliers.z > 0
        return outliers.flagged & bad_side


OUTLIER_METRICS: tuple[OutlierMetric, ...] = (
    OutlierMetric(
        name="soh",
        input="battery_lowest_soh_percent",
        floor=1.0,
        unit="%",
        worse="low",
        description="State of health lower than that of comparable batteries.",
    ),
    OutlierMetric(
        name="temperature",
        input="battery_hottest_c",
        floor=1.5,
        unit="°C",
        worse="high",
        description="Battery hotter than comparable batteries: cooling, load or a cell.",
    ),
    OutlierMetric(
        name="cell_spread",
        input="cell_widest_spread_v",
        floor=0.01,
        unit="V",
        worse="high",
        description="Cells further apart than in comparable batteries.",
    ),
    OutlierMetric(
        name="soh_trend",
        input="soh_trend_percent_month",
        floor=0.1,
        unit="% a month",
        worse="low",
        description="State of health falling faster than that of comparable batteries.",
    ),
    OutlierMetric(
        name="pv_performance",
        input="pv_performance_ratio",
        floor=0.05,
        unit="1",
        worse="low",
        description="Solar yield, against a clear sky, lower than that of peers.",
    ),
)
ODD_IN_SEVERAL_WAYS = f"{ODD_PREFIX}in_several_ways"
ODD_CODES = (*(metric.odd_code for metric in OUTLIER_METRICS), ODD_IN_SEVERAL_WAYS)
"""What sites can share that is no issue."""


@dataclass(frozen=True, eq=False)
class SortedGroups:
    """The sites of one grouping that have a value, sorted by group and then by value.

    Attributes
    ----------
    sites : int array, shape (M,)
        Indices of the sites, M of them, in sorted order.
    group : int array, shape (M,)
        Dense number of the group of each, 0 to G-1, ascending.
    start, count : int array, shape (G,)
        Place of the first member of each group in ``sites``, and the number of its members.
    """

    sites: IntArray
    group: IntArray
    start: IntArray
    count: IntArray


def sort_groups(values: FloatArray, labels: Labels) -> SortedGroups:
    """Sort the sites of one grouping by group and value.

    Parameters
    ----------
    values : float array, shape (N,)
        Sites whose value is not finite are left out.
    labels : int array, shape (N,)
        Group of each site; sites with a negative label are in no group and are left out.
    """
    usable = np.flatnonzero(np.isfinite(values) & (labels >= 0))
    sites = usable[np.lexsort((values[usable], labels[usable]))]
    ordered = labels[sites]
    is_first = np.ones(sites.size, dtype=np.bool_)
    is_first[1:] = ordered[1:] != ordered[:-1]
    start = np.flatnonzero(is_first)
    count = np.diff(start, append=sites.size)
    return SortedGroups(sites, np.cumsum(is_first) - 1, start, count)


def _medians(ordered: FloatArray, groups: SortedGroups) -> FloatArray:
    """Median of each group, shape (G,), of values (M,) that ascend within each group."""
    low = ordered[groups.start + (groups.count - 1) // 2]
    high = ordered[groups.start + groups.count // 2]
    median: FloatArray = 0.5 * low + 0.5 * high
    return median


def _check(values: FloatArray, groupings: Sequence[Labels], min_members: int, floor: float) -> None:
    if any(labels.shape != values.shape for labels in groupings):
        raise ValueError("every grouping must have the shape of the values")
    if not (np.isfinite(floor) and floor > 0):
        raise ValueError(f"floor must be positive and finite, not {floor}")
    if min_members < 2:
        raise ValueError(f"min_members must be at least 2, not {min_members}")


Moments = Callable[[FloatArray, SortedGroups], tuple[FloatArray, FloatArray]]
"""From values in the order of their groups to centre and spread of each group."""


def _of_peers(
    values: FloatArray, groupings: Sequence[Labels], min_members: int, moments: Moments
) -> tuple[IntArray, IntArray, FloatArray, FloatArray]:
    """Grouping, members, centre and spread of each site's narrowest group that is large enough."""
    grouping = np.full(values.shape, -1, dtype=np.intp)
    members = np.zeros(values.shape, dtype=np.intp)
    centre = np.full(values.shape, np.nan)
    spread = np.full(values.shape, np.nan)
    for index, labels in enumerate(groupings):
        groups = sort_groups(values, labels)
        takes = (groups.count[groups.group] >= min_members) & (grouping[groups.sites] < 0)
        if not takes.any():
            continue
        group_centre, group_spread = moments(values[groups.sites], groups)
        sites, group = groups.sites[takes], groups.group[takes]
        grouping[sites] = index
        members[sites] = groups.count[group]
        centre[sites] = group_centre[group]
        spread[sites] = group_spread[group]
        if not np.any(np.isfinite(values) & (grouping < 0)):
            break
    return grouping, members, centre, spread


def _median_and_mad(ordered: FloatArray, groups: SortedGroups) -> tuple[FloatArray, FloatArray]:
    median = _medians(ordered, groups)
    distance = np.abs(ordered - median[groups.group])
    by_distance = np.lexsort((distance, groups.group))
    return median, _medians(distance[by_distance], groups)


def _mean_and_deviation(ordered: FloatArray, groups: SortedGroups) -> tuple[FloatArray, FloatArray]:
    mean = np.bincount(groups.group, weights=ordered) / groups.count
    squares = (ordered - mean[groups.group]) ** 2
    # A group of one has no sample deviation; it is never taken, so any divisor will do.
    divisor = np.maximum(groups.count - 1, 1)
    return mean, np.sqrt(np.bincount(groups.group, weights=squares) / divisor)


def robust_scores(
    values: FloatArray,
    groupings: Sequence[Labels],
    *,
    min_members: int = 5,
    floor: float,
    threshold: float = THRESHOLD,
) -> Outliers:
    """Robust z of every site against the narrowest group of peers that is large enough.

    z = 0.6745 (x - median) / max(MAD, floor), flagged beyond 3.5. Median and MAD are unmoved by
    up to half of the group being wrong, so that several bad sites do not hide each other. The
    floor keeps a fleet in agreement, whose MAD is close to zero, without outliers.

    Parameters
    ----------
    values : float array, shape (N,)
        Readings in the unit of the metric; NaN where missing. Infinities count as missing.
    groupings : sequence of int arrays, each of shape (N,)
        Group labels, narrowest grouping first and as a rule the whole fleet (all zero) last; a
        negative label is a site in no group. A site that was judged in a narrow group remains a
        peer in the wider ones.
    min_members : int, at least 2
        Members with a value, the site included, that make a group large enough.
    floor : float, above 0
        Smallest MAD to divide by, in the unit of the values.
    threshold : float
        Absolute z beyond which a site is flagged.

    Raises
    ------
    ValueError
        For a grouping of another shape, a floor that is not positive or min_members below 2.

    References
    ----------
    B. Iglewicz and D. C. Hoaglin, "How to Detect and Handle Outliers", ASQC Basic References in
    Quality Control vol. 16, 1993: modified z-score and its threshold of 3.5.
    """
    _check(values, groupings, min_members, floor)
    grouping, members, median, mad = _of_peers(values, groupings, min_members, _median_and_mad)
    z = np.full(values.shape, np.nan)
    judged = grouping >= 0
    distance = values[judged] - median[judged]
    z[judged] = ROBUST_FACTOR * distance / np.maximum(mad[judged], floor)
    return Outliers(z, grouping, median, mad, members, np.abs(z) > threshold)


def explained(values: FloatArray, cause: FloatArray, labels: Labels) -> FloatArray:
    """What a cause explains of each value beyond what is usual among its kind, shape (N,).

    The slope is the median of the slopes between all pairs (Theil 1950), of values and causes less
    the medians of their own group, so that groups that differ by build do not make one. Only what
    the cause adds counts: a negative slope explains nothing.

    Parameters
    ----------
    values, cause : float arrays, shape (N,)
        NaN where missing.
    labels : int array, shape (N,)
        Kind of each site; all with a negative label are one kind.

    Returns
    -------
    float array, shape (N,)
        In the unit of the values, 0 where either is missing or the slope rests on fewer than
        :data:`FEWEST_FOR_SLOPE` sites.

    Examples
    --------
    Of twenty batteries at 20 °C plus 40 °C for each 1/h² of mean square rate, one at 0.25 is hotter
    by 10 °C than one at rest, and all of it is explained.
    """
    nothing = np.zeros(values.shape)
    known = np.flatnonzero(np.isfinite(values) & np.isfinite(cause))
    if known.size < FEWEST_FOR_SLOPE:
        return nothing
    kinds = np.maximum(labels, -1) + 1
    x, y = _centred(cause, known, kinds), _centred(values, known, kinds)
    order = np.argsort(x, kind="stable")
    x, y = x[order], y[order]
    if x.size > MOST_FOR_SLOPE:
        keep = np.linspace(0, x.size - 1, MOST_FOR_SLOPE).round().astype(int)
        x, y = x[keep], y[keep]
    with np.errstate(invalid="ignore", divide="ignore"):
        slopes = pair_slopes(x, y)
    slopes = slopes[np.isfinite(slopes)]
    slope = max(0.0, float(np.median(slopes))) if slopes.size else 0.0
    nothing[known] = slope * _centred(cause, known, kinds)
    return nothing


def _centred(values: FloatArray, known: IntArray, kinds: Labels) -> FloatArray:
    """Known values less the median of their kind."""
    groups = sort_groups(values[known], kinds[known])
    found = values[known].copy()
    found[groups.sites] -= _medians(values[known][groups.sites], groups)[groups.group]
    return found


def sigma_scores(
    values: FloatArray,
    groupings: Sequence[Labels],
    *,
    min_members: int = 5,
    floor: float,
    threshold: float = 2.0,
) -> SigmaOutliers:
    """Classical z of every site: beyond two sample standard deviations from the mean.

    Kept as an option for those who know the rule. It has two blind spots that
    :func:`robust_scores` does not have:

    - The largest possible abs(z) in a group of n is (n - 1) / sqrt(n) (Shiffler 1988), which is
      1.79 for n = 5 and 2.04 for n = 6: below six sites it cannot fire, whatever the values.
    - Several bad sites widen the deviation that they are measured by and so hide each other:
      with three of twelve at 60 % and the others at 95 %, each of the three has z = -1.66.

    Parameters
    ----------
    values, groupings, min_members, threshold
        As in :func:`robust_scores`.
    floor : float, above 0
        Smallest standard deviation to divide by, in the unit of the values.

    Raises
    ------
    ValueError
        As in :func:`robust_scores`.

    References
    ----------
    R. E. Shiffler, "Maximum Z Scores and Outliers", The American Statistician 42(1), 1988,
    pp. 79-80.
    """
    _check(values, groupings, min_members, floor)
    grouping, members, mean, deviation = _of_peers(
        values, groupings, min_members, _mean_and_deviation
    )
    z = np.full(values.shape, np.nan)
    judged = grouping >= 0
    z[judged] = (values[judged] - mean[judged]) / np.maximum(deviation[judged], floor)
    return SigmaOutliers(z, grouping, mean, deviation, members, np.abs(z) > threshold)


DISCOVERY_RATE = 0.05
"""Share of the flags that may be chance."""


def benjamini_hochberg(p: FloatArray, rate: float = DISCOVERY_RATE) -> BoolArray:
    """Which of many tests to believe, so that at most a share of them is chance.

    Parameters
    ----------
    p : float array, any shape
        Probabilities by chance; NaN is no test.
    rate : float, 0 to 1

    References
    ----------
    Y. Benjamini and Y. Hochberg, "Controlling the false discovery rate", JRSS B 57(1), 1995,
    pp. 289-300. It holds for tests that depend positively on each other as well (Benjamini and
    Yekutieli 2001), as those of one battery do.
    """
    tests = np.sort(p[~np.isnan(p)])
    passed = np.flatnonzero(tests <= rate * np.arange(1, tests.size + 1) / max(tests.size, 1))
    if not passed.size:
        return np.zeros(p.shape, dtype=np.bool_)
    believed: BoolArray = p <= tests[passed[-1]]
    return believed


def upper_tail(z: FloatArray) -> FloatArray:
    """Probability that a standard normal value exceeds z; NaN stays NaN."""
    return np.array([0.5 * math.erfc(v / math.sqrt(2.0)) for v in z.ravel()]).reshape(z.shape)


def believed(found: Mapping[str, Outliers], rate: float = DISCOVERY_RATE) -> dict[str, Outliers]:
    """Outliers with only those flagged that hold over all sites and metrics together.

    A flag needs both: beyond the threshold, and believed among so many tests. In a small fleet the
    threshold decides, in one of thousands the number of tests.
    """
    z = np.array([outliers.z for outliers in found.values()])
    # Only what lies far out can pass, and the tail of the rest is not worth its time.
    far = np.abs(z) > THRESHOLD / 2
    p = np.where(np.isnan(z), np.nan, 1.0)
    p[far] = np.minimum(2.0 * upper_tail(np.abs(z[far])), 1.0)
    mask = benjamini_hochberg(p, rate)
    return {
        name: replace(outliers, flagged=outliers.flagged & mask[row])
        for row, (name, outliers) in enumerate(found.items())
    }


def odd_in_several(found: Mapping[str, Outliers]) -> tuple[FloatArray, BoolArray]:
    """Sites that are a little odd in several ways, though in none of them an outlier.

    Returns
    -------
    score : float array, shape (N,)
        Sum of the robust z of all metrics, towards the bad side, over the root of their number
        (Stouffer 1949): a standard normal value where nothing is odd. NaN with fewer than three
        metrics.
    odd : bool array, shape (N,)
        Those believed among all sites (:func:`benjamini_hochberg`).
    """
    signs = {metric.name: -1.0 if metric.worse == "low" else 1.0 for metric in OUTLIER_METRICS}
    z = np.array([signs[name] * outliers.z for name, outliers in found.items()])
    # One metric alone far out is its own flag.
    z = np.clip(z, -THRESHOLD, THRESHOLD)
    known = (~np.isnan(z)).sum(axis=0)
    score = np.nansum(z, axis=0) / np.sqrt(np.maximum(known, 1))
    score = np.where(known >= FEWEST_METRICS, score, np.nan)
    # What is not even improbable alone is not believed among many, whatever its probability.
    far = score > _IMPROBABLE_Z
    p = np.where(np.isnan(score), np.nan, 1.0)
    p[far] = upper_tail(score[far])
    return score, benjamini_hochberg(p)
