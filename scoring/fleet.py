"""The whole judgement of a fleet at one moment: readings and limits in, scores and issues out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from scoring.battery import (
    STEEP_BELOW_PERCENT,
    STEEP_FROM_PERCENT,
    assess_battery,
    minimum_kept,
)
from scoring.confidence import Confidence, confidence_of
from scoring.connectivity import assess_connectivity
from scoring.devices import assess_devices
from scoring.fleet_inputs import FleetInputs
from scoring.grid import GRID_INPUTS, assess_ac_input, assess_grid, steadiness
from scoring.issues import (
    BoolArray,
    Component,
    Finding,
    FloatArray,
    component,
    judge,
)
from scoring.limits import FALLEN_BELOW, MUCH_FALLEN_BELOW
from scoring.notice_rules import NOTICE_RULES
from scoring.outliers import (
    ODD_IN_SEVERAL_WAYS,
    OUTLIER_METRICS,
    Outliers,
    believed,
    explained,
    odd_in_several,
    robust_scores,
)
from scoring.overall import Overall, combine
from scoring.pv_past import RELEASE
from scoring.ranking import attention_rank, performance_rank
from scoring.rule import Rule
from scoring.rules import MAIN_READING_SILENT, PV_LOW, PV_UNDERPERFORMING
from scoring.solar import LOW_BELOW, UNDERPERFORMING_BELOW, SolarResult, assess_solar
from scoring.window_findings import STILL_HOURS, WindowInputs, assess_window, still
from scoring.window_rules import PV_SHIFTED, PV_SOILED

BATTERY_INPUTS = (
    "soc_percent",
    "current_a",
    "power_w",
    "battery_lowest_soh_percent",
    "battery_hottest_c",
    "cell_highest_v",
)
"""Readings of which a site with a battery gives at least one. A DC voltage alone may be that of an
inverter or a solar charger."""


ASLEEP_BELOW, ASLEEP_POWER = 0.8, 0.02
"""Of the nominal voltage and of the installed PV: a grid at which an inverter stays connected has
more, and an inverter that is awake makes more."""


@dataclass(frozen=True, slots=True)
class FleetScores:
    """The judgement: arrays of shape (N,).

    ``outliers`` has one entry for each of :data:`scoring.outliers.OUTLIER_METRICS`, by name.
    ``attention`` and ``performance`` are ranks from 1. ``odd`` are sites a little odd in several of
    these metrics at once, by ``odd_score`` (:func:`scoring.outliers.odd_in_several`).
    """

    components: tuple[Component, ...]
    findings: tuple[Finding, ...]
    overall: Overall
    offline: BoolArray
    solar: SolarResult
    outliers: Mapping[str, Outliers]
    attention: NDArray[np.intp]
    performance: NDArray[np.intp]
    confidence: Confidence
    odd_score: FloatArray
    odd: BoolArray

    @property
    def odd_ways(self) -> dict[str, BoolArray]:
        """Sites that are odd to their harm, shape (N,): ``odd_`` and a metric, or in several ways.

        Named like issues, so that what such sites share can be looked for as it is for those.
        """
        ways = {m.odd_code: m.concerns(self.outliers[m.name]) for m in OUTLIER_METRICS}
        return ways | {ODD_IN_SEVERAL_WAYS: self.odd}


def assess_fleet(inputs: FleetInputs) -> FleetScores:
    """Score every site, find its issues, compare it with its peers and rank it.

    A site is offline once it has been tried and has not answered for ``offline_after_s``, or
    never. Its old readings are stale by then and judge nothing.
    """
    read = inputs.readings
    never = np.isnan(inputs.age_s)
    offline = inputs.tried & (never | (inputs.age_s > inputs.offline_after_s))
    answering = inputs.tried & ~offline
    no_grid = inputs.off_grid | (read["grid_expected"] == 0)
    noticed = (*_noticed(inputs, answering, no_grid), *_past(inputs, answering, no_grid))
    any_battery = np.any([~np.isnan(read[name]) for name in BATTERY_INPUTS], axis=0)
    battery = assess_battery(
        soh_percent=read["battery_lowest_soh_percent"],
        soc_percent=read["soc_percent"],
        minimum_soc_percent=_minimum(inputs),
        temperature_c=read["battery_hottest_c"],
        cell_spread_v=read["cell_widest_spread_v"],
        cell_highest_v=read["cell_highest_v"],
        any_reading=any_battery,
        answering=answering,
        cell_found=inputs.cell_found,
        without_grid=no_grid | (read["grid_connected"] == 0),
        limits=inputs.thresholds,
        required=inputs.required.of_component("battery"),
        noticed=tuple(f for f in noticed if f.rule.component == "battery"),
        held=inputs.held,
    )
    of_grid = inputs.required.of_component("grid")
    asleep = _asleep(inputs, any_battery)
    hz, low_v, high_v = (
        np.where(asleep, np.nan, values)
        for values in (
            read["grid_frequency_hz"],
            _or_mean(read, "grid_voltage_min_v"),
            _or_mean(read, "grid_voltage_max_v"),
        )
    )
    grid = assess_grid(
        connected=read["grid_connected"],
        frequency_hz=hz,
        voltage_min_v=low_v,
        voltage_max_v=high_v,
        frequency_std_hz=steadiness(inputs.frequencies_hz),
        frequency_step_hz=read["grid_frequency_step_hz"],
        off_grid=no_grid,
        nominal=inputs.nominal,
        limits=inputs.thresholds,
        required=of_grid,
        reported={name: read[name] for name in of_grid if name not in GRID_INPUTS},
        noticed=tuple(f for f in noticed if f.rule.component == "grid"),
        held=inputs.held,
    )
    solar, solar_result = _assess_solar(
        inputs, answering, tuple(f for f in noticed if f.rule.component == "solar")
    )
    connectivity = assess_connectivity(
        worked=inputs.worked,
        attempted=inputs.attempted,
        answered=inputs.answered,
        age_s=inputs.age_s,
        interval_s=inputs.interval_s,
        offline_after_s=inputs.offline_after_s,
        offline=offline,
        noticed=tuple(f for f in noticed if f.rule.component == "connectivity"),
        held=inputs.held,
    )
    devices = (
        *assess_devices(
            alarm_level=inputs.alarm_level,
            implausible=inputs.implausible,
            wrong_types=inputs.wrong_types,
            answering=answering,
            held=inputs.held,
        ),
        _main_reading_silent(inputs, answering),
        *assess_ac_input(
            frequency_hz=read["ac_input_frequency_hz"],
            voltage_v=read["ac_input_voltage_v"],
            nominal=inputs.nominal,
            answering=answering,
            held=inputs.held,
        ),
        *(f for f in noticed if f.rule.component == "devices"),
    )
    components = (battery, grid, solar, connectivity)
    overall = combine(components, devices, offline)
    outliers = _outliers(inputs)
    odd_score, odd = odd_in_several(outliers)
    rank_inputs = (overall.score, overall.status, inputs.priority, inputs.ids)
    return FleetScores(
        components=components,
        findings=(*(f for c in components for f in c.findings), *devices),
        overall=overall,
        offline=offline,
        solar=solar_result,
        outliers=outliers,
        odd_score=odd_score,
        odd=odd,
        attention=attention_rank(*rank_inputs),
        performance=performance_rank(*rank_inputs),
        confidence=_confidence(inputs, components, overall, solar_result, offline),
    )


def _asleep(inputs: FleetInputs, any_battery: BoolArray) -> BoolArray:
    """Inverters without a battery that sleep, wake or fall asleep: what they measure is no grid."""
    read = inputs.readings
    low = read["grid_voltage_v"] < ASLEEP_BELOW * inputs.nominal.v
    makes = read["pv_power_w"] > ASLEEP_POWER * 1000.0 * inputs.solar_capacity_kw
    return (inputs.solar_capacity_kw > 0) & ~any_battery & low & ~makes


def _minimum(inputs: FleetInputs) -> FloatArray:
    """Charge at which each battery's discharging ends."""
    nothing = np.full(inputs.pv_ratio.shape, np.nan)
    floor, highest = (
        inputs.window.get(name, nothing) for name in ("soc_floor_percent", "soc_highest_percent")
    )
    return minimum_kept(inputs.readings["minimum_soc_percent"], floor, highest)


def _or_mean(read: Mapping[str, FloatArray], name: str) -> FloatArray:
    """The extreme phase voltage; of a device that gives one voltage alone, that one."""
    return np.where(np.isnan(read[name]), read["grid_voltage_v"], read[name])


def _noticed(inputs: FleetInputs, answering: BoolArray, no_grid: BoolArray) -> tuple[Finding, ...]:
    """A finding for each rule that a driver's notice decides."""
    nothing = np.broadcast_to(np.nan, answering.shape)
    nowhere = np.broadcast_to(np.False_, answering.shape)
    found = []
    for rule in NOTICE_RULES:
        where = inputs.notices.get(rule.code, nowhere)
        if where.any():
            where = where & answering & ~(no_grid & (rule.component == "grid"))
        found.append(judge(rule, nothing, {}, where))
    return tuple(found)


def _main_reading_silent(inputs: FleetInputs, answering: BoolArray) -> Finding:
    """Sites that answer without the reading for which they are there."""
    silent = np.zeros_like(answering)
    for reading, where in inputs.required.main.items():
        silent |= where & np.isnan(inputs.readings[reading])
    return judge(MAIN_READING_SILENT, np.full(answering.shape, np.nan), {}, answering & silent)


def _confidence(
    inputs: FleetInputs,
    components: tuple[Component, ...],
    overall: Overall,
    solar: SolarResult,
    offline: BoolArray,
) -> Confidence:
    stuck = [still(inputs.window, name) for name in STILL_HOURS]
    count = np.zeros(offline.shape)
    for mask in stuck:
        if mask is not None:
            count += mask
    worked = np.full(offline.shape, np.nan)
    np.divide(inputs.worked, inputs.attempted, out=worked, where=inputs.attempted > 0)
    return confidence_of(
        components,
        overall,
        solar,
        worked_share=worked,
        stuck=count,
        unusable=inputs.implausible + inputs.wrong_types,
        observed_ratio=inputs.window.get("observed_ratio", np.full(offline.shape, np.nan)),
        offline=offline,
    )


def _past(inputs: FleetInputs, answering: BoolArray, no_grid: BoolArray) -> tuple[Finding, ...]:
    return assess_window(
        WindowInputs(
            figures=inputs.window,
            readings=inputs.readings,
            limits=inputs.thresholds,
            answering=answering,
            no_grid=no_grid,
            has_pv=inputs.solar_capacity_kw > 0,
            held=inputs.held,
        )
    )


def _assess_solar(
    inputs: FleetInputs, answering: BoolArray, past: tuple[Finding, ...]
) -> tuple[Component, SolarResult]:
    """The solar component; ``past`` are the findings over the recent past."""
    has_pv = inputs.solar_capacity_kw > 0
    # Where the sun of the fleet file is not the site's own, a comparison with it means nothing.
    shifted = np.any([f.severity > 0 for f in past if f.rule is PV_SHIFTED], axis=0)
    judged_pv = has_pv & ~shifted
    if inputs.curtailed is not None:
        judged_pv &= ~inputs.curtailed
    before = inputs.solar_before
    current = judged_pv & answering & inputs.pv_current
    result = assess_solar(
        inputs.pv_ratio,
        [inputs.region],
        current,
        yields=inputs.pv_yield,
        before=before,
        passed_s=inputs.passed_s,
        elapsed_s=inputs.elapsed_s,
        lasting_s=inputs.pv_lasting_s,
    )
    if before is not None:
        result = result.or_before(before, judged_pv)
    fallen = _fallen(inputs, judged_pv, past)
    findings = (*_yield_findings(inputs, result, fallen, answering), *past)
    needed = {"pv_power_w": inputs.readings["pv_power_w"], "latitude": inputs.latitude}
    required = inputs.required.of_component("solar")
    applicable = {
        name: has_pv & (required.get(name, has_pv) | ~np.isnan(inputs.readings["pv_power_w"]))
        for name in needed
    }
    base = component("solar", findings, needed, applicable)
    # Present inputs allow a judgement, but only a stretch of daylight brings one.
    by_past = np.any([f.severity > 0 for f in findings[:2]], axis=0)
    unknown = np.isnan(result.score) & ~by_past
    score = np.where(unknown | ~answering, np.nan, base.score)
    return replace(base, score=score), result


def _fallen(inputs: FleetInputs, judged_pv: BoolArray, past: tuple[Finding, ...]) -> FloatArray:
    """PV of the last days, of what is usual at the site; NaN where dirt explains it."""
    fallen = inputs.window.get("pv_of_usual_ratio")
    if fallen is None:
        return np.full(judged_pv.shape, np.nan)
    soiled = np.any([f.severity > 0 for f in past if f.rule is PV_SOILED], axis=0)
    return np.where(judged_pv & ~soiled, fallen, np.nan)


def _yield_findings(
    inputs: FleetInputs, result: SolarResult, fallen: FloatArray, answering: BoolArray
) -> tuple[Finding, ...]:
    """What is low beside sun and neighbours now, and what its last days are beside its own past."""
    now = np.where(np.isnan(result.relative), inputs.pv_ratio, result.relative)
    lasts = result.low_s >= inputs.pv_lasting_s
    had_low, had_much = _had(inputs, PV_LOW), _had(inputs, PV_UNDERPERFORMING)
    lasts |= had_low
    much = ~result.underperforming & (fallen < MUCH_FALLEN_BELOW + RELEASE * had_much)
    underperforming = result.underperforming | much
    low_now = lasts & (result.relative < LOW_BELOW)
    by_past = ~low_now & (fallen < FALLEN_BELOW + RELEASE * had_low)
    by_now = ~np.isnan(result.score) & lasts
    limits = {
        PV_UNDERPERFORMING.code: np.where(much, MUCH_FALLEN_BELOW, UNDERPERFORMING_BELOW),
        PV_LOW.code: np.where(by_past, FALLEN_BELOW, LOW_BELOW),
    }
    return (
        judge(PV_UNDERPERFORMING, np.where(much, fallen, now), limits, answering & underperforming),
        judge(
            PV_LOW,
            np.where(by_past, fallen, now),
            limits,
            answering & (by_now | by_past) & ~underperforming,
            compared=np.where(by_past, fallen, result.relative),
            held=inputs.held,
        ),
    )


def _had(inputs: FleetInputs, rule: Rule) -> BoolArray:
    """Where the judgement before had an issue."""
    before = inputs.held.get(rule.code)
    return np.zeros(inputs.pv_ratio.shape, dtype=bool) if before is None else before.severity > 0


def _outliers(inputs: FleetInputs) -> dict[str, Outliers]:
    groupings = (inputs.battery_type, inputs.region, inputs.project)
    nothing = np.full(inputs.pv_ratio.shape, np.nan)
    soc = inputs.readings["soc_percent"]
    # At either end of the charge cells lie apart in every battery.
    steep = (soc < STEEP_BELOW_PERCENT) | (soc >= STEEP_FROM_PERCENT)
    hottest = inputs.readings["battery_hottest_c"]
    by_load = explained(hottest, inputs.window.get("mean_square_c", nothing), inputs.battery_type)
    values = {
        **inputs.readings,
        "battery_hottest_c": hottest - by_load,
        "pv_performance_ratio": np.where(inputs.pv_current, inputs.pv_ratio, np.nan),
        "soh_trend_percent_month": inputs.window.get("soh_slope", nothing),
        "cell_widest_spread_v": np.where(steep, np.nan, inputs.readings["cell_widest_spread_v"]),
    }
    found = believed(
        {
            metric.name: robust_scores(values[metric.input], groupings, floor=metric.floor)
            for metric in OUTLIER_METRICS
        }
    )
    hot = found["temperature"]
    return found | {"temperature": replace(hot, median=hot.median + by_load)}
