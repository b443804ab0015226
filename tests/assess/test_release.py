"""A value that hovers at its limit is one issue, and its sentence stays true."""

from __future__ import annotations

import pytest

from exporter.assess.assessment import FleetAssessment, Issue, assess
from exporter.assess.sentences import sentence_of
from exporter.collect.site_record import SiteRecord
from exporter.collect.state import FleetState
from scoring.limits import SETTLE_SECONDS
from scoring.window_rules import CONTROLLER_RESTARTS, RESTARTS_OF_WEEK
from tests.assess.test_assessment import WALL, fleet, snapshot

BATTERY_VALUES = [
    # quantity, code, beyond its limit, back inside, where the issue is over
    ("temperature_c", "battery_temperature", 45.2, 44.8, 43.9),
    ("soc_percent", "battery_soc", 9.8, 10.2, 12.1),
    ("soh_percent", "battery_soh", 84.8, 85.2, 85.6),
    ("cell_spread_v", "cell_spread", 0.102, 0.098, 0.094),
]
GRID_VALUES = [
    ("grid_frequency_hz", "grid_frequency", 49.48, 49.52, 49.56),
    ("grid_frequency_hz", "grid_frequency_deviation", 50.12, 50.09, 50.07),
]
SETTLE_STEP_SECONDS = SETTLE_SECONDS + 1


def issues_of(
    kind: str, quantity: str, values: list[float], seconds: float = 10.0, **also: float
) -> list[dict[str, Issue]]:
    """Issues by code after each of some values."""
    state = FleetState(fleet("a"), 10.0)
    found: list[dict[str, Issue]] = []
    before: FleetAssessment | None = None
    for step, value in enumerate(values):
        now = 1000.0 + seconds * step
        state.apply(snapshot("a", **{"battery": {}, kind: {quantity: value, **also}}), now)
        before = assess(state, now, WALL + seconds * step, before)
        found.append({issue.code: issue for issue in before.issues[0]})
    return found


@pytest.mark.parametrize(
    ("kind", "quantity", "code", "beyond", "inside", "over"),
    [("battery", *row) for row in BATTERY_VALUES] + [("grid", *row) for row in GRID_VALUES],
)
def test_an_issue_ends_only_well_inside_its_limit(
    kind: str, quantity: str, code: str, beyond: float, inside: float, over: float
) -> None:
    step = 10.0 if kind == "battery" else SETTLE_STEP_SECONDS
    values = [inside, beyond, inside, beyond, inside, over, inside]
    found = issues_of(kind, quantity, values, step)
    assert [code in issues for issues in found] == [False, True, True, True, True, False, False]
    assert len({issues[code].since for issues in found[1:5]}) == 1, "it is one issue"
    assert len({issues[code].threshold for issues in found[1:5]}) == 1, "the limit stays the limit"


def test_the_sentence_of_a_value_back_inside_says_so() -> None:
    beyond, inside = issues_of("battery", "temperature_c", [45.2, 44.8])
    assert beyond["battery_temperature"].sentence == "Battery is at 45.2 °C, above 45 °C"
    assert inside["battery_temperature"].sentence == (
        "Battery or cell temperature is 44.8 °C; it was above 45 °C, and the issue ends at 44 °C"
    )


def test_a_critical_issue_becomes_a_warning_by_its_own_margin() -> None:
    found = issues_of("battery", "temperature_c", [55.5, 54.5, 53.9, 44.5, 43.9])
    severities = [
        issues["battery_temperature"].severity if "battery_temperature" in issues else None
        for issues in found
    ]
    assert severities == ["critical", "critical", "warning", "warning", None]


def test_a_frequency_that_swings_far_across_its_limit_is_one_issue() -> None:
    found = issues_of("grid", "grid_frequency_hz", [49.38, 49.62] * 4, seconds=120)
    assert all("grid_frequency" in issues for issues in found)
    assert len({issues["grid_frequency"].since for issues in found}) == 1
    assert found[1]["grid_frequency"].sentence == (
        "Grid frequency is 49.62 Hz; it was below 49.5 Hz, and the issue ends after 5 min inside"
    )


def test_an_issue_of_the_other_side_is_not_held() -> None:
    found = issues_of("grid", "grid_frequency_hz", [49.38, 50.62, 50.0, 50.0, 50.0, 50.0])
    assert [issues["grid_frequency"].threshold for issues in found] == [49.5] + 5 * [50.5]


def test_a_missing_value_holds_no_issue() -> None:
    found = issues_of("battery", "temperature_c", [46.0, float("nan")])
    assert "battery_temperature" not in found[1]


def test_an_issue_is_held_when_the_fleet_file_moves_its_site() -> None:
    state = FleetState(fleet("a"), 10.0)
    state.apply(snapshot("a", {"temperature_c": 45.2}), 1000.0)
    before = assess(state, 1000.0, WALL)
    state.reconfigure(fleet("b", "a"))
    state.apply(snapshot("a", {"temperature_c": 44.8}), 1010.0)
    state.apply(snapshot("b", {"temperature_c": 44.8}), 1010.0)
    after = assess(state, 1010.0, WALL + 10, before)
    assert [[issue.code for issue in issues] for issues in after.issues] == [
        [],
        ["battery_temperature"],
    ]


def test_a_battery_that_rests_at_its_own_minimum_is_not_low() -> None:
    values = [12.0, 10.0, 9.6, 9.6, 7.4, 10.2]
    found = issues_of("battery", "soc_percent", values, minimum_soc_percent=10.0)
    assert ["battery_soc" in issues for issues in found] == [False] * 4 + [True, False]
    assert found[4]["battery_soc"].sentence == (
        "State of charge is 7 %, below 8 % (2 % below its own minimum)"
    )
    plain = issues_of("battery", "soc_percent", values)
    assert ["battery_soc" in issues for issues in plain] == [False, False, True, True, True, True]


def test_the_sentence_of_restarts_names_the_day_or_the_week() -> None:
    record = SiteRecord()
    for threshold, period in ((2.0, "24 hours"), (RESTARTS_OF_WEEK, "seven days")):
        assert sentence_of(CONTROLLER_RESTARTS, record, 5.0, threshold) == (
            f"The controller started anew 5 times in {period}"
        )


def test_a_voltage_that_clouds_bring_back_for_a_while_is_one_issue_a_day() -> None:
    """PV of the street lifts it from nine to three; each cloud takes longer than it must settle."""
    minutes = range(0, 24 * 60, 2)
    lifted = [(540 + 30 * n, 550 + 30 * n) for n in range(11)]
    values = [254.0 if any(a <= m < b for a, b in lifted) else 246.0 for m in minutes]
    found = issues_of("grid", "grid_voltage_max_v", values, seconds=120)
    said = [issues.get("grid_voltage") for issues in found]
    # The first cloud shows what is ahead, the second does not end it any more.
    assert len({issue.since for issue in said if issue}) == 2
    back = [issue for issue in said if issue and issue.value == 246.0]
    assert back[-1].sentence == (
        "Grid voltage is 246 V; it was above 253 V, and the issue ends after 44 min inside, since "
        "it came back before"
    )
    last = max(m for m, issue in zip(minutes, said, strict=True) if issue)
    assert lifted[-1][1] + 35 <= last <= lifted[-1][1] + 45


def test_what_came_back_is_forgotten_after_a_quiet_day() -> None:
    swing = [254.0, *4 * [246.0]]
    found = issues_of("grid", "grid_voltage_max_v", [*swing, *swing, *100 * [246.0], *swing], 300)
    lasted = [bool(issues.get("grid_voltage")) for issues in found]
    assert sum(lasted[:5]) < sum(lasted[5:100])
    assert lasted[-5:] == lasted[:5]


def test_a_temperature_that_jumps_waits_for_a_second_reading() -> None:
    """A loose wire reads 125 °C once; a fire does so again."""
    wire = issues_of("battery", "temperature_c", [25.0, 125.0, 25.0, 25.0], seconds=300)
    assert not any("battery_temperature" in issues for issues in wire)
    assert "implausible_reading" not in wire[1]
    assert wire[2]["implausible_reading"].sentence == (
        "A device reports a value outside physics, or did in the last hour: temperature_c 125 of "
        "battery/0 (100 °C above the readings before and after)"
    )
    fire = issues_of("battery", "temperature_c", [25.0, 65.0, 80.0, 95.0], seconds=10)
    severities = [
        issues["battery_temperature"].severity if "battery_temperature" in issues else None
        for issues in fire
    ]
    assert severities == [None, None, "critical", "critical"]
    assert not any("implausible_reading" in issues for issues in fire)
    # What is hot already is believed at once, and a wire that falls off a hot pack is not.
    runaway = issues_of("battery", "temperature_c", [30.0, 65.0, 96.0, 128.0, 150.0], seconds=300)
    hot = ["battery_temperature" in issues for issues in runaway]
    assert hot == [False, False, True, True, True]
    values = [50.0, 50.0, 0.0, 50.0, 0.0, 50.0]
    dropout = issues_of("battery", "temperature_c", values, seconds=300)
    hot = ["battery_temperature" in issues for issues in dropout]
    assert hot == [True, True, False, True, False, True]
    # A fall is told at once, and stays told while nothing new is read.
    record = SiteRecord()
    told = [record.believed(c, at) for c, at in [(52.0, 0.0), (18.0, 10.0), (18.0, 10.0)]]
    assert told == [52.0, 18.0, 18.0]
    # After a night without readings nothing is a jump.
    late = issues_of("battery", "temperature_c", [25.0, 65.0], seconds=3600)
    assert "battery_temperature" in late[1]
