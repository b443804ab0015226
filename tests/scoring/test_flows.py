"""From where to where energy went: nothing is made, nothing gets lost."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring.flows import (
    LOSSES,
    SINKS,
    SOURCES,
    UNMEASURED,
    links,
    self_consumption,
    self_sufficiency,
    unaccounted_kwh,
)

amounts = st.lists(
    st.one_of(st.floats(-0.1, 5), st.just(float("nan"))), min_size=3, max_size=3
).map(np.array)
steps = st.fixed_dictionaries({}, optional=dict.fromkeys((*SOURCES, *SINKS), amounts))


@given(steps)
def test_all_that_leaves_a_source_and_reaches_a_sink_adds_up(
    energies: dict[str, np.ndarray],
) -> None:
    found = links(energies)
    assert all(kwh > 0 for kwh in found.values())
    assert not any((source, sink) == (UNMEASURED, LOSSES) for source, sink in found)
    for name, values in energies.items():
        side = 0 if name in SOURCES else 1
        total = float(np.maximum(np.nan_to_num(values), 0).sum())
        assert sum(kwh for pair, kwh in found.items() if pair[side] == name) == pytest.approx(total)


def test_a_day_by_hand() -> None:
    # Morning: all from the grid. Noon: PV feeds load, battery and grid. Evening: the battery.
    energies = {
        "pv": np.array([0.0, 8.0, 0.0]),
        "load": np.array([1.0, 2.0, 3.0]),
        "charged": np.array([0.0, 4.0, 0.0]),
        "discharged": np.array([0.0, 0.0, 2.5]),
        "grid_import": np.array([1.0, 0.0, 0.5]),
        "grid_export": np.array([0.0, 1.5, 0.0]),
    }
    assert links(energies) == pytest.approx(
        {
            ("pv", "load"): 2.0,
            ("pv", "charged"): 4.0,
            ("pv", "grid_export"): 1.5,
            ("pv", LOSSES): 0.5,
            ("discharged", "load"): 2.5,
            ("grid_import", "load"): 1.5,
        }
    )
    totals = {name: float(values.sum()) for name, values in energies.items()}
    assert unaccounted_kwh(totals) == pytest.approx(0.5)
    assert self_consumption(totals["pv"], totals["grid_export"]) == pytest.approx(6.5 / 8)
    assert self_sufficiency(totals["load"], totals["grid_import"]) == pytest.approx(4.5 / 6)


def test_what_is_unknown_is_not_zero() -> None:
    assert unaccounted_kwh({"load": None, "grid_import": 1.0}) is None
    assert unaccounted_kwh({"load": 1.0}) is None
    assert self_consumption(None, 1.0) is None
    assert self_consumption(0.0, 0.0) is None
    # A meter says that more was exported than was made: the readings contradict each other.
    assert self_consumption(1.0, 2.0) is None
    assert self_sufficiency(1.0, None) is None
