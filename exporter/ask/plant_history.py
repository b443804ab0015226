"""Sites as one plant over a period, read as answers read their metrics.

Powers are added up, the state of charge is weighted by usable energy. Each step says how many
sites it covers: a sum over fewer sites is smaller for that reason alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from exporter.ask import metric_history
from exporter.ask.catalogue import METRICS
from exporter.ask.metric_history import History
from exporter.ask.query import Period
from exporter.config.fleet import Site
from exporter.history.influxql import InfluxQL
from scoring.plant import usable_kwh

FloatArray = NDArray[np.float64]

Figure = Literal["battery_power_w", "grid_power_w", "load_power_w", "pv_power_w", "soc_percent"]
METRIC_OF: Mapping[Figure, str] = {
    "battery_power_w": "battery_power",
    "grid_power_w": "grid_power",
    "load_power_w": "load_power",
    "pv_power_w": "pv_power",
    "soc_percent": "soc",
}
"""Figure to the metric of the sites that it sums."""


@dataclass(frozen=True, slots=True)
class PlantHistory:
    """A figure of a plant over a period.

    Attributes
    ----------
    times : float array, shape (K,)
        Unix seconds of the beginning of each step that has readings.
    values : float array, shape (K,)
        W, or percent.
    sites : int array, shape (K,)
        Sites that each value covers.
    total : int
        Sites that each value should cover; for the state of charge those whose usable energy is
        known.
    statements : list of str
        Queries that InfluxDB answered.
    """

    times: FloatArray
    values: FloatArray
    sites: NDArray[np.int64]
    total: int
    statements: list[str]


async def plant_history(
    stored: InfluxQL,
    figure: Figure,
    period: Period,
    sites: Sequence[Site],
    active: dict[str, str],
) -> PlantHistory:
    """A figure over a period.

    Parameters
    ----------
    stored : InfluxQL
    figure : str
        One of :data:`METRIC_OF`.
    period : Period
    sites : sequence of Site
    active : dict of site id to device
        The battery that counts where a site has several.

    Raises
    ------
    exporter.ask.answer.CannotAnswerError
    """
    weights = _usable(sites) if figure == "soc_percent" else np.ones(len(sites))
    # Not of a site whose usable energy is unknown.
    counted = {site.id: float(w) for site, w in zip(sites, weights, strict=True) if w > 0}
    if not counted:
        nothing = np.zeros(0)
        return PlantHistory(nothing, nothing, np.zeros(0, dtype=np.int64), 0, [])
    names = list(counted)
    metric = METRICS[METRIC_OF[figure]]
    found, asked, _ = await metric_history.fetch(stored, metric, period, names, len(names), active)
    times, sums, weight, count = _added_up(found, counted)
    values = sums / weight if figure == "soc_percent" else sums
    return PlantHistory(times, values, count, len(counted), asked)


def _added_up(
    found: Mapping[str, History], weights: Mapping[str, float]
) -> tuple[FloatArray, FloatArray, FloatArray, NDArray[np.int64]]:
    """Times, weighted sums, sums of weights and numbers of sites of each step."""
    listed = [(history, weights[site]) for site, history in found.items() if site in weights]
    if not listed:
        return np.zeros(0), np.zeros(0), np.zeros(0), np.zeros(0, dtype=np.int64)
    all_times = np.concatenate([history.times for history, _ in listed])
    times, places = np.unique(all_times, return_inverse=True)
    each = np.concatenate([np.full(history.times.size, weight) for history, weight in listed])
    values = np.concatenate([history.values for history, _ in listed])
    sums, weight = np.zeros(times.size), np.zeros(times.size)
    count = np.zeros(times.size, dtype=np.int64)
    np.add.at(sums, places, values * each)
    np.add.at(weight, places, each)
    np.add.at(count, places, 1)
    return times, sums, weight, count


def _usable(sites: Sequence[Site]) -> FloatArray:
    return usable_kwh(
        np.array([math.nan if s.capacity_kwh is None else s.capacity_kwh for s in sites]),
        np.array([s.dispatch.soc_floor for s in sites], dtype=np.float64),
        np.array([s.dispatch.soc_ceiling for s in sites], dtype=np.float64),
    )
