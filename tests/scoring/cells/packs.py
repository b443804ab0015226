"""Labelled histories of LFP packs: small, seeded, and with one thing wrong at most."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from scoring.cells.rest import OCV_SOC_PERCENT, OCV_VOLTS

Array = NDArray[np.float64]
DAY = 86400.0
START = 1_700_006_400.0
"""2023-11-15 00:00 UTC."""
CAPACITY_AH = 280.0
RESISTANCE_OHM = 0.5e-3


@dataclass
class Pack:
    """A pack to be simulated; what is wrong with it is set on the fields."""

    cells: int = 16
    days: float = 30.0
    step: float = 300.0
    seed: int = 1
    noise_v: float = 0.0005
    resolution_v: float = 0.001
    swing: tuple[float, float] = (50.0, 90.0)
    leak_percent_per_day: dict[int, float] = field(default_factory=dict)
    leak_from_day: float = 0.0
    resistance_factor: dict[int, float] = field(default_factory=dict)
    misaligned_percent: dict[int, float] = field(default_factory=dict)
    balancing_percent_per_day: float = 0.0

    def run(self) -> History:
        """Simulate: charge and discharge once a day between the ends of the swing, rest in between.

        The charge of each cell follows the pack's current and its own leak; the voltage is that of
        the charge curve plus the ohmic part, with noise, in steps of the BMS's resolution.
        """
        rng = np.random.default_rng(self.seed)
        t = START + np.arange(0.0, self.days * DAY, self.step)
        low, high = self.swing
        hour = (t % DAY) / 3600.0
        # Rest to 10:00 low, charge to 12:00, rest to 18:00 high, discharge to 20:00, rest.
        profile = np.interp(hour, [0, 10, 12, 18, 20, 24], [low, low, high, high, low, low])
        rate = np.gradient(profile, t / 3600.0)
        wobble = np.repeat(rng.uniform(0.6, 1.4, t.size // 6 + 1), 6)[: t.size]
        current = np.where(np.abs(rate) > 0.5, rate * wobble, 0.0) / 100.0 * CAPACITY_AH
        days = (t - START) / DAY
        capacity = 1.0 + 0.004 * np.clip(rng.standard_normal(self.cells), -2, 2)
        aligned = 0.1 * np.clip(rng.standard_normal(self.cells), -2, 2)
        # All cells are aligned at the top: a smaller one is lower at the bottom.
        soc = 99.0 - (99.0 - profile)[:, None] / capacity + aligned
        for cell, percent in self.misaligned_percent.items():
            closed = self.balancing_percent_per_day * days
            soc[:, cell] += np.sign(percent) * np.maximum(abs(percent) - closed, 0.0)
        for cell, percent in self.leak_percent_per_day.items():
            soc[:, cell] -= percent * np.maximum(days - self.leak_from_day, 0.0)
        resistance = RESISTANCE_OHM * (1.0 + 0.04 * np.clip(rng.standard_normal(self.cells), -2, 2))
        for cell, factor in self.resistance_factor.items():
            resistance[cell] *= factor
        volts = np.interp(soc, OCV_SOC_PERCENT, OCV_VOLTS) + current[:, None] * resistance
        volts += self.noise_v * rng.standard_normal(volts.shape)
        volts = np.round(volts / self.resolution_v) * self.resolution_v
        warmth = 25.0 + 4.0 * np.sin((hour - 9.0) / 24.0 * 2.0 * np.pi)
        temperature = warmth[:, None] + 0.3 * rng.standard_normal(self.cells)
        temperature = np.round(temperature + 0.1 * rng.standard_normal(volts.shape), 1)
        return History(t, volts, current, profile.copy(), temperature)


@dataclass
class History:
    """What a BMS would have reported, to be handed to ``analyse_pack``."""

    t: Array
    voltages: Array
    current: Array
    soc: Array
    temperature: Array

    def until(self, days: float) -> History:
        """The first days only."""
        n = int(np.searchsorted(self.t, START + days * DAY))
        return History(
            self.t[:n], self.voltages[:n], self.current[:n], self.soc[:n], self.temperature[:n]
        )
