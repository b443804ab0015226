"""A past of the simulated sites in InfluxDB, so that forecasts and plans have one to learn from.

``python -m provisioning.local.past --scenario demo --influxdb URL`` writes two weeks of powers
without faults, up to now. They are roll-ups whose full detail has expired: nothing of them is taken
for a reading of now, and no finding is made of them.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from exporter.model.levels import LEVELS, Level
from exporter.store.connection import Connection
from exporter.store.influx_v1 import InfluxV1
from exporter.store.line_protocol import tag
from exporter.store.queue import compress
from exporter.store.target import RetryLaterError, Target
from simulator.engine import Simulator
from simulator.scenario import Scenario, Site

Floats = NDArray[np.float64]

DAYS = 14
FINE_DAYS = 3
"""Of the roll-up of 5 min: as many as a plot of a few days reads there."""
STEP_SECONDS = 900
"""Longer steps of the physics than a poll sees: two weeks of them take a second."""
LINES_PER_BATCH = 5000
RAW_RETENTION = "90d"
PATIENCE_SECONDS = 60.0
COLUMNS = {
    "pv": ("site", "pv_power_w"),
    "load": ("site", "load_power_w"),
    "grid": ("site", "grid_power_w"),
    "battery": ("battery", "power_w"),
}
"""Flow of the simulation to measurement and field."""
DEVICES = {"openems": "battery/0", "sunspec": "battery/1"}
"""Battery of a site by its protocol, as its driver names it."""
USUAL_DEVICE = "battery/512"
Lines = list[str]


def main(arguments: Sequence[str] | None = None) -> None:
    """Simulate the past and write it."""
    parser = argparse.ArgumentParser(prog="python -m provisioning.local.past", description=__doc__)
    parser.add_argument("--scenario", required=True, help="a name, or a file")
    parser.add_argument("--influxdb", required=True, help="address of an InfluxDB 1.x")
    chosen = parser.parse_args(arguments)
    made = lines_by_level(Scenario.load(chosen.scenario), time.time())
    asyncio.run(_write(InfluxV1(Connection(chosen.influxdb, "fleet"), RAW_RETENTION), made))


def lines_by_level(scenario: Scenario, now: float) -> dict[str, Lines]:
    """Lines by the name of their roll-up, up to the last whole window before ``now``, Unix seconds.

    A site that is offline from the start has no past.
    """
    known = [
        (row, site)
        for row, site in enumerate(scenario.sites)
        if all(plan.fault != "offline" for plan in site.faults)
    ]
    first = int(now // 3600) * 3600 - DAYS * 86_400
    powers = _simulated(scenario, first, int(now - first) // STEP_SECONDS)
    found: dict[str, Lines] = {}
    for level, days in zip(LEVELS[:2], (FINE_DAYS, DAYS), strict=True):
        windows = {
            flow: np.repeat(
                watts[-days * 86_400 // STEP_SECONDS :], STEP_SECONDS // level.seconds, 0
            )
            for flow, watts in powers.items()
        }
        count = len(windows["pv"])
        begin = first + len(powers["pv"]) * STEP_SECONDS - count * level.seconds
        found[level.name] = [
            line
            for row, site in known
            for line in _lines(site, {f: w[:, row] for f, w in windows.items()}, begin, level)
        ]
    return found


def _simulated(scenario: Scenario, first: int, steps: int) -> dict[str, Floats]:
    """Power of each flow by step and site, W, shape (steps, sites)."""
    sites = [site.model_copy(update={"faults": []}) for site in scenario.sites]
    simulator = Simulator(
        scenario.model_copy(update={"sites": sites}),
        clock=lambda: 0.0,
        start=datetime.fromtimestamp(first, UTC),
        step_seconds=STEP_SECONDS,
    )
    found: dict[str, Floats] = {flow: np.empty((steps, len(sites))) for flow in COLUMNS}
    for step in range(steps):
        simulator.advance(first + step * STEP_SECONDS)
        for flow, watts in simulator.powers().items():
            found[flow][step] = watts
    return found


def _lines(site: Site, flows: dict[str, Floats], begin: int, level: Level) -> Iterator[str]:
    """A row for each window of each measurement of a site; ``flows`` are W, shape (windows,)."""
    device = DEVICES.get(site.protocol, USUAL_DEVICE)
    tags = {"site": f"site={tag(site.id)}", "battery": f"site={tag(site.id)},device={tag(device)}"}
    seconds = float(level.seconds)
    for window in range(len(flows["pv"])):
        fields: dict[str, list[str]] = {name: [] for name in tags}
        for flow, (measurement, field) in COLUMNS.items():
            watts = round(float(flows[flow][window]), 1)
            fields[measurement] += [f"{field}_{kept}={watts}" for kept in ("mean", "min", "max")]
            fields[measurement] += [
                f"{field}_wh={watts * seconds / 3600:.3f},{field}_seconds={seconds}"
            ]
        stamp = (begin + window * level.seconds) * 1000
        for measurement, columns in fields.items():
            yield f"{measurement},{tags[measurement]} {','.join(columns)},samples=1.0 {stamp}"


async def _write(target: Target, by_level: dict[str, Lines]) -> None:
    """Write as soon as InfluxDB takes it.

    Raises
    ------
    RetryLaterError
        It takes nothing for a minute.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            await target.prepare()
            break
        except RetryLaterError:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.2)
    try:
        for level, lines in by_level.items():
            for start in range(0, len(lines), LINES_PER_BATCH):
                batch = compress(lines[start : start + LINES_PER_BATCH], time.time(), level)
                await target.write(batch.body, level)
    finally:
        await target.close()


if __name__ == "__main__":
    main()
