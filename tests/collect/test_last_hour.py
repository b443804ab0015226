"""Scrapes of the last hour, kept as sums, against the same counted anew."""

from __future__ import annotations

import random
from typing import Any

import numpy as np

from exporter.collect.state import FleetState
from exporter.config.fleet import Fleet
from exporter.model.snapshot import Outcome, Snapshot

SHARES = {Outcome.OK: 1.0, Outcome.PARTIAL: 0.5, Outcome.TIMEOUT: 0.0}


def fleet(count: int) -> Fleet:
    endpoint: dict[str, Any] = {"api_endpoint": "http://10.0.0.1"}
    return Fleet.model_validate({"sites": [{"id": f"s{n}", **endpoint} for n in range(count)]})


def test_scrapes_of_the_last_hour_are_those_of_its_minutes() -> None:
    rng = random.Random(3)
    state, now, count = FleetState(fleet(4), 10.0), 1000.0, 4
    taken: list[tuple[float, int, float]] = []
    for _ in range(1500):
        now += rng.choice([0.1, 1.0, 5.0, 70.0, 4000.0 if rng.random() < 0.02 else 3.0])
        site, outcome = rng.randrange(count), rng.choice(list(SHARES))
        state.apply(Snapshot(site=f"s{site}", time=now, duration=0.1, outcome=outcome), now)
        taken.append((now, site, SHARES[outcome]))
        if rng.random() < 0.01:
            count = rng.choice([4, 5])
            # A fifth site that goes takes its scrapes with it.
            taken = [one for one in taken if one[1] < 4]
            state.reconfigure(fleet(4))
            state.reconfigure(fleet(count))
        later = now + rng.choice([0.0, 0.0, 30.0, 200.0, 5000.0])
        worked, attempted, answered = np.zeros(count), np.zeros(count), np.zeros(count)
        for time, site, share in taken[-5000:]:
            if time // 60 > later // 60 - 60:
                worked[site] += share
                attempted[site] += 1
                answered[site] += share > 0
        found = state.last_hour(later)
        assert found[0].tolist() == worked.tolist()
        assert found[1].tolist() == attempted.tolist()
        assert found[2].tolist() == answered.tolist()
