"""Energy flows of a site or a fleet: shares, balance, and from where to where energy went.

A meter counts what passes it, not where it came from. Within a step, PV feeds the load first, then
the battery, then the grid; a generator the same; the battery feeds the load, then the grid; the
grid feeds what is left. This is the usual convention of energy monitors, not a measurement: the
shorter the steps, the closer it is to what happened.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

SOURCES = ("pv", "generator", "discharged", "grid_import")
SINKS = ("load", "charged", "grid_export")
LOSSES = "losses"
"""What came in and is measured nowhere else: conversion losses, and what no meter sees."""
UNMEASURED = "unmeasured"
"""What was used and came from no measured source."""

_ORDER = (
    *(("pv", sink) for sink in SINKS),
    *(("generator", sink) for sink in SINKS),
    ("discharged", "load"),
    ("discharged", "grid_export"),
    ("grid_import", "load"),
    ("grid_import", "charged"),
)


def links(energies_kwh: Mapping[str, FloatArray]) -> dict[tuple[str, str], float]:
    """Energy from each source to each sink over all steps, kWh.

    Parameters
    ----------
    energies_kwh : mapping of str to float array, shape (K,)
        Energy of each step by flow, of :data:`SOURCES` and :data:`SINKS`; below 0 counts as 0, and
        NaN or an absent flow as unknown, which takes part with 0.

    Returns
    -------
    dict of (source, sink) to float
        Above 0 each. With what is left: to :data:`LOSSES`, and from :data:`UNMEASURED`. All that
        leaves a source adds up to that source, and all that reaches a sink to that sink.
    """
    count = max((len(values) for values in energies_kwh.values()), default=0)
    left = {
        name: np.maximum(np.nan_to_num(energies_kwh.get(name, np.zeros(count))), 0.0)
        for name in (*SOURCES, *SINKS)
    }
    found: dict[tuple[str, str], float] = {}
    for source, sink in _ORDER:
        moved = np.minimum(left[source], left[sink])
        left[source] = left[source] - moved
        left[sink] = left[sink] - moved
        found[source, sink] = float(moved.sum())
    for source in SOURCES:
        found[source, LOSSES] = float(left[source].sum())
    for sink in SINKS:
        found[UNMEASURED, sink] = float(left[sink].sum())
    return {pair: kwh for pair, kwh in found.items() if kwh > 0}


def unaccounted_kwh(totals_kwh: Mapping[str, float | None]) -> float | None:
    """What came in less what went out, kWh: losses if above 0.

    Parameters
    ----------
    totals_kwh : mapping
        By flow; None is unknown. Without PV or without a battery those flows are absent.

    Returns
    -------
    float or None
        None where the load, or both sides of the grid, are unknown: then nothing balances.
    """
    if totals_kwh.get("load") is None:
        return None
    if totals_kwh.get("grid_import") is None and totals_kwh.get("pv") is None:
        return None
    came = sum(totals_kwh.get(name) or 0.0 for name in SOURCES)
    return came - sum(totals_kwh.get(name) or 0.0 for name in SINKS)


def share(part: float, whole: float) -> float | None:
    """A share from 0 to 1; None without a whole, and where readings contradict each other.

    Part and whole come from different meters: 1 % beyond the ends counts as the end.
    """
    if whole <= 0 or not -0.01 <= part / whole <= 1.01:
        return None
    return min(max(part / whole, 0.0), 1.0)


def self_consumption(pv_kwh: float | None, export_kwh: float | None) -> float | None:
    """Share of PV energy that was used on the site, 0 to 1; None where unknown."""
    if pv_kwh is None or export_kwh is None:
        return None
    return share(pv_kwh - export_kwh, pv_kwh)


def self_sufficiency(load_kwh: float | None, import_kwh: float | None) -> float | None:
    """Share of the load that did not come from the grid (autarky), 0 to 1; None where unknown."""
    if load_kwh is None or import_kwh is None:
        return None
    return share(load_kwh - import_kwh, load_kwh)
