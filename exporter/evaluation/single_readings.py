"""The two ways of judging that most tools offer, as a yardstick: fixed limits on each reading, and
two standard deviations from the fleet's mean."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from exporter.assess.assessment import FleetAssessment
from exporter.collect.state import FleetState
from exporter.evaluation.spells import Active
from scoring.issues import BoolArray, FloatArray, Severity
from scoring.pv_power import Expected
from scoring.rules import VOLTAGE_TOLERANCE

SIGMAS = 2.0
FEWEST_MEMBERS = 6
"""With fewer, no member can lie two standard deviations from the mean of all."""
PV_SHARE = 0.5
PV_ELEVATION_DEG = 10.0

_COMPARED = {
    "battery_lowest_soh_percent": "battery_soh",
    "battery_hottest_c": "battery_temperature",
    "cell_widest_spread_v": "cell_spread",
    "soc_percent": "battery_soc",
    "grid_frequency_hz": "grid_frequency",
    "grid_voltage_v": "grid_voltage",
    "pv_share": "pv_underperforming",
}
"""Reading to the code under which a deviation counts."""


def fixed_limits(state: FleetState, readings: Mapping[str, FloatArray], pv: FloatArray) -> Active:
    """What fixed limits say of the latest readings, one by one.

    Parameters
    ----------
    state : FleetState
        For limits and nominal values of each site.
    readings : mapping of name to float array, shape (N,)
        NaN is missing.
    pv : float array, shape (N,)
        PV power as a share of what a clear sky allows, NaN at night.
    """
    limit = state.thresholds
    with np.errstate(invalid="ignore"):
        volts = readings["grid_voltage_v"]
        masks = {
            "battery_soh": readings["battery_lowest_soh_percent"] < limit["battery_soh_warning"],
            "battery_temperature": readings["battery_hottest_c"] > limit["temperature_max"],
            "cell_spread": readings["cell_widest_spread_v"] > limit["cell_spread_warning"],
            "battery_soc": readings["soc_percent"] < limit["soc_critical"],
            "grid_frequency": (readings["grid_frequency_hz"] < limit["grid_frequency_min"])
            | (readings["grid_frequency_hz"] > limit["grid_frequency_max"]),
            "grid_voltage": np.abs(volts / state.nominal.v - 1.0) > VOLTAGE_TOLERANCE,
            "grid_lost": ~state.off_grid & (readings["grid_connected"] == 0),
            "pv_underperforming": pv < PV_SHARE,
            "site_offline": state.up == 0,
        }
    return _active(state.ids, masks)


def two_sigma(state: FleetState, readings: Mapping[str, FloatArray], pv: FloatArray) -> Active:
    """What lies beyond two standard deviations of the fleet's mean; parameters as above."""
    masks = {}
    for name, code in _COMPARED.items():
        values = pv if name == "pv_share" else readings[name]
        known = ~np.isnan(values)
        if np.count_nonzero(known) < FEWEST_MEMBERS:
            continue
        spread = float(values[known].std())
        if spread > 0:
            distance = np.abs(values - values[known].mean())
            with np.errstate(invalid="ignore"):
                masks[code] = distance > SIGMAS * spread
    return _active(state.ids, masks)


def pv_share(assessment: FleetAssessment, expected: Expected) -> FloatArray:
    """PV power as a share of a clear sky's, shape (N,); NaN at night and where unknown."""
    day = (expected.elevation_deg > PV_ELEVATION_DEG) & (expected.power_w > 0)
    share: FloatArray = np.full(len(day), np.nan)
    np.divide(assessment.readings["pv_power_w"], expected.power_w, out=share, where=day)
    return share


def _active(ids: list[str], masks: Mapping[str, BoolArray]) -> Active:
    return {
        (ids[row], code): Severity.WARNING
        for code, mask in masks.items()
        for row in np.flatnonzero(mask).tolist()
    }
