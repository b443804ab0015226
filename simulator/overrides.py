"""What the active faults change in the physics of the sites."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulator.faults import (
    CellSpreadParams,
    FaultName,
    FrequencyParams,
    LowSocParams,
    Params,
    ShadeParams,
    SohParams,
    TemperatureParams,
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
    """

    frequency: Floats
    frequency_offset: Floats
    voltage: Floats
    temperature: Floats
    soc: Floats
    spread: Floats
    pv_factor: Floats
    grid_lost: NDArray[np.bool_]

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
        )

    def take(self, row: int, active: Iterable[ActiveFault]) -> float | None:
        """Enter the faults of one site; returns the SOH (percent) that they ask for, if any."""
        soh = None
        for item in active:
            match item.params:
                case SohParams(value=value):
                    soh = value
                case FrequencyParams(value=None, offset=offset):
                    self.frequency_offset[row] = offset
                case FrequencyParams(value=value):
                    self.frequency[row] = value
                case CellSpreadParams(volts=volts):
                    self.spread[row] = volts
                case TemperatureParams(celsius=celsius):
                    self.temperature[row] = celsius
                case LowSocParams(value=value):
                    self.soc[row] = value / 100.0
                case VoltageParams(value=value):
                    self.voltage[row] = value
                case ShadeParams(factor=factor):
                    self.pv_factor[row] *= factor
                case _ if item.fault == "pv_dead":
                    self.pv_factor[row] = 0.0
                case _ if item.fault == "grid_lost":
                    self.grid_lost[row] = True
        return soh
