"""Issues that several sites share, and the battery type or region that explains them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from scoring.rule import ODD_PREFIX, Severity, in_a_sentence, name_of
from scoring.rules import BY_CODE

BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]

UTILITY_PREFIX = "grid_"
UTILITY_ATTRIBUTE = "region"
REGION_SITES = 3
"""Sites of a region that see the same at once: from then on it is the grid, not a site."""


@dataclass(frozen=True, eq=False)
class CommonIssue:
    """One issue shared by several sites.

    Attributes
    ----------
    code : str
        Code of the issue.
    sites : int
        Number of sites in ``members``.
    members : int array, shape (sites,)
        Indices of the affected sites, ascending. Where a group explains the issue these are the
        affected sites of that group; otherwise all that no group explains.
    attribute, value : str or None
        The attribute ("battery_type" or "region") and its value that explain the issue; both
        None where nothing does.
    group_size : int
        Assessed sites of the group; without one, of what no group explains.
    share_inside : float
        Share of the group's assessed sites that are affected, 0 to 1.
    share_outside : float
        The same share among the sites outside the group whose attribute is known; groups that
        were named before for the same code are left out. NaN where there is no group.
    sentence : str
        The issue in a sentence.
    follows : str or None
        Code of a shared issue that brings this one about at most of its sites.
    """

    code: str
    sites: int
    members: IntArray
    attribute: str | None
    value: str | None
    group_size: int
    share_inside: float
    share_outside: float
    sentence: str
    follows: str | None = None


@dataclass(frozen=True, eq=False)
class _Attribute:
    name: str
    names: list[str]
    labels: IntArray


@dataclass(frozen=True)
class _Finding:
    attribute: _Attribute
    label: int
    p: float
    inside: int
    group_size: int
    outside: int
    outside_size: int


def upper_tail(
    log_factorial: FloatArray, population: int, marked: int, drawn: int, observed: int
) -> float:
    """P(X >= observed) of the hypergeometric distribution: the one-sided Fisher exact test.

    Parameters
    ----------
    log_factorial : float array
        Natural logarithm of k! at index k, up to ``population``.
    population, marked, drawn : int
        Assessed sites, how many of them are affected, and size of the group.
    observed : int
        Affected sites in the group, at most ``min(marked, drawn)``.

    References
    ----------
    R. A. Fisher, "On the interpretation of chi-squared from contingency tables, and the
    calculation of P", Journal of the Royal Statistical Society 85(1), 1922, pp. 87-94.
    """
    low = max(observed, drawn + marked - population)
    k = np.arange(low, min(marked, drawn) + 1)
    lf = log_factorial
    log_p = (
        (lf[marked] - lf[k] - lf[marked - k])
        + (lf[population - marked] - lf[drawn - k] - lf[population - marked - drawn + k])
        - (lf[population] - lf[drawn] - lf[population - drawn])
    )
    return min(1.0, float(np.exp(log_p).sum()))


def _factorise(name: str, values: Sequence[str | None]) -> _Attribute:
    names = sorted({value for value in values if value is not None})
    number: dict[str | None, int] = {value: i for i, value in enumerate(names)}
    number[None] = -1
    labels = np.fromiter(map(number.__getitem__, values), dtype=np.intp, count=len(values))
    return _Attribute(name, names, labels)


def _best_group(
    affected: BoolArray,
    assessed: BoolArray,
    attributes: Sequence[_Attribute],
    log_factorial: FloatArray,
    *,
    most: bool,
    min_sites: int,
    min_share: float,
    min_lift: float,
    alpha: float,
) -> _Finding | None:
    best: _Finding | None = None
    tests = 0
    for attribute in attributes:
        known = assessed & (attribute.labels >= 0)
        groups = len(attribute.names)
        size = np.bincount(attribute.labels[known], minlength=groups)
        hits = np.bincount(attribute.labels[known & affected], minlength=groups)
        population, marked = int(size.sum()), int(hits.sum())
        could_qualify = (size >= min_sites) & (size < population)
        tests += int(could_qualify.sum())
        outside_share = (marked - hits) / np.maximum(population - size, 1)
        qualifies = (
            could_qualify
            & (hits >= np.maximum(min_sites, min_share * size))
            & (hits / np.maximum(size, 1) >= min_lift * outside_share)
        )
        if most:
            qualifies &= 2 * hits > marked
        for label in np.flatnonzero(qualifies).tolist():
            inside, group_size = int(hits[label]), int(size[label])
            p = upper_tail(log_factorial, population, marked, group_size, inside)
            # Strictly smaller: on a tie the first attribute and the first name win.
            if best is None or p < best.p * (1.0 - 1e-9):
                best = _Finding(
                    attribute,
                    label,
                    p,
                    inside,
                    group_size,
                    marked - inside,
                    population - group_size,
                )
    limit = alpha if most else alpha / max(tests, 1)
    # The sum of exponentials is exact to about 1e-11, and 1 in 20 must not fail 0.05 by that.
    return best if best is not None and best.p <= limit * (1.0 + 1e-9) else None


def _words(name: str) -> str:
    return name.replace("_", " ")


def _explained_sentence(code: str, found: _Finding, value: str) -> str:
    name = found.attribute.name
    elsewhere = f"{found.outside} of {found.outside_size} elsewhere"
    where = f"{found.inside} of {found.group_size} sites of {_words(name)} {value}"
    if code.startswith(UTILITY_PREFIX) and name == UTILITY_ATTRIBUTE:
        verdict = "suspect the utility, not the sites"
    else:
        verdict = f"look at what this {_words(name)} has in common before each site"
    return f"{name_of(code)} at {where}, but at {elsewhere}: {verdict}."


def common_issues(
    active: Mapping[str, BoolArray],
    attributes: Mapping[str, Sequence[str | None]],
    online: BoolArray | None = None,
    *,
    min_sites: int = 3,
    min_share: float = 0.01,
    min_lift: float = 2.0,
    alpha: float = 0.05,
) -> list[CommonIssue]:
    """Issues that at least ``min_sites`` sites share, with the group that explains them, if any.

    A group (the sites with one value of one attribute) explains an issue if

    - at least ``max(min_sites, min_share * group size)`` of its sites are affected,
    - its share of affected sites is at least ``min_lift`` times the share outside, and
    - a one-sided Fisher exact test gives that concentration a probability of at most ``alpha``
      by chance, divided by the number of groups tried (Bonferroni).

    The test is exact for the small counts of a fleet of a dozen, where a rule on lift alone would
    see a pattern in every three sites; the lift keeps a fleet of thousands from naming groups
    that differ significantly but slightly. For an issue of the grid (code ``grid_...``) the region
    is tried before anything else, and a region that holds most of the affected sites is spared the
    division, since sites of a region hang on the same utility: a shared cause is expected there,
    not fished for.

    The best group is named, set aside with all its sites, and the rest is searched again, so that
    an outage in two regions comes out as two. What is left over and no group explains is reported
    by code alone if it is still ``min_sites`` or more. No site is counted twice for a code.

    Parameters
    ----------
    active : mapping of code to bool array, shape (N,)
        True where the issue is active.
    attributes : mapping of name to sequence of N (str or None)
        Such as ``battery_type`` and ``region``. A site whose attribute is None is neither inside
        nor outside a group of that attribute.
    online : bool array, shape (N,), optional
        Sites that were assessed. A site that was not, and has no active issue of that code,
        counts neither as affected nor as unaffected.
    min_sites : int
        Sites that make an issue common.
    min_share : float, 0 to 1
        Least share of a group that must be affected.
    min_lift : float, at least 1
        Least ratio of the share inside to the share outside.
    alpha : float, 0 to 1
        Largest probability of the concentration arising by chance.

    Returns
    -------
    list of CommonIssue
        Those that somebody has to act on first, then those that only inform; of each the one with
        most sites first; ties by code, attribute and value. An issue that another brings about
        stands right after it. The order of the mappings matters only where two attributes explain
        an issue equally well: the first one is named.

    Raises
    ------
    ValueError
        If the lengths differ.
    """
    lengths = {len(column) for column in (*active.values(), *attributes.values())}
    if online is not None:
        lengths.add(len(online))
    if len(lengths) > 1:
        raise ValueError(f"arrays of different lengths: {sorted(lengths)}")
    total = lengths.pop() if lengths else 0
    columns = [_factorise(name, values) for name, values in attributes.items()]
    utility = [column for column in columns if column.name == UTILITY_ATTRIBUTE]
    log_factorial = np.concatenate(([0.0], np.cumsum(np.log(np.arange(1, total + 1)))))
    found: list[CommonIssue] = []
    for code, mask in active.items():
        left = np.ones(total, dtype=np.bool_) if online is None else online | mask
        affected = mask.copy()
        is_grid = code.startswith(UTILITY_PREFIX)
        searches = [(columns, False)]
        if is_grid:
            searches = [(utility, True), (utility, False), *searches]
        for candidates, most in searches:
            while np.count_nonzero(affected) >= min_sites:
                best = _best_group(
                    affected,
                    left,
                    candidates,
                    log_factorial,
                    most=most,
                    min_sites=min_sites,
                    min_share=min_share,
                    min_lift=min_lift,
                    alpha=alpha,
                )
                if best is None:
                    break
                value = best.attribute.names[best.label]
                in_group = best.attribute.labels == best.label
                found.append(
                    CommonIssue(
                        code=code,
                        sites=best.inside,
                        members=np.flatnonzero(affected & in_group),
                        attribute=best.attribute.name,
                        value=value,
                        group_size=best.group_size,
                        share_inside=best.inside / best.group_size,
                        share_outside=best.outside / best.outside_size,
                        sentence=_explained_sentence(code, best, value),
                    )
                )
                affected &= ~in_group
                left &= ~in_group
        rest = np.flatnonzero(affected)
        if rest.size >= min_sites:
            size = int(np.count_nonzero(left))
            tried = " or ".join(_words(column.name) for column in columns) or "attribute"
            found.append(
                CommonIssue(
                    code=code,
                    sites=int(rest.size),
                    members=rest,
                    attribute=None,
                    value=None,
                    group_size=size,
                    share_inside=rest.size / size,
                    share_outside=float("nan"),
                    sentence=f"{name_of(code)} at {rest.size} of {size} sites that "
                    f"no {tried} explains.",
                )
            )
    return _causes_first(found)


def _causes_first(found: Sequence[CommonIssue]) -> list[CommonIssue]:
    """What only informs last, else most sites first, and what an issue brings about after it."""
    ordered = sorted(
        found,
        key=lambda issue: (
            _only_informs(issue.code),
            -issue.sites,
            issue.code,
            issue.attribute or "",
            issue.value or "",
        ),
    )
    causes = [_cause(issue, ordered) for issue in ordered]
    result = []
    for issue, cause in zip(ordered, causes, strict=True):
        if cause is None:
            result.append(issue)
            result += [
                replace(other, follows=issue.code, sentence=_following_sentence(other, issue))
                for other, its in zip(ordered, causes, strict=True)
                if its is issue
            ]
    return result


def _only_informs(code: str) -> bool:
    """Whether nobody has to act on an issue: no level of its rule warns, or it is only odd."""
    rule = BY_CODE.get(code)
    if rule is None:
        return code.startswith(ODD_PREFIX)
    return all(level.severity <= Severity.INFO for level in rule.levels)


def _cause(issue: CommonIssue, found: Sequence[CommonIssue]) -> CommonIssue | None:
    """The shared issue that brings this one about at more than half of its sites."""
    rule = BY_CODE.get(issue.code)
    if rule is None:
        return None
    shared = (other for other in found if other.code in rule.follows)
    return next((o for o in shared if 2 * _both(issue, o) > issue.sites), None)


def _both(one: CommonIssue, other: CommonIssue) -> int:
    return int(np.isin(one.members, other.members).sum())


def _following_sentence(issue: CommonIssue, cause: CommonIssue) -> str:
    # Its own verdict stands behind the last colon; without a group there is none.
    where = issue.sentence.rstrip(".")
    if issue.attribute is not None:
        where = where.rpartition(": ")[0]
    both = _both(issue, cause)
    which = "all" if both == issue.sites else str(both)
    return f"{where}: at {which} of them it follows from {in_a_sentence(cause.code)}."


def seen_in_region(affected: BoolArray, region: IntArray, assessed: BoolArray) -> BoolArray:
    """Sites whose region sees the same: at least three of its sites, and at least half of them.

    Parameters
    ----------
    affected, assessed : bool arrays, shape (N,)
    region : int array, shape (N,)
        Number of each region, -1 in none.
    """
    known = region >= 0
    count = int(region.max(initial=-1)) + 1
    hits = np.bincount(region[known & affected], minlength=count)
    size = np.bincount(region[known & (assessed | affected)], minlength=count)
    together = (hits >= REGION_SITES) & (2 * hits >= size)
    return affected & known & together[region] if count else np.zeros_like(affected)
