"""Readings in steps of 2 to 20 mV: nothing false of sound packs, the faulty cell all the same."""

from __future__ import annotations

import statistics
from dataclasses import replace

import numpy as np
import pytest

from scoring.cells.pack import PackAnalysis, analyse_pack
from scoring.cells.resolution import FINE_V, reading_step
from scoring.cells.windows import grouped_medians
from tests.scoring.cells.packs import History, Pack


def coarse(step_v: float, pack: Pack) -> History:
    """What a BMS of such steps makes of cells whose readings are off by up to 4 mV."""
    history = replace(pack, resolution_v=1e-5).run()
    off = np.random.default_rng(pack.seed).uniform(-0.004, 0.004, pack.cells)
    history.voltages = np.round((history.voltages + off) / step_v) * step_v
    return history


def judge(history: History) -> PackAnalysis:
    return analyse_pack(history.t, history.voltages.astype(np.float32), soc_percent=history.soc)


@pytest.mark.parametrize("step_v", [0.002, 0.005, 0.010])
@pytest.mark.parametrize("cells", [14, 30])
def test_nothing_is_said_of_sound_cells(step_v: float, cells: int) -> None:
    pack = Pack(cells=cells, days=14, step=600.0, seed=cells, noise_v=0.001, swing=(35.0, 90.0))
    history = coarse(step_v, pack)
    assert reading_step(history.t, history.voltages) == pytest.approx(step_v)
    assert judge(history).findings == ()


def test_a_cell_that_loses_charge_is_named_alone() -> None:
    pack = Pack(
        days=40, step=900.0, swing=(60.0, 94.0), leak_percent_per_day={5: 1.0}, leak_from_day=10
    )
    findings = judge(coarse(0.010, pack)).findings
    assert {f.cell for f in findings} == {5}
    (trend,) = [f for f in findings if f.reason == "trend"]
    assert trend.value == pytest.approx(-0.00108, rel=0.3)
    # What is foretold is the limit itself, whatever the step.
    assert "30 mV" in trend.text or "60 mV" in trend.text


def test_means_of_an_older_part_do_not_hide_the_step() -> None:
    history = coarse(0.010, Pack(days=6, step=300.0))
    old = 3 * 288
    mean = history.voltages[:old].reshape(-1, 3, 16).mean(axis=1)
    t = np.concatenate((history.t[:old:3], history.t[old:]))
    assert reading_step(t, np.concatenate((mean, history.voltages[old:]))) == 0.010


def test_a_millivolt_is_what_is_usual_and_silence_tells_nothing() -> None:
    history = Pack(days=3).run()
    assert reading_step(history.t, history.voltages) == FINE_V
    assert reading_step(history.t, np.full_like(history.voltages, 3.330)) == FINE_V
    assert reading_step(history.t, np.full_like(history.voltages, np.nan)) == FINE_V
    assert reading_step(np.zeros(0), np.zeros((0, 4))) == FINE_V


def test_the_median_of_grouped_values_is_that_of_the_standard_library() -> None:
    rng = np.random.default_rng(3)
    for size in (3, 4, 15, 16, 52):
        values = np.round(rng.normal(3.3, 0.008, size) / 0.005) * 0.005
        expected = statistics.median_grouped(values.tolist(), 0.005)
        told = np.append(values, [np.nan, np.nan])
        assert grouped_medians(told[None], 0.005)[0] == pytest.approx(expected, abs=1e-9)
    assert np.isnan(grouped_medians(np.array([[3.3, 3.3, np.nan]]), 0.005, min_count=3)).all()
    assert grouped_medians(np.zeros((2, 0)), 0.005).shape == (2,)
