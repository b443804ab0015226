"""Every detector against labelled time: ``python -m tests.evaluation``, or ``make evaluate``.

Writes tables to standard output; ``--write`` puts them into docs/detection.md. Cases that begin
with an even seed are for tuning; published figures are those of odd seeds.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from exporter.assess.assessment import FleetAssessment
from exporter.evaluation.alert_series import MetricSeries
from exporter.evaluation.alerts import FiredAlert, fired_pages
from exporter.evaluation.calibration import Calibration, calibrate
from exporter.evaluation.page_rules import PageRules
from exporter.evaluation.progress import Progress
from exporter.evaluation.replay import DETECTORS
from exporter.evaluation.table import (
    false_table,
    found_table,
    innocent_table,
    reliability_table,
)
from exporter.evaluation.verdict import Verdict, judge
from tests.evaluation.cases import FAULTS, LOOK_ALIKES
from tests.evaluation.past_cases import (
    HOURS_INNOCENT,
    HOURS_LONG,
    WEEKS_INNOCENT,
    WEEKS_LONG,
    YEAR_LONG,
)
from tests.evaluation.pictures import courses_of, panels, write
from tests.evaluation.tasks import PARTS, Task, observed, tasks

ROOT = Path(__file__).parents[2]
RULES = sorted((ROOT / "provisioning/prometheus/rules").glob("*.yml"))
DOCUMENT = ROOT / "docs/detection.md"
BEGIN, END = "<!-- figures begin -->", "<!-- figures end -->"


@dataclass(slots=True)
class Result:
    """What all detectors made of fleets, and how often Fleetscope's scores were right."""

    verdicts: dict[str, Verdict] = field(
        default_factory=lambda: {name: Verdict() for name in DETECTORS}
    )
    calibration: Calibration = field(default_factory=Calibration)
    drawn: dict[tuple[str, str], str] = field(default_factory=dict)
    """Drawings of chosen cases by fault and strength."""

    def add(self, other: Result) -> None:
        """Take in the result of other fleets."""
        for name, verdict in other.verdicts.items():
            self.verdicts[name].add(verdict)
        self.calibration.add(other.calibration)
        # Of several seeds the first one is drawn.
        self.drawn = other.drawn | self.drawn


def evaluate(task: Task) -> Result:
    """Result over one fleet."""
    begun = time.process_time()
    rules = PageRules.read(RULES)
    courses = courses_of(task)
    progress = Progress(task.name, task.start, task.start + task.seconds)

    def watch(assessment: FleetAssessment) -> None:
        courses.take(assessment)
        progress.reached(assessment.time)

    seen = observed(task, MetricSeries(rules.metrics), watch)
    played = time.process_time() - begun
    alerts = fired_pages(seen.series, rules)
    span, sites = (seen.begin, seen.end), len(task.fleet.scenario.sites)
    labels = task.fleet.labels
    result = Result(
        calibration=calibrate(seen.confidences, labels, seen.spells["fleetscope"]),
        drawn=panels(task, courses, seen),
    )
    for name in DETECTORS:
        fired: tuple[FiredAlert, ...] = alerts if name == "fleetscope" else ()
        result.verdicts[name] = judge(labels, seen.spells[name], fired, sites, span)
    ours = result.verdicts["fleetscope"]
    said = Counter(spell.code for spell in seen.spells["fleetscope"])
    # Printed at once, so that a run that is ended early still says what it saw.
    print(
        f"{task.name}: {ours.healthy_months:.1f} healthy site-months, "
        f"false warnings {dict(ours.false_issues)}, false pages {dict(ours.false_pages)}, "
        f"false information {dict(ours.false_infos)}, "
        f"{sum(f.after_seconds is not None for f in ours.found)} of {len(ours.found)} found, "
        f"all findings {dict(said)}; {played:.0f} s of CPU without promtool",
        file=sys.stderr,
        flush=True,
    )
    return result


def run(wanted: list[Task], processes: int) -> Result:
    """Evaluate all of them, side by side."""
    total = Result()
    with ProcessPoolExecutor(processes) as pool:
        for result in pool.map(evaluate, wanted):
            total.add(result)
    return total


def main() -> None:
    """Parse arguments, evaluate, print."""
    parser = argparse.ArgumentParser(prog="python -m tests.evaluation", description=__doc__)
    parser.add_argument("--seeds", default="1,3,5,7", help="odd ones are for published figures")
    parser.add_argument("--sites", type=int, default=40, help="sites of a fleet with faults")
    parser.add_argument("--healthy", type=int, default=40, help="sites of a healthy fleet")
    parser.add_argument("--healthy-days", type=float, default=7.0)
    parser.add_argument("--parts", default=",".join(PARTS), help="which fleets")
    parser.add_argument("--only", default="", help="fleets whose names hold one of these, by ';'")
    parser.add_argument("--write", action="store_true", help="put the tables into the document")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--draw", action="store_true", help="draw chosen cases into docs/images")
    options = parser.parse_args()
    seeds = [int(seed) for seed in options.seeds.split(",")]
    every_fleet = tasks(
        seeds,
        options.sites,
        options.healthy,
        options.healthy_days,
        frozenset(options.parts.split(",")),
    )
    named = [part.strip() for part in options.only.split(";")]
    wanted = [task for task in every_fleet if any(part in task.name for part in named)]
    total = run(wanted, options.processes)
    every = [
        *FAULTS,
        *HOURS_LONG,
        *WEEKS_LONG,
        *YEAR_LONG,
        *LOOK_ALIKES,
        *HOURS_INNOCENT,
        *WEEKS_INNOCENT,
    ]
    ordered = {c.name + c.strength: i for i, c in enumerate(every)}
    verdicts = total.verdicts
    for verdict in verdicts.values():
        verdict.found.sort(key=lambda f: ordered[f.label.fault + f.label.strength])
    tables = [found_table(verdicts), false_table(verdicts), innocent_table(verdicts)]
    figures = "\n".join([*tables, reliability_table(total.calibration)])
    print(figures)
    if options.draw:
        print("\n".join(str(path) for path in write(total.drawn)), file=sys.stderr)
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
