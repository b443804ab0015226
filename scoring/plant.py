"""A fleet as one plant: sums over the sites that gave what a sum needs, and how many these are.

Averages of sites of different size are weighted by energy, or not given at all.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scoring.issues import BoolArray, FloatArray


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure of the plant; NaN where no site gave what it needs.

    ``sites`` is how many did, of ``total`` that should.
    """

    value: float
    sites: int
    total: int

    @property
    def coverage(self) -> float:
        """Share of the sites, 0 to 1; NaN without any."""
        return self.sites / self.total if self.total else float("nan")


@dataclass(frozen=True, slots=True)
class PlantInputs:
    """Readings and limits, shape (N,) each; NaN where one is missing.

    Powers are in W, battery power positive when charging; energies in kWh; SOC, floor and ceiling
    in percent. ``charge_w`` and ``discharge_w`` are the most that limits allow now, 0 or more;
    ``contracted_*`` what the fleet file rates a site for. ``expected`` says which sites count.
    """

    expected: BoolArray
    online: BoolArray
    power_w: FloatArray
    grid_w: FloatArray
    charge_w: FloatArray
    discharge_w: FloatArray
    contracted_charge_w: FloatArray
    contracted_discharge_w: FloatArray
    soc_percent: FloatArray
    floor_percent: FloatArray
    ceiling_percent: FloatArray
    capacity_kwh: FloatArray
    frequency_hz: FloatArray


def usable_kwh(
    capacity_kwh: FloatArray, floor_percent: FloatArray, ceiling_percent: FloatArray
) -> FloatArray:
    """Energy between floor and ceiling, kWh; NaN where one of them is missing. Of any one shape."""
    return capacity_kwh * (ceiling_percent - floor_percent) / 100


def plant(inputs: PlantInputs) -> dict[str, Figure]:
    """The figures of the plant by name.

    Returns
    -------
    dict
        ``battery_power_w``, ``grid_power_w``: sums. ``up_w`` is what the plant could feed in more
        than now (discharge more or charge less), ``down_w`` what it could take more; both from
        present power to the limits. ``contracted_up_w``, ``contracted_down_w``: rated powers.
        ``energy_above_floor_kwh``, ``energy_below_ceiling_kwh``. ``soc_percent``: weighted by
        usable energy. ``frequency_hz``: median; ``frequency_spread_hz``: highest less lowest.
        ``online``: sites that answer.
    """
    usable = usable_kwh(inputs.capacity_kwh, inputs.floor_percent, inputs.ceiling_percent)
    above = np.maximum(0.0, inputs.soc_percent - inputs.floor_percent) / 100 * inputs.capacity_kwh
    below = np.maximum(0.0, inputs.ceiling_percent - inputs.soc_percent) / 100 * inputs.capacity_kwh
    known = ~np.isnan(inputs.soc_percent) & ~np.isnan(usable) & inputs.expected
    weight = float(usable[known].sum())
    soc = float((inputs.soc_percent[known] * usable[known]).sum() / weight) if weight else np.nan
    frequency = inputs.frequency_hz[inputs.expected & ~np.isnan(inputs.frequency_hz)]
    total = int(inputs.expected.sum())
    up = np.where(inputs.online, inputs.discharge_w + inputs.power_w, np.nan)
    down = np.where(inputs.online, inputs.charge_w - inputs.power_w, np.nan)
    found = {
        "battery_power_w": _sum(inputs.power_w, inputs),
        "grid_power_w": _sum(inputs.grid_w, inputs),
        "up_w": _sum(np.maximum(0.0, up), inputs),
        "down_w": _sum(np.maximum(0.0, down), inputs),
        "contracted_up_w": _sum(inputs.contracted_discharge_w, inputs),
        "contracted_down_w": _sum(inputs.contracted_charge_w, inputs),
        "energy_above_floor_kwh": _sum(above, inputs),
        "energy_below_ceiling_kwh": _sum(below, inputs),
        "soc_percent": Figure(soc, int(known.sum()), total),
        "frequency_hz": Figure(
            float(np.median(frequency)) if frequency.size else np.nan, frequency.size, total
        ),
        "frequency_spread_hz": Figure(
            float(np.ptp(frequency)) if frequency.size else np.nan, frequency.size, total
        ),
    }
    online = int((inputs.online & inputs.expected).sum())
    return found | {"online": Figure(float(online), total, total)}


def _sum(values: FloatArray, inputs: PlantInputs) -> Figure:
    known = inputs.expected & ~np.isnan(values)
    count = int(known.sum())
    return Figure(
        float(values[known].sum()) if count else np.nan, count, int(inputs.expected.sum())
    )
