"""The running simulation: all sites as arrays, advanced lazily on a fixed grid of time."""

from __future__ import annotations

import math
import time as wall
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from simulator.faults import ClockParams, FaultName, RestartParams, parse_params
from simulator.overrides import ActiveFault, Overrides
from simulator.physics.cells import CHARGE_LIMIT_V, NOMINAL_CELL_V, CellBank, PackDesign
from simulator.physics.noise import OrnsteinUhlenbeck
from simulator.physics.power import Flows, battery_target, flows
from simulator.physics.solar import DAY, SunDay, sun_day
from simulator.physics.solar import STEP as SUN_STEP
from simulator.physics.surroundings import Demand, Grid, Weather
from simulator.scenario import Scenario, Site
from simulator.state import SiteState

Floats = NDArray[np.float64]

# Ohm times ampere-hour of an LFP cell with its share of the wiring: 0.5 mohm at 280 Ah.
CELL_OHM_AH = 0.14
LOAD_SHARES = np.array([0.42, 0.33, 0.25])
# How closely an ESS holds the grid power to its set-point.
GRID_SETPOINT_W = 30.0
TRACKING_W = 12.0
TRACKING_SHARE = 0.01
MIN_STEP = 5.0
MAX_STEP = 300.0
UPTIME_BEFORE_SECONDS = 40 * 86400.0


@dataclass
class _Bank:
    """A cell bank and the sites that its rows belong to."""

    sites: NDArray[np.int64]
    cells: CellBank


class Simulator:
    """All sites of a scenario.

    Parameters
    ----------
    scenario : Scenario
        The sites and their faults.
    clock : callable
        Seconds as a float, by default the wall clock in Unix time.
    speed : float
        Simulated seconds for each second of the clock, above 0.
    start : datetime, optional
        Simulated time of the start, with a time zone; by default the clock's time, so that at
        speed 1 the sun stands where it really stands.
    step_seconds : float, optional
        Step of the physics; by default 5 s, longer when time runs fast (at most 300 s).

    Notes
    -----
    State advances only when it is asked for, in whole steps counted from the start, so what is read
    at a moment depends on the scenario, its seed, the start and the step, and not on when anybody
    asked.
    """

    def __init__(
        self,
        scenario: Scenario,
        *,
        clock: Callable[[], float] = wall.time,
        speed: float = 1.0,
        start: datetime | None = None,
        step_seconds: float | None = None,
    ) -> None:
        if speed <= 0.0:
            raise ValueError("speed must be above 0")
        if start is not None and start.tzinfo is None:
            raise ValueError("start needs a time zone")
        if step_seconds is not None and step_seconds <= 0.0:
            raise ValueError("step_seconds must be above 0")
        self.scenario = scenario
        self.speed = speed
        self._clock = clock
        self._clock_start = clock()
        self.start = self._clock_start if start is None else start.timestamp()
        self.step_seconds = step_seconds or min(max(MIN_STEP, speed / 2.0), MAX_STEP)
        self._steps = 0
        self._index = {site.id: row for row, site in enumerate(scenario.sites)}
        self._injected: dict[str, list[ActiveFault]] = {site.id: [] for site in scenario.sites}
        self._active: dict[str, list[ActiveFault]] = {}
        self._states: dict[str, SiteState] = {}
        self._build()
        self._next_change = self._apply_faults()
        self._step()

    def _rng(self, name: str) -> np.random.Generator:
        return np.random.default_rng([self.scenario.seed, zlib.crc32(name.encode())])

    def _build(self) -> None:
        sites = self.scenario.sites
        regions = list(self.scenario.regions)
        region = [self.scenario.regions[site.region] for site in sites]
        areas = sorted({r.synchronous_area for r in self.scenario.regions.values()})
        rng = self._rng("surroundings of all sites")
        own = [self._rng(s.id) for s in sites]
        self._latitude = np.array([s.latitude for s in sites])
        self._longitude = np.array([s.longitude for s in sites])
        self._tilt = np.array([s.solar.tilt for s in sites])
        self._azimuth = np.array([s.solar.azimuth for s in sites])
        self._soiling = np.array([g.uniform(0.96, 1.0) for g in own])
        self._pv_w = np.array([s.solar.capacity_kw * 1000.0 for s in sites])
        self._pv_is_dc = np.array([s.solar.coupling == "dc" for s in sites])
        self._inverter_w = np.array([s.inverter_kw * 1000.0 for s in sites])
        self._off_grid = np.array([s.off_grid for s in sites])
        self._three = np.array([s.phases == 3 for s in sites])
        self._nominal_v = np.array([r.nominal_v for r in region])
        self._nominal_hz = np.array([float(r.nominal_hz) for r in region])
        mean_load = np.array([s.load.daily_kwh * 1000.0 / 24.0 for s in sites])
        rated = np.maximum(np.maximum(self._pv_w, 3.0 * mean_load), 5000.0)
        self._load_shares = np.where(self._three[:, None], LOAD_SHARES, [1.0, 0.0, 0.0])
        self._even_shares = np.where(self._three[:, None], np.full(3, 1 / 3), [1.0, 0.0, 0.0])
        self._weather = Weather(
            np.array([regions.index(s.region) for s in sites]),
            np.array([r.cloudiness for r in self.scenario.regions.values()]),
            rng,
        )
        self._grid = Grid(
            np.array([areas.index(r.synchronous_area) for r in region]),
            self._nominal_hz,
            self._nominal_v,
            rated,
            rng,
        )
        warehouse = np.array([s.load.shape == "warehouse" for s in sites])
        self._demand = Demand(warehouse, mean_load, self._longitude, rng)
        self._tracking = OrnsteinUhlenbeck(len(sites), 20.0, rng)
        self._build_banks(own)
        capacity = np.array([s.battery.capacity_kwh for s in sites])
        age = np.array([g.uniform(150.0, 900.0) for g in own])
        self._discharged = age * capacity * 0.6
        self._charged = self._discharged / 0.96
        self._pv_energy = age * self._pv_w / 1000.0 * 3.0
        self._imported = age * mean_load * 24.0 / 1000.0 * 0.3
        self._exported = self._pv_energy * 0.3
        self._sun = self._sun_of(self.start)
        self._day = self._solar_day(self.start)
        self._pv_today = self._energy_before_start()

    def _build_banks(self, own: list[np.random.Generator]) -> None:
        sites = self.scenario.sites
        room = self._weather.room_temperature(self.start, self._latitude, self._longitude)
        self._banks: list[_Bank] = []
        self._bank_row: list[tuple[CellBank, int]] = [cast(Any, None)] * len(sites)
        for cells in sorted({s.battery.cells for s in sites}):
            rows = np.array([i for i, s in enumerate(sites) if s.battery.cells == cells])
            packs = [sites[i].battery for i in rows]
            ah = np.array([p.capacity_kwh * 1000.0 / (cells * NOMINAL_CELL_V) for p in packs])
            default = cells * CELL_OHM_AH / ah
            given = np.array([p.resistance_milliohm or np.nan for p in packs]) / 1000.0
            design = PackDesign(
                capacity_ah=ah,
                soh=np.array([p.soh for p in packs]) / 100.0,
                initial_soc=np.array([p.initial_soc for p in packs]) / 100.0,
                resistance_ohm=np.where(np.isnan(given), default, given),
                max_c_rate=np.array([p.max_c_rate for p in packs]),
                min_soc=np.array([p.min_soc for p in packs]) / 100.0,
                ambient_c=room[rows],
            )
            bank = CellBank(cells, design, [own[i] for i in rows])
            self._banks.append(_Bank(rows, bank))
            for row, site in enumerate(rows):
                self._bank_row[site] = (bank, row)
        self._current = np.zeros(len(sites))
        self._voltage = np.zeros(len(sites))
        self._charge_limit = np.zeros(len(sites))
        self._discharge_limit = np.zeros(len(sites))

    def _sun_of(self, moment: float) -> SunDay:
        start = moment - moment % DAY
        return sun_day(start, self._latitude, self._longitude, self._tilt, self._azimuth)

    def _solar_day(self, moment: float) -> NDArray[np.int64]:
        """Number of each site's day in local solar time."""
        return np.floor((moment + self._longitude * 240.0) / DAY).astype(np.int64)

    def _energy_before_start(self) -> Floats:
        """Energy (kWh) of each local day before the start, as if it had been mostly clear."""
        days = (self._sun_of(self.start - DAY), self._sun)
        times = np.concatenate([d.start + np.arange(0, DAY, SUN_STEP) for d in days])
        specific = np.concatenate([d.specific[:, :-1] for d in days], axis=1)
        begun = self._day[:, None] * DAY - self._longitude[:, None] * 240.0
        counted = (times >= begun) & (times < self.start)
        hours = (specific * counted).sum(axis=1) * SUN_STEP / 3600.0
        result: Floats = 0.7 * hours * self._pv_w / 1000.0
        return result

    # -- time ---------------------------------------------------------------------------------

    def now(self) -> float:
        """Simulated Unix time, s."""
        return self.start + (self._clock() - self._clock_start) * self.speed

    def advance(self, to: float | None = None) -> None:
        """Bring the state to a simulated Unix time, by default to now; never goes back."""
        target = self.now() if to is None else to
        while self.start + self._steps * self.step_seconds <= target:
            self._step()

    # -- faults -------------------------------------------------------------------------------

    def inject(self, site_id: str, fault: FaultName, **params: Any) -> None:
        """Give a site a fault until it is cleared.

        Raises
        ------
        KeyError
            No such site.
        pydantic.ValidationError
            A parameter is unknown, missing or out of range.
        """
        known = self._injected[site_id]
        parsed = parse_params(fault, params)
        if fault != "alarm":
            known[:] = [active for active in known if active.fault != fault]
        known.append(ActiveFault(fault, parsed))
        self._next_change = self._apply_faults()
        self._solve(0.0)

    def clear(self, site_id: str, fault: FaultName | None = None) -> None:
        """End an injected fault of a site, or all of them; planned faults keep to their plan.

        Raises
        ------
        KeyError
            No such site.
        """
        known = self._injected[site_id]
        known[:] = [active for active in known if fault is not None and active.fault != fault]
        self._next_change = self._apply_faults()
        self._solve(0.0)

    def faults_of(self, site_id: str) -> list[ActiveFault]:
        """Faults that a site has at the time to which the simulation has advanced."""
        return list(self._active[site_id])

    def fault(self, site_id: str, name: FaultName) -> ActiveFault | None:
        """The named fault of a site where it is active."""
        return next((f for f in self._active[site_id] if f.fault == name), None)

    def clock_ahead_seconds(self, site_id: str) -> float:
        """How far the clock of a site's controller is ahead."""
        params = (active.params for active in self._active[site_id])
        return sum(p.ahead_seconds for p in params if isinstance(p, ClockParams))

    def _apply_faults(self) -> float:
        """Collect the active faults; returns the simulated time of the next planned change."""
        elapsed = self._steps * self.step_seconds
        following = math.inf
        overrides = Overrides.none(len(self.scenario.sites))
        for row, site in enumerate(self.scenario.sites):
            active = list(self._injected[site.id])
            for plan in site.faults:
                end = math.inf if plan.end_seconds is None else plan.end_seconds
                if plan.start_seconds <= elapsed < end:
                    active.append(ActiveFault(plan.fault, parse_params(plan.fault, plan.params)))
                following = min(
                    following, *(t for t in (plan.start_seconds, end, math.inf) if t > elapsed)
                )
            self._active[site.id] = active
            soh = overrides.take(row, active)
            bank, bank_row = self._bank_row[row]
            bank.set_soh(bank_row, site.battery.soh if soh is None else soh)
        self._overrides = overrides
        self._states.clear()
        return self.start + following

    # -- physics ------------------------------------------------------------------------------

    def _step(self) -> None:
        """Advance by one step and leave the state of its beginning to be read."""
        time = self.start + self._steps * self.step_seconds
        dt = self.step_seconds
        if time >= self._next_change:
            self._next_change = self._apply_faults()
        if time >= self._sun.start + DAY:
            self._sun = self._sun_of(time)
        today = self._solar_day(time)
        self._pv_today[today != self._day] = 0.0
        self._day = today
        self.time = time
        index = self._weather.step(dt)
        self._clear_sky = self._sun.at(time) * self._pv_w
        self._pv_available = self._clear_sky * index * self._soiling
        self._wanted = self._demand.step(time, dt)
        self._setpoint = GRID_SETPOINT_W + self._tracking.step(dt) * (
            TRACKING_W + TRACKING_SHARE * self._wanted
        )
        self._frequency, self._open_line = self._grid.step(dt)
        self._room = self._weather.room_temperature(time, self._latitude, self._longitude)
        self._solve(dt)
        self._steps += 1

    def _solve(self, dt: float) -> None:
        """Power flows of this moment; ``dt`` 0 recomputes them after a fault has come or gone."""
        over = self._overrides
        available = self._pv_available * over.pv_factor
        pv_dc = np.where(self._pv_is_dc, available, 0.0)
        pv_ac = available - pv_dc
        islanded = self._off_grid | over.grid_lost
        target = battery_target(
            self._wanted, pv_ac, pv_dc, np.where(islanded, 0.0, self._setpoint), self._inverter_w
        )
        battery = np.empty_like(target)
        for bank in self._banks:
            battery[bank.sites] = self._charge(bank, target[bank.sites], dt)
        flow = flows(
            battery=battery,
            demand=self._wanted,
            pv_ac=pv_ac,
            pv_dc=pv_dc,
            islanded=islanded,
            inverter_w=self._inverter_w,
        )
        self._flow: Flows = flow
        self._islanded = islanded
        hours = dt / 3.6e6
        self._charged += np.clip(battery, 0.0, None) * hours * over.counter_factor
        self._discharged += np.clip(-battery, 0.0, None) * hours * over.counter_factor
        self._pv_energy += (flow.pv_ac + flow.pv_dc) * hours
        self._pv_today += (flow.pv_ac + flow.pv_dc) * hours
        self._imported += np.clip(flow.grid, 0.0, None) * hours
        self._exported += np.clip(-flow.grid, 0.0, None) * hours
        self._states.clear()

    def _charge(self, bank: _Bank, target: Floats, dt: float) -> Floats:
        """Let a bank take what it can of ``target`` (W); what it took, W."""
        over, rows, cells = self._overrides, bank.sites, bank.cells
        held = ~np.isnan(over.soc[rows])
        for row in np.flatnonzero(held):
            cells.set_soc(int(row), float(over.soc[rows[row]]))
        spread = ~np.isnan(over.spread[rows])
        cells.offset[~spread] = 0.0
        emf, resistance = cells.source()
        root = np.sqrt(np.maximum(emf**2 + 4.0 * resistance * target, 0.0))
        current = (root - emf) / (2.0 * resistance)
        charge, discharge = cells.limits()
        charge = np.where(over.refuses_charge[rows], 0.0, charge)
        discharge = np.where(over.refuses_discharge[rows], 0.0, discharge)
        current = np.where(held, 0.0, np.clip(current, -discharge, charge))
        cells.step(current, dt, self._room[rows])
        for row in np.flatnonzero(spread):
            weak = cells.cells // 3
            others = np.delete(cells.voltages[row], weak)
            lowered = others.max() - over.spread[rows[row]]
            cells.offset[row, weak] += lowered - cells.voltages[row, weak]
            cells.voltages[row, weak] = lowered
        voltage = cells.voltages.sum(axis=1)
        self._current[rows] = current
        self._voltage[rows] = voltage
        self._charge_limit[rows] = charge
        self._discharge_limit[rows] = discharge
        power: Floats = voltage * current
        return power

    # -- reading ------------------------------------------------------------------------------

    def site(self, site_id: str) -> Site:
        """The site as the scenario describes it; KeyError where there is none."""
        return self.scenario.sites[self._index[site_id]]

    def nominal(self, site_id: str) -> tuple[float, float]:
        """Nominal frequency (Hz) and phase voltage (V) of a site."""
        row = self._index[site_id]
        return float(self._nominal_hz[row]), float(self._nominal_v[row])

    def state(self, site_id: str) -> SiteState:
        """State of a site at the time to which the simulation has advanced; KeyError without it."""
        known = self._states.get(site_id)
        if known is None:
            known = self._states[site_id] = self._read(self._index[site_id])
        return known

    def _read(self, row: int) -> SiteState:
        site, flow, over = self.scenario.sites[row], self._flow, self._overrides
        bank, pack = self._bank_row[row]
        phases = site.phases
        inverter = self._even_shares[row] * flow.inverter_ac[row]
        load = self._load_shares[row] * flow.load[row]
        pv = self._even_shares[row] * flow.pv_ac[row]
        connected = not bool(self._islanded[row])
        grid = load - pv + inverter if connected else np.zeros(3)
        line = self._grid.line_voltage(row, self._open_line[row], grid)
        if not np.isnan(over.voltage[row]):
            line = np.full(3, over.voltage[row])
        line[0] *= 1.0 - over.unbalance[row]
        frequency = self._frequency[row] + over.frequency_offset[row]
        if not np.isnan(over.frequency[row]):
            frequency = over.frequency[row]
        output = line if connected else np.full(3, self._nominal_v[row])
        temperatures = bank.temperature[pack]
        if not np.isnan(over.temperature[row]):
            temperatures = temperatures - temperatures.mean() + over.temperature[row]
        soh = float(bank.soh[pack])
        soc = bank.soc[pack] if np.isnan(over.soc_shown[row]) else over.soc_shown[row]
        return SiteState(
            time=self.time,
            soc=100.0 * float(soc),
            soh=100.0 * soh,
            battery_voltage=float(self._voltage[row]),
            battery_current=float(self._current[row]),
            battery_power=float(flow.battery[row]),
            battery_temperature=float(temperatures.mean()),
            max_charge_current=float(self._charge_limit[row]),
            max_discharge_current=float(self._discharge_limit[row]),
            charge_voltage=CHARGE_LIMIT_V * bank.cells,
            modules_offline=int(over.modules_offline[row]),
            modules_blocking_charge=int(over.blocking_charge[row]),
            modules_blocking_discharge=int(over.blocking_discharge[row]),
            capacity_ah=float(bank.design.capacity_ah[pack]),
            cell_voltages=bank.voltages[pack].tolist(),
            cell_temperatures=temperatures.tolist(),
            charged_kwh=float(self._charged[row]),
            discharged_kwh=float(self._discharged[row]),
            cycles=float(self._discharged[row]) / site.battery.capacity_kwh,
            pv_ac=float(flow.pv_ac[row]),
            pv_dc=float(flow.pv_dc[row]),
            pv_clear_sky=float(self._clear_sky[row]),
            pv_kwh=float(self._pv_energy[row]),
            pv_today_kwh=float(self._pv_today[row]),
            load=float(flow.load[row]),
            load_phases=load[:phases].tolist(),
            pv_phases=pv[:phases].tolist(),
            inverter_dc=float(flow.inverter_dc[row]),
            inverter_phases=inverter[:phases].tolist(),
            conversion_loss=float(flow.loss[row]),
            grid=float(flow.grid[row]),
            grid_phases=grid[:phases].tolist(),
            grid_connected=connected,
            grid_voltages=line[:phases].tolist() if connected else [0.0] * phases,
            output_voltages=output[:phases].tolist(),
            frequency=float(frequency) if connected else 0.0,
            output_frequency=float(frequency) if connected else float(self._nominal_hz[row]),
            imported_kwh=float(self._imported[row]),
            exported_kwh=float(self._exported[row]),
            sun_elevation=float(self._sun.elevation_at(self.time)[row]),
            uptime_seconds=self._uptime(site.id),
        )

    def _uptime(self, site_id: str) -> float:
        """Seconds since the site's controller started; all of them ran for weeks before."""
        elapsed = self.time - self.start
        for fault in self._active[site_id]:
            if isinstance(fault.params, RestartParams):
                return elapsed % fault.params.every_seconds
        return elapsed + UPTIME_BEFORE_SECONDS

    def powers(self) -> dict[str, Floats]:
        """Power of each flow in W, shape (sites,).

        PV is one figure here; battery power is positive when charging, grid power when importing.
        """
        flow = self._flow
        return {
            "pv": flow.pv_ac + flow.pv_dc,
            "load": flow.load.copy(),
            "grid": flow.grid.copy(),
            "battery": flow.battery.copy(),
        }

    def started_at(self) -> datetime:
        """When the simulation began, UTC."""
        return datetime.fromtimestamp(self.start, UTC)
