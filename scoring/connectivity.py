"""Health of the link: share of scrapes that worked, and how old the last one is."""

from __future__ import annotations

import numpy as np

from scoring.issues import (
    NOTHING_HELD,
    BoolArray,
    Component,
    Finding,
    FloatArray,
    Held,
    Severity,
    component,
    judge,
)
from scoring.rules import SCRAPES_FAILING, SITE_OFFLINE

FEWEST_SCRAPES = 6
FEWEST_FAILED = 3
"""A link that failed once or twice in an hour is in order, however few scrapes an hour has."""
COMES_AND_GOES_SHARE = 0.55
"""Of scrapes that are answered at all: a site that answers each in part is there all the time."""
COMES_AND_GOES_SECONDS, COMES_AND_GOES_INTERVALS = 1800.0, 24.0
"""For which silence a site behind a link on which most scrapes failed counts as one that comes and
goes, the longer of both: of a link that lets a fifth through, 24 in a row are lost once in 200."""


def assess_connectivity(
    *,
    worked: FloatArray,
    attempted: FloatArray,
    answered: FloatArray,
    age_s: FloatArray,
    interval_s: FloatArray,
    offline_after_s: FloatArray,
    offline: BoolArray,
    noticed: tuple[Finding, ...] = (),
    held: Held = NOTHING_HELD,
) -> Component:
    """Connectivity component: 100 times the share that worked, less what staleness takes.

    Parameters
    ----------
    worked, attempted, answered : float arrays, shape (N,)
        Scrapes of the last hour; a partial one counts half in ``worked``, and is answered.
    age_s : float array, shape (N,)
        Seconds since the last scrape that worked; NaN where none ever did.
    interval_s, offline_after_s : float arrays, shape (N,)
        Seconds between scrapes. Up to two of them nothing is taken; from there the score falls in a
        straight line to 0 at ``offline_after_s``.
    offline : bool array, shape (N,)
        Their failing scrapes are no issue of their own. Of a link of which most scrapes failed
        before, that issue goes on in place of the site being away for a while: it comes and goes.
    noticed : tuple of Finding
        What drivers noticed of the link.
    held : mapping of code to HeldIssue
        The judgement before; see :func:`scoring.issues.judge`.

    Returns
    -------
    Component
        Unknown (NaN) for a site that was never tried.
    """
    fresh_s = 2 * interval_s
    with np.errstate(invalid="ignore", divide="ignore"):
        share = worked / attempted
        fresh = 1.0 - (age_s - fresh_s) / (offline_after_s - fresh_s)
    fresh = np.where(np.isnan(age_s), 0.0, np.clip(fresh, 0.0, 1.0))
    before = held.get(SCRAPES_FAILING.code)
    goes_on = np.zeros(offline.shape, dtype=bool)
    if before is not None:
        wait = np.maximum(COMES_AND_GOES_SECONDS, COMES_AND_GOES_INTERVALS * interval_s)
        goes_on = (before.severity >= Severity.WARNING) & (age_s <= wait)
        # A site that was taken for away does not become one that comes and goes by staying away.
        known_away = held.get(SITE_OFFLINE.code)
        if known_away is not None:
            goes_on &= known_away.severity == Severity.NONE
        goes_on &= answered < COMES_AND_GOES_SHARE * attempted
    judged = (attempted >= FEWEST_SCRAPES) & (~offline | goes_on)
    # One fewer goes on with an issue, as the release of the limit does where scrapes are many.
    needed = FEWEST_FAILED - (0 if before is None else 1 * (before.severity > 0))
    compared = np.where(attempted - worked >= needed, share, np.nan)
    failing = judge(SCRAPES_FAILING, share, {}, judged, compared, held)
    away = offline & ~(failing.severity >= Severity.WARNING)
    limits = {"offline_after_seconds": offline_after_s}
    findings = (judge(SITE_OFFLINE, age_s, limits, away), failing, *noticed)
    base = component("connectivity", findings, {"scrapes": share}, np.ones(share.shape, dtype=bool))
    score = np.minimum(base.score, 100.0 * share * fresh)
    return Component(base.name, score, base.findings, base.inputs, base.present, base.applicable)
