"""Health of the batteries: state of health, temperature, cell spread, charge."""

from __future__ import annotations

import numpy as np

from scoring.cells.imbalance import DEFAULT_LIMITS
from scoring.cells.rest import Zone, zones
from scoring.issues import (
    BATTERY_SILENT,
    BATTERY_SOC,
    BATTERY_SOH,
    BATTERY_TEMPERATURE,
    CELL_SPREAD,
    BoolArray,
    Component,
    FloatArray,
    Severity,
    component,
    finding,
)

CRITICAL_TEMPERATURE_STEP = 10.0

STEEP_BELOW_PERCENT, STEEP_FROM_PERCENT = 10.0, 95.0
"""Where the charge curve is so steep that cells in good order lie far apart, % of charge. The lower
end is narrower than in the analysis of stored cells: above 10 % a cell far below the others is an
empty one, and the load ends there."""


def assess_battery(
    *,
    soh_percent: FloatArray,
    soc_percent: FloatArray,
    temperature_c: FloatArray,
    cell_spread_v: FloatArray,
    any_reading: BoolArray,
    answering: BoolArray,
    soh_warning: FloatArray,
    soh_critical: FloatArray,
    soc_critical: FloatArray,
    temperature_max: FloatArray,
    cell_spread_warning: FloatArray,
    cell_spread_critical: FloatArray,
) -> Component:
    """Battery component: 100 less 50 or 20 for SOH, 20 for heat, 20 or 10 for spread, 10 for SOC.

    Parameters
    ----------
    soh_percent, soc_percent : float arrays, shape (N,)
        State of health and of charge, 0 to 100 %.
    temperature_c : float array, shape (N,)
        Temperature of the hottest place known, °C.
    cell_spread_v : float array, shape (N,)
        Highest minus lowest cell voltage of the worst pack, V.
    any_reading : bool array, shape (N,)
        Whether the site gave any battery reading at all, scored or not.
    answering : bool array, shape (N,)
        Whether the site answers; only such a site can be told silent.
    soh_warning, soh_critical, soc_critical : float arrays, shape (N,)
        Limits in %. Below the limit is the issue; the limit itself is not.
    temperature_max : float array, shape (N,)
        °C; above it is a warning, more than 10 °C above it is critical.
    cell_spread_warning, cell_spread_critical : float arrays, shape (N,)
        Limits in V; above is the issue. Below 10 % and from 95 % of charge they are 0.25 and
        0.40 V (:class:`scoring.cells.imbalance.SpreadLimits`) unless given higher; with an unknown
        charge they hold as they are.

    Returns
    -------
    Component
        Unknown (NaN) where none of the four inputs is known.
    """
    heat = temperature_max + CRITICAL_TEMPERATURE_STEP
    zone = zones(soc_percent, empty_below=STEEP_BELOW_PERCENT, full_from=STEEP_FROM_PERCENT)
    steep = (zone == Zone.EMPTY) | (zone == Zone.FULL)
    spread_warning, spread_critical = (
        np.where(steep, np.maximum(limit, end), limit)
        for limit, end in zip(
            (cell_spread_warning, cell_spread_critical), DEFAULT_LIMITS.ends, strict=True
        )
    )
    findings = (
        finding(
            BATTERY_SOH,
            soh_percent,
            (soh_percent < soh_critical, Severity.CRITICAL, 50, soh_critical),
            (soh_percent < soh_warning, Severity.WARNING, 20, soh_warning),
        ),
        finding(
            BATTERY_TEMPERATURE,
            temperature_c,
            (temperature_c > heat, Severity.CRITICAL, 20, heat),
            (temperature_c > temperature_max, Severity.WARNING, 20, temperature_max),
        ),
        finding(
            CELL_SPREAD,
            cell_spread_v,
            (cell_spread_v > spread_critical, Severity.CRITICAL, 20, spread_critical),
            (cell_spread_v > spread_warning, Severity.WARNING, 10, spread_warning),
        ),
        finding(
            BATTERY_SOC,
            soc_percent,
            (soc_percent < soc_critical, Severity.WARNING, 10, soc_critical),
        ),
        finding(
            BATTERY_SILENT,
            np.full(soh_percent.shape, np.nan),
            (answering & ~any_reading, Severity.WARNING, 0, np.nan),
        ),
    )
    inputs = {
        "soh_percent": soh_percent,
        "temperature_c": temperature_c,
        "cell_spread_v": cell_spread_v,
        "soc_percent": soc_percent,
    }
    return component("battery", findings, inputs, np.ones(soh_percent.shape, dtype=bool))
