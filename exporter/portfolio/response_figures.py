"""How a plant answers the grid's frequency, against the curve of its contract."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import numpy as np

from exporter.portfolio.contracts_file import AvailabilityService, ResponseCurve
from exporter.portfolio.figure import Figure, figure
from exporter.portfolio.own_lines import hours_of
from exporter.portfolio.site_month import FloatArray, SiteMonth, number_array, reading_step
from scoring.money.service import response

BAND_HZ = 0.02


def required_kw(frequency_hz: FloatArray, curve: ResponseCurve, mw: float) -> FloatArray:
    """Power that a curve asks for, kW, discharge positive: more where the frequency is low.

    Parameters
    ----------
    frequency_hz : array of shape (N,)
        NaN where not known.
    curve : ResponseCurve
    mw : float
    """
    off = frequency_hz - curve.nominal_hz
    knee = [] if curve.knee is None else [curve.knee]
    points = np.array([(curve.deadband_hz, 0.0), *knee, (curve.full_hz, 1.0)])
    share = np.interp(np.abs(off), points[:, 0], points[:, 1])
    found: FloatArray = -np.sign(off) * share * mw * 1000.0
    return found


def response_figures(known: SiteMonth) -> Iterator[Figure | None]:
    """``response`` and ``frequency_curve`` of each service with a curve."""
    for service in known.site.services:
        if isinstance(service, AvailabilityService) and service.curve is not None and service.mw:
            yield from _of_service(known, service, service.curve)


def _of_service(
    known: SiteMonth, service: AvailabilityService, curve: ResponseCurve
) -> Iterator[Figure | None]:
    site, mw = known.site.id, float(service.mw)
    above, step = _above_orders(known), reading_step(known.telemetry)
    kept_hz, kept_kw = [], []
    for begin, _ in known.month.days:
        day = datetime.fromtimestamp(begin, known.month.zone)
        first, last = np.searchsorted(known.telemetry.times, hours_of(service, day))
        hz, kw = known.telemetry.of("frequency_hz")[first:last], above[first:last]
        seen = ~np.isnan(hz) & ~np.isnan(kw)
        if not seen.any():
            continue
        times = known.telemetry.times[first:last]
        found = response(times, kw * 1000, required_kw(hz, curve, mw) * 1000, mw * 1e6)
        length = hours_of(service, day)
        yield figure(
            "response",
            (site, service.name),
            begin,
            accuracy_percent=100 * found.accuracy,
            delay_s=found.delay_s,
            coverage_percent=min(100.0, 100 * float(seen.sum()) * step / (length[1] - length[0])),
            indicative=found.indicative,
        )
        kept_hz.append(hz[seen])
        kept_kw.append(kw[seen])
    if kept_hz:
        hz, kw = np.concatenate(kept_hz), np.concatenate(kept_kw)
        bands = np.round((hz - curve.nominal_hz) / BAND_HZ).astype(int)
        for band in np.unique(bands).tolist():
            middle = curve.nominal_hz + band * BAND_HZ
            here = bands == band
            yield figure(
                "frequency_curve",
                (site, service.name, f"{middle:.2f}"),
                known.month.start,
                frequency_hz=round(middle, 4),
                power_kw=float(kw[here].mean()),
                required_kw=float(required_kw(np.array([middle]), curve, mw)[0]),
                minutes=float(here.sum()) * step / 60,
            )


def _above_orders(known: SiteMonth) -> FloatArray:
    """Measured power above what was ordered then, kW; orders that nobody knows are none."""
    power = known.telemetry.of("power_kw").copy()
    rows = known.dispatch
    if not rows or not len(power):
        return power
    starts, seconds = number_array(rows, "start"), number_array(rows, "seconds")
    ordered = number_array(rows, "wanted_kw")
    at = np.searchsorted(starts, known.telemetry.times, side="right") - 1
    within = (at >= 0) & (known.telemetry.times < starts[at] + seconds[at])
    found: FloatArray = power - np.where(within, np.nan_to_num(ordered[at]), 0.0)
    return found
