"""Every detector against labelled time: ``python -m tests.evaluation``, or ``make evaluate``.

Writes tables to standard output; ``--write`` puts them into docs/detection.md. Cases that begin
with an even seed are for tuning; published figures are those of odd seeds.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import yaml

from exporter.config.fleet_file import parse_fleet
from exporter.drivers import DRIVERS
from exporter.evaluation.alert_series import MetricSeries, metrics_of
from exporter.evaluation.alerts import FiredAlert, fired_pages
from exporter.evaluation.replay import DETECTORS, Observed, Replay
from exporter.evaluation.table import false_table, found_table, innocent_table
from exporter.evaluation.verdict import Verdict, judge
from simulator.engine import Simulator
from simulator.fleetfile import fleet as fleet_of
from simulator.scenario import Scenario
from tests.evaluation.cases import DAY, FAULTS, LOOK_ALIKES, Mixed, mixed
from tests.evaluation.direct import DirectWorld
from tests.evaluation.past_cases import HOURS_INNOCENT, HOURS_LONG, WEEKS_INNOCENT, WEEKS_LONG
from tests.evaluation.world import World

ROOT = Path(__file__).parents[2]
RULES = sorted((ROOT / "provisioning/prometheus/rules").glob("*.yml"))
DOCUMENT = ROOT / "docs/detection.md"
SHARE = 0.7
"""Of the sites of a fleet that have a case; the others are the neighbours of those."""
PARTS = ("driver", "hours", "weeks", "healthy")
BY_DRIVER = frozenset({"wrong_types", "implausible", "battery_silent", "alarm", "rename_battery"})
"""Faults that show in bytes; others act through the state of the simulator, and need no driver."""
BEGIN, END = "<!-- figures begin -->", "<!-- figures end -->"
STARTS = (
    datetime(2025, 3, 18, tzinfo=UTC),
    datetime(2025, 6, 24, tzinfo=UTC),
    datetime(2025, 10, 2, tzinfo=UTC),
    datetime(2025, 12, 12, tzinfo=UTC),
)
"""Seasons; a seed takes one of them."""


@dataclass(frozen=True)
class Task:
    """One fleet over one span of simulated time."""

    name: str
    fleet: Mixed
    start: float
    seconds: float
    step: float
    direct: bool = False
    """Without drivers: ten times faster, the same readings."""


async def observe(task: Task) -> Observed:
    """Play a fleet through driver, state and assessment."""
    simulator = Simulator(
        task.fleet.scenario,
        clock=lambda: task.start,
        start=datetime.fromtimestamp(task.start, UTC),
        step_seconds=min(30.0 if task.step <= 120.0 else 150.0, task.step),
    )
    described = fleet_of(task.fleet.scenario, "http://127.0.0.1:9")
    for site in described["sites"]:
        site["interval_seconds"] = int(task.step)
        site.update(task.fleet.fleet_file.get(site["id"], {}))
    fleet = parse_fleet(yaml.safe_dump(described), Path("fleet.yaml"), DRIVERS)
    replay = Replay(fleet, task.step, MetricSeries(metrics_of(RULES)))
    direct, world = DirectWorld(simulator), World(simulator, fleet)
    moment = task.start + task.step
    while moment <= task.start + task.seconds:
        found = direct.snapshots(moment) if task.direct else await world.snapshots(moment)
        replay.step(moment, found)
        moment += task.step
    return replay.finish()


def evaluate(task: Task) -> dict[str, Verdict]:
    """Verdicts of all detectors over one fleet."""
    begun = time.process_time()
    observed = asyncio.run(observe(task))
    alerts = fired_pages(observed.series, RULES)
    span, sites = (observed.begin, observed.end), len(task.fleet.scenario.sites)
    found = {}
    for name in DETECTORS:
        fired: tuple[FiredAlert, ...] = alerts if name == "fleetscope" else ()
        found[name] = judge(task.fleet.labels, observed.spells[name], fired, sites, span)
    cost = time.process_time() - begun
    print(f"{task.name}: {cost:.0f} s of CPU without promtool", file=sys.stderr)
    return found


def tasks(
    seeds: list[int],
    sites: int,
    healthy: int,
    healthy_days: float,
    parts: frozenset[str] = frozenset(PARTS),
) -> list[Task]:
    """All fleets: those with cases, and healthy ones.

    Parameters
    ----------
    parts : frozenset of str
        Of :data:`PARTS`: what needs the driver, what shows within hours, what needs weeks, and
        healthy fleets.
    """
    of_driver = [case for case in (*FAULTS, *LOOK_ALIKES) if case.fault in BY_DRIVER]
    others = [case for case in (*FAULTS, *LOOK_ALIKES) if case.fault not in BY_DRIVER]
    played = (
        # part, its cases, days, seconds a step, whether without drivers
        ("driver", of_driver, 1.0, 60.0, False),
        ("hours", [*others, *HOURS_LONG, *HOURS_INNOCENT], 1.5, 60.0, True),
        ("weeks", [*WEEKS_LONG, *WEEKS_INNOCENT], 35.0, 900.0, True),
    )
    made = []
    for seed in seeds:
        start = STARTS[seed // 2 % len(STARTS)].timestamp()
        for number, (part, cases, days, step, direct) in enumerate(played):
            # An even number more, so that odd seeds stay odd.
            fleets = mixed(cases, sites=sites, start=start, seed=seed + 100 * number, share=SHARE)
            made += [
                Task(f"seed {seed}, {part} {index}", fleet, start, days * DAY, step, direct)
                for index, fleet in enumerate(fleets if part in parts else ())
            ]
        if healthy and "healthy" in parts:
            scenario = Scenario.load("scale", sites=healthy).model_copy(update={"seed": seed})
            span = healthy_days * DAY
            made.append(
                Task(f"seed {seed}, healthy", Mixed(scenario, ()), start, span, 300.0, direct=True)
            )
    return made


def run(wanted: list[Task], processes: int) -> dict[str, Verdict]:
    """Evaluate all of them, side by side."""
    total = {name: Verdict() for name in DETECTORS}
    with ProcessPoolExecutor(processes) as pool:
        for found in pool.map(evaluate, wanted):
            for name, verdict in found.items():
                total[name].add(verdict)
    return total


def main() -> None:
    """Parse arguments, evaluate, print."""
    parser = argparse.ArgumentParser(prog="python -m tests.evaluation", description=__doc__)
    parser.add_argument("--seeds", default="1,3,5,7", help="odd ones are for published figures")
    parser.add_argument("--sites", type=int, default=40, help="sites of a fleet with faults")
    parser.add_argument("--healthy", type=int, default=40, help="sites of a healthy fleet")
    parser.add_argument("--healthy-days", type=float, default=7.0)
    parser.add_argument("--parts", default=",".join(PARTS), help="which fleets")
    parser.add_argument("--write", action="store_true", help="put the tables into the document")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    seeds = [int(seed) for seed in options.seeds.split(",")]
    total = run(
        tasks(
            seeds,
            options.sites,
            options.healthy,
            options.healthy_days,
            frozenset(options.parts.split(",")),
        ),
        options.processes,
    )
    every = [*FAULTS, *HOURS_LONG, *WEEKS_LONG, *LOOK_ALIKES, *HOURS_INNOCENT, *WEEKS_INNOCENT]
    ordered = {c.name + c.strength: i for i, c in enumerate(every)}
    for verdict in total.values():
        verdict.found.sort(key=lambda f: ordered[f.label.fault + f.label.strength])
    figures = "\n".join([found_table(total), false_table(total), innocent_table(total)])
    print(figures)
    if options.write:
        given = " ".join(argument for argument in sys.argv[1:] if argument != "--write")
        command = f"python -m tests.evaluation {given}".strip()
        day = datetime.now(UTC).date()
        text = DOCUMENT.read_text("utf-8")
        before, rest = text.split(BEGIN, 1)
        _, after = rest.split(END, 1)
        made = f"{BEGIN}\n`{command}`, {day}:\n\n{figures}{END}"
        DOCUMENT.write_text(before + made + after, "utf-8")


if __name__ == "__main__":
    main()
