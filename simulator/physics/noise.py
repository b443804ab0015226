"""Noise with memory."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class OrnsteinUhlenbeck:
    """Independent stationary Ornstein-Uhlenbeck processes of mean 0 and standard deviation 1.

    The update is exact for any step (Gillespie 1996, Phys. Rev. E 54, 2084): the process is
    equally believable whether it is advanced by seconds or by minutes.

    Parameters
    ----------
    count : int
        Number of processes.
    tau_seconds : float
        Correlation time, above 0.
    rng : numpy.random.Generator
        Source of randomness; the processes start in their stationary distribution.
    """

    def __init__(self, count: int, tau_seconds: float, rng: np.random.Generator) -> None:
        self._rng = rng
        self._tau = tau_seconds
        self.value: Floats = rng.standard_normal(count)

    def step(self, dt: float) -> Floats:
        """Advance by ``dt`` seconds and return the new values, shape (count,)."""
        keep = math.exp(-dt / self._tau)
        self.value = keep * self.value + math.sqrt(1.0 - keep * keep) * (
            self._rng.standard_normal(self.value.size)
        )
        return self.value


def bounded(value: Floats, limit: float) -> Floats:
    """``value`` squeezed smoothly into ±``limit``; nearly unchanged well inside."""
    return limit * np.tanh(value / limit)
