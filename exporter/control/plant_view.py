"""The sites that a caller sees as one plant, from an Assessment."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from exporter.assess.assessment import FleetAssessment
from exporter.config.fleet import Site
from scoring.issues import FloatArray
from scoring.orders.envelope import Bounds, Readings, allowed_power
from scoring.plant import Figure, PlantInputs, plant


@dataclass(frozen=True, slots=True)
class Plant:
    """The figures of a plant, and the status of its frequency."""

    figures: dict[str, Figure]
    frequency_status: str
    sites: int


def plant_of(assessment: FleetAssessment, rows: Sequence[int]) -> Plant:
    """The plant that some sites make; those without a battery of a known size count for powers.

    Parameters
    ----------
    assessment : FleetAssessment
    rows : sequence of int
        Rows of the sites.
    """
    chosen = np.array(rows, dtype=np.int64)
    sites = [assessment.fleet.sites[row] for row in rows]

    def reading(name: str) -> FloatArray:
        found = assessment.readings.get(name)
        return found[chosen] if found is not None else np.full(len(rows), np.nan)

    names = ("soc_percent", "voltage_v", "charge_limit_a", "discharge_limit_a", "load_power_w")
    read = {name: reading(name) for name in (*names, "pv_power_w", "battery_hottest_c", "power_w")}
    able = [_able(assessment, site, read, index) for index, site in enumerate(sites)]

    def configured(get: Any) -> FloatArray:
        return np.array([math.nan if (v := get(s)) is None else v for s in sites], dtype=np.float64)

    online = (assessment.up[chosen] == 1.0) if len(rows) else np.zeros(0, dtype=bool)
    frequency = reading("grid_frequency_hz")
    figures = plant(
        PlantInputs(
            expected=np.ones(len(rows), dtype=bool),
            online=online,
            power_w=read["power_w"],
            grid_w=reading("grid_power_w"),
            charge_w=np.array([most for most, _ in able], dtype=np.float64),
            discharge_w=np.array([most for _, most in able], dtype=np.float64),
            contracted_charge_w=1000 * configured(lambda s: s.dispatch.max_charge_kw),
            contracted_discharge_w=1000 * configured(lambda s: s.dispatch.max_discharge_kw),
            soc_percent=read["soc_percent"],
            floor_percent=configured(lambda s: s.dispatch.soc_floor),
            ceiling_percent=configured(lambda s: s.dispatch.soc_ceiling),
            capacity_kwh=configured(lambda s: s.capacity_kwh),
            frequency_hz=_of_one_nominal(sites, frequency),
        )
    )
    return Plant(figures, _frequency_status(assessment, sites, frequency), len(rows))


def _able(
    assessment: FleetAssessment, site: Site, read: dict[str, FloatArray], index: int
) -> tuple[float, float]:
    """Most power that limits allow a site now, charging and discharging; NaN without orders."""
    block = site.dispatch
    if not block.enabled or block.max_charge_kw is None or block.max_discharge_kw is None:
        return math.nan, math.nan
    bounds = Bounds(
        max_charge_w=1000 * block.max_charge_kw,
        max_discharge_w=1000 * block.max_discharge_kw,
        import_limit_w=_watts(block.import_limit_kw),
        export_limit_w=_watts(block.export_limit_kw),
        soc_floor=block.soc_floor,
        soc_ceiling=block.soc_ceiling,
        temperature_max_c=assessment.fleet.thresholds_of(site).temperature_max,
    )
    readings = Readings(
        soc_percent=float(read["soc_percent"][index]),
        voltage_v=float(read["voltage_v"][index]),
        charge_limit_a=float(read["charge_limit_a"][index]),
        discharge_limit_a=float(read["discharge_limit_a"][index]),
        temperature_c=float(read["battery_hottest_c"][index]),
        load_w=float(read["load_power_w"][index]),
        pv_w=float(read["pv_power_w"][index]),
    )
    charge = allowed_power(bounds.max_charge_w, bounds, readings).allowed_w
    discharge = -allowed_power(-bounds.max_discharge_w, bounds, readings).allowed_w
    return charge, discharge


def _watts(kilowatts: float | None) -> float:
    return math.nan if kilowatts is None else 1000.0 * kilowatts


def _frequency_status(
    assessment: FleetAssessment, sites: Sequence[Site], frequency: FloatArray
) -> str:
    """``normal`` where every known frequency is inside its site's band, ``outside`` where one is
    not, ``unknown`` without any."""
    known = [(s, float(f)) for s, f in zip(sites, frequency, strict=True) if not math.isnan(f)]
    if not known:
        return "unknown"
    for site, hertz in known:
        limits = assessment.fleet.thresholds_of(site)
        if not limits.grid_frequency_min <= hertz <= limits.grid_frequency_max:
            return "outside"
    return "normal"


def _of_one_nominal(sites: Sequence[Site], frequency: FloatArray) -> FloatArray:
    """The frequencies; NaN where sites of 50 and of 60 Hz would have one median."""
    known = {s.grid_nominal_hz for s, f in zip(sites, frequency, strict=True) if not math.isnan(f)}
    return frequency if len(known) <= 1 else np.full(len(sites), np.nan)
