"""Analyses the history of a site's packs: findings about each cell."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np

from exporter.history.cells.pack_cache import names_of, past_of
from exporter.history.cells.pack_grid import PackHistory, history_of
from exporter.history.cells.pack_reader import GRID_SECONDS
from exporter.history.influxql import InfluxQL, NoAnswerError
from exporter.model.cell_findings import (
    FORECAST_MV,
    CellFinding,
    CellState,
    Cycling,
    Estimate,
    Forecast,
    Health,
    PackCells,
    SiteCells,
    short_name,
)
from scoring.cells.cycles import depth_histogram, energy, rainflow_cycles, round_trip
from scoring.cells.cycles import temperature_hours as hours_by_temperature
from scoring.cells.pack import PackAnalysis, analyse_pack
from scoring.cells.soh import SohClass, measured_soh, model_soh, soh_class, voltage_anchors
from scoring.cells.trend import days_until

FEWEST_SAMPLES = 12
FEWEST_DAYS_OF_USE = 7.0
DAYS_PER_YEAR = 365.2425
_GAP_STEPS = 3


async def analyse_site(
    stored: InfluxQL,
    site: str,
    until: float,
    commissioned: date | None = None,
    folder: Path | None = None,
) -> SiteCells:
    """Read a site's history and judge it; the result says what cannot be read.

    Parameters
    ----------
    stored : InfluxQL
    site : str
    until : float
        Unix seconds; nothing later is looked at. Where nothing was stored lately, as in imported
        files, the history ends with the last that was.
    commissioned : date, optional
        When it went into service; without it there is no estimate of the state of health.
    folder : Path, optional
        Where its past is kept between runs; see :mod:`exporter.history.cells.pack_cache`.
    """
    try:
        past = await past_of(stored, site, until, folder)
    except NoAnswerError as error:
        return SiteCells(site, until, fault=str(error))
    if past is None:
        return SiteCells(site, until, fault="no single cells of this site are stored")
    names = names_of(past)
    packs = [judge(history_of(name, past.packs[name]), names, commissioned) for name in names]
    return SiteCells(site, until, tuple(pack for pack in packs if pack is not None))


def judge(
    history: PackHistory, packs: list[str], commissioned: date | None = None
) -> PackCells | None:
    """One pack; None if there is too little of it.

    Parameters
    ----------
    history : PackHistory
    packs : list of str
        All packs of the site, for the names of cells.
    commissioned : date, optional
    """
    if history.t.size < FEWEST_SAMPLES or len(history.labels) < 2:
        return None
    known = bool(np.isfinite(history.current_a).any()) and history.known.capacity_ah > 0
    found = analyse_pack(
        history.t,
        history.voltages,
        current_a=history.current_a if known else None,
        soc_percent=history.soc_percent if np.isfinite(history.soc_percent).any() else None,
        temperature_c=history.temperatures if np.isfinite(history.temperatures).any() else None,
        capacity_ah=history.known.capacity_ah if known else math.nan,
    )
    findings = tuple(
        CellFinding(
            cell=history.labels[f.cell],
            reason=f.reason,
            severity=f.severity,
            value=f.value,
            unit=f.unit,
            since=_number(f.since),
            sentence=f"Cell {short_name(history.pack, packs, history.labels[f.cell])} {f.text}"
            if not f.reason.startswith("sensor_")
            else f"Cell {short_name(history.pack, packs, history.labels[f.cell])}: {f.text}",
        )
        for f in found.findings
    )
    off = found.deviation_v[np.isfinite(found.deviation_v)]
    spread = float(off.max() - off.min()) if off.size else None
    cycling = _cycling(history)
    return PackCells(
        pack=history.pack,
        start=float(history.t[0]),
        end=float(history.t[-1]) + GRID_SECONDS,
        samples=int(np.isfinite(history.voltages).sum()),
        resting_windows=int(found.windows.resting.sum()),
        trend_basis=found.trend_basis,
        spread_rest_v=spread,
        cells=_cells(history, found),
        findings=findings,
        cycling=cycling,
        health=_health(history, found, known, _estimate(history, cycling, spread, commissioned)),
    )


def _cells(history: PackHistory, found: PackAnalysis) -> tuple[CellState, ...]:
    trend = found.trend
    ahead = {mv: days_until(trend, mv / 1000.0) for mv in FORECAST_MV}
    ratio = None if found.resistance is None else found.resistance.ratio
    cells = []
    for n, label in enumerate(history.labels):
        carried = bool(trend.carried[n])
        forecasts = tuple(
            Forecast(
                mv,
                _number(float(made.days[n])),
                _number(float(made.earliest[n])),
                _number(float(made.latest[n])),
            )
            for mv, made in ahead.items()
            # Limits for half charge do not apply near full charge.
            if carried and found.trend_basis != "full"
        )
        cells.append(
            CellState(
                cell=label,
                deviation_v=_number(float(found.deviation_v[n])),
                temperature_k=_number(float(found.temperature_k[n])),
                slope_v_per_day=_number(float(trend.slope_v_per_day[n])) if carried else None,
                slope_low=_number(float(trend.low[n])) if carried else None,
                slope_high=_number(float(trend.high[n])) if carried else None,
                resistance_ratio=None if ratio is None else _number(float(ratio[n])),
                forecasts=forecasts,
            )
        )
    return tuple(cells)


def _cycling(history: PackHistory) -> Cycling | None:
    has_soc = bool(np.isfinite(history.soc_percent).sum() > 1)
    has_power = bool(np.isfinite(history.power_w).sum() > 1)
    if not has_soc and not has_power:
        return None
    t = history.t
    cycles = rainflow_cycles(t, history.soc_percent) if has_soc else None
    flow = (
        energy(t, history.power_w, max_gap_seconds=_GAP_STEPS * history.step) if has_power else None
    )
    nominal_wh = _nominal_wh(history)
    trip = None
    if has_soc and has_power and nominal_wh > 0:
        trip = round_trip(
            t,
            history.power_w,
            history.soc_percent,
            nominal_wh,
            max_gap_seconds=_GAP_STEPS * history.step,
        )
    # Temperatures may be stored less often than voltages.
    known = np.isfinite(history.temperatures).any(axis=1)
    warm = hours_by_temperature(t[known], history.temperatures[known])
    return Cycling(
        days=float(t[-1] - t[0]) / 86_400.0,
        cycles=None if cycles is None else float(cycles.count.sum()),
        equivalent_full=None if cycles is None else float(cycles.equivalent_full),
        depth_counts=() if cycles is None else tuple(depth_histogram(cycles).tolist()),
        charged_kwh=None if flow is None else flow.charged_wh / 1000.0,
        discharged_kwh=None if flow is None else flow.discharged_wh / 1000.0,
        missing_hours=None if flow is None else flow.missing_seconds / 3600.0,
        efficiency=None if trip is None else _number(trip.efficiency),
        efficiency_uncertainty=None if trip is None else _number(trip.uncertainty),
        temperature_hours=tuple(warm.sum(axis=1).tolist()) if known.any() else (),
    )


def _nominal_wh(history: PackHistory) -> float:
    return history.known.capacity_ah * float(np.nanmedian(history.voltages)) * len(history.labels)


def _estimate(
    history: PackHistory,
    cycling: Cycling | None,
    spread_v: float | None,
    commissioned: date | None,
) -> Estimate | None:
    """State of health by age and use; None where an input is missing."""
    if commissioned is None or spread_v is None:
        return None
    begun = datetime(commissioned.year, commissioned.month, commissioned.day, tzinfo=UTC)
    age_days = (float(history.t[-1]) - begun.timestamp()) / 86_400.0
    if age_days < 0:
        return None
    cycles = (
        (history.known.charged_kwh + history.known.discharged_kwh)
        * 1000.0
        / (2 * _nominal_wh(history))
    )
    basis = "counters"
    if not cycles >= 0:
        if cycling is None or cycling.equivalent_full is None or cycling.days < FEWEST_DAYS_OF_USE:
            return None
        cycles, basis = cycling.equivalent_full / cycling.days * age_days, "use seen"
    years = age_days / DAYS_PER_YEAR
    made = model_soh(np.array(years), np.array(cycles), np.array(1000.0 * spread_v))
    return Estimate(
        percent=float(made.soh_percent),
        calendar=float(made.calendar),
        cycles=float(made.cycles),
        imbalance=float(made.imbalance),
        years=years,
        full_cycles=cycles,
        cycles_basis=basis,
    )


def _health(
    history: PackHistory, found: PackAnalysis, known: bool, estimate: Estimate | None
) -> Health | None:
    reported = _number(history.known.soh_percent)
    measured = None
    if known:
        measured = measured_soh(
            history.t,
            history.current_a,
            voltage_anchors(found.windows),
            history.known.capacity_ah,
            max_gap_seconds=_GAP_STEPS * history.step,
        )
    if reported is None and (measured is None or not measured.spans) and estimate is None:
        return None
    name = None if reported is None else SohClass(int(soh_class(np.array([reported]))[0])).name
    return Health(
        reported_percent=reported,
        reported_class=None if name is None else name.lower().replace("_", " "),
        measured_percent=None if measured is None else _number(measured.soh_percent),
        measured_uncertainty=None if measured is None else _number(measured.uncertainty),
        measured_spans=0 if measured is None else measured.spans,
        estimate=estimate,
    )


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
