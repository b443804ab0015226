"""How early a drift is told, and what is said of healthy packs: ``python -m tests.bench.drift``.

Each seed is a pack of its own. A cell of it begins to lose charge after thirty healthy days; the
history up to the end of each day is analysed until the cell is named with a trend. Then healthy
packs of 52 cells are analysed over ninety days, and whatever is said of them is false.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter

import numpy as np

from scoring.cells.imbalance import DEFAULT_LIMITS
from scoring.cells.pack import PackAnalysis, analyse_pack
from tests.scoring.cells.packs import CAPACITY_AH, DAY, START, History, Pack

BEGINS = 30
HISTORY_DAYS = 91
STEP = 900.0
CELL = 5
MV_PER_PERCENT = 1.08
"""Of the charge curve between 30 and 98 %: 74 mV over 68.6 %."""


def analyse(history: History) -> PackAnalysis:
    """With all that a BMS gives."""
    return analyse_pack(
        history.t,
        history.voltages,
        current_a=history.current,
        soc_percent=history.soc,
        temperature_c=history.temperature,
        capacity_ah=CAPACITY_AH,
    )


def last_days(history: History, day: int) -> History:
    """What the exporter would look at on the evening of a day."""
    part = history.until(day)
    first = int(np.searchsorted(part.t, START + (day - HISTORY_DAYS) * DAY))
    return History(
        part.t[first:],
        part.voltages[first:],
        part.current[first:],
        part.soc[first:],
        part.temperature[first:],
    )


def warning_day(history: History) -> float:
    """The day on which the cell's windows at rest on the plateau reach the limit of a warning."""
    windows = analyse(history).windows
    off = np.abs(windows.deviation_v[:, CELL]) >= DEFAULT_LIMITS.plateau_rest[0]
    beyond = np.flatnonzero(windows.resting & windows.usual & off)
    return (float(windows.start[beyond[0]]) - START) / DAY if beyond.size else float("inf")


def early(rate: float, noise: float, seeds: int) -> None:
    """Days from the beginning of a drift to its being told, and from there to the limit."""
    told_after, ahead, others = [], [], 0
    limit = DEFAULT_LIMITS.plateau_rest[0] * 1000
    days = BEGINS + int(1.3 * limit / rate) + 5
    for seed in range(seeds):
        history = Pack(
            days=days,
            step=STEP,
            seed=seed,
            noise_v=noise / 1000,
            swing=(72.0, 94.0),
            leak_percent_per_day={CELL: rate / MV_PER_PERCENT},
            leak_from_day=BEGINS,
        ).run()
        reached = warning_day(history)
        told = float("inf")
        for day in range(BEGINS + 1, days):
            found = [f for f in analyse(last_days(history, day)).findings if f.reason == "trend"]
            others += sum(1 for f in found if f.cell != CELL)
            if any(f.cell == CELL for f in found):
                told = day
                break
        told_after.append(told - BEGINS)
        ahead.append(reached - told)
    low, middle, high = np.percentile(ahead, (0, 50, 100))
    print(
        f"{rate:g} mV a day, noise {noise:g} mV: told after {np.median(told_after):.0f} days "
        f"({min(told_after):.0f} to {max(told_after):.0f}); {middle:.0f} days before "
        f"{limit:.0f} mV ({low:.0f} to {high:.0f}); other cells named: {others}",
        flush=True,
    )


def false(noise: float, seeds: int, known: bool, every: int = 3) -> None:
    """What is said of healthy packs."""
    said: Counter[str] = Counter()
    days, cells = 90, 52
    for seed in range(seeds):
        history = Pack(
            cells=cells,
            days=days,
            step=STEP,
            seed=1000 + seed,
            noise_v=noise / 1000,
            swing=(22.0, 98.0),
        ).run()
        ever = set()
        for day in range(10, days + 1, every):
            part = last_days(history, day)
            found = analyse(part) if known else analyse_pack(part.t, part.voltages)
            ever |= {(f.cell, f"{f.reason} ({f.severity})") for f in found.findings}
        said.update(what for _, what in ever)
    months = seeds * cells * days / 30.4375
    per = ", ".join(f"{what} {count / months * 1000:.1f}" for what, count in said.items())
    kind = "all signals" if known else "voltages alone"
    print(
        f"healthy, noise {noise:g} mV, {kind}: {per or 'nothing'} a thousand months of a cell, "
        f"of {months:.0f}",
        flush=True,
    )


def main() -> None:
    """Both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    options = parser.parse_args()
    begun = time.process_time()
    for rate, noise in ((0.5, 1.0), (1.0, 1.0), (2.0, 1.0), (1.0, 3.0)):
        early(rate, noise, options.seeds)
    for noise, known in ((1.0, True), (3.0, True), (5.0, True), (3.0, False)):
        false(noise, options.seeds, known)
    print(f"{time.process_time() - begun:.0f} s of CPU")


if __name__ == "__main__":
    main()
