"""How a plant answers the grid's frequency, against the curve of its contract."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import numpy as np

from exporter.portfolio.contracts_file import AvailabilityService, ResponseCurve
from exporter.portfolio.figure import Figure, figure
from exporter.portfolio.own_lines import hours_of
from exporter.portfolio.site_month import FloatArray, SiteMonth, number_array, reading_step
from scoring.money.service import power_by_frequency, required_power, response

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
    watts = required_power(
        frequency_hz,
        mw * 1e6,
        nominal_hz=curve.nominal_hz,
        deadband_hz=curve.deadband_hz,
        full_hz=curve.full_hz,
        knee=curve.knee,
    )
    return watts / 1000.0


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
        found_power = power_by_frequency(
            np.concatenate(kept_hz), 1000 * np.concatenate(kept_kw), curve.nominal_hz, BAND_HZ
        )
        required = required_kw(found_power.frequency_hz, curve, mw)
        for number, hz_of_band in enumerate(found_power.frequency_hz.tolist()):
            yield figure(
                "frequency_curve",
                (site, service.name, f"{hz_of_band:.2f}"),
                known.month.start,
                frequency_hz=round(hz_of_band, 4),
                power_kw=float(found_power.power_w[number]) / 1000,
                required_kw=float(required[number]),
                minutes=float(found_power.readings[number]) * step / 60,
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
