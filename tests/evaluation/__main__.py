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
from datetime import UTC, datetime
from pathlib import Path

from exporter.evaluation.alert_series import MetricSeries, metrics_of
from exporter.evaluation.alerts import FiredAlert, fired_pages
from exporter.evaluation.replay import DETECTORS
from exporter.evaluation.table import false_table, found_table, innocent_table
from exporter.evaluation.verdict import Verdict, judge
from tests.evaluation.cases import FAULTS, LOOK_ALIKES
from tests.evaluation.past_cases import (
    HOURS_INNOCENT,
    HOURS_LONG,
    WEEKS_INNOCENT,
    WEEKS_LONG,
    YEAR_LONG,
)
from tests.evaluation.tasks import PARTS, Task, observed, tasks

ROOT = Path(__file__).parents[2]
RULES = sorted((ROOT / "provisioning/prometheus/rules").glob("*.yml"))
DOCUMENT = ROOT / "docs/detection.md"
BEGIN, END = "<!-- figures begin -->", "<!-- figures end -->"


def evaluate(task: Task) -> dict[str, Verdict]:
    """Verdicts of all detectors over one fleet."""
    begun = time.process_time()
    seen = observed(task, MetricSeries(metrics_of(RULES)))
    played = time.process_time() - begun
    alerts = fired_pages(seen.series, RULES)
    span, sites = (seen.begin, seen.end), len(task.fleet.scenario.sites)
    found = {}
    for name in DETECTORS:
        fired: tuple[FiredAlert, ...] = alerts if name == "fleetscope" else ()
        found[name] = judge(task.fleet.labels, seen.spells[name], fired, sites, span)
    ours = found["fleetscope"]
    said = Counter(spell.code for spell in seen.spells["fleetscope"])
    # Printed at once, so that a run that is ended early still says what it saw.
    print(
        f"{task.name}: {ours.healthy_months:.1f} healthy site-months, "
        f"false warnings {dict(ours.false_issues)}, false pages {dict(ours.false_pages)}, "
        f"{sum(f.after_seconds is not None for f in ours.found)} of {len(ours.found)} found, "
        f"all findings {dict(said)}; {played:.0f} s of CPU without promtool",
        file=sys.stderr,
        flush=True,
    )
    return found


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
