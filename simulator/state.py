"""The state of one site at one moment, as plain numbers for whoever renders or tests it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SiteState:
    """One site at one moment.

    Powers in W, energies in kWh, voltages in V, currents in A, temperatures in °C, SOC and SOH in
    percent. Battery power and current are positive when charging, grid power when importing.
    ``*_phases`` have one entry a phase of the site.
    """

    time: float
    soc: float
    soh: float
    battery_voltage: float
    battery_current: float
    battery_power: float
    battery_temperature: float
    max_charge_current: float
    max_discharge_current: float
    charge_voltage: float
    modules_offline: int
    modules_blocking_charge: int
    modules_blocking_discharge: int
    capacity_ah: float
    cell_voltages: list[float]
    cell_temperatures: list[float]
    charged_kwh: float
    discharged_kwh: float
    cycles: float
    pv_ac: float
    pv_dc: float
    pv_clear_sky: float
    pv_kwh: float
    pv_today_kwh: float
    load: float
    load_phases: list[float]
    pv_phases: list[float]
    inverter_dc: float
    inverter_phases: list[float]
    conversion_loss: float
    grid: float
    grid_phases: list[float]
    grid_connected: bool
    grid_voltages: list[float]
    output_voltages: list[float]
    frequency: float
    output_frequency: float
    imported_kwh: float
    exported_kwh: float
    sun_elevation: float
    uptime_seconds: float
