"""Shift of PV in time: whole days, mornings alone, arrays that face elsewhere."""

from __future__ import annotations

import numpy as np
import pytest

from scoring.pv_power import expected_power
from scoring.sun_timing import PROFILE_HOURS, FloatArray, Profile, day_shift, lasting_shift

DAY = 1_750_723_200.0
"""A day in June 2025, UTC."""
HOURS = np.arange(PROFILE_HOURS)


def power(longitude: float, azimuth: float, longitude_of_hours: float) -> FloatArray:
    """A clear day by the solar hour of some longitude."""
    times = DAY + (HOURS + 0.5) * 3600.0 - longitude_of_hours * 240.0
    return np.array(
        [
            float(
                expected_power(
                    float(time), *(np.array([v]) for v in (45.0, longitude, 30.0, azimuth, 5.0))
                ).power_w[0]
            )
            for time in times
        ]
    )


def profile(made: FloatArray, allowed: FloatArray, counted: FloatArray) -> FloatArray:
    """The profile of one site and day."""
    seconds = 3600.0
    found = np.zeros((1, PROFILE_HOURS, len(Profile)))
    found[0, :, Profile.MADE] = made * counted * seconds
    found[0, :, Profile.COUNTED] = counted * seconds
    found[0, :, Profile.ALLOWED] = allowed * seconds
    found[0, :, Profile.SEEN] = seconds
    return found


EVERY = np.ones(PROFILE_HOURS)
MORNINGS = (HOURS < 11.0).astype(float)
"""A battery that is full from eleven on holds PV back."""


@pytest.mark.parametrize("azimuth", [90.0, 180.0, 270.0])
@pytest.mark.parametrize("counted", [EVERY, MORNINGS], ids=["whole days", "mornings"])
@pytest.mark.parametrize("degrees", [-22.5, 22.5, 60.0])
def test_coordinates_too_far_east_or_west(
    azimuth: float, counted: FloatArray, degrees: float
) -> None:
    made = 0.8 * power(10.0, azimuth, 10.0 + degrees)
    allowed = power(10.0 + degrees, azimuth, 10.0 + degrees)
    found = day_shift(profile(made, allowed, counted))
    assert found[0] == pytest.approx(degrees / 15.0, abs=0.3)


def test_arrays_to_the_east_and_the_west_of_one_site_are_not_shifted() -> None:
    both = power(10.0, 90.0, 10.0) + power(10.0, 270.0, 10.0)
    assert day_shift(profile(0.7 * both, both, EVERY))[0] == 0.0


def test_clouds_of_the_afternoon_are_no_shift() -> None:
    allowed = power(10.0, 180.0, 10.0)
    made = allowed * np.where(HOURS < 13, 0.9, 0.55)
    assert abs(day_shift(profile(made, allowed, EVERY))[0]) < 1.0


def test_an_array_that_faces_east_against_a_fleet_file_that_does_not_say_so() -> None:
    east, south = power(10.0, 90.0, 10.0), power(10.0, 180.0, 10.0)
    assert day_shift(profile(east, south, EVERY))[0] < -1.0


def test_nothing_is_said_of_nothing() -> None:
    allowed = power(10.0, 180.0, 10.0)
    assert np.isnan(day_shift(profile(np.zeros(PROFILE_HOURS), allowed, EVERY))[0])
    assert np.isnan(day_shift(profile(allowed, allowed, np.zeros(PROFILE_HOURS)))[0])


def test_days_that_agree_are_a_shift_and_their_median_says_how_much() -> None:
    days = np.array([[1.5, 1.25, np.nan, 1.75, 1.5, np.nan]])
    assert lasting_shift(days)[0] == 1.5


def test_days_that_clouds_move_either_way_are_none() -> None:
    days = np.array([[1.5, -1.25, 1.75, 0.0, 2.0, -0.5, 1.25, 1.0, 0.25, 1.5]])
    assert lasting_shift(days)[0] == 0.0


def test_a_few_days_say_nothing_yet() -> None:
    days = np.array([[3.0, 3.0, np.nan, np.nan, np.nan]])
    assert np.isnan(lasting_shift(days)[0])


def test_a_battery_that_is_full_on_bright_days_alone_moves_nothing() -> None:
    """Afternoons count on dull days only; in a mean of all days they would look like lost PV."""
    allowed = power(10.0, 180.0, 10.0)
    bright, dull = (
        profile(0.9 * allowed, allowed, MORNINGS),
        profile(0.35 * allowed, allowed, EVERY),
    )
    shifts = np.array([[day_shift(day)[0] for day in (bright, dull, bright, dull, bright)]])
    assert lasting_shift(shifts)[0] == 0.0
    assert abs(day_shift(bright + dull)[0]) > 0.5
