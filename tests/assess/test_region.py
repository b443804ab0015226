"""What most sites of a region see at once is the grid's, and lowers the score of each once."""

from __future__ import annotations

from exporter.assess.assessment import FleetAssessment, assess
from exporter.assess.sentences import ALSO_ELSEWHERE
from exporter.collect.state import FleetState
from tests.assess.test_assessment import WALL, fleet, snapshot

IDS = ("a", "b", "c", "d", "e")


def with_low_frequency(*sites: str) -> FleetAssessment:
    state = FleetState(fleet(*IDS, region="here"), 10.0)
    for step in range(20):
        for site in IDS:
            # Unsteady as well: two issues of one cause.
            low = 49.2 + 0.2 * (step % 2)
            hz = low if site in sites else 50.0
            state.apply(snapshot(site, {}, {"grid_frequency_hz": hz}), 1000.0 + 10 * step)
    return assess(state, 1200.0, WALL)


def test_a_frequency_that_the_region_sees_is_said_to_be_the_grids() -> None:
    result = with_low_frequency("a", "b", "c")
    for row in range(3):
        issues = {issue.code: issue for issue in result.issues[row]}
        assert issues["grid_frequency"].sentence.endswith(ALSO_ELSEWHERE)
        assert issues["grid_frequency"].deduction == 40
        assert issues["grid_unsteady"].deduction == 0, "one cause lowers a score once"
        assert result.site(row).components["grid"] == 60


def test_a_frequency_that_two_of_five_see_is_their_own() -> None:
    result = with_low_frequency("a", "b")
    assert "region" not in result.issues[0][0].sentence
