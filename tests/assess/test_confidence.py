"""Data quality and confidence: what lowers them, and that the one bounds the other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from exporter.assess.assessment import FleetAssessment, as_dict, assess
from exporter.collect.state import FleetState
from tests.assess.test_assessment import WALL, failed, fleet, snapshot

nan = float("nan")


def after(
    battery: dict[str, float] | None = None, grid: dict[str, float] | None = None, hours: float = 1
) -> FleetAssessment:
    """One site that gives the same for some hours."""
    state = FleetState(fleet("a"), 60.0)
    for minute in range(round(60 * hours)):
        now = 60.0 * minute
        moving = {"grid_voltage_v": 230 + 0.1 * (minute % 7)}
        state.apply(snapshot("a", battery or {}, moving | (grid or {})), now)
        state.observe(now, WALL + now, 60.0, None)
    return assess(state, now, WALL + now)


def shares(result: FleetAssessment) -> tuple[float, float]:
    found = result.scores.confidence
    return float(found.quality[0]), float(found.confidence[0])


def test_a_site_that_gives_everything_for_a_day_is_sure() -> None:
    assert shares(after(hours=24)) == pytest.approx((1.0, 1.0), abs=0.02)


def test_a_new_site_is_less_sure_than_its_data_are_good() -> None:
    quality, confidence = shares(after(hours=0.5))
    assert quality == 1.0
    assert 0.75 < confidence < 0.85


@pytest.mark.parametrize(
    ("battery", "grid"),
    [
        ({"soh_percent": nan, "temperature_c": nan}, {}),
        ({}, {"grid_frequency_hz": nan, "grid_voltage_min_v": nan, "grid_voltage_max_v": nan}),
    ],
)
def test_what_is_missing_lowers_both(battery: dict[str, Any], grid: dict[str, Any]) -> None:
    quality, confidence = shares(after(battery, grid))
    assert quality < 0.9
    assert confidence <= quality


def test_a_sensor_that_stands_still_is_named_and_lowers_the_quality() -> None:
    result = after(grid={"grid_voltage_v": 231.0}, hours=7)
    assert [issue.code for issue in result.issues[0]] == ["sensor_stuck"]
    assert shares(result)[0] == pytest.approx(0.75)


def test_a_site_that_does_not_answer_has_no_confidence() -> None:
    state = FleetState(fleet("a"), 10.0)
    state.apply(failed("a"), 1000.0)
    result = assess(state, 1100.0, WALL)
    quality, confidence = shares(result)
    assert quality == 0
    assert np.isnan(confidence)
    assert as_dict(result.site(0))["confidence"] is None
