"""Faults and their look-alikes at several strengths, each with what a right monitor says of it.

A row says what happens and when; ``simulator.faults`` says which issues it must raise. Nothing here
knows how a detector works.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np

from exporter.evaluation.labels import Label, Paging
from simulator.faults import FaultName, Setting, expected_issues
from simulator.scenario import FaultPlan, Scenario, Site

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
MORNING_HOUR = 9.0
"""Local solar time at which what concerns PV begins."""

Plan = Callable[[float, float], list[FaultPlan]]
"""From a begin and a duration, seconds after the start, to what the simulator does."""


@dataclass(frozen=True, slots=True)
class Case:
    """Something that happens to one site.

    Attributes
    ----------
    name : str
        Under which results are summed up.
    strength : str
    fault : str
        The simulator's fault, whose expectations hold.
    params : dict
    hours : float
        How long it lasts.
    paging : Paging
    innocent : bool
        Whether nothing is wrong that anybody would want to hear of.
    plan : callable or None
        What the simulator does; None: the fault from begin to end.
    by_day : bool
        Whether it begins in the morning of the site.
    codes : frozenset of str or None
        What a right monitor says, where it is not what the simulator expects of the fault.
    tolerated : frozenset of str
        What it may say in addition.
    after_hours : float
        Time without it at the beginning, from which a monitor knows what is usual.
    fleet_file : dict
        What the fleet file says of the site, and is not so.
    phases : int
        Least number of phases of the site.
    """

    name: str
    strength: str
    fault: FaultName
    params: dict[str, Any] = field(default_factory=dict)
    hours: float = 4.0
    paging: Paging = Paging.ALLOWED
    innocent: bool = False
    plan: Plan | None = None
    by_day: bool = False
    codes: frozenset[str] | None = None
    tolerated: frozenset[str] = frozenset()
    after_hours: float = 0.0
    fleet_file: dict[str, Any] = field(default_factory=dict)
    phases: int = 1

    def plans(self, begin: float) -> list[FaultPlan]:
        """What the simulator does, from a moment in seconds after its start."""
        seconds = self.hours * HOUR
        if self.plan is not None:
            return self.plan(begin, seconds)
        return [_plan(self.fault, self.params, begin, begin + seconds)]

    def label(self, site: Site, scenario: Scenario, start: float, begin: float) -> Label:
        """The truth of it, for a simulation that starts at a Unix time."""
        expected = expected_issues(self.fault, self.params, _setting(site, scenario))
        codes = expected.must_show | expected.must_show_one_of
        if self.codes is not None:
            codes = self.codes
        return Label(
            site=site.id,
            fault=self.name,
            strength=self.strength,
            # What a fleet file says wrongly is wrong from the start.
            begin=start if self.fleet_file else start + begin,
            end=start + begin + self.hours * HOUR,
            codes=frozenset() if self.innocent else codes,
            tolerated=expected.may_show | self.tolerated,
            paging=self.paging,
            innocent=self.innocent,
        )


def _plan(fault: FaultName, params: dict[str, Any], begin: float, end: float) -> FaultPlan:
    return FaultPlan(fault=fault, params=params, start_seconds=begin, end_seconds=end)


def hovering(fault: FaultName, key: str, values: Sequence[float], seconds: float) -> Plan:
    """A value that goes to and fro across its limit."""

    def plan(begin: float, duration: float) -> list[FaultPlan]:
        times = np.arange(begin, begin + duration, seconds)
        return [
            _plan(fault, {key: values[index % len(values)]}, time, time + seconds)
            for index, time in enumerate(times.tolist())
        ]

    return plan


def ramp(fault: FaultName, key: str, first: float, last: float, steps: int) -> Plan:
    """A value that moves from one to another."""

    def plan(begin: float, duration: float) -> list[FaultPlan]:
        values = np.linspace(first, last, steps)
        edges = np.linspace(begin, begin + duration, steps + 1)
        return [
            _plan(fault, {key: float(value)}, float(edges[i]), float(edges[i + 1]))
            for i, value in enumerate(values)
        ]

    return plan


def outages(seconds: float, every: float) -> Plan:
    """A site that goes away for a while, again and again."""

    def plan(begin: float, duration: float) -> list[FaultPlan]:
        times = np.arange(begin, begin + duration - seconds, every)
        return [_plan("offline", {}, time, time + seconds) for time in times.tolist()]

    return plan


def _levels(
    name: str,
    fault: FaultName,
    key: str,
    values: Sequence[tuple[float, str, Paging]],
    **rest: Any,
) -> Iterator[Case]:
    for value, strength, paging in values:
        yield Case(name, strength, fault, {key: value}, paging=paging, **rest)


NO, MAY, DUE = Paging.WRONG, Paging.ALLOWED, Paging.DUE

FAULTS: tuple[Case, ...] = (
    *_levels("aged battery", "soh", "value", [(84, "SOH 84 %", NO), (75, "75 %", NO)]),
    *_levels("aged battery", "soh", "value", [(65, "65 %", MAY)]),
    *_levels(
        "hot battery",
        "temperature",
        "celsius",
        [(46, "46 °C", NO), (50, "50 °C", NO), (57, "57 °C", DUE)],
    ),
    Case(
        "battery that grows hot",
        "30 to 60 °C in 6 h",
        "temperature",
        {"celsius": 60},
        hours=6,
        plan=ramp("temperature", "celsius", 30, 60, 72),
    ),
    *_levels(
        "weak cell",
        "cell_spread",
        "volts",
        [(0.12, "120 mV", NO), (0.16, "160 mV", MAY), (0.3, "300 mV", MAY)],
    ),
    *_levels("empty battery", "low_soc", "value", [(9, "9 %", MAY), (4, "4 %", DUE)]),
    *_levels(
        "grid frequency",
        "frequency",
        "value",
        [(49.7, "49.7 Hz", NO), (49.3, "49.3 Hz", NO), (50.8, "50.8 Hz", NO)],
    ),
    *_levels("grid voltage", "voltage", "value", [(200, "200 V", NO), (262, "262 V", NO)]),
    Case("grid outage", "10 min", "grid_lost", hours=1 / 6),
    Case("grid outage", "2 h", "grid_lost", hours=2, paging=DUE),
    Case("no PV", "all day", "pv_dead", hours=8, by_day=True, paging=NO),
    *_levels(
        "part of the PV is lost",
        "pv_shaded",
        "factor",
        [(0.65, "65 % left", NO), (0.4, "40 % left", NO), (0.2, "20 % left", NO)],
        hours=8,
        by_day=True,
    ),
    Case("site offline", "20 min", "offline", hours=1 / 3, paging=DUE),
    Case("site offline", "3 h", "offline", hours=3, paging=DUE),
    Case("bridge hangs", "1 h", "hang", hours=1, paging=DUE),
    Case("bridge sends rubbish", "1 h", "rubbish", hours=1, paging=MAY),
    Case("replies cut short", "1 h", "truncated", hours=1, paging=MAY),
    Case("bridge fails", "status 500, 1 h", "http_500", hours=1, paging=MAY),
    Case(
        "link comes and goes",
        "3 of 6 min",
        "offline",
        hours=3,
        plan=outages(3 * MINUTE, 6 * MINUTE),
    ),
    Case("values of wrong types", "1 h", "wrong_types", hours=1),
    Case("values outside physics", "1 h", "implausible", hours=1),
    Case("battery falls silent", "4 h", "battery_silent"),
    Case("clock of the bridge", "7 min behind", "clock", {"ahead_seconds": -420}, paging=NO),
    Case("clock of the bridge", "1 h ahead", "clock", {"ahead_seconds": 3600}, paging=NO),
    *_levels("alarm of a device", "alarm", "level", [(2, "alarm", MAY), (1, "warning", NO)]),
    Case(
        "temperature at its limit",
        "44.8 and 45.2 °C",
        "temperature",
        {"celsius": 45.2},
        paging=NO,
        plan=hovering("temperature", "celsius", [45.2, 44.8], 3 * MINUTE),
    ),
    Case(
        "charge at its limit",
        "9.8 and 10.2 %",
        "low_soc",
        {"value": 9.8},
        plan=hovering("low_soc", "value", [9.8, 10.2], 3 * MINUTE),
    ),
    Case(
        "frequency at its limit",
        "49.38 and 49.62 Hz",
        "frequency",
        {"value": 49.38},
        paging=NO,
        plan=hovering("frequency", "value", [49.38, 49.62], 2 * MINUTE),
    ),
)

LOOK_ALIKES: tuple[Case, ...] = tuple(
    Case(name, strength, fault, params, hours=hours, paging=NO, innocent=True, plan=plan)
    for name, strength, fault, params, hours, plan in cast(
        list[tuple[str, str, FaultName, dict[str, Any], float, Plan | None]],
        [
            ("warm battery", "44 °C", "temperature", {"celsius": 44}, 4, None),
            ("SOH above its limit", "86 %", "soh", {"value": 86}, 4, None),
            ("cells a little apart", "80 mV", "cell_spread", {"volts": 0.08}, 4, None),
            ("low charge above its limit", "12 %", "low_soc", {"value": 12}, 4, None),
            ("low voltage within the band", "212 V", "voltage", {"value": 212}, 4, None),
            ("PV a little low", "90 % left", "pv_shaded", {"factor": 0.9}, 24, None),
            ("one scrape fails", "1 min", "offline", {}, 1 / 60, None),
            ("slow bridge", "3 s a reply", "slow", {"seconds": 3}, 4, None),
            ("battery renamed", "", "rename_battery", {}, 12, None),
        ],
    )
)


def _setting(site: Site, scenario: Scenario) -> Setting:
    region = scenario.regions[site.region]
    return Setting(
        nominal_hz=region.nominal_hz,
        nominal_v=region.nominal_v,
        stepped_frequency=site.kind != "multi-rs",
        off_grid=site.off_grid,
        battery_monitor=site.kind == "multiplus-bmv",
        neighbours=sum(other.region == site.region for other in scenario.sites) - 1,
    )


def suits(case: Case, site: Site, scenario: Scenario) -> bool:
    """Whether a site can have a case: its devices show it, and its grid is the one meant."""
    if site.faults or site.kind == "multiplus-bmv" or site.phases < case.phases:
        return False
    if case.fault in {"frequency", "voltage", "grid_lost"}:
        return scenario.regions[site.region].nominal_hz == 50 and not site.off_grid
    return True


@dataclass(frozen=True, slots=True)
class Mixed:
    """A fleet in which some sites have a case each, with the truth of all of them."""

    scenario: Scenario
    labels: tuple[Label, ...]
    fleet_file: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What the fleet file says of sites and is not so, by site."""


def mixed(
    cases: Sequence[Case], *, sites: int, start: float, seed: int, share: float = 0.4
) -> list[Mixed]:
    """Fleets that have every case once.

    Parameters
    ----------
    cases : sequence of Case
    sites : int
        Number of sites of each fleet.
    start : float
        Unix seconds at which each simulation starts.
    seed : int
        Of the fleets, of the places and of the moments at which cases begin.
    share : float
        The largest share of the sites that have a case.

    Raises
    ------
    ValueError
        A case suits no site.
    """
    rng = np.random.default_rng([seed, 20])
    waiting = [cases[i] for i in rng.permutation(len(cases))]
    fleets: list[Mixed] = []
    while waiting:
        scenario = Scenario.load("scale", sites=sites).model_copy(
            update={"seed": seed * 1000 + len(fleets)}
        )
        before = len(waiting)
        fleet, waiting = _fill(scenario, waiting, round(sites * share), start, rng)
        if len(waiting) == before:
            raise ValueError(f"no site suits {waiting[0].name}")
        fleets.append(fleet)
    return fleets


def _fill(
    scenario: Scenario, cases: Sequence[Case], most: int, start: float, rng: np.random.Generator
) -> tuple[Mixed, list[Case]]:
    """Give sites of a fleet a case each; also the cases that are left over."""
    sites = {site.id: site for site in scenario.sites}
    free = [scenario.sites[i] for i in rng.permutation(len(scenario.sites))]
    labels: list[Label] = []
    changes: dict[str, dict[str, Any]] = {}
    left: list[Case] = []
    for case in cases:
        site = next((s for s in free if suits(case, s, scenario)), None)
        if site is None or len(labels) >= most:
            left.append(case)
            continue
        free.remove(site)
        begin = _begin(case, site, start, rng)
        sites[site.id] = site.model_copy(update={"faults": case.plans(begin)})
        labels.append(case.label(site, scenario, start, begin))
        if case.fleet_file:
            changes[site.id] = {
                key: value(site) if callable(value) else value
                for key, value in case.fleet_file.items()
            }
    filled = scenario.model_copy(update={"sites": list(sites.values())})
    return Mixed(filled, tuple(labels), changes), left


def _begin(case: Case, site: Site, start: float, rng: np.random.Generator) -> float:
    """Seconds after the start: two hours or more, on a whole minute."""
    if case.by_day:
        solar_hour = (start + site.longitude * 240.0) % DAY / HOUR
        wait = (MORNING_HOUR - solar_hour) % 24.0
        begin = (wait if wait >= 2.0 else wait + 24.0) * HOUR
    else:
        begin = float(rng.uniform(2.0, 20.0)) * HOUR
    begin += case.after_hours * HOUR
    return begin - begin % MINUTE
