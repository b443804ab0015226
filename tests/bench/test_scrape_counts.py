"""What a scrape takes in numbers that no busy machine changes: requests, calls, lines, bytes."""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from types import FrameType
from typing import Any

from exporter.collect.state import FleetState
from exporter.drivers.base import DriverContext
from exporter.drivers.venus.http_driver import BUDGET, VenusHttpOptions
from exporter.drivers.venus.site_reader import SiteReader
from exporter.store.cell_cadence import CellStore
from exporter.store.line_protocol import snapshot_lines
from exporter.store.queue import pack, pack_blocks
from tests.bench.stages import Replies, fleet_of
from tests.bench.static_fleet import CELLS

# Of 330 paths that are no cells, and 520 of cells: none may cost a call of its own. In "state" each
# quantity that is derived over the batteries takes four.
MOST_CALLS = {"driver": 430, "state": 115, "lines": 115, "cells": 110}


class Counted(Replies):
    """Counts requests."""

    requests = 0

    async def get_json(self, *given: Any, **named: Any) -> Any:
        self.requests += 1
        return await super().get_json(*given, **named)


class Calls:
    """Counts calls of functions, Python's and C's, by stage."""

    def __init__(self) -> None:
        self.found: Counter[str] = Counter()
        self.stage = ""

    def __enter__(self) -> Calls:
        sys.setprofile(self._note)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)

    def _note(self, frame: FrameType, event: str, _: object) -> None:
        if event in ("call", "c_call"):
            self.found[self.stage] += 1


async def test_a_scrape_takes_few_calls_and_bytes() -> None:
    replies = Counted(defaultdict(float))
    fleet = fleet_of(1)
    clock = [1.7e9]
    context = DriverContext(None, lambda: clock[0], lambda: clock[0])  # type: ignore[arg-type]
    options = VenusHttpOptions.model_validate({})
    reader = SiteReader(fleet.sites[0].id, replies, options, context, BUDGET)
    state, store = FleetState(fleet, 10.0), CellStore(0.0, None, 0.0)
    for turn in range(2):
        # What is learnt once is learnt now.
        replies.turn = turn
        snapshot = await reader.scrape()
        state.apply(snapshot, clock[0])
        store.blocks(snapshot, every=False)
        clock[0] += 10.0
    replies.turn, replies.requests = 2, 0
    with Calls() as calls:
        calls.stage = "driver"
        snapshot = await reader.scrape()
        calls.stage = "state"
        state.apply(snapshot, clock[0])
        calls.stage = "lines"
        lines = snapshot_lines(snapshot)
        calls.stage = "cells"
        blocks = store.blocks(snapshot, every=False)
    assert replies.requests == 2
    too_many = {s: n for s, n in calls.found.items() if n > MOST_CALLS.get(s, 10)}
    assert not too_many, calls.found
    assert len(lines) == 2 + sum(map(len, snapshot.alarms.values()))
    assert sum(block.points for block in blocks) == CELLS
    batches = pack(lines, clock[0], 5000) + pack_blocks(blocks, clock[0], 5000)
    assert sum(len(batch.body) for batch in batches) < 5000
