"""Health of the grid connection: presence, frequency, voltage, steadiness."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from scoring.issues import BoolArray, Component, FloatArray, Severity, component, judge
from scoring.rules import (
    FREQUENCY_NEAR_HZ,
    GRID_FREQUENCY,
    GRID_FREQUENCY_DEVIATION,
    GRID_LOST,
    GRID_UNSTEADY,
    GRID_VOLTAGE,
    VOLTAGE_TOLERANCE,
)

UNSTEADY_SAMPLES = 10


def steadiness(frequencies_hz: FloatArray) -> FloatArray:
    """Standard deviation of the frequency over a window.

    Parameters
    ----------
    frequencies_hz : float array, shape (N, W)
        The last W frequencies of each site, in any order; NaN where there is none.

    Returns
    -------
    float array, shape (N,)
        Hz; NaN with fewer than 10 values, from which nothing is concluded. A synchronous area as
        large as continental Europe stays near 0.02 Hz.
    """
    known = ~np.isnan(frequencies_hz)
    count = known.sum(axis=1)
    filled = np.where(known, frequencies_hz, 0.0)
    divisor = np.maximum(count, 1)
    mean = filled.sum(axis=1) / divisor
    squares = np.where(known, (frequencies_hz - mean[:, None]) ** 2, 0.0)
    deviation = np.sqrt(squares.sum(axis=1) / divisor)
    return np.where(count >= UNSTEADY_SAMPLES, deviation, np.nan)


def assess_grid(
    *,
    connected: FloatArray,
    frequency_hz: FloatArray,
    voltage_min_v: FloatArray,
    voltage_max_v: FloatArray,
    frequency_std_hz: FloatArray,
    off_grid: BoolArray,
    nominal_hz: FloatArray,
    nominal_v: FloatArray,
    limits: Mapping[str, FloatArray],
) -> Component:
    """Grid component: presence, frequency, voltage and steadiness.

    Parameters
    ----------
    connected : float array, shape (N,)
        1 with grid at the AC input, 0 where it is lost, NaN unknown.
    frequency_hz : float array, shape (N,)
        Grid frequency in Hz; NaN where there is no grid.
    voltage_min_v, voltage_max_v : float arrays, shape (N,)
        Lowest and highest phase voltage, V.
    frequency_std_hz : float array, shape (N,)
        From :func:`steadiness`.
    off_grid : bool array, shape (N,)
        Sites that should have no grid: the component does not apply to them.
    nominal_hz, nominal_v : float arrays, shape (N,)
        Nominal frequency (50 or 60) and phase voltage.
    limits : mapping of name to float array, shape (N,)
        ``grid_frequency_min`` and ``grid_frequency_max``: the band in Hz, both ends inside it.

    Returns
    -------
    Component
        Unknown (NaN) without any input, and on off-grid sites.

    Notes
    -----
    The deviation of 0.1 Hz is judged to the millihertz, since 50.1 - 50 is more than 0.1 in
    binary. Voltage limits are the ±10 % of EN 50160.
    """
    on_grid = ~off_grid
    low_side = np.abs(voltage_min_v - nominal_v) >= np.abs(voltage_max_v - nominal_v)
    worst_v = np.where(low_side | np.isnan(voltage_max_v), voltage_min_v, voltage_max_v)
    lost = connected == 0
    own = {
        "grid_frequency_low": np.round(nominal_hz - FREQUENCY_NEAR_HZ, 3),
        "grid_frequency_high": np.round(nominal_hz + FREQUENCY_NEAR_HZ, 3),
        "grid_voltage_low": nominal_v * (1 - VOLTAGE_TOLERANCE),
        "grid_voltage_high": nominal_v * (1 + VOLTAGE_TOLERANCE),
    }
    frequency = judge(GRID_FREQUENCY, frequency_hz, limits, on_grid)
    in_band = frequency.severity == Severity.NONE
    findings = (
        judge(GRID_LOST, connected, own, on_grid & lost),
        frequency,
        judge(
            GRID_FREQUENCY_DEVIATION,
            frequency_hz,
            own,
            on_grid & in_band,
            compared=np.round(frequency_hz, 3),
        ),
        judge(GRID_VOLTAGE, worst_v, own, on_grid),
        judge(GRID_UNSTEADY, frequency_std_hz, own, on_grid & ~lost),
    )
    # A lost grid has no frequency and no voltage to miss.
    inputs = {"grid_connected": connected, "grid_frequency_hz": frequency_hz}
    inputs["grid_voltage_v"] = worst_v
    applicable = {
        "grid_connected": on_grid,
        "grid_frequency_hz": on_grid & ~lost,
        "grid_voltage_v": on_grid & ~lost,
    }
    return component("grid", findings, inputs, applicable)
