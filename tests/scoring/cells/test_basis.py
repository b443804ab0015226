"""From which windows a trend is told."""

from __future__ import annotations

import numpy as np
import pytest

from exporter.history.cells.analysis import judge
from exporter.history.cells.pack_grid import Known, PackHistory
from scoring.cells.basis import trend_points
from scoring.cells.rest import Zone
from scoring.cells.windows import Windows

DAY = 86400.0


def days_of(resting: list[bool], zone: Zone = Zone.PLATEAU) -> Windows:
    """A window a day, at rest or under load."""
    size = len(resting)
    start = np.arange(size) * DAY + 3600.0
    rows = np.arange(size)
    return Windows(
        start=start,
        end=start + 3600.0,
        first=rows,
        stop=rows + 1,
        resting=np.array(resting, dtype=np.bool_),
        loaded=~np.array(resting, dtype=np.bool_),
        zone=np.full(size, zone, dtype=np.int8),
        median_v=np.full(size, 3.3),
        deviation_v=np.zeros((size, 5)),
    )


def test_rest_that_has_become_rare_gives_way_to_load() -> None:
    often = [True, False] * 15
    assert trend_points(days_of(often), 9)[0] == "rest"
    # Twenty days of rest in all, six of them in the last thirty days.
    rare = [True, False] * 14 + [True, False, False, False, False] * 6
    basis, windows, day, _ = trend_points(days_of(rare), 9)
    assert (basis, windows.start.size, day.size) == ("load", 38, 38)


def test_where_no_kind_has_enough_of_late_the_best_in_all_is_taken() -> None:
    windows = days_of([True] * 12)
    later = days_of([False])
    later.start[:] += 60 * DAY
    joined = Windows(
        *(
            np.concatenate((getattr(windows, name), getattr(later, name)))
            for name in Windows.__dataclass_fields__
        )
    )
    assert trend_points(joined, 9)[0] == "rest"
    assert trend_points(days_of([True] * 3), 9)[0] == "rest"
    assert trend_points(days_of([]), 9)[0] == "rest"


def standby(days: int, drift_v_per_day: float = 0.0) -> PackHistory:
    """A pack that floats at 100 % all the time; cell 6 drifts from the tenth day on."""
    rng = np.random.default_rng(5)
    t = 1_700_006_400.0 + np.arange(0.0, days * DAY, 900.0)
    volts = 3.40 + rng.normal(0.0, 0.008, 16) + 0.0005 * rng.standard_normal((t.size, 16))
    volts[:, 5] += drift_v_per_day * np.maximum((t - t[0]) / DAY - 10.0, 0.0)
    nan = np.full(t.size, np.nan)
    return PackHistory(
        pack="ups/1",
        labels=tuple(str(n + 1) for n in range(16)),
        step=900.0,
        t=t,
        voltages=np.round(volts, 3).astype(np.float32),
        temperatures=np.full((t.size, 16), np.nan, np.float32),
        current_a=nan,
        soc_percent=np.full(t.size, 100.0),
        power_w=nan,
        known=Known(),
    )


@pytest.mark.parametrize("rate", [-0.0005, 0.001])
def test_a_drift_on_standby_is_told_without_the_limits_of_half_charge(rate: float) -> None:
    made = judge(standby(45, rate), ["ups/1"])
    assert made is not None
    assert made.trend_basis == "full"
    (found,) = made.findings
    assert (found.cell, found.reason, found.severity) == ("6", "trend", "info")
    assert found.value == pytest.approx(rate, rel=0.2)
    assert "250 mV" in found.sentence
    assert all(cell.forecasts == () for cell in made.cells)


def test_nothing_is_said_of_a_sound_pack_on_standby() -> None:
    made = judge(standby(45), ["ups/1"])
    assert made is not None
    assert made.findings == ()


def test_windows_of_unknown_state_near_full_are_not_taken_for_half_charge() -> None:
    floating = days_of([True, False] * 15, Zone.FULL)
    floating.zone[1::2] = Zone.UNKNOWN
    floating.median_v[:] = 3.45
    basis, windows, _, _ = trend_points(floating, 9)
    assert (basis, windows.start.size) == ("full", 30)
    floating.median_v[:] = 3.30
    assert trend_points(floating, 9)[0] == "any"
