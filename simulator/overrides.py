"""What the active faults change in the physics of the sites."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulator.faults import (
    BlockingParams,
    CellSpreadParams,
    CounterParams,
    FaultName,
    FrequencyParams,
    LowSocParams,
    ModulesParams,
    Params,
    RefusedParams,
    ShadeParams,
    SocShownParams,
    SohParams,
    TemperatureParams,
    UnbalanceParams,
    VoltageParams,
)

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ActiveFault:
    """A fault that a site has now."""

    fault: FaultName
    params: Params


@dataclass
class Overrides:
    """One row a site, shape (N,); NaN where nothing is held.

    Attributes
    ----------
    frequency, frequency_offset : array
        Frequency held, Hz, and what is added to the grid's own.
    voltage : array
        Voltage of every phase, V.
    temperature : array
        Mean temperature of the cells, °C.
    soc : array
        State of charge, 0 to 1.
    spread : array
        Distance of the weak cell below the highest, V.
    pv_factor : array
        Share of the PV power that is left, 0 to 1.
    grid_lost : bool array
        True where the grid is gone.
    soc_shown : array
        State of charge that the BMS shows, 0 to 1.
    refuses_charge, refuses_discharge : bool array
        True where the BMS allows no current in this direction.
    modules_offline : array
        Number of modules that do not answer.
    blocking_charge, blocking_discharge : array
        Number of modules that allow no current in this direction.
    counter_factor : array
        Share of the energy that the battery's counters count.
    unbalance : array
        How far the first phase lies below the others, as a share.
    """

    frequency: Floats
    frequency_offset: Floats
    voltage: Floats
    temperature: Floats
    soc: Floats
    spread: Floats
    pv_factor: Floats
    grid_lost: NDArray[np.bool_]
    soc_shown: Floats
    refuses_charge: NDArray[np.bool_]
    refuses_discharge: NDArray[np.bool_]
    modules_offline: Floats
    blocking_charge: Floats
    blocking_discharge: Floats
    counter_factor: Floats
    unbalance: Floats

    @classmethod
    def none(cls, count: int) -> Overrides:
        """Overrides of ``count`` sites without any fault."""

        def nothing() -> Floats:
            return np.full(count, np.nan)

        return cls(
            frequency=nothing(),
            frequency_offset=np.zeros(count),
            voltage=nothing(),
            temperature=nothing(),
            soc=nothing(),
            spread=nothing(),
            pv_factor=np.ones(count),
            grid_lost=np.zeros(count, dtype=np.bool_),
            soc_shown=nothing(),
            refuses_charge=np.zeros(count, dtype=np.bool_),
            refuses_discharge=np.zeros(count, dtype=np.bool_),
            modules_offline=np.zeros(count),
            blocking_charge=np.zeros(count),
            blocking_discharge=np.zeros(count),
            counter_factor=np.ones(count),
            unbalance=np.zeros(count),
        )

    def take(self, row: int, active: Iterable[ActiveFault]) -> float | None:
        """Enter the faults of one site; returns the SOH (percent) that they ask for, if any."""
        soh = None
        for item in active:
            params = item.params
            if type(params) in _HELD:
                name, value_of = _HELD[type(params)]
                getattr(self, name)[row] = value_of(params)
                continue
            match params:
                case SohParams(value=value):
                    soh = value
                case FrequencyParams(value=None, offset=offset):
                    self.frequency_offset[row] = offset
                case FrequencyParams(value=value):
                    self.frequency[row] = value
                case RefusedParams(direction=direction):
                    refuses = {"charge": self.refuses_charge, "discharge": self.refuses_discharge}
                    refuses[direction][row] = True
                case BlockingParams(count=count, direction=direction):
                    blocking = {
                        "charge": self.blocking_charge,
                        "discharge": self.blocking_discharge,
                    }
                    blocking[direction][row] = count
                case ShadeParams(factor=factor):
                    self.pv_factor[row] *= factor
                case _ if item.fault == "pv_dead":
                    self.pv_factor[row] = 0.0
                case _ if item.fault == "grid_lost":
                    self.grid_lost[row] = True
        return soh


_HELD: dict[type[Params], tuple[str, Callable[[Any], float]]] = {
    CellSpreadParams: ("spread", lambda p: p.volts),
    TemperatureParams: ("temperature", lambda p: p.celsius),
    LowSocParams: ("soc", lambda p: p.value / 100.0),
    VoltageParams: ("voltage", lambda p: p.value),
    SocShownParams: ("soc_shown", lambda p: p.value / 100.0),
    ModulesParams: ("modules_offline", lambda p: p.count),
    CounterParams: ("counter_factor", lambda p: p.factor),
    UnbalanceParams: ("unbalance", lambda p: p.ratio),
}
"""Parameters to the array that they are entered in, and the value."""
