"""The recent past of every site as bins of an hour and of a day: fixed memory, whatever comes.

A restart fills it again from InfluxDB, through the same :meth:`SiteWindow.observe`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from exporter.collect.moment import Moment, SiteConstants
from scoring.grid import Nominal
from scoring.limits import FALLEN_BELOW
from scoring.pv_power import Expected
from scoring.rules import VOLTAGE_TOLERANCE
from scoring.solar import exclude_mask
from scoring.sun_timing import PROFILE_HOURS, Profile, day_shift
from scoring.window import (
    DAILY_SUMS,
    DAY_SECONDS,
    DAYS,
    HOUR_SECONDS,
    HOURLY_SUMS,
    HOURS,
    Daily,
    Hourly,
    counted_gap,
    energy_gap_kwh,
    mean_square_rate,
    quick_figures,
    slow_figures,
)
from scoring.window_findings import STILL_HOURS

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]

LONGEST_STEP_SECONDS = 3600.0
"""A longer step was not observed: at most this much of it counts."""
MISSED_AFTER_INTERVALS, LEAST_MISSED_SECONDS = 1.5, 120.0
"""From which time between two readings of a power on, in intervals of the site and in seconds at
least, its energy is unknown."""
MEAN_SECONDS = 600.0
"""EN 50160 judges voltages by means of ten minutes."""
NIGHT_BELOW_DEG = -4.0
FREQUENCY_MARGIN_HZ = 0.05
"""How far back inside its band a frequency must come before it can leave it again."""
REST_C_RATE = 0.025
"""Below this current a battery rests; in an hour its voltage then tells its charge."""
OFFSET_C_RATE = 0.0025
"""Up to which a full or empty battery shows nothing but the offset of its current sensor."""
SOC_MOVED_PERCENT = 0.5
FULL_PERCENT, EMPTY_PERCENT = 99.0, 1.0
CHARGEABLE_C = (5.0, 45.0)
"""Where data sheets of LFP cells allow charging without limits; outside a BMS may refuse it."""
QUICK_SECONDS, SLOW_SECONDS = 60.0, 3600.0
STEPPED_ABOVE_HZ = 0.05
"""VE.Bus shows frequency in steps of about 0.26 Hz, other devices in tenths; in either a good grid
stands still."""
EXACT_HZ = 1e-4


_ROWS = (
    "_hourly",
    "_daily",
    "_profile",
    "_longitude",
    "_solar_day",
    "_voltage",
    "_voltage_time",
    "_inside",
    "_connected",
    "_soc",
    "_moved_wh",
    "_power_read_at",
    "_refused",
    "_resting",
    "_full_cell_v",
    "_uptime_h",
    "_value",
    "_still",
    "_fine_hz",
    "_pv_usual",
)


class SiteWindow:
    """Bins and running states of all sites, by row."""

    def __init__(self, count: int) -> None:
        self._hour = self._day = self._mean_slot = -1
        self._quick: dict[str, FloatArray] = {}
        self._slow: dict[str, FloatArray] = {}
        self._quick_at = self._slow_at = -math.inf
        self._reset(count)

    def _reset(self, count: int) -> None:
        self._hourly = np.zeros((count, HOURS, len(Hourly)), dtype=np.float32)
        self._hourly[:, :, Hourly.SOC :] = np.nan
        self._daily = np.zeros((count, DAYS, len(Daily)), dtype=np.float32)
        self._daily[:, :, Daily.HOTTEST :] = np.nan
        self._profile = np.zeros((count, PROFILE_HOURS, len(Profile)), dtype=np.float32)
        self._longitude = np.full(count, np.nan)
        self._solar_day = np.full(count, -1, dtype=np.int64)
        self._voltage = np.zeros((count, 2))
        self._voltage_time = np.zeros(count)
        self._inside = np.ones(count, dtype=np.bool_)
        self._connected = np.full(count, np.nan)
        self._soc = np.full(count, np.nan)
        self._moved_wh = np.zeros(count)
        self._power_read_at = np.full(count, np.nan)
        self._refused = np.zeros((count, 2))
        self._resting = np.zeros(count)
        self._full_cell_v = np.full(count, np.nan)
        self._uptime_h = np.full(count, np.nan)
        self._value = np.full((count, len(STILL_HOURS)), np.nan)
        self._still = np.zeros((count, len(STILL_HOURS)))
        self._fine_hz = np.zeros(count, dtype=np.bool_)
        self._pv_usual = np.full(count, np.nan)

    def keep(self, count: int, before: list[int], after: list[int]) -> None:
        """Take a new number of rows, of which some go on from rows of before."""
        old = {name: getattr(self, name) for name in _ROWS}
        self._reset(count)
        for name, values in old.items():
            getattr(self, name)[after] = values[before]
        self._quick_at = self._slow_at = -math.inf

    def forget_pv(self, rows: list[int], beside: list[int]) -> None:
        """Forget the PV of past days of sites that were given other arrays or another place, and
        what was usual beside neighbours that are others now."""
        for column in (Daily.PV_MADE_WH, Daily.PV_EXPECTED_WH):
            self._daily[rows, :, column] = 0.0
        self._pv_usual[beside] = np.nan

    def adopt(self, other: SiteWindow) -> None:
        """Add what another window holds of the time before this one began.

        Its rows are those of this one.
        """
        if other._hour < 0:
            return
        if self._hour < 0:
            self._hour, self._day = other._hour, other._day
        other._turn(self._hour, self._day)
        sums = (slice(None), slice(None), HOURLY_SUMS)
        self._hourly[sums] += other._hourly[sums]
        last = (slice(None), slice(None), slice(Hourly.SOC, None))
        mine = self._hourly[last]
        self._hourly[last] = np.where(np.isnan(mine), other._hourly[last], mine)
        self._daily[:, :, DAILY_SUMS] += other._daily[:, :, DAILY_SUMS]
        self._daily[:, :, Daily.HOTTEST :] = np.fmax(
            self._daily[:, :, Daily.HOTTEST :], other._daily[:, :, Daily.HOTTEST :]
        )
        same_day = (self._solar_day == other._solar_day) | (self._solar_day < 0)
        self._profile[same_day] += other._profile[same_day]
        self._solar_day = np.maximum(self._solar_day, other._solar_day)
        for name in ("_soc", "_full_cell_v", "_longitude", "_uptime_h"):
            own = getattr(self, name)
            own[np.isnan(own)] = getattr(other, name)[np.isnan(own)]
        self._quick_at = self._slow_at = -math.inf

    def observe(self, moment: Moment, constants: SiteConstants) -> None:
        """Take in a moment, not earlier than the one before."""
        seconds = min(max(moment.seconds, 0.0), LONGEST_STEP_SECONDS)
        hour, day = int(moment.wall // HOUR_SECONDS), int(moment.wall // DAY_SECONDS)
        self._turn(max(hour, self._hour), max(day, self._day))
        hourly, daily = self._hourly[:, hour % HOURS], self._daily[:, day % DAYS]
        up = moment.answering
        hourly[up, Hourly.OBSERVED] += seconds
        daily[up, Daily.OBSERVED] += seconds
        uptime = moment.of("uptime_h")
        hourly[~np.isnan(uptime), Hourly.UPTIME_TIME] += seconds
        hourly[uptime < self._uptime_h, Hourly.RESTARTS] += 1
        daily[uptime < self._uptime_h, Daily.RESTARTS] += 1
        self._uptime_h = np.where(np.isnan(uptime), self._uptime_h, uptime)
        known = up & ~np.isnan(moment.durations)
        for sums, count, time in (
            (hourly, Hourly.SCRAPES, Hourly.SCRAPE_TIME),
            (daily, Daily.SCRAPES, Daily.SCRAPE_TIME),
        ):
            sums[known, count] += 1
            sums[known, time] += moment.durations[known]
        with np.errstate(invalid="ignore", divide="ignore"):
            self._observe_grid(moment, constants, seconds, hourly, daily)
            self._observe_battery(moment, constants, seconds, hourly, daily)
            if moment.expected is not None:
                self._observe_sun(moment, constants, seconds, daily, moment.expected)
            self._observe_sensors(moment, seconds)

    def _turn(self, hour: int, day: int) -> None:
        """Begin the bins up to an hour and a day, both counted from 1970."""
        for passed in range(max(self._hour + 1, hour - HOURS + 1), hour + 1):
            self._hourly[:, passed % HOURS] = 0.0
            self._hourly[:, passed % HOURS, Hourly.SOC :] = np.nan
        for passed in range(max(self._day + 1, day - DAYS + 1), day + 1):
            self._daily[:, passed % DAYS] = 0.0
            self._daily[:, passed % DAYS, Daily.HOTTEST :] = np.nan
        self._hour, self._day = hour, day

    def _observe_grid(
        self,
        moment: Moment,
        constants: SiteConstants,
        seconds: float,
        hourly: NDArray[np.float32],
        daily: NDArray[np.float32],
    ) -> None:
        hz, low_v = moment.of("grid_frequency_hz"), moment.of("grid_voltage_min_v")
        high_v, mean_v = moment.of("grid_voltage_max_v"), moment.of("grid_voltage_v")
        seen = constants.nominal.as_seen(hz, low_v)
        step = np.nan_to_num(moment.of("grid_frequency_step_hz"), nan=0.0)
        nearest = np.clip(seen.hz, hz - step, hz + step / 2)
        shifted = seen.hz - constants.nominal.hz
        low, high = constants.frequency_min_hz + shifted, constants.frequency_max_hz + shifted
        left = self._inside & ((nearest < low) | (nearest > high))
        hourly[left, Hourly.EXCURSIONS] += 1
        margin = FREQUENCY_MARGIN_HZ
        back = (nearest >= low + margin) & (nearest <= high - margin)
        self._inside = (self._inside & ~left) | back

        connected = moment.of("grid_connected")
        daily[(self._connected == 1) & (connected == 0), Daily.OUTAGES] += 1
        self._connected = np.where(np.isnan(connected), self._connected, connected)

        unbalance = np.maximum(high_v - mean_v, mean_v - low_v) / mean_v
        usable = (mean_v > 0) & (low_v > 0) & ~np.isnan(unbalance)
        hourly[usable, Hourly.UNBALANCE_TIME] += seconds
        hourly[usable, Hourly.UNBALANCE] += unbalance[usable] * seconds
        self._average_voltage(moment.wall, seconds, seen, np.column_stack([low_v, high_v]), daily)

    def _average_voltage(
        self,
        wall: float,
        seconds: float,
        seen: Nominal,
        volts: FloatArray,
        daily: NDArray[np.float32],
    ) -> None:
        """Means of ten minutes of the lowest and the highest phase; a lost grid has no voltage."""
        slot = int(wall // MEAN_SECONDS)
        if slot != self._mean_slot:
            complete = self._voltage_time >= MEAN_SECONDS / 2
            mean = self._voltage / np.maximum(self._voltage_time, 1e-9)[:, None] / seen.v[:, None]
            outside = (mean[:, 0] < 1 - VOLTAGE_TOLERANCE) | (mean[:, 1] > 1 + VOLTAGE_TOLERANCE)
            daily[complete, Daily.VOLTAGE_MEANS] += 1
            daily[complete & outside, Daily.VOLTAGE_OUTSIDE] += 1
            self._voltage[:], self._voltage_time[:] = 0.0, 0.0
            self._mean_slot = slot
        usable = (volts[:, 0] > 0) & ~np.isnan(volts[:, 1])
        self._voltage[usable] += volts[usable] * seconds
        self._voltage_time[usable] += seconds

    def _observe_battery(
        self,
        moment: Moment,
        constants: SiteConstants,
        seconds: float,
        hourly: NDArray[np.float32],
        daily: NDArray[np.float32],
    ) -> None:
        hottest, soh = moment.of("battery_hottest_c"), moment.of("battery_lowest_soh_percent")
        known = ~np.isnan(hottest)
        hourly[known, Hourly.TEMPERATURE_TIME] += seconds
        hourly[hottest > constants.long_stay_c, Hourly.HOT_TIME] += seconds
        daily[:, Daily.HOTTEST] = np.fmax(daily[:, Daily.HOTTEST], hottest)
        known = ~np.isnan(soh)
        daily[known, Daily.SOH_TIME] += seconds
        daily[known, Daily.SOH] += soh[known] * seconds

        soc, power, current = moment.of("soc_percent"), moment.of("power_w"), moment.of("current_a")
        energy = np.nan_to_num(power, nan=0.0) * self._power_seconds(moment, seconds) / 3600.0
        hourly[:, Hourly.CHARGED_WH] += np.maximum(energy, 0.0)
        hourly[:, Hourly.DISCHARGED_WH] += np.maximum(-energy, 0.0)
        for last, name in (
            (Hourly.SOC, "soc_percent"),
            (Hourly.CHARGED_KWH, "charged_kwh"),
            (Hourly.DISCHARGED_KWH, "discharged_kwh"),
        ):
            value = moment.of(name)
            hourly[~np.isnan(value), last] = value[~np.isnan(value)]

        for extreme, value in ((Daily.EMPTIEST, 100.0 - soc), (Daily.FULLEST, soc)):
            daily[:, extreme] = np.fmax(daily[:, extreme], value)

        moved = ~(np.abs(soc - self._soc) < SOC_MOVED_PERCENT)
        # At its ends the state of charge stands still although energy goes through.
        # No energy, as between two readings, is no trickle charge.
        full, empty = soc >= FULL_PERCENT, soc <= EMPTY_PERCENT
        ampere_hours = constants.capacity_kwh * 1000.0 / moment.of("voltage_v")
        offset = (full | empty) & (np.abs(current) <= OFFSET_C_RATE * ampere_hours)
        passed = np.where(offset, 0.0, energy)
        ends = (full & (passed > 0)) | (empty & (passed < 0))
        self._moved_wh = np.where(moved | ends, 0.0, self._moved_wh + passed)
        self._soc = np.where(moved, soc, self._soc)

        temperature = moment.of("temperature_c")
        normal = ~((temperature < CHARGEABLE_C[0]) | (temperature > CHARGEABLE_C[1]))
        for column, name in enumerate(("charge_limit_a", "discharge_limit_a")):
            refused = normal & (moment.of(name) == 0)
            self._refused[:, column] = np.where(refused, self._refused[:, column] + seconds, 0.0)

        rests = np.abs(current) <= REST_C_RATE * ampere_hours
        self._resting = np.where(rests, self._resting + seconds, 0.0)
        full = np.where(soc >= FULL_PERCENT, moment.of("cell_max_v"), np.nan)
        self._full_cell_v = np.fmax(self._full_cell_v, full)

    def _power_seconds(self, moment: Moment, seconds: float) -> FloatArray | float:
        """Seconds for which the battery's power stands, shape (N,): from the reading before to one
        that is new, 0 where nothing is new or a reading was missed between them."""
        read_at = moment.power_read_at
        if read_at is None or moment.interval is None:
            return seconds
        passed = read_at - self._power_read_at
        usual = MISSED_AFTER_INTERVALS * np.maximum(moment.interval, seconds)
        known = (passed > 0) & (passed <= np.maximum(usual, LEAST_MISSED_SECONDS))
        self._power_read_at = np.where(np.isnan(read_at), self._power_read_at, read_at)
        return np.where(known, np.minimum(passed, LONGEST_STEP_SECONDS), 0.0)

    def _observe_sun(
        self,
        moment: Moment,
        constants: SiteConstants,
        seconds: float,
        daily: NDArray[np.float32],
        expected: Expected,
    ) -> None:
        made = np.maximum(moment.of("pv_power_w"), 0.0) * seconds / 3600.0
        allowed = np.nan_to_num(expected.power_w, nan=0.0) * seconds / 3600.0
        held_back = exclude_mask(
            np.full(made.shape, 90.0), moment.of("soc_percent"), moment.of("pv_disabled") == 1
        )
        held_back |= constants.curtailed
        counted = ~np.isnan(made) & ~np.isnan(expected.elevation_deg) & ~held_back
        night = counted & (expected.elevation_deg < NIGHT_BELOW_DEG)
        daily[night, Daily.PV_NIGHT_WH] += made[night]
        day = counted & ~night
        daily[day, Daily.PV_MADE_WH] += made[day]
        daily[day, Daily.PV_EXPECTED_WH] += allowed[day]

        self._turn_solar_day(moment.wall, constants.longitude, daily)
        seen = np.flatnonzero(~np.isnan(expected.elevation_deg) & ~np.isnan(constants.longitude))
        hour = ((moment.wall + constants.longitude[seen] * 240.0) // HOUR_SECONDS) % PROFILE_HOURS
        slot = hour.astype(np.int64)
        self._profile[seen, slot, Profile.ALLOWED] += allowed[seen] * HOUR_SECONDS
        self._profile[seen, slot, Profile.SEEN] += seconds
        usable = counted[seen]
        seen, slot = seen[usable], slot[usable]
        self._profile[seen, slot, Profile.MADE] += made[seen] * HOUR_SECONDS
        self._profile[seen, slot, Profile.COUNTED] += seconds

    def _turn_solar_day(
        self, wall: float, longitude: FloatArray, daily: NDArray[np.float32]
    ) -> None:
        """End the solar days that are over, of each site by itself."""
        # The sun of other coordinates than before says nothing of these.
        moved = ~np.isclose(self._longitude, longitude, equal_nan=True)
        if moved.any():
            self._profile[moved] = 0.0
            self._daily[moved, :, Daily.PV_SHIFT] = np.nan
            self._solar_day[moved] = -1
            self._longitude = longitude
        today = np.nan_to_num((wall + longitude * 240.0) // DAY_SECONDS, nan=-1.0).astype(np.int64)
        ended = np.flatnonzero((today > self._solar_day) & (self._solar_day >= 0))
        if ended.size:
            daily[ended, Daily.PV_SHIFT] = day_shift(self._profile[ended])
            self._profile[ended] = 0.0
        self._solar_day = np.maximum(today, self._solar_day)

    def _observe_sensors(self, moment: Moment, seconds: float) -> None:
        stepped = moment.of("grid_frequency_step_hz") > STEPPED_ABOVE_HZ
        for column, name in enumerate(STILL_HOURS):
            value = moment.of(name)
            if name == "grid_frequency_hz":
                # A site that has shown tenths alone may have nothing finer.
                self._fine_hz |= np.abs(value - np.round(value, 1)) > EXACT_HZ
                value = np.where(stepped | ~self._fine_hz, np.nan, value)
            elif name == "voltage_v":
                # The voltage of a battery at rest does stand still.
                value = np.where(self._resting > 0, np.nan, value)
            same = (value == self._value[:, column]) & (value != 0)
            self._still[:, column] = np.where(same, self._still[:, column] + seconds, 0.0)
            self._value[:, column] = value

    def figures(
        self, wall: float, readings: Mapping[str, FloatArray], constants: SiteConstants
    ) -> dict[str, FloatArray]:
        """Figures of the window, by name, arrays of shape (N,); see :mod:`scoring.window`.

        Those that need a pass over all bins are a minute or an hour old at most.
        """
        soh = readings["battery_lowest_soh_percent"]
        capacity = constants.capacity_kwh * np.where(np.isnan(soh), 1.0, soh / 100.0)
        states = self._states(readings["soc_percent"], capacity)
        if self._hour < 0:
            return states
        hours_back = (self._hour - np.arange(HOURS)) % HOURS
        days_back = (self._day - np.arange(DAYS)) % DAYS
        if not 0 <= wall - self._quick_at < QUICK_SECONDS:
            self._quick = quick_figures(self._hourly, self._daily, hours_back, days_back)
            gap = energy_gap_kwh(self._hourly, hours_back, capacity)
            with np.errstate(invalid="ignore", divide="ignore"):
                self._quick["energy_gap_ratio"] = gap / capacity
                share, moved = counted_gap(self._hourly, hours_back, capacity)
                self._quick |= {"counted_gap_ratio": share, "moved_ratio": moved / capacity}
            self._quick["mean_square_c"] = mean_square_rate(self._hourly, hours_back, capacity)
            self._quick_at = wall
        if not 0 <= wall - self._slow_at < SLOW_SECONDS:
            self._slow = slow_figures(self._daily, days_back, constants.region, self._pv_usual)
            now = self._slow["pv_of_usual_ratio"]
            goes_on = np.isnan(now) & ~np.isnan(self._pv_usual)
            fallen = goes_on | (now < FALLEN_BELOW)
            self._pv_usual = np.where(fallen, self._slow["pv_usual_ratio"], np.nan)
            self._slow_at = wall
        return self._quick | self._slow | states

    def _states(self, soc_percent: FloatArray, capacity_kwh: FloatArray) -> dict[str, FloatArray]:
        with np.errstate(invalid="ignore", divide="ignore"):
            stuck = np.abs(self._moved_wh) / (1000.0 * capacity_kwh)
        return {
            "soc_stuck_ratio": np.where(np.isnan(soc_percent), np.nan, stuck),
            "charge_refused_s": self._refused[:, 0].copy(),
            "discharge_refused_s": self._refused[:, 1].copy(),
            "rest_s": self._resting.copy(),
            "full_cell_v": self._full_cell_v.copy(),
        } | {
            f"{name} still_h": self._still[:, column] / HOUR_SECONDS
            for column, name in enumerate(STILL_HOURS)
        }
