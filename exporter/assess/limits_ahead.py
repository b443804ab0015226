"""Days until limits, by the trends of the last weeks."""

from __future__ import annotations

import numpy as np

from scoring.fleet_inputs import FleetInputs
from scoring.issues import FloatArray
from scoring.outlook import SEASON_DAYS, Outlook, days_until


def limits_ahead(inputs: FleetInputs) -> dict[str, FloatArray]:
    """When state of health and temperature reach their next limit, as far as the past carries it.

    Returns
    -------
    dict of name to float array, shape (N,)
        By the name of the quantity; NaN where nothing is sure.
    """
    window, limits = inputs.window, inputs.thresholds
    nothing = np.full(inputs.pv_ratio.shape, np.nan)

    def trend(name: str) -> tuple[FloatArray, FloatArray, FloatArray]:
        middle, low, high = (window.get(name + end, nothing) for end in ("", "_low", "_high"))
        return middle, low, high

    soh = inputs.readings["battery_lowest_soh_percent"]
    warning, critical = limits["battery_soh_warning"], limits["battery_soh_critical"]
    slope, low, high = trend("soh_slope")
    health = days_until(soh, np.where(soh > warning, warning, critical), slope, low, high)
    warmer, least, most = trend("hottest_slope")
    hottest = window.get("hottest_c", nothing)
    heat = days_until(hottest, limits["temperature_max"], warmer, most, least, SEASON_DAYS)
    return {
        "soh_trend_percent_month": slope,
        "temperature_trend_c_month": warmer,
        **_days_ahead("soh", health),
        **_days_ahead("temperature", heat),
    }


def _days_ahead(subject: str, found: Outlook) -> dict[str, FloatArray]:
    latest = np.where(np.isinf(found.latest), np.nan, found.latest)
    return {
        f"{subject}_limit_days": found.days,
        f"{subject}_limit_earliest_days": found.earliest,
        f"{subject}_limit_latest_days": latest,
    }
