"""PV over time: what is judged, what is held, and what is not compared."""

from __future__ import annotations

import math

import numpy as np
import pytest

from exporter.assess.assessment import assess
from exporter.collect.state import FleetState
from scoring.limits import PV_SETTLE_SECONDS
from scoring.pv_power import Expected
from scoring.rules import PV_LASTING_SECONDS, UNKNOWN_DIRECTION_SECONDS
from scoring.status import Status
from tests.assess.test_assessment import WALL, codes, fleet, snapshot

PLACED = {"latitude": 40.0, "longitude": 0.0, "solar_capacity_kw": 5.0, "region": "here"}
PLACED |= {"tilt": 30.0, "azimuth": 180.0}
FACING_ANYWHERE = {name: value for name, value in PLACED.items() if name != "azimuth"}


def test_pv_is_judged_by_neighbours_over_daylight_and_held_at_night() -> None:
    ids = ["a", "b", "c", "d", "e"]
    where = PLACED
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
    where = PLACED
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


def test_dirt_that_shows_in_the_morning_alone_is_one_issue_until_a_day_was_well() -> None:
    """Neighbours face otherwise: an array that lost a quarter looks low only in the morning."""
    ids = ["a", "b", "c", "d", "e"]
    where = PLACED
    state = FleetState(fleet(*ids, **where), 10.0)
    sun = Expected(np.full(5, 3000.0), np.full(5, 40.0), np.full(5, 800.0))
    dark = Expected(np.zeros(5), np.full(5, -20.0), np.zeros(5))
    step, result, since, ended = 900.0, None, set(), math.nan
    for quarter in range(4 * 24 * 4):
        now, hour, day = 1000.0 + step * quarter, quarter // 4 % 24, quarter // 96
        light = 6 <= hour < 18
        share = 0.7 if hour < 9 and day < 2 else 0.95
        for site in ids:
            made = 2500.0 * (share if site == "c" else 1.0) if light else 0.0
            state.apply(snapshot(site, {}, {"pv_power_w": made}), now)
        state.integrate_pv(sun if light else dark, step, now - step / 2)
        result = assess(state, now, WALL + step * quarter, result)
        found = {issue.code: issue for issue in result.site(2).issues}
        if "pv_low" in found:
            since.add(found["pv_low"].since)
            sentence = found["pv_low"].sentence
            assert math.isnan(ended)
            if day == 2:
                assert sentence.endswith(
                    "; it was below 75 %, and the issue ends after 24 h inside"
                )
        elif since and math.isnan(ended):
            ended = step * quarter
    assert len(since) == 1
    last_low = step * (96 + 36)
    assert abs(ended - PV_SETTLE_SECONDS - last_low) <= 3600.0


def test_pv_is_not_judged_while_the_bms_takes_no_charge() -> None:
    """For some percent below full it may not: PV follows the load, and is no fault."""
    ids = ["a", "b", "c", "d", "e"]
    where = PLACED
    sun = Expected(np.full(5, 3000.0), np.full(5, 40.0), np.full(5, 800.0))
    for limit, wanted in ((0.0, set()), (50.0, {"pv_underperforming"})):
        state = FleetState(fleet(*ids, **where), 10.0)
        now = 1000.0
        for _ in range(60):
            now += 60.0
            for site in ids:
                held = {"soc_percent": 93.0, "charge_limit_a": limit if site == "c" else 50.0}
                made = 600.0 if site == "c" else 2700.0
                state.apply(snapshot(site, held, {"pv_power_w": made}), now)
            state.integrate_pv(sun, 60.0, now - 30.0)
        assert set(codes(assess(state, now, WALL).site(2))) == wanted


@pytest.mark.parametrize(
    ("where", "share", "hours"),
    [
        (PLACED, 0.4, PV_LASTING_SECONDS / 3600),
        (PLACED, 0.1, 0.0),
        (FACING_ANYWHERE, 0.4, UNKNOWN_DIRECTION_SECONDS / 3600),
        (FACING_ANYWHERE, 0.1, UNKNOWN_DIRECTION_SECONDS / 3600),
        # No direction makes nothing.
        (FACING_ANYWHERE, 0.0, PV_LASTING_SECONDS / 3600),
        (FACING_ANYWHERE | {"tilt": 0.0}, 0.4, PV_LASTING_SECONDS / 3600),
    ],
)
def test_low_pv_must_last(where: dict[str, object], share: float, hours: float) -> None:
    """A horizon, a tree or fog that parts later lowers a healthy array for an hour."""
    ids = ["a", "b", "c", "d", "e"]
    state = FleetState(fleet(*ids, **where), 10.0)
    sun = Expected(np.full(5, 3000.0), np.full(5, 40.0), np.full(5, 800.0))
    step, result, found = 300.0, None, {}
    for number in range(int(8 * 3600 / step)):
        now = 1000.0 + step * number
        for site in ids:
            made = 2500.0 * (share if site == "c" else 1.0)
            state.apply(snapshot(site, {}, {"pv_power_w": made}), now)
        state.integrate_pv(sun, step, now - step / 2)
        result = assess(state, now, WALL + step * number, result)
        for issue in result.site(2).issues:
            found.setdefault(issue.code, number * step / 3600)
        assert not any(codes(result.site(row)) for row in (0, 1, 3, 4))
    # Half an hour passes before PV is judged at all.
    assert found["pv_underperforming"] == pytest.approx(0.5 + hours, abs=0.1)


def test_low_pv_that_ends_begins_anew() -> None:
    ids = ["a", "b", "c", "d", "e"]
    state = FleetState(fleet(*ids, **PLACED), 10.0)
    sun = Expected(np.full(5, 3000.0), np.full(5, 40.0), np.full(5, 800.0))
    step, result = 300.0, None
    for number in range(int(24 * 3600 / step)):
        now = 1000.0 + step * number
        # A tree: half of what it should be for 75 minutes, then three hours of full sun.
        shaded = number * step % (4.25 * 3600) < 75 * 60
        for site in ids:
            made = 2500.0 * (0.45 if shaded and site == "c" else 1.0)
            state.apply(snapshot(site, {}, {"pv_power_w": made}), now)
        state.integrate_pv(sun, step, now - step / 2)
        result = assess(state, now, WALL + step * number, result)
        assert codes(result.site(2)) == {}, number


@pytest.mark.parametrize("changed", [{}, {"azimuth": 250.0}, {"api_endpoint": "http://x:1"}])
def test_a_change_of_the_fleet_file_ends_no_low_pv(changed: dict[str, object]) -> None:
    """Unless it changes the arrays or the device themselves."""
    ids = ["a", "b", "c", "d", "e"]
    before = fleet(*ids, **PLACED)
    state = FleetState(before, 10.0)
    sun = Expected(np.full(6, 3000.0), np.full(6, 40.0), np.full(6, 800.0))
    step, result = 300.0, None
    for number in range(40):
        if number == 36:
            sites = [site.model_copy(update=changed) for site in before.sites]
            added = before.sites[0].model_copy(update={"id": "added"})
            state.reconfigure(before.model_copy(update={"sites": (added, *sites)}))
        now, count = 1000.0 + step * number, len(state.ids)
        for site in state.ids:
            made = 2500.0 * (0.4 if site == "c" else 1.0)
            state.apply(snapshot(site, {}, {"pv_power_w": made}), now)
        here = Expected(sun.power_w[:count], sun.elevation_deg[:count], sun.poa_w_m2[:count])
        state.integrate_pv(here, step, now - step / 2)
        result = assess(state, now, WALL + step * number, result)
    found = {issue.code: issue for issue in result.site(state.row["c"]).issues}
    assert ("pv_underperforming" in found) is not bool(changed)
    if not changed:
        assert found["pv_underperforming"].since < WALL + 36 * step


@pytest.mark.parametrize(("where", "accused"), [(PLACED, True), (FACING_ANYWHERE, False)])
def test_low_mornings_of_a_battery_that_is_full_by_noon(
    where: dict[str, object], accused: bool
) -> None:
    """Nothing but the mornings is compared. A roof to the west is low in each of them."""
    ids = ["a", "b", "c", "d", "e"]
    state = FleetState(fleet(*ids, **where), 10.0)
    sun = Expected(np.full(5, 3000.0), np.full(5, 40.0), np.full(5, 800.0))
    dark = Expected(np.zeros(5), np.full(5, -20.0), np.zeros(5))
    step, result, found = 600.0, None, set()
    for number in range(int(6 * 86400 / step)):
        now, hour = 1000.0 + step * number, number * step / 3600 % 24
        for site in ids:
            made = 2500.0 * (0.4 if site == "c" else 1.0) if 8 <= hour < 18 else 0.0
            full = {"soc_percent": 100.0 if site == "c" and hour >= 10 else 60.0}
            state.apply(snapshot(site, full, {"pv_power_w": made}), now)
        state.integrate_pv(sun if 8 <= hour < 18 else dark, step, now - step / 2)
        result = assess(state, now, WALL + step * number, result)
        found |= set(codes(result.site(2)))
    assert found == ({"pv_underperforming"} if accused else set())


def test_fog_of_several_mornings_is_no_dead_array_that_stands_alone() -> None:
    state = FleetState(fleet("a", **PLACED), 10.0)
    sun = Expected(np.full(1, 3000.0), np.full(1, 40.0), np.full(1, 800.0))
    dark = Expected(np.zeros(1), np.full(1, -20.0), np.zeros(1))
    step, result = 600.0, None
    for number in range(int(6 * 86400 / step)):
        now, hour = 1000.0 + step * number, number * step / 3600 % 24
        made = 2500.0 if 9.5 <= hour < 18 else 0.0
        state.apply(snapshot("a", {"soc_percent": 60.0}, {"pv_power_w": made}), now)
        state.integrate_pv(sun if 8 <= hour < 18 else dark, step, now - step / 2)
        result = assess(state, now, WALL + step * number, result)
        assert codes(result.site(0)) == {}, number


def test_an_hour_offline_in_the_evening_ends_no_low_pv_of_unknown_direction() -> None:
    """Nothing brings it back at night, and in the morning the count would begin anew."""
    ids = ["a", "b", "c", "d", "e"]
    state = FleetState(fleet(*ids, **FACING_ANYWHERE), 10.0)
    sun = Expected(np.full(5, 3000.0), np.full(5, 40.0), np.full(5, 800.0))
    dark = Expected(np.zeros(5), np.full(5, -20.0), np.zeros(5))
    step, result = 300.0, None
    said = {}
    for number in range(int(33 * 3600 / step)):
        now, hour = 1000.0 + step * number, step * number / 3600 % 24
        for site in ids:
            made = 2500.0 * (0.4 if site == "c" else 1.0) if hour < 10 else 0.0
            if site != "c" or not 12 <= step * number / 3600 < 13:
                state.apply(snapshot(site, {}, {"pv_power_w": made}), now)
        state.integrate_pv(sun if hour < 10 else dark, step, now - step / 2)
        result = assess(state, now, WALL + step * number, result)
        said[step * number / 3600] = "pv_underperforming" in codes(result.site(2))
    assert all(said[hour] for hour in (9, 11))
    assert not said[12.5], "nothing is said of a site that does not answer"
    assert all(said[hour] for hour in (14, 23, 32))


def test_low_pv_ends_with_a_correction_of_the_arrays() -> None:
    ids = ["a", "b", "c", "d", "e"]
    state = FleetState(fleet(*ids, **PLACED), 10.0)
    sun = Expected(np.full(5, 3000.0), np.full(5, 40.0), np.full(5, 800.0))
    result, said = None, {}
    for minute in range(180):
        now = 1000.0 + 60.0 * minute
        if minute == 150:
            state.reconfigure(fleet(*ids, **PLACED | {"solar_capacity_kw": 4.0}))
        for site in ids:
            made = 2500.0 * (0.65 if site == "c" else 1.0)
            state.apply(snapshot(site, {}, {"pv_power_w": made}), now)
        state.integrate_pv(sun, 60.0, now - 30.0)
        result = assess(state, now, WALL + 60.0 * minute, result)
        said[minute] = "pv_low" in codes(result.site(2))
    assert said[149]
    assert not any(said[minute] for minute in range(150, 180))


@pytest.mark.parametrize("step", [900.0, 1800.0, 3600.0])
def test_low_pv_lasts_as_long_where_sites_are_read_seldom(step: float) -> None:
    ids = ["a", "b", "c", "d", "e"]
    state = FleetState(fleet(*ids, **PLACED), step)
    sun = Expected(np.full(5, 3000.0), np.full(5, 40.0), np.full(5, 800.0))
    result, found = None, math.inf
    for number in range(int(8 * 3600 / step)):
        now = 1000.0 + step * number
        for site in ids:
            made = 2500.0 * (0.4 if site == "c" else 1.0)
            state.apply(snapshot(site, {}, {"pv_power_w": made}), now)
        state.integrate_pv(sun, step, now - step / 2)
        result = assess(state, now, WALL + step * number, result)
        if "pv_underperforming" in codes(result.site(2)):
            found = min(found, step * number)
    assert found <= PV_LASTING_SECONDS + max(1800.0, step) + step
