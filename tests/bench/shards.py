"""What it takes to answer for the fleet of several shards: ``python -m tests.bench.shards``.

Shards of a fleet with 260 cells a site are encoded, decoded and merged in one process; CPU time.
"""

from __future__ import annotations

import argparse
import json
import random
import time

from exporter.assess.assessment import assess
from exporter.assess.merged_fleet import MergedFleet, part_of
from exporter.collect.state import FleetState
from exporter.config.shards import Shard
from exporter.model.snapshot import BatterySnapshot, Cells, Snapshot
from exporter.serve.shards.part_format import decode, encode
from tests.serve.api.served import START, plan, snapshot

CELLS = 260


def with_cells(one: Snapshot, rng: random.Random) -> Snapshot:
    """The Snapshot, with a pack of 260 voltages and temperatures."""
    labels = tuple(str(n) for n in range(1, CELLS + 1))
    volts = tuple(3.3 + rng.gauss(0, 0.003) for _ in labels)
    celsius = tuple(22 + rng.gauss(0, 1) for _ in labels)
    cells = Cells(labels, volts, celsius)
    battery = one.batteries[0]
    pack = BatterySnapshot(battery.device, True, battery.readings, "1", "2", cells)
    return Snapshot(one.site, one.time, 0.1, one.outcome, readings=one.readings, batteries=(pack,))


def measure(sites: int, shards: int) -> dict[str, float]:
    """CPU milliseconds of each step for all shards together, and bytes of a site."""
    fleet, rng = plan(sites), random.Random(1)
    parts = []
    for index in range(shards):
        part = Shard(index, shards).part_of(fleet)
        state = FleetState(part, 10.0)
        for site in part.sites:
            state.apply(with_cells(snapshot(site.id, START, rng), rng), 1000.0)
        found = assess(state, 1001.0, START, keep_inputs=True)
        parts.append(part_of(found, f"{index}/{shards}"))
    merger = MergedFleet(fleet, 10.0)
    merger.assess(parts, (), 1001.0, START)
    begun = time.process_time()
    bodies = [encode(part, 1001.0) for part in parts]
    encoded = time.process_time()
    received = [decode(body, 1001.0) for body in bodies]
    decoded = time.process_time()
    merger.assess(received, (), 1001.0, START)
    merged = time.process_time()
    return {
        "sites": sites,
        "shards": shards,
        "encode_ms": round(1000 * (encoded - begun), 1),
        "decode_ms": round(1000 * (decoded - encoded), 1),
        "merge_ms": round(1000 * (merged - decoded), 1),
        "bytes_per_site": round(sum(map(len, bodies)) / sites),
        "megabytes": round(sum(map(len, bodies)) / 1e6, 1),
    }


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="tests.bench.shards", description=__doc__)
    parser.add_argument("--sites", type=int, default=10_000)
    parser.add_argument("--shards", type=int, default=4)
    args = parser.parse_args()
    print(json.dumps(measure(args.sites, args.shards), indent=1))


if __name__ == "__main__":
    main()
