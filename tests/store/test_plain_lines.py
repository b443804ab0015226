"""Lines of snapshots and assessments: the same as written plainly, on random fleets."""

from __future__ import annotations

import math
import random

from exporter.assess.assessment import assess
from exporter.collect.state import FleetState
from exporter.config.fleet import Fleet
from exporter.model.quantities import BATTERY_QUANTITIES, SITE_QUANTITIES
from exporter.model.snapshot import BatterySnapshot, Outcome, Snapshot
from exporter.store.line_protocol import assessment_lines, snapshot_lines
from tests.store.plain_lines import plain_assessment_lines, plain_snapshot_lines

ODD = (math.nan, 0.0, -0.0, 1e-7, 1e22, 0.1 + 0.2, 5e-324)
DEVICES = ("battery/512", "system/0", "odd, name=1", "back\\", "caf\u00e9")
ALARMS = ("LowSoc", "L1/Overload", "with space", "a=b")


def random_readings(rng: random.Random, names: list[str]) -> dict[str, float]:
    found = {name: rng.uniform(0, 100) for name in rng.sample(names, rng.randrange(len(names)))}
    for name in rng.sample(list(found), min(len(found), rng.randrange(3))):
        found[name] = rng.choice(ODD)
    return found


def random_snapshot(rng: random.Random, site: str, time: float) -> Snapshot:
    """Whatever a driver may give, one in five a failure."""
    if rng.random() < 0.2:
        return Snapshot(site, time, rng.random(), Outcome.TIMEOUT, "no answer")
    batteries = tuple(
        BatterySnapshot(
            device,
            number == 0,
            random_readings(rng, list(BATTERY_QUANTITIES)),
            rng.choice((None, "C3", 'a "quoted" one')),
            rng.choice((None, "0101")),
        )
        for number, device in enumerate(rng.sample(DEVICES, rng.randrange(3)))
    )
    alarms = {
        device: {name: rng.randrange(3) for name in rng.sample(ALARMS, rng.randrange(4))}
        for device in rng.sample(DEVICES, rng.randrange(3))
    }
    readings = random_readings(rng, list(SITE_QUANTITIES))
    return Snapshot(site, time, rng.random(), Outcome.OK, "", readings, batteries, alarms)


def test_lines_are_those_that_are_written_plainly() -> None:
    rng = random.Random(15)
    ids = [f"site_{n}" for n in range(30)]
    sites = [
        {"id": site, "api_endpoint": f"http://{site}.example", "solar_capacity_kw": 5.0}
        for site in ids
    ]
    state = FleetState(Fleet.model_validate({"sites": sites}), 10.0)
    issues = 0
    before = None
    for turn in range(20):
        wall = 1.78e9 + 10 * turn
        for site in rng.sample(ids, 25):
            snapshot = random_snapshot(rng, site, wall)
            assert snapshot_lines(snapshot) == plain_snapshot_lines(snapshot)
            state.apply(snapshot, 1000.0 + 10 * turn)
        state.pv_expected_w[:] = [rng.choice((math.nan, rng.uniform(0, 5000))) for _ in ids]
        found = assess(state, 1001.0 + 10 * turn, wall, before)
        gone = [("site_1", issue) for issue in found.issues[0]]
        assert assessment_lines(found, gone) == plain_assessment_lines(found, gone)
        issues += sum(map(len, found.issues))
        before = found
    assert issues > 100
