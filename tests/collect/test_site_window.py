"""The window of the recent past: what it counts, how long, and that its memory is fixed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from exporter.collect.moment import Moment, SiteConstants
from exporter.collect.site_window import SiteWindow
from scoring.grid import Nominal
from scoring.pv_power import Expected
from scoring.window import BYTES_PER_SITE, DAY_SECONDS, HOUR_SECONDS, FloatArray

BEGIN = 20_000 * DAY_SECONDS
GOOD = {
    "grid_frequency_hz": 50.0,
    "grid_voltage_v": 230.0,
    "grid_voltage_min_v": 230.0,
    "grid_voltage_max_v": 230.0,
    "grid_connected": 1.0,
    "soc_percent": 60.0,
    "battery_lowest_soh_percent": 95.0,
    "battery_hottest_c": 25.0,
    "temperature_c": 25.0,
    "power_w": 0.0,
    "current_a": 0.0,
    "voltage_v": 52.0,
}


def constants(sites: int = 1) -> SiteConstants:
    def same(value: float) -> FloatArray:
        return np.full(sites, value)

    given = np.ones(sites, dtype=bool)
    return SiteConstants(
        nominal=Nominal(same(50.0), same(230.0), given, given),
        frequency_min_hz=same(49.5),
        frequency_max_hz=same(50.5),
        long_stay_c=same(40.0),
        longitude=same(0.0),
        capacity_kwh=same(10.0),
        region=np.zeros(sites, dtype=np.int64),
        curtailed=np.zeros(sites, dtype=bool),
    )


class Site:
    """One site whose moments are given one after the other."""

    def __init__(self) -> None:
        self.window, self.wall = SiteWindow(1), BEGIN
        self.readings: dict[str, FloatArray] = {}

    def lasts(
        self, seconds: float, every: float = 60.0, sun: Expected | None = None, **values: Any
    ) -> Site:
        """Values that stay for a while; 60 s from one moment to the next."""
        self.readings = {k: np.array([float(v)]) for k, v in (GOOD | values).items()}
        for _ in range(round(seconds / every)):
            self.wall += every
            up, took = np.array([True]), np.array([0.3])
            self.window.observe(Moment(self.wall, every, up, self.readings, took, sun), constants())
        return self

    def figure(self, name: str) -> float:
        read = {"battery_lowest_soh_percent": np.array([95.0]), "soc_percent": np.array([60.0])}
        found = self.window.figures(self.wall, read | self.readings, constants())
        return float(found[name][0])


def test_excursions_are_counted_once_for_each_time_that_the_band_is_left() -> None:
    site = Site()
    for _ in range(5):
        site.lasts(180, grid_frequency_hz=49.4).lasts(180, grid_frequency_hz=49.52)
        site.lasts(180)
    assert site.figure("frequency_excursions") == 5


def test_outages_are_counted_over_a_week_and_forgotten_after_it() -> None:
    site = Site().lasts(60)
    for _ in range(3):
        site.lasts(600, grid_connected=0.0).lasts(3600)
    assert site.figure("grid_outages") == 3
    site.lasts(8 * DAY_SECONDS, every=HOUR_SECONDS)
    assert site.figure("grid_outages") == 0


def test_an_unknown_grid_is_no_outage() -> None:
    site = Site().lasts(600).lasts(600, grid_connected=np.nan).lasts(600)
    assert site.figure("grid_outages") == 0


def test_voltage_is_judged_by_means_of_ten_minutes() -> None:
    """A minute of 200 V in every ten is a mean within the band."""
    site = Site()
    for _ in range(200):
        site.lasts(60, grid_voltage_min_v=200.0).lasts(540)
    assert site.figure("voltage_outside_ratio") == 0
    site.lasts(20 * 3600, grid_voltage_min_v=200.0)
    assert site.figure("voltage_outside_ratio") == pytest.approx(120 / 320, abs=0.01)


def test_hours_above_the_limit_for_long_stays() -> None:
    site = Site().lasts(5 * 3600, battery_hottest_c=41.0).lasts(3600)
    assert site.figure("hot_h") == pytest.approx(5.0)
    site.lasts(25 * 3600, every=600)
    assert site.figure("hot_h") == pytest.approx(0.0)


def test_a_charge_that_stands_still_while_energy_flows() -> None:
    site = Site().lasts(3600, power_w=-2000.0)
    assert site.figure("soc_stuck_ratio") == pytest.approx(2.0 / 9.5, rel=0.05)
    site.lasts(60, power_w=-2000.0, soc_percent=55.0)
    assert site.figure("soc_stuck_ratio") == 0


def test_a_full_battery_may_stand_at_100_percent() -> None:
    site = Site().lasts(6 * 3600, power_w=500.0, soc_percent=100.0)
    assert site.figure("soc_stuck_ratio") == 0


def test_counters_that_contradict_the_charge() -> None:
    def after(soc: float) -> float:
        site = Site()
        for hour in range(20):
            part = hour / 19
            site.lasts(
                3600,
                every=600,
                soc_percent=20 + (soc - 20) * part,
                charged_kwh=1000 + 5 * part,
                discharged_kwh=900.0,
            )
        return site.figure("energy_gap_ratio")

    assert after(20 + 51) < 0.05, "5 kWh into 9.5 kWh"
    assert after(25) > 0.2


def test_a_refusal_in_the_cold_is_none() -> None:
    assert Site().lasts(1200, charge_limit_a=0.0).figure("charge_refused_s") == 1200
    cold = Site().lasts(1200, charge_limit_a=0.0, temperature_c=1.0)
    assert cold.figure("charge_refused_s") == 0


def test_the_trend_of_the_state_of_health_has_an_interval() -> None:
    site = Site()
    noise = 0.2 * np.random.default_rng(1).standard_normal(30)
    for day in range(30):
        soh = 95 - day / 30.44 + noise[day]
        site.lasts(DAY_SECONDS, every=3600, battery_lowest_soh_percent=soh)
    assert site.figure("soh_slope") == pytest.approx(-1.0, abs=0.2)
    assert site.figure("soh_slope_low") < -1.0 < site.figure("soh_slope_high") < -0.5


def test_ten_days_are_no_trend() -> None:
    site = Site()
    for day in range(10):
        site.lasts(DAY_SECONDS, every=3600, battery_lowest_soh_percent=95 - day)
    assert np.isnan(site.figure("soh_slope"))


def test_pv_that_comes_three_hours_late() -> None:
    site = Site()
    hours = np.arange(24)
    sun, late = (np.maximum(0, 1 - ((hours - noon) / 5.0) ** 2) for noon in (12, 15))
    for _ in range(5):
        for hour in range(24):
            at = np.array([1000.0 * sun[hour]]), np.array([40.0 if sun[hour] else -20.0])
            site.lasts(3600, 600, Expected(*at, at[0]), pv_power_w=700.0 * late[hour])
    assert site.figure("pv_shift_h") == pytest.approx(3.0, abs=0.25)
    assert site.figure("pv_night_ratio") > 0.1


def test_memory_is_fixed_and_stated() -> None:
    window = SiteWindow(50)
    arrays = (window._hourly, window._daily, window._profile)
    assert sum(a.nbytes for a in arrays) == 50 * BYTES_PER_SITE
    assert BYTES_PER_SITE < 4096


def test_a_restart_adds_what_was_before() -> None:
    """What is read back stands beside what was seen since."""
    before, since = Site().lasts(7200, grid_frequency_hz=49.4), Site()
    since.wall = before.wall
    since.lasts(1800).lasts(600, grid_frequency_hz=49.4)
    since.window.adopt(before.window)
    assert since.figure("frequency_excursions") == 2
    assert since.figure("observed_ratio") == pytest.approx((7200 + 2400) / DAY_SECONDS)


def test_sites_that_stay_keep_their_past() -> None:
    window = SiteWindow(2)
    readings = {"grid_connected": np.array([1.0, 1.0])}
    took, up = np.array([0.3, 0.3]), np.array([True, True])
    for step, second in enumerate((1.0, 0.0)):
        readings["grid_connected"] = np.array([1.0, second])
        moment = Moment(BEGIN + 60 * step, 60.0, up, readings, took, None)
        window.observe(moment, constants(2))
    window.keep(3, [1], [2])
    read = {"battery_lowest_soh_percent": np.full(3, 95.0), "soc_percent": np.full(3, 60.0)}
    outages = window.figures(BEGIN + 60, read, constants(3))["grid_outages"]
    assert np.isnan(outages[:2]).all(), "new sites have no past"
    assert outages[2] == 1


def test_a_controller_that_starts_anew_is_counted_and_one_that_does_not_say_is_unknown() -> None:
    site = Site().lasts(600)
    assert np.isnan(site.figure("controller_restarts"))
    for _ in range(3):
        for hours in (0.0, 0.1, 0.2):
            site.lasts(360, uptime_h=hours)
        # Not heard, and back without a new start.
        site.lasts(600).lasts(600, uptime_h=0.4)
    assert site.figure("controller_restarts") == 2
    site.lasts(DAY_SECONDS + HOUR_SECONDS, every=HOUR_SECONDS, uptime_h=1000.0)
    assert site.figure("controller_restarts") == 0


def test_the_highest_temperature_of_a_day_has_a_trend_without_today() -> None:
    site = Site()
    for day in range(34):
        site.lasts(DAY_SECONDS, every=7200, battery_hottest_c=25 + 0.2 * day)
    site.lasts(7200, every=7200, battery_hottest_c=10)
    assert site.figure("hottest_slope") == pytest.approx(0.2 * 30.44, rel=0.02)
    assert site.figure("hottest_c") == pytest.approx(25 + 0.2 * 31, abs=0.25)


@pytest.mark.parametrize(("hertz", "stands"), [(49.98, 30.0), (50.0, 0.0), (50.1, 0.0)])
def test_a_frequency_in_tenths_may_stand_still(hertz: float, stands: float) -> None:
    """A large grid stays within a tenth of 50 Hz for days."""
    site = Site().lasts(30 * HOUR_SECONDS, every=600.0, grid_frequency_hz=hertz)
    assert site.figure("grid_frequency_hz still_h") == pytest.approx(stands, abs=0.2)


def test_a_fine_frequency_that_freezes_at_a_whole_tenth_stands_still() -> None:
    site = Site().lasts(600.0, every=600.0, grid_frequency_hz=50.02)
    site.lasts(30 * HOUR_SECONDS, every=600.0, grid_frequency_hz=50.0)
    assert site.figure("grid_frequency_hz still_h") == pytest.approx(30.0, abs=0.2)


def test_the_offset_of_a_current_sensor_makes_no_stuck_charge() -> None:
    """An idle backup battery at 100 % for three weeks: -0.2 A at 52 V are 5 kWh of 10."""
    offset = {"soc_percent": 100.0, "current_a": -0.2, "power_w": -10.4}
    site = Site().lasts(21 * DAY_SECONDS, every=HOUR_SECONDS / 2, **offset)
    assert site.figure("soc_stuck_ratio") == 0.0


def test_energy_is_not_counted_over_a_reading_that_was_missed() -> None:
    """A battery of 10 kWh is charged by 5 kW and read every 15 minutes, but not at the third."""
    window, interval = SiteWindow(1), 900.0
    up, took = np.array([True]), np.array([0.3])
    stuck = []
    for step in range(6):
        missed = step in (2, 3)
        last = 1 if missed else step
        given = GOOD | {"power_w": 5000.0, "soc_percent": 20.0 + 12.5 * last}
        readings = {name: np.array([value]) for name, value in given.items()}
        read_at, wall = np.array([interval * last]), BEGIN + interval * step
        moment = Moment(
            wall, interval, up, readings, took, None, read_at, interval=np.array([interval])
        )
        window.observe(moment, constants())
        stuck.append(float(window.figures(wall, readings, constants())["soc_stuck_ratio"][0]))
    assert stuck == [0.0] * 6


@pytest.mark.parametrize("soc", [60.0, 100.0])
def test_energy_is_counted_once_between_readings_whatever_the_moments(soc: float) -> None:
    """Readings every minute, moments every ten seconds, and the reverse; also where the charge says
    full while the battery is emptied."""
    given = GOOD | {"power_w": -2e3, "current_a": -40.0, "soc_percent": soc}
    for interval, every in ((60.0, 10.0), (10.0, 60.0), (60.0, 61.0)):
        window = SiteWindow(1)
        up, took = np.array([True]), np.array([0.3])
        readings = {name: np.array([value]) for name, value in given.items()}
        for step in range(int(3600 / every) + 1):
            read_at = np.array([step * every // interval * interval])
            wall = BEGIN + every * step
            moment = Moment(wall, every, up, readings, took, None, read_at, np.array([interval]))
            window.observe(moment, constants())
        found = window.figures(wall, readings, constants())["soc_stuck_ratio"]
        assert found == pytest.approx(2.0 / 9.5, rel=0.05), (interval, every)


def test_a_controller_that_starts_anew_once_a_day_shows_in_a_week() -> None:
    site = Site()
    for _ in range(6):
        site.lasts(DAY_SECONDS - 600, every=600, uptime_h=20.0).lasts(600, every=600, uptime_h=0.1)
    assert site.figure("controller_restarts") <= 2
    assert site.figure("controller_restarts_week") >= 5
    site.lasts(8 * DAY_SECONDS, every=HOUR_SECONDS, uptime_h=1000.0)
    assert site.figure("controller_restarts_week") == 0


def test_an_evening_of_updates_is_no_week_of_restarts() -> None:
    site = Site().lasts(600, uptime_h=100.0)
    for _ in range(9):
        site.lasts(300, uptime_h=1.0).lasts(300, uptime_h=0.1)
    assert site.figure("controller_restarts") > 2
    assert site.figure("controller_restarts_week") == 2


def test_counters_that_count_a_third_of_little() -> None:
    """Five kWh a day go through a battery of 10 kWh."""

    def after(factor: float, jumps: float = 0.0) -> tuple[float, float]:
        site, charged = Site(), 1000.0
        for hour in range(20):
            soc = 20.0 + 5.0 * min(hour, 10) + jumps * (hour >= 12)
            charged += factor * 0.5 * (hour <= 10)
            values = {"soc_percent": soc, "charged_kwh": charged, "discharged_kwh": 900.0}
            site.lasts(3600, every=600, **values)
        return site.figure("counted_gap_ratio"), site.figure("energy_gap_ratio")

    share, gap = after(1 / 3)
    assert share > 0.6
    assert gap < 0.25
    assert after(1.0)[0] < 0.05
    assert after(1.0, jumps=25.0)[0] < 0.05, "a monitor that finds its battery full jumps once"


def test_the_mean_square_of_the_rate_is_of_the_last_six_hours() -> None:
    """10 kWh of 95 % health: 5 kW are 0.526 of the capacity an hour, in three of five whole hours
    and the one that has just begun."""
    site = Site().lasts(20 * HOUR_SECONDS, power_w=0.0)
    assert site.figure("mean_square_c") == 0.0
    site.lasts(3 * HOUR_SECONDS, power_w=5000.0)
    assert site.figure("mean_square_c") == pytest.approx(0.6 * (5.0 / 9.5) ** 2, rel=0.02)
    site.lasts(7 * HOUR_SECONDS, power_w=-2000.0)
    assert site.figure("mean_square_c") == pytest.approx((2.0 / 9.5) ** 2, rel=0.02)
    young = Site().lasts(2 * HOUR_SECONDS, power_w=5000.0)
    assert np.isnan(young.figure("mean_square_c"))
