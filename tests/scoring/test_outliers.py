"""Robust and classical outlier scores, and the blind spots that tell them apart."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from scoring.outliers import (
    OUTLIER_METRICS,
    OutlierMetric,
    believed,
    benjamini_hochberg,
    explained,
    odd_in_several,
    robust_scores,
    sigma_scores,
)

SEEDED = settings(derandomize=True, deadline=None)
Array = NDArray[np.float64]

READING = st.one_of(st.just(math.nan), st.integers(-400, 400).map(lambda i: i / 4))


@st.composite
def fleets(draw: st.DrawFn, max_sites: int = 40) -> tuple[Array, list[NDArray[np.intp]]]:
    """Readings with gaps, a fine and a coarse grouping with sites in neither, and the fleet."""
    n = draw(st.integers(0, max_sites))
    column = st.lists(READING, min_size=n, max_size=n)
    fine = st.lists(st.integers(-1, 4), min_size=n, max_size=n)
    coarse = st.lists(st.integers(-1, 2), min_size=n, max_size=n)
    groupings = [np.array(draw(labels), dtype=np.intp) for labels in (fine, coarse)]
    return np.array(draw(column), dtype=float), [*groupings, np.zeros(n, dtype=np.intp)]


def whole_fleet(n: int) -> list[NDArray[np.intp]]:
    return [np.zeros(n, dtype=np.intp)]


def peers_of(
    site: int, values: Array, groupings: Sequence[NDArray[np.intp]], min_members: int
) -> tuple[int, list[float]]:
    """Index of the grouping and values of the peers of one site, by the definition."""
    if not math.isnan(values[site]):
        for index, labels in enumerate(groupings):
            if labels[site] < 0:
                continue
            peers = [
                float(v)
                for v, label in zip(values, labels, strict=True)
                if label == labels[site] and not math.isnan(v)
            ]
            if len(peers) >= min_members:
                return index, peers
    return -1, []


@SEEDED
@given(fleets(), st.sampled_from([2, 3, 5]))
def test_robust_equals_the_definition_site_by_site(
    fleet: tuple[Array, list[NDArray[np.intp]]], min_members: int
) -> None:
    values, groupings = fleet
    result = robust_scores(values, groupings, min_members=min_members, floor=0.5)
    for site in range(values.size):
        index, peers = peers_of(site, values, groupings, min_members)
        assert result.grouping[site] == index
        assert result.members[site] == len(peers)
        if index < 0:
            assert math.isnan(result.z[site])
            assert math.isnan(result.median[site])
            assert math.isnan(result.mad[site])
            assert not result.flagged[site]
            continue
        median = statistics.median(peers)
        mad = statistics.median(abs(p - median) for p in peers)
        z = 0.6745 * (values[site] - median) / max(mad, 0.5)
        assert result.median[site] == pytest.approx(median)
        assert result.mad[site] == pytest.approx(mad)
        assert result.z[site] == pytest.approx(z)
        assert result.flagged[site] == (abs(result.z[site]) > 3.5)


@SEEDED
@given(fleets(), st.sampled_from([2, 3, 5]))
def test_sigma_equals_the_definition_site_by_site(
    fleet: tuple[Array, list[NDArray[np.intp]]], min_members: int
) -> None:
    values, groupings = fleet
    result = sigma_scores(values, groupings, min_members=min_members, floor=0.5)
    for site in range(values.size):
        index, peers = peers_of(site, values, groupings, min_members)
        assert result.grouping[site] == index
        assert result.members[site] == len(peers)
        if index < 0:
            assert math.isnan(result.z[site])
            assert not result.flagged[site]
            continue
        mean, deviation = statistics.fmean(peers), statistics.stdev(peers)
        assert result.mean[site] == pytest.approx(mean, abs=1e-9)
        assert result.deviation[site] == pytest.approx(deviation, abs=1e-9)
        assert result.z[site] == pytest.approx(
            (values[site] - mean) / max(deviation, 0.5), abs=1e-9
        )
        assert result.flagged[site] == (abs(result.z[site]) > 2.0)


@SEEDED
@given(fleets(), st.sampled_from([0.125, 2.0, 64.0]), st.integers(-50, 50))
def test_scale_and_offset_change_nothing(
    fleet: tuple[Array, list[NDArray[np.intp]]], scale: float, offset: int
) -> None:
    values, groupings = fleet
    before = robust_scores(values, groupings, floor=1.0)
    after = robust_scores(scale * values + offset, groupings, floor=scale)
    np.testing.assert_allclose(after.z, before.z, atol=1e-9)
    np.testing.assert_array_equal(after.grouping, before.grouping)


@SEEDED
@given(fleets())
def test_a_mirrored_fleet_has_mirrored_scores(
    fleet: tuple[Array, list[NDArray[np.intp]]],
) -> None:
    values, groupings = fleet
    before = robust_scores(values, groupings, floor=1.0)
    after = robust_scores(-values, groupings, floor=1.0)
    np.testing.assert_allclose(after.z, -before.z)


@SEEDED
@given(fleets(), st.randoms(use_true_random=False))
def test_the_order_of_the_sites_changes_nothing(
    fleet: tuple[Array, list[NDArray[np.intp]]],
    random: object,
) -> None:
    values, groupings = fleet
    order = list(range(values.size))
    random.shuffle(order)  # type: ignore[attr-defined]
    before = robust_scores(values, groupings, floor=1.0)
    after = robust_scores(values[order], [labels[order] for labels in groupings], floor=1.0)
    np.testing.assert_array_equal(after.z, before.z[order])
    np.testing.assert_array_equal(after.flagged, before.flagged[order])


@SEEDED
@given(fleets())
def test_the_names_of_the_groups_change_nothing(
    fleet: tuple[Array, list[NDArray[np.intp]]],
) -> None:
    values, groupings = fleet
    renamed = [np.where(labels < 0, labels, 1000 - 7 * labels) for labels in groupings]
    before = robust_scores(values, groupings, floor=1.0)
    np.testing.assert_array_equal(robust_scores(values, renamed, floor=1.0).z, before.z)


@SEEDED
@given(st.integers(5, 60), st.floats(-1e6, 1e6), st.floats(1e-3, 10))
def test_a_constant_fleet_has_no_outlier(n: int, value: float, floor: float) -> None:
    values = np.full(n, value)
    robust = robust_scores(values, whole_fleet(n), floor=floor)
    sigma = sigma_scores(values, whole_fleet(n), floor=floor)
    np.testing.assert_array_equal(robust.z, np.zeros(n))
    np.testing.assert_allclose(sigma.z, np.zeros(n), atol=1e-5)
    assert not robust.flagged.any()
    assert not sigma.flagged.any()


def test_a_fleet_in_agreement_has_no_outlier_thanks_to_the_floor() -> None:
    values = np.array([95.0] * 11 + [95.4])
    with_floor = robust_scores(values, whole_fleet(12), floor=1.0)
    almost_without = robust_scores(values, whole_fleet(12), floor=1e-6)
    assert not with_floor.flagged.any()
    assert almost_without.flagged[11]


def test_all_missing_stays_missing() -> None:
    values = np.full(12, np.nan)
    robust = robust_scores(values, whole_fleet(12), floor=1.0)
    sigma = sigma_scores(values, whole_fleet(12), floor=1.0)
    assert np.isnan(robust.z).all()
    assert np.isnan(sigma.z).all()
    assert not robust.flagged.any()
    assert not sigma.flagged.any()


def test_a_missing_value_is_no_member_and_infinity_is_missing() -> None:
    values = np.array([95.0, 95.0, 95.0, 95.0, np.nan, np.inf])
    assert np.isnan(robust_scores(values, whole_fleet(6), floor=1.0).z).all()
    values[4] = 60.0
    result = robust_scores(values, whole_fleet(6), floor=1.0)
    np.testing.assert_array_equal(result.members, [5, 5, 5, 5, 5, 0])
    np.testing.assert_array_equal(result.flagged, [False] * 4 + [True, False])


def test_one_of_twelve_is_flagged_by_both_rules() -> None:
    values = np.array([95.0] * 11 + [60.0])
    expected = [False] * 11 + [True]
    robust = robust_scores(values, whole_fleet(12), floor=1.0)
    np.testing.assert_array_equal(robust.flagged, expected)
    np.testing.assert_array_equal(
        sigma_scores(values, whole_fleet(12), floor=1.0).flagged, expected
    )
    assert robust.z[11] == pytest.approx(0.6745 * -35)


def test_three_of_twelve_hide_each_other_from_sigma_only() -> None:
    values = np.array([95.0] * 9 + [60.0] * 3)
    sigma = sigma_scores(values, whole_fleet(12), floor=1.0)
    assert not sigma.flagged.any()
    assert sigma.z[11] == pytest.approx(-1.66, abs=0.005)
    np.testing.assert_array_equal(
        robust_scores(values, whole_fleet(12), floor=1.0).flagged, [False] * 9 + [True] * 3
    )


@SEEDED
@given(st.lists(st.floats(-1e4, 1e4), min_size=2, max_size=5))
def test_sigma_cannot_fire_below_six_sites(readings: list[float]) -> None:
    values = np.array(readings)
    n = values.size
    sigma = sigma_scores(values, whole_fleet(n), min_members=2, floor=1e-6)
    assert np.abs(sigma.z).max() <= (n - 1) / math.sqrt(n) + 1e-6
    assert not sigma.flagged.any()


def test_sigma_fires_from_six_sites_and_robust_from_five() -> None:
    five = np.array([95.0] * 4 + [0.0])
    six = np.array([95.0] * 5 + [0.0])
    assert not sigma_scores(five, whole_fleet(5), floor=1.0).flagged.any()
    assert robust_scores(five, whole_fleet(5), floor=1.0).flagged[4]
    sigma = sigma_scores(six, whole_fleet(6), floor=1.0)
    assert sigma.flagged[5]
    assert sigma.z[5] == pytest.approx(-5 / math.sqrt(6))


def test_the_narrowest_group_that_is_large_enough_judges() -> None:
    # A hot country: 40 °C is ordinary among its own and would stand out in the whole fleet.
    values = np.array([40.0] * 5 + [25.0] * 15)
    region = np.array([0] * 5 + [1] * 15)
    alone = robust_scores(values, whole_fleet(20), floor=1.5)
    fair = robust_scores(values, [region, *whole_fleet(20)], floor=1.5)
    assert alone.flagged[:5].all()
    assert not fair.flagged.any()
    values[4] = np.nan
    too_few = robust_scores(values, [region, *whole_fleet(20)], floor=1.5)
    np.testing.assert_array_equal(too_few.grouping, [1] * 4 + [-1] + [0] * 15)
    np.testing.assert_array_equal(too_few.members, [19] * 4 + [0] + [15] * 15)
    assert too_few.flagged[:4].all()


def test_exactly_the_threshold_is_not_beyond_it() -> None:
    values = np.array([0.0, 0.0, 0.0, 0.0, 0.0, 4.0])
    z = robust_scores(values, whole_fleet(6), floor=1.0).z[5]
    at = robust_scores(values, whole_fleet(6), floor=1.0, threshold=z)
    below = robust_scores(values, whole_fleet(6), floor=1.0, threshold=z - 1e-9)
    assert not at.flagged[5]
    assert below.flagged[5]


def test_the_inputs_are_left_alone() -> None:
    values = np.array([3.0, 1.0, np.nan, 2.0, 5.0, 4.0])
    kept = values.copy()
    robust_scores(values, whole_fleet(6), floor=1.0)
    sigma_scores(values, whole_fleet(6), floor=1.0)
    np.testing.assert_array_equal(values, kept)


@pytest.mark.parametrize("score", [robust_scores, sigma_scores])
def test_impossible_arguments_are_refused(score: object) -> None:
    assert callable(score)
    values = np.zeros(6)
    with pytest.raises(ValueError, match="floor must be positive and finite, not 0"):
        score(values, whole_fleet(6), floor=0.0)
    with pytest.raises(ValueError, match="floor must be positive and finite, not nan"):
        score(values, whole_fleet(6), floor=math.nan)
    with pytest.raises(ValueError, match="min_members must be at least 2, not 1"):
        score(values, whole_fleet(6), floor=1.0, min_members=1)
    with pytest.raises(ValueError, match="every grouping must have the shape of the values"):
        score(values, whole_fleet(5), floor=1.0)


def test_metric_table() -> None:
    assert {m.name: (m.floor, m.unit, m.worse) for m in OUTLIER_METRICS} == {
        "soh": (1.0, "%", "low"),
        "temperature": (1.5, "°C", "high"),
        "cell_spread": (0.01, "V", "high"),
        "soh_trend": (0.1, "% a month", "low"),
        "pv_performance": (0.05, "1", "low"),
    }
    assert len({m.input for m in OUTLIER_METRICS}) == len(OUTLIER_METRICS)


@pytest.mark.parametrize(
    ("worse", "expected"),
    [
        ("low", [True, False]),
        ("high", [False, True]),
        ("both", [True, True]),
    ],
)
def test_only_the_bad_side_concerns(worse: str, expected: list[bool]) -> None:
    values = np.array([60.0, 130.0] + [95.0] * 10)
    result = robust_scores(values, whole_fleet(12), floor=1.0)
    metric = OutlierMetric("x", "x", 1.0, "%", worse, "A metric.")  # type: ignore[arg-type]
    np.testing.assert_array_equal(metric.concerns(result), expected + [False] * 10)


def test_the_share_of_chance_among_flags_is_bounded() -> None:
    """Ten thousand comparisons of noise make a handful of flags at 3.5, and none is believed."""
    rng = np.random.default_rng(11)
    noise = rng.standard_normal((10_000, 1)).ravel()
    found = {"soh": robust_scores(noise, [np.zeros(10_000, dtype=int)], floor=0.1)}
    assert found["soh"].flagged.any()
    assert not believed(found)["soh"].flagged.any()
    noise[:20] += 8.0
    found = {"soh": robust_scores(noise, [np.zeros(10_000, dtype=int)], floor=0.1)}
    assert np.flatnonzero(believed(found)["soh"].flagged).tolist() == list(range(20))


def test_benjamini_and_hochberg_on_their_own_example() -> None:
    """The fifteen probabilities of section 3.2 of their paper: four are believed at 0.05."""
    p = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344]
    p += [0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0]
    assert benjamini_hochberg(np.array(p)).sum() == 4
    assert benjamini_hochberg(np.array([np.nan, 0.9])).sum() == 0


def test_a_site_a_little_odd_in_several_ways() -> None:
    rng = np.random.default_rng(5)
    groups = [np.zeros(200, dtype=int)]
    names = ("soh", "temperature", "cell_spread", "pv_performance")
    sign = {"soh": -1, "temperature": 1, "cell_spread": 1, "pv_performance": -1}
    found = {}
    for name in names:
        values = rng.standard_normal(200)
        values[7] = 2.7 * sign[name]
        found[name] = robust_scores(values, groups, floor=0.1)
    assert not any(found[name].flagged[7] for name in names)
    score, odd = odd_in_several(found)
    assert np.flatnonzero(odd).tolist() == [7]
    assert score[7] > 4


def test_what_a_cause_explains_is_what_it_adds_beyond_its_kind() -> None:
    load = np.concatenate([np.zeros(19), [0.25]])
    kinds = np.zeros(20, dtype=np.int64)
    part = explained(20.0 + 40.0 * load + np.arange(20) * 1e-9, np.arange(20) / 400.0, kinds)
    assert part == pytest.approx(np.zeros(20), abs=1e-6)
    spread = np.linspace(0.0, 0.25, 20)
    part = explained(20.0 + 40.0 * spread, spread, kinds)
    assert part[-1] - part[0] == pytest.approx(10.0)
    assert np.median(part) == pytest.approx(0.0, abs=1e-9)


def test_kinds_that_differ_make_no_slope_and_cooling_explains_nothing() -> None:
    kinds = np.repeat([0, 1], 20)
    cause = np.where(kinds == 0, 0.0, 0.5) + np.tile(np.linspace(0.0, 0.1, 20), 2)
    apart = np.where(kinds == 0, 20.0, 40.0)
    assert explained(apart, cause, kinds) == pytest.approx(np.zeros(40))
    falling = 30.0 - 50.0 * np.linspace(0.0, 0.1, 40)
    assert explained(falling, np.linspace(0.0, 0.1, 40), np.zeros(40, dtype=np.int64)).any() == 0


def test_without_a_cause_or_with_few_sites_nothing_is_explained() -> None:
    rng = np.random.default_rng(5)
    cause = rng.uniform(0.0, 0.3, 40)
    values = 20.0 + 40.0 * cause
    cause[::2] = np.nan
    part = explained(values, cause, np.zeros(40, dtype=np.int64))
    assert not part[::2].any()
    assert part[1::2].any()
    few = np.zeros(8, dtype=np.int64)
    assert not explained(values[:8], np.linspace(0, 1, 8), few).any()


def test_a_faulty_battery_does_not_hide_in_what_load_explains() -> None:
    """Forty batteries warm by load: one is hot at rest, one busy and as warm as it must be."""
    rng = np.random.default_rng(6)
    load = rng.uniform(0.0, 0.1, 40)
    load[0], load[1] = 0.0, 0.4
    hottest = 22.0 + 40.0 * load + rng.normal(0.0, 0.3, 40)
    hottest[0] += 12.0
    kinds = np.zeros(40, dtype=np.int64)
    raw = robust_scores(hottest, [kinds], floor=1.5)
    assert raw.flagged[:2].tolist() == [True, True]
    fair = robust_scores(hottest - explained(hottest, load, kinds), [kinds], floor=1.5)
    assert fair.flagged.nonzero()[0].tolist() == [0]
