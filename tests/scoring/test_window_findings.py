"""Findings over the recent past that two figures decide together."""

from __future__ import annotations

import numpy as np
import pytest

from scoring.issues import NOTHING_HELD, Finding
from scoring.limits import LIMITS
from scoring.window_findings import WindowInputs, assess_window

READINGS = ("soc_percent", "cell_min_v", "cell_max_v", "modules_offline")
BLOCKING = ("modules_blocking_charge", "modules_blocking_discharge")
nan = float("nan")


def found(code: str, **figures: float) -> Finding:
    """One kind of finding at one site with PV that answers, from figures of its past."""
    yes, no = np.array([True]), np.array([False])
    inputs = WindowInputs(
        figures={name: np.array([value]) for name, value in figures.items()},
        readings={name: np.array([nan]) for name in READINGS + BLOCKING},
        limits={name: np.array([limit.default]) for name, limit in LIMITS.items()},
        answering=yes,
        no_grid=no,
        has_pv=yes,
        held=NOTHING_HELD,
    )
    return next(f for f in assess_window(inputs) if f.rule.code == code)


@pytest.mark.parametrize(
    ("gap", "share", "moved", "value"),
    [
        (0.30, nan, nan, 0.30),
        (0.30, 0.66, 1.0, 0.30),
        # A third of half a cycle: small as a part of the capacity, plain as a part of what moved.
        (0.10, 0.66, 0.5, 0.33),
        (0.10, 0.36, 0.25, 0.09),
        (0.10, 0.34, 1.0, None),
        (0.10, 0.66, 0.24, None),
        (0.24, nan, nan, None),
        (nan, nan, nan, None),
    ],
)
def test_energy_gap_by_capacity_or_by_what_moved(
    gap: float, share: float, moved: float, value: float | None
) -> None:
    one = found("energy_gap", energy_gap_ratio=gap, counted_gap_ratio=share, moved_ratio=moved)
    assert bool(one.severity[0]) is (value is not None)
    if value is not None:
        assert one.value[0] == pytest.approx(value)
        assert one.value[0] > one.threshold[0]


@pytest.mark.parametrize(
    ("day", "week", "value", "limit"),
    [
        (3, 2, 3, 2),
        (12, 14, 12, 2),
        (1, 5, 5, 4),
        (1, 4, None, None),
        (2, 2, None, None),
        (nan, 0, None, None),
    ],
)
def test_restarts_of_a_day_or_of_a_week(
    day: float, week: float, value: float | None, limit: float | None
) -> None:
    one = found("controller_restarts", controller_restarts=day, controller_restarts_week=week)
    assert bool(one.severity[0]) is (value is not None)
    if value is not None:
        assert (one.value[0], one.threshold[0]) == (value, limit)


@pytest.mark.parametrize(
    ("alone", "beside", "said"),
    [
        (2.2, nan, True),
        (1.1, nan, False),
        # Fog until noon delays all neighbours alike, clouds from noon on advance them.
        (2.2, 0.1, False),
        (-2.2, 0.1, False),
        # By so much no weather does: a wrong clock of all of them.
        (3.5, 0.1, True),
        (-3.5, 0.1, True),
        (0.2, 1.5, True),
        (-2.2, -1.5, True),
    ],
)
def test_pv_is_shifted_beside_neighbours_where_there_are_any(
    alone: float, beside: float, said: bool
) -> None:
    one = found("pv_shifted", pv_shift_h=alone, pv_shift_beside_h=beside)
    assert bool(one.severity[0]) is said
