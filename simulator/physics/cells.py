"""LFP cells in series: open-circuit voltage, resistance, heat, ageing."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# OCV at C/32 of an LFP cell (APR18650M1B, published SOC-OCV data set), percent and volts.
OCV_SOC_PERCENT = np.array([0.0, 0.33, 1.17, 2.67, 5.34, 8.85, 29.7, 98.3, 99.5, 100.0])
OCV_VOLTS = np.array([2.010, 2.418, 2.741, 2.930, 3.087, 3.194, 3.277, 3.351, 3.418, 3.598])

# What a BMS calls full leaves a little room below the chemical limit: a rested full cell stands at
# about 3.39 V.
FULL_PERCENT = 99.0
CHARGE_LIMIT_V = 3.45
TAPER_START = 0.95
NOMINAL_CELL_V = 3.2
# Specific heat about 1 kJ/(kg K), 110 Wh/kg for a cell with its share of the casing.
HEAT_J_PER_K_PER_WH = 9.0
THERMAL_TAU_SECONDS = 3.0 * 3600.0
RC_TAU_SECONDS = 60.0
RC_SHARE = 0.35
BALANCE_START_V = 3.38
BALANCE_C_RATE = 2e-4


def open_circuit_voltage(soc: Floats) -> Floats:
    """Open-circuit voltage of LFP cells, V, any shape.

    Parameters
    ----------
    soc : float array
        State of charge as a BMS counts it, 0 to 1 (1 is the BMS's full, 99 % of the chemical
        capacity); clipped at both ends.
    """
    volts: Floats = np.interp(np.minimum(soc, 1.0) * FULL_PERCENT, OCV_SOC_PERCENT, OCV_VOLTS)
    return volts


@dataclass
class PackDesign:
    """What the packs of a bank are made of; arrays have shape (M,)."""

    capacity_ah: Floats
    soh: Floats
    initial_soc: Floats
    resistance_ohm: Floats
    max_c_rate: Floats
    min_soc: Floats
    ambient_c: Floats


class CellBank:
    """Packs with the same number of cells in series, one row a pack.

    Charge is in ampere-hours and grows with positive (charging) current. All cells of a pack start
    aligned at the top, as a balanced LFP pack is, so that different capacities show at the bottom.

    Parameters
    ----------
    cells : int
        Cells in series, n.
    design : PackDesign
        Arrays of shape (M,).
    rngs : list of numpy.random.Generator
        One a pack, so that a pack's cells depend on its own seed only.
    """

    def __init__(self, cells: int, design: PackDesign, rngs: list[np.random.Generator]) -> None:
        self.cells = cells
        self.design = design
        spread = np.stack([rng.standard_normal((4, cells)) for rng in rngs])
        spread = np.clip(spread, -2.0, 2.0)
        self._relative_capacity = 1.0 + 0.004 * spread[:, 0]
        self.resistance: Floats = (
            design.resistance_ohm[:, None] / cells * (1.0 + 0.04 * spread[:, 1])
        )
        self.soh = design.soh.copy()
        self.capacity: Floats = self._capacity(self.soh)
        missing = (1.0 - design.initial_soc)[:, None] * self.capacity.mean(axis=1, keepdims=True)
        misaligned = 0.001 * spread[:, 2] * self.capacity
        self.charge: Floats = np.clip(self.capacity - missing + misaligned, 0.0, self.capacity)
        self.temperature: Floats = design.ambient_c[:, None] + 1.0 + 0.3 * spread[:, 3]
        self.polarisation: Floats = np.zeros_like(self.charge)
        self.offset: Floats = np.zeros_like(self.charge)
        self.voltages: Floats = open_circuit_voltage(self.charge / self.capacity)
        # The two ends of the row lose heat on one side more.
        self._cooling = np.ones(cells)
        self._cooling[[0, -1]] = 1.35
        heat = design.capacity_ah[:, None] * NOMINAL_CELL_V * HEAT_J_PER_K_PER_WH
        self._heat_capacity: Floats = heat * np.ones((1, cells))

    def _capacity(self, soh: Floats) -> Floats:
        capacity: Floats = (self.design.capacity_ah * soh)[:, None] * self._relative_capacity
        return capacity

    @property
    def soc(self) -> Floats:
        """State of charge of each pack, 0 to 1, shape (M,)."""
        soc: Floats = np.clip(self.charge.sum(axis=1) / self.capacity.sum(axis=1), 0.0, 1.0)
        return soc

    def set_soh(self, row: int, soh: float) -> None:
        """Give a pack another state of health in percent; its SOC stays what it is."""
        if self.soh[row] == soh / 100.0:
            return
        fraction = self.charge[row] / self.capacity[row]
        self.soh[row] = soh / 100.0
        self.capacity = self._capacity(self.soh)
        self.charge[row] = fraction * self.capacity[row]

    def set_soc(self, row: int, soc: float) -> None:
        """Put all cells of a pack at one state of charge (0 to 1)."""
        self.charge[row] = soc * self.capacity[row]
        self.polarisation[row] = 0.0

    def source(self) -> tuple[Floats, Floats]:
        """Electromotive force (V) and series resistance (ohm) of each pack, shape (M,)."""
        emf = open_circuit_voltage(self.charge / self.capacity) + self.polarisation + self.offset
        return emf.sum(axis=1), self.resistance.sum(axis=1)

    def limits(self) -> tuple[Floats, Floats]:
        """Largest charging and discharging current of each pack, A, both positive, shape (M,).

        Charging is constant current up to 95 % or until the highest cell nears 3.45 V, then tapers;
        discharging ends at the minimum SOC.
        """
        soc = self.soc
        rated = self.design.max_c_rate * self.design.capacity_ah
        taper = np.clip((1.0 - soc) / (1.0 - TAPER_START), 0.0, 1.0)
        taper = np.where(soc < 0.9995, np.maximum(taper, 0.02), 0.0)
        emf = open_circuit_voltage(self.charge / self.capacity) + self.polarisation
        room = ((CHARGE_LIMIT_V - emf) / self.resistance).min(axis=1)
        charge = np.clip(np.minimum(rated * taper, room), 0.0, None)
        discharge = rated * np.clip((soc - self.design.min_soc) / 0.01, 0.0, 1.0)
        return charge, discharge

    def step(self, current: Floats, dt: float, ambient_c: Floats) -> None:
        """Let ``current`` (A, charging positive, shape (M,)) flow for ``dt`` seconds.

        ``voltages`` afterwards holds the terminal voltage of each cell at the start of the step,
        with the current flowing, which is what a BMS reports; ambient is in °C, shape (M,).
        """
        ocv = open_circuit_voltage(self.charge / self.capacity)
        amps = current[:, None]
        self.voltages = ocv + self.polarisation + self.offset + amps * self.resistance
        keep = math.exp(-dt / RC_TAU_SECONDS)
        self.polarisation = keep * self.polarisation + (1.0 - keep) * (
            amps * self.resistance * RC_SHARE
        )
        bleeding = (self.voltages > BALANCE_START_V) & (
            self.charge / self.capacity > (self.charge / self.capacity).min(axis=1, keepdims=True)
        )
        bleed = np.where(bleeding, BALANCE_C_RATE * self.capacity, 0.0)
        self.charge = np.clip(self.charge + (amps - bleed) * (dt / 3600.0), 0.0, self.capacity)
        self._warm(amps, dt, ambient_c)

    def _warm(self, amps: Floats, dt: float, ambient_c: Floats) -> None:
        heat = amps**2 * self.resistance * (1.0 + RC_SHARE)
        conductance = self._heat_capacity / THERMAL_TAU_SECONDS * self._cooling
        settled = ambient_c[:, None] + heat / conductance
        keep = np.exp(-dt * conductance / self._heat_capacity)
        self.temperature = settled + (self.temperature - settled) * keep
