"""Judging all sites by a rule, and a component by what its rules found."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoring.limits import LIMITS
from scoring.rule import COMES_BACK_SECONDS, NO_CAP, Level, Rule, Severity, Side

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int8]


@dataclass(frozen=True, slots=True)
class HeldIssue:
    """What the judgement before said of one kind of issue, arrays of shape (N,).

    ``severity`` holds values of :class:`Severity`, ``threshold`` the limit that decided, and
    ``inside_seconds`` for how long the value has been inside it by now, or its state over; above 0
    where there is no issue any more, it was one so long ago. ``settle_seconds`` is for how long the
    value must stay inside where the issue came back.
    """

    severity: IntArray
    threshold: FloatArray
    inside_seconds: FloatArray
    settle_seconds: FloatArray | float = 0.0

    def after(self, passed_s: float) -> HeldIssue:
        """It so many seconds later."""
        lives = (self.severity > 0) | (self.inside_seconds > 0)
        inside = np.where(lives, self.inside_seconds + passed_s, 0.0)
        return HeldIssue(self.severity, self.threshold, inside, self.settle_seconds)

    def of_rows(self, rows: NDArray[np.intp]) -> HeldIssue:
        """It of other rows: of each the row here, -1 for one that is not here."""
        here, settle = rows >= 0, np.broadcast_to(self.settle_seconds, self.severity.shape)
        return HeldIssue(
            np.where(here, self.severity[rows], 0).astype(np.int8),
            self.threshold[rows],
            np.where(here, self.inside_seconds[rows], 0.0),
            np.where(here, settle[rows], 0.0),
        )


Held = Mapping[str, HeldIssue]
"""What the judgement before said, by the code of the issue."""
NOTHING_HELD: Held = MappingProxyType({})

__all__ = [
    "NOTHING_HELD",
    "BoolArray",
    "Component",
    "Finding",
    "FloatArray",
    "Held",
    "HeldIssue",
    "IntArray",
    "Severity",
    "component",
    "judge",
]


@dataclass(frozen=True, slots=True)
class Finding:
    """One kind of issue over all sites: arrays of shape (N,).

    ``severity`` holds values of :class:`Severity`; ``value`` and ``threshold`` are in the rule's
    unit, NaN where there is none; ``deduction`` is in points of the component's 100; ``cap`` is
    what the issue holds the overall score to at most, 100 where it does not. ``ends_at`` is the
    value at which an issue ends whose value is back inside its limit, NaN elsewhere;
    ``inside_seconds`` is for how long it has been inside, or a state has been over, or how long
    ago an issue ended that may come back; ``settle_seconds`` is for how long it must stay inside
    after it came back, else 0.
    """

    rule: Rule
    severity: IntArray
    value: FloatArray
    threshold: FloatArray
    deduction: FloatArray
    cap: FloatArray
    ends_at: FloatArray
    inside_seconds: FloatArray
    settle_seconds: FloatArray

    @property
    def held(self) -> HeldIssue | None:
        """What the next judgement needs of it; None: nothing."""
        if not self.severity.any() and not self.inside_seconds.any():
            return None
        return HeldIssue(self.severity, self.threshold, self.inside_seconds, self.settle_seconds)


@dataclass(frozen=True, slots=True)
class Component:
    """One component score over all sites.

    Attributes
    ----------
    name : str
    score : float array, shape (N,)
        0 to 100; NaN where no input is known.
    findings : tuple of Finding
    inputs : tuple of str
        Names of the inputs that the component can use.
    present, applicable : bool arrays, shape (len(inputs), N)
        Which inputs are known, and which the site should have.
    """

    name: str
    score: FloatArray
    findings: tuple[Finding, ...]
    inputs: tuple[str, ...]
    present: BoolArray
    applicable: BoolArray


def judge(
    rule: Rule,
    value: FloatArray,
    limits: Mapping[str, FloatArray | float],
    where: BoolArray,
    compared: FloatArray | None = None,
    held: Held = NOTHING_HELD,
    lasting: BoolArray | None = None,
) -> Finding:
    """Judge all sites by one rule: of its levels that hold, the first decides.

    Parameters
    ----------
    rule : Rule
    value : float array, shape (N,)
        The value that is judged, in the rule's unit. A missing one (NaN) is never an issue, unless
        a state decides.
    limits : mapping of name to float array, shape (N,), or float
        The limits of every site; those left out have their default.
    where : bool array, shape (N,)
        Where the rule applies; of a level that is a state, where that state is.
    compared : float array, shape (N,), optional
        The value as it is compared with the limit, where it is not ``value`` itself.
    held : mapping of code to HeldIssue
        The judgement before. A level that held then goes on until the value is back inside its
        limit by the limit's ``release``, and has been inside for its ``settle_seconds``.
    lasting : bool array, shape (N,), optional
        Where a state that is over may go on for the ``lasts_seconds`` of its rule.
    """
    compared = value if compared is None else compared
    before = held.get(rule.code)
    found: _Judged | None = None
    for level in reversed(rule.levels):
        limit = _limit_of(level, limits)
        holds, kept, end = where, None, limit
        if level.side is not Side.STATE:
            below = level.side is Side.BELOW
            beyond = compared < limit if below else compared > limit
            holds = where & beyond
            if before is not None and before.severity.any():
                row = LIMITS[level.limit]
                end = limit + row.release if below else limit - row.release
                stays = compared < end if below else compared > end
                stays |= ~np.isnan(compared) & (before.inside_seconds < _settle(level, before))
                # Not where the value was beyond the limit of the other side.
                same_side = before.threshold <= limit if below else before.threshold >= limit
                kept = where & stays & ~beyond & same_side & (before.severity >= level.severity)
                if found is not None:
                    kept &= found.severity < level.severity
        elif lasting is not None and before is not None and before.severity.any():
            recent = before.inside_seconds < rule.lasts_seconds
            kept = lasting & ~where & recent & (before.severity >= level.severity)
        # Most rules hold nowhere, and most of the judgement is to see that.
        if not holds.any() and (kept is None or not kept.any()):
            continue
        if found is None:
            found = _Judged.of(value.shape[0])
        if level.side is not Side.STATE:
            found.ends_at[holds], found.inside_seconds[holds] = np.nan, 0.0
        if kept is not None and before is not None:
            found.ends_at[kept] = np.broadcast_to(end, kept.shape)[kept]
            found.inside_seconds[kept] = before.inside_seconds[kept]
            holds = holds | kept
        found.severity[holds] = level.severity
        found.deduction[holds] = level.points
        found.cap[holds] = level.holds_to
        found.threshold[holds] = np.broadcast_to(limit, holds.shape)[holds]
    if before is not None and _comes_back(rule):
        found = _remembered(found, before)
    if found is None:
        nothing = nowhere(value.shape[0])
        return Finding(rule, value=value, **nothing)
    return Finding(
        rule,
        found.severity,
        value,
        found.threshold,
        found.deduction,
        found.cap,
        found.ends_at,
        found.inside_seconds,
        found.settle_seconds,
    )


def _settle(level: Level, before: HeldIssue) -> FloatArray | float:
    """Seconds for which a value must stay inside its limit until the level is over."""
    limit = LIMITS[level.limit]
    if limit.comes_back and level.severity < Severity.CRITICAL:
        return np.maximum(limit.settle_seconds, before.settle_seconds)
    return limit.settle_seconds


@functools.cache
def _comes_back(rule: Rule) -> bool:
    return any(level.limit and LIMITS[level.limit].comes_back for level in rule.levels)


def _remembered(found: _Judged | None, before: HeldIssue) -> _Judged | None:
    """Remember issues that ended, or of which nothing is known for a while, and let those that come
    back end more slowly."""
    had, passed = before.severity > 0, before.inside_seconds
    now = np.zeros(had.shape, dtype=bool) if found is None else found.severity > 0
    ended = ~now & (had | (passed > 0)) & (passed < COMES_BACK_SECONDS)
    back = now & ~had & (passed > 0)
    stays = now & had & (before.settle_seconds > 0)
    if found is None and not ended.any():
        return None
    found = _Judged.of(had.size) if found is None else found
    found.inside_seconds[ended] = passed[ended]
    # A pause is never shorter than what had to pass for it to begin.
    found.settle_seconds[back] = np.minimum(2 * passed[back], COMES_BACK_SECONDS)
    kept = np.broadcast_to(before.settle_seconds, had.shape)
    found.settle_seconds[ended | stays] = kept[ended | stays]
    return found


@dataclass(frozen=True, slots=True)
class _Judged:
    """The arrays of a Finding while its levels are judged, shape (N,)."""

    severity: IntArray
    threshold: FloatArray
    deduction: FloatArray
    cap: FloatArray
    ends_at: FloatArray
    inside_seconds: FloatArray
    settle_seconds: FloatArray

    @classmethod
    def of(cls, count: int) -> _Judged:
        return cls(**{name: np.array(values) for name, values in nowhere(count).items()})


@functools.lru_cache(maxsize=16)
def nowhere(count: int) -> Mapping[str, Any]:
    """The arrays of a Finding of an issue that no site has: read-only, one element each in memory,
    shape (N,)."""

    def all_of(value: float, kind: type[np.generic] = np.float64) -> NDArray[Any]:
        return np.broadcast_to(np.array([value], dtype=kind), (count,))

    return {
        "severity": all_of(0, np.int8),
        "threshold": all_of(np.nan),
        "deduction": all_of(0.0),
        "cap": all_of(NO_CAP),
        "ends_at": all_of(np.nan),
        "inside_seconds": all_of(0.0),
        "settle_seconds": all_of(0.0),
    }


def _limit_of(level: Level, limits: Mapping[str, FloatArray | float]) -> FloatArray | float:
    if not level.limit:
        return np.nan
    limit = limits.get(level.limit)
    return (LIMITS[level.limit].default if limit is None else limit) + level.further


def component(
    name: str,
    findings: tuple[Finding, ...],
    inputs: dict[str, FloatArray],
    applicable: BoolArray | dict[str, BoolArray],
    reported: Mapping[str, tuple[FloatArray, BoolArray]] = MappingProxyType({}),
) -> Component:
    """Score a component: 100 less every deduction, not below 0, NaN without any input.

    Of the findings of one family only the largest deduction counts.

    Parameters
    ----------
    name : str
    findings : tuple of Finding
    inputs : dict of float arrays, shape (N,)
        The readings that the component uses, by name; NaN is missing.
    applicable : bool array, shape (N,), or one for each input
        Where the site should have these inputs at all.
    reported : mapping of name to (float array, bool array), shape (N,) each
        Readings that no rule judges, and where the site should give them. They count for the
        coverage; none of them makes an unknown component a known one.
    """
    present = np.array([~np.isnan(values) for values in inputs.values()])
    if isinstance(applicable, dict):
        wanted = np.array([applicable[key] for key in inputs])
    else:
        wanted = np.broadcast_to(applicable, present.shape)
    present = present & wanted
    findings = once_each(findings)
    score = np.full(present.shape[1:], 100.0)
    taken = [f.deduction for f in findings if f.severity.any()]
    if taken:
        score -= np.sum(taken, axis=0)
    score = np.where(present.any(axis=0), np.maximum(score, 0.0), np.nan)
    if reported:
        asked = np.array([where for _, where in reported.values()])
        given = np.array([~np.isnan(values) for values, _ in reported.values()])
        present, wanted = np.vstack([present, given & asked]), np.vstack([wanted, asked])
    return Component(name, score, findings, (*inputs, *reported), present, wanted)


def once_each(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """Findings of which each family deducts its largest number of points only, once a site.

    Of two that deduct the same the first counts.
    """
    most: dict[str, FloatArray] = {}
    for finding in findings:
        family, points = finding.rule.family, finding.deduction
        if family and points.any():
            most[family] = np.maximum(most.get(family, 0.0), points)
    found = []
    for finding in findings:
        family, points = finding.rule.family, finding.deduction
        counted = finding
        if family in most and points.any():
            counts = (points > 0) & (points == most[family])
            most[family] = np.where(counts, np.inf, most[family])
            counted = replace(finding, deduction=np.where(counts, points, 0.0))
        found.append(counted)
    return tuple(found)
