"""Health of the link: what fails now and then, what comes and goes, what is away."""

from __future__ import annotations

from math import nan

import numpy as np
import pytest

from scoring.connectivity import assess_connectivity
from scoring.issues import NOTHING_HELD, Component, Held, HeldIssue, Severity
from tests.scoring.test_components import array, issues


def connectivity(
    worked: float,
    attempted: float,
    age: float,
    offline: bool = False,
    held: Held = NOTHING_HELD,
    answered: float | None = None,
) -> Component:
    return assess_connectivity(
        worked=array(worked),
        attempted=array(attempted),
        answered=array(worked if answered is None else answered),
        age_s=array(age),
        interval_s=array(10.0),
        offline_after_s=array(40.0),
        offline=np.array([offline]),
        held=held,
    )


@pytest.mark.parametrize(
    ("worked", "attempted", "age", "score", "expected"),
    [
        (360, 360, 5, 100, {}),
        (360, 360, 20, 100, {}),
        (360, 360, 30, 50, {}),
        (360, 360, 40, 0, {}),
        (340, 360, 5, 100 * 340 / 360, {"scrapes_failing": Severity.INFO}),
        (100, 360, 5, 100 * 100 / 360, {"scrapes_failing": Severity.WARNING}),
        (1, 5, 5, 20, {}),
        # At five minutes an interval a single one is 8 %.
        (11, 12, 5, 100 * 11 / 12, {}),
        (10, 12, 5, 100 * 10 / 12, {}),
        (9, 12, 5, 100 * 9 / 12, {"scrapes_failing": Severity.INFO}),
        (0, 0, nan, nan, {}),
    ],
)
def test_connectivity(
    worked: float, attempted: float, age: float, score: float, expected: dict[str, Severity]
) -> None:
    result = connectivity(worked, attempted, age)
    assert result.score[0] == pytest.approx(score, nan_ok=True)
    assert issues(result) == expected


def test_a_link_that_hovers_at_three_failures_of_twelve_is_one_issue() -> None:
    before = HeldIssue(np.array([Severity.INFO], dtype=np.int8), array(0.95), array(0.0))
    for worked, expected in ((10, {"scrapes_failing": Severity.INFO}), (11, {})):
        result = connectivity(worked, 12, 5, held={"scrapes_failing": before})
        assert issues(result) == expected


def test_an_offline_site_has_that_one_connectivity_issue() -> None:
    result = connectivity(1, 360, 900, offline=True)
    assert issues(result) == {"site_offline": Severity.CRITICAL}
    assert result.score[0] == 0


@pytest.mark.parametrize(
    ("severity", "age", "goes_on"),
    [
        (Severity.WARNING, 1_800, True),
        (Severity.WARNING, 1_801, False),
        (Severity.INFO, 60, False),
        (Severity.WARNING, nan, False),
    ],
)
def test_a_link_of_which_most_scrapes_failed_comes_and_goes(
    severity: Severity, age: float, goes_on: bool
) -> None:
    """Its being away for a while is no outage of its own."""
    before = HeldIssue(np.array([severity], dtype=np.int8), array(0.5), array(0.0))
    result = connectivity(40, 360, age, offline=True, held={"scrapes_failing": before})
    failing, away = {"scrapes_failing": Severity.WARNING}, {"site_offline": Severity.CRITICAL}
    assert issues(result) == (failing if goes_on else away)
    assert result.score[0] == 0


def test_a_site_that_answers_in_part_and_dies_is_away_at_once() -> None:
    """A partial scrape counts half, so that one failure makes less than half of an hour."""
    warned = HeldIssue(np.array([Severity.WARNING], dtype=np.int8), array(0.5), array(0.0))
    held = {"scrapes_failing": warned}
    result = connectivity(178, 360, 45, offline=True, held=held, answered=356)
    assert issues(result) == {"site_offline": Severity.CRITICAL}
    # And stays so, although nothing was answered in most of the hour by then.
    away = HeldIssue(np.array([Severity.CRITICAL], dtype=np.int8), array(40.0), array(0.0))
    held |= {"site_offline": away}
    result = connectivity(80, 360, 1700, offline=True, held=held, answered=170)
    assert issues(result) == {"site_offline": Severity.CRITICAL}
