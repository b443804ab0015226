"""The labelled cases and the world that they are played in."""

from __future__ import annotations

import asyncio

import pytest

from exporter.evaluation.replay import DETECTORS
from exporter.evaluation.table import found_table
from exporter.evaluation.verdict import Verdict, judge, rows
from exporter.model.snapshot import Outcome
from scoring.rules import BY_CODE
from scoring.window_rules import WINDOW_RULES
from simulator.faults import expected_issues
from tests.evaluation.cases import FAULTS, HOUR, LOOK_ALIKES, Case, mixed
from tests.evaluation.past_cases import HOURS_INNOCENT, HOURS_LONG, WEEKS_INNOCENT, WEEKS_LONG
from tests.evaluation.tasks import STARTS, Task, observe

START = STARTS[0].timestamp()


def played(cases: list[Case], hours: float) -> dict[str, Verdict]:
    """Verdicts of each detector over small fleets that have these cases."""
    total = {name: Verdict() for name in DETECTORS}
    for fleet in mixed(cases, sites=8, start=START, seed=0, share=1.0):
        observed = asyncio.run(observe(Task("test", fleet, START, hours * HOUR, 60.0)))
        for name in DETECTORS:
            span = (observed.begin, observed.end)
            total[name].add(judge(fleet.labels, observed.spells[name], (), 8, span))
    return total


EVERY = (*FAULTS, *LOOK_ALIKES, *HOURS_LONG, *HOURS_INNOCENT, *WEEKS_LONG, *WEEKS_INNOCENT)


def test_names_and_strengths_are_unique() -> None:
    keys = [(case.name, case.strength) for case in EVERY]
    assert len(keys) == len(set(keys))


def test_codes_of_cases_are_known() -> None:
    for case in EVERY:
        assert (case.codes or set()) | case.tolerated <= BY_CODE.keys(), case.name


def test_every_rule_over_time_has_a_case() -> None:
    claimed: set[str] = set()
    for case in (*HOURS_LONG, *WEEKS_LONG):
        expected = expected_issues(case.fault, case.params)
        claimed |= case.codes or expected.must_show | expected.must_show_one_of
    # Nothing of the simulator brings these about.
    missing = {"grid_voltage_band"}
    assert {rule.code for rule in WINDOW_RULES} - claimed == missing


def test_every_case_is_played_once_and_no_site_has_two() -> None:
    cases = [*FAULTS, *LOOK_ALIKES]
    fleets = mixed(cases, sites=40, start=START, seed=3)
    labels = [label for fleet in fleets for label in fleet.labels]
    assert sorted((label.fault, label.strength) for label in labels) == sorted(
        (case.name, case.strength) for case in cases
    )
    for fleet in fleets:
        sites = [label.site for label in fleet.labels]
        assert len(sites) == len(set(sites)) <= 16


def test_cases_that_no_site_can_have_are_refused() -> None:
    with pytest.raises(ValueError, match="no site suits grid outage"):
        mixed(
            [c for c in FAULTS if c.name == "grid outage"],
            sites=0 + 1,
            start=START,
            seed=0,
            share=0.0,
        )


@pytest.mark.stack
def test_faults_are_found_and_look_alikes_are_not() -> None:
    wanted = {"weak cell", "site offline", "charge at its limit", "warm battery", "slow bridge"}
    cases = [case for case in (*FAULTS, *LOOK_ALIKES) if case.name in wanted]
    verdicts = played(cases, hours=24.0)
    ours = verdicts["fleetscope"]
    assert [row.fault for row in rows(ours.found) if row.found < row.labels] == []
    assert [row.fault for row in rows(ours.found) if row.most_findings > 1] == []
    assert not ours.innocent_issues
    assert not ours.false_issues, found_table(verdicts)


def test_the_world_fails_as_the_transport_does() -> None:
    from tests.evaluation.world import SILENCES

    assert {outcome for outcome in SILENCES.values() if outcome.answered} == set()
    assert Outcome.REFUSED in SILENCES.values()
