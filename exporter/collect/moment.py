"""What the window over a site's past takes in: a moment, and what it is counted against."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scoring.grid import Nominal
from scoring.pv_power import Expected

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]

OBSERVED = (
    "grid_frequency_hz",
    "grid_frequency_step_hz",
    "grid_voltage_v",
    "grid_voltage_min_v",
    "grid_voltage_max_v",
    "grid_connected",
    "pv_power_w",
    "pv_disabled",
    "battery_hottest_c",
    "battery_lowest_soh_percent",
    "soc_percent",
    "voltage_v",
    "current_a",
    "power_w",
    "temperature_c",
    "cell_max_v",
    "charge_limit_a",
    "discharge_limit_a",
    "charged_kwh",
    "discharged_kwh",
    "uptime_h",
)
"""Readings that the window takes in."""


@dataclass(frozen=True, slots=True)
class SiteConstants:
    """What the past is counted against, arrays of shape (N,).

    ``frequency_min_hz`` and ``frequency_max_hz`` are for the nominal frequency of the fleet file;
    ``capacity_kwh`` is NaN where unknown; ``region`` numbers regions, -1 in none; ``curtailed`` are
    sites whose PV somebody holds back without saying so.
    """

    nominal: Nominal
    frequency_min_hz: FloatArray
    frequency_max_hz: FloatArray
    long_stay_c: FloatArray
    longitude: FloatArray
    capacity_kwh: FloatArray
    region: IntArray
    curtailed: BoolArray


@dataclass(frozen=True, slots=True)
class Moment:
    """What is known of all sites at one moment.

    Attributes
    ----------
    wall, seconds : float
        Unix time, and time since the moment before.
    answering : bool array, shape (N,)
    readings : mapping of name to float array, shape (N,)
        Fresh values; NaN is missing, and so is a name that is not in it.
    durations : float array, shape (N,)
        Of the latest scrape, s.
    expected : Expected or None
        What the sun allows.
    power_read_at, interval : float arrays, shape (N,), or None
        Monotonic seconds at which the battery's power was read, and usual seconds between two
        readings; None: each reading stands for the time since the moment before.
    """

    wall: float
    seconds: float
    answering: BoolArray
    readings: Mapping[str, FloatArray]
    durations: FloatArray
    expected: Expected | None
    power_read_at: FloatArray | None = None
    interval: FloatArray | None = None

    def of(self, name: str) -> FloatArray:
        """A reading of all sites."""
        found = self.readings.get(name)
        return np.full(self.answering.shape, np.nan) if found is None else found
