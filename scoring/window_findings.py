"""Findings over the recent past of every site."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from scoring.issues import BoolArray, Finding, FloatArray, Held, judge
from scoring.window_rules import (
    BATTERY_HOT_LONG,
    CHARGE_REFUSED,
    CLOUD_HOURS,
    CONTROLLER_RESTARTS,
    DISCHARGE_REFUSED,
    ENERGY_GAP,
    GRID_EXCURSIONS,
    GRID_OUTAGES,
    GRID_UNBALANCE,
    GRID_VOLTAGE_BAND,
    MODULES_BLOCKING,
    MODULES_OFFLINE,
    PV_SHIFTED,
    PV_SOILED,
    RESTARTS_OF_WEEK,
    SCRAPES_SLOW,
    SENSOR_STUCK,
    SOC_CONTRADICTED,
    SOC_STUCK,
    SOH_FALLING,
    WEATHER_HOURS,
)

STILL_HOURS: Mapping[str, float] = {
    "grid_voltage_v": 6.0,
    "grid_frequency_hz": 24.0,
    "voltage_v": 24.0,
    "temperature_c": 240.0,
}
"""Quantities that never stand still for so long while their sensor works, given the resolution of
common devices: a voltage of the grid moves by the minute, a battery in a cellar by the day."""

REST_SECONDS = 3600.0
EMPTY_CELL_V, NOT_EMPTY_PERCENT = 3.10, 40.0
"""Resting cells below it hold less than a tenth of their charge, of LFP and of NMC."""
FULL_CELL_V, NOT_FULL_PERCENT = 3.37, 70.0
"""Resting LFP cells above it are full."""
HIGHEST_LFP_V = 3.70
COUNTED_GAP, LEAST_MOVED = 0.35, 0.25
"""Of the moved energy, by which counters may differ from the charge, and of the capacity, from
which moved energy on: losses and a capacity that is a fifth off stay below it."""
REFUSED_SOC = (90.0, 30.0)
"""Up to which charge a battery should accept charge, and from which it should give some, %."""
LEAST_LATENCY_S = 1.0
SHIFT_RELEASE_HOURS = 0.25
"""How far back inside its limit a shift must come, so that one that hovers is one issue."""


@dataclass(frozen=True, slots=True)
class WindowInputs:
    """What findings over the past depend on; arrays of shape (N,).

    Attributes
    ----------
    figures : mapping of name to float array
        From :mod:`scoring.window`; one that is not in it is unknown.
    readings : mapping of name to float array
    limits : mapping of name to float array
    answering, no_grid, has_pv : bool arrays
    held : Held
    """

    figures: Mapping[str, FloatArray]
    readings: Mapping[str, FloatArray]
    limits: Mapping[str, FloatArray]
    answering: BoolArray
    no_grid: BoolArray
    has_pv: BoolArray
    held: Held

    def figure(self, name: str) -> FloatArray:
        """A figure of all sites, NaN where unknown."""
        found = self.figures.get(name)
        return np.full(self.answering.shape, np.nan) if found is None else found


def assess_window(inputs: WindowInputs) -> tuple[Finding, ...]:
    """All findings over the recent past; a site that does not answer has none."""
    return (*_grid(inputs), *_battery(inputs), *_solar(inputs), *_link(inputs))


def _grid(inputs: WindowInputs) -> tuple[Finding, ...]:
    on_grid = inputs.answering & ~inputs.no_grid
    return tuple(
        judge(rule, inputs.figure(name), inputs.limits, on_grid, held=inputs.held)
        for rule, name in (
            (GRID_EXCURSIONS, "frequency_excursions"),
            (GRID_VOLTAGE_BAND, "voltage_outside_ratio"),
            (GRID_OUTAGES, "grid_outages"),
            (GRID_UNBALANCE, "voltage_unbalance_ratio"),
        )
    )


def _battery(inputs: WindowInputs) -> tuple[Finding, ...]:
    read, up, held, limits = inputs.readings, inputs.answering, inputs.held, inputs.limits
    soc = read["soc_percent"]
    # The end of the interval that lies nearer to no loss at all.
    sure = -inputs.figure("soh_slope_high")
    rests = inputs.figure("rest_s") >= REST_SECONDS
    empty = rests & (read["cell_max_v"] < EMPTY_CELL_V) & (soc > NOT_EMPTY_PERCENT)
    is_lfp = inputs.figure("full_cell_v") <= HIGHEST_LFP_V
    full = rests & is_lfp & (read["cell_min_v"] > FULL_CELL_V) & (soc < NOT_FULL_PERCENT)
    blocking = np.fmax(read["modules_blocking_charge"], read["modules_blocking_discharge"])
    refused, refuses = inputs.figure("charge_refused_s"), inputs.figure("discharge_refused_s")
    return (
        judge(SOH_FALLING, -inputs.figure("soh_slope"), limits, up, sure, held),
        judge(BATTERY_HOT_LONG, inputs.figure("hot_h"), limits, up, held=held),
        judge(SOC_STUCK, inputs.figure("soc_stuck_ratio"), limits, up, held=held),
        judge(SOC_CONTRADICTED, soc, limits, up & (empty | full)),
        _energy_gap(inputs),
        judge(CHARGE_REFUSED, refused, limits, up & (soc < REFUSED_SOC[0]), held=held),
        judge(DISCHARGE_REFUSED, refuses, limits, up & (soc > REFUSED_SOC[1]), held=held),
        judge(MODULES_OFFLINE, read["modules_offline"], limits, up),
        judge(MODULES_BLOCKING, blocking, limits, up),
    )


def _energy_gap(inputs: WindowInputs) -> Finding:
    """By the gap of a day, or where that is small, by what counters miss of what was moved: a
    battery that does little can have a counter that counts a third."""
    gap, limit = inputs.figure("energy_gap_ratio"), inputs.limits["energy_gap_ratio"]
    share, moved = inputs.figure("counted_gap_ratio"), inputs.figure("moved_ratio")
    by_share = (share > COUNTED_GAP) & (moved >= LEAST_MOVED) & ~(gap > limit)
    value = np.where(by_share, share * moved, gap)
    least = np.where(by_share, COUNTED_GAP * moved, limit)
    limits = {"energy_gap_ratio": least}
    return judge(ENERGY_GAP, value, limits, inputs.answering, held=inputs.held)


def _restarts(inputs: WindowInputs) -> Finding:
    """By the last day, or where that is quiet, by the last week."""
    day, most = inputs.figure("controller_restarts"), inputs.limits["controller_restarts"]
    week, of_week = inputs.figure("controller_restarts_week"), RESTARTS_OF_WEEK
    by_week = (week > of_week) & ~(day > most)
    return judge(
        CONTROLLER_RESTARTS,
        np.where(by_week, week, day),
        {"controller_restarts": np.where(by_week, of_week, most)},
        inputs.answering,
    )


def _solar(inputs: WindowInputs) -> tuple[Finding, ...]:
    judged = inputs.answering & inputs.has_pv
    night = inputs.figure("pv_night_ratio")
    most = inputs.limits["pv_shift_hours"]
    before = inputs.held.get(PV_SHIFTED.code)
    release = 0.0 if before is None else SHIFT_RELEASE_HOURS * (before.severity > 0)
    most, by_weather = most - release, np.maximum(most, WEATHER_HOURS) - release
    alone, beside = inputs.figure("pv_shift_h"), inputs.figure("pv_shift_beside_h")
    # Clouds shift a site, though hardly by so much, unless they shift its neighbours as well.
    least = np.where(np.isnan(beside), most + CLOUD_HOURS, by_weather)
    counts = np.abs(alone) > least
    shift, limit = np.abs(np.where(counts, alone, beside)), np.where(counts, least, most)
    by_shift = judge(PV_SHIFTED, shift, {"pv_shift_hours": limit}, judged & (shift > limit))
    by_night = night > inputs.limits["pv_night_ratio"]
    severity = np.where(judged & by_night, PV_SHIFTED.levels[0].severity, by_shift.severity)
    return (
        replace(by_shift, severity=severity.astype(np.int8)),
        judge(
            PV_SOILED, inputs.figure("pv_soiling_ratio"), inputs.limits, judged, held=inputs.held
        ),
    )


def _link(inputs: WindowInputs) -> tuple[Finding, ...]:
    slow = inputs.figure("latency_s") > LEAST_LATENCY_S
    still = longest_still(inputs.figures, inputs.answering)
    ratio = inputs.figure("latency_ratio")
    up = inputs.answering
    return (
        judge(SCRAPES_SLOW, ratio, inputs.limits, up & slow, held=inputs.held),
        _restarts(inputs),
        judge(SENSOR_STUCK, still, {}, up & ~np.isnan(still)),
    )


def still(figures: Mapping[str, FloatArray], name: str) -> BoolArray | None:
    """Where a quantity has stood still for longer than its kind ever does."""
    hours = figures.get(f"{name} still_h")
    return None if hours is None else hours >= STILL_HOURS[name]


def longest_still(figures: Mapping[str, FloatArray], answering: BoolArray) -> FloatArray:
    """Hours for which the stillest of the stuck sensors has not moved, NaN without any."""
    longest = np.full(answering.shape, np.nan)
    for name in STILL_HOURS:
        stuck = still(figures, name)
        if stuck is not None:
            hours = np.where(stuck, figures[f"{name} still_h"], np.nan)
            longest = np.fmax(longest, hours)
    return longest
