"""Judging by a rule, compared with the same written plainly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from scoring.issues import BoolArray, Finding, FloatArray, Held, HeldIssue, judge
from scoring.limits import LIMITS
from scoring.rule import COMES_BACK_SECONDS, NO_CAP, Rule, Severity, Side
from scoring.rules import RULES


def plainly(
    rule: Rule,
    value: FloatArray,
    limits: Mapping[str, FloatArray],
    where: BoolArray,
    held: Held,
) -> list[dict[str, float]]:
    """What :func:`scoring.issues.judge` says of each site, one site after another."""
    found = []
    before = held.get(rule.code)
    for site, own in enumerate(value.tolist()):
        said = {
            "severity": 0.0,
            "threshold": np.nan,
            "deduction": 0.0,
            "cap": NO_CAP,
            "ends_at": np.nan,
            "inside_seconds": 0.0,
            "settle_seconds": 0.0,
        }
        had, inside, settle = 0, 0.0, 0.0
        if before is not None:
            had, inside = int(before.severity[site]), float(before.inside_seconds[site])
            settle = float(np.broadcast_to(before.settle_seconds, value.shape)[site])
        for level in reversed(rule.levels):
            limit, end = np.nan, np.nan
            if level.limit:
                given = limits.get(level.limit)
                limit = LIMITS[level.limit].default if given is None else float(given[site])
                limit += level.further
            holds, kept = bool(where[site]), False
            if level.side is not Side.STATE:
                row = LIMITS[level.limit]
                below = level.side is Side.BELOW
                holds = holds and (own < limit if below else own > limit)
                end = limit + row.release if below else limit - row.release
                if before is not None and before.severity.any():
                    last = float(before.threshold[site])
                    least = row.settle_seconds
                    if row.comes_back and level.severity < Severity.CRITICAL:
                        least = max(least, settle)
                    stays = own < end if below else own > end
                    stays = stays or (own == own and inside < least)  # noqa: PLR0124
                    same_side = last <= limit if below else last >= limit
                    kept = bool(where[site]) and stays and not holds and same_side
                    kept = kept and before.severity[site] >= level.severity > said["severity"]
            if holds or kept:
                said |= {
                    "severity": float(level.severity),
                    "threshold": limit,
                    "deduction": level.points,
                    "cap": level.holds_to,
                }
                if kept and before is not None:
                    said["ends_at"] = end
                    said["inside_seconds"] = float(before.inside_seconds[site])
                elif level.side is not Side.STATE:
                    said |= {"ends_at": np.nan, "inside_seconds": 0.0}
        if any(level.limit and LIMITS[level.limit].comes_back for level in rule.levels):
            if said["severity"] and had:
                said["settle_seconds"] = settle
            elif said["severity"] and inside:
                said["settle_seconds"] = min(2 * inside, COMES_BACK_SECONDS)
            elif had or inside:
                passed = inside < COMES_BACK_SECONDS
                said |= {"inside_seconds": inside, "settle_seconds": settle} if passed else {}
        found.append(said)
    return found


VALUES = st.one_of(
    st.sampled_from([np.nan, 0.0, 9.9, 10.0, 49.4, 49.5, 50.5, 50.6, 70.0, 85.0, 86.0, np.inf]),
    st.floats(-10, 300),
)
SECONDS = st.one_of(st.floats(0, 600), st.sampled_from([0.0, 3600.0, COMES_BACK_SECONDS]))
SITES = 6


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(RULES), st.data())
def test_judging_all_sites_at_once_equals_judging_each(rule: Rule, data: st.DataObject) -> None:
    def column(of: Any, kind: type) -> Any:
        return np.array(data.draw(st.lists(of, min_size=SITES, max_size=SITES)), dtype=kind)

    value, where = column(VALUES, np.float64), column(st.booleans(), np.bool_)
    limits = {
        level.limit: column(VALUES, np.float64)
        for level in rule.levels
        if level.limit and data.draw(st.booleans())
    }
    held: Held = {}
    if data.draw(st.booleans()):
        severity = column(st.sampled_from([0, 1, 2, 3]), np.int8)
        held = {
            rule.code: HeldIssue(
                severity,
                column(VALUES, np.float64),
                column(SECONDS, np.float64),
                column(SECONDS, np.float64),
            )
        }
    found = judge(rule, value, limits, where, held=held)
    assert found.rule is rule
    assert found.value is value
    expected = plainly(rule, value, limits, where, held)
    for name in (f.name for f in fields(Finding) if f.name not in ("rule", "value")):
        values = getattr(found, name)
        assert values.shape == (SITES,)
        assert np.array_equal(values, [said[name] for said in expected], equal_nan=True), name


def test_an_issue_of_no_site_takes_no_memory() -> None:
    count = 100_000
    nobody = np.zeros(count, dtype=np.bool_)
    for rule in RULES:
        found = judge(rule, np.full(count, np.nan), {}, nobody)
        names = {f.name for f in fields(Finding)} - {"rule", "value"}
        arrays = [getattr(found, name) for name in names]
        assert not any(values.any() for values in arrays if values.dtype == np.int8)
        assert all(values.strides == (0,) for values in arrays)
