"""The past of a site's PV in quarter hours: power, weather, and what held it back."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from exporter.config.fleet import Site
from exporter.energy.measured import FLOWS, Measured, read_flows
from exporter.energy.pv_expected import ExpectedSlots, expected_slots
from exporter.energy.site_past import clock_of, read_charge
from exporter.energy.slot_readings import SlotReading, read_one, read_slots
from exporter.energy.weather import Weather, read_weather
from exporter.history.influxql import InfluxQL
from scoring.forecast import SLOT_SECONDS
from scoring.pv_losses import PvSlots, inferred_limit_w

FloatArray = NDArray[np.float64]

HOURS = SLOT_SECONDS / 3600
INVERTERS = SlotReading(
    "meter", "active_power_w", where='"meter" =~ /^(pvinverter|pvstring)/', tag="meter"
)
"""PV inverters with a meter of their own, and the strings of one that tells them apart."""
_READ = tuple(flow for flow in FLOWS if flow.name in ("pv", "grid_import", "grid_export", "load"))


@dataclass(frozen=True, slots=True, eq=False)
class PvPast:
    """Everything that losses are judged by, of one site from slot ``first`` on.

    Attributes
    ----------
    slots : PvSlots
    expected : ExpectedSlots
    import_w, rain_mm : float array, shape (N,)
    limit_w : float
        Of the inverters; NaN where there is none.
    limit_inferred : bool
        Whether the past shows it, not the fleet file.
    """

    site: Site
    first: int
    slots: PvSlots
    expected: ExpectedSlots
    import_w: FloatArray
    rain_mm: FloatArray
    limit_w: float
    limit_inferred: bool


async def read_pv(
    stored: InfluxQL,
    weathers: InfluxQL,
    site: Site,
    device: str | None,
    place: str | None,
    first: int,
    last: int,
    limit_w: float = math.nan,
) -> PvPast:
    """Read it.

    Parameters
    ----------
    stored, weathers : InfluxQL
        Where readings of the site, and where weather is stored.
    site : Site
        With place and size of its PV.
    device : str or None
        The battery that counts.
    place : str or None
        Of the weather; None is a clear sky.
    first, last : int
        Slots since 1970, the latter not included.
    limit_w : float
        Of the inverters, as the past has shown it; the fleet file's wins.

    Raises
    ------
    exporter.history.influxql.NoAnswerError
    """
    begin, until, count = float(first * SLOT_SECONDS), float(last * SLOT_SECONDS), last - first
    active = {site.id: device} if device else {}
    found, charge, disabled, connected, inverters = await asyncio.gather(
        read_flows(stored, [site.id], begin, until, SLOT_SECONDS, active, _READ),
        read_charge(stored, site.id, device, first, last),
        read_one(stored, site.id, SlotReading("site", "pv_disabled", "max"), first, last),
        read_one(stored, site.id, SlotReading("site", "grid_connected", "min"), first, last),
        read_slots(stored, site.id, INVERTERS, first, last),
    )
    flows = found.sites.get(site.id, {})
    measured, observed = _power(flows.get("pv"), count)
    clear = expected_slots(site, first, count, None)
    weather = await read_weather(weathers, place, begin, until) if place else _NO_WEATHER
    expected, by_weather = clear, False
    if weather.starts.size:
        of_weather = expected_slots(site, first, count, weather.sky(first, clear.elevation_deg))
        # Judged by the weather are the slots that have one; the others stay open.
        if np.isfinite(of_weather.possible_w[clear.elevation_deg > 0]).any():
            expected, by_weather = of_weather, True
    night = clear.elevation_deg <= 0
    given = site.pv.ac_limit_kw if site.pv is not None else None
    limit = 1000.0 * given if given else limit_w
    if math.isnan(limit):
        limit = inferred_limit_w(expected.possible_w, measured)
    expected = expected.limited(limit)
    curtailed = site.pv is not None and site.pv.curtailment
    export_kw = site.dispatch.export_limit_kw
    _, quarter = clock_of(site, first, count)
    slots = PvSlots(
        possible_w=np.where(night, 0.0, expected.possible_w),
        expected_w=np.where(night, 0.0, expected.power_w),
        measured_w=measured,
        observed=observed,
        poa_w_m2=np.where(night, 0.0, expected.poa_w_m2),
        clear_poa_w_m2=clear.poa_w_m2,
        export_w=_mean(flows.get("grid_export"), count),
        load_w=_mean(flows.get("load"), count),
        soc_percent=charge,
        held_back=np.full(count, curtailed) | (disabled > 0),
        grid_lost=connected == 0,
        air_c=weather.means("air_c", first, count),
        snow_m=weather.means("snow_m", first, count),
        quarter=quarter,
        inverters_w=inverters,
        export_limit_w=math.nan if export_kw is None else 1000.0 * export_kw,
        by_weather=by_weather,
    )
    bought = _mean(flows.get("grid_import"), count)
    rain = weather.amounts("rain_mm", first, count)
    return PvPast(site, first, slots, expected, bought, rain, limit, not given)


_NO_WEATHER = Weather(np.empty(0), np.empty(0), {})


def _mean(flow: Measured | None, count: int) -> FloatArray:
    return np.full(count, np.nan) if flow is None else flow.steps_kwh * 1000 / HOURS


def _power(flow: Measured | None, count: int) -> tuple[FloatArray, FloatArray]:
    """Mean power over the observed part of each slot, W, and the share that was observed."""
    if flow is None:
        return np.full(count, np.nan), np.zeros(count)
    observed = np.clip(flow.steps_seconds / SLOT_SECONDS, 0.0, 1.0)
    seen = observed > 0.01
    watts = np.full(count, np.nan)
    watts[seen] = flow.steps_kwh[seen] * 3.6e6 / flow.steps_seconds[seen]
    return watts, np.where(seen & np.isfinite(watts), observed, 0.0)
