"""Health of the grid connection: presence, frequency, voltage, steadiness."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from scoring.issues import (
    NOTHING_HELD,
    BoolArray,
    Component,
    Finding,
    FloatArray,
    Held,
    Severity,
    component,
    judge,
)
from scoring.limits import LIMITS
from scoring.rules import (
    AC_INPUT_FREQUENCY,
    AC_INPUT_VOLTAGE,
    FREQUENCY_NEAR_HZ,
    GENERATOR_TOLERANCE_HZ,
    GRID_FREQUENCY,
    GRID_FREQUENCY_DEVIATION,
    GRID_LOST,
    GRID_UNSTEADY,
    GRID_VOLTAGE,
    NOMINAL_NOT_SET,
    VOLTAGE_TOLERANCE,
)

GRID_INPUTS = ("grid_connected", "grid_frequency_hz", "grid_voltage_v")
UNSTEADY_SAMPLES = 10
TOGGLING_STEPS = 0.55


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
    deviation = np.full(count.shape, np.nan)
    enough = np.flatnonzero(count >= UNSTEADY_SAMPLES)
    if enough.size:
        hz, known, divisor = frequencies_hz[enough], known[enough], count[enough]
        mean = np.where(known, hz, 0.0).sum(axis=1) / divisor
        squares = np.where(known, (hz - mean[:, None]) ** 2, 0.0)
        deviation[enough] = np.sqrt(squares.sum(axis=1) / divisor)
    return deviation


_OTHER_SUPPLY_BELOW, _OTHER_SUPPLY_ABOVE = 0.65, 1.5
_NOMINAL_V = np.array([100.0, 120.0, 127.0, 208.0, 220.0, 230.0, 240.0])
_HZ_NEAR = 3.0


@dataclass(frozen=True, slots=True)
class Nominal:
    """Nominal frequency and phase voltage of every site: arrays of shape (N,).

    ``hz`` and ``v`` are in Hz and V; ``hz_given`` and ``v_given`` are true where the fleet file
    has them.
    """

    hz: FloatArray
    v: FloatArray
    hz_given: BoolArray
    v_given: BoolArray

    def as_seen(self, frequency_hz: FloatArray, voltage_v: FloatArray) -> Nominal:
        """The nominal values that a grid shows where the fleet file does not say otherwise.

        A frequency within 3 Hz of the other nominal one, and a voltage so far off that it belongs
        to another supply, propose themselves; a bad grid is nowhere near either.
        """
        other_hz = 110.0 - self.hz
        hz = np.where(
            ~self.hz_given & (np.abs(frequency_hz - other_hz) <= _HZ_NEAR), other_hz, self.hz
        )
        ratio = voltage_v / self.v
        other = ~self.v_given & ((ratio < _OTHER_SUPPLY_BELOW) | (ratio > _OTHER_SUPPLY_ABOVE))
        known = np.nan_to_num(voltage_v, nan=0.0)
        nearest = _NOMINAL_V[np.abs(known[:, None] - _NOMINAL_V).argmin(axis=1)]
        plausible = np.abs(nearest - voltage_v) <= VOLTAGE_TOLERANCE * nearest
        v = np.where(other & plausible, nearest, self.v)
        return Nominal(hz, v, self.hz_given, self.v_given)


def assess_ac_input(
    *,
    frequency_hz: FloatArray,
    voltage_v: FloatArray,
    nominal: Nominal,
    answering: BoolArray,
    held: Held = NOTHING_HELD,
) -> tuple[Finding, ...]:
    """A generator or shore power while it feeds a site: wider bands than those of a grid.

    Parameters
    ----------
    frequency_hz, voltage_v : float arrays, shape (N,)
        NaN where no such source feeds the site.
    nominal : Nominal
    answering : bool array, shape (N,)
    held : mapping of code to HeldIssue
        The judgement before; see :func:`scoring.issues.judge`.

    References
    ----------
    ISO 8528-5, performance class G1, for the frequency; EN 50160 for the voltage.
    """
    seen = nominal.as_seen(frequency_hz, voltage_v)
    limits = {
        "ac_input_frequency_low": seen.hz * (1 - GENERATOR_TOLERANCE_HZ),
        "ac_input_frequency_high": seen.hz * (1 + GENERATOR_TOLERANCE_HZ),
        "ac_input_voltage_low": seen.v * (1 - VOLTAGE_TOLERANCE),
        "ac_input_voltage_high": seen.v * (1 + VOLTAGE_TOLERANCE),
    }
    return (
        judge(AC_INPUT_FREQUENCY, frequency_hz, limits, answering, held=held),
        judge(AC_INPUT_VOLTAGE, voltage_v, limits, answering, held=held),
    )


def assess_grid(
    *,
    connected: FloatArray,
    frequency_hz: FloatArray,
    voltage_min_v: FloatArray,
    voltage_max_v: FloatArray,
    frequency_std_hz: FloatArray,
    frequency_step_hz: FloatArray,
    off_grid: BoolArray,
    nominal: Nominal,
    limits: Mapping[str, FloatArray],
    required: Mapping[str, BoolArray] = MappingProxyType({}),
    reported: Mapping[str, FloatArray] = MappingProxyType({}),
    noticed: tuple[Finding, ...] = (),
    held: Held = NOTHING_HELD,
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
    frequency_step_hz : float array, shape (N,)
        Resolution of the frequency, NaN unknown. A value stands for all from a step below it (where
        the source cuts off) to half a step above it (where it rounds), and is judged by the one of
        them that is nearest to nominal.
    off_grid : bool array, shape (N,)
        Sites that should have no grid: the component does not apply to them.
    nominal : Nominal
    limits : mapping of name to float array, shape (N,)
        ``grid_frequency_min`` and ``grid_frequency_max``: the band in Hz, both ends inside it.
    required : mapping of input to bool array, shape (N,)
        Where the site should give an input; on every grid for inputs that are left out. One that
        is given is judged anyway.
    reported : mapping of name to float array, shape (N,)
        Readings that no rule judges, and that some sites should give as ``required`` says.
    noticed : tuple of Finding
        What drivers noticed of grids.
    held : mapping of code to HeldIssue
        The judgement before; see :func:`scoring.issues.judge`.

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
    seen = nominal.as_seen(frequency_hz, voltage_min_v)
    low_side = np.abs(voltage_min_v - seen.v) >= np.abs(voltage_max_v - seen.v)
    worst_v = np.where(low_side | np.isnan(voltage_max_v), voltage_min_v, voltage_max_v)
    lost = connected == 0
    step = np.nan_to_num(frequency_step_hz, nan=0.0)
    nearest_hz = np.clip(seen.hz, frequency_hz - step, frequency_hz + step / 2)
    own = {
        "grid_frequency_low": np.round(seen.hz - FREQUENCY_NEAR_HZ, 3),
        "grid_frequency_high": np.round(seen.hz + FREQUENCY_NEAR_HZ, 3),
        "grid_voltage_low": seen.v * (1 - VOLTAGE_TOLERANCE),
        "grid_voltage_high": seen.v * (1 + VOLTAGE_TOLERANCE),
        # A value that toggles between two steps deviates by half a step, and says nothing.
        "grid_unsteady": np.maximum(LIMITS["grid_unsteady"].default, TOGGLING_STEPS * step),
        # The band of the fleet file is for the nominal frequency that it assumes.
        "grid_frequency_min": limits["grid_frequency_min"] + seen.hz - nominal.hz,
        "grid_frequency_max": limits["grid_frequency_max"] + seen.hz - nominal.hz,
    }
    there = on_grid & ~lost
    frequency = judge(GRID_FREQUENCY, frequency_hz, own, there, nearest_hz, held)
    in_band = frequency.severity == Severity.NONE
    findings = (
        judge(GRID_LOST, connected, own, on_grid & lost),
        frequency,
        judge(
            GRID_FREQUENCY_DEVIATION,
            frequency_hz,
            own,
            there & in_band,
            np.round(nearest_hz, 3),
            held,
        ),
        judge(GRID_VOLTAGE, worst_v, own, there, held=held),
        judge(GRID_UNSTEADY, frequency_std_hz, own, there, held=held),
        _nominal_not_set(nominal, seen, there),
        *noticed,
    )
    # A lost grid has no frequency and no voltage to miss.
    inputs = {"grid_connected": connected, "grid_frequency_hz": frequency_hz}
    inputs["grid_voltage_v"] = worst_v
    applicable = {
        "grid_connected": on_grid,
        "grid_frequency_hz": on_grid & ~lost,
        "grid_voltage_v": on_grid & ~lost,
    }
    applicable = {
        name: where & (required.get(name, where) | ~np.isnan(inputs[name]))
        for name, where in applicable.items()
    }
    asked = {name: (values, required[name]) for name, values in reported.items()}
    return component("grid", findings, inputs, applicable, asked)


def _nominal_not_set(configured: Nominal, seen: Nominal, on_grid: BoolArray) -> Finding:
    """Sites whose grid shows other nominal values: ``value`` is the frequency in Hz, ``threshold``
    the voltage in V."""
    other = (configured.hz != seen.hz) | (configured.v != seen.v)
    found = judge(NOMINAL_NOT_SET, np.where(other, seen.hz, np.nan), {}, on_grid & other)
    return replace(found, threshold=np.where(on_grid & other, seen.v, np.nan))
