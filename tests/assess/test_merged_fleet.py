"""Shards judged together are the fleet as one exporter judges it."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from exporter.assess.assessment import FleetAssessment, UnseenShard, as_dict, assess, common_dicts
from exporter.assess.merged_fleet import MergedFleet, ShardPart, part_of
from exporter.collect.state import FleetState
from exporter.config.fleet import Fleet
from exporter.config.shards import Shard
from exporter.model.cell_findings import SiteCells
from exporter.model.snapshot import Outcome, Snapshot
from exporter.serve.api.views import brief, fleet_dict, pack_dicts
from exporter.serve.shards.part_format import PartError, decode, encode
from scoring.pv_power import Expected
from scoring.status import Status
from tests.serve.api.served import START, plan, snapshot

COUNT = 4
INTERVAL = 10.0


@pytest.fixture(autouse=True)
def low_pv_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a test would have to go on for hours until peers decide anything."""
    monkeypatch.setattr("exporter.collect.state.UNKNOWN_DIRECTION_SECONDS", 0.0)


def snapshots(fleet: Fleet, rng: random.Random) -> list[Snapshot]:
    """One round: most sites are well, a region's grid is bad, some are ill or silent."""
    found = []
    for n, site in enumerate(fleet.sites):
        ill: dict[str, float] = {}
        if site.region == "north" and n % 3:
            ill = {"grid_frequency_hz": 50.9}
        elif n % 11 == 0:
            ill = {"soh_percent": rng.uniform(50, 80), "cell_spread_v": 0.2}
        if n % 13 == 5:
            silent = (Outcome.TIMEOUT, "GET /services: gave up connecting after 2 s")
            found.append(Snapshot(site.id, START, 2.0, *silent))
            continue
        found.append(snapshot(site.id, START, rng, **ill))
    return found


def judged(fleet: Fleet, rounds: list[list[Snapshot]], **kept: bool) -> list[FleetAssessment]:
    """The Assessment after each round, with PV windows that differ by site."""
    state, found = FleetState(fleet, INTERVAL), list[FleetAssessment]()
    sites = len(fleet.sites)
    sun = Expected(np.full(sites, 6000.0), np.full(sites, 40.0), np.full(sites, 800.0))
    cells = {s.id: SiteCells(s.id, START) for s in fleet.sites if int(s.id[1:]) % 7 == 0}
    for number, snapshots_ in enumerate(rounds):
        now = 1000.0 + INTERVAL * number
        for one in snapshots_:
            if one.site in state.row:
                state.apply(one, now)
        for _ in range(20):
            state.integrate_pv(sun, 180.0, 0.0)
        before = found[-1] if found else None
        found.append(assess(state, now + 1, START + now, before, cells, **kept))
    return found


def whole_and_parts(sites: int, seed: int) -> tuple[list[FleetAssessment], list[list[ShardPart]]]:
    """What one exporter says after each round, and what the shards have then."""
    fleet, rng = plan(sites), random.Random(seed)
    rounds = [snapshots(fleet, rng) for _ in range(3)]
    shards = [
        judged(Shard(i, COUNT).part_of(fleet), rounds, keep_inputs=True) for i in range(COUNT)
    ]
    parts = [
        [part_of(found, f"{i}/{COUNT}") for i, found in enumerate(after)]
        for after in zip(*shards, strict=True)
    ]
    return judged(fleet, rounds), parts


def last(sites: int, seed: int) -> tuple[FleetAssessment, list[ShardPart]]:
    whole, parts = whole_and_parts(sites, seed)
    return whole[-1], parts[-1]


def over_the_wire(parts: Sequence[ShardPart], now: float) -> list[ShardPart]:
    """The parts as another process has them."""
    return [decode(encode(part, now), now) for part in parts]


def shown(assessment: FleetAssessment) -> dict[str, Any]:
    """Everything that the API says."""
    rows = range(len(assessment.fleet.sites))
    return {
        "fleet": fleet_dict(assessment),
        "sites": [as_dict(assessment.site(row)) for row in rows],
        "brief": [brief(assessment, row) for row in rows],
        "packs": [pack_dicts(assessment, row) for row in rows],
        "cells": sorted(assessment.cells),
        "attention": assessment.by_attention(),
    }


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_four_shards_say_what_one_exporter_says(seed: int) -> None:
    every, parts = whole_and_parts(80, seed)
    fleet = MergedFleet(every[0].fleet, INTERVAL)
    for whole, found in zip(every, parts, strict=True):
        there = over_the_wire(found, whole.monotonic)
        merged = fleet.assess(there, (), whole.monotonic, whole.time)
        ours, theirs = shown(merged), shown(whole)
        assert ours["fleet"] == theirs["fleet"]
        for name in theirs:
            assert repr(ours[name]) == repr(theirs[name]), name
        assert common_dicts(whole)
        assert any(site["outlier_scores"] for site in theirs["sites"])
        assert merged.unseen == ()


def test_peers_of_other_shards_change_what_a_shard_alone_would_say() -> None:
    """Else the test above proves nothing about merging."""
    whole, parts = last(80, 1)
    alone = {
        (site, issue.code)
        for part in parts
        for site, issues in zip(part.ids, part.issues, strict=True)
        for issue in issues
    }
    together = {
        (site.id, issue.code)
        for site, issues in zip(whole.fleet.sites, whole.issues, strict=True)
        for issue in issues
    }
    assert alone != together


def test_a_lost_shard_is_unseen_and_not_well() -> None:
    whole, parts = last(80, 1)
    lost = UnseenShard("2/4", tuple(parts[2].ids), START, "no connection")
    del parts[2]
    merged = MergedFleet(whole.fleet, INTERVAL).assess(parts, [lost], whole.monotonic, START)
    assert merged.unseen == (lost,)
    assert merged.unseen_sites == len(lost.sites) > 0
    rows = {site.id: row for row, site in enumerate(merged.fleet.sites)}
    for site in lost.sites:
        found = merged.site(rows[site])
        assert (found.status, found.score, found.up) == (Status.UNKNOWN, None, None)
        assert "shard 2/4" in found.detail
        assert found.issues == ()
    assert merged.counts[Status.UNKNOWN] == len(lost.sites)
    assert sum(merged.counts.values()) == 80


def test_a_site_that_moved_to_another_shard_is_seen_once() -> None:
    whole, parts = last(40, 1)
    moved = UnseenShard("5/6", tuple(parts[0].ids), None, "not asked yet")
    merged = MergedFleet(whole.fleet, INTERVAL).assess(parts, [moved], whole.monotonic, START)
    assert merged.unseen == ()


def test_issues_keep_their_beginning() -> None:
    whole, parts = last(80, 1)
    fleet = MergedFleet(whole.fleet, INTERVAL)
    before = fleet.assess(parts, (), whole.monotonic, START)
    after = fleet.assess(parts, (), whole.monotonic + 60, START + 60)
    assert before.issues == after.issues
    # So does a change of the fleet file, for which there is a new merger.
    renewed = MergedFleet(whole.fleet, INTERVAL, after)
    assert renewed.assess(parts, (), whole.monotonic + 120, START + 120).issues == after.issues


@pytest.mark.parametrize("seed", range(200))
def test_damaged_bytes_are_refused_or_are_a_part(seed: int) -> None:
    rng = random.Random(seed)
    body = bytearray(_BODY)
    for _ in range(rng.choice([1, 3])):
        body[rng.randrange(len(body) if seed % 2 else 3000)] = rng.randrange(256)
    if seed % 5 == 0:
        del body[rng.randrange(len(body)) :]
    # Any other error fails the test.
    with contextlib.suppress(PartError):
        part = decode(bytes(body), 0.0)
        assert len(part.ids) == len(part.records) == len(part.issues)


def test_another_version_is_named() -> None:
    body = _BODY.replace(b'{"version":"', b'{"version":"9', 1)
    head = len(_BODY) - len(body)
    length = int.from_bytes(body[:8], "big") - head
    with pytest.raises(PartError, match="version 9"):
        decode(length.to_bytes(8, "big") + body[8:], 0.0)


def test_analyses_of_cells_are_sent_once() -> None:
    part = last(20, 1)[1][1]
    first = decode(encode(part, 0.0), 0.0)
    assert first.cells.keys() == part.cells.keys() != set()
    again = encode(part, 0.0, cells_after=START)
    assert decode(again, 0.0).cells == {}
    assert decode(again, 0.0, first.cells).cells == first.cells


_BODY = encode(last(12, 1)[1][0], 0.0)
