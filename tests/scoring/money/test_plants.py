"""Reliability, response and wear of a plant, on worked examples."""

from __future__ import annotations

import math

import numpy as np
import pytest

from scoring.money.reliability import Failure, Reliability, reliability
from scoring.money.service import response
from scoring.money.wear import cycle_budget, equivalent_cycles, round_trip_efficiency

HOUR = 3600.0


def test_restoration_is_longer_than_repair() -> None:
    """Down for 4 h and 8 h, of which repair takes 1 h and 3 h; 720 h of work."""
    found = reliability(
        [
            Failure(0, HOUR, 3 * HOUR, 4 * HOUR),
            Failure(100 * HOUR, 101 * HOUR, 105 * HOUR, 108 * HOUR),
            Failure(200 * HOUR, 201 * HOUR, None, None),
        ],
        720 * HOUR,
    )
    assert found == Reliability(3, 6 * HOUR, 2, 2 * HOUR, 2, 240 * HOUR)


def test_without_failures_nothing_is_said() -> None:
    assert reliability([], 720 * HOUR) == Reliability(0, None, 0, None, 0, None)
    with pytest.raises(ValueError, match="backwards"):
        reliability([Failure(10, 5, None, None)], HOUR)


def test_delay_and_accuracy_by_hand() -> None:
    """Asked for 10 kW at 2 s, a tenth of it is there at 4 s."""
    times = np.arange(6.0)
    required = np.array([0, 0, 10, 10, 10, 10]) * 1e3
    power = np.array([0, 0, 0, 0.5, 5, 10]) * 1e3
    found = response(times, power, required, 10e3)
    assert found.delay_s == 2.0
    assert found.accuracy == pytest.approx(1 - (10 + 9.5 + 5) / 6 / 10)
    assert not found.indicative
    assert response(times * 60, power, required, 10e3).indicative
    power[3:] = math.nan
    blind = response(times, power, required, 10e3)
    assert (blind.delay_s, blind.coverage) == (None, 0.5)


def test_wear_by_hand() -> None:
    assert equivalent_cycles(520.0, 480.0, 100.0) == 5.0
    assert cycle_budget(365.25, 86_400.0) == pytest.approx(1.0)
    # 110 kWh in, of which 10 are still there: 90 out of 100.
    assert round_trip_efficiency(110.0, 90.0, 0.1, 100.0) == pytest.approx(0.9)
    assert math.isnan(round_trip_efficiency(5.0, 4.0, 0.0, 100.0))
    assert math.isnan(round_trip_efficiency(math.nan, 4.0, 0.0, 100.0))
