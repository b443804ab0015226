"""PV over time: what is judged, what is held, and what is not compared."""

from __future__ import annotations

import numpy as np

from exporter.assess.assessment import assess
from exporter.collect.state import FleetState
from scoring.pv_power import Expected
from scoring.status import Status
from tests.assess.test_assessment import WALL, codes, fleet, snapshot


def test_pv_is_judged_by_neighbours_over_daylight_and_held_at_night() -> None:
    ids = ["a", "b", "c", "d", "e"]
    where = {"latitude": 40.0, "longitude": 0.0, "solar_capacity_kw": 5.0, "region": "here"}
    state = FleetState(fleet(*ids, **where), 10.0)
    day = Expected(np.full(5, 3000.0), np.full(5, 40.0), np.full(5, 800.0))
    now = 1000.0
    for _ in range(60):
        now += 60.0
        for site in ids:
            made = 300.0 if site == "c" else 2000.0
            state.apply(snapshot(site, {}, {"pv_power_w": made}), now)
        state.integrate_pv(day, 60.0, now - 30.0)
    result = assess(state, now, WALL)
    assert [set(codes(s)) for s in result] == [set(), set(), {"pv_underperforming"}, set(), set()]
    assert result.site(2).status is Status.WARNING
    night = Expected(np.zeros(5), np.full(5, -20.0), np.zeros(5))
    for _ in range(30):
        now += 60.0
        for site in ids:
            state.apply(snapshot(site, {}, {"pv_power_w": 0.0}), now)
        state.integrate_pv(night, 60.0, now - 30.0)
    assert "pv_underperforming" in codes(assess(state, now, WALL, result).site(2))


def test_pv_is_not_compared_with_neighbours_of_an_hour_ago() -> None:
    """Full batteries end the neighbours' judgement; then clouds come, and they are no fault."""
    ids = ["a", "b", "c", "d", "e"]
    where = {"latitude": 40.0, "longitude": 0.0, "solar_capacity_kw": 5.0, "region": "here"}
    state = FleetState(fleet(*ids, **where), 10.0)
    sun = Expected(np.full(5, 3000.0), np.full(5, 40.0), np.full(5, 800.0))
    result = None
    for minute in range(180):
        now, clouds = 1000.0 + 60.0 * minute, minute > 60
        for site in ids:
            full = {"soc_percent": 100.0 if clouds and site != "c" else 60.0}
            made = {"pv_power_w": 700.0 if clouds else 2700.0}
            state.apply(snapshot(site, full, made), now)
        state.integrate_pv(sun, 60.0, now - 30.0)
        result = assess(state, now, WALL + minute, result)
        assert [codes(s) for s in result] == 5 * [{}], minute
