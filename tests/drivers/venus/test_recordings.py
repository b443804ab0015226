"""Recordings of twelve kinds of sites, played at a real mosquitto and by a bridge: what is read is
what was recorded, and nothing else."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from exporter.model.snapshot import Snapshot
from tests.drivers.bridge import PREFIX, Bridge, Clock, driver_for
from tests.drivers.mosquitto import Mosquitto, mosquitto, needs_mosquitto
from tests.drivers.venus.gx import PORTAL, Trees, device_at, mqtt_driver, until

RECORDINGS: dict[str, Any] = yaml.safe_load(
    Path(__file__).with_name("recordings.yaml").read_text("utf-8")
)
pytestmark = needs_mosquitto


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    with mosquitto(tmp_path_factory.mktemp("mosquitto")) as running:
        yield running


def take(trees: Trees, changes: dict[str, Any]) -> None:
    """Change trees in place, as a device's services change."""
    for name, tree in changes.items():
        if tree is None:
            del trees[PREFIX + name]
        else:
            trees.setdefault(PREFIX + name, {}).update(tree)


def expected(step: dict[str, Any]) -> dict[str, Any]:
    """What a step of a recording says that is read."""
    found = {"site": step.get("site", {}), "batteries": step.get("batteries", {})}
    alarms = {device: set(names) for device, names in step.get("alarms", {}).items()}
    rest = {name: set(step.get(name, ())) for name in ("notices", "implausible")}
    return found | {"alarms": alarms} | rest


def read(snapshots: list[Snapshot]) -> dict[str, Any]:
    """The same of Snapshots, of which each may have read other devices."""
    site: dict[str, float] = {}
    batteries: dict[str, dict[str, float]] = {}
    alarms: dict[str, set[str]] = {}
    implausible: set[str] = set()
    for snapshot in snapshots:
        site |= snapshot.readings
        for battery in snapshot.batteries:
            batteries.setdefault(battery.device, {}).update(battery.readings)
        for device, levels in snapshot.alarms.items():
            alarms[device] = {name for name, level in levels.items() if level > 0}
        implausible |= {f"{i.device} {i.quantity}" for i in snapshot.implausible}
    known = {device: _known(readings) for device, readings in batteries.items()}
    return {
        "site": _known(site),
        "batteries": {device: readings for device, readings in known.items() if readings},
        "alarms": {device: names for device, names in alarms.items() if names},
        "notices": {notice.code for notice in snapshots[-1].notices},
        "implausible": implausible,
    }


# How finely an inverter resolves the frequency is no value of the site.
RESOLUTION = "grid_frequency_step_hz"


def _known(readings: dict[str, float]) -> dict[str, float]:
    return {n: v for n, v in readings.items() if not math.isnan(v) and n != RESOLUTION}


@pytest.mark.parametrize("name", RECORDINGS)
async def test_what_is_read_is_what_was_recorded(name: str, broker: Mosquitto) -> None:
    recording = RECORDINGS[name]
    trees: Trees = {}
    clock, bridge = Clock(), Bridge(trees)
    take(trees, recording["trees"])
    async with (
        bridge.running(),
        driver_for(bridge.url, clock) as http,
        device_at(broker.port, trees),
        mqtt_driver(broker.url, portal=PORTAL) as mqtt,
    ):
        for step in (recording, *recording.get("then", ())):
            if step is not recording:
                take(trees, step["trees"])
            found = []
            for _ in range(15):
                found.append(await http.scrape())
                clock.advance(10)
            wanted = expected(step)
            assert read(found[2:]) == wanted
            await until(mqtt, lambda s, wanted=wanted: read([s]) == wanted)
