"""Since when a cell drifts, and how fast since then."""

from __future__ import annotations

import numpy as np
import pytest

from scoring.cells.onset import drift_onset, from_onset
from scoring.cells.pack import analyse_pack
from scoring.cells.trend import current_trend
from tests.scoring.cells.packs import DAY, START, Pack

DAYS = 19_000.0 + np.arange(80.0)


def wandering(onset: float, rate: float, seed: int = 1) -> np.ndarray:
    """Eight cells of which the third leaves its level on a day."""
    values = 0.0007 * np.random.default_rng(seed).standard_normal((DAYS.size, 8))
    values[:, 2] += rate * np.maximum(DAYS - DAYS[0] - onset, 0.0)
    return values


@pytest.mark.parametrize(("onset", "rate"), [(40, -0.0005), (60, 0.001), (55, -0.002), (0, 0.0004)])
def test_the_day_and_the_rate_of_a_drift(onset: int, rate: float) -> None:
    values = wandering(onset, rate)
    trend, since = from_onset(current_trend(DAYS, values), DAYS, values)
    np.testing.assert_array_equal(np.flatnonzero(trend.carried), [2])
    assert since[2] - DAYS[0] == pytest.approx(onset, abs=4.0)
    assert trend.slope_v_per_day[2] == pytest.approx(rate, rel=0.12)
    assert trend.low[2] < rate < trend.high[2]
    assert np.isnan(np.delete(since, 2)).all()


def test_a_span_within_the_drift_keeps_its_slope() -> None:
    # Slow at first and fast of late: the last weeks say how it goes on.
    values = wandering(10, -0.0004)
    values[:, 2] -= 0.003 * np.maximum(DAYS - DAYS[-16], 0.0)
    told = current_trend(DAYS, values)
    assert told.span_days[2] < 20
    trend, _ = from_onset(told, DAYS, values)
    assert trend.slope_v_per_day[2] == told.slope_v_per_day[2]


def test_no_onset_of_a_course_that_goes_the_other_way() -> None:
    values = wandering(40, -0.001)[:, 2]
    assert np.isnan(drift_onset(DAYS, values, 0.001))
    assert np.isnan(drift_onset(DAYS[:3], values[:3], -0.001))
    values[:] = np.nan
    assert np.isnan(drift_onset(DAYS, values, -0.001))


def test_a_finding_says_since_when_the_cell_drifts() -> None:
    pack = Pack(
        days=80, step=900.0, swing=(72.0, 94.0), leak_percent_per_day={5: 0.55}, leak_from_day=45
    )
    history = pack.run()
    findings = analyse_pack(history.t, history.voltages, soc_percent=history.soc).findings
    (trend,) = [f for f in findings if f.reason == "trend"]
    assert (trend.since - START) / DAY == pytest.approx(45, abs=4)
    assert trend.value == pytest.approx(-0.00055 * 1.08, rel=0.12)
