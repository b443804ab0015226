"""How VE.Bus devices see the frequency of their input: they count its period in steps."""

from __future__ import annotations

import math

PERIOD_STEP_S = 0.1024e-3


def step_hz(frequency_hz: float) -> float:
    """Distance between neighbouring frequencies that are shown, Hz."""
    return PERIOD_STEP_S * frequency_hz**2


def stepped_hz(frequency_hz: float) -> float:
    """A frequency as it is shown: its period is cut off to whole steps. 0 stays 0."""
    steps = math.floor(1.0 / (frequency_hz * PERIOD_STEP_S)) if frequency_hz > 0 else 0
    return 1.0 / (steps * PERIOD_STEP_S) if steps else 0.0
