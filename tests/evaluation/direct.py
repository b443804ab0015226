"""Simulated sites without bytes: Snapshots straight from the simulator's state.

Ten times faster than :mod:`tests.evaluation.world`, for months of many sites. A test holds that
both give the same readings.
"""

from __future__ import annotations

import math
from statistics import fmean

from exporter.model.snapshot import BatterySnapshot, Outcome, Snapshot
from simulator.engine import Simulator
from simulator.faults import SlowParams
from simulator.physics.frequency_steps import step_hz, stepped_hz
from simulator.scenario import Site
from simulator.state import SiteState
from tests.evaluation.world import REQUEST_SECONDS, SILENCES

BATTERY = "battery/512"
USUAL_SECONDS = 0.3
REQUESTS = 4


class DirectWorld:
    """All sites of a scenario, one Snapshot each a moment.

    Faults of a transport fail a whole Snapshot; others act through the simulator's state.
    """

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator

    def snapshots(self, time: float) -> list[Snapshot]:
        """Every site at a moment, Unix seconds, not before the last one."""
        self._simulator.advance(time)
        return [self._snapshot(site, time) for site in self._simulator.scenario.sites]

    def _snapshot(self, site: Site, time: float) -> Snapshot:
        seconds = USUAL_SECONDS
        for active in self._simulator.faults_of(site.id):
            outcome = SILENCES.get(active.fault)
            if isinstance(active.params, SlowParams):
                seconds = REQUESTS * active.params.seconds
                if active.params.seconds > REQUEST_SECONDS:
                    outcome = Outcome.TIMEOUT
            if outcome is not None:
                return Snapshot(site.id, time, 0.0, outcome, active.fault)
        state = self._simulator.state(site.id)
        nominal_hz, _ = self._simulator.nominal(site.id)
        silent = self._simulator.fault(site.id, "battery_silent") is not None
        batteries = () if silent else (battery_of(site, state),)
        readings = readings_of(site, state, nominal_hz)
        return Snapshot(site.id, time, seconds, Outcome.OK, readings=readings, batteries=batteries)


def readings_of(site: Site, state: SiteState, nominal_hz: float) -> dict[str, float]:
    """What scoring reads of a site as a whole, rounded as its devices do."""
    volts = [round(v, 2) for v in state.grid_voltages] if state.grid_connected else []
    pv = round(state.pv_dc, 2) + sum(round(p, 2) for p in state.pv_phases)
    readings = {
        "grid_power_w": sum(round(p, 2) for p in state.grid_phases),
        "load_power_w": sum(round(p, 2) for p in state.load_phases),
        "pv_power_w": pv,
        "pv_disabled": 0.0,
        "grid_connected": float(state.grid_connected),
        "grid_voltage_v": fmean(volts) if volts else math.nan,
        "grid_voltage_min_v": min(volts, default=math.nan),
        "grid_voltage_max_v": max(volts, default=math.nan),
        "grid_frequency_hz": math.nan,
        "grid_frequency_step_hz": math.nan,
        "grid_expected": float(not site.off_grid),
        "uptime_h": round(state.uptime_seconds / 3600.0, 1),
    }
    if state.grid_connected:
        hz = state.frequency
        stepped = site.kind != "multi-rs"
        readings["grid_frequency_hz"] = round(stepped_hz(hz), 3) if stepped else round(hz, 2)
        readings["grid_frequency_step_hz"] = step_hz(hz) if stepped else math.nan
    return readings


def battery_of(site: Site, state: SiteState) -> BatterySnapshot:
    """The battery of a site, rounded as its device does."""
    values = {
        "soc_percent": round(state.soc, 1),
        "minimum_soc_percent": site.battery.min_soc,
        "voltage_v": round(state.battery_voltage, 2),
        "current_a": round(state.battery_current, 2),
        "power_w": round(state.battery_power, 1),
        "charged_kwh": round(state.charged_kwh, 2),
        "discharged_kwh": round(state.discharged_kwh, 2),
    }
    if site.kind != "multiplus-bmv":
        low, high = min(state.cell_voltages), max(state.cell_voltages)
        values |= {
            "soh_percent": round(state.soh, 1),
            "temperature_c": round(state.battery_temperature, 1),
            "cell_min_v": round(low, 3),
            "cell_max_v": round(high, 3),
            "cell_spread_v": round(round(high, 3) - round(low, 3), 3),
            "cell_min_temperature_c": round(min(state.cell_temperatures), 1),
            "cell_max_temperature_c": round(max(state.cell_temperatures), 1),
            "modules_online": float(site.battery.modules - state.modules_offline),
            "modules_offline": float(state.modules_offline),
            "modules_blocking_charge": float(state.modules_blocking_charge),
            "modules_blocking_discharge": float(state.modules_blocking_discharge),
            "charge_limit_a": round(state.max_charge_current, 1),
            "discharge_limit_a": round(state.max_discharge_current, 1),
        }
    return BatterySnapshot(BATTERY, True, values)
