"""From the history of a site's packs to what has to be said of each cell."""

from __future__ import annotations

import math

import numpy as np

from exporter.cells.history import (
    GRID_SECONDS,
    PackHistory,
    last_stored,
    read_pack,
    read_packs,
    stretches,
)
from exporter.cells.model import (
    FORECAST_MV,
    CellFinding,
    CellState,
    Cycling,
    Forecast,
    Health,
    PackCells,
    SiteCells,
    short_name,
)
from exporter.influxql import InfluxQL, NoAnswerError
from scoring.cells.cycles import depth_histogram, energy, rainflow_cycles, round_trip
from scoring.cells.cycles import temperature_hours as hours_by_temperature
from scoring.cells.pack import PackAnalysis, analyse_pack
from scoring.cells.soh import SohClass, measured_soh, soh_class, voltage_anchors
from scoring.cells.trend import days_until

FEWEST_SAMPLES = 12
_GAP_STEPS = 3


async def analyse_site(stored: InfluxQL, site: str, until: float) -> SiteCells:
    """Read a site's history and judge it; what cannot be read is told in the result.

    Parameters
    ----------
    stored : InfluxQL
    site : str
    until : float
        Unix seconds; nothing later is looked at. Where nothing was stored lately, as in imported
        files, the history ends with the last that was.
    """
    try:
        last = await last_stored(stored, site, until)
        if last is None:
            return SiteCells(site, until, fault="no single cells of this site are stored")
        end = min(until, last + 1.0)
        names = await read_packs(stored, site, end)
        parts = await stretches(stored, site, end)
        packs = [judge(await read_pack(stored, site, pack, end, parts), names) for pack in names]
    except NoAnswerError as error:
        return SiteCells(site, until, fault=str(error))
    return SiteCells(site, until, tuple(pack for pack in packs if pack is not None))


def judge(history: PackHistory, packs: list[str]) -> PackCells | None:
    """One pack; None if there is too little of it.

    Parameters
    ----------
    history : PackHistory
    packs : list of str
        All packs of the site, for the names of cells.
    """
    if history.t.size < FEWEST_SAMPLES or len(history.labels) < 2:
        return None
    known = bool(np.isfinite(history.current_a).any()) and history.capacity_ah > 0
    found = analyse_pack(
        history.t,
        history.voltages,
        current_a=history.current_a if known else None,
        soc_percent=history.soc_percent if np.isfinite(history.soc_percent).any() else None,
        temperature_c=history.temperatures if np.isfinite(history.temperatures).any() else None,
        capacity_ah=history.capacity_ah if known else math.nan,
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
            if f.reason not in ("sensor_stuck", "sensor_noisy")
            else f"Cell {short_name(history.pack, packs, history.labels[f.cell])}: {f.text}",
        )
        for f in found.findings
    )
    off = found.deviation_v[np.isfinite(found.deviation_v)]
    return PackCells(
        pack=history.pack,
        start=float(history.t[0]),
        end=float(history.t[-1]) + GRID_SECONDS,
        samples=int(np.isfinite(history.voltages).sum()),
        resting_windows=int(found.windows.resting.sum()),
        trend_basis=found.trend_basis,
        spread_rest_v=float(off.max() - off.min()) if off.size else None,
        cells=_cells(history, found),
        findings=findings,
        cycling=_cycling(history),
        health=_health(history, found, known),
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
            if carried
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
    volts = float(np.nanmedian(history.voltages)) * len(history.labels)
    nominal_wh = history.capacity_ah * volts
    trip = None
    if has_soc and has_power and nominal_wh > 0:
        trip = round_trip(
            t,
            history.power_w,
            history.soc_percent,
            nominal_wh,
            max_gap_seconds=_GAP_STEPS * history.step,
        )
    warm = hours_by_temperature(t, history.temperatures, max_gap_seconds=_GAP_STEPS * history.step)
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
        temperature_hours=tuple(np.nansum(warm, axis=0).tolist())
        if np.isfinite(history.temperatures).any()
        else (),
    )


def _health(history: PackHistory, found: PackAnalysis, known: bool) -> Health | None:
    reported = _number(history.soh_percent)
    measured = None
    if known:
        measured = measured_soh(
            history.t,
            history.current_a,
            voltage_anchors(found.windows),
            history.capacity_ah,
            max_gap_seconds=_GAP_STEPS * history.step,
        )
    if reported is None and (measured is None or not measured.spans):
        return None
    name = None if reported is None else SohClass(int(soh_class(np.array([reported]))[0])).name
    return Health(
        reported_percent=reported,
        reported_class=None if name is None else name.lower().replace("_", " "),
        measured_percent=None if measured is None else _number(measured.soh_percent),
        measured_uncertainty=None if measured is None else _number(measured.uncertainty),
        measured_spans=0 if measured is None else measured.spans,
    )


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
