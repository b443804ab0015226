"""Health of the batteries: state of health, temperature, cell spread, charge."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from scoring.cells.imbalance import DEFAULT_LIMITS
from scoring.cells.rest import Zone, zones
from scoring.issues import (
    NOTHING_HELD,
    BoolArray,
    Component,
    Finding,
    FloatArray,
    Held,
    component,
    judge,
)
from scoring.rules import (
    BATTERY_HEALTH_UNKNOWN,
    BATTERY_SILENT,
    BATTERY_SOC,
    BATTERY_SOH,
    BATTERY_TEMPERATURE,
    CELL_FINDING,
    CELL_SPREAD,
)

STEEP_BELOW_PERCENT, STEEP_FROM_PERCENT = 10.0, 95.0
"""Where the charge curve is so steep that cells in good order lie far apart, % of charge. The lower
end is narrower than in the analysis of stored cells: above 10 % a cell far below the others is an
empty one, and the load ends there."""
STEEP_ABOVE_V = 3.42
"""A pack whose highest cell stands lower is off the steep upper end, whatever charge is shown:
3.418 V is 99.5 % on the open-circuit curve of :mod:`scoring.cells.rest`, and cells of other
chemistries stand higher still when full."""

LEAST_MINIMUM_SOC_PERCENT = 5.0
"""A lower minimum protects no battery: chargers ship with 0 %, and a state of charge is seldom
known to within less."""
REST_ABOVE_PERCENT, REST_BELOW_PERCENT = 5.0, 2.0
"""How far above its own minimum a battery rests, and how far its charge may fall below it: losses
at idle and the resolution of the charge take one to two points before the device charges again."""
CHARGED_PERCENT = 10.0
"""By which a battery must have been above its usual floor within a day."""


def judged_against_minimum(limit_percent: FloatArray, minimum_percent: FloatArray) -> FloatArray:
    """The limit of low charge where the device keeps a minimum of its own.

    A limit no more than 5 % above that minimum would accuse a battery that rests where its device
    holds it; it becomes the minimum less 2 %. A limit is never raised, since a device that raises
    its minimum day by day has its battery below it all night.

    Parameters
    ----------
    limit_percent : float array, shape (N,)
        Limit of the state of charge, %.
    minimum_percent : float array, shape (N,)
        Charge at which the device stops discharging, %. NaN where unknown, and below 5 %, changes
        nothing.

    Returns
    -------
    float array, shape (N,)
        %.

    Examples
    --------
    With a limit of 10 %: a minimum of 10 % gives 8, of 5 % gives 3; 0, 3 and 20 % leave 10. A limit
    of 30 % stays above a minimum of 10 %, since somebody wants to know earlier.
    """
    rests_there = (minimum_percent >= LEAST_MINIMUM_SOC_PERCENT) & (
        limit_percent <= minimum_percent + REST_ABOVE_PERCENT
    )
    held = np.minimum(limit_percent, minimum_percent - REST_BELOW_PERCENT)
    return np.where(rests_there, held, limit_percent)


def minimum_kept(
    told_percent: FloatArray, floor_percent: FloatArray, highest_percent: FloatArray
) -> FloatArray:
    """The charge at which discharging ends: as the device tells it, else as its past days show it.

    Parameters
    ----------
    told_percent : float array, shape (N,)
        NaN where the device does not tell it.
    floor_percent, highest_percent : float arrays, shape (N,)
        Charge at which discharging ended again and again, and the highest of the last 24 hours, %.
        A battery that rests there and was not charged for a day is an empty one.

    Returns
    -------
    float array, shape (N,)
        %, NaN where unknown.
    """
    charged = highest_percent >= floor_percent + CHARGED_PERCENT
    return np.where(np.isnan(told_percent) & charged, floor_percent, told_percent)


def assess_battery(
    *,
    soh_percent: FloatArray,
    soc_percent: FloatArray,
    temperature_c: FloatArray,
    cell_spread_v: FloatArray,
    cell_highest_v: FloatArray,
    any_reading: BoolArray,
    answering: BoolArray,
    cell_found: BoolArray,
    without_grid: BoolArray,
    limits: Mapping[str, FloatArray],
    minimum_soc_percent: FloatArray | None = None,
    required: Mapping[str, BoolArray] = MappingProxyType({}),
    noticed: tuple[Finding, ...] = (),
    held: Held = NOTHING_HELD,
) -> Component:
    """Battery component: state of health, heat, cell spread and charge.

    Parameters
    ----------
    soh_percent, soc_percent : float arrays, shape (N,)
        State of health and of charge, 0 to 100 %.
    temperature_c : float array, shape (N,)
        Temperature of the hottest place known, °C.
    cell_spread_v : float array, shape (N,)
        Highest minus lowest cell voltage of the worst pack, V.
    cell_highest_v : float array, shape (N,)
        Voltage of the highest cell of all packs, V.
    any_reading : bool array, shape (N,)
        Whether the site gave any battery reading at all, scored or not.
    answering : bool array, shape (N,)
        Whether the site answers; only such a site can be silent about its battery.
    cell_found : bool array, shape (N,)
        Whether the analysis of stored cells reports a warning or worse of a cell.
    without_grid : bool array, shape (N,)
        Whether the site has no grid, or has lost it: an empty battery shuts it down.
    limits : mapping of name to float array, shape (N,)
        Limits of the sites, by the names of :data:`scoring.limits.LIMITS`. Below 10 % and from 95 %
        of charge those of the cell spread are 0.25 and 0.40 V
        (:class:`scoring.cells.imbalance.SpreadLimits`) unless given higher; with an unknown charge,
        from 95 % with a highest cell below 3.42 V, and for an issue that was found elsewhere on the
        curve, they hold as they are.
    minimum_soc_percent : float array, shape (N,), optional
        Charge at which the device itself stops discharging, %; see :func:`judged_against_minimum`.
        Without a grid the load takes what is there, and the limit holds as it is.
    required : mapping of input to bool array, shape (N,)
        Where the site should give an input; everywhere for inputs that are left out. One that is
        given is judged anyway.
    noticed : tuple of Finding
        What drivers noticed of batteries.
    held : mapping of code to HeldIssue
        The judgement before; see :func:`scoring.issues.judge`.

    Returns
    -------
    Component
        Unknown (NaN) where none of the four inputs is known.
    """
    zone = zones(soc_percent, empty_below=STEEP_BELOW_PERCENT, full_from=STEEP_FROM_PERCENT)
    steep = (zone == Zone.EMPTY) | ((zone == Zone.FULL) & ~(cell_highest_v < STEEP_ABOVE_V))
    before = held.get(CELL_SPREAD.code)
    spread_limits = {}
    for level, end in zip(reversed(CELL_SPREAD.levels), DEFAULT_LIMITS.ends, strict=True):
        # What was found on the plateau is not over because the pack is full or empty now.
        free = steep if before is None else steep & (before.severity < level.severity)
        plain = limits[level.limit]
        spread_limits[level.limit] = np.where(free, np.maximum(plain, end), plain)
    lowest = limits["soc_critical"]
    warns_below = lowest
    if minimum_soc_percent is not None:
        warns_below = judged_against_minimum(lowest, minimum_soc_percent)
    soc_limits = {
        "soc_critical": warns_below,
        "soc_without_grid": np.where(without_grid, lowest, np.nan),
    }
    everywhere = np.ones(soh_percent.shape, dtype=bool)
    nothing = np.full(soh_percent.shape, np.nan)
    health_unknown = np.isnan(soh_percent) & np.isnan(temperature_c) & np.isnan(cell_spread_v)
    inputs = {
        "soh_percent": soh_percent,
        "temperature_c": temperature_c,
        "cell_spread_v": cell_spread_v,
        "soc_percent": soc_percent,
    }
    needed = {name: required.get(name, everywhere) for name in inputs}
    has_battery = np.any(list(needed.values()), axis=0)
    findings = (
        judge(BATTERY_SOH, soh_percent, limits, everywhere, held=held),
        judge(BATTERY_TEMPERATURE, temperature_c, limits, everywhere, held=held),
        judge(CELL_SPREAD, cell_spread_v, spread_limits, everywhere, held=held),
        judge(CELL_FINDING, nothing, limits, answering & cell_found),
        judge(BATTERY_SOC, soc_percent, soc_limits, everywhere, held=held),
        judge(BATTERY_SILENT, nothing, limits, answering & ~any_reading & has_battery),
        judge(
            BATTERY_HEALTH_UNKNOWN,
            nothing,
            limits,
            answering & any_reading & health_unknown & needed["soh_percent"],
        ),
        *noticed,
    )
    applicable = {name: needed[name] | ~np.isnan(values) for name, values in inputs.items()}
    return component("battery", findings, inputs, applicable)
