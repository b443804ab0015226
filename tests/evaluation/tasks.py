"""Which simulated fleets are played, and for how long."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import yaml

from exporter.assess.assessment import FleetAssessment
from exporter.config.fleet_file import parse_fleet
from exporter.drivers import DRIVERS
from exporter.evaluation.alert_series import MetricSeries
from exporter.evaluation.replay import Observed, Replay
from simulator.engine import Simulator
from simulator.fleetfile import fleet as fleet_of
from simulator.scenario import Scenario
from tests.evaluation.cases import DAY, FAULTS, LOOK_ALIKES, Case, Mixed, mixed
from tests.evaluation.direct import DirectWorld
from tests.evaluation.past_cases import (
    HOURS_INNOCENT,
    HOURS_LONG,
    WEEKS_INNOCENT,
    WEEKS_LONG,
    YEAR_LONG,
)
from tests.evaluation.world import World, modbus_endpoints

Watch = Callable[[FleetAssessment], None]

Way = Literal["http", "modbus", "mixed", "direct"]
"""How readings come: through the driver of the HTTP bridge, that of Modbus TCP, by turns through
one of them, or without drivers, which is ten times faster and gives the same readings."""

SHARE = 0.7
"""Of the sites of a fleet that have a case; the others are the neighbours of those."""
PARTS = ("driver", "modbus", "mixed", "hours", "weeks", "year", "healthy")
BY_DRIVER = frozenset(
    {"wrong_types", "implausible", "battery_silent", "alarm", "rename_battery", "clock"}
)
"""Faults that show in bytes; others act through the state of the simulator, and need no driver."""
NOT_IN_REGISTERS = frozenset({"wrong_types", "implausible", "rename_battery", "clock"})
"""Faults of what only names, text and headers can carry."""
STARTS = (
    datetime(2025, 3, 18, tzinfo=UTC),
    datetime(2025, 6, 24, tzinfo=UTC),
    datetime(2025, 10, 2, tzinfo=UTC),
    datetime(2025, 12, 12, tzinfo=UTC),
)
"""Seasons; a seed takes one of them, and healthy fleets take them in turn."""
HEALTHY_FLEET_SITES = 125
HEALTHY_STEP_SECONDS = 300.0
YEAR_SITES = 15


@dataclass(frozen=True, slots=True)
class Climate:
    """A change of a scenario: clouds as a multiple, and degrees away from the equator."""

    name: str
    cloudiness: float
    poleward_deg: float

    def of(self, scenario: Scenario) -> Scenario:
        """The scenario under this climate."""
        regions = {
            name: region.model_copy(
                update={"cloudiness": min(region.cloudiness * self.cloudiness, 1.0)}
            )
            for name, region in scenario.regions.items()
        }
        sites = [
            site.model_copy(
                update={
                    "latitude": site.latitude
                    + (self.poleward_deg if site.latitude > 0 else -self.poleward_deg)
                }
            )
            for site in scenario.sites
        ]
        return scenario.model_copy(update={"regions": regions, "sites": sites})


CLIMATES = (
    Climate("as the scenario", 1.0, 0.0),
    Climate("clear and hot", 0.4, -12.0),
    Climate("overcast and cold", 1.5, 8.0),
)


@dataclass(frozen=True)
class Task:
    """One fleet over one span of simulated time."""

    name: str
    fleet: Mixed
    start: float
    seconds: float
    step: float
    way: Way = "http"
    part: str = ""
    """Of :data:`PARTS`."""


def described(task: Task) -> str:
    """The fleet file of a task."""
    scenario = task.fleet.scenario
    found = fleet_of(scenario, "http://127.0.0.1:9")
    endpoints = modbus_endpoints(scenario)
    for number, site in enumerate(found["sites"]):
        site["interval_seconds"] = int(task.step)
        site.update(task.fleet.fleet_file.get(site["id"], {}))
        if task.way == "modbus" or (task.way == "mixed" and number % 2):
            site.update({"driver": "modbus-tcp", "api_endpoint": endpoints[site["id"]]})
    return yaml.safe_dump(found)


async def observe(
    task: Task, series: MetricSeries | None = None, watch: Watch | None = None
) -> Observed:
    """Play a fleet through driver, state and assessment, and show each of these to ``watch``."""
    simulator = Simulator(
        task.fleet.scenario,
        clock=lambda: task.start,
        start=datetime.fromtimestamp(task.start, UTC),
        step_seconds=min(30.0 if task.step <= 120.0 else 150.0, task.step),
    )
    fleet = parse_fleet(described(task), Path("fleet.yaml"), DRIVERS)
    replay = Replay(fleet, task.step, series or MetricSeries())
    direct, world = DirectWorld(simulator), World(simulator, fleet)
    moment = task.start + task.step
    while moment <= task.start + task.seconds:
        found = direct.snapshots(moment) if task.way == "direct" else await world.snapshots(moment)
        assessment = replay.step(moment, found)
        if watch is not None:
            watch(assessment)
        moment += task.step
    return replay.finish()


def observed(task: Task, series: MetricSeries, watch: Watch | None = None) -> Observed:
    """The same, for whoever is not asynchronous."""
    return asyncio.run(observe(task, series, watch))


def tasks(
    seeds: Sequence[int],
    sites: int,
    healthy: int,
    healthy_days: float,
    parts: frozenset[str] = frozenset(PARTS),
) -> list[Task]:
    """All fleets: those with cases, and healthy ones.

    Parameters
    ----------
    parts : frozenset of str
        Of :data:`PARTS`: what needs the driver, the same faults over Modbus TCP and in a fleet of
        both protocols, what shows within hours, what needs weeks, a year, and healthy fleets.
    """
    every = (*FAULTS, *LOOK_ALIKES)
    of_driver = [case for case in every if case.fault in BY_DRIVER]
    others = [case for case in every if case.fault not in BY_DRIVER]
    in_registers = [case for case in every if case.fault not in NOT_IN_REGISTERS]
    played: tuple[tuple[str, list[Case], float, float, Way], ...] = (
        # part, its cases, days, seconds a step, how readings come
        ("driver", of_driver, 1.0, 60.0, "http"),
        ("modbus", in_registers, 1.0, 60.0, "modbus"),
        ("mixed", in_registers, 1.0, 60.0, "mixed"),
        ("hours", [*others, *HOURS_LONG, *HOURS_INNOCENT], 1.5, 60.0, "direct"),
        ("weeks", [*WEEKS_LONG, *WEEKS_INNOCENT], 35.0, 900.0, "direct"),
        ("year", list(YEAR_LONG), 365.0, 900.0, "direct"),
    )
    made = []
    for seed in seeds:
        start = STARTS[seed // 2 % len(STARTS)].timestamp()
        for number, (part, cases, days, step, way) in enumerate(played):
            if part not in parts:
                continue
            size = YEAR_SITES if part == "year" else sites
            # An even number more, so that odd seeds stay odd.
            fleets = mixed(cases, sites=size, start=start, seed=seed + 100 * number, share=SHARE)
            made += [
                Task(f"seed {seed}, {part} {index}", fleet, start, days * DAY, step, way, part)
                for index, fleet in enumerate(fleets)
            ]
        if healthy and "healthy" in parts:
            made += _healthy(seed, healthy, healthy_days)
    return made


def _healthy(seed: int, sites: int, days: float) -> list[Task]:
    """Fleets without faults, each in a season and a climate of its own."""
    made = []
    for index, first in enumerate(range(0, sites, HEALTHY_FLEET_SITES)):
        count = min(HEALTHY_FLEET_SITES, sites - first)
        climate = CLIMATES[index % len(CLIMATES)]
        start = STARTS[(seed // 2 + index) % len(STARTS)]
        scenario = climate.of(Scenario.load("scale", sites=count))
        scenario = scenario.model_copy(update={"seed": 1000 * seed + 500 + index})
        made.append(
            Task(
                f"seed {seed}, healthy {index} ({climate.name}, {start:%B})",
                Mixed(scenario, ()),
                start.timestamp(),
                days * DAY,
                HEALTHY_STEP_SECONDS,
                "direct",
                "healthy",
            )
        )
    return made
