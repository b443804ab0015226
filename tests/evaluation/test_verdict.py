from __future__ import annotations

import math

import pytest

from exporter.evaluation.alerts import FiredAlert
from exporter.evaluation.labels import Label, Paging
from exporter.evaluation.spells import Spell, SpellTracker
from exporter.evaluation.table import false_table, found_table, innocent_table
from exporter.evaluation.verdict import LINGER_SECONDS, MONTH_SECONDS, Verdict, judge, rows
from scoring.issues import Severity

HOUR = 3600.0
DAY = 24 * HOUR
HOT = Label(
    site="a",
    fault="hot battery",
    begin=2 * HOUR,
    end=6 * HOUR,
    strength="50 °C",
    codes=frozenset({"battery_temperature"}),
    tolerated=frozenset({"device_alarm"}),
    paging=Paging.WRONG,
)


def spell(site: str, code: str, begin: float, end: float, severity: Severity = Severity.WARNING):
    return Spell(site, code, severity, begin, end)


def page(site: str, begin: float, end: float, severity: str = "page") -> FiredAlert:
    labels = {"site": site, "scope": "site", "severity": severity}
    return FiredAlert("FleetscopeSomething", labels, begin, end)


def verdict(*spells: Spell, alerts: tuple[FiredAlert, ...] = (), label: Label = HOT) -> Verdict:
    return judge([label], spells, alerts, sites=2, span=(0.0, DAY))


def test_a_fault_is_found_after_the_time_that_it_took() -> None:
    found = verdict(spell("a", "battery_temperature", 3 * HOUR, 5 * HOUR)).found
    assert [f.after_seconds for f in found] == [HOUR]


@pytest.mark.parametrize(
    "other",
    [
        spell("b", "battery_temperature", 3 * HOUR, 5 * HOUR),
        spell("a", "cell_spread", 3 * HOUR, 5 * HOUR),
        spell("a", "battery_temperature", 7 * HOUR, 8 * HOUR),
        spell("a", "battery_temperature", 0.5 * HOUR, HOUR),
    ],
    ids=["another site", "another code", "too late", "over before"],
)
def test_what_belongs_to_something_else_finds_nothing(other: Spell) -> None:
    assert [f.after_seconds for f in verdict(other).found] == [None]


def test_an_issue_from_before_the_fault_has_no_delay() -> None:
    found = verdict(spell("a", "battery_temperature", HOUR, 5 * HOUR)).found
    assert [f.after_seconds for f in found] == [0.0]


def test_an_info_finds_a_fault_and_is_never_false() -> None:
    info = spell("a", "battery_temperature", 3 * HOUR, 5 * HOUR, Severity.INFO)
    elsewhere = spell("b", "pv_low", 3 * HOUR, 5 * HOUR, Severity.INFO)
    result = verdict(info, elsewhere)
    assert result.found[0].after_seconds == HOUR
    assert not result.false_issues


def test_a_warning_without_a_label_is_false() -> None:
    result = verdict(
        spell("a", "battery_temperature", 3 * HOUR, 5 * HOUR),
        spell("a", "device_alarm", 3 * HOUR, 5 * HOUR),
        spell("a", "cell_spread", 3 * HOUR, 5 * HOUR),
        spell("b", "cell_spread", 3 * HOUR, 5 * HOUR),
    )
    assert result.false_issues == {"cell_spread": 2}


def test_a_fault_explains_what_begins_within_an_hour_of_its_end() -> None:
    end = HOT.end + LINGER_SECONDS
    late = spell("a", "battery_temperature", end, end + HOUR)
    later = spell("a", "battery_temperature", end + 1, end + HOUR)
    assert not verdict(late).false_issues
    assert verdict(later).false_issues == {"battery_temperature": 1}


def test_a_look_alike_is_never_found_and_names_what_it_brought_about() -> None:
    warm = Label(site="a", fault="warm", begin=HOUR, end=6 * HOUR, innocent=True)
    result = verdict(spell("a", "battery_temperature", 2 * HOUR, 3 * HOUR), label=warm)
    assert result.found == []
    assert result.false_issues == {"battery_temperature": 1}
    assert result.innocent_issues == {"warm: battery_temperature": 1}
    assert result.healthy_seconds == 2 * DAY


def test_healthy_time_leaves_out_faults_and_counts_overlaps_once() -> None:
    twice = Label(site="a", fault="other", begin=4 * HOUR, end=8 * HOUR)
    result = judge([HOT, twice], [], [], sites=2, span=(0.0, DAY))
    assert result.healthy_seconds == 2 * DAY - 6 * HOUR
    assert result.healthy_months == pytest.approx(42 * HOUR / MONTH_SECONDS)


def test_a_page_is_false_where_nobody_should_be_called() -> None:
    alerts = (page("a", 3 * HOUR, 4 * HOUR), page("b", 3 * HOUR, 4 * HOUR))
    assert verdict(alerts=alerts).false_pages == {"FleetscopeSomething": 2}
    allowed = Label(site="a", fault="hot", begin=2 * HOUR, end=6 * HOUR)
    result = verdict(alerts=alerts[:1], label=allowed)
    assert not result.false_pages
    assert result.found[0].paged_seconds == HOUR


def test_a_ticket_wakes_nobody() -> None:
    result = verdict(alerts=(page("b", 3 * HOUR, 4 * HOUR, "ticket"),))
    assert not result.false_pages


def test_sums_are_by_fault_and_strength() -> None:
    result = verdict(spell("a", "battery_temperature", 3 * HOUR, 5 * HOUR))
    result.add(verdict())
    (row,) = rows(result.found)
    assert (row.labels, row.found, row.paged, row.median_seconds) == (2, 1, 0, HOUR)


def test_tables_say_what_nobody_claims_to_find() -> None:
    unclaimed = Label(site="a", fault="stuck charge", begin=HOUR, end=2 * HOUR)
    ours = judge([HOT, unclaimed], [], [], sites=1, span=(0.0, DAY))
    lines = found_table({"fleetscope": ours, "two sigma": ours}).splitlines()
    assert lines[2] == "| hot battery | 50 °C | 1 | 0 | – | 0 | 0 | 0 |"
    assert lines[3] == "| stuck charge | – | 1 | not claimed | – | 0 | 0 | 0 |"


def test_tables_of_what_was_false_give_rates() -> None:
    result = judge(
        [], [spell("b", "cell_spread", HOUR, 2 * HOUR)], [], 30, (0.0, MONTH_SECONDS / 10)
    )
    assert "| Fleetscope | 3.0 | 1 | 0.333 | 0 | `cell_spread` 1 |" in false_table(
        {"fleetscope": result}
    )
    assert innocent_table({"fleetscope": result}).count("\n") == 2


def test_labels_refuse_what_cannot_be() -> None:
    with pytest.raises(ValueError, match="ends before it begins"):
        Label(site="a", fault="x", begin=2.0, end=2.0)
    with pytest.raises(ValueError, match="no code can be right"):
        Label(site="a", fault="x", begin=1.0, end=2.0, codes=frozenset({"y"}), innocent=True)


def test_spells_last_from_the_first_moment_to_the_first_without() -> None:
    tracker = SpellTracker()
    key = ("a", "cell_spread")
    tracker.observe(1.0, {})
    tracker.observe(2.0, {key: Severity.WARNING})
    tracker.observe(3.0, {key: Severity.CRITICAL})
    tracker.observe(4.0, {})
    tracker.observe(5.0, {key: Severity.INFO})
    assert tracker.finish(6.0) == (
        Spell("a", "cell_spread", Severity.CRITICAL, 2.0, 4.0),
        Spell("a", "cell_spread", Severity.INFO, 5.0, 6.0),
    )


def test_nothing_found_has_no_median() -> None:
    (row,) = rows(verdict().found)
    assert math.isnan(row.median_seconds)


def test_time_after_the_last_reading_of_a_site_is_not_healthy() -> None:
    fault = Label(site="a", fault="silent", begin=18 * HOUR, end=DAY)
    read = {"a": 20 * HOUR, "b": 24 * HOUR}
    result = judge([fault], [], [], 2, (0.0, DAY), read)
    assert result.healthy_seconds == 18 * HOUR + 24 * HOUR
    nothing = judge([], [], [], 2, (0.0, DAY), {"b": DAY})
    assert nothing.healthy_seconds == DAY
