"""From Snapshots to an Assessment: the statuses that must come out, whatever the order."""

from __future__ import annotations

import itertools
import math
import pickle
from typing import Any

import pytest

from exporter.assess.assessment import FleetAssessment, SiteAssessment, as_dict, assess
from exporter.collect.state import FleetState
from exporter.config.fleet import Fleet
from exporter.model.cell_findings import CellFinding, PackCells, SiteCells
from exporter.model.snapshot import (
    BatterySnapshot,
    Implausible,
    Outcome,
    ReadingState,
    Snapshot,
)
from scoring.status import Status

WALL = 1_780_000_000.0
nan = math.nan

GRID = {
    "grid_connected": 1.0,
    "grid_frequency_hz": 50.0,
    "grid_voltage_v": 230.0,
    "grid_voltage_min_v": 230.0,
    "grid_voltage_max_v": 230.0,
}
BATTERY = {
    "soc_percent": 70.0,
    "soh_percent": 95.0,
    "temperature_c": 25.0,
    "cell_min_v": 3.30,
    "cell_max_v": 3.31,
    "cell_spread_v": 0.01,
}


def fleet(*ids: str, **common: Any) -> Fleet:
    sites = [{"id": i, "api_endpoint": f"http://{i}.example.com"} | common for i in ids]
    return Fleet.model_validate({"sites": sites})


def snapshot(
    site: str,
    battery: dict[str, float] | None = None,
    grid: dict[str, float] | None = None,
    **more: Any,
) -> Snapshot:
    readings = GRID | (grid or {})
    batteries = ()
    if battery is not None:
        batteries = (BatterySnapshot("battery/0", True, BATTERY | battery),)
    values = {"outcome": Outcome.OK, "readings": readings, "batteries": batteries} | more
    return Snapshot(site=site, time=WALL, duration=0.1, **values)


def failed(site: str) -> Snapshot:
    return Snapshot(site, WALL, 2.0, Outcome.TIMEOUT, "GET /services: gave up connecting after 2 s")


def judge(fleet_: Fleet, snapshots: list[Snapshot], later: float = 1.0) -> FleetAssessment:
    state = FleetState(fleet_, 10.0)
    for one in snapshots:
        state.apply(one, 1000.0)
    return assess(state, 1000.0 + later, WALL + later)


def one(
    battery: dict[str, float] | None = None, grid: dict[str, float] | None = None, **common: Any
) -> SiteAssessment:
    return judge(fleet("a", **common), [snapshot("a", battery, grid)]).site(0)


def codes(site: SiteAssessment) -> dict[str, str]:
    return {issue.code: issue.severity for issue in site.issues}


def test_two_good_sites_are_healthy() -> None:
    result = judge(
        fleet("a", "b"),
        [
            snapshot("a", {"soh_percent": 95, "soc_percent": 75}),
            snapshot("b", {"soh_percent": 93, "soc_percent": 68}, {"grid_frequency_hz": 50.05}),
        ],
    )
    assert [result.site(i).status for i in (0, 1)] == [Status.HEALTHY, Status.HEALTHY]
    assert result.mean is not None
    assert result.mean > 90
    assert result.needing_attention() == []


def finding(severity: str, sentence: str, since: float | None = None) -> CellFinding:
    return CellFinding("17", "imbalance_rest", severity, -0.097, "V", since, sentence)


def analysed(site: str, *findings: CellFinding) -> dict[str, SiteCells]:
    pack = PackCells(
        pack="battery/0",
        start=0.0,
        end=WALL,
        samples=100,
        resting_windows=10,
        trend_basis="rest",
        spread_rest_v=0.1,
        cells=(),
        findings=findings,
        cycling=None,
        health=None,
    )
    return {site: SiteCells(site, WALL, (pack,))}


def with_cells(*findings: CellFinding) -> FleetAssessment:
    state = FleetState(fleet("a", "b"), 10.0)
    for site in ("a", "b"):
        state.apply(snapshot(site, {}), 1000.0)
    return assess(state, 1001.0, WALL, None, analysed("a", *findings))


def test_what_the_history_says_of_a_cell_counts_in_the_status_of_its_site() -> None:
    said = "Cell 17 is -97 mV off its pack at rest"
    result = with_cells(
        finding("warning", "Cell 3 drifts"), finding("critical", said, since=WALL - 86_400.0)
    )
    site = result.site(0)
    assert site.status is Status.WARNING
    assert codes(site) == {"cell_finding": "warning"}
    assert site.issues[0].sentence == f"The history of its cells: {said}"
    assert site.issues[0].since == WALL - 86_400.0
    assert result.site(1).status is Status.HEALTHY
    assert result.needing_attention() == [0]


def test_a_trend_that_is_only_worth_a_note_is_no_issue() -> None:
    assert with_cells(finding("info", "Cell 3 drifts slowly")).site(0).issues == ()


@pytest.mark.parametrize(
    ("battery", "grid", "status", "code"),
    [
        ({"soh_percent": 65.0}, {}, Status.CRITICAL, "battery_soh"),
        ({"soh_percent": 68.0}, {}, Status.CRITICAL, "battery_soh"),
        ({"soh_percent": 82.0}, {}, Status.WARNING, "battery_soh"),
        ({"soh_percent": 95.0}, {}, Status.HEALTHY, None),
        ({}, {"grid_frequency_hz": 49.3}, Status.WARNING, "grid_frequency"),
        ({"cell_spread_v": 0.12}, {}, Status.WARNING, "cell_spread"),
        ({"temperature_c": 46.0}, {}, Status.WARNING, "battery_temperature"),
    ],
)
def test_single_faults(
    battery: dict[str, float], grid: dict[str, float], status: Status, code: str | None
) -> None:
    site = one(battery, grid)
    assert site.status is status
    assert list(codes(site)) == ([code] if code else [])


def test_everything_else_missing_does_not_change_the_verdict_on_health() -> None:
    for soh, status in ((65.0, Status.CRITICAL), (82.0, Status.WARNING), (95.0, Status.HEALTHY)):
        bare = Snapshot(
            "a",
            WALL,
            0.1,
            Outcome.OK,
            batteries=(BatterySnapshot("battery/0", True, {"soh_percent": soh}),),
        )
        site = judge(fleet("a"), [bare]).site(0)
        assert site.status is status
        assert site.coverage < 1


def test_a_site_that_does_not_answer_is_offline_and_wants_attention() -> None:
    result = judge(fleet("a", "b"), [failed("a"), snapshot("b", {})])
    assert result.site(0).status is Status.OFFLINE
    assert result.site(0).score == 0.0
    assert result.site(1).status is Status.HEALTHY
    assert result.counts[Status.OFFLINE] == 1
    assert result.needing_attention() == [0]
    assert codes(result.site(0)) == {"site_offline": "critical"}
    assert "gave up connecting" in result.site(0).issues[0].sentence


def test_one_missed_scrape_is_not_offline_but_silence_is() -> None:
    fleet_ = fleet("a")
    state = FleetState(fleet_, 10.0)
    state.apply(snapshot("a", {}), 1000.0)
    state.apply(failed("a"), 1010.0)
    assert assess(state, 1012.0, WALL).site(0).status is Status.HEALTHY
    assert assess(state, 1040.0, WALL).site(0).status is not Status.OFFLINE
    assert assess(state, 1041.0, WALL).site(0).status is Status.OFFLINE
    state.apply(snapshot("a", {}), 1050.0)
    assert assess(state, 1051.0, WALL).site(0).status is not Status.OFFLINE


def test_a_battery_of_whose_health_nothing_is_known_is_good_at_best_and_calls_nobody() -> None:
    bare = Snapshot(
        "a",
        WALL,
        0.1,
        Outcome.OK,
        batteries=(
            BatterySnapshot(
                "battery/0",
                True,
                {"soc_percent": 80.0, "voltage_v": 52.0, "soh_percent": nan, "cell_spread_v": nan},
            ),
        ),
    )
    result = judge(fleet("a"), [bare])
    site = result.site(0)
    assert (site.status, site.score) == (Status.GOOD, 89.0)
    assert codes(site) == {"battery_health_unknown": "info"}
    assert "not fully known" in site.issues[0].sentence
    assert result.needing_attention() == []
    assert site.coverage < 1
    assert {"soh_percent", "cell_spread_v", "temperature_c", "grid_frequency_hz"} <= set(
        site.missing
    )


LOST = {
    "grid_connected": 0.0,
    "grid_frequency_hz": nan,
    "grid_voltage_v": nan,
    "grid_voltage_min_v": nan,
    "grid_voltage_max_v": nan,
}


def test_a_lost_grid_is_critical_and_an_off_grid_site_has_none() -> None:
    lost = one({}, LOST)
    assert lost.status is Status.CRITICAL
    assert codes(lost) == {"grid_lost": "critical"}
    island = one({}, LOST, off_grid=True)
    assert island.status is Status.HEALTHY
    assert island.components["grid"] is None


def test_a_silent_battery_on_a_site_that_answers() -> None:
    site = one(None)
    assert codes(site) == {"battery_silent": "warning"}
    assert site.status is Status.WARNING
    assert site.components["battery"] is None


def test_the_order_of_answers_changes_nothing() -> None:
    fleet_ = fleet("a", "b", "c", "d")
    snapshots = [
        snapshot("a", {"soh_percent": 82.0}),
        snapshot("b", {}, {"grid_frequency_hz": 49.3}),
        failed("c"),
        snapshot("d", {}),
    ]
    seen = set()
    for order in itertools.permutations(snapshots):
        result = judge(fleet_, list(order))
        seen.add(tuple((s.status, s.score, s.attention_rank) for s in result))
    assert len(seen) == 1
    assert [s[2] for s in seen.pop()] == [2, 3, 1, 4]


def test_readings_of_a_part_that_did_not_answer_stay_until_they_are_stale() -> None:
    fleet_ = fleet("a")
    state = FleetState(fleet_, 10.0)
    state.apply(snapshot("a", {"soh_percent": 60.0}), 1000.0)
    partial = Snapshot("a", WALL, 0.1, Outcome.PARTIAL, "battery: timeout", readings=GRID)
    state.apply(partial, 1010.0)
    assert "battery_soh" in codes(assess(state, 1011.0, WALL).site(0))
    assert state.state_of("a", "soh_percent", 1011.0) is ReadingState.NUMBER
    for when in (1020.0, 1030.0, 1040.0, 1050.0):
        state.apply(partial, when)
    stale = assess(state, 1051.0, WALL).site(0)
    assert state.state_of("a", "soh_percent", 1051.0) is ReadingState.STALE
    assert set(codes(stale)) >= {"battery_silent"}
    assert "battery_soh" not in codes(stale)


def test_a_value_that_the_device_takes_back_is_missing_at_once() -> None:
    state = FleetState(fleet("a"), 10.0)
    state.apply(snapshot("a", {"soh_percent": 60.0}), 1000.0)
    state.apply(snapshot("a", {"soh_percent": nan}), 1010.0)
    assert state.state_of("a", "soh_percent", 1011.0) is ReadingState.MISSING
    site = assess(state, 1011.0, WALL).site(0)
    assert "soh_percent" in site.missing
    assert codes(site) == {}


def test_an_implausible_value_is_told_and_not_scored() -> None:
    bad = snapshot(
        "a",
        {"soc_percent": nan},
        implausible=(Implausible("battery/0", "soc_percent", 140.0),),
    )
    state = FleetState(fleet("a"), 10.0)
    state.apply(bad, 1000.0)
    site = assess(state, 1001.0, WALL).site(0)
    assert codes(site) == {"implausible_reading": "info"}
    assert "soc_percent 140 of battery/0" in site.issues[0].sentence
    assert state.state_of("a", "soc_percent", 1001.0) is ReadingState.IMPLAUSIBLE
    state.apply(snapshot("a", {}), 1010.0)
    assert codes(assess(state, 1011.0, WALL).site(0)) == {}


def test_an_implausible_value_that_comes_and_goes_is_one_issue() -> None:
    """A wire that breaks now and then; the issue ends an hour after it was last so."""
    bad = snapshot(
        "a", {"soc_percent": nan}, implausible=(Implausible("battery/0", "soc_percent", 140.0),)
    )
    state, result, since, shown = FleetState(fleet("a"), 10.0), None, set(), []
    for minute in range(150):
        now = 1000.0 + 60.0 * minute
        state.apply(bad if minute < 60 and minute % 20 < 3 else snapshot("a", {}), now)
        result = assess(state, now + 1.0, WALL + 60.0 * minute, result)
        for issue in result.site(0).issues:
            since.add(issue.since)
            shown.append((minute, issue.sentence))
    assert since == {WALL}
    assert shown[0][1].endswith("outside physics: soc_percent 140 of battery/0")
    last_minute, last = shown[-1]
    assert last.endswith("physics, or did in the last hour: soc_percent 140 of battery/0")
    assert last_minute == pytest.approx(42 + 60, abs=1)
    assert [minute for minute, _ in shown] == list(range(last_minute + 1))


def test_the_worst_battery_decides_on_health_and_the_active_one_on_charge() -> None:
    two = snapshot(
        "a",
        {"soc_percent": 55.0},
    )
    other = BatterySnapshot(
        "battery/1", False, {"soc_percent": 5.0, "soh_percent": 60.0, "temperature_c": 20.0}
    )
    both = Snapshot(
        "a", WALL, 0.1, Outcome.OK, readings=two.readings, batteries=(*two.batteries, other)
    )
    site = judge(fleet("a"), [both]).site(0)
    assert site.readings["soc_percent"] == 55.0
    assert site.readings["soh_percent"] == 60.0
    assert site.readings["temperature_c"] == 25.0
    assert codes(site) == {"battery_soh": "critical"}


def test_a_device_that_is_gone_takes_its_words_along() -> None:
    state = FleetState(fleet("a"), 10.0)
    alarmed = snapshot(
        "a",
        {},
        alarms={"vebus/257": {"L1/Overload": 2}},
        devices=frozenset({"battery/0", "vebus/257"}),
    )
    state.apply(alarmed, 1000.0)
    site = assess(state, 1001.0, WALL).site(0)
    assert codes(site) == {"device_alarm": "critical"}
    assert "L1/Overload of vebus/257" in site.issues[0].sentence
    gone = Snapshot("a", WALL, 0.1, Outcome.OK, readings=GRID, devices=frozenset({"vebus/257"}))
    state.apply(gone, 1010.0)
    assert set(codes(assess(state, 1011.0, WALL).site(0))) == {"device_alarm", "battery_silent"}


def test_since_is_when_an_issue_began_and_starts_anew() -> None:
    state = FleetState(fleet("a"), 10.0)
    state.apply(snapshot("a", {"soh_percent": 60.0}), 1000.0)
    first = assess(state, 1001.0, WALL + 1)
    assert first.site(0).issues[0].since == WALL + 1
    second = assess(state, 1021.0, WALL + 21, first)
    assert second.site(0).issues[0].since == WALL + 1
    state.apply(snapshot("a", {}), 1022.0)
    well = assess(state, 1023.0, WALL + 23, second)
    assert well.site(0).issues == ()
    state.apply(snapshot("a", {"soh_percent": 60.0}), 1030.0)
    assert assess(state, 1031.0, WALL + 31, well).site(0).issues[0].since == WALL + 31


def test_assessing_changes_no_state() -> None:
    state = FleetState(fleet("a", "b"), 10.0)
    state.apply(snapshot("a", {"soh_percent": 60.0}), 1000.0)
    state.apply(failed("b"), 1000.0)
    before = pickle.dumps(state)
    first = assess(state, 1100.0, WALL)
    assert pickle.dumps(state) == before
    assert pickle.dumps(assess(state, 1100.0, WALL).issues) == pickle.dumps(first.issues)


def test_what_did_not_change_is_the_same_object_and_equals_a_fresh_assessment() -> None:
    state = FleetState(fleet("a", "b", "c"), 10.0)
    for site in ("a", "b"):
        state.apply(snapshot(site, {"soh_percent": 60.0}), 100.0)
    first = assess(state, 101.0, WALL)
    state.apply(snapshot("b", {"cell_spread_v": 0.2}), 102.0)
    second = assess(state, 103.0, WALL + 2, first)
    assert [old is new for old, new in zip(first.records, second.records, strict=True)] == [
        True,
        False,
        True,
    ]
    assert second.issues[0] is first.issues[0]
    assert second.issues[1] != first.issues[1]
    # Long after: values are stale, though nothing was read.
    third = assess(state, 100.0 + 3600, WALL + 3600, second)
    assert third.records[0].of_batteries != first.records[0].of_batteries
    for found, at, now in ((second, WALL + 2, 103.0), (third, WALL + 3600, 3700.0)):
        fresh = assess(state, now, at)
        assert [view.of_batteries for view in fresh.records] == [
            view.of_batteries for view in found.records
        ]
        assert [view.packs for view in fresh.records] == [view.packs for view in found.records]


def test_reconfiguring_keeps_state_and_forgets_what_is_gone() -> None:
    state = FleetState(fleet("a", "b"), 10.0)
    state.apply(snapshot("a", {"soh_percent": 60.0}), 1000.0)
    state.apply(snapshot("b", {}), 1000.0)
    state.reconfigure(fleet("c", "a"))
    result = assess(state, 1001.0, WALL)
    assert [s.site.id for s in result] == ["c", "a"]
    assert result.site(0).status is Status.UNKNOWN
    assert codes(result.site(1)) == {"battery_soh": "critical"}
    state.apply(snapshot("b", {}), 1002.0)
    assert len(assess(state, 1003.0, WALL).fleet.sites) == 2


def test_another_endpoint_is_another_device() -> None:
    state = FleetState(fleet("a"), 10.0)
    state.apply(snapshot("a", {"soh_percent": 60.0}), 1000.0)
    moved = Fleet.model_validate({"sites": [{"id": "a", "api_endpoint": "http://new.example.com"}]})
    state.reconfigure(moved)
    assert assess(state, 1001.0, WALL).site(0).status is Status.UNKNOWN


def test_a_site_threshold_overrides_the_fleets() -> None:
    sites = [
        {"id": "a", "api_endpoint": "http://a.example.com"},
        {
            "id": "b",
            "api_endpoint": "http://b.example.com",
            "thresholds": {"temperature_max": 50},
        },
        {"id": "c", "api_endpoint": "http://c.example.com", "grid_nominal_hz": 60},
    ]
    fleet_ = Fleet.model_validate({"sites": sites, "thresholds": {"temperature_max": 40}})
    sixty = {"grid_frequency_hz": 60.0} | dict.fromkeys(
        ("grid_voltage_v", "grid_voltage_min_v", "grid_voltage_max_v"), 120.0
    )
    result = judge(
        fleet_,
        [
            snapshot("a", {"temperature_c": 45.0}),
            snapshot("b", {"temperature_c": 45.0}),
            snapshot("c", {}, sixty),
        ],
    )
    assert [set(codes(s)) for s in result] == [{"battery_temperature"}, set(), set()]


def test_an_outage_of_a_region_is_told_as_one() -> None:
    ids = [f"s{i}" for i in range(10)]
    sites = [
        {
            "id": i,
            "api_endpoint": f"http://{i}.example.com",
            "region": "north" if n < 4 else "south",
        }
        for n, i in enumerate(ids)
    ]
    snapshots = [snapshot(i, {}, LOST if n < 4 else {}) for n, i in enumerate(ids)]
    result = judge(Fleet.model_validate({"sites": sites}), snapshots)
    assert [(c.code, c.attribute, c.value, c.sites) for c in result.common] == [
        ("grid_lost", "region", "north", 4)
    ]


def test_pv_without_coordinates_is_unknown_and_says_so() -> None:
    site = judge(fleet("a", solar_capacity_kw=5.0), [snapshot("a", {}, {"pv_power_w": 0.0})]).site(
        0
    )
    assert site.components["solar"] is None
    assert site.missing == ("latitude",)


def test_as_dict_shows_neither_contact_nor_endpoint() -> None:
    contact = {"name": "Site operations", "phone": "+44 1632 960001", "email": "a@example.com"}
    result = judge(fleet("a", "b", contact=contact), [snapshot("a", {}), failed("b")])
    for site in result:
        shown = str(as_dict(site))
        for private in ("1632", "example.com", "http:"):
            assert private not in shown
