"""What the judgement of a fleet rests on."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from scoring.grid import Nominal
from scoring.issues import BoolArray, FloatArray, Held
from scoring.kinds import MAIN_READING, REQUIRED
from scoring.solar import SolarResult


@dataclass(frozen=True, slots=True)
class Required:
    """What each site should report: bool arrays of shape (N,).

    Attributes
    ----------
    by_component : mapping of component to mapping of reading to bool array
        Where a site should give a reading; True in every row of a component that is left out.
    main : mapping of reading to bool array
        Where a site is there for this reading.
    """

    by_component: Mapping[str, Mapping[str, BoolArray]] = field(default_factory=dict)
    main: Mapping[str, BoolArray] = field(default_factory=dict)

    @classmethod
    def of(cls, profiles: Sequence[str]) -> Required:
        """What sites should report, by their rows of :data:`scoring.kinds.REQUIRED`."""
        found: dict[str, dict[str, BoolArray]] = {}
        for component_name in ("battery", "grid", "solar"):
            rows = {name: row.get(component_name, ()) for name, row in REQUIRED.items()}
            readings = dict.fromkeys(reading for row in rows.values() for reading in row)
            found[component_name] = {
                reading: np.array([reading in rows[name] for name in profiles], dtype=bool)
                for reading in readings
            }
        main = {
            reading: np.array([MAIN_READING.get(name) == reading for name in profiles], dtype=bool)
            for reading in dict.fromkeys(MAIN_READING.values())
        }
        return cls(found, main)

    def of_component(self, name: str) -> Mapping[str, BoolArray]:
        """Where sites should give each reading of a component."""
        return self.by_component.get(name, {})


@dataclass(frozen=True, slots=True)
class FleetInputs:
    """Everything that the judgement depends on; arrays of shape (N,) unless said otherwise.

    Attributes
    ----------
    ids : list of N str
    readings : mapping of quantity name to float array
        Latest values in the quantity's own unit; NaN where missing, implausible or stale.
    thresholds : mapping of threshold name to float array
    frequencies_hz : float array, shape (N, W)
        The last W grid frequencies.
    pv_ratio : float array
        From :func:`scoring.solar.performance_ratio`.
    pv_yield : float array
        Mean PV power over the same window by installed power, W/W; NaN where ``pv_ratio`` is.
    pv_current : bool array
        Where the window of ``pv_ratio`` reaches up to now.
    solar_before : scoring.solar.SolarResult or None
        The judgement before, which holds through the time that cannot be judged.
    worked, attempted, answered : float arrays
        Scrapes of the last hour that worked, a partial one counting half, all of them, and those
        that were answered at all.
    age_s, interval_s, offline_after_s : float arrays
        Seconds since the last scrape that worked (NaN: never), between scrapes, and until a site
        counts as offline.
    tried : bool array
        Sites of which a scrape has ended, well or not.
    alarm_level, implausible, wrong_types : float arrays
        Highest alarm level of any device; number of implausible quantities, and of those whose
        value is of a wrong type.
    notices : mapping of notice code to bool array
        Where a driver noticed something; codes without any site may be left out.
    cell_found : bool array
        Sites of which the analysis of stored cells reports a warning or worse.
    nominal : scoring.grid.Nominal
    off_grid, latitude, solar_capacity_kw, priority
        From the fleet file.
    region, battery_type : int arrays
        Group numbers, -1 in none; no group spans projects.
    project : int array
        Group numbers; every site is in one. Sites are compared within their project alone.
    window : mapping of name to float array
        Figures of the recent past, from :mod:`scoring.window`; unknown where left out.
    held : mapping of code to HeldIssue
        The judgement before; see :func:`scoring.issues.judge`.
    required : Required
        What each site should report by its kind.
    curtailed : bool array or None
        Sites whose PV somebody holds back without saying so; None: no site.
    passed_s, elapsed_s : float
        Seconds since the judgement before, as far as they may have been observed, and all of them.
    pv_lasting_s : float array or float
        For how long PV must be low; see :func:`scoring.solar.assess_solar`.
    """

    ids: list[str]
    readings: Mapping[str, FloatArray]
    thresholds: Mapping[str, FloatArray]
    frequencies_hz: FloatArray
    pv_ratio: FloatArray
    pv_yield: FloatArray
    worked: FloatArray
    attempted: FloatArray
    answered: FloatArray
    age_s: FloatArray
    interval_s: FloatArray
    offline_after_s: FloatArray
    tried: BoolArray
    alarm_level: FloatArray
    implausible: FloatArray
    wrong_types: FloatArray
    notices: Mapping[str, BoolArray]
    cell_found: BoolArray
    off_grid: BoolArray
    nominal: Nominal
    latitude: FloatArray
    solar_capacity_kw: FloatArray
    priority: NDArray[np.int8]
    region: NDArray[np.int64]
    battery_type: NDArray[np.int64]
    project: NDArray[np.int64]
    pv_current: BoolArray
    solar_before: SolarResult | None = None
    window: Mapping[str, FloatArray] = field(default_factory=dict)
    held: Held = field(default_factory=dict)
    required: Required = field(default_factory=Required)
    curtailed: BoolArray | None = None
    passed_s: float = math.inf
    elapsed_s: float = 0.0
    pv_lasting_s: FloatArray | float = 0.0
