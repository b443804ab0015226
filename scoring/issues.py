"""Judging all sites by a rule, and a component by what its rules found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from scoring.limits import LIMITS
from scoring.rule import NO_CAP, Rule, Severity, Side

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int8]

Held = Mapping[str, IntArray]
"""Code of an issue to the severities that it had, shape (N,)."""
NOTHING_HELD: Held = MappingProxyType({})

__all__ = [
    "NOTHING_HELD",
    "BoolArray",
    "Component",
    "Finding",
    "FloatArray",
    "Held",
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
    value at which an issue ends whose value is back inside its limit, NaN elsewhere.
    """

    rule: Rule
    severity: IntArray
    value: FloatArray
    threshold: FloatArray
    deduction: FloatArray
    cap: FloatArray
    ends_at: FloatArray


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
    held : mapping of code to int array, shape (N,)
        Severities at the judgement before. A level that held then goes on until the value is back
        inside its limit by the limit's ``release``.
    """
    count = value.shape[0]
    severity = np.zeros(count, dtype=np.int8)
    deduction, cap = np.zeros(count), np.full(count, NO_CAP)
    threshold, ends_at = np.full(count, np.nan), np.full(count, np.nan)
    compared = value if compared is None else compared
    before = held.get(rule.code)
    for level in reversed(rule.levels):
        limit = np.full(count, np.nan)
        if level.limit:
            limit[:] = limits.get(level.limit, LIMITS[level.limit].default)
            limit += level.further
        holds = where
        if level.side is not Side.STATE:
            sign = 1.0 if level.side is Side.BELOW else -1.0
            beyond = sign * compared < sign * limit
            end = limit
            if before is not None:
                release = LIMITS[level.limit].release
                end = np.where(before >= level.severity, limit + sign * release, limit)
            holds = where & (sign * compared < sign * end)
            ends_at[holds] = np.where(beyond, np.nan, end)[holds]
        severity[holds] = level.severity
        deduction[holds] = level.points
        cap[holds] = level.holds_to
        threshold[holds] = limit[holds]
    return Finding(rule, severity, value, threshold, deduction, cap, ends_at)


def component(
    name: str,
    findings: tuple[Finding, ...],
    inputs: dict[str, FloatArray],
    applicable: BoolArray | dict[str, BoolArray],
) -> Component:
    """Score a component: 100 less every deduction, not below 0, NaN without any input.

    Parameters
    ----------
    name : str
    findings : tuple of Finding
    inputs : dict of float arrays, shape (N,)
        The readings that the component uses, by name; NaN is missing.
    applicable : bool array, shape (N,), or one for each input
        Where the site should have these inputs at all.
    """
    present = np.array([~np.isnan(values) for values in inputs.values()])
    if isinstance(applicable, dict):
        wanted = np.array([applicable[key] for key in inputs])
    else:
        wanted = np.broadcast_to(applicable, present.shape)
    present = present & wanted
    score = 100.0 - np.sum([f.deduction for f in findings], axis=0)
    score = np.where(present.any(axis=0), np.maximum(score, 0.0), np.nan)
    return Component(name, score, findings, tuple(inputs), present, wanted)
