"""What each stage of a scrape costs, without servers: ``python -m tests.bench.stages``.

Trees of the static fleet, as bytes, go through the parser, the driver, the fleet state, line
protocol and compression in one thread. CPU microseconds a scrape; every value of a site changes
from one scrape to the next.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import time
from collections import defaultdict
from typing import Any

from exporter.assess.assessment import assess
from exporter.collect.state import FleetState
from exporter.config.fleet import Fleet
from exporter.drivers.base import DriverContext
from exporter.drivers.transport.http.json_client import _parse
from exporter.drivers.venus.http_driver import BUDGET, VenusHttpOptions
from exporter.drivers.venus.site_reader import SiteReader
from exporter.model.process_memory import spare_collections
from exporter.model.snapshot import Snapshot
from exporter.serve.publication import Encoder, Publication
from exporter.store.cell_cadence import CellStore
from exporter.store.line_protocol import assessment_lines, snapshot_lines
from exporter.store.writer import _batches
from tests.bench.static_fleet import BATTERY, SYSTEM, battery_tree, system_tree
from tests.serve.test_metrics import NUMBERS

VARIANTS = 24


class Replies:
    """Answers as the bridge does, from bytes that are there already."""

    def __init__(self, spent: dict[str, float]) -> None:
        rng = random.Random(1)
        self._spent = spent
        self._bodies = {
            SYSTEM: [self._body(SYSTEM, system_tree(rng, vebus=False)) for _ in range(VARIANTS)],
            BATTERY: [self._body(BATTERY, battery_tree(rng)) for _ in range(VARIANTS)],
        }
        self._services = json.dumps({"services": [SYSTEM, BATTERY]}).encode()
        self.turn = 0

    @staticmethod
    def _body(service: str, tree: dict[str, Any]) -> bytes:
        return json.dumps({"service": service, "path": "/", "value": tree}).encode()

    async def get_json(
        self, path: str, params: dict[str, str], *, patience_seconds: float | None = None
    ) -> Any:
        """See :class:`exporter.drivers.venus.scrape.Bridge`."""
        body = self._services
        if path == "/value":
            body = self._bodies[params["service"]][self.turn % VARIANTS]
        begun = time.thread_time()
        document = _parse(body, path, "application/json")
        self._spent["parse"] += time.thread_time() - begun
        return document


def fleet_of(sites: int) -> Fleet:
    """So many sites."""
    return Fleet.model_validate(
        {
            "sites": [
                {"id": f"site_{n:05d}", "api_endpoint": f"http://127.0.0.1/s{n}", "latitude": 51.3}
                for n in range(sites)
            ]
        }
    )


async def measure(sites: int, rounds: int, cell_seconds: float) -> dict[str, Any]:
    """CPU microseconds a scrape by stage, means over rounds but for the first two."""
    spent: dict[str, float] = defaultdict(float)
    replies = Replies(spent)
    fleet = fleet_of(sites)
    state, cells, encoder = FleetState(fleet, 10.0), CellStore(cell_seconds, None, 0.0), Encoder()
    clock = [1.7e9]
    context = DriverContext(None, lambda: clock[0], lambda: clock[0])  # type: ignore[arg-type]
    readers = [
        SiteReader(s.id, replies, VenusHttpOptions.model_validate({}), context, BUDGET)
        for s in fleet.sites
    ]
    latest = assess(state, clock[0], clock[0])
    spare_collections()
    found: dict[str, list[float]] = defaultdict(list)
    now = time.thread_time
    for turn in range(rounds + 2):
        spent.clear()
        lines: list[str] = []
        blocks: list[Any] = []
        snapshots: list[Snapshot] = []
        begun = now()
        for number, reader in enumerate(readers):
            replies.turn = number + turn
            snapshots.append(await reader.scrape())
        spent["driver"] = now() - begun - spent["parse"]
        begun = now()
        for snapshot in snapshots:
            state.apply(snapshot, clock[0])
        spent["state"] = now() - begun
        begun = now()
        for snapshot in snapshots:
            lines += snapshot_lines(snapshot)
        spent["lines"] = now() - begun
        begun = now()
        for snapshot in snapshots:
            blocks += cells.blocks(snapshot, every=False)
        spent["cells"] = now() - begun
        begun = now()
        batches = _batches(lines, blocks, clock[0])
        spent["compress"] = now() - begun
        begun = now()
        latest = assess(state, clock[0], clock[0], latest)
        spent["assess (once)"] = now() - begun
        begun = now()
        delta = encoder.encode(Publication(latest, NUMBERS))
        spent["encode (once)"] = now() - begun
        begun = now()
        stored = assessment_lines(latest, [])
        spent["assessment lines (once)"] = now() - begun
        begun = now()
        batches = _batches(stored, [], clock[0])
        spent["their compression (once)"] = now() - begun
        clock[0] += 10.0
        if turn >= 2:
            for name, seconds in spent.items():
                found[name].append(1e6 * seconds / sites)
        del snapshots, delta, batches
    figures = {name: round(statistics.fmean(each), 1) for name, each in found.items()}
    return figures | {"all": round(sum(figures.values()), 1)}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="tests.bench.stages", description=__doc__)
    parser.add_argument("--sites", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--cell-seconds", type=float, default=60.0)
    args = parser.parse_args()
    print(json.dumps(asyncio.run(measure(args.sites, args.rounds, args.cell_seconds)), indent=1))


if __name__ == "__main__":
    main()
