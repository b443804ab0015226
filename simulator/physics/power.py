"""Where the power of each site flows: the ESS control and its limits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

CONVERSION_EFFICIENCY = 0.95


@dataclass(frozen=True)
class Flows:
    """Power of each site in W, shape (N,).

    Attributes
    ----------
    grid : array
        From the grid, importing positive.
    load : array
        Consumed; below the demand only where a site without grid cannot cover it.
    pv_ac, pv_dc : array
        PV on an AC side and on the DC side, never negative.
    inverter_ac, inverter_dc : array
        Into the inverter's AC side and out of its DC side, charging positive.
    battery : array
        Into the battery.
    loss : array
        Lost in the inverter, never negative.

    Notes
    -----
    ``grid + pv_ac + pv_dc = load + battery + loss`` holds exactly.
    """

    grid: Floats
    load: Floats
    pv_ac: Floats
    pv_dc: Floats
    inverter_ac: Floats
    inverter_dc: Floats
    battery: Floats
    loss: Floats


def ac_to_dc(ac: Floats) -> Floats:
    """DC power behind an inverter that takes ``ac`` W (negative: gives), W."""
    return np.where(ac > 0.0, ac * CONVERSION_EFFICIENCY, ac / CONVERSION_EFFICIENCY)


def dc_to_ac(dc: Floats) -> Floats:
    """AC power in front of an inverter that gives ``dc`` W to the DC side, W."""
    return np.where(dc > 0.0, dc / CONVERSION_EFFICIENCY, dc * CONVERSION_EFFICIENCY)


def battery_target(
    demand: Floats, pv_ac: Floats, pv_dc: Floats, setpoint: Floats, inverter_w: Floats
) -> Floats:
    """Battery power that self-consumption asks for, W, shape (N,).

    The inverter steers the grid power to ``setpoint`` (W, 0 on an island) within its rating.
    """
    wanted = setpoint - demand + pv_ac
    return pv_dc + ac_to_dc(np.clip(wanted, -inverter_w, inverter_w))


def flows(
    *,
    battery: Floats,
    demand: Floats,
    pv_ac: Floats,
    pv_dc: Floats,
    islanded: Flags,
    inverter_w: Floats,
) -> Flows:
    """Flows that follow from what the battery really took, all arguments in W, shape (N,).

    What the battery refuses goes to the grid; PV is curtailed where neither inverter nor (on an
    island) load can take it, and an island whose battery gives too little sheds load.
    """
    floor = ac_to_dc(-inverter_w)
    kept_dc = np.clip(pv_dc, 0.0, np.maximum(battery - floor, 0.0))
    # On an island the DC side may send no more to AC than the load uses beyond the AC-coupled PV.
    most = np.where(islanded, -ac_to_dc(np.minimum(pv_ac - demand, 0.0)), np.inf)
    kept_dc = np.where(islanded, np.minimum(kept_dc, np.maximum(battery + most, 0.0)), kept_dc)
    inverter_dc = battery - kept_dc
    inverter_ac = dc_to_ac(inverter_dc)
    kept_ac = np.where(islanded, np.clip(demand + inverter_ac, 0.0, pv_ac), pv_ac)
    load = np.where(islanded, np.maximum(kept_ac - inverter_ac, 0.0), demand)
    grid = np.where(islanded, 0.0, load - kept_ac + inverter_ac)
    return Flows(
        grid=grid,
        load=load,
        pv_ac=kept_ac,
        pv_dc=kept_dc,
        inverter_ac=inverter_ac,
        inverter_dc=inverter_dc,
        battery=battery,
        loss=inverter_ac - inverter_dc,
    )
