"""The short way gives the readings of the real driver."""

from __future__ import annotations

import asyncio
import math
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from exporter.config.fleet_file import parse_fleet
from exporter.drivers import DRIVERS
from simulator.engine import Simulator
from simulator.fleetfile import fleet as fleet_of
from simulator.scenario import Scenario
from tests.evaluation.direct import DirectWorld
from tests.evaluation.tasks import STARTS
from tests.evaluation.world import World

HOURS = (0.1, 6.0, 12.0, 12.2, 13.0, 19.0)


def test_readings_are_those_of_the_driver() -> None:
    start = STARTS[1].timestamp()
    scenario = Scenario.load("scale", sites=12)

    def simulator() -> Simulator:
        made = Simulator(
            scenario,
            clock=lambda: start,
            start=datetime.fromtimestamp(start, UTC),
            step_seconds=60.0,
        )
        first, second, third = (site.id for site in scenario.sites[:2] + scenario.sites[3:4])
        made.inject(first, "modules_offline", count=1)
        made.inject(second, "modules_blocking", count=2, direction="charge")
        made.inject(third, "modules_blocking", count=1, direction="discharge")
        return made

    described = yaml.safe_dump(fleet_of(scenario, "http://127.0.0.1:9"))
    world = World(simulator(), parse_fleet(described, Path("fleet.yaml"), DRIVERS))
    direct = DirectWorld(simulator())
    uptimes = 0
    for hour in HOURS:
        time = start + hour * 3600.0
        driven = asyncio.run(world.snapshots(time))
        for known, found in zip(driven, direct.snapshots(time), strict=True):
            assert known.site == found.site
            readings = dict(found.readings)
            if math.isnan(readings["grid_frequency_step_hz"]):
                # The driver takes it from the frequencies that it saw.
                del readings["grid_frequency_step_hz"]
            if "uptime_h" in known.readings:
                uptimes += 1
            else:
                # Asked for with a request that is left over.
                del readings["uptime_h"]
            wanted = {name: known.readings.get(name) for name in readings}
            assert readings == pytest.approx(wanted, abs=0.02, nan_ok=True), known.site
            (battery,), (own,) = known.batteries, found.batteries
            given = {name: battery.readings.get(name) for name in own.readings}
            assert own.readings == pytest.approx(given, abs=0.002, nan_ok=True), known.site
    assert uptimes >= len(scenario.sites)
