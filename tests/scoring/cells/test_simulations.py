"""Labelled histories: the right cell is named, early, and healthy packs are left in peace."""

from __future__ import annotations

import numpy as np
import pytest

from scoring.cells.critical import Pattern
from scoring.cells.pack import PackAnalysis, analyse_pack
from tests.scoring.cells.packs import CAPACITY_AH, DAY, START, History, Pack

LEAK = {5: 1.0 / 1.08}
"""% a day that are 1 mV a day on the plateau of the charge curve (74 mV over 68.6 %)."""


def analyse(history: History) -> PackAnalysis:
    return analyse_pack(
        history.t,
        history.voltages,
        current_a=history.current,
        soc_percent=history.soc,
        temperature_c=history.temperature,
        capacity_ah=CAPACITY_AH,
    )


def said(analysis: PackAnalysis) -> set[tuple[int, str]]:
    return {(finding.cell, finding.reason) for finding in analysis.findings}


@pytest.mark.parametrize("known", ["everything", "charge", "voltages"])
def test_healthy_packs_over_60_days_raise_no_alarm(known: str) -> None:
    for seed in range(3):
        pack = Pack(cells=52, days=60, seed=seed, noise_v=0.002, swing=(22.0, 98.0))
        history = pack.run()
        if known == "everything":
            analysis = analyse(history)
        elif known == "charge":
            analysis = analyse_pack(history.t, history.voltages, soc_percent=history.soc)
        else:
            analysis = analyse_pack(history.t, history.voltages)
        assert analysis.findings == ()
        assert analysis.trend_basis == "rest"
        assert not analysis.trend.carried.any()


@pytest.fixture(scope="module")
def leaking() -> History:
    return Pack(days=40, leak_percent_per_day=LEAK).run()


def test_a_leaking_cell_is_named_within_twelve_days(leaking: History) -> None:
    assert said(analyse(leaking.until(8))) == set()
    for days in (12, 13, 15, 19):
        assert said(analyse(leaking.until(days))) <= {(5, "trend"), (5, "deviation")}
        assert (5, "trend") in said(analyse(leaking.until(days)))


def test_the_forecast_of_the_leak_comes_true() -> None:
    # From above 75 % the cell stays on the plateau for as long as it takes.
    history = Pack(days=45, swing=(75.0, 92.0), leak_percent_per_day=LEAK).run()
    windows = analyse(history).windows
    beyond = windows.resting & windows.usual & (np.abs(windows.deviation_v[:, 5]) >= 0.03)
    reached = (windows.start[beyond.argmax()] - START) / DAY
    assert reached == pytest.approx(30.0, abs=2.0)
    for days in (11, 12, 14, 17, 20, 25):
        early = analyse(history.until(days))
        assert early.trend.low[5] < -0.001 < early.trend.high[5]
        assert early.trend.slope_v_per_day[5] == pytest.approx(-0.001, rel=0.1)
        ahead = early.until_warning
        assert days + ahead.earliest[5] - 0.5 <= reached <= days + ahead.latest[5] + 0.5
        assert ahead.days[5] == pytest.approx(reached - days, abs=2.5)
        assert np.isnan(np.delete(ahead.days, 5)).all()


def test_a_cell_that_leaves_the_plateau_is_told_sooner_and_sooner(leaking: History) -> None:
    far, near = (analyse(leaking.until(days)) for days in (15, 29))
    assert far.until_critical.days[5] > 30.0
    assert near.trend.slope_v_per_day[5] < -0.0015
    assert near.until_critical.days[5] < 15.0


def test_the_leak_becomes_an_imbalance_and_the_charge_lost_is_told(leaking: History) -> None:
    analysis = analyse(leaking)
    assert (5, "imbalance_rest") in said(analysis)
    assert {cell for cell, _ in said(analysis)} == {5}
    assert analysis.findings[0].severity == "critical"
    early = analyse(leaking.until(15))
    assert early.self_discharge.raised[5]
    assert early.self_discharge.percent_per_month[5] == pytest.approx(LEAK[5] * 30.4, rel=0.1)
    assert "falls 1.0" in next(f.text for f in early.findings if f.reason == "trend")


def test_a_leak_is_found_without_current_and_charge(leaking: History) -> None:
    bare = analyse_pack(leaking.t[:4300], leaking.voltages[:4300])
    assert said(bare) == {(5, "trend"), (5, "deviation")}


def test_a_high_resistance_is_seen_under_load_and_silent_at_rest() -> None:
    analysis = analyse(Pack(resistance_factor={3: 2.0}).run())
    assert said(analysis) == {(3, "resistance")}
    assert analysis.findings[0].value == pytest.approx(2.0, rel=0.1)
    assert (analysis.rest.level <= 0).all()
    worse = analyse(Pack(resistance_factor={3: 4.0}).run())
    assert said(worse) == {(3, "resistance"), (3, "imbalance_load")}


def test_a_high_resistance_is_told_from_voltages_and_charge_alone() -> None:
    # At midnight, hours after the last load: as imported files are judged, which have no current.
    history = Pack(days=6, resistance_factor={3: 4.0}).run()
    bare = analyse_pack(history.t, history.voltages, soc_percent=history.soc)
    assert said(bare) == {(3, "imbalance_load")}
    assert bare.findings[0].since - START < DAY


def test_a_hot_spot_between_its_neighbours() -> None:
    history = Pack().run()
    history.temperature[4000:, 6:11] += [1.8, 4.0, 7.0, 4.0, 1.8]
    analysis = analyse(history)
    assert said(analysis) == {(7, "temperature"), (8, "temperature"), (9, "temperature")}
    around = analysis.critical.temperature_pattern
    np.testing.assert_array_equal(around.pattern[7:10], [Pattern.FALLS_OFF] * 3)
    np.testing.assert_array_equal(around.centre[7:10], [8, 8, 8])
    since = next(f.since for f in analysis.findings if f.cell == 8)
    assert abs(since - history.t[4000]) <= 3600.0
    lone = Pack().run()
    lone.temperature[4000:, 8] += 7.0
    alone = analyse(lone)
    assert said(alone) == {(8, "temperature")}
    assert alone.critical.temperature_pattern.pattern[8] == Pattern.ALONE


def test_a_loose_sense_wire_is_told_from_a_bad_cell() -> None:
    history = Pack().run()
    rng = np.random.default_rng(0)
    loose = 0.02 * rng.standard_normal(3000) * (rng.random(3000) < 0.5)
    history.voltages[-3000:, 4] += loose
    history.voltages[-3000:, 5] -= loose
    analysis = analyse(history)
    assert said(analysis) == {(4, "sensor_noisy"), (5, "sensor_noisy")}
    assert "shared with cell 6" in analysis.findings[0].text


def test_a_stuck_reading_is_told_from_a_bad_cell() -> None:
    history = Pack().run()
    history.voltages[-3000:, 4] = history.voltages[-3000, 4]
    analysis = analyse(history)
    assert said(analysis) == {(4, "sensor_stuck")}
    assert abs(analysis.findings[0].since - history.t[-3000]) <= DAY / 4


def test_a_flat_pack_near_full_stays_silent() -> None:
    history = Pack(swing=(98.6, 99.0), misaligned_percent={3: 0.9, 4: -0.9}).run()
    assert np.ptp(history.voltages, axis=1).max() > 0.15
    assert analyse(history).findings == ()
    bare = analyse_pack(history.t, history.voltages)
    assert bare.findings == ()


def test_a_balancing_pack_is_getting_better() -> None:
    pack = Pack(days=60, misaligned_percent={2: 32.0, 9: -16.0}, balancing_percent_per_day=0.9)
    history = pack.run()
    before, after = analyse(history.until(3)), analyse(history)
    assert {cell for cell, _ in said(before)} == {2, 9}
    assert said(after) == set()
    middle = analyse(history.until(12))
    assert middle.trend.carried[[2, 9]].all()
    # Going back: no day on which it would reach a limit, and no warning for it.
    assert np.isinf(middle.until_critical.days[2])
    assert all(f.severity == "info" for f in middle.findings if f.reason == "trend")


def test_a_spike_is_not_an_imbalance() -> None:
    history = Pack().run()
    history.voltages[-1000, 4] -= 0.5
    history.voltages[-500, 9] = 5.0
    assert analyse(history).findings == ()


def test_a_jump_is_told_at_once() -> None:
    history = Pack().run()
    history.voltages[-200:, 4] -= 0.015
    analysis = analyse(history)
    assert said(analysis) == {(4, "sudden_change"), (4, "deviation")}


def test_gaps_and_missing_cells_change_no_verdict(leaking: History) -> None:
    rng = np.random.default_rng(4)
    part = leaking.until(15)
    keep = rng.random(part.t.size) > 0.05
    keep[1000:1250] = False
    volts = part.voltages[keep]
    volts[rng.random(volts.shape) < 0.05] = np.nan
    volts[:, 11] = np.nan
    found = analyse(
        History(part.t[keep], volts, part.current[keep], part.soc[keep], part.temperature[keep])
    )
    assert said(found) == {(5, "trend"), (5, "deviation")}
    assert np.isnan(found.deviation_v[11])
    assert found.rest.level[11] == -1
    assert not found.critical.critical[11]


def test_float32_says_the_same(leaking: History) -> None:
    part = leaking.until(35)
    small = History(
        part.t,
        part.voltages.astype(np.float32),  # type: ignore[arg-type]
        part.current.astype(np.float32),  # type: ignore[arg-type]
        part.soc.astype(np.float32),  # type: ignore[arg-type]
        part.temperature.astype(np.float32),  # type: ignore[arg-type]
    )
    exact, rounded = analyse(part), analyse(small)
    assert said(rounded) == said(exact)
    np.testing.assert_allclose(rounded.deviation_v, exact.deviation_v, atol=2e-6)
    np.testing.assert_allclose(
        rounded.trend.slope_v_per_day, exact.trend.slope_v_per_day, atol=2e-6
    )


def test_permutation_moves_the_findings_along(leaking: History) -> None:
    part = leaking.until(35)
    order = np.random.default_rng(7).permutation(16)
    moved = History(
        part.t, part.voltages[:, order], part.current, part.soc, part.temperature[:, order]
    )
    place = int(np.flatnonzero(order == 5)[0])
    assert said(analyse(moved)) == {(place, reason) for _, reason in said(analyse(part))}


def test_a_level_that_all_cells_share_changes_nothing(leaking: History) -> None:
    part = leaking.until(35)
    lifted = History(part.t, part.voltages + 0.0625, part.current, part.soc, part.temperature + 9.0)
    plain, other = analyse(part), analyse(lifted)
    assert said(other) == said(plain)
    np.testing.assert_allclose(other.deviation_v, plain.deviation_v, atol=1e-9)


def test_impossible_inputs_are_refused() -> None:
    t = np.arange(10) * 60.0
    volts = np.full((10, 4), 3.3)
    with pytest.raises(ValueError, match="temperature must have the shape of the voltages"):
        analyse_pack(t, volts, temperature_c=np.zeros((10, 3)))
    with pytest.raises(ValueError, match="soc_percent must have the shape of the times"):
        analyse_pack(t, volts, soc_percent=np.zeros(9))
    with pytest.raises(ValueError, match="strictly ascending"):
        analyse_pack(t[::-1], volts)


def test_no_history_gives_no_findings() -> None:
    empty = analyse_pack(np.zeros(0), np.zeros((0, 16)))
    assert empty.findings == ()
    assert np.isnan(empty.deviation_v).all()
    short = analyse_pack(np.array([0.0]), np.full((1, 16), 3.3), temperature_c=np.full((1, 16), 20))
    assert short.findings == ()
    silent = analyse_pack(np.arange(500) * 60.0, np.full((500, 16), np.nan))
    assert silent.findings == ()
    assert not silent.critical.known.any()
