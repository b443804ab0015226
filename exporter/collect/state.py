"""The fleet state: the only mutable state of the service, one row of arrays per site.

Snapshots go in, in whatever order sites answer; ``assessment.py`` makes an Assessment of what is
here. Ages are counted on the monotonic clock, so that a step of the wall clock ages nothing.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Hashable, Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from exporter.collect.battery_state import OF_ACTIVE, OF_WORST, BatteryState, battery_figures
from exporter.collect.moment import OBSERVED, Moment, SiteConstants
from exporter.collect.pv_arrays import PvArrays
from exporter.collect.site_record import SiteRecord, note_unusable
from exporter.collect.site_window import SiteWindow
from exporter.config.fleet import PRIORITIES, Fleet, Site
from exporter.config.thresholds import Thresholds
from exporter.model.packed_cells import pack_many
from exporter.model.quantities import API_KEYS, DERIVED, SITE_QUANTITIES
from exporter.model.snapshot import (
    MISSING,
    Cells,
    Outcome,
    ReadingState,
    Snapshot,
)
from scoring.fleet_inputs import Required
from scoring.grid import Nominal
from scoring.pv_power import Expected
from scoring.rules import PV_LASTING_SECONDS, UNKNOWN_DIRECTION_SECONDS
from scoring.solar import exclude_mask

FloatArray = NDArray[np.float64]

SITE_TIMEOUT_SECONDS = 10.0
WINDOW_MINUTES = 60
FREQUENCY_WINDOW = 90
PV_WINDOW_HOURS = 1.0
PV_PAUSE_SECONDS = 900.0
DEAD_GRID_RATIO = 0.1
"""Of the nominal voltage: below it no grid is there."""
OTHER_DEVICE_STALE_SECONDS = 900.0

_SHARE = {Outcome.OK: 1.0, Outcome.PARTIAL: 0.5}
COLUMNS = (*SITE_QUANTITIES, *OF_ACTIVE, *(row.name for row in OF_WORST))
"""Figures of a site: its own quantities, those of its active battery, and those of its worst."""
_BATTERY_COLUMNS = slice(len(SITE_QUANTITIES), None)
COLUMN = {name: index for index, name in enumerate(COLUMNS)}
COLUMN |= {key: COLUMN[name] for key, name in API_KEYS.items()}
_HOTTEST = COLUMN["battery_hottest_c"] - len(SITE_QUANTITIES)
_FREQUENCY = COLUMN["grid_frequency_hz"]
_CONNECTED = COLUMN["grid_connected"]
_THRESHOLDS = tuple(Thresholds.model_fields)
_NO_TEXTS: Mapping[str, str] = {}


class FleetState:
    """Latest readings of every site, and short windows over them.

    Rows are in the order of the fleet file; nothing depends on the order of arrival.
    """

    def __init__(self, fleet: Fleet, default_interval: float) -> None:
        self._default_interval = default_interval
        self.fleet = fleet
        self._minute = -1
        self.row: dict[str, int] = {}
        self.window = SiteWindow(0)
        self._with_cells: list[BatteryState] = []
        self._reset(0)
        self.reconfigure(fleet)

    def _reset(self, count: int) -> None:
        self.values: FloatArray = np.full((count, len(COLUMNS)), np.nan)
        self.times: FloatArray = np.full((count, len(COLUMNS)), np.nan)
        self.last_success: FloatArray = np.full(count, np.nan)
        self.last_success_time: FloatArray = np.full(count, np.nan)
        self.duration: FloatArray = np.full(count, np.nan)
        self.up: FloatArray = np.full(count, np.nan)
        self.failures: NDArray[np.int32] = np.zeros(count, dtype=np.int32)
        self.worked: FloatArray = np.zeros((count, WINDOW_MINUTES))
        self.attempted: FloatArray = np.zeros((count, WINDOW_MINUTES))
        self.answered: FloatArray = np.zeros((count, WINDOW_MINUTES))
        # Sums of their rows: halves and wholes, which add up exactly.
        self._in_hour = (np.zeros(count), np.zeros(count), np.zeros(count))
        self.frequencies: FloatArray = np.full((count, FREQUENCY_WINDOW), np.nan)
        self.frequency_next: NDArray[np.int32] = np.zeros(count, dtype=np.int32)
        self.pv_made_wh: FloatArray = np.zeros(count)
        self.pv_expected_wh: FloatArray = np.zeros(count)
        self.pv_hours: FloatArray = np.zeros(count)
        self.pv_expected_w: FloatArray = np.full(count, np.nan)
        self.pv_idle_s: FloatArray = np.full(count, np.inf)
        self.records: list[SiteRecord] = [SiteRecord() for _ in range(count)]

    def reconfigure(self, fleet: Fleet) -> None:
        """Take a new fleet file: sites that stay keep their state, removed ones leave none.

        A site whose endpoint, driver or serial changed is another device and starts afresh.
        """
        before = dict(self.row)
        old_sites = self.fleet.sites if before else ()
        keep_from, keep_to = [], []
        for index, site in enumerate(fleet.sites):
            old = before.get(site.id)
            if old is not None and same_device(old_sites[old], site):
                keep_from.append(old)
                keep_to.append(index)
        old_state = {name: getattr(self, name) for name in _STATE}
        records = self.records
        self._reset(len(fleet.sites))
        for name, old_array in old_state.items():
            getattr(self, name)[keep_to] = old_array[keep_from]
        self._sum_hour()
        for source, target in zip(keep_from, keep_to, strict=True):
            self.records[target] = records[source]
        self.window.keep(len(fleet.sites), keep_from, keep_to)
        self._forget_pv(old_sites, fleet.sites, list(zip(keep_from, keep_to, strict=True)))
        self.fleet = fleet
        self.row = {site.id: index for index, site in enumerate(fleet.sites)}
        self._configure(fleet.sites)

    def _forget_pv(
        self, old: Sequence[Site], new: Sequence[Site], kept: Sequence[tuple[int, int]]
    ) -> None:
        """Other arrays have no past, and other neighbours make nothing usual."""
        moved = [(a, b) for a, b in kept if not same_arrays(old[a], new[b])]
        stayed_old, stayed_new = {a for a, _ in kept}, {b for _, b in kept}
        regions = {site.region for a, b in moved for site in (old[a], new[b])}
        regions |= {site.region for row, site in enumerate(old) if row not in stayed_old}
        regions |= {site.region for row, site in enumerate(new) if row not in stayed_new}
        beside = [b for _, b in kept if new[b].region in regions]
        self.window.forget_pv([b for _, b in moved], beside)

    def _configure(self, sites: tuple[Site, ...]) -> None:
        """Everything that depends on the configuration alone, as arrays of shape (N,)."""

        def number(values: Iterable[float | None]) -> FloatArray:
            return np.array([math.nan if v is None else v for v in values], dtype=np.float64)

        merged = [self.fleet.thresholds_of(site) for site in sites]
        self.thresholds = {name: number(getattr(t, name) for t in merged) for name in _THRESHOLDS}
        self.interval = number(s.interval_seconds or self._default_interval for s in sites)
        # Three intervals and a site's whole time limit: one missed or slow scrape makes nothing
        # stale and no site offline.
        self._stale_after = 3 * self.interval + SITE_TIMEOUT_SECONDS
        self.stale_after = self._stale_after.copy()
        self.off_grid = np.array([s.off_grid for s in sites], dtype=bool)
        given = [site.model_fields_set for site in sites]
        self.nominal = Nominal(
            number(s.grid_nominal_hz for s in sites),
            number(s.nominal_v for s in sites),
            np.array(["grid_nominal_hz" in names for names in given], dtype=bool),
            np.array(["grid_nominal_v" in names for names in given], dtype=bool),
        )
        self.latitude = number(s.latitude for s in sites)
        self.solar_capacity_kw = number(s.solar_capacity_kw for s in sites)
        self.curtailed = np.array([s.pv is not None and s.pv.curtailment for s in sites], bool)
        self.pv_arrays = PvArrays.of(sites)
        self.pv_lasting_s = np.where(
            self.pv_arrays.of_known_direction, PV_LASTING_SECONDS, UNKNOWN_DIRECTION_SECONDS
        )
        self.profiles = [s.profile for s in sites]
        self.required = Required.of(self.profiles)
        self.priority = np.array([PRIORITIES.index(s.priority) for s in sites], dtype=np.int8)
        self.ids = [s.id for s in sites]
        # Peers never span projects: what one of them measures says nothing of another's sites.
        self.region = group_labels([s.region and (s.project or "", s.region) for s in sites])
        self.battery_type = group_labels(
            [s.battery_type and (s.project or "", s.battery_type) for s in sites]
        )
        self.project = group_labels([(s.project or "",) for s in sites])
        self.constants = SiteConstants(
            nominal=self.nominal,
            frequency_min_hz=self.thresholds["grid_frequency_min"],
            frequency_max_hz=self.thresholds["grid_frequency_max"],
            long_stay_c=self.thresholds["temperature_long"],
            longitude=number(s.longitude for s in sites),
            curtailed=self.curtailed,
            capacity_kwh=number(s.capacity_kwh for s in sites),
            region=self.region,
        )

    def apply(self, snapshot: Snapshot, now: float) -> None:
        """Take in a Snapshot; one of a site that was removed meanwhile is ignored.

        Parameters
        ----------
        snapshot : Snapshot
        now : float
            Monotonic seconds of its receipt.
        """
        row = self.row.get(snapshot.site)
        if row is None:
            return
        record = self.records[row]
        record.version += 1
        outcome = snapshot.outcome
        self._count(row, outcome, now)
        record.outcome, record.detail = outcome, snapshot.detail
        record.outcomes[outcome] = record.outcomes.get(outcome, 0) + 1
        self.duration[row] = snapshot.duration
        self.up[row] = 1.0 if outcome.answered else 0.0
        if not outcome.answered:
            self.failures[row] += 1
            return
        self.failures[row] = 0
        self.stale_after[row] = self._stale_after[row] + snapshot.silence_seconds
        self.last_success[row] = now
        self.last_success_time[row] = snapshot.time
        if "grid_connected" not in snapshot.readings:
            self._tell_grid(row, snapshot, now)
        columns = _columns_of(tuple(snapshot.readings))
        self.values[row][columns] = list(snapshot.readings.values())
        self.times[row][columns] = now
        if "grid_frequency_hz" in snapshot.readings:
            slot = self.frequency_next[row]
            self.frequencies[row, slot] = self.values[row, _FREQUENCY]
            self.frequency_next[row] = (slot + 1) % FREQUENCY_WINDOW
        if snapshot.way != record.way:
            record.way_changes += bool(record.way)
            record.way = snapshot.way
        if snapshot.properties and snapshot.properties != record.properties:
            record.properties = dict(snapshot.properties)
        self._apply_devices(row, record, snapshot, now)

    def _tell_grid(self, row: int, snapshot: Snapshot, now: float) -> None:
        """Whether there is a grid, of a site with a battery whose device does not say so: one that
        measured a live grid before and measures no voltage now has lost it. An inverter without a
        battery sleeps at night."""
        volts = snapshot.readings.get("grid_voltage_v", math.nan)
        if not snapshot.batteries or math.isnan(volts):
            return
        dead = volts < DEAD_GRID_RATIO * self.nominal.v[row]
        dead &= not snapshot.readings.get("grid_frequency_hz", 0.0) > 0.0
        if dead and math.isnan(self.values[row, _CONNECTED]):
            return
        self.values[row, _CONNECTED] = 0.0 if dead else 1.0
        self.times[row, _CONNECTED] = now

    def way_of(self, site: str) -> str:
        """The way in by which a site was read last; empty where it has one, or is unknown."""
        row = self.row.get(site)
        return "" if row is None else self.records[row].way

    def recall(self, answered: Mapping[str, float], now: float, wall: float) -> None:
        """Take in when sites answered last before this program started.

        Parameters
        ----------
        answered : mapping of site id to float
            Unix seconds. Ignored for a site that has answered since the start.
        now, wall : float
            Monotonic and Unix seconds of the same moment.
        """
        for site, time in answered.items():
            row = self.row.get(site)
            if row is not None and math.isnan(self.last_success_time[row]) and time <= wall:
                self.last_success_time[row] = time
                self.last_success[row] = now - (wall - time)

    def _count(self, row: int, outcome: Outcome, now: float) -> None:
        if now // 60 > self._minute:
            for slot in self._slots_passed(now):
                self.worked[:, slot] = 0
                self.attempted[:, slot] = 0
                self.answered[:, slot] = 0
            self._minute = int(now // 60)
            self._sum_hour()
        slot, share = self._minute % WINDOW_MINUTES, _SHARE.get(outcome, 0.0)
        self.worked[row, slot] += share
        self.attempted[row, slot] += 1
        worked, attempted, answered = self._in_hour
        worked[row] += share
        attempted[row] += 1
        if share:
            self.answered[row, slot] += 1
            answered[row] += 1

    def _sum_hour(self) -> None:
        self._in_hour = (
            self.worked.sum(axis=1),
            self.attempted.sum(axis=1),
            self.answered.sum(axis=1),
        )

    def _slots_passed(self, now: float) -> list[int]:
        """Slots of the one-hour window that ``now`` (monotonic) begins anew."""
        steps = min(int(now // 60) - self._minute, WINDOW_MINUTES)
        return [(self._minute + step) % WINDOW_MINUTES for step in range(1, steps + 1)]

    def last_hour(self, now: float) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Scrapes of the hour before ``now`` (monotonic) that worked, of which a partial one counts
        half, all of them, and those that were answered at all, (N,) each."""
        passed = self._slots_passed(now)
        if not passed:
            worked, attempted, answered = self._in_hour
            return worked.copy(), attempted.copy(), answered.copy()
        kept = np.ones(WINDOW_MINUTES)
        kept[passed] = 0.0
        return self.worked @ kept, self.attempted @ kept, self.answered @ kept

    def _apply_devices(self, row: int, record: SiteRecord, snapshot: Snapshot, now: float) -> None:
        if any(battery.active for battery in snapshot.batteries):
            # The active battery changes at once, with whatever else was active before.
            for known in record.batteries.values():
                known.active = False
        for battery in snapshot.batteries:
            state = record.batteries.get(battery.device)
            if state is None:
                state = record.batteries[battery.device] = BatteryState(battery.device, False, now)
            state.active = battery.active
            state.take(battery.readings, now)
            if "cell_min_v" in battery.readings:
                state.cell_min_id, state.cell_max_id = battery.cell_min_id, battery.cell_max_id
                state.cells = battery.cells
                if battery.cells is not None:
                    self._with_cells.append(state)
        for device, reported in snapshot.alarms.items():
            record.alarms[device] = reported
            record.alarm_times[device] = now
            record.alarm_texts[device] = snapshot.alarm_texts.get(device, _NO_TEXTS)
        record.notices = snapshot.notices
        note_unusable(record, snapshot)
        if snapshot.devices is not None:
            self._forget_gone(record, snapshot.devices)
        levels = [max(found.values()) for found in record.alarms.values() if found]
        record.alarm_level = max(levels, default=-1)
        record.wrong_types = sum([bool(item.given) for item in record.implausible.values()])
        record.unusable = len(record.implausible) - record.wrong_types
        self._reduce(row, record, now)

    def pack_cells(self) -> None:
        """Let the cells that came since the last time take a quarter of their memory."""
        waiting = [(b, b.cells) for b in self._with_cells if isinstance(b.cells, Cells)]
        self._with_cells.clear()
        packed = pack_many([cells for _, cells in waiting])
        for (battery, _), cells in zip(waiting, packed, strict=True):
            battery.cells = cells

    @staticmethod
    def _forget_gone(record: SiteRecord, devices: frozenset[str]) -> None:
        """What a device said does not outlive the device."""
        for table in (record.batteries, record.alarms, record.alarm_times, record.alarm_texts):
            for device in [d for d in table if d not in devices]:
                del table[device]
        for key in [k for k in record.implausible if k[0] not in devices and k[0] != "site"]:
            del record.implausible[key]

    def _reduce(self, row: int, record: SiteRecord, now: float) -> None:
        """The site's battery figures: of the active battery, and of the worst one where the worst
        decides (health, heat, cells)."""
        for device in [
            d
            for d, b in record.batteries.items()
            if now - b.seen > max(OTHER_DEVICE_STALE_SECONDS, self.stale_after[row])
        ]:
            del record.batteries[device]
        batteries = sorted(record.batteries.values(), key=lambda b: (not b.active, b.device))
        if not batteries:
            self.values[row, _BATTERY_COLUMNS] = MISSING
            return
        # One assignment of a list costs a tenth of one for each value.
        values, times = battery_figures(batteries, now - float(self.stale_after[row]))
        hottest = values[_HOTTEST]
        if hottest == hottest:  # noqa: PLR0124 - not NaN
            values[_HOTTEST] = record.believed(hottest, times[_HOTTEST])
        self.values[row, _BATTERY_COLUMNS] = values
        self.times[row, _BATTERY_COLUMNS] = times

    def integrate_pv(
        self, expected: Expected, seconds: float, stale_before: float | FloatArray
    ) -> None:
        """Add a moment to the window over which PV is judged.

        The window holds about an hour of time that can be judged (daylight, battery not full,
        PV not held back), and begins anew after a longer pause: what was before it was made under
        another sky than what neighbours make now.

        Parameters
        ----------
        expected : scoring.pv_power.Expected
            What the sun allows now.
        seconds : float
            Time since the moment before.
        stale_before : float, or float array of shape (N,)
            Monotonic seconds; PV readings older than this are not counted.
        """
        self.pv_expected_w = expected.power_w
        column = COLUMN["pv_power_w"]
        made = self.values[:, column]
        held_back = self.values[:, COLUMN["pv_disabled"]] == 1
        # A BMS that takes no charge holds PV back as well, for some percent below full.
        limit = COLUMN["charge_limit_a"]
        held_back |= (self.values[:, limit] == 0) & (self.times[:, limit] >= stale_before)
        soc = self.values[:, COLUMN["soc_percent"]]
        with np.errstate(invalid="ignore"):
            counted = ~exclude_mask(expected.elevation_deg, soc, held_back)
            counted &= (self.times[:, column] >= stale_before) & ~np.isnan(made)
            counted &= expected.power_w > 0
        begins = counted & (self.pv_idle_s > PV_PAUSE_SECONDS)
        self.pv_idle_s = np.where(counted, 0.0, self.pv_idle_s + seconds)
        hours = seconds / 3600.0
        keep = math.exp(-hours / PV_WINDOW_HOURS)
        for total, rate in (
            (self.pv_made_wh, made),
            (self.pv_expected_wh, expected.power_w),
            (self.pv_hours, np.ones_like(made)),
        ):
            total[begins] = 0.0
            total[counted] = total[counted] * keep + rate[counted] * hours

    def fresh(self, now: float, names: Iterable[str] = COLUMNS) -> dict[str, FloatArray]:
        """Readings that are not stale at ``now`` (monotonic), by name, shape (N,); NaN if they
        are."""
        found = {}
        for name in names:
            column = COLUMN[name]
            fresh = now - self.times[:, column] <= self.stale_after
            found[name] = np.where(fresh, self.values[:, column], np.nan)
        return found

    def observe(self, now: float, wall: float, seconds: float, expected: Expected | None) -> None:
        """Add a moment (monotonic and Unix seconds), so long after the one before, to the window of
        the recent past; ``expected`` is what the sun allows."""
        answering = now - self.last_success <= self.stale_after
        readings = self.fresh(now, OBSERVED)
        read_at = self.times[:, COLUMN["power_w"]].copy()
        moment = Moment(
            wall, seconds, answering, readings, self.duration, expected, read_at, self.interval
        )
        self.window.observe(moment, self.constants)

    def state_of(self, site: str, quantity: str, now: float) -> ReadingState:
        """Which of the four states the latest reading of a quantity is in."""
        row = self.row[site]
        column = COLUMN[quantity]
        derived = DERIVED.get(API_KEYS.get(quantity, quantity))
        names = derived.sources if derived else (quantity,)
        if any(name in names for _, name in self.records[row].implausible):
            return ReadingState.IMPLAUSIBLE
        if math.isnan(self.values[row, column]):
            return ReadingState.MISSING
        if now - self.times[row, column] > self.stale_after[row]:
            return ReadingState.STALE
        return ReadingState.NUMBER


_STATE = (
    "values",
    "times",
    "last_success",
    "last_success_time",
    "duration",
    "up",
    "failures",
    "worked",
    "attempted",
    "answered",
    "frequencies",
    "frequency_next",
    "pv_made_wh",
    "pv_expected_wh",
    "pv_hours",
    "pv_expected_w",
    "pv_idle_s",
)


@functools.lru_cache(maxsize=256)
def _columns_of(names: tuple[str, ...]) -> NDArray[np.int64]:
    """The columns of quantities."""
    return np.array([COLUMN[name] for name in names], dtype=np.int64)


def same_device(old: Site, new: Site) -> bool:
    """Whether a site of two fleet files is one device."""
    return old.identity == new.identity


def same_arrays(old: Site, new: Site) -> bool:
    """Whether a site is the same device with the same PV at the same place."""
    names = ("solar_capacity_kw", "pv", "tilt", "azimuth", "latitude", "longitude", "region")
    same = all(getattr(old, name) == getattr(new, name) for name in names)
    return same and same_device(old, new)


def group_labels(values: Sequence[Hashable]) -> NDArray[np.int64]:
    """Group numbers of equal values, shape (N,); -1 where there is none."""
    numbers = {name: index for index, name in enumerate(dict.fromkeys(v for v in values if v))}
    return np.array([numbers[v] if v else -1 for v in values], dtype=np.int64)
