"""Snapshots that are taken together leave the same state and lines as one after another."""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import replace

import numpy as np
import pytest

from exporter.collect.state import FleetState
from exporter.config.fleet import Fleet
from exporter.model.snapshot import Snapshot
from exporter.store.cell_cadence import CellStore
from exporter.store.line_protocol import snapshot_lines
from exporter.store.queue import Block
from exporter.store.snapshot_sink import SnapshotSink
from tests.store.test_plain_lines import random_snapshot

SITES = [f"site_{n}" for n in range(12)]
FLEET = Fleet.model_validate(
    {"sites": [{"id": site, "api_endpoint": f"http://{site}.example"} for site in SITES]}
)


class Gathered:
    """Gathers what a writer is given."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.blocks: list[Block] = []

    def add(self, lines: list[str]) -> None:
        self.lines += lines

    def add_blocks(self, blocks: list[Block]) -> None:
        self.blocks += blocks


class World:
    """A sink with its state and one writer for each half of the fleet."""

    def __init__(self) -> None:
        self.state = FleetState(FLEET, 10.0)
        self.written: dict[int, Gathered] = defaultdict(Gathered)
        self.taken: list[Snapshot] = []
        self.now = 1000.0
        self.sink = SnapshotSink(
            self.state,
            CellStore(0.0, None, 0.0),
            lambda site: self.written[SITES.index(site) % 2],  # type: ignore[arg-type,return-value]
            self.taken.append,
            lambda: self.now,
        )


def random_snapshots(rng: random.Random) -> list[Snapshot]:
    found = []
    for turn in range(6):
        for site in rng.sample(SITES, 9):
            snapshot = random_snapshot(rng, site, 1.78e9 + 10 * turn)
            way = rng.choice(("mqtt", "http")) if site == SITES[0] else ""
            found.append(replace(snapshot, way=way, current=rng.random() < 0.9))
    return found


async def test_together_is_as_one_by_one() -> None:
    snapshots = random_snapshots(random.Random(15))
    plain, together = World(), World()
    lines: dict[int, list[str]] = defaultdict(list)
    for snapshot in snapshots:
        before = plain.state.way_of(snapshot.site) if snapshot.way else ""
        if snapshot.current:
            plain.state.apply(snapshot, plain.now)
        lines[SITES.index(snapshot.site) % 2] += snapshot_lines(snapshot, before)
    for snapshot in snapshots:
        together.sink.take(snapshot)
    assert not together.taken
    together.sink.flush()
    assert together.taken == snapshots
    assert {key: of.lines for key, of in together.written.items()} == lines
    assert any("way_in," in line for line in lines[0])
    np.testing.assert_array_equal(together.state.values, plain.state.values)
    np.testing.assert_array_equal(together.state.times, plain.state.times)
    assert together.state.records == plain.state.records
    together.sink.flush()
    assert together.taken == snapshots


async def test_a_snapshot_that_cannot_be_taken_costs_the_others_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    rng, world = random.Random(3), World()
    good = [random_snapshot(rng, site, 1.78e9) for site in SITES[:3]]
    bad = replace(good[1], outcome="no outcome")  # type: ignore[arg-type]
    for snapshot in (good[0], bad, good[2]):
        world.sink.take(snapshot)
    world.sink.flush()
    assert world.taken == [good[0], good[2]]
    assert "site_1: a Snapshot was not taken" in caplog.text
