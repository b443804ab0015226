"""The catalogue of issues: stable codes, the sentence for a person and the action to take."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int8]


class Severity(IntEnum):
    """Severity of an issue; NONE marks sites that do not have it."""

    NONE = 0
    INFO = 1
    WARNING = 2
    CRITICAL = 3


@dataclass(frozen=True, slots=True)
class IssueKind:
    """One kind of issue.

    Attributes
    ----------
    code : str
        Stable name, the ``code`` label of ``fleetscope_site_issue``.
    component : str
        The component score that it belongs to.
    unit : str
        Unit of its value and threshold.
    sentence : str
        Format string over ``value``, ``threshold`` and ``detail``.
    action : str
        What to do first.
    """

    code: str
    component: str
    unit: str
    sentence: str
    action: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One kind of issue over all sites: arrays of shape (N,).

    ``severity`` holds values of :class:`Severity`; ``value`` and ``threshold`` are in the kind's
    unit, NaN where there is none; ``deduction`` is in points of the component's 100.
    """

    kind: IssueKind
    severity: IntArray
    value: FloatArray
    threshold: FloatArray
    deduction: FloatArray


@dataclass(frozen=True, slots=True)
class Component:
    """One component score over all sites.

    Attributes
    ----------
    name : str
    score : float array, shape (N,)
        0 to 100; NaN where no input is known.
    findings : tuple of Finding
    inputs : tuple of str
        Names of the inputs that the component can use.
    present, applicable : bool arrays, shape (len(inputs), N)
        Which inputs are known, and which the site should have.
    """

    name: str
    score: FloatArray
    findings: tuple[Finding, ...]
    inputs: tuple[str, ...]
    present: BoolArray
    applicable: BoolArray


def finding(
    kind: IssueKind,
    value: FloatArray,
    *levels: tuple[BoolArray, Severity, float, FloatArray | float],
) -> Finding:
    """Build a finding from levels, of which the first that holds decides.

    Parameters
    ----------
    kind : IssueKind
    value : float array, shape (N,)
        The value that is judged, in the kind's unit.
    *levels : (mask, severity, deduction, threshold)
        ``mask`` (N,) says where the level holds; comparisons with NaN are False, so that a missing
        value is never a finding.
    """
    count = value.shape[0]
    severity = np.zeros(count, dtype=np.int8)
    deduction = np.zeros(count)
    threshold = np.full(count, np.nan)
    for mask, level, points, limit in reversed(levels):
        severity[mask] = level
        deduction[mask] = points
        threshold[mask] = np.broadcast_to(limit, (count,))[mask]
    return Finding(kind, severity, value, threshold, deduction)


def component(
    name: str,
    findings: tuple[Finding, ...],
    inputs: dict[str, FloatArray],
    applicable: BoolArray | dict[str, BoolArray],
) -> Component:
    """Score a component: 100 less every deduction, not below 0, NaN without any input.

    Parameters
    ----------
    name : str
    findings : tuple of Finding
    inputs : dict of float arrays, shape (N,)
        The readings that the component uses, by name; NaN is missing.
    applicable : bool array, shape (N,), or one for each input
        Where the site should have these inputs at all.
    """
    present = np.array([~np.isnan(values) for values in inputs.values()])
    if isinstance(applicable, dict):
        wanted = np.array([applicable[key] for key in inputs])
    else:
        wanted = np.broadcast_to(applicable, present.shape)
    present = present & wanted
    score = 100.0 - np.sum([f.deduction for f in findings], axis=0)
    score = np.where(present.any(axis=0), np.maximum(score, 0.0), np.nan)
    return Component(name, score, findings, tuple(inputs), present, wanted)


_BATTERY, _GRID, _SOLAR, _CONNECTIVITY = "battery", "grid", "solar", "connectivity"

BATTERY_SOH = IssueKind(
    "battery_soh",
    _BATTERY,
    "%",
    "State of health is {value:.0f} %, below {threshold:.0f} %",
    "Check the warranty terms and plan a capacity test; order a replacement if it confirms.",
)
BATTERY_TEMPERATURE = IssueKind(
    "battery_temperature",
    _BATTERY,
    "°C",
    "Battery is at {value:.1f} °C, above {threshold:.0f} °C",
    "Reduce charge and discharge power, then check ventilation and ambient temperature on site.",
)
CELL_SPREAD = IssueKind(
    "cell_spread",
    _BATTERY,
    "V",
    "Cells differ by {value:.3f} V, more than {threshold:.2f} V{detail}",
    "Let the battery balance at full charge; if the spread stays, have the named cell checked.",
)
BATTERY_SOC = IssueKind(
    "battery_soc",
    _BATTERY,
    "%",
    "State of charge is {value:.0f} %, below {threshold:.0f} %",
    "Check why it was not charged: PV, grid set-point, charge limits; charge it soon.",
)
BATTERY_SILENT = IssueKind(
    "battery_silent",
    _BATTERY,
    "",
    "The site answers but gives no battery reading at all",
    "Check the BMS cable and the battery monitor setting on the site's controller.",
)
GRID_LOST = IssueKind(
    "grid_lost",
    _GRID,
    "",
    "There is no grid at the AC input",
    "Ask whether the utility has an outage; if not, check the main breaker and the AC input.",
)
GRID_FREQUENCY = IssueKind(
    "grid_frequency",
    _GRID,
    "Hz",
    "Grid frequency is {value:.2f} Hz, beyond {threshold:.2f} Hz",
    "Compare with other sites of the region: if they agree it is the utility, else the meter.",
)
GRID_FREQUENCY_DEVIATION = IssueKind(
    "grid_frequency_deviation",
    _GRID,
    "Hz",
    "Grid frequency is {value:.2f} Hz, more than 0.1 Hz off nominal",
    "Watch it; it is within the band.",
)
GRID_VOLTAGE = IssueKind(
    "grid_voltage",
    _GRID,
    "V",
    "Grid voltage is {value:.0f} V, beyond {threshold:.0f} V",
    "Compare phases and neighbouring sites; report a lasting deviation to the utility.",
)
GRID_UNSTEADY = IssueKind(
    "grid_unsteady",
    _GRID,
    "Hz",
    "Grid frequency varies by {value:.3f} Hz (standard deviation), more than {threshold:.2f} Hz",
    "Watch it; a weak grid or a generator is the usual cause.",
)
PV_UNDERPERFORMING = IssueKind(
    "pv_underperforming",
    _SOLAR,
    "",
    "PV makes {value:.0%} of what the sun and its neighbours say it should",
    "Check string fuses, isolators and the inverter's error log, then look for new shade.",
)
PV_LOW = IssueKind(
    "pv_low",
    _SOLAR,
    "",
    "PV makes {value:.0%} of what the sun and its neighbours say it should",
    "Look for dirt, snow or new shade at the next visit.",
)
SITE_OFFLINE = IssueKind(
    "site_offline",
    _CONNECTIVITY,
    "s",
    "The site does not answer{detail}",
    "Check its internet connection and power; ask the contact whether the site is live.",
)
SCRAPES_FAILING = IssueKind(
    "scrapes_failing",
    _CONNECTIVITY,
    "",
    "Only {value:.0%} of the scrapes of the last hour worked",
    "Check the site's link; a slow or overloaded controller shows as timeouts.",
)
DEVICE_ALARM = IssueKind(
    "device_alarm",
    "devices",
    "",
    "A device reports an alarm{detail}",
    "Read the alarm on the device's own display and follow its manual.",
)
DEVICE_WARNING = IssueKind(
    "device_warning",
    "devices",
    "",
    "A device reports a warning{detail}",
    "Watch it; it becomes an alarm if nothing changes.",
)
IMPLAUSIBLE_READING = IssueKind(
    "implausible_reading",
    "devices",
    "",
    "A device reports a value outside physics{detail}",
    "Check the sensor, its wiring and the device's firmware; the value is not scored.",
)

ISSUE_KINDS: tuple[IssueKind, ...] = (
    BATTERY_SOH,
    BATTERY_TEMPERATURE,
    CELL_SPREAD,
    BATTERY_SOC,
    BATTERY_SILENT,
    GRID_LOST,
    GRID_FREQUENCY,
    GRID_FREQUENCY_DEVIATION,
    GRID_VOLTAGE,
    GRID_UNSTEADY,
    PV_UNDERPERFORMING,
    PV_LOW,
    SITE_OFFLINE,
    SCRAPES_FAILING,
    DEVICE_ALARM,
    DEVICE_WARNING,
    IMPLAUSIBLE_READING,
)
