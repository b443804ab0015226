"""Clear-sky yield and its comparison with neighbours."""

from __future__ import annotations

import statistics
import subprocess
import sys
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from scoring.pv_power import Expected, expected_power
from scoring.solar import assess_solar, exclude_mask, neighbour_medians, performance_ratio

SEEDED = settings(derandomize=True, deadline=None)
Array = NDArray[np.float64]
NAN = float("nan")


def moment(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def array(*values: float) -> Array:
    return np.array(values, dtype=float)


def one_site(
    unix_time: float,
    latitude: float = 48.0,
    longitude: float = 0.0,
    tilt: float = NAN,
    azimuth: float = NAN,
    capacity: float = 1.0,
) -> Expected:
    return expected_power(
        unix_time, *(array(v) for v in (latitude, longitude, tilt, azimuth, capacity))
    )


def solar_noon(day: str, longitude: float, latitude: float) -> float:
    """Moment at which the sun is highest, to about a second, by bisection."""
    start = moment(day) + 12 * 3600 - longitude * 240
    low, high = start - 3600.0, start + 3600.0
    while high - low > 1.0:
        middle = 0.5 * (low + high)
        before = one_site(middle - 60, latitude, longitude).elevation_deg[0]
        after = one_site(middle + 60, latitude, longitude).elevation_deg[0]
        low, high = (middle, high) if after > before else (low, middle)
    return 0.5 * (low + high)


def test_nothing_at_night_and_much_at_noon() -> None:
    night = one_site(moment("2025-06-21T00:00"))
    noon = one_site(moment("2025-06-21T12:00"))
    assert night.elevation_deg[0] < -10
    assert night.power_w[0] == 0.0
    assert night.poa_w_m2[0] == 0.0
    assert 60 < noon.elevation_deg[0] < 66
    assert 900 < noon.poa_w_m2[0] < 1100
    assert 650 < noon.power_w[0] < 850


def test_the_sun_stands_where_the_almanac_has_it() -> None:
    # On the June solstice the sun culminates at 90 - latitude + 23.44 degrees.
    noon = solar_noon("2025-06-21", 13.4, 52.5)
    assert one_site(noon, 52.5, 13.4).elevation_deg[0] == pytest.approx(90 - 52.5 + 23.44, abs=0.03)
    # Longitude 13.4° E is 53.6 min ahead of Greenwich; the equation of time is -1.9 min that day.
    assert noon == pytest.approx(moment("2025-06-21T11:08:18"), abs=30)


def test_refraction_lifts_the_sun_over_the_horizon() -> None:
    # At 66.8° north the sun culminates at 90 - 66.8 - 23.44 = -0.24 degrees in December; the air
    # lifts it by about half a degree.
    noon = one_site(solar_noon("2025-12-21", 0.0, 66.8), 66.8)
    assert noon.elevation_deg[0] == pytest.approx(0.25, abs=0.1)
    assert noon.poa_w_m2[0] > 0


def test_clear_sky_irradiance_is_that_of_the_model_written_out() -> None:
    # Ineichen and Perez (2002) at sea level: GHI = 0.868 E0 sin(h) exp(-0.0387 m TL).
    flat = one_site(moment("2025-03-20T12:07"), 0.0, 0.0, tilt=0.0, azimuth=180.0)
    extra = 1366.1 * 1.0082  # a fortnight before the mean distance from the sun
    assert flat.elevation_deg[0] > 89.5
    assert flat.poa_w_m2[0] == pytest.approx(0.868 * extra * np.exp(-0.0387 * 3.0), rel=0.005)


@pytest.mark.parametrize("latitude", [60.0, 40.0, 5.0, -35.0])
@pytest.mark.parametrize("day", ["2025-03-20", "2025-06-21", "2025-11-05"])
def test_power_is_highest_at_solar_noon(latitude: float, day: str) -> None:
    noon = solar_noon(day, 10.0, latitude)
    offsets = range(-6 * 3600, 6 * 3600 + 1, 1800)
    power = [one_site(noon + s, latitude, 10.0).power_w[0] for s in offsets]
    assert abs(offsets[int(np.argmax(power))]) <= 1800
    assert max(power) > 0


@pytest.mark.parametrize("hours", [1, 3, 5])
def test_a_flat_array_sees_morning_and_afternoon_alike(hours: int) -> None:
    noon = solar_noon("2025-06-21", 8.0, 47.0)
    morning = one_site(noon - hours * 3600, 47.0, 8.0, tilt=0.0)
    afternoon = one_site(noon + hours * 3600, 47.0, 8.0, tilt=0.0)
    assert morning.power_w[0] == pytest.approx(afternoon.power_w[0], rel=0.005)


def test_an_array_that_faces_east_prefers_the_morning() -> None:
    noon = solar_noon("2025-06-21", 8.0, 47.0)
    east = [one_site(noon + s, 47.0, 8.0, 30.0, 90.0).power_w[0] for s in (-14400, 14400)]
    west = [one_site(noon + s, 47.0, 8.0, 30.0, 270.0).power_w[0] for s in (-14400, 14400)]
    assert east[0] > 1.5 * east[1]
    assert east == pytest.approx(west[::-1], rel=0.01)


@SEEDED
@given(
    st.floats(1.7e9, 1.9e9),
    st.floats(-65, 65),
    st.floats(-180, 180),
    st.floats(0.1, 500),
)
def test_twice_the_capacity_makes_twice_the_power(
    unix_time: float, latitude: float, longitude: float, capacity: float
) -> None:
    once = one_site(unix_time, latitude, longitude, capacity=capacity)
    twice = one_site(unix_time, latitude, longitude, capacity=2 * capacity)
    assert twice.power_w[0] == pytest.approx(2 * once.power_w[0])
    assert 0.0 <= once.power_w[0] <= 1.1 * 1000 * capacity
    assert (once.power_w[0] == 0.0) == (once.poa_w_m2[0] == 0.0)
    if once.elevation_deg[0] <= 0:
        assert once.power_w[0] == 0.0


def test_defaults_face_the_equator_at_thirty_degrees() -> None:
    time = moment("2025-12-21T12:00")
    here = one_site(time, 48.0)
    assert here.power_w[0] == one_site(time, 48.0, 0.0, 30.0, 180.0).power_w[0]
    assert here.power_w[0] > 2 * one_site(time, 48.0, 0.0, 30.0, 0.0).power_w[0]
    time = moment("2025-06-21T12:00")
    south = one_site(time, -34.0)
    assert south.power_w[0] == one_site(time, -34.0, 0.0, 30.0, 0.0).power_w[0]
    assert south.power_w[0] > 2 * one_site(time, -34.0, 0.0, 30.0, 180.0).power_w[0]


def test_missing_stays_missing_and_does_not_spread() -> None:
    result = expected_power(
        moment("2025-06-21T12:00"),
        latitude=array(48, NAN, 48, 48),
        longitude=array(0, 0, NAN, 0),
        tilt=array(NAN, 30, 30, 30),
        azimuth=array(NAN, 180, 180, 180),
        solar_capacity_kw=array(5, 5, 5, NAN),
    )
    np.testing.assert_array_equal(np.isnan(result.power_w), [False, True, True, True])
    np.testing.assert_array_equal(np.isnan(result.elevation_deg), [False, True, True, False])
    np.testing.assert_array_equal(np.isnan(result.poa_w_m2), [False, True, True, False])
    at_night = one_site(moment("2025-06-21T00:00"), NAN)
    assert np.isnan(at_night.power_w[0])


def test_the_array_result_equals_the_sites_one_by_one() -> None:
    rng = np.random.default_rng(7)
    fleet = [
        rng.uniform(-65, 65, 50),
        rng.uniform(-180, 180, 50),
        rng.uniform(0, 90, 50),
        rng.uniform(0, 360, 50),
        rng.uniform(0, 50, 50),
    ]
    time = moment("2025-04-02T09:30")
    together = expected_power(time, *fleet)
    for i in range(50):
        alone = one_site(time, *(float(column[i]) for column in fleet))
        assert together.power_w[i] == pytest.approx(alone.power_w[0])
        assert together.elevation_deg[i] == pytest.approx(alone.elevation_deg[0])
    assert 5 < np.count_nonzero(together.power_w) < 45


def test_losses_and_turbidity_lower_the_power() -> None:
    time = moment("2025-06-21T12:00")
    site = [array(v) for v in (48.0, 0.0, 30.0, 180.0, 1.0)]
    clear = expected_power(time, *site).power_w[0]
    assert expected_power(time, *site, losses=0.0).power_w[0] == pytest.approx(clear / 0.86)
    assert expected_power(time, *site, linke_turbidity=6.0).power_w[0] < 0.95 * clear
    assert expected_power(time, *site, air_temperature=40.0).power_w[0] < 0.95 * clear


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match="must share one shape"):
        expected_power(0.0, array(1, 2), array(1), array(1), array(1), array(1))


def test_importing_the_module_does_not_import_pvlib_or_pandas() -> None:
    program = (
        "import sys, scoring.pv_power; print([m for m in ('pvlib', 'pandas') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("elevation", "soc", "limited", "excluded"),
    [
        (45.0, 60.0, False, False),
        (10.0, 94.9, False, False),
        (9.9, 60.0, False, True),
        (-20.0, 60.0, False, True),
        (45.0, 95.0, False, True),
        (45.0, 60.0, True, True),
        (NAN, 60.0, False, True),
        (45.0, NAN, False, False),
    ],
)
def test_moments_that_may_not_be_counted(
    elevation: float, soc: float, limited: bool, excluded: bool
) -> None:
    mask = exclude_mask(array(elevation), array(soc), np.array([limited]))
    np.testing.assert_array_equal(mask, [excluded])


def test_performance_ratio() -> None:
    ratio = performance_ratio(
        #         usual  little  just    no sun  standby  missing missing short  none
        array(4000, 10, 125.0, 0, -20, NAN, 4000, 4000, 0),
        array(8000, 249, 250.0, 0, 8000, 8000, NAN, 8000, 0),
        array(6, 6, 6, 0, 6, 6, 6, 0.4, 6),
        array(5, 5, 5, 5, 5, 5, 5, 5, 0),
    )
    np.testing.assert_array_equal(ratio, array(0.5, NAN, 0.5, NAN, 0.0, NAN, NAN, NAN, NAN))


VALUE = st.one_of(st.just(NAN), st.integers(0, 100).map(lambda i: i / 100))


@SEEDED
@given(st.data())
def test_neighbour_medians_equal_the_definition(data: st.DataObject) -> None:
    n = data.draw(st.integers(0, 25))
    values = array(*data.draw(st.lists(VALUE, min_size=n, max_size=n)))
    labels = [
        np.array(data.draw(st.lists(st.integers(-1, top), min_size=n, max_size=n)), dtype=np.intp)
        for top in (4, 1)
    ]
    least = data.draw(st.integers(1, 4))
    median, neighbours = neighbour_medians(values, labels, min_neighbours=least)
    for site in range(n):
        expected, count = NAN, 0
        for column in labels:
            others = [
                float(values[i])
                for i in range(n)
                if i != site and column[i] == column[site] >= 0 and not np.isnan(values[i])
            ]
            if not np.isnan(values[site]) and len(others) >= least:
                expected, count = statistics.median(others), len(others)
                break
        assert median[site] == pytest.approx(expected, nan_ok=True)
        assert neighbours[site] == count


def test_one_dead_site_under_clouds_is_the_only_one_flagged() -> None:
    ratio = array(0.21, 0.19, 0.0, 0.22, 0.18, 0.20)
    result = assess_solar(ratio, [np.zeros(6, dtype=int)], np.ones(6, dtype=bool))
    np.testing.assert_array_equal(result.underperforming, [False, False, True, False, False, False])
    assert not result.low.any()
    np.testing.assert_array_equal(result.score, [100, 100, 60, 100, 100, 100])
    np.testing.assert_array_equal(result.deduction, [0, 0, 40, 0, 0, 0])
    assert result.relative[2] == 0.0
    assert result.neighbour_median[2] == pytest.approx(0.20)


def test_clouds_over_all_flag_none() -> None:
    cloudy = np.linspace(0.11, 0.13, 8)
    sunny = np.linspace(0.85, 0.95, 8)
    labels = np.repeat([0, 1], 8)
    result = assess_solar(np.concatenate((cloudy, sunny)), [labels], np.ones(16, dtype=bool))
    assert not result.underperforming.any()
    assert not result.low.any()
    np.testing.assert_array_equal(result.score, np.full(16, 100.0))


@pytest.mark.parametrize(
    ("own", "underperforming", "low", "score"),
    [
        (0.80, False, False, 100),
        (0.61, False, False, 100),
        (0.59, False, True, 85),
        (0.41, False, True, 85),
        (0.39, True, False, 60),
        (0.0, True, False, 60),
    ],
)
def test_bands_relative_to_neighbours(
    own: float, underperforming: bool, low: bool, score: float
) -> None:
    ratio = array(own, 0.8, 0.8, 0.8)
    result = assess_solar(ratio, [np.zeros(4, dtype=int)], np.ones(4, dtype=bool))
    assert result.relative[0] == pytest.approx(own / 0.8)
    assert (result.underperforming[0], result.low[0], result.score[0]) == (
        underperforming,
        low,
        score,
    )


def test_without_neighbours_only_a_dead_array_is_told() -> None:
    ratio = array(0.019, 0.02, 0.3, 0.9)
    labels = np.array([-1, -1, 0, 0])
    result = assess_solar(ratio, [labels], np.ones(4, dtype=bool))
    np.testing.assert_array_equal(result.underperforming, [True, False, False, False])
    np.testing.assert_array_equal(result.score, [60, 100, 100, 100])
    assert np.isnan(result.relative).all()
    np.testing.assert_array_equal(result.neighbours, np.zeros(4))


def test_snow_over_all_is_unknown_and_not_perfect() -> None:
    ratio = array(0.0, 0.0, 0.01, 0.0, 0.6)
    result = assess_solar(ratio, [np.zeros(5, dtype=int)], np.ones(5, dtype=bool))
    assert not result.underperforming.any()
    np.testing.assert_array_equal(result.score, array(NAN, NAN, NAN, NAN, 100))
    np.testing.assert_array_equal(result.deduction, np.zeros(5))


def test_unknown_yield_or_no_array_has_no_score_and_is_nobodys_neighbour() -> None:
    ratio = array(0.1, 0.8, 0.8, NAN, 0.8)
    has_pv = np.array([True, True, True, True, False])
    result = assess_solar(ratio, [np.zeros(5, dtype=int)], has_pv)
    np.testing.assert_array_equal(result.neighbours, np.zeros(5))
    np.testing.assert_array_equal(result.score, array(100, 100, 100, NAN, NAN))
    assert not result.underperforming.any()
    everywhere = assess_solar(np.full(5, NAN), [np.zeros(5, dtype=int)], np.ones(5, dtype=bool))
    assert np.isnan(everywhere.score).all()
    assert not everywhere.underperforming.any()
    assert not everywhere.low.any()


@SEEDED
@given(st.permutations(range(12)))
def test_the_order_of_the_sites_changes_nothing(order: list[int]) -> None:
    ratio = array(0.2, 0.21, 0.05, NAN, 0.9, 0.5, 0.8, 0.85, 0.0, 0.7, 0.19, 0.2)
    labels = np.array([0, 0, 0, 0, 1, 1, 1, 1, -1, 1, 0, 0])
    has_pv = np.array([True] * 11 + [False])
    before = assess_solar(ratio, [labels], has_pv)
    after = assess_solar(ratio[order], [labels[order]], has_pv[order])
    np.testing.assert_array_equal(after.score, before.score[order])
    np.testing.assert_array_equal(after.relative, before.relative[order])


def test_impossible_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="min_neighbours must be at least 1, not 0"):
        neighbour_medians(array(1), [np.zeros(1, dtype=int)], min_neighbours=0)
    with pytest.raises(ValueError, match="every grouping must have the shape of the values"):
        neighbour_medians(array(1), [np.zeros(2, dtype=int)])


def test_a_yield_that_hovers_at_its_limit_is_one_issue() -> None:
    here, has_pv = [np.zeros(5, dtype=int)], np.ones(5, dtype=bool)
    before, very_low = None, []
    for own in (0.51, 0.49, 0.53, 0.49, 0.56, 0.53):
        before = assess_solar(np.array([own, 1.0, 1.0, 1.0, 1.0]), here, has_pv, before=before)
        very_low.append(bool(before.underperforming[0]))
    assert very_low == [False, True, True, True, False, False]


def test_under_thick_clouds_a_roof_of_another_direction_is_not_low() -> None:
    """All make 40 W/kWp; the sun would have favoured the first one by far."""
    here, has_pv = [np.zeros(5, dtype=int)], np.ones(5, dtype=bool)
    ratio, yields = array(0.1, 0.3, 0.3, 0.3, 0.3), array(0.04, 0.04, 0.04, 0.04, 0.04)
    assert assess_solar(ratio, here, has_pv).underperforming[0]
    fair = assess_solar(ratio, here, has_pv, yields=yields)
    assert (fair.relative[0], fair.score[0]) == (1.0, 100.0)
    dirty = assess_solar(ratio, here, has_pv, yields=yields * array(0.4, 1, 1, 1, 1))
    assert dirty.underperforming[0]
    assert dirty.relative[0] == pytest.approx(0.4)
    # Where the sun favours it, it must make more: its ratio is fair, its yield is low.
    shaded = assess_solar(array(0.9, 0.9, 0.9, 0.9, 0.9), here, has_pv, yields=yields * 0.5)
    assert not shaded.low.any()


def test_after_full_neighbours_a_dead_array_is_still_seen() -> None:
    here, has_pv = [np.zeros(5, dtype=int)], np.ones(5, dtype=bool)
    low = assess_solar(array(0.4, 1, 1, 1, 1), here, has_pv)
    alone = array(0.9, NAN, NAN, NAN, NAN)
    full = assess_solar(alone, here, has_pv, before=low).or_before(low, has_pv)
    assert full.underperforming[0]
    assert full.relative[0] == pytest.approx(0.4)
    fine = assess_solar(array(1.0, 1, 1, 1, 1), here, has_pv)
    dead = assess_solar(array(0.0, NAN, NAN, NAN, NAN), here, has_pv, before=fine)
    assert dead.or_before(fine, has_pv).underperforming[0]


def test_the_judgement_before_holds_through_the_night() -> None:
    here, has_pv = [np.zeros(5, dtype=int)], np.ones(5, dtype=bool)
    day = assess_solar(np.array([0.4, 1.0, 1.0, 1.0, 1.0]), here, has_pv)
    night = assess_solar(np.full(5, NAN), here, has_pv, before=day).or_before(day, has_pv)
    assert night.underperforming.tolist() == [True, False, False, False, False]
    offline = night.or_before(day, np.zeros(5, dtype=bool))
    assert offline is night
