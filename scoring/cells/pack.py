"""One pack from its history to what has to be said of each cell: the modules put together."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from scoring.cells.basis import Basis, trend_points
from scoring.cells.critical import (
    DEVIATION_V,
    TEMPERATURE_K,
    TREND_PERCENT_PER_MONTH,
    CriticalCells,
    Pattern,
    critical_cells,
    latest,
    monthly_percent,
)
from scoring.cells.imbalance import DEFAULT_LIMITS, Imbalance, SpreadLimits, assess_imbalance
from scoring.cells.onset import from_onset
from scoring.cells.resistance import Resistance, SelfDischarge, load_steps, self_discharge
from scoring.cells.resolution import coarse_limits, excess, reading_step
from scoring.cells.rest import (
    BoolArray,
    Codes,
    FloatArray,
    Floats,
    at_rest,
    at_rest_by_voltage,
    check_times,
    zones,
)
from scoring.cells.sensors import Sensors, assess_sensors, silent_since, without_faulty
from scoring.cells.sudden import SuddenChange, daily_changes, sudden_changes
from scoring.cells.trend import (
    Forecast,
    Trend,
    current_trend,
    days_until,
)
from scoring.cells.windows import (
    ROUNDING_V,
    Windows,
    build_windows,
    deviations,
    medians,
    quiet_for,
    streaks,
    window_medians,
)

Reason = Literal[
    "imbalance_rest",
    "imbalance_load",
    "deviation",
    "temperature",
    "trend",
    "sudden_change",
    "resistance",
    "sensor_stuck",
    "sensor_noisy",
    "sensor_silent",
]


@dataclass(frozen=True)
class Finding:
    """Something to say of one cell.

    Attributes
    ----------
    cell : int
        Index of the cell in physical order, from 0.
    reason : str
        Stable code of the reason.
    severity : "info", "warning" or "critical"
        How much it matters.
    value : float
        Size of it, in ``unit``.
    unit : str
        "V", "K", "V/day", "d" or "1" for a ratio.
    since : float
        s; NaN where it is not known.
    text : str
        The same in words, without the name of the cell and without the time.
    """

    cell: int
    reason: Reason
    severity: Literal["info", "warning", "critical"]
    value: float
    unit: str
    since: float
    text: str


@dataclass(frozen=True, eq=False)
class PackAnalysis:
    """All that the history of one pack of C cells says.

    Attributes
    ----------
    windows : Windows
        Windows of one state, the days of faulty sensors taken out.
    rest, load : Imbalance
        Verdicts at rest and under load.
    sensors : Sensors
        Verdicts on the sense wires, by day.
    trend_basis : "rest", "load", "any" or "full"
        What the trend rests on, from :func:`scoring.cells.basis.trend_points`.
    trend : Trend
        Slope of each cell's deviation.
    until_warning, until_critical : Forecast
        Days until the limits of the spread at rest, of the cell's own distance from the median;
        near full the limits of that state.
    sudden : SuddenChange
        Latest jump of each cell at rest.
    critical : CriticalCells
        Cells critical by deviation, temperature or trend, with their neighbours.
    deviation_v, temperature_k : float array, shape (C,)
        Distance from the pack's median at rest on the plateau and in temperature, over the last
        day that has any; NaN where unknown.
    resistance : Resistance or None
        None where no current is known.
    self_discharge : SelfDischarge
        Loss of charge that the trend stands for; only on the basis "rest" not NaN.
    findings : tuple of Finding
        Most severe first, then by cell.
    """

    windows: Windows
    rest: Imbalance
    load: Imbalance
    sensors: Sensors
    trend_basis: Basis
    trend: Trend
    until_warning: Forecast
    until_critical: Forecast
    sudden: SuddenChange
    critical: CriticalCells
    deviation_v: FloatArray
    temperature_k: FloatArray
    resistance: Resistance | None
    self_discharge: SelfDischarge
    findings: tuple[Finding, ...]


LOAD_PER_HOUR = 0.1
"""Share of the capacity per hour from which a current shows the resistance of a cell."""

CLEAR_AFTER_SECONDS = 86400.0
"""A day, in which a pack that is used daily comes by where an imbalance shows, s."""

FULL_SPANS_DAYS = (90.0, 30.0)
"""Near full a cell settles for weeks after a charge, which over a fortnight is a trend, days."""

SEVERITIES = ("info", "warning", "critical")


def _state(
    t: FloatArray,
    voltages: Floats,
    current_a: Floats | None,
    soc_percent: Floats | None,
    capacity_ah: float,
    step_v: float,
) -> tuple[BoolArray, Codes, BoolArray, BoolArray, Floats, Floats]:
    """Rest, zone, load and steadiness of each sample, the median and each cell's deviation."""
    coarse = excess(step_v) > 0
    median, deviation = deviations(voltages, step=step_v if coarse else 0.0)
    by_current = current_a is not None and capacity_ah > 0 and bool(np.isfinite(current_a).any())
    if by_current and current_a is not None:
        resting = at_rest(t, current_a, capacity_ah)
        loaded: BoolArray = np.abs(current_a) >= LOAD_PER_HOUR * capacity_ah
        step = np.abs(np.diff(current_a, prepend=np.nan))
        steady: BoolArray = step <= 0.02 * capacity_ah
    else:
        # One cell of a dozen that goes to the next step and back moves the median this much.
        resting = at_rest_by_voltage(t, median, band_v=max(0.0015, 0.3 * step_v))
        loaded = ~resting
        # A load that changes between two samples shows as a jump of the whole pack.
        steady = np.abs(np.diff(median, prepend=np.nan)) <= max(
            0.002, 0.5 * step_v if coarse else 0.0
        )
    soc = np.full(t.shape, np.nan) if soc_percent is None else soc_percent
    return resting, zones(soc, median, resting), loaded, steady, median, deviation


def _temperature(
    windows: Windows, temperature_c: Floats | None, limit_k: float
) -> tuple[FloatArray, FloatArray]:
    """Latest distance of each cell's temperature from the median, K, and since when it is hot."""
    cells = windows.deviation_v.shape[1]
    if temperature_c is None or windows.start.size == 0:
        return np.full(cells, np.nan), np.full(cells, np.nan)
    _, off = deviations(temperature_c)
    each = window_medians(off, windows.first, windows.stop)
    evidence = (each >= limit_k).astype(np.int8) - (each < 0.8 * limit_k).astype(np.int8)
    since, _ = streaks(evidence, windows.start, windows.seconds)
    recent = each[windows.start > windows.start[-1] - 86400.0]
    # A cell that is hot under load and cool at night is hot: the warmest eighth of a day decides.
    known = np.isfinite(recent).any(axis=0)
    level = np.full(cells, np.nan)
    level[known] = np.nanquantile(recent[:, known], 0.875, axis=0)
    return level, since


def _days(days: float) -> str:
    return "over a year" if days > 365 else f"{days:.0f}"


def _trend_text(slope: float, name: str, limit: float, forecast: Forecast, cell: int) -> str:
    way = "rises" if slope > 0 else "falls"
    text = f"{way} {abs(slope) * 1e3:.2f} mV a day against its pack"
    days = float(forecast.days[cell])
    if days == 0:
        return f"{text} and is beyond {limit * 1e3:.0f} mV ({name})"
    if np.isinf(days):
        return f"{text}, back towards the median"
    between = f"{_days(float(forecast.earliest[cell]))} to {_days(float(forecast.latest[cell]))}"
    goal = f"{text} and reaches {limit * 1e3:.0f} mV ({name}) in"
    if days > 365:
        return f"{goal} over a year"
    unit = "day" if f"{days:.0f}" == "1" else "days"
    return f"{goal} about {days:.0f} {unit} ({between})"


NEIGHBOUR_WORDS = {
    Pattern.NONE: "",
    Pattern.ALONE: "; its neighbours are ordinary, so it is the cell",
    Pattern.FALLS_OFF: "; it falls off over the neighbours of cell {}, as heat does",
    Pattern.WIDE: "; its neighbours share it without falling off",
}


def _neighbours(pattern: int, centre: int, *, heat: bool) -> str:
    if pattern == Pattern.FALLS_OFF and not heat:
        return "; cells next to it are off to the same side"
    return NEIGHBOUR_WORDS[Pattern(pattern)].format(centre + 1)


def _imbalance_findings(verdict: Imbalance, reason: Reason, where: str) -> list[Finding]:
    found = []
    for cell in np.flatnonzero(verdict.level > 0).tolist():
        off = float(verdict.deviation_v[cell])
        side = "above" if off > 0 else "below"
        found.append(
            Finding(
                cell,
                reason,
                "critical" if verdict.level[cell] > 1 else "warning",
                off,
                "V",
                float(verdict.since[cell]),
                f"{abs(off) * 1e3:.0f} mV {side} the median of its pack {where}",
            )
        )
    return found


SENSOR_REASONS: dict[str, tuple[Reason, str]] = {
    "stuck": ("sensor_stuck", "its reading stands still while the pack moves"),
    "noisy": ("sensor_noisy", "its reading jumps about: a loose sense wire"),
}


def _sensor_findings(sensors: Sensors) -> list[Finding]:
    found = []
    for fault in sensors.faults:
        if fault.lasting:
            reason, text = SENSOR_REASONS[fault.kind]
            if fault.mirrored_with >= 0:
                text += f", shared with cell {fault.mirrored_with + 1}"
            found.append(
                Finding(fault.cell, reason, "warning", fault.noise_v, "V", fault.start, text)
            )
    return found


def _silent_findings(t: FloatArray, voltages: Floats) -> list[Finding]:
    found = []
    last = silent_since(t, voltages)
    for cell in np.flatnonzero(np.isfinite(last)).tolist():
        since = float(last[cell])
        days = (float(t[-1]) - since) / 86400.0
        text = f"no reading for {days:.0f} {'day' if f'{days:.0f}' == '1' else 'days'}"
        found.append(Finding(cell, "sensor_silent", "warning", days, "d", since, text))
    return found


def analyse_pack(  # noqa: C901, PLR0915 - one chain in which each step uses those before
    t: FloatArray,
    voltages: Floats,
    *,
    current_a: Floats | None = None,
    soc_percent: Floats | None = None,
    temperature_c: Floats | None = None,
    capacity_ah: float = float("nan"),
    limits: SpreadLimits = DEFAULT_LIMITS,
    deviation_limit_v: float = DEVIATION_V,
    temperature_limit_k: float = TEMPERATURE_K,
    trend_limit: float = TREND_PERCENT_PER_MONTH,
    min_trend_days: int = 9,
) -> PackAnalysis:
    """Analyse the history of one pack.

    Parameters
    ----------
    t : float array, shape (T,)
        Seconds (UTC), float64, strictly ascending, not necessarily even.
    voltages : float array, shape (T, C)
        V, cells in physical order, float32 or float64; NaN where missing.
    current_a : float array, shape (T,), optional
        A, positive when charging. Power in W does as well, with a capacity in Wh; resistances are
        then of no use. Without it the voltage has to tell when the pack rests.
    soc_percent : float array, shape (T,), optional
        State of charge, 0 to 100. Without it only rest is judged, by voltage.
    temperature_c : float array, shape (T, C), optional
        °C of each cell.
    capacity_ah : float
        Nominal capacity, Ah; with NaN the current is not used.
    limits : SpreadLimits
        Limits of the spread; those on the plateau at rest are also what is forecast.
    deviation_limit_v, temperature_limit_k, trend_limit : float
        As in :func:`scoring.cells.critical.critical_cells`.
    min_trend_days : int
        Days that a kind of windows must give to carry the trend.

    Raises
    ------
    ValueError
        If the times do not ascend or the shapes do not fit.
    """
    check_times(t)
    if temperature_c is not None and temperature_c.shape != voltages.shape:
        raise ValueError("temperature must have the shape of the voltages")
    if soc_percent is not None and soc_percent.shape != t.shape:
        raise ValueError("soc_percent must have the shape of the times")
    step_v = reading_step(t, voltages)
    coarser_limits = coarse_limits(limits, step_v)
    deviation_limit_v += 0.5 * excess(step_v)
    resting, zone, loaded, steady, median, deviation = _state(
        t, voltages, current_a, soc_percent, capacity_ah, step_v
    )
    every = build_windows(t, median, deviation, resting, zone, loaded)
    sensors = assess_sensors(
        t,
        voltages,
        deviation,
        steady,
        moved_v=max(0.020, 3.0 * step_v),
        jump_v=max(0.005, 1.5 * step_v),
    )
    windows = without_faulty(every, sensors)

    rest, load = (
        assess_imbalance(
            windows.only(windows.resting == at_rest_too),
            limits=coarser_limits,
            clear_after_seconds=CLEAR_AFTER_SECONDS,
        )
        for at_rest_too in (True, False)
    )
    basis, points, day, daily = trend_points(windows, min_trend_days)
    if basis == "full":
        trend = current_trend(
            day, daily, spans_days=FULL_SPANS_DAYS, min_span_days=28.0, resolution_v=step_v
        )
        warning_v, critical_v = limits.ends
    else:
        trend = current_trend(day, daily, resolution_v=step_v)
        warning_v, critical_v = limits.plateau_rest
    trend, onset = from_onset(trend, day, daily, resolution_v=step_v)
    until_warning, until_critical = days_until(trend, warning_v), days_until(trend, critical_v)

    at_rest_now = windows.only(windows.resting & windows.usual)
    deviation_v = latest(at_rest_now.deviation_v, at_rest_now.start)
    temperature_k, hot_since = _temperature(every, temperature_c, temperature_limit_k)
    level = float(medians(points.median_v)) if points.start.size else float("nan")
    # Near full a hundredth of the charge is tens of millivolts: no share of the voltage counts.
    counts = trend.carried & (basis != "full")
    monthly = np.where(counts, monthly_percent(trend.slope_v_per_day, level), np.nan)
    critical = critical_cells(
        deviation_v,
        temperature_k,
        monthly,
        deviation_limit_v=deviation_limit_v,
        temperature_limit_k=temperature_limit_k,
        trend_limit=trend_limit,
    )
    least_jump = max(0.010, 2.0 * step_v)
    sudden = (
        sudden_changes(at_rest_now, step_v=least_jump)
        if basis == "rest"
        else daily_changes(day, daily, step_v=least_jump)
    )
    resistance = None
    if current_a is not None and capacity_ah > 0:
        resistance = load_steps(t, voltages, current_a, capacity_ah, zone)
    at_rest_only = replace(trend, carried=trend.carried & (basis == "rest"))
    leak = self_discharge(at_rest_only, capacity_ah)

    found = _imbalance_findings(rest, "imbalance_rest", "at rest")
    found += _imbalance_findings(load, "imbalance_load", "under load")
    found += _sensor_findings(sensors)
    found += _silent_findings(t, voltages)
    listed = {f.cell for f in found if f.reason == "imbalance_rest"}
    off_since = _deviation_since(at_rest_now, deviation_limit_v)
    for cell in np.flatnonzero(critical.deviation).tolist():
        off = float(deviation_v[cell])
        around = critical.voltage_pattern
        # An imbalance at rest says the same and more.
        if cell not in listed:
            side = "above" if off > 0 else "below"
            text = f"{abs(off) * 1e3:.0f} mV {side} the median of its pack at rest"
            text += _neighbours(int(around.pattern[cell]), int(around.centre[cell]), heat=False)
            since = float(off_since[cell])
            found.append(Finding(cell, "deviation", "info", off, "V", since, text))
    for cell in np.flatnonzero(critical.temperature).tolist():
        above, around = float(temperature_k[cell]), critical.temperature_pattern
        text = f"{above:.1f} °C warmer than its pack"
        text += _neighbours(int(around.pattern[cell]), int(around.centre[cell]), heat=True)
        since = float(hot_since[cell])
        found.append(Finding(cell, "temperature", "warning", above, "K", since, text))
    for cell in np.flatnonzero(trend.carried).tolist():
        slope = float(trend.slope_v_per_day[cell])
        away = bool(np.isfinite(until_critical.days[cell]))
        past = bool(until_warning.days[cell] == 0)
        name, limit, ahead = (
            ("critical", critical_v, until_critical)
            if past
            else ("warning", warning_v, until_warning)
        )
        text = _trend_text(slope, name, limit, ahead, cell)
        severe = away and (bool(critical.trend[cell]) or bool(ahead.days[cell] <= 30.0))
        since = float(onset[cell]) * 86400.0
        found.append(
            Finding(cell, "trend", "warning" if severe else "info", slope, "V/day", since, text)
        )
    for cell in np.flatnonzero(np.isfinite(sudden.step_v)).tolist():
        step = float(sudden.step_v[cell])
        if sudden.at[cell] > t[-1] - 7.0 * 86400.0:
            text = f"jumped by {step * 1e3:+.0f} mV against its pack from one "
            text += "rest to the next" if basis == "rest" else "day to the next"
            at = float(sudden.at[cell])
            found.append(Finding(cell, "sudden_change", "warning", step, "V", at, text))
    if resistance is not None:
        for cell in np.flatnonzero(resistance.raised).tolist():
            ratio = float(resistance.ratio[cell])
            text = f"{ratio:.1f} times the resistance of its pack's median under load steps"
            nan = float("nan")
            found.append(Finding(cell, "resistance", "warning", ratio, "1", nan, text))
    found.sort(key=lambda f: (-SEVERITIES.index(f.severity), f.cell, f.reason))
    return PackAnalysis(
        windows=windows,
        rest=rest,
        load=load,
        sensors=sensors,
        trend_basis=basis,
        trend=trend,
        until_warning=until_warning,
        until_critical=until_critical,
        sudden=sudden,
        critical=critical,
        deviation_v=deviation_v,
        temperature_k=temperature_k,
        resistance=resistance,
        self_discharge=leak,
        findings=tuple(found),
    )


def _deviation_since(windows: Windows, limit_v: float) -> FloatArray:
    distance = np.abs(windows.deviation_v)
    shown = distance + ROUNDING_V >= limit_v
    cleared = (distance < 0.8 * limit_v) & quiet_for(shown, windows.start, CLEAR_AFTER_SECONDS)
    evidence = shown.astype(np.int8) - cleared.astype(np.int8)
    since, _ = streaks(evidence, windows.start, windows.seconds)
    return since
